"""`simulate`: a study in virtual time, to compare searchers and schedulers at what they would cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Unpack

from tunesmith.core.objective import Goal
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import Scheduler, Searcher
from tunesmith.run.simulate import Curve, SimulateExecutor
from tunesmith.store import open_store
from tunesmith.tuning.api import check_limits
from tunesmith.tuning.coordinator import Loop
from tunesmith.tuning.result import Result
from tunesmith.tuning.study import LimitOptions, make_spec


class Simulated(NamedTuple):
    """A simulated study: what it found, how long it took (virtual seconds), and which share of its
    workers' time was spent in trials."""

    result: Result
    elapsed_s: float
    busy: float


def simulate(
    curve: Curve,
    space: Space | Mapping[str, Any],
    *,
    metric: str = "value",
    goal: Goal = "minimize",
    searcher: str | Mapping[str, Any] | Searcher = "auto",
    scheduler: str | Mapping[str, Any] | Scheduler | None = None,
    seed: int | None = None,
    **limits: Unpack[LimitOptions],
) -> Simulated:
    """Run a study of `curve`, which yields ``(seconds, value or metrics)`` for each report of a trial.

    The last report is the trial's result. Limits are as in `tune`, in virtual seconds; ``parallel`` is
    the number of workers. Raises as `tune`.
    """
    spec = make_spec(
        space,
        name="simulated",
        metric=metric,
        goal=goal,
        searcher=searcher,
        scheduler=scheduler,
        seed=seed,
        limits=limits,
    )
    check_limits(spec)
    began = time.time()
    executor = SimulateExecutor(curve, metric=metric, began=began)
    store = open_store(None)
    store.create(spec, began)
    loop = Loop(store, spec.name, clock=executor.clock)
    loop.run(executor)
    elapsed_s = executor.clock() - began
    busy = executor.busy_s / (elapsed_s * spec.limits.parallel or 1.0)
    return Simulated(Result(loop.ledger), elapsed_s, busy)
