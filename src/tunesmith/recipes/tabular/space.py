"""All algorithms and what is done to the data, as one conditional space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tunesmith import spaces
from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.prior import Normal
from tunesmith.core.space.space import Config, Space
from tunesmith.recipes.tabular.data import Data
from tunesmith.recipes.tabular.metrics import Metric

ALGORITHMS: Final = (
    "lightgbm", "linear", "random_forest", "extra_trees", "xgboost", "mlp", "svm", "knn",
)  # fmt: skip
#: In the order in which they are tried: what is good, or cheap, comes early.
FIRST: Final = (
    "lightgbm", "linear", "mlp", "svm", "knn", "extra_trees", "xgboost", "random_forest",
)  # fmt: skip
BOOSTING: Final = ("lightgbm", "xgboost")
FORESTS: Final = ("random_forest", "extra_trees")
#: These measure distances, or sums, of features: scales matter.
SCALED: Final = ("linear", "mlp", "svm", "knn")
#: Above so many rows an algorithm is left out: its time grows faster than the rows.
MOST_ROWS: Final = {"svm": 5_000, "knn": 50_000, "mlp": 100_000}
#: .. and a linear model for a quantile, which is a linear programme with a variable for each row.
MOST_QUANTILE: Final = 10_000
#: With fewer rows in a fold the number of trees is a parameter; with more, an inner split finds it.
EARLY_STOPPING_ROWS: Final = 1_500
#: With fewer columns there is nothing to select.
SELECT_FROM: Final = 8


def algorithms(
    data: Data, wanted: Sequence[str] | None = None, rows: int = 0
) -> tuple[list[str], list[str]]:
    """Which algorithms fit the data, and why others were left out; `rows` are those of the final fit, if more.

    SVMs up to 5,000 rows (their time grows with the square of the rows), k-NN up to 50,000, MLPs up to
    100,000; sparse data is for linear models and boosting. Raises JobError for an unknown name.
    """
    from importlib.util import find_spec

    for name in wanted or ():
        if name not in ALGORITHMS:
            raise JobError(f"there is no algorithm {name!r}{did_you_mean(name, ALGORITHMS)}")
    rows = max(rows, data.rows)
    usable, notices = [], []
    for name in ALGORITHMS:
        if wanted and name not in wanted:
            continue
        if name in BOOSTING and find_spec(name) is None:
            notices.append(
                f"{name} is left out: it is not installed (pip install 'tunesmith[tabular]')"
            )
        elif rows > MOST_ROWS.get(name, rows) or (
            name == "linear" and data.aim.quantile is not None and rows > MOST_QUANTILE
        ):
            notices.append(f"{name} is left out: {rows:,} rows are too many for it")
        elif data.sparse and name not in (*BOOSTING, "linear"):
            if wanted:
                notices.append(f"{name} is left out: it does not take sparse tables")
        elif name == "svm" and not _can_calibrate(data):
            notices.append(f"{name} is left out: all classes but one have fewer than 3 rows")
        else:
            usable.append(name)
            if data.bonds.weight is not None and not weighs_rows(name):
                notices.append(
                    f"{name} learns from all rows alike, as it cannot weigh them; its scores are weighted"
                )
    if not usable:
        raise JobError("no algorithm is left: " + "; ".join(notices))
    return usable, notices


def _can_calibrate(data: Data) -> bool:
    """Whether there are two classes with two rows in all but any one fold: an SVM's probabilities need them."""
    return data.task == "regression" or int((np.bincount(data.y.astype(int)) >= 3).sum()) >= 2


def finds_trees(data: Data, folds: int) -> bool:
    """Whether there are rows enough to find the number of trees by early stopping."""
    return data.rows * (folds - 1) / folds >= EARLY_STOPPING_ROWS


def space_for(
    data: Data, names: Sequence[str], metric: Metric, folds: int, lowest: float = np.inf
) -> Space:
    """The space of algorithms `names` on `data`; `lowest` is the least target of the final fit, if it is less."""
    branches = {name: _branch(name, data, folds) for name in names}
    every = spaces.branches("algorithm", branches, default=names[0])
    return spaces.joined(every, **_data_parameters(data, names, metric, lowest))


