"""Estimators whose own inner splits keep to what binds rows together: see `splits.parts` and `splits.inner`.

scikit-learn's draw rows at random: a group, or a row's neighbours in time, would be on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from tunesmith.recipes.tabular.splits import Split

Floats = NDArray[np.float64]

#: A network's score has to be better by so much, as in scikit-learn.
BETTER: Final = 1e-4


class ApartEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A target encoder; the rows that it learns from are each encoded by what other parts tell (cross-fitting)."""

    def __init__(self, encoder: Any = None, parts: Sequence[Split] = ()) -> None:
        self.encoder = encoder
        self.parts = parts

    def fit(self, x: Any, y: Any) -> ApartEncoder:
        self.encoder_ = clone(self.encoder).fit(x, y)
        return self

    def transform(self, x: Any) -> Any:
        return self.encoder_.transform(x)

    def fit_transform(self, x: Any, y: Any = None, **_: Any) -> Any:
        out = np.array(self.fit(x, y).transform(x))
        kind = self.encoder.target_type
        named = [y] if kind == "continuous" else [(y == c).astype(float) for c in np.unique(y)]
        wanted = named[1:] if kind == "binary" else named
        alone = clone(self.encoder).set_params(target_type="continuous")
        for split in self.parts:
            here, learned = split.checked, split.learned
            # each alone: a class may be missing among those that are learned from
            for k, values in enumerate(wanted):
                encoder = clone(alone).fit(x[learned], values[learned])
                out[here, k :: len(wanted)] = encoder.transform(x[here])
        return out


def settled(step: Any) -> Any:
    """A fitted step as it is stored: without the rows that parts were made of, and of scikit-learn's types only."""
    if isinstance(step, ApartEncoder):
        return getattr(step, "encoder_", step.encoder)
    if isinstance(step, Pipeline):
        step.steps = [(name, settled(each)) for name, each in step.steps]
    elif isinstance(step, ColumnTransformer):
        step.transformers = [(name, settled(each), at) for name, each, at in step.transformers]
        if hasattr(step, "transformers_"):
            step.transformers_ = [
                (name, settled(each), at) for name, each, at in step.transformers_
            ]
    elif isinstance(step, CalibratedClassifierCV) and not isinstance(step.cv, int):
        step.cv = len(step.cv)
    return step


def fit_network(
    network: Any, x: Floats, y: NDArray[Any], split: Split, weights: Floats | None
) -> None:
    """Fit a multilayer perceptron epoch by epoch, until the checked part of a split is no longer told better, and take the
    best epoch."""
    learned, checked = split.learned, split.checked
    seed, patience = network.random_state, network.n_iter_no_change
    network.set_params(early_stopping=False, random_state=np.random.RandomState(seed))
    by = {} if weights is None else {"sample_weight": weights[learned]}
    first = {"classes": np.unique(y)} if hasattr(network, "predict_proba") else {}
    best, coefficients, since = -np.inf, None, 0
    for _ in range(network.max_iter):
        network.partial_fit(x[learned], y[learned], **by, **first)
        first = {}
        score = network.score(x[checked], y[checked], None if weights is None else weights[checked])
        since = 0 if score > best + BETTER else since + 1
        if score > best:
            best = score
            coefficients = [
                [each.copy() for each in many] for many in (network.coefs_, network.intercepts_)
            ]
        if since > patience:
            break
    if coefficients is not None:
        network.coefs_, network.intercepts_ = coefficients
    network.set_params(random_state=seed)
