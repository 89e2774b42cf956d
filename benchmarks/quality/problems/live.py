"""Models that are trained for real, on the data sets that scikit-learn ships, cross-validated.

Folds and seeds are fixed, so a config has one value. Scores are losses; an evaluation takes some
10 to 100 milliseconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from problems import Config, Problem
from tunesmith import Choice, Float, Int, Space


@cache
def _data(name: str) -> tuple[Any, Any]:
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":
        rows = np.random.default_rng(0).permutation(len(x))[:500]
        return x[rows], y[rows]
    return x, y


def _loss(
    data: str, make: Callable[[Config], Any], scoring: str, folds: int = 3
) -> Callable[[Config], float]:
    """The mean loss over folds; what can't be trained counts as NaN."""

    def true(config: Config) -> float:
        from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

        x, y = _data(data)
        cv = (KFold if data == "diabetes" else StratifiedKFold)(folds, shuffle=True, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = cross_val_score(make(config), x, y, cv=cv, scoring=scoring, error_score=np.nan)
        return -float(np.mean(scores))

    return true


def _scaled(model: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), model)


def svm() -> Problem:
    from sklearn.svm import SVC

    space = Space(
        c=Float(1e-3, 1e3, log=True),
        kernel=Choice("rbf", "poly", "sigmoid", "linear"),
        gamma=Float(1e-5, 10, log=True, when={"kernel": ["rbf", "poly", "sigmoid"]}),
        degree=Int(2, 5, when={"kernel": "poly"}),
        coef0=Float(-1, 1, when={"kernel": ["poly", "sigmoid"]}),
        shrinking=Choice(True, False),
    )

    def make(c: Config) -> Any:
        given = {k: v for k, v in c.items() if k != "c"}
        return _scaled(SVC(C=c["c"], max_iter=3000, **given))

    return Problem("svm/digits", "dev", space, _loss("digits", make, "accuracy"))


def boosted_cancer() -> Problem:
    return Problem(
        "lightgbm/breast_cancer",
        "dev",
        _boosted_space(),
        _loss("breast_cancer", _boosted(False), "neg_log_loss"),
    )


def boosted_diabetes() -> Problem:
    return Problem(
        "lightgbm/diabetes",
        "final",
        _boosted_space(),
        _loss("diabetes", _boosted(True), "neg_root_mean_squared_error"),
    )


def _boosted_space() -> Space:
    return Space(
        boosting=Choice("gbdt", "dart", "rf"),
        n_estimators=Int(5, 100, log=True),
        learning_rate=Float(1e-3, 1.0, log=True),
        num_leaves=Int(2, 64, log=True),
        min_child_samples=Int(1, 50, log=True),
        subsample=Float(0.3, 0.99),
        colsample_bytree=Float(0.2, 1.0),
        reg_alpha=Float(1e-6, 10, log=True),
        reg_lambda=Float(1e-6, 10, log=True),
        drop_rate=Float(0.02, 0.5, when={"boosting": "dart"}),
    )


def _boosted(regression: bool) -> Callable[[Config], Any]:
    def make(c: Config) -> Any:
        from lightgbm import LGBMClassifier, LGBMRegressor

        given = {k: v for k, v in c.items() if k != "boosting"}
        return (LGBMRegressor if regression else LGBMClassifier)(
            boosting_type=c["boosting"],
            subsample_freq=1,
            n_jobs=1,
            verbose=-1,
            random_state=0,
            **given,
        )

    return make


def tree() -> Problem:
    from sklearn.tree import DecisionTreeRegressor

    space = Space(
        criterion=Choice("squared_error", "friedman_mse", "absolute_error"),
        splitter=Choice("best", "random"),
        max_depth=Int(1, 20),
        min_samples_split=Int(2, 100, log=True),
        min_samples_leaf=Int(1, 50, log=True),
        max_features=Float(0.1, 1.0),
        ccp_alpha=Float(1e-4, 1e3, log=True),
    )
    make = lambda c: DecisionTreeRegressor(random_state=0, **c)  # noqa: E731
    return Problem(
        "tree/diabetes", "dev", space, _loss("diabetes", make, "neg_root_mean_squared_error")
    )


