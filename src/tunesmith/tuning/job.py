"""Job files: schema, parser and runner of a study of a command-line program, in YAML or JSON.

The model below is the reference: the documentation is generated from it.
"""

from __future__ import annotations

import copy
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunesmith.core.constraint import COSTS, Constraint, constraints_of
from tunesmith.core.constraint import check as check_constraints
from tunesmith.core.errors import (
    SYNONYMS,
    JobError,
    StudyError,
    TextError,
    TunesmithError,
    did_you_mean,
    shorten,
    shown,
)
from tunesmith.core.limits import Limits
from tunesmith.core.objective import GOALS, LAST, objectives_of
from tunesmith.core.preference import preference_of
from tunesmith.core.quantity import show_bytes
from tunesmith.core.space.parameter import Choice, Fixed, parameter_from_dict
from tunesmith.core.space.space import RELATIONS, Space
from tunesmith.core.study import StudySpec
from tunesmith.core.yaml_text import Lines, read
from tunesmith.run.executors import Factory, Where, of_program, on
from tunesmith.run.folder import Folder
from tunesmith.run.output import STEP
from tunesmith.run.program import Program, compile_sources
from tunesmith.run.usage import check_environment, check_usage, warnings
from tunesmith.store import Durability
from tunesmith.store.location import File, Location, default_storage, file_of, location_of
from tunesmith.tuning.feed import Watcher
from tunesmith.tuning.launch import launch
from tunesmith.tuning.place import folder_of
from tunesmith.tuning.program_files import of_job
from tunesmith.tuning.result import Result
from tunesmith.tuning.spec import make_spec
from tunesmith.tuning.study import Study
from tunesmith.tuning.versions import Changed, OnChange, on_data

#: Larger files are no job files (bytes), and of many mistakes so many are shown.
LARGEST: Final = 1 << 20
_MISTAKES: Final = 20

Path_ = tuple[str | int, ...]
T = TypeVar("T")


class ObjectiveModel(BaseModel):
    """What counts."""

    model_config = ConfigDict(extra="forbid")

    metric: str = Field(description="The name of the metric.", examples=["accuracy"])
    goal: Literal["minimize", "maximize"] = Field(
        "minimize", description="Whether less or more of it is better."
    )
    use: str | dict[str, int] = Field(
        "last",
        description="How the reports of a trial become its value: `last`, `best` or `mean of last 10`.",
    )


