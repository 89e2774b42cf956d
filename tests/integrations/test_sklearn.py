"""`TunesmithSearchCV` in scikit-learn's place: its spaces, its results, its checks, and what it does beyond."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from scipy.stats import loguniform, norm, poisson, randint, uniform
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris, make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import tunesmith as ts
from tunesmith.integrations.distributions import read_distributions
from tunesmith.integrations.sklearn import ReportCallback, TunesmithSearchCV

X, Y = load_iris(return_X_y=True)
X, Y = X[::2], Y[::2]


def searched(estimator: Any, distributions: Any, n_iter: int | None = 6, **options: Any) -> Any:
    options = {"random_state": 0, "cv": 3, "searcher": "random", **options}
    return TunesmithSearchCV(estimator, distributions, n_iter=n_iter, **options).fit(X, Y)


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


# -- scikit-learn's own checks ----------------------------------------------------------------


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        TunesmithSearchCV(
            LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, error_score="raise", random_state=0
        ),
        TunesmithSearchCV(
            Ridge(), {"alpha": [0.1, 1.0]}, cv=2, n_iter=2, error_score="raise", random_state=0
        ),
    ],
    expected_failed_checks=lambda search: (  # as scikit-learn lists them for its own search classes
        {"check_supervised_y_2d": "DataConversionWarning not caught"}
        if isinstance(search.estimator, Ridge)
        else {}
    ),
)
def test_the_checks_that_a_randomized_search_passes(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the estimators inside
        check(estimator)


# -- the same results -------------------------------------------------------------------------


@pytest.mark.parametrize("train", [False, True])
def test_results_are_those_of_a_grid_search(train: bool) -> None:
    """Every key, and for each candidate the same scores."""
    grid = {"C": [0.01, 1.0, 100.0], "kernel": ["rbf", "linear"]}
    theirs = GridSearchCV(SVC(), grid, cv=3, return_train_score=train).fit(X, Y)
    ours = searched(SVC(), grid, None, searcher="grid", return_train_score=train)
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    assert len(ours.cv_results_["params"]) == 6
    order = [ours.cv_results_["params"].index(p) for p in theirs.cv_results_["params"]]
    for key, values in theirs.cv_results_.items():
        if key != "params" and not key.endswith("_time"):
            np.testing.assert_array_equal(ours.cv_results_[key][order], values)
            assert ours.cv_results_[key].dtype == values.dtype
    assert ours.best_score_ == theirs.best_score_
    assert ours.n_splits_ == 3
    assert ours.score(X, Y) > 0.9


def test_several_grids_are_branches() -> None:
    grids = [
        {"C": [1.0, 10.0], "kernel": ["linear"]},
        {"C": [1.0, 10.0], "kernel": ["rbf"], "gamma": [0.1, 1.0]},
    ]
    theirs = GridSearchCV(SVC(), grids, cv=3).fit(X, Y).cv_results_
    ours = searched(SVC(), grids, None, searcher="grid").cv_results_
    in_order = sorted(map(repr, ours["params"]), key=sorted)
    assert sorted(map(sorted, map(repr, theirs["params"]))) == sorted(map(sorted, in_order))
    assert sorted(ours["param_gamma"].mask) == sorted(theirs["param_gamma"].mask)
    assert ours["param_gamma"].dtype == theirs["param_gamma"].dtype


def test_whole_steps_of_a_pipeline() -> None:
    steps = Pipeline([("a scale", "passthrough"), ("clf", SVC())])
    forest = RandomForestClassifier(n_estimators=3, random_state=0)
    found = searched(
        steps,
        [
            {
                "a scale": ["passthrough", StandardScaler()],
                "clf": [SVC()],
                "clf__C": loguniform(0.01, 100),
            },
            {"a scale": [PCA(2)], "clf": [forest], "clf__max_depth": randint(1, 5)},
        ],
        12,
    )
    chosen = {type(step) for step in found.cv_results_["param_clf"]}
    assert chosen == {SVC, RandomForestClassifier}
    assert found.best_estimator_.predict(X).shape == Y.shape
    assert forest is not found.best_params_["clf"] or not hasattr(forest, "estimators_")


def test_scipy_distributions() -> None:
    read = read_distributions(
        {
            "a": uniform(1, 2),
            "b": loguniform(1e-3, 10),
            "c": randint(2, 5),
            "d": norm(1, 0.1),
            "e": poisson(3),
        }
    )
    assert read.space["a"] == ts.Float(1, 3)
    assert read.space["b"] == ts.Float(1e-3, 10, log=True)
    assert read.space["c"] == ts.Int(2, 4)
    rng = np.random.default_rng(0)
    drawn = [read.parameters(read.space.sample(rng)) for _ in range(400)]
    assert abs(np.mean([d["d"] for d in drawn]) - 1.0) < 0.03
    assert abs(np.mean([d["e"] for d in drawn]) - 3.0) < 0.4
    assert all(isinstance(d["e"], np.int64) and d["e"] >= 0 for d in drawn)


def test_values_come_back_as_they_were() -> None:
    def f(x: Any) -> Any:
        return x

    values = [
        (5,),
        (5, 5),
        None,
        True,
        1,
        np.float64(0.5),
        float("nan"),
        f,
        lambda x: x,
        lambda x: x,
    ]
    read = read_distributions({"p": values})
    back = [read.parameters({"p": label})["p"] for label in read.space["p"].values]  # type: ignore[union-attr]
    assert len(back) == len(values)
    assert all(a is b for a, b in zip(back, values, strict=True))


def test_our_spaces() -> None:
    space = ts.Space(
        kernel=ts.Choice("rbf", "linear"),
        C=ts.Float(0.01, 100, log=True),
        gamma=ts.Float(0.1, 1, when={"kernel": "rbf"}),
    )
    found = searched(SVC(), space, 10)
    linear = found.cv_results_["param_kernel"] == "linear"
    assert (found.cv_results_["param_gamma"].mask == linear).all()
    assert searched(SVC(), {"C": ts.Float(0.1, 1), "gamma": [0.1, 1.0]}).best_score_ > 0.5


def first(estimator: Any, written: Any) -> dict[str, Any]:
    """What is tried first."""
    read = read_distributions(written).beginning_with(estimator.get_params())
    found: dict[str, Any] = read.parameters(read.space.default())
    return found


def test_the_estimator_as_it_is_comes_first() -> None:
    space = {"C": loguniform(1e-3, 1e3), "kernel": ["linear", "poly"], "degree": randint(1, 9)}
    found = searched(SVC(C=7.0, kernel="poly", degree=4), space, 3, searcher="auto")
    assert found.cv_results_["params"][0] == {
        "C": pytest.approx(7.0),
        "kernel": "poly",
        "degree": 4,
    }


def test_what_is_no_value_of_the_space_is_as_near_as_it_gets() -> None:
    assert first(SVC(C=50.0), {"C": uniform(0, 10)}) == {"C": 10.0}
    assert first(SVC(C=-1.0), {"C": loguniform(1e-3, 10)}) == {"C": pytest.approx(1e-3)}
    assert first(SVC(degree=7), {"degree": range(2, 9, 4)}) == {"degree": 6}
    middle = {"gamma": pytest.approx(0.1), "C": 0.5}
    assert first(SVC(gamma="scale"), {"gamma": loguniform(1e-3, 10), "C": [0.5, 2.0]}) == middle
    assert first(SVC(C=float("nan")), {"C": uniform(0, 10)}) == {"C": 5.0}
    assert first(SVC(shrinking=True), {"shrinking": ts.Int(0, 4)}) == {"shrinking": 2}
    assert first(SVC(C=8.0), ts.Space(C=ts.Float(0, 10, default=2.0))) == {"C": 2.0}


def test_values_that_say_nothing_of_their_being_equal() -> None:
    """Arrays, which are compared element by element."""
    priors = [np.array([0.5, 0.5]), np.array([0.2, 0.8])]
    estimator = GaussianNB(priors=np.array([0.2, 0.8]))
    assert first(estimator, {"priors": priors})["priors"] is priors[0]
    assert first(GaussianNB(priors=priors[1]), {"priors": priors})["priors"] is priors[1]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"C": 1.0}, "C: a list of values"),
        ({"C": "rbf"}, "C: a list of values"),
        ({"C": []}, "C: the list of values is empty"),
        ({"C": np.ones((2, 2))}, "not an array of 2 dimensions"),
        (7, "param_distributions is a mapping"),
        ([], "param_distributions is a mapping"),
    ],
)
def test_a_space_that_is_none(written: Any, message: str) -> None:
    with pytest.raises(ts.SpaceError, match=message):
        searched(SVC(), written)


# -- scoring, refitting, failures -------------------------------------------------------------


def test_several_metrics_and_which_counts() -> None:
    both = {"acc": "accuracy", "loss": "neg_log_loss"}
    model, grid = GaussianNB(), {"var_smoothing": loguniform(1e-9, 10)}
    found = searched(model, grid, scoring=both, refit="loss")
    assert {"mean_test_acc", "rank_test_loss", "split2_test_acc"} <= found.cv_results_.keys()
    assert found.best_score_ == found.cv_results_["mean_test_loss"].max()
    first = searched(
        model, grid, scoring=both, refit=lambda results: int(results["rank_test_acc"].argmax())
    )
    assert first.best_params_ == first.cv_results_["params"][first.best_index_]
    none = searched(model, grid, scoring=["accuracy", "neg_log_loss"], refit=False)
    assert not hasattr(none, "best_estimator_")
    assert "mean_test_accuracy" in none.cv_results_
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        searched(model, grid, scoring=both, refit=True)


def test_a_scorer_that_returns_several() -> None:
    def score(model: Any, x: Any, y: Any) -> dict[str, float]:
        return {"acc": model.score(x, y), "depth": -float(model.get_depth())}

    found = searched(
        DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3]}, scoring=score, refit="acc"
    )
    assert found.best_params_["max_depth"] > 1
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        searched(DecisionTreeClassifier(), {"max_depth": [1, 2]}, scoring=score)


class Moody(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fails for what it does not like."""

    def __init__(self, p: float = 0.0) -> None:
        self.p = p

    def fit(self, x: Any, y: Any) -> Moody:
        if self.p > 0.5:
            raise RuntimeError("no mood for this")
        self.classes_ = np.unique(y)
        return self

    def predict(self, x: Any) -> Any:
        return np.full(len(x), self.classes_[0])


