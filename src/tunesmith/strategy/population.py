"""Population-based training, all but its explore step: who gives way to a copy of whom, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.errors import StrategyError, did_you_mean
from tunesmith.core.history import History
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import CONTINUE, Decision, Resume, Verdict
from tunesmith.core.trial import CODES, State
from tunesmith.strategy import options
from tunesmith.strategy.rungs import anybody

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Finds a config for a copy: of which trial, with what is random.
Explore = Callable[[int, Generator], Config]

_PAUSED = CODES[State.PAUSED]
_MEMBERS = (State.RUNNING, State.PAUSED, State.COMPLETED)


class Latest:
    """The last step and loss of every trial, and the furthest step that it had come to before, in any of its
    attempts: a fold of a history's reports."""

    def __init__(self) -> None:
        self._read = 0
        self.steps: Ints = np.zeros(0, dtype=np.int64)
        self.losses: Floats = np.zeros(0)
        self.before: Ints = np.zeros(0, dtype=np.int64)
        self._furthest: Ints = np.zeros(0, dtype=np.int64)

    def update(self, history: History) -> Latest:
        """Read what is new: O(new reports), amortised."""
        if len(self.steps) < len(history):
            missing = 2 * len(history) - len(self.steps)
            self.losses = np.concatenate([self.losses, np.full(missing, np.nan)])
            for name in ("steps", "before", "_furthest"):
                grown = np.concatenate([getattr(self, name), np.zeros(missing, dtype=np.int64)])
                setattr(self, name, grown)
        new = history.reports(self._read)
        self._read = new.upto
        places = np.arange(len(new.trials))
        last = np.zeros(len(history), dtype=np.int64)
        last[new.trials] = places
        newest = last[new.trials] == places
        np.maximum.at(self._furthest, new.trials[~newest], new.steps[~newest])
        self.before[new.trials] = self._furthest[new.trials]
        np.maximum.at(self._furthest, new.trials, new.steps)
        self.steps[new.trials] = new.steps  # of several the last
        self.losses[new.trials] = new.losses
        return self


