"""What a model is judged by. Predictions are values, shape (n,), or probabilities, shape (n, classes)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.core.objective import Goal

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """`of(y, predicted)`: the value; `y` has values or class indices, shape (n,)."""

    name: str
    goal: Goal
    of: Callable[[Floats, Floats], float]
    regression: bool = False
    #: Whether it judges probabilities, not only which class is the likeliest: weights of classes spoil it.
    calibrated: bool = False

    @property
    def sign(self) -> float:
        """What the metric is multiplied by so that less is better."""
        return 1.0 if self.goal == "minimize" else -1.0


def _log_loss(y: Floats, p: Floats) -> float:
    own = p[np.arange(len(y)), y.astype(int)] / p.sum(axis=1)
    return float(-np.log(np.clip(own, 1e-15, None)).mean())


def _accuracy(y: Floats, p: Floats) -> float:
    return float((p.argmax(axis=1) == y).mean())


def _balanced_accuracy(y: Floats, p: Floats) -> float:
    right = p.argmax(axis=1) == y
    return float(np.mean([right[y == k].mean() for k in np.unique(y)]))


def _roc_auc(y: Floats, p: Floats) -> float:
    """Of the second class if there are two; else the mean over classes, each against the rest."""
    from scipy.stats import rankdata

    areas = []
    for k in range(1, 2) if p.shape[1] == 2 else range(p.shape[1]):
        mine = y == k
        n, rest = int(mine.sum()), int((~mine).sum())
        if n and rest:
            ranks = rankdata(p[:, k])
            areas.append((ranks[mine].sum() - n * (n + 1) / 2) / (n * rest))
    return float(np.mean(areas)) if areas else 0.5


def _f1(y: Floats, p: Floats) -> float:
    """Of the second class if there are two; else the mean over classes."""
    predicted = p.argmax(axis=1)
    scores = []
    for k in [1] if p.shape[1] == 2 else np.unique(np.concatenate([y, predicted])):
        hits = float(((predicted == k) & (y == k)).sum())
        scores.append(2 * hits / max(float((predicted == k).sum() + (y == k).sum()), 1.0))
    return float(np.mean(scores))


def _rmse(y: Floats, p: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(y - p))))


def _mae(y: Floats, p: Floats) -> float:
    return float(np.mean(np.abs(y - p)))


def _r2(y: Floats, p: Floats) -> float:
    spread = float(np.mean(np.square(y - y.mean())))
    return 1.0 - float(np.mean(np.square(y - p))) / spread if spread else 0.0


METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("log_loss", "minimize", _log_loss, calibrated=True),
        Metric("roc_auc", "maximize", _roc_auc, calibrated=True),
        Metric("accuracy", "maximize", _accuracy),
        Metric("balanced_accuracy", "maximize", _balanced_accuracy),
        Metric("f1", "maximize", _f1),
        Metric("rmse", "minimize", _rmse, regression=True),
        Metric("mae", "minimize", _mae, regression=True),
        Metric("r2", "maximize", _r2, regression=True),
    )
}
_ALSO: Final = {"auc": "roc_auc", "logloss": "log_loss", "acc": "accuracy", "r_squared": "r2"}


def metric_for(task: str, name: str | None = None) -> Metric:
    """The metric of that name; without one, log_loss for classes (it counts how sure a prediction
    was, and is smooth) and rmse for numbers. Raises JobError."""
    regression = task == "regression"
    if name is None:
        return METRICS["rmse" if regression else "log_loss"]
    known = [m.name for m in METRICS.values() if m.regression == regression]
    metric = METRICS.get(_ALSO.get(name.lower(), name.lower()))
    if metric is None:
        raise JobError(f"there is no metric {name!r}{did_you_mean(name.lower(), known)}")
    if metric.regression != regression:
        what = "numbers" if regression else "classes"
        raise JobError(
            f"{metric.name} does not fit {what}, which is what is predicted here; take one of "
            f"{', '.join(known)}"
        )
    return metric


def scores(task: str, y: Floats, predicted: Floats) -> dict[str, float]:
    """Every metric that fits the task."""
    regression = task == "regression"
    return {m.name: m.of(y, predicted) for m in METRICS.values() if m.regression == regression}
