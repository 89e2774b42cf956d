"""Where tuning and training jobs are taken: each becomes a study of the service, run as a job of its own that survives the service."""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from tunesmith.core.errors import StudyExists, StudyNotFound, TunesmithError
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import State
from tunesmith.run.folder import OUTPUT, Folder
from tunesmith.service.jobs.job import Environment, Job
from tunesmith.service.jobs.jobs import Jobs
from tunesmith.service.problems import Problem
from tunesmith.service.sagemaker import images, plan, shapes, standing, tuning
from tunesmith.service.sagemaker.configuration import Configuration
from tunesmith.service.sagemaker.moves import Moves
from tunesmith.service.sagemaker.plan import Plan
from tunesmith.service.sagemaker.protocol import Fault, invalid
from tunesmith.service.sagemaker.records import Record, Records
from tunesmith.service.sagemaker.standing import OVER, Standing
from tunesmith.service.studies import Studies
from tunesmith.service.tokens import Token
from tunesmith.tuning.job import load_job
from tunesmith.tuning.study import Study
from tunesmith.tuning.warm_start import pasts

T = TypeVar("T")

_JOB: Final = "job.json"
#: How often what is to stop is seen to (s).
_LOOK_S: Final = 0.5
_LOG: Final = logging.getLogger(__name__)


