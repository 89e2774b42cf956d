"""Classifiers and detectors: errors, areas, F-scores and log losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from problems import Config
from problems.trained import data
from problems.trained.scores import crossed, scaled
from tunesmith import Choice, Float, Int, Space

#: Name, space, and what is minimised.
Case: TypeAlias = tuple[str, Space, Callable[[Config], float]]


def svc() -> Case:
    from sklearn.svm import SVC

    space = Space(
        scale=Choice(True, False),
        kernel=Choice("rbf", "poly", "sigmoid", "linear"),
        c=Float(1e-3, 1e3, log=True),
        gamma=Float(1e-4, 1e2, log=True, when={"kernel": ["rbf", "poly", "sigmoid"]}),
        degree=Int(2, 6, when={"kernel": "poly"}),
        coef0=Float(-2, 2, when={"kernel": ["poly", "sigmoid"]}),
        tol=Float(1e-5, 1e-1, log=True),
    )

    def make(c: Config) -> Any:
        rest = {k: v for k, v in c.items() if k not in ("c", "scale")}
        model = SVC(C=c["c"], max_iter=4000, **rest)
        return scaled(model) if c["scale"] else model

    return "svc/spirals", space, crossed(data.spirals, make, "error", 5)


def nu_svc() -> Case:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import NuSVC

    space = Space(
        components=Int(1, 30, log=True),
        whiten=Choice(True, False),
        nu=Float(0.01, 0.7, log=True),
        kernel=Choice("rbf", "poly", "sigmoid"),
        gamma=Float(1e-5, 10, log=True),
        degree=Int(2, 4, when={"kernel": "poly"}),
        coef0=Float(-1, 1, when={"kernel": ["poly", "sigmoid"]}),
    )

    def make(c: Config) -> Any:
        rest = {k: v for k, v in c.items() if k not in ("components", "whiten")}
        pca = PCA(c["components"], whiten=c["whiten"], random_state=0)
        return make_pipeline(StandardScaler(), pca, NuSVC(max_iter=4000, **rest))

    source = partial(data.shipped, "breast_cancer")
    return "pca+nu_svc/breast_cancer", space, crossed(source, make, "auc")


class _Thresholded:
    def __init__(self, model: Any, threshold: float) -> None:
        self.model, self.threshold = model, threshold

    def fit(self, x: Any, y: Any) -> _Thresholded:
        self.model.fit(x, y)
        return self

    def predict(self, x: Any) -> Any:
        return (self.model.predict_proba(x)[:, 1] > self.threshold).astype(int)


def logistic() -> Case:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler

    scalers = {"standard": StandardScaler, "range": MinMaxScaler, "robust": RobustScaler}
    space = Space(
        scaler=Choice("standard", "range", "robust"),
        products=Choice(False, True),
        l1_ratio=Choice(0, 1),
        c=Float(1e-4, 1e2, log=True),
        rare=Float(0.5, 30, log=True),
        threshold=Float(0.05, 0.95),
    )

    def make(c: Config) -> Any:
        model = LogisticRegression(
            solver="liblinear", l1_ratio=c["l1_ratio"], C=c["c"], max_iter=25,
            class_weight={0: 1.0, 1: c["rare"]},
        )  # fmt: skip
        steps = [PolynomialFeatures(interaction_only=True)] if c["products"] else []
        return _Thresholded(make_pipeline(scalers[c["scaler"]](), *steps, model), c["threshold"])

    return "logistic+threshold/imbalanced", space, crossed(data.imbalanced, make, "f1", 2)


def text() -> Case:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier, SGDClassifier
    from sklearn.naive_bayes import ComplementNB, MultinomialNB
    from sklearn.pipeline import make_pipeline

    space = Space(
        analyzer=Choice("word", "char_wb"),
        letters=Int(2, 4, when={"analyzer": "char_wb"}),
        words=Int(1, 3, when={"analyzer": "word"}),
        min_df=Int(1, 8),
        max_df=Float(0.1, 1.0),
        sublinear_tf=Choice(True, False),
        use_idf=Choice(True, False),
        norm=Choice("l1", "l2", None),
        model=Choice("multinomial", "complement", "sgd", "ridge"),
        smoothing=Float(1e-4, 10, log=True, when={"model": ["multinomial", "complement"]}),
        loss=Choice("hinge", "log_loss", "modified_huber", when={"model": "sgd"}),
        alpha=Float(1e-7, 1e-1, log=True, when={"model": "sgd"}),
        penalty=Float(1e-3, 1e2, log=True, when={"model": "ridge"}),
    )

    def make(c: Config) -> Any:
        longest = c["words"] if c["analyzer"] == "word" else c["letters"]
        features = TfidfVectorizer(
            analyzer=c["analyzer"], ngram_range=(1, longest), min_df=c["min_df"], norm=c["norm"],
            max_df=c["max_df"], sublinear_tf=c["sublinear_tf"], use_idf=c["use_idf"],
        )  # fmt: skip
        model: Any
        if c["model"] == "sgd":
            model = SGDClassifier(
                loss=c["loss"], alpha=c["alpha"], max_iter=8, tol=None, random_state=0
            )
        elif c["model"] == "ridge":
            model = RidgeClassifier(c["penalty"])
        else:
            kind = MultinomialNB if c["model"] == "multinomial" else ComplementNB
            model = kind(alpha=c["smoothing"])
        return make_pipeline(features, model)

    return "text/topics", space, crossed(data.text, make, "error", 2)


def forest() -> Case:
    from sklearn.ensemble import RandomForestClassifier

    space = Space(
        n_estimators=Int(3, 24, log=True),
        criterion=Choice("gini", "entropy"),
        max_depth=Int(1, 16, log=True),
        min_samples_leaf=Int(1, 40, log=True),
        max_features=Float(0.05, 1.0),
        bootstrap=Choice(True, False),
        max_samples=Float(0.1, 0.99, when={"bootstrap": True}),
        class_weight=Choice("balanced", None),
    )

    def make(c: Config) -> Any:
        return RandomForestClassifier(random_state=0, **c)

    return "forest/imbalanced", space, crossed(data.imbalanced, make, "precision", 2)


def lightgbm() -> Case:
    space = Space(
        boosting=Choice("gbdt", "goss"),
        bagging_fraction=Float(0.3, 1.0, when={"boosting": "gbdt"}),
        top_rate=Float(0.05, 0.6, when={"boosting": "goss"}),
        n_estimators=Int(5, 80, log=True),
        learning_rate=Float(5e-3, 1.0, log=True),
        num_leaves=Int(2, 32, log=True),
        min_child_samples=Int(1, 60, log=True),
        feature_fraction=Float(0.2, 1.0),
        lambda_l1=Float(1e-6, 10, log=True),
        lambda_l2=Float(1e-6, 10, log=True),
        max_bin=Int(7, 127, log=True),
        scale_pos_weight=Float(0.5, 30, log=True),
    )

    def make(c: Config) -> Any:
        from lightgbm import LGBMClassifier

        rest = {k: v for k, v in c.items() if k != "boosting"}
        sampling = "goss" if c["boosting"] == "goss" else "bagging"
        return LGBMClassifier(
            data_sample_strategy=sampling, bagging_freq=1, n_jobs=1, verbose=-1, random_state=0,
            **rest,
        )  # fmt: skip

    return "lightgbm/imbalanced", space, crossed(data.imbalanced, make, "auc")


def xgboost() -> Case:
    space = Space(
        booster=Choice("gbtree", "dart", "gblinear"),
        n_estimators=Int(2, 24, log=True),
        learning_rate=Float(1e-2, 1.0, log=True),
        reg_alpha=Float(1e-6, 10, log=True),
        reg_lambda=Float(1e-6, 10, log=True),
        max_depth=Int(1, 8, when={"booster": ["gbtree", "dart"]}),
        subsample=Float(0.3, 1.0, when={"booster": ["gbtree", "dart"]}),
        colsample_bytree=Float(0.2, 1.0, when={"booster": ["gbtree", "dart"]}),
        min_child_weight=Float(1e-2, 20, log=True, when={"booster": ["gbtree", "dart"]}),
        rate_drop=Float(0.0, 0.6, when={"booster": "dart"}),
    )

    def make(c: Config) -> Any:
        from xgboost import XGBClassifier

        rest = {**c, "tree_method": "exact"} if c["booster"] != "gblinear" else c
        return XGBClassifier(n_jobs=1, verbosity=0, random_state=0, **rest)

    return "xgboost/wine", space, crossed(partial(data.shipped, "wine"), make, "log loss")


def perceptron() -> Case:
    from sklearn.neural_network import MLPClassifier

    space = Space(
        layers=Int(1, 2),
        width=Int(2, 48, log=True),
        activation=Choice("relu", "tanh", "logistic"),
        solver=Choice("sgd", "adam"),
        learning_rate_init=Float(1e-4, 1.0, log=True),
        momentum=Float(0.0, 0.99, when={"solver": "sgd"}),
        beta_1=Float(0.5, 0.99, when={"solver": "adam"}),
        alpha=Float(1e-6, 10, log=True),
        batch_size=Int(8, 120, log=True),
        max_iter=Int(2, 18),
    )

    def make(c: Config) -> Any:
        rest = {k: v for k, v in c.items() if k not in ("layers", "width")}
        return scaled(MLPClassifier((c["width"],) * c["layers"], random_state=0, **rest))

    return "mlp/iris", space, crossed(partial(data.shipped, "iris"), make, "log loss", 2)


def neighbours() -> Case:
    """A weight for every input: numbers alone, and a loss of coarse steps."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    weights = [f"w{j}" for j in range(13)]
    space = Space(
        {w: Float(0.0, 1.0) for w in weights}
        | {"n_neighbors": Int(1, 30, log=True), "p": Float(1.0, 4.0)}
    )

    def make(c: Config) -> Any:
        by = np.array([c[w] for w in weights])
        model = KNeighborsClassifier(c["n_neighbors"], p=c["p"], algorithm="brute")
        return make_pipeline(StandardScaler(), FunctionTransformer(lambda x: x * by), model)

    return "weighted_knn/wine", space, crossed(partial(data.shipped, "wine"), make, "error", 5)


