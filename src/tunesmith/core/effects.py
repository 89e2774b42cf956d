"""What each kind of event does to a study's ledger, which is the other half of this module."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tunesmith.core import events
from tunesmith.core.moves import check_asks, check_next, moved
from tunesmith.core.objective import LAST
from tunesmith.core.space.space import Config
from tunesmith.core.trial import (
    BLAMED,
    CODES,
    CONFIRM,
    ENDING_MOVE,
    USER,
    Cost,
    Kind,
    Origin,
    Reason,
    State,
    move,
)

if TYPE_CHECKING:
    from tunesmith.core.ledger import Ledger

_RUNNING: Final = CODES[State.RUNNING]
_WAITING: Final = CODES[State.WAITING]
#: Some members by name: of an enum one takes ten times as long to find.
_FAILED: Final = State.FAILED
_CALLED_OFF: Final = State.CANCELLED
_DROPPED: Final = State.STOPPED
_DELIVERED: Final = State.COMPLETED
_TIMEOUT: Final = Kind.TIMEOUT
#: The kind of reason with which a decision ends a trial's job.
_STOP_KINDS: Final = {"stop": Kind.STOPPED, "pause": Kind.PAUSED}
_NO_COST: Final = Cost()
#: What people do to a study, whether or not anybody runs it.
BY_HAND: Final = frozenset({
    events.Enqueued, events.Corrected, events.Retracted, events.Annotated, events.Edited, events.StopRequested,
})  # fmt: skip


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


def _opened(ledger: Ledger, e: events.Opened) -> None:
    if e.coordinator or ledger.coordinator not in ledger.open_sessions:
        _settle(ledger, ledger.worked_at)
        ledger._session_began = e.at
    if e.coordinator or not ledger.open_sessions:
        ledger.stop_requested = None
    if e.coordinator or ledger.ended is not None:
        ledger.ended = None
        ledger.stop_requested = None
        ledger.failures.clear()
        ledger.session_successes = 0
    if e.coordinator:
        ledger.coordinator = e.session
    ledger.sessions[e.session] = e
    ledger.open_sessions.add(e.session)
    if e.program:
        _open_version(ledger, e)


def _open_version(ledger: Ledger, e: events.Opened) -> None:
    """The session runs a version of the program: trials of others may count no more, or count again."""
    table, n = ledger.table, ledger.size
    if ledger.aging.names_data_first(e):
        before = (table.version[:n] == 0) & (table.attempt[:n] >= 0)
        if before.any():
            table.version[:n][before] = ledger.aging.unnamed()
    ledger.aging.open(e)
    aged = ledger.aging.ages(table.version[:n])
    if not np.array_equal(aged, table.aged[:n]):
        table.age(aged)
        ledger.aging.generation += 1
        ledger.improvement.search(table, ledger.confirming)
        ledger.improvement.elapsed_s = ledger._elapsed_s


def _set_version(ledger: Ledger, i: int, session: str) -> None:
    """Trial `i` is run by a session."""
    aging, table = ledger.aging, ledger.table
    table.version[i] = version = aging.of(session)
    old = aging.is_old(version)
    if old or table.aged[i]:
        table.aged[i] = old
        table.remember(i)
        aging.generation += 1


def _closed(ledger: Ledger, e: events.Closed) -> None:
    ledger.open_sessions.discard(e.session)
    opened = ledger.sessions.get(e.session)
    if opened is not None and (opened.coordinator or not ledger.open_sessions):
        _settle(ledger, e.at)


def _settle(ledger: Ledger, at: float) -> None:
    if ledger._session_began is not None:
        ledger._elapsed_s += max(0.0, at - ledger._session_began)
        ledger._session_began = None


def _suggested(ledger: Ledger, e: events.Suggested) -> None:
    table = ledger.table
    i = _add(ledger, e.trial, e.config, e.origin, e.at)
    ledger.ended = None
    table.state[i] = _RUNNING
    table.attempt[i] = 0
    table.started_at[i] = e.at
    ledger._tally[_RUNNING] += 1
    ledger._begun += 1
    ledger.running[i] = Running(e.session, e.at)
    if ledger.versions:
        _set_version(ledger, i, e.session)


def _enqueued(ledger: Ledger, e: events.Enqueued) -> None:
    i = _add(ledger, e.trial, e.config, e.origin, e.at)
    ledger._tally[_WAITING] += 1
    heapq.heappush(ledger._queue, i)
    if e.origin.searcher == USER:
        ledger.by_hand.append(i)
        if ledger.spec.learned:
            ledger.asking.given[i] = e.config
    if e.tags:
        ledger._tags[i] = dict(e.tags)
    if e.key:
        ledger.keys[e.key] = i
    if e.parent is not None:
        ledger._parents[i] = e.parent
        if e.origin.searcher == CONFIRM:
            ledger.confirmations.setdefault(e.parent, []).append(i)
            ledger.confirming.add(i)


def _forked(ledger: Ledger, e: events.Forked) -> None:
    _suggested(ledger, events.Suggested(e.at, e.trial, e.config, e.origin, e.session))
    ledger._parents[e.trial] = e.parent
    ledger.forks[e.trial] = e.step
    ledger._begun -= 1


def _started(ledger: Ledger, e: events.Started) -> None:
    i = moved(ledger, e.trial, "start")
    ledger.ended = None
    ledger.table.attempt[i] = e.attempt
    ledger.table.started_at[i] = e.at
    ledger._reasons.pop(i, None)
    ledger.paused.pop(i, None)
    ledger.running[i] = Running(e.session, e.at, e.why)
    if (
        plan := ledger.asking.plans.pop(i, None)
    ) is not None:  # what the attempt asks for is to be seen
        ledger.table.set_config(i, plan)
    if ledger.versions:
        _set_version(ledger, i, e.session)


def _reported(ledger: Ledger, e: events.Reported) -> None:
    i, at = e.trial, e.at
    running = ledger.running.get(i)
    if running is None:
        move(ledger.state(i), "report", i)  # raises, and says why
        raise AssertionError
    first = not running.reports
    ledger.curves.add(i, e.step, e.metrics, at, first=first)
    if ledger.judged is not ledger.curves:
        ledger.judged.add(i, e.step, _judge(ledger, i, e.metrics, first=first), at, first=first)
    if at - running.heard_at > ledger.longest_gap_s:
        ledger.longest_gap_s = at - running.heard_at
    running.heard_at = at
    running.reports += 1
    if e.key:
        running.keyed = running.keyed + 1 if e.key == running.key else 1
        running.key = e.key


def _asked(ledger: Ledger, e: events.Asked) -> None:
    check_asks(ledger, e)
    version = int(ledger.table.version[e.trial])
    ledger.table.set_config(e.trial, ledger.asking.take(e, version, ledger.config(e.trial)))
    running = ledger.running[e.trial]
    running.asked = tuple(dict.fromkeys([*running.asked, *e.parameters, *(e.only or ())]))
    running.heard_at = max(running.heard_at, e.at)


def _judge(
    ledger: Ledger, trial: int, metrics: Mapping[str, float | None], *, first: bool
) -> Mapping[str, float | None]:
    """The metrics of a trial's newest report as its objectives use them. O(window)."""
    values = dict(metrics)
    for objective in ledger.spec.objectives:
        name = objective.metric
        if objective.use == LAST or name not in metrics:
            continue
        newest = (r.metrics[name] for r in ledger.curves.back(trial) if name in r.metrics)
        if objective.window is None and not first:  # the report before has the best of all
            before = (r.metrics[name] for r in ledger.judged.back(trial) if name in r.metrics)
            reported = [*islice(before, 1), *islice(newest, 1)]
        else:
            reported = [*islice(newest, objective.window)][::-1]
        value = objective.value_of(reported)
        values[name] = value if math.isfinite(value) else None
    return values


