"""A study as its events make it.

`Ledger.apply` is the only place where the state of a study changes; what each event does is in `effects`. Adding a trial
or an event is O(1) amortised in the number of trials; an edit of the space is O(trials). The trials themselves are in
`table`, their reports in `curves`.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core import events
from tunesmith.core.aging import Aging
from tunesmith.core.asking import Asking
from tunesmith.core.curves import Curves
from tunesmith.core.effects import APPLY, BY_HAND, Running
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
from tunesmith.core.moves import check
from tunesmith.core.objective import LAST
from tunesmith.core.rng import derive_seed
from tunesmith.core.space.space import Config
from tunesmith.core.study import StudySpec
from tunesmith.core.table import Table, known
from tunesmith.core.trial import CODES, STATES, Cost, Kind, Origin, Reason, State, Trial

#: Of so many trials the ends are remembered in order.
RECENT: Final = 20
_RUNNING: Final = CODES[State.RUNNING]
_WAITING: Final = CODES[State.WAITING]
_PAUSED: Final = CODES[State.PAUSED]
_COMPLETED: Final = CODES[State.COMPLETED]
_NO_COST: Final = Cost()


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
        APPLY[type(event)](self, event)
        self.cursor += 1
        if event.at > self.last_at:
            self.last_at = event.at
            if type(event) not in BY_HAND:
                self.worked_at = event.at

    def check(self, event: Event) -> None:
        """Raise what `apply` would raise (TransitionError, StudyError, SpaceError); change nothing."""
        check(self, event)

    def extend(self, many: Iterable[Event]) -> Ledger:
        for event in many:  # `apply`, without the call: most of a long history is small events
            APPLY[type(event)](self, event)
            self.cursor += 1
            if event.at > self.last_at:
                self.last_at = event.at
                if type(event) not in BY_HAND:
                    self.worked_at = event.at
        return self
