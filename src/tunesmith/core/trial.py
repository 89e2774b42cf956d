"""A trial: one training job with one config. Its states, and the TABLE of legal moves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import force_setattr

from tunesmith.core.errors import TransitionError
from tunesmith.core.quantity import show_number
from tunesmith.core.space.space import Config
from tunesmith.core.text import html_table, text_of, utf8, without_codes


class State(StrEnum):
    """Where a trial is. The last four are ends."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED: Final = frozenset({State.COMPLETED, State.STOPPED, State.FAILED, State.CANCELLED})
#: The integer by which arrays know a state: its place in the enum.
CODES: Final[Mapping[State, int]] = {state: code for code, state in enumerate(State)}
STATES: Final = tuple(State)

#: The legal moves: (state, move) -> state. Everything else raises TransitionError.
TABLE: Final[Mapping[tuple[State, str], State]] = MappingProxyType(
    {
        (State.WAITING, "start"): State.RUNNING,
        (State.WAITING, "cancel"): State.CANCELLED,
        (State.RUNNING, "report"): State.RUNNING,
        (State.RUNNING, "pause"): State.PAUSED,
        (State.RUNNING, "requeue"): State.WAITING,
        (State.RUNNING, "complete"): State.COMPLETED,
        (State.RUNNING, "stop"): State.STOPPED,
        (State.RUNNING, "fail"): State.FAILED,
        (State.RUNNING, "cancel"): State.CANCELLED,
        (State.PAUSED, "start"): State.RUNNING,
        (State.PAUSED, "complete"): State.COMPLETED,
        (State.PAUSED, "stop"): State.STOPPED,
        (State.PAUSED, "cancel"): State.CANCELLED,
        # The store is append-only in spirit: a correction keeps the state or mends it.
        (State.COMPLETED, "correct"): State.COMPLETED,
        (State.STOPPED, "correct"): State.COMPLETED,
        (State.FAILED, "correct"): State.COMPLETED,
        (State.COMPLETED, "retract"): State.COMPLETED,
        (State.STOPPED, "retract"): State.STOPPED,
        (State.FAILED, "retract"): State.FAILED,
    }
)

#: The move that ends a trial in a state.
ENDING_MOVE: Final[Mapping[State, str]] = {
    State.COMPLETED: "complete",
    State.STOPPED: "stop",
    State.FAILED: "fail",
    State.CANCELLED: "cancel",
}


def move(state: State, verb: str, number: int) -> State:
    """The state after `verb`, by the TABLE. Raises TransitionError, saying what is legal."""
    try:
        return TABLE[state, verb]
    except KeyError:
        legal = sorted({v for s, v in TABLE if s is state})
        raise TransitionError(
            f"trial {number} is {state} and cannot {verb}; "
            f"legal from there: {', '.join(legal) or 'nothing'}"
        ) from None


class Kind(StrEnum):
    """Why a trial did not deliver."""

    ERROR = "error"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_FINITE = "not_finite"
    LOST = "lost"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    PAUSED = "paused"


#: Kinds of failure that may be the config's doing: what is lost, or interrupted, says nothing about it.
BLAMED: Final = (Kind.ERROR, Kind.TIMEOUT, Kind.OUT_OF_MEMORY, Kind.NOT_FINITE)


