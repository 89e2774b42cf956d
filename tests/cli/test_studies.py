"""The commands that look at a study, and those that mend it by hand."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.program import tunesmith
from tests.tuning.jobs import write_job

import tunesmith as ts

ENQUEUED = [{"x": x} for x in (0.5, 0.25, 1.0, 0.75)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of four trials, of which number 1 is the best and number 2 failed."""
    folder = tmp_path_factory.mktemp("made")
    write_job(folder, enqueue=ENQUEUED)
    assert tunesmith(folder, "run", "job.yaml", "-q").code == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def test_ls(made: Path) -> None:
    said = tunesmith(made, "ls")
    assert said.code == 0
    assert "small" in said.out
    (study,) = tunesmith(made, "ls", "--json").json
    assert study["name"] == "small"


def test_ls_of_nothing(tmp_path: Path) -> None:
    said = tunesmith(tmp_path, "ls")
    assert said.code in (2, 4)
    assert "tunesmith.db" in said.err


def test_best(made: Path) -> None:
    said = tunesmith(made, "best")
    assert said.code == 0
    assert "trial 1" in said.out
    assert "0.25" in said.out
    assert tunesmith(made, "best", "small", "--args").out == "python3 -S program.py --x 0.25\n"
    best = tunesmith(made, "best", "job.yaml", "--json").json
    assert (best["number"], best["config"]) == (1, {"x": 0.25})


def test_show(made: Path) -> None:
    said = tunesmith(made, "show")
    assert said.code == 0
    for word in ("small", "loss", "minimize", "x", "completed", "failed"):
        assert word in said.out
    assert tunesmith(made, "show", "--json").json["name"] == "small"
    said = tunesmith(made, "show", "-t", "2")
    assert "too much" in said.out
    assert "exit" in said.out
    assert tunesmith(made, "show", "-t", "2", "--json").json["number"] == 2
    said = tunesmith(made, "show", "-t", "9")
    assert said.code == 2
    assert "there is no trial 9; study 'small' has trials 0 to 3" in said.err


def test_trials(made: Path) -> None:
    rows = tunesmith(made, "trials", "--sort", "value", "--json").json
    assert [row["number"] for row in rows] == [1, 0, 3, 2]
    rows = tunesmith(made, "trials", "--state", "failed", "--json").json
    assert [row["number"] for row in rows] == [2]
    said = tunesmith(
        made, "trials", "--where", "x < 0.6", "-n", "1", "--columns", "number,x", "--csv"
    )
    assert said.out == "number,x\n0,0.5\n"
    assert "0.75" in tunesmith(made, "trials").out
    said = tunesmith(made, "trials", "--sort", "los")
    assert said.code == 2
    assert "did you mean 'loss'" in said.err


def test_export_a_schedule(folder: Path) -> None:
    best = json.loads(tunesmith(folder, "best", "--json").out)
    schedule = json.loads(tunesmith(folder, "export", "-f", "schedule").out)
    assert schedule == [[0, best["config"]]]


@pytest.mark.parametrize("options", [["-f", "csv"], ["-o", "all.csv"]])
def test_a_copy_for_optuna_is_no_file(folder: Path, options: list[str]) -> None:
    done = tunesmith(folder, "export", "--to", "optuna.db", *options)
    assert done.code != 0
    assert "give one or the other" in done.err
    assert not (folder / "optuna.db").exists()
    assert not (folder / "all.csv").exists()


def test_export(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(tunesmith(folder, "export", "-f", "csv").out)))
    assert [row["x"] for row in rows] == ["0.5", "0.25", "1.0", "0.75"]
    assert tunesmith(folder, "export", "-o", "all.json").code == 0
    assert json.loads((folder / "all.json").read_text())["best"] == 1
    assert tunesmith(folder, "export", "-o", "all.csv").code == 0
    assert (folder / "all.csv").read_text().startswith("number,state,loss,x,")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["best", "smal"], 2, "there is no study 'smal' in tunesmith.db; did you mean 'small'"),
        (["best", "-s", "none.db"], 2, "none.db"),
        (["best", "-s", "program.py"], 4, "program.py is no SQLite database"),
        (["enqueue", "small", "y=1"], 2, "y is no parameter"),
        (["enqueue", "small", "x=7"], 2, "x is 7"),
        (["enqueue", "small", "x"], 2, "NAME=VALUE"),
        (["correct", "small", "1", "loss=nan", "--why", "?"], 2, "cannot be used"),
        (["retract", "small", "7", "--why", "?"], 2, "there is no trial 7"),
        (["annotate", "small", "7", "hm"], 2, "there is no trial 7"),
    ],
)
def test_mistakes(made: Path, arguments: list[str], code: int, words: str) -> None:
    before = (made / "tunesmith.db").read_bytes()
    said = tunesmith(made, *arguments)
    assert said.code == code, said.err
    assert words in " ".join(said.err.split())
    assert (made / "tunesmith.db").read_bytes() == before
    assert not (made / "none.db").exists()


