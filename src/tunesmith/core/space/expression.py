"""A small, safe language for conditions and relations: ``min_leaf <= max_leaf``.

The text is parsed by Python's own parser and then translated, node by node, into closures. Only the
nodes in this file exist; nothing is ever passed to ``eval``. The language has numbers, strings,
lists, parameter names (dotted names too; any other name as ``metric("eval/loss")``), ``+ - * / // % **``, comparisons (chained, ``in``),
``and or not``, ``a if b else c`` and the functions in `FUNCTIONS`.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.core.errors import ExpressionError, did_you_mean

Config = Mapping[str, Any]
Evaluate = Callable[[Config], Any]

MAX_LENGTH = 2000
MAX_EXPONENT = 1024


def _power(base: float, exponent: float) -> float:
    if abs(exponent) > MAX_EXPONENT:
        raise OverflowError(f"exponent {exponent} is beyond ±{MAX_EXPONENT}")
    return math.pow(base, exponent)


def _round(number: float, digits: int = 0) -> float:
    if abs(digits) > MAX_EXPONENT:
        raise OverflowError(f"{digits} digits are beyond ±{MAX_EXPONENT}")
    return round(number, digits)


def _numbers(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """`apply` for numbers only: ``'a' * 10**9`` must not fill the memory."""

    def applied(a: Any, b: Any) -> Any:
        if isinstance(a, (int, float)) and isinstance(b, (int, float)):
            return apply(a, b)
        raise TypeError(f"arithmetic takes numbers, not {a!r} and {b!r}")

    return applied


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "round": _round,
    "len": len,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "floor": math.floor,
    "ceil": math.ceil,
}

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: _numbers(operator.add),
    ast.Sub: _numbers(operator.sub),
    ast.Mult: _numbers(operator.mul),
    ast.Div: _numbers(operator.truediv),
    ast.FloorDiv: _numbers(operator.floordiv),
    ast.Mod: _numbers(operator.mod),
    ast.Pow: _numbers(_power),
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


class Expression:
    """One parsed expression; call it with a config that has a value for each of `names`."""

    __slots__ = ("_evaluate", "_tree", "names", "text")

    def __init__(self, text: str) -> None:
        if not text.strip():
            raise ExpressionError(f"an expression is a non-empty text, not {text!r}")
        if len(text) > MAX_LENGTH:
            raise ExpressionError(f"an expression has at most {MAX_LENGTH} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            message = error.msg if isinstance(error, SyntaxError) else str(error)
            hint = "; write '==' to compare" if "=" in text.replace("==", "") else ""
            raise ExpressionError(f"cannot read {text!r}: {message}{hint}") from None
        names: set[str] = set()
        self.text = text
        self._tree = tree.body
        try:
            self._evaluate = _translate(tree.body, text, names)
        except RecursionError:
            raise ExpressionError(f"{text[:40]!r}... is nested too deeply") from None
        self.names = frozenset(names)

    def __call__(self, config: Config) -> Any:
        """The value for `config`. ArithmeticError, TypeError and ValueError pass through."""
        return self._evaluate(config)

    def holds(self, config: Config) -> bool:
        """Whether the expression is true; a division by zero or an overflow counts as false.

        Raises ExpressionError where the types of `config` do not fit together.
        """
        try:
            return bool(self._evaluate(config))
        except (ArithmeticError, ValueError):
            return False
        except TypeError as error:
            raise self._misfit(config, error) from None

    @property
    def compares(self) -> bool:
        """Whether it says something that holds or not, as ``memory <= 4e9`` does and ``memory`` does not."""
        tree = self._tree
        negated = isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not)
        return negated or isinstance(tree, (ast.Compare, ast.BoolOp))

    def excess(self) -> Evaluate:
        """A function of a config: by how much it breaks the expression; at most 0 where it holds, NaN where that cannot
        be said.

        The left side minus the right one of a comparison, the largest of what stands between ``and``s, the least of what
        stands between ``or``s; 1 or -1 of what is no comparison of numbers.
        """
        return _excess(self._tree, self.text)

    def check(self, known: Mapping[str, Any], example: Config) -> None:
        """Raise if a name is unknown, or if the types do not fit together on `example`."""
        for name in sorted(self.names - set(known)):
            raise ExpressionError(
                f"{self.text!r} names {name!r}, which is no parameter{did_you_mean(name, known)}"
            )
        if all(name in example for name in self.names):
            try:
                self._evaluate(example)
            except ArithmeticError:
                pass
            except (TypeError, ValueError) as error:
                raise self._misfit(example, error) from None

    def _misfit(self, config: Config, error: Exception) -> ExpressionError:
        read = {name: config[name] for name in sorted(self.names)}
        return ExpressionError(f"{self.text!r} cannot be worked out for {read!r}: {error}")

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def dotted_name(node: ast.expr) -> str | None:
    """The name of a parameter in a relation, dots included; None for another kind of node."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted_name(node.value)
        return head and f"{head}.{node.attr}"
    return None


