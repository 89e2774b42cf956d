"""Studies for the tests of importance, figures and report: ledgers, without running anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tunesmith.core import events
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Objective
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Space
from tunesmith.core.study import Strategy, StudySpec
from tunesmith.core.trial import Cost, Kind, Origin, Reason, State

SPACE = Space(
    learning_rate=Float(1e-5, 1e-1, log=True, group="optimizer"),
    optimizer=Choice("sgd", "adam", group="optimizer"),
    momentum=Float(0.0, 0.99, when={"optimizer": "sgd"}, group="optimizer"),
    layers=Int(1, 6, group="model"),
    crop=Choice([24, 24], [28, 28], group="data"),
    epochs=9,
)


def study(
    space: Space = SPACE,
    *,
    metrics: str | tuple[str, ...] = "loss",
    goal: str | tuple[str, ...] = "minimize",
    **options: Any,
) -> Ledger:
    """An empty study that has been opened; limits are given by name."""
    names = (metrics,) if isinstance(metrics, str) else metrics
    goals = (goal,) * len(names) if isinstance(goal, str) else goal
    objectives = tuple(Objective(m, g) for m, g in zip(names, goals, strict=True))  # type: ignore[arg-type]
    scheduler = options.pop("scheduler", None)
    spec = StudySpec(
        name="study",
        space=space,
        objectives=objectives,
        searcher=Strategy("random"),
        scheduler=scheduler,
        limits=Limits(**options),
        seed=1,
    )
    made = Ledger(spec)
    made.apply(events.Opened(0.0, "s", "host", 1, 0.0, True))
    return made


def begin(ledger: Ledger, config: dict[str, Any]) -> int:
    number = ledger.size
    at = 10.0 * number + 1.0
    ledger.apply(events.Suggested(at, number, config, Origin("random", "why"), "s"))
    return number


def complete(
    ledger: Ledger, config: dict[str, Any], *values: float, reports: tuple[float, ...] = ()
) -> int:
    number = begin(ledger, config)
    at = 10.0 * number
    report(ledger, number, reports)
    names = [o.metric for o in ledger.spec.objectives]
    told = dict(zip(names, values, strict=True))
    cost = Cost(2.0 + number % 3, 1.0, 2**20, None)
    ledger.apply(events.Finished(at + 5, number, 0, State.COMPLETED, values, told, None, cost))
    return number


def report(ledger: Ledger, number: int, values: tuple[float, ...]) -> None:
    metric = ledger.spec.first_objective.metric
    for step, value in enumerate(values, 1):
        ledger.apply(
            events.Reported(10.0 * number + 1 + step / 9, number, 0, step, {metric: value})
        )


def stop(ledger: Ledger, config: dict[str, Any], reports: tuple[float, ...]) -> int:
    number = begin(ledger, config)
    report(ledger, number, reports)
    reason = Reason(Kind.STOPPED, "asha: not among the best third")
    ledger.apply(
        events.Finished(10.0 * number + 5, number, 0, State.STOPPED, None, {}, reason, Cost(1.0))
    )
    return number


def fail(ledger: Ledger, config: dict[str, Any], message: str = "boom", output: str = "") -> int:
    number = begin(ledger, config)
    reason = Reason(Kind.ERROR, message, output)
    ledger.apply(
        events.Finished(10.0 * number + 5, number, 0, State.FAILED, None, {}, reason, Cost(1.0))
    )
    return number


def random_study(
    space: Space, function: Callable[[dict[str, Any]], float], trials: int, **options: Any
) -> Ledger:
    """`trials` random configs and their values."""
    made, rng = study(space, **options), np.random.default_rng(0)
    for _ in range(trials):
        config = space.sample(rng)
        complete(made, config, function(config))
    return made


def loss(config: dict[str, Any]) -> float:
    """Learning rate and layers matter; momentum where it is used."""
    away = (np.log10(config["learning_rate"]) + 3) ** 2 + 0.3 * (config["layers"] - 4) ** 2
    return float(0.1 * away + 0.5 * (config.get("momentum", 0.9) - 0.9) ** 2)


def mixed_study(trials: int = 40, **options: Any) -> Ledger:
    """Completed, stopped and failed trials with curves."""
    made, rng = (
        study(SPACE, scheduler=Strategy("asha", {"max": 9}), **options),
        np.random.default_rng(0),
    )
    sign = made.spec.first_objective.sign
    for k in range(trials):
        config = SPACE.sample(rng)
        value = sign * loss(config)
        curve = tuple(value + sign * 2.0 / step for step in range(1, 10))
        if k % 7 == 3:
            fail(made, config, "CUDA out of memory", "Traceback\n  line 3\nMemoryError")
        elif k % 3 == 1:
            stop(made, config, curve[:3])
        else:
            complete(made, config, value, reports=curve)
    return made
