"""Regression and forecasts: absolute, squared and pinball losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from problems import Config
from problems.trained import data
from problems.trained.classifiers import Case
from problems.trained.data import Floats
from problems.trained.scores import crossed, scaled
from tunesmith import Choice, Float, Int, Space


def kernel_ridge() -> Case:
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, StandardScaler

    space = Space(
        scaler=Choice("standard", "quantile"),
        kernel=Choice("rbf", "laplacian", "poly", "sigmoid"),
        alpha=Float(1e-4, 1e3, log=True),
        gamma=Float(1e-5, 1, log=True),
        degree=Int(2, 4, when={"kernel": "poly"}),
        coef0=Float(0, 3, when={"kernel": ["poly", "sigmoid"]}),
    )
    scalers = {"standard": StandardScaler, "quantile": partial(QuantileTransformer, n_quantiles=50)}

    def make(c: Config) -> Any:
        rest = {k: v for k, v in c.items() if k != "scaler"}
        return make_pipeline(scalers[c["scaler"]](), KernelRidge(**rest))

    source = partial(data.shipped, "diabetes")
    return "kernel_ridge/diabetes", space, crossed(source, make, "mae")


def extra_trees() -> Case:
    from sklearn.ensemble import ExtraTreesRegressor

    space = Space(
        n_estimators=Int(3, 30, log=True),
        max_depth=Int(2, 20, log=True),
        min_samples_split=Int(2, 40, log=True),
        max_features=Float(0.1, 1.0),
        bootstrap=Choice(True, False),
        max_samples=Float(0.1, 0.99, when={"bootstrap": True}),
        ccp_alpha=Float(1e-6, 1, log=True),
    )

    def make(c: Config) -> Any:
        return ExtraTreesRegressor(random_state=0, **c)

    return "extra_trees/friedman", space, crossed(data.friedman, make, "mae", 2)


def quantile_boosting() -> Case:
    from sklearn.ensemble import GradientBoostingRegressor

    space = Space(
        n_estimators=Int(3, 30, log=True),
        learning_rate=Float(1e-2, 1.0, log=True),
        max_depth=Int(1, 4),
        subsample=Float(0.2, 1.0),
        min_samples_leaf=Int(1, 60, log=True),
        max_features=Float(0.1, 1.0),
        alpha=Float(0.7, 0.99),
    )

    def make(c: Config) -> Any:
        return GradientBoostingRegressor(loss="quantile", random_state=0, **c)

    return "quantile_boosting/uneven", space, crossed(data.uneven, make, "pinball", 2)


def gaussian_process() -> Case:
    """A lengthscale for each input: numbers alone, and a smooth loss."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF

    scales = [f"length{j}" for j in range(10)]
    space = Space(
        {s: Float(0.1, 30, log=True) for s in scales} | {"alpha": Float(1e-3, 10, log=True)}
    )

    def make(c: Config) -> Any:
        kernel = RBF([c[s] for s in scales])
        return scaled(
            GaussianProcessRegressor(kernel, alpha=c["alpha"], optimizer=None, normalize_y=True)
        )

    return "gaussian_process/friedman", space, crossed(data.friedman, make, "rmse")


class _Compressed:
    """A regression of what is compressed towards the median."""

    def __init__(self, model: Any, share: float) -> None:
        self.model, self.share = model, share

    def fit(self, x: Any, y: Any) -> _Compressed:
        self.middle = np.median(y)
        self.unit = self.share * np.subtract(*np.quantile(y, [0.75, 0.25]))
        self.model.fit(x, np.arcsinh((y - self.middle) / self.unit))
        return self

    def predict(self, x: Any) -> Any:
        return self.middle + self.unit * np.sinh(np.clip(np.ravel(self.model.predict(x)), -20, 20))


def heavy_tails() -> Case:
    from sklearn.linear_model import ElasticNet, HuberRegressor
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, RobustScaler, SplineTransformer
    from sklearn.svm import SVR
    from sklearn.tree import DecisionTreeRegressor

    space = Space(
        target=Choice("as it is", "compressed"),
        share=Float(0.05, 20, log=True, when={"target": "compressed"}),
        features=Choice("as they are", "products", "splines"),
        knots=Int(2, 8, when={"features": "splines"}),
        model=Choice("elasticnet", "huber", "svr", "knn", "tree"),
        alpha=Float(1e-5, 10, log=True, when={"model": ["elasticnet", "huber"]}),
        l1_ratio=Float(0, 1, when={"model": "elasticnet"}),
        epsilon=Float(1.01, 4, when={"model": "huber"}),
        c=Float(1e-2, 1e3, log=True, when={"model": "svr"}),
        gamma=Float(1e-4, 1, log=True, when={"model": "svr"}),
        tube=Float(1e-3, 10, log=True, when={"model": "svr"}),
        n_neighbors=Int(1, 60, log=True, when={"model": "knn"}),
        weights=Choice("uniform", "distance", when={"model": "knn"}),
        leaf=Int(1, 60, log=True, when={"model": "tree"}),
        criterion=Choice("squared_error", "absolute_error", when={"model": "tree"}),
    )

    def make(c: Config) -> Any:
        model: Any
        if c["model"] == "elasticnet":
            model = ElasticNet(alpha=c["alpha"], l1_ratio=c["l1_ratio"], max_iter=200)
        elif c["model"] == "huber":
            model = HuberRegressor(alpha=c["alpha"], epsilon=c["epsilon"], max_iter=50)
        elif c["model"] == "svr":
            model = SVR(C=c["c"], gamma=c["gamma"], epsilon=c["tube"], max_iter=4000)
        elif c["model"] == "knn":
            model = KNeighborsRegressor(c["n_neighbors"], weights=c["weights"])
        else:
            model = DecisionTreeRegressor(
                criterion=c["criterion"], min_samples_leaf=c["leaf"], random_state=0
            )
        steps: list[Any] = [RobustScaler()]
        if c["features"] == "products":
            steps.append(PolynomialFeatures(2, include_bias=False))
        elif c["features"] == "splines":
            steps.append(SplineTransformer(c["knots"], knots="quantile", extrapolation="linear"))
        model = make_pipeline(*steps, model)
        return _Compressed(model, c["share"]) if "share" in c else model

    return "regressors/heavy_tails", space, crossed(data.heavy, make, "mae")


