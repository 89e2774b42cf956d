"""Problems of numbers alone, beside those of `synthetic` and `surrogates`: half for developing, half kept aside.

Sources: Surjanovic & Bingham, "Virtual Library of Simulation Experiments"; `valley` is a quadratic function that is turned, a
thousand times as steep along one axis as along another. Where their optima are is drawn for each seed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from problems import Problem
from problems.surrogates import lcbench
from problems.synthetic import HARTMANN, MICHALEWICZ, ackley, cube, hartmann, levy, michalewicz

Floats = NDArray[np.float64]

#: lcbench's data sets that none of the other problems has.
DEV: Final = ("126029", "167152", "168910", "189905")
FINAL: Final = ("167184", "167190", "167200", "189909")
_SHEKEL: Final = np.array(
    [[4, 1, 8, 6, 3, 2, 5, 8, 6, 7], [4, 1, 8, 6, 7, 9, 3, 1, 2, 3.6],
     [4, 1, 8, 6, 3, 2, 5, 8, 6, 7], [4, 1, 8, 6, 7, 9, 3, 1, 2, 3.6]]
).T  # fmt: skip
_WIDTHS: Final = 0.1 * np.array([1, 2, 2, 4, 4, 6, 3, 7, 5, 5])
#: Where Shekel's minimum is.
SHEKEL: Final = (4.000747, 3.999509, 4.000747, 3.999509)


def rosenbrock(x: Floats) -> float:
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def styblinski(x: Floats) -> float:
    return float((x**4 - 16 * x**2 + 5 * x).sum() / 2)


def griewank(x: Floats) -> float:
    waves = np.cos(x / np.sqrt(np.arange(1, len(x) + 1))).prod()
    return float((x * x).sum() / 4000 - waves + 1)


def dixon(x: Floats) -> float:
    k = np.arange(2, len(x) + 1)
    return float((x[0] - 1) ** 2 + (k * (2 * x[1:] ** 2 - x[:-1]) ** 2).sum())


def shekel(x: Floats) -> float:
    return float(-(1 / (((x - _SHEKEL) ** 2).sum(1) + _WIDTHS)).sum())


def rastrigin(x: Floats) -> float:
    return float((x * x - 10 * np.cos(2 * math.pi * x)).sum() + 10 * len(x))


def valley(x: Floats) -> float:
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((len(x), len(x))))[0]
    return float((10.0 ** np.linspace(0, 3, len(x)) * (turn @ x) ** 2).sum())


def problems() -> Iterator[Problem]:
    dixons = [2.0 ** -((2.0**k - 2) / 2.0**k) for k in range(1, 5)]
    made = [
        cube("dev", rosenbrock, [(-5, 10)] * 6, [1.0] * 6),
        cube("dev", styblinski, [(-5, 5)] * 5, [-2.903534] * 5),
        cube("dev", griewank, [(-50, 50)] * 4, [0.0] * 4),
        cube("dev", ackley, [(-15, 30)] * 5, [0.0] * 5),
        cube("dev", valley, [(-1, 1)] * 6, [0.0] * 6),
        cube("final", dixon, [(-10, 10)] * 4, dixons),
        cube("final", michalewicz, [(0, math.pi)] * 4, MICHALEWICZ[:4]),
        cube("final", shekel, [(0, 10)] * 4, SHEKEL),
        cube("final", levy, [(-10, 10)] * 4, [1.0] * 4),
        cube("final", ackley, [(-15, 30)] * 3, [0.0] * 3),
        cube("final", rastrigin, [(-5.12, 5.12)] * 3, [0.0] * 3),
    ]
    for problem in made:
        yield replace(problem, tags=("numbers",))
    # as in `synthetic`, under a name of its own
    hart = cube("dev", hartmann, [(0, 1)] * 6, HARTMANN)
    yield replace(hart, name="hartmann6/moved", tags=("numbers",))
    root = Path(os.environ.get("SURROGATES", "surrogates"))
    if root.is_dir():
        for name in (*DEV, *FINAL):
            yield lcbench(root, name, "dev" if name in DEV else "final")
