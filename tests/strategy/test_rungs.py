"""Folds of reports that are interrupted in the middle, as by Ctrl-C: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest
from tests.core.driver import opened, spec, suggested

from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.strategy import lengths, population, rungs

BATCHES = 3


def history(batches: int) -> History:
    """Six trials, each of which has reported at `batches` steps of three."""
    rng = np.random.default_rng(1)
    ledger = Ledger(spec(objectives=(Objective("loss"),))).extend(
        [opened(), *map(suggested, range(6))]
    )
    for step in range(1, 3 * batches + 1):
        for trial in rng.permutation(6).tolist():
            loss = {"loss": round(float(rng.random()), 1)}
            ledger.apply(events.Reported(2.0, trial, 0, step, loss))
    return History(ledger, memo={})


def of_rungs() -> Callable[[History], Any]:
    fold = rungs.Rungs((1, 3, 5, 9))

    def read(seen: History) -> Any:
        fold.update(seen)
        at = [tuple(column.tolist() for column in (*fold.at(k), fold.reports(k))) for k in range(4)]
        first = [fold.first(k, lambda trial: trial != 2) for k in range(4)]
        return (
            at,
            first,
            [fold.ordered(k)[:] for k in range(4)],
            [fold.highest(n) for n in range(6)],
        )

    return read


def of_standings() -> Callable[[History], Any]:
    memo: dict[Any, Any] = {}

    def read(seen: History) -> Any:
        standings = rungs.Standings.of(History(seen._ledger, memo=memo))
        made = [standings.compare(seen, trial) for trial in range(6)]
        return [
            (one.step, one.best, one.means.median, [one.bests[i] for i in range(len(one.bests))])
            for one in made
            if one is not None
        ]

    return read


def of_latest() -> Callable[[History], Any]:
    fold = population.Latest()

    def read(seen: History) -> Any:
        fold.update(seen)
        return [column[:6].tolist() for column in (fold.steps, fold.losses, fold.before)]

    return read


def of_lengths() -> Callable[[History], Any]:
    fold = lengths._Lengths()

    def read(seen: History) -> Any:
        fold.longest(seen)
        return fold._steps[:6].tolist()

    return read


def interrupted(call: Callable[[], Any], at: int) -> bool:
    """Whether `call` came to its line of number `at` in the folds' modules, where it was interrupted."""
    files = {module.__file__ for module in (rungs, population, lengths)}
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            lines += 1
            if lines == at:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("made", [of_rungs, of_standings, of_latest, of_lengths])
def test_interrupted_at_every_line(made: Callable[[], Callable[[History], Any]]) -> None:
    seen = [history(n + 1) for n in range(BATCHES)]
    whole = made()
    wanted = [whole(one) for one in seen]
    at, came = 1, True
    while came:
        read, came = made(), False
        for one, right in zip(seen, wanted, strict=True):
            came |= interrupted(lambda read=read, one=one: read(one), at)  # type: ignore[misc]
            assert read(one) == right, at
        at += 1 if at < 40 else 7
    assert at > 5
