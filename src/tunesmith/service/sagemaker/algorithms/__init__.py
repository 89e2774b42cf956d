"""Programs of our own that stand for SageMaker's built-in algorithms, with their hyperparameters' and metrics' names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tunesmith.core.errors import did_you_mean
from tunesmith.service.sagemaker.protocol import invalid

#: Those that XGBoost computes, and those that SageMaker's adds.
XGBOOST: Final = (
    "auc", "aucpr", "error", "logloss", "mae", "map", "mape", "merror", "mlogloss", "ndcg", "rmse", "rmsle",
)  # fmt: skip
BY_LABELS: Final = (
    "accuracy", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "mse", "precision", "r2", "recall",
)  # fmt: skip
LIGHTGBM: Final = (
    "auc", "auc_mu", "average_precision", "binary_error", "binary_logloss", "cross_entropy", "fair", "huber", "l1", "l2",
    "mape", "multi_error", "multi_logloss", "quantile", "rmse",
)  # fmt: skip
LINEAR: Final = (
    "objective_loss", "mse", "rmse", "absolute_loss", "r2", "binary_classification_accuracy", "binary_classification_cross_entropy",
    "binary_f_1.000", "precision", "recall", "roc_auc_score", "multiclass_accuracy", "multiclass_cross_entropy", "macro_f_1.000",
)  # fmt: skip

_NUMBER: Final = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?|nan|inf)"
#: By algorithm: its metrics, and what stands between a metric's name and its value.
_METRICS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "xgboost": (
        tuple(f"{channel}:{name}" for channel in ("train", "validation") for name in (*XGBOOST, *BY_LABELS)),
        "=",
    ),
    "lightgbm": (LIGHTGBM, ": "),
    "linear_learner": (
        tuple(f"{channel}:{name}" for channel in ("train", "validation", "test") for name in LINEAR), "="
    ),
    "knn": (("test:accuracy", "test:mse"), "="),
}  # fmt: skip
#: The names of SageMaker's images, without registry and version.
_IMAGES: Final[Mapping[str, str]] = {
    "xgboost": "xgboost",
    "sagemaker-xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "lightgbm-classification-model": "lightgbm",
    "lightgbm-regression-model": "lightgbm",
    "linear-learner": "linear_learner",
    "knn": "knn",
}
_REPOSITORY: Final = re.compile(r"(?:.*/)?([a-z0-9-]+)(?:[:@].*)?")


def check(name: str) -> None:
    """Raise Fault for what is no algorithm."""
    if name not in _METRICS:
        raise invalid(f"there is no built-in algorithm {name!r}{did_you_mean(name, _METRICS)}")


def metrics(name: str) -> dict[str, str]:
    """By metric of an algorithm: the regular expression that finds it in what the algorithm prints."""
    known, between = _METRICS[name]
    return {metric: rf"(?:^|\s){re.escape(metric)}{between}{_NUMBER}" for metric in known}


def of_image(image: str) -> str | None:
    """The algorithm of one of SageMaker's images."""
    match = _REPOSITORY.fullmatch(image)
    return None if match is None else _IMAGES.get(match[1])