def _translate(node: ast.expr, text: str, names: set[str]) -> Evaluate:  # noqa: C901 (one case a node)
    """The closure for `node`; adds the parameter names it reads to `names`."""

    def go(child: ast.expr) -> Evaluate:
        return _translate(child, text, names)

    name = dotted_name(node)
    if name is not None:
        names.add(name)
        return lambda config: config[name]
    match node:
        case ast.Call(
            func=ast.Name(id="metric"), args=[ast.Constant(value=str() as quoted)], keywords=[]
        ):
            names.add(quoted)
            return lambda config: config[quoted]
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return lambda _: value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            parts = [go(item) for item in items]
            return lambda config: [part(config) for part in parts]
        case ast.BinOp(left=a, op=op, right=b) if type(op) in _BINARY:
            return _binary(_BINARY[type(op)], go(a), go(b))
        case ast.UnaryOp(op=op, operand=a) if type(op) in _UNARY:
            apply, inner = _UNARY[type(op)], go(a)
            return lambda config: apply(inner(config))
        case ast.BoolOp(op=op, values=values):
            parts = [go(value) for value in values]
            if isinstance(op, ast.And):
                return lambda config: all(part(config) for part in parts)
            return lambda config: any(part(config) for part in parts)
        case ast.Compare(left=first, ops=ops, comparators=others):
            if all(type(op) in _COMPARE for op in ops):
                terms = [go(first), *(go(other) for other in others)]
                return _chain([_COMPARE[type(op)] for op in ops], terms)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yes, no, which = go(body), go(orelse), go(test)
            return lambda config: yes(config) if which(config) else no(config)
        case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
            if function not in FUNCTIONS:
                raise ExpressionError(
                    f"{text!r} calls {function!r}, which does not exist"
                    f"{did_you_mean(function, FUNCTIONS)}"
                )
            call, parts = FUNCTIONS[function], [go(arg) for arg in args]
            return lambda config: call(*(part(config) for part in parts))
    raise ExpressionError(
        f"{text!r} uses {ast.unparse(node)!r}, which the language of relations does not have; "
        "it has numbers, strings, parameter names, arithmetic, comparisons, and/or/not"
    )


def _binary(apply: Callable[[Any, Any], Any], a: Evaluate, b: Evaluate) -> Evaluate:
    return lambda config: apply(a(config), b(config))


def _chain(tests: list[Callable[[Any, Any], bool]], terms: list[Evaluate]) -> Evaluate:
    if len(tests) == 1:
        return _binary(tests[0], terms[0], terms[1])

    def chained(config: Config) -> bool:
        left = terms[0](config)
        for test, term in zip(tests, terms[1:], strict=True):
            right = term(config)
            if not test(left, right):
                return False
            left = right
        return True

    return chained


def _excess(node: ast.expr, text: str) -> Evaluate:
    """The closure of `Expression.excess` for `node`."""
    match node:
        case ast.BoolOp(op=op, values=values):
            parts, choose = (
                [_excess(v, text) for v in values],
                max if isinstance(op, ast.And) else min,
            )
            return lambda config: choose(part(config) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            broken = _excess(inner, text)
            return lambda config: -broken(config)
        case ast.Compare(left=first, ops=ops, comparators=others):
            terms = [_translate(term, text, set()) for term in (first, *others)]
            pairs = list(zip(ops, terms, terms[1:], strict=False))
            return lambda config: max(_apart(type(op), a(config), b(config)) for op, a, b in pairs)
    truth = _translate(node, text, set())
    return lambda config: -1.0 if truth(config) else 1.0


def _apart(op: type[ast.cmpop], a: Any, b: Any) -> float:
    """By how much ``a op b`` is broken."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        if a != a or b != b:
            return math.nan
        if issubclass(op, (ast.Lt, ast.LtE)):
            return float(a - b) if a != b else 0.0  # inf - inf is none
        if issubclass(op, (ast.Gt, ast.GtE)):
            return float(b - a) if a != b else 0.0
        if issubclass(op, ast.Eq):
            return abs(float(a - b)) if a != b else 0.0
    return -1.0 if _COMPARE[op](a, b) else 1.0
