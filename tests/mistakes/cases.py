"""Typical mistakes at every door, and what is said of each."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import tunesmith as ts
from tests.cli.program import tunesmith
from tunesmith.tuning.job import load_job, run_job


@dataclass(frozen=True)
class Mistake:
    """What somebody has written, and where: Python, a job file, or a command beside a sound job file."""

    title: str
    door: str
    text: str


JOB = """\
name: digits
command: echo loss={lr}
objective: {metric: loss, goal: minimize}
metrics: {loss: 'loss={number}'}
space:
  lr: {float: [1.0e-5, 0.1], log: true}
limits: {trials: 2}
storage: digits.db
"""


def python(title: str, text: str) -> Mistake:
    return Mistake(title, "python", dedent(text).strip())


def tune(title: str, arguments: str, objective: str = 'c["x"]') -> Mistake:
    return python(title, f"ts.tune(lambda c: {objective}, {arguments})")


def job(title: str, *changes: tuple[str, str]) -> Mistake:
    """The sound job file, with some lines written otherwise."""
    text = JOB
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return Mistake(title, "job file", text)


def command(title: str, text: str) -> Mistake:
    return Mistake(title, "command", text)


X = "{'x': ts.Float(0, 1)}"
MISTAKES = [
    tune("British spelling of a goal", f"{X}, goal='maximise', trials=3"),
    tune("Optuna's word for the goal", f"{X}, direction='maximize', trials=3"),
    tune("Optuna's word for the number of trials", f"{X}, n_trials=3"),
    tune("A tuple as a range", "{'x': (0, 1)}, trials=3"),
    tune("A range the wrong way round", "{'x': ts.Float(1, 0)}, trials=3"),
    tune("Zero on a log scale", "{'x': ts.Float(0, 1, log=True)}, trials=3"),
    tune("Choices as a list", "{'x': ts.Choice(['a', 'b'])}, trials=3"),
    tune("The same choice twice", "{'x': ts.Choice('a', 'a')}, trials=3"),
    tune("Halves as integers", "{'x': ts.Int(0.5, 3)}, trials=3"),
    tune("A condition on a parameter that is not there",
         "{'x': ts.Float(0, 1, when={'optimiser': 'sgd'}), 'optimizer': ts.Choice('sgd', 'adam')}, trials=3"),
    tune("Nothing ends the study", X),
    tune("An unknown searcher", f"{X}, searcher='bayesian', trials=3"),
    tune("An option that a scheduler does not have", f"{X}, scheduler={{'asha': {{'maximum': 9}}}}, trials=3"),
    tune("A number of trials in words", f"{X}, trials='ten'"),
    tune("A time in words", f"{X}, time='2 hours'"),
    tune("A size in words", f"{X}, trials=3, trial_memory='4 gigs'"),
    tune("A config to run first with a parameter that is not there", f"{X}, trials=3, enqueue=[{{'y': 1}}]"),
    tune("A config to run first outside the range", f"{X}, trials=3, enqueue=[{{'x': 7}}]"),
    tune("An unknown executor", f"{X}, trials=3, executor='threads'"),
    tune("Parallel trials in one process", f"{X}, trials=3, executor='inline', parallel=2"),
    tune("A path of Windows as storage", f"{X}, trials=3, storage='C:\\\\studies\\\\s.db'"),
    tune("A database that cannot be used yet", f"{X}, trials=3, storage='mysql://me:secret@db/tuning'"),
    python("A storage that is something else", """
        Path("results.csv").write_text("a,b\\n1,2\\n" * 100)
        ts.tune(lambda c: c["x"], {"x": ts.Float(0, 1)}, trials=3, storage="results.csv")
    """),
    python("An objective without arguments", """
        def objective():
            return 1.0
        ts.tune(objective, {"x": ts.Float(0, 1)}, trials=3)
    """),
    tune("An objective that returns nothing", f"{X}, trials=3", "None"),
    tune("An objective that returns another metric", f"{X}, metric='loss', trials=3", "{'accuracy': 1.0}"),
    tune("An objective that returns a text", f"{X}, trials=3", "'0.3'"),
    tune("A misspelt parameter in the objective", f"{X}, trials=3", "c['X']"),
    python("Another goal for a study that is there", """
        for goal in "minimize", "maximize":
            ts.tune(lambda c: c["x"], {"x": ts.Float(0, 1)}, name="s", trials=3, goal=goal, storage="s.db")
    """),
    python("The best of two objectives", """
        result = ts.tune(lambda c: (c["x"], 1), {"x": ts.Float(0, 1)}, metric=["a", "b"], trials=3)
        result.best
    """),
    python("A result told twice", """
        study = ts.Study.create({"x": ts.Float(0, 1)}, trials=3)
        trial = study.ask()
        study.tell(trial, 0.3)
        study.tell(trial, 0.4)
    """),
    python("A failure told as a result", """
        study = ts.Study.create({"x": ts.Float(0, 1)}, trials=3)
        study.tell(study.ask(), "out of memory")
    """),
    python("A study that is there already", """
        for _ in range(2):
            ts.Study.create({"x": ts.Float(0, 1)}, storage="s.db", name="digits")
    """),
    tune("Lists to try, as other tools' grids", "{'x': [1, 2, 3]}, trials=3", "1.0"),
    tune("An argument that is almost one", f"{X}, metrics='loss', trials=3"),
    tune("An argument of another tool", f"{X}, callbacks=[print], trials=3"),
    python("A program as the objective", "ts.tune('train.py', {'x': ts.Float(0, 1)}, trials=3)"),
    job("Tabs", ("  lr:", "\tlr:")),
    job("A limit that is not indented", ("limits: {trials: 2}", "limits:\ntrials: 2")),
    job("A parameter that is not indented", ("  lr: {float: [1.0e-5, 0.1], log: true}",
                                             "  lr: {float: [1.0e-5, 0.1]}\nmomentum: {float: [0, 1]}")),
    job("British spelling of a goal in a job file", ("minimize", "minimise")),
    job("Optuna's word for the goal in a job file", ("goal: minimize", "direction: minimize")),
    job("An objective that is only a name", ("{metric: loss, goal: minimize}", "loss")),
    job("Another tool's word for the space", ("space:", "parameters:")),
    job("A path of Windows in double quotes", ("digits.db", '"C:\\data\\digits.db"')),
    job("A path of Windows in the command", ("echo", "python C:\\work\\train.py")),
    job("A placeholder that is no parameter", ("{lr}", "{learning_rate}")),
    job("No command", ("command: echo loss={lr}\n", "")),
    job("A program that is not there", ("echo", "pyhton train.py")),
    job("A pattern without a group", ("loss={number}", "loss=[0-9.]+")),
    job("A range with one end", ("[1.0e-5, 0.1]", "[0.1]")),
    job("A kind that is none", ("float:", "uniform:")),
    job("A bracket that is never closed", ("{metric: loss, goal: minimize}", "{metric: loss")),
    job("A key twice", ("limits: {trials: 2}", "limits: {trials: 2}\nlimits: {time: 1h}")),
    job("A program that prints no metric", ("echo loss={lr}", "echo los={lr}")),
    job("A program that fails", ("echo loss={lr}", "sh -c 'echo no GPU >&2; exit 3' {lr}")),
    job("A program that spells its metric otherwise", ("echo loss={lr}", "sh -c 'echo epoch 3 Loss=0.5' {lr}")),
    job("JSON lines with another name", ("echo loss={lr}", "printf '{{\"eval_loss\":%s}}' {lr}"),
        ("metrics: {loss: 'loss={number}'}\n", "")),
    job("A metric in a line of the log, without a pattern", ("echo loss={lr}", "sh -c 'echo INFO loss 0.5' {lr}"),
        ("metrics: {loss: 'loss={number}'}\n", "")),
    job("A pattern that is no mapping", ("{loss: 'loss={number}'}", "'loss={number}'")),
    job("A variable before the command", ("echo", "OMP_NUM_THREADS=1 echo")),
    job("A pipe without a shell", ("{lr}", "{lr} | tee log")),
    job("A placeholder in quotes, with a shell", ("command: echo loss={lr}", "shell: true\ncommand: echo \"loss={lr}\"")),
    job("A style of arguments that there is not", ("loss={lr}", "{args:fire}")),
    job("Two parameters, one variable of the environment",
        ("limits:", "  LR: {float: [0, 1]}\nlimits:")),
    command("A study's name for ls", "tunesmith ls digits -s digits.db"),
    command("A job file that is not there", "tunesmith run jobs.yaml"),
    command("A study that is not there", "tunesmith show digit -s digits.db"),
    command("No studies here", "tunesmith best"),
    command("A column that is not there", "tunesmith trials job.yaml --sort los"),
    command("A filter that cannot be read", "tunesmith trials job.yaml --where 'lr <'"),
    command("A format that is none", "tunesmith export job.yaml -o trials.xlsx"),
    command("A trial that is not there", "tunesmith show job.yaml --trial 7"),
]  # fmt: skip


def message_of(mistake: Mistake, folder: Path) -> str:
    """What is said of a mistake; with a folder and line numbers of ours made plain."""
    ways: dict[str, Callable[[Mistake, Path], str]] = {
        "python": _python,
        "job file": _job,
        "command": _command,
    }
    text = ways[mistake.door](mistake, folder)
    text = re.sub(r'File "[^"]*?([^"/]+)", line \d+', r'File "\1", line N', text)
    return text.replace(f"{folder}/", "").replace(str(folder), "FOLDER").strip()


def _python(mistake: Mistake, folder: Path) -> str:
    del folder  # it is the current one
    names: dict[str, Any] = {"ts": ts, "Path": Path}
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed):
        try:
            exec(compile(mistake.text, "<mistake>", "exec"), names)
        except (ts.TunesmithError, TypeError) as error:
            return f"{type(error).__name__}: {error}"
    return printed.getvalue()


def _job(mistake: Mistake, folder: Path) -> str:
    path = folder / "job.yaml"
    path.write_text(mistake.text)
    lines: list[str] = []
    try:
        result = run_job(load_job(path), say=lines.append)
    except ts.TunesmithError as error:
        return f"{type(error).__name__}: {error}"
    return "\n".join(lines if result.front else [*lines, result.nothing])


def _command(mistake: Mistake, folder: Path) -> str:
    (folder / "job.yaml").write_text(JOB)
    words = shlex.split(mistake.text)[1:]
    if "job.yaml" in words or "digits.db" in words:
        run_job(load_job(folder / "job.yaml"))
    outcome = tunesmith(folder, *words)
    return f"{outcome.err}exit code {outcome.code}"
