"""KerasTuner: our searchers in its tuners.

    tuner = TunesmithTuner(build_model, objective="val_loss", max_trials=20)            # instead of keras_tuner.BayesianOptimization
    tuner = keras_tuner.Hyperband(...)                                                  # any other tuner: oracle=TunesmithOracle(...)

Needs KerasTuner 1.4: ``pip install 'tunesmith[keras-tuner]'``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras_tuner

from tunesmith.core.errors import StudyOver
from tunesmith.core.objective import Goal
from tunesmith.core.space.parameter import Choice, Float, Int, Parameter
from tunesmith.core.space.rules import replace_when
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Searcher
from tunesmith.integrations.distributions import free_name
from tunesmith.integrations.elsewhere import Elsewhere

_SCORE = "score"


class TunesmithOracle(keras_tuner.Oracle):  # type: ignore[misc]
    """An oracle for KerasTuner's tuners that suggests as tunesmith does; ``searcher`` as in `tunesmith.tune`, the other
    arguments those of ``keras_tuner.Oracle``.

    Its conditions (``conditional_scope``) are ours. All it knows is in KerasTuner's trials: a tuner that is made anew over its folder
    goes on, and may run several workers.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        searcher: str | Mapping[str, Any] | Searcher = "auto",
        **options: Any,
    ) -> None:
        super().__init__(objective=objective, max_trials=max_trials, **options)
        self._searcher = searcher
        self._elsewhere: Elsewhere | None = None
        #: The space as KerasTuner has it, for which the study was made, and the names there of its parameters.
        self._known: list[Any] = []
        self._names: list[tuple[str, Any]] = []

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        elsewhere = self._up_to_date()
        if elsewhere is None:
            return {"status": "RUNNING", "values": self._values({})}
        try:
            config = elsewhere.ask(trial_id)
        except StudyOver:
            return {"status": "STOPPED"}
        return {"status": "RUNNING", "values": self._values(config)}

    def _up_to_date(self) -> Elsewhere | None:
        """The study, with what its trials have done; None where there is nothing to tune."""
        if self._elsewhere is None or self._known != self.hyperparameters.space:
            self._begin()
        elsewhere = self._elsewhere
        if elsewhere is None:
            return None
        for name in self.start_order:
            trial = self.trials[name]
            if name not in elsewhere and not elsewhere.take(name, self._config(trial)):
                continue
            if trial.status == "COMPLETED":
                elsewhere.tell(name, {_SCORE: trial.score})
            elif trial.status == "FAILED":
                elsewhere.tell(name, None, (trial.message or "failed in KerasTuner").strip()[-500:])
        return elsewhere

    def _begin(self) -> None:
        self._known = list(self.hyperparameters.space)
        here: dict[str, Any] = {}
        self._names = []
        by_name: dict[str, str] = {}
        for hp in self._known:
            parameter = _parameter(hp)
            if parameter is None:
                continue
            name = free_name(hp.name, here)
            when = {by_name[c.name]: list(c.values) for c in hp.conditions if c.name in by_name}
            here[name] = replace_when(parameter, when or None)
            self._names.append((name, hp))
            by_name[hp.name] = name
        goal: Goal = "maximize" if self.objective.direction == "max" else "minimize"
        self._elsewhere = (
            Elsewhere(Space(here), [_SCORE], [goal], self._searcher, self.seed) if here else None
        )

    def _values(self, config: Config) -> dict[str, Any]:
        """A config as KerasTuner has it: by its names, with what is fixed."""
        values = {hp.name: config[name] for name, hp in self._names if name in config}
        return {hp.name: hp.default for hp in self._known if _fixed(hp)} | values

    def _config(self, trial: Any) -> Config:
        hps = trial.hyperparameters
        return {
            name: hps.values[hp.name]
            for name, hp in self._names
            if hp.name in hps.values and all(c.is_active(hps.values) for c in hp.conditions)
        }


class TunesmithTuner(keras_tuner.Tuner):  # type: ignore[misc]
    """In the place of ``keras_tuner.BayesianOptimization`` or ``RandomSearch``, with their arguments."""

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        searcher: str | Mapping[str, Any] | Searcher = "auto",
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **options: Any,
    ) -> None:
        oracle = TunesmithOracle(
            objective,
            max_trials,
            searcher=searcher,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        super().__init__(oracle, hypermodel, **options)


def _fixed(hp: Any) -> bool:
    return type(hp).__name__ == "Fixed" or (
        hasattr(hp, "min_value") and hp.min_value == hp.max_value
    )


def _parameter(hp: Any) -> Parameter | None:
    """One of KerasTuner's hyperparameters; None for what has one value."""
    kind = type(hp).__name__
    if _fixed(hp):
        return None
    if kind == "Boolean":
        return Choice(False, True)
    if kind == "Choice":
        return Choice(*hp.values, ordered=bool(hp.ordered) and len(hp.values) > 2)
    if hp.sampling == "log" and hp.step is not None:  # a factor
        values, value = [], hp.min_value
        while value <= hp.max_value:
            values.append(value)
            value *= hp.step
        return Choice(*values, ordered=len(values) > 2) if len(values) > 1 else None
    if kind == "Int":
        return Int(hp.min_value, hp.max_value, log=hp.sampling == "log", step=hp.step or 1)
    scale: Any = {"log": True, "reverse_log": "reverse"}.get(hp.sampling, False)
    return Float(float(hp.min_value), float(hp.max_value), log=scale, step=hp.step)
