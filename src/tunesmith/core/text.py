"""Data as text and back: YAML, JSON, and values on a command line."""

from __future__ import annotations

import html
import io
import json
import math
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tunesmith.core.errors import SpaceError, TextError, shown
from tunesmith.core.errors import shorten as shorten  # noqa: PLC0414 (for whoever writes texts)

#: How deep and how large data from outside may be, aliases and shared parts expanded.
DEEPEST: Final = 100
MOST: Final = 1_000_000


#: Codes for a terminal: what colours, moves, clears, links and names windows (CSI, OSC and its like, shorter escapes).
_CODES: Final = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"
    "|\x1b[ -/]*[0-~]?"
)
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def without_codes(text: str) -> str:
    """A text from anywhere without what a terminal would obey; lines and tabs stay."""
    if _CONTROL.search(text) is None:
        return text
    text = _CODES.sub("", text.replace("\r\n", "\n")).replace("\r", "\n")
    return _CONTROL.sub("", text)


def printable(text: str) -> str:
    """A text on one line; one with line ends or other control characters as JSON has it."""
    if _UNPRINTABLE.search(text) is None:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def html_table(heading: str, rows: Iterable[tuple[str, str]]) -> str:
    """Names and values as HTML, for notebooks."""
    body = "".join(
        f'<tr><th style="text-align: left">{html.escape(name)}</th>'
        f'<td style="text-align: left">{html.escape(value)}</td></tr>'
        for name, value in rows
    )
    caption = (
        f'<caption style="text-align: left; white-space: nowrap">{html.escape(heading)}</caption>'
    )
    return f"<table>{caption}<tbody>{body}</tbody></table>"


def utf8(text: str) -> str:
    """`text` as UTF-8 has it: two halves of a character joined, a lone half replaced."""
    if type(text) is str and text.isascii():
        return text
    text = str.__str__(text)  # a plain one, whatever a subclass thinks of it
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def read_yaml(text: str) -> Any:
    """The data in a YAML 1.2 text (``1e-5`` is a number, ``no`` a text). Raises TextError."""
    from tunesmith.core.yaml_text import read

    return read(text)[0]


def read_json(text: str) -> Any:
    """The data in a JSON text. Raises TextError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise TextError("it has too many lists and objects inside one another") from None
    except ValueError as error:
        raise TextError(f"this is no JSON: {error}", getattr(error, "lineno", None)) from None


def check_bounds(data: Any) -> None:
    """Raise SpaceError for lists and mappings that contain themselves, or are too deep or too large to be meant."""
    pending, count = [(data, 0)], 0
    while pending:
        value, level = pending.pop()
        if isinstance(value, Mapping):
            parts: Any = value.values()
        elif isinstance(value, (list, tuple)):
            parts = value
        else:
            continue
        if level >= DEEPEST:
            raise SpaceError(
                f"a value contains itself, or has more than {DEEPEST} lists and mappings inside one another"
            )
        count += len(parts)
        if count > MOST:
            raise SpaceError(f"there are more than {MOST:,} values inside one another")
        pending += [(part, level + 1) for part in parts]


def write_yaml(data: Mapping[str, Any]) -> str:
    """`data` as YAML, one line for each of its entries."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    entries = json.loads(json.dumps(data))
    for name, value in entries.items():
        if isinstance(value, (dict, list)):
            line = CommentedMap(value) if isinstance(value, dict) else CommentedSeq(value)
            line.fa.set_flow_style()
            entries[name] = line
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = sys.maxsize
    out = io.StringIO()
    yaml.dump(entries, out)
    return out.getvalue()


def read_mapping(text: str, what: str) -> Mapping[str, Any]:
    """A mapping written as YAML or JSON. Raises SpaceError."""
    try:
        data = read_yaml(text)
    except TextError as error:
        at = f"line {error.line}: " if error.line is not None else ""
        raise SpaceError(f"{what}: this is no YAML: {at}{error}") from None
    if not isinstance(data, Mapping):
        raise SpaceError(f"{what}: a mapping is needed, not {shown(data)}")
    return data


def text_of(value: Any) -> str:
    """A value as programs read it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def as_tag(value: Any) -> str:
    """A value as a tag: a text as it is, unless it would be read as something else."""
    if isinstance(value, str) and not _is_json(value):
        return value
    return json.dumps(value, default=str)


def from_tag(text: str) -> Any:
    """The inverse of `as_tag`."""
    return json.loads(text) if _is_json(text) else text


def _is_json(text: str) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return not isinstance(value, float) or math.isfinite(value)
