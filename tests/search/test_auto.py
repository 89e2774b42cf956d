"""The default searcher: who makes which trial, and what it says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tunesmith.core import events
from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.propose import propose
from tunesmith.core.rng import stream
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Config, Space
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Origin, State
from tunesmith.search import auto
from tunesmith.search.auto import ALONE, BLOCK, Auto
from tunesmith.search.bayes import Bayes

NUMBERS = Space(x=Float(-5, 5), k=Int(0, 50), o=Choice(1, 2, 4, ordered=True))
MIXED = Space(x=Float(-5, 5), c=Choice("a", "b", "c"))


def study(space: Space, losses: list[float]) -> Ledger:
    """A study of random configs with these losses."""
    ledger = Ledger(StudySpec(name="s", space=space))
    rng = stream(0, 0, "test")
    for number, loss in enumerate(losses):
        at = float(number)
        ledger.apply(events.Suggested(at, number, space.sample(rng), Origin(USER), "s"))
        ledger.apply(events.Finished(at, number, 0, State.COMPLETED, (loss,), {"value": loss}))
    return ledger


def suggest(ledger: Ledger, n: int = 1) -> list[tuple[Config, str]]:
    rng = stream(0, ledger.size, "suggest")
    return [(s.config, s.why) for s in Auto().suggest(ledger.spec.space, History(ledger), n, rng)]


def test_the_first_trials_are_the_models() -> None:
    ledger = study(MIXED, [math.sin(k) for k in range(30)])
    rng = stream(0, ledger.size, "suggest")
    given = Bayes().suggest(MIXED, History(ledger), 3, rng)
    assert suggest(ledger, 3) == [(s.config, f"bayes: {s.why}") for s in given]
    assert "expected improvement" in given[0].why


def test_the_very_first_is_the_default() -> None:
    space = Space(x=Float(0, 1, default=0.125), c=Choice("a", "b"))
    ((config, why),) = suggest(Ledger(StudySpec(name="s", space=space)))
    assert config == {"x": 0.125, "c": "a"}
    assert why == "bayes: initial design: the defaults"


@pytest.mark.parametrize(("space", "name"), [(NUMBERS, "cmaes"), (MIXED, "evolution")])
def test_later_two_searchers_share(space: Space, name: str) -> None:
    ledger = study(space, [1.0 + math.sin(k) for k in range(ALONE)])
    whys = [why for _, why in suggest(ledger, 20)]
    assert len(whys) == 20
    for label, share in (("bayes", 90), (name, 10)):
        mine = [why for why in whys if why.startswith(f"{label} ({share}% of trials now): ")]
        assert abs(len(mine) - share / 5) <= 1


def test_in_a_batch_each_trial_is_by_whose_it_is() -> None:
    """The shares are worked out from the numbers of the trials: the batch has to keep to them."""
    ledger = study(MIXED, [1.0 + math.sin(k) for k in range(ALONE)])
    others = auto._is_others(np.arange(ALONE, ALONE + 20), auto.LEAST_SHARE)
    whys = [why for _, why in suggest(ledger, 20)]
    assert [why.startswith("evolution ") for why in whys] == others.tolist()
    assert 0 < others.sum() < 20


def test_who_improves_gets_more() -> None:
    """In the first shared block only the other searcher's trials improve, or only the model's."""
    others = auto._is_others(np.arange(ALONE, ALONE + BLOCK), auto.LEAST_SHARE)
    for whose, least, most in ((others, 0.4, 0.9), (~others, 0.1, 0.1)):
        losses = [1.0] * ALONE
        for k in range(BLOCK):
            losses.append(-float(k) if whose[k] else 2.0)
        assert least <= auto._share(History(study(MIXED, losses))) <= most


def test_a_retracted_result_is_no_bar() -> None:
    others = auto._is_others(np.arange(ALONE, ALONE + BLOCK), auto.LEAST_SHARE)
    losses = (
        [-1e9] + [1.0] * (ALONE - 1) + [-float(k) * is_other for k, is_other in enumerate(others)]
    )
    ledger = study(MIXED, losses)
    assert auto._share(History(ledger)) == auto.LEAST_SHARE
    ledger.apply(events.Retracted(1e3, 0, "wrong", "me"))
    assert auto._share(History(ledger)) > 0.3


def test_nobody_improves_and_both_go_on() -> None:
    losses = [0.0] + [1.0] * (ALONE + 3 * BLOCK)
    assert auto._share(History(study(MIXED, losses))) == auto.LEAST_SHARE


def test_shares_are_spread_evenly() -> None:
    for share in (0.15, 0.5, 0.85):
        others = auto._is_others(np.arange(1000), share)
        assert others.mean() == pytest.approx(share, abs=0.01)
        assert max(others[k : k + 20].sum() for k in range(980)) <= 20 * share + 2


def test_a_finite_space_is_exhausted() -> None:
    space = Space(k=Int(1, 450))
    ledger = Ledger(StudySpec(name="s", space=space))
    memo: dict[Any, Any] = {}
    for number in range(450):
        ((config, origin),) = propose(ledger, Auto(), 1, memo=memo)
        ledger.apply(events.Suggested(float(number), number, config, origin, "s"))
        value = float((config["k"] - 77) ** 2)
        ledger.apply(
            events.Finished(float(number), number, 0, State.COMPLETED, (value,), {"value": value})
        )
    assert propose(ledger, Auto(), 1, memo=memo) == []
    assert [ledger.config(k)["k"] for k in range(40)].count(77) == 1, "found early"


def test_its_exploration_is_the_models() -> None:
    ledger = study(MIXED, [math.sin(k) for k in range(30)])
    rng = stream(0, ledger.size, "suggest")
    ((config, _),) = Bayes("high").suggest(MIXED, History(ledger), 1, rng)
    rng = stream(0, ledger.size, "suggest")
    assert Auto("high").suggest(MIXED, History(ledger), 1, rng)[0].config == config
    with pytest.raises(StrategyError, match="auto: exploration is"):
        Auto("wild")  # type: ignore[arg-type]
