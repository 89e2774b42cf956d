"""`tunesmith run`, from the first trial to the exit code."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.cli.program import COMMAND, environment, tunesmith
from tests.tuning.jobs import write_job

import tunesmith as ts

SLEEPY = "python3 -S program.py --x {x} --sleep 0.3"


def test_it_runs_names_the_best_and_resumes(tmp_path: Path) -> None:
    write_job(tmp_path)
    first = tunesmith(tmp_path, "run", "job.yaml")
    assert first.code == 0
    assert re.search(r"best: loss \d.* \(trial \d\)", first.err + first.out)
    assert "trial    3" in first.err + first.out
    with ts.Study.open("small", storage=tmp_path / "tunesmith.db") as study:
        assert len(study.trials) == 4
        best = study.best
    again = tunesmith(tmp_path, "run", "job.yaml", "--trials", "6")
    assert again.code == 0
    with ts.Study.open("small", storage=tmp_path / "tunesmith.db") as study:
        assert len(study.trials) == 6
        assert study.best.value is not None
        assert best.value is not None
        assert study.best.value <= best.value


def test_quiet_is_only_the_result(tmp_path: Path) -> None:
    write_job(tmp_path)
    said = tunesmith(tmp_path, "run", "job.yaml", "--quiet")
    assert said.code == 0
    assert "trial    0" not in said.out + said.err
    assert "best: loss" in said.out + said.err


def test_json_is_one_object_per_line_and_nothing_else(tmp_path: Path) -> None:
    write_job(tmp_path)
    said = tunesmith(tmp_path, "run", "job.yaml", "--json")
    assert said.code == 0
    objects = [json.loads(line) for line in said.lines]
    assert all(isinstance(o, dict) for o in objects)
    assert len([o for o in objects if "config" in o.get("trial", o)]) >= 4


def test_options_come_before_the_job_file(tmp_path: Path) -> None:
    write_job(tmp_path)
    said = tunesmith(
        tmp_path, "run", "job.yaml", "-q", "--name", "other", "--trials", "2", "--seed", "9",
        "-p", "2", "-s", "here.db",
    )  # fmt: skip
    assert said.code == 0
    with ts.Study.open(storage=tmp_path / "here.db") as study:
        assert (study.spec.name, study.spec.seed, study.spec.limits.parallel) == ("other", 9, 2)
        assert len(study.trials) == 2


def test_no_trial_completed(tmp_path: Path) -> None:
    write_job(tmp_path, space={"x": {"choice": [1.0, 1.5, 2.0, 2.5]}})
    said = tunesmith(tmp_path, "run", "job.yaml", "-q")
    assert said.code == 1
    assert "too much" in said.out + said.err, "the error is shown"


@pytest.mark.parametrize(
    ("arguments", "changes", "code", "words"),
    [
        (
            ["run", "jb.yaml"],
            {},
            2,
            "there is no job file jb.yaml; `tunesmith init jb.yaml` writes",
        ),
        (["run", "job.yaml"], {"serchr": 1}, 2, "did you mean 'searcher'"),
        (
            ["run", "job.yaml"],
            {"command": "prog {xx}"},
            2,
            "job.yaml:2: command: {xx} is no parameter",
        ),
        (["run", "job.yaml"], {"command": "no-such-program"}, 2, "no-such-program"),
        (["run", "job.yaml", "--time", "soon"], {}, 2, "'soon' is no duration"),
        (["run", "job.yaml", "--trials", "0"], {}, 2, "trials is a whole number of at least 1"),
        (["run", "job.yaml", "-s", "text.db"], {}, 4, "text.db is no SQLite database"),
        (["run", "job.yaml", "-s", "no/study.db"], {}, 4, "no does not exist; make it first"),
        (["rum", "job.yaml"], {}, 2, "rum"),
        (["run", "job.yaml", "--trails", "3"], {}, 2, "--trials"),
    ],
)
def test_mistakes(
    tmp_path: Path, arguments: list[str], changes: dict[str, object], code: int, words: str
) -> None:
    write_job(tmp_path, **changes)
    (tmp_path / "text.db").write_text("no database at all")
    said = tunesmith(tmp_path, *arguments)
    assert said.code == code
    assert words in " ".join(said.err.split())
    assert said.out == ""


def test_two_coordinators(tmp_path: Path) -> None:
    write_job(tmp_path, command=SLEEPY, limits={"trials": 500})
    with subprocess.Popen(
        [*COMMAND, "run", "job.yaml", "-q"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as first:
        wait_for(lambda: started(tmp_path))
        second = tunesmith(tmp_path, "run", "job.yaml")
        assert second.code == 3
        assert f"process {first.pid}" in second.err or str(first.pid) in second.err
        stopped = tunesmith(tmp_path, "stop", "small")
        assert stopped.code == 0
        assert first.wait(timeout=30) == 130, "stopped on request"
    with ts.Study.open("small", storage=tmp_path / "tunesmith.db") as study:
        assert {str(t.state) for t in study.trials} <= {"completed", "waiting"}
    assert "takes trials again" in tunesmith(tmp_path, "resume", "small").out
    assert "has not been stopped" in tunesmith(tmp_path, "resume", "small").out


def started(folder: Path) -> bool:
    if not (folder / "tunesmith.db").exists():
        return False
    try:
        with ts.Study.open("small", storage=folder / "tunesmith.db") as study:
            return len(study.trials) > 0
    except ts.TunesmithError:
        return False


def wait_for(condition: object, timeout_s: float = 30.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


class Terminal:
    """The program in a terminal of its own, 100 columns wide."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.screen = ""
        self._fd, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env=environment() | {"TERM": "xterm-256color", "LINES": "30"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.pid = self._process.pid

    def read(self, timeout_s: float) -> bool:
        """Take in what is shown; False at the end."""
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            return False
        self.screen += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, words: str, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while words not in self.screen:
            assert time.monotonic() < deadline, self.screen
            assert self.read(0.1), self.screen

    def end(self) -> int:
        while self.read(0.1):
            pass
        os.close(self._fd)
        return self._process.wait()


def test_in_a_terminal_there_is_a_live_table_and_ctrl_c_is_kind(tmp_path: Path) -> None:
    write_job(tmp_path, command=SLEEPY, limits={"trials": 30, "parallel": 2})
    terminal = Terminal(tmp_path, "run", "job.yaml")
    terminal.wait_for("── running")
    terminal.wait_for("/30")
    os.kill(terminal.pid, signal.SIGINT)
    terminal.wait_for("stopping: no new trials")
    assert terminal.end() == 130
    assert "Traceback" not in terminal.screen
    with ts.Study.open("small", storage=tmp_path / "tunesmith.db") as study:
        before = len(study.trials)
        assert 0 < before < 30
        assert {str(t.state) for t in study.trials} == {"completed"}, "running ones had their grace"
    said = tunesmith(tmp_path, "run", "job.yaml", "-q", "--trials", str(before + 2))
    assert said.code == 0
    with ts.Study.open("small", storage=tmp_path / "tunesmith.db") as study:
        assert len(study.trials) == before + 2


def test_preflight(tmp_path: Path) -> None:
    write_job(tmp_path)
    said = tunesmith(tmp_path, "run", "job.yaml", "--preflight")
    text = said.out + said.err
    for word in ("smallest", "default", "largest", "too much"):
        assert word in text
    assert not (tmp_path / "tunesmith.db").exists()
    said = tunesmith(tmp_path, "run", "job.yaml", "--preflight", "--json")
    assert [t["label"] for t in said.json["tries"]] == ["smallest", "default", "largest"]


def test_init_writes_a_job_that_runs(tmp_path: Path) -> None:
    said = tunesmith(tmp_path, "init", "new.yaml")
    assert said.code == 0
    text = (tmp_path / "new.yaml").read_text()
    assert "# " in text
    assert tunesmith(tmp_path, "init", "new.yaml").code == 2, "what is there is not overwritten"
    assert (tmp_path / "new.yaml").read_text() == text
    assert tunesmith(tmp_path, "init", "new.yaml", "--force").code == 0
    (tmp_path / "train.py").write_text(
        "import json, sys\nprint(json.dumps({'accuracy': 0.5, 'loss': 0.5, 'val_acc': 0.5}))\n"
        "print('accuracy=0.5 val_acc=0.5 loss=0.5')\n"
    )
    said = tunesmith(tmp_path, "run", "new.yaml", "-q", "--trials", "2")
    assert said.code == 0, said.err


def test_doctor(tmp_path: Path) -> None:
    write_job(tmp_path)
    assert tunesmith(tmp_path, "doctor", "job.yaml").code == 0
    write_job(tmp_path, metrics={"loss": "LOSS=(.*)"})
    said = tunesmith(tmp_path, "doctor", "job.yaml", "--json")
    assert said.code == 1
    assert [f for f in said.json if f["level"] == "error" and "never came" in f["text"]]
    assert tunesmith(tmp_path, "doctor", "job.yaml", "--no-run").code == 0
    assert tunesmith(tmp_path, "doctor").code == 0


@pytest.mark.parametrize("mode", ["--plain", "--json"])
@pytest.mark.parametrize("gone", ["stdout", "stderr"])
def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path, mode: str, gone: str) -> None:
    """`tunesmith run job.yaml --json | head -1`."""
    write_job(tmp_path)
    run = subprocess.Popen(
        [*COMMAND, "run", "job.yaml", mode], cwd=tmp_path, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    pipe, other = (run.stdout, run.stderr) if gone == "stdout" else (run.stderr, run.stdout)
    assert pipe is not None
    assert other is not None
    pipe.close()
    with other:
        rest = other.read()
    assert run.wait(60) == 0
    assert "Traceback" not in rest
    assert "Exception ignored" not in rest
    if gone == "stderr":
        assert "best" in rest
    with ts.Study.open("small", storage=tmp_path / "tunesmith.db") as study:
        assert [trial.state for trial in study.trials] == ["completed"] * 4


def test_it_runs_without_any_standard_stream(tmp_path: Path) -> None:
    write_job(tmp_path)
    command = shlex.join([*COMMAND, "run", "job.yaml", "--parallel", "2"])
    run = subprocess.run(
        ["sh", "-c", f"{command} <&- >&- 2>&-"], cwd=tmp_path, env=environment(), check=False
    )
    assert run.returncode == 0
    with ts.Study.open("small", storage=tmp_path / "tunesmith.db") as study:
        assert [trial.state for trial in study.trials] == ["completed"] * 4