class JobModel(BaseModel):
    """A job file. Only `command`, `objective` and `space` are needed."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    name: str | None = Field(
        None, description="The study's name; without one, the name of the job file's folder."
    )
    command: str | list[str] = Field(
        description="The program that runs one trial: a line, or a list of words. `{name}` stands for a "
        "parameter's value, `{args}` for `--name value` of all active ones, see [Values as "
        "words](#values-as-words); `{trial}`, `{seed}`, `{trial_dir}`, `{checkpoint_dir}`, `{config_file}` for the "
        "trial's own. Words in `[...]` are left out when a parameter in them is inactive or null. No shell reads it.",
        examples=["python train.py --lr {learning_rate} [--momentum {momentum}]"],
    )
    objective: ObjectiveModel | list[ObjectiveModel] = Field(
        description="The metric and its goal; a list for several objectives. `use` says how the reports of a trial "
        "become its value: `last` (the default), `best` or `mean of last 10`.",
        examples=["{metric: accuracy, goal: maximize}"],
    )
    constraints: list[str] = Field(
        default_factory=list,
        description="What a trial's results have to keep for it to be the best, over metrics and parameters.",
        examples=["[memory <= 4e9, latency < 20]"],
    )
    at_most: dict[str, float] = Field(
        default_factory=dict,
        description="Upper bounds of metrics, as constraints.",
        examples=["{seconds: 60}"],
    )
    at_least: dict[str, float] = Field(
        default_factory=dict,
        description="Lower bounds of metrics, as constraints.",
        examples=["{accuracy: 0.9}"],
    )
    prefer: str | dict[str, Any] | None = Field(
        None,
        description="Which trial of several objectives' front is the best: `{error: 0.01}` (the least error, or one at most "
        "0.01 worse; of those the best of the next objective), `{weights: {error: 1, seconds: 0.001}}` or "
        "`{at_most: {seconds: 60}}`.",
        examples=["{error: 0.01}"],
    )
    metrics: dict[str, str | dict[str, str]] = Field(
        default_factory=dict,
        description="How to find metrics in what the program prints: for each the text around it, with `{number}` or "
        "`{int}` where the value is (`{number:,}` for 1,234.5) and `{any}` for any text; or a regular expression with one group "
        "(or several, one of them called `value`). `step` finds the step. Not needed for programs that print "
        'JSON lines (`{"accuracy": 0.9, "step": 3}`) or call `tunesmith.report()`. A metric may stand in a file instead: `{json: FILE, key: a.b}`, `{csv: FILE, column: x, step: epoch}`, `{tensorboard: FOLDER, tag: x}`, `{mlflow: FOLDER, name: x}`. More in the guide to metrics.',
        examples=["{accuracy: 'val_acc={number}'}"],
    )
    space: dict[str, Any] = Field(
        description="The parameters, see [The space](#the-space); relations between them under "
        "`require`."
    )
    limits: dict[str, Any] = Field(
        default_factory=dict, description="What may be spent, see [Limits](#limits)."
    )
    searcher: str | dict[str, Any] = Field(
        "auto",
        description="Who proposes configs: `auto`, `bayes`, `tpe`, `cmaes`, `evolution`, `random`, `sobol`, "
        "`grid`, `gradient` (where trials report derivatives), or one with options.",
        examples=["{grid: {levels: 5}}"],
    )
    scheduler: str | dict[str, Any] | None = Field(
        None,
        description="Who stops or pauses trials: `asha`, `hyperband`, `freeze_thaw`, `pasha`, `forecast`, `racing`, "
        "`median`, `percentile`, `truncation`, `bandit`, `threshold`, `patience`, `pbt`, `pb2`, `scripted`, by name or with options.",
        examples=["{asha: {max: 50, min: 2}}"],
    )
    seed: int | None = Field(
        None, ge=0, description="Makes the study repeatable; drawn if missing."
    )
    enqueue: list[dict[str, Any]] = Field(
        default_factory=list,
        description="Configs to run first; what one leaves out takes its default.",
        examples=["[{learning_rate: 0.01}]"],
    )
    warm_start: list[str | dict[str, str]] = Field(
        default_factory=list,
        description="Earlier studies to learn from: names in the same storage, or "
        "`{storage: file, study: name}`. Taken in when the study is new.",
        examples=["[digits-2024]"],
    )
    deterministic: bool = Field(
        False, description="The same trials on every run, however many run in parallel."
    )
    duplicates: bool = Field(False, description="Whether the same config may run twice.")
    tags: list[str] = Field(
        default_factory=list,
        description="Words by which people find the study. Going on, those that it lacks are added.",
        examples=["[vision, baseline]"],
    )
    on_change: OnChange = Field(
        "continue",
        description="What becomes of the study if the program has changed since trials ran: `continue` says so and goes "
        "on (see `changed`), `refuse` stops, `new` begins a study of its own (`NAME-2`). `--on-change` counts more.",
    )
    changed: Changed = Field(
        "discount",
        description="What becomes of the results so far if a study goes on with a changed program: `discount` takes them "
        "for an earlier study's, runs the best again, and the best is a new one; `keep` counts all together; `drop` "
        "leaves them out. `--changed` counts more.",
    )
    data_version: str | float | None = Field(
        None,
        description="A word or number of yours that changes with the data: a part of the program. `--data-version` "
        "counts more.",
        examples=["2026-11"],
    )
    shell: bool = Field(
        False,
        description="Run the command line by /bin/sh; values are quoted, whatever they hold. "
        "Placeholders inside quotes, `...` or << are refused, since there a value might be run.",
    )
    cwd: str = Field(".", description="Where the program runs, relative to the job file.")
    environment: dict[str, str] = Field(
        default_factory=dict, description="Environment variables for the program."
    )
    gpus_per_trial: float = Field(
        0.0, ge=0, description="GPUs for each trial (fractions share one), as CUDA_VISIBLE_DEVICES."
    )
    executor: str | dict[str, Any] = Field(
        "auto",
        description="Where trials run: on this machine, or on a cluster (`ray`, `slurm`, `dask`, or with options: `{ray: {address: HOST:PORT, "
        "runtime_env: {working_dir: .}}}`, the folder relative to the job file). `--on` and `--address` count more.",
        examples=["ray"],
    )
    resources: dict[str, Any] | None = Field(
        None,
        description="What each trial needs of a cluster: `cpu`, `gpu`, `memory`, `label` (of its node), `custom` "
        "(resources of the cluster's own).",
        examples=["{cpu: 2, gpu: 0.5, memory: 8GiB, label: {market: spot}}"],
    )
    storage: str | None = Field(
        None,
        description="The file that keeps the study, relative to the job file, or the URL of a database "
        "(`postgresql://user@host/database`); without one, "
        "`tunesmith.db` in the current folder (or `$TUNESMITH_STORAGE`).",
    )
    durability: Literal["crash", "power"] = Field(
        "crash", description="What results survive: a kill -9, or a power cut too."
    )


@dataclass(frozen=True, slots=True)
class Job:
    """A job file that has been read and checked."""

    path: Path
    model: JobModel
    spec: StudySpec
    storage: Location
    lines: Lines

    @property
    def durability(self) -> Durability:
        return self.model.durability

    @property
    def warm_start(self) -> list[str | dict[str, str]]:
        """The earlier studies, their files relative to the job's."""
        return [
            {**earlier, "storage": str(self.path.parent / file)}
            if isinstance(earlier, dict) and (file := file_of(earlier.get("storage"))) is not None
            else earlier
            for earlier in self.model.warm_start
        ]

    @property
    def program(self) -> Program:
        """What to run for a trial."""
        return _program(self.path, self.model)

    @property
    def folder(self) -> Folder:
        """Where its trials' files go."""
        return folder_of(self.storage, self.spec.name)

    @property
    def where(self) -> Where:
        """Where its trials run; what is sent there by its path."""
        where: Any = copy.deepcopy(self.model.executor)
        for options in where.values() if isinstance(where, dict) else ():
            environment = options.get("runtime_env") if isinstance(options, dict) else None
            folder = environment.get("working_dir") if isinstance(environment, dict) else None
            if environment and isinstance(folder, str) and "://" not in folder:
                environment["working_dir"] = str((self.path.parent / folder).absolute())
        return where  # type: ignore[no-any-return]

    @property
    def executor(self) -> Factory:
        """The executor for its trials. Raises JobError if there is no such program."""
        make = self._located(
            lambda: of_program(
                self.program,
                where=self.where,
                gpus_per_trial=self.model.gpus_per_trial,
                resources=self.model.resources,
            )
        )
        return lambda context: self._located(lambda: make(context))

    def find(self) -> str:
        """The full path of its program; "" where each trial names its own. Raises JobError if there is none."""
        program = self.program
        return self._located(lambda: program.find(program.template))

    def _located(self, act: Callable[[], T]) -> T:
        """Do it; a mistake names the file, and the line of the key that it begins with."""
        try:
            return act()
        except (JobError, StudyError) as error:
            key = str(error).partition(":")[0]
            raise JobError(f"{self.path}:{self.lines.line((key,))}: {error}") from None