@dataclass(frozen=True, slots=True)
class Population:
    """Every `interval` steps a member in the worst `quantile` gives way to a copy of one in the best.

    Members are compared by their last values, at whatever step they are. If not all members can run at
    once, they take turns of `interval` steps.
    """

    owner: str
    max: int
    interval: int
    quantile: float

    def __post_init__(self) -> None:
        options.whole(self.owner, "max", self.max)
        options.whole(self.owner, "interval", self.interval)
        options.number(self.owner, "quantile", self.quantile, above=0.0, below=0.5000001)

    def decide(self, history: History, trial: int) -> Decision:
        """On a trial that has come a multiple of `interval` further than where it began."""
        stride, begin = history.stride(trial), history.begin(trial)
        if stride is None or stride[1] >= self.max:
            return CONTINUE
        # a trial that goes on from an earlier step, or from none, is not sent back once more
        before = max(stride[0], int(self.latest(history).before[trial]))
        known, rounds = ((step - begin) // self.interval for step in (before, stride[1]))
        if rounds <= known:
            return CONTINUE
        metric, step = history.first_objective.metric, stride[1]
        ranked = self.ranked(history)
        n, worst = len(ranked), int(len(ranked) * self.quantile)
        place = ranked.index(trial) + 1 if trial in ranked else 0
        silent = np.isinf(self.latest(history).losses[trial]) and not anybody(history, step)
        if place > n - worst and self.parents(history) and not silent:
            value = history.first_objective.sign * self.latest(history).losses[trial]
            standing = f"at step {step} its {metric} of {value:.4g} is number {place} of {n}"
            return Decision(Verdict.STOP, f"{standing}: a copy of one of the best {worst} goes on")
        if self._take_turns(history):
            return Decision(Verdict.PAUSE, f"at step {step}, number {place} of {n}: others' turn")
        return CONTINUE

    def _take_turns(self, history: History) -> bool:
        """Whether there are more members than workers."""
        limit = history.trials_limit
        return limit is not None and limit > history.parallel

    def resume(self, history: History, rng: Generator, explore: Explore) -> Resume | None:
        """A copy for a member that gave way; else the paused member that is furthest behind, once all
        members have begun."""
        if self._due(history):
            parents = self.parents(history)
            if parents:
                parent = parents[int(rng.integers(len(parents)))]
                config = explore(parent, rng)
                return Resume(
                    parent, f"as trial {parent}{_changes(history, parent, config)}", config
                )
        if history.trials_limit is not None and not history.full:
            return None
        waiting = np.flatnonzero(history.states == _PAUSED)
        if not len(waiting):
            return None
        steps = self.latest(history).steps[waiting]
        trial = int(waiting[np.lexsort((waiting, steps))[0]])
        return Resume(trial, f"its turn, from step {steps.min()} on")

    def _due(self, history: History) -> int:
        """How many members have given way, and have no copy in their place yet."""
        return int(history.where(State.STOPPED).sum()) - history.forks

    def latest(self, history: History) -> Latest:
        return history.memo("population: latest", Latest).update(history)

    def ranked(self, history: History) -> list[int]:
        """The members that have reported, the best first; of equals, the one that has come further.

        A copy is never behind a parent that it equals, or it would give way to the next copy for ever.
        """
        latest = self.latest(history)
        member = history.where(*_MEMBERS)
        member[list(history.confirming)] = False
        members = np.flatnonzero(member)
        losses = latest.losses[members]
        known = ~np.isnan(losses)
        members, losses = members[known], losses[known]
        order = np.lexsort((members, -latest.steps[members], losses))
        ranked: list[int] = members[order].tolist()
        return ranked

    def parents(self, history: History) -> list[int]:
        """The members in the best quantile that are still in training, with a finite value."""
        ranked, latest = self.ranked(history), self.latest(history)
        best = ranked[: int((len(ranked) + self._due(history)) * self.quantile)]
        training = history.where(State.RUNNING, State.PAUSED)
        return [t for t in best if training[t] and np.isfinite(latest.losses[t])]


def _changes(history: History, parent: int, config: Config) -> str:
    """What is different in a copy, in words."""
    before = history.trial(parent).config
    changed = [
        f"{name} {_short(before.get(name))} -> {_short(value)}"
        for name, value in config.items()
        if before.get(name) != value
    ]
    return f", but with {', '.join(changed)}" if changed else ""


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def changeable(owner: str, space: Space, names: Iterable[str] | None) -> list[str]:
    """The parameters that may change in the middle of a run: those named, or all that are not structural."""
    tunables = space.tunables
    if names is None:
        structural = space.structural
        return [name for name in tunables if name not in structural]
    for name in names:
        if name not in tunables:
            raise StrategyError(
                f"{owner}: change has {name!r}, which is no parameter of the space"
                f"{did_you_mean(name, tunables)}"
            )
        if tunables[name].structural:
            raise StrategyError(
                f"{owner}: change has {name!r}, which the space calls structural: take it out of change, or "
                f"structural from {name}"
            )
    return list(names)


def check_changeable(owner: str, space: Space, names: Iterable[str] | None) -> None:
    """Raise StrategyError if a population would have nothing to change."""
    if not changeable(owner, space, names) and len(space):
        raise StrategyError(
            f"{owner} has nothing to change in the middle of a run: all parameters ({', '.join(space.tunables)}) are "
            "structural, as choices and the group model are; write structural=False (structural: false) for those that "
            "weights do not depend on, or name them in change"
        )


def changed(
    space: Space, config: Config, moves: Callable[[Floats, Generator], Floats], rng: Generator
) -> Config:
    """`config` after `moves` of its point in the unit cube, shape (d,), relations respected; `config`
    itself if no move in a hundred respects them."""
    known = space.encode(config)
    for _ in range(100):
        point = np.where(np.isnan(known), rng.random(len(known)), known)
        candidate = space.decode(np.clip(moves(point, rng), 0.0, 1.0))
        if space.satisfies(candidate):
            return candidate
    return config
