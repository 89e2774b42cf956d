"""Progress of a running study as data: one frozen value per moment, for terminals, logs, JSON lines and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from tunesmith.core.incumbent import may_be_best
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import count, show_number, show_seconds
from tunesmith.core.trial import ENDED, State, Trial

#: What a coordinator calls as the study goes on, with the study and the time.
Watcher: TypeAlias = Callable[[Ledger, float], None]


class Best(NamedTuple):
    """A trial that none beats, and its values, one for each objective."""

    trial: int
    values: tuple[float, ...]


class Change(NamedTuple):
    """A trial that has ended, paused or gone on."""

    trial: Trial
    #: Whether it was the best when it ended.
    best: bool
    #: Why it goes on.
    why: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A study at one moment."""

    study: str
    #: The objectives' metrics.
    metrics: tuple[str, ...]
    at: float
    elapsed_s: float
    counts: Mapping[State, int]
    #: How many trials have ended, of those that count against the limit; and how many others are copies, in which
    #: the runs of a population go on.
    done: int
    copies: int
    #: How many trials there may be.
    trials: int | None
    #: How many completed trials that count break a constraint, and what was spent, in words.
    broken: int
    spent: str
    #: The trial of the front that the user's rule prefers.
    preferred: Best | None
    #: The best trial; of several objectives the front (of a large study, as it was a little ago).
    best: tuple[Best, ...]
    #: How much of the nearest limit is used up, 0 to 1; None where only a target ends the study.
    fraction_done: float | None
    time_left_s: float | None
    #: What has become of trials since the moment before.
    changes: tuple[Change, ...]
    #: What was said since then.
    warnings: tuple[str, ...]
    #: Why the study has ended, in a word; empty while it goes on.
    ended: str

    def __str__(self) -> str:
        """``12/40 trials · best loss 0.031 (trial 7) · 1 failed · 41.2 s, about 1 min 20 s left``."""
        done = self.done
        parts = [f"{done}/{self.trials} trials" if self.trials else count(done, "trial")]
        if self.copies:
            parts[0] += f" and {self.copies} cop{'y' if self.copies == 1 else 'ies'}"
        if len(self.metrics) > 1 and self.best:
            parts.append(f"{count(len(self.best), 'trial')} that no other beats")
        elif self.best:
            number, values = self.best[0]
            parts.append(f"best {self.metrics[0]} {show_number(values[0])} (trial {number})")
        elif self.broken:
            parts.append("none keeps the constraints yet")
        if self.preferred is not None:
            number, values = self.preferred
            named = zip(self.metrics, values, strict=True)
            shown = ", ".join(f"{metric} {show_number(value)}" for metric, value in named)
            parts.append(f"preferred {shown} (trial {number})")
        if self.broken:
            parts.append(f"{self.broken:,} break{'s' * (self.broken == 1)} a constraint")
        if self.counts[State.FAILED]:
            parts.append(f"{self.counts[State.FAILED]} failed")
        if self.spent:
            parts.append(f"spent {self.spent}")
        left_s = self.time_left_s
        left = "" if left_s is None or left_s < 1.0 else f", about {show_seconds(left_s)} left"
        return " · ".join([*parts, f"{show_seconds(self.elapsed_s)}{left}"])

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types, without the changes."""
        return {
            "study": self.study,
            "at": self.at,
            "elapsed_s": self.elapsed_s,
            "counts": {str(state): n for state, n in self.counts.items()},
            "done": self.done,
            "copies": self.copies,
            "trials": self.trials,
            "broken": self.broken,
            "best": [{"trial": best.trial, "values": [*best.values]} for best in self.best],
            "fraction_done": self.fraction_done,
            "time_left_s": self.time_left_s,
            "warnings": list(self.warnings),
            "ended": self.ended,
        }


class Follower:
    """The trials that have ended, paused or gone on since the last call: O(not ended + new)."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._open: list[int] = []
        #: The state in which open trials were last seen.
        self._last: dict[int, State] = {}

    def new(self, ledger: Ledger) -> list[Trial]:
        if self._next is None:  # what earlier sessions did is known
            self._next = ledger.size
            self._open = [n for n in range(ledger.size) if ledger.state(n) not in ENDED]
        self._open += range(self._next, ledger.size)
        self._next = ledger.size
        changed = []
        for number in self._open:
            state, last = ledger.state(number), self._last.get(number)
            gone_on = state is State.RUNNING and last is State.PAUSED
            if state in ENDED or gone_on or (state is State.PAUSED and last is not state):
                changed.append(number)
                self._last[number] = state
        self._open = [number for number in self._open if ledger.state(number) not in ENDED]
        return [ledger.trial(number) for number in changed]


