from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular import data as tables
from tunesmith.recipes.tabular import plan
from tunesmith.recipes.tabular.columns import Column
from tunesmith.recipes.tabular.data import Data, load
from tunesmith.recipes.tabular.metrics import metric_for
from tunesmith.recipes.tabular.stored import restore, save
from tunesmith.recipes.tabular.stratified import folds, sample
from tunesmith.recipes.tabular.targets import CLASSES

rng = np.random.default_rng(0)


def table(y: Any, rows: int = 60) -> Any:
    series = (
        y if isinstance(y, pd.Series) else pd.Series(np.resize(np.array(y, dtype=object), rows))
    )
    return pd.DataFrame({"x": rng.normal(size=len(series)), "y": series.infer_objects()})


# -- the task -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "task", "classes"),
    [
        (rng.normal(size=60), "regression", ()),
        (np.arange(60) * 3, "regression", ()),
        ([0.5, 1.5], "regression", ()),
        ([0, 1], "binary", (0, 1)),
        ([1.0, 2.0, np.nan], "binary", (1, 2)),
        ([True, False], "binary", (False, True)),
        ([True, None, False], "binary", (False, True)),
        (["yes", "no"], "binary", ("no", "yes")),
        (["b ", "a", " b"], "binary", ("a", "b")),
        (["b", "a", "c"], "multiclass", ("a", "b", "c")),
        (list(range(CLASSES)), "multiclass", tuple(range(10))),
        (list(range(CLASSES + 1)), "regression", ()),
        ([1, "1", "a"], "multiclass", (1, "1", "a")),
    ],
)
def test_the_task_is_found(y: Any, task: str, classes: tuple[Any, ...]) -> None:
    data = load(table(y), "y")
    assert (data.task, data.classes) == (task, classes)
    assert data.why
    if classes:
        assert sorted(set(data.y)) == list(range(len(classes)))


@pytest.mark.parametrize(
    "dtype", ["Int64", "boolean", "category", "string", "int8", "int64[pyarrow]"]
)
def test_targets_of_every_type(dtype: str) -> None:
    series = pd.Series([0, 1, 1, 0, 1] * 12)
    data = load(table(series.astype("str" if dtype == "string" else "int64").astype(dtype)), "y")  # type: ignore[call-overload]
    assert data.task == "binary"
    assert data.y.tolist() == series.tolist()


def test_few_rows_with_whole_numbers_are_amounts() -> None:
    assert load(table([1, 2, 3, 4], rows=16), "y").task == "regression"
    assert load(table([1, 2, 3, 4], rows=20), "y").task == "multiclass"


@pytest.mark.parametrize(
    ("y", "task", "found"),
    [
        ([0, 1, 2], "regression", "regression"),
        ([0, 1, 2], "classification", "multiclass"),
        ([0.5, 1.5], "classification", "binary"),
        (list(range(20)), "multiclass", "multiclass"),
        (["a", "b"], "multiclass", "binary"),
    ],
)
def test_the_task_can_be_said(y: Any, task: str, found: str) -> None:
    data = load(table(y), "y", task)
    assert data.task == found
    assert data.why == "as you said"


def test_numbers_as_text_can_be_predicted_as_numbers() -> None:
    data = load(table([f"{v:.3f}" for v in rng.normal(size=60)]), "y", "regression")
    assert data.task == "regression"
    assert abs(data.y).max() < 10


@pytest.mark.parametrize(
    "values", [[1, 2, 3], [0.5, 1.5], ["1", "2.5"], [2.0, None], [1.0, np.inf]]
)
@pytest.mark.parametrize("dtype", ["category", "object"])
def test_categories_that_are_numbers_can_be_predicted_as_numbers(
    values: list[Any], dtype: Any
) -> None:
    series = pd.Series([values[k % len(values)] for k in range(60)])
    series[0] = {int: 7, float: 7.0, str: "7"}[type(values[0])]
    data = load(table(series.astype(dtype)), "y", "regression")
    assert (data.task, data.classes) == ("regression", ())
    assert data.y[0] == 7.0
    assert data.y[-2] == float(values[58 % len(values)])
    assert load(table(pd.Series(["a", "b"] * 30, dtype="category")), "y").task == "binary"


