"""The fold of a study's events: what is known of every trial, in arrays.

`Ledger.apply` is the only place where the state of a study changes, and the TABLE in `trial` says
which changes are legal. Adding a trial or an event is O(1) amortised in the number of trials; an
edit of the space is O(trials). A million trials of ten parameters take some 700 MB.

Goal signs are normalised here and nowhere else: `losses` are always to be minimised.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core import events
from tunesmith.core.curves import NOT_FINITE, Curves
from tunesmith.core.errors import StudyError
from tunesmith.core.events import Event
from tunesmith.core.rng import derive_seed
from tunesmith.core.space.space import Config
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import (
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

Array = NDArray[Any]

_FIRST_CAPACITY: Final = 64
#: Of so many trials the ends are remembered in order.
RECENT: Final = 20
_RUNNING: Final = CODES[State.RUNNING]
_WAITING: Final = CODES[State.WAITING]
_COMPLETED: Final = CODES[State.COMPLETED]
_CANCELLED: Final = CODES[State.CANCELLED]
#: The TABLE by codes, and some states by name: a member of an enum takes ten times as long to find.
_MOVES: Final = {(CODES[state], verb): CODES[after] for (state, verb), after in TABLE.items()}
_FAILED: Final = State.FAILED
_CALLED_OFF: Final = State.CANCELLED
_DROPPED: Final = State.STOPPED
_DELIVERED: Final = State.COMPLETED
#: Codes of the ends that count as a try.
_TRIED: Final = [CODES[s] for s in (State.COMPLETED, State.STOPPED, State.FAILED)]
_TIMEOUT: Final = Kind.TIMEOUT
#: The kind of reason with which a decision ends a trial's job.
_TOLD: Final = {"stop": Kind.STOPPED, "pause": Kind.PAUSED}

#: name -> (dtype, value of a new row). Times are in seconds, memory in bytes.
_COLUMNS: Final[dict[str, tuple[Any, Any]]] = {
    "state": (np.int8, _WAITING),
    "attempt": (np.int32, -1),
    "retracted": (np.bool_, False),
    "outside": (np.bool_, False),
    "searcher": (np.int16, 0),
    "seen": (np.int64, 0),
    "first": (np.int32, 0),
    "asked": (np.int32, 0),
    "pick": (np.int32, 0),
    "created_at": (np.float64, np.nan),
    "started_at": (np.float64, np.nan),
    "ended_at": (np.float64, np.nan),
    "wall_s": (np.float64, np.nan),
    "cpu_s": (np.float64, np.nan),
    "memory_bytes": (np.float64, np.nan),
    "money": (np.float64, np.nan),
}


class Running:
    """What is known of a trial only while it runs."""

    __slots__ = ("heard_at", "reports", "session", "why")

    def __init__(self, session: str, at: float, why: str = "") -> None:
        self.session = session
        #: Why its scheduler let it go on.
        self.why = why
        self.heard_at = at
        self.reports = 0


class Ledger:
    """Everything that is known of a study after `cursor` events."""

    def __init__(self, spec: StudySpec) -> None:
        self.spec = spec
        self.cursor = 0
        self.size = 0
        self.curves = Curves()
        self.metrics: dict[str, NDArray[np.float64]] = {}
        self.running: dict[int, Running] = {}
        self.sessions: dict[str, events.Opened] = {}
        self.open_sessions: set[str] = set()
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
        self.told: dict[int, Reason] = {}
        #: Trials that the scheduler would have stopped and that go on, to see what they come to.
        self.audited: set[int] = set()
        self.ended: events.Ended | None = None
        self.stop_requested: events.StopRequested | None = None
        #: Trials by state, trials that count against the limit, sums over ended trials.
        self._tally = [0] * len(STATES)
        self.retractions = 0
        #: How many trials have ended since the leader, without being better. Those that confirm others do
        #: not count, nor do those that a scheduler drops from a pause before anybody leads.
        self.since_best = 0
        self._best_elapsed_s = 0.0
        #: How the last trials ended: whether they failed, newest last.
        self.recent: deque[bool] = deque(maxlen=RECENT)
        self.compute_time_s = 0.0
        self.money = 0.0
        self.longest_gap_s = 0.0
        #: Failures since the last trial that did not fail, newest last.
        self.failures: list[int] = []
        #: Trials that did not fail since the current coordinator began.
        self.session_successes = 0
        #: The best trial of a study with one objective.
        self.best: int | None = None
        #: The best trial by the first objective, of those that do not confirm others.
        self.leader: int | None = None
        self.last_at = 0.0
        self._elapsed_s = 0.0
        self._session_began: float | None = None
        self._capacity = _FIRST_CAPACITY
        self._queue: list[int] = []
        self._keys: dict[bytes, int] = {}
        self._searchers: dict[str, int] = {USER: 0}
        self._why: dict[int, str] = {}
        self._reasons: dict[int, Reason] = {}
        self._tags: dict[int, dict[str, str]] = {}
        self._notes: dict[int, tuple[str, ...]] = {}
        self._parents: dict[int, int] = {}
        self._foreign: dict[int, Config] = {}
        self._last_row: tuple[Mapping[str, Any], list[float]] = ({}, [])
        self._lost: dict[int, int] = {}
        for name, (dtype, fill) in _COLUMNS.items():
            setattr(self, f"_{name}", np.full(self._capacity, fill, dtype=dtype))
        self._losses = np.full((self._capacity, len(spec.objectives)), np.nan)
        self._signs = tuple(objective.sign for objective in spec.objectives)
        self._reset_numbers()

    # The columns, declared for the type checker; `__init__` makes them from _COLUMNS.
    _state: Array
    _attempt: Array
    _retracted: Array
    _outside: Array
    _searcher: Array
    _seen: Array
    _first: Array
    _asked: Array
    _pick: Array
    _created_at: Array
    _started_at: Array
    _ended_at: Array
    _wall_s: Array
    _cpu_s: Array
    _memory_bytes: Array
    _money: Array

    # -- reading ------------------------------------------------------------------------------

    def column(self, name: str) -> Array:
        """A read-only array over all trials: one of _COLUMNS, "numbers", "losses" or "points"."""
        if name == "points":
            self._fill_points()
        view: Array = getattr(self, f"_{name}")[: self.size]
        view.flags.writeable = False
        return view

    def state(self, number: int) -> State:
        self._check(number)
        return STATES[int(self._state[number])]

    def attempt(self, number: int) -> int:
        return int(self._attempt[self._check(number)])

    def config(self, number: int) -> Config:
        if number in self._foreign:
            return dict(self._foreign[number])
        return self.spec.space.from_row(self._numbers[number].tolist())

    def find(self, config: Mapping[str, Any]) -> int | None:
        """The first trial with this (contained) config."""
        return self.find_row(self.row(config))

    def find_row(self, row: list[float]) -> int | None:
        """The first trial with these numbers."""
        return self._keys.get(array("d", row).tobytes())

    def row(self, config: Config | Mapping[str, Any]) -> list[float]:
        """The config's numbers; those of the config asked for last are remembered."""
        if self._last_row[0] is not config:
            self._last_row = (config, self.spec.space.row(config))
        return self._last_row[1]

    def next_waiting(self) -> int | None:
        """The waiting trial to start next: the lowest number."""
        while self._queue and self._state[self._queue[0]] != _WAITING:
            heapq.heappop(self._queue)
        return self._queue[0] if self._queue else None

    @property
    def started_count(self) -> int:
        """Trials that count against the limit: neither waiting, nor cancelled, nor retracted, nor a
        later part of another's run."""
        uncounted = (
            self._tally[_WAITING] + self._tally[_CANCELLED] + self.retractions + len(self.forks)
        )
        return self.size - uncounted

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
        kept = max(0, limits.reserve - len(self.confirming))
        return limits.trials - self.started_count - kept

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
        return int(self._attempt[number]) + 1

    def times_lost(self, number: int) -> int:
        return self._lost.get(number, 0)

    def elapsed_s(self, now: float) -> float:
        """How long sessions have worked on the study."""
        began = self._session_began
        return self._elapsed_s + (max(0.0, now - began) if began is not None else 0.0)

    def best_age_s(self, now: float) -> float:
        """How long coordinators have worked since the best trial ended, or since they began."""
        return self.elapsed_s(now) - self._best_elapsed_s

    def started_at(self, number: int) -> float:
        return float(self._started_at[number])

    def values(self, number: int) -> tuple[float, ...] | None:
        """The objectives' values as the user's metrics have them."""
        losses = self._losses[number].tolist()
        if losses[0] != losses[0]:
            return None
        return tuple(loss * sign + 0.0 for loss, sign in zip(losses, self._signs, strict=True))

    def parent(self, number: int) -> int | None:
        return self._parents.get(number)

    def reason(self, number: int) -> Reason | None:
        return self._reasons.get(number)

    def origin(self, number: int) -> Origin:
        return Origin(
            self._searcher_name(number),
            self._why.get(number, ""),
            int(self._seen[number]),
            int(self._first[number]),
            int(self._asked[number]),
            int(self._pick[number]),
        )

    def trial(self, number: int) -> Trial:
        """Trial `number` as it stands."""
        i = self._check(number)
        return Trial(
            number=i,
            config=self.config(i),
            state=STATES[self._state[i]],
            values=self.values(i),
            metrics=self._metrics_of(i),
            reports=self.curves.of(i),
            reason=self._reasons.get(i),
            cost=Cost(
                _float(self._wall_s[i]),
                _float(self._cpu_s[i]),
                None if (memory := _float(self._memory_bytes[i])) is None else int(memory),
                _float(self._money[i]),
            ),
            attempt=int(self._attempt[i]),
            origin=self.origin(i),
            tags=dict(self._tags.get(i, {})),
            notes=self._notes.get(i, ()),
            parent=self._parents.get(i),
            created_at=float(self._created_at[i]),
            started_at=_float(self._started_at[i]),
            ended_at=_float(self._ended_at[i]),
            seed=derive_seed(self.spec.seed, i, "objective"),
            retracted=bool(self._retracted[i]),
            outside=bool(self._outside[i]),
        )

    def _metrics_of(self, i: int) -> dict[str, float]:
        return {
            name: math.nan if column[i] == NOT_FINITE else float(column[i])
            for name, column in self.metrics.items()
            if i < len(column) and column[i] == column[i]
        }

    def _check(self, number: int) -> int:
        if not 0 <= number < self.size:
            has = f"trials 0 to {self.size - 1}" if self.size else "no trials yet"
            raise StudyError(f"there is no trial {number}; study {self.spec.name!r} has {has}")
        return int(number)

    def _searcher_name(self, number: int) -> str:
        return tuple(self._searchers)[int(self._searcher[number])]

    # -- folding ------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take in the next event. Raises TransitionError if it is illegal (and changes nothing)."""
        _APPLY[type(event)](self, event)
        self.cursor += 1
        if event.at > self.last_at:
            self.last_at = event.at

    def check(self, event: Event) -> None:
        """Raise what `apply` would raise (TransitionError, StudyError, SpaceError); change nothing."""
        number = getattr(event, "trial", None)
        if isinstance(event, (events.Suggested, events.Enqueued, events.Forked)):
            self._check_next(event.trial)
            if isinstance(event, events.Forked):
                self._check(event.parent)
        elif isinstance(event, events.Edited):
            self.spec.edited(event.changes)
        elif number is not None:
            state = self.state(number)
            if (verb := _verb(event)) is not None:
                move(state, verb, number)

    def extend(self, many: Iterable[Event]) -> Ledger:
        for event in many:
            self.apply(event)
        return self

    def _opened(self, e: events.Opened) -> None:
        if e.coordinator or self.coordinator not in self.open_sessions:
            self._settle(self.last_at)
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
        i = self._add(e.trial, e.config, e.origin, e.at)
        self.ended = None
        self._state[i] = _RUNNING
        self._attempt[i] = 0
        self._started_at[i] = e.at
        self._tally[_RUNNING] += 1
        self.running[i] = Running(e.session, e.at)

    def _enqueued(self, e: events.Enqueued) -> None:
        i = self._add(e.trial, e.config, e.origin, e.at)
        self._tally[_WAITING] += 1
        heapq.heappush(self._queue, i)
        if e.tags:
            self._tags[i] = dict(e.tags)
        if e.parent is not None:
            self._parents[i] = e.parent
            if e.origin.searcher == CONFIRM:
                self.confirmations.setdefault(e.parent, []).append(i)
                self.confirming.add(i)

    def _forked(self, e: events.Forked) -> None:
        self._suggested(events.Suggested(e.at, e.trial, e.config, e.origin, e.session))
        self._parents[e.trial] = e.parent
        self.forks[e.trial] = e.step

    def _started(self, e: events.Started) -> None:
        i = self._move(e.trial, "start")
        self.ended = None
        self._attempt[i] = e.attempt
        self._started_at[i] = e.at
        self._reasons.pop(i, None)
        self.paused.pop(i, None)
        self.running[i] = Running(e.session, e.at, e.why)

    def _reported(self, e: events.Reported) -> None:
        i = self._check(e.trial)
        if self._state[i] != _RUNNING:
            move(STATES[self._state[i]], "report", i)
        running = self.running[i]
        self.curves.add(i, e.step, e.metrics, e.at, first=not running.reports)
        self._heard(i, e.at)
        running.reports += 1

    def _finished(self, e: events.Finished) -> None:
        state = e.state
        i = self._move(e.trial, ENDING_MOVE[state])
        self._ended_at[i] = e.at
        if self.decided:
            self.decided.discard(i)
            self.told.pop(i, None)
        paused = self.paused.pop(i, None) is not None
        if i in self.running:
            if e.reason is None or e.reason.kind is not _TIMEOUT:  # how long it hung is no example
                self._heard(i, e.at)
            del self.running[i]
        if e.values is not None:
            self._set_values(i, e.values)
        self._set_metrics(i, e.metrics)
        if e.reason is not None:
            self._reasons[i] = e.reason
        if e.cost is not _NO_COST:
            self._set_cost(i, e.cost)
        if state is _FAILED:
            self.failures.append(i)
        elif state is not _CALLED_OFF:
            self.session_successes += 1
            self.failures.clear()
        if state is not _CALLED_OFF:
            self.recent.append(state is _FAILED)
            dropped = paused and state is _DROPPED
            if i not in self.confirming and not (dropped and self.leader is None):
                self.since_best += 1
        if state is _DELIVERED:
            self._consider_best(i)

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
        self.told.pop(i, None)
        self.audited.discard(i)
        self.running.pop(i, None)
        self._reasons[i] = reason
        if cost is not _NO_COST:
            self._set_cost(i, cost)

    def _decided(self, e: events.Decided) -> None:
        self.decided.add(self._check(e.trial))
        if e.decision == "audit":
            self.audited.add(e.trial)
        elif (kind := _TOLD.get(e.decision)) is not None:
            self.told[e.trial] = Reason(kind, e.why)

    def _corrected(self, e: events.Corrected) -> None:
        i = self._move(e.trial, "correct")
        self._reasons.pop(i, None)
        self._set_values(i, e.values)
        self._set_metrics(i, e.metrics)
        self._find_best()

    def _retract(self, e: events.Retracted) -> None:
        i = self._move(e.trial, "retract")
        if bool(self._retracted[i]) == e.undo:
            self._retracted[i] = not e.undo
            self.retractions += -1 if e.undo else 1
        self._find_best()

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
            self._move_to(spec)
        self.spec = spec

    def _stop(self, e: events.StopRequested) -> None:
        self.stop_requested = e

    def _end(self, e: events.Ended) -> None:
        self.ended = e

    # -- rows ---------------------------------------------------------------------------------

    def _add(self, number: int, config: Config, origin: Origin, at: float) -> int:
        i = self.size
        self._check_next(number)
        if i == self._capacity:
            self._grow()
        self._write_numbers(i, config)
        self._created_at[i] = at
        code = self._searchers.get(origin.searcher)
        if code is None:
            code = self._searchers[origin.searcher] = len(self._searchers)
        self._searcher[i] = code
        if origin.asked:
            self._seen[i] = origin.seen
            self._first[i] = origin.first
            self._asked[i] = origin.asked
            self._pick[i] = origin.pick
        if origin.why:
            self._why[i] = origin.why
        self.size = i + 1
        return i

    def _check_next(self, number: int) -> None:
        if number != self.size:
            raise StudyError(f"trial {number} cannot come next: the study has {self.size}")

    def _write_numbers(self, i: int, config: Config) -> None:
        row = self.row(config)
        self._numbers[i] = row
        self._keys.setdefault(array("d", row).tobytes(), i)

    def _move(self, number: int, verb: str) -> int:
        i = self._check(number)
        before = int(self._state[i])
        after = _MOVES.get((before, verb))
        if after is None:
            move(STATES[before], verb, i)  # raises, and says why
            raise AssertionError
        self._state[i] = after
        self._tally[before] -= 1
        self._tally[after] += 1
        return i

    def _heard(self, i: int, at: float) -> None:
        """A sign of life: what a trial's longest silence may be is learned from its siblings."""
        running = self.running[i]
        self.longest_gap_s = max(self.longest_gap_s, at - running.heard_at)
        running.heard_at = at

    def _set_values(self, i: int, values: tuple[float, ...]) -> None:
        if len(self._signs) == 1:
            self._losses[i, 0] = values[0] * self._signs[0]
        else:
            self._losses[i] = [v * sign for v, sign in zip(values, self._signs, strict=True)]

    def _set_cost(self, i: int, cost: Cost) -> None:
        """Add what an attempt took to what those before it took."""
        if cost.wall_s is not None:
            self._wall_s[i] = cost.wall_s + _or_zero(self._wall_s[i])
            self.compute_time_s += cost.wall_s
        if cost.cpu_s is not None:
            self._cpu_s[i] = cost.cpu_s + _or_zero(self._cpu_s[i])
        if cost.memory_bytes is not None:
            self._memory_bytes[i] = max(cost.memory_bytes, _or_zero(self._memory_bytes[i]))
        if cost.money is not None:
            self._money[i] = cost.money + _or_zero(self._money[i])
            self.money += cost.money

    def _set_metrics(self, i: int, metrics: Mapping[str, float | None]) -> None:
        for name, value in metrics.items():
            column = self.metrics.get(name)
            if column is None or len(column) <= i:
                fresh = np.full(self._capacity, np.nan)
                if column is not None:
                    fresh[: len(column)] = column
                column = self.metrics[name] = fresh
            column[i] = NOT_FINITE if value is None else value

    def _grow(self) -> None:
        extra = self._capacity
        for name, (dtype, fill) in _COLUMNS.items():
            old = getattr(self, f"_{name}")
            setattr(self, f"_{name}", np.concatenate([old, np.full(extra, fill, dtype=dtype)]))
        for name in ("_losses", "_numbers"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.full((extra, old.shape[1]), np.nan)]))
        self._capacity += extra

    def _reset_numbers(self) -> None:
        self._last_row = ({}, [])
        width = len(self.spec.space)
        self._numbers = np.full((self._capacity, width), np.nan)
        self._points = np.empty((0, width))
        self._keys = {}

    def _fill_points(self) -> None:
        done = self._points_done if len(self._points) else 0
        if len(self._points) < self._capacity:
            grown = np.empty((self._capacity, len(self.spec.space)))
            grown[:done] = self._points[:done]
            self._points = grown
        self._points[done : self.size] = self.spec.space.units(self._numbers[done : self.size])
        self._points_done = self.size

    _points_done = 0

    def _move_to(self, spec: StudySpec) -> None:
        """Read every config again in an edited space; what falls outside is kept and marked."""
        configs = [self.config(i) for i in range(self.size)]
        self.spec = spec
        self._foreign = {}
        self._points_done = 0
        self._reset_numbers()
        for i, config in enumerate(configs):
            full = spec.space.complete(config)
            inside = bool(spec.space.contains(full))
            self._outside[i] = not inside
            if inside:
                self._write_numbers(i, full)
            else:
                self._foreign[i] = config
        self._find_best()

    # -- the best -----------------------------------------------------------------------------

    def _consider_best(self, i: int) -> None:
        if self._retracted[i] or self._outside[i]:
            return
        if len(self._signs) == 1 and self._beats(i, self.best):
            self.best = i
        if i not in self.confirming and self._beats(i, self.leader):
            self.leader = i
            self.since_best = 0
            self._best_elapsed_s = self.elapsed_s(float(self._ended_at[i]))

    def _beats(self, i: int, other: int | None) -> bool:
        """Whether trial `i` is better by the first objective; of equal ones the first is, whichever came
        in first."""
        losses = self._losses
        return other is None or bool((losses[i, 0], i) < (losses[other, 0], other))

    def _find_best(self) -> None:
        """The best after something other than a new result has changed: O(trials)."""
        counts = self.eligible()
        self.best = self._least_of(counts) if len(self._signs) == 1 else None
        tried = np.isin(self._state[: self.size], _TRIED)
        counts[list(self.confirming)] = tried[list(self.confirming)] = False
        self.leader = self._least_of(counts)
        self.since_best = int(tried[0 if self.leader is None else self.leader + 1 :].sum())

    def _least_of(self, counts: NDArray[np.bool_]) -> int | None:
        """The best by the first objective of the trials that count."""
        if not counts.any():
            return None
        return int(np.argmin(np.where(counts, self._losses[: self.size, 0], np.inf)))

    def eligible(self) -> NDArray[np.bool_]:
        """Which trials may be the best: completed, not retracted, inside the space."""
        n = self.size
        mask: NDArray[np.bool_] = (
            (self._state[:n] == _COMPLETED) & ~self._retracted[:n] & ~self._outside[:n]
        )
        return mask


_NO_COST: Final = Cost()

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


def _or_zero(value: float) -> float:
    return 0.0 if value != value else value


def _float(value: Any) -> float | None:
    number = float(value)
    return None if number != number else number
