"""Progress as data, and the line that `tune` shows of it."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.core.driver import completed, failed, ledger, opened, suggested

import tunesmith as ts
from tunesmith.core.ledger import Ledger
from tunesmith.tuning.display import progress_watcher
from tunesmith.tuning.feed import Feed, fraction_done, time_left_s


def halfway(**limits: Any) -> Ledger:
    """Two of four trials have ended after 20 s."""
    return ledger(
        opened(at=0.0),
        suggested(0, at=0.0),
        completed(0, 0.5, at=10.0),
        suggested(1, at=10.0),
        failed(1, at=20.0),
        suggested(2, at=20.0),
        **(limits or {"trials": 4}),
    )


def test_the_text() -> None:
    text = str(Feed().moment(halfway(), 20.0))
    assert text == "2/4 trials · best loss 0.5 (trial 0) · 1 failed · 20.0 s, about 20.0 s left"


def test_before_anything_is_known() -> None:
    text = str(Feed().moment(ledger(opened(at=0.0), suggested(0, at=0.0), trials=4), 5.0))
    assert text == "0/4 trials · 5.0 s"


@pytest.mark.parametrize(
    ("limits", "share"),
    [
        ({"trials": 4}, 0.5),
        ({"trials": 4, "time": 25.0}, 0.8),
        ({"time": 10.0}, 1.0),
        ({"compute_time": 1e9, "target": 0.1}, 0.0),
        ({"target": 0.1}, None),
    ],
)
def test_the_nearest_limit_counts(limits: dict[str, Any], share: float | None) -> None:
    assert fraction_done(halfway(**limits), 20.0) == share


def test_time_left() -> None:
    assert time_left_s(halfway(trials=8), 20.0) == pytest.approx(60.0)
    assert time_left_s(halfway(target=0.1), 20.0) is None


def test_a_line_is_written_over_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    seen: list[float] = []
    with progress_watcher(True, also=lambda _, now: seen.append(now)) as line:
        assert line.watch is not None
        line.watch(halfway(), 20.0)
        line.say("a message")
        line.watch(halfway(), 21.0)
    assert seen == [20.0, 21.0]
    lines = out.getvalue().replace("\r", "\n").splitlines()
    assert "a message" in [text.strip() for text in lines]
    assert out.getvalue().endswith("\n")


def test_silence_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ts.tune(lambda c: c["x"], ts.Space(x=ts.Float(0, 1)), trials=2)
    assert capsys.readouterr() == ("", "")


def test_a_moment_as_data() -> None:
    feed = Feed()
    study = ledger(opened(at=0.0), suggested(0, at=0.0), trials=4)
    first = feed.moment(study, 1.0)
    assert (first.changes, first.best, first.fraction_done, first.ended) == ((), (), 0.0, "")
    study.extend([completed(0, 0.5, at=10.0), suggested(1, at=10.0), failed(1, at=20.0)])
    feed.warn("the disk is full; waiting")
    second = feed.moment(study, 20.0)
    assert [(c.trial.number, c.best) for c in second.changes] == [(0, True), (1, False)]
    assert second.warnings == ("the disk is full; waiting",)
    data = second.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert [best["trial"] for best in data["best"]] == [0]
    assert data["counts"]["failed"] == 1
    assert data["fraction_done"] == 0.5
    third = feed.moment(study, 21.0)
    assert (third.changes, third.warnings) == ((), ())
    with pytest.raises(AttributeError):
        third.at = 0.0  # type: ignore[misc]


@pytest.mark.parametrize("progress", [None, True, False])
def test_tuning_needs_no_stderr(progress: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed, NoReader()):
        monkeypatch.setattr("sys.stderr", stream)
        result = ts.tune(lambda c: c["x"], ts.Space(x=ts.Float(0, 1)), trials=3, progress=progress)
        assert result.counts["completed"] == 3  # type: ignore[index]


class NoReader(io.StringIO):
    """A pipe whose other end is closed."""

    def write(self, _: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    def isatty(self) -> bool:
        return True


TUNE = """
import tunesmith as ts
result = ts.tune(lambda c: c["x"], ts.Space(x=ts.Float(0, 1)), trials=4, parallel={parallel}, storage="study.db")
open("result", "w").write(str(len(result.trials)))
"""


@pytest.mark.parametrize(
    ("closed", "parallel"), [("2>&-", 1), (">&- 2>&-", 2), ("<&- >&- 2>&-", 2)]
)
def test_tuning_with_closed_descriptors(tmp_path: Path, closed: str, parallel: int) -> None:
    program = shlex.join([sys.executable, "-c", TUNE.format(parallel=parallel)])
    run = subprocess.run(["sh", "-c", f"{program} {closed}"], cwd=tmp_path, check=False, timeout=60)
    assert run.returncode == 0
    assert (tmp_path / "result").read_text() == "4"
    with ts.Study.open(storage=tmp_path / "study.db") as study:
        assert [trial.state for trial in study.trials] == ["completed"] * 4


def test_each_trial_that_was_the_best_when_it_ended_is_marked() -> None:
    """Two of them may end between two looks at the study."""
    feed = Feed()
    study = ledger(opened(at=0.0), *(suggested(n, at=0.0) for n in range(4)))
    feed.moment(study, 1.0)
    study.extend([completed(n, loss, at=2.0 + n) for n, loss in enumerate((0.5, 0.7, 0.3))])
    changes = feed.moment(study, 9.0).changes
    assert [(c.trial.number, c.best) for c in changes] == [(0, True), (1, False), (2, True)]
    study.extend([completed(3, 0.4, at=10.0)])
    assert [c.best for c in feed.moment(study, 11.0).changes] == [False]
