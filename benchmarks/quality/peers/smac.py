"""SMAC3: the facade for hyperparameter optimisation (a random forest).

Conditions: ConfigSpace's ``InCondition``. Relations ``a <= b``: ``ForbiddenGreaterThanRelation``;
others by rejection. Failures: status CRASHED, with the worst value so far as cost.
The scenario is deterministic, so every trial is a new config. Recommended: SMAC's incumbent.
"""

from __future__ import annotations

import logging
import tempfile
from typing import Any

import ConfigSpace as cs
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory.dataclasses import TrialValue
from smac.runhistory.enumerations import StatusType

from knobs import Config, Knob, Knobs
from peers import Seen


def _hyperparameter(knob: Knob) -> Any:
    if knob.kind == "choice":
        return cs.CategoricalHyperparameter(knob.label, knob.settings)
    if knob.kind == "int":
        return cs.UniformIntegerHyperparameter(
            knob.label, int(knob.low), int(knob.high), log=knob.log
        )
    return cs.UniformFloatHyperparameter(knob.label, knob.low, knob.high, log=knob.log)


class Smac:
    def __init__(self, knobs: Knobs, *, seed: int, trials: int) -> None:
        self._knobs, self._seen = knobs, Seen()
        space = cs.ConfigurationSpace(seed=seed)
        made = {knob.name: _hyperparameter(knob) for knob in knobs.all}
        space.add(list(made.values()))
        for knob in knobs.all:
            for parent, values in knob.parents.items():
                needed = [knobs.by_name[parent].encode(value) for value in values]
                space.add(cs.InCondition(made[knob.name], made[parent], needed))
        for left, right in knobs.orderings():
            space.add(cs.ForbiddenGreaterThanRelation(made[left], made[right]))
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            space,
            deterministic=True,
            n_trials=trials,
            seed=seed,
            output_directory=self._folder.name,  # type: ignore[arg-type,unused-ignore]
        )
        self._facade = HyperparameterOptimizationFacade(
            scenario, _unused, overwrite=True, logging_level=logging.ERROR
        )
        self._asked: Any = None

    def _config(self, configuration: Any) -> Config:
        return self._knobs.config(
            {k.name: configuration[k.label] for k in self._knobs.all if k.label in configuration}
        )

    def ask(self) -> Config:
        self._asked = self._facade.ask()
        return self._config(self._asked.config)

    def tell(self, config: Config, value: float, failed: bool) -> None:
        self._seen.note(config, value, failed)
        result = (
            TrialValue(cost=self._seen.penalty, status=StatusType.CRASHED)
            if failed
            else TrialValue(cost=value)
        )
        self._facade.tell(self._asked, result)

    def recommend(self) -> Config | None:
        incumbent = self._facade.intensifier.get_incumbent()
        return self._seen.best if incumbent is None else self._config(incumbent)


def _unused(config: Any, seed: int = 0) -> float:
    raise NotImplementedError("trials are run by whoever asks")
