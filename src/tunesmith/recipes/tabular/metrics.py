"""What a model is judged by. Predictions are values, shape (n,), or probabilities, shape (n, classes)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.core.objective import Goal

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Aim:
    """What the predictions are for, if not the plain value or class: a `quantile` of the target, between 0 and 1; or
    decisions, whose `costs` are by the true class (rows) and the one taken for it (columns)."""

    quantile: float | None = None
    costs: tuple[tuple[float, ...], ...] = ()

    def decisions(self, p: Floats) -> NDArray[np.intp]:
        """The class to take, shape (n,): the likeliest, or the one of the least expected cost (Elkan 2001, eq. 1)."""
        decided: NDArray[np.intp] = self.worths(p).argmax(axis=1)
        return decided

    def worths(self, p: Floats) -> Floats:
        """What each decision is worth, shape (n, classes): its probability, or its expected cost, negated."""
        return -(p @ np.array(self.costs)) if self.costs else p


NO_AIM: Final = Aim()


@dataclass(frozen=True, slots=True)
class Metric:
    """`of(y, predicted, weight)`: the value; `y` has values or class indices, shape (n,); `weight`, of each row, may be
    left out."""

    name: str
    goal: Goal
    of: Callable[..., float]
    regression: bool = False
    #: Whether it judges probabilities, not only which class is the likeliest: weights of classes spoil it.
    calibrated: bool = False
    #: The least and largest value that it may have.
    bounds: tuple[float, float] = (0.0, np.inf)

    @property
    def sign(self) -> float:
        """What the metric is multiplied by so that less is better."""
        return 1.0 if self.goal == "minimize" else -1.0

    @property
    def bounded(self) -> bool:
        return bool(np.isfinite(self.bounds).all())


def _mean(values: NDArray[Any], weight: Floats | None) -> float:
    return float(np.average(values, weights=weight))


def _log_loss(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    own = p[np.arange(len(y)), y.astype(int)] / p.sum(axis=1)
    return _mean(-np.log(np.clip(own, 1e-15, None)), weight)


def _accuracy(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    return _mean(p.argmax(axis=1) == y, weight)


def _balanced_accuracy(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    right = p.argmax(axis=1) == y
    each = (y == k for k in np.unique(y))
    return float(np.mean([_mean(right[k], None if weight is None else weight[k]) for k in each]))


def _roc_auc(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    """Of the second class if there are two; else the mean over classes, each against the rest."""
    w = np.ones(len(y)) if weight is None else weight
    areas = []
    for k in range(1, 2) if p.shape[1] == 2 else range(p.shape[1]):
        mine = y == k
        if mine.any() and not mine.all():
            _, at = np.unique(p[:, k], return_inverse=True)
            here, rest = np.bincount(at, w * mine), np.bincount(at, w * ~mine)
            below = np.cumsum(rest) - rest / 2  # half of what is equal
            areas.append(float(here @ below / (here.sum() * rest.sum())))
    return float(np.mean(areas)) if areas else 0.5


def _f1(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    """Of the second class if there are two; else the mean over classes."""
    w = np.ones(len(y)) if weight is None else weight
    predicted = p.argmax(axis=1)
    f1s = []
    for k in [1] if p.shape[1] == 2 else np.unique(np.concatenate([y, predicted])):
        hits = float(w[(predicted == k) & (y == k)].sum())
        both = float(w[predicted == k].sum() + w[y == k].sum())
        f1s.append(2 * hits / both if both else 0.0)
    return float(np.mean(f1s))


def _rmse(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    return float(np.sqrt(_mean(np.square(y - p), weight)))


def _mae(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    return _mean(np.abs(y - p), weight)


def _r2(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    spread = _mean(np.square(y - np.average(y, weights=weight)), weight)
    return 1.0 - _mean(np.square(y - p), weight) / spread if spread else 0.0


#: The bounds of shares.
SHARE: Final = (0.0, 1.0)
METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("log_loss", "minimize", _log_loss, calibrated=True),
        Metric("roc_auc", "maximize", _roc_auc, calibrated=True, bounds=SHARE),
        Metric("accuracy", "maximize", _accuracy, bounds=SHARE),
        Metric("balanced_accuracy", "maximize", _balanced_accuracy, bounds=SHARE),
        Metric("f1", "maximize", _f1, bounds=SHARE),
        Metric("rmse", "minimize", _rmse, regression=True),
        Metric("mae", "minimize", _mae, regression=True),
        Metric("r2", "maximize", _r2, regression=True, bounds=(-np.inf, 1.0)),
    )
}
_ALSO: Final = {
    "auc": "roc_auc", "logloss": "log_loss", "acc": "accuracy", "r_squared": "r2",
    "quantile": "pinball", "quantile_loss": "pinball", "pinball_loss": "pinball", "costs": "cost",
}  # fmt: skip


def _pinball(quantile: float) -> Metric:
    """Koenker & Bassett, "Regression quantiles" (1978): least for the quantile."""

    def of(y: Floats, p: Floats, weight: Floats | None = None) -> float:
        above = y - p
        return _mean(np.maximum(quantile * above, (quantile - 1.0) * above), weight)

    return Metric("pinball", "minimize", of, regression=True)


def _cost(aim: Aim) -> Metric:
    costs = np.array(aim.costs)

    def of(y: Floats, p: Floats, weight: Floats | None = None) -> float:
        return _mean(costs[y.astype(int), aim.decisions(p)], weight)

    bounds = (float(costs.min()), float(costs.max()))
    return Metric("cost", "minimize", of, bounds=bounds)


def metrics_of(task: str, aim: Aim) -> dict[str, Metric]:
    """The metrics that fit a task and an aim, by name. What judges decisions judges those that `predict` makes."""
    if aim.quantile is not None:
        return {"pinball": _pinball(aim.quantile)}
    regression = task == "regression"
    fitting = {name: m for name, m in METRICS.items() if m.regression == regression}
    if not aim.costs:
        return fitting
    decided = {
        name: m if m.calibrated else replace(m, of=_by_cost(m, aim)) for name, m in fitting.items()
    }
    return {"cost": _cost(aim), **decided}


def _by_cost(metric: Metric, aim: Aim) -> Callable[..., float]:
    def of(y: Floats, p: Floats, weight: Floats | None = None) -> float:
        return metric.of(y, aim.worths(p), weight)

    return of


def metric_for(task: str, name: str | None = None, aim: Aim = NO_AIM) -> Metric:
    """The metric of that name; without one, log_loss for classes (it counts how sure a prediction
    was, and is smooth) and rmse for numbers; pinball for a quantile, and cost where there are costs. Raises JobError."""
    fitting = metrics_of(task, aim)
    if name is None:
        plain = "rmse" if task == "regression" else "log_loss"
        return fitting[plain if aim == NO_AIM else next(iter(fitting))]
    known = {**METRICS, "pinball": None, "cost": None}
    wanted = _ALSO.get(name.lower(), name.lower())
    if wanted in fitting:
        return fitting[wanted]
    if wanted not in known:
        also = "pinball" if task == "regression" else "cost"
        near = list(dict.fromkeys([*fitting, also]))
        raise JobError(f"there is no metric {name!r}{did_you_mean(name.lower(), near)}")
    if aim.quantile is not None:
        raise JobError(
            f"{wanted} does not judge a quantile; take pinball with --quantile, or leave --quantile out"
        )
    if wanted == "pinball" and task == "regression":
        raise JobError(
            "pinball judges a quantile: say which one, as with --quantile 0.9 (quantile=0.9 in Python)"
        )
    if wanted == "cost" and task != "regression":
        raise JobError(
            "cost needs to know what mistakes cost: --costs 'yes=10,no=1' for rows of these classes that are "
            "taken for others (costs={'yes': 10, 'no': 1} in Python)"
        )
    what = "numbers" if task == "regression" else "classes"
    raise JobError(
        f"{wanted} does not fit {what}, which is what is predicted here; take one of {', '.join(fitting)}"
    )


def scores(
    task: str, y: Floats, predicted: Floats, aim: Aim = NO_AIM, weight: Floats | None = None
) -> dict[str, float]:
    """Every metric that fits the task; for a quantile also its coverage, the share of rows at or below it."""
    values = {name: m.of(y, predicted, weight) for name, m in metrics_of(task, aim).items()}
    if aim.quantile is not None:
        values["coverage"] = _mean(y <= predicted, weight)
    return values
