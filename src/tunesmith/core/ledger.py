"""The fold of a study's events.

`Ledger.apply` is the only place where the state of a study changes, and the TABLE in `trial` says
which changes are legal. Adding a trial or an event is O(1) amortised in the number of trials; an
edit of the space is O(trials). The trials themselves are in `table`, their reports in `curves`.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core import events
from tunesmith.core.aging import Aging
from tunesmith.core.asking import Asking
from tunesmith.core.curves import Curves
from tunesmith.core.errors import StudyError
from tunesmith.core.events import Event
from tunesmith.core.incumbent import (
    Confirmed,
    Improvement,
    confirmed_of,
    contenders,
    front,
    valid,
)
from tunesmith.core.objective import LAST
from tunesmith.core.rng import derive_seed
from tunesmith.core.space.space import Config
from tunesmith.core.study import StudySpec
from tunesmith.core.table import Table, known
from tunesmith.core.trial import (
    BLAMED,
    CODES,
    CONFIRM,
    ENDING_MOVE,
    STATES,
    TABLE,
    USER,
    Cost,
    Kind,
    Origin,
    Reason,
    State,
    Trial,
    move,
)

#: Of so many trials the ends are remembered in order.
RECENT: Final = 20
_RUNNING: Final = CODES[State.RUNNING]
_WAITING: Final = CODES[State.WAITING]
_PAUSED: Final = CODES[State.PAUSED]
_COMPLETED: Final = CODES[State.COMPLETED]
_CANCELLED: Final = CODES[State.CANCELLED]
#: The TABLE by codes, and some states by name: a member of an enum takes ten times as long to find.
_MOVES: Final = {(CODES[state], verb): CODES[after] for (state, verb), after in TABLE.items()}
#: By state, whether a trial in it counts against the limit.
_COUNTS: Final = tuple(state not in (State.WAITING, State.CANCELLED) for state in STATES)
_FAILED: Final = State.FAILED
_CALLED_OFF: Final = State.CANCELLED
_DROPPED: Final = State.STOPPED
_DELIVERED: Final = State.COMPLETED
_TIMEOUT: Final = Kind.TIMEOUT
#: The kind of reason with which a decision ends a trial's job.
_STOP_KINDS: Final = {"stop": Kind.STOPPED, "pause": Kind.PAUSED}


class Running:
    """What is known of a trial only while it runs."""

    __slots__ = ("asked", "heard_at", "key", "keyed", "reports", "session", "why")

    def __init__(self, session: str, at: float, why: str = "") -> None:
        self.session = session
        #: Why its scheduler let it go on.
        self.why = why
        self.heard_at = at
        self.reports = 0
        #: The last request with a key that brought reports, and how many of them.
        self.key = ""
        self.keyed = 0
        #: The names that this attempt has said it asked for, where the space is learned from that.
        self.asked: tuple[str, ...] = ()


class Ledger:
    """Everything that is known of a study after `cursor` events."""

    def __init__(self, spec: StudySpec) -> None:
        self.spec = spec
        self.cursor = 0
        self.table = Table(spec.space, spec.objectives, spec.constraints, learned=spec.learned)
        #: What trials have asked for, where the space is learned from that.
        self.asking = Asking()
        self.curves = Curves()
        plain = all(objective.use == LAST for objective in spec.objectives)
        #: The same reports, each with what `Objective.use` makes of it and of those before: what strategies judge.
        self.judged = self.curves if plain else Curves()
        self.running: dict[int, Running] = {}
        self.sessions: dict[str, events.Opened] = {}
        self.open_sessions: set[str] = set()
        #: The versions of the program that trials have run, and which of them is the current one.
        self.aging = Aging()
        #: The session that runs the study, or ran it last.
        self.coordinator: str | None = None
        #: When each paused trial was paused.
        self.paused: dict[int, float] = {}
        #: Trials that go on where others were, and from which step: they are no runs of their own.
        self.forks: dict[int, int] = {}
        #: For each trial that is being confirmed, the trials that run its config again; and all of these.
        self.confirmations: dict[int, list[int]] = {}
        self.confirming: set[int] = set()
        #: Running trials that the scheduler has decided to end: it is not asked again.
        self.decided: set[int] = set()
        #: Why those of them that were told to end, or to pause, will do so.
        self.stop_reasons: dict[int, Reason] = {}
        #: Trials that the scheduler would have stopped and that go on, to see what they come to.
        self.audited: set[int] = set()
        #: The trials that people have put into the queue, in order; those that requests with a key have.
        self.by_hand: list[int] = []
        self.keys: dict[str, int] = {}
        self.ended: events.Ended | None = None
        self.stop_requested: events.StopRequested | None = None
        #: Trials by state, trials that count against the limit, sums over ended trials.
        self._tally = [0] * len(STATES)
        #: Trials that have begun and count against the limit: see `started_count`.
        self._begun = 0
        self.improvement = Improvement()
        #: How the last trials ended: whether they failed, newest last.
        self.recent: deque[bool] = deque(maxlen=RECENT)
        self.compute_time_s = 0.0
        self.money = 0.0
        self.longest_gap_s = 0.0
        #: Failures since the last trial that did not fail, newest last.
        self.failures: list[int] = []
        #: Trials that did not fail since the current coordinator began.
        self.session_successes = 0
        #: When the last event was, and the last one that was no work by hand on trials that nobody need run.
        self.last_at = 0.0
        self.worked_at = 0.0
        self._elapsed_s = 0.0
        self._session_began: float | None = None
        self._queue: list[int] = []
        self._reasons: dict[int, Reason] = {}
        #: The limit that failed trials ran into, as it was then.
        self._limits_then: dict[int, tuple[Kind, float]] = {}
        self._tags: dict[int, dict[str, str]] = {}
        self._notes: dict[int, tuple[str, ...]] = {}
        self._parents: dict[int, int] = {}
        self._lost: dict[int, int] = {}
        #: Both as they were after so many events.
        self._confirmed: tuple[int, list[Confirmed]] = (-1, [])
        self._front: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, dtype=np.int64))
        #: The best trial of versions that are set aside, likewise.
        self._old_best: tuple[int, int | None] = (-1, None)

    # -- reading ------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """How many trials there are; also the number of the next one."""
        return self.table.size

    @property
    def metrics(self) -> Mapping[str, NDArray[np.float64]]:
        return self.table.metrics

    def column(self, name: str) -> NDArray[Any]:
        """See `Table.column`."""
        return self.table.column(name)

    def state(self, number: int) -> State:
        self._check(number)
        return STATES[int(self.table.state[number])]

    def attempt(self, number: int) -> int:
        return int(self.table.attempt.item(self._check(number)))

    def config(self, number: int) -> Config:
        return self.table.config(number)

    @property
    def names(self) -> list[str]:
        """The parameters of all configs: in a space that is learned also what trials that run have just asked for.
        O(names)."""
        return [*dict.fromkeys([*self.spec.space, *self.table.own_names])]

    def plan(self, number: int) -> Config:
        """What the trial is to run with: its config, and what was suggested and it has not asked for, where the space is
        learned from that."""
        plan = self.asking.plans.get(number)
        return self.config(number) if plan is None else dict(plan)

    def find(self, config: Mapping[str, Any]) -> int | None:
        """The first trial with this (contained) config."""
        return self.find_row(self.row(config))

    def find_row(self, row: list[float]) -> int | None:
        """The first trial with these numbers."""
        return self.table.find(row)

    def row(self, config: Config | Mapping[str, Any]) -> list[float]:
        """The config's numbers; those of the config asked for last are remembered."""
        return self.table.row(config)

    def next_waiting(self) -> int | None:
        """The waiting trial to start next: the lowest number."""
        while self._queue and self.table.state[self._queue[0]] != _WAITING:
            heapq.heappop(self._queue)
        return self._queue[0] if self._queue else None

    @property
    def started_count(self) -> int:
        """Trials that count against the limit: neither waiting, nor cancelled, nor retracted, nor a
        later part of another's run."""
        return self._begun

    @property
    def ended_count(self) -> int:
        """How many of `started_count` have ended: a run that goes on in a copy has not. O(1)."""
        return max(0, self._begun - self._tally[_RUNNING] - self._tally[_PAUSED])

    @property
    def completed(self) -> int:
        """How many trials have been completed. O(1)."""
        return self._tally[_COMPLETED]

    @property
    def search_left(self) -> int | None:
        """How many more trials the limit leaves to search with, beside those that are to confirm the best;
        None without a limit."""
        limits = self.spec.limits
        if limits.trials is None:
            return None
        reserved = max(0, limits.reserve - len(self.confirming))
        return limits.trials - self.started_count - reserved

    @property
    def full(self) -> bool:
        """Whether the limit on trials lets no more begin, but for those that confirm the best."""
        limits, left = self.spec.limits, self.search_left
        if limits.trials is None or left is None:
            return False
        return self.started_count >= limits.trials or (left <= 0 and not self._tally[_WAITING])

    @property
    def counts(self) -> dict[State, int]:
        """How many trials are in each state."""
        return dict(zip(STATES, self._tally, strict=True))

    def attempts_begun(self, number: int) -> int:
        """How often the trial has been started; also the number of its next attempt."""
        return int(self.table.attempt[number]) + 1

    def times_lost(self, number: int) -> int:
        return self._lost.get(number, 0)

    def elapsed_s(self, now: float) -> float:
        """How long sessions have worked on the study."""
        began = self._session_began
        return self._elapsed_s + (max(0.0, now - began) if began is not None else 0.0)

    @property
    def worked_s(self) -> float:
        """How long sessions have worked on it until the last sign of life: one that was killed has not said when."""
        return self.elapsed_s(self.worked_at)

    def best_age_s(self, now: float) -> float:
        """How long coordinators have worked since the best trial ended, or since they began."""
        return self.elapsed_s(now) - self.improvement.elapsed_s

    def started_at(self, number: int) -> float:
        return float(self.table.started_at.item(number))

    def seed(self, number: int) -> int:
        """The trial's own seed."""
        return derive_seed(self.spec.seed, number, "objective")

    def values(self, number: int) -> tuple[float, ...] | None:
        """The objectives' values as the user's metrics have them."""
        return self.table.values(number)

    # -- the best -----------------------------------------------------------------------------

    @property
    def incumbent(self) -> int | None:
        """The best trial of a study with one objective: of those that were confirmed the likeliest, else the
        completed one with the best value. See `core.incumbent`. With several, the one of the front that the user's
        rule prefers; None without a rule."""
        if len(self.spec.objectives) > 1:
            prefer = self.spec.prefer
            if prefer is None:
                return None
            members = self.front()
            if not len(members):
                return None
            return int(members[prefer.choose(self.table.losses[members], self.spec.objectives)])
        confirmed = self.confirmed
        if confirmed:
            return confirmed[0].trial
        if self.improvement.trial is None and self.aging.generation:
            return self._best_of_old
        return self.improvement.trial

    @property
    def _best_of_old(self) -> int | None:
        """The best trial while there is none of the current version of the program. O(trials) after an event."""
        if self._old_best[0] != self.cursor:
            usable = self.feasible()
            usable[list(self.confirming)] = False
            best = contenders(self.table.first_losses, usable, 1)
            self._old_best = (self.cursor, best[0] if best else None)
        return self._old_best[1]

    @property
    def versions(self) -> list[Mapping[str, str]]:
        """The versions of the program that trials have run, in order."""
        return self.aging.versions

    @property
    def confirmed(self) -> list[Confirmed]:
        """The best trials that were run again (limit `confirm`), the likeliest to be the best first."""
        k = self.spec.limits.confirm
        if k is None or not self.confirmations:
            return []
        if self._confirmed[0] != self.cursor:
            losses, sign = self.table.first_losses, self.spec.first_objective.sign
            usable, again, seed = self.feasible(), self.confirmations, self.spec.seed
            confirmed = confirmed_of(losses, usable, again, self.confirming, k, sign, seed)
            self._confirmed = (self.cursor, confirmed)
        return self._confirmed[1]

    @property
    def where_completed(self) -> NDArray[np.bool_]:
        """Which trials have been completed, shape (n,)."""
        completed: NDArray[np.bool_] = self.table.state[: self.size] == _COMPLETED
        return completed

    @property
    def where_counted(self) -> NDArray[np.bool_]:
        """Which trials have a result that counts, whether it keeps the constraints or not, shape (n,): those of earlier
        versions of the program only while none of the current one may be best. See `core.incumbent.valid`."""
        counted = valid(self.table)
        if self.aging.generation:
            current = counted & ~self.table.aged[: self.size]
            usable = current & ~self.table.broken[: self.size]
            usable[list(self.confirming)] = False
            return current if usable.any() else counted
        return counted

    def feasible(self) -> NDArray[np.bool_]:
        """Which trials may be best, shape (n,): those of `where_counted` that keep the constraints."""
        usable: NDArray[np.bool_] = self.where_counted & ~self.table.broken[: self.size]
        return usable

    def front(self) -> NDArray[np.int64]:
        """The trials that no other beats in every objective, by number; of one objective the incumbent.
        See `core.incumbent.front`."""
        if len(self.spec.objectives) == 1:
            return np.array([] if self.incumbent is None else [self.incumbent], dtype=np.int64)
        if self._front[0] != self.cursor:
            numbers = np.flatnonzero(self.feasible())
            self._front = (self.cursor, numbers[front(self.table.losses[numbers])])
        return self._front[1]

    def head(self) -> dict[str, Any]:
        """The study, why it ended and what is best in it, in JSON's types: what a file of its trials begins with."""
        head = {
            "study": self.spec.to_dict(),
            "ended": self.ended.detail if self.ended else "",
            "best": self.incumbent,
        }
        if len(self.spec.objectives) > 1:
            head["front"] = self.front().tolist()
        return head

    # -- single trials ------------------------------------------------------------------------

    def parent(self, number: int) -> int | None:
        return self._parents.get(number)

    def reason(self, number: int) -> Reason | None:
        return self._reasons.get(number)

    def broken(self, number: int) -> tuple[str, ...]:
        """The constraints that the trial's results break."""
        excess = self.table.excess[number].tolist()
        constraints = self.table.constraints
        return tuple(c.text for c, over in zip(constraints, excess, strict=True) if over > 0.0)

    def tags(self, number: int) -> Mapping[str, str]:
        return dict(self._tags.get(number, {}))

    def origin(self, number: int) -> Origin:
        return self.table.origin(number)

    def trial(self, number: int) -> Trial:
        """Trial `number` as it stands."""
        i, table = self._check(number), self.table
        code, attempt = table.state.item(i), table.attempt.item(i)
        fresh = code == _RUNNING and attempt == 0  # so nothing has come of it yet: `ask` is quicker
        return Trial(
            number=i,
            config=table.config(i),
            state=STATES[code],
            values=None if fresh else table.values(i),
            metrics={} if fresh else table.metrics_of(i),
            reports=self.curves.of(i),
            reason=self._reasons.get(i),
            cost=_NO_COST if fresh else table.cost(i),
            attempt=attempt,
            origin=table.origin(i),
            tags=dict(self._tags[i]) if i in self._tags else {},
            notes=self._notes.get(i, ()),
            parent=self._parents.get(i),
            created_at=table.created_at.item(i),
            started_at=known(table.started_at.item(i)),
            ended_at=known(table.ended_at.item(i)),
            seed=self.seed(i),
            retracted=table.retracted.item(i),
            outside=table.outside.item(i),
            version=table.version.item(i) or None,
            broken=self.broken(i) if table.broken.item(i) else (),
        )

    def _check(self, number: int) -> int:
        if not 0 <= number < self.table.size:
            has = f"trials 0 to {self.size - 1}" if self.size else "no trials yet"
            raise StudyError(f"there is no trial {number}; study {self.spec.name!r} has {has}")
        return int(number)

    # -- folding ------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take in the next event. Raises TransitionError if it is illegal (and changes nothing)."""
        _APPLY[type(event)](self, event)
        self.cursor += 1
        if event.at > self.last_at:
            self.last_at = event.at
            if type(event) not in _BY_HAND:
                self.worked_at = event.at

    def check(self, event: Event) -> None:
        """Raise what `apply` would raise (TransitionError, StudyError, SpaceError); change nothing."""
        if isinstance(event, (events.Suggested, events.Enqueued, events.Forked)):
            self._check_next(event.trial)
            if isinstance(event, events.Forked):
                self._check(event.parent)
        elif isinstance(event, events.Asked):
            self._check_asks(event)
        elif isinstance(event, events.Edited):
            self.spec.edited(event.changes)
        elif (number := getattr(event, "trial", None)) is not None:
            code: int = self.table.state.item(self._check(number))
            verb = _verb(event)
            if verb is not None and (code, verb) not in _MOVES:
                move(STATES[code], verb, number)  # raises, and says why

    def extend(self, many: Iterable[Event]) -> Ledger:
        for event in many:  # `apply`, without the call: most of a long history is small events
            _APPLY[type(event)](self, event)
            self.cursor += 1
            if event.at > self.last_at:
                self.last_at = event.at
                if type(event) not in _BY_HAND:
                    self.worked_at = event.at
        return self

    def _opened(self, e: events.Opened) -> None:
        if e.coordinator or self.coordinator not in self.open_sessions:
            self._settle(self.worked_at)
            self._session_began = e.at
        if e.coordinator or not self.open_sessions:
            self.stop_requested = None
        if e.coordinator or self.ended is not None:
            self.ended = None
            self.stop_requested = None
            self.failures.clear()
            self.session_successes = 0
        if e.coordinator:
            self.coordinator = e.session
        self.sessions[e.session] = e
        self.open_sessions.add(e.session)
        if e.program:
            self._open_version(e)

    def _open_version(self, e: events.Opened) -> None:
        """The session runs a version of the program: trials of others may count no more, or count again."""
        table, n = self.table, self.size
        if self.aging.names_data_first(e):
            before = (table.version[:n] == 0) & (table.attempt[:n] >= 0)
            if before.any():
                table.version[:n][before] = self.aging.unnamed()
        self.aging.open(e)
        aged = self.aging.ages(table.version[:n])
        if not np.array_equal(aged, table.aged[:n]):
            table.age(aged)
            self.aging.generation += 1
            self.improvement.search(table, self.confirming)
            self.improvement.elapsed_s = self._elapsed_s

    def _set_version(self, i: int, session: str) -> None:
        """Trial `i` is run by a session."""
        aging, table = self.aging, self.table
        table.version[i] = version = aging.of(session)
        old = aging.is_old(version)
        if old or table.aged[i]:
            table.aged[i] = old
            table.remember(i)
            aging.generation += 1

    def _closed(self, e: events.Closed) -> None:
        self.open_sessions.discard(e.session)
        opened = self.sessions.get(e.session)
        if opened is not None and (opened.coordinator or not self.open_sessions):
            self._settle(e.at)

    def _settle(self, at: float) -> None:
        if self._session_began is not None:
            self._elapsed_s += max(0.0, at - self._session_began)
            self._session_began = None

    def _suggested(self, e: events.Suggested) -> None:
        table = self.table
        i = self._add(e.trial, e.config, e.origin, e.at)
        self.ended = None
        table.state[i] = _RUNNING
        table.attempt[i] = 0
        table.started_at[i] = e.at
        self._tally[_RUNNING] += 1
        self._begun += 1
        self.running[i] = Running(e.session, e.at)
        if self.versions:
            self._set_version(i, e.session)

    def _enqueued(self, e: events.Enqueued) -> None:
        i = self._add(e.trial, e.config, e.origin, e.at)
        self._tally[_WAITING] += 1
        heapq.heappush(self._queue, i)
        if e.origin.searcher == USER:
            self.by_hand.append(i)
            if self.spec.learned:
                self.asking.given[i] = e.config
        if e.tags:
            self._tags[i] = dict(e.tags)
        if e.key:
            self.keys[e.key] = i
        if e.parent is not None:
            self._parents[i] = e.parent
            if e.origin.searcher == CONFIRM:
                self.confirmations.setdefault(e.parent, []).append(i)
                self.confirming.add(i)

    def _forked(self, e: events.Forked) -> None:
        self._suggested(events.Suggested(e.at, e.trial, e.config, e.origin, e.session))
        self._parents[e.trial] = e.parent
        self.forks[e.trial] = e.step
        self._begun -= 1

    def _started(self, e: events.Started) -> None:
        i = self._move(e.trial, "start")
        self.ended = None
        self.table.attempt[i] = e.attempt
        self.table.started_at[i] = e.at
        self._reasons.pop(i, None)
        self.paused.pop(i, None)
        self.running[i] = Running(e.session, e.at, e.why)
        if (
            plan := self.asking.plans.pop(i, None)
        ) is not None:  # what the attempt asks for is to be seen
            self.table.set_config(i, plan)
        if self.versions:
            self._set_version(i, e.session)

    def _reported(self, e: events.Reported) -> None:
        i, at = e.trial, e.at
        running = self.running.get(i)
        if running is None:
            move(self.state(i), "report", i)  # raises, and says why
            raise AssertionError
        first = not running.reports
        self.curves.add(i, e.step, e.metrics, at, first=first)
        if self.judged is not self.curves:
            self.judged.add(i, e.step, self._judge(i, e.metrics, first=first), at, first=first)
        if at - running.heard_at > self.longest_gap_s:
            self.longest_gap_s = at - running.heard_at
        running.heard_at = at
        running.reports += 1
        if e.key:
            running.keyed = running.keyed + 1 if e.key == running.key else 1
            running.key = e.key

    def _asked(self, e: events.Asked) -> None:
        self._check_asks(e)
        version = int(self.table.version[e.trial])
        self.table.set_config(e.trial, self.asking.take(e, version, self.config(e.trial)))
        running = self.running[e.trial]
        running.asked = tuple(dict.fromkeys([*running.asked, *e.parameters, *(e.only or ())]))
        running.heard_at = max(running.heard_at, e.at)

    def _check_asks(self, e: events.Asked) -> None:
        if not self.spec.learned:
            raise StudyError(
                f"study {self.spec.name!r} has a declared space: its trials ask for nothing"
            )
        if e.trial not in self.running:
            move(self.state(e.trial), "report", e.trial)  # raises, and says why

    def _judge(
        self, trial: int, metrics: Mapping[str, float | None], *, first: bool
    ) -> Mapping[str, float | None]:
        """The metrics of a trial's newest report as its objectives use them. O(window)."""
        values = dict(metrics)
        for objective in self.spec.objectives:
            name = objective.metric
            if objective.use == LAST or name not in metrics:
                continue
            newest = (r.metrics[name] for r in self.curves.back(trial) if name in r.metrics)
            if objective.window is None and not first:  # the report before has the best of all
                before = (r.metrics[name] for r in self.judged.back(trial) if name in r.metrics)
                reported = [*islice(before, 1), *islice(newest, 1)]
            else:
                reported = [*islice(newest, objective.window)][::-1]
            value = objective.value_of(reported)
            values[name] = value if math.isfinite(value) else None
        return values

    def _finished(self, e: events.Finished) -> None:
        state, table, improvement = e.state, self.table, self.improvement
        i = self._move(e.trial, ENDING_MOVE[state])
        table.ended_at[i] = e.at
        if self.decided:
            self.decided.discard(i)
            self.stop_reasons.pop(i, None)
        paused = self.paused.pop(i, None) is not None
        if i in self.running:
            if e.reason is None or e.reason.kind is not _TIMEOUT:  # how long it hung is no example
                self._heard(i, e.at)
            del self.running[i]
        if e.values is not None:
            table.set_values(i, e.values)
        table.set_metrics(i, e.metrics)
        if e.reason is not None:
            self._reasons[i] = e.reason
        if e.cost is not _NO_COST:
            self._set_cost(i, e.cost)
        table.judge(i)
        self._came_to(i)
        if state is _FAILED:
            self._blame(i, e.reason)
            self.failures.append(i)
        elif state is not _CALLED_OFF:
            self.session_successes += 1
            self.failures.clear()
        if state is not _CALLED_OFF:
            self.recent.append(state is _FAILED)
            dropped = paused and state is _DROPPED
            counts = i not in self.confirming and not table.aged[i]
            if counts and not (dropped and improvement.trial is None):
                improvement.trials_since += 1
        if state is _DELIVERED and i not in self.confirming and improvement.consider(table, i):
            improvement.elapsed_s = self.elapsed_s(e.at)

    def _blame(self, i: int, reason: Reason | None) -> None:
        """The config of trial `i` is blamed for its failure, unless the machine is to blame."""
        kind = Kind.ERROR if reason is None else reason.kind
        if kind not in BLAMED:
            return
        self.table.blamed[i] = 1 + BLAMED.index(kind)
        limit = self._limit(kind)
        if limit is not None:
            self._limits_then[i] = (kind, limit)

    def _limit(self, kind: Kind) -> float | None:
        """The limit on each trial that failures of this kind run into, if there is one."""
        limits = self.spec.limits
        return {Kind.TIMEOUT: limits.trial_time, Kind.OUT_OF_MEMORY: limits.trial_memory}.get(kind)

    def _requeued(self, e: events.Requeued) -> None:
        i = self._move(e.trial, "requeue")
        self._off(i, e.reason, e.cost)
        if e.counted:
            self._lost[i] = self._lost.get(i, 0) + 1
        heapq.heappush(self._queue, i)

    def _paused(self, e: events.Paused) -> None:
        i = self._move(e.trial, "pause")
        self._off(i, e.reason, e.cost)
        self.paused[i] = e.at

    def _off(self, i: int, reason: Reason, cost: Cost) -> None:
        """Trial `i` does not run any more, and has not ended."""
        self.decided.discard(i)
        self.stop_reasons.pop(i, None)
        self.audited.discard(i)
        self.running.pop(i, None)
        self._reasons[i] = reason
        if cost is not _NO_COST:
            self._set_cost(i, cost)

    def _decided(self, e: events.Decided) -> None:
        self.decided.add(self._check(e.trial))
        if e.decision == "audit":
            self.audited.add(e.trial)
        elif (kind := _STOP_KINDS.get(e.decision)) is not None:
            self.stop_reasons[e.trial] = Reason(kind, e.why)

    def _corrected(self, e: events.Corrected) -> None:
        i = self._move(e.trial, "correct")
        self._reasons.pop(i, None)
        self._limits_then.pop(i, None)
        self.table.blamed[i] = 0
        self.table.set_values(i, e.values)
        self.table.set_metrics(i, e.metrics)
        self.table.judge(i)
        self._came_to(i)
        self.improvement.search(self.table, self.confirming)

    def _came_to(self, i: int) -> None:
        """What trial `i` has come to is another thing now."""
        if self.table.aged.item(i):
            self.aging.generation += 1

    def _retract(self, e: events.Retracted) -> None:
        i = self._move(e.trial, "retract")
        if bool(self.table.retracted[i]) == e.undo:
            self.table.retracted[i] = not e.undo
            if i not in self.forks:
                self._begun += 1 if e.undo else -1
        self._came_to(i)
        self.improvement.search(self.table, self.confirming)

    def _annotated(self, e: events.Annotated) -> None:
        i = self._check(e.trial)
        if e.note:
            self._notes[i] = (*self._notes.get(i, ()), e.note)
        if e.tags:
            merged = {**self._tags.get(i, {}), **e.tags}
            self._tags[i] = {name: value for name, value in merged.items() if value}

    def _edited(self, e: events.Edited) -> None:
        spec = self.spec.edited(e.changes)
        if "space" in e.changes:
            self.table.move_to(spec.space)
            self.asking.changed -= {*spec.space}
        if "space" in e.changes or "constraints" in e.changes:
            self.table.bind(spec.constraints)
            self.improvement.search(self.table, self.confirming)
        self.spec = spec
        for i, (kind, then) in self._limits_then.items():  # under a wider limit it might end well
            limit = self._limit(kind)
            wider = limit is None or limit > then
            self.table.blamed[i] = 0 if wider else 1 + BLAMED.index(kind)

    def _stop(self, e: events.StopRequested) -> None:
        self.stop_requested = e

    def _end(self, e: events.Ended) -> None:
        self.ended = e

    # -- rows ---------------------------------------------------------------------------------

    def _add(self, number: int, config: Config, origin: Origin, at: float) -> int:
        self._check_next(number)
        return self.table.add(config, origin, at)

    def _check_next(self, number: int) -> None:
        if number != self.size:
            raise StudyError(f"trial {number} cannot come next: the study has {self.size}")

    def _move(self, number: int, verb: str) -> int:
        i = self._check(number)
        before: int = self.table.state.item(i)
        after = _MOVES.get((before, verb))
        if after is None:
            move(STATES[before], verb, i)  # raises, and says why
            raise AssertionError
        self.table.state[i] = after
        self._tally[before] -= 1
        self._tally[after] += 1
        if _COUNTS[before] is not _COUNTS[after]:
            self._count(i, before, after)
        return i

    def _count(self, i: int, before: int, after: int) -> None:
        """Keep `started_count` after a move. A copy is a later part of another's run: while it waits to be started
        again, that run has no part that has begun."""
        if i in self.forks:
            self._begun += (before == _WAITING) - (after == _WAITING)
        else:
            self._begun += _COUNTS[after] - _COUNTS[before]

    def _heard(self, i: int, at: float) -> None:
        """A sign of life: what a trial's longest silence may be is learned from its siblings."""
        running = self.running[i]
        self.longest_gap_s = max(self.longest_gap_s, at - running.heard_at)
        running.heard_at = at

    def _set_cost(self, i: int, cost: Cost) -> None:
        self.table.add_cost(i, cost)
        self.compute_time_s += cost.wall_s or 0.0
        self.money += cost.money or 0.0


