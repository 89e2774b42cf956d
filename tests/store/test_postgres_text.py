"""Statements as text: values are written as they are, and a gap is refused."""

from __future__ import annotations

import math
from contextlib import closing
from typing import Any

import psycopg
import pytest
from tests.postgres import server

from tunesmith.core.errors import StoreLost
from tunesmith.core.events import Annotated, Event
from tunesmith.store import open_store
from tunesmith.store.postgres import _literal
from tunesmith.testing.stores import opened, spec, suggested

VALUES: list[Any] = [
    None, True, False, 0, -7, 2**62, 0.1, -1e-300, 1e300, 123456789.123456789, math.nan, math.inf, -math.inf, "", "plain",
    "it's", "a\\b\\'c", "%s %(x)s 100 %", "$1 $$ $a$", "; DROP TABLE events; --", "é 漢 😀", "E'\\x00'", "line\nline",
]  # fmt: skip


@pytest.mark.parametrize("strings", ["on", "off"])
def test_values_come_back(strings: str) -> None:
    with server().admin() as connection:
        connection.execute(f"SET standard_conforming_strings = {strings}")
        connection.execute("SET escape_string_warning = off")
        escape = psycopg.pq.Escaping(connection.pgconn).escape_literal
        for value in VALUES:
            cast = {int: "::int8", float: "::float8", str: "::text"}.get(type(value), "")
            row = connection.execute(f"SELECT {_literal(value, escape)}{cast}".encode()).fetchone()
            assert row is not None
            back = row[0]
            assert back == value or (back != back and value != value), value
            assert type(back) is type(value)


def test_what_text_cannot_hold_is_refused() -> None:
    with server().admin() as connection, pytest.raises(psycopg.DataError, match="NUL"):
        _literal("a\0b", psycopg.pq.Escaping(connection.pgconn).escape_literal)


@pytest.mark.parametrize("many", [1, 120])
def test_behind_an_event_that_is_gone_nothing_is_stored(many: int) -> None:
    """As behind a pooler, which hides that another server has taken the place of the one there was."""
    url = server().url()
    texts = ["it's 100 % \\ 漢", *map(str, range(many - 1))]
    notes: list[Event] = [Annotated(1.0, 0, text, {}, "me") for text in texts]
    with closing(open_store(url)) as store, closing(open_store(url)) as other:
        store.create(spec(), 1.0)
        assert store.append("study", [opened(), suggested(0)], 0) == 2
        assert store.append("study", notes, 2) == 2 + many
        assert list(other.changes("study", 2)) == notes
        assert other.verify("study") is None
        schema = url.rpartition("=")[2]
        server().run(f"DELETE FROM {schema}.events WHERE seq = {2 + many}")
        with pytest.raises(StoreLost, match="is gone"):
            store.append("study", notes, 2 + many)
        assert other.cursor("study") == 1 + many