@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.FitFailedWarning", "ignore:One or more of the test scores"
)
@pytest.mark.parametrize("score", [np.nan, -1.0])
def test_a_candidate_that_fails_ends_no_search(score: float) -> None:
    found = searched(Moody(), {"p": uniform(0, 1)}, 12, error_score=score)
    failed = np.array([p["p"] > 0.5 for p in found.cv_results_["params"]])
    assert 0 < failed.sum() < 12
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"][failed], score)
    assert found.best_params_["p"] <= 0.5


def test_when_all_fail_it_says_why() -> None:
    with pytest.raises(ValueError, match="no mood for this"):
        searched(Moody(), {"p": uniform(0.6, 0.1)})
    with pytest.raises(RuntimeError, match="no mood for this"):
        searched(Moody(), {"p": uniform(0.6, 0.1)}, error_score="raise")


# -- what else is passed on -------------------------------------------------------------------


def test_groups_weights_and_routing(routing: None) -> None:
    groups = np.arange(len(Y)) % 5
    model = GaussianNB().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    cv = GroupKFold(5)
    weights = np.random.default_rng(0).random(len(Y))
    grid = {"var_smoothing": [0.1, 1.0]}
    ours = TunesmithSearchCV(model, grid, cv=cv, searcher="grid", n_iter=None)
    theirs = GridSearchCV(model, grid, cv=cv)
    for search in (ours, theirs):
        search.fit(X, Y, groups=groups, sample_weight=weights)
    assert ours.best_score_ == theirs.best_score_
    assert ours.best_params_ == theirs.best_params_


