"""Functions with known minima, and small models of tuning: choices, branches, noise.

Sources: Surjanovic & Bingham, "Virtual Library of Simulation Experiments" (hartmann, ackley,
levy, michalewicz); the mixed ones are ours. Where their optima are is drawn for each seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from problems import Config, Half, Problem, figures, gaussian
from tunesmith import Choice, Float, Int, Space

Floats = NDArray[np.float64]
Move: TypeAlias = Callable[[Generator], Callable[[Config], float]]

_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)  # fmt: skip
#: Where the minima are.
HARTMANN = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)
MICHALEWICZ = (2.202906, 1.570796, 1.284992, 1.923058, 1.720470)
_P = 1e-4 * np.array(
    [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
     [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]
)  # fmt: skip


def hartmann(x: Floats) -> float:
    return float(-np.array([1, 1.2, 3, 3.2]) @ np.exp(-(_A * (x - _P) ** 2).sum(1)))


def ackley(x: Floats) -> float:
    bowl = -20 * np.exp(-0.2 * np.sqrt((x * x).mean()))
    return float(bowl - np.exp(np.cos(2 * math.pi * x).mean()) + 20 + math.e)


def levy(x: Floats) -> float:
    w = 1 + (x - 1) / 4
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)).sum()
    last = (w[-1] - 1) ** 2 * (1 + np.sin(2 * math.pi * w[-1]) ** 2)
    return float(np.sin(math.pi * w[0]) ** 2 + middle + last)


def michalewicz(x: Floats) -> float:
    k = np.arange(1, len(x) + 1)
    return float(-(np.sin(x) * np.sin(k * x * x / math.pi) ** 20).sum())


def cube(
    half: Half,
    function: Callable[[Floats], float],
    ranges: Sequence[tuple[float, float]],
    optimum: Sequence[float],
) -> Problem:
    """A function that is defined, and nowhere lower, outside the ranges as well: it is shifted so that its optimum
    is at random in the middle 70 % of every range."""
    space = Space({f"x{j}": Float(low, high) for j, (low, high) in enumerate(ranges)})
    width = np.array([high - low for low, high in ranges])
    start = np.array([low for low, _ in ranges])

    def at(offset: Floats) -> Callable[[Config], float]:
        def true(config: Config) -> float:
            return function(np.array([config[f"x{j}"] for j in range(len(ranges))]) + offset)

        return true

    def moved(rng: Generator) -> Callable[[Config], float]:
        return at(np.array(optimum) - (start + width * rng.uniform(0.15, 0.85, len(ranges))))

    name = f"{function.__name__}{len(ranges)}"
    return Problem(name, half, space, at(np.zeros(len(ranges))), tags=("synthetic",), moved=moved)


def _own(half: Half, name: str, space: Space, moved: Move) -> Problem:
    return Problem(name, half, space, moved(default_rng(0)), tags=("synthetic",), moved=moved)


def _shuffled(rng: Generator, levels: Mapping[str, float]) -> dict[str, float]:
    """The same levels, for other names."""
    return dict(zip(levels, rng.permutation(list(levels.values())).tolist(), strict=True))


def optimizers() -> Problem:
    """An optimizer, each with a best learning rate of its own; momentum for two of them."""
    bases = {"sgd": 0.0, "adam": 0.15, "rmsprop": 0.3, "adadelta": 0.5}
    activations = {"relu": 0.05, "tanh": 0.2, "gelu": 0.0}
    space = Space(
        optimizer=Choice(*bases),
        learning_rate=Float(1e-5, 1.0, log=True),
        activation=Choice(*activations),
        layers=Int(1, 8),
        units=Int(16, 512, log=True),
        dropout=Float(0.0, 0.7),
        momentum=Float(0.0, 0.99, when={"optimizer": ["sgd", "rmsprop"]}),
    )

    def moved(rng: Generator) -> Callable[[Config], float]:
        base, activation = _shuffled(rng, bases), _shuffled(rng, activations)
        rate = {name: rng.uniform(-4.0, -1.0) for name in bases}
        layers, units = rng.integers(2, 8), math.log(rng.integers(30, 260))
        dropout, momentum = rng.uniform(0.1, 0.6), rng.uniform(0.15, 0.85)

        def true(c: Config) -> float:
            value = base[c["optimizer"]] + activation[c["activation"]]
            value += 0.25 * (math.log10(c["learning_rate"]) - rate[c["optimizer"]]) ** 2
            value += 0.04 * float(c["layers"] - layers) ** 2
            value += (
                0.05 * (math.log(c["units"]) - units) ** 2 + 0.6 * (c["dropout"] - dropout) ** 2
            )
            return float(value + (c["momentum"] - momentum) ** 2 if "momentum" in c else value)

        return true

    return _own("dev", "optimizers", space, moved)


def cells() -> Problem:
    """Two choices of four; each of the 16 cells has a basin of its own."""
    space = Space(a=Choice(*"pqrs"), b=Choice(*"wxyz"), x=Float(0, 1), y=Float(0, 1), z=Float(0, 1))

    def moved(rng: Generator) -> Callable[[Config], float]:
        centre, depth = rng.uniform(0.1, 0.9, (4, 4, 3)), rng.uniform(0.1, 0.8, (4, 4))
        depth[rng.integers(4), rng.integers(4)] = 0.0

        def true(c: Config) -> float:
            at = "pqrs".index(c["a"]), "wxyz".index(c["b"])
            away = np.array([c["x"], c["y"], c["z"]]) - centre[at]
            return float(depth[at] + 2 * (away**2).sum())

        return true

    return _own("final", "cells", space, moved)


def pipeline() -> Problem:
    """Three branches, two deep: a model, its kind, and what only that kind has."""
    space = Space(
        model=Choice("trees", "net", "linear"),
        kind=Choice("forest", "boosted", when={"model": "trees"}),
        trees=Int(10, 1000, log=True, when={"model": "trees"}),
        shrinkage=Float(1e-3, 1.0, log=True, when={"kind": "boosted"}),
        depth=Int(1, 12, when={"model": "trees"}),
        rate=Float(1e-5, 1e-1, log=True, when={"model": "net"}),
        width=Int(8, 256, log=True, when={"model": "net"}),
        penalty=Float(1e-6, 1e2, log=True, when={"model": "linear"}),
        scale=Choice(True, False),
    )

    def moved(rng: Generator) -> Callable[[Config], float]:
        floor = _shuffled(rng, {"trees": 0.0, "net": 0.12, "linear": 0.35})
        scaled = bool(rng.integers(2))
        depths = {"boosted": int(rng.integers(3, 10)), "forest": int(rng.integers(3, 11))}
        few, many = rng.uniform(1.6, 2.7), rng.uniform(1.6, 2.8)
        shrinkage, penalty = rng.uniform(-2.3, -0.5), rng.uniform(-4.5, 0.5)
        rate, width = rng.uniform(-4.2, -1.8), rng.uniform(2.8, 4.8)

        def true(c: Config) -> float:
            value = floor[c["model"]]
            wrong = c["scale"] is not scaled
            if c["model"] == "linear":
                value += 0.01 * (math.log10(c["penalty"]) - penalty) ** 2
                return value + (0.1 if wrong else 0.0)
            if c["model"] == "net":
                value += 0.12 * (math.log10(c["rate"]) - rate) ** 2
                value += 0.04 * (math.log(c["width"]) - width) ** 2
                return value + (0.3 if wrong else 0.0)
            value += 0.01 * float(c["depth"] - depths[c["kind"]]) ** 2
            if c["kind"] == "forest":
                return value + 0.22 + 0.05 * (math.log10(c["trees"]) - many) ** 2
            steps = math.log10(c["trees"] * c["shrinkage"]) - few - shrinkage
            return value + 0.2 * steps**2 + 0.05 * (math.log10(c["shrinkage"]) - shrinkage) ** 2

        return true

    return _own("final", "pipeline", space, moved)


def grids() -> Problem:
    """Steps, ordered choices and a relation: the dimensions of a small convolutional network."""
    poolings = {"max": 0.0, "average": 0.1, "none": 0.25}
    space = Space(
        filters=Choice(8, 16, 32, 64, 128, ordered=True),
        kernel=Int(1, 11, step=2),
        stride=Int(1, 4),
        padding=Int(0, 5),
        pooling=Choice(*poolings),
        dropout=Float(0.0, 0.6, step=0.05),
        rate=Float(1e-5, 1e-1, log=True),
    ).require("padding <= kernel")

    def size(stride: int, padding: int, kernel: int) -> int:
        return (32 + 2 * padding - kernel) // stride + 1

    def moved(rng: Generator) -> Callable[[Config], float]:
        filters, kernel = int(rng.integers(4, 7)), int(rng.choice([3, 5, 7, 9]))
        goal = size(int(rng.integers(2, 4)), int(rng.integers(1, min(kernel, 4) + 1)), kernel)
        pooling, dropout = _shuffled(rng, poolings), 0.05 * int(rng.integers(2, 11))
        rate = rng.uniform(-3.5, -2.0)

        def true(c: Config) -> float:
            value = 0.05 * (math.log2(c["filters"]) - filters) ** 2
            value += 0.02 * float(c["kernel"] - kernel) ** 2
            value += 0.4 * math.log(goal / size(c["stride"], c["padding"], c["kernel"])) ** 2
            value += pooling[c["pooling"]] + 2 * (c["dropout"] - dropout) ** 2
            off = math.log10(c["rate"]) - rate + 0.3 * math.log2(c["stride"])
            return float(value + 0.15 * off**2)

        return true

    return _own("dev", "grids", space, moved)


def _noisy(base: Problem, share: float = 0.2) -> Problem:
    """With Gaussian noise of a share of the distance from the best value to the random median."""
    known = figures().get(base.name, {"median": 1.0, "best": 0.0})
    sd = share * (known["median"] - known["best"])
    return replace(base, name=f"{base.name}+noise", noise=gaussian(sd))


def error_rate(base: Problem) -> Problem:
    """The share of 300 test cases that are wrong: a noise that shrinks as values get better."""

    def wrong(true: Callable[[Config], float]) -> Callable[[Config], float]:
        return lambda config: 0.05 + 0.6 * (1 - math.exp(-0.8 * true(config)))

    def noise(value: float, rng: Generator) -> float:
        return float(rng.binomial(300, value)) / 300

    assert base.moved is not None
    move = base.moved
    return replace(
        base, name=f"{base.name}+errors", true=wrong(base.true), noise=noise,
        moved=lambda rng: wrong(move(rng)),
    )  # fmt: skip


def problems() -> Iterator[Problem]:
    yield cube("dev", hartmann, [(0, 1)] * 6, HARTMANN)
    yield cube("dev", levy, [(-10, 10)] * 8, [1.0] * 8)
    yield _noisy(optimizers())
    yield grids()
    yield cube("final", ackley, [(-15, 30)] * 10, [0.0] * 10)
    yield cube("final", michalewicz, [(0, math.pi)] * 5, MICHALEWICZ)
    yield pipeline()
    yield error_rate(cells())
