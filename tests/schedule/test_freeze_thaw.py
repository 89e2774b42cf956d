"""`freeze_thaw`: bounded in what it computes, sound on reports of every kind, the same however it is run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.rng import stream
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Kind, Origin, Reason
from tunesmith.numeric import curve_gp, threads
from tunesmith.numeric.curve_gp import CurveGP
from tunesmith.schedule.asha import Asha
from tunesmith.schedule.freeze_thaw import COMPARED, FreezeThaw, _candidates
from tunesmith.schedule.median import Median
from tunesmith.strategy import thaw
from tunesmith.tuning.replay import replay
from tunesmith.tuning.simulate import simulate

LAST = 27
SPACE = ts.Space(x=ts.Float(0.0, 1.0), kind=ts.Choice("a", "b"))
OPTIONS: dict[str, Any] = {"freeze_thaw": {"max": LAST}}


def loss_at(config: dict[str, Any], step: int) -> float:
    slow = 1.0 if config["kind"] == "a" else 3.0
    return float(abs(config["x"] - 0.3) + (config["kind"] == "a") * 0.2 + slow / step)


def curve(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
    for step in range(1, LAST + 1):
        yield 1.0, loss_at(config, step)


def paused(losses: list[tuple[float, ...]], objectives: int = 1) -> tuple[Ledger, FreezeThaw]:
    """Trials that all pause at the first step."""
    names = ("loss", "size")[:objectives]
    spec = StudySpec(name="s", space=SPACE, objectives=tuple(map(Objective, names)))
    ledger = Ledger(spec)
    ledger.apply(events.Opened(0.0, "s", "host", 1, 0.0))
    rng = np.random.default_rng(0)
    for number, values in enumerate(losses):
        config = {"x": float(rng.random()), "kind": "a"}
        ledger.apply(events.Suggested(0.0, number, config, Origin(USER), "s"))
        metrics = dict(zip(names, values, strict=True))
        ledger.apply(events.Reported(0.0, number, 0, 1, metrics))
        ledger.apply(events.Paused(0.0, number, 0, Reason(Kind.PAUSED, "at step 1")))
    return ledger, FreezeThaw(LAST)


class TestBounds:
    def test_of_fits_and_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One fit for each third more of values, whatever trials begin in between; no more rows than said."""
        fits, rows = [], []
        fit, condition = curve_gp.fit, CurveGP.condition

        def counted_fit(features: Any, *rest: Any) -> Any:
            fits.append(len(features))
            assert threads._within, "BLAS is free to use any number of threads"
            return fit(features, *rest)

        def counted_condition(features: Any, *rest: Any) -> Any:
            rows.append(len(features))
            return condition(features, *rest)

        monkeypatch.setattr(curve_gp, "fit", counted_fit)
        monkeypatch.setattr(CurveGP, "condition", counted_condition)
        result = simulate(curve, SPACE, searcher="random", seed=1, trials=150, scheduler=OPTIONS)
        values = sum(len(trial.reports) for trial in result.result.trials)
        assert len(fits) <= 2 + math.log(values) / math.log(thaw.GROWTH)
        assert max(fits) <= thaw.FITTED
        assert max(rows) <= thaw.MOST <= 300
        assert len(rows) > 150

    @pytest.mark.parametrize("objectives", [1, 2])
    def test_of_trials_that_are_compared(self, objectives: int) -> None:
        rng = np.random.default_rng(1)
        losses = [tuple(rng.random(objectives).tolist()) for _ in range(700)]
        ledger, scheduler = paused(losses, objectives)
        history = History(ledger)
        chosen = _candidates(history, scheduler._rungs(history))
        assert len(chosen) == COMPARED
        best = int(np.argmin([first for first, *_ in losses]))
        assert best in chosen


