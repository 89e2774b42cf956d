"""What a tracker that writes files has of a study already: a list beside them, a line for each change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesmith.core.errors import StudyError
from tunesmith.core.study import StudySpec


class Kept:
    """The trials of a study that are there, by number: where each is, and whether as a whole."""

    def __init__(self, path: Path, study: StudySpec) -> None:
        self._path = path
        self._trials: dict[int, dict[str, Any]] = {}
        mine = {"study": study.name, "seed": study.seed}
        there = _lines(path)
        if not there:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(mine) + "\n")
        elif there[0] != mine:
            raise StudyError(
                f"{path} is of another study {study.name!r}, whose seed is {there[0].get('seed')}: name another folder "
                "for this one's runs, or another study"
            )
        for line in there[1:]:
            self._trials[line["trial"]] = line

    def whole(self, number: int) -> bool:
        return bool(self._trials.get(number, {}).get("whole"))

    def place(self, number: int) -> str:
        """Where the trial is, whole or not; "" for one that is not there."""
        return str(self._trials.get(number, {}).get("where", ""))

    def begin(self, number: int, where: str) -> None:
        self._add({"trial": number, "where": where, "whole": False})

    def end(self, number: int) -> None:
        self._add({**self._trials[number], "whole": True})

    def _add(self, line: dict[str, Any]) -> None:
        self._trials[line["trial"]] = line
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a list; of one that was being written as its process ended, nothing."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines
