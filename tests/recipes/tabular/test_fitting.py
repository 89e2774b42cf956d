"""From a table to a model, with real trials in real processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from tests.recipes.tabular.tables import table

from tunesmith.core.errors import JobError, StudyError, TooSlow
from tunesmith.core.trial import State, Trial
from tunesmith.recipes import tabular
from tunesmith.recipes.tabular import fitting, plan
from tunesmith.recipes.tabular.fitting import Member
from tunesmith.recipes.tabular.metrics import METRICS, metric_for
from tunesmith.recipes.tabular.stored import save
from tunesmith.recipes.tabular.stratified import sample
from tunesmith.recipes.tabular.train import Training
from tunesmith.run.folder import Folder

FINE = "a,y\n" + "1,2\n2,3\n3,1.5\n" * 9
QUICK = ["linear", "svm", "knn"]
RIDGE = {"algorithm": "linear", "linear.C": 1.0, "linear.l1_ratio": 0.0, "scale": "standard"}


class Found:
    """A fitted model, what it is of, and what was said."""

    def __init__(self, folder: Path, name: str, frame: Any, **options: Any) -> None:
        self.file, self.frame, self.options = folder / f"{name}.csv", frame, options
        self.said: list[str] = []
        frame.to_csv(self.file, index=False)
        self.fitted = self.again()

    def again(self, **changed: Any) -> Any:
        options = {"target": "target", "seed": 0, "parallel": 1, **self.options, **changed}
        return tabular.fit(self.file, say=self.said.append, **options)


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """569 rows, two classes, several pipelines blended."""
    frame = datasets.load_breast_cancer(as_frame=True).frame
    frame["target"] = np.where(frame["target"] == 1, "benign", "malignant")
    options = {"trials": 9, "algorithms": QUICK, "searcher": "random"}
    return Found(tmp_path_factory.mktemp("cancer"), "cancer", frame, **options)


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """442 rows, numbers, one pipeline."""
    frame = datasets.load_diabetes(as_frame=True).frame
    options = {"trials": 8, "algorithms": ["linear", "svm"], "ensemble": 1, "scheduler": "none"}
    return Found(tmp_path_factory.mktemp("diabetes"), "diabetes", frame, **options)


def first_value(found: Found) -> float:
    trial = found.fitted.result.trials[0]
    assert trial.config["algorithm"] == "linear"
    return float(trial.value)


def test_classes_are_found_and_learned(cancer: Found) -> None:
    fitted = cancer.fitted
    assert fitted.metric == "log_loss"
    assert fitted.value < first_value(cancer)
    assert fitted.value < 0.09
    assert fitted.scores["roc_auc"] > 0.99
    assert len(fitted.result.trials) == 9
    assert all(trial.state in (State.COMPLETED, State.STOPPED) for trial in fitted.result.trials)
    assert any("'target', 2 classes (binary" in line for line in cancer.said)
    found = fitted.predict_proba(cancer.file)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (fitted.predict(cancer.frame) == cancer.frame["target"]).mean() > 0.97


def test_an_ensemble_is_described(cancer: Found) -> None:
    about = cancer.fitted.about
    assert len(about["members"]) > 1
    assert sum(member["weight"] for member in about["members"]) == pytest.approx(1.0)
    best = about["best"]["value"]
    assert about["value"] < best + 1e-3
    assert "pipelines blended" in cancer.fitted.summary()
    board = cancer.fitted.leaderboard
    assert {row["algorithm"] for row in board} == set(QUICK)
    values = [row["value"] for row in board if row["value"] is not None]
    assert values == sorted(values)
    assert values[0] == pytest.approx(best)
    assert sum(row["trials"] for row in board) == 9


def test_the_score_is_honest(cancer: Found) -> None:
    fitted, again = cancer.fitted, tabular.load(cancer.fitted.path)
    low, high = fitted.interval
    assert 0 <= low < fitted.value <= fitted.score < high < 0.3
    assert fitted.scores["log_loss"] == fitted.score
    assert (again.score, again.interval) == (fitted.score, fitted.interval)
    complete = sum(trial.state is State.COMPLETED for trial in fitted.result.trials)
    assert f"on rows like these, corrected for choosing from {complete} (" in fitted.summary()
    assert "on rows like these, corrected for" in (fitted.path / "report.html").read_text()
    few, many = fitted.interval_on(50), fitted.interval_on(10**9)
    assert 0 <= few[0] < low < high < few[1]
    assert many == pytest.approx((low, high), rel=1e-3)
    with pytest.raises(JobError, match="1 or more"):
        fitted.interval_on(0)


def test_a_model_of_an_earlier_version_has_its_score_as_it_was(cancer: Found) -> None:
    new = {"score", "interval", "chosen_from"}
    about = {k: v for k, v in cancer.fitted.about.items() if k not in new}
    about["members"] = [
        {k: v for k, v in member.items() if k != "unsure"} for member in about["members"]
    ]
    old = replace(cancer.fitted, about=about)
    assert old.score == old.value
    assert old.interval is None
    assert old.interval_on(10) is None
    assert "by cross-validation" in old.summary()
    assert old.predict_proba(cancer.frame).shape == (569, 2)


def test_no_probability_is_0(cancer: Found) -> None:
    """Rows tell no such thing, and the score would be that of the one row that is otherwise."""
    assert cancer.fitted.predict_proba(cancer.frame).to_numpy().min() > 0


def test_what_is_written(cancer: Found) -> None:
    folder = cancer.fitted.path
    assert folder == cancer.file.with_name("cancer-model")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "fit.json", "model.json", "report.html", "study.db", "study.trials", cancer.fitted.about["file"],
    }  # fmt: skip
    assert cancer.fitted.about["file"].endswith(".skops")
    report = (folder / "report.html").read_text()
    assert "log_loss" in report
    assert "linear" in report
    again = tabular.load(folder)
    pd.testing.assert_frame_equal(
        again.predict_proba(cancer.frame), cancer.fitted.predict_proba(cancer.frame)
    )


def test_the_same_call_again_goes_on(cancer: Found) -> None:
    cancer.said.clear()
    trials = cancer.fitted.result.trials
    again = cancer.again()
    assert any("going on with the search" in line for line in cancer.said)
    assert [t.config for t in again.result.trials] == [t.config for t in trials]
    assert [t.value for t in again.result.trials] == [t.value for t in trials]
    assert again.value == pytest.approx(cancer.fitted.value)
    more = cancer.again(trials=10)
    assert len(more.result.trials) == 10
    assert more.result.trials[0].value == trials[0].value


def test_the_score_is_that_of_the_pipelines_that_could_be_fitted(
    cancer: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one(members: list[Member], *_: object) -> list[Member]:
        return [replace(members[-1], weight=1.0)]

    monkeypatch.setattr(fitting, "_within", one)
    fitted = cancer.again()
    number = fitted.about["members"][0]["trial"]
    trials = Folder.beside(fitted.path / "study.db", "fit")
    held_out = np.load(trials.trial(number) / "predictions.npy")
    y = (cancer.frame["target"] == "malignant").to_numpy(float)
    assert fitted.value == pytest.approx(METRICS["log_loss"].of(y, held_out), rel=1e-5)
    assert fitted.value != cancer.fitted.value


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"target": "mean radius"}, r"another target \('target'\)"),
        ({"metric": "accuracy"}, r"another metric \(log_loss\)"),
        ({"seed": 3}, r"another seed \(0\)"),
    ],
)
def test_another_search_in_the_same_folder_is_refused(
    cancer: Found, changed: Any, said: str
) -> None:
    before = {path: path.read_bytes() for path in cancer.fitted.path.glob("*.json")}
    with pytest.raises(JobError, match=said):
        cancer.again(**changed)
    assert {path: path.read_bytes() for path in cancer.fitted.path.glob("*.json")} == before


def test_a_search_goes_on_with_a_changed_table(
    tmp_path: Path,
) -> None:
    frame = pd.DataFrame({"a": np.sin(np.arange(40.0)), "b": np.arange(40.0) % 7})
    frame["target"] = frame["a"] * 2 + frame["b"]
    options = {"trials": 2, "algorithms": ["linear"], "ensemble": 1, "scheduler": "none"}
    search = Found(tmp_path, "t", frame, **options)
    frame.assign(b=frame["b"] + np.arange(40) % 2).to_csv(search.file, index=False)
    with pytest.raises(JobError, match=r"another table:\n  column b has changed \(number\)\nand"):
        search.again()
    fitted = search.again(on_change="continue")
    trials = list(fitted.result.trials)
    assert [trial.retracted for trial in trials[:4]] == [True, True, False, False]
    assert sum(trial.state is State.COMPLETED for trial in trials if not trial.retracted) == 2
    assert fitted.about["best"]["trial"] >= 2
    assert all(member["trial"] >= 2 for member in fitted.about["members"])
    versions = fitted.result.ledger.versions
    assert [v["recipe"] for v in versions] == ["tabular 2", "tabular 2"]
    assert versions[0]["column b"] != versions[1]["column b"]
    assert versions[0]["column a"] == versions[1]["column a"]


def test_numbers_are_found_and_learned(diabetes: Found) -> None:
    fitted = diabetes.fitted
    assert fitted.metric == "rmse"
    (member,) = fitted.about["members"]
    assert member["weight"] == 1.0
    assert member["trial"] == fitted.result.best.number
    assert member["config"] == fitted.best_config
    assert fitted.about["best"]["value"] <= first_value(diabetes)
    assert fitted.value < 57
    assert all(trial.state is State.COMPLETED for trial in fitted.result.trials)
    errors = fitted.predict(diabetes.frame) - diabetes.frame["target"]
    assert np.sqrt(np.mean(errors**2)) < 57
    assert "pipelines blended" not in fitted.summary()


def test_a_frame_with_three_classes_and_every_algorithm(tmp_path: Path) -> None:
    frame = datasets.load_wine(as_frame=True).frame
    fitted = tabular.fit(
        frame, target="target", metric="accuracy", trials=8, seed=0, parallel=1, output=tmp_path / "wine",
    )  # fmt: skip
    assert len(fitted.leaderboard) == 8
    assert all(row["failed"] == 0 for row in fitted.leaderboard)
    assert fitted.value > 0.95
    assert set(fitted.predict(frame.head(100))) == {0, 1}
    assert fitted.predict_proba(frame).shape == (178, 3)


def test_the_target_is_transformed_as_all_rows_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one value below 0 is not in the sample that the search is on."""
    monkeypatch.setattr(plan, "LEAST_ROWS", 40)
    monkeypatch.setattr(plan, "NUMBERS_PER_S", 0)
    a = np.random.default_rng(0).normal(size=400)
    frame = pd.DataFrame({"a": a, "y": np.exp(a + 3)})
    frame.loc[7, "y"] = -50.0
    assert not (sample(frame["y"].to_numpy(), 40, 0) == 7).any()
    fitted = tabular.fit(
        frame, target="y", trials=2, seed=0, parallel=1, algorithms=["linear"], output=tmp_path / "m",
        time="60s",
    )  # fmt: skip
    assert fitted.about["searched_rows"] == 40
    assert "log" not in fitted.result.spec.space.parameters["target"].values  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("a,b,y\n" + "1,2,3\n" * 20, {}, "'y' is 3 in every row"),
        ("a,b,y\n1,2,3\n", {}, "has 1 row"),
        ("a,b,y\n", {}, "has no rows"),
        ("a,b,y\n" + ",,1\n,,2\n" * 20, {}, "no column is left to learn from"),
        (FINE, {"target": "z"}, "no column 'z' to predict"),
        (FINE, {"metric": "accuracy"}, "does not fit numbers"),
        (FINE, {"ensemble": 0}, "1 or more, not 0"),
        (FINE, {"algorithms": ["tree"]}, "no algorithm 'tree'"),
        (FINE, {"searcher": "bays"}, "bays"),
    ],
)
def test_what_cannot_be_fitted_writes_nothing(
    tmp_path: Path, content: str, options: Any, said: str
) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises((JobError, StudyError, ValueError), match=said):
        tabular.fit(tmp_path / "t.csv", **{"target": "y", "trials": 2, **options})
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(FINE)
    (tmp_path / "t-model").mkdir()
    (tmp_path / "t-model" / "thesis.txt").write_text("years of work")
    with pytest.raises(JobError, match="is there already, with other things in it"):
        tabular.fit(tmp_path / "t.csv", target="y", trials=2)
    assert [path.name for path in (tmp_path / "t-model").iterdir()] == ["thesis.txt"]


