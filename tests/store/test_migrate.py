"""Files of older versions are read for ever; an upgrade that is cut short costs nothing."""

from __future__ import annotations

import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.store.migrate import known_versions, upgrade
from tunesmith.store.schema import HEAD
from tunesmith.store.sqlite import make_engine, open_sqlite
from tunesmith.tuning.replay import replay

DUMPS = Path(__file__).with_name("data")
TABLES = ("studies", "events", "trials")
NEW_TABLES = {"heartbeats"}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file as schema 0001 left it: a study of 13 trials with corrections, edits and a queue."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((DUMPS / "schema-0001.sql").read_text())
    return path


def rows(path: Path, table: str, columns: str = "*") -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()


def version(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("SELECT version_num FROM tunesmith_version").fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return str(found)


def schema(path: Path) -> dict[str, Any]:
    """Tables, columns and indices, without the wording by which they were made."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = {}
        for (table,) in names:
            indices = connection.execute(f"PRAGMA index_list({table})").fetchall()
            (sql,) = connection.execute(
                "SELECT sql FROM sqlite_master WHERE name = ?", [table]
            ).fetchone()
            tables[table] = {
                "columns": [
                    (name, kind, required, None if default is None else default.strip("'"), key)
                    for _, name, kind, required, default, key in connection.execute(
                        f"PRAGMA table_info({table})"
                    )
                ],
                "foreign keys": connection.execute(f"PRAGMA foreign_key_list({table})").fetchall(),
                "without rowid": "WITHOUT ROWID" in sql,
                "indices": {
                    (index[1], index[2], index[3]): connection.execute(
                        f"PRAGMA index_info({index[1]})"
                    ).fetchall()
                    for index in indices
                },
            }
        return tables


class TestUpgrade:
    def test_everything_is_there(self, old: Path) -> None:
        with ts.Study.open("old", storage=old) as study:
            trials = study.trials
            assert len(trials) == 13
            assert [t.number for t in trials if t.state == "failed"] == [6, 11]
            assert [t.number for t in trials if t.state == "completed"] == [
                *(0, 1, 2, 3, 4, 5, 7, 8, 9, 10)
            ]
            assert trials[12].state == "waiting"
            assert trials[12].config == {"x": 0.0, "k": 2, "o": "adam", "extra": 1}
            assert trials[0].config["x"] == 0.5214103940427
            assert trials[0].notes == ("first one",)
            assert trials[0].tags == {"who": "me"}
            assert trials[0].reports[0].metrics == {"loss": 1.2718687990157638}
            assert trials[1].value == 0.125, "it was corrected"
            assert trials[2].retracted
            assert [t.number for t in trials if t.outside] == [3, 6, 11]
            reason = trials[6].reason
            assert reason is not None
            assert reason.message == "RuntimeError: three"
            assert study.best.number == 9
            assert study.spec.seed == 5
            assert study.space["extra"] == ts.Int(0, 3, default=1), "the edit is there"
            assert study.result().ended == "all 12 trials have been run"
            corrected = study.log(1)[-1]
            assert (corrected.why, corrected.by) == ("typo in the log", "root")  # type: ignore[union-attr]

    def test_it_verifies_and_replays(self, old: Path) -> None:
        with closing(open_sqlite(old)) as store:
            assert store.verify("old") is None
            replayed = replay(store, "old")
            assert replayed.problems == []
            assert replayed.suggestions == 12
            assert replayed.events == 44

    def test_no_event_is_touched(self, old: Path) -> None:
        columns = "study, seq, kind, trial, at, body"
        before = {table: rows(old, table, columns) for table in ("events",)}
        before["trials"], before["studies"] = rows(old, "trials"), rows(old, "studies")
        open_sqlite(old).close()
        assert rows(old, "events", columns) == before["events"]
        assert rows(old, "trials") == before["trials"]
        assert rows(old, "studies") == before["studies"]

    def test_a_copy_of_the_old_file_is_left(self, old: Path) -> None:
        before = {table: rows(old, table) for table in TABLES}
        open_sqlite(old).close()
        copy = old.with_name("old.db.schema-0001")
        assert version(copy) == "0001"
        assert version(old) == HEAD
        assert {table: rows(copy, table) for table in TABLES} == before
        assert sorted(p.name for p in old.parent.iterdir()) == ["old.db", "old.db.schema-0001"]

    def test_is_done_once(self, old: Path) -> None:
        open_sqlite(old).close()
        copy = old.with_name("old.db.schema-0001")
        copy.unlink()
        open_sqlite(old).close()
        assert not copy.exists()

    def test_the_study_goes_on(self, old: Path) -> None:
        with ts.Study.open("old", storage=old) as study:
            study.edit(trials=15)
            assert study.ask().number == 12, "the queue first"
            study.tell(12, 0.5)
            trial = study.ask()
            assert trial.number == 13
            study.tell(trial, 0.25)
            assert study.store.verify("old") is None
            assert replay(study.store, "old").problems == []


class TestSchema:
    def test_an_upgraded_file_has_the_tables_of_a_new_one(self, old: Path) -> None:
        new = old.with_name("new.db")
        open_sqlite(new).close()
        assert set(schema(new)) == {*TABLES, *NEW_TABLES, "tunesmith_version"}
        assert schema(old) != schema(new)
        open_sqlite(old).close()
        assert schema(old) == schema(new)

    def test_the_migrations_make_the_tables_of_the_metadata(self, tmp_path: Path) -> None:
        """From nothing on, step by step."""
        migrated, made = tmp_path / "migrated.db", tmp_path / "made.db"
        engine = make_engine(migrated, "crash", 1.0)
        with engine.begin() as connection:
            upgrade(connection)
        engine.dispose()
        open_sqlite(made).close()
        assert version(migrated) == HEAD
        assert schema(migrated) == schema(made)

    def test_every_version_has_an_old_file_to_be_tested_with(self) -> None:
        dumps = {path.stem.removeprefix("schema-") for path in DUMPS.glob("schema-*.sql")}
        assert dumps == known_versions() - {HEAD}


#: Opens a file and dies by SIGKILL when its tables have been changed, before they are committed.
KILLED = """
import os, signal, sys
from tunesmith.store import migrate
from tunesmith.store.sqlite import open_sqlite

def upgrade(connection, target=migrate.HEAD, real=migrate.upgrade):
    real(connection, target)
    version = connection.exec_driver_sql("SELECT version_num FROM tunesmith_version").scalar()
    assert version == target
    os.kill(os.getpid(), signal.SIGKILL)

migrate.upgrade = upgrade
open_sqlite(sys.argv[1])
"""

#: Opens a file while no file may grow beyond some bytes, as on a disk that is nearly full.
CROWDED = """
import resource, signal, sys
from tunesmith.store import migrate
from tunesmith.store.sqlite import open_sqlite

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    open_sqlite(sys.argv[1])
except Exception as error:
    print(type(error).__module__, type(error).__name__, error)
"""


class TestInterrupted:
    def test_the_old_file_stays_usable(self, old: Path) -> None:
        before = {table: rows(old, table) for table in TABLES}
        run = subprocess.run([sys.executable, "-c", KILLED, str(old)], check=False)
        assert run.returncode == -signal.SIGKILL
        assert version(old) == "0001"
        assert {table: rows(old, table) for table in TABLES} == before
        with ts.Study.open("old", storage=old) as study:
            assert len(study.trials) == 13
            assert study.store.verify("old") is None
        assert version(old) == HEAD

    @pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_FSIZE")
    @pytest.mark.parametrize("limit", [0, 40_000])
    def test_on_a_full_disk(self, old: Path, limit: int) -> None:
        """It is an error of ours; later, with space, there is a whole copy and a new file."""
        assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
        before = {table: rows(old, table) for table in TABLES}
        command = [sys.executable, "-c", CROWDED, str(old), str(limit)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        assert version(old) == "0001"
        assert {table: rows(old, table) for table in TABLES} == before
        open_sqlite(old).close()
        copy = old.with_name("old.db.schema-0001")
        assert version(copy) == "0001"
        assert {table: rows(copy, table) for table in TABLES} == before
        assert run.stdout.startswith("tunesmith.core.errors Store"), run.stdout

    def test_several_processes_upgrade_at_once(self, old: Path) -> None:
        code = (
            "import sys, tunesmith as ts\n"
            "from tunesmith.store import migrate\n"
            "sys.stdin.readline()\n"
            "with ts.Study.open(storage=sys.argv[1]) as s: print(len(s.trials), s.store.verify('old'))"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(old)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            out, _ = process.communicate(timeout=60)
            assert (process.returncode, out.strip()) == (0, "13 None")
        assert version(old) == HEAD
        assert version(old.with_name("old.db.schema-0001")) == "0001"


def test_an_older_file_that_cannot_be_upgraded_is_not_lost(old: Path, tmp_path: Path) -> None:
    """The copy opens as the file did: the way back is a rename."""
    open_sqlite(old).close()
    back = tmp_path / "back.db"
    shutil.copy(old.with_name("old.db.schema-0001"), back)
    with ts.Study.open("old", storage=back) as study:
        assert len(study.trials) == 13
