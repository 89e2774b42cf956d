"""24 more models that are trained for real, on other data and by other metrics than in `live`.

An evaluation takes some 5 to 40 milliseconds, so that many seeds are cheap; with ``EVALUATIONS`` in the environment
it is kept in a folder. Folds and seeds are fixed: a config has one value.

**The halves** are by the SHA-256 of the names: in its order, every other problem is for developing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec

from problems import Half, Problem

#: The names of all, whichever of them can be made here.
NAMES = (
    "svc/spirals", "pca+nu_svc/breast_cancer", "logistic+threshold/imbalanced", "text/topics",
    "forest/imbalanced", "lightgbm/imbalanced", "xgboost/wine", "mlp/iris", "weighted_knn/wine",
    "pca+discriminants/digits", "random_features+sgd/spirals", "pipeline/wine_with_holes",
    "detectors/outliers", "kernel_ridge/diabetes", "extra_trees/friedman", "quantile_boosting/uneven",
    "gaussian_process/friedman", "regressors/heavy_tails", "lagged/series",
    "smoothing/series", "pls/spectra", "network/digits", "convolutions/digits", "factors/ratings",
)  # fmt: skip


def _order(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


DEV = frozenset(sorted(NAMES, key=_order)[::2])


def problems() -> Iterator[Problem]:
    """Those whose packages are installed."""
    if find_spec("sklearn") is None:
        return
    from problems.trained import classifiers, networks, regressors
    from problems.trained.cache import kept

    for name, space, true in (
        *classifiers.cases(), *networks.cases(), *regressors.cases(),
    ):  # fmt: skip
        needs = name.partition("/")[0]
        if needs in ("lightgbm", "xgboost") and find_spec(needs) is None:
            continue
        half: Half = "dev" if name in DEV else "final"
        yield Problem(name, half, space, kept(name, true), None, ("live", "trained"))
