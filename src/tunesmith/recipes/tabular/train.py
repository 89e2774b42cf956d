"""The training program: one pipeline, checked on fold after fold; and its final fit on all rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import TooSlow
from tunesmith.recipes.tabular import stored
from tunesmith.recipes.tabular.data import Data
from tunesmith.recipes.tabular.metrics import metric_for
from tunesmith.recipes.tabular.pipeline import MOST_TREES, build, fillings, target_transformer
from tunesmith.recipes.tabular.space import BOOSTING, judges_quantiles, weighs_rows
from tunesmith.recipes.tabular.splits import Split, inner, splits
from tunesmith.run.live import LiveTrial

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

#: Goes up when a config's value changes, whatever the table.
VERSION: Final = 2
#: In a trial's folder: what it predicts for each row when that is held out, shape (rows, outputs).
PREDICTIONS: Final = "predictions.npy"
#: The share of a fold's training rows that says when to stop adding trees.
INNER: Final = 8  # one in so many
#: .. and that says how far a quantile is from what a pipeline predicts.
SHIFT: Final = 4


@dataclass(frozen=True)
class Training:
    """The objective of a study: ``training(config, trial)`` checks a pipeline by cross-validation.

    Each fold is a step, and its report that fold's own value. `rows` is the file of `data.save`.
    """

    rows: str
    metric: str
    folds: int
    repeats: int
    seed: int
    trial_time_s: float
    #: What the study keeps of it, to notice when it changes.
    program: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, config: dict[str, Any], trial: LiveTrial) -> dict[str, float]:
        data, folds = _rows(self.rows, self.folds, self.repeats, self.seed)
        metric = metric_for(data.task, self.metric, data.aim)
        weight = data.bonds.weight
        held_out = np.zeros((data.rows, max(1, len(data.classes))))
        times = np.zeros((data.rows, 1))
        values, trees, took_s = [], [], 0.0
        with quiet():  # of the division by no times, too
            build(config, data, 0)  # imports what it needs, which is not the pipeline's time
            begun = time.perf_counter()
            for step, split in enumerate(folds, 1):
                whole, partly = divmod(step - 1, self.folds)
                if whole and not partly and 2 * took_s > self.trial_time_s:
                    break  # a second opinion is worth less than another pipeline
                checked = split.checked
                predicted, count = fit_fold(config, data, split.learned, checked, self.seed + step)
                held_out[checked] += predicted
                times[checked] += 1.0
                value = metric.of(
                    data.y[checked],
                    as_judged(predicted, data),
                    None if weight is None else weight[checked],
                )
                values.append(value)
                trees.append(count)
                trial.report(step, **{self.metric: values[-1]})
                took_s = time.perf_counter() - begun
                if step == 1:
                    self._check_pace(took_s)
            held_out /= (
                times  # NaN for rows that are never checked: those before all others in time
            )
        if data.classes:  # values may be large and close together; probabilities are not
            held_out = held_out.astype(np.float32)
        np.save(trial.directory / PREDICTIONS, held_out)
        out = {self.metric: float(np.mean(values)), "fold_s": took_s / len(values)}
        return out | ({"trees": float(np.mean(trees))} if trees[0] else {})

    def _check_pace(self, fold_s: float) -> None:
        """Raise TooSlow if not even one round can end in time."""
        if fold_s * self.folds > 1.5 * self.trial_time_s:
            raise TooSlow(
                f"one fold took {fold_s:.1f} s, so all {self.folds} would take longer than a trial's "
                f"{self.trial_time_s:.0f} s"
            )


@lru_cache(maxsize=1)
def _rows(path: str, folds: int, repeats: int, seed: int) -> tuple[Data, list[Split]]:
    data = stored.restore(Path(path))
    return data, splits(data, folds, repeats, seed)


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings: that a pipeline did not converge shows in its score."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def fit_fold(
    config: dict[str, Any], data: Data, learned: Rows, checked: Rows, seed: int
) -> tuple[Floats, int]:
    """Fit on some rows, predict others.

    Predictions, shape (checked, outputs): values, or probabilities of all classes; and how many trees early
    stopping found (0 if it was not asked).
    """
    training = data.take(learned)
    fitted = fit(config, training, seed, stop_early=stops_early(config))
    return fitted.predict(data.x[checked]), fitted.trees


def stops_early(config: dict[str, Any]) -> bool:
    """Whether a config leaves it to early stopping how many trees there are."""
    algorithm = config["algorithm"]
    return algorithm in BOOSTING and f"{algorithm}.n_estimators" not in config


@dataclass(frozen=True, eq=False)
class Pipe:
    """A fitted pipeline. `present`: which of the classes it saw, in order; `reach`: the least and largest
    value that it may predict; `trees`: found by early stopping, else 0; `fill`: see `fillings`; `shift`: what is
    added to a prediction, before the target is transformed back, so that it is a quantile; `unsure`: the share of each
    row's probability that all classes have alike: no rows tell that a probability is 0."""

    pipeline: Any
    transformer: Any
    present: tuple[int, ...]
    classes: int
    reach: tuple[float, float]
    trees: int = 0
    fill: Floats | None = None
    shift: float = 0.0
    unsure: float = 0.0

    def predict(self, x: Any) -> Floats:
        """Values, shape (rows, 1), or probabilities of all classes, shape (rows, classes)."""
        if self.fill is not None:
            x = np.where(np.isnan(x), self.fill, x)
        if not self.classes:
            raw = np.asarray(self.pipeline.predict(x), dtype=np.float64).reshape(-1, 1)
            return tame(self.transformer.inverse_transform(raw + self.shift), self.reach)
        out = np.zeros((x.shape[0], self.classes))
        out[:, list(self.present)] = self.pipeline.predict_proba(x)
        return out + self.unsure * (1.0 / self.classes - out)


