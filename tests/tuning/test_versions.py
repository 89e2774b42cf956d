"""A changed program is noticed at every door, and what becomes of the study is the user's to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program import tunesmith

import tunesmith as ts
from tunesmith.analysis.versions import ranges
from tunesmith.core import codec, events
from tunesmith.store import MemoryStore

SPACE = ts.Space(x=ts.Float(0.0, 1.0))


def fractions(config: dict[str, Any]) -> float:
    return float(config["x"])


def percentages(config: dict[str, Any]) -> float:
    return 100 * float(config["x"])


def run(store: Any, objective: Any, trials: int, **options: Any) -> ts.Result:
    return ts.tune(
        objective, SPACE, name="s", storage=store, trials=trials, seed=1, progress=False, **options
    )


def test_what_was_there_already_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "s.db", fractions, 3)
    assert capsys.readouterr().err == ""
    run(tmp_path / "s.db", fractions, 3)
    said_nothing_ran = "3 trials were in s.db already; none was run: all 3 trials have been run\n"
    assert capsys.readouterr().err == said_nothing_ran
    run(tmp_path / "s.db", fractions, 5)
    assert capsys.readouterr().err == "3 trials were in s.db already; 2 ran now\n"


def test_a_changed_function_is_said_and_trials_carry_their_version(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = MemoryStore()
    run(store, fractions, 2)
    result = run(store, percentages, 4)
    shown = capsys.readouterr().err
    assert "the program of study 's' has changed since trials 0 and 1:\n" in shown
    assert "function percentages is new" in shown
    assert "all results count together; on_change='new' begins a study of its own" in shown
    assert [trial.version for trial in result.trials] == [1, 1, 2, 2]
    assert [row["version"] for row in result.rows()] == [1, 1, 2, 2]
    run(store, percentages, 5)
    assert "is the one that ran last, and trials 0 and 1 ran an earlier" in capsys.readouterr().err
    result = run(store, fractions, 6)
    assert "has changed since trials 2 to 4" in capsys.readouterr().err
    assert result.trials[5].version == 1


def test_a_study_of_a_changed_program_can_be_refused() -> None:
    store = MemoryStore()
    run(store, fractions, 2)
    with pytest.raises(ts.StudyError, match=r"(?s)has changed since.*on_change='continue' takes"):
        run(store, percentages, 9, on_change="refuse")
    with ts.Study.open("s", storage=store) as study:
        assert study.spec.limits.trials == 2  # a refused call changes nothing
    run(store, fractions, 3, on_change="refuse")
    with pytest.raises(ts.StudyError, match="on_change is one of 'continue', 'new', 'refuse'"):
        run(store, fractions, 3, on_change="never")


def test_a_changed_program_can_have_a_study_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = MemoryStore()
    run(store, fractions, 2)
    assert run(store, percentages, 3, on_change="new").spec.name == "s-2"
    assert "study 's-2' is for what is asked for now" in capsys.readouterr().err
    assert run(store, percentages, 4, on_change="new").spec.name == "s-2"
    assert run(store, lambda c: -c["x"], 2, on_change="new").spec.name == "s-3"
    assert run(store, fractions, 3, on_change="new").spec.name == "s"
    assert store.names() == ["s", "s-2", "s-3"]


def test_sessions_of_earlier_versions_say_nothing_of_their_program() -> None:
    old = '{"kind":"opened","at":1.0,"session":"s","host":"h","pid":1,"pid_started":0.5,"version":"0.1.0"}'
    opened = codec.decode(old)
    assert isinstance(opened, events.Opened)
    assert opened.program == {}
    assert "program" not in codec.encode(opened)


JOB: dict[str, Any] = {
    "name": "digits",
    "command": ["python3", "train.py", "--x", "{x}", "--config", "settings.json"],
    "objective": {"metric": "loss"},
    "space": SPACE.to_dict(),
    "limits": {"trials": 2},
    "environment": {"TOKEN": "secret-1"},
    "storage": "s.db",
}
TRAIN = (
    "import json, sys\nimport model\nprint(json.dumps({'loss': model.loss(float(sys.argv[2]))}))\n"
)
MODEL = "def loss(x):\n    return x\n"


def folder_with(folder: Path, **job: Any) -> Path:
    (folder / "job.yaml").write_text(json.dumps(JOB | job))
    (folder / "train.py").write_text(TRAIN)
    (folder / "model.py").write_text(MODEL)
    (folder / "settings.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("file", "text", "shown"),
    [
        ("train.py", TRAIN.replace("(float", "(100 * float"), "file train.py has changed:\n    train.py:3"),
        ("model.py", MODEL.replace("return x", "return 100 * x"), "model.py:2  return 100 * x"),
        ("settings.json", '{"a": 1}', "file settings.json has changed (file of 8 bytes)"),
        ("job.yaml", json.dumps(JOB | {"environment": {"TOKEN": "secret-2"}}), "environment.TOKEN has changed"),
        ("job.yaml", json.dumps(JOB | {"metrics": {"loss": "loss=([0-9.]+)"}}), "metrics.loss is new"),
        ("train.py", "# words\n" + TRAIN, ""),
    ],
)  # fmt: skip
def test_a_changed_command_or_file_is_said(
    tmp_path: Path, file: str, text: str, shown: str
) -> None:
    folder_with(tmp_path)
    assert tunesmith(tmp_path, "run", "job.yaml", "-q").code == 0
    (tmp_path / file).write_text(text)
    again = tunesmith(tmp_path, "run", "job.yaml", "-q")
    assert ("has changed since trials 0 and 1" in again.err) == bool(shown)
    assert shown in again.err
    assert "secret" not in again.err
    assert "2 trials were in s.db already; none was run: all 2 trials have been run" in again.err
    refused = tunesmith(tmp_path, "run", "job.yaml", "-q", "--on-change", "refuse")
    assert refused.code == (2 if shown else 0)
    if shown:
        assert "--on-change new begins a study of its own" in refused.err
        assert tunesmith(tmp_path, "run", "job.yaml", "-q", "--on-change", "new").code in (0, 1)
        assert "digits-2" in tunesmith(tmp_path, "ls", "-s", "s.db").out


def test_show_says_which_trials_ran_which_version(tmp_path: Path) -> None:
    folder_with(tmp_path)
    assert tunesmith(tmp_path, "run", "job.yaml", "-q").code == 0
    (tmp_path / "model.py").write_text(MODEL.replace("return x", "return 100 * x"))
    assert tunesmith(tmp_path, "run", "job.yaml", "-q", "--trials", "3").code == 0
    shown = tunesmith(tmp_path, "show", "-s", "s.db").out
    assert "version 1: trials 0 and 1'" in shown
    assert "version 2: trial 2; file model.py has changed" in shown


def test_ranges() -> None:
    assert ranges([3]) == "trial 3"
    assert ranges([4, 0, 1, 2]) == "trials 0 to 2 and 4"
    assert ranges(range(0, 100, 2)) == "trials 0, 2, 4, ... and 98"


def test_other_objectives_begin_a_study_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    store = MemoryStore()
    run(store, fractions, 2)
    again = run(store, fractions, 2, on_change="new", goal="maximize")
    assert again.spec.name == "s-2"
    sentence = "study 's' has other objectives: minimize value, not maximize value"
    assert sentence in capsys.readouterr().err
    assert run(store, fractions, 3, on_change="new", goal="maximize").spec.name == "s-2"
    assert run(store, fractions, 3, on_change="new").spec.name == "s"
