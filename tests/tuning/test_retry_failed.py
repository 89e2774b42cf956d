"""Failures before any success are run again once the program is mended, and do not count twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.cli.program import tunesmith
from tests.tuning.jobs import write_job

import tunesmith as ts
from tunesmith.core.trial import State
from tunesmith.tuning.replay import replay

SPACE = ts.Space(x=ts.Float(0.0, 1.0))


def failing(config: dict[str, Any]) -> float:
    raise ValueError("not mended yet")


def mended(config: dict[str, Any]) -> float:
    return float(config["x"])


def study(tmp_path: Path) -> ts.Study:
    return ts.Study.open("s", storage=tmp_path / "s.db")


def run(tmp_path: Path, objective: Any, **options: Any) -> ts.Result:
    options = {"name": "s", "trials": 4, "seed": 1, "progress": False, **options}
    return ts.tune(objective, SPACE, storage=tmp_path / "s.db", **options)


def test_by_tune(tmp_path: Path) -> None:
    failed = run(tmp_path, failing)
    assert failed.counts[State.FAILED] == 4
    silent = run(tmp_path, mended)
    assert silent.counts[State.COMPLETED] == 0, "as ever, without being asked"
    result = run(tmp_path, mended, retry_failed=True)
    assert result.counts[State.COMPLETED] == 4
    assert [t.config for t in result.trials[4:]] == [t.config for t in failed.trials]
    assert [t.retracted for t in result.trials] == [True] * 4 + [False] * 4
    assert result.trials[5].origin.why == "trial 1 once more, after it had failed"
    assert result.ended_by == "trials"
    again = run(tmp_path, mended, retry_failed=True)
    assert len(again.trials) == 8, "nothing is left to be run again"
    with study(tmp_path) as opened:
        assert replay(opened.store, "s").proven


def test_what_comes_after_is_replayed(tmp_path: Path) -> None:
    def sometimes(config: dict[str, Any]) -> float:
        if config["x"] > 0.5:
            raise ValueError("too large")
        return float(config["x"])

    result = run(tmp_path, sometimes, trials=12)
    failed = result.counts[State.FAILED]
    assert failed
    after = run(tmp_path, mended, trials=20, retry_failed=True)
    assert after.counts[State.COMPLETED] == 20
    assert len(after.trials) == 20 + failed
    with study(tmp_path) as opened:
        assert replay(opened.store, "s").proven


def test_by_hand_keeps_tags_and_leaves_out_what_cannot_run(tmp_path: Path) -> None:
    with ts.Study.create(SPACE, name="s", storage=tmp_path / "s.db") as opened:
        for x, tags in ((0.2, {"who": "me"}), (0.9, {}), (0.4, {})):
            opened.enqueue({"x": x}, tags=tags)
            opened.tell(opened.ask(), failed="no")
        opened.retract(2, why="never mind")
        opened.edit(space=ts.Space(x=ts.Float(0.0, 0.5)))
        (again,) = opened.retry_failed()
        assert (again.config, again.tags, again.state) == ({"x": 0.2}, {"who": "me"}, "waiting")
        assert opened.retry_failed() == []
        assert opened.ask().number == again.number


def test_by_the_command_line(tmp_path: Path) -> None:
    path = write_job(tmp_path)
    program = (tmp_path / "program.py").read_text()
    (tmp_path / "program.py").write_text("raise SystemExit('no data')")
    said = tunesmith(tmp_path, "run", path, "-q")
    assert said.code == 1
    assert "4 trials failed and none was completed; once the program is mended" in said.err
    assert "tunesmith run --retry-failed runs them again" in said.err
    (tmp_path / "program.py").write_text(program)
    said = tunesmith(tmp_path, "run", path, "-q")
    assert "--retry-failed" in said.err, "the trials are used up, and that is said"
    said = tunesmith(tmp_path, "run", path, "-q", "--retry-failed")
    assert said.code == 0
    assert "trials that had failed are run again: 4" in said.err
    assert "none was completed" not in said.err
    assert "best: loss" in said.out
    assert tunesmith(tmp_path, "replay").code == 0


def test_a_success_needs_no_such_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_job(tmp_path)
    assert "retry-failed" not in tunesmith(tmp_path, "run", "job.yaml").err
