"""A job file as data, with its lines: YAML or JSON, as people write it."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import JobError, TextError, shorten
from tunesmith.core.quantity import show_bytes
from tunesmith.core.yaml_text import Lines, read

#: Larger files are no job files (bytes).
LARGEST: Final = 1 << 20


def parse(path: Path) -> tuple[dict[str, Any], Lines]:
    """The file's data, and its lines. Raises JobError."""
    return _parse(path, _read(path))


def _read(path: Path) -> str:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise JobError(f"{path} is a folder; name the job file in it")
        if not stat.S_ISREG(status.st_mode):
            raise JobError(f"{path} is no regular file; write the job into one")
        if status.st_size > LARGEST:
            raise JobError(
                f"{path} has {show_bytes(status.st_size)}, and a job file at most {show_bytes(LARGEST)}"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise JobError(
            f"there is no job file {shorten(str(path))}; `tunesmith init {shorten(str(path))}` writes one"
        ) from None
    except (OSError, ValueError) as error:
        raise JobError(f"{shorten(str(path))} cannot be read: {error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise JobError(
            f"{path}:{line}: the byte 0x{data[error.start]:02x} is no UTF-8; save the file as UTF-8"
        ) from None


def _parse(path: Path, text: str) -> tuple[dict[str, Any], Lines]:
    """The file's data, and its lines. JSON is YAML."""
    try:
        data, lines = read(text)
    except TextError as error:
        at = path if error.line is None else f"{path}:{error.line}"
        problem = re.sub(r' with value ".*', "", str(error), flags=re.DOTALL)
        raise JobError(f"{at}: this is no YAML: {problem}{_yaml_hint(problem)}") from None
    if not isinstance(data, dict):
        raise JobError(f"{path}:1: a job file is a mapping: command, objective, space, ...")
    return data, lines


#: What to write instead, for the mistakes that people make in YAML, by words of its reader's messages.
_YAML_HINTS: Final = {
    "\\t": "indent with spaces, as YAML has no tabs",
    "escape": "in double quotes a backslash begins an escape; write 'C:\\data' in single quotes, or C:/data",
    "mapping values are not allowed": "what belongs together is indented by as many spaces, and a text with ': ' in it "
    "stands in quotes",
    "block end": "what belongs together is indented by as many spaces",
    "could not find expected ':'": "write key: value, with a space behind the colon",
    "duplicate key": "each key stands there once",
    "cannot start any token": "put a text that begins so in quotes",
    "expected ',' or": "a bracket, brace or quote is never closed",
    "end of stream": "a bracket, brace or quote is never closed",
}


def _yaml_hint(problem: str) -> str:
    hint = next((hint for words, hint in _YAML_HINTS.items() if words in problem), "")
    return f"; {hint}" if hint else ""