def test_amounts_as_people_write_them_can_be_predicted(tmp_path: Path) -> None:
    amounts = np.exp(rng.normal(7, 2, 60)).round(2)
    data = load(table(pd.Series([f"${v:,.2f}" for v in amounts])), "y")
    assert data.task == "regression"
    np.testing.assert_allclose(data.y, amounts)
    assert data.notices[0] == "'y' holds numbers that are written as 1,234.5 $, and predicted in $"
    few = load(table(["$5", "$10", "$20"]), "y")
    assert few.classes == ("$10", "$20", "$5")
    texts = [f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in amounts]
    table(pd.Series(texts)).to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")
    np.testing.assert_allclose(load(tmp_path / "t.csv", "y").y, amounts)
    grouped = pd.Series(["1,234", "2,500", "3,125"] + [f"{k},{100 + k}" for k in range(1, 58)])
    assert load(table(grouped), "y").y[0] == 1234
    assert load(table(grouped), "y", columns={"y": "number:decimal-comma"}).y[0] == 1.234
    codes = load(table([f"0{k}" for k in range(12)]), "y")
    assert codes.task == "multiclass"
    assert codes.classes[0] == "00"


def test_a_few_targets_that_cannot_be_read_are_left_out_and_said() -> None:
    data = load(table(pd.Series([f"{k},5" for k in range(58)] + ["n.k.", "?"])), "y")
    assert data.rows == 58
    assert any(
        "2 values of 'y', such as 'n.k.', are no numbers" in notice for notice in data.notices
    )
    assert any("2 rows without a value of 'y' are left out" in notice for notice in data.notices)


@pytest.mark.parametrize("as_text", [False, True])
def test_durations_can_be_predicted_and_dates_cannot(as_text: bool) -> None:
    seconds = rng.integers(60, 90_000, 60)
    series = pd.Series(pd.to_timedelta(seconds, unit="s"))
    data = load(table(series.astype(str) if as_text else series), "y")
    assert data.task == "regression"
    np.testing.assert_array_equal(data.y, seconds)
    assert "'y' holds durations: it is learned, and predicted, in seconds" in data.notices
    arrow = load(table(series.astype("duration[us][pyarrow]")), "y")
    np.testing.assert_array_equal(arrow.y, seconds)
    days = pd.Series(pd.date_range("2024-01-01", periods=60))
    with pytest.raises(JobError, match="'y' holds dates, and a date cannot be predicted"):
        load(table(days.astype(str) if as_text else days), "y")


def test_columns_and_dates_can_be_said(tmp_path: Path) -> None:
    frame = table([0, 1])
    frame["when"] = ["01/02/2024", "03/04/2024"] * 30
    frame["zip"] = [10001, 90210] * 30
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = load(tmp_path / "t.csv", "y", columns=["zip=category"], dates="day-first")
    assert [(c.kind, c.written) for c in data.columns][1:] == [
        ("date", "%d/%m/%Y"),
        ("category", ""),
    ]
    with pytest.raises(JobError, match="dates is day-first or month-first, not 'dayfirst'"):
        load(frame, "y", dates="dayfirst")
    with pytest.raises(JobError, match="'y' is to be predicted, and cannot be said to be 'text'"):
        load(frame, "y", columns={"y": "text"})


# -- what cannot be learned ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "task", "said"),
    [
        ([5.5], None, "'y' is 5.5 in every row: there is nothing to predict"),
        ([5], "regression", "'y' is 5 in every row"),
        ([5], None, "'y' is 5 in every row: one class only"),
        (["a", None], None, "'y' is 'a' in every row: one class only"),
        ([None], None, "has no values at all"),
        ([np.inf], None, "0 rows with a value"),
        ([f"id{k}" for k in range(60)], None, "60 classes in 60 rows; is it an identifier"),
        (["a"] * 58 + ["b", "c"], None, "all classes of 'y' but one have a single row"),
        (["a", "b"], "regression", "holds values such as 'a', and a regression needs numbers"),
        (["a", "b", "c"], "binary", "has 3 classes, not two"),
        (
            [1, 2],
            "clasification",
            "there is no task 'clasification'; did you mean 'classification'",
        ),
        ([1e200, -1e200, 3.0], "regression", "values as large as"),
        ([[1], [2]], None, "holds lists, not single values"),
    ],
)
def test_targets_that_nothing_can_be_learned_from(y: Any, task: Any, said: str) -> None:
    series = pd.Series([y[k % len(y)] for k in range(60)])
    with pytest.raises(JobError, match=said):
        load(table(series), "y", task)


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_too_few_rows(rows: int) -> None:
    with pytest.raises(JobError, match=f"has {rows} rows? with a value of 'y'; at least 10"):
        load(table([0, 1], rows=rows), "y")
    assert load(table([0, 1], rows=10), "y").rows == 10


def test_the_target_column() -> None:
    frame = table([0, 1]).rename(columns={"y": "price"})
    with pytest.raises(JobError, match="no column 'prise' to predict; did you mean 'price'"):
        load(frame, "prise")
    with pytest.raises(JobError, match=r"with --target .* the last one is 'price'"):
        load(frame, None)
    numbered: Any = frame.set_axis([0, 1], axis=1)
    assert load(numbered, 1).task == "binary"  # type: ignore[arg-type]
    with pytest.raises(JobError, match="no column '7' to predict"):
        load(numbered, 7)  # type: ignore[arg-type]


