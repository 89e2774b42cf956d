"""Ready spaces: what experts would tune of known estimators, optimizers and learning-rate schedules.

Every function returns a `Space`; a keyword replaces a parameter, None takes it away:

>>> import tunesmith as ts
>>> space = ts.spaces.lr_schedule(schedule=ts.Choice("cosine", "constant"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.spaces.compose import branches, joined, overridden, part
    from tunesmith.spaces.estimators import (
        elastic_net,
        extra_trees,
        knn,
        lightgbm,
        logistic,
        mlp,
        random_forest,
        svm,
        xgboost,
    )
    from tunesmith.spaces.optimizers import torch_optimizer
    from tunesmith.spaces.schedules import lr_schedule
    from tunesmith.tuning.next_space import suggest

_HOMES = {
    "compose": ("branches", "joined", "overridden", "part"),
    "estimators": (
        "elastic_net", "extra_trees", "knn", "lightgbm", "logistic", "mlp", "random_forest", "svm", "xgboost",
    ),
    "optimizers": ("torch_optimizer",),
    "schedules": ("lr_schedule",),
}  # fmt: skip
_HOME_OF = {name: f"tunesmith.spaces.{home}" for home, names in _HOMES.items() for name in names}
#: What a space is made of trials by stands above: it needs studies, and is loaded with them.
_HOME_OF["suggest"] = "tunesmith.tuning.next_space"

__all__ = [
    "branches", "elastic_net", "extra_trees", "joined", "knn", "lightgbm", "logistic", "lr_schedule", "mlp", "overridden",
    "part", "random_forest", "suggest", "svm", "torch_optimizer", "xgboost",
]  # fmt: skip


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'tunesmith.spaces' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
