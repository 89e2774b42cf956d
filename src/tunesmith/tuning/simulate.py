"""`simulate`: a study in virtual time, to compare searchers and schedulers at what they would cost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Unpack

from tunesmith.core.objective import Goal, Use
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import Scheduler, Searcher
from tunesmith.run.executors import of_curve
from tunesmith.run.simulate import Curve
from tunesmith.tuning.launch import launch
from tunesmith.tuning.result import Result
from tunesmith.tuning.spec import LimitOptions, make_spec
from tunesmith.tuning.warm_start import Earlier


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
    metric: str | Sequence[str] = "value",
    goal: Goal | Sequence[Goal] = "minimize",
    use: Use | Sequence[Use] = "last",
    constraints: str | Sequence[str] = (),
    searcher: str | Mapping[str, Any] | Searcher = "auto",
    scheduler: str | Mapping[str, Any] | Scheduler | None = None,
    seed: int | None = None,
    enqueue: Iterable[Mapping[str, Any]] = (),
    warm_start: Earlier | Sequence[Earlier] = (),
    deterministic: bool = False,
    duplicates: bool = False,
    **limits: Unpack[LimitOptions],
) -> Simulated:
    """Run a study of `curve`, which yields ``(seconds, value or metrics)`` for each report of a trial.

    The last report is the trial's result. Options are as in `tune`; limits of time are in virtual
    seconds, and ``parallel`` is the number of workers. Raises as `tune`.
    """
    spec = make_spec(
        space,
        name="simulated",
        metric=metric,
        goal=goal,
        use=use,
        constraints=constraints,
        searcher=searcher,
        scheduler=scheduler,
        seed=seed,
        deterministic=deterministic,
        duplicates=duplicates,
        limits=limits,
    )
    began = time.time()
    executor = of_curve(curve, spec, began)
    result = launch(
        spec, None, lambda _: executor, enqueue=enqueue, warm_start=warm_start, clock=executor.clock
    )
    elapsed_s = executor.clock() - began
    busy = executor.busy_s / (elapsed_s * spec.limits.parallel or 1.0)
    return Simulated(result, elapsed_s, busy)
