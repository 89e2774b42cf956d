"""What a searcher or scheduler sees of a study: read-only arrays over all its trials.

Row i is trial i, running ones included. A history is valid during the call it is given to; what a
strategy works out from it may be kept in `memo`, which may be dropped at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Set
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.aging import DISCOUNT
from tunesmith.core.constraint import Constraint
from tunesmith.core.incumbent import TRIED, contenders, feasible
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.prior_study import PriorStudy
from tunesmith.core.space.parameter import Choice
from tunesmith.core.space.space import Space
from tunesmith.core.trial import CODES, Origin, Report, State, Trial

T = TypeVar("T")

#: Where a memo says which trials were old when it was filled: others make another search of it.
_GENERATION: Final = "generation"


def derivative(metric: str, parameter: str) -> str:
    """The name of the metric that is the derivative of `metric` by a parameter's value."""
    return f"d_{metric}/d_{parameter}"


class Reports(NamedTuple):
    """Arrays over reports, shape (n,): losses are minimised, inf for what was not finite.

    `numbers` counts all reports of the study; `upto` is how many there are in all: where to go on from.
    """

    numbers: NDArray[np.int64]
    trials: NDArray[np.int64]
    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    upto: int


class History:
    """A read-only view of a ledger.

    With `visible`, the results of trials from that number on are hidden: they look as if they had
    just started (`deterministic=True` builds on it). `full` is what the engine knows, beyond the limit
    on trials, of whether more will begin.
    """

    __slots__ = ("_full", "_hides_from", "_ledger", "_memo")

    def __init__(
        self,
        ledger: Ledger,
        *,
        visible: int | None = None,
        memo: dict[Any, Any] | None = None,
        full: bool = False,
    ) -> None:
        self._ledger = ledger
        self._hides_from = visible
        self._full = full
        self._memo = {} if memo is None else memo
        if memo and ledger.aging.generation != memo.get(_GENERATION, 0):
            memo.clear()
        if ledger.aging.generation:
            self._memo[_GENERATION] = ledger.aging.generation

    @property
    def _visible(self) -> int:
        """Results of trials from this number on are hidden."""
        n = self._ledger.size
        return n if self._hides_from is None else min(self._hides_from, n)

    def __len__(self) -> int:
        """How many trials there are; also the number of the next one."""
        return self._ledger.size

    @property
    def space(self) -> Space:
        return self._ledger.spec.space

    @property
    def objectives(self) -> tuple[Objective, ...]:
        return self._ledger.spec.objectives

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """What a trial's results have to keep for it to be the best: see `excess`."""
        return self._ledger.spec.constraints

    @property
    def first_objective(self) -> Objective:
        """The objective that counts where one is meant: see `first_losses`."""
        return self._ledger.spec.first_objective

    @property
    def seed(self) -> int:
        """The study's seed, for what has to be the same in every call (a scramble, say)."""
        return self._ledger.spec.seed

    @property
    def trials_limit(self) -> int | None:
        """How many trials the study may have, if that is known."""
        return self._ledger.spec.limits.trials

    @property
    def trials_expected(self) -> int | None:
        """How many trials the study will have had at its end: as many as its limit on cost or time allows if all are as
        dear as those so far, else `trials_limit`."""
        limit = self.trials_limit
        share, ended = self._spent or (0.0, 0)
        if not share:
            return limit
        fit = round(ended / share)
        return fit if limit is None else min(fit, limit)

    @property
    def full(self) -> bool:
        """Whether no more trials will begin, but for those that confirm the best: the limit on trials is
        reached, the space is exhausted, or what is left of the time is for the best. Trials that still wait
        stay where they are."""
        return self._full or self._ledger.full

    @property
    def counts_money(self) -> bool:
        """Whether `costs` are in money, or what the cost's metric counts; else they are seconds."""
        limits = self._ledger.spec.limits
        return limits.cost is not None or limits.cost_metric is not None

    @property
    def costs(self) -> NDArray[np.float64]:
        """What each trial has taken of the limit that is to be spent well, shape (n,), NaN where nothing is known: by
        `cost_metric` or in money, else in seconds."""
        costs = self._ledger.column("money" if self.counts_money else "wall_s")
        if self._visible < len(self):
            costs = costs.copy()
            costs[self._visible :] = np.nan
        return costs

    @property
    def budget_left(self) -> float | None:
        """The share of the limit on cost, compute time or time that is left, where that is what will end the study; None
        where it is not, or is by the clock in a deterministic study.

        A limit on trials as well ends it first if as many trials as that, each as dear as those so far, fit into the rest.
        """
        limits = self._ledger.spec.limits
        by_number = limits.cost is limits.compute_time is limits.time is None
        if by_number and limits.cost_metric is not None and limits.trials is not None:
            return max(0.0, 1.0 - len(self) / limits.trials)
        spent = self._spent
        return None if spent is None else max(0.0, 1.0 - spent[0])

    @property
    def _spent(self) -> tuple[float, int] | None:
        """The share of the limit on cost or time that is spent, and by how many trials that have ended; None as `budget_left`."""
        ledger = self._ledger
        limits = ledger.spec.limits
        done, by_the_clock = ledger.ended_count, True
        if limits.cost is not None:
            spent, limit, by_the_clock = ledger.money, limits.cost, limits.cost_metric is None
        elif limits.compute_time is not None:
            spent, limit = ledger.compute_time_s, limits.compute_time
        elif limits.time is not None:
            spent, limit = ledger.elapsed_s(ledger.last_at), limits.time
        else:
            return None
        if by_the_clock and ledger.spec.deterministic:
            return None
        if self._visible < len(self):  # which of the hidden trials have ended is chance
            ended = np.isin(self.states, TRIED) & ~ledger.column("retracted")
            spent, done = float(np.nansum(self.costs)), int(ended.sum())
        if limit <= 0.0 or not done:
            return None
        if limits.trials is not None and (limits.trials - done) * spent / done < limit - spent:
            return None
        return spent / limit, done

    @property
    def parallel(self) -> int:
        return self._ledger.spec.limits.parallel

    @property
    def duplicates(self) -> bool:
        """Whether the same config may be run twice."""
        return self._ledger.spec.duplicates

    @property
    def past(self) -> tuple[PriorStudy, ...]:
        """Earlier studies that this one starts with."""
        return self._ledger.spec.past

    @property
    def current_version(self) -> int:
        """The version of the program that trials run now, from 1 on; 0 if that is not known."""
        return self._ledger.aging.current

    @property
    def versions(self) -> NDArray[np.int32]:
        """The version that each trial ran, shape (n,): 0 where that is not known."""
        return self._ledger.column("version")

    @property
    def aged(self) -> NDArray[np.bool_]:
        """Trials of versions that are set aside, shape (n,): see `core.aging`. None of them is `usable`."""
        return self._ledger.column("aged")

    @property
    def own(self) -> int:
        """How many trials there are but for those that are `aged`: the place of the next one in a search that begins
        anew with each version."""
        n = len(self)
        return n - int(self.aged.sum()) if self._ledger.aging.generation else n

    @property
    def visible_aged(self) -> int:
        """How many of the trials whose results are seen are `aged`."""
        return int(self.aged[: self._visible].sum()) if self._ledger.aging.generation else 0

    def earlier_versions(self) -> tuple[PriorStudy, ...]:
        """The results of versions that are to be learned from as from earlier studies, one each. O(trials)."""
        ledger = self._ledger
        if not ledger.aging.generation or ledger.aging.changed != DISCOUNT:
            return ()
        states, losses, versions = self.states, self.losses, self.versions
        ended = np.isin(states, [CODES[State.COMPLETED], CODES[State.STOPPED]])
        off = ledger.column("retracted") | ledger.column("outside")
        rows = np.flatnonzero(self.aged & ended & np.isfinite(losses).all(axis=1) & ~off)
        return tuple(
            PriorStudy.of(
                f"version {version}",
                [ledger.config(k) for k in rows[versions[rows] == version].tolist()],
                losses[rows[versions[rows] == version]],
            )
            for version in np.unique(versions[rows]).tolist()
        )

    # -- arrays, one row per trial ------------------------------------------------------------

    @property
    def states(self) -> NDArray[np.int8]:
        """State codes, shape (n,): see `tunesmith.core.trial.CODES`."""
        states = self._ledger.column("state")
        if self._visible < len(self):
            states = states.copy()
            hidden = states[self._visible :]
            hidden[hidden != CODES[State.WAITING]] = CODES[State.RUNNING]
        return states

    @property
    def losses(self) -> NDArray[np.float64]:
        """Objective values to be minimised, shape (n, objectives); NaN where there is none."""
        losses = self._ledger.column("losses")
        if self._visible < len(self):
            losses = losses.copy()
            losses[self._visible :] = np.nan
        return losses

    @property
    def excess(self) -> NDArray[np.float64]:
        """By how much each trial's results break each constraint, shape (n, constraints): at most 0 where they keep it, NaN
        where there is no result, or none that the constraint is about."""
        excess = self._ledger.column("excess")
        if self._visible < len(self):
            excess = excess.copy()
            excess[self._visible :] = np.nan
        return excess

    @property
    def broken(self) -> NDArray[np.bool_]:
        """Which trials' results break a constraint, shape (n,)."""
        broken: NDArray[np.bool_] = self._ledger.column("broken")
        if self._visible < len(self):
            broken = broken.copy()
            broken[self._visible :] = False
        return broken

    @property
    def blamed(self) -> NDArray[np.int8]:
        """What kind of failure each trial's config is blamed for, shape (n,): its place in `core.trial.BLAMED`, counted from
        1; 0 for trials that have not failed, and for failures that say nothing about the config: what was lost, and what
        ran into a limit that is wider now."""
        blamed = self._ledger.column("blamed")
        if self._visible < len(self):
            blamed = blamed.copy()
            blamed[self._visible :] = 0
        return blamed

    @property
    def first_losses(self) -> NDArray[np.float64]:
        """The losses of the first objective, shape (n,): for strategies that look at one."""
        return self.losses[:, 0]

    @property
    def points(self) -> NDArray[np.float64]:
        """Configs in the unit cube, shape (n, d); NaN where inactive, rows of NaN where outside."""
        return self._ledger.column("points")

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Configs as numbers (values, choice indices), shape (n, d); NaN as in `points`."""
        return self._ledger.column("numbers")

    @property
    def gradients(self) -> NDArray[np.float64]:
        """Derivatives of the first objective's loss by the coordinates of `points`, shape (n, d).

        They are what trials said under the names that `derivative` gives, along with their results; NaN where
        they said nothing, or nothing finite, and by choices. O(n d).
        """
        out = np.full((len(self), len(self.space)), np.nan)
        objective, numbers = self.first_objective, self.numbers
        for j, (name, parameter) in enumerate(self.space.tunables.items()):
            column = self._ledger.metrics.get(derivative(objective.metric, name))
            if column is None or isinstance(parameter, Choice):
                continue
            n = min(len(column), self._visible)
            stretch = parameter.axis.stretch(numbers[:n, j])
            out[:n, j] = objective.sign * column[:n] * stretch
        out[np.isinf(out)] = np.nan
        return out

    def origin(self, number: int) -> Origin:
        """Where a trial's config came from. O(1)."""
        return self._ledger.origin(number)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Trials to learn from, shape (n,): neither retracted, nor outside the space, nor `aged`."""
        usable: NDArray[np.bool_] = ~(
            self._ledger.column("retracted") | self._ledger.column("outside") | self.aged
        )
        return usable

    def where(self, *states: State) -> NDArray[np.bool_]:
        """A mask of the usable trials in one of `states`."""
        now = self.states
        mask: NDArray[np.bool_] = np.zeros(len(now), dtype=np.bool_)
        for state in states:
            mask |= now == CODES[state]
        mask &= self.usable
        return mask

    @property
    def confirmations(self) -> Mapping[int, Sequence[int]]:
        """For each trial that is being confirmed, the trials that run its config again."""
        return self._ledger.confirmations

    @property
    def confirming(self) -> Set[int]:
        """The trials that run the config of another one again, to confirm it."""
        return self._ledger.confirming

    @property
    def completed(self) -> int:
        """How many trials have been completed. O(1)."""
        return self._ledger.completed

    @property
    def forks(self) -> int:
        """How many of the trials a scheduler began from the checkpoint of another."""
        return len(self._ledger.forks)

    @property
    def ending(self) -> Set[int]:
        """Running trials that the scheduler has told to end, or to pause, and that have not done so yet."""
        return self._ledger.decided - self._ledger.audited

    # -- single trials ------------------------------------------------------------------------

    def trial(self, number: int) -> Trial:
        """Trial `number` in full. Slow (microseconds): use the arrays where there are many."""
        return self._ledger.trial(number)

    def curve(self, number: int) -> tuple[Report, ...]:
        """The reports of a trial, oldest first; none if its results are hidden. A value is what the objective's `use`
        makes of it and of those before (the best so far, a mean), here as in all that follows."""
        return self._ledger.judged.of(number) if number < self._visible else ()

    def as_reported(self, number: int) -> tuple[Report, ...]:
        """The reports of a trial as they came, each by itself: for steps that are folds or seeds."""
        return self._ledger.curves.of(number) if number < self._visible else ()

    def back(self, number: int) -> Iterator[Report]:
        """The reports of a trial, newest first; O(1) each."""
        return self._ledger.judged.back(number) if number < self._visible else iter(())

    def stride(self, number: int) -> tuple[int, int] | None:
        """From which step to which a trial has just come: those of its last two reports of the first objective's
        metric, or from where it began. None if its last report lacks the metric."""
        metric = self.first_objective.metric
        back = self.back(number)
        last = next(back)
        if metric not in last.metrics:
            return None
        before = (report.step for report in back if metric in report.metrics)
        return next(before, self.begin(number)), last.step

    def reports(self, since: int = 0) -> Reports:
        """The reports of the first objective's metric from number `since` on, as they came.

        Those without it, and of trials whose results are hidden, are left out. O(new reports).
        """
        objective = self.first_objective
        curves = self._ledger.judged
        trials, steps, values = curves.columns(objective.metric, since)
        included = ~np.isnan(values)
        if self._visible < len(self):
            included &= trials < self._visible
        losses = np.where(np.isinf(values), np.inf, objective.sign * values)
        numbers = np.flatnonzero(included) + since
        return Reports(numbers, trials[included], steps[included], losses[included], len(curves))

    def begin(self, number: int) -> int:
        """The step at which a trial began: that of the other one where it is the copy of one, else 0."""
        return self._ledger.forks.get(number, 0)

    def losses_at(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """The losses of every objective in some reports, shape (n, objectives): inf for what was not finite,
        NaN for what was not in the report."""
        columns = []
        for objective in self.objectives:
            _, _, values = self._ledger.judged.columns(objective.metric)
            part = values[numbers]
            columns.append(np.where(np.isinf(part), np.inf, objective.sign * part))
        return np.column_stack(columns)

    def excess_at(self, numbers: NDArray[np.int64], constraint: int) -> NDArray[np.float64]:
        """By how much some reports break a constraint, shape (n,): see `excess`; NaN where a metric that it names was not in
        the report."""
        asked = self.constraints[constraint]
        metrics = asked.metrics(self.space)
        out = np.full(len(numbers), np.nan)
        for i, number in enumerate(numbers.tolist()):
            trial, report = self._ledger.judged.at(number)
            if metrics <= report.metrics.keys():
                values = {**report.metrics, **self._ledger.config(trial)}
                out[i] = asked.excess(self.space, values)
        return out

    def find(self, config: Mapping[str, Any]) -> int | None:
        """The first trial with this config."""
        return self._ledger.find(config)

    @property
    def best(self) -> int | None:
        """The completed trial with the best value of a study with one objective; none that confirms another."""
        if len(self.objectives) > 1:
            return None
        if self._visible == len(self):
            return self._ledger.improvement.trial
        candidates = feasible(self._ledger.table)
        candidates[[*self.confirming, *range(self._visible, len(self))]] = False
        return next(iter(contenders(self.first_losses, candidates, 1)), None)

    def memo(self, key: Hashable, make: Callable[[], T]) -> T:
        """`make()`, kept under `key` for as long as the engine likes."""
        if key not in self._memo:
            self._memo[key] = make()
        value: T = self._memo[key]
        return value

    def fold(self, key: Hashable, make: Callable[[], T]) -> T:
        """`make()`, for what reads the reports one after the other: kept as in `memo`, but made anew where
        results are hidden, since those come to light later, between others."""
        return make() if self._visible < len(self) else self.memo(key, make)
