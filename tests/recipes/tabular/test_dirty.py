"""Tables that say something other than they seem to: nothing is lost without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunesmith.recipes.tabular import delimited
from tunesmith.recipes.tabular.data import load

ROWS = 60
A = np.random.default_rng(0).normal(size=ROWS).round(3)


def stored(path: Path, x: Any, y: Any = None) -> Path:
    frame = pd.DataFrame({"a": A, "x": x, "y": np.arange(ROWS) ** 1.3 if y is None else y})
    frame.to_csv(path / "t.csv", index=False)
    return path / "t.csv"


@pytest.mark.parametrize("large", [True, False])
def test_long_numbers_with_gaps_are_inexact_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        monkeypatch.setattr(delimited, "LARGE", 100)
    x = ["" if k % 9 == 0 else str(2**53 + 1 + k * 7919) for k in range(ROWS)]
    data = load(stored(tmp_path, x), "y")
    assert any("'x' has whole numbers of more than 15 digits" in n for n in data.notices)
    named = load(stored(tmp_path, x), "y", columns={"x": "category"})
    assert "9007199254748912" in named.columns[1].known


def test_names_that_differ_in_capitals_only_are_named(tmp_path: Path) -> None:
    words = ["yes", "No", "YES", "no"] * (ROWS // 4)
    data = load(stored(tmp_path, A, words), "y")
    assert "'y' has the classes 'No' and 'no'; if they are one, write them alike" in data.notices
    data = load(stored(tmp_path, words), "y")
    assert "'x' has 'No' and 'no', which count as different" in data.notices


@pytest.mark.parametrize("zero", [0x660, 0x6F0, 0x966, 0xFF10])
def test_digits_of_other_scripts_are_digits(tmp_path: Path, zero: int) -> None:
    values = [(k * 37) % 41 for k in range(ROWS)]
    x = ["".join(chr(zero + int(d)) for d in str(value)) for value in values]
    data = load(stored(tmp_path, x), "y")
    assert data.columns[1].kind == "number"
    assert data.x[:, 1].tolist() == values


@pytest.mark.parametrize("form", ["{0}-W{1:02d}", "{0}Q{2}", "Q{2} {0}"])
def test_weeks_and_quarters_are_left_out_for_what_they_are(tmp_path: Path, form: str) -> None:
    x = [form.format(1960 + k, 1 + k % 52, 1 + k % 4) for k in range(ROWS)]
    data = load(stored(tmp_path, x), "y")
    (notice,) = [n for n in data.notices if "'x' is left out" in n]
    assert "are not read as dates; write the day that each begins with" in notice


def test_a_table_without_a_header_loses_a_row_and_it_is_said(tmp_path: Path) -> None:
    body = "".join(f"{A[k]},{'uv'[k % 2]},{k * k % 17}\n" for k in range(ROWS))
    (tmp_path / "t.csv").write_text(body)
    (notice,) = [n for n in load(tmp_path / "t.csv", "0").notices if "first line" in n]
    assert "put a line of names above it" in notice
    (tmp_path / "t.csv").write_text("2019,2020,y\n" + body.replace("u", "3").replace("v", "4"))
    assert not any("first line" in n for n in load(tmp_path / "t.csv", "y").notices)
