"""A job file or a store names code; nothing runs it unless the user allows it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.program import tunesmith
from tests.tuning.jobs import write_job

import tunesmith as ts
from tunesmith.store.chain import first_digest, next_digest

#: Importing it leaves a mark, and so does making its searcher.
MODULE = """
from dataclasses import dataclass
from pathlib import Path

Path("IMPORTED").touch()

@dataclass(frozen=True)
class Corner:
    at: float = 0.0

    def suggest(self, space, history, n, rng):
        return [space.corner(self.at)] * n
"""
CORNER = {"corner_search:Corner": {"at": 0.5}}


def test_a_job_file_alone_runs_no_code(tmp_path: Path) -> None:
    (tmp_path / "corner_search.py").write_text(MODULE)
    job = write_job(tmp_path, searcher=CORNER).name
    for command in (
        ("run", job, "-q"),
        ("run", job, "--preflight"),
        ("doctor", job, "--no-run"),
        ("edit", job),
    ):
        refused = tunesmith(tmp_path, *command)
        assert refused.code in (1, 2), command
        assert "--allow-import corner_search:Corner" in refused.out + refused.err
        assert "job.yaml:" in refused.out + refused.err, "and says where"
        assert not (tmp_path / "IMPORTED").exists(), command


@pytest.mark.parametrize("noun", ["searcher", "scheduler"])
def test_any_callable_is_refused(tmp_path: Path, noun: str) -> None:
    job = write_job(tmp_path, **{noun: {"subprocess:getoutput": {"cmd": "touch MARK"}}}).name
    assert f"{noun} 'subprocess:getoutput' is Python code" in tunesmith(tmp_path, "run", job).err
    assert tunesmith(tmp_path, "doctor", job, "--no-run").code == 1
    assert not (tmp_path / "MARK").exists()


def test_allowed_on_the_command_line_a_job_runs_and_is_replayed(tmp_path: Path) -> None:
    (tmp_path / "corner_search.py").write_text(MODULE)
    job = write_job(tmp_path, searcher=CORNER, limits={"trials": 1}).name
    allow = ("--allow-import", "corner_search:Corner")
    ran = tunesmith(tmp_path, "run", job, "-q", *allow)
    assert ran.code == 0, ran.err
    (tmp_path / "IMPORTED").unlink()
    for command in ("show", "best", "trials", "export", "report", "enqueue"):
        more = ("x=0.25",) if command == "enqueue" else ()
        read = tunesmith(tmp_path, command, job if command != "enqueue" else "small", *more)
        assert read.code == 0, read.err
    refused = tunesmith(tmp_path, "replay")
    assert (refused.code, "--allow-import corner_search:Corner" in refused.err) == (2, True)
    assert not (tmp_path / "IMPORTED").exists()
    proven = tunesmith(tmp_path, "replay", *allow)
    assert (proven.code, "proven" in proven.out) == (0, True), proven.out
    by_environment = tunesmith(
        tmp_path, "replay", env={"TUNESMITH_ALLOW_IMPORT": "corner_search:Corner"}
    )
    assert by_environment.code == 0, by_environment.err


def forge(path: Path, key: str) -> None:
    """Make a store's study name a program as its searcher or scheduler, with the digests to fit."""
    with closing(sqlite3.connect(path)) as database, database:
        spec = json.loads(database.execute("select spec from studies").fetchone()[0])
        spec[key] = {"subprocess:getoutput": {"cmd": f"touch {path.parent}/MARK"}}
        text = json.dumps(spec)
        digest = first_digest(text)
        database.execute("update studies set spec = ?", (text,))
        for seq, body in database.execute("select seq, body from events order by seq").fetchall():
            digest = next_digest(digest, body)
            database.execute("update events set digest = ? where seq = ?", (digest, seq))


def use(study: ts.Study, key: str) -> None:
    """Ask for the strategy's opinion."""
    for _ in range(2):  # the first is the one in the queue
        trial = study.ask()
        if key == "scheduler":
            study.report(trial, 1, loss=1.0)


@pytest.mark.parametrize("key", ["searcher", "scheduler"])
def test_a_strangers_store_runs_no_code(tmp_path: Path, key: str) -> None:
    path = tmp_path / "tunesmith.db"
    with ts.Study.create(
        ts.Space(x=ts.Float(0, 1)), metric="loss", name="k", storage=path, searcher="random", seed=1
    ) as study:
        for _ in range(3):
            study.tell(trial := study.ask(), trial.config["x"])
        study.enqueue({"x": 0.25})
    forge(path, key)
    commands = (
        "ls", "show k", "show k -t 1", "best k", "trials k", "report k -o out.html", "export k", "doctor",
        "stop k", "annotate k 1 seen", "retract k 1 --why wrong", "replay k",
    )  # fmt: skip
    for command in commands if key == "searcher" else ("show k", "replay k"):
        done = tunesmith(tmp_path, *command.split())
        assert (done.code == 0) is (command != "replay k"), (command, done.err)
        assert not (tmp_path / "MARK").exists(), command
    assert "--allow-import subprocess:getoutput" in tunesmith(tmp_path, "replay", "k").err
    with ts.Study.open("k", storage=path) as study:
        study.result().outlook()
        with pytest.raises(ts.StrategyNotAllowed, match="allow_strategy"):
            use(study, key)
    assert not (tmp_path / "MARK").exists()


def test_what_is_allowed_has_to_be_a_strategy(tmp_path: Path) -> None:
    job = write_job(tmp_path, searcher={"collections:OrderedDict": {}}).name
    refused = tunesmith(tmp_path, "run", job, "--allow-import", "collections:OrderedDict")
    assert "is no searcher: it has no method 'suggest'" in refused.err
    refused = tunesmith(tmp_path, "run", job, "--allow-import", "collections")
    assert "'module:Class', not 'collections'" in refused.err
