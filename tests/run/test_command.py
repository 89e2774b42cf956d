"""Programs that do what they should not: their trial fails, or is not harmed; the others go on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import ExecutorError, JobError
from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.core.space.parameter import Float
from tunesmith.core.space.space import Space
from tunesmith.core.trial import Kind, Reason
from tunesmith.run import command
from tunesmith.run.base import Happened
from tunesmith.run.command import CommandExecutor
from tunesmith.run.folder import Folder
from tunesmith.run.program import Program
from tunesmith.run.usage import check_environment
from tunesmith.run.withheld import INHERIT
from tunesmith.store.location import TOKEN_VARIABLE
from tunesmith.testing.executors import follow, gone

LOSS = "echo '{\"loss\": 0.5}'"


def executor(folder: Path, script: str, **options: Any) -> CommandExecutor:
    """It runs a script of the shell, which gets the value of x."""
    program = Program(
        ["sh", "-c", script.replace("{", "{{").replace("}", "}}"), "script", "{x}"],
        wanted=("loss",),
        metrics=options.pop("metrics", {}),
        by_last=options.pop("by_last", None),
        cwd=options.pop("cwd", folder),
        environment=options.pop("environment", {}),
    )
    return CommandExecutor(
        program, session=uuid.uuid4().hex, folder=Folder(folder / "trials"), **options
    )


def run(folder: Path, script: str, value: Any = 1, **options: Any) -> tuple[list[Reported], Exited]:
    runner = executor(folder, script, **options)
    try:
        runner.start(Start(0, 0, {"x": value}, 1))
        return follow(runner, 0)
    finally:
        runner.close()


def test_one_that_removes_its_folder(tmp_path: Path) -> None:
    _, exited = run(tmp_path, f'{LOSS}; rm -r "$TUNESMITH_DIR"')
    assert exited.returned == {"loss": 0.5}
    _, exited = run(tmp_path, 'echo goodbye; rm -r "$TUNESMITH_DIR"; exit 3')
    assert exited.reason is not None
    assert exited.reason.message == "the program ended with exit code 3: goodbye"


def test_one_that_removes_its_folder_and_is_stopped(tmp_path: Path) -> None:
    runner = executor(tmp_path, f'rm -r "$TUNESMITH_DIR"; {LOSS}; sleep 600')
    try:
        runner.start(Start(0, 0, {"x": 1}, 1))
        while not runner.events(0.1):
            pass
        runner.stop(Stop(0, Reason(Kind.TIMEOUT, "too slow"), 5.0))
        _, exited = follow(runner, 0)
        assert exited.reason is not None
        assert exited.reason.message == "too slow"
    finally:
        runner.close()


def test_one_that_removes_where_it_runs(tmp_path: Path) -> None:
    """The next ones cannot run, and say so; nothing else happens."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    runner = executor(tmp_path, f'{LOSS}; rm -r "{cwd}"', cwd=cwd)
    try:
        for trial, problem in ((0, None), (1, "the program could not be started")):
            runner.start(Start(trial, 0, {"x": 1}, 1))
            _, exited = follow(runner, trial)
            assert (exited.reason and exited.reason.message[:32]) == problem
            assert exited.reason is None or exited.reason.kind is Kind.ERROR
    finally:
        runner.close()


@pytest.mark.parametrize("value", ["a\0b", "x" * (1 << 22)], ids=["NUL", "too long"])
def test_a_value_that_no_program_can_be_given(tmp_path: Path, value: str) -> None:
    _, exited = run(tmp_path, LOSS, value)
    assert exited.reason is not None
    assert exited.reason.kind is Kind.ERROR
    assert "the program could not be started" in exited.reason.message


def test_an_environment_that_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD", "a\udcff")
    _, exited = run(tmp_path, f'printf %s "$ODD"; {LOSS}')
    assert exited.reason is not None, "it is no line of JSON"
    assert "a\ufffd" in exited.reason.output


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EMFILE])
def test_files_that_cannot_be_written_are_no_fault_of_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    runner = executor(tmp_path, LOSS)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    try:
        with monkeypatch.context() as patched:
            patched.setattr(command, "write_text", full)
            with pytest.raises(
                ExecutorError, match=r"trials cannot be run here: .*run the study again"
            ):
                runner.start(Start(0, 0, {"x": 1}, 1))
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "Popen", full)
            with pytest.raises(ExecutorError):
                runner.start(Start(0, 1, {"x": 1}, 1))
        runner.start(Start(0, 2, {"x": 1}, 1))
        assert follow(runner, 0)[1].returned == {"loss": 0.5}
    finally:
        runner.close()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "trials").write_text("")
    with pytest.raises(ExecutorError, match="trials cannot be run here"):
        run(tmp_path, LOSS)


