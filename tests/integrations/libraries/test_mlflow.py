"""A study in MLflow: a run for it, one inside for each trial, with the real client and store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts

pytest.importorskip("mlflow", reason="runs in the environment 'libraries' (tools/check)")

from mlflow.tracking import MlflowClient

from tunesmith.integrations.azure import read_sweep
from tunesmith.integrations.mlflow import MlflowLogger
from tunesmith.tuning.job import run_job

pytestmark = pytest.mark.filterwarnings("ignore")
SPACE = ts.Space(x=ts.Float(0, 1), kind=ts.Choice("a", [1, 2]))


def objective(config: dict[str, Any], trial: ts.LiveTrial) -> dict[str, float]:
    if trial.number == 2:
        raise ArithmeticError("no")
    for step in (1, 2, 3):
        trial.report(step=step, loss=config["x"] + (10 if trial.number == 3 else 1) / step)
    return {"loss": config["x"], "size": 7.0}


def tuned(folder: Path, trials: int, **options: Any) -> tuple[ts.Result, Any, list[Any]]:
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    result = ts.tune(
        objective, SPACE, metric="loss", trials=trials, seed=0, name="digits", storage=str(folder / "s.db"), progress=False,
        scheduler={"threshold": {"worst": 5}}, loggers=[MlflowLogger(tracking_uri=uri, experiment="e")], **options,
    )  # fmt: skip
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    return result, client, runs


@pytest.mark.parametrize("parallel", [1, 2])
def test_runs_inside_a_run(tmp_path: Path, parallel: int) -> None:
    result, client, runs = tuned(tmp_path, 5, parallel=parallel)
    (parent,) = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    assert parent.info.run_name == "digits"
    assert parent.info.status == "FINISHED"
    children = {int(r.data.tags["tunesmith.trial"]): r for r in runs if r is not parent}
    assert sorted(children) == [0, 1, 2, 3, 4]
    for number, run in children.items():
        trial = result.trials[number]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["tunesmith.state"] == str(trial.state)
        assert run.data.params.keys() == trial.config.keys()
        assert float(run.data.params["x"]) == trial.config["x"]
        if trial.state is ts.State.COMPLETED:
            assert run.data.metrics == {"loss": trial.metrics["loss"], "size": 7.0}
            steps = [m.step for m in client.get_metric_history(run.info.run_id, "loss")]
            assert sorted(set(steps)) == [1, 2, 3]
    assert {children[2].info.status, children[3].info.status, children[0].info.status} == {
        "FAILED",
        "KILLED",
        "FINISHED",
    }


def test_a_resumed_study_goes_on_with_its_runs(tmp_path: Path) -> None:
    tuned(tmp_path, 2)
    _, _, runs = tuned(tmp_path, 4)
    assert len(runs) == 5
    assert {r.info.status for r in runs} <= {"FINISHED", "FAILED", "KILLED"}


def test_a_study_anew_is_not_taken_for_one_that_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the same name and seed, in another storage."""
    tuned(tmp_path, 2)
    (tmp_path / "s.db").unlink()
    _, _, runs = tuned(tmp_path, 4)
    assert "has another study 'digits'" in capsys.readouterr().err
    assert len(runs) == 3
    assert {r.info.status for r in runs} <= {"FINISHED", "FAILED", "KILLED"}


def test_a_server_that_is_gone_ends_no_study(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Broken(MlflowLogger):
        def start(self, trial: ts.Trial) -> None:
            raise ConnectionError("the server is gone")

    logger = Broken(tracking_uri=f"sqlite:///{tmp_path / 'm.db'}")
    result = ts.tune(
        objective, SPACE, metric="loss", trials=2, seed=0, progress=False, loggers=[logger]
    )
    assert result.counts[ts.State.COMPLETED] == 2
    assert (
        capfd.readouterr().err.count(
            "Broken gets nothing more of this study: ConnectionError: the server is gone"
        )
        == 1
    )


def test_what_a_program_logs_is_a_trials_metric(tmp_path: Path) -> None:
    """An Azure sweep's program logs to MLflow, and knows nothing of tunesmith."""
    (tmp_path / "train.py").write_text(
        "import sys, mlflow\nfor k in range(3): mlflow.log_metric('val loss', float(sys.argv[1]) + k)\n"
    )
    (tmp_path / "sweep.yaml").write_text(
        f"type: sweep\ntrial: {{command: '{sys.executable} train.py ${{{{search_space.x}}}}'}}\n"
        "search_space: {x: {type: uniform, min_value: 0, max_value: 1}}\nsampling_algorithm: random\n"
        "objective: {primary_metric: val loss, goal: minimize}\nlimits: {max_total_trials: 2, max_concurrent_trials: 2}\n"
    )
    job = read_sweep(tmp_path / "sweep.yaml", {"storage": str(tmp_path / "s.db")}, lambda _: None)
    result = run_job(job)
    assert result.counts[ts.State.COMPLETED] == 2, [t.reason for t in result.trials]
    for trial in result.trials:
        curve = [(r.step, r.metrics["val loss"]) for r in trial.reports]
        assert curve == [(k, trial.config["x"] + k) for k in range(3)]