#: What to write for a key that is missing.
_EXAMPLES: Final = {
    "command": "; write e.g. command: python train.py --lr {lr}",
    "objective": "; write e.g. objective: {metric: loss, goal: minimize}",
    "metric": "; write e.g. objective: {metric: loss, goal: minimize}",
    "space": "; write e.g. space: {lr: {float: [1e-5, 0.1], log: true}}",
    "metrics": "; write e.g. metrics: {loss: 'loss={number}'}",
    "limits": "; write e.g. limits: {trials: 100, time: 2h}",
    "environment": "; write e.g. environment: {OMP_NUM_THREADS: 1}",
}


class Located(Exception):
    """A mistake, and where in the file it is."""

    def __init__(self, path: Path_, message: str) -> None:
        super().__init__(message)
        self.path = path


def load_job(
    path: Path | str,
    overrides: Mapping[str, Any] | None = None,
    convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> Job:
    """Read and check a job file. `overrides` of limits, name, seed and storage come on top; `convert` makes a job of what another
    tool's file says.

    Raises JobError with the file, the line, what is wrong there and what to write instead.
    """
    path, overrides = Path(path), dict(overrides or {})
    where, address = overrides.pop("on", None), overrides.pop("address", None)
    location = overrides.pop("storage", None)
    model, lines = _model(path, overrides, convert)
    model.executor = cast("str | dict[str, Any]", on(where, address, cast(Where, model.executor)))
    try:
        spec = _spec(path, model)
    except Located as error:
        raise JobError(f"{path}:{lines.line(error.path)}: {error}") from None
    storage = _storage(path, model, location)
    return Job(path, model, spec, storage, lines)


def study_of_job(path: Path | str, storage: Location | None = None) -> tuple[str, Location]:
    """The name and storage of a job file's study, for commands that only read it. Raises JobError."""
    path = Path(path)
    model, _ = _model(path, {})
    return _name(path, model), _storage(path, model, storage)


def _model(
    path: Path,
    overrides: Mapping[str, Any],
    convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> tuple[JobModel, Lines]:
    """What the file says, `overrides` on top, and on which lines. Raises JobError."""
    data, lines = _parse(path, _read(path))
    if convert is not None:
        try:
            data = convert(data)
        except Located as error:
            raise JobError(f"{path}:{lines.line(error.path)}: {error}") from None
    for name, value in overrides.items():
        if value is not None:
            if name in Limits.__dataclass_fields__:
                data["limits"] = {**(data.get("limits") or {}), name: value}
            else:
                data[name] = value
    try:
        return JobModel.model_validate(data), lines
    except ValidationError as error:
        errors = _without_echoes(error.errors())
        mistakes = [_describe(path, lines, data, e) for e in errors[:_MISTAKES]]
        more = len(errors) - len(mistakes)
        raise JobError("\n".join([*mistakes, *[f"and {more} more"] * (more > 0)])) from None


def _name(path: Path, model: JobModel) -> str:
    folder = path.absolute().parent.name
    return model.name or re.sub(r"[^A-Za-z0-9_.-]+", "-", folder).strip("-.")


def _read(path: Path) -> str:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise JobError(f"{path} is a folder; name the job file in it")
        if not stat.S_ISREG(status.st_mode):
            raise JobError(f"{path} is no regular file; write the job into one")
        if status.st_size > LARGEST:
            raise JobError(
                f"{path} has {show_bytes(status.st_size)}, and a job file at most {show_bytes(LARGEST)}"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise JobError(
            f"there is no job file {shorten(str(path))}; `tunesmith init {shorten(str(path))}` writes one"
        ) from None
    except (OSError, ValueError) as error:
        raise JobError(f"{shorten(str(path))} cannot be read: {error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise JobError(
            f"{path}:{line}: the byte 0x{data[error.start]:02x} is no UTF-8; save the file as UTF-8"
        ) from None


def _parse(path: Path, text: str) -> tuple[dict[str, Any], Lines]:
    """The file's data, and its lines. JSON is YAML."""
    try:
        data, lines = read(text)
    except TextError as error:
        at = path if error.line is None else f"{path}:{error.line}"
        problem = re.sub(r' with value ".*', "", str(error), flags=re.DOTALL)
        raise JobError(f"{at}: this is no YAML: {problem}{_yaml_hint(problem)}") from None
    if not isinstance(data, dict):
        raise JobError(f"{path}:1: a job file is a mapping: command, objective, space, ...")
    return data, lines


#: What to write instead, for the mistakes that people make in YAML, by words of its reader's messages.
_YAML_HINTS: Final = {
    "\\t": "indent with spaces, as YAML has no tabs",
    "escape": "in double quotes a backslash begins an escape; write 'C:\\data' in single quotes, or C:/data",
    "mapping values are not allowed": "what belongs together is indented by as many spaces, and a text with ': ' in it "
    "stands in quotes",
    "block end": "what belongs together is indented by as many spaces",
    "could not find expected ':'": "write key: value, with a space behind the colon",
    "duplicate key": "each key stands there once",
    "cannot start any token": "put a text that begins so in quotes",
    "expected ',' or": "a bracket, brace or quote is never closed",
    "end of stream": "a bracket, brace or quote is never closed",
}


def _yaml_hint(problem: str) -> str:
    hint = next((hint for words, hint in _YAML_HINTS.items() if words in problem), "")
    return f"; {hint}" if hint else ""


def _describe(path: Path, lines: Lines, data: Mapping[str, Any], error: Any) -> str:
    """One line for one of pydantic's errors."""
    where = tuple(part for part in error["loc"] if part in _keys(data, error["loc"]))
    key = str(error["loc"][-1])
    name = ".".join(map(str, where)) or key
    at = f"{path}:{lines.line(where)}"
    if error["type"] == "extra_forbidden":
        return f"{at}: {_misplaced(key, where, data, error['input'])}"
    if error["type"] == "missing":
        return f"{at}: {key!r} is missing{_EXAMPLES.get(key, '')}"
    if key == "goal" and isinstance(error["input"], str):
        hint = did_you_mean(error["input"], GOALS)
        return f"{at}: goal is 'minimize' or 'maximize', not {shown(error['input'])}{hint}"
    if where == ("objective",):
        text = shown(error["input"])
        return f"{at}: objective: write objective: {{metric: loss, goal: minimize}}, or a list of these, not {text}"
    if error["type"] == "string_type" and isinstance(error["input"], bool):
        word = str(error["input"]).lower()
        return f"{at}: {name}: {word} is a truth value here; write it in quotes, '{word}', as the program reads it"
    if error["input"] is None:
        return f"{at}: {name} is empty; what belongs to it stands below it, indented by two spaces more"
    if error["type"] in ("dict_type", "model_type", "model_attributes_type"):
        return f"{at}: {name} is {shown(error['input'])}, where names and values belong{_EXAMPLES.get(key, '')}"
    return f"{at}: {name}: {error['msg']}, not {shown(error['input'])}"


def _without_echoes(errors: Sequence[Any]) -> list[Any]:
    """The errors without what pydantic says of the other ways in which an objective may be written."""
    ways = [
        error for error in errors if error["loc"][0] == "objective" and error["type"] != "missing"
    ]
    real = [
        e for e in ways if e["type"] not in ("list_type", "model_type", "model_attributes_type")
    ]
    return [e for e in errors if e not in ways or e in (real or ways[:1])]


def _misplaced(key: str, where: Path_, data: Mapping[str, Any], value: Any) -> str:
    """What is wrong with a key that is none, or none there."""
    if "objective" in where:
        return (
            f"there is no {key!r} in an objective{did_you_mean(key, ObjectiveModel.model_fields)}"
        )
    meant = SYNONYMS.get(key, key)
    if meant in Limits.__dataclass_fields__:
        how = (
            "indent it by two spaces more"
            if "limits" in data
            else f"write limits: {{{meant}: ...}}"
        )
        called = "" if meant == key else f", called {meant!r}"
        return f"{key!r} belongs under limits{called}: {how}"
    if meant in ObjectiveModel.model_fields:
        return f"{key!r} belongs under objective: write objective: {{metric: loss, goal: minimize}}"
    if isinstance(value, dict) and {"float", "int", "choice"} & set(value):
        return f"{key!r} looks like a parameter, which belongs under space: indent it by two spaces more"
    return f"there is no {key!r} in a job file{did_you_mean(key, JobModel.model_fields)}"


def _keys(data: Any, location: Sequence[Any]) -> list[Any]:
    """The parts of a location that are keys of the file (pydantic adds names of union members)."""
    keys, node = [], data
    for part in location:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            continue
        keys.append(part)
    return keys


def _spec(path: Path, model: JobModel) -> StudySpec:
    """The study that the file describes; raises Located."""
    space = _space(model)
    _at(("constraints",), lambda: constraints_of(model.constraints))
    constraints = _at(("at_most",), lambda: _constraints(model))
    for name, value in model.limits.items():
        if name not in (
            "cost",
            "price_per_hour",
            "cost_metric",
        ):  # these are checked together, below
            _at(("limits", name), partial(Limits.from_dict, {name: value}))
    _at(("limits",), lambda: Limits.from_dict(model.limits))
    program = _program(path, model)
    _at(("command",), partial(_check_backslashes, model.command))
    template = _at(("command",), lambda: program.template)
    conditional = [name for name in space if space.condition(name)]
    _at(("command",), lambda: template.check(space, conditional))
    _at(("command",), lambda: check_usage(program, space))
    try:
        check_environment(space, model.environment)
    except JobError as error:
        key = "environment" if str(error).startswith("environment:") else "space"
        raise Located((key,), str(error)) from None
    _at(("metrics",), lambda: compile_sources(model.metrics))
    _at(("metrics",), lambda: program.check_files(Limits.from_dict(model.limits).parallel))
    objectives = model.objective if isinstance(model.objective, list) else [model.objective]
    metrics = [objective.metric for objective in objectives]
    if STEP in metrics:
        raise Located(("objective",), "an objective cannot be called 'step': that is the step")
    goals = [objective.goal for objective in objectives]
    uses = [objective.use for objective in objectives]
    made = _at(("objective",), lambda: objectives_of(metrics, goals, uses))
    _at(("constraints",), lambda: check_constraints(constraints, space, made))
    _at(("prefer",), lambda: preference_of(model.prefer, made))
    for index, config in enumerate(model.enqueue):
        _at(("enqueue", index), partial(space.filled, config))
    job = model.model_dump(
        include={"command", "metrics", "shell", "cwd", "environment", "gpus_per_trial"},
        exclude_defaults=True,
    )
    return _at(
        ("searcher",) if model.name else ("name",),
        lambda: make_spec(
            space,
            name=_name(path, model),
            metric=metrics,
            goal=goals,
            use=uses,
            constraints=model.constraints,
            at_most=model.at_most,
            at_least=model.at_least,
            prefer=model.prefer,
            searcher=model.searcher,
            scheduler=model.scheduler,
            seed=model.seed,
            deterministic=model.deterministic,
            duplicates=model.duplicates,
            tags=model.tags,
            job=job,
            limits=model.limits,
        ),
    )


def _constraints(model: JobModel) -> list[Constraint]:
    return constraints_of(model.constraints, model.at_most, model.at_least)


def _program(path: Path, model: JobModel) -> Program:
    objectives = model.objective if isinstance(model.objective, list) else [model.objective]
    named = set().union(*(c.expression.names for c in _constraints(model))) - set(model.space)
    named |= {str(model.limits["cost_metric"])} if model.limits.get("cost_metric") else set()
    metrics = [objective.metric for objective in objectives]
    return Program(
        command=model.command,
        wanted=(*metrics, *sorted(named - {*metrics, *COSTS})),
        by_last=frozenset(o.metric for o in objectives if o.use == LAST),
        metrics=model.metrics,
        shell=model.shell,
        cwd=(path.parent / model.cwd).absolute(),
        environment=model.environment,
    )


def _space(model: JobModel) -> Space:
    for name, parameter in model.space.items():
        if name != RELATIONS:
            _at(("space", name), partial(_check_parameter, name, parameter))
    return _at(("space",), lambda: Space.from_dict(model.space))


def _check_backslashes(command: str | list[str]) -> None:
    """Raise JobError for a path of Windows in a line, whose words are read as a shell would."""
    line = command if isinstance(command, str) else ""
    path = re.search(r"(?<![\w'])[A-Za-z]:\\[^\s'\"]*", line)
    if path is not None:
        slashes = path[0].replace("\\", "/")
        raise JobError(
            f"command: a backslash takes the next character as it is, and {path[0]} would lose its own; write {slashes}"
        )


def _check_parameter(name: str, described: Any) -> None:
    parameter = parameter_from_dict(name, described)
    values = parameter.values if isinstance(parameter, Choice) else ()
    if isinstance(parameter, Fixed):
        values = (parameter.constant,)
    for value in values:
        if isinstance(value, str) and "\0" in value:
            raise JobError(f"{name}: {value!r} has a NUL character, which no program can be given")


def _at(path: Path_, act: Callable[[], T]) -> T:
    """Do it; a mistake is one at `path`."""
    try:
        return act()
    except TunesmithError as error:
        raise Located(path, str(error)) from None


def _storage(path: Path, model: JobModel, override: Any) -> Location:
    location = location_of(override)
    if location is not None:
        return location
    location = location_of(model.storage)
    if isinstance(location, Path):
        return path.parent / location
    if isinstance(location, File):
        return replace(location, path=path.parent / location.path)
    return default_storage() if location is None else location


def run_job(
    job: Job,
    *,
    on_change: OnChange | None = None,
    changed: Changed | None = None,
    data_version: str | None = None,
    retry_failed: bool = False,
    watcher: Watcher | None = None,
    say: Callable[[str], None] | None = None,
    opened: Callable[[Study], None] | None = None,
    join: bool = False,
) -> Result:
    """Run or resume a job until it is over or stopped; with `join`, beside others who do.

    `on_change`, `changed` and `data_version` count more than what the file says. `opened` is called once the study is there, before the first trial.
    Raises as `tunesmith.tune`.
    """
    if say is not None:
        for note in warnings(job.program, job.spec.space):
            say(note)
    return launch(
        job.spec,
        job.storage,
        job.executor,
        program=on_data(
            of_job(job.spec.job, job.program.cwd),
            job.model.data_version if data_version is None else data_version,
        ),
        on_change=on_change or job.model.on_change,
        changed=changed or job.model.changed,
        retry_failed=retry_failed,
        seed=job.model.seed,
        enqueue=job.model.enqueue,
        warm_start=job.warm_start,
        durability=job.durability,
        watcher=watcher,
        say=say,
        opened=opened,
        join=join,
    )
