"""Figures of the parameters: bars of their importance, slices (one against the metric), parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from tunesmith.analysis.trials import TrialArrays, brief, cut, marks, show, some
from tunesmith.core.errors import StudyError
from tunesmith.core.quantity import show_number
from tunesmith.core.space.parameter import Choice, Float, Int

if TYPE_CHECKING:
    from tunesmith.analysis.importance import Importance, Share

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Trace = dict[str, Any]

#: Lines in the figure of parallel coordinates, the emphasised ones among them, and its parameters.
LINES: Final = 90
TOP: Final = 10
AXES: Final = 14
#: Bars in the figure of importance.
BARS: Final = 15
#: Where in parallel coordinates a parameter is that is not used.
UNUSED: Final = 1.15


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


def slice_of(trials: TrialArrays, name: str) -> Figure:
    """Every completed trial's value against one parameter, where that was active."""
    space = trials.ledger.spec.space
    if name not in space.tunables:
        raise StudyError(f"{name!r} is no tuned parameter; there are: {', '.join(space.tunables)}")
    parameter = space.tunables[name]
    column = list(space.tunables).index(name)
    numbers = trials.ledger.column("numbers")[:, column]
    shown = trials.dots[np.isfinite(numbers[trials.dots])]
    x = _beside(numbers[shown], shown, parameter)
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
    if "range" in axis and axis["range"][0] == axis["range"][1]:
        del axis["range"]
    expected_of, expected = trials.forecasts
    active = np.isfinite(numbers[expected_of])
    expected_of, expected = thinned(expected_of[active], expected[active])
    value = Value(trials.values(trials.done), trials.sign, expected)
    data: list[Trace] = []
    if len(expected_of):
        places = _beside(numbers[expected_of], expected_of, parameter)
        data.append(
            marks("forecast of stopped ones", places, value(expected), expected_of, trials)
            | {"marker": {"color": GREY, "size": 5, "opacity": 0.4, "symbol": "circle-open"}}
        )
    data += [
        marks("completed", x, value(trials.values(shown)), shown, trials)
        | {"marker": {"color": BLUE, "size": 5.5, "opacity": 0.5}}
    ]
    best = trials.best
    if best is not None and best in set(shown.tolist()):
        at = float(x[shown.tolist().index(best)])
        data.append(
            marks("best", [at], value(trials.values(np.array([best]))), np.array([best]), trials)
            | {"marker": {"color": ORANGE, "size": 11, "symbol": "diamond"}}
        )
    caption = f"Each dot is a trial: its {trials.metric}, and which {name} it had."
    if len(expected_of):
        caption += f" {FAINT}"
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


#: What the faint marks are.
FAINT: Final = "Faint circles are forecasts of what trials that were stopped would have come to."


def thinned(numbers: Ints, values: Floats) -> tuple[Ints, Floats]:
    """An even selection of both."""
    chosen = some(np.arange(len(numbers)))
    return numbers[chosen], values[chosen]


def _beside(places: Floats, numbers: Ints, parameter: Float | Int | Choice) -> Floats:
    """Where trials are on a parameter's axis: those of one choice side by side, not on top of one another."""
    if not isinstance(parameter, Choice):
        return places.copy()
    beside: Floats = places + 0.28 * (((numbers * 0.6180339887) % 1.0) * 2 - 1)
    return beside


