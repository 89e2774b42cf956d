"""What a tracker that writes files has of a study already: a list beside them, a line for each change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesmith.core.errors import StudyError
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Trial


class Kept:
    """The trials of a study that are there, by number: where each is, and whether as a whole."""

    def __init__(self, path: Path, study: StudySpec) -> None:
        self._path, self._study = path, study
        self._trials: dict[int, dict[str, Any]] = {}
        mine = {"study": study.name, "seed": study.seed}
        there = _lines(path)
        if not there:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(mine) + "\n")
        elif there[0] != mine:
            raise self._other(f", whose seed is {there[0].get('seed')}")
        for line in there[1:]:
            self._trials[line["trial"]] = line

    def check(self, trial: Trial) -> None:
        """Raises StudyError if what is here is of another study's trial, which has the same number."""
        made = self._trials.get(trial.number, {}).get("made")
        if made is not None and made != trial.created_at:
            raise self._other(", of an earlier call with another storage or none")

    def whole(self, number: int) -> bool:
        return bool(self._trials.get(number, {}).get("whole"))

    def place(self, number: int) -> str:
        """Where the trial is, whole or not; "" for one that is not there."""
        return str(self._trials.get(number, {}).get("where", ""))

    def begin(self, trial: Trial, where: str) -> None:
        self._add({"trial": trial.number, "where": where, "whole": False, "made": trial.created_at})

    def end(self, number: int) -> None:
        self._add({**self._trials[number], "whole": True})

    def _other(self, which: str) -> StudyError:
        return StudyError(
            f"{self._path} is of another study {self._study.name!r}{which}: name another folder for this one's runs, or "
            "another study"
        )

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