def test_by_hand(folder: Path) -> None:
    """Queue, run, note, correct, retract; and every old value is still to be seen."""
    assert tunesmith(folder, "enqueue", "small", "x=0.26", "--why", "a hunch").code == 0
    assert tunesmith(folder, "run", "job.yaml", "-q", "--trials", "5").code == 0
    assert tunesmith(folder, "best", "--args").out == "python3 -S program.py --x 0.25\n"
    assert tunesmith(folder, "correct", "small", "4", "loss=-1", "--why", "typing").code == 0
    assert tunesmith(folder, "best", "--args").out == "python3 -S program.py --x 0.26\n"
    assert tunesmith(folder, "retract", "small", "4", "--why", "wrong data").code == 0
    assert tunesmith(folder, "best", "--args").out == "python3 -S program.py --x 0.25\n"
    assert tunesmith(folder, "retract", "small", "4", "--why", "it was right", "--undo").code == 0
    assert tunesmith(folder, "best", "--args").out == "python3 -S program.py --x 0.26\n"
    assert tunesmith(folder, "annotate", "small", "4", "nice", "--tag", "by=hand").code == 0
    said = tunesmith(folder, "show", "-t", "4")
    for words in ("a hunch", "typing", "wrong data", "it was right", "nice", "hand", "0.0001"):
        assert words in said.out, words
    assert tunesmith(folder, "replay").code == 0


def test_edit(folder: Path) -> None:
    write_job(folder, space={"x": {"float": [0, 0.5]}}, limits={"trials": 9}, enqueue=ENQUEUED[:2])
    said = tunesmith(folder, "edit", "job.yaml")
    assert said.code == 0, said.err
    with ts.Study.open(storage=folder / "tunesmith.db") as study:
        assert study.space == ts.Space(x=ts.Float(0, 0.5))
        assert study.spec.limits.trials == 9
        assert [t.outside for t in study.trials] == [False, False, True, True]


def test_replay(folder: Path) -> None:
    assert tunesmith(folder, "run", "job.yaml", "-q", "--trials", "7").code == 0
    said = tunesmith(folder, "replay")
    assert said.code == 0
    assert "3 suggestions" in said.out + said.err
    with closing(sqlite3.connect(folder / "tunesmith.db")) as db, db:
        db.execute(
            "UPDATE events SET body = replace(body, '0.25', '0.125') WHERE kind = 'finished'"
        )
        db.execute("UPDATE events SET body = replace(body, 'completed', 'cancelled') WHERE seq = 6")
    said = tunesmith(folder, "replay", "--json")
    assert said.code == 1
    assert said.json["problems"]


def test_the_environment_names_the_storage(made: Path, tmp_path: Path) -> None:
    said = tunesmith(
        tmp_path, "best", "--args", env={"TUNESMITH_STORAGE": str(made / "tunesmith.db")}
    )
    assert said.out == "python3 -S program.py --x 0.25\n"


def test_completion_and_version(tmp_path: Path) -> None:
    said = tunesmith(
        tmp_path,
        "--show-completion",
        "bash",
        env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "true"},
    )
    assert "complete" in said.out
    assert ts.__version__ in tunesmith(tmp_path, "--version").out
    said = tunesmith(tmp_path, "--help")
    for command in ("run", "init", "doctor", "replay", "export"):
        assert command in said.out


def test_a_pipe_that_closes_is_no_error(made: Path) -> None:
    import subprocess

    from tests.cli.program import COMMAND, environment

    run = subprocess.run(
        f"'{COMMAND[0]}' -m tunesmith trials | head -1",
        shell=True,
        cwd=made,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == ""


def test_show_says_how_many_trials_are_copies(capsys: pytest.CaptureFixture[str]) -> None:
    from tunesmith.cli.show import _show_head

    result = ts.tune(lambda c: c["x"], {"x": ts.Float(0, 1)}, trials=3, progress=False)
    for copies, shown in (
        (0, ""),
        (2, "copies: 2 of these, in which runs of the population go on"),
    ):
        _show_head(result, [], copies=copies)
        said = capsys.readouterr().out
        assert "trials: 3 completed" in said
        assert shown in said
        assert ("copies" in said) == bool(copies)
