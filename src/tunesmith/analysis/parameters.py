"""Figures of the parameters: bars of their importance, and slices (one against the metric)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.style import (
    BLUE,
    GREY,
    GROUP_COLOURS,
    NO_GROUP,
    ORANGE,
    Figure,
    Value,
    figure,
    text,
)
from tunesmith.analysis.trials import (
    CROSSES,
    TrialArrays,
    brief,
    broken_marks,
    cut,
    forecast_marks,
    marks,
    show,
    thinned,
)
from tunesmith.core.errors import StudyError
from tunesmith.core.space.parameter import Choice, Float, Int

if TYPE_CHECKING:
    from tunesmith.analysis.importance import Importance, Share
    from tunesmith.analysis.landscape import Landscape, Line

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Trace = dict[str, Any]

#: Bars in the figure of importance.
BARS: Final = 15


def importance_bars(importances: Importance, *, groups: bool = False) -> Figure:
    """Bars with intervals, coloured by group; of the groups themselves with `groups`."""
    shares = (importances.groups if groups else importances.parameters)[:BARS]
    n, grouped = len(shares), any(s.group != NO_GROUP for s in shares)
    data = [
        _bars([(n - i, s) for i, s in enumerate(shares) if s.group == group], group, grouped)
        for group in dict.fromkeys(s.group for s in shares)
    ]
    caption = (
        "How much of the differences between results each parameter explains, over the whole space; what several do "
        "only together is split between them. The whiskers hold the true share with a probability of 90 %."
    )
    if groups:
        caption = "The shares of a group's parameters together."
    if not groups and len(importances.parameters) > n:
        caption += f" The {len(importances.parameters) - n} least important ones are left out."
    most = max((s.high for s in shares), default=1.0)
    return figure(
        f"Importance of each {'group' if groups else 'parameter'}",
        caption,
        data,
        height=56 + 30 * n + 34,
        xaxis={
            "title": {"text": "share explained"},
            "range": [0, min(1.02, 1.12 * most)],
            "tickformat": ".0%",
        },
        yaxis={
            "tickvals": [n - i for i in range(n)],
            "ticktext": [text(brief(s.name, 60)) for s in shares],
            "range": [0.4, n + 0.6],
            "showgrid": False,
        },
        showlegend=not groups and len(data) > 1,
        barmode="overlay",
    )


def _bars(rows: list[tuple[int, Share]], group: str, grouped: bool) -> Trace:
    return {
        "type": "bar",
        "orientation": "h",
        "name": text(group),
        "x": [s.value for _, s in rows],
        "y": [y for y, _ in rows],
        "width": 0.62,
        "marker": {"color": GROUP_COLOURS[group] if grouped else BLUE},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [s.high - s.value for _, s in rows],
            "arrayminus": [s.value - s.low for _, s in rows],
            "thickness": 1.5,
            "width": 4,
        },
        "text": [
            text(
                f"{s.name}: {100 * s.value:.0f} %\nbetween {100 * s.low:.0f} % and {100 * s.high:.0f} %"
            )
            for _, s in rows
        ],
        "textposition": "none",
        "hoverinfo": "text",
    }


def slice_of(
    trials: TrialArrays, name: str, model: Landscape | None = None, line: Line | None = None
) -> Figure:
    """Every completed trial's value against one parameter, where that was active; and what `model` predicts along it, asked now
    if it was not before (`line`)."""
    space = trials.ledger.spec.space
    if name not in space.tunables:
        raise StudyError(f"{name!r} is no tuned parameter; there are: {', '.join(space.tunables)}")
    parameter = space.tunables[name]
    column = list(space.tunables).index(name)
    numbers = trials.ledger.column("numbers")[:, column]
    shown = trials.dots[np.isfinite(numbers[trials.dots])]
    x = beside(numbers[shown], shown, parameter)
    axis = axis_of(parameter, name)
    expected_of, expected = trials.forecasts
    active = np.isfinite(numbers[expected_of])
    expected_of, expected = thinned(expected_of[active], expected[active])
    value = Value(trials.values(trials.done), trials.sign, expected)
    data: list[Trace] = []
    if model is not None:
        data += predicted(model.along(name) if line is None else line, parameter, value)
    if len(expected_of):
        places = beside(numbers[expected_of], expected_of, parameter)
        data += forecast_marks(places, value(expected), expected_of, trials)
    crosses = trials.crosses
    if len(crosses):
        places = beside(numbers[crosses], crosses, parameter)
        data.append(broken_marks(places, value(trials.values(crosses)), crosses, trials))
    data += [
        marks("completed", x, value(trials.values(shown)), shown, trials)
        | {"marker": {"color": BLUE, "size": 5.5, "opacity": 0.5}}
    ]
    best = trials.best
    if best is not None and best in set(shown.tolist()):
        at = float(x[shown.tolist().index(best)])
        data.append(
            marks(
                trials.best_name,
                [at],
                value(trials.values(np.array([best]))),
                np.array([best]),
                trials,
            )
            | {"marker": {"color": ORANGE, "size": 11, "symbol": "diamond"}}
        )
    caption = f"Each dot is a trial: its {trials.metric}, and which {name} it had."
    if model is not None:
        said = PREDICTED if model.uses(name) else UNUSED
        caption += f" {said.format(model.trial, name)}"
    if len(expected_of):
        caption += f" {trials.faint}"
    if len(crosses):
        caption += f" {CROSSES}"
    if value.clipped:
        caption += " Values far worse than the others are drawn at the edge."
    if len(shown) < len(trials.dots):
        caption += f" Only trials that use {name} are shown."
    return figure(
        f"{brief(trials.metric, 34)} by {brief(name, 34)}",
        f"{caption} {trials.thinned}".rstrip(),
        data,
        height=250,
        xaxis=axis,
        yaxis=value.axis(trials.metric),
        showlegend=False,
    )


def axis_of(parameter: Float | Int | Choice, name: str) -> dict[str, Any]:
    """The axis of a parameter, on its own scale."""
    axis: dict[str, Any] = {"title": {"text": text(name)}}
    if isinstance(parameter, Choice):
        axis |= {
            "tickvals": list(range(parameter.size)),
            "ticktext": [text(cut(show(v), 14)) for v in parameter.values],
            "range": [-0.5, parameter.size - 0.5],
        }
    elif parameter.log is True:
        low, high = math.log10(parameter.low), math.log10(parameter.high)
        pad = 0.04 * (high - low)
        axis |= {"type": "log", "exponentformat": "power", "range": [low - pad, high + pad]}
    else:
        span = parameter.high - parameter.low
        axis |= {"range": [parameter.low - 0.04 * span, parameter.high + 0.04 * span]}
    if axis["range"][0] == axis["range"][1]:
        del axis["range"]
    return axis


#: What the line and its band are.
PREDICTED: Final = (
    "The line is what a model expects where all else is as in trial {}; the band holds the average over runs with a "
    "probability of 90 %."
)
#: ... and why there is none.
UNUSED: Final = "Trial {}, the best, does not use {}: along it nothing is predicted."


def predicted(line: Line, parameter: Float | Int | Choice, value: Value) -> list[Trace]:
    """A line and the band about it; of choices a box and a dash each."""
    x, (middle, low, high) = line
    runs = _runs(np.isfinite(middle))
    if isinstance(parameter, Choice):
        runs = [range(k, k + 1) for run in runs for k in run]
    wide = 0.34 if isinstance(parameter, Choice) else 0.0
    band: list[tuple[list[float], Floats]] = []
    dashes: list[tuple[list[float], Floats]] = []
    for run in runs:
        at = x[run.start : run.stop].tolist()
        if wide:
            at = [at[0] - wide, at[0] + wide]
        part = slice(run.start, run.stop)
        band.append(
            ([*at, *at[::-1]], np.concatenate([_wide(low[part], at), _wide(high[part], at)[::-1]]))
        )
        dashes.append((at, _wide(middle[part], at)))
    common = {
        "type": "scatter",
        "mode": "lines",
        "connectgaps": False,
        "hoverinfo": "skip",
        "text": [],
    }
    return [
        {**common, **_joined(band, value), "name": "90 % band", "fill": "toself", "fillcolor": GREY,
         "opacity": 0.22, "line": {"color": GREY, "width": 0}},
        {**common, **_joined(dashes, value), "name": "model", "line": {"color": GREY, "width": 2}},
    ]  # fmt: skip


def _runs(there: NDArray[np.bool_]) -> list[range]:
    """The places at a stretch that are there."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(int)))
    return [range(a, b) for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]


def _wide(values: Floats, at: list[float]) -> Floats:
    return np.repeat(values, len(at)) if len(values) == 1 else values


def _joined(parts: list[tuple[list[float], Floats]], value: Value) -> dict[str, Any]:
    """Lines as one, with gaps between."""
    x: list[float | None] = []
    y: list[float | None] = []
    for k, (at, values) in enumerate(parts):
        if k:
            x.append(None)
            y.append(None)
        x += at
        y += value(values)
    return {"x": x, "y": y}


def beside(places: Floats, numbers: Ints, parameter: Float | Int | Choice) -> Floats:
    """Where trials are on a parameter's axis: those of one choice side by side, not on top of one another."""
    if not isinstance(parameter, Choice):
        return places.copy()
    apart: Floats = places + 0.28 * (((numbers * 0.6180339887) % 1.0) * 2 - 1)
    return apart
