"""The Gaussian-process searcher: what it finds, what it survives, and that it is reproducible."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.propose import propose
from tunesmith.core.rng import stream
from tunesmith.core.space.points import Points
from tunesmith.core.strategy import Suggestion
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Kind, Origin, Reason, State
from tunesmith.search.bayes import Bayes
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.prior import Prior
from tunesmith.tuning.result import Result

Config = dict[str, Any]
USERS = Origin(USER)

MIXED = ts.Space(
    x=ts.Float(0, 1),
    rate=ts.Float(1e-5, 1, log=True),
    layers=ts.Int(1, 6),
    share=ts.Float(0, 1, step=0.25),
    size=ts.Choice("s", "m", "l", ordered=True),
    kind=ts.Choice("a", "b", "c"),
    momentum=ts.Float(0.5, 0.99, when={"kind": "a"}),
)


def mixed(config: Config) -> float:
    """Smooth, with its minimum 0 in branch a."""
    loss = (config["x"] - 0.3) ** 2 + (math.log10(config["rate"]) + 2) ** 2 / 10
    loss += 0.05 * abs(config["layers"] - 4) + (config["share"] - 0.5) ** 2
    loss += (
        0.1 * abs("sml".index(config["size"]) - 1) + {"a": 0.0, "b": 0.1, "c": 0.3}[config["kind"]]
    )
    return float(loss + (config.get("momentum", 0.9) - 0.9) ** 2)


def run(
    space: ts.Space,
    objective: Callable[[Config], float],
    trials: int,
    *,
    searcher: Bayes | None = None,
    memo: bool = True,
    **options: Any,
) -> Ledger:
    """A study one trial at a time; what is not finite counts as failed."""
    ledger = Ledger(StudySpec(name="bayes", space=space, **options))
    memos: dict[Any, Any] = {}
    for number in range(trials):
        proposals = propose(ledger, searcher or Bayes(), 1, memos if memo else {})
        if not proposals:
            break
        config, origin = proposals[0]
        ledger.apply(events.Suggested(float(number), number, config, origin, "s"))
        finish(ledger, number, objective(config))
    return ledger


def finish(ledger: Ledger, number: int, value: float) -> None:
    at = float(number)
    if math.isfinite(value):
        ledger.apply(events.Finished(at, number, 0, State.COMPLETED, (value,), {"value": value}))
    else:
        reason = Reason(Kind.NOT_FINITE, "why")
        ledger.apply(events.Finished(at, number, 0, State.FAILED, None, {}, reason))


def suggest(ledger: Ledger, n: int = 1, searcher: Bayes | None = None) -> list[Suggestion]:
    rng = stream(ledger.spec.seed, ledger.size, "suggest")
    return (searcher or Bayes()).suggest(ledger.spec.space, History(ledger), n, rng)


def best(ledger: Ledger) -> float:
    return float(np.nanmin(ledger.column("losses")))


def median(statement: Callable[[int], float], seeds: int = 3) -> float:
    """Of a statement over several seeds: no test may hang on one study's last digits."""
    return float(np.median([statement(seed) for seed in range(seeds)]))


def configs(ledger: Ledger) -> list[Config]:
    return [ledger.config(k) for k in range(ledger.size)]


# -- finding ----------------------------------------------------------------------------------


def test_finds_a_minimum_that_chance_does_not() -> None:
    sample = min(mixed(MIXED.sample(stream(0, k, "chance"))) for k in range(600))
    assert median(lambda seed: best(run(MIXED, mixed, 60, seed=seed))) < 0.001 < sample


def test_numbers_alone() -> None:
    space = ts.Space(x=ts.Float(-5, 10), y=ts.Float(0, 15))

    def branin(c: Config) -> float:
        a, b = c["x"], c["y"]
        ridge = b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6
        return float(ridge**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10)

    assert median(lambda seed: best(run(space, branin, 35, seed=seed))) < 0.397887 + 0.02


def test_maximising_is_minimising_the_opposite() -> None:
    down = run(MIXED, mixed, 20)
    up = run(MIXED, lambda c: -mixed(c), 20, objectives=(Objective("value", "maximize"),))
    assert configs(up) == configs(down)


def test_noise_is_seen_through() -> None:
    """The recommended trial is good though single results say little."""

    def recommended(seed: int) -> float:
        rng = np.random.default_rng(seed)
        ledger = run(MIXED, lambda c: mixed(c) + 0.1 * rng.standard_normal(), 70, seed=seed)
        trial = Result(ledger).recommended
        assert trial.state is State.COMPLETED
        return mixed(trial.config)

    assert median(recommended, seeds=7) < 0.1


