"""A sweep job of Azure's, unchanged, on a Ray cluster of three nodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.program import tunesmith
from tests.clusters.nodes import Nodes

import tunesmith as ts
from tunesmith.core.trial import State

SWEEP = """\
$schema: https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json
type: sweep
trial:
  code: src
  command: python train.py --data ${{inputs.data}} --lr ${{search_space.lr}} --kind "${{search_space.kind}}" --out ${{outputs.model}}
  environment: azureml:sklearn@latest
inputs:
  data: {type: uri_file, path: data.csv}
outputs:
  model:
compute: azureml:cpu-cluster
sampling_algorithm: {type: random, seed: 7}
search_space:
  lr: {type: uniform, min_value: 0.0, max_value: 1.0}
  kind: {type: choice, values: [plain, "a b"]}
objective: {goal: Minimize, primary_metric: loss}
early_termination: POLICY
limits: {max_total_trials: 6, max_concurrent_trials: 3}
display_name: hello
"""
PROGRAM = """
import argparse, os, pathlib, sys, time, tunesmith
parser = argparse.ArgumentParser()
for name in ("data", "lr", "kind", "out"):
    parser.add_argument("--" + name, required=True)
a = parser.parse_args()
for name, value in {"lr": a.lr, "kind": a.kind, "data": a.data, "model": a.out}.items():
    assert os.environ["AZUREML_SWEEP_" + name] == value, (name, value)
pathlib.Path(a.out, "model").write_text(pathlib.Path(a.data).read_text())
print("parent of", os.getpid(), flush=True)
# the first trials are good, so that what comes later is judged by them
loss = 10.0 * int(os.environ["TUNESMITH_TRIAL"]) + float(a.lr) if "TUNESMITH_TRIAL" in os.environ else float(a.lr)
for epoch in range(1, 6):
    tunesmith.report(loss=loss + 1 / epoch)
    time.sleep(0.05)
"""


@pytest.mark.parametrize(
    ("policy", "scheduler"),
    [
        ("{type: bandit, slack_factor: 0.01, evaluation_interval: 1, delay_evaluation: 1}", "bandit"),
        ("{type: median_stopping, evaluation_interval: 1, delay_evaluation: 1}", "median"),
        ("{type: truncation_selection, truncation_percentage: 50, evaluation_interval: 1, delay_evaluation: 1}", "truncation"),
    ],
)  # fmt: skip
def test_a_sweep_on_its_nodes(
    three_nodes: Nodes, tmp_path: Path, policy: str, scheduler: str
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(PROGRAM)
    (tmp_path / "data.csv").write_text("1,2")
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("POLICY", policy))
    said = tunesmith(tmp_path, "run", "sweep.yaml", "--on", "ray", "--address", three_nodes.address, "--plain")  # fmt: skip
    assert said.code == 0, said
    with ts.Study.open("hello", storage=next(tmp_path.glob("*.db"))) as study:
        assert study.spec.scheduler is not None
        assert study.spec.scheduler.name == scheduler
        trials = list(study.trials)
        assert len(trials) == 6
        assert {t.state for t in trials} <= {State.COMPLETED, State.STOPPED}, [
            t.reason for t in trials
        ]
        assert any(t.state is State.STOPPED for t in trials)
        assert all(abs(t.reports[0].metrics["loss"] % 10.0 - t.config["lr"] - 1.0) < 1e-9 for t in trials)  # fmt: skip
    assert [p.read_text() for p in tmp_path.rglob("model") if p.is_file()][:1] == ["1,2"]
