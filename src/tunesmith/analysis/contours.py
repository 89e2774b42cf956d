"""Figures over two parameters at a time: what a model expects there, and how far off that may be, with the trials."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.landscape import Landscape, Plane
from tunesmith.analysis.parameters import axis_of, beside
from tunesmith.analysis.style import BLUE, GREY, INK, ORANGE, Figure, figure, text
from tunesmith.analysis.trials import TrialArrays, brief, marks, some
from tunesmith.core.errors import StudyError
from tunesmith.core.quantity import show_number
from tunesmith.core.space.parameter import Choice

Floats = NDArray[np.float64]
Polygon = list[tuple[float, float]]

#: Shades, and the trials that are drawn on them.
SHADES: Final = 6
DOTS: Final = 300
_HEIGHT: Final = 340


def contour(
    trials: TrialArrays, a: str, b: str, model: Landscape, plane: Plane | None = None
) -> Figure:
    """What `model` expects over parameters `a` (across) and `b` (up), all else as in the best config; dots are trials.
    `plane` is what it predicts there, where that is known already. Raises StudyError."""
    check(trials, a, b)
    plane = model.over(a, b) if plane is None else plane
    caption = (
        f"What a model expects of {trials.metric} where all else is as in trial {model.trial}: the stronger the colour, the better. Dots are trials, "
        "wherever they are in the other parameters."
    )
    title = f"{brief(trials.metric, 24)} by {brief(a, 24)} and {brief(b, 24)}"
    return _figure(trials, (a, b), plane, plane.middle, title, caption, BLUE, trials.sign)


def doubt(
    trials: TrialArrays, a: str, b: str, model: Landscape, plane: Plane | None = None
) -> Figure:
    """How far off that may be. Raises StudyError."""
    check(trials, a, b)
    plane = model.over(a, b) if plane is None else plane
    caption = "With a probability of 90 % the average over runs is no farther from what is expected than this: the stronger the colour, the surer."
    title = f"How far off the {brief(trials.metric, 24)} may be"
    return _figure(trials, (a, b), plane, plane.half, title, caption, GREY, 1.0)


def check(trials: TrialArrays, a: str, b: str) -> None:
    """Raise StudyError unless `a` and `b` are two tuned parameters."""
    tunables = trials.ledger.spec.space.tunables
    for name in (a, b):
        if name not in tunables:
            raise StudyError(f"{name!r} is no tuned parameter; there are: {', '.join(tunables)}")
    if a == b:
        raise StudyError(f"a contour is over two parameters, not over {a!r} twice")


def _figure(
    trials: TrialArrays,
    names: tuple[str, str],
    plane: Plane,
    values: Floats,
    title: str,
    caption: str,
    colour: str,
    sign: float,
) -> Figure:
    space = trials.ledger.spec.space.tunables
    axes = [axis_of(space[name], name) for name in names]
    values, edges = _stepped([space[name] for name in names], plane, values)
    numbers = trials.ledger.column("numbers")[:, [list(space).index(name) for name in names]]
    shown = trials.some(DOTS)
    shown = some(shown[np.isfinite(numbers[shown]).all(axis=1)], DOTS)
    data = _shades(edges, values, [bool(axis.get("type") == "log") for axis in axes], colour, sign)
    places = [beside(numbers[shown, k], shown, space[name]) for k, name in enumerate(names)]
    data.append(
        marks("trials", places[0], places[1].tolist(), shown, trials)
        | {"marker": {"color": INK, "size": 4.5, "opacity": 0.55}, "showlegend": False}
    )
    best = trials.best
    if best is not None and np.isfinite(numbers[best]).all():
        at = numbers[best]
        data.append(
            marks(trials.best_name, at[:1], at[1:].tolist(), np.array([best]), trials)
            | {"marker": {"color": ORANGE, "size": 12, "symbol": "diamond"}}
        )
    if not np.isfinite(values).all():
        caption += " Nothing is drawn where no config can be."
    return figure(title, caption, data, _HEIGHT, xaxis=axes[0], yaxis=axes[1], showlegend=True)


def _stepped(parameters: list[Any], plane: Plane, values: Floats) -> tuple[Floats, list[Floats]]:
    """Values at the corners of cells, and where these are: a choice is a strip of one value, as nothing is between two."""
    edges = []
    for axis, parameter, at in zip((1, 0), parameters, (plane.x, plane.y), strict=True):
        if isinstance(parameter, Choice):
            values = np.repeat(values, 2, axis=axis)
            at = np.repeat(at, 2) + np.tile([-0.5, 0.5], len(at))
        edges.append(at)
    return values, edges


def _shades(
    edges: list[Floats], values: Floats, logs: list[bool], colour: str, sign: float
) -> list[dict[str, Any]]:
    """A filled trace for each shade, the worst first."""
    loss = sign * values
    known = loss[np.isfinite(loss)]
    if not len(known):
        return []
    # as many places in each shade; where nearly all are alike, fewer
    cuts = np.unique(np.quantile(known, np.linspace(0.0, 1.0, SHADES + 1)[1:-1]))
    levels = [-np.inf, *cuts.tolist(), np.inf]
    at = [np.log10(part) if log else part for part, log in zip(edges, logs, strict=True)]
    made = []
    for k in range(len(levels) - 2, -1, -1):
        low, high = levels[k], levels[k + 1]
        rings = _rings(at[0], at[1], loss, low, high)
        x: list[float | None] = []
        y: list[float | None] = []
        for ring in rings:
            if x:
                x.append(None)
                y.append(None)
            x += [10.0**px if logs[0] else px for px, _ in ring]
            y += [10.0**py if logs[1] else py for _, py in ring]
        shade = 0.06 + 0.64 * (1.0 - k / max(1, len(levels) - 2))
        made.append({
            "type": "scatter", "mode": "lines", "connectgaps": False, "x": x, "y": y, "fill": "toself",
            "fillcolor": colour, "opacity": round(shade, 3), "line": {"color": colour, "width": 0.7}, "hoverinfo": "skip",
            "text": [], "name": text(_range(low, high, sign)),
        })  # fmt: skip
    return made


def _range(low: float, high: float, sign: float) -> str:
    """A shade in words, as the metric has it."""
    if low == -np.inf and high == np.inf:
        return "all alike"
    if low == -np.inf:
        return f"{'below' if sign > 0 else 'above'} {show_number(sign * high, 3)}"
    if high == np.inf:
        return f"{'above' if sign > 0 else 'below'} {show_number(sign * low, 3)}"
    ends = sorted((sign * low, sign * high))
    return f"{show_number(ends[0], 3)} to {show_number(ends[1], 3)}"


def _rings(x: Floats, y: Floats, loss: Floats, low: float, high: float) -> list[Polygon]:
    """Where `loss` is from `low` up to `high`: of each cell two triangles, cut where the level is; cells at a stretch that are
    inside as a whole are one."""
    rings: list[Polygon] = []
    inside = (loss >= low) & ((loss < high) | (high == np.inf))
    known = np.isfinite(loss)
    for j in np.flatnonzero(np.diff(y) > 0.0).tolist():
        begun: int | None = None
        for i in range(len(x)):
            corners = [(j, i), (j, i + 1), (j + 1, i + 1), (j + 1, i)] if i + 1 < len(x) else []
            if corners and all(inside[c] for c in corners):
                begun = i if begun is None else begun
                continue
            if begun is not None:
                rings.append(
                    [(x[begun], y[j]), (x[i], y[j]), (x[i], y[j + 1]), (x[begun], y[j + 1])]
                )
                begun = None
            if not corners or x[i] == x[i + 1] or not all(known[c] for c in corners):
                continue
            ring = [(float(x[c[1]]), float(y[c[0]]), float(loss[c])) for c in corners]
            for triangle in (ring[:3], [ring[0], *ring[2:]]):
                part = _clipped(_clipped(triangle, low, above=True), high, above=False)
                if len(part) > 2:
                    rings.append([(px, py) for px, py, _ in part])
    return rings


def _clipped(
    ring: list[tuple[float, float, float]], level: float, *, above: bool
) -> list[tuple[float, float, float]]:
    """The part of a polygon where its third coordinate is on one side (Sutherland & Hodgman, "Reentrant polygon clipping",
    1974)."""
    if not np.isfinite(level):
        return ring
    kept = []
    for k, (px, py, pz) in enumerate(ring):
        qx, qy, qz = ring[k - 1]
        here, before = (pz >= level, qz >= level) if above else (pz < level, qz < level)
        if here != before:
            share = (level - qz) / (pz - qz)
            kept.append((qx + share * (px - qx), qy + share * (py - qy), level))
        if here:
            kept.append((px, py, pz))
    return kept
