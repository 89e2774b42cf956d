"""The tuners, each as it comes, on one worker in virtual time: what is spent is the epochs that are trained.

A tuner that trains a config further pays for the further epochs only, whether it can keep checkpoints or not.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from benchmarks.schedule.curves import EPOCHS, Curves

#: All halving begins after one epoch, and keeps a third.
FIRST, REDUCTION = 1, 3


class Over(Exception):
    """The budget is used up."""


class Clock:
    """What was spent, in seconds, and the best value at each moment at which there was a better one."""

    def __init__(self, budget: float) -> None:
        self.budget, self.now, self.best = budget, 0.0, math.inf
        self.trace: list[tuple[float, float]] = []

    def spend(self, seconds: float, value: float) -> None:
        """An epoch that took so long ended with this value. Raises Over."""
        self.now += seconds
        if self.now > self.budget:
            raise Over
        if value < self.best:
            self.best = value
            self.trace.append((self.now, value))


def run(
    tuner: str, problem: Curves, seed: int, budget: float
) -> tuple[list[tuple[float, float]], float | None]:
    """The trace of one run; and, for tunesmith, which share of the final accuracy was lost because the
    best config was not trained to its end."""
    clock = Clock(budget)
    name, _, option = tuner.partition(":")
    lost = None
    with contextlib.suppress(Over):
        lost = TUNERS[name](problem, seed, clock, *([option] if option else []))
    return clock.trace, lost


def train(problem: Curves, config: dict[str, Any], clock: Clock) -> Iterator[tuple[int, float]]:
    """Epochs and values."""
    values, seconds = problem.of(config)
    for epoch in range(EPOCHS):
        clock.spend(float(seconds[epoch]), float(values[epoch]))
        yield epoch + 1, float(values[epoch])


# -- tunesmith --------------------------------------------------------------------------------------


def tunesmith(problem: Curves, seed: int, clock: Clock, how: str) -> float:
    """`how` is ``scheduler;option=value;..``, and the searcher after a slash if it is not the default."""
    import tunesmith as ts
    from tunesmith.tuning.simulate import simulate

    forms: dict[str, Callable[..., Any]] = {"int": ts.Int, "float": ts.Float}
    space = ts.Space(
        {n: forms[kind](low, high, log=log) for n, (kind, low, high, log) in problem.space.items()}
    )

    def curve(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
        values, seconds = problem.of(config)
        for value, second in zip(values.tolist(), seconds.tolist(), strict=True):
            yield second, value

    told, _, searcher = how.partition("/")
    name, *given = told.split(";")
    options: dict[str, Any] = (
        {"max": EPOCHS} if name in ("asha", "freeze_thaw", "hyperband", "pasha") else {}
    )
    for option in given:
        key, _, text = option.partition("=")
        options[key] = int(text) if text.isdigit() else float(text) if text[0].isdigit() else text
    result = simulate(
        curve, space, searcher=searcher or "auto", seed=seed,
        scheduler=None if name == "none" else {name: options},
        time=clock.budget, trials=100_000,
    ).result  # fmt: skip
    first = min((t for t in result.trials if t.reports), key=lambda t: t.reports[0].at)
    began = first.reports[0].at - float(problem.of(first.config)[1][0])
    reports = sorted((r.at - began, r.metrics["value"]) for t in result.trials for r in t.reports)
    with contextlib.suppress(Over):
        for at, error in reports:
            clock.spend(at - clock.now, error)
    possible = min(problem.of(trial.config)[0].min() for trial in result.trials)
    return float((clock.best - possible) / (1.0 - possible))


def random(problem: Curves, seed: int, clock: Clock) -> None:
    rng = np.random.default_rng(seed)
    while True:
        for _ in train(problem, problem.sample(rng), clock):
            pass


# -- peers ------------------------------------------------------------------------------------------


def optuna(problem: Curves, seed: int, clock: Clock, pruner: str) -> None:
    """TPE with the Hyperband or the median pruner."""
    import optuna as lib

    lib.logging.set_verbosity(lib.logging.ERROR)
    warnings.filterwarnings("ignore")
    rule: Any = {
        "hyperband": lambda: lib.pruners.HyperbandPruner(
            min_resource=FIRST, max_resource=EPOCHS, reduction_factor=REDUCTION
        ),
        "median": lib.pruners.MedianPruner,
    }[pruner]()
    study = lib.create_study(
        sampler=lib.samplers.TPESampler(seed=seed), pruner=rule, study_name="s"
    )
    while True:
        trial = study.ask()
        config = {}
        for name, (kind, low, high, log) in problem.space.items():
            suggest: Any = trial.suggest_int if kind == "int" else trial.suggest_float
            config[name] = suggest(name, low, high, log=log)
        value, pruned = math.nan, False
        for epoch, value in train(problem, config, clock):
            trial.report(value, epoch)
            if trial.should_prune():
                pruned = True
                break
        if pruned:
            study.tell(trial, state=lib.trial.TrialState.PRUNED)
        else:
            study.tell(trial, value)


def synetune(problem: Curves, seed: int, clock: Clock) -> None:
    """ASHA, its stopping form."""
    from datetime import UTC, datetime

    from syne_tune.backend.trial_status import Trial
    from syne_tune.config_space import lograndint, loguniform, randint, uniform
    from syne_tune.optimizer.baselines import ASHA

    kinds: dict[Any, Any] = {
        ("int", True): lograndint, ("int", False): randint,
        ("float", True): loguniform, ("float", False): uniform,
    }  # fmt: skip
    space = {n: kinds[kind, log](low, high) for n, (kind, low, high, log) in problem.space.items()}
    scheduler = ASHA(
        space, metric="value", time_attr="epoch", max_t=EPOCHS, do_minimize=True,
        grace_period=FIRST, reduction_factor=REDUCTION, random_seed=seed,
    )  # fmt: skip
    number = 0
    while True:
        suggestion = scheduler.suggest()
        trial = Trial(
            trial_id=number,
            config=suggestion.config,
            creation_time=datetime(2026, 1, 1, tzinfo=UTC),
        )
        number += 1
        scheduler.on_trial_add(trial)
        result: dict[str, Any] = {}
        for epoch, value in train(problem, suggestion.config, clock):
            result = {"value": value, "epoch": epoch}
            if epoch < EPOCHS and scheduler.on_trial_result(trial, result) != "CONTINUE":
                break
        else:
            scheduler.on_trial_complete(trial, result)


def smac(problem: Curves, seed: int, clock: Clock) -> None:
    """The multi-fidelity facade: Hyperband over budgets, a random forest."""
    import logging
    import tempfile

    from ConfigSpace import ConfigurationSpace, Float, Integer
    from smac import MultiFidelityFacade, Scenario
    from smac.intensifier.hyperband import Hyperband
    from smac.runhistory.dataclasses import TrialInfo, TrialValue

    logging.disable(logging.CRITICAL)
    warnings.filterwarnings("ignore")
    space = ConfigurationSpace(seed=seed)
    for name, (kind, low, high, log) in problem.space.items():
        space.add((Integer if kind == "int" else Float)(name, (low, high), log=log))
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space, n_trials=100_000, min_budget=FIRST, max_budget=EPOCHS, seed=seed,
            deterministic=True, output_directory=folder,
        )  # fmt: skip
        facade = MultiFidelityFacade(
            scenario, lambda config, seed, budget: 0.0,  # noqa: ARG005 (it looks for these names)
            intensifier=Hyperband(scenario, eta=REDUCTION), overwrite=True, logging_level=False,
        )  # fmt: skip
        trained: dict[Any, int] = {}
        while True:
            info: TrialInfo = facade.ask()
            values, seconds = problem.of(dict(info.config))
            upto = max(1, round(info.budget or EPOCHS))
            for epoch in range(trained.get(info.config, 0), upto):
                clock.spend(float(seconds[epoch]), float(values[epoch]))
            trained[info.config] = max(upto, trained.get(info.config, 0))
            facade.tell(info, TrialValue(cost=float(values[upto - 1])))


TUNERS: dict[str, Callable[..., Any]] = {
    "tunesmith": tunesmith,
    "random": random,
    "optuna": optuna,
    "synetune": synetune,
    "smac": smac,
}
#: What the report compares.
ALL = [
    "random", "tunesmith:none", "tunesmith:asha", "tunesmith:hyperband;min=1", "tunesmith:forecast", "tunesmith:median",
    "tunesmith:freeze_thaw",
    "optuna:hyperband", "optuna:median", "synetune", "smac",
]  # fmt: skip
