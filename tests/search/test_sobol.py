from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
from scipy.stats import qmc

from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.rng import stream
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Config, Space
from tunesmith.core.study import Strategy, StudySpec
from tunesmith.core.trial import USER, Origin
from tunesmith.search.sobol import Sequence, Sobol

SQUARE = Space(x=Float(0, 1), y=Float(0, 1))


def points(space: Space, n: int, seed: int = 0, n_at_a_time: int = 16) -> list[Config]:
    """The first `n` configs of a study."""
    ledger = Ledger(StudySpec(name="s", space=space, searcher=Strategy("sobol"), seed=seed))
    memo: dict[Any, Any] = {}
    while ledger.size < n:
        rng = stream(seed, ledger.size, "suggest")
        wanted = min(n_at_a_time, n - ledger.size)
        for suggestion in Sobol().suggest(space, History(ledger, memo=memo), wanted, rng):
            number = ledger.size
            ledger.apply(events.Suggested(0.0, number, suggestion.config, Origin(USER), "s"))
    return [ledger.config(number) for number in range(n)]


def unit(space: Space, configs: list[Config]) -> Any:
    return np.array([space.encode(config) for config in configs])


def test_it_is_evener_than_chance() -> None:
    chance = np.median(
        [
            qmc.discrepancy(np.array([list(SQUARE.sample(rng).values()) for _ in range(64)]))
            for rng in (stream(0, number, "test") for number in range(9))
        ]
    )
    for seed in range(5):
        assert qmc.discrepancy(unit(SQUARE, points(SQUARE, 64, seed))) < chance / 5


def test_every_cell_of_the_square_has_its_point() -> None:
    """A scrambled net keeps the property: 64 points, one in each cell of an 8 x 8 board."""
    for seed in range(5):
        cells = (unit(SQUARE, points(SQUARE, 64, seed)) * 8).astype(int)
        assert len({tuple(cell) for cell in cells.tolist()}) == 64


def test_it_is_scrambled_by_the_seed() -> None:
    one, two = points(SQUARE, 8, seed=1), points(SQUARE, 8, seed=2)
    assert one != two
    assert {"x": 0.0, "y": 0.0} not in one + two, "the bare sequence starts at the origin"


def test_the_same_however_it_is_asked_for() -> None:
    wanted = points(SQUARE, 200)
    assert points(SQUARE, 200, n_at_a_time=1) == wanted
    assert points(SQUARE, 200, n_at_a_time=200) == wanted
    assert points(SQUARE, 70) == wanted[:70], "later blocks go on with the same sequence"
    assert len({str(config) for config in wanted}) == 200


def test_the_same_in_another_process() -> None:
    code = (
        "import json; from tests.search.test_sobol import *;"
        "print(json.dumps(points(SQUARE, 40, seed=3)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join([".", *sys.path])},
    )
    assert json.loads(done.stdout) == points(SQUARE, 40, seed=3)


def test_scales_are_filled_evenly() -> None:
    space = Space(
        lr=Float(1e-4, 1e0, log=True),
        momentum=Float(0.9, 0.9999, log="reverse"),
        batch=Int(1, 4),
        act=Choice("a", "b", "c", "d"),
    )
    configs = points(space, 64)
    decades = np.histogram([np.log10(c["lr"]) for c in configs], bins=4, range=(-4, 0))[0]
    assert decades.tolist() == [16] * 4
    distances = [-np.log10(1 - c["momentum"]) for c in configs]
    assert np.histogram(distances, bins=4, range=(1, 4))[0].tolist() == [16] * 4
    assert [sum(c["batch"] == k for c in configs) for k in range(1, 5)] == [16] * 4
    assert [sum(c["act"] == k for c in configs) for k in "abcd"] == [16] * 4


def test_relations_are_respected_and_points_told_apart() -> None:
    space = Space(x=Float(0, 1), y=Float(0, 1)).require("x < y")
    configs = points(space, 50)
    assert all(config["x"] < config["y"] for config in configs)
    assert len({str(config) for config in configs}) == 50


def test_where_relations_leave_almost_nothing_it_samples() -> None:
    space = Space(x=Float(0, 1), y=Float(0, 1)).require("x < 0.0005")
    assert all(config["x"] < 0.0005 for config in points(space, 6))


def test_a_sequence_that_has_run_dry_stays_so_however_it_is_asked_for() -> None:
    space = Space(a=Int(1, 2000), b=Int(1, 2000)).require("a == b")
    in_turn = Sequence(space, 7)
    configs = [in_turn.config(k) for k in range(6)]
    assert configs == [Sequence(space, 7).config(k) for k in range(6)]
    assert configs[0] is not None
    assert configs[-1] is None


def test_it_says_which_point_it_is() -> None:
    ledger = Ledger(StudySpec(name="s", space=SQUARE))
    ledger.apply(events.Enqueued(0.0, 0, {"x": 0.5, "y": 0.5}, Origin(USER)))
    first, second = Sobol().suggest(SQUARE, History(ledger), 2, stream(0, 1, "suggest"))
    assert (first.why, second.why) == ("Sobol point 1", "Sobol point 2")
    assert [first.config, second.config] == points(SQUARE, 3)[1:]


def test_spaces_without_parameters() -> None:
    assert points(Space(a=1), 2) == [{"a": 1}, {"a": 1}]
