"""Figures of the search: the best value so far, learning curves, the cost of trials, the Pareto front."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    Figure,
    Value,
    figure,
    unit_of,
)
from tunesmith.analysis.trials import TrialArrays, brief, marks, some
from tunesmith.core.errors import StudyError
from tunesmith.core.trial import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Trace = dict[str, Any]

#: Curves in one figure: the best ones, and an even selection of the others.
CURVES: Final = 60
BEST_CURVES: Final = 15
#: Points of one curve.
POINTS: Final = 150


def best_so_far(trials: TrialArrays, over: str = "trials") -> Figure:
    """The best value so far as a line, every trial as a dot. `over` is "trials" or "time"."""
    if over not in ("trials", "time"):
        raise StudyError(f"over is 'trials' or 'time', not {over!r}")
    metric = trials.metric
    stopped = some(trials.of(State.STOPPED))
    stopped = stopped[[n in trials.last_reports for n in stopped.tolist()]]
    reached = np.array([trials.last_reports[n] for n in stopped.tolist()])
    axis = Value(trials.values(trials.done), trials.sign, reached)
    place, unit = _places(trials, over)
    data: list[Trace] = []
    if len(stopped):
        data.append(
            marks("stopped early", place[stopped], axis(reached), stopped, trials)
            | {"marker": {"color": GREY, "size": 6, "symbol": "circle-open"}}
        )
    data.append(
        marks(
            "completed", place[trials.dots], axis(trials.values(trials.dots)), trials.dots, trials
        )
        | {"marker": {"color": BLUE, "size": 6, "opacity": 0.55}}
    )
    failed = some(trials.of(State.FAILED))
    if len(failed) and len(trials.done):
        data.append(
            marks("failed", place[failed], [axis.bad] * len(failed), failed, trials)
            | {"marker": {"color": RED, "size": 7, "symbol": "x"}}
        )
    if len(trials.done):
        data.append(_record(trials, place, axis, over))
    caption = (
        f"The line is the best {metric} so far ({'less' if trials.sign > 0 else 'more'} is better)."
    )
    if not len(trials.done):
        caption = f"No trial has been completed; circles are {trials.reached} of stopped ones."
    elif len(stopped):
        caption += f" Circles are {trials.reached} of trials that were stopped: no final values."
    if axis.clipped:
        caption += " Values far worse than the others are drawn at the edge."
    if len(failed) and len(trials.done) and over == "trials":
        caption += " Failed trials have no value: their crosses are at the bad end."
    if trials.ledger.confirming:
        caption += " Runs that only confirm the best ones are not shown."
    caption = f"{caption} {trials.thinned}".rstrip()
    x: dict[str, Any] = {
        "title": {"text": "trial" if over == "trials" else f"time since the start, {unit}"}
    }
    last = float(np.nanmax(place, initial=0.0))
    if last > 0:
        pad = 0.015 * last + (0.3 if over == "trials" else 0.0)
        x["range"] = [-pad, last + pad]
    title = f"Best {brief(metric, 40)} so far" + (" over time" if over == "time" else "")
    return figure(title, caption, data, xaxis=x, yaxis=axis.axis(metric))


def _record(trials: TrialArrays, place: NDArray[np.float64], axis: Value, over: str) -> Trace:
    """The line of the best value so far."""
    done = trials.done
    if over == "time":
        done = done[np.argsort(place[done], kind="stable")]
    losses = np.minimum.accumulate(trials.first_losses[done])
    improved = np.concatenate([[True], np.diff(losses) < 0])
    x, y = place[done][improved], losses[improved] * trials.sign
    end = float(np.nanmax(place))
    x, y = np.append(x, max(end, float(x[-1]))), np.append(y, y[-1])
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": x.tolist(),
        "y": axis(y),
        "line": {"color": ORANGE, "width": 2.5, "shape": "hv"},
        "hoverinfo": "x+y",
    }


def _places(trials: TrialArrays, over: str) -> tuple[NDArray[np.float64], str]:
    """Where on the horizontal axis each trial is, shape (n,), and the unit."""
    if over == "trials":
        return np.arange(trials.size, dtype=np.float64), ""
    ended, begun = trials.ledger.column("ended_at"), trials.ledger.column("created_at")
    since = ended - (float(np.nanmin(begun)) if len(begun) else 0.0)
    known = since[np.isfinite(since)]
    length, unit = unit_of(float(known.max()) if len(known) else 0.0)
    return since / length, unit


def curves(trials: TrialArrays) -> Figure:
    """What trials reported, step by step; the stopped ones end in a cross."""
    numbers, drawn_curves, reporting = _curves(trials)
    ends = np.array([curve[1][-1] for curve in drawn_curves])
    axis = Value(
        np.concatenate([np.asarray(c[1]) for c in drawn_curves] or [np.empty(0)]), trials.sign
    )
    data: list[Trace] = []
    stops: list[int] = []
    named: set[str] = set()
    winners = trials.winners
    order = sorted(
        range(len(numbers)), key=lambda i: (numbers[i] in winners, _state(trials, numbers[i]))
    )
    for i in order:
        state = trials.ledger.state(numbers[i])
        name = _STATE_NAMES.get(state, "not ended")
        if numbers[i] in winners:
            name = trials.winners_name
        if state is State.STOPPED:
            stops.append(i)
        colour, width, opacity = _CURVES[name]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": drawn_curves[i][0],
                "y": drawn_curves[i][1],
                "line": {"color": colour, "width": width},
                "opacity": opacity,
                "name": name,
                "legendgroup": name,
                "showlegend": name not in named,
                "text": [trials.tip(numbers[i])] * len(drawn_curves[i][0]),
                "hoverinfo": "text",
            }
        )
        named.add(name)
    if stops:
        chosen = np.array([numbers[i] for i in stops])
        at = [drawn_curves[i][0][-1] for i in stops]
        data.append(
            marks("where it was stopped", at, ends[stops].tolist(), chosen, trials)
            | {"marker": {"color": PURPLE, "size": 6, "symbol": "x"}}
        )
    caption = f"One line for each trial: the {metric_words(trials)} that it reported, step by step."
    if stops:
        caption += (
            " Lines that end in a cross were stopped early, to spend the time on better ones."
        )
    if axis.clipped:
        caption += " What is far worse than the rest is cut off."
    last = max((curve[0][-1] for curve in drawn_curves), default=0)
    if reporting > len(numbers):
        caption += f" Of {reporting:,} trials {len(numbers)} are drawn: the best, and an even selection of the others."
    return figure(
        "Learning curves",
        caption,
        data,
        height=380,
        xaxis={"title": {"text": "step"}} | ({"dtick": 1} if 0 < last <= 12 else {}),
        yaxis=axis.axis(trials.metric),
    )


_STATE_NAMES: Final = {
    State.COMPLETED: "completed",
    State.STOPPED: "stopped early",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
#: colour, width, opacity.
_CURVES: Final[dict[str, tuple[str, float, float]]] = {
    "failed": (RED, 1.2, 0.6),
    "stopped early": (GREY, 1.2, 0.6),
    "cancelled": (GREY, 1.2, 0.6),
    "not ended": (GREEN, 1.2, 0.7),
    "completed": (BLUE, 1.4, 0.6),
    "best": (ORANGE, 3.0, 1.0),
    "front": (ORANGE, 2.0, 1.0),
}


def _state(trials: TrialArrays, number: int) -> int:
    name = _STATE_NAMES.get(trials.ledger.state(number), "not ended")
    return list(_CURVES).index(name)


def metric_words(trials: TrialArrays) -> str:
    return f"{trials.metric} ({'less' if trials.sign > 0 else 'more'} is better)"


def _curves(trials: TrialArrays) -> tuple[list[int], list[tuple[list[int], list[float]]], int]:
    """Some trials that reported the metric, their steps and values, and how many there are; none where none
    reported twice."""
    ledger, metric = trials.ledger, trials.metric
    of, _, values = ledger.curves.columns(metric)
    count = np.bincount(of[np.isfinite(values)], minlength=trials.size)
    has = count >= 1
    reporting = int(has.sum())
    if not (count >= 2).any():
        return [], [], 0
    best = trials.ranked[has[trials.ranked]][:BEST_CURVES]
    if trials.best is not None and has[trials.best]:
        best = np.concatenate([[trials.best], best[best != trials.best]])
    has[best] = False
    rest = some(np.flatnonzero(has), CURVES - len(best))
    numbers, drawn_curves = [], []
    for number in [*best.tolist(), *rest.tolist()]:
        points = [
            (r.step, r.metrics[metric]) for r in ledger.curves.of(number) if metric in r.metrics
        ]
        points = [(step, value) for step, value in points if math.isfinite(value)]
        if len(points) > POINTS:
            points = [points[k] for k in np.linspace(0, len(points) - 1, POINTS).astype(int)]
        if points:
            numbers.append(number)
            drawn_curves.append(([s for s, _ in points], [v for _, v in points]))
    return numbers, drawn_curves, reporting


def cost(trials: TrialArrays) -> Figure:
    """Every completed trial's value against its wall time, and the best value for each time."""
    wall = trials.ledger.column("wall_s")
    shown = trials.dots[wall[trials.dots] > 0]
    length, unit = unit_of(float(wall[shown].max()) if len(shown) else 0.0)
    x = wall[shown] / length
    axis = Value(trials.values(trials.done), trials.sign)
    data = [
        marks("completed", x, axis(trials.values(shown)), shown, trials)
        | {"marker": {"color": BLUE, "size": 6, "opacity": 0.5}}
    ]
    if len(shown):
        order = np.lexsort((trials.first_losses[shown], x))
        losses = np.minimum.accumulate(trials.first_losses[shown[order]])
        improved = np.concatenate([[True], np.diff(losses) < 0])
        at = np.append(x[order][improved], x.max())
        y = np.append(losses[improved], losses[-1]) * trials.sign
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "best within that time",
                "x": at.tolist(),
                "y": axis(y),
                "line": {"color": ORANGE, "width": 2.5, "shape": "hv"},
                "hoverinfo": "x+y",
            }
        )
    wide = len(shown) > 1 and float(x.max()) > 30 * float(x.min())
    caption = "Each dot is a trial: how long it ran, and what it reached."
    if axis.clipped:
        caption += " Values far worse than the others are drawn at the edge."
    return figure(
        f"{brief(trials.metric, 40)} by what it took",
        f"{caption} {trials.thinned}".rstrip(),
        data,
        height=300,
        xaxis={
            "title": {"text": f"wall time of the trial, {unit}"},
            **({"type": "log", "exponentformat": "power"} if wide else {}),
        },
        yaxis=axis.axis(trials.metric),
    )


