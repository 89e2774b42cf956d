"""Data as text and back: YAML, JSON, and values on a command line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from tunesmith.core.errors import SpaceError

#: A message repeats this many characters of what it was given, at most.
SHOWN: Final = 200


def shorten(text: str, most: int = SHOWN) -> str:
    """`text` for a message: of a very long one the beginning, an ellipsis and the end."""
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end - 1]}…{text[-end:]}"


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
    """The data in a YAML 1.2 text (``1e-5`` is a number, ``no`` a text). Raises ruamel's YAMLError."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(text)


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
    from ruamel.yaml.error import YAMLError

    try:
        data = read_yaml(text)
    except YAMLError as error:
        raise SpaceError(f"{what}: this is no YAML: {error}") from None
    if not isinstance(data, Mapping):
        raise SpaceError(f"{what}: a mapping is needed, not {data!r}")
    return data


def text_of(value: Any) -> str:
    """A value as programs read it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def arguments(config: Mapping[str, Any]) -> list[str]:
    """``--name value`` for every active parameter, in order; what ``{args}`` stands for."""
    return [word for name, value in config.items() for word in (f"--{name}", text_of(value))]