def test_stopped_trials_are_evidence() -> None:
    """Their last value counts: the search does not go back where all were stopped early."""
    space = ts.Space(x=ts.Float(0, 1))
    ledger = Ledger(StudySpec(name="stopped", space=space))
    reason = Reason(Kind.STOPPED, "why")
    for number in range(10):
        config = {"x": 0.05 + number / 10}
        ledger.apply(events.Suggested(0.0, number, config, USERS, "s"))
        value = abs(config["x"] - 0.2)
        state = State.STOPPED if config["x"] > 0.5 else State.COMPLETED
        ledger.apply(events.Finished(0.0, number, 0, state, (value,), {"value": value}, reason))
    assert abs(suggest(ledger)[0].config["x"] - 0.2) < 0.1


def test_failures_are_avoided() -> None:
    """Half of the space fails: few of the later trials go there."""
    space = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))

    def objective(c: Config) -> float:
        return math.nan if c["x"] > 0.5 else (c["x"] - 0.4) ** 2 + (c["y"] - 0.7) ** 2

    studies = [run(space, objective, 40, seed=seed) for seed in range(5)]
    late = [sum(c["x"] > 0.5 for c in configs(ledger)[15:]) for ledger in studies]
    assert np.median(late) < 9  # by chance: 12
    assert np.median([best(ledger) for ledger in studies]) < 1e-3


def test_leaves_a_choice_that_is_tuned_for_one_that_is_not() -> None:
    """Branch a is good at once; b is better, but only when tuned."""
    space = ts.Space(
        kind=ts.Choice("a", "b"),
        x=ts.Float(0, 1, when={"kind": "b"}),
        y=ts.Float(0, 1, when={"kind": "b"}),
        z=ts.Float(0, 1),
    )

    def objective(c: Config) -> Any:
        if c["kind"] == "a":
            return float(0.3 + 0.01 * (c["z"] - 0.5) ** 2)
        return 3.0 * ((c["x"] - 0.83) ** 2 + (c["y"] - 0.13) ** 2) + (c["z"] - 0.5) ** 2

    studies = [run(space, objective, 45, seed=seed) for seed in range(3)]
    assert np.median([best(ledger) for ledger in studies]) < 0.05
    whys = [ledger.origin(k).why for ledger in studies for k in range(ledger.size)]
    assert any("leaving kind=" in why for why in whys)


def test_choices_alone_have_nothing_to_be_tuned_for_and_are_searched_near_the_best() -> None:
    space = ts.Space(
        {f"c{j}": ts.Choice(*"abcde") for j in range(6)}, size=ts.Choice(1, 2, 4, ordered=True)
    )

    def objective(c: Config) -> Any:
        same = sum(c[f"c{j}"] == c[f"c{j + 1}"] for j in range(5))
        return float(sum(c[f"c{j}"] != "abcdea"[j] for j in range(6)) + 0.3 * same + c["size"] / 9)

    ledger = run(space, objective, 40)
    whys = [ledger.origin(k).why for k in range(ledger.size)]
    assert not any("leaving" in why for why in whys)
    near = [k for k, why in enumerate(whys) if "beside the best" in why]
    assert len(near) > 8
    tried = configs(ledger)
    apart = [
        min(
            sum(a != b for a, b in zip(tried[k].values(), c.values(), strict=True))
            for c in tried[:k]
        )
        for k in near
    ]
    assert max(apart) <= 2
    assert best(ledger) < 0.2


# -- in parallel ------------------------------------------------------------------------------


def test_running_trials_are_kept_clear_of() -> None:
    ledger = run(MIXED, mixed, 20)
    points = []
    for number in range(20, 28):
        config, origin = propose(ledger, Bayes(), 1)[0]
        ledger.apply(events.Suggested(0.0, number, config, origin, "s"))
        points.append(np.nan_to_num(MIXED.encode(config), nan=0.5))
    apart = [np.abs(a - b).max() for i, a in enumerate(points) for b in points[:i]]
    assert min(apart) > 1e-3