def tame(values: Floats, reach: tuple[float, float]) -> Floats:
    """Values within reach: a back-transformed extrapolation can be anything, NaN included."""
    middle = (reach[0] + reach[1]) / 2
    out: Floats = np.clip(np.nan_to_num(values, nan=middle), *reach)
    return out


def fit(
    config: dict[str, Any], data: Data, seed: int, *, stop_early: bool = False, trees: int = 0
) -> Pipe:
    """Fit a config's pipeline on all rows of `data`; `trees` is the number of them, if not 0."""
    from tunesmith.recipes.tabular.apart import settled

    y: NDArray[Any] = data.y
    present, transformer = np.array([], dtype=int), None
    reach = (0.0, 1.0)
    if data.task == "regression":
        transformer = target_transformer(config, data.rows).fit(y[:, None])
        half = 0.5 * float(np.ptp(y))
        reach = (float(y.min()) - half, float(y.max()) + half)
        y = transformer.transform(y[:, None])[:, 0]
    else:
        present, y = np.unique(y.astype(int), return_inverse=True)
    if config["algorithm"] == "svm" and len(present):
        common = np.bincount(y) >= 2  # of what is there once, no probability can be calibrated
        if not common.all() and common.sum() >= 2:
            return fit(config, data.take(np.flatnonzero(common[y])), seed)
    shift = 0.0
    if data.aim.quantile is not None and not judges_quantiles(config["algorithm"]):
        shift = _shift(config, data, y, seed)
    pipeline = build(config, data, seed)
    if trees:
        pipeline.set_params(model__n_estimators=trees)
    weights = _weights(config, data, y)
    if stop_early:
        trees = _fit_stopping(pipeline, config["algorithm"], data, y, weights, seed)
    else:
        _fit_weighing(pipeline, data, y, weights, seed)
    pipeline = settled(pipeline)
    fill = fillings(config, data)
    return Pipe(
        pipeline,
        transformer,
        tuple(present.tolist()),
        len(data.classes),
        reach,
        trees,
        fill,
        shift,
        1.0 / (data.rows + 1.0) if data.classes else 0.0,
    )


