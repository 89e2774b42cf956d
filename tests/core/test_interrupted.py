"""Strategies that are interrupted in the middle, as by Ctrl-C: what they worked out from a history is worked out anew,
so that nothing is lost, and nothing is there twice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

import numpy as np
import pytest
from tests.core.driver import opened, spec, suggested

import tunesmith
from tunesmith import schedule, search
from tunesmith.core import events
from tunesmith.core.decide import Strategies, resumption, verdict
from tunesmith.core.ledger import Ledger
from tunesmith.core.study import Strategy

FOLDS: Final = tuple(
    str(Path(tunesmith.__file__).parent / name) for name in ("strategy", "schedule")
)
SCHEDULERS: Final = {
    "asha": {"max": 9},
    "freeze_thaw": {"max": 9},
    "hyperband": {"max": 9},
    "median": {},
    "pasha": {"max": 9},
    "pbt": {"interval": 2, "max": 9},
}


def pasts(name: str) -> Iterator[tuple[Ledger, int]]:
    """A study of six trials that report, as it goes on; and who has reported last."""
    rng = np.random.default_rng(1)
    study = spec(scheduler=Strategy(name, SCHEDULERS[name]))
    ledger = Ledger(study).extend([opened(), *map(suggested, range(6))])
    for step in range(1, 10):
        for trial in rng.permutation(6).tolist():
            loss = {"loss": round(float(rng.random()), 1)}
            ledger.apply(events.Reported(2.0, trial, 0, step, loss))
        if step % 3 == 0:
            yield ledger, trial


def strategies(name: str) -> Strategies:
    return Strategies(
        search.make(Strategy("random")), schedule.make(Strategy(name, SCHEDULERS[name]))
    )


def interrupted(call: Callable[[], Any], at: int) -> bool:
    """Whether `call` came to its line of number `at` in strategies, where it was interrupted."""
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(FOLDS):
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


@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_is_decided_is_the_same(name: str) -> None:
    def decided(with_what: Strategies, ledger: Ledger) -> list[Any]:
        verdicts = [verdict(ledger, with_what, trial) for trial in range(6)]
        return [*verdicts, resumption(ledger, with_what, full=True)]

    whole = strategies(name)
    wanted = [decided(whole, ledger) for ledger, _ in pasts(name)]
    at, came = 1, True
    while came:
        broken, came = strategies(name), False
        for (ledger, _), right in zip(pasts(name), wanted, strict=True):
            came |= interrupted(lambda broken=broken, ledger=ledger: decided(broken, ledger), at)  # type: ignore[misc]
            assert decided(broken, ledger) == right, at
        at += 1 if at < 40 else 31
    assert at > 5
