"""What can be wrong with a file: each has its error, and the store holds what it held."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.core import events
from tunesmith.core.events import Event
from tunesmith.core.objective import Objective
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Cost, Origin, State
from tunesmith.store import Store, file_of, location_of, open_store
from tunesmith.store.memory import MemoryStore
from tunesmith.store.sql import SqlStore
from tunesmith.store.sqlite import open_sqlite
from tunesmith.tuning.job import load_job
from tunesmith.tuning.place import folder_of
from tunesmith.tuning.warm_start import pasts

SPEC = StudySpec(name="study", space=ts.Space(x=ts.Float(0, 1)), objectives=(Objective("loss"),))


def trial(number: int, value: float) -> list[Event]:
    """A trial from its beginning to its end."""
    at = float(number)
    return [
        events.Suggested(
            at, number, {"x": number / 64}, Origin("random", "", 0, number, 1, 0), "s"
        ),
        events.Finished(at, number, 0, State.COMPLETED, (value,), {"loss": value}, None, Cost(1.0)),
    ]


def note(size: int) -> Event:
    return events.Annotated(9.0, 0, "x" * size, {}, "me")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a study of three trials."""
    path = tmp_path / "study.db"
    with closing(open_sqlite(path)) as store:
        store.create(SPEC, 1.0)
        for number in range(3):
            store.append("study", trial(number, 1.0 / (number + 1)), 2 * number)
    return path


