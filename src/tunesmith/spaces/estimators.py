"""Spaces for the estimators of scikit-learn, LightGBM and XGBoost: names are the estimators' own arguments.

Each config makes its estimator as it is, ``LGBMClassifier(**config)``, and each parameter counts; what it needs for that
(LightGBM takes a share of the rows only where ``subsample_freq`` is set) is in the space as a fixed value.
A keyword replaces a parameter, None takes it away: ``lightgbm(num_leaves=ts.Int(4, 32), subsample=None)``.
Defaults are where an expert would begin; ranges are wide enough that their ends are seldom the best.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tunesmith.core.space.parameter import Choice, Fixed, Float, Int
from tunesmith.core.space.prior import Normal
from tunesmith.core.space.space import Space
from tunesmith.spaces.compose import overridden

#: Hidden layers, the smallest network first.
_LAYERS = (
    [16],
    [32],
    [64],
    [32, 32],
    [128],
    [64, 64],
    [256],
    [128, 128],
    [128, 128, 128],
    [256, 256],
)


def lightgbm(**overrides: Any) -> Space:
    """``LGBMClassifier`` and ``LGBMRegressor``.

    The number of trees is not here: find it by early stopping. Sources: LightGBM's own "Parameters
    Tuning" page (few leaves and large leaves against overfitting, ``num_leaves`` below
    ``2 ** max_depth``); the ranges of FLAML (Wang et al. 2021, table 5) and of Probst et al. 2019.
    """
    space = Space(
        learning_rate=Float(
            0.01, 0.3, log=True, default=0.1, prior=Normal(0.06, 3.0), group="optimizer"
        ),
        num_leaves=Int(4, 256, log=True, default=31, group="model"),
        min_child_samples=Int(2, 128, log=True, default=20, group="model"),
        colsample_bytree=Float(0.3, 1.0, default=1.0, group="model"),
        subsample=Float(0.4, 1.0, default=1.0, group="model"),
        subsample_freq=Fixed(1, group="model"),  # 0, its default, switches `subsample` off
        reg_alpha=Float(1e-8, 10.0, log=True, default=1e-8, group="model"),
        reg_lambda=Float(1e-8, 100.0, log=True, default=1e-3, group="model"),
        min_split_gain=Float(1e-8, 1.0, log=True, default=1e-8, group="model"),
    )
    return overridden(space, overrides)


def xgboost(**overrides: Any) -> Space:
    """``XGBClassifier`` and ``XGBRegressor``; the number of trees by early stopping.

    Sources: XGBoost's "Notes on Parameter Tuning"; Probst et al. 2019, table 3 (most is to be gained
    from ``learning_rate``, then from the depth and the shares of rows and columns).
    """
    space = Space(
        learning_rate=Float(
            0.01, 0.3, log=True, default=0.1, prior=Normal(0.06, 3.0), group="optimizer"
        ),
        max_depth=Int(2, 12, default=6, group="model"),
        min_child_weight=Float(0.1, 64.0, log=True, default=1.0, group="model"),
        subsample=Float(0.4, 1.0, default=1.0, group="model"),
        colsample_bytree=Float(0.3, 1.0, default=1.0, group="model"),
        reg_alpha=Float(1e-8, 10.0, log=True, default=1e-8, group="model"),
        reg_lambda=Float(1e-3, 100.0, log=True, default=1.0, group="model"),
        gamma=Float(1e-8, 1.0, log=True, default=1e-8, group="model"),
    )
    return overridden(space, overrides)


def random_forest(**overrides: Any) -> Space:
    """``RandomForestClassifier`` and ``RandomForestRegressor``.

    Sources: Probst, Wright & Boulesteix 2019, "Hyperparameters and tuning strategies for random
    forest" (``max_features`` counts most, more trees never hurt).
    """
    space = Space(
        n_estimators=Int(50, 500, log=True, default=200, group="model"),
        max_features=Float(0.05, 1.0, log=True, default=0.4, group="model"),
        min_samples_leaf=Int(1, 32, log=True, default=1, group="model"),
        max_samples=Float(0.3, 1.0, default=1.0, group="model"),
    )
    return overridden(space, overrides)


def extra_trees(**overrides: Any) -> Space:
    """``ExtraTreesClassifier`` and ``ExtraTreesRegressor`` (Geurts, Ernst & Wehenkel 2006).

    All features may be looked at (section 3.2 for regression); leaves of more than one row help
    where there is noise (section 3.3).
    """
    space = Space(
        n_estimators=Int(50, 500, log=True, default=200, group="model"),
        max_features=Float(0.05, 1.0, log=True, default=0.6, group="model"),
        min_samples_leaf=Int(1, 32, log=True, default=1, group="model"),
    )
    return overridden(space, overrides)


def svm(**overrides: Any) -> Space:
    """``SVC`` and ``SVR``; scale the features first.

    Where features have variance 1, good values of ``gamma`` are around ``1 / features`` (scikit-learn's
    ``"scale"``): override it if you have very many. Sources: Hsu, Chang & Lin 2016, "A Practical Guide to Support Vector
    Classification", section 3.2: exponents of 2 from -5 to 15 for C, from -15 to 3 for gamma.
    """
    space = Space(
        kernel=Choice("rbf", "linear", "poly", default="rbf", group="model"),
        C=Float(0.03, 3e3, log=True, prior=Normal(3.0, 10.0), group="model"),
        gamma=Float(
            1e-5, 8.0, log=True, prior=Normal(0.05, 8.0), group="model",
            when={"kernel": ["rbf", "poly"]},
        ),
        degree=Int(2, 4, default=3, group="model", when={"kernel": "poly"}),
    )  # fmt: skip
    return overridden(space, overrides)


def knn(**overrides: Any) -> Space:
    """``KNeighborsClassifier`` and ``KNeighborsRegressor``; scale the features first.

    ``p`` is Minkowski's exponent: 1 adds the distances up, 2 is Euclid's. Source: Dudani 1976 for votes by
    distance; as many neighbours as the noise asks for, from 1 to 100 (Cover & Hart 1967).
    """
    space = Space(
        n_neighbors=Int(1, 100, log=True, default=10, group="model"),
        weights=Choice("uniform", "distance", default="distance", group="model"),
        p=Choice(1, 2, ordered=True, default=2, group="model"),
    )
    return overridden(space, overrides)


def logistic(**overrides: Any) -> Space:
    """``LogisticRegression`` with an elastic net; scale the features first.

    ``C`` is the inverse of the penalty; ``l1_ratio`` 0 is a ridge, 1 a lasso (Zou & Hastie 2005). The solver is the one
    that knows both. For numbers take `elastic_net`.
    """
    space: dict[str, Any] = {
        "C": Float(1e-4, 1e3, log=True, default=1.0, group="model"),
        "l1_ratio": Float(0.0, 1.0, default=0.0, group="model"),
        "solver": Fixed("saga", group="optimizer"),
    }
    if _ratio_needs_penalty():
        space["penalty"] = Fixed("elasticnet", group="model")
    return overridden(Space(space), overrides)


def elastic_net(**overrides: Any) -> Space:
    """``ElasticNet``: a linear model for numbers (Zou & Hastie 2005); scale features and target first.

    ``l1_ratio`` 1 is a lasso; 0, a ridge, has an estimator of its own, as ``ElasticNet`` hardly converges there.
    """
    space = Space(
        alpha=Float(1e-5, 1.0, log=True, default=1e-2, group="model"),
        l1_ratio=Float(0.05, 1.0, default=0.5, group="model"),
    )
    return overridden(space, overrides)


def _ratio_needs_penalty() -> bool:
    """Whether `l1_ratio` only counts where the penalty is said to be an elastic net: before scikit-learn 1.8, which
    took that argument out of use."""
    try:
        major, minor = version("scikit-learn").split(".")[:2]
    except PackageNotFoundError:
        return False
    return (int(major), int(minor)) < (1, 8)


def mlp(**overrides: Any) -> Space:
    """``MLPClassifier`` and ``MLPRegressor``; scale the features first.

    Sizes of the hidden layers are in the order of their weights. Sources: Adam's 1e-3 (Kingma & Ba 2015); Bengio
    2012, "Practical recommendations for gradient-based training of deep architectures".
    """
    space = Space(
        hidden_layer_sizes=Choice(*_LAYERS, ordered=True, default=[64, 64], group="model"),
        activation=Choice("relu", "tanh", default="relu", group="model"),
        alpha=Float(1e-6, 1.0, log=True, default=1e-4, group="model"),
        learning_rate_init=Float(1e-4, 3e-2, log=True, default=1e-3, group="optimizer"),
        batch_size=Int(16, 256, log=True, default=64, group="optimizer"),
    )
    return overridden(space, overrides)
