"""XGBoost's and LightGBM's callbacks: in `tune`, in a program of a job, and alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

import tunesmith as ts
from tunesmith.core.errors import ConfigError
from tunesmith.integrations import lightgbm as for_lightgbm
from tunesmith.integrations import xgboost as for_xgboost
from tunesmith.tuning.job import load_job, run_job

X = np.random.default_rng(0).normal(size=(80, 3))
Y = (X[:, 0] > 0).astype(float)
ROUNDS = 6


def train(library: str, trial: Any, monitor: Any, eta: float = 0.3) -> int:
    """Train; the number of trees."""
    if library == "xgboost":
        data = xgboost.DMatrix(X, Y)
        callback = for_xgboost.ReportCallback(trial, monitor=monitor)
        booster = xgboost.train(
            {"objective": "binary:logistic", "eta": eta, "nthread": 1}, data, ROUNDS,
            evals=[(data, "train"), (data, "valid")], verbose_eval=False, callbacks=[callback],
        )  # fmt: skip
        assert booster.predict(data).shape == Y.shape
        return int(booster.num_boosted_rounds())
    sets = lightgbm.Dataset(X, Y)
    model = lightgbm.train(
        {"objective": "binary", "learning_rate": eta, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}, sets, ROUNDS,
        valid_sets=[sets, lightgbm.Dataset(X, Y, reference=sets)], valid_names=["train", "valid"],
        callbacks=[for_lightgbm.ReportCallback(trial, monitor=monitor)],
    )  # fmt: skip
    assert model.predict(X).shape == Y.shape
    return int(model.num_trees())


METRIC = {"xgboost": "logloss", "lightgbm": "binary_logloss"}


@pytest.mark.parametrize("library", METRIC)
@pytest.mark.parametrize("isolate", [False, True])
def test_it_reports_each_round_and_stops(library: str, isolate: bool) -> None:
    """A threshold stops each trial at its second round; it is stopped, though it returns normally."""
    full = METRIC[library]

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> dict[str, float]:
        trees = train(library, trial, {f"valid-{full}": "loss"}, config["eta"])
        assert trees == 2
        return {"loss": 0.0}  # what a trial returns that was told to stop does not count

    result = ts.tune(
        objective, ts.Space(eta=ts.Float(0.1, 0.5)), metric="loss", trials=2, isolate=isolate, seed=0,
        scheduler={"threshold": {"worst": 1e-9, "after": 2}}, progress=False,
    )  # fmt: skip
    assert [trial.state for trial in result.trials] == [ts.State.STOPPED] * 2
    for trial in result.trials:
        assert [report.step for report in result.ledger.curves.of(trial.number)] == [1, 2]
        assert trial.metrics["loss"] > 0


@pytest.mark.parametrize("library", METRIC)
def test_whole_runs_and_the_last_data_set(library: str) -> None:
    full = METRIC[library]

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> dict[str, float]:
        assert train(library, trial, full, config["eta"]) == ROUNDS
        return {full: 0.5}

    result = ts.tune(objective, {"eta": 0.3}, metric=full, trials=1, progress=False)
    assert result.best.value == 0.5
    assert len(result.ledger.curves.of(0)) == ROUNDS


@pytest.mark.parametrize("library", METRIC)
def test_alone_it_does_nothing(library: str) -> None:
    assert train(library, None, METRIC[library]) == ROUNDS


@pytest.mark.parametrize("library", METRIC)
def test_a_metric_that_is_never_there(library: str) -> None:
    with pytest.raises(ConfigError, match=r"was not among the metrics of any step.*valid-"):
        train(library, None, "valid-lossy")


PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from tests.integrations.test_boosting import train
train("xgboost", None, {{"valid-logloss": "loss"}}, float(sys.argv[1]))
"""


def test_in_a_program_of_a_job(tmp_path: Path) -> None:
    """The callback finds its study by the environment."""
    (tmp_path / "train.py").write_text(PROGRAM.format(root=str(Path(__file__).parents[2])))
    job = tmp_path / "job.yaml"
    job.write_text(
        f"name: boost\ncommand: [{sys.executable}, train.py, '{{eta}}']\nobjective: {{metric: loss, goal: minimize}}\n"
        "space:\n  eta: {float: [0.1, 0.5]}\nlimits: {trials: 1}\nstorage: s.db\n"
    )
    result = run_job(load_job(job))
    assert len(result.ledger.curves.of(0)) == ROUNDS
    assert result.best.metrics["loss"] > 0
