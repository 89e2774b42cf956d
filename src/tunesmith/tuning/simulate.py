"""`simulate`: a study in virtual time, to compare searchers and schedulers at what they would cost, and to see what a fleet
would do."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from tunesmith.core.errors import StudyError
from tunesmith.core.objective import Goal, Use
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import Scheduler, Searcher
from tunesmith.core.study import StudySpec
from tunesmith.run.executors import of_curve
from tunesmith.run.simulate import Curve
from tunesmith.run.simulated_fleet import FleetSimulator, SimulatedFleet, Strain, Turns
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
    #: How each coordinator of a fleet did; () without one.
    strain: Sequence[Strain] = ()


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
    fleet: SimulatedFleet | None = None,
    coordinators: int = 1,
    **limits: Unpack[LimitOptions],
) -> Simulated:
    """Run a study of `curve`, which yields ``(seconds, value or metrics)`` for each report of a trial.

    The last report is the trial's result. Options are as in `tune`; limits of time are in virtual
    seconds, and ``parallel`` is the number of workers. On a `fleet` there are as many as it has places, and `coordinators`
    share them, as processes do that `join` a study. Raises as `tune`.
    """
    if fleet is not None:
        if "parallel" in limits:
            raise StudyError("parallel: a fleet has as many workers as places; leave it out")
        if not 1 <= coordinators <= fleet.nodes:
            raise StudyError(f"coordinators: 1 to {fleet.nodes} (nodes), not {coordinators}")
        limits["parallel"] = fleet.nodes * fleet.places
    elif coordinators != 1:
        raise StudyError("coordinators: several need a fleet=SimulatedFleet(...)")
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
    options: dict[str, Any] = {"enqueue": enqueue, "warm_start": warm_start}
    if fleet is not None:
        return _on_fleet(curve, spec, fleet, coordinators, began, options)
    executor = of_curve(curve, spec, began)
    result = launch(spec, None, lambda _: executor, clock=executor.clock, **options)
    elapsed_s = executor.clock() - began
    busy = executor.busy_s / (elapsed_s * spec.limits.parallel or 1.0)
    return Simulated(result, elapsed_s, busy)


def _on_fleet(
    curve: Curve,
    spec: StudySpec,
    fleet: SimulatedFleet,
    coordinators: int,
    began: float,
    options: Mapping[str, Any],
) -> Simulated:
    """Each coordinator in a thread of its own, on its share of the nodes, with the others' store."""
    turns = Turns(began, coordinators) if coordinators > 1 else None
    metric = spec.first_objective.metric
    executors = [
        FleetSimulator(
            curve, fleet.part(k, coordinators), metric=metric, began=began, turns=turns, number=k
        )
        for k in range(coordinators)
    ]

    def run(k: int, storage: str | None) -> Result:
        parallel = fleet.part(k, coordinators).nodes * fleet.places
        mine = replace(spec, limits=replace(spec.limits, parallel=parallel))
        join = turns is not None
        clock = executors[k].clock
        try:
            return launch(mine, storage, lambda _: executors[k], join=join, clock=clock, **options)
        finally:
            executors[k].close()  # the others do not wait for one that could not begin

    if turns is None:
        result = run(0, None)
    else:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(coordinators) as threads:
            storage = str(Path(folder) / "simulated.db")
            runs = [threads.submit(run, k, storage) for k in range(coordinators)]
            result = [one.result() for one in runs][-1]
    elapsed_s = max(executor.clock() for executor in executors) - began
    busy = sum(executor.busy_s for executor in executors)
    busy /= elapsed_s * fleet.nodes * fleet.places or 1.0
    return Simulated(result, elapsed_s, busy, [executor.strain for executor in executors])
