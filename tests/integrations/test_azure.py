"""Sweep jobs of Azure's as jobs: what they mean, what needs Azure, and where a mistake is."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.integrations import azure
from tunesmith.integrations.sweep_files import load
from tunesmith.tuning.job import Job, run_job

SWEEP = """\
$schema: https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json
type: sweep
trial:
  code: src
  command: >-
    python train.py --data ${{inputs.data}} --epochs ${{ inputs.epochs }}
    --lr ${{search_space.lr}} --kind "${{search_space.kind}}" --name 'n-${{search_space.units}}-{x}' --out ${{outputs.model}}
  environment: azureml:sklearn@latest
  environment_variables: {GREETING: "it's {me}"}
inputs:
  data: {type: uri_file, path: data.csv}
  epochs: 3
  elsewhere: {type: uri_folder, path: "azureml:cifar:1"}
outputs:
  model:
compute: azureml:cpu-cluster
sampling_algorithm: {type: random, rule: sobol, seed: 7}
search_space:
  lr: {type: loguniform, min_value: -6.9, max_value: 0}
  kind: {type: choice, values: [plain, "it's a \\"$HOME\\" {x}"]}
  units: {type: randint, upper: 8}
objective: {goal: Minimize, primary_metric: val loss}
early_termination: {type: bandit, slack_factor: 0.1, evaluation_interval: 2, delay_evaluation: 5}
limits: {max_total_trials: 4, max_concurrent_trials: 2, timeout: 7200, trial_timeout: 600}
display_name: hello sweep
experiment_name: hello
description: it says hello
"""
PROGRAM = """
import argparse, os, pathlib, tunesmith
parser = argparse.ArgumentParser()
for name in ("data", "epochs", "lr", "kind", "name", "out"):
    parser.add_argument("--" + name, required=True)
a = parser.parse_args()
for name, value in {"lr": a.lr, "kind": a.kind, "epochs": "3", "data": a.data, "model": a.out}.items():
    assert os.environ["AZUREML_SWEEP_" + name] == value, (name, value)
