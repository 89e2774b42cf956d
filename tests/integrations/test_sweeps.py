"""Sweep files of W&B, Katib and NNI as jobs, which say what they cannot keep."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.errors import JobError
from tunesmith.integrations import katib, nni, wandb
from tunesmith.integrations.sweep_files import load
from tunesmith.tuning.job import load_job, run_job

WANDB = """
program: train.py
method: bayes
name: my sweep
project: p
metric: {name: loss, goal: minimize}
run_cap: 3
early_terminate: {type: hyperband, min_iter: 3}
command: [PYTHON, "${program}", "${args}"]
parameters:
  learning-rate: {distribution: log_uniform_values, min: 1e-5, max: 0.1}
  decay: {distribution: log_uniform, min: -3, max: 0}
  layers: {min: 1, max: 4}
  momentum: {min: 0.0, max: 0.9}
  kind: {values: [a, b], probabilities: [0.7, 0.3]}
  epochs: {value: 2}
  noise: {distribution: normal, mu: 1, sigma: 0.1}
  opt: {parameters: {beta: {distribution: q_uniform, min: 0, max: 1, q: 0.25}}}
"""
PROGRAM = """
import argparse, tunesmith
parser = argparse.ArgumentParser()
for name in ("learning-rate", "decay", "momentum", "noise", "opt.beta"):
    parser.add_argument("--" + name, type=float, required=True)
parser.add_argument("--layers", type=int); parser.add_argument("--kind"); parser.add_argument("--epochs", type=int)
arguments = parser.parse_args()
for epoch in range(arguments.epochs):
    tunesmith.report(loss=arguments.momentum + 1 / (epoch + 1))
"""


def test_a_sweep_of_wandb_runs(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(WANDB.replace("PYTHON", sys.executable))
    (tmp_path / "train.py").write_text(PROGRAM)
    said: list[str] = []
    job = wandb.read_sweep(
        tmp_path / "sweep.yaml", {"storage": str(tmp_path / "s.db")}, said.append
    )
    space = job.spec.space
    assert space["learning_rate"] == ts.Float(1e-5, 0.1, log=True)
    assert space["decay"] == ts.Float(math.exp(-3), 1.0, log=True)
    assert space["layers"] == ts.Int(1, 4)
    assert space["kind"] == ts.Choice("a", "b", prior=[0.7, 0.3])
    assert space["opt.beta"] == ts.Float(0, 1, step=0.25)
    assert space["noise"].prior == ts.Normal(1, 0.1)  # type: ignore[union-attr]
    assert job.spec.name == "my-sweep"
    assert any("project is not kept" in sentence for sentence in said)
    result = run_job(job)
    assert result.counts[ts.State.COMPLETED] + result.counts[ts.State.STOPPED] == 3
    assert result.counts[ts.State.FAILED] == 0


def test_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(WANDB.replace("PYTHON", sys.executable))
    (tmp_path / "train.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith", "run", "sweep.yaml"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "sweep.yaml: project is not kept" in done.stderr
    with ts.Study.open(storage=tmp_path / "tunesmith.db") as study:
        assert len(study.trials) == 3


KATIB = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: random-example, namespace: kubeflow}
spec:
  objective: {type: maximize, goal: 0.99, objectiveMetricName: accuracy, additionalMetricNames: [loss]}
  algorithm: {algorithmName: random}
  parallelTrialCount: 1
  maxTrialCount: 2
  maxFailedTrialCount: 3
  parameters:
    - {name: lr, parameterType: double, feasibleSpace: {min: "0.01", max: "0.05"}}
    - {name: num-layers, parameterType: int, feasibleSpace: {min: "1", max: "5"}}
    - {name: optimizer, parameterType: categorical, feasibleSpace: {list: [sgd, adam]}}
  trialTemplate:
    primaryContainerName: main
    trialParameters:
      - {name: learningRate, reference: lr}
      - {name: layers, reference: num-layers}
      - {name: optimizer, reference: optimizer}
    trialSpec:
      kind: Job
      spec: {template: {spec: {containers: [{name: main, image: "docker.io/x", command: [PYTHON, -c,
        "import sys; print('accuracy=0.5'); print('loss=' + sys.argv[1])", "${trialParameters.learningRate}", "--layers=${trialParameters.layers}"]}]}}}
"""