def test_an_earlier_attempt_reports_to_nobody(tmp_path: Path) -> None:
    """A process that it left behind, in the dark, knows where it wrote to, and may go on with that."""
    runner = executor(
        tmp_path,
        'if [ "$TUNESMITH_TRIAL" = 0 ] && [ ! -e old ]; then '
        'echo "$TUNESMITH_METRICS" > old; exit 3; fi; '
        'echo \'{"loss": 99}\' >> $(cat old); echo \'{"loss": 0.5}\' >> "$TUNESMITH_METRICS"',
    )
    try:
        runner.start(Start(0, 0, {"x": 1}, 1))
        follow(runner, 0)
        runner.start(Start(0, 1, {"x": 1}, 1))
        reports, exited = follow(runner, 0)
        assert [r.metrics for r in reports] == [{"loss": 0.5}]
        assert exited.returned == {"loss": 0.5}
    finally:
        runner.close()


def test_a_pattern_that_takes_for_ever_ends_its_trial(tmp_path: Path) -> None:
    began = time.monotonic()
    script = f"echo {'a' * 60}b; sleep 600"
    _, exited = run(tmp_path, script, metrics={"loss": "(?:a|aa)+$()"})
    assert exited.reason is not None
    assert exited.reason.kind is Kind.ERROR
    assert "the pattern of 'loss' took more than 1 s" in exited.reason.message
    assert time.monotonic() - began < 60


def test_a_pattern_that_matches_no_number(tmp_path: Path) -> None:
    _, exited = run(tmp_path, "echo score=1,234.5", metrics={"loss": "score=([0-9.,]+)"})
    assert exited.reason is not None
    assert "the pattern of 'loss' matched '1,234.5', which is no number" in exited.reason.message


