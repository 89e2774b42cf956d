"""What the spaces name are the estimators' own arguments: every config trains as it is, and each parameter counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith import Int, Space, spaces

ensemble = pytest.importorskip("sklearn.ensemble")
from sklearn.linear_model import ElasticNet, LogisticRegression  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.svm import SVC, SVR  # noqa: E402

#: So that they are quick and give the same twice; nothing that the spaces' parameters need.
QUICK: dict[str, Any] = {"max_iter": 5, "random_state": 0}
ENOUGH: dict[str, Any] = {"max_iter": 500}
SAME: dict[str, Any] = {"random_state": 0}
#: Few trees are as telling as many.
FEW_TREES = {"n_estimators": Int(3, 6)}
#: The estimators of each space.
MAKERS: dict[str, list[tuple[Any, dict[str, Any]]]] = {
    "random_forest": [
        (ensemble.RandomForestClassifier, SAME),
        (ensemble.RandomForestRegressor, SAME),
    ],
    "extra_trees": [(ensemble.ExtraTreesClassifier, SAME), (ensemble.ExtraTreesRegressor, SAME)],
    "svm": [(SVC, ENOUGH), (SVR, ENOUGH)],
    "knn": [(KNeighborsClassifier, {}), (KNeighborsRegressor, {})],
    "mlp": [(MLPClassifier, QUICK), (MLPRegressor, QUICK)],
    "logistic": [(LogisticRegression, ENOUGH | SAME)],
    "elastic_net": [(ElasticNet, {})],
}
for package, prefix in (("lightgbm", "LGBM"), ("xgboost", "XGB")):
    try:
        module: Any = __import__(package)
    except ImportError:
        continue
    few = {"n_estimators": 10, "n_jobs": 1} | ({"verbose": -1} if package == "lightgbm" else {})
    MAKERS[package] = [
        (getattr(module, f"{prefix}{kind}"), few) for kind in ("Classifier", "Regressor")
    ]
SPACES: dict[str, Space] = {
    name: getattr(spaces, name)(**(FEW_TREES if name in ("random_forest", "extra_trees") else {}))
    for name in MAKERS
}

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(200, 8))
NUMBERS = 2 * INPUTS[:, 0] + np.sin(3 * INPUTS[:, 1]) + INPUTS[:, 2] * INPUTS[:, 3]
NUMBERS = (NUMBERS + RNG.normal(0, 0.3, 200)) / 2
CLASSES = (NUMBERS > 0).astype(int) + (NUMBERS > 1)

pytestmark = pytest.mark.filterwarnings("ignore")  # few iterations do not converge


def fitted(make: Callable[..., Any], config: dict[str, Any], options: dict[str, Any]) -> Any:
    numeric = make.__name__.endswith("Regressor") or make in (SVR, ElasticNet)
    return make(**config, **options).fit(INPUTS, NUMBERS if numeric else CLASSES)


def scores(estimator: Any) -> NDArray[Any]:
    """What it says of each row, as finely as it can."""
    finest = ("predict_proba", "decision_function", "predict")
    score = next(getattr(estimator, name) for name in finest if hasattr(estimator, name))
    return np.asarray(score(INPUTS))


FAMILIES = [(name, *maker) for name, makers in MAKERS.items() for maker in makers]
IDS = [make.__name__ for _, make, _ in FAMILIES]


def test_every_space_of_an_estimator_is_tested() -> None:
    others = {
        "branches",
        "joined",
        "overridden",
        "part",
        "suggest",
        "torch_optimizer",
        "lr_schedule",
    }
    assert set(spaces.__all__) - others == {*MAKERS, "lightgbm", "xgboost"}


@pytest.mark.parametrize(("name", "make", "options"), FAMILIES, ids=IDS)
def test_every_config_trains_as_it_is(name: str, make: Any, options: dict[str, Any]) -> None:
    space, rng = SPACES[name], np.random.default_rng(1)
    for config in [space.default(), *(space.sample(rng) for _ in range(8))]:
        assert np.isfinite(scores(fitted(make, config, options))).all()


def changes(space: Space, name: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """Pairs of configs that differ in one parameter, and in what is only active with its value."""
    rng = np.random.default_rng(2)
    for _ in range(40):
        base, other = space.sample(rng), space.sample(rng)
        if name in base and name in other and base[name] != other[name]:
            yield base, space.adopt({**base, name: other[name]})


@pytest.mark.parametrize(("name", "make", "options"), FAMILIES, ids=IDS)
def test_each_parameter_changes_the_model(name: str, make: Any, options: dict[str, Any]) -> None:
    space = SPACES[name]
    for parameter in space.tunables:
        assert any(
            not np.array_equal(
                scores(fitted(make, config, options)), scores(fitted(make, changed, options))
            )
            for config, changed in changes(space, parameter)
        ), f"{parameter} says nothing"


@pytest.mark.parametrize(
    ("installed", "needs"), [("1.4.0", True), ("1.7.2", True), ("1.8.0", False), ("2.0", False)]
)
def test_the_penalty_is_said_where_the_ratio_needs_it(
    monkeypatch: pytest.MonkeyPatch, installed: str, needs: bool
) -> None:
    from tunesmith.spaces import estimators

    monkeypatch.setattr(estimators, "version", lambda _: installed)
    assert ("penalty" in spaces.logistic()) == needs
    assert spaces.logistic().default()["solver"] == "saga"
