"""From a config to scikit-learn's estimators. Everything that is fitted is fitted inside the fold."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes.tabular.data import Data
from tunesmith.recipes.tabular.space import BOOSTING, FORESTS, SCALED
from tunesmith.recipes.tabular.splits import parts
from tunesmith.spaces.compose import part

#: A category's rarer values share one column beyond so many, or beyond so many numbers in all.
ONE_HOT: Final = 200
ONE_HOT_NUMBERS: Final = 20_000_000
#: Steps of an SVM's solver at most, several times what it needs where it converges: with unscaled features it
#: may never.
SVM_STEPS: Final = 100_000
#: Parts in which a target encoder keeps a row's own target apart.
PARTS: Final = 5
#: Trees at most, where early stopping finds how many.
MOST_TREES: Final = 2_000
#: With texts most numbers are 0. These algorithms are the faster for it, and take 0 for 0, not for missing.
TAKES_SPARSE: Final = ("linear", "svm", "knn", "mlp", "lightgbm")
SPARSE: Final = 0.3
#: The ridge penalty of the lines in the leaves of linear trees.
LINEAR_PENALTY: Final = 0.1


def build(config: dict[str, Any], data: Data, seed: int) -> Any:
    """The unfitted pipeline: columns, selection, model; for a target that `target_transformer` has made."""
    from sklearn.pipeline import Pipeline

    steps = [("columns", _columns(config, data, seed))]
    if config.get("select") == "univariate":
        steps.append(("select", _selector(config["keep"], data)))
    steps.append(("model", model(config, data, seed)))
    return Pipeline(steps)


# -- columns ------------------------------------------------------------------------------------


def _columns(config: dict[str, Any], data: Data, seed: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder

    algorithm = config["algorithm"]
    if data.sparse:
        return MaxAbsScaler() if algorithm in SCALED else "passthrough"
    categories = list(data.categories)
    numbers = list(data.numbers)
    branches = []
    if numbers:
        branches.append(("numbers", _numbers(config, data), numbers))
    if categories:
        branches.append(("categories", _encoder(config, data, seed), categories))
    # Monday to Sunday is no scale: shops are closed on one
    if data.weekdays and algorithm in SCALED:
        week = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        branches.append(("weekdays", week, list(data.weekdays)))
    branches += _texts(config, data)
    if len(branches) == 1 and branches[0][1] == "passthrough":
        return "passthrough"
    sparse = SPARSE if data.texts and algorithm in TAKES_SPARSE else 0.0
    return ColumnTransformer(branches, sparse_threshold=sparse)


def _texts(config: dict[str, Any], data: Data) -> list[tuple[str, Any, list[int]]]:
    """TF-IDF of the words and characters of each text: how rare each is, is learned here."""
    from sklearn.feature_extraction.text import TfidfTransformer

    branches = []
    for words, pieces in data.texts:
        for what, places in (("words", words), ("characters", pieces)):
            if places and config.get("texts", "both") in (what, "both"):
                tfidf = TfidfTransformer(sublinear_tf=config.get("counts") == "log")
                branches.append((f"{what}{places[0]}", tfidf, list(places)))
    return branches


def fillings(config: dict[str, Any], data: Data) -> NDArray[np.float64] | None:
    """What is put into the gaps of later rows, shape (width,), where trees would take them for the least value: in
    columns that have none in `data`. NaN: gaps stay. None: all do.

    Trees that were grown on gaps know what to do with them.
    """
    algorithm = config["algorithm"]
    if data.sparse or algorithm in SCALED:
        return None
    out = np.full(data.width, np.nan)
    categories = set(data.categories)
    for k in sorted((*data.numbers, *categories)):
        if np.isnan(data.x[:, k]).any():
            continue
        if k in categories:
            if config.get("encode_trees") == "ordinal":
                out[k] = np.bincount(data.x[:, k].astype(int)).argmax()
        elif algorithm in BOOSTING:
            out[k] = np.median(data.x[:, k])
    return None if np.isnan(out).all() else out


def _numbers(config: dict[str, Any], data: Data) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    if config["algorithm"] in BOOSTING:
        return "passthrough"  # they know what to do with NaN: see `fillings`
    how = config.get("impute", "median")
    steps = [
        SimpleImputer(
            strategy="mean" if how == "mean" else "median",
            add_indicator=how == "median_and_flag",
            keep_empty_features=True,
        )
    ]  # always: a row of later days may lack what no row of these did
    scaler = _scaler(config.get("scale", "none"), data.rows)
    if scaler is not None:
        steps.append(scaler)
    return make_pipeline(*steps)


def _scaler(how: str, rows: int) -> Any:
    from sklearn import preprocessing as p

    match how:
        case "standard":
            return p.StandardScaler()
        case "robust":
            return p.RobustScaler()
        case "quantile":
            return p.QuantileTransformer(
                n_quantiles=min(300, max(10, rows // 3)),
                output_distribution="normal",
                random_state=0,
            )
        case "power":
            return p.PowerTransformer()
        case _:
            return None


def _encoder(config: dict[str, Any], data: Data, seed: int) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

    from tunesmith.recipes.tabular.apart import ApartEncoder

    how = config.get("encode", config.get("encode_trees", "one_hot"))
    if how == "ordinal":
        if config["algorithm"] in BOOSTING:
            return "passthrough"
        return SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True)
    if how == "one_hot":
        most = min(ONE_HOT, max(20, ONE_HOT_NUMBERS // data.rows))
        return OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=most, sparse_output=False
        )
    encoder: Any = TargetEncoder(target_type=_kind(data), random_state=seed, cv=_parts(data))
    apart = parts(data, data.y, PARTS, seed)
    if apart is not None:
        encoder = ApartEncoder(TargetEncoder(target_type=_kind(data)), apart)
    return (
        encoder
        if config["algorithm"] in (*BOOSTING, *FORESTS)
        else make_pipeline(encoder, StandardScaler())
    )


def _kind(data: Data) -> str:
    """What `TargetEncoder` calls the task: a fold may have fewer classes than the table."""
    if data.task == "regression":
        return "continuous"
    return "multiclass" if len(np.unique(data.y)) > 2 else "binary"


def _parts(data: Data) -> int:
    """How many parts a category's own rows are kept apart in; no more than the largest class has rows."""
    if data.task == "regression":
        return PARTS
    return int(min(PARTS, np.bincount(data.y.astype(int)).max()))


