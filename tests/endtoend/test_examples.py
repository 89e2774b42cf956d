"""The examples run as they stand (with fewer trials)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.postgres import server

import tunesmith as ts

EXAMPLES = Path(__file__).parents[2] / "examples"
TUNESMITH = Path(sys.executable).with_name("tunesmith")


@pytest.mark.parametrize(
    ("name", "trials"), [("digits", 4), ("digits-epochs", 6), ("any-program", 6)]
)
def test_job(tmp_path: Path, name: str, trials: int) -> None:
    job = EXAMPLES / name / "job.yaml"
    command = [str(TUNESMITH), "run", str(job), "--trials", str(trials), "--json"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    *told, end = [json.loads(line) for line in run.stdout.splitlines()]
    ended = [line for line in told if line["event"] == "trial"]
    assert sorted(line["number"] for line in ended) == list(range(trials))
    assert end["why"] == "trials"
    assert end["best"]["value"] is not None
    assert end["best"]["reports"], "the metric is seen step by step"
    shown = subprocess.run(
        [TUNESMITH, "replay"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "proven" in shown.stdout


def test_many_hands(tmp_path: Path) -> None:
    """The scripts for clusters: what they call is there, and tasks of an array share a study."""
    script = EXAMPLES / "slurm" / "digits.sh"
    environment = {
        **os.environ,
        "PATH": f"{TUNESMITH.parent}{os.pathsep}{os.environ['PATH']}",
        "TUNESMITH_STORAGE": server().url(trials=str(tmp_path / "trials")),
        "SLURM_CPUS_PER_TASK": "1",
    }
    short = tmp_path / "digits.sh"  # 30 trials would take too long
    short.write_text(script.read_text().replace("--join", "--join --trials 4"))
    tasks = [
        subprocess.Popen(
            ["bash", short], cwd=EXAMPLES.parent, env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [task.communicate(timeout=200)[0] for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], outputs
    with ts.Study.open("digits", storage=environment["TUNESMITH_STORAGE"]) as study:
        assert [trial.state for trial in study.trials] == ["completed"] * 4
    manifest = YAML(typ="safe").load(EXAMPLES / "kubernetes" / "digits.yaml")
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    program, command, job, *options = container["command"]
    assert (program, command) == ("tunesmith", "run")
    assert (EXAMPLES.parent / job).exists()
    shown = subprocess.run(
        [TUNESMITH, "run", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "COLUMNS": "200"},
    )
    assert all(option in shown.stdout for option in options if option.startswith("--"))


def test_function(tmp_path: Path) -> None:
    script = EXAMPLES / "function" / "tune.py"
    run = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "best R^2 0.4" in run.stdout
    assert "model = " in run.stdout


def test_table(tmp_path: Path) -> None:
    script = EXAMPLES / "table" / "write_tumours.py"
    subprocess.run([sys.executable, script, "tumours.csv"], cwd=tmp_path, check=True)
    options = ["--target", "diagnosis", "--trials", "2", "--algorithms", "linear", "--json"]
    command = [str(TUNESMITH), "fit", "tumours.csv", *options]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    model = json.loads(run.stdout.splitlines()[-1])
    assert model["classes"] == ["benign", "malignant"]
    assert model["scores"]["accuracy"] > 0.95
    assert (tmp_path / model["path"] / "report.html").exists()