def test_groups_and_weights_without_routing() -> None:
    groups, weights = np.arange(len(Y)) % 5, np.random.default_rng(0).random(len(Y))
    search = TunesmithSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=GroupKFold(5))
    assert search.fit(X, Y, groups=groups, sample_weight=weights).n_splits_ == 5


@pytest.mark.parametrize("kind", [sparse.csr_matrix, pd.DataFrame, np.ndarray.tolist])
def test_kinds_of_data(kind: Any) -> None:
    found = TunesmithSearchCV(SVC(), {"C": loguniform(0.1, 10)}, n_iter=3, random_state=0).fit(
        kind(X), Y
    )
    assert found.best_score_ > 0.8
    assert hasattr(found, "feature_names_in_") is False or list(found.feature_names_in_)


def test_folds_that_a_splitter_draws_anew_are_drawn_once() -> None:
    found = searched(
        SVC(), {"C": [1.0, 1.0000001, 1.0000002]}, 3, cv=ShuffleSplit(4), searcher="grid"
    )
    scores = np.array([found.cv_results_[f"split{k}_test_score"] for k in range(4)])
    assert (scores == scores[:, :1]).all()


def test_jobs_and_pickles() -> None:
    alone, together = (
        searched(SVC(), {"C": [0.1, 1.0, 10.0]}, None, searcher="grid", n_jobs=n) for n in (1, 2)
    )
    assert alone.best_score_ == together.best_score_
    again = pickle.loads(pickle.dumps(together))
    assert (again.predict(X) == together.predict(X)).all()
    assert clone(together).get_params()["n_jobs"] == 2


