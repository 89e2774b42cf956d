"""Optuna: TPE (its default), GPSampler, and the rule of OptunaHub's AutoSampler.

Conditions: the space is defined by running it, so only active parameters are suggested.
Relations: `constraints_func`; a suggestion that breaks one is told as completed with the worst value
so far and a constraint of +1 (kept ones have -1), and a new one is asked for.
Failures: ``TrialState.FAIL``. Recommended: the best value seen (``Study.best_trial``).
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from knobs import Config, Knobs
from peers import Seen

optuna.logging.set_verbosity(optuna.logging.ERROR)
#: AutoSampler's rule: from that many trials on, CMA-ES takes the place of the Gaussian process.
GP_TRIALS = 250


def _constraint(trial: FrozenTrial) -> tuple[float]:
    return (float(trial.user_attrs["broken"]),)


class Optuna:
    def __init__(self, knobs: Knobs, *, seed: int, trials: int, sampler: str) -> None:
        self._knobs, self._seen, self._seed = knobs, Seen(), seed
        constraints = {"constraints_func": _constraint} if knobs.relations else {}
        plain = all(k.kind != "choice" and not k.parents for k in knobs.all)
        self._later = sampler == "auto" and plain
        name = sampler if sampler != "auto" else "gp" if plain else "tpe"
        chosen: BaseSampler = {"tpe": TPESampler, "gp": GPSampler}[name](seed=seed, **constraints)
        self._study = optuna.create_study(sampler=chosen)
        self._trial: Any = None

    def ask(self) -> Config:
        if self._later and len(self._study.trials) == GP_TRIALS:
            self._study.sampler = CmaEsSampler(
                seed=self._seed, source_trials=self._study.get_trials()
            )
        trial = self._trial = self._study.ask()
        config: Config = {}
        for knob in self._knobs.all:
            if not knob.active(config):
                continue
            if knob.kind == "choice":
                setting: Any = trial.suggest_categorical(knob.name, knob.settings)
            elif knob.kind == "int":
                setting = trial.suggest_int(knob.name, int(knob.low), int(knob.high), log=knob.log)
            else:
                setting = trial.suggest_float(knob.name, knob.low, knob.high, log=knob.log)
            config[knob.name] = knob.decode(setting)
        return config

    def tell(self, config: Config, value: float, failed: bool) -> None:
        self._seen.note(config, value, failed)
        broken = not self._knobs.holds(config)
        self._trial.set_user_attr("broken", 1 if broken else -1)
        if broken:
            self._study.tell(self._trial, self._seen.penalty)
        elif failed:
            self._study.tell(self._trial, state=TrialState.FAIL)
        else:
            self._study.tell(self._trial, value)

    def recommend(self) -> Config | None:
        return self._seen.best
