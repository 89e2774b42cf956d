"""Population-based bandits: as `pbt`, but a model of what has improved members finds the new values.

Parker-Holder, Nguyen & Roberts, "Provably efficient online hyperparameter optimization with
population-based bandits" (NeurIPS 2020). A Gaussian process over time and values predicts by how much a
member improves in an interval; a copy takes the values with the highest upper confidence bound. Instead
of the paper's kernel with a forgetting rate, time is one more input with a lengthscale of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.random import Generator

from tunesmith.core.history import History
from tunesmith.core.space.points import Points
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Decision, Resume
from tunesmith.core.trial import State
from tunesmith.numeric import gp
from tunesmith.numeric.features import Features
from tunesmith.strategy.population import (
    Floats,
    Latest,
    Population,
    changeable,
    changed,
    check_changeable,
)

#: The newest rows that the model learns from, and the values that are tried for each copy.
ROWS: Final = 300
CANDIDATES: Final = 300
#: Fewer rows say nothing: values are drawn.
FEWEST: Final = 4
#: The weight of the deviation in the upper confidence bound, about sqrt(c log(t)) of the paper's early t.
BETA: Final = 1.5


@dataclass(frozen=True, slots=True)
class Pb2:
    """Every `interval` steps a member in the worst `quantile` gives way to a copy of one in the best, with
    values that a model of all improvements so far suggests.

    `max` is the last step of a whole run. The study's `trials` are the members of the population; copies do not count. Trials need checkpoints. `change`
    names what may change in the middle of a run; without it, every parameter that is not structural (see
    `Space.structural`: choices and the group ``model`` are). Good for small populations, where `pbt` has too few tries. A copy costs one fit of O(300^3).
    """

    objectives: ClassVar[str] = "first"

    max: int
    interval: int
    quantile: float = 0.25
    change: Sequence[str] | None = None

    def __post_init__(self) -> None:
        Population("pb2", self.max, self.interval, self.quantile)

    def check(self, space: Space) -> None:
        """Raise StrategyError if nothing of `space` may change."""
        check_changeable("pb2", space, self.change)

    def decide(self, history: History, trial: int) -> Decision:
        return Population("pb2", self.max, self.interval, self.quantile).decide(history, trial)

    def resume(self, history: History, rng: Generator) -> Resume | None:
        population = Population("pb2", self.max, self.interval, self.quantile)

        def explore(parent: int, rng: Generator) -> Config:
            return self._best(history, population.latest(history), parent, rng)

        return population.resume(history, rng, explore)

    def _best(self, history: History, latest: Latest, parent: int, rng: Generator) -> Config:
        """The config of `parent` with those of the changeable values that promise most."""
        space = history.space
        names = changeable("pb2", space, self.change)
        columns = np.array([name in names for name in space.tunables], dtype=np.bool_)
        config = history.trial(parent).config

        def drawn(point: Floats, rng: Generator) -> Floats:
            return np.where(columns, rng.random(len(point)), point)

        def near(point: Floats, rng: Generator) -> Floats:
            return np.where(columns, point + 0.1 * rng.standard_normal(len(point)), point)

        when, where, gains = improvements(history, self.interval)
        if len(gains) < FEWEST or np.ptp(gains) == 0.0:
            return changed(space, config, drawn, rng)
        half = CANDIDATES // 2
        candidates = [changed(space, config, drawn, rng) for _ in range(half)]
        candidates += [changed(space, config, near, rng) for _ in range(half)]
        running = np.flatnonzero(history.where(State.RUNNING))
        mean, deviation = _predict(
            history, (when, where, gains), candidates, float(latest.steps[parent]), running.tolist()
        )
        return candidates[int(np.argmax(mean + BETA * deviation))]


def improvements(history: History, interval: int) -> tuple[Floats, Floats, Floats]:
    """Steps, shape (n,), points, (n, d), and by how much the loss fell from there in `interval` steps,
    (n,): the newest. O(reports of all trials)."""
    when: list[float] = []
    rows: list[int] = []
    gains: list[float] = []
    all_of_them = history.reports()
    finite = np.isfinite(all_of_them.losses)
    order = np.lexsort((all_of_them.steps[finite], all_of_them.trials[finite]))
    begin: tuple[int, int, float] | None = None
    for trial, step, loss in zip(
        *(column[finite][order].tolist() for column in all_of_them[1:4]), strict=True
    ):
        if begin is None or begin[0] != trial:
            begin = (trial, step, loss)
        elif step - begin[1] >= interval:
            when.append(float(begin[1]))
            rows.append(trial)
            gains.append(begin[2] - loss)
            begin = (trial, step, loss)
    newest = np.argsort(when, kind="stable")[-ROWS:]
    points = history.points[np.array(rows, dtype=np.int64)[newest]] if rows else history.points[:0]
    return np.array(when)[newest], points, np.array(gains)[newest]


def _predict(
    history: History,
    known: tuple[Floats, Floats, Floats],
    configs: Sequence[Config],
    step: float,
    running: Sequence[int],
) -> tuple[Floats, Floats]:
    """Mean and deviation of the standardised improvement of each config from `step` on, given that those
    that run now improve as predicted."""
    when, where, gains = known
    sizes = [0, *history.memo("points", lambda: Points(history.space)).choices]
    features = Features(sizes)
    last = max(float(when.max()), step, 1.0)

    def inputs(steps: Floats, points: Floats) -> Floats:
        return features(np.column_stack([steps / last, points]))

    y = (gains - gains.mean()) / gains.std()
    rows = inputs(when, where)
    theta, _ = gp.fit(rows, features.owner, y, gp.start(sizes))
    model = gp.GP.condition(rows, features.owner, y, theta)
    if running:
        model, _ = model.believe(inputs(np.full(len(running), step), history.points[list(running)]))
    points = np.array([history.space.encode(config) for config in configs])
    return model.predict(inputs(np.full(len(points), step), points))


SCHEDULER = Pb2
