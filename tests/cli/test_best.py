"""`tunesmith best`: the job's own command with the best values, and several objectives."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from tests.cli.program import tunesmith
from tests.tuning.jobs import write_job

import tunesmith as ts

TWO: dict[str, Any] = {
    "command": "python3 -S program.py --x {x}",
    "objective": [{"metric": "loss"}, {"metric": "size"}],
    "metrics": {"loss": "loss=([0-9.e-]+)", "size": "(loss)?=0.(?P<value>[0-9]+)"},
}


def test_the_jobs_own_command(tmp_path: Path) -> None:
    command = "python3 -S program.py --x {x} --y={y} --layers {layers:each} [--z {z}] -o {trial_dir} {seed}"
    space = {"x": 0.25, "y": -5e-05, "layers": {"value": [64, 32]}, "z": {"value": None}}
    write_job(tmp_path, command=command, space=space, limits={"trials": 1})
    assert tunesmith(tmp_path, "run", "job.yaml", "-q").code == 0
    said = tunesmith(tmp_path, "best", "--args")
    assert said.code == 0
    words = shlex.split(said.out)
    folder = tmp_path / "tunesmith.trials" / "small" / "000000"
    with ts.Study.open(storage=tmp_path / "tunesmith.db") as study:
        seed = study.trials[0].seed
        assert "--layers 64 32" in study.result().report(tmp_path / "report.html").read_text()
    line = f"python3 -S program.py --x 0.25 --y=-5e-05 --layers 64 32 -o {folder} {seed}"
    assert words == line.split()
    for command_line in (["best"], ["show"], ["show", "--trial", "0"]):
        shown = tunesmith(tmp_path, *command_line)
        assert f"command: {said.out.strip()}" in shown.lines


def test_of_a_shell(tmp_path: Path) -> None:
    space = {"x": 0.25, "b": {"int": [1, 2], "when": {"c": True}}, "c": {"choice": [False, True]}}
    write_job(
        tmp_path, command="python3 -S program.py --x {x} [--b={b}] | cat", shell=True, space=space,
        limits={"trials": 1}, enqueue=[{"c": False}],
    )  # fmt: skip
    assert tunesmith(tmp_path, "run", "job.yaml", "-q").code == 0
    assert tunesmith(tmp_path, "best", "--args").out == "python3 -S program.py --x 0.25  | cat\n"


def test_of_no_job(tmp_path: Path) -> None:
    with ts.Study.create({"x": ts.Float(-1, 1)}, storage=tmp_path / "tunesmith.db") as study:
        study.enqueue({"x": -5e-05})
        study.tell(study.ask(), 1.0)
    assert tunesmith(tmp_path, "best", "--args").out == "--x -0.00005\n"


def test_what_a_rule_chooses_has_all_its_values(tmp_path: Path) -> None:
    write_job(tmp_path, **TWO, prefer={"loss": 0.01})
    assert tunesmith(tmp_path, "run", "job.yaml", "-q").code == 0
    (chosen,) = (line for line in tunesmith(tmp_path, "show").lines if line.startswith("best: "))
    assert ", size " in chosen
    said = tunesmith(tmp_path, "best").lines[0]
    assert said.partition(": ")[2] == chosen.partition(": ")[2]


def test_of_two_objectives(tmp_path: Path) -> None:
    write_job(tmp_path, **TWO)
    assert tunesmith(tmp_path, "run", "job.yaml", "-q").code == 0
    said = tunesmith(tmp_path, "best")
    assert said.code == 0
    assert "trial 3: loss=" in said.out
    assert tunesmith(tmp_path, "best", "--json").json["front"]
    refused = tunesmith(tmp_path, "best", "--args")
    assert refused.code == 1
    assert "(loss, size) no one trial is best" in refused.err
    assert "`tunesmith show small --trial" in refused.err
    assert ".front" not in refused.err + said.err