def test_a_batch_is_spread_and_fits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.numeric import gp

    ledger = run(MIXED, mixed, 20)
    fits = []
    fit = gp.fit

    def counted(*arguments: Any) -> Any:
        fits.append(1)
        return fit(*arguments)

    monkeypatch.setattr(gp, "fit", counted)
    batch = [s.config for s in suggest(ledger, 16)]
    assert len(fits) == 1
    assert len({json.dumps(c) for c in batch}) == 16
    assert not any(ledger.find(c) is not None for c in batch)


def test_batch_before_any_result_is_the_design() -> None:
    ledger = Ledger(StudySpec(name="batch", space=MIXED))
    batch = suggest(ledger, 40)
    assert len({json.dumps(s.config) for s in batch}) == 40
    assert all(s.why.startswith("initial design") for s in batch)


# -- in words ---------------------------------------------------------------------------------


def test_256_in_flight_before_any_result() -> None:
    """More than the design has points."""
    study = ts.Study.create(MIXED, searcher="bayes", parallel=256, seed=1)
    running = [study.ask() for _ in range(256)]
    assert len({str(trial.config) for trial in running}) == 256
    for trial in running[:20]:
        study.tell(trial, mixed(trial.config))
    assert "expected improvement" in study.ask().origin.why


def test_the_design_starts_with_the_defaults_and_has_every_choice() -> None:
    space = ts.Space(x=ts.Float(0, 1, default=0.1), c=ts.Choice(*"abcdef"))
    ledger = run(space, lambda c: c["x"], 8)
    assert ledger.config(0) == {"x": 0.1, "c": "a"}
    assert ledger.origin(0).why == "initial design: the defaults"
    assert {ledger.config(k)["c"] for k in range(1, 7)} >= set("abcdef") - {"a"}


def test_every_suggestion_says_why() -> None:
    ledger = run(MIXED, mixed, 30, objectives=(Objective("value", "minimize"),))
    whys = [ledger.origin(k).why for k in range(ledger.size)]
    assert whys[0] == "initial design: the middle"
    assert all("expected improvement" in w and "predicted" in w and "±" in w for w in whys[12:])


def test_exploration_moves_the_search() -> None:
    """More exploration: suggestions whose results are less sure."""

    def spread(exploration: Any) -> float:
        def late(seed: int) -> float:
            ledger = run(MIXED, mixed, 40, searcher=Bayes(exploration=exploration), seed=seed)
            return float(np.nanmean(ledger.column("losses")[14:]))

        return median(late)

    assert spread("low") < spread("high")
    with pytest.raises(ts.StrategyError, match="bayes: exploration is 'low', 'balanced', 'high'"):
        Bayes(exploration="wild")  # type: ignore[arg-type]


def test_a_design_is_that_of_its_size_whatever_was_asked_for_before() -> None:
    space = ts.Space(a=ts.Choice(*"pqr"), b=ts.Choice(*"st"), x=ts.Float(0, 1))
    one, other = Domain(space, 0), Domain(space, 0)
    one.design(3)
    assert np.array_equal(one.design(7), other.design(7))


# -- survival ---------------------------------------------------------------------------------