class Reason(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why a trial failed, was stopped or must run again: a kind, a sentence, the last output."""

    kind: Kind
    message: str
    output: str = ""

    def __post_init__(self) -> None:
        """Keep what a store can hold and a terminal can show: the words come from anywhere."""
        force_setattr(self, "message", utf8(without_codes(self.message)))
        force_setattr(self, "output", utf8(without_codes(self.output)))

    @classmethod
    def told(cls, text: str) -> Reason:
        """Of a failure that a person tells: ``out of memory: 9 GB asked for``, ``timeout``, or any words for an error."""
        first, _, rest = text.partition(":")
        word = "".join(c for c in first.lower() if c.isalpha())
        kind = next((k for k in BLAMED if word == k.replace("_", "")), None)
        return cls(Kind.ERROR, text) if kind is None else cls(kind, rest.strip() or first.strip())

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Cost(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a trial took, over all of its attempts but those that were lost; None is unknown."""

    wall_s: float | None = None
    cpu_s: float | None = None
    memory_bytes: int | None = None
    money: float | None = None


class Report(NamedTuple):
    """Metrics at one step (NaN for what was not finite), and when they came (s since the epoch)."""

    step: int
    metrics: Mapping[str, float]
    at: float


def alike(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether these are the same metrics with the same values; what was not finite is like what was not."""
    return one.keys() == other.keys() and all(
        value == other[name] or (math.isnan(value) and math.isnan(other[name]))
        for name, value in one.items()
    )


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a config came from; enough to compute it again.

    `searcher` is a name, or "user". The suggestion was the `pick`-th of `asked`, made with the
    random stream of trial `first`, from a history of `seen` events.
    """

    searcher: str
    why: str = ""
    seen: int = 0
    first: int = 0
    asked: int = 0
    pick: int = 0


USER: Final = "user"
#: In whose name a program notes what has happened to its trials.
OURSELVES: Final = "tunesmith"
#: The origin of trials that run another one's config again, to confirm it.
CONFIRM: Final = "confirm"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A trial as it stands. Times are seconds since the epoch."""

    number: int
    config: Config
    state: State
    values: tuple[float, ...] | None = None
    metrics: Mapping[str, float] = msgspec.field(default_factory=dict)
    reports: tuple[Report, ...] = ()
    reason: Reason | None = None
    cost: Cost = Cost()
    attempt: int = 0
    origin: Origin = Origin(USER)
    tags: Mapping[str, str] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    parent: int | None = None
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    seed: int = 0
    #: Its result does not count (somebody said so, and why is in its log).
    retracted: bool = False
    #: Its config lies outside the space as it is now.
    outside: bool = False
    #: Which version of the program it ran, from 1 on in the order in which the study met them; None if not known.
    version: int | None = None
    #: The constraints that its results break: it cannot be the best.
    broken: tuple[str, ...] = ()
    #: Of the best trial, where values have noise: what the model of all trials expects its config to reach on average,
    #: and from where to where with a probability of 90 %.
    expected: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def value(self) -> float | None:
        """The value of the first objective, as the user's metric has it."""
        return self.values[0] if self.values else None

    def _repr_html_(self) -> str:
        values = [(name, show_number(value, 6)) for name, value in self.metrics.items()]
        config = [(name, text_of(value)) for name, value in self.config.items()]
        why = [] if self.reason is None else [("reason", str(self.reason))]
        return html_table(f"trial {self.number}, {self.state}", [*values, *config, *why])

    def to_dict(self) -> dict[str, Any]:
        """The trial in JSON's types, without its reports' times."""
        return {
            "number": self.number,
            "state": str(self.state),
            "config": self.config,
            "value": self.value,
            "values": list(self.values) if self.values else None,
            "metrics": dict(self.metrics),
            "reports": [{"step": r.step, **r.metrics} for r in self.reports],
            "reason": None
            if self.reason is None
            else {
                "kind": str(self.reason.kind),
                "message": self.reason.message,
                "output": self.reason.output,
            },
            "cost": msgspec.structs.asdict(self.cost),
            "attempt": self.attempt,
            "origin": msgspec.structs.asdict(self.origin),
            "tags": dict(self.tags),
            "notes": list(self.notes),
            "parent": self.parent,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "seed": self.seed,
            "retracted": self.retracted,
            "outside": self.outside,
            "version": self.version,
            "broken": list(self.broken),
            **self._expectation(),
        }

    def _expectation(self) -> dict[str, Any]:
        if self.expected is None or self.interval is None:
            return {}
        return {"expected": self.expected, "interval": list(self.interval)}
