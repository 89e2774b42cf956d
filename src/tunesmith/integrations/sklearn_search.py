"""How `TunesmithSearchCV` runs: candidates from a study, fits by scikit-learn's own `evaluate_candidates`."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import joblib
import numpy as np

from tunesmith.analysis import versions
from tunesmith.core.errors import StudyError, StudyOver, StudyWaits
from tunesmith.core.ledger import Ledger
from tunesmith.core.program import Fingerprint
from tunesmith.core.strategy import Verdict
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import State, Trial
from tunesmith.integrations.distributions import Distributions, read_distributions
from tunesmith.store import Store, open_store
from tunesmith.tuning.launch import match, open_or_create
from tunesmith.tuning.spec import check_limits, make_spec
from tunesmith.tuning.study import Study

#: What one fit gives, as scikit-learn's `_fit_and_score` has it: test_scores, fit_time, score_time, ..
Fit = dict[str, Any]
#: The fits of a candidate by fold.
Fits = dict[int, Fit]
#: How scikit-learn begins to say that of all fits of a call none was possible.
_ALL_FAILED: Final = re.compile(r"\s*All the \d+ fits failed")
_NOT_FINITE: Final = "One or more of the"
#: A fold's score or time among the metrics of a report.
_OF_FOLD: Final = re.compile(r"split(\d+)_(?:(test|train)_(.+)|(fit_time|score_time))")


class _Splits(list[tuple[Any, Any]]):
    """Folds that are known, as scikit-learn asks for them."""

    def split(self, *_: Any, **__: Any) -> list[tuple[Any, Any]]:
        return self


class Task(NamedTuple):
    """What the candidates are measured on: the folds, how many samples and classes there are, and what tells that of
    an earlier call from this."""

    folds: list[tuple[Any, Any]]
    samples: int
    classes: int
    parts: Mapping[str, str]


class Search:
    """One running fit of a `TunesmithSearchCV`."""

    def __init__(self, cv: Any, task: Task, evaluate_candidates: Any, context: Any) -> None:
        self.cv = cv
        self.folds, self.samples, self.classes, self.parts = task
        self.evaluate_candidates = evaluate_candidates
        #: What scikit-learn's callbacks are told, if the version has them.
        self.context = None
        if getattr(cv, "_skl_callbacks", None):
            self.context = context.subcontext(task_name="search", max_subtasks=None)
        read = read_distributions(cv.param_distributions)
        #: What the estimator has already, which somebody has chosen, is tried first.
        self.read: Distributions = read.beginning_with(cv.estimator.get_params())
        self.metrics = _metrics(cv)
        self.method, self.options = _method(cv.early_stopping)
        self.rungs = self._rungs() if self.method == "halving" else [1]
        #: By trial and rung: what was measured in this call.
        self.fits: dict[tuple[int, int], Fits] = {}
        #: What the last call of `evaluate_candidates` returned: in the end, the results.
        self.results: dict[str, Any] | None = None
        #: Why all fits of some call failed, the last time.
        self.failure: ValueError | None = None

    def run(self) -> None:
        if self.context is not None:
            self.context.call_on_fit_task_begin(estimator=self.cv)
        spec = self._spec()
        seed = None if self.cv.random_state is None else spec.seed
        with _opened(self.cv.storage, spec, self.parts, seed) as study:
            while trials := self._asked(study):
                self._run(study, trials)
            self._finish(study)
        if self.context is not None:
            self.context.call_on_fit_task_end(estimator=self.cv)

    def _spec(self) -> StudySpec:
        scheduler: dict[str, Any] | None = None
        if self.method == "racing":
            scheduler = {"racing": self.options}
        if self.method == "halving" and len(self.rungs) > 1:
            least, most = self.rungs[0], self.rungs[-1]
            # the rule alone: models of curves take longer than most fits of scikit-learn's
            halving = {"min": least, "max": most, "reduction": float(self.cv.factor), "spare": 0.0}
            scheduler = {"asha": {**halving, **self.options}}
        limits = {
            "trials": self.cv.n_iter,
            "time": self.cv.time,
            "parallel": self._batch(),
            "failures_in_a_row": None,
            "same_error": None,
        }
        spec = make_spec(
            self.read.space,
            name=self.cv.name,
            metric=self.metrics,
            goal=["maximize"] * len(self.metrics),
            searcher=self.cv.searcher,
            scheduler=scheduler,
            seed=_seed(self.cv.random_state),
            limits=limits,
        )
        check_limits(spec)
        return spec

    def _batch(self) -> int:
        """How many candidates make work for all of joblib's workers."""
        workers, folds = joblib.effective_n_jobs(self.cv.n_jobs), len(self.folds)
        if self.method == "racing":  # fold by fold
            return int(workers)
        return int(workers // math.gcd(workers, folds) if workers < folds else workers // folds)

    def _rungs(self) -> list[int]:
        """How much of the resource candidates have, one after the other."""
        cv, factor = self.cv, float(self.cv.factor)
        if not factor > 1.0:
            raise ValueError(f"factor is above 1, unlike {cv.factor!r}")
        if cv.resource == "n_samples":
            most = self.samples if cv.max_resources == "auto" else int(cv.max_resources)
            least = len(self.folds) * 2 * self.classes
            least = max(least, math.ceil(most / factor**3))
        else:
            if cv.max_resources == "auto":
                raise ValueError(
                    f"max_resources is the most that {cv.resource} may be; it is known for resource='n_samples' only"
                )
            if cv.resource in self.read.theirs:
                raise ValueError(
                    f"{cv.resource} is the resource, and so no parameter of param_distributions"
                )
            most = int(cv.max_resources)
            least = max(1, math.ceil(most / factor**3))
        if cv.min_resources != "auto":
            least = int(cv.min_resources)
        if not 0 < least <= most:
            raise ValueError(
                f"min_resources ({least}) is above 0, and at most max_resources ({most})"
            )
        rungs, level = [], float(least)
        while math.ceil(level) < most:
            rungs.append(math.ceil(level))
            level *= factor
        return [*rungs, most]

    # -- one batch after the other ----------------------------------------------------------------

    def _asked(self, study: Study) -> list[Trial]:
        trials: list[Trial] = []
        while len(trials) < self._batch():
            try:
                trials.append(study.ask())
            except (StudyOver, StudyWaits):
                break
        return trials

    def _run(self, study: Study, trials: Sequence[Trial]) -> None:
        every = list(range(len(self.folds)))
        steps: list[tuple[int, int, list[int]]] = [(1, 1, every)]
        if self.method == "racing":
            steps = [(k + 1, 1, [k]) for k in every]
        if self.method == "halving":
            steps = [(rung, rung, every) for rung in self.rungs]
        alive = list(trials)
        for step, rung, folds in steps:
            if not alive:
                break
            measured = self._evaluate([self._parameters(t, rung) for t in alive], folds, rung)
            going = []
            for trial, fits in zip(alive, measured, strict=True):
                self.fits.setdefault((trial.number, rung), {}).update(fits)
                if self._report(study, trial, step, fits):
                    study.tell(trial)
                else:
                    going.append(trial)
            alive = going
        for trial in alive:
            self._tell(study, trial)

    def _parameters(self, trial: Trial, rung: int) -> dict[str, Any]:
        parameters = self.read.parameters(trial.config)
        if self.method == "halving" and self.cv.resource != "n_samples":
            parameters[self.cv.resource] = rung
        return parameters

    def _evaluate(
        self, candidates: list[dict[str, Any]], folds: list[int], rung: int
    ) -> list[Fits]:
        """Fit candidates on some folds."""
        splits = _Splits(self._split(fold, rung) for fold in folds)
        cv, wanted = self.cv, len(candidates) * len(folds)
        n_splits, cv.n_splits_ = cv.n_splits_, len(folds)
        options = {}
        if self.context is not None:
            options["callback_ctx"] = self.context.subcontext(
                task_name="candidates",
                max_subtasks=wanted,
                sequential_subtasks=False,
            )
            options["callback_ctx"].call_on_fit_task_begin(estimator=cv)
        try:
            self.results = self.evaluate_candidates(candidates, cv=splits, **options)
            fits = self.results["out"][-wanted:]
        except ValueError as error:
            if cv.error_score == "raise" or not _ALL_FAILED.match(str(error)):
                raise
            self.failure = error  # one candidate ends no search
            failed = {"fit_error": str(error), "fit_time": np.nan, "score_time": np.nan}
            fits = [failed] * wanted
        finally:
            cv.n_splits_ = n_splits
        if self.context is not None:
            options["callback_ctx"].call_on_fit_task_end(estimator=cv)
        n = len(folds)
        return [
            dict(zip(folds, fits[i * n : (i + 1) * n], strict=True)) for i in range(len(candidates))
        ]

    def _split(self, fold: int, rung: int) -> tuple[Any, Any]:
        train, test = self.folds[fold]
        if self.method != "halving" or self.cv.resource != "n_samples" or rung >= self.samples:
            return train, test
        train = np.asarray(train)
        order = np.random.default_rng([fold, len(train)]).permutation(len(train))
        return np.sort(train[order[: max(1, round(len(train) * rung / self.samples))]]), test

    def _report(self, study: Study, trial: Trial, step: int, fits: Fits) -> bool:
        """Store what was measured; whether the candidate is to end."""
        values = {}
        for fold, fit in fits.items():
            for kind in ("test", "train"):
                for name, score in _named(fit.get(f"{kind}_scores"), self.cv).items():
                    values[f"split{fold}_{kind}_{name}"] = score
            for what in ("fit_time", "score_time"):
                if what in fit:
                    values[f"split{fold}_{what}"] = fit[what]
        values |= self._means(fits)
        return study.report(trial, step, **values).verdict is Verdict.STOP

    def _means(self, fits: Fits) -> dict[str, float]:
        """The objectives' values over some folds: NaN where a fold has none."""
        scores = [_named(fit.get("test_scores"), self.cv) for fit in fits.values()]
        return {
            name: float(np.mean([score.get(name, np.nan) for score in scores]))
            for name in self.metrics
        }

    def _tell(self, study: Study, trial: Trial) -> None:
        fits = self.fits[trial.number, self.rungs[-1]]
        means = self._means(fits)
        if all(map(math.isfinite, means.values())):
            study.tell(trial, means)
            return
        errors = [str(fit["fit_error"]).strip() for fit in fits.values() if fit.get("fit_error")]
        study.tell(trial, failed=f"error: {errors[0].splitlines()[-1]}" if errors else "not_finite")

    # -- in the end -------------------------------------------------------------------------------

    def _finish(self, study: Study) -> None:
        """Make the results of all candidates, those of earlier calls included."""
        rows = list(self._rows(study))
        if self.results is None:
            if self.failure is not None:
                raise self.failure
            if not rows:
                raise StudyError(
                    f"study {study.name!r} has no candidate to run: {study.result().ended}"
                )
            # nothing was left to do, and scikit-learn needs one fit to go on from
            self._evaluate([rows[0][1]], [0], self.rungs[-1])
            if self.results is None:
                assert self.failure is not None
                raise self.failure
        results = self.results
        names = next(
            (_names(f) for _, _, fits, _ in rows for f in fits.values() if "test_scores" in f), None
        )
        out = [
            self._whole(fits.get(k), names)
            for _, _, fits, _ in rows
            for k in range(len(self.folds))
        ]
        more: dict[str, list[Any]] = {}
        if self.method == "racing":
            more["n_folds"] = [len(fits) for _, _, fits, _ in rows]
        if self.method == "halving":
            more["iter"] = [self.rungs.index(rung) for _, _, _, rung in rows]
            more["n_resources"] = [rung for _, _, _, rung in rows]
            more["trial"] = [number for number, _, _, _ in rows]
        whole = [k for k, (_, _, fits, _) in enumerate(rows) if len(fits) == len(self.folds)]
        with warnings.catch_warnings():
            if len(whole) < len(rows):  # NaN is what a candidate has that was ended early
                warnings.filterwarnings("ignore", message=_NOT_FINITE)
            parameters = [p for _, p, _, _ in rows]
            made = self.cv._results_of(parameters, len(self.folds), out, more)  # noqa: SLF001
        results.clear()
        results.update(made)

    def _rows(self, study: Study) -> Iterator[tuple[int, dict[str, Any], Fits, int]]:
        """Number, parameters, fits and rung of each candidate, one row for each rung that it came to."""
        ledger = study.result().ledger
        for number in range(ledger.size):
            trial = ledger.trial(number)
            if trial.retracted or trial.state in (State.CANCELLED, State.WAITING, State.RUNNING):
                continue
            if not ledger.spec.space.contains(trial.config):
                continue
            for rung in self.rungs:
                fits = self.fits.get((number, rung)) or self._stored(ledger, number, rung)
                if fits:
                    yield number, self._parameters(trial, rung), fits, rung

    def _stored(self, ledger: Ledger, number: int, rung: int) -> Fits:
        """What an earlier call has measured."""
        values: dict[str, float] = {}  # a later attempt's come last
        for report in ledger.curves.of(number):
            if self.method != "halving" or report.step == rung:
                values.update(report.metrics)
        fits: Fits = {}
        for key, value in values.items():
            found = _OF_FOLD.fullmatch(key)
            if found is None or int(found[1]) >= len(self.folds):
                continue
            fit = fits.setdefault(int(found[1]), {})
            if found[4]:
                fit[found[4]] = value
            else:
                fit.setdefault(f"{found[2]}_scores", {})[found[3]] = value
        for fit in fits.values():
            for kind in ("test_scores", "train_scores"):
                if list(fit.get(kind, ())) == ["score"]:
                    fit[kind] = fit[kind]["score"]
        return fits

    def _whole(self, fit: Fit | None, names: Sequence[str] | None) -> Fit:
        """A fit with everything that scikit-learn adds up: NaN for a fold that was spared, `error_score` for one
        that failed."""
        score = np.nan if fit is None or self.cv.error_score == "raise" else self.cv.error_score
        missing = score if names is None else dict.fromkeys(names, score)
        whole = {"fit_time": np.nan, "score_time": np.nan, "test_scores": missing, **(fit or {})}
        if self.cv.return_train_score:
            whole.setdefault("train_scores", missing)
        keys = ["fit_time", "score_time", "test_scores"]
        return {
            key: whole[key]
            for key in [*keys, *(["train_scores"] if self.cv.return_train_score else [])]
        }


def _names(fit: Fit) -> list[str] | None:
    """The names of a fit's scores; None for a single one."""
    scores = fit["test_scores"]
    return list(scores) if isinstance(scores, dict) else None


def _named(scores: Any, cv: Any) -> dict[str, float]:
    """Scores by name; a single one is called ``score``."""
    if scores is None:
        return {}
    if not isinstance(scores, dict):
        return {"score": float(scores)}
    if callable(cv.scoring):
        cv._check_refit_for_multimetric(scores)  # noqa: SLF001
    return {name: float(score) for name, score in scores.items()}


def _metrics(cv: Any) -> list[str]:
    """The objectives: the one that `refit` names, or all scores. Raises StudyError where they are not known."""
    scoring = cv.scoring
    if isinstance(cv.refit, str) and scoring is not None and not isinstance(scoring, str):
        return [cv.refit]
    if isinstance(scoring, Mapping):
        return [str(name) for name in scoring]
    if isinstance(scoring, (list, tuple, set)):
        return [str(name) for name in scoring]
    return ["score"]


def _method(early_stopping: Any) -> tuple[str, Mapping[str, Any]]:
    method = early_stopping
    options: Mapping[str, Any] = {}
    if isinstance(early_stopping, Mapping) and len(early_stopping) == 1:
        ((method, options),) = early_stopping.items()
    if method not in (None, False, "racing", "halving") or not isinstance(options, Mapping):
        raise ValueError(
            f"early_stopping is 'racing' (by folds), 'halving' (by the resource) or None, not {early_stopping!r}"
        )
    return method or "", options


def _seed(random_state: Any) -> int | None:
    """A study's seed; None for any."""
    if random_state is None:
        return None
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return int(random_state)


@contextmanager
def _opened(
    storage: Any, spec: StudySpec, parts: Mapping[str, str], seed: int | None
) -> Iterator[Study]:
    """The study: a new one, or the one in the storage, if that is of the same data, folds, scoring and estimator."""
    store = open_store(storage)
    try:
        study = open_or_create(store, spec)
        if changed := versions.warning(study.result().ledger, Fingerprint(parts)):
            raise StudyError(
                f"{changed}\nits scores would not compare; choose another name, or another storage"
            )
        match(study, spec, seed)
        study._data = parts  # noqa: SLF001
        yield study
        study._leave()  # noqa: SLF001
    finally:
        if not isinstance(storage, Store):
            store.close()
