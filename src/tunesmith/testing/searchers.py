"""What every searcher has to do."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, Final

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core import events
from tunesmith.core.events import Event
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import Limits
from tunesmith.core.propose import propose
from tunesmith.core.rng import stream
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Searcher, Suggestion
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Origin, State
from tunesmith.testing.check import Check, collect, examples_of
from tunesmith.testing.strategies import pasts, spaces


def _order(n: int, low: int, high: int) -> Space:
    space = Space({f"x{i}": Int(low, high) for i in range(n)})
    for i in range(n - 1):
        space.require(f"x{i} <= x{i + 1}")
    return space


#: Spaces with relations that hardly any random config satisfies.
RELATED: Final = {
    "an order": _order(7, 200, 8000),
    "a sum": Space({f"w{i}": Int(0, 100) for i in range(4)}).require("w0 + w1 + w2 + w3 == 100"),
    "shares": Space({f"w{i}": Float(0, 1, step=0.05) for i in range(4)}).require(
        "w0 + w1 + w2 + w3 == 1"
    ),
    "a budget": Space({f"w{i}": Float(0, 1) for i in range(8)}).require(
        "w0 + w1 + w2 + w3 + w4 + w5 + w6 + w7 <= 1"
    ),
    "a product": Space(batch=Int(1, 4096, log=True), steps=Int(1, 4096)).require(
        "batch * steps <= 128"
    ),
    "a product of a choice": Space(batch=Choice(8, 16, 32, 64), steps=Int(8, 512, step=8)).require(
        "batch * steps == 512"
    ),
    "under a condition": Space(
        kind=Choice("a", "b"), x=Int(0, 1000), y=Int(0, 1000, when={"kind": "a"}), z=Int(0, 1000)
    )
    .require("x + y == 1000")
    .require("z < x"),
}


def searcher_checks(make: Callable[[], Searcher], *, examples: int = 30) -> list[Check]:
    """The checks for the searcher that `make` gives; `examples` is Hypothesis's number of them."""
    return collect(_SearcherSuite(make, examples))