def test_much_output_is_read_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much there is, each turn is short, and nothing is left out."""
    monkeypatch.setattr(command, "_READ_S", 0.0)
    monkeypatch.setattr(command, "_CHUNK_BYTES", 1 << 10)
    lines = 500
    script = f"i=0; while [ $i -lt {lines} ]; do i=$((i + 1)); echo loss=$i; done"
    runner = executor(tmp_path, script, metrics={"loss": "loss=([0-9]+)"})
    turns: list[list[Happened]] = []
    try:
        runner.start(Start(0, 0, {"x": 1}, 1))
        while not (turns and turns[-1] and isinstance(turns[-1][-1], Exited)):
            turns.append(runner.events(0.05))
        reports = [event for turn in turns for event in turn if isinstance(event, Reported)]
        assert [r.metrics["loss"] for r in reports] == list(range(1, lines + 1))
        assert max(map(len, turns)) < lines / 2
    finally:
        runner.close()


def test_a_daemons_memory_counts_and_it_is_ended(tmp_path: Path) -> None:
    code = "import os, time; x = bytearray(300 << 20); open('.pid', 'w').write(str(os.getpid())); os.replace('.pid', 'pid'); time.sleep(600)"
    script = f'(setsid {sys.executable} -c "{code}" &); sleep 600'
    _, exited = run(tmp_path, script, memory_limit=200 << 20)
    assert exited.reason is not None
    assert exited.reason.kind is Kind.OUT_OF_MEMORY
    if (tmp_path / "pid").exists():
        assert gone([int((tmp_path / "pid").read_text())])


@pytest.mark.parametrize(
    ("script", "metrics", "message"),
    [
        (
            "echo loss 1; echo done",
            {"loss": "loss={number}"},
            "(it reported nothing): in 2 lines of output the pattern of 'loss' never matched: loss={number}",
        ),
        ("true", {"loss": "loss={number}"}, "never came (it printed nothing)"),
        (
            "echo loss=1,234.5",
            {"loss": "loss={number}"},
            "'loss' matched '1,234.5', which is no number; {number:,} takes a comma between thousands",
        ),
        (
            "echo loss=12ms",
            {"loss": "loss={number}"},
            "matched '12ms', which is no number; a unit belongs into the pattern",
        ),
        ("echo loss=mse", {"loss": "loss={number}"}, "matched 'mse', which is no number"),
        ("""echo '{"loss": "low"}'""", {}, """'loss' was reported as "low", which is no number"""),
        ("""echo '{"loss": null}'""", {}, "'loss' was reported as null, which is no number"),
        (
            "echo loss=0.5 >> $TUNESMITH_METRICS",
            {},
            "$TUNESMITH_METRICS is a file of JSON lines, and its line 1 is 'loss=0.5'",
        ),
        ("echo done", {}, "give it a pattern under metrics:"),
    ],
)
def test_why_a_metric_never_came(
    tmp_path: Path, script: str, metrics: dict[str, str], message: str
) -> None:
    _, exited = run(tmp_path, script, metrics=metrics)
    assert exited.reason is not None
    assert exited.reason.kind is Kind.ERROR
    assert message in exited.reason.message


@pytest.mark.parametrize(
    "script",
    [
        "echo loss=999.5; echo loss=1,234.5",
        """echo '{"loss": 0.5}'; echo '{"loss": null}'""",
        """(echo '{"loss": 0.5}'; echo '{"loss": null}') >> $TUNESMITH_METRICS""",
    ],
)
def test_what_is_no_number_does_not_count_with_the_one_before(tmp_path: Path, script: str) -> None:
    _, exited = run(tmp_path, script, metrics={"loss": "loss=([0-9.]+)"})
    assert exited.reason is not None
    assert exited.reason.kind is Kind.NOT_FINITE
    assert "which is no number" in exited.reason.message
    _, exited = run(tmp_path, script, metrics={"loss": "loss={number}"}, by_last=frozenset())
    assert exited.reason is None, "an objective that uses the best of its reports decides itself"


@pytest.mark.skipif(sys.platform != "linux", reason="a subreaper is Linux's")
@pytest.mark.parametrize(
    "leave",
    ["env -i setsid sleep 986 &", "(env -i setsid sh -c 'sleep 986 & sleep 986' &) &"],
)
def test_a_daemon_with_a_clean_environment_is_ended(tmp_path: Path, leave: str) -> None:
    script = f'env -i sh -c "{leave} echo \\$! >/dev/null"; sleep 0.1; ps -eo pid,args > ps; {LOSS}'
    _, exited = run(tmp_path, script)
    assert exited.returned == {"loss": 0.5}
    lines = (tmp_path / "ps").read_text().splitlines()
    pids = [int(line.split()[0]) for line in lines if line.endswith("sleep 986")]
    assert pids
    assert gone(pids)


@pytest.mark.skipif(sys.platform != "linux", reason="an init process is Linux's")
def test_memory_is_the_programs_own(tmp_path: Path) -> None:
    ballast = bytearray(100 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    _, exited = run(tmp_path, LOSS)
    assert exited.cost.memory_bytes is not None
    assert exited.cost.memory_bytes < 30 << 20


@pytest.mark.parametrize("status", ["exit 3", "kill -SEGV $$", "kill -TERM $$"])
def test_a_program_ends_as_it_would_alone(tmp_path: Path, status: str) -> None:
    _, exited = run(tmp_path, status)
    assert exited.reason is not None
    ends = {"exit 3": "exit code 3", "kill -SEGV $$": "SIGSEGV", "kill -TERM $$": "SIGTERM"}
    assert ends[status] in exited.reason.message


def test_signals_reach_a_program_as_they_would_alone(tmp_path: Path) -> None:
    """What whoever began the study ignores (SIGHUP under nohup) is ignored still."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
    ignored = [int(n) for n in numbers if signal.getsignal(n) is signal.SIG_IGN]
    (tmp_path / "look.py").write_text(
        "import os, signal, sys\n"
        f"numbers = {[*map(int, numbers)]}\n"
        "ignored = [n for n in numbers if signal.getsignal(n) is not signal.SIG_DFL]\n"
        f"assert ignored == {ignored}, ignored\n"
        "assert os.getsid(0) == os.getpgid(0) == os.getpid()\n"
        "assert not sys.stdin.read()\n"
        "print('{\"loss\": 0.5}')\n"
    )
    _, exited = run(tmp_path, f"exec {sys.executable} -E look.py {os.environ.get('LC_CTYPE', '')}")
    assert exited.reason is None, exited.reason


@pytest.mark.parametrize("text", ["inf", "-inf", "nan"])
@pytest.mark.parametrize("door", ["pattern", "json", "file", "reported"])
def test_which_value_is_not_finite_is_passed_on(tmp_path: Path, text: str, door: str) -> None:
    as_json = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[text]
    script, metrics = {
        "pattern": (f"echo loss=0.5; echo loss={text}", {"loss": "loss={number}"}),
        "json": (f"echo '{{\"loss\": {as_json}}}'", {}),
        "file": (f"printf 'loss\\n{text}\\n' > m.csv", {"loss": {"csv": "m.csv"}}),
        "reported": (f"echo '{{\"loss\": {as_json}}}' >> $TUNESMITH_METRICS", {}),
    }[door]
    _, exited = run(tmp_path, script, metrics=metrics)
    assert exited.reason is None
    assert str(exited.returned["loss"]) == text


