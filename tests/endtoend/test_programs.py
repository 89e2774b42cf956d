"""Programs that Debian ships are tuned as they are: what they print says that every word reached them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts

PROGRAMS = Path(__file__).parents[2] / "examples" / "programs"
TUNESMITH = Path(sys.executable).with_name("tunesmith")


def need(program: str, package: str) -> None:
    """Install the Debian package of a program that is missing, where that is possible."""
    if shutil.which(program) is None and shutil.which("apt-get") and os.getuid() == 0:
        command = ["apt-get", "install", "--yes", "--no-install-recommends", package]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, env=environment, capture_output=True, timeout=100, check=False)
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}: apt install {package}")


def tuned(folder: Path, name: str, trials: int = 6) -> list[dict[str, Any]]:
    """The trials of an example, all of them completed; `replay` proves the study, and `best` has its command."""
    run = subprocess.run(
        [TUNESMITH, "run", PROGRAMS / name / "job.yaml", "--trials", str(trials), "--json"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    events = [json.loads(line) for line in run.stdout.splitlines()]
    ended = [event for event in events if event["event"] == "trial"]
    assert len(ended) == trials
    assert {event["state"] for event in ended} <= {"completed", "stopped"}, ended
    shown = subprocess.run(
        [TUNESMITH, "replay"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert "proven" in shown.stdout
    return sorted(ended, key=lambda event: int(event["number"]))


def command(folder: Path, number: int) -> str:
    with ts.Study.open(storage=folder / "tunesmith.db") as study:
        line = study.command(number)
    assert line is not None
    return line


def test_svm(tmp_path: Path) -> None:
    need("svm-train", "libsvm-tools")
    for trial in tuned(tmp_path, "svm"):
        assert 40 < trial["value"] <= 100
        config, line = trial["config"], command(tmp_path, trial["number"])
        assert ("-g" in line) == ("gamma" in config)
        assert f"-h {int(config['shrinking'])} rings.txt" in line


def test_zstd(tmp_path: Path) -> None:
    need("zstd", "zstd")
    for trial in tuned(tmp_path, "zstd"):
        packed = tmp_path / "tunesmith.trials" / "zstd" / f"{trial['number']:06d}" / "text.zst"
        assert packed.stat().st_size == trial["value"]
        listed = subprocess.run(["zstd", "-lv", packed], capture_output=True, text=True, check=True)
        assert ("XXH64" in listed.stdout) == trial["config"]["check"]
        line, long = command(tmp_path, trial["number"]), trial["config"]["long"]
        assert ("--long" in line) == (long is not None)
        assert "[" not in line


def test_gcc(tmp_path: Path) -> None:
    need("gcc", "gcc")
    for trial in tuned(tmp_path, "gcc", 4):
        assert trial["metrics"]["size"] > 1000
        config, line = trial["config"], command(tmp_path, trial["number"])
        assert config["level"] in line.split()
        assert ("--param" in line) == (config["level"] in ("-O2", "-O3"))
        assert ("-march=native" in line) == config["native"]
        assert "[" not in line


def test_gpt(tmp_path: Path) -> None:
    for trial in tuned(tmp_path, "gpt"):
        steps = [report["step"] for report in trial["reports"]]
        assert steps == list(range(0, 10 * len(steps), 10))
        assert 1 < trial["reports"][-1]["val_loss"] < 30
        assert f"--decay_lr={trial['config']['decay_lr']} " in command(tmp_path, trial["number"])


def test_ppo(tmp_path: Path) -> None:
    for trial in tuned(tmp_path, "ppo", 3):
        output = tmp_path / "tunesmith.trials" / "ppo" / f"{trial['number']:06d}" / "output.log"
        returns = [int(line.rpartition("=")[2]) for line in output.read_text().splitlines()]
        assert trial["value"] == pytest.approx(sum(returns[-20:]) / 20)
        flag = "--anneal-lr" if trial["config"]["anneal_lr"] else "--no-anneal-lr"
        assert flag in command(tmp_path, trial["number"]).split()