def _branch(name: str, data: Data, folds: int) -> Space:
    trees: dict[str, Any] = {} if finds_trees(data, folds) else {
        "n_estimators": Int(10, 1000, log=True, default=100, group="model")
    }  # fmt: skip
    few = max(2, min(100, data.rows // 8))
    match name:
        case "lightgbm":
            leaf = Int(1, min(128, few), log=True, default=min(20, few), group="model")
            rows = spaces.lightgbm(min_child_samples=leaf, subsample_freq=None)  # the pipeline's
            if data.task == "regression" and data.aim.quantile is None and not _mostly_zeros(data):
                trees["linear_tree"] = Choice(False, True, default=False, group="model")
            return spaces.joined(rows, **trees)
        case "xgboost":
            return spaces.joined(spaces.xgboost(), **trees)
        case "random_forest":
            return spaces.random_forest()
        case "extra_trees":
            return spaces.extra_trees()
        case "linear" if data.aim.quantile is not None:
            return Space(C=spaces.logistic().parameters["C"])
        case "linear":
            linear = spaces.logistic(l1_ratio=Float(0.0, 1.0, step=0.1, default=0.0, group="model"))
            others = linear.parameters.keys() - {"C", "l1_ratio"}  # the pipeline's
            return spaces.overridden(linear, dict.fromkeys(others))
        case "svm":
            width = len(data.numbers) + len(data.categories) + len(data.texts)
            gamma = Float(
                1e-3 / width, 30.0 / width, log=True, prior=Normal(1.0 / width, 5.0), group="model"
            )
            kernel = Choice("rbf", "poly", default="rbf", group="model")
            return spaces.svm(kernel=kernel, gamma=gamma)
        case "knn":
            return spaces.knn(
                n_neighbors=Int(1, few, log=True, default=min(10, few), group="model")
            )
        case _:
            return spaces.mlp()


def _mostly_zeros(data: Data) -> bool:
    """Whether a table is learned from in sparse form, of which linear trees have no numbers for their lines."""
    return data.sparse or bool(data.texts)


def _data_parameters(
    data: Data, names: Sequence[str], metric: Metric, lowest: float
) -> dict[str, Any]:
    """What is done to the data before an algorithm sees it, each where it makes sense."""

    def where(*some: str) -> dict[str, Any] | None:
        here = [name for name in names if name in some]
        return {"algorithm": here} if here else None

    dense = not data.sparse
    out: dict[str, Any] = {}
    categories = data.categories
    # ranks end where the training rows do, and later rows may go beyond those
    beyond = ("quantile",) if data.bonds.time is None else ()
    if data.missing and (when := where(*SCALED, *FORESTS)):
        out["impute"] = Choice(
            "median", "mean", "median_and_flag", default="median", group="data", when=when
        )
    if dense and data.numbers and (when := where(*SCALED)):
        scales = ("standard", "robust", *beyond, "power", "none")
        out["scale"] = Choice(*scales, default="standard", group="data", when=when)
    if categories and (when := where(*SCALED)):
        out["encode"] = Choice("one_hot", "target", default="one_hot", group="data", when=when)
    if categories and (when := where(*BOOSTING, *FORESTS)):
        out["encode_trees"] = Choice(
            "ordinal", "one_hot", "target", default="ordinal", group="data", when=when
        )
    if data.texts:
        worded = all(words for words, _ in data.texts)
        kinds = ("words", "characters", "both") if worded else ("characters",)
        out["texts"] = Choice(*kinds, default=kinds[0], group="data")
        out["counts"] = Choice("plain", "log", default="log", group="data")
    if dense and data.width >= SELECT_FROM and (when := where(*SCALED, *FORESTS)):
        out["select"] = Choice("all", "univariate", default="all", group="data", when=when)
        least = max(0.1, 1.5 / data.width)  # one at least
        out["keep"] = Float(least, 0.9, default=0.5, group="data", when={"select": "univariate"})
    weighs = [name for name in names if weighs_rows(name)]
    if data.task != "regression" and not metric.calibrated and (when := where(*weighs)):
        out["class_weight"] = Choice("none", "balanced", default="none", group="data", when=when)
    if data.task == "regression":
        transforms = ("none", *_logarithm(data.y, lowest), *beyond, "power")
        out["target"] = Choice(*transforms, default="none", group="data")
    return out


def weighs_rows(algorithm: str) -> bool:
    """Whether an algorithm can let rows count more or less when it learns."""
    return algorithm != "knn" and (algorithm != "mlp" or _mlp_weighs())


def judges_quantiles(algorithm: str) -> bool:
    """Whether an algorithm has a loss for quantiles; others predict a middle, which is shifted."""
    return algorithm in (*BOOSTING, "linear")


def _mlp_weighs() -> bool:
    """Whether MLPs take weights of rows: since scikit-learn 1.7."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(MLPClassifier, "sample_weight"))


def _logarithm(y: Any, lowest: float) -> tuple[str, ...]:
    """Of the target: only of what is never negative, and of which 1 is not large."""
    return ("log",) if min(y.min(), lowest) >= 0.0 and np.median(y) > 1.0 else ()


def first_configs(space: Space, names: Sequence[str], most: int | None = None) -> list[Config]:
    """What experts would try first, `most` at most: each algorithm once, then variants, then boosting's own defaults.

    Boosting that learns slowly is the better bet. What is cheap comes early: it is what the others race against.
    """
    slow: dict[str, dict[str, Any]] = {
        "lightgbm": {"learning_rate": 0.04, "num_leaves": 12, "colsample_bytree": 0.6, "subsample": 0.8},
        "xgboost": {"learning_rate": 0.05, "max_depth": 4, "colsample_bytree": 0.6, "subsample": 0.8},
    }  # fmt: skip
    for name in slow.keys() & set(names):
        if f"{name}.n_estimators" in space:
            slow[name]["n_estimators"] = 200
    each = [(name, slow.get(name, {})) for name in FIRST if name in names]
    variants: list[tuple[str, dict[str, Any]]] = [
        ("mlp", {"hidden_layer_sizes": [128], "activation": "tanh", "alpha": 0.01}),
        ("lightgbm", {**slow["lightgbm"], "linear_tree": True}),
        ("linear", {"C": 3.0, "l1_ratio": 1.0}),  # of very many words few tell
        ("random_forest", {"max_features": 0.15}),
    ]
    apt = {
        "mlp": True,
        "lightgbm": "lightgbm.linear_tree" in space,
        "linear": "texts" in space and "linear.l1_ratio" in space,
        "random_forest": True,
    }
    more = [variant for variant in variants if variant[0] in names and apt[variant[0]]]
    plain: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in slow if name in names]
    return [
        space.complete({"algorithm": name, **{f"{name}.{key}": v for key, v in values.items()}})
        for name, values in [*each, *more, *plain][:most]
    ]
