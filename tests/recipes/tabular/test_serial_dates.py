"""Dates that are written as numbers, and sheets of a workbook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.recipes.tabular.test_files import sheet

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular.data import load
from tunesmith.recipes.tabular.files import Known, read
from tunesmith.recipes.tabular.matrix import read_rows
from tunesmith.recipes.tabular.roles import Roles

DAYS = pd.date_range("2023-03-01 06:00", periods=60, freq="31h")
SERIAL: dict[str, Any] = {
    "excel": (DAYS - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1),
    "unix": (DAYS - pd.Timestamp("1970-01-01")) // pd.Timedelta(seconds=1),
    "unix-ms": (DAYS - pd.Timestamp("1970-01-01")) // pd.Timedelta(milliseconds=1),
}


def frame(**columns: Any) -> Any:
    return pd.DataFrame(columns | {"y": np.arange(60.0) ** 1.5})


@pytest.mark.parametrize("way", SERIAL)
@pytest.mark.parametrize("stored", [True, False])
def test_numbers_are_dates_if_that_is_said(tmp_path: Path, way: str, stored: bool) -> None:
    table = frame(sold=SERIAL[way])
    table.to_csv(tmp_path / "t.csv", index=False)
    table = tmp_path / "t.csv" if stored else table
    data = load(table, "y", columns={"sold": f"date:{way}"})
    truth = load(frame(sold=DAYS), "y")
    np.testing.assert_allclose(data.x, truth.x, atol=1e-4)
    assert [c.kind for c in data.columns] == ["date"]
    new = read_rows(pd.DataFrame({"sold": SERIAL[way][:2]}), data.columns)
    np.testing.assert_allclose(new.x, truth.x[:2], atol=1e-4)
    assert not new.unread
    (problem,) = read_rows(pd.DataFrame({"sold": ["yesterday"]}), data.columns).unread
    assert "cannot be read as a date such as" in str(problem)


@pytest.mark.parametrize("way", SERIAL)
def test_numbers_that_may_be_dates_are_numbers_and_it_is_said(way: str) -> None:
    data = load(frame(order_date=SERIAL[way], a=np.arange(60.0) % 7), "y")
    assert data.columns[0].kind == "number"
    (notice,) = [n for n in data.notices if "order_date" in n]
    assert "is 2023-03-01" in notice
    assert f"order_date=date:{way}" in notice
    assert not any("price" in n for n in load(frame(price=SERIAL[way]), "y").notices)


def test_a_date_column_of_numbers_wants_to_know_what_they_count() -> None:
    with pytest.raises(JobError, match=r"date:excel'?, date:unix or date:unix-ms"):
        load(frame(sold=SERIAL["excel"]), "y", columns={"sold": "date"})


def test_one_date_with_gaps_is_kept_as_one_number_with_gaps_is() -> None:
    when = [pd.Timestamp("2024-05-17") if k % 3 else None for k in range(60)]
    data = load(frame(when=when, a=np.arange(60.0) % 7), "y")
    assert [c.name for c in data.columns] == ["when", "a"]
    assert data.columns[0].parts == ("days",)
    assert data.columns[0].missing
    full = load(frame(when=[when[1]] * 60, a=np.arange(60.0) % 7), "y")
    assert "'when' is left out: it is the same date in every row" in full.notices


def test_what_was_not_said_is_not_said_to_be() -> None:
    assert load(frame(a=SERIAL["unix"]), "y", quantile=0.9).why == "as a quantile is of numbers"
    assert load(frame(a=SERIAL["unix"]), "y", "regression", quantile=0.9).why == "as you said"
    classes = frame(a=SERIAL["unix"]).assign(y=np.arange(60) % 2)
    assert load(classes, "y", costs="1=5").why == "as costs are of classes"
    assert load(classes, "y", "binary", costs="1=5").why == "as you said"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    pytest.importorskip("python_calamine")
    years: dict[str, list[list[Any]]] = {
        f"y{year}": [["a", "b", "y"], *([start + k, k % 3, k * 1.5] for k in range(12))]
        for year, start in ((2023, 0), (2024, 100))
    }
    return sheet(tmp_path / "book.xlsx", notes=[], **years)


def test_a_sheet_is_named_or_the_first_is_said(book: Path) -> None:
    first = read(book)
    assert first.frame["a"].tolist() == list(range(12))
    assert first.notices == (
        "the sheet 'y2023' is read, which is one of 3 (notes, y2023, y2024); --sheet NAME reads another",
    )
    other = read(book, Known(sheet="y2024"))
    assert other.frame["a"].tolist() == list(range(100, 112))
    assert other.notices == ()
    assert load(book, "y", sheet="y2024").rows == 12
    with pytest.raises(JobError, match=r"has no sheet 'y2025'.*it has 'notes', 'y2023', 'y2024'"):
        read(book, Known(sheet="y2025"))
    with pytest.raises(JobError, match="the sheet 'notes' is empty"):
        read(book, Known(sheet="notes"))
    with pytest.raises(JobError, match="leave --sheet out"):
        read(pd.DataFrame({"a": [1]}), Known(sheet="x"))


def test_numbers_that_are_dates_put_rows_in_order() -> None:
    table = frame(sold=SERIAL["unix"][::-1])
    data = load(table, "y", columns={"sold": "date:unix"}, roles=Roles(time="sold"))
    assert data.bonds.time is not None
    assert (np.diff(data.bonds.time) < 0).all()