def holds_what_it_held(path: Path) -> None:
    """The three trials of `path` are there, and all fits together."""
    with closing(open_sqlite(path)) as store:
        assert list(store.changes("study")) == [e for n in range(3) for e in trial(n, 1 / (n + 1))]
        assert store.verify("study") is None
        assert store.summary("study").best == 2


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TestNoStore:
    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ts.NotAStore, match=r"is a folder; name a file, such as .*/study\.db"):
            open_sqlite(tmp_path)

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ts.StoreError, match=r"the folder .*/no does not exist; make it first"):
            open_sqlite(tmp_path / "no" / "study.db")
        assert not (tmp_path / "no").exists()

    @pytest.mark.parametrize("content", [b"name: digits\n", b"x", b"SQLite format 4\0", b"\0" * 99])
    def test_a_file_of_another_kind(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "job.yaml"
        path.write_bytes(content)
        with pytest.raises(ts.NotAStore, match=r"job\.yaml is no SQLite database; name another"):
            open_sqlite(path)
        assert path.read_bytes() == content
        assert [p.name for p in tmp_path.iterdir()] == ["job.yaml"]

    @pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device"])
    def test_what_is_no_ordinary_file(self, tmp_path: Path, kind: str) -> None:
        """A pipe would block for ever, were it opened."""
        path = tmp_path / "study.db"
        with closing(socket.socket(socket.AF_UNIX)) as listener:
            if kind == "a named pipe":
                os.mkfifo(path)
            elif kind == "a socket":
                listener.bind(os.path.relpath(path))
            else:
                path.symlink_to("/dev/zero")
            with pytest.raises(ts.NotAStore, match=f"is {kind}; name an ordinary file"):
                open_sqlite(path)

    def test_another_programs_database(self, tmp_path: Path) -> None:
        path = tmp_path / "other.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE bookmarks (url TEXT)")
            connection.execute("INSERT INTO bookmarks VALUES ('a')")
            connection.commit()
        before = digest(path)
        with pytest.raises(ts.NotAStore, match=r"another program \(it has the tables bookmarks\)"):
            open_sqlite(path)
        assert digest(path) == before
        assert [p.name for p in tmp_path.iterdir()] == ["other.db"]

    def test_an_empty_file_becomes_one(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        path.touch()
        with closing(open_sqlite(path)) as store:
            assert store.names() == []

    def test_a_newer_one(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE tunesmith_version SET version_num = '9999'")
            connection.commit()
        before = digest(path)
        with pytest.raises(ts.StoreVersionError, match=r"schema 9999, this one knows up to \d+\)"):
            open_sqlite(path)
        assert digest(path) == before
        assert [p.name for p in path.parent.iterdir()] == ["study.db"], "no copy is made"

    def test_a_damaged_one(self, path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(100)
            file.write(b"\xa5" * 3000)
        with pytest.raises(ts.NotAStore, match="damaged"):
            open_sqlite(path)

    def test_one_without_a_table(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE studies")
            connection.commit()
        with closing(open_sqlite(path)) as store, pytest.raises(ts.NotAStore, match="damaged"):
            store.names()

    def test_an_event_of_a_kind_that_nobody_knows(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute('UPDATE events SET body = \'{"kind":"danced"}\' WHERE seq = 3')
            connection.commit()
        unreadable = pytest.raises(ts.StoreError, match=r"an event cannot be read .*danced")
        with closing(open_sqlite(path)) as store, unreadable:
            list(store.changes("study"))


#: Tells, while another handle of this process opens the file again, and another process looks.
TWO_HANDLES = """
import os, subprocess, sys
import tunesmith as ts
study = ts.Study.create(ts.Space(x=ts.Float(0, 1)), storage=sys.argv[1], name="s", searcher="random")
study.tell(study.ask(), 1.0)
second = ts.Study.open("s", storage=sys.argv[1])
command = [sys.executable, "-m", "tunesmith", "ls", "--storage", sys.argv[1]]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
for _ in range(10):
    study.tell(study.ask(), 2.0)
os._exit(9)
"""
#: Says which files Python itself opens.
COMMANDS = """
import sys

storage = sys.argv.pop(1)
def hook(event, arguments):
    if event in ("open", "shutil.copyfile", "os.truncate") and str(arguments[0]).startswith(storage):
        print("OPENED", event, arguments, file=sys.stderr)
sys.addaudithook(hook)
from tunesmith.cli.app import app
app()
"""


class TestLocks:
    """Nothing but SQLite touches the file: a descriptor that is closed takes SQLite's locks with it."""

    def test_a_second_handle_loses_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        run = subprocess.run([sys.executable, "-c", TWO_HANDLES, path], check=False)
        assert run.returncode == 9
        with ts.Study.open("s", storage=path) as study:
            assert [trial.value for trial in study.trials] == [1.0, *[2.0] * 10]
            assert study.store.verify("s") is None

    @pytest.mark.parametrize(
        "command",
        ["ls", "show", "best", "export", "report", "replay"],
    )
    def test_no_command_opens_the_file(self, tmp_path: Path, command: str) -> None:
        path = tmp_path / "study.db"
        with ts.Study.create(SPEC.space, storage=path, searcher="random", seed=1) as study:
            study.tell(study.ask(), 1.0)
            words = [sys.executable, "-c", COMMANDS, str(path), *command.split(), "-s", str(path)]
            run = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
            assert run.returncode == 0, run.stderr
            assert "OPENED" not in run.stderr


class TestLost:
    """What is in no file that others find is not acknowledged; and it is not lost either."""

    @pytest.mark.parametrize(
        "how", ["deleted", "replaced", "emptied", "cut short", "written over", "without its log"]
    )
    def test_while_it_is_in_use(self, path: Path, how: str) -> None:
        with closing(open_sqlite(path)) as store:
            assert store.append("study", [note(1)], 6) == 7
            if how == "deleted":
                for file in path.parent.iterdir():
                    file.unlink()
            elif how == "replaced":
                other = path.with_name("other.db")
                open_sqlite(other).close()
                other.replace(path)
            elif how == "emptied":
                os.truncate(path, 0)
            elif how == "cut short":
                os.truncate(path, 4096)
            elif how == "written over":
                path.write_bytes(b"no database" * 9999)
            else:
                path.with_name(path.name + "-wal").unlink()
            for _ in range(2):
                with pytest.raises(ts.StoreLost, match=f"{path}: .* in use; nothing more") as lost:
                    store.append("study", trial(3, 0.1), 7)
            with pytest.raises(ts.StoreLost):
                store.names()
        rescued = [p for p in path.parent.iterdir() if ".rescued-" in p.name]
        if how in ("emptied", "cut short", "written over") and not rescued:
            return
        assert [str(p) in str(lost.value) for p in rescued] == [True]
        with closing(open_sqlite(rescued[0])) as store:
            assert len(list(store.changes("study"))) >= 7
            assert store.verify("study") is None

    @pytest.mark.parametrize("first", ["tell", "ask", "beat"])
    def test_what_cannot_be_read_any_more_is_saved_from_memory(
        self, tmp_path: Path, first: str
    ) -> None:
        """As JSON, with the result that could not be stored, whoever notices first."""
        path = tmp_path / "study.db"
        study = ts.Study.create(SPEC.space, storage=path, name="s", searcher="random", seed=1)
        for value in (0.5, 0.25):
            study.tell(study.ask(), value)
        last = study.ask()
        study.report(last, 1, value=0.125)
        for suffix in ("", "-wal"):
            os.truncate(f"{path}{suffix}", 0)
        if first == "ask":
            with pytest.raises(
                ts.StoreLost, match=r"as this process knows it is saved in .*\.json"
            ):
                study.ask()
        elif first == "beat":
            with pytest.raises(ts.StoreLost):
                study.store.beat("s", "session")
        with pytest.raises(
            ts.StoreLost, match=r"as this process knows it is saved in .*\.json"
        ) as lost:
            study.tell(last, 0.1)
        (saved,) = [p for p in tmp_path.iterdir() if ".rescued-" in p.name]
        assert str(saved) in str(lost.value)
        document = json.loads(saved.read_text())
        ended = [t for t in document["trials"] if t["state"] == "completed"]
        assert [trial["value"] for trial in ended] == [0.5, 0.25, 0.1]
        assert document["trials"][2]["reports"] == [{"step": 1, "value": 0.125}]
        assert document["study"]["space"] == SPEC.space.to_dict()
        with suppress(ts.StoreLost):
            study.close()

    @pytest.mark.parametrize("shared", [True, False])
    def test_each_of_two_handles_saves_what_it_knows(self, tmp_path: Path, *, shared: bool) -> None:
        """In files of their own: neither writes over what the other has saved."""
        path = tmp_path / "study.db"
        one = ts.Study.create(SPEC.space, storage=path, name="s", searcher="random", seed=1)
        other = ts.Study.open("s", storage=one.store if shared else path)
        mine, yours = one.ask(), other.ask()
        for suffix in ("", "-wal"):
            os.truncate(f"{path}{suffix}", 0)
        messages = []
        for _ in range(2):
            for study, trial, value in ((one, mine, 0.5), (other, yours, 0.25)):
                with pytest.raises(ts.StoreLost) as lost:
                    study.tell(trial, value)
                messages.append(str(lost.value))
        saved = [p for p in tmp_path.iterdir() if p.suffix == ".json"]
        assert len(saved) == 2
        values = {
            tuple(t["value"] for t in json.loads(p.read_text())["trials"] if t["value"])
            for p in saved
        }
        assert {(0.5,), (0.25,)} == values
        assert all(any(str(p) in message for message in messages[:2]) for p in saved)
        for study in (one, other):
            with suppress(ts.StoreLost):
                study.close()

    def test_a_run_whose_file_was_emptied_saves_what_it_knows(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"

        def train(config: dict[str, float]) -> float:
            if os.environ.pop("TUNESMITH_TEST_EMPTIES", ""):
                for suffix in ("", "-wal"):
                    os.truncate(f"{path}{suffix}", 0)
            return config["x"]

        options: Any = {
            "storage": path, "name": "s", "searcher": "random", "seed": 1, "progress": False,
            "executor": "inline",
        }  # fmt: skip
        before = ts.tune(train, SPEC.space, trials=4, **options)
        os.environ["TUNESMITH_TEST_EMPTIES"] = "1"
        with pytest.raises(ts.StoreLost, match=r"as this process knows it is saved in .*\.json"):
            ts.tune(train, SPEC.space, trials=8, **options)
        (saved,) = [p for p in tmp_path.iterdir() if ".rescued-" in p.name]
        known = [t["value"] for t in json.loads(saved.read_text())["trials"]]
        assert known[:4] == [t.value for t in before.trials]
        assert known[4] is not None, "the result that could not be stored"

    def test_what_is_saved_is_what_an_export_holds(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        study = ts.Study.create(
            ts.Space(x=ts.Float(0, 1)), metric=["a", "b"], goal="minimize", storage=path,
            searcher="random", name="s",
        )  # fmt: skip
        for values in ({"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 1.0}, {"a": 3.0, "b": 3.0}):
            study.tell(study.ask(), values)
        exported = json.loads(study.result().to_json())
        for suffix in ("", "-wal"):
            os.truncate(f"{path}{suffix}", 0)
        with pytest.raises(ts.StoreLost):
            study.ask()
        (saved,) = [p for p in tmp_path.iterdir() if ".rescued-" in p.name]
        assert json.loads(saved.read_text()) == exported
        assert exported["front"] == [0, 1]

    def test_between_two_looks(self, path: Path) -> None:
        """No empty file comes in its place."""
        with closing(open_sqlite(path)) as store:
            path.unlink()
            with pytest.raises(ts.StoreLost, match="the file was deleted"):
                store.names()
            assert not path.exists()

    def test_others_may_shrink_it(self, path: Path) -> None:
        with closing(open_sqlite(path)) as store:
            store.append("study", [note(200_000)], 6)
            with closing(open_sqlite(path)) as other:
                other.delete("study")
                other.create(SPEC, 1.0)
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            assert store.names() == ["study"]

    def test_cut_short_where_the_log_hides_it(self, tmp_path: Path) -> None:
        """What is asked for is in the log still; what it is written back to has pages missing."""
        path = tmp_path / "study.db"
        study = ts.Study.create(ts.Space(x=ts.Float(0, 1)), storage=path, searcher="random")
        study.tell(study.ask(), 1.0)
        os.truncate(path, 4096)
        with pytest.raises(ts.StoreLost, match="cut short"):
            study.tell(study.ask(), 2.0)

    def test_a_study_ends_with_a_clear_error(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"

        def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
            if trial.number == 2:
                path.unlink()
            return 1.0

        with pytest.raises(ts.StoreLost, match=r"the file was deleted .* saved in .*\.rescued-"):
            ts.tune(objective, SPEC.space, trials=9, storage=path, name="s", searcher="random")
        (rescued,) = tmp_path.glob("study.db.rescued-*")
        assert not path.exists()
        with ts.Study.open("s", storage=rescued) as study:
            assert [t.value for t in study.trials][:2] == [1.0, 1.0]


#: Forks in every way there is; each child writes by the store that its parent had open.
FORKS = """
import multiprocessing, sys
import tunesmith as ts
study = ts.Study.create(ts.Space(x=ts.Float(0, 1)), storage=sys.argv[1], name="s", searcher="random")
study.tell(study.ask(), 1.0)
def work(number):
    trial = study.ask()
    study.tell(trial, 2.0)
    with ts.Study.open("s", storage=sys.argv[1]) as second:
        second.tell(second.ask(), 3.0)
    return study.log(trial)[0].session
with multiprocessing.get_context("fork").Pool(3) as pool:
    sessions = set(pool.map(work, range(6)))
study.tell(study.ask(), 4.0)
print(len(sessions | {study.log(0)[0].session}) - 1 == len(sessions), study.log(0)[0].session not in sessions)
"""


class TestForks:
    def test_both_sides_go_on(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        run = subprocess.run(
            [sys.executable, "-c", FORKS, path], capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stdout) == (0, "True True\n"), run.stderr
        with ts.Study.open("s", storage=path) as study:
            assert sorted(str(t.value) for t in study.trials) == sorted(
                ["1.0", *["2.0"] * 6, *["3.0"] * 6, "4.0"]
            )
            assert study.store.verify("s") is None


class TestNames:
    def test_memory(self) -> None:
        assert isinstance(open_store(None), MemoryStore)

    def test_a_store_is_passed_on(self) -> None:
        store = MemoryStore()
        assert open_store(store) is store

    @pytest.mark.parametrize("name", ["study.db", "sqlite:///study.db"])
    def test_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.chdir(tmp_path)
        open_store(name).close()
        assert [p.name for p in tmp_path.iterdir()] == ["study.db"]

    def test_an_absolute_url(self, tmp_path: Path) -> None:
        open_store(f"sqlite:///{tmp_path}/study.db").close()
        assert (tmp_path / "study.db").exists()

    def test_the_home_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        open_store("~/study.db").close()
        assert (tmp_path / "study.db").exists()

    def test_a_name_with_odd_letters(self, tmp_path: Path) -> None:
        path = tmp_path / "a b?c#d%20é.db"
        open_sqlite(path).close()
        assert [p.name for p in tmp_path.iterdir()] == [path.name]

    @pytest.mark.parametrize("as_path", [False, True])
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("mysql://me:s3cr%t@host/db", "tunesmith does not know the database 'mysql'; name a"),
            ("redis://host/?token=s3cr%t&x=1", "does not know the database 'redis'"),
        ],
    )
    def test_a_database_of_another_kind(self, url: str, message: str, as_path: bool) -> None:
        """A password is in no message, even if the URL was taken for a path on its way."""
        for use in (open_store, lambda where: ts.Study.open("s", storage=where)):
            with pytest.raises(ts.StoreError, match=message) as failure:
                use(Path(url) if as_path else url)
            assert "cr%t" not in str(failure.value)
            assert "***" in str(failure.value)

    def test_the_command_line(self, tmp_path: Path) -> None:
        url = "mysql://me:s3cret@host/db"
        command = [sys.executable, "-m", "tunesmith", "ls", "-s", url]
        run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert run.returncode != 0
        assert "does not know the database 'mysql'" in run.stderr
        assert "s3cret" not in run.stderr + run.stdout

    @pytest.mark.parametrize("variable", [False, True])
    @pytest.mark.parametrize("url", ["sqlite:///study.db", "sqlite:///{}/study.db", "study.db"])
    def test_every_command_takes_a_file_by_its_url(
        self, tmp_path: Path, url: str, variable: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        ts.Study.create(ts.Space(x=ts.Float(0, 1)), name="s", storage=tmp_path / "study.db").close()
        where = url.format(tmp_path)
        environment = {"TUNESMITH_STORAGE": where if variable else None}
        for command in (["ls"], ["show", "s"], ["trials", "s"], ["export", "s", "-f", "json"]):
            arguments = command if variable else [*command, "-s", where]
            outcome = CliRunner(env=environment).invoke(app, arguments)
            assert outcome.exit_code == 0, outcome.output
            assert outcome.stdout
        assert [entry.name for entry in tmp_path.iterdir() if "sqlite" in entry.name] == []

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("study.db?trials=s3://bucket/a", r"write it as a URL: sqlite:///study.db\?trials=s3://bucket/a"),
            ("sqlite:///study.db?mode=ro", "has no option 'mode'; known: trials"),
            ("sqlite:///study.db?trials=a&schema=b", "has no option 'schema'"),
            ("sqlite:///study.db?", "has no option ''"),
            ("sqlite:///study.db?trials=", "names no folder and no URL, such as s3://bucket/tuning"),
        ],
    )  # fmt: skip
    def test_options_of_a_url_that_there_are_not(self, url: str, message: str) -> None:
        with pytest.raises(ts.StoreError, match=message):
            open_store(url)

    def test_where_trials_keep_their_files(self, tmp_path: Path) -> None:
        file, beside = tmp_path / "study.db", tmp_path / "study.trials" / "s"
        for option, path, remote in (
            ("", beside, None),
            ("?trials=s3://bucket/a/", beside, "s3://bucket/a/s"),
            (f"?trials={tmp_path}/elsewhere", tmp_path / "elsewhere" / "s", None),
        ):
            where = f"sqlite:///{file}{option}"
            folder = folder_of(where, "s")
            assert (folder.path, folder.url) == (path, remote)
            assert (str(location_of(where)), file_of(where)) == (str(file), file)

    def test_a_job_file_and_a_warm_start_by_their_urls(self, tmp_path: Path) -> None:
        """What is relative is so to the job file."""
        with ts.Study.create(
            SPEC.space, metric="loss", name="old", storage=tmp_path / "old.db", seed=1
        ) as old:
            old.tell(old.ask(), 0.5)
        path = tmp_path / "job.yaml"
        path.write_text(
            "command: echo {x}\nobjective: {metric: loss}\nspace: {x: {float: [0, 1]}}\n"
            "limits: {trials: 1}\nstorage: 'sqlite:///new.db'\n"
            "warm_start: [{storage: 'sqlite:///old.db', study: old}]\n"
        )
        job = load_job(path)
        assert job.storage == tmp_path / "new.db"
        (earlier,) = pasts(job.warm_start, MemoryStore(), job.spec)
        assert earlier.losses == (0.5,)
        path.write_text(path.read_text().replace("new.db", "new.db?trials=s3://bucket/a"))
        job = load_job(path)
        assert file_of(job.storage) == tmp_path / "new.db"
        assert job.folder.url == f"s3://bucket/a/{job.spec.name}"

    def test_a_job_file(self, tmp_path: Path) -> None:
        path = tmp_path / "job.yaml"
        path.write_text(
            "command: python train.py {x}\nobjective: {metric: loss}\n"
            "space: {x: {float: [0, 1]}}\nlimits: {trials: 1}\n"
            "storage: 'mysql://me:s3cret@host/db'\n"
        )
        command = [sys.executable, "-m", "tunesmith", "run", str(path)]
        run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert "does not know the database 'mysql'" in run.stderr
        assert "s3cret" not in run.stderr + run.stdout

    @pytest.mark.parametrize("name", ["a:b.db", "study.db"])
    def test_no_url(self, name: str) -> None:
        assert file_of(name) == Path(name)


class TestDurability:
    @pytest.mark.parametrize(("durability", "synchronous"), [("crash", 1), ("power", 2)])
    def test_says_how_commits_reach_the_disk(
        self, path: Path, durability: Any, synchronous: int
    ) -> None:
        with closing(open_sqlite(path, durability=durability)) as store:
            store.append("study", [note(1)], 6)
            driver = driver_of(store)
            assert driver.execute("PRAGMA synchronous").fetchone() == (synchronous,)
            assert driver.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert driver.execute("PRAGMA foreign_keys").fetchone() == (1,)


# -- files that cannot be written ------------------------------------------------------------------

NOBODY = 65534
#: Loads everything, then becomes nobody, who may write where everyone may; then says what `act` raises.
PROGRAM = """
import os, sys
from pathlib import Path
from tunesmith.store.sqlite import open_sqlite
open_sqlite(sys.argv[2]).close()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    store = open_sqlite(sys.argv[1])
    print("opened", len(list(store.changes("study"))), store.summary("study").best, end="; ")
    store.append("study", list(store.changes("study"))[-1:], 6)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def shared(path: Path) -> Iterator[Path]:
    """The file in a folder that everyone may enter."""
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-test-"))
    shutil.copy(path, folder / "study.db")
    folder.chmod(0o755)
    (folder / "study.db").chmod(0o644)
    yield folder / "study.db"
    folder.chmod(0o755)
    shutil.rmtree(folder)


def opened_by_nobody(path: Path, tmp_path: Path) -> str:
    """What becomes of it if somebody opens `path` who owns nothing."""
    command = [sys.executable, "-c", PROGRAM, str(path), str(tmp_path / "own.db")]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=path.parent)
    return run.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="becomes another user")
class TestReadOnly:
    def test_a_file(self, shared: Path, tmp_path: Path) -> None:
        shared.chmod(0o444)
        shared.parent.chmod(0o555)
        output = opened_by_nobody(shared, tmp_path)
        assert output.startswith(f"opened 6 2; StoreReadOnly {shared}: "), output
        assert "cannot be written" in output
        assert [p.name for p in shared.parent.iterdir()] == ["study.db"]
        holds_what_it_held(shared)

    def test_a_file_in_use_by_somebody_else(self, shared: Path, tmp_path: Path) -> None:
        shared.parent.chmod(0o555)
        with closing(open_sqlite(shared)) as store:
            store.append("study", [note(1)], 6)
            for suffix in ("-wal", "-shm"):
                shared.with_name(shared.name + suffix).chmod(0o644)
            output = opened_by_nobody(shared, tmp_path)
        assert output.startswith("opened 7 2; StoreReadOnly"), output

    def test_a_file_whose_log_cannot_be_read_alone(self, shared: Path, tmp_path: Path) -> None:
        log = shared.with_name(shared.name + "-wal")
        with closing(open_sqlite(shared)) as store:
            store.append("study", [note(1)], 6)
            log_bytes = log.read_bytes()  # another file than the database: no lock is on it
        log.write_bytes(log_bytes)
        shared.parent.chmod(0o555)
        output = opened_by_nobody(shared, tmp_path)
        assert output.startswith(f"StoreReadOnly {shared} can only be read"), output
        assert "study.db-wal" in output

    def test_an_older_file(self, shared: Path, tmp_path: Path) -> None:
        with closing(sqlite3.connect(shared)) as connection:
            connection.execute("UPDATE tunesmith_version SET version_num = '0002'")
            connection.commit()
        shared.parent.chmod(0o555)
        output = opened_by_nobody(shared, tmp_path)
        assert output.startswith(f"StoreReadOnly {shared} was written by another"), output
        assert "copy it to where you may write" in output

    def test_a_folder_for_a_new_file(self, shared: Path, tmp_path: Path) -> None:
        shared.parent.chmod(0o555)
        new = shared.with_name("new.db")
        message = opened_by_nobody(new, tmp_path)
        assert message.startswith(f"StoreReadOnly {new}: "), message
        assert "may you write in its folder?" in message
        assert not new.exists()

    def test_a_file_that_cannot_even_be_read(self, shared: Path, tmp_path: Path) -> None:
        shared.chmod(0o000)
        shared.parent.chmod(0o555)
        message = opened_by_nobody(shared, tmp_path)
        assert message == f"StoreReadOnly {shared} cannot be read: Permission denied"
        shared.chmod(0o644)
        holds_what_it_held(shared)


# -- a full disk -----------------------------------------------------------------------------------


def driver_of(store: Store) -> sqlite3.Connection:
    """The connection by which the store writes."""
    assert isinstance(store, SqlStore)
    connection: Any = store._connections[True].connection.driver_connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


def fill_disk(store: Store) -> None:
    """No page more for this file: what SQLite says is what it says on a full disk."""
    driver = driver_of(store)
    (pages,) = driver.execute("PRAGMA page_count").fetchone()
    driver.execute(f"PRAGMA max_page_count = {pages}")


def free_disk(store: Store) -> None:
    driver_of(store).execute("PRAGMA max_page_count = 1000000")


class TestFullDisk:
    def test_an_append_is_refused_as_a_whole(self, path: Path) -> None:
        with closing(open_sqlite(path)) as store:
            store.append("study", [], 6)
            fill_disk(store)
            batch = [*trial(3, 0.001), note(1_000_000)]
            with pytest.raises(ts.StoreFull, match="the disk is full; free some space"):
                store.append("study", batch, 6)
            assert store.cursor("study") == 6
            holds_what_it_held(path)
            free_disk(store)
            assert store.append("study", batch, 6) == 9, "once there is space it goes on"
            assert store.verify("study") is None
            assert store.summary("study").best == 3

    def test_a_new_study_is_refused(self, path: Path) -> None:
        space = ts.Space({f"p{k}": ts.Float(0, 1) for k in range(10_000)})
        with closing(open_sqlite(path)) as store:
            store.append("study", [], 6)
            fill_disk(store)
            with pytest.raises(ts.StoreFull):
                store.create(StudySpec(name="big", space=space), 1.0)
            assert store.names() == ["study"]
            free_disk(store)
            store.create(StudySpec(name="big", space=space), 1.0)
            assert store.names() == ["study", "big"]

    def test_tuning_waits_for_space(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The user is told, nothing is lost, and the study goes on as soon as it can."""
        store = open_sqlite(tmp_path / "study.db")

        def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
            if trial.number == 2:
                fill_disk(store)
                threading.Timer(0.5, free_disk, [store]).start()
            return float(config["x"])

        result = ts.tune(
            objective,
            ts.Space(x=ts.Float(0, 1), text="y" * 200_000),
            trials=4,
            storage=store,
            name="study",
            searcher="random",
            progress=False,
        )
        assert [t.state for t in result.trials] == [ts.State.COMPLETED] * 4
        assert "the disk is full" in (stderr := capsys.readouterr().err)
        assert "waiting 60 s for space" in stderr
        assert store.verify("study") is None
        store.close()


# -- other processes -------------------------------------------------------------------------------

LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("COMMIT")
"""


@contextmanager
def locked(path: Path, for_s: float) -> Iterator[None]:
    """Another process holds the lock, for so long or until the block ends."""
    command = [sys.executable, "-c", LOCKER, str(path), str(for_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            process.kill()


class TestLocked:
    def test_for_5_s_a_writer_waits(self, path: Path) -> None:
        with closing(open_sqlite(path)) as store, locked(path, 5.0):
            began = time.monotonic()
            assert store.append("study", [note(1)], 6) == 7
            assert 4.0 < time.monotonic() - began < 20.0
            assert store.verify("study") is None

    def test_readers_do_not_wait(self, path: Path) -> None:
        with closing(open_sqlite(path)) as store, locked(path, 60.0):
            began = time.monotonic()
            assert len(list(store.changes("study"))) == 6
            assert store.cursor("study") == 6
            assert store.summary("study").best == 2
            assert time.monotonic() - began < 5.0

    def test_for_longer_than_that_it_gives_up(self, path: Path) -> None:
        with closing(open_sqlite(path, lock_timeout_s=0.3)) as store:
            with locked(path, 60.0):
                began = time.monotonic()
                with pytest.raises(ts.StoreLocked, match=r"study\.db: another program has held"):
                    store.append("study", trial(3, 0.1), 6)
                with pytest.raises(ts.StoreLocked):
                    store.create(StudySpec(name="other", space=SPEC.space), 1.0)
                with pytest.raises(ts.StoreLocked):
                    store.lease("study", "me", 99.0)
                assert time.monotonic() - began < 10.0
            assert store.append("study", trial(3, 0.1), 6) == 8, "the lock is free, it goes on"
            assert store.names() == ["study"]

    @pytest.mark.parametrize("new", [False, True])
    def test_opening_gives_up_as_well(self, path: Path, new: bool) -> None:
        """Or manages without the lock: where there is nothing to write, it need not have it."""
        if new:
            path = path.with_name("new.db")
            path.touch()
        with locked(path, 60.0):
            began = time.monotonic()
            with suppress(ts.StoreLocked):
                open_sqlite(path, lock_timeout_s=0.3).close()
            assert time.monotonic() - began < 10.0
        if not new:
            holds_what_it_held(path)


class TestManyProcesses:
    def test_open_a_new_file_at_once(self, tmp_path: Path) -> None:
        code = (
            "import sys, tunesmith as ts\n"
            "sys.stdin.readline()\n"
            "try: ts.Study.create(ts.Space(x=ts.Float(0, 1)), storage='study.db'); print('made')\n"
            "except ts.StudyExists: print('there')\n"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=tmp_path,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        answers = []
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.close()
            process.stdin = None
        for process in processes:
            out, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            answers.append(out.strip())
        assert sorted(answers) == ["made", "there", "there", "there"]

    def test_a_study_that_somebody_deletes_is_not_found(self, path: Path) -> None:
        """And no Conflict, on which a writer would read and try again, for ever."""
        with closing(open_sqlite(path)) as store, closing(open_sqlite(path)) as other:
            store.append("study", [note(1)], 6)
            other.delete("study")
            with pytest.raises(ts.StudyNotFound):
                store.append("study", [note(1)], 7)
            with pytest.raises(ts.StudyNotFound):
                store.cursor("study")

    def test_when_a_study_was_made_is_not_remembered_of_an_earlier_one(self, path: Path) -> None:
        with closing(open_sqlite(path)) as store, closing(open_sqlite(path)) as other:
            made = store.born("study")
            assert made == store.summary("study").created_at
            other.delete("study")
            with pytest.raises(ts.StudyNotFound):
                store.born("study")
            other.create(SPEC, made + 1.0)
            assert store.born("study") == made + 1.0
            assert store.cursor("study") == 0

    def test_a_few_trials_are_looked_up_and_a_long_history_is_not_read(self, path: Path) -> None:
        asked: list[str] = []
        with closing(open_sqlite(path)) as store, closing(sqlite3.connect(path)) as database:
            list(store.changes("study", 0, 1))  # it connects
            connection = store._connections[False].connection.driver_connection
            assert connection is not None
            connection.set_trace_callback(asked.append)
            assert [e.at for e in store.changes("study", 1, 1)] == [1.0, 1.0]
            assert [e.at for _, e in store.part("study", [0, 2])] == [0.0, 0.0, 2.0, 2.0]
            store.summary("study")
            store.labels(["study"])
            connection.set_trace_callback(None)
            history = [one for one in asked if "events.body" in one]
            assert len(history) == 6
            for one in history:
                plan = str(database.execute(f"explain query plan {one}").fetchall())
                assert "COVERING INDEX events_by_trial (study=? AND trial=?)" in plan, one

    def test_a_study_made_anew_is_another(self, path: Path) -> None:
        """Who still has the old one in hand must not write gaps into the new one."""
        with closing(open_sqlite(path)) as store, closing(open_sqlite(path)) as other:
            store.append("study", [note(1)], 6)
            other.delete("study")
            other.create(SPEC, 2.0)
            with pytest.raises((ts.StudyNotFound, ts.Conflict)):
                store.append("study", [note(1)], 7)
            assert list(other.changes("study")) == []
            assert other.verify("study") is None


def test_the_file_is_left_alone_by_readers(path: Path) -> None:
    before = digest(path)
    with closing(open_sqlite(path)) as store:
        store.names()
        store.summary("study")
        list(store.changes("study"))
    assert digest(path) == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["study.db"]


def test_nothing_but_the_file_is_left(tmp_path: Path) -> None:
    """The write-ahead log goes with the last connection: one file to copy."""
    with closing(open_sqlite(tmp_path / "study.db")) as store:
        store.create(SPEC, 1.0)
        store.append("study", trial(0, 1.0), 0)
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]
