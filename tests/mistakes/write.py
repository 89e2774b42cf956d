"""Writes table.md, for a person to read: ``python -m tests.mistakes.write``."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from tests.mistakes.cases import JOB, MISTAKES, Mistake, message_of

TABLE = Path(__file__).with_name("table.md")
HEAD = """\
# Typical mistakes, and what is said of them

Written by `python -m tests.mistakes.write` and checked by `test_mistakes.py`. Read it: each message names the place, the
cause and what to write instead. Of a job file the lines that differ from a sound one are shown.

| | mistake | what was written | what is said |
|---|---|---|---|
"""


def row(number: int, mistake: Mistake, message: str) -> str:
    written = mistake.text
    if mistake.door == "job file":
        sound = JOB.splitlines()
        lines = [line for line in written.splitlines() if line not in sound]
        written = (
            "\n".join(lines) or f"(without {' '.join(set(sound) - set(written.splitlines()))})"
        )
    return f"| {number} | {mistake.title} | {_cell(written)} | {_cell(message)} |\n"


def _cell(text: str) -> str:
    lines = [line.replace("|", "\\|").replace("\t", "→") for line in text.splitlines()]
    return "<br>".join(f"`{line}`" if "`" not in line else f"`` {line} ``" for line in lines)


def made() -> str:
    rows = []
    for number, mistake in enumerate(MISTAKES, 1):
        with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
            rows.append(row(number, mistake, message_of(mistake, Path(name))))
    return HEAD + "".join(rows)


if __name__ == "__main__":
    TABLE.write_text(made())
