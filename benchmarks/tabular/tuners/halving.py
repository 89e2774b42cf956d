"""scikit-learn's HalvingRandomSearchCV over the space of `tunesmith fit`.

It knows no limit of time: a small search tells how long a candidate takes, then one is made that fills the time
that is left.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.tabular.tuners import Work, main
from benchmarks.tabular.tuners.shared import FOLDS, Problem
from sklearn.base import BaseEstimator
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV

from tunesmith.recipes.tabular.train import fit, quiet, stops_early

#: Candidates of the first search.
FIRST = 9
#: With less time than this share of it no other search is begun.
LEAST = 0.1


class Configs:
    """Random configs, as a distribution of scikit-learn's."""

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space

    def rvs(self, random_state: Any = None) -> dict[str, Any]:
        return self._space.sample(np.random.default_rng(random_state.randint(2**31)))


class Piped(BaseEstimator):  # type: ignore[misc]  # untyped there
    """The pipeline of a config."""

    def __init__(self, problem: Any = None, config: Any = None) -> None:
        self.problem = problem
        self.config = config

    def __sklearn_clone__(self) -> Piped:
        return Piped(self.problem, self.config)

    def fit(self, x: Any, y: Any) -> Piped:
        data = self.problem.rows(x, y)
        with quiet():
            early = stops_early(self.config)
            self.pipe_ = fit(self.config, data, self.problem.seed, stop_early=early)
        return self

    def score(self, x: Any, y: Any) -> float:
        predicted = self.pipe_.predict(x)
        metric = self.problem.metric
        judged = predicted[:, 0] if self.problem.data.task == "regression" else predicted
        return -float(metric.sign * metric.of(y, judged))


def solve(work: Work) -> pd.DataFrame:
    problem = Problem(work)
    best: tuple[float, Any] = (-np.inf, problem.space.default())
    candidates, seed = FIRST, work.seed * 1000
    while problem.left_s > LEAST * work.seconds:
        began = time.monotonic()
        search = HalvingRandomSearchCV(
            Piped(problem),
            {"config": Configs(problem)},
            n_candidates=candidates,
            cv=FOLDS,
            n_jobs=work.cores,
            refit=False,
            random_state=seed,
            error_score=-np.inf,
        )
        search.fit(problem.data.x, problem.data.y)
        found = search.cv_results_
        last = found["iter"] == found["iter"].max()
        at = int(
            np.argmax(np.where(last, np.nan_to_num(found["mean_test_score"], nan=-np.inf), -np.inf))
        )
        best = max(
            best,
            (float(found["mean_test_score"][at]), found["params"][at]["config"]),
            key=lambda b: b[0],
        )
        each_s = (time.monotonic() - began) / candidates
        print(candidates, "candidates,", best[0])
        candidates = max(4, int(0.8 * problem.left_s / each_s))
        seed += 1
    work.say("scikit-learn")
    return problem.predictions(best[1])


if __name__ == "__main__":
    main(solve)