def _selector(keep: float, data: Data) -> Any:
    from sklearn.feature_selection import SelectPercentile, f_classif, f_regression

    score = f_regression if data.task == "regression" else f_classif
    return SelectPercentile(score, percentile=100.0 * keep)


# -- models -------------------------------------------------------------------------------------


def model(config: dict[str, Any], data: Data, seed: int) -> Any:
    """The estimator that a config says, with one thread."""
    algorithm = config["algorithm"]
    options = part(config, algorithm)
    return _MAKERS[algorithm](options, data, seed)


def _lightgbm(options: dict[str, Any], data: Data, seed: int) -> Any:
    import lightgbm

    cls = lightgbm.LGBMRegressor if data.task == "regression" else lightgbm.LGBMClassifier
    fixed: dict[str, Any] = {
        "n_estimators": MOST_TREES,
        "subsample_freq": 1,
        "n_jobs": 1,
        "verbose": -1,
    }
    if data.aim.quantile is not None:
        fixed |= {"objective": "quantile", "alpha": data.aim.quantile}
    if options.get("linear_tree"):
        fixed["linear_lambda"] = LINEAR_PENALTY
    return cls(**{**fixed, **options}, random_state=seed)


def _xgboost(options: dict[str, Any], data: Data, seed: int) -> Any:
    import xgboost

    cls = xgboost.XGBRegressor if data.task == "regression" else xgboost.XGBClassifier
    fixed: dict[str, Any] = {
        "n_estimators": MOST_TREES,
        "tree_method": "hist",
        "n_jobs": 1,
        "verbosity": 0,
    }
    if data.aim.quantile is not None:
        fixed |= {"objective": "reg:quantileerror", "quantile_alpha": data.aim.quantile}
    return cls(**{**fixed, **options}, random_state=seed)


def _random_forest(options: dict[str, Any], data: Data, seed: int) -> Any:
    from sklearn import ensemble

    cls = (
        ensemble.RandomForestRegressor
        if data.task == "regression"
        else ensemble.RandomForestClassifier
    )
    if options.get("max_samples") == 1.0:
        options = options | {"max_samples": None}
    return cls(**options, n_jobs=1, random_state=seed)


