"""Bringing an older store to the newest schema, with Alembic."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from tunesmith.store.schema import HEAD, VERSION_TABLE


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config)


def known_versions() -> set[str]:
    """Every schema this version of tunesmith can read."""
    return {script.revision for script in _scripts().walk_revisions()}


def upgrade(connection: Connection, target: str = HEAD) -> None:
    """Run the migrations up to `target` inside the connection's transaction."""
    scripts = _scripts()

    def steps(current: Any, _: MigrationContext) -> Any:
        return scripts._upgrade_revs(target, current)  # noqa: SLF001 (as alembic.command does)

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, version_table=VERSION_TABLE)
        environment.run_migrations()


def upgrade_sqlite(engine: Engine, path: Path, version: str) -> None:
    """Upgrade a file in one transaction, leaving a copy of it as it was beside it."""
    copy = path.with_name(f"{path.name}.schema-{version}")
    if not copy.exists():
        draft = path.with_name(f"{copy.name}.{os.getpid()}.draft")
        try:
            with (
                closing(sqlite3.connect(path)) as source,
                closing(sqlite3.connect(draft)) as target,
            ):
                source.backup(target)
            draft.replace(copy)
        finally:
            draft.unlink(missing_ok=True)
    with engine.begin() as connection:
        upgrade(connection)
