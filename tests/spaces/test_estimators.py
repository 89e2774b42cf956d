"""What the spaces name are the estimators' own arguments, and every config trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunesmith import Space, spaces

ensemble = pytest.importorskip("sklearn.ensemble")
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.svm import SVC, SVR  # noqa: E402

QUICK: dict[str, Any] = {"max_iter": 5}
PAIRS: dict[str, tuple[Space, list[tuple[Any, dict[str, Any]]]]] = {
    "random_forest": (
        spaces.random_forest(n_estimators=5),
        [
            (ensemble.RandomForestClassifier, {"bootstrap": True}),
            (ensemble.RandomForestRegressor, {"bootstrap": True}),
        ],
    ),
    "extra_trees": (
        spaces.extra_trees(n_estimators=5),
        [(ensemble.ExtraTreesClassifier, {}), (ensemble.ExtraTreesRegressor, {})],
    ),
    "svm": (spaces.svm(), [(SVC, QUICK), (SVR, QUICK)]),
    "knn": (spaces.knn(), [(KNeighborsClassifier, {}), (KNeighborsRegressor, {})]),
    "mlp": (spaces.mlp(), [(MLPClassifier, QUICK), (MLPRegressor, QUICK)]),
    "logistic": (spaces.logistic(), [(LogisticRegression, QUICK | {"solver": "saga"})]),
}
for package, space in (("lightgbm", spaces.lightgbm()), ("xgboost", spaces.xgboost())):
    try:
        module: Any = __import__(package)
    except ImportError:
        continue
    prefix = {"lightgbm": "LGBM", "xgboost": "XGB"}[package]
    few = {"n_estimators": 3, "n_jobs": 1} | ({"verbose": -1} if package == "lightgbm" else {})
    PAIRS[package] = (
        space,
        [(getattr(module, f"{prefix}{kind}"), few) for kind in ("Classifier", "Regressor")],
    )


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.filterwarnings("ignore")  # five iterations do not converge
def test_every_config_trains(name: str) -> None:
    space, makers = PAIRS[name]
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(150, 3))
    targets = (inputs[:, 0] > 0).astype(int)
    for config in [space.default(), *(space.sample(rng) for _ in range(8))]:
        for make, options in makers:
            known = make().get_params()
            assert set(config) <= set(known), name
            assert make(**config, **options).fit(inputs, targets).predict(inputs).shape == (150,)