# -- the pieces ---------------------------------------------------------------------------------


def member(number: int, weight: float, fold_s: float) -> Member:
    config = {"algorithm": "linear"}
    trial = Trial(number=number, config=config, state=State.COMPLETED, metrics={"fold_s": fold_s})
    return Member(trial, weight, np.zeros((1, 1)))


def test_members_that_cannot_be_fitted_in_time_are_left_out() -> None:
    data = table("numbers", "binary")
    planned = plan.make(data, metric_for("binary"), None, None)
    members = [member(0, 0.2, 1.0), member(1, 0.5, 1.0), member(2, 0.3, 100.0)]
    kept = fitting._within(members, planned, data, 1, 10.0)
    assert {m.trial.number: pytest.approx(m.weight) for m in kept} == {1: 5 / 7, 0: 2 / 7}
    assert fitting._within(members, planned, data, 1, None) == members
    assert [m.trial.number for m in fitting._within(members, planned, data, 1, 0.0)] == [1]


def test_pipelines_that_cannot_be_fitted_on_all_rows_are_left_out() -> None:
    data = table("numbers", "regression")
    configs = [RIDGE, {**RIDGE, "target": "log"}, {**RIDGE, "linear.C": 0.1}]
    members = [
        replace(m, trial=msgspec.structs.replace(m.trial, config=config))
        for m, config in zip(
            [member(0, 0.2, 1.0), member(1, 0.5, 1.0), member(2, 0.3, 1.0)], configs, strict=True
        )
    ]
    below = replace(data, y=data.y - data.y.mean())
    for parallel in (1, 2):
        said: list[str] = []
        kept, pipes = fitting._fit_all(members, below, 0, parallel, said.append)
        assert {m.trial.number: pytest.approx(m.weight) for m in kept} == {0: 0.4, 2: 0.6}
        assert len(pipes) == 2
        (note,) = said
        assert "linear of trial 1 cannot be fitted on all rows, and is left out: ValueError" in note
    with pytest.raises(JobError, match="no pipeline can be fitted on all rows: ValueError"):
        fitting._fit_all(members[1:2], below, 0, 1, print)