def _extra_trees(options: dict[str, Any], data: Data, seed: int) -> Any:
    from sklearn import ensemble

    cls = (
        ensemble.ExtraTreesRegressor if data.task == "regression" else ensemble.ExtraTreesClassifier
    )
    return cls(**options, n_jobs=1, random_state=seed)


def _linear(options: dict[str, Any], data: Data, seed: int) -> Any:
    from sklearn import linear_model as lm

    if data.aim.quantile is not None:
        return lm.QuantileRegressor(
            quantile=data.aim.quantile, alpha=1.0 / (options["C"] * data.rows), solver="highs"
        )
    c, mix = options["C"], options["l1_ratio"]
    if data.task == "regression" and mix == 0.0:
        return lm.Ridge(alpha=1.0 / c)
    if data.task == "regression":
        return lm.ElasticNet(alpha=1.0 / (c * data.rows), l1_ratio=mix, max_iter=2000, tol=1e-3)
    known = lm.LogisticRegression().get_params()
    if mix == 0.0:
        return lm.LogisticRegression(C=c, max_iter=300)
    # until 1.8 the ratio only counts where the penalty says so; since then, saying so is deprecated
    say = {"penalty": "elasticnet"} if known.get("penalty") == "l2" else {}
    return lm.LogisticRegression(
        C=c, l1_ratio=mix, solver="saga", max_iter=200, tol=1e-3, random_state=seed, **say
    )


def _svm(options: dict[str, Any], data: Data, seed: int) -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC, SVR

    fixed = {"cache_size": 200, "max_iter": SVM_STEPS}
    if data.task == "regression":
        return SVR(**options, **fixed)
    svc = SVC(**options, **fixed, random_state=seed)
    return CalibratedClassifierCV(svc, ensemble=False, cv=_calibration(data, seed))


def _calibration(data: Data, seed: int) -> Any:
    """The parts that an SVM's probabilities are calibrated on. Where groups or times leave a class out of any part's other
    rows, they are drawn at random: a part that cannot be told would be worse."""
    y = data.y.astype(int)
    classes = len(np.unique(y))
    for k in (3, 2):
        apart = parts(data, data.y, k, seed) or []
        if apart and all(len(np.unique(y[split.learned])) == classes for split in apart):
            return [(split.learned, split.checked) for split in apart]
    return min(3, max(2, _rarest(data)))


def _rarest(data: Data) -> int:
    """How many rows the rarest of the classes has that there are."""
    counts = np.bincount(data.y.astype(int))
    return int(counts[counts > 0].min())


def _knn(options: dict[str, Any], data: Data, _seed: int) -> Any:
    from sklearn import neighbors

    cls = (
        neighbors.KNeighborsRegressor
        if data.task == "regression"
        else neighbors.KNeighborsClassifier
    )
    return cls(**options, n_jobs=1)


def _mlp(options: dict[str, Any], data: Data, seed: int) -> Any:
    from sklearn import neural_network

    cls = neural_network.MLPRegressor if data.task == "regression" else neural_network.MLPClassifier
    many = data.rows >= 2_000
    if many and data.task != "regression":  # what stops it is a tenth of the rows, with all classes
        many = _rarest(data) >= 2 and 20 * len(data.classes) <= data.rows
    return cls(
        **options,
        max_iter=100 if many else 200,
        early_stopping=many,
        n_iter_no_change=8,
        random_state=seed,
    )


_MAKERS: Final = {
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "random_forest": _random_forest,
    "extra_trees": _extra_trees,
    "linear": _linear,
    "svm": _svm,
    "knn": _knn,
    "mlp": _mlp,
}


# -- the target ---------------------------------------------------------------------------------


def target_transformer(config: dict[str, Any], rows: int) -> Any:
    """What makes the target of a regression easier to learn, unfitted; it always ends with variance 1."""
    from sklearn import preprocessing as p
    from sklearn.pipeline import make_pipeline

    match config.get("target", "none"):
        case "log":
            log = p.FunctionTransformer(np.log1p, np.expm1, check_inverse=False)
            return make_pipeline(log, p.StandardScaler())
        case "quantile":
            return p.QuantileTransformer(
                n_quantiles=min(300, max(10, rows // 3)),
                output_distribution="normal",
                random_state=0,
            )
        case "power":
            return p.PowerTransformer()
        case _:
            return p.StandardScaler()
