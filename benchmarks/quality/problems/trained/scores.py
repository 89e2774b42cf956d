"""Cross-validated losses."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from problems import Config
from problems.trained.data import Data, Floats

Make: TypeAlias = Callable[[Config], Any]
Metric: TypeAlias = Literal["error", "log loss", "auc", "precision", "f1", "mae", "rmse", "pinball"]
#: Of the pinball loss.
QUANTILE = 0.9


def crossed(
    data: Callable[[], Data], make: Make, metric: Metric, folds: int = 3
) -> Callable[[Config], float]:
    """The mean loss over fixed folds; NaN where a model can't be trained or predicts no number."""

    def true(config: Config) -> float:
        import sklearn
        from sklearn.model_selection import KFold, StratifiedKFold

        x, y = data()
        cv = KFold if metric in ("mae", "rmse", "pinball") else StratifiedKFold
        losses = []
        with (
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            sklearn.config_context(assume_finite=True, skip_parameter_validation=True),
        ):
            warnings.simplefilter("ignore")
            for train, test in cv(folds, shuffle=True, random_state=0).split(x, y):
                try:
                    model = make(config).fit(x[train], y[train])
                    losses.append(_loss(metric, model, x[test], y[test]))
                except (ValueError, FloatingPointError, np.linalg.LinAlgError):
                    return float("nan")
        return float(np.mean(losses))

    return true


def scaled(model: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), model)


def log_loss(probabilities: Floats, y: Any) -> float:
    """Of labels 0, 1, ..; a probability counts as at least 1e-6."""
    chosen = probabilities[np.arange(len(y)), y]
    return float(-np.log(np.clip(chosen, 1e-6, 1)).mean())


def _loss(metric: Metric, model: Any, x: Any, y: Any) -> float:
    from sklearn import metrics

    if metric in ("auc", "precision"):
        decide = getattr(model, "decision_function", None)
        scores = decide(x) if decide is not None else model.predict_proba(x)[:, 1]
        measure = metrics.roc_auc_score if metric == "auc" else metrics.average_precision_score
        return 1 - float(measure(y, scores))
    if metric == "log loss":
        return log_loss(model.predict_proba(x), y)
    predicted = model.predict(x)
    if metric == "error":
        return float((predicted != y).mean())
    if metric == "f1":
        hits = float(((predicted == 1) & (y == 1)).sum())
        return 1 - 2 * hits / max(float((predicted == 1).sum() + (y == 1).sum()), 1.0)
    off = y - np.ravel(predicted)
    if metric == "mae":
        return float(np.abs(off).mean())
    if metric == "rmse":
        return float(np.sqrt((off**2).mean()))
    return float(np.maximum(QUANTILE * off, (QUANTILE - 1) * off).mean())