def test_retracted_trials_are_neither_blended_nor_listed(tmp_path: Path) -> None:
    data = table("numbers", "regression")
    trials = [
        msgspec.structs.replace(member(k, 1.0, 1.0).trial, values=(float(k),), retracted=k == 0)
        for k in range(3)
    ]
    trials.append(msgspec.structs.replace(trials[0], number=3, config={"algorithm": "knn"}))
    for trial in trials:
        folder = tmp_path / str(trial.number)
        folder.mkdir()
        np.save(folder / "predictions.npy", data.y[:, None] + trial.number)
    result: Any = SimpleNamespace(trials=trials)
    metric = METRICS["mae"]
    chosen = fitting._choose(result, data, metric, 10, lambda number: tmp_path / str(number))
    assert [m.trial.number for m in chosen] == [1]
    (row,) = fitting.leaderboard(result, metric)
    assert (row["algorithm"], row["value"], row["trials"]) == ("linear", 1.0, 2)


class Listener:
    """As a trial is to its training."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.reports = directory, []  # type: ignore[var-annotated]

    def report(self, step: int, **metrics: float) -> None:
        self.reports.append((step, metrics))


def trained(tmp_path: Path, data: Any, config: Any, **changed: Any) -> tuple[Any, Listener]:
    save(tmp_path / "rows.npz", data)
    options: Any = {
        "metric": "mae",
        "folds": 3,
        "repeats": 2,
        "seed": 0,
        "trial_time_s": 60.0,
    } | changed
    listener: Any = Listener(tmp_path)
    return Training(str(tmp_path / "rows.npz"), **options)(config, listener), listener


def test_each_fold_is_a_step_and_the_value_their_mean(tmp_path: Path) -> None:
    data = table("numbers", "regression")
    outcome, listener = trained(tmp_path, data, RIDGE)
    assert [step for step, _ in listener.reports] == [1, 2, 3, 4, 5, 6]
    assert outcome["mae"] == pytest.approx(np.mean([m["mae"] for _, m in listener.reports]))
    assert outcome["fold_s"] > 0
    held_out = np.load(tmp_path / "predictions.npy")
    assert held_out.shape == (data.rows, 1)
    assert METRICS["r2"].of(data.y, held_out[:, 0]) > 0.5


def test_predictions_of_large_numbers_that_are_close_together_are_kept_apart(
    tmp_path: Path,
) -> None:
    data = table("numbers", "regression")
    data = replace(data, y=data.y + 1.7e9)
    outcome, _ = trained(tmp_path, data, RIDGE)
    held_out = np.load(tmp_path / "predictions.npy")[:, 0]
    assert METRICS["mae"].of(data.y, held_out) == pytest.approx(outcome["mae"], rel=0.3)


def test_what_is_too_slow_says_so(tmp_path: Path) -> None:
    with pytest.raises(TooSlow, match="one fold took"):
        trained(tmp_path, table("numbers", "regression"), RIDGE, trial_time_s=1e-6)
