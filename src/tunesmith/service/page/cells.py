"""The columns of a study's trials as arrays and lists: what sorting, filtering and canvases read.

A list has None where a trial has no such value; an array of numbers NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.curves import NOT_FINITE
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import Choice, Fixed
from tunesmith.core.trial import STATES
from tunesmith.tuning.table import Columns

Floats = NDArray[np.float64]

_PLAIN = ("wall_s", "cpu_s", "memory_bytes", "money", "attempt", "retracted", "outside")


class Cells:
    """The columns of a ledger by their names in tables (see `tuning.table.Columns`), each O(trials)."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.columns = Columns.of(ledger)
        self._metrics = {column: name for name, column in self.columns.metrics.items()}
        self._parameters = {column: name for name, column in self.columns.parameters.items()}
        self._places = {name: k for k, name in enumerate(ledger.spec.space.tunables)}

    def numbers(self, name: str) -> Floats | None:
        """A column as numbers, if that is what it has."""
        ledger = self.ledger
        if name == "number":
            return np.arange(ledger.size, dtype=np.float64)
        if name in _PLAIN:
            return ledger.column(name).astype(np.float64)
        if name == "version":
            version = ledger.column("version").astype(np.float64)
            version[version == 0] = np.nan
            return version
        if name in self._metrics:
            return self._metric(self._metrics[name])
        if name in self._parameters:
            return self._parameter(self._parameters[name])
        return None

    def codes(self, name: str, text: str) -> tuple[Floats | None, float]:
        """A column of texts as numbers that stand for them, and which of these stands for `text` (-1: none)."""
        ledger = self.ledger
        if name == "state":
            states = [str(state) for state in STATES]
            return ledger.column("state").astype(np.float64), _place(states, text)
        parameter = ledger.spec.space.parameters.get(self._parameters.get(name, ""))
        if not isinstance(parameter, Choice) or ledger.column("outside").any():
            return None, -1.0
        raw = ledger.column("numbers")[:, self._places[self._parameters[name]]]
        return np.array(raw), _place(list(parameter.values), text)

    def values(self, name: str) -> list[Any]:
        """A column as tables show it."""
        ledger = self.ledger
        if name == "state":
            texts = [str(state) for state in STATES]
            return [texts[code] for code in ledger.column("state").tolist()]
        if name in ("retracted", "outside"):
            return list(ledger.column(name).tolist())
        if name == "searcher":
            return [ledger.origin(i).searcher for i in range(ledger.size)]
        if name == "why":
            return [ledger.origin(i).why for i in range(ledger.size)]
        if name == "reason":
            reasons = (ledger.reason(i) for i in range(ledger.size))
            return [None if reason is None else str(reason) for reason in reasons]
        if name == "broken":
            done = ledger.where_completed.tolist()
            return ["; ".join(ledger.broken(i)) if done[i] else None for i in range(ledger.size)]
        if name in self._parameters:
            return self._configured(self._parameters[name])
        numbers = self.numbers(name)
        assert numbers is not None
        return [None if v != v else v for v in numbers.tolist()]

    def _metric(self, name: str) -> Floats:
        column = np.full(self.ledger.size, np.nan)
        known = self.ledger.metrics.get(name)
        if known is not None:
            part = known[: self.ledger.size]
            column[: len(part)] = np.where(part == NOT_FINITE, np.nan, part)
        return column

    def _parameter(self, name: str) -> Floats | None:
        parameter = self.ledger.spec.space[name]
        if isinstance(parameter, Fixed) or self.ledger.column("outside").any():
            return _as_numbers(self._configured(name))
        raw = self.ledger.column("numbers")[:, self._places[name]]
        if not isinstance(parameter, Choice):
            return np.array(raw)
        if not all(type(v) in (int, float) for v in parameter.values):
            return None
        table = np.array([*map(float, parameter.values), np.nan])
        chosen: Floats = table[np.where(np.isnan(raw), len(table) - 1, raw).astype(np.int64)]
        return chosen

    def _configured(self, name: str) -> list[Any]:
        ledger, parameter = self.ledger, self.ledger.spec.space[name]
        if isinstance(parameter, Fixed):
            active = parameter.when is None
            values = [
                parameter.standard() if active else ledger.config(i).get(name)
                for i in range(ledger.size)
            ]
        else:
            raw = ledger.column("numbers")[:, self._places[name]].tolist()
            values = [None if v != v else parameter.value(v) for v in raw]
        for i in np.flatnonzero(ledger.column("outside")).tolist():
            values[i] = ledger.config(i).get(name)
        return values


def _place(texts: Sequence[Any], text: str) -> float:
    return float(texts.index(text)) if text in texts else -1.0


def _as_numbers(values: Sequence[Any]) -> Floats | None:
    if any(v is not None and type(v) not in (int, float) for v in values):
        return None
    return np.array([np.nan if v is None else float(v) for v in values])
