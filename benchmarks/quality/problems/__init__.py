"""What is tuned. Half of the problems are for developing, half are looked at for the report only.

Every objective is minimised. `Problem.true` is the noise-free value, by which a recommended config
is judged; `Problem.observe` is what a tuner is told. Regrets are normalised by `figures.json`:
0 is the best value known, 1 the median of random configs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from numpy.random import Generator

from tunesmith import Space

Config: TypeAlias = dict[str, Any]
Half: TypeAlias = Literal["dev", "final"]
FIGURES = Path(__file__).parent / "figures.json"


@dataclass(frozen=True)
class Problem:
    """`noise`, if given, turns a true value into an observed one."""

    name: str
    half: Half
    space: Space
    true: Callable[[Config], float]
    noise: Callable[[float, Generator], float] | None = None
    tags: tuple[str, ...] = field(default=())

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
    from problems import live, surrogates, synthetic

    every = [*synthetic.problems(), *surrogates.problems(), *live.problems()]
    return {problem.name: problem for problem in every}