HOSTILE: dict[str, Callable[[Config], float]] = {
    "constant": lambda c: 1.0,
    "huge": lambda c: 1e300 * (c["x"] - 0.5),
    "tiny": lambda c: 1e-300 * c["x"],
    "huge and tiny": lambda c: 1e300 if c["x"] > 0.5 else 1e-300,
    "two values": lambda c: float(c["x"] > 0.5),
    "all fail": lambda c: math.nan,
    "one in five succeeds": lambda c: c["x"] if (c["x"] * 1000) % 5 < 1 else math.nan,
    "steep": lambda c: math.exp(600 * c["x"]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_objectives(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ledger = run(MIXED, HOSTILE[name], 25)
    assert len({json.dumps(c) for c in configs(ledger)}) == 25
    if name == "constant":  # it goes on filling the space
        points = np.nan_to_num(ledger.column("points"), nan=0.5)
        assert (points[15:].std(axis=0)[:2] > 0.1).all()


@pytest.mark.parametrize(
    "space",
    [
        ts.Space({f"x{i}": ts.Float(0, 1) for i in range(200)}),
        ts.Space(c=ts.Choice(*range(1000)), x=ts.Float(0, 1)),
        ts.Space(k=ts.Int(0, 2**53), x=ts.Float(0.9, 1 - 1e-9, log="reverse")),
        ts.Space({f"c{i}": ts.Choice(*"abc") for i in range(30)}),
        ts.Space(
            a=ts.Float(0, 1),
            b=ts.Float(0, 1),
            c=ts.Choice("u", "v"),
            d=ts.Float(0, 1, when="a > 0.5 and c == 'u'"),
        ).require("a + b <= 0.4"),
    ],
    ids=["200 parameters", "1,000 choices", "a huge int", "30 choices", "relations"],
)
def test_large_and_narrow_spaces(space: ts.Space) -> None:
    rng = np.random.default_rng(0)
    ledger = run(space, lambda c: rng.random(), 24)
    assert ledger.size == 24
    assert all(space.contains(c) for c in configs(ledger))


def test_a_climb_does_not_activate_what_it_has_no_value_for() -> None:
    """Past layers = 5 there is a width, which the relation keeps at 20 at most."""
    space = ts.Space(
        layers=ts.Int(1, 10), x=ts.Float(0, 1), width=ts.Int(1, 100, when="layers >= 5")
    ).require("width <= 20")

    def objective(c: Config) -> float:
        return float((c["layers"] - 4.9) ** 2 + (c["x"] - 0.3) ** 2 + 0.001 * c.get("width", 10))

    ledger = run(space, objective, 20, seed=1)
    assert all(space.contains(c) for c in configs(ledger))


def test_a_space_with_one_config() -> None:
    space = ts.Space(x=ts.Float(1, 1), k=ts.Int(3, 3), c=ts.Choice("only"))
    assert run(space, lambda c: 1.0, 5).size == 1
    assert run(space, lambda c: 1.0, 5, duplicates=True).size == 5


def test_a_small_space_is_exhausted_best_first() -> None:
    space = ts.Space(k=ts.Int(0, 19), c=ts.Choice("a", "b")).require("k > 1")

    def first(seed: int) -> int:
        ledger = run(space, lambda c: abs(c["k"] - 13) + (c["c"] == "a"), 100, seed=seed)
        assert ledger.size == 36
        return configs(ledger).index({"k": 13, "c": "b"})

    assert median(first) < 18


@pytest.mark.parametrize("fate", ["running", "failed"])
def test_a_small_space_is_exhausted_without_any_result(fate: str) -> None:
    """More configs than the design has points, and no model."""
    space = ts.Space({name: ts.Choice(*range(6)) for name in "abc"})
    ledger = Ledger(StudySpec(name="silent", space=space))
    while proposals := propose(ledger, Bayes(), 4):
        for config, origin in proposals:
            number = ledger.size
            ledger.apply(events.Suggested(0.0, number, config, origin, "s"))
            if fate == "failed":
                finish(ledger, number, math.nan)
    assert ledger.size == 6**3
    assert ledger.origin(215).why == "random: there is no model yet"


def test_many_trials_are_cheap_in_memory() -> None:
    """The model sees a few hundred of them, the best included."""
    space = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))
    ledger = Ledger(StudySpec(name="many", space=space))
    for number in range(3000):
        config = space.sample(stream(0, number, "many"))
        ledger.apply(events.Suggested(0.0, number, config, USERS, "s"))
        finish(ledger, number, (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2)
    near = [s.config for s in suggest(ledger, 5)]
    assert np.median([(c["x"] - 0.3) ** 2 + (c["y"] - 0.6) ** 2 for c in near]) < 0.01


# -- the same again ---------------------------------------------------------------------------

SCRIPT = """
import json, sys
sys.path.insert(0, {here!r})
from test_bayes import MIXED, configs, mixed, run
print(json.dumps(configs(run(MIXED, mixed, 75, seed=3))))
"""


def test_the_same_in_other_processes_with_one_thread_and_two() -> None:
    def other(threads: int) -> Any:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, str(threads))
        here = str(Path(__file__).parent)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(here=here)],
            env=environment | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    mine = configs(run(MIXED, mixed, 75, seed=3))
    assert other(1) == mine
    assert other(2) == mine


def test_a_memo_changes_nothing_in_a_long_study() -> None:
    remembered = run(MIXED, mixed, 60, seed=1)
    dropped = run(MIXED, mixed, 60, seed=1, memo=False)
    assert configs(remembered) == configs(dropped)


