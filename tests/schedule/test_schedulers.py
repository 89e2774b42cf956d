"""Every scheduler passes the public suite; none of them lets a wrong option pass."""

from __future__ import annotations

from typing import Any

import pytest

import tunesmith as ts
from tunesmith import schedule
from tunesmith.core.strategy import Scheduler
from tunesmith.core.study import Strategy
from tunesmith.testing import Check, scheduler_checks

#: Options with which there is something to see within a few reports.
OPTIONS: dict[str, dict[str, Any]] = {
    "asha": {"max": 9},
    "asha, promotion": {"max": 9, "type": "promotion"},
    "asha, brackets": {"max": 9, "brackets": 2, "reduction": 2.0},
    "forecast": {"trials": 2, "chance": 0.4},
    "freeze_thaw": {"max": 9},
    "hyperband": {"max": 4, "reduction": 2.0},
    "bandit": {"factor": 0.2, "every": 2},
    "bandit, amount": {"amount": 0.5},
    "median": {"trials": 2},
    "median, delayed": {"trials": 2, "every": 2, "delay": 2},
    "percentile": {"keep": 40.0, "trials": 2},
    "pasha": {"max": 9},
    "racing": {"alpha": 0.2, "folds": 2},
    "pbt": {"max": 6, "interval": 2},
    "pb2": {"max": 6, "interval": 2},
    "scripted": {"schedule": [[0, {"x": 0.5}], [2, {"x": 0.25}], [4, {"x": 0.125}]]},
    "threshold": {"worst": 0.0},
    "truncation": {"percent": 40, "delay": 2},
    "patience": {"reports": 3},
}


def make(name: str) -> Scheduler:
    made = schedule.make(Strategy(name.split(",", maxsplit=1)[0], OPTIONS[name]))
    assert made is not None
    return made


def test_all_are_here() -> None:
    assert schedule.names() == sorted({name.split(",")[0] for name in OPTIONS})


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{name}-{check}")
        for name in OPTIONS
        for check in scheduler_checks(lambda name=name: make(name))  # type: ignore[misc]
    ],
)
def test_conformance(check: Check) -> None:
    check()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("asha", {"max": 0}, "asha: max is a whole number from 1, not 0"),
        ("asha", {"max": 9.0}, "max is a whole number from 1, not 9.0"),
        ("asha", {"max": 9, "min": 9}, "asha: min is below max, unlike 9 and 9"),
        ("asha", {"reduction": 1}, "reduction is a number above 1, not 1"),
        ("asha", {"eta": 3}, "has no option 'eta'"),
        ("asha", {"type": "pausing"}, "type is 'stopping' or 'promotion', not 'pausing'"),
        ("asha", {"brackets": 0}, "brackets is a whole number from 1, not 0"),
        ("forecast", {"chance": 0}, "forecast: chance is a number above 0 and below 1, not 0"),
        ("freeze_thaw", {}, "max"),
        ("freeze_thaw", {"max": 3, "min": 4}, "freeze_thaw: min is at most max, unlike 4 and 3"),
        ("hyperband", {}, "max"),
        ("pasha", {"max": 9, "min": 9}, "pasha: min is below max"),
        ("racing", {"folds": 1}, "racing: folds is a whole number from 2, not 1"),
        ("racing", {"alpha": 0.7}, "racing: alpha is a number above 0 and below 0.5, not 0.7"),
        ("racing", {"among": 3}, "racing: among is the name of a parameter, not 3"),
        ("pbt", {}, "max"),
        ("pbt", {"max": 5, "interval": 1, "quantile": 0.6}, "pbt: quantile is a number above 0"),
        ("pb2", {"max": 5, "interval": 0}, "pb2: interval is a whole number from 1, not 0"),
        ("scripted", {"schedule": []}, r"scripted: schedule is a list of \[step, config\]"),
        ("scripted", {"schedule": [[0, {}], [0, {}]]}, "the steps rise"),
        ("hyperband", {"max": 3, "min": 4}, "hyperband: min is at most max, unlike 4 and 3"),
        ("median", {"after": "3"}, "after is a whole number from 1, not '3'"),
        ("median", {"every": 0}, "median: every is a whole number from 1, not 0"),
        ("bandit", {}, "bandit: the slack is a factor or an amount"),
        ("bandit", {"factor": 0.1, "amount": 1}, "bandit: the slack is a factor or an amount"),
        ("bandit", {"factor": -0.1}, "bandit: factor is a number from 0, not -0.1"),
        ("bandit", {"amount": 1, "delay": -1}, "bandit: delay is a whole number from 0, not -1"),
        ("truncation", {"percent": 0}, "truncation: percent is a number above 0 and below 100"),
        ("percentile", {"keep": 100}, "keep is a number above 0 and below 100, not 100"),
        ("threshold", {}, "worst"),
        ("threshold", {"worst": float("nan")}, "worst is a number, and finite, not nan"),
        ("patience", {"least": -1}, "least is a number from 0, not -1"),
        ("patience", {"reports": True}, "reports is a whole number from 1, not True"),
    ],
)
def test_options_that_make_no_sense(name: str, options: Any, message: str) -> None:
    with pytest.raises(ts.StrategyError, match=message):
        schedule.make(Strategy(name, options))
