"""Job files: a study of a command-line program, in YAML or JSON; read, checked and run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from tunesmith.core.errors import JobError, StudyError
from tunesmith.core.limits import Limits
from tunesmith.core.study import StudySpec
from tunesmith.core.yaml_text import Lines
from tunesmith.run.executors import Factory, Where, of_program, on
from tunesmith.run.folder import Folder
from tunesmith.run.program import Program
from tunesmith.run.usage import warnings
from tunesmith.store import Durability
from tunesmith.store.location import File, Location, default_storage, file_of, location_of
from tunesmith.tuning.feed import Watcher
from tunesmith.tuning.job_mistakes import Located, mistakes
from tunesmith.tuning.job_model import JobModel
from tunesmith.tuning.job_study import name_of, program_of, spec_of
from tunesmith.tuning.job_text import parse
from tunesmith.tuning.launch import launch
from tunesmith.tuning.place import folder_of
from tunesmith.tuning.program_files import of_job
from tunesmith.tuning.result import Result
from tunesmith.tuning.study import Study
from tunesmith.tuning.versions import Changed, OnChange, on_data

T = TypeVar("T")


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
        return program_of(self.path, self.model)

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
        spec = spec_of(path, model)
    except Located as error:
        raise JobError(f"{path}:{lines.line(error.path)}: {error}") from None
    storage = _storage(path, model, location)
    return Job(path, model, spec, storage, lines)


def study_of_job(path: Path | str, storage: Location | None = None) -> tuple[str, Location]:
    """The name and storage of a job file's study, for commands that only read it. Raises JobError."""
    path = Path(path)
    model, _ = _model(path, {})
    return name_of(path, model), _storage(path, model, storage)


def _model(
    path: Path,
    overrides: Mapping[str, Any],
    convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> tuple[JobModel, Lines]:
    """What the file says, `overrides` on top, and on which lines. Raises JobError."""
    data, lines = parse(path)
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
        raise mistakes(path, lines, data, error) from None


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
