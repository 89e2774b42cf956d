"""Choices between values of any type: what JSON does not have goes by its text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from tunesmith.core.errors import SpaceError
from tunesmith.core.space.parameter import identity, plain
from tunesmith.core.text import shorten

#: Where an object lies, as Python writes it: it differs from process to process.
ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


class Labels(NamedTuple):
    """What stands for values in a study, each once; `bare` says that it says it all. `originals` are by `identity`."""

    labels: list[Any]
    bare: bool
    originals: Mapping[Any, Any]

    def original(self, label: Any) -> Any:
        """The value for which a label stands."""
        return self.originals[identity(label)]


def labelled(values: Iterable[Any]) -> Labels:
    """Labels for `values`; a value that is there twice has one."""
    originals: dict[Any, Any] = {}
    labels: list[Any] = []
    bare = True
    for value in values:
        label, is_bare = _label(value)
        key = identity(label)
        if key in originals:
            if is_bare or originals[key] is value:
                continue
            label, key = _another(str(label), originals)
        bare = bare and is_bare
        originals[key] = value
        labels.append(label)
    return Labels(labels, bare, originals)


def _label(value: Any) -> tuple[Any, bool]:
    """What stands for a value in a study, and whether that says it all."""
    try:
        return plain(value), True
    except SpaceError:
        pass
    text = getattr(value, "__qualname__", None) if callable(value) else None
    text = " ".join(ADDRESS.sub("", text or repr(value)).split())
    return shorten(text, 200), False


def _another(label: str, taken: Mapping[Any, Any]) -> tuple[str, Any]:
    number = 2
    while identity(f"{label} #{number}") in taken:
        number += 1
    return f"{label} #{number}", identity(f"{label} #{number}")