def parallel(trials: TrialArrays, order: tuple[str, ...] = ()) -> Figure:
    """One line for each trial, one axis for each parameter (those in `order` first); the best are emphasised.

    The axes lie on top of one another, so that names and values can be read on a phone, too.
    """
    space = trials.ledger.spec.space
    names = [*(n for n in order if n in space.tunables)]
    names = [*names, *(n for n in space.tunables if n not in names)]
    chosen = trials.some(LINES)
    points = trials.ledger.column("points")
    used = np.isfinite(points[trials.ranked[:TOP]]).sum(axis=0) > 0
    names = [n for n in names if used[list(space.tunables).index(n)]][:AXES]
    columns = [list(space.tunables).index(n) for n in names]
    at = np.nan_to_num(points[:, columns], nan=UNUSED)
    goodness = _goodness(trials)
    top = set(trials.ranked[:TOP].tolist())
    unused = bool((at[chosen] == UNUSED).any())
    rows = [-float(i) for i in range(len(names) + 1)]
    data: list[Trace] = []
    named: set[str] = set()
    best, winners = trials.best, trials.winners
    top.update(winners)
    chosen = np.union1d(chosen, list(top))
    for number in sorted(
        chosen.tolist(), key=lambda n: (n in winners, n in top, -trials.first_losses[n])
    ):
        name = f"next {len(top) - len(winners)}" if number in top else "others"
        name = trials.winners_name if number in winners else name
        colour, width, opacity = {
            "best": (ORANGE, 3.0, 1.0),
            "front": (ORANGE, 2.0, 1.0),
            "others": (GREY, 1.0, 0.32),
        }.get(name, (BLUE, 1.6, 0.75))
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [*at[number].tolist(), goodness[number]],
                "y": rows,
                "line": {"color": colour, "width": width},
                "opacity": opacity,
                "name": name,
                "legendgroup": name,
                "showlegend": name not in named,
                "text": [trials.tip(number)] * len(rows),
                "hoverinfo": "text",
            }
        )
        named.add(name)
    notes: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    for k, (row, name) in enumerate(zip(rows, names, strict=False)):
        ticks = _ticks(
            space.tunables[name], None if best is None else float(points[best, columns[k]])
        )
        if (at[chosen, k] == UNUSED).any():
            ticks.append((UNUSED, "unused"))
        _axis(notes, shapes, row, name, ticks)
    _axis(notes, shapes, rows[-1], trials.metric, _value_ticks(trials))
    caption = "Each line is a trial, from parameter to parameter down to its result, the best at the right."
    if unused:
        caption += " Lines go round an axis at the right where its parameter is not used."
    if len(space.tunables) > len(names):
        caption += f" Of {len(space.tunables)} parameters {len(names)} are shown: those that the best use, and matter most."
    if len(chosen) < len(trials.done):
        caption += f" Of {len(trials.done):,} completed trials {len(chosen)} are drawn."
    hidden = {"visible": False}
    return figure(
        "Which configs were good",
        caption,
        data,
        height=54 + 54 * len(rows),
        xaxis=hidden | {"range": [-0.01, UNUSED + 0.05 if unused else 1.02]},
        yaxis=hidden | {"range": [rows[-1] - 0.55, 0.55]},
        annotations=notes,
        shapes=shapes,
    )


def _axis(
    notes: list[dict[str, Any]],
    shapes: list[dict[str, Any]],
    row: float,
    name: str,
    ticks: list[tuple[float, str]],
) -> None:
    """A ruler at `row`: its name above, its values below."""
    common = {"showarrow": False, "xref": "x", "yref": "y"}
    shapes.append(
        {
            "type": "line",
            "x0": 0,
            "x1": 1,
            "y0": row,
            "y1": row,
            "line": {"color": GREY, "width": 1},
        }
    )
    notes.append(
        common
        | {
            "x": 0,
            "y": row,
            "text": f"<b>{text(name)}</b>",
            "xanchor": "left",
            "yanchor": "bottom",
            "yshift": 3,
        }
    )
    for place, label in ticks:
        anchor = (
            "left"
            if place < 0.04
            else "center"
            if place == UNUSED
            else "right"
            if place > 0.96
            else "center"
        )
        notes.append(
            common
            | {
                "x": place,
                "y": row,
                "text": text(label),
                "xanchor": anchor,
                "yanchor": "top",
                "yshift": -3,
                "font": {"size": 11},
            }
        )


def _ticks(parameter: Float | Int | Choice, best: float | None) -> list[tuple[float, str]]:
    """Where on [0, 1] which values are; of many choices a few, and that of the point `best`."""
    if isinstance(parameter, Choice):
        k = parameter.size
        shown: Sequence[int] = range(k)
        if k > 6:
            own = k // 2 if best is None or math.isnan(best) else min(int(best * k), k - 1)
            far = [i for i in (0, k // 2, k - 1) if abs(i - own) > k / 5]
            shown = sorted([own, *far])
        width = max(6, 44 // len(shown))
        return [((i + 0.5) / k, cut(show(parameter.values[i]), width)) for i in shown]
    levels = [parameter.low, parameter.decode(0.5), parameter.high]
    return [
        (float(parameter.unit(np.array([float(v)]))[0]), show_number(float(v), 3))
        for v in dict.fromkeys(levels)
    ]


def _goodness(trials: TrialArrays) -> NDArray[np.float64]:
    """Each trial's place on the axis of the metric: the best at 1, the median at one half."""
    from tunesmith.numeric.warp import OutputWarp

    out = np.full(trials.size, np.nan)
    losses = trials.first_losses[trials.done]
    if len(losses):
        z = OutputWarp.of(losses)(losses)
        span = float(np.ptp(z))
        out[trials.done] = (z.max() - z) / span if span > 0 else 0.5
    return out


def _value_ticks(trials: TrialArrays) -> list[tuple[float, str]]:
    """The worst, the median and the best value, and where they are."""
    goodness, ranked = _goodness(trials), trials.ranked
    if not len(ranked):
        return []
    chosen = dict.fromkeys([int(ranked[-1]), int(ranked[len(ranked) // 2]), int(ranked[0])])
    ticks: list[tuple[float, str]] = []
    for number in reversed(chosen):
        value = trials.ledger.values(number)
        place = float(goodness[number])
        if value is not None and all(abs(place - other) > 0.24 for other, _ in ticks):
            ticks.append((place, show_number(value[0], 4)))
    return ticks
