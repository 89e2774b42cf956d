"""Figures of the search: the best value so far, learning curves, and what trials cost."""

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
    text,
    unit_of,
)
from tunesmith.analysis.trials import (
    CROSSES,
    TrialArrays,
    brief,
    broken_marks,
    forecast_marks,
    marks,
    some,
    thinned,
)
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
    stopped, reached = thinned(*trials.forecasts)
    expected = len(stopped) > 0
    if not expected:
        stopped = some(trials.of(State.STOPPED))
        stopped = stopped[[n in trials.last_reports for n in stopped.tolist()]]
        reached = np.array([trials.last_reports[n] for n in stopped.tolist()])
    axis = Value(trials.values(trials.done), trials.sign, reached)
    place, unit = _places(trials, over)
    data: list[Trace] = []
    if expected:
        data += forecast_marks(place[stopped], axis(reached), stopped, trials)
    elif len(stopped):
        data.append(
            marks("stopped early", place[stopped], axis(reached), stopped, trials)
            | {"marker": {"color": GREY, "size": 6, "symbol": "circle-open"}}
        )
    crosses = trials.crosses
    if len(crosses):
        data.append(broken_marks(place[crosses], axis(trials.values(crosses)), crosses, trials))
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
    if len(trials.feasible):
        data.append(_record(trials, place, axis, over))
    caption = _what_is_seen(trials, over, axis, expected=expected, others=len(stopped) > 0)
    x: dict[str, Any] = {
        "title": {"text": "trial" if over == "trials" else f"time since the start, {unit}"}
    }
    last = float(np.nanmax(place, initial=0.0))
    if last > 0:
        pad = 0.015 * last + (0.3 if over == "trials" else 0.0)
        x["range"] = [-pad, last + pad]
    title = f"Best {brief(metric, 40)} so far" + (" over time" if over == "time" else "")
    return figure(title, caption, data, xaxis=x, yaxis=axis.axis(metric))


def _what_is_seen(
    trials: TrialArrays, over: str, axis: Value, *, expected: bool, others: bool
) -> str:
    """The caption of `best_so_far`: with forecasts of what was stopped, or `others`, what it last reported."""
    way = "less" if trials.sign > 0 else "more"
    sentences = [f"The line is the best {trials.metric} so far ({way} is better)."]
    if not len(trials.done):
        sentences = [f"No trial has been completed; circles are {trials.reached} of stopped ones."]
    elif not len(trials.feasible):
        sentences = [
            f"No completed trial keeps the constraints, so that no {trials.metric} is best."
        ]
    elif len(trials.broken):
        sentences.append(CROSSES)
    if expected:
        sentences.append(trials.faint)
    elif others and len(trials.done):
        sentences.append(
            f"Circles are {trials.reached} of trials that were stopped: no final values."
        )
    if axis.clipped:
        sentences.append("Values far worse than the others are drawn at the edge.")
    if len(trials.of(State.FAILED)) and len(trials.done) and over == "trials":
        sentences.append("Failed trials have no value: their crosses are at the bad end.")
    if trials.ledger.confirming:
        sentences.append("Runs that only confirm the best ones are not shown.")
    return " ".join([*sentences, trials.thinned]).rstrip()


def _record(trials: TrialArrays, place: NDArray[np.float64], axis: Value, over: str) -> Trace:
    """The line of the best value so far, of trials that keep the constraints."""
    done = trials.feasible
    if over == "time":
        done = done[np.argsort(place[done], kind="stable")]
    losses = np.minimum.accumulate(trials.own_losses[done])
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
        name = _name(trials, numbers[i])
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
            | {"marker": {"color": GREY, "size": 6, "symbol": "x"}}
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
    "breaks a constraint": (PURPLE, 1.2, 0.6),
    "completed": (BLUE, 1.4, 0.6),
    "best": (ORANGE, 3.0, 1.0),
    "front": (ORANGE, 2.0, 1.0),
}


def _state(trials: TrialArrays, number: int) -> int:
    return list(_CURVES).index(_name(trials, number))


def _name(trials: TrialArrays, number: int) -> str:
    state = trials.ledger.state(number)
    if state is State.COMPLETED and trials.ledger.column("broken")[number]:
        return "breaks a constraint"
    return _STATE_NAMES.get(state, "not ended")


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
    """Every trial's value against what it took, by `cost_metric` or in wall time, and the best value for each cost."""
    ledger = trials.ledger
    by_metric = ledger.spec.limits.cost_metric
    took = ledger.column("money" if by_metric else "wall_s")
    shown, broken = (n[took[n] > 0] for n in (trials.dots, trials.crosses))
    stopped, expected = trials.forecasts
    stopped, expected = thinned(stopped[took[stopped] > 0], expected[took[stopped] > 0])
    every = took[np.concatenate([shown, broken, stopped]).astype(np.int64)]
    length, unit = (1.0, by_metric) if by_metric else unit_of(float(every.max(initial=0.0)))
    x = took / length
    axis = Value(trials.values(trials.done), trials.sign, expected)
    data = forecast_marks(x[stopped], axis(expected), stopped, trials)
    if len(broken):
        data.append(broken_marks(x[broken], axis(trials.values(broken)), broken, trials))
    data.append(
        marks("completed", x[shown], axis(trials.values(shown)), shown, trials)
        | {"marker": {"color": BLUE, "size": 6, "opacity": 0.5}}
    )
    if len(shown):
        data.append(_within(trials, shown, x[shown], axis))
    wide = len(every) > 1 and float(every.max()) > 30 * float(every.min())
    caption = "Each dot is a trial: what it took, and what it reached. The line is the best for that much."
    if len(broken):
        caption += f" {CROSSES}"
    if len(stopped):
        caption += f" {trials.faint} They stand at what these took until then."
    if axis.clipped:
        caption += " Values far worse than the others are drawn at the edge."
    what = (
        f"{brief(by_metric, 40)} of the trial" if by_metric else f"wall time of the trial, {unit}"
    )
    return figure(
        f"{brief(trials.metric, 40)} by what it took",
        f"{caption} {trials.thinned}".rstrip(),
        data,
        height=300,
        xaxis={
            "title": {"text": text(what)},
            **({"type": "log", "exponentformat": "power"} if wide else {}),
        },
        yaxis=axis.axis(trials.metric),
    )


def _within(trials: TrialArrays, shown: Ints, x: Floats, axis: Value) -> Trace:
    """The line of the best value that was reached within each cost."""
    order = np.lexsort((trials.own_losses[shown], x))
    losses = np.minimum.accumulate(trials.own_losses[shown[order]])
    improved = np.concatenate([[True], np.diff(losses) < 0])
    at = np.append(x[order][improved], x.max())
    y = np.append(losses[improved], losses[-1]) * trials.sign
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best for that much",
        "x": at.tolist(),
        "y": axis(y),
        "line": {"color": ORANGE, "width": 2.5, "shape": "hv"},
        "hoverinfo": "x+y",
    }
