"""Functions with known minima, and small models of tuning: choices, branches, noise.

Sources: Surjanovic & Bingham, "Virtual Library of Simulation Experiments" (hartmann, ackley,
levy, michalewicz); the mixed ones are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from problems import Config, Half, Problem, figures, gaussian
from tunesmith import Choice, Float, Int, Space

Floats = NDArray[np.float64]

_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)  # fmt: skip
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


def _cube(half: Half, function: Callable[[Floats], float], *ranges: tuple[float, float]) -> Problem:
    space = Space({f"x{j}": Float(low, high) for j, (low, high) in enumerate(ranges)})

    def true(config: Config) -> float:
        return function(np.array([config[f"x{j}"] for j in range(len(ranges))]))

    name = f"{function.__name__}{len(ranges)}"
    return Problem(name, half, space, true, tags=("synthetic",))


def optimizers() -> Problem:
    """An optimizer, each with a best learning rate of its own; momentum for two of them."""
    base = {"sgd": 0.0, "adam": 0.15, "rmsprop": 0.3, "adadelta": 0.5}
    rate = {"sgd": -1.6, "adam": -2.9, "rmsprop": -3.4, "adadelta": -1.1}
    activation = {"relu": 0.05, "tanh": 0.2, "gelu": 0.0}
    space = Space(
        optimizer=Choice(*base),
        learning_rate=Float(1e-5, 1.0, log=True),
        activation=Choice(*activation),
        layers=Int(1, 8),
        units=Int(16, 512, log=True),
        dropout=Float(0.0, 0.7),
        momentum=Float(0.0, 0.99, when={"optimizer": ["sgd", "rmsprop"]}),
    )

    def true(c: Config) -> float:
        value = base[c["optimizer"]] + activation[c["activation"]]
        value += 0.25 * (math.log10(c["learning_rate"]) - rate[c["optimizer"]]) ** 2
        value += 0.04 * (c["layers"] - 3) ** 2 + 0.05 * (math.log(c["units"]) - 4.8) ** 2
        value += 0.6 * (c["dropout"] - 0.25) ** 2
        return float(value + (c["momentum"] - 0.8) ** 2 if "momentum" in c else value)

    return Problem("optimizers", "dev", space, true, tags=("synthetic",))


def cells() -> Problem:
    """Two choices of four; each of the 16 cells has a basin of its own."""
    rng = default_rng(100)
    centre, depth = rng.uniform(0.1, 0.9, (4, 4, 3)), rng.uniform(0.1, 0.8, (4, 4))
    depth[rng.integers(4), rng.integers(4)] = 0.0
    space = Space(a=Choice(*"pqrs"), b=Choice(*"wxyz"), x=Float(0, 1), y=Float(0, 1), z=Float(0, 1))

    def true(c: Config) -> float:
        at = "pqrs".index(c["a"]), "wxyz".index(c["b"])
        away = np.array([c["x"], c["y"], c["z"]]) - centre[at]
        return float(depth[at] + 2 * (away**2).sum())

    return Problem("cells", "final", space, true, tags=("synthetic",))


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

    def true(c: Config) -> float:
        if c["model"] == "linear":
            value = 0.35 + 0.01 * math.log10(c["penalty"] / 0.03) ** 2
            return value + (0.0 if c["scale"] else 0.1)
        if c["model"] == "net":
            value = 0.12 + 0.12 * math.log10(c["rate"] / 8e-4) ** 2
            value += 0.04 * math.log(c["width"] / 90) ** 2
            return value + (0.0 if c["scale"] else 0.3)
        value = 0.01 * float(c["depth"] - (5 if c["kind"] == "boosted" else 9)) ** 2
        if c["kind"] == "forest":
            return value + 0.22 + 0.05 * math.log10(1000 / c["trees"])
        steps = math.log10(c["trees"] * c["shrinkage"] / 25)
        return value + 0.2 * steps**2 + 0.05 * math.log10(c["shrinkage"] / 0.03) ** 2

    return Problem("pipeline", "final", space, true, tags=("synthetic",))


def grids() -> Problem:
    """Steps, ordered choices and a relation: the dimensions of a small convolutional network."""
    space = Space(
        filters=Choice(8, 16, 32, 64, 128, ordered=True),
        kernel=Int(1, 11, step=2),
        stride=Int(1, 4),
        padding=Int(0, 5),
        pooling=Choice("max", "average", "none"),
        dropout=Float(0.0, 0.6, step=0.05),
        rate=Float(1e-5, 1e-1, log=True),
    ).require("padding <= kernel")

    def true(c: Config) -> float:
        size = (32 + 2 * c["padding"] - c["kernel"]) // c["stride"] + 1
        value = 0.05 * (math.log2(c["filters"]) - 6) ** 2 + 0.02 * (c["kernel"] - 5) ** 2
        value += (
            0.4 * math.log(32 / size) ** 2
            + {"max": 0.0, "average": 0.1, "none": 0.25}[c["pooling"]]
        )
        value += 2 * (c["dropout"] - 0.3) ** 2
        return float(
            value + 0.15 * (math.log10(c["rate"]) + 2.7 + 0.3 * math.log2(c["stride"])) ** 2
        )

    return Problem("grids", "dev", space, true, tags=("synthetic",))


def _noisy(base: Problem, share: float = 0.2) -> Problem:
    """With Gaussian noise of a share of the distance from the best value to the random median."""
    known = figures().get(base.name, {"median": 1.0, "best": 0.0})
    sd = share * (known["median"] - known["best"])
    return Problem(f"{base.name}+noise", base.half, base.space, base.true, gaussian(sd), base.tags)


def error_rate(base: Problem) -> Problem:
    """The share of 300 test cases that are wrong: a noise that shrinks as values get better."""

    def true(config: Config) -> float:
        return 0.05 + 0.6 * (1 - math.exp(-0.8 * base.true(config)))

    def noise(value: float, rng: Generator) -> float:
        return float(rng.binomial(300, value)) / 300

    return Problem(f"{base.name}+errors", base.half, base.space, true, noise, base.tags)


def problems() -> Iterator[Problem]:
    yield _cube("dev", hartmann, *[(0, 1)] * 6)
    yield _cube("dev", levy, *[(-10, 10)] * 8)
    yield _noisy(optimizers())
    yield grids()
    yield _cube("final", ackley, *[(-15, 30)] * 10)
    yield _cube("final", michalewicz, *[(0, math.pi)] * 5)
    yield pipeline()
    yield error_rate(cells())