class Feed:
    """Makes `Progress` of what a coordinator shows and says: O(not ended + new) each time."""

    def __init__(self) -> None:
        self._follower = Follower()
        self._warnings: list[str] = []
        #: The front of several objectives, and how many trials had completed then.
        self._front: tuple[int, list[int]] = (0, [])
        #: The loss and the number of the best trial at the last moment.
        self._best: tuple[float, int] | None = None

    def warn(self, message: str) -> None:
        self._warnings.append(message)

    def moment(self, ledger: Ledger, now: float) -> Progress:
        """The study as it is now, and what is new since the call before."""
        warnings, self._warnings = self._warnings, []
        spec, ended = ledger.spec, ledger.ended
        preferred = ledger.incumbent
        numbers = [] if preferred is None else [preferred]
        if len(spec.objectives) > 1:
            numbers = self._front_of(ledger)
        else:
            preferred = None
        changed = self._follower.new(ledger)
        best = self._best_then(ledger, changed)
        return Progress(
            study=spec.name,
            metrics=tuple(objective.metric for objective in spec.objectives),
            at=now,
            elapsed_s=ledger.elapsed_s(now),
            counts=dict(ledger.counts),
            done=ledger.ended_count,
            copies=len(ledger.forks),
            trials=spec.limits.trials,
            broken=_broken(ledger),
            spent=spec.limits.spent(ledger.money),
            preferred=None if preferred is None else _best(ledger, preferred),
            best=tuple(_best(ledger, n) for n in numbers),
            fraction_done=fraction_done(ledger, now),
            time_left_s=time_left_s(ledger, now),
            changes=tuple(
                Change(
                    trial,
                    trial.number in best,
                    ledger.running[trial.number].why if trial.state is State.RUNNING else "",
                )
                for trial in changed
            ),
            warnings=tuple(warnings),
            ended="" if ended is None else ended.why,
        )

    def _best_then(self, ledger: Ledger, changed: Sequence[Trial]) -> set[int]:
        """Which of the trials that have ended since the moment before were the best then, each of them before the next
        one ended. Where more than a value decides, only who is the best now is known."""
        incumbent, table = ledger.incumbent, ledger.table
        best, self._best = self._best, None
        if incumbent is None:
            return set()
        if len(ledger.spec.objectives) > 1 or ledger.spec.limits.confirm is not None:
            return {incumbent}
        self._best = float(table.losses[incumbent, 0]), incumbent
        ended = [
            trial.number
            for trial in changed
            if trial.state is State.COMPLETED
            and trial.number not in ledger.confirming
            and may_be_best(table, trial.number)
        ]
        marked = {incumbent}
        for number in sorted(ended, key=lambda n: (table.ended_at[n], n)):
            end = float(table.losses[number, 0]), number
            if best is None or end < best:
                best = end
                marked.add(number)
        return marked

    def _front_of(self, ledger: Ledger) -> list[int]:
        """The front, looked for again once enough has come: O(completed front) on the whole, not each time."""
        completed = ledger.counts[State.COMPLETED]
        if ledger.ended is not None or completed < 1000 or completed > 1.1 * self._front[0]:
            self._front = completed, ledger.front().tolist()
        return self._front[1]


def _best(ledger: Ledger, number: int) -> Best:
    return Best(number, tuple(ledger.values(number) or ()))


def _broken(ledger: Ledger) -> int:
    """How many completed trials that count break a constraint: one pass of NumPy's, where there are constraints."""
    if not ledger.spec.constraints:
        return 0
    return int((ledger.where_counted & ledger.column("broken")).sum())


def fraction_done(ledger: Ledger, now: float) -> float | None:
    """How much of the nearest limit is used up, 0 to 1; None where only a target ends the study."""
    limits = ledger.spec.limits
    shares = [
        used / limit
        for used, limit in (
            (ledger.ended_count, limits.trials),
            (ledger.elapsed_s(now), limits.time),
            (ledger.compute_time_s, limits.compute_time),
            (ledger.money, limits.cost),
            (ledger.improvement.trials_since, limits.no_improvement),
            (ledger.best_age_s(now), limits.no_improvement_time),
        )
        if limit
    ]
    return min(1.0, max(shares)) if shares else None


def time_left_s(ledger: Ledger, now: float) -> float | None:
    """How long the study may still take at the pace so far; None before anything is known."""
    fraction = fraction_done(ledger, now)
    if not fraction:
        return None
    return ledger.elapsed_s(now) * (1 - fraction) / fraction
