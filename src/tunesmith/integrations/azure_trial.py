"""The trial of an Azure sweep job as a command here: its expressions filled in, with its variables, inputs and outputs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import JobError, SpaceError, StrategyError, did_you_mean, shown
from tunesmith.integrations.sweeps import Sweep, literal
from tunesmith.run.template import Template
from tunesmith.tuning.job_mistakes import Located, Path_

_TRIAL: Final = {"command", "code", "environment", "environment_variables", "distribution", "resources", "type"}  # fmt: skip
#: ``${{search_space.lr}}``.
_EXPRESSION: Final = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
#: Where trials keep what is logged to MLflow, and what the folders of `${{outputs.x}}`.
LOGGED: Final = "{trial_dir}/mlruns"
_OUTPUTS: Final = "{trial_dir}/outputs/"
#: What a shell takes for the name of a variable.
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def dotted(where: Path_) -> str:
    return ".".join(map(str, where))


def mapping(data: Mapping[str, Any], *where: str) -> Mapping[str, Any]:
    """What stands at a place where names and values belong; empty where nothing does."""
    found: Any = data
    for key in where:
        found = found.get(key)
    if found is not None and not isinstance(found, Mapping):
        raise Located(where, f"{dotted(where)} has names and values, unlike {shown(found)}")
    return found or {}


def checked(where: Path_, act: Callable[[], Any]) -> None:
    """Do what may find a mistake, which is told with its place."""
    try:
        act()
    except (SpaceError, StrategyError, JobError) as error:
        raise Located(where, f"{dotted(where)}: {error}") from None


class Trial:
    """The command of a sweep's trials: its expressions filled in, with its variables."""

    def __init__(self, data: Mapping[str, Any], sweep: Sweep, folder: Path) -> None:
        self._data, self._sweep, self._folder = data, sweep, folder
        written = data.get("trial")
        if not isinstance(written, Mapping):
            raise Located(
                ("trial",),
                f"trial: write its command here, trial: {{command: python train.py}}; {shown(written)} is a component, "
                "which needs Azure",
            )
        self._trial = written
        self._inputs = {str(key): value for key, value in mapping(data, "inputs").items()}
        self._outputs = [str(key) for key in mapping(data, "outputs")]
        for name in self._outputs:
            if not _VARIABLE.fullmatch(name):
                raise Located(("outputs", name), f"outputs: {shown(name)} is no name")

    def described(self) -> dict[str, Any]:
        trial, sweep = self._trial, self._sweep
        sweep.leave_out(trial, _TRIAL, "trial.")
        if trial.get("environment"):
            sweep.lost.append(
                "trial.environment needs Azure: the command runs with the Python that runs tunesmith"
            )
        self._alone()
        job: dict[str, Any] = {}
        code = self._code()
        if code is not None:
            job["cwd"] = code
        variables = mapping(self._data, "trial", "environment_variables")
        job["environment"] = {str(name): str(value) for name, value in variables.items()}
        command = self._command()  # what it cannot use is refused; what it does not is only said
        job["command"] = f"{self._variables()}\n{command}"
        template = partial(Template.of, job["command"], shell=True)  # noqa: S604 (a text, no process)
        checked(("trial", "command"), lambda: template().check(sweep.space, ()))
        return job

    def _alone(self) -> None:
        """Refuse what is one process here and several there: it would train something else."""
        trial = self._trial
        for place, key in (("distribution", "process_count_per_instance"), ("distribution", "worker_count"),
                           ("distribution", "parameter_server_count"), ("resources", "instance_count")):  # fmt: skip
            amount = mapping(self._data, "trial", place).get(key) or 1
            if amount != 1:
                raise Located(
                    ("trial", place, key),
                    f"trial.{place}.{key}: a trial of {shown(amount)} processes or nodes needs Azure; start them in the command "
                    "(torchrun, mpirun), and leave this out",
                )
        for key in ("distribution", "resources"):
            if trial.get(key):
                self._sweep.lost.append(f"trial.{key} is not kept")

    def _code(self) -> str | None:
        code: Any = self._trial.get("code")
        if isinstance(code, Mapping):
            code = code.get("local_path")
        if code is None:
            return None
        if not isinstance(code, str) or _remote(code):
            raise Located(
                ("trial", "code"), f"trial.code: {shown(code)} needs Azure; write a local folder"
            )
        if not (self._folder / code).is_dir():
            raise Located(
                ("trial", "code"), f"trial.code: there is no folder {self._folder / code}"
            )
        return code

    def _command(self) -> str:
        command = self._trial.get("command")
        if not isinstance(command, str) or not command.strip():
            raise Located(
                ("trial", "command"), "trial.command: a sweep needs the command of a trial"
            )
        if found := re.search(
            r"\{\s*(search_space|inputs|outputs)\.[^{}]*\}", _EXPRESSION.sub("", command)
        ):
            raise Located(("trial", "command"), f"trial.command: write ${{{{...}}}} for {found[0]}")
        return "".join(self._pieces(command.strip()))

    def _pieces(self, command: str) -> Iterator[str]:
        """The command with what its expressions stand for, quoted, so that quotes around them are closed before."""
        quote, end = "", 0
        for match in _EXPRESSION.finditer(command):
            before = command[end : match.start()]
            quote, end = _quote_after(before, quote), match.end()
            around = quote if quote in ("'", '"') else ""
            yield literal(before) + around + self._meant(match) + around
        yield literal(command[end:])

    def _meant(self, match: re.Match[str]) -> str:
        kind, _, name = match[1].partition(".")
        if name in self._sweep.names and kind in ("search_space", "inputs"):
            return "{" + self._sweep.names[name] + "}"
        if kind == "inputs" and name in self._inputs:
            return literal(shlex.quote(self._input(name)))
        if kind == "outputs" and name in self._outputs:
            return _OUTPUTS + name
        known = [f"search_space.{n}" for n in self._sweep.names]
        known += [f"inputs.{n}" for n in self._inputs] + [f"outputs.{n}" for n in self._outputs]
        hint = did_you_mean(match[1], known)
        raise Located(("trial", "command"), f"trial.command: there is no {match[0]}{hint}")

    def _input(self, name: str) -> str:
        """An input as a text: a literal one, or the full path of a file or folder."""
        value, where = self._inputs[name], ("inputs", name)
        if isinstance(value, (str, int, float, bool)):
            if isinstance(value, str) and value.startswith("azureml:"):
                raise Located(where, _needs_azure(where, value))
            return str(value)
        if not isinstance(value, Mapping) or not isinstance(value.get("path"), str):
            raise Located(
                where,
                f"{dotted(where)}: a value, or the path of data, is needed, not {shown(value)}",
            )
        path = value["path"].removeprefix("file://").removeprefix("file:")
        if _remote(path):
            raise Located((*where, "path"), _needs_azure((*where, "path"), path))
        found = (self._folder / path).absolute()
        if not found.exists():
            raise Located((*where, "path"), f"{dotted(where)}.path: there is no {found}")
        return str(found)

    def _variables(self) -> str:
        """The line that sets the variables with each hyperparameter, input and output, and where MLflow logs."""
        words = [f"MLFLOW_TRACKING_URI={LOGGED}", "MLFLOW_ALLOW_FILE_STORE=true"]
        values = {there: f"{{{here}}}" for there, here in self._sweep.names.items()}
        for name in self._inputs:
            try:
                values.setdefault(name, literal(shlex.quote(self._input(name))))
            except Located as error:
                self._sweep.lost.append(f"{error} (the command does not use it)")
        values |= {name: _OUTPUTS + name for name in self._outputs}
        folders = [values[name] for name in self._outputs]
        for name, value in values.items():
            if _VARIABLE.fullmatch(name):
                words.append(f"AZUREML_SWEEP_{name}={value}")
            else:
                self._sweep.lost.append(f"AZUREML_SWEEP_{name} is no name for a variable: not set")
        return f"export {' '.join(words)}" + "".join(f"; mkdir -p {folder}" for folder in folders)


def _quote_after(text: str, quote: str) -> str:
    """Inside which quotes a shell is behind `text` that begins inside of `quote`; "" for none."""
    escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif character == quote:
            quote = ""
        elif not quote and character in "'\"`":
            quote = character
    return quote


def _remote(path: str) -> bool:
    return path.startswith("azureml:") or "://" in path


def _needs_azure(where: Path_, path: str) -> str:
    return f"{dotted(where)}: {path} needs Azure, or the network; get it, and write its local path"
