"""SageMaker's clients, a service whose studies are in PostgreSQL, and trainings on a Ray cluster of three nodes."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from tests.clusters.nodes import Nodes
from tests.postgres import server
from tests.service.sagemaker.clients import Cloud, config, definition, until

from tunesmith.tuning.study import Study


def test_trainings_on_its_nodes(
    three_nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the request to the model; stopped; and none is lost with a node, or with the service."""
    (tmp_path / "token").write_text(os.environ["RAY_AUTH_TOKEN"])
    (tmp_path / "token").chmod(0o600)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = {"ray": {"address": three_nodes.address}}
    cloud = Cloud(tmp_path, server().url(), executor=place, resources={"cpu": 1})
    try:
        cloud.tune("clustered", definition(), config(6, 3))
        until(lambda: cloud.trainings("clustered"))
        three_nodes.kill(three_nodes.alive()[-1])
        cloud.service.stop()
        cloud.service.start()
        shown = cloud.over("clustered")
        assert shown["HyperParameterTuningJobStatus"] == "Completed", shown
        assert shown["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}
        best = cloud.training(shown["BestTrainingJob"]["TrainingJobName"])
        model = best["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://bucket/")
        with tarfile.open(cloud.bucket / model) as packed:
            assert packed.getnames() == ["weights.json"]
        with Study.open("clustered", storage=cloud.service.url(cloud.service.token())) as study:
            assert [len(trial.reports) >= 3 for trial in study.trials] == [True] * 6
        cloud.tune("halted", definition(StaticHyperParameters={"waits": "1"}), config(2, 1))
        until(lambda: cloud.trainings("halted", StatusEquals="InProgress"))
        cloud.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")
        assert cloud.over("halted")["HyperParameterTuningJobStatus"] == "Stopped"
    finally:
        cloud.close()
        three_nodes.add()
