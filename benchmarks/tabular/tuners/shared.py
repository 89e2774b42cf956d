"""tunesmith's space and pipelines for tuners of configs: what `fit` tries, without how it searches."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property
from typing import Any

import pandas as pd
from benchmarks.tabular.tuners import Work

from tunesmith import Space
from tunesmith.recipes.tabular import data as tables
from tunesmith.recipes.tabular import space as choice
from tunesmith.recipes.tabular.data import Data
from tunesmith.recipes.tabular.matrix import matrix
from tunesmith.recipes.tabular.metrics import Metric, as_judged, metric_for
from tunesmith.recipes.tabular.roles import Roles
from tunesmith.recipes.tabular.splits import Split, most_folds, splits
from tunesmith.recipes.tabular.train import fit, fit_fold, quiet, stops_early

FOLDS = 5


class Problem:
    """A table with the space of `tunesmith fit` for it."""

    def __init__(self, work: Work) -> None:
        self._ends = time.monotonic() + work.seconds
        self._held_out = work.held_out
        self.seed = work.seed
        self.data: Data = tables.load(work.learned, "target", roles=Roles.from_dict(work.options))
        self.metric: Metric = metric_for(self.data.task, work.metric)
        names, _ = choice.algorithms(self.data)
        self.space: Space = choice.space_for(self.data, names, self.metric, FOLDS)

    @property
    def left_s(self) -> float:
        return self._ends - time.monotonic()

    @cached_property
    def splits(self) -> list[Split]:
        return splits(self.data, *most_folds(self.data, FOLDS, 1)[:1], 1, self.seed)

    def fold_value(self, config: dict[str, Any], fold: int) -> float:
        """The metric on one fold, to be minimised."""
        split = self.splits[fold % len(self.splits)]
        with quiet():
            predicted, _ = fit_fold(config, self.data, split.learned, split.checked, self.seed)
        weight = self.data.bonds.weight
        by = None if weight is None else weight[split.checked]
        y = self.data.y[split.checked]
        return self.metric.sign * self.metric.of(y, as_judged(predicted, self.metric), by)

    def predictions(self, config: dict[str, Any]) -> pd.DataFrame:
        """What a config, fitted on all rows, predicts for the held-out ones."""
        with quiet():
            early = stops_early(config)
            pipe = fit(config, self.data, self.seed, stop_early=early)
            raw = pipe.predict(matrix(self._held_out, self.data.columns))
        if self.data.task == "regression":
            return pd.DataFrame({"value": raw[:, 0]})
        return pd.DataFrame(raw, columns=list(map(str, self.data.classes)))

    def rows(self, x: Any, y: Any) -> Data:
        return replace(self.data, x=x, y=y)