def test_rows_without_a_target_are_left_out_and_said() -> None:
    frame = table([0, 1, None])
    frame["z"] = [None if pd.isna(v) else k for k, v in enumerate(frame["y"])]
    data = load(frame, "y")
    assert data.rows == 40
    assert any("20 rows without a value of 'y'" in notice for notice in data.notices)
    np.testing.assert_array_equal(data.x[:, 0], frame["x"][frame["y"].notna()])


def test_none_can_be_a_class_of_a_file(tmp_path: Path) -> None:
    table(["None", "mild", "severe"]).to_csv(tmp_path / "t.csv", index=False)
    data = load(tmp_path / "t.csv", "y")
    assert (data.rows, data.classes) == (60, ("None", "mild", "severe"))
    table(["NA", "mild", "severe"]).to_csv(tmp_path / "t.csv", index=False)
    data = load(tmp_path / "t.csv", " y")
    assert data.rows == 40
    assert any("'NA' in 'y' counts as missing" in notice for notice in data.notices)


def test_a_class_with_one_row_is_said() -> None:
    data = load(table(["a", "b"] * 29 + ["a", "c"]), "y")
    assert data.classes == ("a", "b", "c")
    assert any("a single row of 'y' is 'c'" in notice for notice in data.notices)


def test_all_columns_empty() -> None:
    frame = table([0, 1])
    frame["x"] = None
    with pytest.raises(JobError, match="no column is left to learn from"):
        load(frame, "y")


def test_mixed_types_and_what_is_left_out() -> None:
    frame = table([0, 1])
    frame["mixed"] = [1, "a", 2.5] * 20
    frame["empty"] = None
    frame["id"] = [f"c{k}" for k in range(60)]
    data = load(frame, "y")
    assert data.left_out == ("empty", "id")
    assert data.categories == (1,)
    assert len(data.notices) == 3


def test_missing_is_about_numbers() -> None:
    frame = table([0, 1])
    frame["c"] = ["a", None] * 30
    assert not load(frame, "y").missing
    frame.loc[3, "x"] = np.nan
    assert load(frame, "y").missing


# -- sparse files -------------------------------------------------------------------------------


def svm(path: Path, rows: int = 30, width: int = 3, value: str = "0.5") -> Path:
    path.write_text("".join(f"{k % 2} {1 + k % width}:{value}\n" for k in range(rows)))
    return path


def test_a_sparse_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load(svm(tmp_path / "t.svm"), None)
    assert (data.task, data.target, data.sparse) == ("binary", "target", False)
    assert [c.name for c in data.columns] == ["f1", "f2", "f3"]
    monkeypatch.setattr(tables, "DENSE", 80)
    wide = load(svm(tmp_path / "w.svm"), None)
    assert wide.sparse
    assert any("kept sparse" in notice for notice in wide.notices)
    with pytest.raises(JobError, match="not finite"):
        load(svm(tmp_path / "n.svm", value="nan"), None)


# -- folds --------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 3), min_size=10, max_size=80),
    st.sampled_from([3, 5]),
    st.integers(1, 2),
    st.integers(0, 9),
)
def test_every_row_is_in_one_fold_of_each_repeat(
    y: list[int], k: int, repeats: int, seed: int
) -> None:
    found = folds(np.array(y, float), k, repeats, seed)
    assert found.shape == (repeats, len(y))
    for repeat in found:
        sizes = np.bincount(repeat, minlength=k)
        assert len(sizes) == k
        assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(found, folds(np.array(y, float), k, repeats, seed))


@given(
    st.lists(st.integers(2, 30), min_size=2, max_size=6),
    st.sampled_from([3, 5]),
    st.integers(0, 9),
)
def test_classes_are_spread_evenly_over_folds(counts: list[int], k: int, seed: int) -> None:
    """So that a class with two rows is always learned from."""
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    (found,) = folds(y.astype(float), k, 1, seed)
    for c in range(len(counts)):
        mine = np.bincount(found[y == c], minlength=k)
        assert mine.max() - mine.min() <= 1


def test_folds_of_numbers_have_the_same_spread() -> None:
    y = rng.normal(size=1000)
    (found,) = folds(y, 5, 1, 0)
    means = [y[found == k].mean() for k in range(5)]
    assert np.ptp(means) < 0.05


