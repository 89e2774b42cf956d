"""What the progress line says."""

from __future__ import annotations

import io
from typing import Any

import pytest
from tests.core.driver import completed, failed, ledger, opened, suggested

import tunesmith as ts
from tunesmith.core.ledger import Ledger
from tunesmith.tuning.progress import fraction_done, progress_text, progress_watcher, time_left_s


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
    text = progress_text(halfway(), 20.0)
    assert text == "2/4 trials · best loss 0.5 (trial 0) · 1 failed · 20.0 s, about 20.0 s left"


def test_before_anything_is_known() -> None:
    text = progress_text(ledger(opened(at=0.0), suggested(0, at=0.0), trials=4), 5.0)
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
        line.watch(ledger(opened(at=0.0), suggested(0, at=0.0)), 1.0)
    assert seen == [20.0, 1.0]
    lines = out.getvalue().replace("\r", "\n").splitlines()
    assert "a message" in [text.strip() for text in lines]
    assert out.getvalue().endswith("\n")


def test_silence_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ts.tune(lambda c: c["x"], ts.Space(x=ts.Float(0, 1)), trials=2)
    assert capsys.readouterr() == ("", "")
