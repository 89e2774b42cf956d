"""The trust region of the default searcher: long runs go on improving; its length is in the origins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.search.test_bayes import best, configs, median, run

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Origin, State
from tunesmith.search.bayes.region import MARK, _length
from tunesmith.strategy.evidence import Evidence

FOUR = ts.Space({f"x{j}": ts.Float(0, 1) for j in range(4)})


def valley(config: dict[str, Any]) -> float:
    """A turned quadratic function, a thousand times as steep along one axis as along another."""
    turned, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((4, 4)))
    away = turned.T @ (np.array(list(config.values())) - [0.3, 0.6, 0.45, 0.7])
    return float(10.0 ** np.arange(4) @ np.square(away))


def test_a_long_run_goes_on_improving() -> None:
    """What is left after 70 trials is nothing; one model of the whole space leaves 1e-3 and more."""
    assert median(lambda seed: best(run(FOUR, valley, 70, seed=seed))) < 1e-5


def test_its_suggestions_say_so() -> None:
    ledger = run(FOUR, valley, 44)
    whys = [ledger.origin(k).why for k in range(ledger.size)]
    assert not any(MARK in why for why in whys[:20])
    local = [why for why in whys[21::2] if why.startswith("trust region of ")]
    assert len(local) >= 10
    assert all("predicted" in why for why in local)
    assert any("the minimum of a quadratic function (R2 " in why for why in whys)


def test_choices_and_conditions_stay_those_of_the_best() -> None:
    space = ts.Space(
        kind=ts.Choice("a", "b"),
        depth=ts.Int(1, 8, when={"kind": "a"}),
        rate=ts.Float(1e-4, 1, log=True),
        x=ts.Float(0, 1),
    ).require("x <= 0.8")

    def loss(c: dict[str, Any]) -> float:
        depth = (c["depth"] - 5) ** 2 / 20 if "depth" in c else 0.4
        return float(depth + (np.log10(c["rate"]) + 2) ** 2 / 5 + (c["x"] - 0.7) ** 2)

    ledger = run(space, loss, 40, seed=2)
    local = [k for k in range(ledger.size) if MARK in ledger.origin(k).why]
    assert len(local) > 5
    losses = ledger.column("losses")[:, 0]
    for k in local:
        assert space.contains(ledger.config(k))
        assert ledger.config(k)["kind"] == ledger.config(int(np.argmin(losses[:k])))["kind"]


def test_late_it_has_every_second_where_there_are_choices_as_well() -> None:
    """What improves late is next to the best trial: leaving its choices becomes seldom, the region's part is doubled."""
    space = ts.Space(kind=ts.Choice("a", "b", "c"), x=ts.Float(0, 1), y=ts.Float(0, 1))

    def loss(c: dict[str, Any]) -> float:
        return float((c["x"] - 0.3) ** 2 + (c["y"] - 0.6) ** 2 + 0.01 * "abc".index(c["kind"]))

    ledger = run(space, loss, 83)
    whys = [ledger.origin(k).why for k in range(ledger.size)]
    local = [k for k, why in enumerate(whys) if MARK in why]
    away = [k for k, why in enumerate(whys) if why.startswith("leaving")]
    assert [k % 4 for k in local if 20 <= k < 50] == [1] * 8
    assert {k % 4 for k in local if k >= 50} == {1, 3}
    assert {k % 8 for k in away if k < 50} == {0, 4}
    assert {k % 8 for k in away if k >= 50} == {0}


def test_of_many_numbers_no_more_than_seven_count() -> None:
    """With 12 numbers and no choices it begins at 35 results, not at 60."""
    space = ts.Space({f"x{j}": ts.Float(0, 1) for j in range(12)})
    ledger = run(space, lambda c: float(sum((x - 0.4) ** 2 for x in c.values())), 40)
    local = [k for k in range(ledger.size) if MARK in ledger.origin(k).why]
    assert local == [35, 37, 39]


@pytest.mark.parametrize(
    ("results", "length"),
    [
        ([], 0.8),
        ([9.0] * 3, 0.8),
        ([9.0] * 4, 0.4),
        ([9.0] * 8, 0.2),
        ([0.9, 0.8], 0.8),
        ([0.9, 0.8, 0.7], 1.6),
        ([9.0, 9.0, 9.0, 0.9, 9.0, 9.0, 9.0], 0.8),
        ([float("nan")] * 4, 0.4),
    ],
)
def test_its_length_is_folded_from_the_origins(results: list[float], length: float) -> None:
    """1 is the best before; those of others, and a user's own words, count for nothing."""
    ledger = Ledger(StudySpec(name="fold", space=FOUR))

    def add(value: float, origin: Origin) -> None:
        number = ledger.size
        ledger.apply(
            events.Suggested(0.0, number, {f"x{j}": number / 99 for j in range(4)}, origin, "s")
        )
        failed = np.isnan(value)
        state = State.FAILED if failed else State.COMPLETED
        ledger.apply(events.Finished(0.0, number, 0, state, None if failed else (value,)))

    add(1.0, Origin("auto", "bayes: why"))
    for value in results:
        add(value, Origin("auto", f"bayes: {MARK} of 0.8 of the ranges: why"))
        add(5.0, Origin("auto", "bayes: why"))
        add(5.0, Origin(USER, MARK))
    history = History(ledger)
    assert _length(history, Evidence.of(history), 4) == pytest.approx(length)


def test_a_memo_changes_nothing() -> None:
    remembered = run(FOUR, valley, 50, seed=1)
    dropped = run(FOUR, valley, 50, seed=1, memo=False)
    assert configs(remembered) == configs(dropped)
