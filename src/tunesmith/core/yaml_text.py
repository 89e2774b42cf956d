"""The YAML reader: data, and the line on which each part of it stands.

A text may come from anywhere, so what it can cost is bounded before it is built: levels, digits, and what aliases
expand to (every ``*name`` counts as much as what it stands for).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from tunesmith.core.errors import TextError

#: Levels of lists and mappings inside one another.
DEEPEST: Final = 100
#: Values that all aliases of a text may stand for.
MOST_BY_ALIASES: Final = 100_000
MOST_DIGITS: Final = 400
#: The scanner is slow on so many opening brackets in a row.
_BRACKETS: Final = re.compile(rf"(?:[\[{{] *){{{DEEPEST + 1}}}")


class Lines:
    """Which line of a text a part of its data stands on."""

    def __init__(self, root: Any) -> None:
        self._root = root

    def line(self, path: Sequence[str | int]) -> int:
        """The line of the deepest part of `path` that is in the text, from 1 on."""
        node, line = self._root, 1
        for key in path:
            part = None
            if isinstance(node, MappingNode):
                part = next((pair for pair in node.value if pair[0].value == key), None)
            elif isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
                part = (node.value[key], node.value[key])
            if part is None:
                break
            line, node = part[0].start_mark.line + 1, part[1]
        return line


class _Bounded(Composer):
    """Composes the tree of nodes, and refuses one that is too deep or too large when it is expanded."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self._level = 0
        #: Values composed so far, aliases expanded; and how many of them each finished node has.
        self._expanded = 0
        self._by_aliases = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        if self._level > DEEPEST:
            raise _mistake(
                f"it has more than {DEEPEST} lists and mappings inside one another", event
            )
        before = self._expanded
        self._level += 1
        node = super().compose_node(parent, index)
        self._level -= 1
        if isinstance(event, AliasEvent):
            if id(node) not in self._sizes:
                raise _mistake(f"*{event.anchor} is a part of itself", event)
            self._expanded += self._sizes[id(node)]
            self._by_aliases += self._sizes[id(node)]
            if self._by_aliases > MOST_BY_ALIASES:
                raise _mistake(f"its aliases stand for more than {MOST_BY_ALIASES:,} values", event)
            return node
        number = isinstance(node, ScalarNode) and str(node.tag).endswith((":int", ":float"))
        if number and len(node.value) > MOST_DIGITS:
            raise _mistake(f"a number of {len(node.value):,} digits", event)
        self._expanded += 1
        self._sizes[id(node)] = self._expanded - before
        return node


def read(text: str) -> tuple[Any, Lines]:
    """The data of a YAML 1.2 text, and its lines. Raises TextError."""
    if brackets := _BRACKETS.search(text):
        line = text.count("\n", 0, brackets.start()) + 1
        raise TextError(f"it has more than {DEEPEST} lists and mappings inside one another", line)
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Bounded
    try:
        constructor, parser = yaml.get_constructor_parser(text)
        try:
            root = constructor.composer.get_single_node()
            data = None if root is None else _construct(constructor, root)
        finally:
            parser.dispose()
    except MarkedYAMLError as error:
        mark = error.problem_mark
        raise TextError(str(error.problem), mark.line + 1 if mark else None) from None
    except YAMLError as error:
        raise TextError(_first_line(error), _line_of(error, text)) from None
    return data, Lines(root)


def _construct(constructor: Any, root: Any) -> Any:
    try:
        return constructor.construct_document(root)
    except (ValueError, ArithmeticError, TypeError, RecursionError) as error:
        message, line = _first_line(error), None
    for scalar in _scalars(root):
        try:
            constructor.construct_document(scalar)
        except (ValueError, ArithmeticError, TypeError) as error:
            message, line = f"{scalar.value!r}: {_first_line(error)}", scalar.start_mark.line + 1
            break
    raise TextError(message, line)


def _scalars(node: Any) -> Any:
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _scalars(item)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield from _scalars(key)
            yield from _scalars(value)


def _mistake(problem: str, event: Any) -> MarkedYAMLError:
    return MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _line_of(error: YAMLError, text: str) -> int | None:
    """The line of a character that YAML does not have."""
    position = getattr(error, "position", None)
    return None if position is None else text.count("\n", 0, position) + 1
