"""Every store passes the public suite."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.postgres import server
from tests.service.running import emptied, service_of_a_database

from tunesmith.store import Database, Store, open_store, postgres
from tunesmith.store.memory import MemoryStore
from tunesmith.store.postgres import open_postgres
from tunesmith.store.sqlite import open_sqlite
from tunesmith.testing import Check, distant_store_checks, store_checks


def memory() -> tuple[Store, Callable[[], Store]]:
    store = MemoryStore()
    return store, lambda: store


def sqlite() -> tuple[Store, Callable[[], Store]]:
    path = Path(tempfile.mkdtemp()) / "study.db"
    return open_sqlite(path), lambda: open_sqlite(path)


def sqlite_power() -> tuple[Store, Callable[[], Store]]:
    path = Path(tempfile.mkdtemp()) / "study.db"
    return open_sqlite(path, durability="power"), lambda: open_sqlite(path)


def postgresql() -> tuple[Store, Callable[[], Store]]:
    database = Database(server().url())
    return open_postgres(database), lambda: open_postgres(database)


def http() -> tuple[Store, Callable[[], Store]]:
    """A service of these tests, emptied."""
    location = emptied()
    return open_store(location), lambda: open_store(location)


def http_postgresql() -> tuple[Store, Callable[[], Store]]:
    location = emptied(service_of_a_database())
    return open_store(location), lambda: open_store(location)


CHECKS = [
    pytest.param(check, id=f"{make.__name__}-{check}")
    for make in (memory, sqlite, sqlite_power, postgresql, http, http_postgresql)
    for check in store_checks(make)
]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check: Check) -> None:
    check()


def url_of_postgresql() -> str:
    return server().url()


def url_of_a_service() -> str:
    return emptied()


DISTANT = [
    pytest.param(check, id=f"{make.__name__}-{check}")
    for make in (url_of_postgresql, url_of_a_service)
    for check in distant_store_checks(make)
]


@pytest.mark.parametrize("check", DISTANT)
def test_conformance_at_a_distance(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "SILENT_WRITER_S", 1)
    check()
