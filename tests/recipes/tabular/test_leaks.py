"""What makes scores too good is said; and what only labels the rows is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from tunesmith.recipes.tabular.data import Data, load
from tunesmith.recipes.tabular.labels import row_label
from tunesmith.recipes.tabular.leaks import copies
from tunesmith.recipes.tabular.roles import Roles
from tunesmith.recipes.tabular.splits import splits

N = 200
NOTHING: Any = None
DAYS: Any = pd.date_range("2024-01-01", periods=N).astype(str).to_numpy()
RNG = np.random.default_rng(0)
A = RNG.normal(size=N)
YES = A + RNG.normal(size=N) > 0
AMOUNT = np.exp(A + RNG.normal(size=N) + 5)
THIRD = RNG.integers(0, 3, N)


def warned(y: Any, **columns: Any) -> str:
    frame = pd.DataFrame({"a": A, "b": RNG.normal(size=N), **columns, "y": y})
    return " ".join(load(frame, "y").warnings)


def nearly(values: Any, share: float) -> Any:
    wrong = np.arange(N) % round(1 / share) == 0
    return np.where(wrong, RNG.permutation(values), values)


@pytest.mark.parametrize(
    ("y", "copy"),
    [
        (YES, YES.astype(int)),
        (YES, np.where(YES, "ja", "nein")),
        (YES, nearly(YES.astype(int), 0.02)),
        (YES, np.where(YES, 3.0, np.nan)),  # what is only there for one class
        (YES, np.where(YES, DAYS, NOTHING)),
        (YES, np.where(YES, "2024-05-17", NOTHING)),
        (YES, pd.to_datetime(pd.Series(np.where(YES, "2024-05-17", NOTHING)))),
        (YES, YES * 10.0 + A),
        (THIRD, 100 - THIRD),
        (THIRD, np.array(["x", "y", "z"])[THIRD]),
        (np.r_[np.ones(10), np.zeros(N - 10)].astype(int), np.r_[np.ones(10), np.zeros(N - 10)]),
        (np.arange(N) % 40 == 0, np.where(np.arange(N) % 40 == 0, 2, 1)),  # 5 of 200
        (AMOUNT, AMOUNT * 1.08),
        (AMOUNT, -np.log(AMOUNT)),
        (AMOUNT, (AMOUNT * 1.08).round()),
        (AMOUNT, [f"{v:.2f}" for v in AMOUNT * 1.08]),
        (AMOUNT, pd.qcut(AMOUNT, 30, labels=False)),
    ],
)
def test_what_gives_the_target_away_is_named(y: Any, copy: Any) -> None:
    said = warned(y, copy=copy)
    assert "'copy' alone tells nearly all of 'y'" in said
    assert "--column copy=ignore" in said


def test_a_copy_of_a_rare_class_among_many_rows_is_named() -> None:
    rng = np.random.default_rng(2)
    rare = np.arange(40_000) % 2_000 == 7
    frame = pd.DataFrame({"a": rng.normal(size=40_000), "copy": rare.astype(int), "y": rare})
    assert "'copy' alone tells nearly all of 'y'" in " ".join(load(frame, "y").warnings)


def test_a_word_that_gives_the_target_away_is_named() -> None:
    rng = np.random.default_rng(3)
    words = np.array(["house", "garden", "old", "new", "street", "bright", "small", "quiet"])
    told = [
        " ".join([*rng.choice(words, 4), "refunded" if yes else "delivered", *rng.choice(words, 2)])
        for yes in YES
    ]
    assert "'review' alone tells nearly all of 'y'" in warned(YES, review=told)
    other = [" ".join(rng.choice(words, 6)) for _ in YES]
    assert warned(YES, review=other) == ""


def test_several_copies_are_named() -> None:
    said = warned(YES, one=YES.astype(int), **{"the other": np.where(YES, "p", "q")})
    assert "'one', 'the other', each alone tell nearly all" in said


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "diabetes"])
def test_what_only_tells_much_is_not_named(name: str) -> None:
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    assert load(frame, "target").warnings == ()


def test_chance_is_not_named() -> None:
    rng = np.random.default_rng(1)
    few = pd.DataFrame(rng.integers(0, 2, (12, 300)), columns=[f"c{k}" for k in range(300)])
    assert load(few.assign(y=few["c0"]), "y").warnings == ()
    rare = pd.DataFrame(rng.normal(size=(60, 300)), columns=[f"c{k}" for k in range(300)])
    assert load(rare.assign(y=[1, 1] + [0] * 58), "y").warnings == ()


PEOPLE = np.arange(N) // 4
SAME = np.random.default_rng(3).integers(0, 2, N)[PEOPLE]


@pytest.mark.parametrize(
    "who", [[f"p{k}" for k in PEOPLE], PEOPLE * 17 % 101, [f"p{k}" for k in np.arange(N) // 2]]
)
def test_groups_that_nobody_named_are_noticed(who: Any) -> None:
    y = SAME if np.asarray(who).dtype.kind == "i" or who[3] == "p0" else SAME[np.arange(N) // 2 * 2]
    assert "rows with the same 'who' nearly always have the same 'y'" in warned(y, who=who)
    frame = pd.DataFrame({"a": A, "who": who, "y": y})
    assert load(frame, "y", roles=Roles("who")).warnings == ()


def test_groups_that_say_little_are_not_noticed() -> None:
    assert warned(YES, who=[f"p{k}" for k in PEOPLE]) == ""


def test_rows_that_are_there_twice_are_counted() -> None:
    frame = pd.DataFrame({"a": A, "b": np.where(YES, "x", NOTHING), "y": AMOUNT})
    twice = pd.concat([frame, frame.iloc[:30], frame.iloc[:5]])
    data = load(twice, "y")
    count = copies(data, splits(data, 5, 2, 0))
    assert 30 <= count <= 65
    assert copies(load(frame, "y"), splits(load(frame, "y"), 5, 2, 0)) == 0
    whole = load(twice.assign(g=twice.index), "y", roles=Roles("g"))
    assert copies(whole, splits(whole, 5, 2, 0)) == 0
    other = load(twice.assign(y=RNG.normal(size=len(twice))), "y")
    assert copies(other, splits(other, 5, 2, 0)) == 0


def test_copies_among_sparse_rows() -> None:
    from scipy.sparse import csr_matrix, vstack

    x = csr_matrix(np.where(RNG.random((40, 6)) > 0.5, RNG.normal(size=(40, 6)), 0.0))
    data = Data("t", vstack([x, x]).tocsr(), np.r_[A[:40], A[:40]], "regression", "y", ())
    assert copies(data, splits(data, 5, 1, 0)) > 40


# -- labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Unnamed: 0", RNG.permutation(300)[:240]),
        ("Unnamed: 0", np.arange(12)),
        ("Unnamed: 0", np.r_[np.arange(100), np.arange(100)]),
        ("Unnamed: 0", RNG.permutation(np.arange(0, 600, 3))),
        ("Unnamed: 0.1", RNG.permutation(90)),
        ("__index_level_0__", RNG.permutation(90)),
        ("", np.arange(30)),
        ("row", RNG.permutation(90) + 1),
        ("x", RNG.permutation(300)[:240]),
        ("PassengerId", RNG.permutation(5000)[:60]),
        ("customer_id", RNG.permutation(5000)[:60]),
        ("ID", RNG.permutation(5000)[:60]),
    ],
)
def test_labels_of_rows(name: str, values: Any) -> None:
    assert row_label(name, values.astype(np.float64))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Unnamed: 0", RNG.normal(size=90)),
        ("Unnamed: 0", RNG.integers(0, 2, 90)),
        ("paid", RNG.permutation(5000)[:60]),
        ("price", np.arange(0, 9000, 100)),
        ("age", RNG.integers(0, 90, 300)),
        ("store_id", RNG.integers(0, 20, 300)),
        ("n", np.arange(15)),
    ],
)
def test_features_are_no_labels(name: str, values: Any) -> None:
    assert row_label(name, np.asarray(values, dtype=np.float64)) == ""


def test_an_index_that_was_written_along_is_left_out_and_said(tmp_path: Any) -> None:
    frame = pd.DataFrame({"a": A, "y": THIRD}).sample(frac=0.8, random_state=1)
    frame.to_csv(tmp_path / "t.csv")
    data = load(tmp_path / "t.csv", "y")
    assert [c.name for c in data.columns] == ["a"]
    assert any("'Unnamed: 0' is left out: it has no name" in n for n in data.notices)
    assert any("--column 'Unnamed: 0=number' keeps it" in n for n in data.notices)
