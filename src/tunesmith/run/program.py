"""A program as a job describes it: its command, where its metrics come from, and what its trials have beside their config."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.run.config_file import config_paths
from tunesmith.run.folder import CHECKPOINT, CONFIG
from tunesmith.run.marks import ATTEMPT_MARK, SESSION_MARK
from tunesmith.run.metric_file import MetricFile, steps_beside
from tunesmith.run.output import STEP, compile_metrics
from tunesmith.run.pattern import Pattern
from tunesmith.run.template import Template, placeholders

#: What the names of the parameters' environment variables begin with, and those that trials have beside them.
PARAMETER_PREFIX: Final = "TUNESMITH_PARAM_"
BUILT_IN_VARIABLES: Final = frozenset(
    {
        SESSION_MARK,
        ATTEMPT_MARK,
        *(
            f"TUNESMITH_{name}"
            for name in [
                "TRIAL",
                "SEED",
                "REPORTED",
                "DIR",
                "CONFIG",
                "METRICS",
                "CHECKPOINT_DIR",
                "STOP",
            ]
        ),
    }
)

#: Programs whose first word, where it is no option, is a file.
_INTERPRETER: Final = re.compile(r"python[\d.]*|pypy[\d.]*|Rscript|perl|ruby")
#: What only a shell can do.
_BUILTINS: Final = frozenset(
    {"cd", "export", "source", ".", "set", "ulimit", "for", "if", "while", "{", "("}
)


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how to read it."""

    command: str | Sequence[str]
    #: The objectives' metrics: what the program must report.
    wanted: tuple[str, ...]
    #: Those whose last report alone makes the value; None is all of them.
    by_last: frozenset[str] | None = None
    #: By metric: a pattern for what it prints, or where it stands in a file.
    metrics: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    shell: bool = False
    cwd: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def template(self) -> Template:
        """Its command line, read. Raises JobError."""
        return Template.of(self.command, shell=self.shell)

    def find(self, template: Template) -> str:
        """The program's full path; "" where each trial names its own. Raises JobError if there is none."""
        if not self.cwd.is_dir():
            raise JobError(f"cwd: there is no folder {self.cwd}; make it, or name another one")
        if template.shell is not None:
            return "/bin/sh"
        if template.parts[0].optional or template.parts[0].placeholders():
            return ""
        path = self.locate(template.program)
        self._check_script(template)
        return path

    def locate(self, name: str) -> str:
        """The full path of the program called `name`. Raises JobError if there is none."""
        beside = self.cwd / name
        if os.sep not in name:
            searched = self.environment.get("PATH", search_path())
            path = shutil.which(name, path=searched)
            if path is None:
                raise JobError(
                    f"command: there is no program {name!r} (looked in PATH){_instead(name, beside, searched)}"
                )
            return path
        if beside.is_dir():
            raise JobError(f"command: {beside} is a folder; name the program in it")
        if not beside.is_file():
            raise JobError(f"command: there is no program {beside}; paths are relative to cwd")
        if not os.access(beside, os.X_OK):
            raise JobError(
                f"command: {beside} is not executable; chmod +x it, or name the interpreter"
            )
        return str(beside)

    def _check_script(self, template: Template) -> None:
        """Raise JobError where an interpreter would find no script to run."""
        words = [part.words[0] for part in template.parts[:2] if not part.optional]
        if len(words) < 2 or not _INTERPRETER.fullmatch(Path(words[0]).name):
            return
        script = words[1]
        if not script or script.startswith("-") or placeholders(script):
            return
        if not os.path.lexists(self.cwd / script):
            names = [path.name for path in (self.cwd / script).parent.glob("*")][:1000]
            close = did_you_mean(Path(script).name, names, listed=False)
            hint = close or "; paths are relative to cwd"
            raise JobError(f"command: there is no file {self.cwd / script}{hint}")

    def check_files(self, parallel: int) -> None:
        """Raise JobError for a metrics file that several trials would write at the same time."""
        for file in compile_sources(self.metrics)[1]:
            if parallel > 1 and "{trial" not in file.path and "{checkpoint_dir}" not in file.path:
                raise JobError(
                    f"metrics: {file.metric}: trials at the same time would all write {file.path}; let each have its "
                    f"own, in {{trial_dir}}/{Path(file.path).name}, or set parallel to 1"
                )


def _instead(name: str, beside: Path, path: str) -> str:
    """What to write instead of a program that there is not."""
    if "=" in name:
        variable, _, value = name.partition("=")
        return f"; variables of the environment stand under environment: {{{variable}: {value!r}}}"
    if name in _BUILTINS:
        return f"; {name} is a word of the shell's: write shell: true"
    if beside.is_file():
        if not os.access(beside, os.X_OK) and name.endswith(".py"):
            return f"; write python {name}"
        return f"; write ./{name} for the file in that folder"
    near = get_close_matches(name, _programs(path), n=1, cutoff=0.75)
    return f"; did you mean {near[0]!r}?" if near else ""


def _programs(path: str) -> list[str]:
    """The names of the programs in the folders of a PATH."""
    names: set[str] = set()
    for folder in path.split(os.pathsep):
        with contextlib.suppress(OSError):
            names.update(entry.name for entry in os.scandir(folder or "."))
    return sorted(names)


def variable_of(name: str) -> str:
    """The environment variable that has a parameter's value."""
    return PARAMETER_PREFIX + name.upper().replace(".", "_")


def built_in_of(trial: int, attempt: int, seed: int, folder: Path) -> dict[str, Any]:
    """What stands for a command's built-in placeholders in one attempt of a trial."""
    return {
        "trial": trial,
        "attempt": attempt,
        "seed": seed,
        "trial_dir": str(folder),
        "checkpoint_dir": str(folder / CHECKPOINT),
        "config_file": str(folder / CONFIG),
    }


def command_line(
    job: Mapping[str, Any],
    config: Mapping[str, Any],
    trial: int,
    attempt: int,
    seed: int,
    folder: Path | None = None,
) -> str | None:
    """The command of a study's job (`StudySpec.job`) as a trial has it, to be read and copied; paths stay
    placeholders where its folder is not known. None for a study of no command, or of one that this version does
    not read."""
    command = job.get("command")
    if command is None:
        return None
    try:
        template = Template.of(command, shell=bool(job.get("shell")))
        built_in: dict[str, Any] = {"trial": trial, "attempt": attempt, "seed": seed}
        if folder is not None:
            built_in = built_in_of(trial, attempt, seed, folder)
            built_in |= config_paths(template.config_forms(), folder)
        return template.shown(config, built_in)
    except (JobError, ValueError, KeyError):
        return None


def compile_sources(
    metrics: Mapping[str, str | Mapping[str, str]],
) -> tuple[dict[str, Pattern], list[MetricFile]]:
    """The patterns by metric, and the metrics that stand in files. Raises JobError."""
    patterns = compile_metrics({m: text for m, text in metrics.items() if isinstance(text, str)})
    files = [
        MetricFile.of(metric, source)
        for metric, source in metrics.items()
        if not isinstance(source, str)
    ]
    steps = [file for file in files if file.metric == STEP]
    files = [file for file in files if file.metric != STEP]
    return patterns, steps_beside(files, steps[0]) if steps else files


def search_path() -> str:
    """PATH for programs: the folder of the Python that runs tunesmith comes first, so that `python` in
    a command is that one, unless the user has activated an environment of their own."""
    path = os.environ.get("PATH", os.defpath)
    if os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX"):
        return path
    return os.pathsep.join([str(Path(sys.executable).parent), path])
