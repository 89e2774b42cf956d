"""Batches of the default searcher: the late ones come from pools whose scores are updated, as good as anew and at less work."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.constraint import Constraint
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Objective
from tunesmith.core.propose import propose, recompute
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Cost, Kind, Origin, Reason, State
from tunesmith.search.bayes import Bayes, _domain
from tunesmith.search.bayes.acquire import Maximiser
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.failing import Failing, Risky
from tunesmith.search.bayes.joint import Joint
from tunesmith.search.bayes.priced import Price, Priced
from tunesmith.search.bayes.surrogate import Model
from tunesmith.strategy.evidence import Evidence

MIXED = ts.Space(
    x=ts.Float(0, 1, prior=ts.Normal(0.3, 0.3)),
    y=ts.Float(1e-4, 1, log=True),
    n=ts.Int(1, 40),
    kind=ts.Choice("a", "b", "c"),
    z=ts.Float(0, 1, when={"kind": "b"}),
)


def metrics(config: dict[str, Any]) -> dict[str, float]:
    y = (math.log10(config["y"]) + 2.0) ** 2 / 4.0
    kind = {"a": 0.3, "b": config.get("z", 0.0), "c": 0.5}[config["kind"]]
    return {"loss": (config["x"] - 0.4) ** 2 + y + kind, "size": config["n"] / 40 + config["x"]}


def tried(count: int, *, space: ts.Space = MIXED, failing: bool = False, **spec: Any) -> Ledger:
    """A study of which `count` trials, at random, have ended."""
    made = StudySpec(name="s", space=space, **{"objectives": (Objective("loss"),), **spec})
    ledger, rng = Ledger(made), np.random.default_rng(3)
    for number in range(count):
        config, at = space.sample(rng), float(number)
        ledger.apply(events.Suggested(at, number, config, Origin(USER), "s"))
        values = metrics(config) if space is MIXED else {"loss": float(len(json.dumps(config)))}
        if failing and values["size"] > 1.2:
            reason = Reason(Kind.OUT_OF_MEMORY, "too large")
            ledger.apply(events.Finished(at, number, 0, State.FAILED, None, {}, reason))
            continue
        ends = tuple(values[objective.metric] for objective in made.objectives)
        cost = Cost(wall_s=10.0 * config.get("n", 1))
        ledger.apply(events.Finished(at, number, 0, State.COMPLETED, ends, values, cost=cost))
    return ledger


CASES: dict[str, dict[str, Any]] = {
    "one objective": {},
    "two objectives": {"objectives": (Objective("loss"), Objective("size"))},
    "a constraint": {"constraints": (Constraint("size <= 0.8"),)},
    "failures": {"failing": True},
    "by cost": {"limits": Limits(compute_time=1e5)},
}


def surrogate(ledger: Ledger) -> Any:
    history = History(ledger)
    domain = Domain(history.space, 0, (), (), len(history.objectives))
    failing, price = Failing.of(domain, history), Price.of(domain, history)
    if len(history.objectives) > 1 or history.constraints:
        rng = np.random.default_rng(0)
        model: Any = Joint(domain, history, Evidence.ranked(history).pending, rng, 1.4)
    else:
        evidence = Evidence.of(history)
        model = Model.of(domain, history, failing.rest(evidence) if failing else evidence, 1.4)
    model = Priced(model, price) if price else model
    return Risky(model, failing) if failing else model


@pytest.mark.parametrize("case", CASES)
def test_scores_that_are_updated_are_those_made_anew(case: str) -> None:
    model = surrogate(tried(30, **CASES[case]))
    assert isinstance(model, Priced) == (case == "by cost")
    assert isinstance(model, Risky) == (case == "failures")
    rng = np.random.default_rng(1)
    pool, chosen = (
        np.array([MIXED.encode(MIXED.sample(rng)) for _ in range(size)]) for size in (40, 5)
    )
    scores = model.watch(pool)
    for first, last in [(0, 0), (0, 1), (1, 5)]:
        if last > first:
            model.believe(chosen[first:last])
        assert scores() == pytest.approx(model.score(pool), abs=1e-5)
        assert scores(1.5) == pytest.approx(model.score(pool, 1.5), abs=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_batch_is_of_different_configs(case: str) -> None:
    ledger = tried(30, **CASES[case])
    made = Bayes().suggest(MIXED, History(ledger), 24, np.random.default_rng(0))
    assert len({json.dumps(s.config, sort_keys=True) for s in made}) == 24
    assert all(ledger.find(s.config) is None for s in made)
    points = np.array([MIXED.encode(s.config) for s in made])
    assert all(np.nanstd(points[:, j]) > 0.02 for j in (0, 1, 2))


def test_few_are_climbed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the climbs that take the time."""
    starts: list[int] = []
    climbed = Maximiser._climbed

    def counted(self: Maximiser, points: Any, *args: Any, **options: Any) -> Any:
        starts.append(len(points))
        return climbed(self, points, *args, **options)

    monkeypatch.setattr(Maximiser, "_climbed", counted)
    Bayes().suggest(MIXED, History(tried(30)), 64, np.random.default_rng(0))
    assert len(starts) <= 30  # each on its own would be some 130


def test_a_small_space_is_gone_through_once() -> None:
    space = ts.Space(k=ts.Int(1, 40), c=ts.Choice("a", "b"))
    ledger = tried(20, space=space)
    made = Bayes().suggest(space, History(ledger), 100, np.random.default_rng(0))
    configs = {json.dumps(s.config) for s in made if "random" not in s.why}
    assert len(configs) == 80 - len({json.dumps(ledger.config(k)) for k in range(20)})


@pytest.mark.parametrize("case", CASES)
def test_a_batch_replays(case: str) -> None:
    ledger = tried(30, **CASES[case])
    searcher = Bayes()
    batch = propose(ledger, searcher, 20, {})
    assert len(batch) == 20
    again = recompute(ledger, searcher, batch[0][1], {})
    assert [config for config, _ in batch] == list(again)


def test_of_many_that_run_the_model_believes_the_most_tempting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tunesmith.search.bayes.surrogate.MOST_PENDING", 5)
    space = ts.Space(x=ts.Float(0, 1))
    ledger = Ledger(StudySpec(name="s", space=space, objectives=(Objective("loss"),)))
    ledger.apply(events.Opened(0.0, "s", "host", 1, 0.0))
    places = [0.9, 0.31, 0.95, 0.29, 0.8, 0.33, 0.85, 0.27, 0.98, 0.35]
    for number, x in enumerate([*np.linspace(0.0, 1.0, 8).tolist(), *places]):
        ledger.apply(events.Suggested(0.0, number, {"x": x}, Origin(USER), "s"))
        if number < 8:
            loss = (x - 0.3) ** 2
            ledger.apply(events.Finished(0.0, number, 0, State.COMPLETED, (loss,), {"loss": loss}))
    history = History(ledger)
    evidence = Evidence.ranked(history)
    model = Model.of(_domain(history.space, history), history, evidence, 1.0)
    assert len(model._gp.alpha) == 8 + 5
    believed = model._gp.scaled[8:, 0] / model._gp.weights[0]
    assert sorted(believed) == pytest.approx(sorted(x for x in places if x < 0.5))
