"""The two protocols by which a study is steered. A strategy is a frozen dataclass of options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, TypeGuard, runtime_checkable

from numpy.random import Generator

from tunesmith.core.history import History
from tunesmith.core.quantity import show_number
from tunesmith.core.space.lattice import Count
from tunesmith.core.space.space import Config, Space
from tunesmith.core.text import html_table


class Suggestion(NamedTuple):
    """A config, and in a few words why it was chosen (stored with the trial, shown to the user)."""

    config: Config
    why: str = ""


Suggestions: TypeAlias = Sequence["Suggestion | Config"]


@runtime_checkable
class Searcher(Protocol):
    """Proposes configs from a history."""

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> Suggestions:
        """Up to `n` configs to run next; an empty list means that the space is exhausted.

        Trials that run now are in `history`. The answer is a function of the arguments alone: the
        same history and stream give the same configs, in any process. `rng` and `history` are valid
        during the call. Configs of earlier trials should be avoided; the engine drops them and asks
        for more, unless the study allows duplicates.
        """
        ...


@runtime_checkable
class Countable(Protocol):
    """A searcher that proposes a fixed number of configs, whatever comes of them."""

    def count(self, space: Space) -> Count:
        """How many."""
        ...


class Outlook(NamedTuple):
    """What `trials` more trials are expected to gain, its standard deviation, an upper bound on what is to gain
    at all, and the standard deviation of the metric's noise: all in the metric's units, none negative."""

    trials: int
    gain: float
    deviation: float
    bound: float
    noise: float

    def _repr_html_(self) -> str:
        numbers = self._asdict()
        rows = [
            (name, show_number(numbers[name], 3))
            for name in ("gain", "deviation", "bound", "noise")
        ]
        return html_table(f"what {self.trials} more trials are expected to bring", rows)

    def __str__(self) -> str:
        return (
            f"{self.trials} more trials are expected to gain {self.gain:.2g} ± {self.deviation:.1g}, and at most "
            f"{self.bound:.2g} is to gain; the metric's noise is {self.noise:.1g}"
        )


#: Says what so many more trials are expected to gain; None where there is too little to go by.
Forecaster: TypeAlias = Callable[[History, int], Outlook | None]


class Verdict(StrEnum):
    CONTINUE = "continue"
    STOP = "stop"
    #: End the job for now: the trial may go on later, from its last checkpoint.
    PAUSE = "pause"
    #: It would stop the trial, and lets it go on to see whether that would have been right.
    AUDIT = "audit"


class Decision(NamedTuple):
    """What a scheduler wants of a running trial, and why."""

    verdict: Verdict
    why: str = ""


CONTINUE: Final = Decision(Verdict.CONTINUE)


@runtime_checkable
class Scheduler(Protocol):
    """Decides, from a history, which running trials go on."""

    def decide(self, history: History, trial: int) -> Decision:
        """On `trial`, which has just reported; a function of the history alone."""
        ...


class Resume(NamedTuple):
    """Go on with a paused trial; or, with `config`, begin a new trial with that config from the last
    checkpoint of `trial`, whatever state that one is in."""

    trial: int
    why: str
    config: Config | None = None


class Drop(NamedTuple):
    """End a paused trial: it will not go on."""

    trial: int
    why: str


@runtime_checkable
class Resumer(Protocol):
    """A scheduler that pauses trials, or lets new ones go on where others are."""

    def resume(self, history: History, rng: Generator) -> Resume | Drop | None:
        """What to do next with the paused trials, asked while there is room for one to run.

        It is asked again after each answer, with that answer in the history; None means that the room is
        the searcher's. A function of the arguments alone.
        """
        ...


def pauses(scheduler: Scheduler | Resumer | None) -> TypeGuard[Resumer]:
    """Whether a scheduler needs `Resumer.resume` to be asked: it has the verb, and no `pauses` that says no."""
    # isinstance() with a protocol takes as long as all the rest of a trial in memory
    return hasattr(scheduler, "resume") and bool(getattr(scheduler, "pauses", True))


def check_space(scheduler: Scheduler | None, space: Space) -> None:
    """Raise StrategyError if a scheduler cannot work on a space: it says so by `check`."""
    check = getattr(scheduler, "check", None)
    if check is not None:
        check(space)


def valid(searcher: Searcher) -> bool:
    """Whether a searcher's configs need no check, since it has them from the space: it says so by `valid`."""
    return bool(getattr(searcher, "valid", False))


def instant(strategy: Searcher | Scheduler | Resumer | None) -> bool:
    """Whether a strategy answers faster than an event is stored, so that what has happened may be stored together
    with its answer: it says so by `instant`."""
    return strategy is None or bool(getattr(strategy, "instant", False))


def objectives_seen(strategy: Searcher | Scheduler | None) -> str:
    """What a strategy makes of several objectives: "all" of them, the "first" alone, or it does nothing where there is
    more than "one". It says so by `objectives`."""
    return str(getattr(strategy, "objectives", "all"))


def repeats(scheduler: Scheduler | None) -> bool:
    """Whether the steps of trials are repetitions (folds, seeds), whose mean is the result: a scheduler says so by
    `repeats`."""
    return bool(getattr(scheduler, "repeats", False))


Options: TypeAlias = Mapping[str, Any]