def _finished(ledger: Ledger, e: events.Finished) -> None:
    state, table, improvement = e.state, ledger.table, ledger.improvement
    i = moved(ledger, e.trial, ENDING_MOVE[state])
    table.ended_at[i] = e.at
    if ledger.decided:
        ledger.decided.discard(i)
        ledger.stop_reasons.pop(i, None)
    paused = ledger.paused.pop(i, None) is not None
    if i in ledger.running:
        if e.reason is None or e.reason.kind is not _TIMEOUT:  # how long it hung is no example
            _heard(ledger, i, e.at)
        del ledger.running[i]
    if e.values is not None:
        table.set_values(i, e.values)
    table.set_metrics(i, e.metrics)
    if e.reason is not None:
        ledger._reasons[i] = e.reason
    if e.cost is not _NO_COST:
        _set_cost(ledger, i, e.cost)
    table.judge(i)
    _came_to(ledger, i)
    if state is _FAILED:
        _blame(ledger, i, e.reason)
        ledger.failures.append(i)
    elif state is not _CALLED_OFF:
        ledger.session_successes += 1
        ledger.failures.clear()
    if state is not _CALLED_OFF:
        ledger.recent.append(state is _FAILED)
        dropped = paused and state is _DROPPED
        counts = i not in ledger.confirming and not table.aged[i]
        if counts and not (dropped and improvement.trial is None):
            improvement.trials_since += 1
    if state is _DELIVERED and i not in ledger.confirming and improvement.consider(table, i):
        improvement.elapsed_s = ledger.elapsed_s(e.at)


def _blame(ledger: Ledger, i: int, reason: Reason | None) -> None:
    """The config of trial `i` is blamed for its failure, unless the machine is to blame."""
    kind = Kind.ERROR if reason is None else reason.kind
    if kind not in BLAMED:
        return
    ledger.table.blamed[i] = 1 + BLAMED.index(kind)
    limit = _limit(ledger, kind)
    if limit is not None:
        ledger._limits_then[i] = (kind, limit)


def _limit(ledger: Ledger, kind: Kind) -> float | None:
    """The limit on each trial that failures of this kind run into, if there is one."""
    limits = ledger.spec.limits
    return {Kind.TIMEOUT: limits.trial_time, Kind.OUT_OF_MEMORY: limits.trial_memory}.get(kind)


