"""Whether an event that somebody else decided may be stored: one that cannot be folded would be in every reader's way."""

from __future__ import annotations

import math
from typing import Any, Final

from tunesmith.core import asking, codec, events
from tunesmith.core.errors import ConfigError, StudyError, TransitionError
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import State

_CONFIGS: Final = (events.Suggested, events.Enqueued, events.Forked)
_OF_AN_ATTEMPT: Final = (
    events.Reported,
    events.Asked,
    events.Finished,
    events.Requeued,
    events.Paused,
)
_MOST_PID: Final = 2**31


def check(ledger: Ledger, event: Event) -> None:
    """Raise what speaks against `event` as the next one. What `Ledger.check` leaves to those who decide is checked here."""
    ledger.check(event)
    number: Any = getattr(event, "trial", None)
    if "\\u0000" in codec.encode(event):
        raise StudyError("a text has the character NUL, which databases cannot keep")
    if isinstance(event, _CONFIGS) and ledger.spec.learned:
        asking.check(ledger.spec.space, event.config)
    elif isinstance(event, _CONFIGS):
        if not (membership := ledger.spec.space.contains(event.config)):
            raise ConfigError(
                f"the config of trial {event.trial} does not fit the space: {membership}"
            )
    elif isinstance(event, events.Started):
        _check_attempt(event.trial, event.attempt, ledger.attempts_begun(event.trial))
    elif isinstance(event, _OF_AN_ATTEMPT):
        _check_attempt(event.trial, event.attempt, max(0, ledger.attempt(event.trial)))
    elif isinstance(event, events.Opened):
        _check_session(ledger, event)
    values: Any = None if isinstance(event, events.Asked) else getattr(event, "values", None)
    if isinstance(event, events.Finished) and event.state is State.COMPLETED and not values:
        raise StudyError(f"trial {number} is completed without a value")
    if values is not None and (
        len(values) != len(ledger.spec.objectives) or not all(map(math.isfinite, values))
    ):
        raise StudyError(
            f"trial {number} has the values {values!r}; there are {len(ledger.spec.objectives)} objectives, and values "
            "are finite"
        )


def _check_attempt(trial: int, attempt: int, expected: int) -> None:
    if attempt != expected:
        raise TransitionError(
            f"trial {trial} is at attempt {expected}, and this is of attempt {attempt}: it was handed out again, because "
            "who had asked for it was not heard of"
        )


def _check_session(ledger: Ledger, opened: events.Opened) -> None:
    if not (0 <= opened.pid < _MOST_PID and 0 <= opened.pid_started < 1e12):
        raise StudyError(f"{opened.pid} is no process")
    there = ledger.sessions.get(opened.session)
    if there is not None and (there.host, there.pid, there.machine) != (
        opened.host,
        opened.pid,
        opened.machine,
    ):
        raise StudyError(f"session {opened.session!r} is another process's")