def front(trials: TrialArrays) -> Figure:
    """The first two objectives against each other."""
    objectives = trials.ledger.spec.objectives
    if len(objectives) < 2:
        raise StudyError("a front needs several objectives; this study has one")
    members = trials.front
    within = set(members.tolist())
    others = np.array([n for n in trials.dots.tolist() if n not in within], dtype=np.int64)
    members = members[np.argsort(trials.first_losses[members], kind="stable")]
    axes = [Value(trials.values(trials.done, k), objectives[k].sign, whole=True) for k in (0, 1)]

    def shown(name: str, numbers: Ints) -> Trace:
        x, y = (axes[k](trials.values(numbers, k)) for k in (0, 1))
        return marks(name, [math.nan if v is None else v for v in x], y, numbers, trials)

    data = [
        shown("beaten by others", others) | {"marker": {"color": GREY, "size": 6, "opacity": 0.6}},
        shown("not beaten: the front", members)
        | {"mode": "lines+markers", "marker": {"color": ORANGE, "size": 8}}
        | {"line": {"color": ORANGE, "width": 1.5, "shape": "hv"}},  # from the best in x on
    ]
    if len(objectives) > 2:
        data[1]["mode"] = "markers"
    words = " and ".join(f"{'less' if o.sign > 0 else 'more'} {o.metric}" for o in objectives[:2])
    caption = f"Better is {words}. No other trial is at least as good as one of the front in every objective."
    return figure(
        " and ".join(brief(o.metric, 34) for o in objectives[:2]),
        f"{caption} {trials.thinned}".rstrip(),
        data,
        height=380,
        xaxis=axes[0].axis(objectives[0].metric),
        yaxis=axes[1].axis(objectives[1].metric),
    )