def _requeued(ledger: Ledger, e: events.Requeued) -> None:
    i = moved(ledger, e.trial, "requeue")
    _off(ledger, i, e.reason, e.cost)
    if e.counted:
        ledger._lost[i] = ledger._lost.get(i, 0) + 1
    heapq.heappush(ledger._queue, i)


def _paused(ledger: Ledger, e: events.Paused) -> None:
    i = moved(ledger, e.trial, "pause")
    _off(ledger, i, e.reason, e.cost)
    ledger.paused[i] = e.at


def _off(ledger: Ledger, i: int, reason: Reason, cost: Cost) -> None:
    """Trial `i` does not run any more, and has not ended."""
    ledger.decided.discard(i)
    ledger.stop_reasons.pop(i, None)
    ledger.audited.discard(i)
    ledger.running.pop(i, None)
    ledger._reasons[i] = reason
    if cost is not _NO_COST:
        _set_cost(ledger, i, cost)


def _decided(ledger: Ledger, e: events.Decided) -> None:
    ledger.decided.add(ledger._check(e.trial))
    if e.decision == "audit":
        ledger.audited.add(e.trial)
    elif (kind := _STOP_KINDS.get(e.decision)) is not None:
        ledger.stop_reasons[e.trial] = Reason(kind, e.why)


def _corrected(ledger: Ledger, e: events.Corrected) -> None:
    i = moved(ledger, e.trial, "correct")
    ledger._reasons.pop(i, None)
    ledger._limits_then.pop(i, None)
    ledger.table.blamed[i] = 0
    ledger.table.set_values(i, e.values)
    ledger.table.set_metrics(i, e.metrics)
    ledger.table.judge(i)
    _came_to(ledger, i)
    ledger.improvement.search(ledger.table, ledger.confirming)


def _came_to(ledger: Ledger, i: int) -> None:
    """What trial `i` has come to is another thing now."""
    if ledger.table.aged.item(i):
        ledger.aging.generation += 1


def _retract(ledger: Ledger, e: events.Retracted) -> None:
    i = moved(ledger, e.trial, "retract")
    if bool(ledger.table.retracted[i]) == e.undo:
        ledger.table.retracted[i] = not e.undo
        if i not in ledger.forks:
            ledger._begun += 1 if e.undo else -1
    _came_to(ledger, i)
    ledger.improvement.search(ledger.table, ledger.confirming)


def _annotated(ledger: Ledger, e: events.Annotated) -> None:
    i = ledger._check(e.trial)
    if e.note:
        ledger._notes[i] = (*ledger._notes.get(i, ()), e.note)
    if e.tags:
        merged = {**ledger._tags.get(i, {}), **e.tags}
        ledger._tags[i] = {name: value for name, value in merged.items() if value}


def _edited(ledger: Ledger, e: events.Edited) -> None:
    spec = ledger.spec.edited(e.changes)
    if "space" in e.changes:
        ledger.table.move_to(spec.space)
        ledger.asking.changed -= {*spec.space}
    if "space" in e.changes or "constraints" in e.changes:
        ledger.table.bind(spec.constraints)
        ledger.improvement.search(ledger.table, ledger.confirming)
    ledger.spec = spec
    for i, (kind, then) in ledger._limits_then.items():  # under a wider limit it might end well
        limit = _limit(ledger, kind)
        wider = limit is None or limit > then
        ledger.table.blamed[i] = 0 if wider else 1 + BLAMED.index(kind)


def _stop(ledger: Ledger, e: events.StopRequested) -> None:
    ledger.stop_requested = e


def _end(ledger: Ledger, e: events.Ended) -> None:
    ledger.ended = e


def _add(ledger: Ledger, number: int, config: Config, origin: Origin, at: float) -> int:
    check_next(ledger, number)
    return ledger.table.add(config, origin, at)


def _heard(ledger: Ledger, i: int, at: float) -> None:
    """A sign of life: what a trial's longest silence may be is learned from its siblings."""
    running = ledger.running[i]
    ledger.longest_gap_s = max(ledger.longest_gap_s, at - running.heard_at)
    running.heard_at = at


def _set_cost(ledger: Ledger, i: int, cost: Cost) -> None:
    ledger.table.add_cost(i, cost)
    ledger.compute_time_s += cost.wall_s or 0.0
    ledger.money += cost.money or 0.0


APPLY: Final[dict[type[Any], Callable[[Ledger, Any], None]]] = {
    events.Opened: _opened,
    events.Closed: _closed,
    events.Suggested: _suggested,
    events.Enqueued: _enqueued,
    events.Forked: _forked,
    events.Started: _started,
    events.Reported: _reported,
    events.Asked: _asked,
    events.Finished: _finished,
    events.Requeued: _requeued,
    events.Paused: _paused,
    events.Decided: _decided,
    events.Corrected: _corrected,
    events.Retracted: _retract,
    events.Annotated: _annotated,
    events.Edited: _edited,
    events.StopRequested: _stop,
    events.Ended: _end,
}
