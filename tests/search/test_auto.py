from __future__ import annotations

from typing import Any

import pytest

from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.parameter import Choice, Float, Int
from tunesmith.core.rng import stream
from tunesmith.core.space import Space
from tunesmith.core.strategy import Suggestion
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Origin
from tunesmith.search.auto import Auto
from tunesmith.search.sobol import Sobol

BARE = Space(x=Float(0, 1), c=Choice("a", "b"))
WITH_DEFAULTS = Space(x=Float(0, 1, default=0.125), c=Choice("a", "b"), k=Int(1, 9))


def suggestions(space: Space, n: int, at_a_time: int) -> list[Suggestion]:
    """What a study over `space` would run."""
    ledger = Ledger(StudySpec(name="s", space=space))
    memo: dict[Any, Any] = {}
    given: list[Suggestion] = []
    while len(given) < n:
        rng = stream(0, ledger.size, "suggest")
        made = Auto().suggest(
            space, History(ledger, memo=memo), min(at_a_time, n - len(given)), rng
        )
        for suggestion in made:
            event = events.Suggested(0.0, ledger.size, suggestion.config, Origin(USER), "s")
            ledger.apply(event)
        given += made
    return given


@pytest.mark.parametrize("at_a_time", [1, 3, 40])
def test_defaults_first_then_sobol_then_chance(at_a_time: int) -> None:
    given = suggestions(WITH_DEFAULTS, 40, at_a_time)
    assert given[0] == Suggestion({"x": 0.125, "c": "a", "k": 5}, "the defaults")
    assert all(s.why.startswith("Sobol point") for s in given[1:32])
    assert {s.why for s in given[32:]} == {"random, after 32 Sobol points"}
    assert len({str(s.config) for s in given}) == 40


def test_no_defaults_no_default_trial() -> None:
    given = suggestions(BARE, 33, 1)
    assert [s.why for s in given[:2]] == ["Sobol point 0", "Sobol point 1"]
    assert given[32].why == "random, after 32 Sobol points"


def test_each_sobol_point_is_run_once() -> None:
    """The default takes a trial's place: no point of the sequence may come twice."""
    for at_a_time in (1, 5, 32):
        whys = [s.why for s in suggestions(WITH_DEFAULTS, 32, at_a_time)]
        assert len(set(whys)) == 32, f"{at_a_time} at a time"


def test_the_same_however_it_is_asked_for() -> None:
    one_by_one = [s.config for s in suggestions(WITH_DEFAULTS, 32, 1)]
    assert [s.config for s in suggestions(WITH_DEFAULTS, 32, 8)] == one_by_one


def test_more_parameters_more_points() -> None:
    space = Space({f"x{i}": Float(0, 1) for i in range(9)})
    given = suggestions(space, 130, 10)
    assert given[127].why == "Sobol point 127"
    assert given[128].why == "random, after 128 Sobol points"


def test_defaults_that_break_a_relation_are_left_out() -> None:
    space = Space(x=Float(0, 1, default=0.9)).require("x < 0.5")
    (first,) = suggestions(space, 1, 1)
    assert first.why == "Sobol point 0"
    assert first.config["x"] < 0.5


def test_defaults_come_first_in_a_study_only() -> None:
    ledger = Ledger(StudySpec(name="s", space=WITH_DEFAULTS))
    ledger.apply(events.Enqueued(0.0, 0, {"x": 0.5, "c": "b", "k": 1}, Origin(USER)))
    history = History(ledger)
    given = Auto().suggest(WITH_DEFAULTS, history, 2, stream(0, 1, "suggest"))
    assert given == Sobol().suggest(WITH_DEFAULTS, history, 2, stream(0, 1, "suggest"))
