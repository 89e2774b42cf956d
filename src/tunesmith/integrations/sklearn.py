"""scikit-learn: `TunesmithSearchCV`, in the place of ``GridSearchCV`` and its relatives, and a callback for estimators.

    search = TunesmithSearchCV(pipeline, {"svc__C": loguniform(1e-3, 1e3)}, n_iter=50, random_state=0)
    search.fit(X, y).best_params_
    LogisticRegression().set_callbacks(ReportCallback(trial, monitor="neg_log_loss", data=(X_valid, y_valid)))

Needs scikit-learn: ``pip install 'tunesmith[sklearn]'``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import joblib
import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection._search import BaseSearchCV

from tunesmith.core.program import digest
from tunesmith.core.space.labels import ADDRESS
from tunesmith.integrations.reporting import Monitor, Reporter
from tunesmith.integrations.sklearn_search import Search, Task
from tunesmith.run.live import LiveTrial


class TunesmithSearchCV(BaseSearchCV):  # type: ignore[misc]
    """A search over `param_distributions` by cross-validation, with tunesmith's searchers.

    Arguments and attributes are those of scikit-learn's ``RandomizedSearchCV``; `param_distributions` may also be a grid, a list
    of either, Optuna's distributions, or a `Space`. Other arguments:

    `searcher`: as in `tunesmith.tune`. `n_iter`: how many candidates; None for all of a grid. `time`: how long to go on at
    most, such as ``"10m"``. `early_stopping`: ``"racing"`` ends a candidate after as many folds as show that it is worse
    than the best; ``"halving"`` begins with `min_resources` of the `resource` (``"n_samples"``, or a parameter of the estimator
    such as ``"n_estimators"``), and only the best 1/`factor` of the candidates go on to `factor` times as much, up to `max_resources`;
    ``{name: options}`` for either with its options. `storage` (a file, or a database's URL) and `name`: where the study is kept; the same
    call again goes on with it. Raises StudyError there for other data, folds, scoring or estimator.

    With several metrics and ``refit`` False or callable, all of them are objectives. A candidate that was ended early has NaN
    for the folds that it was spared; ``cv_results_["n_folds"]`` counts the others.
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012
        **BaseSearchCV._parameter_constraints,  # noqa: SLF001
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int | None = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        searcher: Any = "auto",
        time: Any = None,
        early_stopping: Any = None,
        resource: str = "n_samples",
        max_resources: Any = "auto",
        min_resources: Any = "auto",
        factor: float = 3,
        storage: Any = None,
        name: str = "search",
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.random_state = random_state
        self.searcher = searcher
        self.time = time
        self.early_stopping = early_stopping
        self.resource = resource
        self.max_resources = max_resources
        self.min_resources = min_resources
        self.factor = factor
        self.storage = storage
        self.name = name

    # -- what BaseSearchCV.fit calls ------------------------------------------------------------

    def _check_input_parameters(self, X: Any, y: Any, split_params: Mapping[str, Any]) -> None:  # noqa: N803
        """Draw the folds, once: every candidate has the same, whatever the splitter."""
        folds = list(self._checked_cv_orig.split(X, y, **split_params))
        samples = max((len(train) + len(test) for train, test in folds), default=0)
        classes = len(np.unique(np.asarray(y))) if is_classifier(self.estimator) else 1
        parts = {} if self.storage is None else self._parts(X, y, folds)
        self._task = Task(folds, samples, classes, parts)

    def _parts(self, X: Any, y: Any, folds: Any) -> dict[str, str]:  # noqa: N803
        """What the scores of a stored study hang on, beside the parameters."""
        return {
            "the estimator": "digest " + digest(ADDRESS.sub("", repr(self.estimator))),
            "the data": f"digest {joblib.hash((X, y))}",
            "the folds (give cv a random_state)": f"digest {joblib.hash(folds)}",
            "the scoring": "digest " + digest(ADDRESS.sub("", repr(self.scoring))),
        }

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any = None) -> None:
        try:
            Search(self, self._task, evaluate_candidates, callback_ctx).run()
        finally:
            del self._task

    def _format_results(
        self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None
    ) -> dict[str, Any]:
        """Nothing yet: what came is put together once, in the end."""
        return {"out": out}

    def _results_of(self, *measured: Any) -> dict[str, Any]:
        """``cv_results_``, as scikit-learn puts it together."""
        results: dict[str, Any] = super()._format_results(*measured)
        return results

    @staticmethod
    def _select_best_index(refit: Any, refit_metric: str, results: Mapping[str, Any]) -> int:
        """Where candidates had less than all of a resource, the best is one of those that had all of it."""
        if callable(refit) or "n_resources" not in results:
            return int(BaseSearchCV._select_best_index(refit, refit_metric, results))  # noqa: SLF001
        full = np.flatnonzero(results["n_resources"] == results["n_resources"].max())
        return int(full[results[f"rank_test_{refit_metric}"][full].argmin()])

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_task"}


class ReportCallback:
    """Reports scores after each iteration of an estimator that takes callbacks (scikit-learn 1.9: ``LogisticRegression``).

    `monitor` is a scoring, several, or ``{scoring: ours}``; they are of `data`, ``(X, y)`` as that estimator sees it, or of the
    training data. Steps are iterations from 1 on. scikit-learn 1.9 goes on to the end of the fit whatever a callback
    says; a trial that was told to stop is ``stopped`` then.
    """

    def __init__(
        self,
        trial: LiveTrial | None = None,
        *,
        monitor: Monitor,
        data: tuple[Any, Any] | None = None,
    ) -> None:
        self._reporter = Reporter(trial, monitor)
        self._scorings = [monitor] if isinstance(monitor, str) else list(monitor)
        self._data = data
        self._scores: Any = None
        self._step = 0

    def setup(self, estimator: Any, context: Any) -> None:
        self._step, self._scores = 0, check_scoring(estimator, self._scorings)

    def teardown(self, estimator: Any, context: Any) -> None:
        self._reporter.end()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing: there is a score when it has ended."""

    def on_fit_task_end(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Any = None,  # noqa: N803
        y: Any = None,
        fitted_estimator: Any = None,
    ) -> bool:
        iterated = fitted_estimator is not None and context.max_subtasks == 0
        if self._reporter.stop or not iterated:  # after that scikit-learn 1.9 goes on, for nobody
            return self._reporter.stop
        self._step += 1
        inputs, targets = (X, y) if self._data is None else self._data
        return self._reporter(self._step, self._scores(fitted_estimator, inputs, targets))
