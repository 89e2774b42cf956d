"""The study in your hands: create or open it, ask and tell, mend it, read it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Unpack

import msgspec

from tunesmith import schedule, search
from tunesmith.core import events
from tunesmith.core.errors import (
    StrategyError,
    StudyBusy,
    StudyError,
    StudyNotFound,
    StudyOver,
)
from tunesmith.core.events import Event
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Goal, Objective
from tunesmith.core.outcome import finite, judge
from tunesmith.core.propose import propose, visible_results
from tunesmith.core.rng import derive_seed
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import (
    CONTINUE,
    Decision,
    Outlook,
    Recommender,
    Scheduler,
    Searcher,
    Verdict,
    pauses,
)
from tunesmith.core.study import Strategy, StudySpec
from tunesmith.core.text import shorten, utf8
from tunesmith.core.trial import USER, Cost, Kind, Origin, Reason, State, Trial
from tunesmith.run.checkpoint import complete
from tunesmith.run.folder import CHECKPOINT, Folder
from tunesmith.run.live import checked_report
from tunesmith.store import Durability, Store, file_of, open_store
from tunesmith.store.journal import Journal
from tunesmith.tuning.result import Result, Trials
from tunesmith.tuning.session import Session, alive, describe
from tunesmith.tuning.spec import (
    ENQUEUED,
    LimitOptions,
    edit_events,
    make_spec,
    me,
    missing_configs,
    strategy_of,
)
from tunesmith.tuning.warm_start import Earlier, pasts


class Study:
    """A study in a store. Several processes may hold the same one.

    ``ask`` and ``tell`` run trials your own way; `tunesmith.tune` runs them for you.
    """

    def __init__(self, store: Store, name: str, storage: Path | None = None) -> None:
        self._store = store
        self._name = name
        #: The file it is in, beside which its trials keep theirs.
        self._storage = storage
        self._journal = Journal(store, name)
        self._memo: dict[Any, Any] = {}
        self._session: Session | None = None
        self._searcher: tuple[Strategy, Searcher] | None = None
        self._scheduler: tuple[Strategy | None, Scheduler | None] | None = None

    # -- making and opening -------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        space: Space | Mapping[str, Any],
        *,
        metric: str | Sequence[str] = "value",
        goal: Goal | Sequence[Goal] = "minimize",
        name: str = "study",
        storage: str | Path | Store | None = None,
        searcher: str | Mapping[str, Any] | Searcher = "auto",
        scheduler: str | Mapping[str, Any] | Scheduler | None = None,
        seed: int | None = None,
        deterministic: bool = False,
        duplicates: bool = False,
        enqueue: Iterable[Mapping[str, Any]] = (),
        warm_start: Earlier | Sequence[Earlier] = (),
        durability: Durability = "crash",
        **limits: Unpack[LimitOptions],
    ) -> Study:
        """A new study. `storage` is a file, or None for this process's memory; `enqueue`,
        configs to run first; `warm_start`, earlier studies (or their results, or names in the same storage)
        to learn from.

        Raises StudyExists; SpaceError, StudyError or StrategyError for what makes no sense; StoreError.
        """
        spec = make_spec(
            space,
            name=name,
            metric=metric,
            goal=goal,
            searcher=searcher,
            scheduler=scheduler,
            seed=seed,
            deterministic=deterministic,
            duplicates=duplicates,
            limits=limits,
        )
        store = open_store(storage, durability=durability)
        configs = [spec.space.clean(spec.space.complete(config)) for config in enqueue]
        store.create(replace(spec, past=pasts(warm_start, store, name)), time.time())
        study = cls(store, name, file_of(storage))
        study._queue(configs)
        return study

    @classmethod
    def open(
        cls,
        name: str | None = None,
        *,
        storage: str | Path | Store,
        durability: Durability = "crash",
    ) -> Study:
        """An existing study; without a name, the only one there. Raises StudyNotFound, StoreError."""
        path = file_of(storage)
        if path is not None and not path.exists():
            raise StudyNotFound(f"there is no file {path}")
        store = open_store(storage, durability=durability)
        if name is None:
            names = store.names()
            if len(names) != 1:
                listed = ", ".join(names) or "none"
                raise StudyError(f"say which study; {storage} has {len(names)}: {listed}")
            name = names[0]
        return cls(store, name, path)

    def close(self) -> None:
        """End this process's session and let go of the store."""
        if self._session is not None and self._session.mine:
            session, self._session = self._session.id, None
            self.commit(lambda: [events.Closed(time.time(), session)])
        self._store.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Study {self._name!r}>"

    # -- reading ------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    @property
    def store(self) -> Store:
        return self._store

    @property
    def spec(self) -> StudySpec:
        """The study as it is now, edits included."""
        return self._refresh().spec

    @property
    def objective(self) -> Objective:
        """The first objective; it never changes."""
        return self._store.load(self._name).objective

    @property
    def space(self) -> Space:
        return self.spec.space

    @property
    def trials(self) -> Trials:
        """All trials, by number."""
        return Trials(self._refresh())

    @property
    def best(self) -> Trial:
        """See `Result.best`. O(1) in the number of trials where the history has not been read yet."""
        if not self._journal.loaded:
            summary = self._store.summary(self._name)
            if summary.best is not None and summary.spec.limits.confirm is None:
                return _alone(
                    summary.spec, summary.best, self._store.changes(self._name, trial=summary.best)
                )
        return self.result().best

    def recommend(self) -> Trial:
        """The completed trial that the searcher's model predicts to be best; `best` if it has no model.

        On a noisy objective the best observed value is partly luck. Raises as `Result.best`.
        """
        ledger, searcher = self._refresh(), self._current_searcher()
        number = None
        if isinstance(searcher, Recommender) and len(ledger.spec.objectives) == 1:
            number = searcher.recommend(ledger.spec.space, History(ledger, memo=self._memo))
        return self.best if number is None else ledger.trial(number)

    def outlook(self, trials: int = 20) -> Outlook | None:
        """See `Result.outlook`."""
        return self.result().outlook(trials)

    def result(self) -> Result:
        """What the study has found so far."""
        return Result(self._refresh())

    def checkpoint(self, trial: Trial | int) -> Path | None:
        """The folder of a trial's last checkpoint, if that is kept: see ``LiveTrial.save``."""
        if self._storage is None:
            return None
        folder = Folder.beside(self._storage, self._name).trial(_number(trial)) / CHECKPOINT
        found = complete(folder)
        return found[-1].path if found else None

    def log(self, trial: Trial | int) -> list[Event]:
        """Everything that ever happened to a trial, old values included."""
        return list(self._store.changes(self._name, trial=_number(trial)))

    def coordinator(self) -> events.Opened | None:
        """The session that runs the study at this moment, as far as can be known."""
        ledger = self._refresh()
        if ledger.coordinator is None or ledger.coordinator not in ledger.open_sessions:
            return None
        opened = ledger.sessions[ledger.coordinator]
        return None if alive(opened) is False else opened

    # -- ask and tell -------------------------------------------------------------------------

    def ask(self) -> Trial:
        """The next trial to run: a waiting one, or a new config from the searcher.

        Raises StudyOver if the trials are used up or the space is exhausted, StudyBusy if a
        coordinator runs the study.
        """
        number = self._think(self._next_trial)[-1].trial  # type: ignore[union-attr]
        return self._ledger.trial(number)

    def _next_trial(self) -> list[Event]:
        ledger, now = self._ledger, time.time()
        self._refuse_if_run()
        limit = ledger.spec.limits.trials
        if limit is not None and ledger.started_count >= limit:
            raise StudyOver(f"all {limit} trials of study {self._name!r} have been started")
        opening: list[Event] = []
        if self._session is None or not self._session.mine:
            self._session = Session.new()
        if self._session.id not in ledger.sessions:
            opening = [self._session.opened(coordinator=False)]
        session = self._session.id
        waiting = ledger.next_waiting()
        if waiting is not None:
            attempt = ledger.attempts_begun(waiting)
            return [*opening, events.Started(now, waiting, attempt, session)]
        visible = visible_results(ledger.spec, ledger.size)
        if visible is not None and any(number < visible for number in ledger.running):
            first = min(ledger.running)
            raise StudyError(f"deterministic: tell trial {first} before you ask for another")
        proposals = propose(ledger, self._current_searcher(), 1, memo=self._memo)
        if not proposals:
            raise StudyOver(f"every config in the space of study {self._name!r} has been tried")
        config, origin = proposals[0]
        return [*opening, events.Suggested(now, ledger.size, config, origin, session)]

    def _current_searcher(self) -> Searcher:
        wanted = self._ledger.spec.searcher
        if self._searcher is None or self._searcher[0] != wanted:
            self._searcher = (wanted, search.make(wanted))
        return self._searcher[1]

    def tell(
        self,
        trial: Trial | int,
        result: float | Mapping[str, float] | Sequence[float] | None = None,
        *,
        failed: str | None = None,
    ) -> Trial:
        """Record how a running trial ended: a number, metrics by name, or why it `failed`.

        None means that the last report counts. A value that is not finite is a failure, recorded as
        such. Raises TransitionError if the trial is not running.
        """
        number = _number(trial)

        def finish() -> list[Event]:
            ledger, now = self._ledger, time.time()
            ledger.state(number)  # raises if there is no such trial
            latest = ledger.curves.latest(number)
            outcome = judge(ledger.spec.objectives, result, latest)
            state, values, metrics, reason = outcome
            if result is None and (why := self._told_to_stop(number)) is not None:
                state, reason = State.STOPPED, Reason(Kind.STOPPED, why)
            if failed is not None:
                state, values, reason = (
                    State.FAILED,
                    None,
                    Reason(Kind.ERROR, _text("failed", failed)),
                )
            cost = Cost(wall_s=max(0.0, now - ledger.started_at(number)))
            attempt = ledger.attempt(number)
            return [events.Finished(now, number, attempt, state, values, metrics, reason, cost)]

        if failed is None and isinstance(result, str):
            raise StudyError(f"tell() takes a number or metrics; for a failure: failed={result!r}")
        self.commit(finish)
        return self._ledger.trial(number)

    def report(self, trial: Trial | int, step: int | None = None, **metrics: float) -> Decision:
        """Record metrics of a running trial at a step (by default one more than its last).

        What the study's scheduler wants of it then: CONTINUE, or STOP and why; end a trial that is to stop with
        ``tell(trial)``, and its last report stays with it. Raises StrategyError for a scheduler that pauses trials:
        those need `tune` or a job.
        """
        number = _number(trial)
        scheduler = self._current_scheduler()

        def reported() -> list[Event]:
            last = self._ledger.curves.last(number)
            at_step, values = checked_report(step, metrics, last.step if last else 0)
            attempt = self._ledger.attempt(number)
            return [events.Reported(time.time(), number, attempt, at_step, finite(values))]

        def decided() -> list[Event]:
            if number in self._ledger.decided or number not in self._ledger.running:
                return []
            verdict = str(decision.verdict)
            return [events.Decided(time.time(), number, verdict, decision.why)]

        self.commit(reported)
        decision = self._decide(scheduler, number)  # before anybody else's reports come in
        if decision.verdict is not Verdict.CONTINUE:
            self.commit(decided)
        why = self._told_to_stop(number)
        return CONTINUE if why is None else Decision(Verdict.STOP, why)

    def _decide(self, scheduler: Scheduler | None, number: int) -> Decision:
        """What the scheduler wants of a trial that has just reported."""
        ledger = self._ledger
        if scheduler is None or number in ledger.decided | ledger.confirming:
            return CONTINUE
        return scheduler.decide(History(ledger, memo=self._memo), number)

    def _told_to_stop(self, number: int) -> str | None:
        """Why the scheduler has told a running trial to stop; None if it has not."""
        told = self._ledger.stop_reasons.get(number)
        return None if told is None else told.message

    def _current_scheduler(self) -> Scheduler | None:
        wanted = self._refresh().spec.scheduler
        if self._scheduler is None or self._scheduler[0] != wanted:
            self._scheduler = (wanted, schedule.make(wanted))
        made = self._scheduler[1]
        if wanted is not None and made is not None and pauses(made):
            raise StrategyError(
                f"scheduler {wanted.name!r} pauses trials and lets them go on, which ask and tell cannot: run "
                "the study with tune() or a job file, or take one that stops trials (asha, forecast, median)"
            )
        return made

    # -- by hand ------------------------------------------------------------------------------

    def enqueue(
        self,
        config: Mapping[str, Any],
        *,
        tags: Mapping[str, str] | None = None,
        parent: Trial | int | None = None,
        why: str = "",
    ) -> Trial:
        """Put a config at the end of the queue; what it leaves out takes its default.

        Queued configs are run before the searcher's. Raises ConfigError, naming the parameter.
        """

        def enqueued() -> list[Event]:
            ledger = self._ledger
            full = ledger.spec.space.clean(ledger.spec.space.complete(config))
            origin = Origin(USER, _text("why", why))
            mother = None if parent is None else ledger.trial(_number(parent)).number
            return [events.Enqueued(time.time(), ledger.size, full, origin, _tags(tags), mother)]

        return self._ledger.trial(self.commit(enqueued)[-1].trial)  # type: ignore[union-attr]

    def _queue(self, configs: Sequence[Config]) -> None:
        """Enqueue those of `configs` that are missing; decided one by one, whoever else does the same."""
        for config in missing_configs(self._refresh(), configs):

            def enqueued(config: Config = config) -> list[Event]:
                ledger = self._ledger
                if not ledger.spec.duplicates and ledger.find(config) is not None:
                    return []
                return [events.Enqueued(time.time(), ledger.size, config, Origin(USER, ENQUEUED))]

            self.commit(enqueued)

    def cancel(self, trial: Trial | int) -> Trial:
        """Cancel a waiting trial, or one that somebody asked for and will not tell."""
        number = _number(trial)

        def cancelled() -> list[Event]:
            attempt = max(0, self._ledger.attempt(number))
            return [events.Finished(time.time(), number, attempt, State.CANCELLED)]

        if number in self._refresh().running:
            self._refuse_if_run()
        self.commit(cancelled)
        return self._ledger.trial(number)

    def correct(
        self, trial: Trial | int, result: float | Mapping[str, float], *, why: str
    ) -> Trial:
        """Mend the result of an ended trial; the old value stays in its log."""
        number = _number(trial)

        def corrected() -> list[Event]:
            outcome = judge(
                self._ledger.spec.objectives, result, self._ledger.trial(number).metrics
            )
            if outcome.values is None:
                raise StudyError(f"the corrected result cannot be used: {outcome.reason}")
            said = _text("why", why)
            return [
                events.Corrected(time.time(), number, outcome.values, outcome.metrics, said, me())
            ]

        self.commit(corrected)
        return self._ledger.trial(number)

    def retract(self, trial: Trial | int, *, why: str, undo: bool = False) -> Trial:
        """Take a trial's result out of consideration (or, with `undo`, back in)."""
        number, said = _number(trial), _text("why", why)
        self.commit(lambda: [events.Retracted(time.time(), number, said, me(), undo)])
        return self._ledger.trial(number)

    def annotate(
        self, trial: Trial | int, note: str = "", tags: Mapping[str, str] | None = None
    ) -> Trial:
        """Add a note or tags to a trial; a tag with an empty value is removed."""
        number, said, named = _number(trial), _text("note", note), _tags(tags)
        self.commit(lambda: [events.Annotated(time.time(), number, said, named, me())])
        return self._ledger.trial(number)

    def edit(
        self,
        *,
        space: Space | None = None,
        searcher: str | Mapping[str, Any] | Searcher | None = None,
        duplicates: bool | None = None,
        **limits: Unpack[LimitOptions],
    ) -> None:
        """Change a study, running or not: its space, its searcher, single limits.

        Ranges may widen or narrow, choices come and go, parameters with a default be added. Trials
        that fall outside are kept and marked. Raises StudyError.
        """

        def edited() -> list[Event]:
            spec = self._ledger.spec
            changes: dict[str, Any] = {}
            if space is not None:
                changes["space"] = space.to_dict()
            if searcher is not None:
                changes["searcher"] = strategy_of(searcher, search.describe).to_dict()
            if duplicates is not None:
                changes["duplicates"] = duplicates
            if limits:
                changes["limits"] = Limits.from_dict(spec.limits.to_dict() | dict(limits)).to_dict()
            return edit_events(spec, changes)

        self.commit(edited)

    def stop(self) -> None:
        """Ask whoever runs the study to stop: no new trials, running ones get their grace."""
        self.commit(lambda: [events.StopRequested(time.time(), me())])

    # -- writing ------------------------------------------------------------------------------

    @property
    def _ledger(self) -> Ledger:
        """The history as it was when it was last read."""
        return self._journal.ledger

    def _refresh(self) -> Ledger:
        """Take in what others have written."""
        return self._journal.refresh()

    def find(self, config: Mapping[str, Any]) -> int | None:
        """The number of the first trial with this config."""
        return self._refresh().find(config)

    def commit(self, decide: Callable[[], Sequence[Event]]) -> Sequence[Event]:
        """Decide on the newest state, check and store, in one transaction: see `Journal.write`."""
        return self._journal.write(lambda _: decide())

    def _think(self, decide: Callable[[], Sequence[Event]]) -> Sequence[Event]:
        """The same for what may take its time: see `Journal.ask`."""
        return self._journal.ask(lambda _: decide())

    def _refuse_if_run(self) -> None:
        opened = self.coordinator()
        if opened is not None:
            raise StudyBusy(
                f"study {self._name!r} is being run by {describe(opened)}; enqueue configs for it, or "
                "stop it first"
            )


def _alone(spec: StudySpec, number: int, history: Iterable[Event]) -> Trial:
    """A trial as its own events make it, without those of all the others."""
    ledger = Ledger(spec)
    for event in history:
        event = msgspec.structs.replace(event, trial=0)
        if isinstance(event, (events.Suggested, events.Enqueued, events.Forked)):
            event = msgspec.structs.replace(event, config=spec.space.complete(event.config))
        ledger.apply(event)
    seed = derive_seed(spec.seed, number, "objective")
    return replace(ledger.trial(0), number=number, seed=seed)


def _number(trial: Trial | int) -> int:
    return trial.number if isinstance(trial, Trial) else int(trial)


#: A longer text is cut before it is stored.
_TEXT_CHARACTERS: Final = 100_000


def _text(what: str, value: Any) -> str:
    """What is stored as a text has to be one, or it could not be read again."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is a text, not {value!r}")
    return shorten(utf8(value), _TEXT_CHARACTERS)


def _tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    return {_text("a tag's name", k): _text(f"tag {k!r}", v) for k, v in (tags or {}).items()}
