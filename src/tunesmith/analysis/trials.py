"""A study's trials as NumPy arrays, for figures and sentences: one pass over the ledger's columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith import schedule
from tunesmith.analysis.style import GREY, PURPLE, text
from tunesmith.core import pareto
from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.incumbent import Confirmed, front_first
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import show_number, show_seconds
from tunesmith.core.strategy import repeats
from tunesmith.core.trial import CODES, State
from tunesmith.strategy.evidence import Evidence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Figures show at most this many trials as dots: all that improved on those before, the best
#: `BEST_DOTS`, and an even selection of the others.
DOTS: Final = 1200
BEST_DOTS: Final = 200
#: Crosses and rings in one figure.
MARKS: Final = 300


@dataclass(frozen=True)
class TrialArrays:
    """A study's trials as arrays, each made once, when first asked for. `sign` times a value is to be minimised."""

    ledger: Ledger
    #: How good the model is that came of it, where a recipe searched a space of its own.
    model: str = ""
    #: Of several objectives, the one that `metric`, `sign`, `own_losses` and `ranked` are about, by its place.
    objective: int = 0

    def by(self, objective: int) -> TrialArrays:
        """The same trials, by another objective."""
        return self if objective == self.objective else replace(self, objective=objective)

    @cached_property
    def history(self) -> History:
        return History(self.ledger)

    @property
    def size(self) -> int:
        return self.ledger.size

    @property
    def counted(self) -> int:
        """How many trials there are, as the limit on them counts: neither waiting, cancelled, retracted nor copies."""
        return self.ledger.started_count

    @property
    def single(self) -> bool:
        """Whether there is one objective."""
        return len(self.ledger.spec.objectives) == 1

    @property
    def metric(self) -> str:
        return self.ledger.spec.objectives[self.objective].metric

    @property
    def sign(self) -> float:
        return self.ledger.spec.objectives[self.objective].sign

    @cached_property
    def done(self) -> Ints:
        """Completed trials that count, whether they keep the constraints or not, and have a finite value; runs that only
        confirm others are left out, and so are those of earlier versions of the program where there are new ones."""
        counted = self.ledger.where_counted & np.isfinite(self.losses).all(axis=1)
        counted[list(self.ledger.confirming)] = False
        return np.flatnonzero(counted)

    @cached_property
    def feasible(self) -> Ints:
        """Those of `done` that keep all constraints: one of them may be the best."""
        numbers: Ints = self.done[~self.ledger.column("broken")[self.done]]
        return numbers

    @cached_property
    def broken(self) -> Ints:
        """Those of `done` that break a constraint."""
        numbers: Ints = self.done[self.ledger.column("broken")[self.done]]
        return numbers

    @cached_property
    def losses(self) -> Floats:
        return self.history.losses

    @property
    def own_losses(self) -> Floats:
        """The losses of the objective that `metric` and `sign` are about, shape (n,)."""
        return self.losses[:, self.objective]

    @cached_property
    def ranked(self) -> Ints:
        """Those of `feasible`, the best first; with several objectives those of the front first, each part by the
        objective."""
        members = np.flatnonzero(np.isin(self.feasible, self.front))
        return self.feasible[front_first(self.own_losses[self.feasible][:, None], members)]

    @cached_property
    def best(self) -> int | None:
        """The trial that `Result.best` names; see `certainty.likely_best`. Of several objectives the one that the user's
        rule prefers, if there is one."""
        from tunesmith.analysis.certainty import likely_best

        return likely_best(self)

    @property
    def incumbent(self) -> int | None:
        """The trial with the best value; of those that were confirmed the likeliest."""
        return self.ledger.incumbent

    @cached_property
    def knee(self) -> int | None:
        """The trial of the front where giving up a little of one objective gains most of the others, of three or more."""
        if self.single or len(self.front) < 3:
            return None
        return int(self.front[pareto.knee(self.losses[self.front])])

    @cached_property
    def winners(self) -> frozenset[int]:
        """The best trial; with several objectives, where no one trial is, the front."""
        if len(self.ledger.spec.objectives) > 1:
            return frozenset(self.front.tolist())
        return frozenset([] if self.best is None else [self.best])

    @property
    def winners_name(self) -> str:
        return "best" if self.single else "front"

    @property
    def best_name(self) -> str:
        return "best" if self.single else "preferred"

    @property
    def confirmed(self) -> Sequence[Confirmed]:
        """The best trials that were run again, the likeliest to be the best first."""
        return self.ledger.confirmed

    @cached_property
    def front(self) -> Ints:
        """The trials that no other beats in every objective, by number."""
        return self.ledger.front()

    def values(self, numbers: Ints, objective: int | None = None) -> Floats:
        """As the user's metric has them."""
        place = self.objective if objective is None else objective
        sign = self.ledger.spec.objectives[place].sign
        values: Floats = self.losses[numbers, place] * sign + 0.0
        return values

    def of(self, state: State) -> Ints:
        """The trials in a state, that count."""
        return np.flatnonzero(
            (self.ledger.column("state") == CODES[state]) & ~self.ledger.column("retracted")
        )

    @cached_property
    def _folds(self) -> bool:
        """Whether steps are folds, whose mean is the final value."""
        strategy = self.ledger.spec.scheduler
        try:
            return repeats(schedule.make(strategy))
        except StrategyError:  # of a package that is not installed here
            return False

    @property
    def faint(self) -> str:
        """What faint circles are, in words."""
        if self._folds:
            return "Faint circles are means of the folds of trials that were stopped."
        return FAINT

    @property
    def reached(self) -> str:
        """What `last_reports` holds, in words."""
        return "means of the folds" if self._folds else "the last reports"

    @cached_property
    def last_reports(self) -> dict[int, float]:
        """What stopped trials had come to: their last report of the metric, as `use` has it; where steps are folds, their mean."""
        metric, last_values = self.metric, {}
        if self._folds:
            of, _, values = self.ledger.curves.columns(metric)
            known = np.isfinite(values)
            folds = np.bincount(of[known], minlength=self.size)
            means = np.bincount(of[known], values[known], self.size) / np.maximum(folds, 1)
            stopped = self.of(State.STOPPED)
            return {n: float(means[n]) for n in stopped[folds[stopped] > 0].tolist()}
        for number in self.of(State.STOPPED).tolist():
            for report in self.ledger.judged.back(number):
                if metric in report.metrics:
                    last_values[number] = report.metrics[metric]
                    break
        return last_values

    @cached_property
    def forecasts(self) -> tuple[Ints, Floats]:
        """Trials that were stopped, and the values that they are expected to have come to, each of shape (n,): none of
        the objectives behind the first."""
        if self.objective or not len(self.done):
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        if self._folds:  # no curve goes on from fold to fold: the mean of some is what that of all is expected to be
            means = self.last_reports
            return np.array([*means], dtype=np.int64), np.array([*means.values()], dtype=np.float64)
        evidence = Evidence.of(self.history)
        stopped = np.isin(evidence.rows, self.of(State.STOPPED)) & np.isfinite(evidence.losses)
        losses: Floats = evidence.losses[stopped] * self.sign + 0.0
        return evidence.rows[stopped], losses

    @cached_property
    def expected(self) -> dict[int, float]:
        """`forecasts`, by trial."""
        numbers, values = self.forecasts
        return dict(zip(numbers.tolist(), values.tolist(), strict=True))

    @cached_property
    def improved(self) -> Ints:
        """Those of `feasible` that were better than all before them, by number."""
        losses = self.own_losses[self.feasible]
        if not len(losses):
            return self.feasible
        before = np.concatenate([[np.inf], np.minimum.accumulate(losses)[:-1]])
        numbers: Ints = self.feasible[losses < before]
        return numbers

    @cached_property
    def dots(self) -> Ints:
        """Those of `feasible` that figures show, by number; a part of them beyond DOTS."""
        return self.some(DOTS)

    def some(self, most: int) -> Ints:
        if len(self.feasible) <= most:
            return self.feasible
        chosen = np.zeros(self.size, dtype=np.bool_)
        chosen[self.improved[-most // 3 :]] = True
        chosen[self.ranked[: min(BEST_DOTS, most // 3)]] = True
        rest = self.feasible[~chosen[self.feasible]]
        left = most - int(chosen.sum())
        chosen[rest[np.linspace(0, len(rest) - 1, left).astype(np.int64)]] = True
        return np.flatnonzero(chosen)

    @property
    def thinned(self) -> str:
        """In words, which dots are not there."""
        drawn = len(self.dots) + len(self.crosses)
        if drawn == len(self.done):
            return ""
        return (
            f"Of {len(self.done):,} completed trials {drawn:,} are drawn: those that improved on all before, "
            "the best ones, and an even selection of the others."
        )

    @cached_property
    def crosses(self) -> Ints:
        """Those of `broken` that figures show, by number."""
        return some(self.broken)

    @cached_property
    def _tips(self) -> dict[int, str]:
        return {}

    def tip(self, number: int) -> str:
        """A trial in a few lines, as Plotly takes them."""
        if number not in self._tips:
            self._tips[number] = text(self._describe(number))
        return self._tips[number]

    def _describe(self, number: int) -> str:
        ledger = self.ledger
        state = ledger.state(number)
        lines = [f"trial {number}" + ("" if state is State.COMPLETED else f", {state}")]
        values = ledger.values(number)
        if values is not None:
            lines += [
                f"{o.metric} = {show_number(v)}"
                for o, v in zip(ledger.spec.objectives, values, strict=True)
            ]
        elif number in self.last_reports:
            if number in self.expected and not self._folds:
                lines.append(
                    f"{self.metric} = {show_number(self.expected[number], 4)} is its forecast"
                )
            lines.append(
                f"{self.metric} = {show_number(self.last_reports[number])} "
                + ("on average of its folds" if self._folds else "at the last report")
            )
        if (
            state is State.COMPLETED
        ):  # what was stopped may not have reported all that constraints name
            lines += [f"breaks {constraint}" for constraint in ledger.broken(number)]
        wall = float(ledger.column("wall_s")[number])
        if wall == wall:
            lines.append(f"took {show_seconds(wall)}")
        fixed = set(ledger.spec.space.parameters) - set(ledger.spec.space.tunables)
        config = [(k, v) for k, v in ledger.config(number).items() if k not in fixed]
        lines += [f"{name}: {cut(show(value), 40)}" for name, value in config[:12]]
        if len(config) > 12:
            lines.append(f"and {len(config) - 12} more")
        reason = ledger.reason(number)
        if reason is not None:
            lines.append(cut(" ".join(str(reason).split()), 80))
        return "\n".join(lines)


def show(value: Any, digits: int = 5) -> str:
    """A parameter's value at a glance."""
    if isinstance(value, float):
        return show_number(value, digits)
    return value if isinstance(value, str) else json.dumps(value)


def cut(words: str, width: int) -> str:
    return words if len(words) <= width else words[: width - 1] + "…"


def brief(name: str, width: int) -> str:
    """A name in at most `width` characters: its beginning, and its end, in which long ones differ."""
    if len(name) <= width:
        return name
    tail = (2 * (width - 1)) // 3
    return f"{name[: width - 1 - tail]}…{name[-tail:]}"


def some(numbers: Ints, most: int = MARKS) -> Ints:
    """An even selection."""
    if len(numbers) <= most:
        return numbers
    return numbers[np.linspace(0, len(numbers) - 1, most).astype(np.int64)]


def marks(name: str, x: Any, y: Any, numbers: Ints, trials: TrialArrays) -> dict[str, Any]:
    """A dot for each trial, with what it is."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": np.asarray(x, dtype=np.float64).tolist(),
        "y": list(y),
        "text": [trials.tip(n) for n in numbers.tolist()],
        "hoverinfo": "text",
    }


#: What crosses are.
CROSSES: Final = "Crosses are trials that break a constraint: none of them is best."
#: Faint circles, and what they are.
FAINT: Final = "Faint circles are forecasts of what trials that were stopped would have come to."


def forecast_marks(x: Any, y: Any, numbers: Ints, trials: TrialArrays) -> list[dict[str, Any]]:
    """A faint circle for each trial that was stopped, where it would have come to."""
    if not len(numbers):
        return []
    return [
        marks("forecast of stopped ones", x, y, numbers, trials)
        | {"marker": {"color": GREY, "size": 6, "opacity": 0.45, "symbol": "circle-open"}}
    ]


def broken_marks(x: Any, y: Any, numbers: Ints, trials: TrialArrays) -> dict[str, Any]:
    """A cross for each trial that breaks a constraint."""
    return marks("breaks a constraint", x, y, numbers, trials) | {
        "marker": {"color": PURPLE, "size": 6, "opacity": 0.7, "symbol": "x"}
    }


def thinned(numbers: Ints, values: Floats) -> tuple[Ints, Floats]:
    """An even selection of both."""
    chosen = some(np.arange(len(numbers)))
    return numbers[chosen], values[chosen]