def _fit_weighing(
    pipeline: Any, data: Data, y: NDArray[Any], weights: Floats | None, seed: int
) -> None:
    from tunesmith.recipes.tabular.apart import fit_network

    front, last = pipeline[:-1], pipeline[-1]
    if (
        getattr(last, "early_stopping", False) and data.bonds.binds
    ):  # it would stop by rows at random
        ready = front.fit_transform(data.x, y)
        split = _with_all_classes(inner(data, y.astype(np.float64), INNER, seed), y)
        fit_network(last, ready, y, split, weights)
        return
    pipeline.fit(data.x, y, **({} if weights is None else {"model__sample_weight": weights}))


def _with_all_classes(split: Split, y: NDArray[Any]) -> Split:
    """With all classes among the rows that are learned from."""
    if y.dtype.kind != "i":
        return split
    strange = ~np.isin(y, y[split.learned])
    checked = split.checked[~strange[split.checked]]
    return Split(np.union1d(split.learned, np.flatnonzero(strange)), checked)


def _shift(config: dict[str, Any], data: Data, y: NDArray[Any], seed: int) -> float:
    """The quantile of what a pipeline that predicts a middle leaves, on rows that it has not seen: a part of the training
    rows. The transformed target is as good as the target: the quantile of what only grows is that of the quantile."""
    split = inner(data, y, SHIFT, seed)
    learned, later = split.learned, split.checked
    if not len(learned) or not len(later):
        return 0.0
    part = data.take(learned)
    pipeline = build(config, part, seed)
    weights = _weights(config, data, y)
    _fit_weighing(pipeline, part, y[learned], None if weights is None else weights[learned], seed)
    left = y[later] - np.asarray(pipeline.predict(data.x[later]), dtype=np.float64).ravel()
    by = None if data.bonds.weight is None else data.bonds.weight[later]
    return quantile_of(left, float(data.aim.quantile or 0.5), by)


def quantile_of(values: Floats, quantile: float, weights: Floats | None = None) -> float:
    """The least value that so large a share of the weights is at or below."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(np.ones(len(values)) if weights is None else weights[order])
    at = int(np.searchsorted(share, quantile * share[-1] * (1.0 - 1e-12)))
    return float(values[order[min(at, len(values) - 1)]])


def _weights(config: dict[str, Any], data: Data, y: NDArray[Any]) -> Floats | None:
    """A weight for each row, 1 on average: its own, times what makes every class weigh the same if that is asked."""
    own = data.bonds.weight if weighs_rows(config["algorithm"]) else None
    balanced = config.get("class_weight") == "balanced"
    if own is None and not balanced:
        return None
    weights = np.ones(len(y)) if own is None else own / own.mean()
    if balanced:
        totals = np.bincount(y, weights)
        weights = weights * (len(y) / (len(totals) * totals))[y]
    return weights


def _fit_stopping(
    pipeline: Any, algorithm: str, data: Data, y: NDArray[Any], weights: Floats | None, seed: int
) -> int:
    """Fit a pipeline of boosted trees, an inner split of its rows saying when to stop; how many trees."""
    front, booster = pipeline[:-1], pipeline[-1]
    ready = front.fit_transform(data.x, y)
    split = _with_all_classes(inner(data, y.astype(np.float64), INNER, seed), y)
    learned, stopping = split.learned, split.checked
    options: dict[str, Any] = {"eval_set": [(ready[stopping], y[stopping])]}
    if weights is not None:
        options["sample_weight"] = weights[learned]
        if data.bonds.weight is not None:
            key = "eval_sample_weight" if algorithm == "lightgbm" else "sample_weight_eval_set"
            options[key] = [data.bonds.weight[stopping]]
    patience = int(min(100, 20 + 1 / booster.get_params()["learning_rate"]))
    if algorithm == "lightgbm":
        import lightgbm

        options["callbacks"] = [lightgbm.early_stopping(patience, verbose=False)]
        booster.fit(ready[learned], y[learned], **options)
        return int(booster.best_iteration_ or MOST_TREES)
    booster.set_params(early_stopping_rounds=patience)
    booster.fit(ready[learned], y[learned], verbose=False, **options)
    return int(booster.best_iteration) + 1


def as_judged(predicted: Floats, data: Data) -> Floats:
    """Predictions, shape (rows, outputs), as metrics take them: values, shape (rows,), or probabilities."""
    return predicted[:, 0] if data.task == "regression" else predicted
