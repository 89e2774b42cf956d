"""Several studies beside one another: the best value by trials, time and what it cost; how they differ."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis import svg
from tunesmith.analysis.appendix import range_of
from tunesmith.analysis.style import BLUE, GREEN, GREY, ORANGE, PURPLE, Value, figure, text, unit_of
from tunesmith.core.errors import StudyError
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import show_number, show_seconds
from tunesmith.core.study import StudySpec
from tunesmith.service.page import attained
from tunesmith.service.page.readings import Readings

Floats = NDArray[np.float64]

MOST: Final = 5
#: Steps of a line.
_POINTS: Final = 400
#: Width of a figure (px): two stand side by side, or one on a phone.
_WIDTH: Final = 440
_COLOURS: Final = (BLUE, ORANGE, GREEN, PURPLE, GREY)
#: What a line is drawn over: words of the title, and of the axis.
_OVER: Final = {
    "trials": ("after so many trials", "completed trials"),
    "time": ("over time", "since it began"),
    "cost": ("by what it took", "compute time of all trials"),
}


def compare(readings: Readings, names: list[str]) -> dict[str, Any]:
    """Raises StudyError where they have no metric in common."""
    names = list(dict.fromkeys(names))[:MOST]
    found, many = [], list[tuple[str, Floats, str]]()
    for name in names:
        with readings.of(name).result() as result:
            ledger = result.ledger
            found.append((name, ledger.spec, _course(ledger), _row(name, ledger)))
            many.append((name, _losses(ledger), _COLOURS[len(many)]))
    metric = found[0][1].first_objective
    others = [
        (name, spec.first_objective) for name, spec, _, _ in found if spec.first_objective != metric
    ]
    if others:
        name, other = others[0]
        raise StudyError(
            f"{found[0][0]!r} is about {metric.metric} ({metric.goal}), {name!r} about {other.metric} ({other.goal}): "
            "their values do not compare"
        )
    figures = []
    for over, words in _OVER.items():
        figures.append(
            _figure(metric.metric, metric.sign, over, words, [(n, c) for n, _, c, _ in found])
        )
    objectives = found[0][1].objectives
    several = len(objectives) > 1 and all(spec.objectives == objectives for _, spec, _, _ in found)
    if several:
        for made in (attained.fronts(objectives, many), attained.volumes(objectives, many)):
            if made is not None:
                title = made["layout"]["title"]["text"]
                drawn = {"svg": svg.draw(made, _WIDTH), "legend": svg.legend(made)}
                figures.append({"title": title, **drawn})
    return {
        "reached": attained.reached([course for _, _, course, _ in found], metric.sign),
        "metric": metric.metric,
        "goal": metric.goal,
        "rows": [row for _, _, _, row in found],
        "figures": figures,
        "differences": _differences([(name, spec) for name, spec, _, _ in found]),
    }


def _course(ledger: Ledger) -> dict[str, Floats]:
    """The best loss so far, behind each completed trial in the order in which they ended, and where that was."""
    table = ledger.table
    done = np.flatnonzero(ledger.feasible() & np.isfinite(ledger.column("losses")[:, 0]))
    ended = ledger.column("ended_at")[done]
    order = np.argsort(ended, kind="stable")
    done = done[order]
    wall = np.nan_to_num(table.column("wall_s")[done])
    begun = ledger.column("created_at")
    return {
        "best": np.minimum.accumulate(ledger.column("losses")[done, 0])
        if len(done)
        else np.empty(0),
        "trials": np.arange(1, len(done) + 1, dtype=np.float64),
        "time": ended[order] - (float(np.nanmin(begun)) if len(begun) else 0.0),
        "cost": np.cumsum(wall),
    }


def _losses(ledger: Ledger) -> Floats:
    """Those of trials that may be best, in the order in which they ended, shape (n, objectives)."""
    losses: Floats = ledger.column("losses")
    done = np.flatnonzero(ledger.feasible() & np.isfinite(losses).all(axis=1))
    order = np.argsort(ledger.column("ended_at")[done], kind="stable")
    return losses[done[order]].copy()


def _row(name: str, ledger: Ledger) -> dict[str, Any]:
    best = ledger.incumbent
    return {
        "name": name,
        "best": best,
        "value": None if best is None else (ledger.values(best) or (None,))[0],
        "trials": ledger.started_count,
        "completed": ledger.completed,
        "worked": show_seconds(ledger.worked_s),
        "compute": show_seconds(ledger.compute_time_s),
        "searcher": ledger.spec.searcher.name,
    }


def _figure(
    metric: str,
    sign: float,
    over: str,
    words: tuple[str, str],
    courses: list[tuple[str, dict[str, Floats]]],
) -> dict[str, str]:
    values = np.concatenate([course["best"] for _, course in courses]) * sign
    axis = Value(values, sign, whole=False)
    longest = max(
        (float(course[over].max()) for _, course in courses if len(course[over])), default=1.0
    )
    length, unit = (1.0, "") if over == "trials" else unit_of(longest)
    data = []
    for (name, course), colour in zip(courses, _COLOURS, strict=False):
        if not len(course["best"]):
            continue
        places = np.unique(
            np.append(np.linspace(0, len(course["best"]) - 1, _POINTS).astype(int), 0)
        )
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": text(name),
                "x": (course[over][places] / length).tolist(),
                "y": axis(course["best"][places] * sign),
                "line": {"color": colour, "width": 2.0, "shape": "hv"},
                "text": [text(name)],
            }
        )
    title = f"Best {metric} so far, {words[0]}"
    made = figure(
        title,
        "",
        data,
        300,
        xaxis={"title": {"text": text(words[1] + (f", {unit}" if unit else ""))}},
        yaxis=axis.axis(metric),
    )
    return {"title": title, "svg": svg.draw(made, _WIDTH), "legend": svg.legend(made)}


def _differences(specs: list[tuple[str, StudySpec]]) -> list[dict[str, Any]]:
    """What is not the same in all of them: a row each, a cell for each study."""
    rows: dict[str, list[str]] = {}
    for k, (_, spec) in enumerate(specs):
        cells = {
            "searcher": json.dumps(spec.searcher.to_dict()),
            "scheduler": json.dumps(spec.scheduler.to_dict() if spec.scheduler else "none"),
        }
        cells |= {
            f"limit {n}": show_number(float(v)) if isinstance(v, (int, float)) else str(v)
            for n, v in spec.limits.to_dict().items()
        }
        cells |= {name: f"{range_of(p)}" for name, p in spec.space.parameters.items()}
        cells["seed"] = str(spec.seed)
        for name, cell in cells.items():
            rows.setdefault(name, ["–"] * len(specs))[k] = cell.strip('"')
    return [{"what": name, "cells": cells} for name, cells in rows.items() if len(set(cells)) > 1]