def test_the_same_seed_finds_the_same() -> None:
    one, other = (searched(SVC(), {"C": loguniform(0.01, 10)}, searcher="auto") for _ in range(2))
    assert one.cv_results_["params"] == other.cv_results_["params"]


# -- ending candidates early ------------------------------------------------------------------


def test_racing_spares_folds() -> None:
    x, y = make_classification(200, flip_y=0.3, random_state=0)
    search = TunesmithSearchCV(
        DecisionTreeClassifier(random_state=0), {"max_depth": randint(1, 12), "criterion": ["gini", "entropy"]},
        n_iter=16, cv=KFold(10, shuffle=True, random_state=0), random_state=0, early_stopping={"racing": {"alpha": 0.3}},
    ).fit(x, y)  # fmt: skip
    n_folds = search.cv_results_["n_folds"]
    assert n_folds.max() == 10
    assert n_folds.min() < 10
    means = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(np.isnan(means), n_folds < 10)
    assert search.best_score_ == np.nanmax(means)


@pytest.mark.parametrize(("resource", "most"), [("n_samples", "auto"), ("n_estimators", 27)])
def test_halving_by_a_resource(resource: str, most: Any) -> None:
    found = searched(
        RandomForestClassifier(random_state=0, n_estimators=3), {"max_depth": randint(1, 9), "max_features": uniform(0.2, 0.8)},
        12, early_stopping="halving", resource=resource, max_resources=most,
    )  # fmt: skip
    results = found.cv_results_
    most = len(Y) if most == "auto" else most
    assert results["n_resources"][found.best_index_] == most == results["n_resources"].max()
    assert 0 < (results["n_resources"] == most).sum() < 12
    assert (results["iter"] == 0).sum() == 12
    if resource == "n_estimators":
        assert found.best_estimator_.n_estimators == 27


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"early_stopping": "hyperband"}, "early_stopping is 'racing'"),
        ({"early_stopping": "halving", "resource": "C"}, "max_resources is the most that C may be"),
        ({"early_stopping": "halving", "resource": "C", "max_resources": 9}, "C is the resource"),
        ({"early_stopping": "halving", "factor": 1}, "factor is above 1"),
        ({"early_stopping": "halving", "min_resources": 1000}, "at most max_resources"),
        ({"n_iter": None}, "nothing would end"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, ts.StudyError), match=message):
        searched(SVC(), {"C": uniform(0.1, 1)}, **{"n_iter": 3, **options})


