"""Configs under relations that hardly any random config satisfies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core.rng import stream
from tunesmith.testing.searchers import RELATED

SPACES: dict[str, ts.Space] = {
    **RELATED,
    "strict order, one config": ts.Space({f"x{i}": ts.Int(0, 3) for i in range(4)}).require(
        "x0 < x1 < x2 < x3"
    ),
    "coefficients": ts.Space({n: ts.Int(0, 100) for n in "abc"}).require("3*a + 5*b + 7*c == 400"),
    "three factors": ts.Space({n: ts.Int(1, 4096) for n in "abc"}).require("a * b * c == 4096"),
    "a ratio": ts.Space(a=ts.Float(1, 1e4), b=ts.Float(1, 1e4)).require("0.5 <= a / b <= 0.51"),
    "equalities": ts.Space({n: ts.Int(0, 100) for n in "abcd"})
    .require("a + b == 100 and b + c == 100")
    .require("c <= d"),
    "nearer than the grid": ts.Space(lo=ts.Float(-1e6, 1e6), hi=ts.Float(-1e6, 1e6)).require(
        "lo < hi < lo + 1e-3"
    ),
}


@pytest.mark.parametrize("name", SPACES)
def test_samples_satisfy_them(name: str) -> None:
    space = SPACES[name]
    for config in [space.sample(stream(0, k, "s")) for k in range(10)] + space.samples(
        40, stream(1, 0, "s")
    ):
        assert space.contains(config)
    assert space.contains(space.corner(0.5))


@pytest.mark.parametrize("name", SPACES)
def test_the_same_stream_gives_the_same(name: str) -> None:
    space, other = SPACES[name], ts.Space.from_dict(SPACES[name].to_dict())
    space.samples(3, stream(5, 0, "other"))  # what was drawn before changes nothing
    assert space.samples(5, stream(2, 0, "s")) == other.samples(5, stream(2, 0, "s"))


def test_an_order_is_uniform_over_its_configs() -> None:
    """The k-th of n sorted uniform numbers has the mean k / (n + 1)."""
    space = SPACES["an order"]
    drawn = [list(space.sample(stream(0, k, "u")).values()) for k in range(150)]
    means = (np.mean(drawn, axis=0) - 200) / 7800
    assert means == pytest.approx(np.arange(1, 8) / 8, abs=0.06)


def test_a_sum_is_uniform_over_its_configs() -> None:
    """Whole numbers that add up: each one's mean is the same, and its spread that of a Dirichlet's."""
    space = SPACES["a sum"]
    drawn = np.array([list(space.sample(stream(0, k, "u")).values()) for k in range(300)])
    assert drawn.mean(axis=0) == pytest.approx(np.full(4, 25.0), abs=4)
    assert drawn.std(axis=0) == pytest.approx(np.full(4, 100 * np.sqrt(3 / 80)), abs=4)


def test_a_branch_is_no_rarer_for_its_relation() -> None:
    space = SPACES["under a condition"]
    kinds = [space.sample(stream(0, k, "b"))["kind"] for k in range(60)]
    assert 15 < kinds.count("a") < 45


def test_repair_stays_near() -> None:
    space = SPACES["an order"]
    config = {f"x{i}": 1000 * (i + 1) for i in range(7)} | {"x3": 3500}
    assert space.repaired(config, stream(0, 0, "r")) == config
    broken = config | {"x3": 2990}
    mended = space.repaired(broken, stream(0, 0, "r"))
    assert mended is not None
    assert space.contains(mended)
    assert sum(abs(mended[n] - broken[n]) for n in broken) <= 20


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (ts.Space(a=ts.Int(0, 5), b=ts.Int(10, 20)).require("a > b").require("a > 1"), "'a > b';"),
        (
            ts.Space(a=ts.Float(0, 1), b=ts.Float(0, 1)).require("sqrt(a*a + b*b) < 1e-5"),
            "none satisfies 'sqrt",
        ),
        (ts.Space(a=ts.Int(0, 9)).require("a < 5").require("a > 5"), "together"),
        (ts.Space(a=ts.Int(2, 9), b=ts.Int(2, 9)).require("a * b == 83"), "none satisfies 'a "),
    ],
)
def test_it_says_so_when_it_cannot(space: ts.Space, words: str) -> None:
    with pytest.raises(ts.SpaceError, match="no config was found") as caught:
        space.sample(stream(0, 0, "s"))
    assert words in str(caught.value)


def test_what_is_no_order_sum_or_product_is_drawn_until_it_holds() -> None:
    space = ts.Space(a=ts.Float(0, 1), b=ts.Float(0, 1)).require("sqrt(a*a + b*b) < 0.05")
    assert space.contains(space.sample(stream(0, 0, "s")))


def test_a_study_over_ascending_numbers() -> None:
    def total(config: dict[str, Any]) -> float:
        return float(sum(config.values()))

    for seed in (1, 2):
        result = ts.tune(total, SPACES["an order"], trials=12, seed=seed, progress=False)
        assert len(result.trials) == 12