class Desk:
    """The jobs of one service. For several threads."""

    def __init__(
        self,
        folder: Path,
        path: Path,
        configuration: Configuration,
        jobs: Jobs,
        studies: Studies,
    ) -> None:
        """`configuration` is that of the file at `path`."""
        self._folder, self._path, self._jobs, self._studies = folder, path, jobs, studies
        self.configuration = configuration
        self.records = Records(folder)
        self._plans: dict[str, Plan] = {}
        self._moves: dict[str, Moves] = {}
        #: How jobs stood at their end, by identity, until that is written down: nobody who asks waits for the disk.
        self._ends: dict[str, tuple[Record, dict[str, Any]]] = {}
        self._taking = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sagemaker", daemon=True)

    def start(self) -> None:
        """Take up what an earlier service was about to begin, and go on."""
        for record in [*self.records.all("tuning"), *self.records.all("training")]:
            if not record.job:
                try:
                    self.records.change(record, job=self._hand_over(record).id)
                except (TunesmithError, Fault, Problem, OSError) as error:
                    _LOG.warning(
                        "%s job %s could not be begun: %s", record.kind, record.name, error
                    )
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._jobs.close()

    # -- taking jobs ----------------------------------------------------------------------------

    def create_tuning(
        self, asked: shapes.CreateTuning, raw: dict[str, Any], token: Token, region: str
    ) -> Record:
        """Raises Fault."""
        parents = self._parents(asked, token)
        inherited: dict[str, str] = {}
        for parent in parents:
            for training in self._plan(parent).trainings.values():
                inherited |= training.metrics
        made = tuning.study_of(asked, self.configuration, inherited)
        for parent in parents:
            if made.job["objective"]["metric"] != self._plan(parent).objective:
                raise invalid(
                    f"WarmStartConfig: {parent.name} has the objective {self._plan(parent).objective!r}, and this job "
                    f"{made.job['objective']['metric']!r}; they have to be the same"
                )
        record = self._record(
            "tuning", asked.HyperParameterTuningJobName, raw, asked.Tags, token, region
        )
        described = Plan(
            job=record.name,
            identity=record.identity,
            configuration=str(self._path.absolute()),
            region=region,
            account=self.configuration.account,
            objective=made.job["objective"]["metric"],
            trainings=made.trainings,
            which=made.which,
        )
        return self._take(record, made.job, described, token, [parent.study for parent in parents])

    def _parents(self, asked: shapes.CreateTuning, token: Token) -> list[Record]:
        if asked.WarmStartConfig is None:
            return []
        found = []
        for one in asked.WarmStartConfig.ParentHyperParameterTuningJobs:
            name = one.HyperParameterTuningJobName
            record = self.records.find("tuning", name)
            if record is None or not token.sees(record.study):
                raise invalid(f"WarmStartConfig: there is no tuning job {name}")
            if (status := self.summary(record)["status"]) not in OVER:
                raise invalid(
                    f"WarmStartConfig: {name} is {status}; a job can be started from one that is over"
                )
            found.append(record)
        return found

    def create_training(
        self, asked: shapes.CreateTraining, raw: dict[str, Any], token: Token, region: str
    ) -> Record:
        """Raises Fault."""
        run = images.training(asked, asked.HyperParameters, None, self.configuration)
        run = images.worded(run, asked.AlgorithmSpecification)
        record = self._record("training", asked.TrainingJobName, raw, asked.Tags, token, region)
        described = Plan(
            job=record.name,
            identity=record.identity,
            configuration=str(self._path.absolute()),
            region=region,
            account=self.configuration.account,
            objective=plan.SECONDS,
            trainings={"": run},
            tuning=False,
        )
        retries = asked.RetryStrategy.MaximumRetryAttempts if asked.RetryStrategy else 3
        job = {
            "objective": {"metric": plan.SECONDS},
            "space": {"training": asked.TrainingJobName},
            "searcher": "random",
            "limits": {
                "trials": 1,
                "grace": tuning.GRACE_S,
                "trial_silence": "off",
                "retries": retries,
            },
        }
        return self._take(record, job, described, token, [])

    def _record(
        self,
        kind: Any,
        name: str,
        raw: dict[str, Any],
        tags: list[shapes.Tag],
        token: Token,
        region: str,
    ) -> Record:
        return Record(
            kind=kind,
            name=name,
            request=raw,
            created_at=round(time.time(), 3),
            identity=secrets.token_hex(6),
            study="",
            region=region,
            token=token.id,
            by=token.name,
            tags={tag.Key: tag.Value for tag in tags},
        )

    def _take(
        self,
        record: Record,
        job: Mapping[str, Any],
        described: Plan,
        token: Token,
        parents: list[str],
    ) -> Record:
        """Make its study, write it down, and hand it over. Raises Fault; what has been written by then is removed again."""
        with self._taking, contextlib.ExitStack() as undo:
            if self.records.find(record.kind, record.name) is not None:
                what = "tuning job" if record.kind == "tuning" else "training job"
                raise Fault(
                    "ResourceInUse", f"there is a {what} {record.name} already; take another name"
                )
            draft = self._folder / "files" / record.identity
            undo.callback(shutil.rmtree, draft, ignore_errors=True)
            draft.mkdir(mode=0o700, parents=True)
            whole = {
                **job,
                **self.configuration.place,
                "command": [
                    sys.executable,
                    "-P",
                    "-m",
                    "tunesmith.service.sagemaker.training",
                    "{attempt}",
                    "{config_file}",
                ],
                "changed": "keep",
            }
            (draft / _JOB).write_bytes(msgspec.json.encode(whole))
            (draft / plan.FILE).write_bytes(msgspec.json.encode(described))
            try:
                spec = load_job(draft / _JOB, {"name": record.name, "storage": "memory.db"}).spec
                study = self._new_study(record, spec, token, parents)
            except TunesmithError as error:
                raise invalid(
                    str(error).replace(f"{draft}/{_JOB}:", "").replace(str(draft), "")
                ) from None
            undo.callback(self._delete, study)
            record = msgspec.structs.replace(record, study=study)
            self.records.add(record)
            undo.callback(self.records.remove, record)
            handed = self._hand_over(record)
            undo.callback(self._call_off, handed.id)
            taken = self.records.change(record, job=handed.id)
            undo.pop_all()
            return taken

    def _call_off(self, job_id: str) -> None:
        """Remove a job that nobody knows of; one that runs already is told to end."""
        with contextlib.suppress(Problem):
            if self._jobs.cancel(job_id, "it could not be written down").over:
                self._jobs.delete(job_id)

    def _delete(self, study: str) -> None:
        with contextlib.suppress(StudyNotFound):
            self._studies.delete(study)

    def _new_study(self, record: Record, spec: StudySpec, token: Token, parents: list[str]) -> str:
        """Make the study, under the first of the names NAME, NAME-2, ... that is free. Raises TunesmithError, Fault."""
        store = self._studies.store
        number = 1
        while True:
            name = record.name if number == 1 else f"{record.name}-{number}"
            if not token.sees(name):
                raise Fault("AccessDeniedException", f"this token is not for a study {name!r}")
            named = replace(spec, name=name)
            try:
                store.create(
                    replace(named, past=pasts(parents, store, named), owner=record.by),
                    record.created_at,
                )
            except StudyExists:
                number += 1
                continue
            return name

    def _hand_over(self, record: Record) -> Job:
        """Hand a record's job over; asked again, it is the same. Raises Fault."""
        folder = self._folder / "files" / record.identity
        files = [self._jobs.blobs.keep(folder / name, name) for name in (_JOB, plan.FILE)]
        token = Token(record.token, record.by, "submit", "", 0.0)
        try:
            return self._jobs.submit(
                token,
                record.study,
                _JOB,
                files,
                Environment(),
                None,
                record.identity,
                record.identity,
            )
        except Problem as problem:
            raise Fault("ResourceLimitExceeded", problem.detail) from None
        except TunesmithError as error:
            raise invalid(str(error)) from None

    # -- looking --------------------------------------------------------------------------------

    def look(self, record: Record, call: Callable[[Standing], T]) -> T:
        """What `call` makes of how a job stands, while that does not change."""
        job = self._job(record)
        moves = self._moves_of(record).refresh()
        described = self._plan(record)

        def on(study: Study) -> T:
            with study._journal.lock:  # noqa: SLF001
                ledger = study._refresh()  # noqa: SLF001
                return call(Standing(record, described, ledger, job, moves))

        try:
            return self._studies.on(record.study, on)
        except StudyNotFound:  # somebody deleted it
            return call(Standing(record, described, None, job, moves))

    def summary(self, record: Record) -> dict[str, Any]:
        """How a job stands, as lists say it; see `standing.frozen`."""
        now = self.records.find(record.kind, record.name, deleted=True) or record
        if now.end is not None:
            return now.end
        if (kept := self._ends.get(now.identity)) is not None:
            return kept[1]
        job = self._job(now)
        if job is not None and job.state == "queued" and not job.attempt:
            # nothing has begun: its history, which would have to be read for each that waits, is empty
            return standing.frozen(Standing(now, self._plan(now), None, job, self._moves_of(now)))
        found = self.look(now, standing.frozen)
        job = self._job(now)
        if found["status"] in OVER and job is not None and job.over:
            self._ends[now.identity] = now, found
        return found

    def _plan(self, record: Record) -> Plan:
        found = self._plans.get(record.identity)
        if found is None:
            path = self._folder / "files" / record.identity / plan.FILE
            found = self._plans[record.identity] = msgspec.json.decode(path.read_bytes(), type=Plan)
        return found

    def _moves_of(self, record: Record) -> Moves:
        found = self._moves.get(record.identity)
        if found is None:
            found = Moves(self._jobs.folder(record.job) / plan.MOVES)
            if record.job:
                self._moves[record.identity] = found
        return found

    def _job(self, record: Record) -> Job | None:
        try:
            return self._jobs.get(record.job) if record.job else None
        except Problem:
            return None

    # -- stopping -------------------------------------------------------------------------------

    def stop_tuning(self, record: Record) -> None:
        """Let no more trainings begin, and those that run end. Raises Fault for a job that is over."""
        if (status := self.summary(record)["status"]) in OVER:
            raise invalid(f"The request was rejected because the tuning job is in status {status}.")
        self._stop(record)

    def stop_training(self, record: Record) -> None:
        """Raises Fault for a job that is over."""
        if (status := self.summary(record)["status"]) in OVER:
            raise invalid(
                f"The request was rejected because the training job is in status {status}."
            )
        self.stop_trial(record, 0)
        job = self._job(record)
        if job is not None and job.state == "queued":
            self._stop(record)

    def _stop(self, record: Record) -> None:
        self._see_to(
            self.records.change(record, stopping_at=record.stopping_at or round(time.time(), 3))
        )

    def stop_trial(self, record: Record, number: int) -> None:
        """Let one training end, with what it has. Raises Fault for one that is over."""

        def ended(now: Standing) -> bool:
            return now.ledger is not None and number < now.size and now.ledger.state(number) in (
                State.COMPLETED, State.FAILED, State.STOPPED, State.CANCELLED,
            )  # fmt: skip

        if self.look(record, ended):
            raise invalid("The request was rejected because the training job is over.")
        self._ask_to_end(record, number)

    def _ask_to_end(self, record: Record, number: int) -> None:
        (self._trials(record).make(number) / plan.STOP).touch()

    def output(self, record: Record, number: int) -> Path:
        """The file with what a training prints."""
        return self._trials(record).trial(number) / OUTPUT

    def _trials(self, record: Record) -> Folder:
        return Folder(self._jobs.folder(record.job) / "trials" / record.study)

    def _see_to(self, record: Record) -> None:
        """Tell whoever runs a job that it is to stop, until it has heard of it."""
        job = self._job(record)
        if job is None or job.over:
            return
        if job.state == "queued":
            self._jobs.cancel(job.id, "stopped")

        def tell(study: Study) -> None:
            with study._journal.lock:  # noqa: SLF001
                ledger = study._refresh()  # noqa: SLF001
                asked, running = ledger.stop_requested, list(ledger.running)
            for number in (
                running
            ):  # at once: a study that is asked to stop lets its trials go on for a while
                self._ask_to_end(record, number)
            if asked is None:
                study.stop()

        with contextlib.suppress(StudyNotFound):
            self._studies.on(record.study, tell)

    def _waits_too_long(self, record: Record) -> bool:
        """Whether a training job has waited for its turn for longer than it may (MaxPendingTimeInSeconds)."""
        most: float | None = record.request.get("StoppingCondition", {}).get(
            "MaxPendingTimeInSeconds"
        )
        if most is None or time.time() - record.created_at <= most:
            return False
        job = self._job(record)
        return job is not None and job.state == "queued" and not job.attempt

    def _work(self) -> None:
        while not self._closing.wait(_LOOK_S):
            for identity, (record, end) in [*self._ends.items()]:
                try:
                    with contextlib.suppress(KeyError):  # it is no more
                        self.records.change(record, end=end)
                except (TunesmithError, OSError, Problem) as error:
                    _LOG.warning("the end of %s could not be kept: %s", record.name, error)
                    break
                self._ends.pop(identity, None)
            for record in [*self.records.all("tuning"), *self.records.all("training")]:
                if record.end is not None or not (
                    record.stopping_at or self._waits_too_long(record)
                ):
                    continue
                try:
                    if record.stopping_at is None:
                        self._stop(record)
                    else:
                        self._see_to(record)
                except (TunesmithError, OSError, Problem) as error:
                    _LOG.warning("%s could not be seen to: %s", record.name, error)
