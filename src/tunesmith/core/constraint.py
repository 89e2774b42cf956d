"""A constraint: a bound on metrics that a trial's results have to keep, such as ``memory <= 4e9``.

What is known before a trial, because it names parameters alone, is a relation of the space (`Space.require`): no config
that breaks it is proposed. A constraint is known after a trial, or while it reports: a trial that breaks one is evidence,
and never the best.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any, Final

from tunesmith.core.errors import ExpressionError, StudyError
from tunesmith.core.objective import Objective
from tunesmith.core.space.expression import Evaluate, Expression
from tunesmith.core.space.space import Space
from tunesmith.core.trial import Cost

#: What a constraint may name though no trial reports it: what the trial itself took.
COSTS: Final = ("wall_s", "cpu_s", "memory_bytes", "money")
#: By how much a constraint is broken for which a number is missing, or is none.
WORST: Final = math.inf


@dataclass(frozen=True, slots=True)
class Constraint:
    """One of them; equal to another one with the same text."""

    text: str
    expression: Expression = field(init=False, repr=False, compare=False)
    _excess: Evaluate = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise StudyError(f"a constraint is a text such as 'memory <= 4e9', not {self.text!r}")
        try:
            expression = Expression(self.text)
        except ExpressionError as error:
            raise StudyError(f"constraints: {error}") from None
        if not expression.compares or not expression.names:
            raise StudyError(
                f"a constraint compares a metric with something, such as 'memory <= 4e9'; {self.text!r} does not"
            )
        object.__setattr__(self, "expression", expression)
        object.__setattr__(self, "_excess", expression.excess())

    def metrics(self, space: Space) -> frozenset[str]:
        """The metrics that it names: what is no parameter of `space`."""
        return self.expression.names - set(space)

    def excess(self, space: Space, values: Mapping[str, Any]) -> float:
        """By how much results (see `values_of`) break it: at most 0 where they keep it, NaN where a parameter that it names
        is inactive (then it says nothing), `WORST` where a metric is missing or no number."""
        missing = [name for name in self.expression.names if name not in values]
        if missing:
            return math.nan if all(name in space for name in missing) else WORST
        try:
            excess, holds = float(self._excess(values)), bool(self.expression(values))
        except (ArithmeticError, ValueError, TypeError):
            return WORST
        if excess != excess:
            return WORST
        return min(excess, 0.0) if holds else max(excess, _LEAST)

    def __str__(self) -> str:
        return self.text


#: What breaks a constraint by nothing (``<`` of two equal numbers) breaks it by this.
_LEAST: Final = 5e-324


def constraints_of(constraints: Any, at_most: Any = None, at_least: Any = None) -> list[Constraint]:
    """Constraints as users write them: texts, and bounds by metric. Raises StudyError."""
    if isinstance(constraints, str):
        constraints = [constraints]
    if not isinstance(constraints, Sequence):
        raise StudyError(
            f"constraints is a list of texts such as 'memory <= 4e9', not {constraints!r}"
        )
    texts = [c.text if isinstance(c, Constraint) else c for c in constraints]
    for name, bounds, sign in (("at_most", at_most, "<="), ("at_least", at_least, ">=")):
        if bounds is None:
            continue
        if not isinstance(bounds, Mapping):
            raise StudyError(
                f"{name} is a number for each of some metrics, such as {{'seconds': 60}}, not {bounds!r}"
            )
        for metric, bound in bounds.items():
            if (
                isinstance(bound, bool)
                or not isinstance(bound, (int, float))
                or not math.isfinite(bound)
            ):
                raise StudyError(f"{name}: the bound of {metric!r} is a number, not {bound!r}")
            texts.append(f"{_spelt(str(metric))} {sign} {bound!r}")
    return [Constraint(text) for text in dict.fromkeys(texts)]


def _spelt(metric: str) -> str:
    """A metric's name as the language of expressions has it."""
    plain = all(part.isidentifier() and not iskeyword(part) for part in metric.split("."))
    return metric if plain else f"metric({metric!r})"


def check(
    constraints: Collection[Constraint], space: Space, objectives: Sequence[Objective]
) -> None:
    """Raise StudyError for a name that is both a parameter and an objective: which one is meant?"""
    both = {objective.metric for objective in objectives} & set(space)
    for constraint in constraints:
        for name in sorted(constraint.expression.names & both):
            raise StudyError(
                f"constraint {constraint.text!r}: {name!r} is a parameter and an objective's metric; give one of them "
                "another name"
            )


def values_of(
    config: Mapping[str, Any], metrics: Mapping[str, float | None], cost: Cost
) -> dict[str, Any]:
    """What constraints are judged by: parameters, metrics, and what the trial took."""
    took = {name: value for name in COSTS if (value := getattr(cost, name)) is not None}
    numbers = {name: math.nan if value is None else value for name, value in metrics.items()}
    return {**took, **numbers, **config}
