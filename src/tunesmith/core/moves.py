"""Which events a study may have next, and the moves of its trials from state to state, by the TABLE in `trial`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunesmith.core import events
from tunesmith.core.errors import StudyError
from tunesmith.core.events import Event
from tunesmith.core.trial import CODES, ENDING_MOVE, STATES, TABLE, State, move

if TYPE_CHECKING:
    from tunesmith.core.ledger import Ledger

_WAITING: Final = CODES[State.WAITING]
#: The TABLE by codes: a member of an enum takes ten times as long to find.
_MOVES: Final = {(CODES[state], verb): CODES[after] for (state, verb), after in TABLE.items()}
#: By state, whether a trial in it counts against the limit.
_COUNTS: Final = tuple(state not in (State.WAITING, State.CANCELLED) for state in STATES)
#: The moves of events that are always the same one.
_VERBS: Final[dict[type[Any], str]] = {
    events.Started: "start",
    events.Reported: "report",
    events.Requeued: "requeue",
    events.Paused: "pause",
    events.Corrected: "correct",
    events.Retracted: "retract",
}


def check(ledger: Ledger, event: Event) -> None:
    """Raise what taking in `event` would raise (TransitionError, StudyError, SpaceError); change nothing."""
    if isinstance(event, (events.Suggested, events.Enqueued, events.Forked)):
        check_next(ledger, event.trial)
        if isinstance(event, events.Forked):
            ledger._check(event.parent)
    elif isinstance(event, events.Asked):
        check_asks(ledger, event)
    elif isinstance(event, events.Edited):
        ledger.spec.edited(event.changes)
    elif (number := getattr(event, "trial", None)) is not None:
        code: int = ledger.table.state.item(ledger._check(number))
        verb = _verb(event)
        if verb is not None and (code, verb) not in _MOVES:
            move(STATES[code], verb, number)  # raises, and says why


def _verb(event: Event) -> str | None:
    """The move that `event` is, if it is one."""
    if isinstance(event, events.Finished):
        return ENDING_MOVE[event.state]
    return _VERBS.get(type(event))


def check_asks(ledger: Ledger, e: events.Asked) -> None:
    if not ledger.spec.learned:
        raise StudyError(
            f"study {ledger.spec.name!r} has a declared space: its trials ask for nothing"
        )
    if e.trial not in ledger.running:
        move(ledger.state(e.trial), "report", e.trial)  # raises, and says why


def check_next(ledger: Ledger, number: int) -> None:
    if number != ledger.size:
        raise StudyError(f"trial {number} cannot come next: the study has {ledger.size}")


def moved(ledger: Ledger, number: int, verb: str) -> int:
    """Move a trial on; its row. Raises TransitionError."""
    i = ledger._check(number)
    before: int = ledger.table.state.item(i)
    after = _MOVES.get((before, verb))
    if after is None:
        move(STATES[before], verb, i)  # raises, and says why
        raise AssertionError
    ledger.table.state[i] = after
    ledger._tally[before] -= 1
    ledger._tally[after] += 1
    if _COUNTS[before] is not _COUNTS[after]:
        _count(ledger, i, before, after)
    return i


def _count(ledger: Ledger, i: int, before: int, after: int) -> None:
    """Keep `started_count` after a move. A copy is a later part of another's run: while it waits to be started
    again, that run has no part that has begun."""
    if i in ledger.forks:
        ledger._begun += (before == _WAITING) - (after == _WAITING)
    else:
        ledger._begun += _COUNTS[after] - _COUNTS[before]