def sgd() -> Problem:
    from sklearn.linear_model import SGDClassifier

    space = Space(
        loss=Choice("log_loss", "modified_huber"),
        penalty=Choice("l1", "l2", "elasticnet"),
        l1_ratio=Float(0, 1, when={"penalty": "elasticnet"}),
        alpha=Float(1e-7, 1.0, log=True),
        learning_rate=Choice("optimal", "constant", "invscaling", "adaptive"),
        eta0=Float(
            1e-4, 10, log=True, when={"learning_rate": ["constant", "invscaling", "adaptive"]}
        ),
        power_t=Float(0.1, 0.9, when={"learning_rate": "invscaling"}),
        average=Choice(True, False),
        max_iter=Int(2, 60, log=True),
    )
    make = lambda c: _scaled(SGDClassifier(random_state=0, tol=None, **c))  # noqa: E731
    return Problem("sgd/breast_cancer", "dev", space, _loss("breast_cancer", make, "neg_log_loss"))


def neighbours() -> Problem:
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    space = Space(
        components=Int(2, 60, log=True),
        whiten=Choice(True, False),
        n_neighbors=Int(1, 40, log=True),
        weights=Choice("uniform", "distance"),
        metric=Choice("euclidean", "manhattan", "chebyshev", "cosine"),
    )

    def make(c: Config) -> Any:
        model = KNeighborsClassifier(c["n_neighbors"], weights=c["weights"], metric=c["metric"])
        return make_pipeline(PCA(c["components"], whiten=c["whiten"], random_state=0), model)

    return Problem("knn/digits", "final", space, _loss("digits", make, "accuracy"))


def regressors() -> Problem:
    from sklearn.linear_model import ElasticNet, HuberRegressor
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.svm import SVR

    space = Space(
        model=Choice("elasticnet", "huber", "knn", "svr"),
        alpha=Float(1e-5, 10, log=True, when={"model": ["elasticnet", "huber"]}),
        l1_ratio=Float(0, 1, when={"model": "elasticnet"}),
        epsilon=Float(1.01, 5, when={"model": "huber"}),
        n_neighbors=Int(1, 60, log=True, when={"model": "knn"}),
        p=Float(1, 4, when={"model": "knn"}),
        c=Float(1e-1, 1e4, log=True, when={"model": "svr"}),
        gamma=Float(1e-5, 1, log=True, when={"model": "svr"}),
        tube=Float(1e-1, 1e2, log=True, when={"model": "svr"}),
    )

    def make(c: Config) -> Any:
        if c["model"] == "elasticnet":
            return _scaled(ElasticNet(alpha=c["alpha"], l1_ratio=c["l1_ratio"]))
        if c["model"] == "huber":
            return _scaled(HuberRegressor(alpha=c["alpha"], epsilon=c["epsilon"]))
        if c["model"] == "knn":
            return _scaled(KNeighborsRegressor(c["n_neighbors"], p=c["p"]))
        return _scaled(SVR(C=c["c"], gamma=c["gamma"], epsilon=c["tube"]))

    return Problem(
        "regressors/diabetes",
        "final",
        space,
        _loss("diabetes", make, "neg_root_mean_squared_error"),
    )


def mlp() -> Problem:
    from sklearn.neural_network import MLPClassifier

    space = Space(
        solver=Choice("sgd", "adam"),
        learning_rate=Float(1e-4, 1.0, log=True),
        momentum=Float(0.0, 0.99, when={"solver": "sgd"}),
        activation=Choice("relu", "tanh", "logistic"),
        width=Int(2, 64, log=True),
        alpha=Float(1e-6, 10, log=True),
        batch=Int(8, 64, log=True),
        epochs=Int(2, 20),
    )

    def make(c: Config) -> Any:
        extra = {"momentum": c["momentum"]} if "momentum" in c else {}
        return _scaled(
            MLPClassifier(
                (c["width"],), activation=c["activation"], solver=c["solver"], alpha=c["alpha"],
                batch_size=c["batch"], learning_rate_init=c["learning_rate"], max_iter=c["epochs"],
                random_state=0, **extra,
            )
        )  # fmt: skip

    return Problem("mlp/wine", "final", space, _loss("wine", make, "neg_log_loss"))


def problems() -> Iterator[Problem]:
    try:
        import lightgbm  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError:
        return
    for make in (svm, boosted_cancer, tree, sgd, neighbours, boosted_diabetes, regressors, mlp):
        problem = make()
        yield Problem(problem.name, problem.half, problem.space, problem.true, None, ("live",))
