"""Scripts for other tools, with the one or two lines changed that the guides show."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tunesmith as ts

for needed in ("optuna", "lightning", "wandb"):
    pytest.importorskip(needed, reason="runs in the environment 'libraries' (tools/check)")

SCRIPTS = Path(__file__).parents[3] / "examples" / "others"


def run(folder: Path, *words: str) -> str:
    for file in SCRIPTS.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ, "WANDB_MODE": "offline", "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "name", ["optuna_script.py", "sklearn_script.py", "lightning_script.py", "wandb_train.py"]
)
def test_one_or_two_lines_beside_the_import_are_changed(name: str) -> None:
    lines = (SCRIPTS / name).read_text().splitlines()
    assert 1 <= sum("# was" in line for line in lines) <= 2
    assert sum("tunesmith" in line and "import" in line for line in lines) == 1


def test_a_script_for_optuna(tmp_path: Path) -> None:
    import optuna

    assert float(run(tmp_path, sys.executable, "optuna_script.py").split()[0]) > 0.9
    (trials,) = [
        optuna.load_study(study_name="wine", storage=f"sqlite:///{tmp_path}/optuna.db").trials
    ]
    assert len(trials) == 20
    assert any("tunesmith:suggested" in trial.system_attrs for trial in trials)


def test_a_script_for_scikit_learn(tmp_path: Path) -> None:
    assert float(run(tmp_path, sys.executable, "sklearn_script.py").split()[0]) > 0.9


def test_a_script_for_lightning(tmp_path: Path) -> None:
    run(tmp_path, sys.executable, "lightning_script.py")  # alone
    (tmp_path / "model.ckpt").unlink()
    (tmp_path / "job.yaml").write_text(
        f"name: net\ncommand: [{sys.executable}, lightning_script.py, --lr, '{{lr}}']\n"
        "objective: {metric: val_loss, goal: minimize}\nspace: {lr: {float: [1e-4, 0.1], log: true}}\n"
        "limits: {trials: 2}\nstorage: s.db\n"
    )
    run(tmp_path, sys.executable, "-m", "tunesmith", "run", "job.yaml", "--plain")
    with ts.Study.open(storage=tmp_path / "s.db") as study:
        ledger = study.result().ledger
        assert [str(t.state) for t in study.trials] == ["completed"] * 2
        assert [report.step for report in ledger.curves.of(0)] == [1, 2, 3]


def test_a_sweep_of_wandb(tmp_path: Path) -> None:
    run(
        tmp_path,
        sys.executable,
        "-m",
        "tunesmith",
        "run",
        "wandb_sweep.yaml",
        "--plain",
        "--storage",
        "s.db",
    )
    with ts.Study.open(storage=tmp_path / "s.db") as study:
        assert [str(t.state) for t in study.trials] == ["completed"] * 3
        assert study.best.value == min(t.value for t in study.trials if t.value is not None)
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 3
