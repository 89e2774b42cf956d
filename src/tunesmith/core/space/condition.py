"""When a parameter is active."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.core.errors import SpaceError, did_you_mean
from tunesmith.core.space.expression import Expression
from tunesmith.core.space.parameter import Parameter, identity


class Condition:
    """When a parameter is active: a mapping of parents to values, or an expression."""

    def __init__(
        self, parents: frozenset[str], test: Callable[[Mapping[str, Any]], bool], text: str
    ) -> None:
        self.parents = parents
        self.text = text
        self._test = test

    def __call__(self, config: Mapping[str, Any]) -> bool:
        """Whether it holds; False if a parent is inactive (absent from `config`)."""
        return all(parent in config for parent in self.parents) and self._test(config)

    @classmethod
    def of(
        cls, name: str, when: Mapping[str, Any] | str, known: Mapping[str, Parameter]
    ) -> Condition:
        """Read a ``when=``; raises SpaceError if it names what `known` does not have."""
        if isinstance(when, str):
            expression = Expression(when)
            expression.check(known, {n: p.standard() for n, p in known.items()})
            if not expression.names:
                raise SpaceError(f"{name}: when={when!r} names no parameter")
            return cls(expression.names, expression.holds, when)
        allowed: dict[str, dict[Any, Any]] = {}
        for parent, value in when.items():
            if parent not in known:
                raise SpaceError(
                    f"{name}: when= names {parent!r}, which is no parameter{did_you_mean(parent, known)}"
                )
            values = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
            for v in values:
                if why := known[parent].problem(v):
                    raise SpaceError(f"{name}: its condition can never hold: {parent} {why}")
            allowed[parent] = {identity(known[parent].clean(v)): v for v in values}

        def test(config: Mapping[str, Any]) -> bool:
            return all(identity(config[parent]) in values for parent, values in allowed.items())

        text = " and ".join(
            f"{p} = {' or '.join(map(str, vs.values()))}" for p, vs in allowed.items()
        )
        return cls(frozenset(allowed), test, text)
