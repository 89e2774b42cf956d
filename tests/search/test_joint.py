"""The default searcher with several objectives and with constraints: better than chance, repeatable, and undisturbed by
failures, running trials, conditions and constraints that nobody keeps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.numeric import gp
from tunesmith.numeric.hypervolume import hypervolume
from tunesmith.search.bayes.surrogate import checkpoint
from tunesmith.store import MemoryStore
from tunesmith.strategy.standing import Standing, bilog
from tunesmith.tuning.replay import replay

SPACE = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1), z=ts.Float(0, 1))
ALL = ["auto", "bayes", "tpe", "evolution", "cmaes"]


def zdt1(config: dict[str, Any]) -> dict[str, float]:
    g = 1 + 4.5 * (config["y"] + config["z"])
    return {"one": config["x"], "two": g * (1 - math.sqrt(config["x"] / g))}


def study(
    objective: Any = zdt1, trials: int = 30, space: ts.Space = SPACE, **options: Any
) -> ts.Study:
    options = {"metric": ["one", "two"], "seed": 3, "searcher": "auto", **options}
    made = ts.Study.create(space, **options)
    for _ in range(trials):
        trial = made.ask()
        made.tell(trial, objective(trial.config))
    return made


def volume(made: ts.Study) -> float:
    values = np.array([t.values for t in made.result().trials if t.values and not t.broken])
    return hypervolume(values.reshape(-1, 2), np.array([1.0, 6.0]))


class TestSeveralObjectives:
    def test_the_front_is_far_better_than_chance(self) -> None:
        assert volume(study()) > volume(study(searcher="random", trials=90)) + 0.2

    @pytest.mark.parametrize("searcher", ALL)
    def test_replays(self, searcher: str) -> None:
        store = MemoryStore()
        study(searcher=searcher, trials=18, storage=store, name="study")
        checked = replay(store, "study")
        assert checked.problems == []
        assert checked.suggestions == 18

    def test_three_and_four(self) -> None:
        def three(config: dict[str, Any]) -> dict[str, float]:
            return {**zdt1(config), "three": (config["x"] - 0.5) ** 2, "four": config["y"]}

        for metrics in (["one", "two", "three"], ["one", "two", "three", "four"]):
            made = study(three, 14, metric=metrics, goal="minimize")
            why = made.result().trials[-1].origin.why
            assert ("by random weights" in why) == (len(metrics) == 4)
            assert len(made.result().front) >= 3

    def test_why_says_what_is_expected_of_each(self) -> None:
        why = study(goal=["minimize", "maximize"], trials=14).result().trials[-1].origin.why
        assert "predicted one " in why
        assert ", two " in why

    def test_a_batch_and_running_trials_go_to_different_places(self) -> None:
        made = study(trials=14)
        configs = [made.ask().config for _ in range(6)]
        apart = [
            max(abs(a[n] - b[n]) for n in SPACE) for i, a in enumerate(configs) for b in configs[:i]
        ]
        assert min(apart) > 1e-3

    def test_failures_teach(self) -> None:
        def half(config: dict[str, Any]) -> Any:
            return zdt1(config) if config["y"] > 0.5 else None

        late: list[
            str
        ] = []  # the front lies along the border: one study may well be beyond it half of the time
        for seed in range(3):
            made = study(half, 40, seed=seed, failures_in_a_row=None, same_error=None)
            late += [str(trial.state) for trial in made.result().trials][20:]
        assert late.count("failed") < late.count("completed")

    def test_choices_and_conditions(self) -> None:
        space = ts.Space(
            x=ts.Float(0, 1),
            y=ts.Float(0, 1, when={"kind": "a"}),
            z=ts.Float(0, 1, when={"kind": "b"}),
            kind=ts.Choice("a", "b"),
        )

        def objective(config: dict[str, Any]) -> dict[str, float]:
            return zdt1({"y": 0.3, "z": 0.0, **config})

        made = study(objective, 40, space)
        assert {trial.config["kind"] for trial in made.result().front} == {"a"}

    def test_all_results_alike(self) -> None:
        assert len(study(lambda _: {"one": 1.0, "two": 2.0}, 12).result().trials) == 12

    @pytest.mark.parametrize(
        "searcher", ["auto", "bayes", "tpe", "evolution", "cmaes", "random", "sobol"]
    )
    def test_nobody_looks_at_one_alone(
        self, searcher: str, recwarn: pytest.WarningsRecorder
    ) -> None:
        study(searcher=searcher, trials=1)
        assert not recwarn.list


@pytest.mark.parametrize("searcher", ALL)
@pytest.mark.parametrize(
    "options",
    [{"metric": ["one", "two"]}, {"metric": "one", "constraints": ["two <= 3"]}],
    ids=["two objectives", "a constraint"],
)
def test_paused_trials_leave_nothing_to_model(searcher: str, options: dict[str, Any]) -> None:
    def train(config: dict[str, Any], trial: Any) -> dict[str, float]:
        for step in range(1, 10):
            trial.report(step=step, **zdt1(config))
        return zdt1(config)

    scheduler = {"hyperband": {"max": 9}}
    result = ts.tune(
        train, SPACE, searcher=searcher, scheduler=scheduler, trials=14, progress=False, **options
    )
    assert len(result.trials) == 14


class TestConstraints:
    def test_the_best_lies_at_the_border(self) -> None:
        def objective(config: dict[str, Any]) -> dict[str, float]:
            return {
                "loss": (config["x"] - 0.9) ** 2 + (config["y"] - 0.5) ** 2,
                "memory": 1e9 * config["x"],
            }

        made = study(objective, 30, metric="loss", constraints=["memory <= 5e8"])
        assert made.best.config["x"] == pytest.approx(0.5, abs=0.02)
        assert made.best.config["y"] == pytest.approx(0.5, abs=0.1)
        assert "keeps the constraints with a probability" in made.result().trials[-1].origin.why

    @pytest.mark.parametrize("searcher", ["auto", "tpe", "evolution"])
    def test_a_small_feasible_region(self, searcher: str) -> None:
        def objective(config: dict[str, Any]) -> dict[str, float]:
            far = (config["x"] - 0.8) ** 2 + (config["y"] - 0.2) ** 2
            return {"loss": config["z"], "far": far}

        made = study(objective, 40, metric="loss", constraints=["far <= 0.01"], searcher=searcher)
        inside = [not trial.broken for trial in made.result().trials]
        assert sum(inside[20:]) > sum(inside[:20])
        assert any(inside)

    def test_nobody_keeps_it(self) -> None:
        made = study(zdt1, 14, constraints=["one > 2"])
        assert "no trial has kept them yet" in made.result().trials[-1].origin.why

    def test_what_is_not_finite_breaks_it(self) -> None:
        def objective(config: dict[str, Any]) -> dict[str, float]:
            return {**zdt1(config), "memory": math.inf if config["x"] > 0.5 else 1.0}

        made = study(objective, 20, constraints=["memory <= 4"])
        assert all(trial.config["x"] <= 0.5 for trial in made.result().front)

    def test_two_objectives_under_one(self) -> None:
        made = study(zdt1, 25, constraints=["two <= 3"])
        assert made.result().front
        assert all(trial.metrics["two"] <= 3 for trial in made.result().front)

    def test_models_are_fitted_at_checkpoints_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fits: list[int] = []

        def fit(features: Any, *arguments: Any, **options: Any) -> Any:
            fits.append(len(features))
            return original(features, *arguments, **options)

        original = gp.fit
        monkeypatch.setattr(gp, "fit", fit)
        study(zdt1, 30, metric="one", constraints=["two <= 3"])
        assert len(fits) <= 2 * len({checkpoint(results) for results in range(3, 31)})

    def test_no_outlook_yet(self) -> None:
        assert study(zdt1, 14, metric="one", constraints=["two <= 3"]).result().outlook() is None


def test_bilog_keeps_the_border_and_the_order() -> None:
    excess = np.array([[-5.0], [0.0], [3.0], [np.inf], [np.nan], [1e9]])
    out = bilog(excess)[:, 0]
    assert out[1] == 0.0
    assert np.isnan(out[4])
    finite = out[[0, 1, 2, 5]]
    assert (np.diff(finite) > 0).all()
    assert np.isfinite(out[3])


def test_feasible_ones_come_first_then_the_nearest() -> None:
    made = ts.Study.create(
        SPACE, metric=["one", "two"], searcher="random", constraints=["two <= 3"], seed=1
    )
    for pair in [(0.5, 9.0), (0.9, 2.0), (0.1, 4.0), (0.2, 2.5), (0.95, 2.5)]:
        made.tell(made.ask(), pair)
    standing = Standing.of(ts.History(made.result().ledger))
    assert np.argsort(standing.order).tolist() in ([1, 3, 4, 2, 0], [3, 1, 4, 2, 0])


class TestSteepScores:
    def test_the_border_of_a_constraint_is_found(self) -> None:
        """A pressure vessel (Sandgren 1990): the best lies where constraints meet. The climb of a score that falls steeply
        beyond borders has to arrive there."""

        def vessel(config: dict[str, Any]) -> dict[str, float]:
            shell, head, r, l = (config[n] for n in ("shell", "head", "r", "l"))  # noqa: E741
            cost = 0.6224 * shell * r * l + 1.7781 * head * r * r
            cost += 3.1661 * shell * shell * l + 19.84 * shell * shell * r
            volume = math.pi * r * r * l + 4 / 3 * math.pi * r**3
            return {"cost": cost, "a": shell / r, "b": head / r, "volume": volume / 1e5}

        space = ts.Space(
            shell=ts.Float(0.06, 6.2),
            head=ts.Float(0.06, 6.2),
            r=ts.Float(10, 200),
            l=ts.Float(10, 200),
        )
        constraints = ["a >= 0.0193", "b >= 0.00954", "volume >= 12.96"]
        bests = []
        for seed in range(2):
            options = {"metric": "cost", "constraints": constraints, "seed": seed}
            bests.append(study(vessel, 45, space, **options).best.value or math.inf)
        assert sum(bests) / 2 < 1.04 * 5885.3


class TestNarrowFronts:
    def test_a_front_of_one_point_is_left(self) -> None:
        """Both numbers are to be small, and a constraint holds beyond a wavy circle about 0 (TNK, Deb 2001): the first
        feasible trial at one end of it is not refined for ever."""

        def wave(config: dict[str, Any]) -> dict[str, float]:
            a, b = config["a"], config["b"]
            circle = 1.44 + 0.15 * math.cos(10 * math.atan2(a, b)) - a * a - b * b
            return {"a": a, "b": b, "circle": circle, "far": (a - 0.8) ** 2 + (b - 0.7) ** 2 - 0.9}

        space = ts.Space({n: ts.Float(1e-6, 3) for n in "ab"})
        shares = []
        for seed in range(3):
            made = study(
                wave,
                40,
                space,
                metric=["a", "b"],
                constraints=["circle <= 0", "far <= 0"],
                seed=seed,
            )
            front = np.array([t.values for t in made.result().front])
            volume = hypervolume(front, np.array([1.5, 1.5]))
            shares.append(volume / (1.5**2 - math.pi * 1.44 / 4))
        assert sum(shares) / 3 > 0.68


class TestThreeObjectives:
    def test_the_front_is_found_and_not_only_its_ends(self) -> None:
        """An eighth of a sphere (DTLZ2), the further away the further three of the numbers are from where they should be."""
        right = (0.4, 0.6, 0.5)

        def sphere(config: dict[str, Any]) -> dict[str, float]:
            away = 1 + sum((config[f"x{j}"] - r) ** 2 for j, r in enumerate(right))
            a, b = config["a"] * math.pi / 2, config["b"] * math.pi / 2
            return {
                "one": away * math.cos(a) * math.cos(b),
                "two": away * math.cos(a) * math.sin(b),
                "three": away * math.sin(a),
            }

        space = ts.Space({n: ts.Float(0, 1) for n in ("a", "b", "x0", "x1", "x2")})
        metrics = ["one", "two", "three"]
        shares = []
        for seed in range(2):
            result = ts.tune(sphere, space, metric=metrics, trials=40, seed=seed, progress=False)
            volume = result.hypervolume(dict.fromkeys(metrics, 1.1))
            shares.append(volume / (1.1**3 - math.pi / 6))
        assert sum(shares) / 2 > 0.42