def discriminants() -> Case:
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import (
        LinearDiscriminantAnalysis,
        QuadraticDiscriminantAnalysis,
    )
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline

    space = Space(
        components=Int(2, 60, log=True),
        whiten=Choice(True, False),
        model=Choice("linear", "quadratic", "naive", "centroid"),
        shrinkage=Float(0.0, 1.0, when={"model": "linear"}),
        reg_param=Float(1e-6, 1.0, log=True, when={"model": "quadratic"}),
        var_smoothing=Float(1e-10, 1.0, log=True, when={"model": "naive"}),
        metric=Choice("euclidean", "manhattan", when={"model": "centroid"}),
        shrink_threshold=Float(1e-2, 10, log=True, when={"model": "centroid"}),
    )
    kinds = {
        "linear": partial(LinearDiscriminantAnalysis, solver="lsqr"),
        "quadratic": QuadraticDiscriminantAnalysis,
        "naive": GaussianNB,
        "centroid": NearestCentroid,
    }

    def make(c: Config) -> Any:
        rest = {k: v for k, v in c.items() if k not in ("components", "whiten", "model")}
        pca = PCA(c["components"], whiten=c["whiten"], random_state=0)
        return make_pipeline(pca, kinds[c["model"]](**rest))

    source = partial(data.shipped, "digits", 420)
    return "pca+discriminants/digits", space, crossed(source, make, "error")


