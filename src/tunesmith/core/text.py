"""YAML and JSON to data and back."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

from tunesmith.core.errors import SpaceError


def read_yaml(text: str) -> Any:
    """The data in a YAML 1.2 text (``1e-5`` is a number, ``no`` a text). Raises ruamel's YAMLError."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(text)


def write_yaml(data: Mapping[str, Any]) -> str:
    """`data` as YAML, one line for each of its entries."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 100
    out = io.StringIO()
    yaml.dump(json.loads(json.dumps(data)), out)
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
