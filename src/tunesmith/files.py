"""Files written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file so that it is there whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all. Raises OSError."""
    with drafted(path) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """A file to write to that is there, whole, once the block is left without an error. Raises OSError."""
    with drafted(path) as draft, draft.open("w", encoding="utf-8") as file:
        yield file


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """A path to write to instead of `path`, whose place it takes once the block is left without an error. Raises
    OSError."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