def random_features() -> Case:
    from sklearn.kernel_approximation import Nystroem, RBFSampler
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    space = Space(
        features=Choice("fourier", "nystroem"),
        kernel=Choice("rbf", "laplacian", "sigmoid", when={"features": "nystroem"}),
        components=Int(4, 100, log=True),
        gamma=Float(1e-3, 30, log=True),
        alpha=Float(1e-7, 1e-1, log=True),
        learning_rate=Choice("optimal", "constant", "invscaling", "adaptive"),
        eta0=Float(
            1e-3, 10, log=True, when={"learning_rate": ["constant", "invscaling", "adaptive"]}
        ),
        power_t=Float(0.1, 0.9, when={"learning_rate": "invscaling"}),
        l1_ratio=Float(0.0, 1.0),
        average=Choice(True, False),
        epochs=Int(2, 30, log=True),
    )

    def make(c: Config) -> Any:
        if c["features"] == "fourier":
            features = RBFSampler(gamma=c["gamma"], n_components=c["components"], random_state=0)
        else:
            features = Nystroem(
                c["kernel"], gamma=c["gamma"], n_components=c["components"], random_state=0
            )
        names = ("alpha", "learning_rate", "eta0", "power_t", "l1_ratio", "average")
        rest = {k: v for k, v in c.items() if k in names}
        model = SGDClassifier(
            loss="log_loss", penalty="elasticnet", max_iter=c["epochs"], tol=None, random_state=0,
            **rest,
        )  # fmt: skip
        return make_pipeline(StandardScaler(), features, model)

    return "random_features+sgd/spirals", space, crossed(data.spirals, make, "log loss")