_NO_COST: Final = Cost()

#: What people do to a study, whether or not anybody runs it.
_BY_HAND: Final = frozenset({
    events.Enqueued, events.Corrected, events.Retracted, events.Annotated, events.Edited, events.StopRequested,
})  # fmt: skip

#: The moves of events that are always the same one, for `Ledger.check`.
_VERBS: Final[dict[type[Any], str]] = {
    events.Started: "start",
    events.Reported: "report",
    events.Requeued: "requeue",
    events.Paused: "pause",
    events.Corrected: "correct",
    events.Retracted: "retract",
}


def _verb(event: Event) -> str | None:
    """The move that `event` is, if it is one."""
    if isinstance(event, events.Finished):
        return ENDING_MOVE[event.state]
    return _VERBS.get(type(event))


_APPLY: Final[dict[type[Any], Callable[[Ledger, Any], None]]] = {
    events.Opened: Ledger._opened,
    events.Closed: Ledger._closed,
    events.Suggested: Ledger._suggested,
    events.Enqueued: Ledger._enqueued,
    events.Forked: Ledger._forked,
    events.Started: Ledger._started,
    events.Reported: Ledger._reported,
    events.Asked: Ledger._asked,
    events.Finished: Ledger._finished,
    events.Requeued: Ledger._requeued,
    events.Paused: Ledger._paused,
    events.Decided: Ledger._decided,
    events.Corrected: Ledger._corrected,
    events.Retracted: Ledger._retract,
    events.Annotated: Ledger._annotated,
    events.Edited: Ledger._edited,
    events.StopRequested: Ledger._stop,
    events.Ended: Ledger._end,
}
