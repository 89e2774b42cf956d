"""Learning curves: the best and those that run as lines, all of them as bands."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.style import LOG_FROM
from tunesmith.core.curves import NOT_FINITE
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import CODES, State
from tunesmith.service.page.listing import fitting
from tunesmith.service.page.readings import Reading

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Lines: the best, those that run, and an even selection of the others; and points of each.
BEST: Final = 30
RUNNING: Final = 50
OTHERS: Final = 120
POINTS: Final = 120
#: From so many trials on there are bands.
BANDS_FROM: Final = 12
_STEPS: Final = 100
_SHARES: Final = (5, 25, 50, 75, 95)


def curves_of(
    reading: Reading, metric: str = "", where: str = "", *, timed: bool = False
) -> dict[str, Any]:
    """Curves of `metric` (the first objective's by default) of the trials that fit, over steps, or `timed` over seconds
    since the trial began. Raises ExpressionError, StudyError."""
    with reading.result() as result:
        ledger = result.ledger
        key = ("curves", metric, where, timed)
        return reading.made(key, ledger, lambda: _curves(ledger, metric, where, timed=timed))


def _curves(ledger: Ledger, metric: str, where: str, *, timed: bool) -> dict[str, Any]:
    signs = {o.metric: o.sign for o in ledger.spec.objectives}
    metrics = [*(m for m in signs if m in ledger.curves.metrics)]
    metrics += [m for m in ledger.curves.metrics if m not in signs]
    if metric not in metrics:
        metric = metrics[0] if metrics else ledger.spec.first_objective.metric
    fit = np.zeros(ledger.size, dtype=np.bool_)
    fit[fitting(ledger, where)] = True
    trials, steps, values = ledger.curves.columns(metric)
    known = np.isfinite(values) & (values != NOT_FINITE) & fit[trials]
    trials, steps, values = trials[known], steps[known], values[known]
    reporting = np.unique(trials)
    shown = _chosen(ledger, reporting)
    best = ledger.incumbent
    lines = []
    for number in shown.tolist():
        points = _points(ledger, number, metric, timed=timed)
        every = max(1, -(-len(points) // POINTS))
        some = points[::every] + ([points[-1]] if points and (len(points) - 1) % every else [])
        lines.append(
            {
                "trial": number,
                "state": str(ledger.state(number)),
                "best": number == best,
                "x": [place for place, _ in some],
                "y": [float(f"{value:.6g}") for _, value in some],
            }
        )
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    return {
        "metric": metric,
        "metrics": metrics,
        "timed": timed,
        "sign": signs.get(metric, 0.0),
        "lines": lines,
        "bands": _bands(steps, values) if len(reporting) >= BANDS_FROM and not timed else [],
        "reporting": len(reporting),
        "fitting": int(fit.sum()),
        "size": ledger.size,
        "cursor": ledger.cursor,
        "log": low > 0 and high / low > LOG_FROM,
    }


def _points(ledger: Ledger, number: int, metric: str, *, timed: bool) -> list[tuple[float, float]]:
    """What a trial reported of a metric that is finite, and where on the axis. Times are from its last attempt's beginning;
    what an earlier one reported was before."""
    reports = [
        r for r in ledger.curves.of(number) if math.isfinite(r.metrics.get(metric, math.nan))
    ]
    if not timed:
        return [(r.step, r.metrics[metric]) for r in reports]
    begun = min([ledger.started_at(number), *(r.at for r in reports)])
    return [(round(r.at - begun, 3), r.metrics[metric]) for r in reports]


def _chosen(ledger: Ledger, reporting: Ints) -> Ints:
    """The trials that are drawn as lines, the best last."""
    losses = ledger.column("losses")[reporting, 0]
    ranked = reporting[np.argsort(losses, kind="stable")][: int(np.isfinite(losses).sum())]
    best = ranked[:BEST]
    running = reporting[ledger.column("state")[reporting] == CODES[State.RUNNING]][-RUNNING:]
    others = np.setdiff1d(reporting, np.concatenate([best, running]))
    if len(others) > OTHERS:
        others = others[np.linspace(0, len(others) - 1, OTHERS).astype(np.int64)]
    last = np.setdiff1d(running, best)
    chosen: Ints = np.concatenate([others, last, best[::-1]])
    return chosen


def _bands(steps: Ints, values: Floats) -> list[list[float]]:
    """Step, and quantiles of the values there; steps are taken together where there are many."""
    distinct = np.unique(steps)
    if len(distinct) > _STEPS:
        edges = np.unique(np.quantile(distinct, np.linspace(0, 1, _STEPS + 1)).astype(np.int64))
        place = np.clip(np.searchsorted(edges, steps, side="right") - 1, 0, len(edges) - 2)
        at = (edges[:-1] + edges[1:]) / 2
    else:
        place, at = np.searchsorted(distinct, steps), distinct.astype(np.float64)
    order = np.argsort(place, kind="stable")
    ends = np.flatnonzero(np.diff(place[order])) + 1
    made = []
    for group in np.split(order, ends):
        quantiles = np.percentile(values[group], _SHARES)
        made.append([float(at[place[group[0]]]), *(float(f"{q:.6g}") for q in quantiles)])
    return made