def test_a_late_result_is_taken_in() -> None:
    """Trial 2 ends after the others: the model is what it would be had it ended in order."""
    ledger = run(MIXED, mixed, 2)
    for number in range(2, 16):
        config, origin = propose(ledger, Bayes(), 1)[0]
        ledger.apply(events.Suggested(0.0, number, config, origin, "s"))
        if number != 2:
            finish(ledger, number, mixed(config))
    memo: dict[Any, Any] = {}
    propose(ledger, Bayes(), 1, memo)
    finish(ledger, 2, mixed(ledger.config(2)))
    assert propose(ledger, Bayes(), 1, memo) == propose(ledger, Bayes(), 1, {})


def test_reports_of_others_move_the_forecasts_and_a_memo_changes_nothing() -> None:
    """What stopped trials would have come to is fitted to as it is now, by whoever has the memo."""
    space = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))
    ledger = Ledger(StudySpec(name="stopped", space=space))

    def report(number: int, steps: range) -> float:
        x, y = ledger.config(number).values()
        for step in steps:
            value = (x - 0.3) ** 2 + (y - 0.6) ** 2 + (0.5 + x) / step
            ledger.apply(events.Reported(0.0, number, 0, step, {"value": value}))
        return float(value)

    for number in range(17):
        config = space.sample(stream(0, number, "stopped"))
        ledger.apply(events.Suggested(0.0, number, config, USERS, "s"))
    for number in range(12):
        state, last = (State.STOPPED, 3) if number % 3 == 1 else (State.COMPLETED, 8)
        value = report(number, range(1, last + 1))
        ledger.apply(events.Finished(0.0, number, 0, state, (value,), {"value": value}))
    memo: dict[Any, Any] = {}
    propose(ledger, Bayes(), 1, memo)
    for number in range(12, 17):
        report(number, range(1, 8))
    assert propose(ledger, Bayes(), 1, memo) == propose(ledger, Bayes(), 1, {})


class TestPrior:
    """A narrow valley in six dimensions, whose place the user knows, or believes to know."""

    @staticmethod
    def space(centre: float) -> ts.Space:
        belief = ts.Normal(centre, 0.1)
        return ts.Space(
            {f"x{j}": ts.Float(0, 1, prior=belief) for j in range(6)},
            kind=ts.Choice("a", "b", prior={"a": 4}),
        )

    @staticmethod
    def valley(config: Config) -> float:
        away = [config[f"x{j}"] - 0.8 for j in range(6)]
        return float(sum(abs(a) ** 0.5 for a in away) + (config["kind"] == "b"))

    def usual_best(self, space: ts.Space) -> float:
        return median(lambda seed: best(run(space, self.valley, 30, seed=seed)), seeds=5)

    def test_a_right_one_helps_and_a_wrong_one_costs_little(self) -> None:
        bare = ts.Space({f"x{j}": ts.Float(0, 1) for j in range(6)}, kind=ts.Choice("a", "b"))
        right, none, wrong = map(self.usual_best, (self.space(0.78), bare, self.space(0.2)))
        assert right < 0.75 * none
        assert wrong < 1.5 * none

    def test_the_search_begins_where_it_is(self) -> None:
        ledger = run(self.space(0.78), self.valley, 1)
        assert ledger.origin(0).why == "initial design: the priors' centres"
        assert ledger.trial(0).config == {**{f"x{j}": 0.78 for j in range(6)}, "kind": "a"}

    def test_its_slopes_are_those_of_its_density(self) -> None:
        prior = Prior(Points(self.space(0.3)))
        rng = np.random.default_rng(0)
        points = rng.random((20, 7))
        points[3, 2] = np.nan
        for j in range(6):
            up, down = points.copy(), points.copy()
            up[:, j] += 1e-6
            down[:, j] -= 1e-6
            numeric = (prior.log_density(up) - prior.log_density(down)) / 2e-6
            assert prior.slopes(points)[:, j] == pytest.approx(numeric, abs=1e-5)
        assert prior.log_density(np.array([[0.3] * 6 + [0.25]])) == pytest.approx(0.0)

    def test_half_of_the_design_is_distributed_as_believed(self) -> None:
        prior = Prior(Points(self.space(0.3)))
        bent = prior.bend(np.random.default_rng(0).random((4000, 7)))
        assert bent[::2, 0].mean() == pytest.approx(0.3, abs=0.01)
        assert bent[::2, 0].std() == pytest.approx(0.1, abs=0.01)
        assert (bent[::2, 6] < 0.5).mean() == pytest.approx(0.8, abs=0.03)
        assert bent[1::2, 0].std() == pytest.approx(math.sqrt(1 / 12), abs=0.01)
