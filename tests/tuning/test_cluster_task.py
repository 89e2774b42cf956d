"""Who runs a study is named as people know it: by the task of their cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.core import codec
from tunesmith.core.events import Opened
from tunesmith.tuning import session
from tunesmith.tuning.cluster_task import cluster_task

SLURM = {"SLURM_ARRAY_JOB_ID": "123", "SLURM_ARRAY_TASK_ID": "7", "SLURM_JOB_ID": "130", "SLURMD_NODENAME": "n12"}  # fmt: skip
TASK = "array task 7 of Slurm job 123 on node n12"


@pytest.mark.parametrize(
    ("environment", "task"),
    [
        ({}, ""),
        (SLURM, TASK),
        ({"SLURM_JOB_ID": "9", "SLURMD_NODENAME": "n1"}, "Slurm job 9 on node n1"),
        ({"SLURM_JOB_ID": "9", "SLURM_NTASKS": "4", "SLURM_PROCID": "3"}, "task 3 of Slurm job 9"),
        ({"SLURM_JOB_ID": "9", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, "Slurm job 9"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "3"}, "pod digits-3-x of Kubernetes, index 3"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "POD_NAME": "p"}, "pod p of Kubernetes"),
    ],
)  # fmt: skip
def test_what_the_environment_says(environment: dict[str, str], task: str) -> None:
    assert cluster_task(environment, "digits-3-x") == task


def test_a_long_or_broken_text_is_none_to_be_stored_as_it_is() -> None:
    task = cluster_task({"SLURM_JOB_ID": "\udcff" * 1000}, "h")
    assert len(task) <= 200
    task.encode()


def test_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "study.db"
    with ts.Study.create(ts.Space(x=ts.Float(0, 1)), name="s", storage=path) as study:
        trial = study.ask()
        show = CliRunner().invoke(app, ["show", "s", "-s", str(path)]).output
        assert f"run by: {TASK}, since" in show
        assert TASK in CliRunner().invoke(app, ["ls", "-s", str(path)]).output
        assert TASK in CliRunner().invoke(app, ["show", "s", "-t", "0", "-s", str(path)]).output
        with ts.Study.open("s", storage=path) as other:
            with monkeypatch.context() as patch:
                patch.setattr(session, "alive", lambda _: False)
                other.ask()
            with pytest.raises(ts.TransitionError, match=f"handed out again .* run by {TASK}"):
                study.tell(trial, 1.0)
    assert "run by: nobody" in CliRunner().invoke(app, ["show", "s", "-s", str(path)]).output
    assert "run by" not in CliRunner().invoke(app, ["ls", "-s", str(path)]).output


def opened(number: int, host: str) -> Opened:
    return Opened(1.0, f"s{number}", host, number, 0.0)


def test_several() -> None:
    sessions = [opened(n, f"h{n % 3}") for n in range(8)]
    assert session.brief(sessions) == "8 processes on 3 hosts"
    assert session.brief(sessions[:1]) == "process 0 on h0"
    assert session.brief([sessions[0], sessions[3]]) == "2 processes on h0"
    assert session.brief([]) == session.describe_all([]) == ""
    many = session.describe_all(sessions)
    assert many.startswith("8 processes: process 0 on h0; process 1 on h1; ")
    assert many.endswith("; and 3 more")


def test_outside_of_a_cluster_nothing_more_is_stored() -> None:
    assert "task" not in codec.encode(opened(1, "h"))
