"""Searches with scikit-learn's interface against one another: what each has found after the same time.

    python -m benchmarks.integrations.searches --seeds 0-2 --results searches.csv

Each has `--budget` seconds of processor time for one pair of a model and data, in a process of its own (forked, so that the imports are behind
it). What it has then is the best of its candidates that were measured on all folds and all data; that one is measured again,
on other folds, and this is what counts. `HalvingRandomSearchCV` begins anew, with another seed, where it ends early. Resumable.
Needs optuna, optuna-integration and scikit-optimize beside tunesmith; with `--only`, those that are named.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import multiprocessing
import os
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import loguniform, randint, uniform
from sklearn import datasets
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.metrics import check_scoring
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, SVR

FIELDS = ["search", "pair", "seed", "budget_s", "candidates", "score"]
CONTESTANTS = ("tunesmith", "tunesmith:racing", "random", "halving", "optuna", "skopt")
FOLDS, AGAIN = 5, 3


def pairs() -> dict[str, tuple[Any, Any, dict[str, Any], str]]:
    """Model, data, distributions and scoring."""
    digits = datasets.load_digits(return_X_y=True)
    cancer = datasets.load_breast_cancer(return_X_y=True)
    diabetes = datasets.load_diabetes(return_X_y=True)
    friedman = datasets.make_friedman1(800, 10, noise=1.0, random_state=0)
    made = datasets.make_classification(
        1200, 20, n_informative=8, n_classes=3, flip_y=0.05, random_state=0
    )
    svc = make_pipeline(StandardScaler(), SVC())
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    network = make_pipeline(StandardScaler(), MLPClassifier(max_iter=60, random_state=0))
    svr = make_pipeline(StandardScaler(), SVR())
    net = make_pipeline(PolynomialFeatures(), StandardScaler(), ElasticNet(max_iter=3000))
    return {
        "SVC, digits": (
            svc, digits, {"svc__C": loguniform(1e-2, 1e3), "svc__gamma": loguniform(1e-5, 1)}, "accuracy",
        ),
        "logistic regression, cancer": (
            logistic, cancer,
            {"logisticregression__C": loguniform(1e-4, 1e3), "logisticregression__class_weight": [None, "balanced"]},
            "neg_log_loss",
        ),
        "neural network, cancer": (
            network, cancer,
            {
                "mlpclassifier__alpha": loguniform(1e-6, 10), "mlpclassifier__learning_rate_init": loguniform(1e-4, 0.1),
                "mlpclassifier__hidden_layer_sizes": randint(4, 65), "mlpclassifier__activation": ["relu", "tanh"],
                "mlpclassifier__batch_size": [16, 32, 64, 128],
            },
            "neg_log_loss",
        ),
        "gradient boosting, made up": (
            GradientBoostingClassifier(random_state=0), made,
            {
                "n_estimators": randint(10, 81), "learning_rate": loguniform(0.01, 1), "max_depth": randint(1, 7),
                "subsample": uniform(0.4, 0.6), "max_features": uniform(0.2, 0.8),
            },
            "neg_log_loss",
        ),
        "random forest, made up": (
            RandomForestClassifier(random_state=0), made,
            {
                "n_estimators": randint(10, 81), "max_depth": randint(2, 21), "max_features": uniform(0.1, 0.9),
                "min_samples_leaf": randint(1, 21), "criterion": ["gini", "entropy"],
            },
            "neg_log_loss",
        ),
        "SVR, Friedman": (
            svr, friedman,
            {
                "svr__C": loguniform(1e-2, 1e3), "svr__gamma": loguniform(1e-4, 10), "svr__epsilon": loguniform(1e-3, 1),
            },
            "neg_mean_squared_error",
        ),
        "boosting by histograms, Friedman": (
            HistGradientBoostingRegressor(random_state=0, early_stopping=False), friedman,
            {
                "max_iter": randint(20, 151), "learning_rate": loguniform(0.01, 1), "max_leaf_nodes": randint(4, 65),
                "min_samples_leaf": randint(2, 61), "l2_regularization": loguniform(1e-6, 100),
            },
            "neg_mean_squared_error",
        ),
        "elastic net, diabetes": (
            net, diabetes,
            {
                "elasticnet__alpha": loguniform(1e-3, 10), "elasticnet__l1_ratio": uniform(0, 1),
                "polynomialfeatures__interaction_only": [False, True],
            },
            "neg_mean_squared_error",
        ),
    }  # fmt: skip


class Over(BaseException):
    """The time is up."""


class Watch:
    """A scoring that writes down what it sees, and ends the search when its time is up."""

    def __init__(self, estimator: Any, scoring: str, names: list[str]) -> None:
        self.score = check_scoring(estimator, scoring)
        self.names = names
        self.until = float("inf")
        #: By candidate and samples tested: the scores of its folds.
        self.seen: dict[tuple[int, str], list[float]] = defaultdict(list)
        self.parameters: dict[str, dict[str, Any]] = {}
        self.samples: dict[tuple[int, str], int] = defaultdict(int)
        self.round = 0

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        if time.process_time() > self.until:
            raise Over
        value = float(self.score(estimator, X, y))
        every = estimator.get_params()
        parameters = {name: every[name] for name in self.names}
        key = (self.round, repr(sorted(parameters.items())))
        self.parameters[key[1]] = parameters
        if len(y) > 1.5 * self.samples[key] / max(1, len(self.seen[key])):
            self.seen[key], self.samples[key] = [], 0  # more samples than before
        self.seen[key].append(value)
        self.samples[key] += len(y)
        return value

    def best(self, samples: int) -> dict[str, Any]:
        """Of the candidates that had all folds of `samples`; where none had, of those that had the most."""
        whole = {
            k: v for k, v in self.seen.items() if len(v) >= FOLDS and self.samples[k] >= samples
        }
        if not whole:
            most = max(self.samples.values())
            whole = {k: v for k, v in self.seen.items() if self.samples[k] >= most}
        best = max(whole, key=lambda key: float(np.mean(whole[key][:FOLDS])))
        return self.parameters[best[1]]


def make(name: str, model: Any, space: dict[str, Any], seed: int, **common: Any) -> Any:
    many = 100_000
    if name.startswith("tunesmith"):
        from tunesmith import TunesmithSearchCV

        early = name.partition(":")[2] or None
        return TunesmithSearchCV(
            model, space, n_iter=many, random_state=seed, early_stopping=early, **common
        )
    if name == "random":
        from sklearn.model_selection import RandomizedSearchCV

        return RandomizedSearchCV(model, space, n_iter=2000, random_state=seed, **common)
    if name == "halving":
        from sklearn.experimental import enable_halving_search_cv  # noqa: F401
        from sklearn.model_selection import HalvingRandomSearchCV

        return HalvingRandomSearchCV(model, space, random_state=seed, **common)
    if name == "optuna":
        import optuna
        from optuna_integration import OptunaSearchCV

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        theirs = {key: optuna_distribution(value) for key, value in space.items()}
        return OptunaSearchCV(model, theirs, n_trials=many, random_state=seed, **common)
    from skopt import BayesSearchCV

    theirs = {key: skopt_dimension(value) for key, value in space.items()}
    return BayesSearchCV(model, theirs, n_iter=many, random_state=seed, **common)


def optuna_distribution(value: Any) -> Any:
    from optuna import distributions as d

    if isinstance(value, list):
        return d.CategoricalDistribution(value)
    low, high = value.support()
    if value.dist.name == "randint":
        return d.IntDistribution(int(low), int(high))
    return d.FloatDistribution(float(low), float(high), log=value.dist.name == "loguniform")


def skopt_dimension(value: Any) -> Any:
    from skopt.space import Categorical, Integer, Real

    if isinstance(value, list):
        return Categorical(value)
    low, high = value.support()
    if value.dist.name == "randint":
        return Integer(int(low), int(high))
    log = value.dist.name == "loguniform"
    return Real(float(low), float(high), prior="log-uniform" if log else "uniform")


def run(name: str, pair: str, seed: int, budget_s: float) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    model, (X, y), space, scoring = pairs()[pair]
    splitter = StratifiedKFold if scoring in ("accuracy", "neg_log_loss") else KFold
    folds = splitter(FOLDS, shuffle=True, random_state=seed)
    warm = Watch(model, scoring, list(space))
    warm_up = make(name, model, space, seed, scoring=warm, cv=folds, refit=False)
    warm.until = time.process_time() + 0.1
    with contextlib.suppress(Over):  # the imports of what it uses
        warm_up.fit(X[:200], y[:200])
    watch = Watch(model, scoring, list(space))
    watch.until = time.process_time() + budget_s
    with contextlib.suppress(Over):
        while time.process_time() < watch.until:
            search = make(
                name, model, space, seed + 1000 * watch.round, scoring=watch, cv=folds, refit=False
            )
            search.fit(X, y)
            watch.round += 1
    found = model.set_params(**watch.best(len(y) if name != "halving" else int(0.9 * len(y))))
    scores = [
        cross_val_score(
            found, X, y, scoring=scoring, cv=splitter(FOLDS, shuffle=True, random_state=10_000 + k)
        )
        for k in range(AGAIN)
    ]
    return {
        "search": name,
        "pair": pair,
        "seed": seed,
        "budget_s": budget_s,
        "candidates": len(watch.seen),
        "score": f"{np.mean(scores):.6g}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0-2")
    parser.add_argument("--budget", type=float, default=10.0)
    parser.add_argument("--only", default=",".join(CONTESTANTS))
    parser.add_argument("--pairs", default="", help="words of their names, with commas; all else")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("searches.csv"))
    given = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    for name in given.only.split(","):
        run(name, "elastic net, diabetes", 0, 0.5)  # imports
    fork = multiprocessing.get_context("fork")
    had = set()
    if given.results.exists():
        with given.results.open() as file:
            had = {(r["search"], r["pair"], r["seed"]) for r in csv.DictReader(file)}
    else:
        given.results.write_text(",".join(FIELDS) + "\n")
    first, _, last = given.seeds.partition("-")
    for seed in range(int(first), int(last or first) + 1):
        for pair in pairs():
            if not any(word in pair for word in given.pairs.split(",")):
                continue
            for name in np.random.default_rng(seed).permutation(given.only.split(",")):  # in turns
                if (name, pair, str(seed)) in had:
                    continue
                with fork.Pool(1) as pool:
                    row = pool.apply(run, (str(name), pair, seed, given.budget))
                with given.results.open("a", newline="") as file:
                    csv.DictWriter(file, FIELDS).writerow(row)


if __name__ == "__main__":
    main()