class _SearcherSuite:
    def __init__(self, make: Callable[[], Searcher], examples: int) -> None:
        self._make = make
        self._settings = examples_of(examples)

    def _over_pasts(self, test: Callable[[Ledger, int], None]) -> None:
        """Run `test` on random spaces with random pasts, and a number of suggestions to ask for."""

        @self._settings
        @given(st.data(), spaces(), st.integers(1, 5))
        def run(data: st.DataObject, space: Space, n: int) -> None:
            test(data.draw(pasts(space)), n)

        run()

    def _suggest(self, ledger: Ledger, n: int) -> list[Config]:
        """What a fresh searcher suggests."""
        rng = stream(ledger.spec.seed, ledger.size, "suggest")
        suggestions = self._make().suggest(ledger.spec.space, History(ledger), n, rng)
        return [s.config if isinstance(s, Suggestion) else s for s in suggestions]

    def check_is_a_frozen_dataclass(self) -> None:
        searcher = self._make()
        assert is_dataclass(searcher)
        assert type(searcher).__dataclass_params__.frozen, "options must not change"

    def check_stays_inside_the_space(self) -> None:
        def test(ledger: Ledger, n: int) -> None:
            configs = self._suggest(ledger, n)
            assert len(configs) <= n, f"{len(configs)} suggestions for {n}"
            for config in configs:
                membership = ledger.spec.space.contains(config)
                assert membership, f"{config} is outside: {membership}"
                assert ledger.spec.space.clean(config) == config, "values in other types"

        self._over_pasts(test)

    def check_keeps_relations_that_few_configs_satisfy(self) -> None:
        """Orders, sums and products: it has to ask the space for configs, not for luck."""
        for name, space in RELATED.items():
            ledger = Ledger(StudySpec(name="related", space=space, limits=Limits(trials=40)))
            memo: dict[Any, Any] = {}
            for number in range(8):
                proposals = propose(ledger, self._make(), 1, memo=memo)
                if not proposals:
                    break
                config, origin = proposals[0]
                assert space.contains(config), f"{name}: {config}: {space.contains(config)}"
                ledger.apply(events.Suggested(float(number), number, config, origin, "s"))
                ledger.apply(_completed(number, number % 3 / 3))
            assert ledger.size, f"{name}: no config"

    def check_is_a_function_of_history_and_stream(self) -> None:
        def test(ledger: Ledger, n: int) -> None:
            state = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]  # noqa: NPY002
            first = self._suggest(ledger, n)
            after = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]  # noqa: NPY002
            assert state == after, "it drew from a global random generator"
            assert self._suggest(ledger, n) == first, "the same call gave something else"

        self._over_pasts(test)

    def check_a_memo_changes_nothing(self) -> None:
        """Suggestions with what was kept from earlier calls equal those without."""
        space = Space(x=Float(0, 1), k=Int(1, 4), c=Choice("a", "b"))
        ledger = Ledger(StudySpec(name="memo", space=space, limits=Limits(trials=40)))
        memo: dict[Any, Any] = {}
        for number in range(24):
            fresh = propose(ledger, self._make(), 1, memo={})
            remembered = propose(ledger, self._make(), 1, memo=memo)
            assert fresh == remembered, (
                f"at trial {number}: {fresh} without memo, {remembered} with"
            )
            if not fresh:
                break
            config, origin = fresh[0]
            ledger.apply(events.Suggested(float(number), number, config, origin, "s"))
            if number % 5 != 4:
                ledger.apply(_completed(number, number % 7 / 7))

    def check_the_order_of_arrival_does_not_matter(self) -> None:
        """Whichever of two trials ends first, the next suggestion is the same."""
        space = Space(x=Float(0, 1), c=Choice("a", "b", "c"))
        spec = StudySpec(name="order", space=space, limits=Limits(trials=40))
        started: list[Event] = []
        ledger = Ledger(spec)
        for number in range(6):
            config, origin = propose(ledger, self._make(), 1)[0]
            event = events.Suggested(float(number), number, config, origin, "s")
            ledger.apply(event)
            started.append(event)
        ends = [_completed(number, (number * 3 % 5) / 5) for number in range(6)]
        forwards = self._suggest(Ledger(spec).extend([*started, *ends]), 3)
        backwards = self._suggest(Ledger(spec).extend([*started, *reversed(ends)]), 3)
        assert forwards == backwards

    def check_exhausts_a_finite_space(self) -> None:
        """Every config once, none twice, then nothing."""
        space = Space(
            c=Choice("a", "b"), k=Int(1, 3, when={"c": "a"}), d=Choice(True, False), fixed=1
        ).require("k <= 2")
        ledger = Ledger(StudySpec(name="finite", space=space))
        seen = []
        while proposals := propose(ledger, self._make(), 2):
            for config, origin in proposals:
                number = ledger.size
                seen.append(config)
                ledger.apply(events.Suggested(float(number), number, config, origin, "s"))
                ledger.apply(_completed(number, 0.5))
            assert len(seen) <= 6, f"more configs than there are: {seen}"
        assert len(seen) == 6, f"it gave up after {len(seen)} of 6"

    def check_narrow_places(self) -> None:
        """One config, no parameters, many choices, many parameters."""
        narrow = [
            Space(),
            Space(a=1, b="x"),
            Space(x=Float(2, 2), k=Int(3, 3)),
            Space(c=Choice(*range(1000))),
            Space({f"x{i}": Float(0, 1) for i in range(200)}),
            Space(x=Float(1e-300, 1e300, log=True)),
        ]
        for space in narrow:
            spec = StudySpec(name="narrow", space=space, duplicates=True)
            for past in ([], [0.5], [0.5, 0.5], [1e300, -1e300, 1e-300]):
                ledger = Ledger(spec)
                for number, value in enumerate(past):
                    config = space.sample(stream(0, number, "narrow"))
                    origin = propose(ledger, self._make(), 1)[0][1] if number == 0 else None
                    assert origin is None or origin.first == 0
                    event = events.Enqueued(0.0, number, config, Origin(USER))
                    ledger.apply(event)
                    ledger.apply(events.Started(0.0, number, 0, "s"))
                    ledger.apply(_completed(number, value))
                for config in self._suggest(ledger, 2):
                    assert space.contains(config), f"{config}: {space.contains(config)}"


def _completed(number: int, value: float) -> Event:
    return events.Finished(float(number), number, 0, State.COMPLETED, (value,), {"value": value})
