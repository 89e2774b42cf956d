"""TPE, CMA-ES and evolution: better than chance, whatever happens to the trials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.rng import stream
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Kind, Origin, Reason, State
from tunesmith.search.evolution import _parents
from tunesmith.strategy.evidence import Evidence

MIXED = ts.Space(
    x=ts.Float(-5, 5),
    rate=ts.Float(1e-5, 1, log=True),
    k=ts.Int(1, 64),
    c=ts.Choice("a", "b", "c"),
    m=ts.Float(0, 1, when={"c": ["a", "b"]}),
)
NUMBERS = ts.Space({f"x{i}": ts.Float(-2, 3) for i in range(4)}, k=ts.Int(-10, 10))
SEARCHERS = ["tpe", "cmaes", "evolution"]


def mixed(config: dict[str, Any]) -> float:
    loss = (config["x"] - 1) ** 2 / 10 + (math.log10(config["rate"]) + 2) ** 2 / 5
    loss += abs(config["k"] - 20) / 40 + {"a": 0.0, "b": 0.3, "c": 0.5}[config["c"]]
    return float(loss + (config.get("m", 0.3) - 0.3) ** 2)


def numbers(config: dict[str, Any]) -> float:
    return float(sum((config[f"x{i}"] - 0.3) ** 2 for i in range(4)) + (config["k"] - 3) ** 2 / 4)


def tune(searcher: Any, objective: Any, space: ts.Space, trials: int, seed: int) -> ts.Result:
    return ts.tune(objective, space, trials=trials, searcher=searcher, seed=seed, progress=False)


@pytest.mark.parametrize("searcher", SEARCHERS)
@pytest.mark.parametrize(("objective", "space"), [(mixed, MIXED), (numbers, NUMBERS)])
def test_better_than_chance(searcher: str, objective: Any, space: ts.Space) -> None:
    """Over four seeds, the best of 200 trials usually beats that of 200 random ones."""

    def usual(searcher: str) -> float:
        bests = [tune(searcher, objective, space, 200, seed).best.value or 0.0 for seed in range(4)]
        return float(np.median(bests))

    assert usual(searcher) < usual("random")


def test_cmaes_converges_on_numbers() -> None:
    bests = [tune("cmaes", numbers, NUMBERS, 800, seed).best.config for seed in range(3)]
    assert np.median([numbers(config) for config in bests]) < 1e-3


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_failures_are_no_end(searcher: str) -> None:
    def sometimes(config: dict[str, Any]) -> float:
        if config["c"] == "b" or config["k"] > 50:
            raise ValueError("no")
        return mixed(config)

    result = ts.tune(
        sometimes, MIXED, trials=120, searcher=searcher, seed=2, same_error=None, progress=False
    )
    late = result.trials[60:]
    failed = [t for t in late if t.state is State.FAILED]
    assert len(failed) < 24, "about half of random ones fail"


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_nothing_but_failures(searcher: str) -> None:
    ledger = Ledger(StudySpec(name="s", space=MIXED))
    rng = np.random.default_rng(0)
    for number in range(60):
        config = MIXED.sample(rng)
        ledger.apply(events.Suggested(1.0, number, config, Origin(USER), "s"))
        reason = Reason(Kind.ERROR, "boom")
        ledger.apply(events.Finished(2.0, number, 0, State.FAILED, None, {}, reason))
    from tunesmith import search
    from tunesmith.core.study import Strategy

    made = search.make(Strategy(searcher)).suggest(
        MIXED, History(ledger), 5, stream(0, ledger.size, "suggest")
    )
    assert len(made) == 5


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_in_parallel(searcher: str) -> None:
    result = ts.tune(
        mixed, MIXED, trials=60, searcher=searcher, parallel=4, deterministic=True, seed=1,
        executor="process", progress=False,
    )  # fmt: skip
    assert len({str(t.config) for t in result.trials}) == 60
    assert result.best.value is not None


def test_the_best_is_a_parent_among_many_that_are_equal() -> None:
    losses = np.ones(131)
    losses[100] = 0.5
    rows = np.arange(131)
    parents = _parents(Evidence(rows, losses, rows[:0], np.zeros(len(rows))), 40).tolist()
    assert parents == [100, *range(19), *range(111, 131)]


def test_the_whys() -> None:
    assert (
        "times as likely among the best" in tune("tpe", mixed, MIXED, 30, 0).trials[29].origin.why
    )
    assert "generation" in tune("cmaes", mixed, MIXED, 30, 0).trials[29].origin.why
    assert "a mutant of trial" in tune("evolution", mixed, MIXED, 60, 0).trials[59].origin.why


@pytest.mark.parametrize(
    ("searcher", "words"),
    [
        ({"tpe": {"startup": 0}}, "startup is at least 1"),
        ({"cmaes": {"population": 1}}, "population is at least 2"),
        ({"evolution": {"population": 3}}, "population is at least 4"),
        ({"cmaes": {"populaton": 8}}, "did you mean 'population'"),
    ],
)
def test_options_that_make_no_sense(searcher: Any, words: str) -> None:
    with pytest.raises(ts.StrategyError, match=words):
        tune(searcher, mixed, MIXED, 3, 0)


def test_cmaes_folds_the_same_history_in_any_process() -> None:
    """The memo is droppable: with and without it, the same trials."""
    once = [t.config for t in tune("cmaes", numbers, NUMBERS, 60, 3).trials]
    study = ts.Study.create(NUMBERS, searcher="cmaes", seed=3)
    again = []
    for _ in range(60):
        study._strategies.memo.clear()
        trial = study.ask()
        again.append(trial.config)
        study.tell(trial, numbers(trial.config))
    assert again == once
