"""The gradient searcher: it descends, it says how, and nothing that happens to trials confuses it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunesmith as ts
from tunesmith.cli.trials import _columns
from tunesmith.core import events
from tunesmith.core.history import History, derivative
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.propose import propose
from tunesmith.core.rng import stream
from tunesmith.core.space.space import Config
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Kind, Reason, State
from tunesmith.numeric.quasi_newton import direction, shorter
from tunesmith.search.auto import Auto
from tunesmith.search.gradient import MOST_TRIES, Gradient
from tunesmith.store import open_store
from tunesmith.testing.strategies import spaces
from tunesmith.tuning import table
from tunesmith.tuning.replay import replay

BOWL = ts.Space(x=ts.Float(-5, 5), rate=ts.Float(1e-5, 1, log=True))
Metrics = dict[str, float]


def bowl(config: Config) -> Metrics:
    """Lowest, 0, at x = 1 and rate = 0.01."""
    x, t = config["x"], math.log(config["rate"] / 0.01)
    slopes = {"x": 2 * (x - 1) + 0.3 * t, "rate": (0.2 * t + 0.3 * (x - 1)) / config["rate"]}
    return ts.hypergrad.as_metrics((x - 1) ** 2 + 0.1 * t**2 + 0.3 * (x - 1) * t, slopes)


def tune(objective: Callable[..., Any], space: ts.Space, trials: int, **options: Any) -> ts.Result:
    given: dict[str, Any] = {
        "metric": "loss",
        "searcher": "gradient",
        "seed": 0,
        "progress": False,
    } | options
    return ts.tune(objective, space, trials=trials, **given)


def whys(result: ts.Result) -> list[str]:
    return [trial.origin.why for trial in result.trials]


class Play:
    """A study, event by event."""

    def __init__(self, space: ts.Space, goal: Any = "minimize") -> None:
        self.ledger = Ledger(
            StudySpec(name="s", space=space, objectives=(Objective("loss", goal),))
        )
        self.memo: dict[Any, Any] = {}

    def ask(self, searcher: Any = None) -> tuple[int, Config, str]:
        number = self.ledger.size
        ((config, origin),) = propose(self.ledger, searcher or Gradient(), 1, memo=self.memo)
        self.ledger.apply(events.Suggested(float(number), number, config, origin, "s"))
        return number, config, origin.why

    def tell(self, number: int, metrics: Metrics | None) -> None:
        self.ledger.apply(ended(number, metrics))


def ended(number: int, metrics: Metrics | None) -> events.Finished:
    if metrics is None:
        reason = Reason(Kind.ERROR, "why")
        return events.Finished(9.0, number, 0, State.FAILED, None, {}, reason)
    loss = metrics["loss"]
    return events.Finished(9.0, number, 0, State.COMPLETED, (loss,), {**metrics})


def test_it_descends_and_says_so() -> None:
    result = tune(bowl, BOWL, 20)
    assert result.best.value is not None
    assert result.best.value < 1e-6
    assert whys(result)[0] == "bayes: initial design: the middle"
    first, *_ = re.findall(r"gradient step 1 from trial 0, \|g\| [\d.]+", whys(result)[1])
    assert first == whys(result)[1]
    assert any(why.startswith("gradient step 4 from trial ") for why in whys(result))
    later = [why for why in whys(result)[5:] if why.startswith("bayes: expected improvement")]
    assert later, "what it has learnt is the default searcher's evidence"


def test_a_narrow_valley() -> None:
    def rosenbrock(config: Config) -> Metrics:
        x = np.array(list(config.values()))
        bend = x[1:] - x[:-1] ** 2
        slopes = np.zeros(4)
        slopes[:-1] = -400 * x[:-1] * bend - 2 * (1 - x[:-1])
        slopes[1:] += 200 * bend
        loss = float(np.sum(100 * bend**2 + (1 - x[:-1]) ** 2))
        return ts.hypergrad.as_metrics(loss, dict(zip(config, slopes, strict=True)))

    space = ts.Space({f"x{i}": ts.Float(-2, 2.5) for i in range(4)})
    best = tune(rosenbrock, space, 50).best
    assert best.value is not None
    assert best.value < 1e-3, "the default searcher is at 0.1 after ten times as many"


def test_uphill_where_more_is_better() -> None:
    def hill(config: Config) -> Metrics:
        return {name: -value for name, value in bowl(config).items()}

    down, up = tune(bowl, BOWL, 12), tune(hill, BOWL, 12, goal="maximize")
    assert [t.config for t in down.trials] == [t.config for t in up.trials]


def test_the_end_of_a_range() -> None:
    """The best x is beyond the range: it stays at the end, and the other one goes on."""
    space = ts.Space(x=ts.Float(2, 5), rate=ts.Float(1e-5, 1, log=True))
    best = tune(bowl, space, 25).best
    assert best.config["x"] == 2.0
    assert math.log(best.config["rate"] / 0.01) == pytest.approx(-1.5, abs=0.01)


@pytest.mark.parametrize(
    "space",
    [BOWL, ts.Space(c=ts.Choice("a", "b"), k=ts.Int(1, 50)), ts.Space()],
    ids=["numbers", "no continuum", "empty"],
)
def test_without_derivatives_it_is_the_default_searcher(space: ts.Space) -> None:
    play = Play(space)
    for number in range(12):
        history = History(play.ledger)
        mine = Gradient().suggest(space, history, 2, stream(0, number, "test"))
        assert mine == Auto().suggest(space, history, 2, stream(0, number, "test"))
        if not space:
            break
        trial, _, _ = play.ask(Auto())
        play.tell(trial, {"loss": math.sin(number), "d_loss/d_k": 1.0})


MIXED = ts.Space(
    x=ts.Float(-5, 5),
    c=ts.Choice("a", "b"),
    k=ts.Int(1, 9),
    m=ts.Float(0, 1, when={"c": "a"}),
    untold=ts.Float(0, 1),
)


def mixed(config: Config) -> Metrics:
    slopes = {"x": 2 * config["x"], "k": 1.0, "c": 5.0}
    if "m" in config:
        slopes["m"] = 2 * (config["m"] - 0.3)
    loss = config["x"] ** 2 + (config.get("m", 0.3) - 0.3) ** 2 + config["k"]
    return ts.hypergrad.as_metrics(loss + (config["c"] == "b"), slopes)


def test_choices_and_what_has_no_derivative_stay() -> None:
    result = tune(mixed, MIXED, 40, seed=1)
    steps = [t for t in result.trials if t.origin.why.startswith("gradient step")]
    assert len(steps) > 10
    for trial in steps:
        base = result.trials[int(re.findall(r"from trial (\d+)", trial.origin.why)[0])]
        for name in ("c", "k", "untold"):
            assert trial.config[name] == base.config[name]
        assert trial.config["x"] != base.config["x"] or trial.config["m"] != base.config["m"]


def test_relations_hold() -> None:
    space = ts.Space(x=ts.Float(-5, 5), rate=ts.Float(1e-5, 1, log=True)).require("x <= 0.5")
    result = tune(bowl, space, 20)
    assert all(t.config["x"] <= 0.5 for t in result.trials)
    assert sum(why.startswith("gradient step") for why in whys(result)) > 2


def test_a_step_activates_nothing() -> None:
    """Past lr = 0.5 there is a width: a step ends before that."""
    space = ts.Space(lr=ts.Float(0, 1, default=0.4), width=ts.Float(0, 1, when="lr > 0.5"))

    def rising(config: Config) -> Metrics:
        return ts.hypergrad.as_metrics(-config["lr"], {"lr": -1.0})

    play = Play(space)
    start, config, _ = play.ask()
    play.tell(start, rising(config))
    _, config, why = play.ask()
    assert why.startswith("gradient step 1 from trial 0")
    assert list(config) == ["lr"]
    assert 0.4 < config["lr"] <= 0.5


def test_a_failed_step_is_shortened_and_in_the_end_given_up() -> None:
    play = Play(BOWL)
    start, config, _ = play.ask()
    play.tell(start, bowl(config))
    sizes = []
    for k in range(MOST_TRIES):
        trial, config, why = play.ask()
        assert why.startswith("gradient step 1 from trial 0, |g|")
        assert why.endswith("" if k == 0 else f", shorter: try {k + 1}")
        sizes.append(abs(BOWL.encode(config) - BOWL.encode(play.ledger.config(0))).max())
        play.tell(trial, None if k % 2 else {"loss": 1e9})
    assert all(b < 0.51 * a for a, b in pairwise(sizes))
    assert play.ask()[2].startswith("bayes: ")


def test_a_step_that_runs_is_waited_for() -> None:
    play = Play(BOWL)
    start, config, _ = play.ask()
    play.tell(start, bowl(config))
    step, config, why = play.ask()
    assert why.startswith("gradient step 1 from trial 0")
    assert play.ask()[2].startswith("bayes: ")
    play.tell(step, bowl(config))
    assert play.ask()[2].startswith("gradient step 2 from trial 1")


def test_results_in_any_order_give_the_same_step() -> None:
    play = Play(BOWL)
    results = {}
    for _ in range(5):
        number, config, _ = play.ask()
        results[number] = bowl(config)
    spec, begun = play.ledger.spec, [play.ledger.config(k) for k in range(5)]

    def after(order: list[int]) -> list[Any]:
        ledger = Ledger(spec)
        for k, config in enumerate(begun):
            origin = play.ledger.origin(k)
            ledger.apply(events.Suggested(float(k), k, config, origin, "s"))
        for k in order:
            ledger.apply(ended(k, results[k]))
        return propose(ledger, Gradient(), 3)

    assert after([0, 1, 2, 3, 4]) == after([3, 1, 4, 0, 2])


def test_a_retracted_start_is_forgotten() -> None:
    play = Play(BOWL)
    for _ in range(3):
        trial, config, why = play.ask()
        play.tell(trial, bowl(config))
    assert why.startswith("gradient step")
    play.ledger.apply(events.Retracted(9.0, 0, "wrong", "me"))
    assert "from trial 2" not in play.ask()[2]


def test_where_a_refinement_has_been_no_other_begins() -> None:
    play = Play(BOWL)
    while (asked := play.ask())[2].startswith(("gradient", "bayes: initial")):
        play.tell(asked[0], bowl(asked[1]))
    trial, _, _ = asked
    play.tell(trial, {"loss": 1e6, "d_loss/d_x": 1.0, "d_loss/d_rate": 1.0})
    assert play.ask()[2].startswith("bayes: "), "it is not among the best third"
    near = dict(play.ledger.config(play.ledger.incumbent or 0))
    near["x"] += 0.01
    number = play.ledger.size
    origin = play.ledger.origin(0)
    play.ledger.apply(events.Suggested(9.0, number, near, origin, "s"))
    play.tell(number, bowl(near) | {"loss": 1e-3})
    assert play.ask()[2].startswith("bayes: ")


def test_a_slope_that_is_nearly_zero_is_none() -> None:
    """The step along it was infinitely long, and halved without end."""
    play = Play(ts.Space(x=ts.Float(0, 1)))
    for _ in range(4):
        trial, _, why = play.ask()
        assert not why.startswith("gradient step")
        play.tell(trial, {"loss": float(trial), "d_loss/d_x": 1e-310})


@settings(max_examples=25, deadline=None)
@given(st.data(), spaces())
def test_whatever_comes_it_stays_inside_the_space(data: st.DataObject, space: ts.Space) -> None:
    """Losses and derivatives of any size, failures, and trials that do not end."""
    numbers = st.one_of(st.floats(-10, 10), st.sampled_from([0.0, 1e300, -1e300, 1e-300, math.inf]))
    play = Play(space, data.draw(st.sampled_from(["minimize", "maximize"])))
    for _ in range(10):
        if not propose(play.ledger, Gradient(), 1):
            return
        trial, config, _ = play.ask()
        assert space.clean(config) == config
        fate = data.draw(st.sampled_from(["told"] * 6 + ["failed", "running"]))
        if fate == "failed":
            play.tell(trial, None)
        if fate == "told":
            slopes = {derivative("loss", name): data.draw(numbers) for name in config}
            told = {k: v for k, v in slopes.items() if math.isfinite(v)}
            play.tell(trial, {"loss": data.draw(st.floats(-10, 10)), **told})


def test_tables_do_not_drown_in_derivatives() -> None:
    result = tune(bowl, BOWL, 2)
    rows = table.select(result)
    assert _columns(result.ledger, table.Columns.of(result.ledger), rows) == [
        "number",
        "state",
        "loss",
        "x",
        "rate",
        "wall_s",
    ]
    assert "d_loss/d_x" in rows[0]


def test_replay_proves_it(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    tune(mixed, MIXED, 15, storage=path, name="study")
    store = open_store(path)
    replayed = replay(store, "study")
    store.close()
    assert replayed.proven, replayed.problems


def test_lbfgs_knows_a_parabola() -> None:
    """After as many steps as dimensions the direction is Newton's."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(4, 4))
    hessian = a @ a.T + np.eye(4)
    moves = list(np.linalg.eigh(hessian)[1].T)  # conjugate directions
    changes = [hessian @ move for move in moves]
    g = rng.normal(size=4)
    np.testing.assert_allclose(direction(g, moves, changes), -np.linalg.solve(hessian, g))
    np.testing.assert_allclose(direction(g, [-m for m in moves], changes), -g, err_msg="concave")


def test_a_shorter_step_ends_where_the_parabola_is_lowest() -> None:
    # f(t) = (t - 0.3)^2 at 0 and 1, slope -0.6
    assert shorter(0.09, 0.49, -0.6) == pytest.approx(0.3)
    assert shorter(0.0, 1e9, -1.0) == 0.1
    assert shorter(0.0, math.nan, -1.0) == 0.25