assert a.name == "n-%s-{x}" % os.environ["AZUREML_SWEEP_units"], a.name
assert os.environ["GREETING"] == "it's {me}"
assert a.kind in ("plain", 'it\\'s a "$HOME" {x}'), a.kind
pathlib.Path(a.out, "model").write_text(pathlib.Path(a.data).read_text())
for epoch in range(int(a.epochs)):
    tunesmith.report(**{"val loss": float(a.lr) / (epoch + 1)})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(PROGRAM)
    (tmp_path / "data.csv").write_text("a,b\n")
    (tmp_path / "sweep.yaml").write_text(
        SWEEP.replace("python train.py", f"{sys.executable} train.py")
    )
    return tmp_path


def read(folder: Path, text: str, said: list[str] | None = None) -> Job:
    (folder / "sweep.yaml").write_text(text)
    return azure.read_sweep(
        folder / "sweep.yaml", say=(lambda _: None) if said is None else said.append
    )


def test_a_sweep_runs(folder: Path) -> None:
    said: list[str] = []
    job = azure.read_sweep(folder / "sweep.yaml", {"storage": str(folder / "s.db")}, said.append)
    spec = job.spec
    assert spec.name == "hello-sweep"
    assert spec.space["lr"] == ts.Float(math.exp(-6.9), 1.0, log=True)
    assert spec.space["units"] == ts.Int(0, 7)
    assert (spec.seed, spec.searcher.name) == (7, "sobol")
    assert spec.scheduler is not None
    assert spec.scheduler.name == "bandit"
    assert spec.scheduler.options == {"factor": 0.1, "every": 2, "delay": 5}
    limits = spec.limits
    assert (limits.trials, limits.parallel, limits.time, limits.trial_time) == (4, 2, 7200, 600)
    for sentence in ("compute azureml:cpu-cluster needs Azure", "trial.environment needs Azure",
                     "inputs.elsewhere.path: azureml:cifar:1 needs Azure"):  # fmt: skip
        assert any(sentence in line for line in said), sentence
    result = run_job(job)
    assert result.counts[ts.State.COMPLETED] == 4, [t.reason for t in result.trials]
    assert result.best.value == min(t.config["lr"] for t in result.trials) / 3
    for number in range(4):
        assert (job.folder.trial(number) / "outputs" / "model" / "model").read_text() == "a,b\n"


def test_on_the_command_line(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith", "run", "sweep.yaml", "--trials", "1"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "sweep.yaml: compute azureml:cpu-cluster needs Azure" in done.stderr
    assert load(folder / "sweep.yaml", say=lambda _: None).spec.name == "hello-sweep"


@pytest.mark.parametrize(
    ("written", "parameter"),
    [
        ("{type: choice, values: [1, 2, 4]}", ts.Choice(1, 2, 4, ordered=True)),
        ("{type: choice, values: [4, 1, 2]}", ts.Choice(4, 1, 2)),
        ("{type: choice, values: [true, false]}", ts.Choice(True, False)),
        ("{type: choice, values: [[1, 2], [3]]}", ts.Choice([1, 2], [3])),
        ("{type: randint, upper: 1}", ts.Int(0, 0)),
        ("{type: uniform, min_value: 0.1, max_value: '1e-1'}", ts.Float(0.1, 0.1)),
        ("{type: quniform, min_value: 1, max_value: 10, q: 4}", ts.Int(4, 8, step=4)),
        ("{type: quniform, min_value: 0, max_value: 1, q: 0.1}", ts.Float(0, 1, step=0.1)),
        ("{type: quniform, min_value: -5, max_value: -2, q: 1}", ts.Int(-5, -2)),
        ("{type: qloguniform, min_value: 0, max_value: 5, q: 2}", ts.Int(2, 148, step=2, log=True)),
        ("{type: normal, mu: 10, sigma: 3}", ts.Float(1, 19, prior=ts.Normal(10, 3))),
        ("{type: qnormal, mu: 10, sigma: 3, q: 2}", ts.Int(2, 18, step=2, prior=ts.Normal(10, 3))),
        (
            "{type: lognormal, mu: 0, sigma: 1}",
            ts.Float(math.exp(-3), math.exp(3), log=True, prior=ts.Normal(1, math.e)),
        ),
        (
            "{type: qlognormal, mu: 0, sigma: 1, q: 0.5}",
            ts.Float(0.5, 20, step=0.5, log=True, prior=ts.Normal(1, math.e)),
        ),
    ],
)  # fmt: skip
def test_each_distribution(folder: Path, written: str, parameter: Any) -> None:
    text = SWEEP.replace("{type: loguniform, min_value: -6.9, max_value: 0}", written)
    assert read(folder, text).spec.space["lr"] == parameter


@pytest.mark.parametrize(
    ("written", "name", "options"),
    [
        ("{type: bandit, slack_amount: 0.2, slack_factor: 0}", "bandit", {"amount": 0.2}),
        ("{type: Median_Stopping, evaluation_interval: 0}", "median", {"spare": 0.0, "every": 1}),
        (
            "{type: truncation_selection, truncation_percentage: 20, delay_evaluation: 5, exclude_finished_jobs: true}",
            "truncation",
            {"percent": 20, "delay": 5},
        ),
    ],
)
def test_each_policy(folder: Path, written: str, name: str, options: dict[str, Any]) -> None:
    policy = "{type: bandit, slack_factor: 0.1, evaluation_interval: 2, delay_evaluation: 5}"
    scheduler = read(folder, SWEEP.replace(policy, written)).spec.scheduler
    assert scheduler is not None
    assert (scheduler.name, scheduler.options) == (name, options)


def test_what_is_left_out(folder: Path) -> None:
    said: list[str] = []
    short = SWEEP.replace("max_concurrent_trials: 2, ", "").replace("max_total_trials: 4, ", "")
    short = short.replace("{type: random, rule: sobol, seed: 7}", "bayesian").replace("early_", "#")
    spec = read(folder, short, said).spec
    assert (spec.limits.trials, spec.limits.parallel, spec.searcher.name) == (1000, 1, "auto")
    assert spec.scheduler is None
    assert any("without max_concurrent_trials one trial runs at a time" in line for line in said)
    assert any("bayesian sampling is the searcher auto" in line for line in said)


MISTAKES = [
    ("type: loguniform, min", "type: logunifrom, min", 19, "lr.type is choice or .*did you mean 'loguniform'"),
    ("max_value: 0}", "max: 0}", 19, "loguniform has no 'max'"),
    (", max_value: 0}", "}", 19, "loguniform needs min_value and max_value"),
    ("max_value: 0}", "max_value: 900}", 19, "are exponents"),
    ("max_value: 0}", "max_value: .nan}", 19, "max_value is a number, not nan"),
    ("max_value: 0}", "max_value: -9}", 19, "min_value -6.9 is above max_value -9"),
    ("lr: {type: loguniform, min_value: -6.9, max_value: 0}", "lr: 3", 19, "lr: write {type: uniform"),
    ("{type: loguniform, min_value: -6.9, max_value: 0}", "{type: choice, values: []}", 19, "a list of values"),
    ("{type: loguniform, min_value: -6.9, max_value: 0}", "{type: choice, values: [1, 1]}", 19, "1 is there twice"),
    ("{type: loguniform, min_value: -6.9, max_value: 0}", "{type: quniform, min_value: 1, max_value: 2, q: 7}", 19, "no multiple of q=7"),
    ("{type: loguniform, min_value: -6.9, max_value: 0}", "{type: normal, mu: 1, sigma: 0}", 19, "sigma is above 0"),
    ("upper: 8", "upper: 0", 21, "upper is a whole number of at least 1, not 0"),
    ("goal: Minimize", "goal: lower", 22, "objective.goal is minimize or maximize, not 'lower'"),
    ("primary_metric: val loss", "primary: x", 22, "a sweep needs a metric"),
    ("rule: sobol", "rule: halton", 17, "rule is random or sobol"),
    ("{type: random, rule: sobol, seed: 7}", "{type: grid, seed: 7}", 17, "grid has no 'seed'"),
    ("slack_factor: 0.1", "slack: 0.1", 23, "bandit has no 'slack'"),
    ("slack_factor: 0.1, ", "", 23, "bandit needs slack_factor or slack_amount"),
    ("delay_evaluation: 5", "delay_evaluation: -1", 23, "delay_evaluation is a whole number"),
    ("max_total_trials: 4", "max_trials: 4", 24, "there is no 'max_trials'.*max_total_trials"),
    ("timeout: 7200", "timeout: 2h", 24, "limits.timeout is a whole number of at least 1, not '2h'"),
    ("path: data.csv", "path: no.csv", 11, "inputs.data.path: there is no .*no.csv"),
    ("path: data.csv", "path: azureml:iris:1", 11, "inputs.data.path: azureml:iris:1 needs Azure"),
    ("path: data.csv", "path: https://example.com/a.csv", 11, "needs Azure, or the network"),
    ("code: src", "code: azureml:mine:1", 4, "trial.code: 'azureml:mine:1' needs Azure"),
    ("code: src", "code: nowhere", 4, "trial.code: there is no folder .*nowhere"),
    ("${{search_space.lr}}", "${{search_space.rate}}", 5, r"there is no \$\{\{search_space.rate\}\}"),
    ("${{search_space.lr}}", "{search_space.lr}", 5, "write .* for {search_space.lr}"),
    ("${{search_space.lr}}", "`echo ${{search_space.lr}}`", 5, "stands inside `"),
    ("  environment: azureml:sklearn@latest", "  resources: {instance_count: 2}", 8, "a trial of 2 processes or nodes needs Azure"),
    ("  environment: azureml:sklearn@latest", "  distribution: {type: pytorch, process_count_per_instance: 4}", 8, "needs Azure"),
    ("  model:", "  ../model:", 15, "'../model' is no name"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), MISTAKES)
def test_a_mistake_and_its_line(folder: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in SWEEP
    with pytest.raises(ts.JobError, match=rf"sweep\.yaml:{line}: .*{message}"):
        read(folder, SWEEP.replace(old, new))


GOOD = """type: sweep
search_space: {a: {type: uniform, min_value: 0, max_value: 1}}
objective: {primary_metric: l, goal: minimize}
sampling_algorithm: random
"""


@pytest.mark.parametrize(
    "text",
    [
        "type: sweep\n",
        "type: sweep\nsearch_space: [1]\n",
        "type: sweep\nsearch_space: {1: {type: uniform, min_value: 0, max_value: 1}}\ntrial: 3\n",
        f"{GOOD}trial: file:./train.yml\n",
        f"{GOOD}trial: {{}}\n",
        "type: sweep\nsearch_space: {a: {type: [], min_value: 0, max_value: 1}}\n",
        "type: sweep\nsearch_space: {a: {type: uniform, min_value: 0, max_value: 1e999}}\n",
        "type: sweep\nsearch_space: {a: null}\nlimits: 3\n",
    ],
)
def test_hostile_files_are_refused_with_their_line(folder: Path, text: str) -> None:
    with pytest.raises(ts.JobError, match=r"sweep\.yaml:\d+: "):
        read(folder, text)
