"""Figures of several objectives: the front and what it beats, how it grew, and one of its trials in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.findings import listed
from tunesmith.analysis.style import BLUE, GREEN, GREY, ORANGE, Figure, Value, figure
from tunesmith.analysis.trials import (
    CROSSES,
    TrialArrays,
    brief,
    broken_marks,
    forecast_marks,
    marks,
    thinned,
)
from tunesmith.core.errors import StudyError
from tunesmith.core.incumbent import front as front_of
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import count, show_number
from tunesmith.core.rng import stream
from tunesmith.numeric.design import latin

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Trace = dict[str, Any]

#: How far beyond the front's worst the axes go, in the front's widths: what is farther is drawn at the edge.
BEYOND: Final = 1.0
#: Places at which it is looked who beats them, to measure a volume.
PLACES: Final = 8192
#: How far beyond the front's worst values the volume is measured, in the front's widths.
MARGIN: Final = 0.1
#: Shares of the trials after which the front is drawn.
AFTER: Final = (0.25, 0.5, 1.0)
#: A value that differs by at most this share is nearly as good.
NEAR: Final = 0.1
FRONT: Final = "not beaten: the front"
_FRACTIONS: Final = (
    "half", "a third", "a quarter", "a fifth", "a sixth", "a seventh", "an eighth", "a ninth", "a tenth",
)  # fmt: skip


def front(trials: TrialArrays, places: tuple[int, int] = (0, 1)) -> Figure:
    """Two objectives against each other: the front, the region that it beats, its knee, what the user's rule prefers,
    and what breaks a constraint."""
    objectives = _several(trials)
    members = trials.front[np.argsort(trials.losses[trials.front, places[0]], kind="stable")]
    others = np.setdiff1d(trials.dots, members)
    stopped, ends = _stopped(trials, places)
    axes = [_axis(trials, k, ends[:, i]) for i, k in enumerate(places)]

    def at(values: Floats) -> tuple[list[float], list[float | None]]:
        x, y = (axis(values[:, i]) for i, axis in enumerate(axes))
        return [math.nan if v is None else v for v in x], y

    def of(numbers: Ints) -> tuple[list[float], list[float | None]]:
        return at(np.column_stack([trials.values(numbers, k) for k in places]))

    two = len(objectives) == 2
    data: list[Trace] = []
    if two and len(members):
        data.append(_beaten(*of(members), axes))
    data += forecast_marks(*at(ends), stopped, trials)
    if len(trials.crosses):
        data.append(broken_marks(*of(trials.crosses), trials.crosses, trials))
    data.append(
        marks("beaten by others", *of(others), others, trials)
        | {"marker": {"color": GREY, "size": 6, "opacity": 0.6}}
    )
    data.append(
        marks(FRONT, *of(members), members, trials)
        | {"mode": "lines+markers" if two else "markers", "marker": {"color": ORANGE, "size": 8}}
        | {"line": {"color": ORANGE, "width": 1.5, "shape": "hv"}}  # from the best in x on
    )
    for name, number, colour in (
        ("knee", trials.knee, GREEN),
        ("preferred", trials.best, BLUE),
    ):
        if number is not None:
            one = np.array([number])
            data.append(
                marks(name, *of(one), one, trials)
                | {"marker": {"color": colour, "size": 13, "symbol": "diamond"}}
            )
    chosen = [objectives[k] for k in places]
    words = " and ".join(f"{'less' if o.sign > 0 else 'more'} {o.metric}" for o in chosen)
    caption = f"Better is {words}."
    if two:
        caption += " What lies in the shade is beaten by a trial of the front in both."
    else:
        caption += " What looks beaten here and is of the front is better in another objective."
    if trials.knee is not None:
        caption += " At the knee, giving up a little of one gains most of the other."
    if len(trials.crosses):
        caption += f" {CROSSES}"
    if len(stopped):
        caption += f" {trials.faint}"
    if any(axis.clipped for axis in axes):
        caption += " Values far worse than the front's are drawn at the edge."
    return figure(
        " and ".join(brief(o.metric, 34) for o in chosen),
        f"{caption} {trials.thinned}".rstrip(),
        data,
        height=380,
        xaxis=axes[0].axis(chosen[0].metric),
        yaxis=axes[1].axis(chosen[1].metric),
    )


def _several(trials: TrialArrays) -> Sequence[Any]:
    objectives = trials.ledger.spec.objectives
    if len(objectives) < 2:
        raise StudyError("a front needs several objectives; this study has one")
    return objectives


def _axis(trials: TrialArrays, place: int, others: Floats) -> Value:
    """The axis of an objective, on which all of the front is."""
    sign = trials.ledger.spec.objectives[place].sign
    axis = Value(trials.values(trials.feasible, place), sign, whole=True)
    every = np.concatenate([trials.values(trials.done, place), others[np.isfinite(others)]])
    if not len(every):
        return axis
    axis.log = axis.log and bool((every > 0).all())

    def placed(values: Floats) -> Floats:
        """Where values are, the worse the farther."""
        return sign * (np.log10(values) if axis.log else values)

    at, of_front = placed(every), placed(trials.values(trials.front, place))
    low, high = float(at.min()), float(at.max())
    width = float(np.ptp(of_front)) if len(of_front) else 0.0
    if width > 0.0 and high > float(of_front.max()) + 1.5 * BEYOND * width:
        high = float(of_front.max()) + BEYOND * width
        edge = 10.0**high if axis.log else sign * high
        axis.low, axis.high = (-math.inf, edge) if sign > 0 else (edge, math.inf)
    ends = sorted((sign * low, sign * high))
    pad = 0.05 * (ends[1] - ends[0]) or 0.1 * abs(ends[0]) or 1.0
    axis.range = [ends[0] - pad, ends[1] + pad]
    return axis


def _beaten(x: list[float], y: list[float | None], axes: Sequence[Value]) -> Trace:
    """The region that the front beats, up to the worst ends of the axes; (x, y) is the front, the best in x first."""
    edges = []
    for axis in axes:
        assert axis.range is not None
        edge = axis.range[1] if axis.sign > 0 else axis.range[0]
        edges.append(10.0**edge if axis.log else edge)
    corners = [(x[0], edges[1])]
    for a, b in zip(x, y, strict=True):
        assert b is not None
        corners += [(a, corners[-1][1]), (a, b)]
    corners += [(edges[0], corners[-1][1]), (edges[0], edges[1])]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "beaten by the front",
        "x": [a for a, _ in corners],
        "y": [b for _, b in corners],
        "fill": "toself",
        "fillcolor": ORANGE,
        "opacity": 0.09,
        "line": {"color": ORANGE, "width": 0},
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _stopped(trials: TrialArrays, places: tuple[int, int]) -> tuple[Ints, Floats]:
    """Trials that were stopped, and where they would have come to, shape (n, 2): a forecast of the first objective, of
    the others what was reported last."""
    ends = [trials.expected if k == 0 else trials.by(k).last_reports for k in places]
    both = np.array([n for n in ends[0] if n in ends[1]], dtype=np.int64)
    both, _ = thinned(both, np.zeros(len(both)))
    at = [[float(end[n]) for end in ends] for n in both.tolist()]
    return both, np.array(at).reshape(-1, 2)


# -- how it grew ------------------------------------------------------------------------------


def attainment(trials: TrialArrays) -> Figure:
    """Of two objectives, the fronts of the first quarter, the first half and all of the trials."""
    objectives = _several(trials)
    if len(objectives) > 2:
        raise StudyError(
            "attainment is drawn for two objectives; figures.hypervolume() is for any number of them"
        )
    n = len(trials.feasible)
    moments: dict[int, Ints] = {}
    for share in AFTER:
        first = trials.feasible[: math.ceil(share * n)]
        members = first[front_of(trials.losses[first])]
        moments[len(first)] = members[np.argsort(trials.losses[members, 0], kind="stable")]
    drawn = np.concatenate(list(moments.values()))
    axes = [Value(trials.values(drawn, k), objectives[k].sign, whole=True) for k in (0, 1)]
    data: list[Trace] = []
    colours = (GREY, BLUE, ORANGE)
    for (after, members), colour in zip(moments.items(), colours[-len(moments) :], strict=True):
        x, y = (axes[k](trials.values(members, k)) for k in (0, 1))
        data.append(
            marks(f"after {count(after, 'trial')}", x, y, members, trials)
            | {"mode": "lines+markers", "marker": {"color": colour, "size": 6}}
            | {"line": {"color": colour, "width": 2.0, "shape": "hv"}}
        )
    caption = "What no trial had beaten after so many of them: how far the line moves is what the later ones brought."
    if len(trials.broken):
        caption += " Trials that break a constraint do not count."
    return figure(
        "How the front moved",
        caption,
        data,
        height=340,
        xaxis=axes[0].axis(objectives[0].metric),
        yaxis=axes[1].axis(objectives[1].metric),
    )


def hypervolume(trials: TrialArrays) -> Figure:
    """How much of what the front beats was beaten after so many trials, as a share of what is at the end."""
    _several(trials)
    numbers, shares = growth(trials)
    data: list[Trace] = []
    if len(numbers):
        last = float(trials.size - 1)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "beaten so far",
                "x": [0, *numbers.tolist(), max(last, float(numbers[-1]))],
                "y": [0.0, *shares.tolist(), float(shares[-1])],
                "line": {"color": ORANGE, "width": 2.5, "shape": "hv"},
                "hoverinfo": "x+y",
            }
        )
    caption = (
        "The hypervolume: how much of the region before the front's worst values is beaten, as a share of what is beaten "
        "now. Where the line is flat, more trials brought nothing."
    )
    if len(trials.broken):
        caption += " Trials that break a constraint do not count."
    return figure(
        "What was beaten so far",
        caption,
        data,
        height=280,
        xaxis={
            "title": {"text": "trial"},
            "range": [-0.02 * trials.size - 0.3, 1.02 * trials.size],
        },
        yaxis={
            "title": {"text": "share of the end's hypervolume"},
            "range": [-0.03, 1.05],
            "tickformat": ".0%",
        },
    )


def growth(trials: TrialArrays) -> tuple[Ints, Floats]:
    """The trials at which more was beaten than before, and the share of what is beaten at the end, each of shape (n,).

    Measured at `PLACES` places between the front's best values and a tenth of its width beyond the worst: within 1 %.
    O(trials that were not beaten when they came, times PLACES).
    """
    numbers, losses = trials.feasible, trials.losses[trials.feasible]
    if not len(numbers):
        return numbers, np.zeros(0)
    ends = losses[np.isin(numbers, trials.front)]
    low, high = ends.min(axis=0), ends.max(axis=0)
    wide = np.where(high > low, high - low, np.maximum(np.ptp(losses, axis=0), 1e-12))
    high = high + MARGIN * wide
    m = losses.shape[1]
    rng = stream(trials.history.seed, trials.size, "hypervolume")
    free = low + latin(PLACES, m, rng) * (high - low)
    total, at, shares, beaten = len(free), [], [], 0
    for number, loss in zip(numbers.tolist(), losses, strict=True):
        if not (loss < high).all():
            continue
        left = ~(loss <= free).all(axis=1)
        if not left.all():
            free = free[left]
            beaten = total - len(free)
            at.append(number)
            shares.append(float(beaten))
    return np.array(at, dtype=np.int64), np.array(shares) / max(beaten, 1)


# -- in words ---------------------------------------------------------------------------------


def standing(ledger: Ledger, number: int) -> str:
    """A trial of the front beside the one that is best by the first objective (or, where it is that, by the second):
    ``trial 7: the error of the best within 5 %, at a fifth of its seconds``."""
    objectives = ledger.spec.objectives
    members = ledger.front()
    if len(members) == 1:
        return f"trial {number}: no other is as good in any objective"
    values = np.array([ledger.values(n) for n in members.tolist()])
    losses = ledger.column("losses")[members]
    own = np.array(ledger.values(number))
    by = 0 if own[0] != values[np.argmin(losses[:, 0]), 0] else 1
    best = values[np.lexsort((losses.sum(axis=1), losses[:, by]))[0]]
    other = [k for k in range(len(objectives)) if k != by]
    lead = _near(objectives[by].metric, float(own[by]), float(best[by]))
    rest = [_beside(objectives[k].metric, float(own[k]), float(best[k])) for k in other]
    return f"trial {number}: {lead}, at {listed(rest)}"


def _near(metric: str, own: float, best: float) -> str:
    """How near a value is to the best one."""
    if own == best:
        return f"the {metric} of the best"
    if best and own / best > 0:
        share = abs(own - best) / abs(best)
        if share <= NEAR:
            return f"the {metric} of the best within {math.ceil(100 * share - 1e-9)} %"
        if own / best >= 2:
            return f"{_times(own / best)} times the {metric} of the best"
        return f"{100 * share:.0f} % {'more' if own > best else 'less'} {metric} than the best"
    return f"{metric} {show_number(own, 4)} where the best has {show_number(best, 4)}"


def _beside(metric: str, own: float, best: float) -> str:
    """A value as a multiple of another one's: ``a fifth of its seconds``."""
    if own == best:
        return f"the same {metric}"
    if not best or not own / best > 0:
        return f"{metric} {show_number(own, 4)} instead of {show_number(best, 4)}"
    ratio = own / best
    if ratio > 1:
        return (
            f"{_times(ratio)} times its {metric}"
            if ratio >= 1.05
            else f"{100 * ratio:.0f} % of its {metric}"
        )
    n = round(1 / ratio)
    if 2 <= n <= 10 and abs(ratio * n - 1) <= 0.06:
        return f"{_FRACTIONS[n - 2]} of its {metric}"
    return f"{100 * ratio:.2g} % of its {metric}"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