def test_repeats_and_seeds_differ() -> None:
    y = np.zeros(100)
    first, second = folds(y, 5, 2, 0)
    assert (first != second).any()
    assert (folds(y, 5, 1, 1)[0] != first).any()


# -- samples ------------------------------------------------------------------------------------


@given(st.integers(10, 300), st.floats(0.1, 1.0), st.integers(0, 9), st.booleans())
def test_a_sample_has_so_many_different_rows(
    n: int, share: float, seed: int, classes: bool
) -> None:
    local = np.random.default_rng(seed)
    y = local.integers(0, 4, n).astype(float) if classes else local.normal(size=n)
    rows = max(5, round(share * n))
    found = sample(y, rows, seed)
    assert len(found) == rows == len(set(found.tolist()))
    assert (np.diff(found) > 0).all()
    assert found[0] >= 0
    assert found[-1] < n
    np.testing.assert_array_equal(found, sample(y, rows, seed))


@pytest.mark.parametrize("seed", range(5))
def test_a_sample_is_stratified_and_keeps_rare_classes(seed: int) -> None:
    y = np.repeat([0.0, 1, 2, 3], [60_000, 39_900, 95, 5])
    found = sample(y, 5_000, seed)
    counts = np.bincount(y[found].astype(int))
    assert abs(counts[0] - 3_000) < 30
    assert abs(counts[1] - 1_995) < 30
    assert counts[2] >= 5
    assert counts[3] == 5


def test_a_million_rows_are_searched_on_a_sample_and_it_says_so() -> None:
    n = 1_000_000
    y = rng.normal(size=n)
    columns = (Column("a", "number"), Column("b", "number"))
    data = Data("big.csv", np.stack([y, y], axis=1), y, "regression", "y", columns, why="numbers")
    metric = metric_for(data.task)
    planned = plan.make(data, metric, 600.0, None)
    assert planned.rows == 200_000
    assert planned.folds == 3
    said = " ".join(plan.summary(planned, data, metric))
    assert "1,000,000 rows are many: the search is on a stratified sample of 200,000" in said
    taken = data.take(sample(y, planned.rows, 0))
    assert taken.rows == 200_000
    assert abs(taken.y.mean() - y.mean()) < 1e-3
    # less time, fewer rows; never fewer than 5,000
    assert plan.make(data, metric, 10.0, None).rows == 100_000
    assert plan.make(data, metric, 0.1, None).rows == 5_000


def test_one_column_is_no_columns() -> None:
    y = rng.normal(size=60)
    columns = (Column("a", "number"),)
    data = Data("t.csv", y[:, None], y, "regression", "y", columns, why="numbers")
    metric = metric_for(data.task)
    first, *_ = plan.summary(plan.make(data, metric, 60.0, None), data, metric)
    assert first == "t.csv: 60 rows, 1 column to learn from (1 number)"


# -- for the workers ----------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
def test_rows_are_written_and_read_back(tmp_path: Path, sparse: bool) -> None:
    from scipy.sparse import csr_matrix

    frame = table(["a", "b", None])
    frame["when"] = pd.date_range("2024-01-01", periods=60).astype(str)
    data = load(frame, "y")
    if sparse:
        data = Data(**{**data.__dict__, "x": csr_matrix(data.x)})
    save(tmp_path / "rows.npz", data)
    assert [p.name for p in tmp_path.iterdir()] == ["rows.npz"]
    back = restore(tmp_path / "rows.npz")
    assert back.sparse == sparse
    np.testing.assert_array_equal(
        back.x.toarray() if sparse else back.x, data.x.toarray() if sparse else data.x
    )
    np.testing.assert_array_equal(back.y, data.y)
    assert (back.task, back.target, back.classes, back.columns) == (
        data.task,
        data.target,
        data.classes,
        data.columns,
    )
    assert back.digest() == data.digest()


def test_rows_that_cannot_be_written_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Any, **arrays: Any) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(JobError, match="No space left on device"):
        save(tmp_path / "rows.npz", load(table([0, 1]), "y"))
    assert list(tmp_path.iterdir()) == []


def test_the_digest_tells_tables_apart() -> None:
    frame = table([0, 1])
    first = load(frame, "y").digest()
    assert load(frame.copy(), "y").digest() == first
    other = frame.copy()
    other.loc[0, "x"] += 1
    assert load(other, "y").digest() != first
    assert load(frame, "y", "regression").digest() != first
    assert load(frame.rename(columns={"y": "t"}), "t").digest() != first


def test_another_target_is_no_change_of_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "NAMED", 0)  # a table of very many columns
    frame = table(rng.normal(size=60))
    one, other = (load(frame.assign(y=y), "y").parts() for y in (frame.y, frame.y + 1))
    assert [part for part in one if one[part] != other[part]] == ["target"]
