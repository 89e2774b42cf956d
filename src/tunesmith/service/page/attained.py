"""What several studies attained: how soon each reached what all of them did; of several objectives their fronts, and how much
these beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.style import Figure, Value, figure, text
from tunesmith.core.incumbent import front as front_of
from tunesmith.core.objective import Objective
from tunesmith.core.quantity import show_seconds
from tunesmith.numeric.hypervolume import hypervolume

Floats = NDArray[np.float64]

#: Places at which the hypervolume is worked out, and how far beyond the worst of the fronts it is measured from.
PLACES: Final = 30
MARGIN: Final = 0.1
#: Of so many objectives it takes long.
MOST: Final = 4


def reached(courses: Sequence[Mapping[str, Floats]], sign: float) -> dict[str, Any] | None:
    """The best value that all came to, and after how many trials, what time and what compute time each did; None where one
    has come to nothing."""
    if not all(len(course["best"]) for course in courses):
        return None
    target = max(float(course["best"][-1]) for course in courses)
    rows = []
    for course in courses:
        first = int(np.argmax(course["best"] <= target))
        rows.append({
            "trials": int(course["trials"][first]),
            "time": show_seconds(float(course["time"][first])),
            "cost": show_seconds(float(course["cost"][first])),
        })  # fmt: skip
    return {"value": sign * target, "rows": rows}


def fronts(
    objectives: Sequence[Objective], named: Sequence[tuple[str, Floats, str]]
) -> Figure | None:
    """The fronts of studies with two objectives: name, losses in the order in which trials ended (n, 2), colour."""
    drawn = [
        (name, losses[_front(losses)], colour) for name, losses, colour in named if len(losses)
    ]
    if len(objectives) != 2 or not drawn:
        return None
    signs = np.array([o.sign for o in objectives])
    every = np.concatenate([losses for _, losses, _ in drawn]) * signs
    axes = [Value(every[:, k], objectives[k].sign, whole=True) for k in (0, 1)]
    data = []
    for name, losses, colour in drawn:
        values = losses * signs
        data.append({
            "type": "scatter", "mode": "lines+markers", "name": text(name), "x": axes[0](values[:, 0]),
            "y": axes[1](values[:, 1]), "marker": {"color": colour, "size": 6},
            "line": {"color": colour, "width": 2.0, "shape": "hv"}, "text": [text(name)] * len(values),
        })  # fmt: skip
    return figure(
        "The fronts beside one another", "", data, 300,
        xaxis=axes[0].axis(objectives[0].metric), yaxis=axes[1].axis(objectives[1].metric),
    )  # fmt: skip


def volumes(
    objectives: Sequence[Objective], named: Sequence[tuple[str, Floats, str]]
) -> Figure | None:
    """How much each had beaten after so many trials, as a share of what all of them together beat."""
    some = [(name, losses, colour) for name, losses, colour in named if len(losses)]
    if not 2 <= len(objectives) <= MOST or not some:
        return None
    best = np.concatenate([losses[_front(losses)] for _, losses, _ in some])
    best = best[_front(best)]
    low, high = best.min(axis=0), best.max(axis=0)
    wide = np.where(high > low, high - low, np.maximum(np.abs(high), 1e-12))
    scaled = [(name, (losses - low) / wide, colour) for name, losses, colour in some]
    reference = (high - low) / wide + MARGIN
    whole = hypervolume((best - low) / wide, reference)
    data = []
    for name, losses, colour in scaled:
        n = len(losses)
        places = np.unique(np.geomspace(1, n, min(PLACES, n)).astype(int))
        shares = [
            hypervolume(losses[:k][_front(losses[:k])], reference) / whole for k in places.tolist()
        ]
        data.append({
            "type": "scatter", "mode": "lines", "name": text(name), "x": places.tolist(), "y": shares,
            "line": {"color": colour, "width": 2.0, "shape": "hv"}, "text": [text(name)],
        })  # fmt: skip
    return figure(
        "What was beaten, of what all beat together", "", data, 300,
        xaxis={"title": {"text": "completed trials"}},
        yaxis={"title": {"text": "share of the hypervolume"}, "range": [-0.03, 1.05], "tickformat": ".0%"},
    )  # fmt: skip


def _front(losses: Floats) -> NDArray[np.int64]:
    """The rows that no other beats, the best in the first objective first."""
    members = front_of(losses)
    return members[np.argsort(losses[members, 0], kind="stable")]
