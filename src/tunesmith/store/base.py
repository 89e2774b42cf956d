"""What a store promises, and its verbs.

A store keeps studies. A study is a `StudySpec` and a list of events, numbered from 1; the number of
the last one is the study's *cursor*. Events are never changed and never removed (but with their
study). Promises, checked by ``tunesmith.testing.store_checks``:

1. **Atomic.** `append` stores all of its events or none.
2. **Compare and set.** `append` succeeds only if the study's cursor still is `expect`; otherwise it
   raises Conflict and stores nothing. Every claim (of a trial, of a study) builds on it.
3. **Durable.** When `append` returns, the events survive ``kill -9`` of any process, this one
   included; with ``durability="power"`` they survive a power cut too.
4. **Ordered.** `changes` gives the events in their order, without gaps, to every reader.
5. **Leases.** At most one holder has a study's lease at a time. Times are by the store's own clock, so that
   those of its users need not agree.
6. **Errors** are those of ``tunesmith.core.errors``; after any of them the store holds what it held.
7. **Threads.** A store object may be used by several threads, which wait for one another; other processes
   open their own. After a fork it works on both sides, or refuses in one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from tunesmith.core.events import Event
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Cost, State

Durability: TypeAlias = Literal["crash", "power"]


@dataclass(frozen=True, slots=True)
class Summary:
    """A study at a glance, without its history. `best` is the number of its best trial."""

    name: str
    created_at: float
    spec: StudySpec
    cursor: int
    counts: dict[State, int]
    best: int | None
    best_value: float | None


class Head(NamedTuple):
    """A trial's state, and its first objective's value."""

    number: int
    state: State
    value: float | None


class Lease(NamedTuple):
    """Who runs a study, and until when (by the store's clock) if nothing more is heard."""

    holder: str
    until: float


class Activity(NamedTuple):
    """When a study was made, how many events it has, and when the last of them was."""

    name: str
    created_at: float
    cursor: int
    last_at: float


class Labels(NamedTuple):
    """By what people find a study, beside its name."""

    tags: tuple[str, ...] = ()
    owner: str = ""


@runtime_checkable
class Store(Protocol):
    """See the module's text for the promises."""

    @property
    def shared(self) -> bool:
        """Whether other processes can use it."""
        ...

    def create(self, spec: StudySpec, at: float) -> None:
        """Make an empty study. Raises StudyExists."""
        ...

    def load(self, name: str) -> StudySpec:
        """The study as it was created (edits are events). Raises StudyNotFound."""
        ...

    def made_at(self, name: str) -> float:
        """When it was created, as `create` was told: with its name, what tells it from one that was deleted. Raises
        StudyNotFound."""
        ...

    def names(self) -> list[str]:
        """The studies' names, oldest first."""
        ...

    def delete(self, name: str) -> None:
        """Remove a study and all its events. Raises StudyNotFound."""
        ...

    def append(self, name: str, events: Sequence[Event], expect: int) -> int:
        """Add events behind the cursor `expect`; the new cursor. Raises Conflict, StudyNotFound."""
        ...

    def changes(self, name: str, cursor: int = 0, trial: int | None = None) -> Iterable[Event]:
        """The events after `cursor` (of one trial only, if given). Raises StudyNotFound."""
        ...

    def cursor(self, name: str) -> int:
        """The number of the last event. Raises StudyNotFound."""
        ...

    def wait(self, name: str, cursor: int, timeout_s: float) -> bool:
        """Wait until the study has events behind `cursor`, for so long (s) at most; whether it has. Raises
        StudyNotFound."""
        ...

    def summary(self, name: str) -> Summary:
        """The study at a glance; does not read its history. Raises StudyNotFound."""
        ...

    def writing(self, name: str) -> AbstractContextManager[None]:
        """While the block runs, this thread reads and appends as one transaction, for which other writers
        wait, as far as the store can; where it cannot, `append` may still raise Conflict. What is appended is
        stored when the block has ended. It has to be short: no model is fitted in it."""
        ...

    def asking(self, name: str) -> AbstractContextManager[object]:
        """While the block runs, others who ask for a suggestion wait, as far as the store can: two that saw the
        same history would suggest the same. A courtesy that ends with its process, not a lock to build on."""
        ...

    def lease(
        self, name: str, holder: str, ttl_s: float, *, instead_of: str | None = None
    ) -> Lease:
        """Take or renew the lease for `ttl_s` if it is free, over, mine or `instead_of`'s; who has it now."""
        ...

    def release(self, name: str, holder: str) -> None:
        """Give the lease back, if it is `holder`'s."""
        ...

    def beat(self, name: str, session: str) -> None:
        """A sign of life of a session. No event: it is not part of the history."""
        ...

    def silent_s(self, name: str) -> dict[str, float]:
        """How long ago (s) each session that ever beat did so for the last time."""
        ...

    def verify(self, name: str) -> str | None:
        """What has been tampered with, or None: every event against the chain of digests."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


@runtime_checkable
class Tabular(Protocol):
    """What a store may offer beside its promises: a look at some trials without reading all events."""

    def load(self, name: str) -> StudySpec: ...

    def silent_s(self, name: str) -> dict[str, float]: ...

    def heads(self, name: str) -> list[Head]:
        """Every trial at a glance, by number. Raises StudyNotFound."""
        ...

    def part(self, name: str, trials: Sequence[int]) -> Iterable[tuple[int, Event]]:
        """The events of these trials, and those that are about no trial, with their numbers. Raises StudyNotFound."""
        ...

    def time_of(self, name: str, number: int) -> float:
        """When event `number` happened; 0 where there is none. Raises StudyNotFound."""
        ...

    def costs(self, name: str) -> Iterable[Cost]:
        """What every attempt of a trial took. Raises StudyNotFound."""
        ...


@runtime_checkable
class Identified(Protocol):
    """What a store may offer beside its promises: to tell a study from an earlier or later one of its name."""

    def identity(self, name: str, *, anew: bool = False) -> object:
        """What does, as far as is known, or looked up `anew`. Raises StudyNotFound."""
        ...


@runtime_checkable
class Remembering(Identified, Protocol):
    """One that can also say so without asking anybody."""

    def known_identity(self, name: str) -> object:
        """What tells the study from others of its name, if that is known; else None."""
        ...


@runtime_checkable
class Listing(Protocol):
    """What a store may offer beside its promises: its studies without their histories."""

    def activity(self) -> list[Activity]:
        """Oldest first: O(studies), whatever their histories."""
        ...

    def born(self, name: str) -> float:
        """When the study that has this name now was created: O(1), and never what is remembered of an earlier one.
        Raises StudyNotFound."""
        ...

    def labels(self, names: Sequence[str]) -> dict[str, Labels]:
        """The labels of these studies, as far as they are there: O(names), whatever their histories."""
        ...