def lagged() -> Case:
    """One step ahead, from what came before; trained on the first part, and again on more."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.svm import SVR

    space = Space(
        lags=Int(1, 30, log=True),
        differences=Choice(0, 1, ordered=True),
        season=Choice("none", "12", "7", "both"),
        window=Int(30, 200, log=True),
        model=Choice("ridge", "svr", "knn", "trees"),
        alpha=Float(1e-4, 1e3, log=True, when={"model": "ridge"}),
        c=Float(1e-2, 1e3, log=True, when={"model": "svr"}),
        gamma=Float(1e-5, 1, log=True, when={"model": "svr"}),
        n_neighbors=Int(1, 30, log=True, when={"model": "knn"}),
        trees=Int(2, 16, log=True, when={"model": "trees"}),
        leaf=Int(1, 20, log=True, when={"model": "trees"}),
    )

    def make(c: Config) -> Any:
        if c["model"] == "ridge":
            return scaled(Ridge(c["alpha"]))
        if c["model"] == "svr":
            return scaled(SVR(C=c["c"], gamma=c["gamma"], epsilon=0.05, max_iter=4000))
        if c["model"] == "knn":
            return scaled(KNeighborsRegressor(c["n_neighbors"]))
        return ExtraTreesRegressor(c["trees"], min_samples_leaf=c["leaf"], random_state=0)

    def true(c: Config) -> float:
        y = data.series()
        y = np.diff(y) if c["differences"] else y
        rows = np.arange(31, len(y))
        x = np.column_stack([y[rows - k] for k in range(1, c["lags"] + 1)])
        for period in ("12", "7"):
            if c["season"] in (period, "both"):
                turn = 2 * np.pi * rows / int(period)
                x = np.column_stack([x, np.sin(turn), np.cos(turn)])
        target, losses = y[rows], []
        for start in (210, 235, 260):
            train, test = slice(max(0, start - c["window"]), start), slice(start, start + 25)
            predicted = make(c).fit(x[train], target[train]).predict(x[test])
            losses.append(np.abs(predicted - target[test]).mean())
        return float(np.mean(losses))

    return "lagged/series", space, _quietly(true)


def smoothing() -> Case:
    """Holt and Winters' exponential smoothing: numbers alone, and a smooth loss."""
    space = Space(
        level=Float(0.01, 0.99),
        trend=Float(1e-4, 0.5, log=True),
        damping=Float(0.5, 0.999, log="reverse"),
        season=Float(1e-3, 0.9, log=True),
        period=Int(2, 24),
        ahead=Float(0.0, 1.5),
    )

    def true(c: Config) -> float:
        y = data.series().tolist()
        period, level, trend = c["period"], float(np.mean(y[:24])), 0.0
        seasons, losses = [0.0] * period, []
        for k, value in enumerate(y):
            predicted = level + c["ahead"] * c["damping"] * trend + seasons[k % period]
            if k >= 60:
                losses.append(abs(value - predicted))
            before = level
            hoped = level + c["damping"] * trend
            level = c["level"] * (value - seasons[k % period]) + (1 - c["level"]) * hoped
            trend = c["trend"] * (level - before) + (1 - c["trend"]) * c["damping"] * trend
            seasons[k % period] += c["season"] * (value - level - seasons[k % period])
        return float(np.mean(losses))

    return "smoothing/series", space, true


def least_squares() -> Case:
    """Spectra, smoothed and normalised as chemists do, then partial least squares."""
    from scipy.signal import savgol_filter
    from sklearn.cross_decomposition import PLSRegression

    space = Space(
        half_window=Int(1, 15, log=True),
        order=Int(0, 2),
        derivative=Choice(0, 1, 2, ordered=True),
        normalised=Choice("not", "snv", "range"),
        first=Int(0, 50),
        last=Int(70, 120),
        components=Int(1, 15),
    )

    class Chemist:
        def __init__(self, c: Config) -> None:
            self.c, self.model = c, PLSRegression(c["components"], scale=False)

        def _seen(self, x: Floats) -> Floats:
            c = self.c
            order = max(c["order"], c["derivative"])
            x = savgol_filter(x, 2 * c["half_window"] + 1, order, c["derivative"], axis=1)
            x = x[:, c["first"] : c["last"]]
            if c["normalised"] == "snv":
                x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
            elif c["normalised"] == "range":
                x = (x - x.min(axis=1, keepdims=True)) / np.ptp(x, axis=1, keepdims=True)
            return x

        def fit(self, x: Floats, y: Floats) -> Chemist:
            self.model.fit(self._seen(x), y)
            return self

        def predict(self, x: Floats) -> Any:
            return self.model.predict(self._seen(x))

    return "pls/spectra", space, crossed(data.spectra, Chemist, "mae", 4)


def _quietly(true: Callable[[Config], float]) -> Callable[[Config], float]:
    import warnings

    def quiet(config: Config) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return true(config)

    return quiet


def cases() -> Iterator[Case]:
    for make in (
        kernel_ridge, extra_trees, quantile_boosting, gaussian_process, heavy_tails,
        lagged, smoothing, least_squares,
    ):  # fmt: skip
        yield make()