def test_an_experiment_of_katib_runs(tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text(KATIB.replace("PYTHON", sys.executable))
    said: list[str] = []
    job = katib.read_sweep(
        tmp_path / "experiment.yaml", {"storage": str(tmp_path / "s.db")}, said.append
    )
    assert job.spec.space["num_layers"] == ts.Int(1, 5)
    assert job.spec.limits.target == 0.99
    assert any("docker.io/x is not used" in sentence for sentence in said)
    assert any("maxFailedTrialCount is not kept" in sentence for sentence in said)
    result = run_job(job)
    assert result.counts[ts.State.COMPLETED] == 2
    assert result.best.metrics["loss"] == result.best.config["lr"]


NNI = """
experimentName: example
searchSpace:
  lr: {_type: loguniform, _value: [0.0001, 0.1]}
  units: {_type: randint, _value: [4, 8]}
  layer:
    _type: choice
    _value: [{_name: Empty}, {_name: Conv, size: {_type: choice, _value: [3, 5]}}]
trialCommand: PYTHON train.py
trialConcurrency: 1
maxTrialNumber: 3
tuner: {name: TPE, classArgs: {optimize_mode: maximize}}
trainingService: {platform: local}
"""


def test_an_experiment_of_nni_runs(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(NNI.replace("PYTHON", sys.executable))
    (tmp_path / "train.py").write_text(
        "import sys, tunesmith\ntunesmith.report(default=float(sys.argv[sys.argv.index('--lr') + 1]))\n"
    )
    said: list[str] = []
    job = nni.read_sweep(tmp_path / "config.yaml", {"storage": str(tmp_path / "s.db")}, said.append)
    assert job.spec.space["units"] == ts.Int(4, 7)
    assert job.spec.space["layer.size"].when == {"layer": "Conv"}
    assert any("trainingService is not kept" in sentence for sentence in said)
    result = run_job(job)
    assert result.counts[ts.State.COMPLETED] == 3
    assert result.best.value == max(trial.config["lr"] for trial in result.trials)


def test_whose_file_it_is(tmp_path: Path) -> None:
    """Each is read once, and what is not a sweep is a job file, with that one's errors."""
    path = tmp_path / "file.yaml"
    spaces = {WANDB: "learning_rate", KATIB: "num_layers", NNI: "units"}
    for text, name in spaces.items():
        path.write_text(text)
        said: list[str] = []
        assert name in load(path, say=said.append).spec.space
        assert said
    (tmp_path / "space.json").write_text('{"lr": {"_type": "uniform", "_value": [0, 1]}}')
    path.write_text("searchSpaceFile: space.json\ntrialCommand: x\nmaxTrialNumber: 2\n")
    assert load(path, say=said.append).spec.space["lr"] == ts.Float(0, 1)
    path.write_text("command: x {a}\nspace: {a: {float: [0, 1]}}\nobjective: {metric: l}\n")
    assert load(path, {"trials": 3}).spec.limits.trials == 3
    for text in ("a: [", "[1]", "command: x\n"):
        path.write_text(text)
        with pytest.raises(ts.JobError, match=r"file\.yaml:1: ") as ours:
            load(path)
        with pytest.raises(ts.JobError) as theirs:
            load_job(path)
        assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("program: x.py\nparameters: {a: {values: [1, 2]}}\n", "metric: a job needs one"),
        (
            "program: x.py\nmetric: {name: l}\nparameters: {a: {distribution: beta, min: 0, max: 1}}\n",
            "distribution 'beta'",
        ),
        (
            "program: x.py\nmetric: {name: l}\nmethod: custom\nparameters: {a: {values: [1, 2]}}\n",
            "method 'custom'",
        ),
        (
            "program: x.py\nmetric: {name: l}\nparameters: {a: {min: x, max: 2}}\n",
            "a: a range is two numbers",
        ),
    ],
)
def test_what_is_no_job(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(ts.JobError, match=message):
        wandb.read_sweep(tmp_path / "sweep.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("searchSpaceFile: no.json", "searchSpaceFile: there is no file .*no.json"),
        ("searchSpaceFile: list.json", r"searchSpaceFile: .*list.json: a mapping is needed"),
        ("searchSpaceFile: .", "searchSpaceFile: .* cannot be read"),
        ("searchSpaceFile: binary.json", "searchSpaceFile: .*binary.json cannot be read"),
        ("{_type: uniform, _value: [1]}", r"a: _value of uniform is 2 numbers, not \[1\]"),
        ("{_type: normal, _value: [1]}", r"a: _value of normal is 2 numbers, not \[1\]"),
        ("{_type: quniform, _value: [0, 1]}", "a: _value of quniform is 3 numbers"),
        ("{_type: randint}", "a: _value is a list, not None"),
        ("{_type: choice, _value: 3}", "a: _value is a list, not 3"),
        ("{_type: beta, _value: [1]}", "a: there is no _type 'beta'"),
        ("0.1", "a: _type and _value are needed, not 0.1"),
        ("{_type: choice, _value: [{_name: x}, {b: 1}]}", "a: each choice has a _name"),
    ],
)
def test_what_is_no_experiment_of_nni(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\xff")
    space = text if text.startswith("searchSpaceFile") else f"searchSpace: {{a: {text}}}"
    (tmp_path / "config.yaml").write_text(f"{space}\ntrialCommand: x\n")
    with pytest.raises(ts.JobError, match=rf"config\.yaml: {message}"):
        nni.read_sweep(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: lr, parameterType", "parameterType", r"spec\.parameters\[0\]: each has a name"),
        ("{name: layers, reference: num-layers}", "{reference: lr}", r"trialParameters\[1\]: each has a name"),
        ("{name: layers, reference: num-layers}", "layers", r"trialParameters\[1\]: each has a name"),
    ],
)  # fmt: skip
def test_what_is_no_experiment_of_katib(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in KATIB
    (tmp_path / "experiment.yaml").write_text(KATIB.replace(old, new))
    with pytest.raises(ts.JobError, match=rf"experiment\.yaml: .*{message}"):
        katib.read_sweep(tmp_path / "experiment.yaml")


SAGEMAKER = {
    "HyperParameterTuningJobName": "digits",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {"Name": "learning-rate", "MinValue": "0.0001", "MaxValue": "0.1"}
            ],
            "IntegerParameterRanges": [
                {"Name": "n", "MinValue": "1", "MaxValue": "4", "ScalingType": "Linear"}
            ],
            "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", '"b c"', r'"\"d\""']}],
        },
        "RandomSeed": 3,
    },
    "TrainingJobDefinition": {
        "AlgorithmSpecification": {
            "TrainingImage": "somewhere/image:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+);"}],
        },
        "StaticHyperParameters": {
            "sagemaker_program": '"train.py"',
            "epochs": "2",
            "word": '"{x}"',
        },
        "RoleArn": "arn:aws:iam::1:role/x",
        "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    },
}


