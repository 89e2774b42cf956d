"""Programs of our own that stand for SageMaker's built-in algorithms, with their hyperparameters' and metrics' names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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

#: Of those algorithms whose programs are all ours: hyperparameters that have their effect, and SageMaker's others.
USED: Final[Mapping[str, tuple[str, ...]]] = {
    "linear_learner": (
        "predictor_type", "loss", "learning_rate", "l1", "wd", "mini_batch_size", "optimizer", "use_bias", "normalize_data",
        "num_classes", "epochs", "seed",
    ),
    "knn": (
        "predictor_type", "k", "sample_size", "index_metric", "dimension_reduction_type", "dimension_reduction_target", "seed",
    ),
}  # fmt: skip
WITHOUT_EFFECT: Final[Mapping[str, tuple[str, ...]]] = {
    "linear_learner": (
        "accuracy_top_k", "balance_multiclass_weights", "beta_1", "beta_2", "bias_lr_mult", "bias_wd_mult",
        "binary_classifier_model_selection_criteria", "early_stopping_patience", "early_stopping_tolerance", "f_beta",
        "feature_dim", "huber_delta", "init_bias", "init_method", "init_scale", "init_sigma", "loss_insensitivity",
        "lr_scheduler_factor", "lr_scheduler_minimum_lr", "lr_scheduler_step", "margin", "momentum", "normalize_label",
        "num_calibration_samples", "num_models", "num_point_for_scaler", "positive_example_weight_mult", "quantile",
        "target_precision", "target_recall", "unbias_data", "unbias_label", "use_lr_scheduler",
    ),
    "knn": ("feature_dim", "mini_batch_size", "index_type", "faiss_index_ivf_nlists", "faiss_index_pq_m"),
}  # fmt: skip
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


def check_names(name: str, static: Iterable[str], tuned: Iterable[str] = ()) -> None:
    """Raise Fault for hyperparameters that an algorithm does not know, and for tuned ones that would change nothing."""
    if name not in USED:
        return  # they are a library's, of which it knows itself
    known = (*USED[name], *WITHOUT_EFFECT[name])
    for one in (*static, *tuned):
        if one not in known and not one.startswith(("_", "sagemaker_")):
            raise invalid(f"{name} has no hyperparameter {one!r}{did_you_mean(one, known)}")
    for one in tuned:
        if one in WITHOUT_EFFECT[name]:
            raise invalid(
                f"the hyperparameter {one} has no effect on {name} here, and cannot be tuned; those that have are "
                f"{', '.join(USED[name])}"
            )


def of_image(image: str) -> str | None:
    """The algorithm of one of SageMaker's images."""
    match = _REPOSITORY.fullmatch(image)
    return None if match is None else _IMAGES.get(match[1])