def pipeline() -> Case:
    """What a person would try: fill in, scale, select, and one of four models."""
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.impute import KNNImputer, SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    space = Space(
        imputer=Choice("mean", "median", "neighbours"),
        near=Int(1, 20, log=True, when={"imputer": "neighbours"}),
        scaler=Choice("standard", "range", "quantile"),
        reduction=Choice("none", "select", "pca"),
        k=Int(1, 19, when={"reduction": "select"}),
        components=Int(1, 19, when={"reduction": "pca"}),
        model=Choice("logistic", "svc", "knn", "tree"),
        c_logistic=Float(1e-4, 1e3, log=True, when={"model": "logistic"}),
        c_svc=Float(1e-3, 1e3, log=True, when={"model": "svc"}),
        gamma=Float(1e-4, 10, log=True, when={"model": "svc"}),
        n_neighbors=Int(1, 40, log=True, when={"model": "knn"}),
        weights=Choice("uniform", "distance", when={"model": "knn"}),
        max_depth=Int(1, 12, when={"model": "tree"}),
        min_samples_leaf=Int(1, 30, log=True, when={"model": "tree"}),
    )
    scalers = {
        "standard": StandardScaler,
        "range": MinMaxScaler,
        "quantile": partial(QuantileTransformer, n_quantiles=50, output_distribution="normal"),
    }

    def make(c: Config) -> Any:
        steps: list[Any] = [
            KNNImputer(n_neighbors=c["near"]) if "near" in c else SimpleImputer(strategy=c["imputer"]),
            scalers[c["scaler"]](),
        ]  # fmt: skip
        if "k" in c:
            steps.append(SelectKBest(f_classif, k=c["k"]))
        if "components" in c:
            steps.append(PCA(c["components"], random_state=0))
        if c["model"] == "logistic":
            steps.append(LogisticRegression(C=c["c_logistic"], max_iter=60))
        elif c["model"] == "svc":
            steps.append(SVC(C=c["c_svc"], gamma=c["gamma"]))
        elif c["model"] == "knn":
            steps.append(KNeighborsClassifier(c["n_neighbors"], weights=c["weights"]))
        else:
            rest = {k: c[k] for k in ("max_depth", "min_samples_leaf")}
            steps.append(DecisionTreeClassifier(random_state=0, **rest))
        return make_pipeline(*steps)

    return "pipeline/wine_with_holes", space, crossed(data.missing, make, "error", 2)


class _Isolation:
    def __init__(self, scaler: Any, model: Any) -> None:
        self.scaler, self.model = scaler, model

    def fit(self, x: Any, y: Any) -> _Isolation:
        x = self.scaler.fit_transform(x)
        self.model.fit(x)
        return self

    def decision_function(self, x: Any) -> Any:
        return -self.model.score_samples(self.scaler.transform(x))


def detectors() -> Case:
    from sklearn.ensemble import IsolationForest
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    space = Space(
        scale=Choice(True, False),
        model=Choice("isolation", "density", "mixture"),
        trees=Int(2, 16, log=True, when={"model": "isolation"}),
        max_samples=Float(0.02, 1.0, log=True, when={"model": "isolation"}),
        max_features=Float(0.2, 1.0, when={"model": "isolation"}),
        n_neighbors=Int(1, 100, log=True, when={"model": "density"}),
        p=Float(1.0, 4.0, when={"model": "density"}),
        n_components=Int(1, 12, when={"model": "mixture"}),
        covariance=Choice("full", "tied", "diag", "spherical", when={"model": "mixture"}),
        reg_covar=Float(1e-6, 10, log=True, when={"model": "mixture"}),
    )

    def make(c: Config) -> Any:
        model: Any
        if c["model"] == "isolation":
            model = IsolationForest(
                n_estimators=c["trees"], max_samples=c["max_samples"],
                max_features=c["max_features"], random_state=0,
            )  # fmt: skip
        elif c["model"] == "density":
            model = LocalOutlierFactor(c["n_neighbors"], p=c["p"], novelty=True, algorithm="brute")
        else:
            model = GaussianMixture(
                c["n_components"], covariance_type=c["covariance"], reg_covar=c["reg_covar"],
                max_iter=30, random_state=0,
            )  # fmt: skip
        return _Isolation(StandardScaler() if c["scale"] else FunctionTransformer(), model)

    return "detectors/outliers", space, crossed(data.outliers, make, "auc", 2)


def cases() -> Iterator[Case]:
    for make in (
        svc, nu_svc, logistic, text, forest, lightgbm, xgboost, perceptron, neighbours,
        discriminants, random_features, pipeline, detectors,
    ):  # fmt: skip
        yield make()
