"""`Study`: the ask-and-tell interface to a stored study; create or open it, correct it, read it."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Unpack

import msgspec
import numpy as np

from tunesmith import schedule, search
from tunesmith.core import asking, decide, events
from tunesmith.core.aging import data_part
from tunesmith.core.constraint import constraints_of
from tunesmith.core.decide import Strategies, Wait
from tunesmith.core.engine import start_of
from tunesmith.core.errors import (
    StoreFull,
    StrategyError,
    StudyBusy,
    StudyError,
    StudyOver,
    StudyWaits,
    TransitionError,
)
from tunesmith.core.events import Event, Exited, Quit
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Goal, Objective, Use
from tunesmith.core.outcome import finite, outcome_of
from tunesmith.core.preference import preference_of
from tunesmith.core.rng import derive_seed
from tunesmith.core.space.space import Config, Space
from tunesmith.core.stopping import Gains
from tunesmith.core.strategy import (
    CONTINUE,
    Decision,
    Outlook,
    Scheduler,
    Searcher,
    Verdict,
    pauses,
)
from tunesmith.core.study import StudySpec, tags_of
from tunesmith.core.text import shorten, utf8
from tunesmith.core.trial import (
    CODES,
    ENDED,
    OURSELVES,
    USER,
    Cost,
    Kind,
    Origin,
    Reason,
    State,
    Trial,
)
from tunesmith.run.asks import Question
from tunesmith.run.checkpoint import complete
from tunesmith.run.claim import claimed, identity_of, is_anothers
from tunesmith.run.folder import CHECKPOINT
from tunesmith.run.live import Channel, LiveTrial, checked_report
from tunesmith.run.remote import Remote
from tunesmith.store import Durability, Location, Store, location_of, open_store
from tunesmith.store.base import Summary
from tunesmith.store.journal import Journal
from tunesmith.tuning.display import progress_watcher
from tunesmith.tuning.place import check_there, folder_of, network_hint, refuse_network
from tunesmith.tuning.result import Result, Trials
from tunesmith.tuning.session import (
    Heartbeat,
    Session,
    abandoned,
    at_work,
    describe,
    describe_all,
    give_up_dead,
    on_other_hosts,
    running_session,
    shared_clock,
)
from tunesmith.tuning.spec import (
    ENQUEUED,
    LimitOptions,
    edit_events,
    make_spec,
    me,
    missing_configs,
    remarks,
    strategy_of,
)
from tunesmith.tuning.versions import Changed, best_again, check_on_change
from tunesmith.tuning.warm_start import Earlier, pasts

#: How often `ask` looks for dead sessions, whose trials it hands out again (s).
LOOK_S: Final = 1.0
#: What `ask` waits for in vain: trials that run now change nothing about it.
_OVER: Final = ("trials", "exhausted")


class Study:
    """A study in a store. Several processes may hold the same one.

    ``ask`` and ``tell`` run trials your own way; `tunesmith.tune` runs them for you.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        storage: Location | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._name = name
        #: The file it is in, beside which its trials keep theirs.
        self._storage = storage
        #: Seconds since the epoch.
        self._clock = clock
        self._journal = Journal(store, name)
        self._session: Session | None = None
        #: What its trials run, as far as the user says, and what becomes of those that ran something else.
        self._data: Mapping[str, str] = {}
        self._changed: Changed = "discount"
        self._heart: Heartbeat | None = None
        #: What waits for space on a full disk, or raises where it has (s): nothing is lost meanwhile.
        self._on_full: Callable[[StoreFull, float], None] | None = None
        #: When dead sessions were last looked for.
        self._looked_at = -LOOK_S
        #: The strategies, and the study (before it is edited) for which they were made.
        self._made: tuple[StudySpec, Strategies] | None = None
        #: Running trials as `live` gives them.
        self._live: dict[int, LiveTrial] = {}
        #: Why `report` said that trials are to end, where that is no scheduler's wish, and to which attempt.
        self._halted: dict[int, tuple[int, Reason]] = {}
        #: What `result` reads while sessions are dead, and for which events and sessions it was made: O(trials).
        self._without_dead: tuple[tuple[object, ...], Ledger] | None = None
        #: The store's summary, and after how many events it was made.
        self._summarized: tuple[int, Summary] | None = None

    # -- making and opening -------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        space: Space | Mapping[str, Any] | None = None,
        *,
        metric: str | Sequence[str] = "value",
        goal: Goal | Sequence[Goal] = "minimize",
        use: Use | Sequence[Use] = "last",
        constraints: str | Sequence[str] = (),
        at_most: Mapping[str, float] | None = None,
        at_least: Mapping[str, float] | None = None,
        prefer: str | Mapping[str, Any] | None = None,
        name: str = "study",
        storage: str | Location | Store | None = None,
        searcher: str | Mapping[str, Any] | Searcher = "auto",
        scheduler: str | Mapping[str, Any] | Scheduler | None = None,
        seed: int | None = None,
        deterministic: bool = False,
        duplicates: bool = False,
        tags: Iterable[str] = (),
        enqueue: Iterable[Mapping[str, Any]] = (),
        warm_start: Earlier | Sequence[Earlier] = (),
        durability: Durability = "crash",
        data_version: str | float | None = None,
        **limits: Unpack[LimitOptions],
    ) -> Study:
        """A new study. `storage` is a file, the URL of a database, or None for this process's memory; `enqueue`,
        configs to run first; `warm_start`, earlier studies (or their results, or names in the same storage)
        to learn from; without a `space`, trials ask for their parameters (see `live`); `data_version`, a word or number of yours that changes with the data (see `open`); `tags`, words by which people find it.

        Raises StudyExists; SpaceError, StudyError or StrategyError for what makes no sense; StoreError.
        """
        spec = make_spec(
            space,
            name=name,
            metric=metric,
            goal=goal,
            use=use,
            constraints=constraints,
            at_most=at_most,
            at_least=at_least,
            prefer=prefer,
            searcher=searcher,
            scheduler=scheduler,
            seed=seed,
            deterministic=deterministic,
            duplicates=duplicates,
            tags=tags,
            limits=limits,
        )
        data = data_part(data_version)
        store = open_store(storage, durability=durability)
        configs = [asking.queued(spec, config) for config in enqueue]
        store.create(
            replace(spec, past=pasts(warm_start, store, spec), owner=me(store)), time.time()
        )
        study = cls(store, name, location_of(storage))
        study._data = data
        study._queue(configs)
        for sentence in remarks(spec):
            warnings.warn(sentence, UserWarning, stacklevel=2)
        return study

    @classmethod
    def open(
        cls,
        name: str | None = None,
        *,
        storage: str | Location | Store,
        durability: Durability = "crash",
        data_version: str | float | None = None,
        changed: Changed = "discount",
    ) -> Study:
        """An existing study; without a name, the only one there.

        Where `data_version` is another one than that of its trials, `changed` says what becomes of them as soon as one is
        asked for: see `tune`. Raises StudyNotFound, StoreError, StudyError.
        """
        check_on_change("continue", changed)
        data = data_part(data_version)
        location = location_of(storage)
        check_there(
            location,
            "name the one that keeps the study (storage, or --storage), or run one first",
        )
        store = open_store(storage, durability=durability)
        if name is None:
            names = store.names()
            if len(names) != 1:
                listed = ", ".join(names) or "none"
                raise StudyError(f"say which study; {storage} has {len(names)}: {listed}")
            name = names[0]
        study = cls(store, name, location)
        study._data, study._changed = data, changed
        return study

    def by(self, session: Session) -> Study:
        """The same study with the same history, for another session: what it asks for is that one's."""
        other = copy.copy(self)
        other._session, other._heart = session, None  # noqa: SLF001
        return other

    def close(self) -> None:
        """End this process's session and let go of the store."""
        self._leave()
        self._store.close()

    def _leave(self, why: str = "") -> None:
        """End this process's session; with a reason, what it runs is given to others."""
        if self._heart is not None:
            self._heart.stop()
            self._heart = None
        if self._session is not None and self._session.mine:
            session, self._session = self._session.id, None
            if session not in self._ledger.sessions:
                return
            reason = Reason(Kind.INTERRUPTED, why)

            def left() -> list[Event]:
                at = self._clock()
                gone = decide.give_up(self._ledger, at, {session}, reason) if why else []
                return [*gone, events.Closed(at, session)]

            self.commit(left)

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _repr_html_(self) -> str:
        return self.result()._repr_html_()

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
        """The study as it is now, edits included. Where no history has been read it is the store's summary that knows."""
        if not self._journal.loaded:
            return self._summary().spec
        return self._refresh().spec

    def _summary(self) -> Summary:
        """What the store knows of the study without its history; read again only where something has happened."""
        cursor = self._store.cursor(self._name)
        if self._summarized is None or self._summarized[0] != cursor:
            self._summarized = (cursor, self._store.summary(self._name))
        self._journal.check_same()
        return self._summarized[1]

    @property
    def objective(self) -> Objective:
        """The first objective; it never changes."""
        return self._store.load(self._name).first_objective

    @property
    def space(self) -> Space:
        return self.spec.space

    @property
    def trials(self) -> Trials:
        """All trials, by number; those whose process is gone are waiting to be run again."""
        return Trials(self._without_the_dead())

    @property
    def best(self) -> Trial:
        """See `Result.best`. Where there are more than 10,000 trials and the history has not been read yet it is the
        store's summary that knows: O(1) in the number of trials, but for constraints and set-aside versions."""
        from tunesmith.tuning.excerpt import LARGE

        if not self._journal.loaded:
            summary = self._summary()
            if summary.best is not None and sum(summary.counts.values()) > LARGE:
                return _alone(
                    summary.spec, summary.best, self._store.changes(self._name, trial=summary.best)
                )
        return self.result().best

    def recommend(self) -> Trial:
        """See `Result.recommended`. On a noisy objective the best observed value is partly luck."""
        return self.result().recommended

    def outlook(self, trials: int = 20) -> Outlook | None:
        """See `Result.outlook`."""
        return self.result().outlook(trials)

    def result(self) -> Result:
        """What the study has found so far; trials whose process is gone are waiting to be run again."""
        return Result(self._without_the_dead())

    def watch(self) -> Result:
        """Show how the study goes on, whoever runs it, until it is over or this is interrupted (Ctrl-C, a notebook's stop
        button): a line in a terminal, in a notebook a cell. What it has come to by then."""
        with progress_watcher(True, also=None) as shown, suppress(KeyboardInterrupt):
            waits = False
            while True:
                ledger = self._without_the_dead()
                if shown.watch is not None:
                    shown.watch(ledger, self._clock())
                if ledger.ended is not None and not ledger.running:
                    break
                idle = not ledger.running and not at_work(ledger)
                if idle and not waits:
                    shown.say(
                        f"nobody runs study {self._name!r} at the moment; waiting for somebody who does"
                    )
                waits = idle
                self._store.wait(self._name, ledger.cursor, LOOK_S)
        return self.result()

    def _without_the_dead(self) -> Ledger:
        """The history, in which trials whose process is gone are waiting."""
        ledger = self._refresh()
        silent_s = self._store.silent_s(self._name) if ledger.running else {}
        dead = abandoned(ledger, silent_s, "", coordinators=False) if ledger.running else []
        if dead:
            at = (ledger.cursor, *sorted(dead))
            if self._without_dead is None or self._without_dead[0] != at:
                changes = self._store.changes(self._name)
                ledger = Ledger(self._store.load(self._name)).extend(changes)
                give_up_dead(ledger, silent_s)
                self._without_dead = (at, ledger)
            ledger = self._without_dead[1]
        return ledger

    def checkpoint(self, trial: Trial | int, *, fetch: bool = True) -> Path | None:
        """The folder of a trial's last checkpoint, if that is kept: see ``LiveTrial.save``. Where checkpoints are copied
        to a URL it is fetched, unless only one that is here is wanted. Raises ExecutorError where that fails."""
        if self._storage is None:
            return None
        files = folder_of(self._storage, self._name)
        identity = identity_of(self._name, self._store.made_at(self._name))
        folder = files.trial(_number(trial)) / CHECKPOINT
        if files.url is not None and fetch:
            with claimed(files, identity, _warn):
                Remote(files.url, identity).fetch(_number(trial), folder)
        if is_anothers(files.path, identity):
            return None
        checkpoints = complete(folder)
        return checkpoints[-1].path if checkpoints else None

    def command(self, trial: Trial | int) -> str | None:
        """The command of the study's job with a trial's values put in, to be read and copied; None for a study of
        no command."""
        from tunesmith.run.program import command_line

        one = trial if isinstance(trial, Trial) else self.trials[trial]
        folder = None
        if self._storage is not None:
            folder = folder_of(self._storage, self._name).trial(one.number)
        attempt = max(one.attempt, 0)
        return command_line(self.spec.job, one.config, one.number, attempt, one.seed, folder)

    def log(self, trial: Trial | int) -> list[Event]:
        """Everything that ever happened to a trial, old values included."""
        return list(self._store.changes(self._name, trial=_number(trial)))

    def coordinator(self) -> events.Opened | None:
        """The session that runs the study at this moment, as far as can be known."""
        return running_session(self._refresh())

    # -- ask and tell -------------------------------------------------------------------------

    def ask(self) -> Trial:
        """The next trial to run: a waiting one, or a new config from the searcher.

        Raises StudyOver if the trials are used up or the space is exhausted, StudyBusy if a
        coordinator runs the study.
        """
        begun = self._ask()
        with self._journal.lock:
            return self._ledger.trial(begun.trial)

    def _ask(self) -> events.Suggested | events.Started | events.Forked:
        """What begins the next trial. Raises as `ask`."""
        self._join()
        if time.monotonic() - self._looked_at >= LOOK_S:
            self._requeue_abandoned()
        try:
            return self._begin()
        except StudyError:
            if not self._requeue_abandoned():
                raise
        return self._begin()

    def _begin(self) -> events.Suggested | events.Started | events.Forked:
        begun = self._next_event()
        # one of the best, to be confirmed; or the end of a paused trial
        while isinstance(begun, (events.Enqueued, events.Finished)):
            begun = self._next_event()
        if isinstance(begun, events.Ended):
            raise self._over(begun)
        assert isinstance(begun, (events.Suggested, events.Started, events.Forked))
        return begun

    def _next_event(self) -> Event:
        with self._journal.lock:
            strategies = self._strategies
            quick = strategies.instant(self._ledger)
        asked_first = not quick and pauses(strategies.scheduler)
        if asked_first and (moved := self._patiently(lambda: self._journal.write(self._next_move))):
            return moved[-1]
        return self._patiently(lambda: self._journal.ask(self._next_trial, instant=quick))[-1]

    def _next_move(self, ledger: Ledger) -> list[Event]:
        """What the scheduler does with paused trials, which holds for the history that it saw: it is asked while the study
        is locked, and the searcher later."""
        self._refuse_if_run(ledger)
        strategies, at = self._strategies, self._clock()
        assert self._session is not None
        if decide.over(ledger, strategies, at) is not None or strategies.enough is not None:
            return []
        moved = decide.move(ledger, strategies, at, self._session.id)
        return [] if moved is None else [moved]

    def _requeue_abandoned(self) -> bool:
        """Put back into the queue what sessions had asked for that are dead; whether there was any."""
        self._looked_at = time.monotonic()
        with self._journal.lock:
            ledger = self._refresh()
            mine = "" if self._session is None else self._session.id
            if all(running.session == mine for running in ledger.running.values()):
                return False
            silent_s = self._store.silent_s(self._name)
            dead = abandoned(ledger, silent_s, mine, coordinators=False)
            if not dead:
                return False
            reason = Reason(Kind.LOST, "the process that asked for it is gone")
            return bool(
                self.commit(lambda: decide.give_up(self._ledger, self._clock(), dead, reason))
            )

    def _beat(self) -> None:
        if self._session is not None and self._session.mine:
            self._store.beat(self._name, self._session.id)

    def _join(self, *, unless_over: bool = False) -> None:
        """Begin a session, if this process has none yet. With `unless_over`, raises StudyOver if the study has been
        ended by a limit: a session would let it go on, only to end it once more."""

        def opened() -> list[Event]:
            assert self._session is not None
            self._refuse_if_run()
            if unless_over and self._spent():
                assert self._ledger.ended is not None
                raise StudyOver(self._ledger.ended.detail)
            session = self._session.opened(
                coordinator=False, program=self._data, changed=self._changed
            )
            return [msgspec.structs.replace(session, at=self._clock())]

        session = self._session
        if session is not None and session.mine and session.id in self._ledger.sessions:
            return
        if hint := network_hint(self._storage):
            self._refuse_other_hosts(self._storage)
            warnings.warn(hint, UserWarning, stacklevel=4)
        with self._journal.lock:
            if self._clock is time.time:
                self._clock = shared_clock(self._store)
            if self._session is None or not self._session.mine:
                self._session = Session.new()
                if self._store.shared:
                    self._beat()
                    self._heart = Heartbeat(self._beat)
            if self._session.id not in self._ledger.sessions:
                self._run_best_again(self._data, self._changed)
                self.commit(opened)

    def _refuse_other_hosts(self, storage: Location | None) -> None:
        """Raise StoreError if processes of other hosts work on a file that is on a network file system."""
        others = on_other_hosts(self._refresh(), self._store.silent_s(self._name))
        if others:
            refuse_network(storage, f"the study is worked on by {describe_all(others)}")

    def _spent(self) -> bool:
        """Whether the study was ended by what still holds: nobody can help it any more. One that was stopped goes on."""
        ledger = self._ledger
        if ledger.ended is None or ledger.ended.why == "interrupted":
            return False
        strategies = self._strategies
        end = decide.limit(ledger, strategies, self._clock()) or decide.complete(ledger, strategies)
        return end is not None and ledger.next_waiting() is None

    def _run_best_again(self, program: Mapping[str, str], changed: str) -> int:
        """Put the best configs of earlier versions than `program` into the queue, where they are to be run again; how
        many."""
        wanted = best_again(self._refresh(), program, changed)
        for config, why in wanted:

            def enqueued(config: Config = config, why: str = why) -> list[Event]:
                ledger = self._ledger
                return [events.Enqueued(self._clock(), ledger.size, config, Origin(USER, why))]

            self.commit(enqueued)
        return len(wanted)

    def _next_trial(self, ledger: Ledger) -> list[Event]:
        """The events that begin the next trial, or the one that ends the study."""
        self._refuse_if_run(ledger)
        strategies, at = self._strategies, self._clock()
        assert self._session is not None
        running = ledger.running.keys()
        step = decide.over(ledger, strategies, at) or decide.begin(
            ledger, strategies, at, self._session.id, running, 1
        )
        if isinstance(step, Quit):
            if running or ledger.ended is not None:
                raise self._over(step)
            return [events.Ended(at, step.why, step.detail)]
        if isinstance(step, Wait):
            if step.why in _OVER:
                raise self._over(step)
            raise StudyWaits(f"{step.detail}: tell trial {min(running)} before you ask for another")
        return step

    def _over(self, end: Quit | Wait | events.Ended) -> StudyOver:
        return StudyOver(
            f"study {self._name!r} is over: {end.detail}; study.edit(...) changes its limits and its space"
        )

    @property
    def _strategies(self) -> Strategies:
        """Those of the study as it is now."""
        spec = self._ledger.spec
        if self._made is None or self._made[0] is not spec:
            gains = Gains() if self._made is None else self._made[1].gains
            searcher, scheduler = search.make(spec.searcher), schedule.make(spec.scheduler)
            self._made = (spec, Strategies(searcher, scheduler, search.look_ahead, gains=gains))
        return self._made[1]

    def _settle(self) -> None:
        """End the study, if nothing of it runs any more and no more is to begin."""

        with self._journal.lock:
            ledger, at = self._ledger, self._clock()
            if ledger.running or ledger.ended is not None:
                return
            try:
                strategies = self._strategies
            except StrategyError:  # whoever runs the study will see to its end
                return
            end = decide.over(ledger, strategies, at) or decide.complete(ledger, strategies)
            if end is not None and self.coordinator() is None:
                ended = events.Ended(at, end.why, end.detail)
                self.commit(lambda: [] if ledger.running or ledger.ended is not None else [ended])

    def tell(
        self,
        trial: Trial | int,
        result: float | Mapping[str, float] | Sequence[float] | None = None,
        *,
        failed: str | None = None,
    ) -> Trial:
        """Record how a running trial ended: a number, metrics by name, or why it `failed`: any words, or a reason that
        searchers know, with words or without (``"out_of_memory: 9 GB"``, ``"timeout"``, ``"not_finite"``).

        None means that the last report counts; so it does, whatever is told, for a trial that a scheduler has told to
        stop: that one is stopped. A value that is not finite is a failure, recorded as such. Raises TransitionError
        if the trial is not running.
        """
        number = _number(trial)
        live = self._live.get(number)

        def finish(ledger: Ledger) -> list[Event]:
            now = self._clock()
            state = ledger.state(number)  # raises if there is no such trial
            if state in ENDED and state is not State.CANCELLED:
                raise TransitionError(
                    f"trial {number} is {state} and cannot be told again; study.correct({number}, value, why=...) "
                    "mends its result"
                )
            _refuse_superseded(ledger, trial)
            reason = None
            if failed is not None:
                reason = Reason.told(_text("failed", failed))
            elif result is None:
                reason = self._told_to_halt(number)
            if reason is None or reason.kind is Kind.ERROR:
                reason = ledger.stop_reasons.get(number) or reason  # `report` has said so
            cost = Cost(wall_s=max(0.0, now - ledger.started_at(number)))
            exited = Exited(now, number, ledger.attempt(number), result, reason, cost)
            if live is not None and live.attempt == exited.attempt:
                exited = exited._replace(asked=tuple(live.config), tags=live.tags)
            return decide.ends(ledger, exited, requested=True)

        if failed is None and isinstance(result, str):
            raise StudyError(f"tell() takes a number or metrics; for a failure: failed={result!r}")
        self._journal.write(finish)
        self._halted.pop(number, None)
        self._live.pop(number, None)
        self._settle()
        return self._ledger.trial(number)

    def live(self, trial: Trial | int) -> LiveTrial:
        """A running trial as objectives see it (see `LiveTrial`): it gives parameters their values by name
        (``live.float("lr", 1e-5, 1e-1, log=True)``) and reports. End it with ``tell``.

        The same one for all threads of this process. One that another process has begun goes on; of the values that it
        was given as they had been suggested, those are known that it has said in a report.
        """
        number = _number(trial)
        with self._journal.lock:
            ledger = self._refresh()
            if number not in ledger.running:
                self._live.pop(number, None)
                raise TransitionError(
                    f"trial {number} is {ledger.state(number)}: only a running one asks and reports"
                )
            there = self._live.get(number)
            if there is None or there.attempt != ledger.attempt(number):
                there = self._live[number] = self._begin_live(ledger, number)
            return there

    def _begin_live(self, ledger: Ledger, number: int) -> LiveTrial:
        start = start_of(ledger, events.Started(0.0, number, ledger.attempt(number), ""))
        assert start is not None

        def send(step: int, metrics: Mapping[str, float | None]) -> Reason | None:
            values = {name: math.nan if v is None else v for name, v in metrics.items()}
            decision = self._report(number, step, values)
            return (
                None if decision.verdict is Verdict.CONTINUE else Reason(Kind.STOPPED, decision.why)
            )

        def ask(question: Question) -> Reason | None:
            asked = events.Asked(self._clock(), number, start.attempt, *question)
            stored, refused = self._record_asked(asked)
            if refused is None and not stored:
                raise TransitionError(
                    f"trial {number} was handed out again, and is another process's now"
                )
            return refused

        def directory() -> Path:
            if self._storage is None:
                raise StudyError(
                    "a study in memory has no folder for its trials: give it a storage"
                )
            return folder_of(self._storage, self._name).make(number)

        return LiveTrial(
            number,
            start.attempt,
            start.config,
            start.seed,
            directory,
            Channel(number, send, ask),
            start.reported,
            asked=start.asked,
            given=start.given,
            metrics=[objective.metric for objective in ledger.spec.objectives],
            so_far=ledger.running[number].asked,
            stored=ledger.config(number),
        )

    def report(self, trial: Trial | int, step: int | None = None, **metrics: float) -> Decision:
        """Record metrics of a running trial at a step (by default one more than its last).

        What the study's scheduler wants of it then: CONTINUE, or STOP and why; end a trial that is to stop with
        ``tell(trial)``, and its last report stays with it. Raises StrategyError for a scheduler that pauses trials:
        those need `tune` or a job.
        """
        return self._report(_number(trial), step, metrics)

    def _report(
        self, number: int, step: int | None, metrics: Mapping[str, float], key: str = ""
    ) -> Decision:
        """See `report`; `key` is that of the request which brings it."""
        self._refuse_pausing()  # before anything is stored

        def reported() -> list[Event]:
            last = self._ledger.curves.last(number)
            at_step, values = checked_report(step, metrics, last.step if last else 0)
            attempt = self._ledger.attempt(number)
            return [events.Reported(self._clock(), number, attempt, at_step, finite(values), key)]

        with self._journal.lock:  # the scheduler is asked before anybody else's reports come in
            self.commit(reported)
            self._ask_scheduler(number)
            reason = self._why_stop(number)
            if reason is not None and number not in self._ledger.stop_reasons:
                self._halted[number] = (self._ledger.attempt(number), reason)
        return CONTINUE if reason is None else Decision(Verdict.STOP, reason.message)

    def _why_stop(self, number: int) -> Reason | None:
        """Why a running trial is to stop; None for one that goes on. Who has been told so once is told it again."""
        ledger = self._ledger
        reason = ledger.stop_reasons.get(number) or self._told_to_halt(number)
        if reason is None and number in ledger.running:
            reason = decide.halt(ledger, number, self._clock())
        return reason

    def _told_to_halt(self, number: int) -> Reason | None:
        attempt, reason = self._halted.get(number, (-1, None))
        return reason if attempt == self._ledger.attempt(number) else None

    def _ask_scheduler(self, number: int) -> None:
        """Ask the scheduler about a trial that has just reported; what it wants is stored."""
        decision = decide.verdict(self._ledger, self._strategies, number) or CONTINUE

        def decided() -> list[Event]:
            if number in self._ledger.decided or number not in self._ledger.running:
                return []
            return [events.Decided(self._clock(), number, str(decision.verdict), decision.why)]

        if decision.verdict is not Verdict.CONTINUE:
            self.commit(decided)

    def _runs(self, trial: int, attempt: int) -> bool:
        """Whether an attempt at a trial is still this one's: it may have been given to others."""
        ledger = self._ledger
        return trial in ledger.running and ledger.attempt(trial) == attempt

    def _record(self, reported: events.Reported) -> bool:
        """Store a report of a trial that runs here, and ask the scheduler; False if it is others' now."""

        def still() -> list[Event]:
            return [reported] if self._runs(reported.trial, reported.attempt) else []

        with self._journal.lock:
            stored = bool(self.commit(still))
            if stored:
                self._ask_scheduler(reported.trial)
            return stored

    def _record_asked(self, asked: events.Asked) -> tuple[bool, Reason | None]:
        """Store what a trial that runs here asks for: whether it still does, and why it is to fail if it is."""
        refused: Reason | None = None

        def stored() -> list[Event]:
            nonlocal refused
            refused = None
            if not self._runs(asked.trial, asked.attempt):
                return []
            refused = decide.refusal(self._ledger, asked)
            if refused is not None:
                return []
            if asked.only is None:
                return [asked]
            only = decide.asked_so_far(self._ledger, asked.trial, asked.only)
            return [msgspec.structs.replace(asked, only=only)]

        return bool(self.commit(stored)), refused

    def _end(self, exited: Exited, *, requested: bool) -> bool:
        """Store the end of a trial that ran here; as a note, and False, if it is others' now."""

        def ended() -> list[Event]:
            ledger, number = self._ledger, exited.trial
            if not self._runs(number, exited.attempt):
                if exited.returned is None:
                    return []
                late = f"attempt {exited.attempt} returned {exited.returned!r}, after the trial had been handed out again"
                return [events.Annotated(exited.at, number, late[:1000], {}, OURSELVES)]
            ends = decide.ends(ledger, exited, requested=requested)
            completed = any(
                isinstance(e, events.Finished) and e.state is State.COMPLETED for e in ends
            )
            note = [events.Annotated(exited.at, number, exited.note, {}, OURSELVES)]
            return [*ends, *(note if exited.note and completed else [])]

        stored = self.commit(ended)
        self._settle()
        return any(not isinstance(event, events.Annotated) for event in stored)

    def _refuse_pausing(self) -> None:
        self._refresh()
        if pauses(self._strategies.scheduler):
            name = getattr(self._ledger.spec.scheduler, "name", "")
            raise StrategyError(
                f"scheduler {name!r} pauses trials and lets them go on, which ask and tell cannot: run "
                "the study with tune() or a job file, or take one that stops trials (asha, forecast, median)"
            )

    # -- by hand ------------------------------------------------------------------------------

    def enqueue(
        self,
        config: Mapping[str, Any],
        *,
        tags: Mapping[str, str] | None = None,
        parent: Trial | int | None = None,
        why: str = "",
        key: str = "",
    ) -> Trial:
        """Put a config at the end of the queue; what it leaves out takes its default.

        Queued configs are run before the searcher's, and run even if they ran before, whatever the study's
        `duplicates`; only the same `key` again is the trial that is there. Raises ConfigError, naming the parameter; where
        trials ask for their parameters they may ask for new ones, so that a name that looks misspelt is a warning, and a
        note with the trial.
        """
        trial = self._enqueue(config, tags=tags, parent=parent, why=why, key=key)
        for note in () if key else trial.notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        return trial

    def _enqueue(
        self,
        config: Mapping[str, Any],
        *,
        tags: Mapping[str, str] | None = None,
        parent: Trial | int | None = None,
        why: str = "",
        key: str = "",
    ) -> Trial:
        """See `enqueue`; a note is for whoever shows the trial."""

        def enqueued() -> list[Event]:
            ledger = self._ledger
            if key and key in ledger.keys:
                return []
            full = asking.queued(ledger.spec, config)
            origin = Origin(USER, _text("why", why))
            mother = None if parent is None else ledger.trial(_number(parent)).number
            at, number = self._clock(), ledger.size
            return [
                events.Enqueued(at, number, full, origin, _tags(tags), mother, _text("key", key))
            ]

        with self._journal.lock:
            made = self.commit(enqueued)
            number: int = made[-1].trial if made else self._ledger.keys[key]  # type: ignore[union-attr]
            if made:
                self._note_misspelt(number)
            return self._ledger.trial(number)

    def _note_misspelt(self, number: int) -> None:
        """Keep it with a trial in the queue that its names look as if others were meant."""
        ledger = self._ledger
        given = ledger.asking.given.get(number, {})
        if note := asking.misspelt(ledger.spec.space, ledger.asking, given):
            self.commit(lambda: [events.Annotated(self._clock(), number, note, {}, OURSELVES)])

    def retry_failed(self) -> list[Trial]:
        """Put the configs of the trials that failed into the queue once more, as new trials.

        The old ones are retracted: they stay in the log, and no longer count against the limit on trials. Not run
        again are trials whose config lies outside the space as it is now, copies of others (``pbt``), and runs that
        confirm others.
        """

        begun = [self.commit(lambda n=number: self._again(n)) for number in self._failed()]  # type: ignore[misc]
        return [self._ledger.trial(end[-1].trial) for end in begun if end]  # type: ignore[union-attr]

    def _failed(self) -> list[int]:
        """The trials that may be run again because they failed."""
        ledger = self._refresh()
        table, n = ledger.table, ledger.size
        failed = (
            (table.state[:n] == CODES[State.FAILED]) & ~table.retracted[:n] & ~table.outside[:n]
        )
        numbers: list[int] = np.flatnonzero(failed).tolist()
        return [k for k in numbers if k not in ledger.forks and k not in ledger.confirming]

    def _again(self, number: int) -> list[Event]:
        """The events that run a failed trial again as a new one, unless somebody else has written them."""
        ledger, at = self._ledger, self._clock()
        if ledger.table.retracted[number] or ledger.state(number) is not State.FAILED:
            return []
        origin = Origin(USER, f"trial {number} once more, after it had failed")
        why = f"it failed, and is run again as trial {ledger.size}"
        return [
            events.Retracted(at, number, why, me(self._store)),
            events.Enqueued(at, ledger.size, ledger.plan(number), origin, ledger.tags(number)),
        ]

    def _queue(self, configs: Sequence[Config]) -> None:
        """Enqueue those of `configs` that are missing; decided one by one, whoever else does the same."""
        ledger = self._refresh()
        since = ledger.size
        for config in missing_configs(ledger, configs):

            def enqueued(config: Config = config) -> list[Event]:
                ledger = self._ledger
                if not ledger.spec.duplicates and not missing_configs(ledger, [config], since):
                    return []
                return [events.Enqueued(self._clock(), ledger.size, config, Origin(USER, ENQUEUED))]

            with self._journal.lock:
                for made in self.commit(enqueued):
                    self._note_misspelt(made.trial)  # type: ignore[union-attr]

    def cancel(self, trial: Trial | int) -> Trial:
        """Cancel a waiting trial, or one that somebody asked for and will not tell."""
        number = _number(trial)

        def cancelled() -> list[Event]:
            attempt = max(0, self._ledger.attempt(number))
            return [events.Finished(self._clock(), number, attempt, State.CANCELLED)]

        runs = number in self._refresh().running
        if runs:
            self._refuse_if_run()
        self.commit(cancelled)
        if runs:
            self._settle()
        return self._ledger.trial(number)

    def correct(
        self, trial: Trial | int, result: float | Mapping[str, float], *, why: str
    ) -> Trial:
        """Mend the result of an ended trial; the old value stays in its log."""
        number = _number(trial)

        def corrected() -> list[Event]:
            outcome = outcome_of(
                self._ledger.spec.objectives, result, self._ledger.trial(number).metrics
            )
            if outcome.values is None:
                raise StudyError(f"the corrected result cannot be used: {outcome.reason}")
            justification = _text("why", why)
            return [
                events.Corrected(
                    self._clock(),
                    number,
                    outcome.values,
                    outcome.metrics,
                    justification,
                    me(self._store),
                )
            ]

        self.commit(corrected)
        return self._ledger.trial(number)

    def retract(self, trial: Trial | int, *, why: str, undo: bool = False) -> Trial:
        """Take a trial's result out of consideration (or, with `undo`, back in)."""
        number, justification = _number(trial), _text("why", why)
        self.commit(
            lambda: [events.Retracted(self._clock(), number, justification, me(self._store), undo)]
        )
        return self._ledger.trial(number)

    def annotate(
        self, trial: Trial | int, note: str = "", tags: Mapping[str, str] | None = None
    ) -> Trial:
        """Add a note or tags to a trial; a tag with an empty value is removed."""
        number, note_text, named = _number(trial), _text("note", note), _tags(tags)
        self.commit(
            lambda: [events.Annotated(self._clock(), number, note_text, named, me(self._store))]
        )
        return self._ledger.trial(number)

    def edit(
        self,
        *,
        space: Space | None = None,
        searcher: str | Mapping[str, Any] | Searcher | None = None,
        duplicates: bool | None = None,
        constraints: str | Sequence[str] | None = None,
        prefer: str | Mapping[str, Any] | None = None,
        **limits: Unpack[LimitOptions],
    ) -> None:
        """Change a study, running or not: its space, its searcher, single limits, its constraints (by which all trials
        are judged again), which of a front is preferred.

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
            if constraints is not None:
                changes["constraints"] = [c.text for c in constraints_of(constraints)]
            if prefer is not None:
                rule = preference_of(prefer, spec.objectives)
                changes["prefer"] = None if rule is None else rule.to_dict()
            if limits:
                changes["limits"] = Limits.from_dict(spec.limits.to_dict() | dict(limits)).to_dict()
            return edit_events(spec, changes, me(self._store))

        self.commit(edited)

    def tag(self, *tags: str, remove: Iterable[str] = ()) -> tuple[str, ...]:
        """Add tags to the study and take others away, whatever others do to them at the same time; those it has then."""
        added, gone = tags_of(tags), frozenset(tags_of(remove))

        def tagged() -> list[Event]:
            spec = self._ledger.spec
            kept = [tag for tag in (*spec.tags, *added) if tag not in gone]
            return edit_events(spec, {"tags": list(tags_of(kept))}, me(self._store))

        self.commit(tagged)
        return self._ledger.spec.tags

    def stop(self) -> None:
        """Ask whoever runs the study to stop: no new trials, running ones get their grace, from the first request on."""

        def requested() -> list[Event]:
            if self._ledger.stop_requested is not None:
                return []
            return [events.StopRequested(self._clock(), me(self._store))]

        self.commit(requested)

    def resume(self) -> bool:
        """Let a study go on that was stopped or has ended, with whoever asks for a trial next; False if it goes on as it
        is. A program that had run it has to be started once more.

        Raises StudyBusy while it is still stopping, StudyOver where a limit has ended it that still holds.
        """
        self._requeue_abandoned()
        resumed: list[Event] = []

        def opened() -> list[Event]:
            resumed[:] = self._resumption(self._ledger)
            return resumed

        self.commit(opened)
        return bool(resumed)

    def _resumption(self, ledger: Ledger) -> list[Event]:
        """The events that let a stopped study go on: a session, as one that takes part would begin it."""
        at, ended = self._clock(), ledger.ended
        if ended is None:
            if ledger.stop_requested is None:
                return []
            self._refuse_if_run(ledger)
            if ledger.running:
                raise StudyBusy(
                    f"study {self._name!r} is still stopping: trial {min(ledger.running)} runs; wait for its end, or cancel it"
                )
        elif ended.why != "failures" and self._spent():
            raise self._over(ended)
        end = [] if ended else [events.Ended(at, decide.ON_REQUEST.why, decide.ON_REQUEST.detail)]
        session = msgspec.structs.replace(Session.new().opened(coordinator=False), at=at)
        return [*end, session, events.Closed(at, session.session)]

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
        return self._patiently(lambda: self._journal.write(lambda _: decide()))

    def _patiently(self, store: Callable[[], Sequence[Event]]) -> Sequence[Event]:
        """What `store` returns; while the disk is full, as long as `_on_full` waits for space."""
        since_s: float | None = None
        while True:
            try:
                return store()
            except StoreFull as full:
                if self._on_full is None:
                    raise
                now_s = time.monotonic()
                since_s = now_s if since_s is None else since_s
                self._on_full(full, now_s - since_s)

    def _refuse_if_run(self, ledger: Ledger | None = None) -> None:
        """Raise StudyBusy if a coordinator runs the study, as `ledger` has it, or as it is now."""
        opened = running_session(self._refresh() if ledger is None else ledger)
        if opened is not None:
            raise StudyBusy(
                f"study {self._name!r} is being run by {describe(opened)}; enqueue configs for it, or "
                "stop it first"
            )


def _warn(sentence: str) -> None:
    warnings.warn(sentence, UserWarning, stacklevel=5)


def _alone(spec: StudySpec, number: int, history: Iterable[Event]) -> Trial:
    """A trial as its own events make it, without those of all the others."""
    ledger = Ledger(spec)
    for event in history:
        event = msgspec.structs.replace(event, trial=0)
        if isinstance(event, (events.Suggested, events.Enqueued, events.Forked)):
            event = msgspec.structs.replace(event, config=spec.space.complete(event.config))
        ledger.apply(event)
    seed = derive_seed(spec.seed, number, "objective")
    return msgspec.structs.replace(ledger.trial(0), number=number, seed=seed)


def _refuse_superseded(ledger: Ledger, trial: Trial | int) -> None:
    """Whoever was taken for dead must not end what somebody else runs."""
    if not isinstance(trial, Trial) or trial.state is not State.RUNNING:
        return
    attempt = ledger.attempt(trial.number)
    if attempt != trial.attempt:
        running = ledger.running.get(trial.number)
        by = ledger.sessions.get(running.session) if running else None
        raise TransitionError(
            f"trial {trial.number} was handed out again (attempt {attempt}; this is {trial.attempt}), because "
            f"the process that had asked for it was not heard of{f', and is run by {describe(by)}' if by else ''}; ask for "
            "another one"
        )


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
