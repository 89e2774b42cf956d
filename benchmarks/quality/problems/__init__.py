"""What is tuned. Half of the problems are for developing, half are looked at for the report only.

Every objective is minimised. `Problem.true` is the noise-free value, by which configs are judged; `Problem.observe`
is what a tuner is told. Regrets are normalised: 0 is the best value known (`figures.json`), 1 the median of random
configs.

The optimum of a synthetic function is at another place for each seed (`Problem.of_seed`), the same for every tuner:
a tuner that begins at the centre of the space does not find it by luck. Its best value stays what it is; the median of
random configs is of each place.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.random import Generator, default_rng

from tunesmith import Space

Config: TypeAlias = dict[str, Any]
Half: TypeAlias = Literal["dev", "final"]
FIGURES = Path(__file__).parent / "figures.json"
#: Random configs by which the median of a problem that moves is measured.
SAMPLE = 500


@dataclass(frozen=True)
class Problem:
    """`noise`, if given, turns a true value into an observed one; `moved` makes `true` with its optimum at random."""

    name: str
    half: Half
    space: Space
    true: Callable[[Config], float]
    noise: Callable[[float, Generator], float] | None = None
    tags: tuple[str, ...] = field(default=())
    moved: Callable[[Generator], Callable[[Config], float]] | None = None

    def of_seed(self, seed: int) -> Problem:
        """With the optimum where it is for this seed; itself where nothing moves."""
        if self.moved is None:
            return self
        return replace(self, true=self.moved(default_rng([seed, 23])), moved=None)

    def median(self, seed: int) -> float:
        """Of random configs, for this seed."""
        if self.moved is None:
            return self.figure["median"]
        here, rng = self.of_seed(seed), default_rng(0)
        return float(np.median([here.true(self.space.sample(rng)) for _ in range(SAMPLE)]))

    @property
    def figure(self) -> dict[str, float]:
        """Its `best` known and `median`, of its base name where it is a noisy one."""
        known = figures()
        return known[self.name if self.name in known else self.name.removesuffix("+noise")]

    def observe(self, config: Config, rng: Generator) -> float:
        value = self.true(config)
        return value if self.noise is None else self.noise(value, rng)

    @property
    def mixed(self) -> bool:
        """Whether it has unordered choices (conditions among them)."""
        return any("choice" in form and not form.get("ordered") for form in forms(self.space))

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the report groups by."""
        own = ("mixed",) if self.mixed else ("numeric",)
        return (*self.tags, *own, "noisy" if self.noise else "noise-free")


def forms(space: Space) -> list[dict[str, Any]]:
    """The parameters of a space in their dict forms."""
    return [form for name, form in space.to_dict().items() if name != "require"]


def gaussian(sd: float) -> Callable[[float, Generator], float]:
    return lambda value, rng: value + sd * float(rng.standard_normal())


@cache
def figures() -> dict[str, dict[str, float]]:
    """For each problem's base name: `best` known and `median` of random configs."""
    found: dict[str, dict[str, float]] = json.loads(FIGURES.read_text())
    return found


@cache
def problems() -> dict[str, Problem]:
    """All problems by name. Surrogates are left out where their data are not to be had."""
    from problems import live, numbers, surrogates, synthetic, trained

    made = [synthetic, surrogates, live, trained, numbers]
    every = [problem for module in made for problem in module.problems()]
    return {problem.name: problem for problem in every}
