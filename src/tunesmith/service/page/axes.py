"""Trials as lines over axes, packed for a canvas: two bytes for each trial and axis."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.importance import importance
from tunesmith.analysis.scale import scale_of, ticks_of
from tunesmith.analysis.style import LOG_FROM
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.service.page.cells import Cells
from tunesmith.service.page.listing import fitting
from tunesmith.service.page.readings import Reading

Floats = NDArray[np.float64]

#: A place on an axis is 0 (its low end) to HIGH; NONE where a trial has no value.
HIGH: Final = 65_534
NONE: Final = 65_535
#: Axes at most.
MOST: Final = 40
_LABELS: Final = 24


def packed(reading: Reading, where: str = "") -> bytes:
    """All trials that fit, over the tuned parameters and the objectives.

    Four bytes with the length of a JSON text, that text, padding to a multiple of four, then for each trial its number
    (uint32), and then for each axis the places of all trials (uint16), all little-endian. Raises ExpressionError,
    StudyError.
    """
    with reading.result() as result:
        ledger = result.ledger
        return reading.made(("axes", where), ledger, lambda: _packed(reading, ledger, where))


def _packed(reading: Reading, ledger: Ledger, where: str) -> bytes:
    numbers = fitting(ledger, where)
    axes, places = [], []
    cells = Cells(ledger)
    for name in _order(reading, ledger):
        axis, place = _axis(ledger, cells, name)
        axes.append(axis)
        places.append(place[numbers].astype("<u2").tobytes())
    losses = ledger.column("losses")[:, 0]
    head = {
        "axes": axes,
        "count": len(numbers),
        "size": ledger.size,
        "cursor": ledger.cursor,
        "sign": ledger.spec.first_objective.sign,
        "best": ledger.incumbent,
        "front": ledger.front().tolist() if len(ledger.spec.objectives) > 1 else None,
        "done": int(np.isfinite(losses[numbers]).sum()),
    }
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 4)
    return b"".join(
        [len(text).to_bytes(4, "little"), text, numbers.astype("<u4").tobytes(), *places]
    )


def _order(reading: Reading, ledger: Ledger) -> list[str]:
    """Columns of the axes: parameters that explain most first, the objectives at the end."""
    columns = Cells(ledger).columns
    tunables = list(ledger.spec.space.tunables)
    known = reading.last("importance order")
    if known is None or known[0] < 0.95 * ledger.cursor or len(known[1]) != len(tunables):
        shares = importance(History(ledger)) if ledger.completed > 3 else None
        ranked = [s.name for s in shares.parameters] if shares is not None else []
        reading.keep(
            "importance order", ledger.cursor, [*ranked, *(n for n in tunables if n not in ranked)]
        )
    order = reading.last("importance order")
    assert order is not None
    objectives = [columns.metrics[o.metric] for o in ledger.spec.objectives]
    some = order[1][: MOST - len(objectives)]
    return [*(columns.parameters[name] for name in some if name in columns.parameters), *objectives]


def _axis(ledger: Ledger, cells: Cells, column: str) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """What is needed to draw an axis, and where each trial is on it."""
    by_column = {c: name for name, c in cells.columns.parameters.items()}
    parameter = ledger.spec.space.parameters.get(by_column.get(column, ""))
    axis: dict[str, Any] = {
        "name": column,
        "group": getattr(parameter, "group", None),
        "objective": parameter is None,
    }
    if isinstance(parameter, Choice):
        return _choices(cells, column, parameter, axis)
    values = cells.numbers(column)
    assert values is not None
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    log = False
    if isinstance(parameter, (Float, Int)):
        low, high = min(low, float(parameter.low)), max(high, float(parameter.high))
        log = parameter.log is True and low > 0
    elif low > 0 and high / low > LOG_FROM:
        log = True
    if low == high:
        low, high = low - 0.5, high + 0.5
    if log:
        share = (
            np.log(values, where=values > 0, out=np.full_like(values, np.nan)) - np.log(low)
        ) / np.log(high / low)
    else:
        share = (values - low) / (high - low)
    ruler = (
        {"type": "log", "range": [np.log10(low), np.log10(high)]} if log else {"range": [low, high]}
    )
    scale = scale_of(ruler, [low, high], 0.0, 300.0)
    ticks = [(scale(v) / 300.0, label) for v, label in ticks_of(ruler, scale, 50.0)]
    axis |= {
        "low": low, "high": high, "log": log, "whole": isinstance(parameter, Int),
        "ticks": [[round(place, 4), label] for place, label in ticks if -0.001 <= place <= 1.001],
    }  # fmt: skip
    return axis, _places(share)


def _choices(
    cells: Cells, column: str, parameter: Choice, axis: dict[str, Any]
) -> tuple[dict[str, Any], NDArray[np.int64]]:
    values = list(parameter.values)
    places = {json.dumps(v): k for k, v in enumerate(values)}
    own = cells.values(column)
    index = [np.nan if v is None else places.get(json.dumps(v), np.nan) for v in own]
    last = max(1, len(values) - 1)
    axis |= {
        "values": values,
        "ticks": [[k / last, str(v)] for k, v in enumerate(values)][
            :: max(1, len(values) // _LABELS)
        ],
    }
    return axis, _places(np.array(index, dtype=np.float64) / last)


def _places(share: Floats) -> NDArray[np.int64]:
    known = np.isfinite(share)
    return np.where(
        known, np.rint(np.clip(np.where(known, share, 0.0), 0.0, 1.0) * HIGH), NONE
    ).astype(np.int64)
