"""Relations that are linear in their parameters, or in their logarithms, read from their syntax trees."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from tunesmith.core.space.expression import dotted_name

#: Coefficients by parameter, and a constant.
Sides: TypeAlias = tuple[dict[str, float], float]
#: The same, and whether it is of logarithms.
Form: TypeAlias = tuple[dict[str, float], float, bool]


class Bounded(Protocol):
    """A variable, as far as reading depends on it."""

    @property
    def low(self) -> float: ...
    @property
    def whole(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Linear:
    """``sum(terms[name] * t) <= bound`` (or ``==``), t a value or, with `log`, its logarithm."""

    terms: dict[str, float]
    bound: float
    equal: bool
    log: bool


def linear_parts(
    tree: ast.expr, variables: Mapping[str, Bounded], constants: Mapping[str, Any]
) -> list[Linear]:
    """The parts of a relation that are linear; the others are left out."""
    if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
        return [c for part in tree.values for c in linear_parts(part, variables, constants)]
    if not isinstance(tree, ast.Compare):
        return []
    terms = [tree.left, *tree.comparators]
    read: list[Linear] = []
    for left, op, right in zip(terms, tree.ops, terms[1:], strict=False):
        if isinstance(op, (ast.Gt, ast.GtE)):
            left, right = right, left
        if isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq)):
            strict = isinstance(op, (ast.Lt, ast.Gt))
            form = _difference(left, right, variables, constants)
            if form is not None:
                read.append(
                    _constraint(form, variables, equal=isinstance(op, ast.Eq), strict=strict)
                )
    return [c for c in read if c.terms]


def _constraint(
    form: Form, variables: Mapping[str, Bounded], *, equal: bool, strict: bool
) -> Linear:
    terms, constant, log = form
    terms = {name: a for name, a in terms.items() if a != 0.0}
    bound = -constant
    whole = all(variables[n].whole and a == round(a) for n, a in terms.items())
    if strict and not log and whole:
        bound = math.ceil(bound - 1e-9) - 1.0
    return Linear(terms, bound, equal, log)


def _difference(
    left: ast.expr,
    right: ast.expr,
    variables: Mapping[str, Bounded],
    constants: Mapping[str, Any],
) -> Form | None:
    """``left - right`` as a linear form, or that of their logarithms; None if it is neither."""
    for log in (False, True):
        one = _form(left, variables, constants, log)
        other = _form(right, variables, constants, log)
        if one is not None and other is not None:
            return (*_plus(one, other, -1.0), log)
    return None


def _form(
    node: ast.expr, variables: Mapping[str, Bounded], constants: Mapping[str, Any], log: bool
) -> Sides | None:
    """Coefficients and constant of `node`, or of its logarithm; None if it is not linear."""
    name = dotted_name(node)
    if name is not None and name in variables:
        if log and variables[name].low <= 0.0:
            return None
        return {name: 1.0}, 0.0
    value = constants.get(name) if name else node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if log and value <= 0:
            return None
        return {}, math.log(value) if log else float(value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)) and not log:
        inner = _form(node.operand, variables, constants, log)
        sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
        return inner and _plus(({}, 0.0), inner, sign)
    if isinstance(node, ast.BinOp):
        a = _form(node.left, variables, constants, log)
        b = _form(node.right, variables, constants, log and not isinstance(node.op, ast.Pow))
        if a is not None and b is not None:
            return _log_joined(node.op, a, b) if log else _joined(node.op, a, b)
    return None


def _joined(op: ast.operator, a: Sides, b: Sides) -> Sides | None:
    """Two linear forms under an operator."""
    match op:
        case ast.Add():
            return _plus(a, b, 1.0)
        case ast.Sub():
            return _plus(a, b, -1.0)
        case ast.Mult() if not b[0]:
            return _plus(({}, 0.0), a, b[1])
        case ast.Mult() if not a[0]:
            return _plus(({}, 0.0), b, a[1])
        case ast.Div() if not b[0] and b[1] != 0.0:
            return _plus(({}, 0.0), a, 1.0 / b[1])
    return None


def _log_joined(op: ast.operator, a: Sides, b: Sides) -> Sides | None:
    """The logarithms of two products under an operator; an exponent is itself."""
    match op:
        case ast.Mult():
            return _plus(a, b, 1.0)
        case ast.Div():
            return _plus(a, b, -1.0)
        case ast.Pow() if not b[0]:
            return _plus(({}, 0.0), a, b[1])
    return None


def _plus(a: Sides, b: Sides, factor: float) -> Sides:
    terms = dict(a[0])
    for name, coefficient in b[0].items():
        terms[name] = terms.get(name, 0.0) + factor * coefficient
    return terms, a[1] + factor * b[1]