# -- kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [None, "racing", "halving"])
def test_a_kept_search_goes_on(tmp_path: Path, early_stopping: str | None) -> None:
    def search(n_iter: int, storage: Any, model: Any = None) -> Any:
        return searched(
            model or DecisionTreeClassifier(random_state=0), {"max_depth": randint(1, 9), "min_samples_leaf": randint(1, 9)},
            n_iter, storage=storage, early_stopping=early_stopping, return_train_score=True,
        )  # fmt: skip

    kept = tmp_path / "kept.db"
    search(3, kept)
    resumed, whole = search(6, kept), search(6, None)
    same = search(6, kept)
    for key in whole.cv_results_:
        if key != "params" and not key.endswith("_time"):
            np.testing.assert_array_equal(resumed.cv_results_[key], whole.cv_results_[key])
            np.testing.assert_array_equal(same.cv_results_[key], whole.cv_results_[key])
    assert same.best_params_ == whole.best_params_
    with pytest.raises(ts.StudyError, match="the estimator"):
        search(12, kept, DecisionTreeClassifier(random_state=1))


def test_other_data_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "kept.db"
    options: dict[str, Any] = {"n_iter": 2, "storage": kept, "cv": 2}
    TunesmithSearchCV(SVC(), {"C": [1.0, 2.0]}, **options).fit(X, Y)
    with pytest.raises(ts.StudyError, match=r"the data(.|\n)*would not compare"):
        TunesmithSearchCV(SVC(), {"C": [1.0, 2.0]}, **options).fit(X + 1e-3, Y)
    assert ts.Study.open(storage=kept).result().counts[ts.State.COMPLETED] == 2


def test_failures_are_kept_too(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.simplefilter("ignore", UserWarning)
        one = searched(Moody(), {"p": uniform(0, 1)}, 6, storage=tmp_path / "kept.db")
        again = searched(Moody(), {"p": uniform(0, 1)}, 6, storage=tmp_path / "kept.db")
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"], again.cv_results_["mean_test_score"]
    )
    assert np.isnan(again.cv_results_["mean_test_score"]).any()


def test_it_stands_for_a_randomized_search() -> None:
    """The two lines of the guide."""
    arguments = ({"C": loguniform(0.01, 100), "gamma": loguniform(0.01, 10)},)
    options: dict[str, Any] = {"n_iter": 5, "cv": 3, "scoring": "accuracy", "n_jobs": 1, "refit": True, "random_state": 0,
                               "verbose": 0, "pre_dispatch": "2*n_jobs", "error_score": np.nan, "return_train_score": False}  # fmt: skip
    theirs, ours = (
        s(SVC(), *arguments, **options).fit(X, Y)
        for s in (RandomizedSearchCV, ts.TunesmithSearchCV)
    )
    assert theirs.cv_results_.keys() == ours.cv_results_.keys()


# -- callbacks of estimators ------------------------------------------------------------------


def iterations(trial: Any, monitor: Any, data: Any = None) -> Any:
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")
    model = LogisticRegression(max_iter=200)
    return model.set_callbacks(ReportCallback(trial, monitor=monitor, data=data)).fit(X, Y)


def test_an_estimator_reports_its_iterations() -> None:
    held_out = X[::2], Y[::2]
    models = []

    def objective(config: Any, trial: Any) -> float:
        monitor = {"neg_log_loss": "score", "accuracy": "accuracy"}
        models.append(iterations(trial, monitor, held_out))
        return float(models[-1].score(*held_out))

    result = ts.tune(objective, {"x": 1}, metric="score", goal="maximize", trials=1, progress=False)
    (trial,) = result.trials
    reports = list(result.ledger.curves.of(trial.number))
    assert [r.step for r in reports] == list(range(1, models[0].n_iter_[0] + 1))
    last = reports[-1].metrics
    assert last["accuracy"] == pytest.approx(models[0].score(*held_out))
    assert last["score"] > reports[0].metrics["score"]


def test_an_estimator_goes_on_and_its_trial_is_stopped() -> None:
    fitted = []

    def objective(config: Any, trial: Any) -> float:
        fitted.append(iterations(trial, {"neg_log_loss": "loss"}))
        return 0.0

    result = ts.tune(
        objective, {"x": 1}, metric="loss", goal="maximize", trials=1, progress=False,
        scheduler={"threshold": {"worst": 5.0}},
    )  # fmt: skip
    assert result.trials[0].state is ts.State.STOPPED
    assert fitted[0].predict(X).shape == Y.shape


def test_a_callback_alone_does_nothing() -> None:
    assert iterations(None, "accuracy").predict(X).shape == Y.shape
