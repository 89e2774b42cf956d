"""Hydra's program, as its users write it, with our sweeper."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tunesmith as ts

pytest.importorskip("hydra", reason="runs in the environment 'libraries' (tools/check)")
yaml = pytest.importorskip("yaml")

PROGRAM = """
import hydra

@hydra.main(version_base=None, config_path=".", config_name="config")
def train(cfg):
    if cfg.db.name == "broken":
        raise ArithmeticError("broken")
    return abs(cfg.x - 1) + abs(cfg.n - 3) + (cfg.kind == "it's, b")

if __name__ == "__main__":
    train()
"""
CONFIG = """
defaults:
  - db: small
  - _self_
  - override hydra/sweeper: tunesmith
x: 0.5
n: 1
kind: a
hydra:
  sweeper: {n_trials: 8, n_jobs: 2, seed: 0, storage: s.db, study_name: t, params: {x: "interval(-5.0, 5.0)", n: "range(1, 6)"}}
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "train.py", "--multirun", "hydra.sweep.dir=out", *words],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "db").mkdir()
    for name in ("small", "broken"):
        (tmp_path / "db" / f"{name}.yaml").write_text(f"name: {name}\n")
    return tmp_path


def test_a_sweep(folder: Path) -> None:
    words = ["db=small,broken", r"kind=a,'it\'s, b'"]
    done = run(folder, *words)
    assert done.returncode == 0, done.stderr
    with ts.Study.open(storage=folder / "s.db") as study:
        trials = list(study.trials)
        assert len(trials) == 8
        for trial in trials:
            state = ts.State.FAILED if trial.config["db"] == "broken" else ts.State.COMPLETED
            assert trial.state is state, trial
            assert isinstance(trial.config["n"], int)
            if trial.value is not None:
                far = abs(trial.config["x"] - 1) + abs(trial.config["n"] - 3)
                assert trial.value == pytest.approx(far + (trial.config["kind"] != "a"))
        best = study.best
    found = yaml.safe_load((folder / "out" / "optimization_results.yaml").read_text())
    assert found["best"][0]["values"] == [best.value]
    assert float(found["best"][0]["params"]["x"]) == best.config["x"]

    again = run(folder, *words, "hydra.sweeper.n_trials=10")
    assert again.returncode == 0, again.stderr
    with ts.Study.open(storage=folder / "s.db") as study:
        assert len(study.trials) == 10


def test_where_all_fail_it_says_why(folder: Path) -> None:
    done = run(folder, "db=broken", "hydra.sweeper.n_trials=2", "hydra.sweeper.storage=null")
    assert done.returncode != 0
    assert "ArithmeticError: broken" in done.stderr + done.stdout