class TestWhoGoesOn:
    def test_once_no_more_trials_begin_it_is_nobody_s_luck(self) -> None:
        """Whoever is likeliest to end as the best, and no random horizon."""
        ledger, scheduler = paused([(float(k % 7) + 1.0,) for k in range(20)])
        moves = {
            scheduler.resume(History(ledger, full=True), stream(seed, 1, "resume"))
            for seed in range(5)
        }
        assert len(moves) == 1
        assert moves != {None}

    def test_a_study_under_a_limit_of_time_ends_with_trials_that_were_trained_to_their_end(
        self,
    ) -> None:
        simulated = simulate(
            curve, SPACE, searcher="random", seed=2, time=20.0 * LAST, scheduler=OPTIONS
        )
        result = simulated.result
        assert result.counts[ts.State.COMPLETED] >= 2
        possible = min(loss_at(trial.config, LAST) for trial in result.trials)
        assert result.best.value is not None
        assert result.best.value < possible + 0.05

    @pytest.mark.parametrize("value", [0.5, None], ids=["all alike", "as they come"])
    def test_a_study_that_ends_by_completed_trials_ends(self, value: float | None) -> None:
        """New trials, of which none looks better, are not begun for ever."""

        def train(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
            for seconds, loss in curve(config):
                yield seconds, loss if value is None else value

        result = simulate(
            train,
            SPACE,
            searcher="random",
            seed=1,
            no_improvement=6,
            trials=1000,
            scheduler=OPTIONS,
        ).result
        assert result.ended_by == "no_improvement"


def broken_values(config: dict[str, Any], step: int) -> float:
    if config["x"] > 0.7:
        return math.nan
    return math.inf if config["x"] > 0.5 and step % 2 else loss_at(config, step)


def huge(config: dict[str, Any], step: int) -> float:
    return 1e300 if config["x"] > 0.5 else loss_at(config, step)


def tiny(config: dict[str, Any], step: int) -> float:
    return 1e-12 * loss_at(config, step)


def level(config: dict[str, Any], step: int) -> float:
    return 1.0


def rising(config: dict[str, Any], step: int) -> float:
    return float(config["x"] * step)


class TestReports:
    @pytest.mark.parametrize("value", [broken_values, huge, tiny, level, rising])
    @pytest.mark.parametrize("parallel", [1, 4])
    def test_of_every_kind(self, value: Any, parallel: int) -> None:
        def odd(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
            for step in range(1, LAST + 1):
                yield 1.0, value(config, step)

        result = simulate(
            odd, SPACE, searcher="random", seed=3, trials=25, parallel=parallel, scheduler=OPTIONS
        ).result
        assert result.counts[ts.State.COMPLETED]
        assert result.best.value is not None
        assert math.isfinite(result.best.value)
        assert len(result.trials) == 25

    @pytest.mark.parametrize(
        "steps", [(), (1,), (27,), (3, 2, 1), (5, 5, 5), (10, 20, 40)], ids=str
    )
    def test_at_any_steps(self, steps: tuple[int, ...]) -> None:
        """None at all, falling ones, the same one again, few, and more than a whole run has."""

        def train(config: dict[str, Any], trial: ts.LiveTrial) -> float:
            for step in steps:
                trial.report(step=step, value=loss_at(config, step))
            return loss_at(config, LAST)

        result = ts.tune(
            train, SPACE, trials=8, searcher="random", seed=1, scheduler=OPTIONS, progress=False
        )
        assert result.counts[ts.State.COMPLETED]
        completed = [t for t in result.trials if t.state is ts.State.COMPLETED]
        assert result.best.value == min(t.value for t in completed if t.value is not None)

    def test_maximising_is_minimising_the_opposite(self) -> None:
        def opposite(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
            for seconds, value in curve(config):
                yield seconds, -value

        options: dict[str, Any] = {"searcher": "random", "seed": 4, "trials": 30}
        one = simulate(curve, SPACE, scheduler=OPTIONS, **options)
        other = simulate(opposite, SPACE, scheduler=OPTIONS, goal="maximize", **options)
        steps = [[len(t.reports) for t in s.result.trials] for s in (one, other)]
        assert steps[0] == steps[1]


def saving(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    begin: int = trial.restore() or 0
    for step in range(begin + 1, LAST + 1):
        trial.save(step, step=step)
        trial.report(step=step, value=loss_at(config, step))
    return loss_at(config, LAST)


class TestReplay:
    @pytest.mark.parametrize("parallel", [1, 3])
    def test_a_study_that_is_continued_replays(self, tmp_path: Path, parallel: int) -> None:
        options: dict[str, Any] = {
            "name": "thawed", "storage": tmp_path / "study.db", "searcher": "random", "seed": 1,
            "scheduler": OPTIONS, "parallel": parallel, "progress": False,
        }  # fmt: skip
        ts.tune(saving, SPACE, trials=8, **options)
        result = ts.tune(saving, SPACE, trials=16, **options)
        assert len(result.trials) == 16
        with ts.Study.open("thawed", storage=tmp_path / "study.db") as study:
            assert replay(study.store, "thawed").problems == []
            changes = list(study.store.changes("thawed"))
        reports = [(e.trial, e.step) for e in changes if isinstance(e, events.Reported)]
        assert len(reports) == len(set(reports)), "a step was trained twice"
        why = [e.why for e in changes if isinstance(e, events.Started) and e.why]
        assert any("a chance of" in reason for reason in why)

    def test_deterministic_side_by_side(self) -> None:
        def run() -> list[tuple[Any, int]]:
            result = ts.tune(
                saving, SPACE, searcher="random", seed=1, scheduler=OPTIONS, trials=9, parallel=3,
                deterministic=True, progress=False,
            )  # fmt: skip
            return [(t.config, len(t.reports)) for t in result.trials]

        assert [config for config, _ in run()] == [config for config, _ in run()]


def test_several_objectives_and_a_constraint_side_by_side() -> None:
    def both(config: dict[str, Any]) -> Iterator[tuple[float, dict[str, float]]]:
        for step in range(1, LAST + 1):
            loss = loss_at(config, step)
            yield 1.0, {"loss": loss, "size": 1.0 - config["x"], "memory": 10.0 * config["x"]}

    result = simulate(
        both, SPACE, metric=["loss", "size"], constraints=["memory <= 6"], searcher="random",
        seed=1, trials=40, parallel=4, scheduler=OPTIONS,
    ).result  # fmt: skip
    assert len(result.front) >= 2
    assert all(trial.config["x"] <= 0.6 for trial in result.front)
    completed = [t for t in result.trials if t.state is ts.State.COMPLETED]
    assert len(completed) < 20


class TestConstraints:
    """What breaks a constraint is nothing that a trial has to beat."""

    @pytest.mark.parametrize("early", [True, False], ids=["reported", "returned"])
    @pytest.mark.parametrize("seed", [1, 2])
    def test_the_best_that_keeps_it_is_trained_to_its_end(self, early: bool, seed: int) -> None:
        """The better the loss, the more memory: reported at each step, or known at the end alone."""

        def greedy(config: dict[str, Any]) -> Iterator[tuple[float, dict[str, float]]]:
            for step in range(1, LAST + 1):
                metrics = {"loss": 1.0 - config["x"] + 1.0 / step}
                if early or step == LAST:
                    metrics["memory"] = 10.0 * config["x"]
                yield 1.0, metrics

        result = simulate(
            greedy, ts.Space(x=ts.Float(0.0, 1.0)), metric="loss", constraints=["memory <= 5"],
            searcher="random", seed=seed, trials=40, scheduler=OPTIONS,
        ).result  # fmt: skip
        best = max(t.config["x"] for t in result.trials if t.config["x"] <= 0.5)
        assert result.best.config["x"] == best
        if early:
            assert result.counts[ts.State.COMPLETED] < 10

    @pytest.mark.parametrize("name", ["asha", "median"])
    def test_who_is_spared(self, name: str) -> None:
        """A trial that may become the best of those that keep it, though one that breaks it is better."""

        def curves(config: dict[str, Any]) -> Iterator[tuple[float, dict[str, float]]]:
            for _, loss in TestSpared.curves(config):
                better = 0.2 if config["x"] > 0.8 else 0.0
                yield 1.0, {"loss": loss - better, "memory": 10.0 * config["x"]}

        def completed(spare: float) -> list[ts.Trial]:
            options: dict[str, Any] = {"spare": spare, **({"max": LAST} if name == "asha" else {})}
            trials = simulate(
                curves, SPACE, metric="loss", constraints=["memory <= 8"], searcher="random", seed=1, trials=40,
                enqueue=[{"x": x, "kind": kind} for kind in "bab" for x in (0.9, 0.5)], scheduler={name: options},
            ).result.trials  # fmt: skip
            return [
                t for t in trials
                if t.state is ts.State.COMPLETED and t.config["kind"] == "b" and t.config["x"] <= 0.8
            ]  # fmt: skip

        assert len(completed(0.03)) >= len(completed(0.0)) + 2


class TestSpared:
    """`asha` and `median`: configs of which it is known that they begin badly and end well go on."""

    @staticmethod
    def curves(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
        late = config["kind"] == "b"
        for step in range(1, LAST + 1):
            share = step / LAST
            begins = 0.8 if late else 0.5
            ends = (0.1 if late else 0.3) + 0.05 * config["x"]
            yield 1.0, begins + (ends - begins) * share

    @pytest.mark.parametrize("name", ["asha", "median"])
    def test_who_begins_badly_and_ends_well(self, name: str) -> None:
        def completed(spare: float) -> list[ts.Trial]:
            options: dict[str, Any] = {"spare": spare, **({"max": LAST} if name == "asha" else {})}
            trials = simulate(
                self.curves, SPACE, searcher="random", seed=1, trials=40,
                enqueue=[{"x": 0.5, "kind": kind} for kind in "bab"], scheduler={name: options},
            ).result.trials  # fmt: skip
            return [t for t in trials if t.state is ts.State.COMPLETED and t.config["kind"] == "b"]

        rule, spared = completed(0.0), completed(0.03)
        assert len(spared) >= len(rule) + 2

    @pytest.mark.parametrize("scheduler", [Asha(max=9), Median()])
    def test_a_rule_alone_answers_at_once(self, scheduler: Asha | Median) -> None:
        assert not scheduler.instant
        assert replace(scheduler, spare=0.0).instant

    def test_nobody_in_a_large_study_or_with_several_objectives(self) -> None:
        ledger, _ = paused([(1.0 / (k + 1),) for k in range(20)])
        assert not thaw.spares(History(ledger), 0, LAST, 1e-9), "none has been completed"
        ledger.apply(events.Started(0.0, 19, 1, "s"))
        ledger.apply(events.Reported(0.0, 19, 1, LAST, {"loss": 0.01}))
        ledger.apply(events.Finished(0.0, 19, 1, ts.State.COMPLETED, (0.01,), {"loss": 0.01}))
        assert thaw.spares(History(ledger), 18, LAST, 1e-9)
        many, _ = paused([(1.0,)] * (thaw.SPARED + 1))
        assert not thaw.spares(History(many), 0, LAST, 1e-9)
        both, _ = paused([(1.0, 1.0)] * 20, 2)
        assert not thaw.spares(History(both), 0, LAST, 1e-9)
