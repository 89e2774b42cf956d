"""Optuna's defaults over the space of `tunesmith fit`: TPE, the five folds of a trial side by side."""

from __future__ import annotations

from typing import Any

import pandas as pd
from benchmarks.tabular.tuners import Work, main
from benchmarks.tabular.tuners.shared import FOLDS, Problem
from joblib import Parallel, delayed

from knobs import Knobs

#: The share of the time that is for the search; the rest is for the final fit.
SEARCH = 0.95


def suggest(trial: Any, knobs: Knobs) -> dict[str, Any]:
    """A config, parameter by parameter, children after their parents."""
    config: dict[str, Any] = {}
    for knob in knobs.all:
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


def solve(work: Work) -> pd.DataFrame:
    import optuna

    problem = Problem(work)
    knobs = Knobs(problem.space.to_dict())
    optuna.logging.disable_default_handler()
    pool = Parallel(n_jobs=work.cores)

    def objective(trial: Any) -> float:
        config = suggest(trial, knobs)
        trial.set_user_attr("config", config)
        values = pool(delayed(problem.fold_value)(config, k) for k in range(FOLDS))
        return float(sum(values) / FOLDS)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=work.seed))
    study.optimize(objective, timeout=SEARCH * problem.left_s, catch=(Exception,))
    work.say("optuna")
    print(len(study.trials), "trials,", study.best_value)
    return problem.predictions(study.best_trial.user_attrs["config"])


if __name__ == "__main__":
    main(solve)
