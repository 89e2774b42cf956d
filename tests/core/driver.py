"""Shared by the tests of ledger, history and engine: small studies, and events to fill them."""

from __future__ import annotations

from typing import Any

from tunesmith.core import events
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Objective
from tunesmith.core.space.parameter import Choice, Float
from tunesmith.core.space.space import Config, Space
from tunesmith.core.study import Strategy, StudySpec
from tunesmith.core.trial import USER, Cost, Kind, Origin, Reason, State

SPACE = Space(x=Float(0, 1), c=Choice("a", "b"))
EDITABLE = ("space", "searcher", "scheduler", "duplicates")
ERROR = Reason(Kind.ERROR, "boom")


def spec(**options: Any) -> StudySpec:
    """A study that minimises "loss" over SPACE by random search; limits are given by name."""
    own: dict[str, Any] = {
        name: options.pop(name)
        for name in (*EDITABLE, "objectives", "constraints", "deterministic", "learned", "seed")
        if name in options
    }
    base: dict[str, Any] = {
        "space": SPACE,
        "objectives": (Objective("loss"),),
        "searcher": Strategy("random"),
    }
    base.update(own)
    return StudySpec(name="study", limits=Limits(**options), **base)


def opened(at: float = 0.0, session: str = "s", *, coordinator: bool = True) -> Event:
    return events.Opened(at, session, "host", 1, 0.0, coordinator)


def enqueued(number: int, config: Config | None = None, at: float = 1.0) -> Event:
    return events.Enqueued(at, number, config or {"x": number / 64, "c": "a"}, Origin(USER))


def suggested(
    number: int, config: Config | None = None, at: float = 1.0, session: str = "s"
) -> Event:
    origin = Origin("random", "why", 1, number, 1, 0)
    return events.Suggested(at, number, config or {"x": number / 64, "c": "a"}, origin, session)


def started(number: int, attempt: int = 0, at: float = 1.0, session: str = "s") -> Event:
    return events.Started(at, number, attempt, session)


def reported(number: int, step: int, loss: float | None, at: float = 2.0) -> Event:
    return events.Reported(at, number, 0, step, {"loss": loss})


def completed(number: int, loss: float, at: float = 3.0, cost: Cost | None = None) -> Event:
    return events.Finished(
        at, number, 0, State.COMPLETED, (loss,), {"loss": loss}, None, cost or Cost()
    )


def failed(number: int, reason: Reason = ERROR, at: float = 3.0) -> Event:
    return events.Finished(at, number, 0, State.FAILED, None, {}, reason)


def cancelled(number: int, at: float = 3.0) -> Event:
    return events.Finished(at, number, 0, State.CANCELLED)


def requeued(
    number: int, kind: Kind = Kind.LOST, at: float = 3.0, *, counted: bool = False
) -> Event:
    return events.Requeued(at, number, 0, Reason(kind, "gone"), counted=counted)


def ledger(*history: Event, **options: Any) -> Ledger:
    return Ledger(spec(**options)).extend(history)