def test_a_word_after_the_last_number_is_said(tmp_path: Path) -> None:
    metrics = {"loss": "loss={number}"}
    _, exited = run(tmp_path, "echo loss=0.5; echo loss=mse", metrics=metrics)
    assert exited.returned == {"loss": 0.5}
    assert "the last thing that the pattern of 'loss' matched is 'mse'" in exited.note
    _, exited = run(tmp_path, "echo loss=mse; echo loss=0.5", metrics=metrics)
    assert not exited.note
    _, exited = run(tmp_path, "echo loss=0.5; echo loss=---", metrics=metrics)
    assert exited.reason is not None
    assert "its last value is none: the pattern of 'loss' matched '---'" in exited.reason.message


def test_a_word_is_said_as_it_came_and_only_where_nothing_came_after_it(tmp_path: Path) -> None:
    pending = 'echo \'{"loss": "pending"}\''
    _, exited = run(tmp_path, f"{LOSS}; {pending}")
    assert exited.returned == {"loss": 0.5}
    assert "the last thing that was reported as 'loss' is \"pending\"" in exited.note
    _, exited = run(tmp_path, f"{LOSS}; {pending}; {LOSS}")
    assert not exited.note
    metrics = {"loss": "loss={number}"}
    _, exited = run(tmp_path, f"echo loss=1; echo loss=mse; {LOSS}", metrics=metrics)
    assert (exited.returned, exited.note) == ({"loss": 0.5}, "")


def test_a_number_in_a_file_is_not_what_was_printed_last(tmp_path: Path) -> None:
    runner = executor(
        tmp_path,
        "printf 'loss\\n0.5\\n' > m.csv; while [ ! -e seen ]; do sleep 0.01; done; echo '{\"loss\": NaN}'",
        metrics={"loss": {"csv": "m.csv"}},
    )
    try:
        runner.start(Start(0, 0, {"x": 1}, 1))
        while not any(isinstance(event, Reported) for event in runner.events(60.0)):
            pass
        (tmp_path / "seen").touch()
        _, exited = follow(runner, 0)
    finally:
        runner.close()
    assert str(exited.returned) == "{'loss': nan}"


class TestSecrets:
    """Who tunesmith is at a service is no trial's business, unless its job file says so."""

    def environment(self, folder: Path, **named: str) -> str:
        _, exited = run(folder, f"env > environment.txt; {LOSS}", environment=named)
        assert exited.returned == {"loss": 0.5}
        return (folder / "environment.txt").read_text()

    @pytest.mark.parametrize(
        "storage",
        ["http://ts_secret@tuner:8765", "postgresql://me:ts_secret@db/tuning"],
        ids=["service", "database"],
    )
    def test_are_not_inherited(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str
    ) -> None:
        monkeypatch.setenv(TOKEN_VARIABLE, "ts_secret")
        monkeypatch.setenv("TUNESMITH_STORAGE", storage)
        monkeypatch.setenv("SOMETHING_ELSE", "there")
        text = self.environment(tmp_path)
        assert "ts_secret" not in text
        assert "SOMETHING_ELSE=there" in text
        monkeypatch.setenv("TUNESMITH_STORAGE", "postgresql://me@db/tuning")
        assert "TUNESMITH_STORAGE=postgresql://me@db/tuning" in self.environment(tmp_path)

    def test_are_given_on_request(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(TOKEN_VARIABLE, "ts_secret")
        named = {TOKEN_VARIABLE: INHERIT, "OTHER": INHERIT}
        text = self.environment(tmp_path, **named)
        assert f"{TOKEN_VARIABLE}=ts_secret" in text
        assert "OTHER=inherit" in text
        monkeypatch.delenv(TOKEN_VARIABLE)
        assert TOKEN_VARIABLE not in self.environment(tmp_path, **named)

    @pytest.mark.parametrize(
        "named",
        [{TOKEN_VARIABLE: "ts_secret"}, {"TUNESMITH_STORAGE": "http://ts_secret@tuner:8765"}],
    )
    def test_are_not_stored_with_the_study(self, named: dict[str, str]) -> None:
        with pytest.raises(JobError, match=r"write TUNESMITH_\w+: inherit") as refused:
            check_environment(Space(x=Float(0, 1)), named)
        assert "ts_secret" not in str(refused.value)
