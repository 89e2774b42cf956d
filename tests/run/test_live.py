"""The trial in the objective's hand: reports are checked, a stop is final, folders appear when used."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core.errors import Stopped, TunesmithError
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.live import Channel, LiveTrial


class Sent:
    """What a trial sends, and the answer it gets."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, dict[str, float | None]]] = []
        self.answer: Reason | None = None

    def __call__(self, step: int, metrics: dict[str, float | None]) -> Reason | None:
        self.reports.append((step, metrics))
        return self.answer


def short(value: Any) -> str:
    """A test's id."""
    return repr(value)[:12]


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def trial(sent: Sent, tmp_path: Path) -> LiveTrial:
    return LiveTrial(7, 1, {"x": 0.5}, 99, lambda: tmp_path / "deep" / "000007", sent)


class TestReport:
    def test_a_step_and_metrics(self, trial: LiveTrial, sent: Sent) -> None:
        trial.report(step=3, loss=0.5, accuracy=1)
        assert sent.reports == [(3, {"loss": 0.5, "accuracy": 1.0})]

    def test_the_step_is_one_more_than_the_last(self, trial: LiveTrial, sent: Sent) -> None:
        trial.report(loss=3)
        trial.report(loss=2)
        trial.report(10, loss=1)
        trial.report(loss=0)
        assert [step for step, _ in sent.reports] == [1, 2, 10, 11]

    def test_as_optuna_spells_it_by_name(self, sent: Sent, tmp_path: Path) -> None:
        for metric in ("loss", "value"):
            live = LiveTrial(7, 0, {}, 9, lambda: tmp_path, sent, metrics=[metric])
            live.report(value=0.5, step=3)
            assert sent.reports.pop() == (3, {metric: 0.5})
        LiveTrial(7, 0, {}, 9, lambda: tmp_path, sent).report(value=0.5, step=3)
        assert sent.reports == [(3, {"value": 0.5})], "of a study whose metrics are not known"

    @pytest.mark.parametrize("step", [3.0, np.int64(3), np.float32(3)])
    def test_a_whole_step_of_any_type(self, trial: LiveTrial, sent: Sent, step: Any) -> None:
        trial.report(step, loss=1)
        assert sent.reports == [(3, {"loss": 1.0})]
        assert type(sent.reports[0][0]) is int

    @pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), np.array([0.5])])
    def test_numbers_of_any_type(self, trial: LiveTrial, sent: Sent, value: Any) -> None:
        trial.report(loss=value)
        assert sent.reports == [(1, {"loss": 0.5})]
        assert type(sent.reports[0][1]["loss"]) is float

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_is_not_finite_is_sent_as_none(
        self, trial: LiveTrial, sent: Sent, value: float
    ) -> None:
        trial.report(loss=value, other=1)
        assert sent.reports == [(1, {"loss": None, "other": 1.0})]

    def test_without_a_metric(self, trial: LiveTrial, sent: Sent) -> None:
        with pytest.raises(ValueError, match=r"report\(\) needs a metric: report\(step=1, acc"):
            trial.report(step=3)
        assert sent.reports == []

    @pytest.mark.parametrize(
        "value", ["0.5", None, True, [1, 2], np.zeros(2), 1j, 10**400], ids=short
    )
    def test_what_is_no_number(self, trial: LiveTrial, sent: Sent, value: Any) -> None:
        with pytest.raises(ValueError, match=r"report\(loss=.*: a metric is a number"):
            trial.report(loss=value)
        assert sent.reports == []

    @pytest.mark.parametrize(
        "step", [1.5, "x", True, math.nan, math.inf, 2**63, -(2**63) - 1, 10**400], ids=short
    )
    def test_what_is_no_step(self, trial: LiveTrial, sent: Sent, step: Any) -> None:
        """Steps are whole numbers, and kept in 64 bits."""
        with pytest.raises(ValueError, match=r"report\(step=.*: a step is a whole number"):
            trial.report(step, loss=1)
        assert sent.reports == []


class TestStop:
    def test_is_raised_after_the_report_was_sent(self, trial: LiveTrial, sent: Sent) -> None:
        sent.answer = Reason(Kind.STOPPED, "hopeless")
        with pytest.raises(Stopped, match="hopeless"):
            trial.report(loss=1)
        assert sent.reports == [(1, {"loss": 1.0})]

    def test_is_final(self, trial: LiveTrial, sent: Sent) -> None:
        """An objective that swallows it gets it again, and nothing more is sent."""
        sent.answer = Reason(Kind.STOPPED, "hopeless")
        with pytest.raises(Stopped):
            trial.report(loss=1)
        sent.answer = None
        with pytest.raises(Stopped, match="hopeless"):
            trial.report(loss=2)
        assert len(sent.reports) == 1

    @pytest.mark.parametrize("told", ["by the report", "as it says what it asked for"])
    def test_a_report_as_in_optuna_never_raises(
        self, sent: Sent, tmp_path: Path, told: str
    ) -> None:
        stop = Reason(Kind.STOPPED, "hopeless")
        first = told == "by the report"
        channel = Channel(7, sent, lambda _: None if first else stop)
        sent.answer = stop if first else None
        x = ts.Float(0, 1).to_dict()
        plan = {"x": 0.5, "y": 0.5}
        live = LiveTrial(7, 0, plan, 9, lambda: tmp_path, channel, asked={"x": x}, metrics=["loss"])
        live.float("x", 0, 1)
        for step in range(3):
            live.report(0.5, step)
            assert live.should_prune()
        assert len(sent.reports) == first
        with pytest.raises(Stopped, match="hopeless"):
            live.report(loss=0.5)

    def test_is_no_error_of_tunesmith(self) -> None:
        assert not issubclass(Stopped, TunesmithError)


class TestFolders:
    def test_are_made_when_asked_for(self, trial: LiveTrial, tmp_path: Path) -> None:
        assert list(tmp_path.iterdir()) == []
        assert trial.directory == tmp_path / "deep" / "000007"
        assert trial.directory.is_dir()
        assert list(trial.directory.iterdir()) == []
        assert trial.checkpoint_dir == trial.directory / "checkpoint"
        assert trial.checkpoint_dir.is_dir()

    def test_are_kept(self, trial: LiveTrial) -> None:
        (trial.checkpoint_dir / "weights").write_text("1")
        assert (trial.checkpoint_dir / "weights").read_text() == "1"


def test_what_it_knows(trial: LiveTrial) -> None:
    assert (trial.number, trial.attempt, trial.config, trial.seed) == (7, 1, {"x": 0.5}, 99)