def test_a_tuning_request_of_sagemaker_runs(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--learning-rate', type=float)\n"
        "p.add_argument('-n', type=int)\np.add_argument('--kind')\np.add_argument('--epochs', type=int)\n"
        "p.add_argument('--word')\na = p.parse_args()\nassert a.kind in ('a', 'b c', 'd') and a.epochs == 2 and a.word == '{x}'\n"
        "print(f'score={a.n};')\n"
    )
    path = tmp_path / "request.json"
    path.write_text(json.dumps(SAGEMAKER))
    said: list[str] = []
    job = load(path, {"storage": str(tmp_path / "s.db")}, said.append)
    assert job.spec.space["kind"] == ts.Choice("a", "b c", "d")
    result = run_job(job)
    assert [t.value for t in result.trials] == [t.config["n"] for t in result.trials]
    assert len(result.trials) == 3
    assert result.ledger.spec.first_objective.goal == "maximize"
    assert result.ledger.spec.space["learning_rate"].log is True  # type: ignore[union-attr]
    assert result.ledger.spec.limits.trial_time == 600
    assert any("somewhere/image:1 is not used" in line for line in said)
    assert any("OutputDataConfig is not kept" in line for line in said)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"TrainingJobDefinitions": [{}]}, "a job has one definition"),
        ({"TrainingJobDefinition": {}}, "no sagemaker_program"),
        ({"TrainingJobDefinition": None}, "has one, not None"),
    ],
)
def test_what_is_no_request_of_sagemaker(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps({**SAGEMAKER, **change}))
    with pytest.raises(JobError, match=message):
        load(path)
