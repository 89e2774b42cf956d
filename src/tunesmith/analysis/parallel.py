"""Parallel coordinates: a line for each trial, from axis to axis, over parameters or over objectives.

The axes lie on top of one another, so that names and values can be read on a phone, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.style import BLUE, GREEN, GREY, ORANGE, PURPLE, Figure, figure, text
from tunesmith.analysis.trials import TrialArrays, cut, show, some
from tunesmith.core.errors import StudyError
from tunesmith.core.quantity import show_number
from tunesmith.core.space.parameter import Choice, Float, Int

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Trace = dict[str, Any]

#: Lines in a figure, the emphasised ones among them, and its parameters.
LINES: Final = 90
TOP: Final = 10
AXES: Final = 14
#: Where on its axis a parameter is that is not used.
UNUSED: Final = 1.15
#: Colour, width and opacity; what has another name is among the best.
_STYLES: Final = {
    "best": (ORANGE, 3.0, 1.0),
    "preferred": (BLUE, 3.5, 1.0),
    "front": (ORANGE, 1.5, 0.85),
    "knee": (GREEN, 3.5, 1.0),
    "others": (GREY, 1.0, 0.32),
    "breaks a constraint": (PURPLE, 1.0, 0.35),
}
#: Which lines lie on top of which.
_UPWARDS: Final = ("breaks a constraint", "others", "front", "knee", "preferred")


def parallel(trials: TrialArrays, order: tuple[str, ...] = ()) -> Figure:
    """One line for each trial, one axis for each parameter (those in `order` first); the best are emphasised."""
    space = trials.ledger.spec.space
    names = [*(n for n in order if n in space.tunables)]
    names = [*names, *(n for n in space.tunables if n not in names)]
    points = trials.ledger.column("points")
    used = np.isfinite(points[_good(trials)]).sum(axis=0) > 0
    names = [n for n in names if used[list(space.tunables).index(n)]][:AXES]
    columns = [list(space.tunables).index(n) for n in names]
    at = np.nan_to_num(points[:, columns], nan=UNUSED)
    top, winners = set(trials.ranked[:TOP].tolist()) | trials.winners, trials.winners
    chosen = _chosen(trials, top)
    nexts = f"next {len(top) - len(winners)}"
    label = {n: nexts if n in top else "others" for n in chosen.tolist()}
    label |= dict.fromkeys(some(trials.broken, LINES // 3).tolist(), "breaks a constraint")
    label |= dict.fromkeys(winners, trials.winners_name)
    rank = {n: (n in winners, n in top, -trials.own_losses[n]) for n in label}
    last = goodness(trials)
    rows = [-float(i) for i in range(len(names) + 1)]
    places = {n: [*at[n].tolist(), float(last[n])] for n in sorted(label, key=lambda n: rank[n])}
    data = _lines(trials, places, label, rows)
    unused = bool((at[list(label)] == UNUSED).any())
    best = trials.best
    notes: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    for k, (row, name) in enumerate(zip(rows, names, strict=False)):
        ticks = _ticks(
            space.tunables[name], None if best is None else float(points[best, columns[k]])
        )
        if (at[list(label), k] == UNUSED).any():
            ticks.append((UNUSED, "unused"))
        _ruler(notes, shapes, row, name, ticks)
    _ruler(notes, shapes, rows[-1], trials.metric, value_ticks(trials))
    caption = "Each line is a trial, from parameter to parameter down to its result, the best at the right."
    if unused:
        caption += " Lines go round an axis at the right where its parameter is not used."
    if len(space.tunables) > len(names):
        caption += f" Of {len(space.tunables)} parameters {len(names)} are shown: those that the best use, and matter most."
    if len(label) < len(trials.done):
        caption += f" Of {len(trials.done):,} completed trials {len(label)} are drawn."
    end = UNUSED + 0.05 if unused else 1.02
    return _figure("Which configs were good", caption, data, rows, notes, shapes, end)


def objectives(trials: TrialArrays) -> Figure:
    """One line for each trial, one axis for each of several objectives, the better end at the right."""
    several = trials.ledger.spec.objectives
    if len(several) < 2:
        raise StudyError("this study has one objective; figures.parallel() shows its parameters")
    winners = trials.winners
    chosen = _chosen(trials, winners)
    label = dict.fromkeys(chosen.tolist(), "others")
    label |= dict.fromkeys(some(trials.broken, LINES // 3).tolist(), "breaks a constraint")
    label |= dict.fromkeys(winners, "front")
    marked = {"knee": trials.knee, "preferred": trials.best}
    label |= {number: name for name, number in marked.items() if number is not None}
    views = [trials.by(k) for k in range(len(several))]
    at = np.column_stack([goodness(view) for view in views])
    ordered = sorted(label, key=lambda n: _UPWARDS.index(label[n]))
    rows = [-float(k) for k in range(len(several))]
    data = _lines(trials, {n: at[n].tolist() for n in ordered}, label, rows)
    notes: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    for row, view, objective in zip(rows, views, several, strict=True):
        way = "less" if objective.sign > 0 else "more"
        _ruler(notes, shapes, row, f"{view.metric} ({way} is better)", value_ticks(view))
    caption = (
        "Each line is a trial, from objective to objective, the better the farther right. Where lines cross between two "
        "axes, one objective is paid for with the other."
    )
    if len(label) < len(trials.done):
        caption += f" Of {len(trials.done):,} completed trials {len(label)} are drawn."
    return _figure("Objectives against each other", caption, data, rows, notes, shapes, 1.02, 84)


def _good(trials: TrialArrays) -> Ints:
    return trials.ranked[:TOP] if len(trials.feasible) else trials.done


def _chosen(trials: TrialArrays, top: Iterable[int]) -> Ints:
    """Trials that keep the constraints, `top` among them."""
    numbers: Ints = np.union1d(trials.some(LINES), np.array(sorted(top), dtype=np.int64))
    return numbers


def _lines(
    trials: TrialArrays,
    places: Mapping[int, list[float]],
    label: Mapping[int, str],
    rows: list[float],
) -> list[Trace]:
    """A line for each trial through its `places`, one in each of `rows`."""
    data: list[Trace] = []
    named: set[str] = set()
    for number, x in places.items():
        name = label[number]
        colour, width, opacity = _STYLES.get(name, (BLUE, 1.6, 0.75))
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
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
    return data


def _figure(
    title: str,
    caption: str,
    data: list[Trace],
    rows: list[float],
    notes: list[dict[str, Any]],
    shapes: list[dict[str, Any]],
    end: float,
    apart: int = 54,
) -> Figure:
    hidden = {"visible": False}
    return figure(
        title,
        caption,
        data,
        height=54 + apart * len(rows),
        xaxis=hidden | {"range": [-0.01, end]},
        yaxis=hidden | {"range": [rows[-1] - 0.55, 0.55]},
        annotations=notes,
        shapes=shapes,
    )


def _ruler(
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


def goodness(trials: TrialArrays) -> NDArray[np.float64]:
    """Each trial's place on the axis of the metric: the best at 1, the median at one half."""
    from tunesmith.numeric.warp import OutputWarp

    out = np.full(trials.size, np.nan)
    losses = trials.own_losses[trials.done]
    if len(losses):
        z = OutputWarp.of(losses)(losses)
        span = float(np.ptp(z))
        out[trials.done] = (z.max() - z) / span if span > 0 else 0.5
    return out


def value_ticks(trials: TrialArrays) -> list[tuple[float, str]]:
    """The worst, the median and the best value, and where they are."""
    places = goodness(trials)
    ranked = trials.done[np.argsort(trials.own_losses[trials.done], kind="stable")]
    if not len(ranked):
        return []
    chosen = dict.fromkeys([int(ranked[-1]), int(ranked[len(ranked) // 2]), int(ranked[0])])
    ticks: list[tuple[float, str]] = []
    for number in reversed(chosen):
        value = trials.ledger.values(number)
        place = float(places[number])
        if value is not None and all(abs(place - other) > 0.24 for other, _ in ticks):
            ticks.append((place, show_number(value[trials.objective], 4)))
    return ticks
