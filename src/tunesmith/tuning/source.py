"""Digests of Python source by its syntax tree: comments, docstrings, layout and line numbers do not count."""

from __future__ import annotations

import ast
import linecache
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Final, TypeAlias

from tunesmith.core.program import Source, Statement, digest

#: Hexadecimal digits of a single statement's digest, which only says which line of a changed function is new.
_STATEMENT_DIGITS: Final = 8

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")
#: Fields of syntax trees that say nothing about what code does.
_IGNORED: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


def source_of(tree: ast.AST, lines: Iterable[str]) -> Source:
    """The source that `tree` was parsed from; `lines` are those of its whole file."""
    listed, statements, parts = list(lines), [], []
    for depth, text, node in _statements(tree):
        line = int(getattr(node, "lineno", 0))
        words = listed[line - 1].strip() if 0 < line <= len(listed) else ""
        statements.append(Statement(digest(text)[:_STATEMENT_DIGITS], line, words))
        parts.append(f"{depth} {text}")
    return Source(digest(*parts), tuple(statements))


def of_text(text: str) -> Source | None:
    """The source of a whole file; None if it is no Python."""
    tree = _parsed(text)
    return None if tree is None else source_of(tree, text.splitlines())


def imports(text: str) -> list[str]:
    """The modules that a file imports at any place, as it names them (``.x`` for its own folder's)."""
    tree = _parsed(text)
    names: list[str] = []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            joint = "" if base.endswith(".") or not base else "."
            names += [base, *(f"{base}{joint}{alias.name}" for alias in node.names)]
    return names


def _parsed(text: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # what is wrong with a string's escapes was said when it was run
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _statements(tree: ast.AST) -> Iterator[tuple[int, str, ast.AST]]:
    """(depth, canonical text without its blocks, node) of a tree and all statements in it, in order."""
    pending: list[tuple[int, str, ast.AST]] = [(0, "", tree)]
    while pending:
        depth, block, node = pending.pop()
        if not isinstance(node, ast.Module):
            yield depth, f"{block}:{_canonical(node, root=depth == 0)}", node
        if isinstance(node, ast.Lambda):
            continue
        inner = [
            (depth + 1, name, child)
            for name in _BLOCKS
            if isinstance(children := getattr(node, name, None), list)
            for child in (_without_docstring(node, children) if name == "body" else children)
        ]
        pending += reversed(inner)


def _without_docstring(owner: ast.AST, body: list[Any]) -> list[Any]:
    """A body without the text that it begins with."""
    documented = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    first = body[0] if body else None
    if (
        isinstance(owner, documented)
        and isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return body[1:]
    return body


def _canonical(node: Any, *, root: bool = False) -> str:
    """A tree as text, the same in every version of Python; of a statement without its blocks, of the root without
    its name."""
    if isinstance(node, list):
        return f"[{','.join(map(_canonical, node))}]"
    if not isinstance(node, ast.AST):
        return f"{type(node).__name__}:{node!r}"
    blocks = isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case))
    fields = [
        f"{name}={_canonical(value)}"
        for name, value in ast.iter_fields(node)
        if not (
            name in _IGNORED
            or value is None
            or value == []
            or (blocks and name in _BLOCKS)
            or (root and name == "name")
        )
    ]
    return f"{type(node).__name__}({','.join(fields)})"


# -- the source of a function -------------------------------------------------------------------


@dataclass(slots=True)
class _File:
    """A source file as it is now: its lines, its functions, and the code that they compile to."""

    lines: list[str]
    definitions: dict[tuple[str, int], list[Definition]] = field(default_factory=dict)
    codes: dict[str, list[CodeType]] = field(default_factory=dict)


class Sources:
    """Finds the syntax tree of a function's code, and makes sure that it is what runs: a file may have been edited
    since it was imported."""

    def __init__(self) -> None:
        self._files: dict[str, _File | None] = {}

    def definition(self, code: CodeType) -> tuple[Definition, list[str]] | None:
        """The tree of the function that `code` is of, and its file's lines; None if it cannot be had."""
        name = code.co_filename
        if name not in self._files:
            linecache.checkcache(name)
            self._files[name] = _read(name, linecache.getlines(name))
        file = self._files[name]
        if file is None:
            return None
        same = [other for other in file.codes.get(code.co_qualname, ()) if _same(code, other)]
        near = [other for other in same if other.co_firstlineno == code.co_firstlineno]
        for other in near or same:
            nodes = file.definitions.get((other.co_name, other.co_firstlineno), [])
            if len(nodes) == 1:
                return nodes[0], file.lines
        return None


def _read(name: str, lines: list[str]) -> _File | None:
    text = "".join(lines)
    tree = _parsed(text) if lines else None
    if tree is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = compile(tree, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return None
    file = _File(text.splitlines())
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            file.definitions.setdefault((node.name, first), []).append(node)
        elif isinstance(node, ast.Lambda):
            file.definitions.setdefault(("<lambda>", node.lineno), []).append(node)
    pending = [module]
    while pending:
        code = pending.pop()
        file.codes.setdefault(code.co_qualname, []).append(code)
        pending += nested(code)
    return file


def nested(code: CodeType) -> list[CodeType]:
    """The code objects that `code` holds."""
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _same(one: CodeType, other: CodeType) -> bool:
    """Whether two pieces of code do the same, wherever they stand."""
    return (
        one.co_code == other.co_code
        and one.co_names == other.co_names
        and one.co_freevars == other.co_freevars
        and len(one.co_consts) == len(other.co_consts)
        and all(
            _same(a, b)
            if isinstance(a, CodeType) and isinstance(b, CodeType)
            else type(a) is type(b) and repr(a) == repr(b)
            if not isinstance(a, frozenset)
            else a == b
            for a, b in zip(one.co_consts, other.co_consts, strict=True)
        )
    )
