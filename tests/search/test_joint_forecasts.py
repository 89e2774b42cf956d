"""Trials that were stopped or pause, in studies of several objectives or under constraints: forecasts are evidence as with one
objective, as sure as they are, and nobody's front."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.constraint import Constraint
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Kind, Origin, Reason, State
from tunesmith.numeric.hypervolume import Boxes
from tunesmith.search.bayes import Bayes
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.joint import Joint
from tunesmith.store import MemoryStore
from tunesmith.strategy.evidence import Evidence
from tunesmith.strategy.standing import Standing
from tunesmith.tuning.replay import replay

LINE = ts.Space(x=ts.Float(0, 1))
STEPS = 10


def ends(x: float) -> dict[str, float]:
    """Both are bad beyond 0.6."""
    bad = 3.0 * max(0.0, x - 0.6)
    return {"a": x + bad, "b": 1.0 - x + 3.0 * bad}


def line(constraints: tuple[str, ...] = (), metrics: str = "ab") -> Ledger:
    objectives = tuple(Objective(name) for name in metrics)
    return Ledger(
        StudySpec(
            name="curves",
            space=LINE,
            objectives=objectives,
            constraints=tuple(map(Constraint, constraints)),
        )
    )


def tried(
    ledger: Ledger,
    x: float,
    stopped_at: int | None = None,
    *,
    metrics: Callable[[float], dict[str, float]] = ends,
    reported: str = "abc",
    noise: float = 0.0,
) -> None:
    """One trial: each metric begins 1 above its end (give or take the noise), and falls linearly to it."""
    number = ledger.size
    ledger.apply(events.Suggested(float(number), number, {"x": x}, Origin(USER), "s"))
    begin = 1.0 + noise * float(np.sin(97.0 * number))
    for step in range(1, (stopped_at or STEPS) + 1):
        above = begin * (1.0 - step / STEPS)
        values = {name: end + above for name, end in metrics(x).items() if name in reported}
        ledger.apply(events.Reported(0.0, number, 0, step, values))
    last = metrics(x) if stopped_at is None else values
    state = State.COMPLETED if stopped_at is None else State.STOPPED
    names = [objective.metric for objective in ledger.spec.objectives]
    whole = tuple(last[name] for name in names) if set(names) <= set(last) else None
    ledger.apply(events.Finished(float(number), number, 0, state, whole, last))


def half_stopped(**options: Any) -> Ledger:
    ledger = line(**options)
    for x in np.linspace(0.02, 0.58, 8):
        tried(ledger, float(x))
    for x in np.linspace(0.65, 0.98, 8):
        tried(ledger, float(x), stopped_at=3)
    return ledger


def joint(ledger: Ledger) -> Joint:
    history = History(ledger)
    domain = Domain(history.space, history.seed, (), (), len(history.objectives))
    pending = Evidence.ranked(history).pending
    return Joint(domain, history, pending, np.random.default_rng(0), 1.0)


def suggestions(ledger: Ledger, n: int) -> list[Any]:
    return Bayes().suggest(LINE, History(ledger), n, np.random.default_rng(1))


class TestSeveralObjectives:
    def test_where_trials_were_stopped_is_known_to_be_bad(self) -> None:
        ledger = half_stopped()
        model = joint(ledger)
        good, bad = (np.linspace(*edge, 20)[:, None] for edge in ((0.05, 0.55), (0.7, 0.95)))
        assert model.hope(bad, 0.0).min() > model.hope(good, 0.0).mean()
        assert model.score(bad).max() < model.score(good).max()
        proposed = [s.config["x"] for s in suggestions(ledger, 6)]
        assert sum(x > 0.65 for x in proposed) <= 1

    def test_forecasts_are_what_they_would_have_come_to(self) -> None:
        standing = Standing.of(History(half_stopped()))
        assert standing.forecast.tolist() == [False] * 8 + [True] * 8
        expected = [list(ends(x).values()) for x in np.linspace(0.65, 0.98, 8)]
        assert np.abs(standing.losses[8:] - expected).max() < 0.2
        assert (standing.deviations[8:] > 0.0).all()
        assert not standing.deviations[:8].any()

    def test_none_is_a_member_of_the_front(self) -> None:
        """At its third step it promises to beat all others by far."""
        ledger = line()
        for x in np.linspace(0.02, 0.58, 8):
            tried(ledger, float(x), noise=0.5)
        before = joint(ledger)._goal(0.0)
        tried(ledger, 0.9, stopped_at=3, metrics=lambda _: {"a": -3.0, "b": -3.0})
        standing = Standing.of(History(ledger))
        assert (standing.losses[8] < standing.losses[:8]).all()
        after = joint(ledger)._goal(0.0)
        assert isinstance(before, Boxes)
        assert isinstance(after, Boxes)
        assert len(after.low) == len(before.low) == 9

    def test_the_model_doubts_them(self) -> None:
        def made(stopped_at: int | None) -> float:
            ledger = line()
            for x in np.linspace(0.02, 0.58, 8):
                tried(ledger, float(x), noise=0.5)
            tried(ledger, 0.9, stopped_at)
            return float(joint(ledger)._objectives[0].predict(at(0.9))[1][0])

        assert made(2) > 2.0 * made(None)

    def test_nothing_but_stopped_trials_is_searched_all_the_same(self) -> None:
        ledger = line()
        for x in np.linspace(0.0, 1.0, 12):
            tried(ledger, float(x), stopped_at=3)
        proposals = suggestions(ledger, 4)
        assert all("predicted a" in s.why for s in proposals)
        assert sum(s.config["x"] > 0.65 for s in proposals) <= 1

    def test_what_was_not_reported_is_not_known(self) -> None:
        """Only the first objective is reported on the way: it is learned, the other one is not."""
        ledger = line()
        for x in np.linspace(0.02, 0.58, 8):
            tried(ledger, float(x))
        for x in np.linspace(0.65, 0.98, 8):
            tried(ledger, float(x), stopped_at=3, reported="a")
        standing = Standing.of(History(ledger))
        assert np.isfinite(standing.losses[8:, 0]).all()
        assert np.isnan(standing.losses[8:, 1]).all()
        model = joint(ledger)
        counts = [len(process.fitted) for process in model._objectives]
        assert counts == [16, 8]
        assert Evidence.ranked(History(ledger)).results == 8
        assert len(suggestions(ledger, 2)) == 2

    def test_only_one_objective_of_stopped_trials_is_no_model(self) -> None:
        ledger = line()
        for x in np.linspace(0.0, 1.0, 12):
            tried(ledger, float(x), stopped_at=3, reported="a")
        assert len(suggestions(ledger, 2)) == 2

    def test_four_objectives(self) -> None:
        ledger = line(metrics="abcd")

        def four(x: float) -> dict[str, float]:
            return {**ends(x), "c": x * x, "d": 2.0 * x}

        for x in np.linspace(0.02, 0.58, 8):
            tried(ledger, float(x), metrics=four, reported="abcd")
        for x in np.linspace(0.65, 0.98, 8):
            tried(ledger, float(x), 3, metrics=four, reported="abcd")
        tried(ledger, 0.99, 3, metrics=four, reported="a")
        assert len(suggestions(ledger, 2)) == 2

    def test_failures_stay_failures(self) -> None:
        ledger = half_stopped()
        for x in (0.3, 0.31):
            number = ledger.size
            ledger.apply(events.Suggested(0.0, number, {"x": x}, Origin(USER), "s"))
            reason = Reason(Kind.ERROR, "it raised")
            ledger.apply(events.Finished(0.0, number, 0, State.FAILED, None, {}, reason))
        standing = Standing.of(History(ledger))
        assert standing.failed.tolist() == [False] * 16 + [True] * 2
        assert standing.order[-2:].tolist() == [16, 17]
        assert len(suggestions(ledger, 2)) == 2


class TestConstraints:
    @staticmethod
    def metrics(x: float) -> dict[str, float]:
        return {"a": 1.0 - x, "c": x}

    def study(self, reported: str) -> Ledger:
        ledger = line(("c <= 0.6",), "a")
        for x in np.linspace(0.02, 0.62, 8):
            tried(ledger, float(x), metrics=self.metrics)
        for x in np.linspace(0.65, 0.98, 8):
            tried(ledger, float(x), 3, metrics=self.metrics, reported=reported)
        return ledger

    def test_what_they_would_break_is_known(self) -> None:
        ledger = self.study("ac")
        standing = Standing.of(History(ledger))
        assert standing.feasible.tolist() == [True] * 7 + [False] * 9
        assert np.abs(standing.excess[8:, 0] - np.linspace(0.05, 0.38, 8)).max() < 0.1
        assert (standing.excess_deviations[8:] > 0.0).all()
        assert joint(ledger)._log_feasible(at(0.9))[0] < np.log(0.1)

    def test_what_was_not_reported_breaks_nothing(self) -> None:
        standing = Standing.of(History(self.study("a")))
        assert standing.feasible.tolist() == [True] * 7 + [False] + [True] * 8
        assert np.isnan(standing.excess[8:]).all()
        assert len(suggestions(self.study("a"), 2)) == 2

    def test_a_forecast_does_not_stand_for_a_feasible_result(self) -> None:
        ledger = line(("c <= 0.6",), "a")
        for x in np.linspace(0.02, 0.62, 8):
            tried(ledger, float(x), metrics=self.metrics, noise=0.5)
        best = 1.0 - float(np.linspace(0.02, 0.62, 8)[6])
        tried(ledger, 0.9, 3, metrics=lambda _: {"a": -9.0, "c": 0.0})
        assert Standing.of(History(ledger)).feasible[8]
        model = joint(ledger)
        goal = model._goal(0.0)
        assert isinstance(goal, float)
        assert model._warps[0].back(goal) == pytest.approx(best, abs=1e-6)


def at(x: float) -> Any:
    return Domain(LINE, 0).features(np.array([[x]]))


@pytest.mark.parametrize("searcher", ["auto", "tpe", "evolution"])
@pytest.mark.parametrize(
    "options",
    [{"metric": ["a", "b"]}, {"metric": "b", "constraints": ["a <= 0.5"]}],
    ids=["two objectives", "a constraint"],
)
def test_a_study_with_asha_replays(searcher: str, options: dict[str, Any]) -> None:
    def train(config: dict[str, Any], trial: Any) -> dict[str, float]:
        values = ends(config["x"])
        for step in range(1, 10):
            trial.report(step=step, a=values["a"] + 1.0 / step, b=values["b"] + 2.0 / step)
        return values

    store = MemoryStore()
    result = ts.tune(
        train,
        LINE,
        searcher=searcher,
        scheduler={"asha": {"max": 9}},
        trials=30,
        seed=2,
        progress=False,
        storage=store,
        name="study",
        **options,
    )
    assert sum(str(trial.state) == "stopped" for trial in result.trials) >= 1
    checked = replay(store, "study")
    assert checked.problems == []
    assert checked.suggestions == 30
