"""KerasTuner's tuners with our oracle: conditions, kinds of hyperparameters, resume, failures, exhaustion."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("keras_tuner", reason="runs in the environment 'libraries' (tools/check)")

import keras
import keras_tuner

from tunesmith.core.errors import StrategyError
from tunesmith.integrations.keras_tuner import TunesmithOracle, TunesmithTuner

pytestmark = pytest.mark.filterwarnings("ignore")


def loss(hp: Any) -> float:
    x = hp.Float("x", 0.01, 1.0, sampling="log")
    units = hp.Int("units", 8, 64, step=8)
    kind = hp.Choice("kind", ["a", "b"])
    value = abs(np.log10(x) + 1) + abs(units - 32) / 32
    if kind == "a":
        with hp.conditional_scope("kind", ["a"]):
            value += hp.Float("momentum", 0, 0.9)
    else:
        with hp.conditional_scope("kind", ["b"]):
            value += 0.5 + hp.Int("batch", 2, 32, step=2, sampling="log") / 64
    return float(value + hp.Fixed("zero", 0) + 0.1 * hp.Boolean("flag"))


class Search(keras_tuner.Tuner):  # type: ignore[misc]
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        return loss(trial.hyperparameters)


def search(folder: Path, trials: int, tuner: Any = Search, seed: int = 0, **options: Any) -> Any:
    oracle = TunesmithOracle(max_trials=trials, seed=seed, **options)
    return tuner(oracle=oracle, directory=str(folder), project_name="p")


def test_it_finds_better_than_random_and_goes_on(tmp_path: Path) -> None:
    tuner = search(tmp_path, 25)
    tuner.search(verbose=0)
    trials = [tuner.oracle.trials[name] for name in tuner.oracle.start_order]
    for trial in trials:
        values = trial.hyperparameters.values
        assert ("momentum" in values) is (values["kind"] == "a") is ("batch" not in values)
        assert values["units"] % 8 == 0
        assert values.get("batch", 2) in (2, 4, 8, 16, 32)
    scores = [trial.score for trial in trials]
    assert min(scores[10:]) < np.median(scores[:10])

    again = search(tmp_path, 27)
    again.reload()
    again.search(verbose=0)
    assert len(again.oracle.trials) == 27
    assert [again.oracle.trials[t.trial_id].score for t in trials] == scores
    study = again.oracle._elsewhere.study
    assert [t.value for t in study.trials][:25] == pytest.approx(scores), (
        "it has learned from all of them"
    )


def test_failures_and_what_is_exhausted(tmp_path: Path) -> None:
    class Few(keras_tuner.Tuner):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            n = trial.hyperparameters.Int("n", 1, 5)
            if n == 2:
                raise keras_tuner.errors.FailedTrialError("two")
            return float(n)

    tuner = search(tmp_path, 30, Few)
    tuner.search(verbose=0)
    values = [t.hyperparameters.values.get("n") for t in tuner.oracle.trials.values()]
    assert {1, 3, 4, 5} <= set(values)
    assert len(values) <= 7, "the space is exhausted"


def test_a_model_with_the_tuner_that_stands_for_theirs(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(64, 3))

    def build(hp: Any) -> Any:
        model = keras.Sequential(
            [keras.layers.Dense(hp.Int("units", 1, 8), activation="relu"), keras.layers.Dense(1)]
        )
        model.compile(
            keras.optimizers.Adam(hp.Float("rate", 1e-3, 0.1, sampling="log")), loss="mse"
        )
        return model

    tuner = TunesmithTuner(
        build, "val_loss", max_trials=3, seed=0, directory=str(tmp_path), project_name="m"
    )
    tuner.search(x, x[:, 0], validation_data=(x, x[:, 0]), epochs=2, verbose=0)
    assert len(tuner.get_best_models(1)[0].predict(x, verbose=0)) == 64
    with pytest.raises(StrategyError):
        TunesmithTuner(
            build, "val_loss", searcher="bayse", directory=str(tmp_path), project_name="n"
        ).search(x, x)
