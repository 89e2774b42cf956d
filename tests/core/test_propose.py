from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.random import Generator
from tests.core.driver import SPACE, completed, ledger, opened, spec, suggested

from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.propose import UNTRIED, propose, recompute
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Suggestion, Suggestions
from tunesmith.core.trial import Origin
from tunesmith.search.random import Random


@dataclass(frozen=True)
class Fixed:
    """Suggests the same configs for ever."""

    configs: tuple[Config, ...]

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> Suggestions:
        return [Suggestion(self.configs[k % len(self.configs)], f"the {k}-th") for k in range(n)]


A, B = {"x": 0.25, "c": "a"}, {"x": 0.5, "c": "b"}


def test_origin_says_where_a_config_comes_from() -> None:
    study = ledger(opened(), suggested(0), completed(0, 1.0))
    proposals = propose(study, Fixed((A, B)), 2)
    assert proposals == [
        (A, Origin("random", "the 0-th", seen=3, first=1, asked=2, pick=0)),
        (B, Origin("random", "the 1-th", seen=3, first=1, asked=2, pick=1)),
    ]


def test_what_has_been_run_is_left_out() -> None:
    study = ledger(opened(), suggested(0, A))
    ((config, origin),) = propose(study, Fixed((A, B)), 1)
    assert config == B
    assert (origin.asked, origin.pick) == (4, 1)
    assert list(recompute(study, Fixed((A, B)), origin, {}))[origin.pick] == B


def test_a_batch_has_no_config_twice() -> None:
    assert [config for config, _ in propose(ledger(opened()), Fixed((A, A, B)), 3)] == [A, B]


def test_duplicates_if_the_study_wants_them() -> None:
    study = ledger(opened(), suggested(0, A), duplicates=True)
    assert [config for config, _ in propose(study, Fixed((A,)), 2)] == [A, A]


def test_a_searcher_that_is_stuck_does_not_stop_the_study() -> None:
    study = ledger(opened(), suggested(0, A))
    ((config, origin),) = propose(study, Fixed((A,)), 1)
    assert config != A
    assert SPACE.contains(config)
    assert origin.searcher == UNTRIED
    assert list(recompute(study, Fixed((A,)), origin, {}))[origin.pick] == config


def test_a_stuck_searcher_walks_a_finite_space_to_its_end() -> None:
    space = Space(k=Int(1, 3), c=Choice("a", "b", when={"k": [2, 3]})).require("k <= 2")
    study = Ledger(spec(space=space))
    seen = []
    while proposals := propose(study, Fixed(({"k": 1},)), 1):
        seen.append(proposals[0][0])
        study.apply(suggested(study.size, seen[-1]))
    assert seen == [{"k": 1}, {"k": 2, "c": "a"}, {"k": 2, "c": "b"}]


def test_a_huge_space_is_not_listed_to_find_its_last_config() -> None:
    study = Ledger(spec(space=Space(n=Int(1, 10**9, log=True)).require("n <= 2")))
    while proposals := propose(study, Random(), 1):
        study.apply(suggested(study.size, proposals[0][0]))
    assert sorted(study.config(number)["n"] for number in range(study.size)) == [1, 2]


def test_nothing_suggested_is_exhaustion() -> None:
    @dataclass(frozen=True)
    class Silent:
        def suggest(self, space: Space, history: History, n: int, rng: Generator) -> Suggestions:
            return []

    assert propose(ledger(opened()), Silent(), 3) == []


def test_others_searchers_are_checked_and_cleaned() -> None:
    numpy_types = {"x": np.float32(0.25), "c": np.str_("a")}
    ((config, _),) = propose(ledger(opened()), Fixed((numpy_types,)), 1)
    assert config == A
    assert type(config["x"]) is float
    assert type(config["c"]) is str
    with pytest.raises(StrategyError, match=r"searcher 'random'.*x is 2\.0, outside 0 \.\. 1"):
        propose(ledger(opened()), Fixed(({"x": 2.0, "c": "a"},)), 1)


def test_random_search_is_repeatable_by_seed_and_number() -> None:
    space = Space(x=Float(0, 1), y=Float(1e-5, 1, log=True))

    def configs(seed: int) -> list[Config]:
        study = Ledger(spec(space=space, seed=seed))
        for number in range(5):
            study.apply(suggested(number, propose(study, Random(), 1)[0][0]))
        return [study.config(number) for number in range(5)]

    assert configs(1) == configs(1)
    assert configs(1) != configs(2)
    assert len({str(config) for config in configs(1)}) == 5


def test_deterministic_studies_hide_what_is_too_new() -> None:
    @dataclass(frozen=True)
    class Counting:
        def suggest(self, space: Space, history: History, n: int, rng: Generator) -> Suggestions:
            known = int(np.isfinite(history.losses).sum())
            return [Suggestion(space.sample(rng), f"{known} known")]

    study = Ledger(spec(deterministic=True, parallel=3))
    for number in range(6):
        ((config, origin),) = propose(study, Counting(), 1)
        assert origin.why == f"{max(0, number - 2)} known", "trials up to number - 3"
        study.apply(suggested(number, config))
        study.apply(completed(number, 1.0))
