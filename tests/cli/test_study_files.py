"""Commands with a job file: where its study is kept, what is shown of it, and how it is written out."""

from __future__ import annotations

import csv
import json
import subprocess
import time
from pathlib import Path

import pytest
from tests.cli.program import COMMAND, environment, tunesmith

from tunesmith.core.text import read_yaml

JOB = """\
name: digits
command: echo loss={lr}
objective: {metric: loss}
metrics: {loss: 'loss={number}'}
space:
  lr: {float: [1.0e-5, 0.1], log: true}
  layers: {choice: [[64], [64, 32]]}
limits: {trials: 3, time: 2h, trial_memory: 3GiB}
searcher: {grid: {levels: 4}}
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    (tmp_path / "job.yaml").write_text(JOB)
    return tmp_path


def test_a_job_file_with_another_storage_works_in_every_command(folder: Path) -> None:
    assert tunesmith(folder, "run", "job.yaml", "-q", "-s", "other.db").code == 0
    commands = [
        ["show", "job.yaml"], ["best", "job.yaml"], ["trials", "job.yaml"], ["export", "job.yaml"],
        ["replay", "job.yaml"], ["edit", "job.yaml"], ["report", "job.yaml", "-o", "r.html"],
        ["retract", "job.yaml", "0", "--why", "x"], ["enqueue", "job.yaml", "lr=0.05"], ["stop", "job.yaml"],
        ["doctor", "job.yaml"], ["ls"],
    ]  # fmt: skip
    for words in commands:
        assert tunesmith(folder, *words, "-s", "other.db").code == 0, words
    for words in commands[:6]:
        env = {"TUNESMITH_STORAGE": "other.db"}
        assert tunesmith(folder, *words, env=env).code == 0, words
    assert not (folder / "tunesmith.db").exists()


def test_a_job_files_own_storage_counts_more_than_the_environments(folder: Path) -> None:
    (folder / "job.yaml").write_text(JOB + "storage: own.db\n")
    env = {"TUNESMITH_STORAGE": "other.db"}
    assert tunesmith(folder, "run", "job.yaml", "-q", env=env).code == 0
    assert (folder / "own.db").exists()
    assert not (folder / "other.db").exists()
    assert tunesmith(folder, "show", "job.yaml", env=env).code == 0


def test_export_writes_what_the_files_ending_says(folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert tunesmith(folder, "run", "job.yaml", "-q").code == 0
    for ending in ("csv", "json", "jsonl", "parquet", "PQ"):
        assert tunesmith(folder, "export", "job.yaml", "-o", f"t.{ending}").code == 0
    rows = parquet.read_table(folder / "t.parquet").to_pylist()
    lines = [json.loads(line) for line in (folder / "t.jsonl").read_text().splitlines()]
    with (folder / "t.csv").open() as file:
        cells = [*csv.DictReader(file)]
    assert [row["loss"] for row in rows] == [line["loss"] for line in lines]
    assert [row["number"] for row in rows] == [0, 1, 2] == [int(cell["number"]) for cell in cells]
    assert [row["layers"] for row in rows] == [cell["layers"] for cell in cells]
    assert len(json.loads((folder / "t.json").read_text())["trials"]) == 3
    assert parquet.read_table(folder / "t.PQ").num_rows == 3


def test_an_edit_that_changes_nothing_says_so(folder: Path) -> None:
    assert tunesmith(folder, "run", "job.yaml", "-q").code == 0
    assert "nothing to edit" in tunesmith(folder, "edit", "job.yaml").out
    (folder / "job.yaml").write_text(JOB.replace("trials: 3", "trials: 4"))
    assert "digits: edited (limits)" in tunesmith(folder, "edit", "job.yaml").out
    assert "nothing to edit" in tunesmith(folder, "edit", "job.yaml").out


def test_what_show_says_of_a_study_is_yaml_with_times_and_sizes_in_words(folder: Path) -> None:
    assert tunesmith(folder, "run", "job.yaml", "-q").code == 0
    head = tunesmith(folder, "show", "job.yaml").out.partition("\n\n")[0]
    data = read_yaml(head)
    assert data["study digits"] == "minimize loss"
    assert data["searcher"] == {"grid": {"levels": 4}}
    assert data["limits"] == {"trials": 3, "time": "2 h 0 min", "trial_memory": "3.0 GiB"}
    assert data["space"]["layers"] == {"choice": [[64], [64, 32]]}


def test_after_kill_9_no_trial_is_said_to_run(folder: Path) -> None:
    (folder / "job.yaml").write_text(JOB.replace("echo loss={lr}", "sleep 600"))
    with subprocess.Popen(
        [*COMMAND, "run", "job.yaml", "-q"],
        cwd=folder,
        env=environment(),
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while '"running"' not in tunesmith(folder, "trials", "job.yaml", "--json").out:
                assert time.monotonic() < deadline
        finally:
            process.kill()
    listed = tunesmith(folder, "trials", "job.yaml").out
    assert "running" not in listed
    assert "waiting" in listed
    assert "the process that ran it is gone" in tunesmith(folder, "show", "job.yaml", "-t", "0").out
    assert "1 waiting" in tunesmith(folder, "show", "job.yaml").out
    assert tunesmith(folder, "ls", "--json").json[0]["counts"] == {"waiting": 1}
    assert tunesmith(folder, "trials", "job.yaml", "--state", "running", "--json").json == []
    assert len(tunesmith(folder, "trials", "job.yaml", "--state", "waiting", "--json").json) == 1
