from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular.columns import UNKNOWN, Column, wishes
from tunesmith.recipes.tabular.data import load
from tunesmith.recipes.tabular.examine import examine
from tunesmith.recipes.tabular.habits import habits
from tunesmith.recipes.tabular.matrix import matrix, names, read_rows

ROWS = 40
rng = np.random.default_rng(0)
OTHER = rng.normal(size=ROWS)


def examined(values: Any, dtype: Any = None) -> tuple[Column | None, list[str]]:
    """What a column of these values is (None: left out), beside one that is always fine."""
    series = values if isinstance(values, pd.Series) else pd.Series(values, dtype=dtype)
    frame = pd.DataFrame({"it": series.reset_index(drop=True)})
    frame["other"] = np.resize(OTHER, len(frame))
    columns, notices = examine(frame, without=())
    return next((c for c in columns if c.name == "it"), None), notices


def as_matrix(values: Any, column: Column) -> Any:
    return matrix(pd.DataFrame({"it": values}), (column,))


def repeated(*values: Any) -> list[Any]:
    return [values[k % len(values)] for k in range(ROWS)]


# -- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    ["int8", "int64", "uint8", "float32", "float64", "Int64", "Float64", "int64[pyarrow]", "double[pyarrow]", "decimal128(5,2)[pyarrow]"],
)  # fmt: skip
def test_numbers(dtype: Any) -> None:
    values = pd.Series(repeated(3, 1, 4, 2))
    if dtype.startswith("decimal"):
        import pyarrow as pa

        series = values.map(Decimal).astype(pd.ArrowDtype(pa.decimal128(5, 2)))
    else:
        series = values.astype(dtype)
    column, notices = examined(series)
    assert column == Column("it", "number")
    assert notices == []
    np.testing.assert_array_equal(as_matrix(series, column)[:4, 0], [3, 1, 4, 2])


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("dtype", ["Int64", "Float64", "object", "int64[pyarrow]"])
def test_missing_numbers(missing: Any, dtype: str) -> None:
    if dtype == "int64[pyarrow]":
        missing = None
    series = pd.Series(repeated(3, missing, 1), dtype=dtype)
    column, _ = examined(series)
    assert column == Column("it", "number", missing=True)
    np.testing.assert_array_equal(as_matrix(series, column)[:3, 0], [3, np.nan, 1])


@pytest.mark.parametrize(
    "values", [repeated("3", " 1.5", "-2e3"), repeated(Decimal("1.5"), Decimal(2))]
)
def test_numbers_as_texts(values: list[Any]) -> None:
    column, notices = examined(values)
    assert column == Column("it", "number")
    assert notices == []
    np.testing.assert_array_equal(as_matrix(values, column)[:, 0], [float(v) for v in values])


def test_a_few_texts_among_numbers_count_as_missing_and_are_said() -> None:
    values = [str(v) for v in rng.integers(0, 99, 38)] + ["unknown", "n.k."]
    column, notices = examined(values)
    assert column == Column("it", "number", missing=True, odd=("n.k.", "unknown"))
    assert "2 values that are none, such as 'unknown'" in notices[0]
    assert np.isnan(as_matrix(values, column)[-2:, 0]).all()
    assert np.isnan(as_matrix([" unknown"], column)).all()
    with pytest.raises(JobError, match=r"'it' held numbers .* such as 'big'"):
        as_matrix(["unknown", "big"], column)


def test_numbers_mixed_with_many_texts_are_a_category() -> None:
    values: list[Any] = repeated(1, "a", 2.0, "b")
    column, notices = examined(values)
    assert column == Column("it", "category", ("1", "2", "a", "b"))
    assert "mixes numbers and texts" in notices[0]
    np.testing.assert_array_equal(as_matrix(values, column)[:4, 0], [0, 2, 1, 3])
    # a table that only has the numbers, with or without missing ones
    np.testing.assert_array_equal(as_matrix([2, 1], column)[:, 0], [1, 0])
    np.testing.assert_array_equal(as_matrix([2.0, np.nan], column)[:, 0], [1, np.nan])
    np.testing.assert_array_equal(
        as_matrix(np.array([2.0, 1.0], dtype=np.float32), column)[:, 0], [1, 0]
    )


def test_infinite_values_count_as_missing() -> None:
    values = repeated(1.0, np.inf, -np.inf, 2.0)
    column, notices = examined(values)
    assert column == Column("it", "number", missing=True)
    assert "20 infinite values" in notices[0]
    np.testing.assert_array_equal(as_matrix(values, column)[:4, 0], [1, np.nan, np.nan, 2])


@pytest.mark.parametrize("as_text", [False, True])
def test_huge_numbers_stay_within_what_algorithms_can_square(as_text: bool) -> None:
    values: list[Any] = repeated(1, 10**40, -(10**300), 2**70)
    column, _ = examined([str(v) for v in values] if as_text else values)
    assert column is not None
    assert column.kind == "number"
    found = as_matrix([str(v) for v in values] if as_text else values, column)[:4, 0]
    assert np.isfinite(found.astype(np.float32)).all()
    np.testing.assert_allclose(found, [1, 1e30, -1e30, 2.0**70])


@pytest.mark.parametrize(
    "values", [["5"] * ROWS, [5.0] * ROWS, ["x"] * ROWS, [True] * ROWS, ["2024-01-01"] * ROWS]
)
def test_constant_columns_are_left_out(values: list[Any]) -> None:
    column, notices = examined(values)
    assert column is None
    assert "in every row" in notices[0]


@pytest.mark.parametrize("value", [5.0, "5", "x"])
def test_what_is_either_there_or_missing_says_something(value: Any) -> None:
    values = repeated(value, None)
    column, _ = examined(values)
    assert column is not None
    assert column.missing
    assert np.isnan(as_matrix(values, column)[:, 0]).sum() == ROWS / 2


@pytest.mark.parametrize("values", [[None] * ROWS, [np.nan] * ROWS, [pd.NaT] * ROWS])
def test_columns_without_values_are_left_out(values: list[Any]) -> None:
    column, notices = examined(values)
    assert column is None
    assert "no values at all" in notices[0]


def test_only_infinite_values() -> None:
    column, notices = examined(repeated(np.inf, -np.inf))
    assert column is None
    assert "no finite values" in notices[0]


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(JobError, match="'it' holds complex numbers"):
        examined(repeated(1j, 2j))


@pytest.mark.parametrize("first", [0, 1, 17])
@pytest.mark.parametrize("kind", [int, float, str])
def test_what_counts_the_rows_is_left_out(first: int, kind: Any) -> None:
    column, notices = examined([kind(first + k) for k in range(ROWS)])
    assert column is None
    assert "counts the rows" in notices[0]


def test_durations() -> None:
    series = pd.Series(pd.to_timedelta(repeated(1, 2.5, None), unit="h"))
    column, notices = examined(series)
    assert column == Column("it", "number", missing=True, written="duration any")
    assert notices == ["'it' holds durations: they count in seconds"]
    np.testing.assert_array_equal(as_matrix(series, column)[:3, 0], [3600, 9000, np.nan])


# -- truth values -------------------------------------------------------------------------------

TRUTHS = [True, False, True, True]


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object", "bool[pyarrow]"])
@pytest.mark.parametrize("later", ["bool", "boolean", "object", "bool[pyarrow]", "str"])
def test_truth_values_are_the_same_with_and_without_missing_ones(dtype: str, later: str) -> None:
    column, _ = examined(pd.Series(TRUTHS * 10, dtype=dtype))
    assert column is not None
    before = as_matrix(pd.Series(TRUTHS, dtype=dtype), column)[:, 0]
    after = as_matrix(pd.Series(TRUTHS, dtype=later), column)[:, 0]
    np.testing.assert_array_equal(before, after)
    assert len(set(before)) == 2
    if later in ("boolean", "object"):
        gaps = as_matrix(pd.Series([True, None], dtype=later), column)[:, 0]
        np.testing.assert_array_equal(gaps, [before[0], np.nan])


# -- categories ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["object", "str", "string", "category", "string[pyarrow]"])
def test_categories(dtype: str) -> None:
    series = pd.Series(repeated("red", "blue", None, "green"), dtype=dtype)
    column, notices = examined(series)
    assert column == Column("it", "category", ("blue", "green", "red"), missing=True)
    assert notices == []
    np.testing.assert_array_equal(as_matrix(series, column)[:4, 0], [2, 0, np.nan, 1])


def test_categories_of_numbers() -> None:
    series = pd.Series(repeated(10, 2, 33), dtype="category")
    column, _ = examined(series)
    assert column is not None
    found = as_matrix(series, column)[:3, 0]
    np.testing.assert_array_equal(as_matrix([10, 2, 33], column)[:, 0], found)
    assert len(set(found)) == 3


def test_unseen_categories_are_missing_and_blanks_do_not_count() -> None:
    column = Column("it", "category", ("a", "b"))
    np.testing.assert_array_equal(as_matrix(["b ", "c", "a"], column)[:, 0], [1, np.nan, 0])
    assert np.isnan(as_matrix([None, None], column)).all()


def test_whole_numbers_among_the_categories_of_a_text_file_may_have_a_point() -> None:
    column = Column("it", "category", ("01", "1", "A1"))
    np.testing.assert_array_equal(as_matrix(["1.0", "1", "01"], column)[:, 0], [1, 1, 0])
    assert np.isnan(as_matrix(["1.5", "002.0", "001"], column)[:, 0]).all()


def test_identifiers_and_free_texts_are_left_out() -> None:
    column, notices = examined([f"customer {k}" for k in range(ROWS)])
    assert column is None
    assert "identifier" in notices[0]
    column, _ = examined([f"c{k % 31}" for k in range(31 * 4 - 1)])
    assert column is None
    column, _ = examined([f"country {k % 142}" for k in range(142 * 9)])
    assert column is not None  # 9 rows of each say a lot
    assert column.kind == "category"
    column, _ = examined([f"c{k % 30}" for k in range(500)])
    assert column is not None
    column, _ = examined([f"c{k % 31}" for k in range(1_000)])
    assert column is not None


def test_lists_are_left_out() -> None:
    column, notices = examined(repeated([1, 2], [3]))
    assert column is None
    assert "holds lists" in notices[0]


def test_nothing_left_says_why() -> None:
    frame = pd.DataFrame({"a": [1.0] * ROWS, "b": [None] * ROWS, "y": OTHER})
    with pytest.raises(JobError, match=r"no column is left .*'a' is left out.*'b' is left out"):
        examine(frame, without=("y",))
    with pytest.raises(JobError, match="there is only the target"):
        examine(frame[["y"]], without=("y",))


# -- dates --------------------------------------------------------------------------------------

DAYS = pd.date_range("2021-03-28", periods=ROWS, freq="53D")


@pytest.mark.parametrize(
    "written",
    [
        "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%Y/%m/%d", "%m/%d/%Y",
        "%m/%d/%Y %H:%M:%S", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%y", "%d.%m.%y",
        "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d %b %Y %H:%M",
    ],
)  # fmt: skip
def test_dates_in_texts(written: str) -> None:
    texts = DAYS.strftime(written)
    column, notices = examined(texts.to_series())
    assert column is not None
    assert column.kind == "date"
    assert column.parts == ("days", "year", "month", "day", "weekday")
    assert names((column,))[:2] == ["it.days", "it.year"]
    assert "holds dates" in notices[0]
    found = as_matrix(texts, column)
    wanted = [(DAYS - pd.Timestamp(0)).days, DAYS.year, DAYS.month, DAYS.day, DAYS.day_of_week]
    np.testing.assert_array_equal(found.T, wanted)
    np.testing.assert_array_equal(as_matrix(DAYS, column), found)  # a frame, later


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_dates_in_frames(unit: str, zone: str | None) -> None:
    series = pd.Series(DAYS.as_unit(unit).tz_localize(zone))  # type: ignore[arg-type]
    series[3] = None
    column, _ = examined(series)
    assert column is not None
    assert column.missing
    found = as_matrix(series, column)
    assert np.isnan(found[3]).all()
    there = ~np.isnan(found[:, 0])
    np.testing.assert_array_equal(found[there], as_matrix(series.astype(str)[there], column))


def test_dates_with_zones_in_texts_are_points_in_time() -> None:
    values = repeated(
        "2024-05-17T12:00:00+02:00", "2024-05-17T10:00:00Z", "2024-05-18 11:00:00+01:00"
    )
    column, _ = examined(values)
    assert column is not None
    assert column.kind == "date"
    found = as_matrix(values, column)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2, 0], found[0, 0] + 1)


@pytest.mark.parametrize("values", [[d.date() for d in DAYS], [d.to_pydatetime() for d in DAYS]])
def test_dates_as_objects(values: list[dt.date]) -> None:
    column, _ = examined(pd.Series(values, dtype=object))
    assert column is not None
    assert column.kind == "date"
    np.testing.assert_array_equal(as_matrix(values, column), as_matrix(DAYS, column))


def test_days_before_months_are_found_though_the_table_begins_with_early_days() -> None:
    """Sorted by day: the first 600 rows would do as months, too."""
    days = pd.date_range("2024-01-01", periods=50).repeat(60)
    column, _ = examined(days.strftime("%d/%m/%Y").to_series())
    assert column is not None
    assert column.written == "%d/%m/%Y"
    assert not column.missing


def test_dates_written_in_two_ways_are_no_dates() -> None:
    values = [*DAYS[:20].strftime("%Y-%m-%d"), *DAYS[20:].strftime("%d.%m.%Y")]
    column, notices = examined(values)
    assert column is None
    assert (
        "it looks like dates such as '2021-03-28', but no one format reads nearly all" in notices[0]
    )


def test_texts_that_only_look_like_dates_are_categories() -> None:
    column, _ = examined(repeated("10 pack 2000", "May 40, 2024", "12 gold 1999"))
    assert column is not None
    assert column.kind == "category"


def test_dates_out_of_the_calendar_are_missing() -> None:
    values = [*DAYS[:38].strftime("%Y-%m-%d"), "2024-02-30", "0000-00-00"]
    column, _ = examined(values)
    assert column is not None
    assert column.missing
    assert column.odd == ("0000-00-00", "2024-02-30")
    assert np.isnan(as_matrix(values, column)[-2:]).all()
    assert np.isnan(as_matrix(values[-1:], column)).all()


def test_days_that_are_no_texts_are_read_whatever_texts_were_written_like() -> None:
    column, _ = examined(pd.date_range("2024-01-25", periods=40).strftime("%d/%m/%Y"))
    assert column is not None
    assert column.written == "%d/%m/%Y"
    same = as_matrix(["05/02/2024", "06/02/2024"], column)
    days = [dt.date(2024, 2, 5), dt.date(2024, 2, 6)]
    np.testing.assert_array_equal(as_matrix(days, column), same)


def test_dates_written_otherwise_later_are_refused() -> None:
    column = Column("it", "date", written="%d.%m.%Y", parts=("days",))
    with pytest.raises(JobError, match=r"'it' held dates .* such as '2024-05-17'"):
        as_matrix(["2024-05-17", None], column)


# -- the matrix ---------------------------------------------------------------------------------


def test_missing_and_changed_columns() -> None:
    column = Column("size", "number")
    with pytest.raises(JobError, match=r"has no column 'size'.*did you mean 'sizes'"):
        matrix(pd.DataFrame({"sizes": [1]}), (column,))
    with pytest.raises(JobError, match=r"'size' \(and 1 more: kind\)"):
        matrix(pd.DataFrame({"a": [1]}), (column, Column("kind", "category", ("a",))))
    with pytest.raises(JobError, match=r"'size' held numbers .* values such as 'big'"):
        matrix(pd.DataFrame({"size": ["big", "small"]}), (column,))
    assert np.isnan(matrix(pd.DataFrame({"size": [None, None]}), (column,))).all()
    np.testing.assert_array_equal(
        matrix(pd.DataFrame({"size": ["3", "x"]}), (column,))[:, 0], [3, np.nan]
    )


def test_columns_are_kept_in_json() -> None:
    for column in (
        Column("a", "number", missing=True, odd=("n.k.", "unknown")),
        Column("b", "category", ("x", "y")),
        Column("c", "date", written="%d.%m.%Y", parts=("days", "year")),
    ):
        assert Column.from_dict(column.to_dict()) == column


# -- what a column is said to be ----------------------------------------------------------------


def as_said(values: list[Any], kind: str) -> tuple[Column | None, list[str]]:
    frame = pd.DataFrame({"it": values, "other": OTHER})
    columns, notices = examine(frame, (), {"it": kind})
    return next((c for c in columns if c.name == "it"), None), notices


def test_a_column_is_what_it_is_said_to_be() -> None:
    zips = repeated(10001, 90210, 60614)
    column, notices = as_said(zips, "category")
    assert (column, notices) == (Column("it", "category", ("10001", "60614", "90210")), [])
    column, _ = as_said([f"customer {k}" for k in range(ROWS)], "category")
    assert column is not None
    assert len(column.known) == ROWS
    column, notices = as_said(repeated("1", "2", "x"), "number")
    assert column == Column("it", "number", missing=True, odd=("x",))
    assert "13 values that are none, such as 'x'" in notices[0]
    column, _ = as_said(repeated("2024-05-17", "?", "2024-06-01"), "date")
    assert column is not None
    assert (column.kind, column.missing) == ("date", True)
    column, notices = as_said(zips, "ignore")
    assert (column, notices) == (None, ["'it' is left out, as you said"])


def test_a_text_of_an_earlier_version_has_no_place_in_the_matrix() -> None:
    column = Column("it", "text")
    assert Column.from_dict(column.to_dict()) == column
    frame = pd.DataFrame({"it": ["a", "b"], "other": [1.0, 2.0]})
    assert matrix(frame, (column, Column("other", "number"))).tolist() == [[1.0], [2.0]]
    assert names((column, Column("other", "number"))) == ["other"]


@pytest.mark.parametrize(
    ("values", "wish", "said"),
    [
        (["a", "b"], {"it": "number"}, "'it' is said to be a number, and it holds values such as 'a'"),
        (["a", "b"], {"it": "date"}, "'it' is said to be a date, and it holds values such as 'a'"),
        (["a", "b"], {"its": "number"}, "no column 'its' that could be 'number'; did you mean 'it'"),
    ],
)  # fmt: skip
def test_what_a_column_cannot_be(values: list[Any], wish: dict[str, str], said: str) -> None:
    frame = pd.DataFrame({"it": repeated(*values), "other": OTHER, "y": OTHER})
    with pytest.raises(JobError, match=said):
        examine(frame, ("y",), wish)


def test_how_wishes_are_written() -> None:
    assert wishes(None) == {}
    assert wishes(["a=b=number", " zip =category"]) == {"a=b": "number", "zip": "category"}
    assert wishes(["t=number:m:ss", "d=date:%d/%m"]) == {"t": "number:m:ss", "d": "date:%d/%m"}
    assert wishes({"zip": "category"}) == {"zip": "category"}
    for spec, said in (
        (["zip"], "write NAME=KIND"),
        (["a=number:day-first"], "write number:decimal-point, number:decimal-comma, number:h:mm"),
        (["a=date:days-first"], "or date:%d/%m/%Y with a format of your own"),
        (["zip=categry"], "did you mean 'category'"),
        (["zip=category", "zip=number"], "'zip' is said to be 'category' and 'number'"),
        ("zip=category", "columns is a dict"),
    ):
        with pytest.raises(JobError, match=said):
            wishes(spec)


# -- as people write them -----------------------------------------------------------------------

AMOUNTS = np.exp(rng.normal(7, 2, ROWS)).round(2)


def european(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


@pytest.mark.parametrize(
    ("write", "written"),
    [
        (lambda v: f"{v:,.2f}", "1,234.5"),
        (lambda v: f"${v:,.2f}", "1,234.5 $"),
        (lambda v: f"USD {v:.2f}", "1234.5 USD"),
        (lambda v: f"{v:.2f} €", "1234.5 €"),
        (lambda v: f"{v:.2f}%", "1234.5 %"),
        (lambda v: f"{v:.2f} kg", "1234.5 kg"),
        (lambda v: f"{v:.2f}".replace(".", ","), "1234,5"),
        (european, "1.234,5"),
        (lambda v: european(v).replace(".", "\u202f"), "1 234,5"),
        (lambda v: european(v).replace(".", "\u00a0") + "\u00a0%", "1 234,5 %"),
        (lambda v: f"{v:,.2f}".replace(",", "'"), "1'234.5"),
        (lambda v: f"{v:,.2f}".replace(",", "\u2019"), "1'234.5"),
    ],
)
def test_numbers_as_people_write_them(write: Any, written: str) -> None:
    values = [write(v) for v in AMOUNTS]
    column, notices = examined(values)
    assert column == Column("it", "number", written=written)
    assert notices == [f"'it' holds numbers that are written as {written}"]
    np.testing.assert_allclose(as_matrix(values, column)[:, 0], AMOUNTS)
    assert Column.from_dict(column.to_dict()) == column


@pytest.mark.parametrize(
    "write",
    [lambda v: f"\u2212{v}", lambda v: f"-{v}", lambda v: f"({v})", lambda v: f"{v}-", lambda v: f"- {v}"],
)  # fmt: skip
def test_minus_signs(write: Any) -> None:
    values = [write(v) if k % 2 else str(v) for k, v in enumerate(AMOUNTS)]
    column, notices = examined(values)
    assert column == Column("it", "number")
    assert notices == []
    np.testing.assert_allclose(as_matrix(values, column)[:, 0], AMOUNTS * np.resize([1, -1], ROWS))


def test_thousands_and_millions_with_a_letter() -> None:
    values = repeated("$1.5M", "200k", "$3B", "12")
    column, notices = examined(values)
    assert column == Column("it", "number", written="1234.5kMB $")
    np.testing.assert_allclose(as_matrix(values, column)[:4, 0], [1.5e6, 2e5, 3e9, 12])
    assert "20 numbers without $" in notices[1]


@pytest.mark.parametrize(
    ("values", "separator", "read", "said"),
    [
        (["1,234", "12,500", "999"], ",", 1234, "1,234 is read as 1234; if it is 1.234"),
        (["1,234", "12,500", "9,999"], ";", 1.234, "1,234 is read as 1.234; if it is 1234"),
        (["1.234", "12.500", "999"], ";", 1234, "1.234 is read as 1234; if it is 1.234"),
        (["1.234", "12.500", "9.999"], ";", 1.234, "1.234 is read as 1.234; if it is 1234"),
        (["1.234", "12.500", "9.999"], ",", 1.234, ""),
        (["1.234", "1.234.567", "999"], ",", 1234, ""),
        (["1,234", "12,500", "0,5"], ",", 1.234, ""),
        (["1,234e+03", "5,678e-02", "9,999E4"], ",", 1234, ""),
        (["1.234e+03", "5.678e-02", "9.999E4"], ";", 1234, ""),
        (["12,500", "1,234e-03", "9,999"], ",", 12.5, ""),
    ],
)
def test_one_mark_that_may_part_thousands_or_decimals(
    values: list[str], separator: str, read: float, said: str
) -> None:
    frame = pd.DataFrame({"it": repeated(*values)})
    (column,), notices = examine(frame, (), {}, habits(frame, separator))
    assert as_matrix(values, column)[0, 0] == read
    doubts = [notice for notice in notices if " is read as " in notice]
    assert len(doubts) == bool(said)
    if said:
        assert said in doubts[0]
        wish = doubts[0].split("--column it=")[1]
        (column,), notices = examine(frame, (), {"it": wish}, habits(frame, separator))
        assert as_matrix(values, column)[0, 0] == pytest.approx(1234 + 1.234 - read)
        assert not any(" is read as " in notice for notice in notices)


def test_other_columns_tell_which_mark_is_the_decimal_one() -> None:
    frame = pd.DataFrame({"it": repeated("1.234", "12.500", "999"), "b": repeated("3,14", "2,7")})
    (column, _), notices = examine(frame, (), {}, habits(frame, ","))
    assert as_matrix(["1.234"], column)[0, 0] == 1234
    assert any("1.234 is read as 1234" in notice for notice in notices)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([f"{k},234.5" for k in range(1, 21)] + [f"{k}.234,5" for k in range(1, 21)],
         "no one format reads nearly all: '1,234.5' and '1.234,5' differ"),
        ([f"${k}.5" for k in range(20)] + [f"€{k}.5" for k in range(20)],
         "it has numbers in '$' and in '€', and those do not compare"),
        ([f"{k}.5%" for k in range(20)] + [f"0.{k + 10}" for k in range(20)],
         "and those do not compare"),
        ([f"{k}.5 kg" for k in range(20)] + [f"{k}00.5 g" for k in range(20)],
         "it has numbers in 'kg' and in 'g', and those do not compare"),
        ([f"13/0{1 + k % 9}/20{10 + k}" for k in range(20)] + [f"0{1 + k % 9}/13/20{10 + k}" for k in range(20)],
         "it looks like dates such as '13/01/2010', but no one format reads nearly all"),
        ([f"0{k}234567" for k in range(10, 50)],
         "its whole numbers with leading zeros are names, and 40 different ones in 40 rows are too many"),
        ([f"customer {k}" for k in range(ROWS)],
         "40 different texts in 40 rows are an identifier, or free text (--column it=text or =category learns"),
        ([f"{k}/{k + 7}" for k in range(ROWS)],
         "fractions such as '0/7' are not read as numbers; write 3/4 as 0.75 (--column it=category takes them"),
        ([f"{k}-{k + 10}" for k in range(ROWS)], "ranges such as '0-10' are not read as numbers; write both ends"),
        ([f"{k}\u2013{k + 10}" for k in range(ROWS)], "ranges such as '0\u201310' are not"),
        ([f"{900 - k}-{1 + k}" for k in range(ROWS)], "40 different texts in 40 rows are an identifier"),
        ([hex(k + 99) for k in range(ROWS)], "numbers to base 16 such as '0x63' are not read"),
        ([f"<{k / 7:.3f}" for k in range(ROWS)], "bounds such as '<0.000' are not read as numbers; write"),
        ([f"{k}x{k + 7}" for k in range(ROWS)], "sizes such as '0x7' are not read as numbers; write each"),
        ([f"{k / 7:.2f}\u00b10.1" for k in range(ROWS)], "numbers with their uncertainty such as"),
    ],
)  # fmt: skip
def test_the_reason_why_a_column_is_left_out_is_true(values: list[str], why: str) -> None:
    column, notices = examined(values)
    assert column is None
    assert why in notices[0]


def test_thousands_are_no_decimals_where_products_are_not_exact(tmp_path: Path) -> None:
    """1000 * 4.035 is 4034.9999999999995."""
    lines = "".join(f"4.{k:03};{k},5;{k % 7},25\n" for k in range(30, 70))
    (tmp_path / "t.csv").write_text("n;b;y\n999;1,5;2,5\n" + lines)
    data = load(tmp_path / "t.csv", "y")
    assert data.x[0, 0] == 999
    assert data.x[1, 0] == 4030


def test_dashes_in_empty_cells_and_truths_with_gaps() -> None:
    values = ["-" if k % 5 == 0 else f"{v:,.2f}" for k, v in enumerate(AMOUNTS)]
    column, notices = examined(values)
    assert column == Column("it", "number", missing=True, odd=("-",), written="1,234.5")
    assert "8 values that are none, such as '-', count as missing" in notices[-1]
    column, notices = examined(repeated(True, False, None))
    assert (column, notices) == (Column("it", "number", missing=True), [])
    values = ["much" if k % 4 == 0 else f"{v}" for k, v in enumerate(AMOUNTS)]
    _, notices = examined(values)
    assert "75% of its values are numbers, and others, such as 'much', are none" in notices[0]


def test_days_in_one_number_can_be_said_to_be_dates() -> None:
    column, _ = as_said([20240101 + k % 28 for k in range(ROWS)], "date")
    assert column is not None
    assert column.written == "%Y%m%d"
    assert as_matrix([20240102], column)[0, 0] == 19724


def test_the_few_that_are_written_otherwise_are_named() -> None:
    values = [f"{v:,.2f}" for v in AMOUNTS[:38]] + ["1.234,50", "12.000,00"]
    column, notices = examined(values)
    assert column is not None
    assert column.missing
    assert "2 values that are none, such as '1.234,50', count as missing" in notices[-1]


@pytest.mark.parametrize("codes", [["01234", "90210", "00501"], ["007", "12", "5"], ["00", "01", "02"], ["01234", "90210", "K1A 0B1", "1234-567"]])  # fmt: skip
def test_whole_numbers_with_leading_zeros_are_categories(codes: list[str]) -> None:
    column, notices = examined(repeated(*codes))
    assert column == Column("it", "category", tuple(sorted(codes)))
    assert "leading zeros" in notices[0]
    column, _ = as_said(repeated(*codes), "number")
    assert column is not None
    assert column.kind == "number"


def test_a_declared_category_stays_one() -> None:
    series = pd.Series(pd.Categorical([f"c{k % 35}" for k in range(ROWS)]))
    column, _ = examined(series)
    assert column is not None
    assert column.kind == "category"
    sizes = pd.Categorical(repeated("small", "large"), ["small", "middle", "large"], ordered=True)
    column, _ = examined(pd.Series(sizes))
    assert column == Column("it", "category", ("small", "large"))


@pytest.mark.parametrize(
    ("values", "seconds", "said"),
    [
        (["1:02:03", "59:59", "0:30"], [3723, 3599, 30], ""),
        (["09:15", "14:30", "23:59"], [33300, 52200, 86340], "hours and minutes; if it is minutes and"),
        (["4:35", "5:10", "4:59"], [16500, 18600, 17940], "hours and minutes; if it is minutes and"),
        (["45:30", "5:10", "50:00"], [2730, 310, 3000], "minutes and seconds; if it is hours and"),
        (["1h 30m", "45m", "2 hours"], [5400, 2700, 7200], ""),
        (["PT1H30M", "PT5M", "P1DT1S"], [5400, 300, 86401], ""),
        (["0 days 01:30:00", "1 days 00:00:00", "-1 days +23:00:00"], [5400, 86400, -3600], ""),
        (["03:30 PM", "12:05 AM", "11:00 am"], [55800, 300, 39600], ""),
        (["00:00:01.5", "00:01:00", "10:00:00"], [1.5, 60, 36000], ""),
    ],
)  # fmt: skip
def test_durations_and_times_of_day(values: list[str], seconds: list[float], said: str) -> None:
    column, notices = examined(repeated(*values))
    assert column is not None
    assert column.written.startswith("duration")
    np.testing.assert_allclose(as_matrix(values, column)[:, 0], seconds)
    assert "they count in seconds" in notices[0]
    assert len(notices) == 1 + bool(said)
    assert said in notices[-1]


@pytest.mark.parametrize("kind", ["date32", "duration", "time64", "timestamp"])
def test_types_of_arrow(kind: str) -> None:
    import pyarrow as pa

    stamps = DAYS + pd.Timedelta("7h")
    values: Any = {"date32": stamps.date, "time64": (stamps + (DAYS - DAYS[0]) / 9).time,
                   "duration": DAYS - DAYS[0], "timestamp": stamps}[kind]  # fmt: skip
    unit = [] if kind == "date32" else ["us"]
    series = pd.Series(values).astype(pd.ArrowDtype(getattr(pa, kind)(*unit)))
    column, _ = examined(series)
    assert column is not None
    assert column.kind == ("date" if kind in ("date32", "timestamp") else "number")
    assert np.isfinite(as_matrix(series, column)).all()


def test_how_two_parts_of_a_duration_are_meant_can_be_said() -> None:
    column, notices = as_said(repeated("4:35", "5:10"), "number:m:ss")
    assert column is not None
    np.testing.assert_allclose(as_matrix(["4:35"], column), [[275]])
    assert len(notices) == 1


def test_numbers_too_long_for_doubles_are_said() -> None:
    ids = [10**17 + k * 1000 for k in range(ROWS)]
    for values in (ids, [str(k) for k in ids]):
        _, notices = examined(values)
        assert any("count only nearly" in notice for notice in notices)


# -- dates as people write them -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("05/17/2024 03:30 PM", 19860 + 15.5 / 24), ("5/17/2024 3:30pm", 19860 + 15.5 / 24),
        ("05/17/2024 12:05:30 AM", 19860 + 330 / 86400), ("2024-05-17 03:30 PM", 19860 + 15.5 / 24),
        ("2024-05-17T10:00:00.250Z", 19860 + 36000.25 / 86400), ("2024-05-17 12:00 UTC", 19860.5),
        ("17.05.2024 14:30", 19860 + 14.5 / 24), ("Fri, 17 May 2024 10:00:00 GMT", 19860 + 10 / 24),
        ("Friday, May 17th, 2024", 19860), ("17. Mai 2024", 19860), ("17 mai 2024", 19860),
        ("17 de mayo de 2024", 19860), ("May 2024", 19844), ("2024-05", 19844), ("05/2024", 19844),
        ("2024-05-17 12:00 Europe/Berlin", 19860 + 10 / 24), ("2024-05-17 12:00 EDT", 19860 + 16 / 24),
        ("Fri May 17 12:00:00 2024", 19860.5), ("Fri May 17 12:00:00 +0200 2024", 19860 + 10 / 24),
        ("Fri May 17 12:00:00 PDT 2024", 19860 + 19 / 24), ("2024年05月17日", 19860), ("2024年5月17日 12:00", 19860.5),
        ("2024년 5월 17일", 19860),
        ("2024-05-17 12:00+0530", 19860 + 6.5 / 24), ("17/05/2024, 14:30", 19860 + 14.5 / 24),
    ],
)  # fmt: skip
def test_dates_as_people_write_them(text: str, days: float) -> None:
    other = text.replace("2024", "2023")
    column, _ = examined(
        repeated(text, other.replace("Friday", "Wednesday").replace("Fri,", "Wed,"))
    )
    assert column is not None
    assert column.kind == "date"
    assert column.parts[0] == "days"
    assert as_matrix([text], column)[0, 0] == pytest.approx(days, abs=1e-9)


TIE = ["01/02/2024", "03/04/2024", "05/06/2023"]


def test_an_order_of_day_and_month_that_cannot_be_told_is_said_and_can_be_set() -> None:
    frame = pd.DataFrame({"it": repeated(*TIE)})
    (column,), notices = examine(frame, ())
    assert column.written == "%m/%d/%Y"
    assert "cannot be told; taken with the month first (--dates day-first, or" in notices[1]
    (column,), notices = examine(frame, (), {}, habits(frame, ",", "day-first"))
    assert (column.written, len(notices)) == ("%d/%m/%Y", 1)
    (column,), notices = examine(frame, (), {"it": "date:day-first"})
    assert (column.written, len(notices)) == ("%d/%m/%Y", 1)
    (column,), notices = examine(frame, (), {"it": "date:%d/%m/%Y"})
    assert (column.written, len(notices)) == ("%d/%m/%Y", 1)
    frame["other"] = repeated("13/02/2024", "14/03/2024")
    (column, _), notices = examine(frame, (), {}, habits(frame))
    assert column.written == "%d/%m/%Y"
    assert any("the day first, as in other columns" in notice for notice in notices)
    # what the column itself tells is not overruled
    (column,), notices = examine(frame[["other"]], (), {}, habits(frame, ",", "month-first"))
    assert (column.written, len(notices)) == ("%d/%m/%Y", 1)


def test_unread_dates_and_doubtful_years_and_times_are_said() -> None:
    values = ["17/05/24"] * 20 + ["18/06/23"] * 18 + ["05/17/24", "soon"]
    column, notices = examined(values)
    assert column is not None
    assert (
        "'17/05/24' is taken as 2024-05-17; if it is 2017-05-24, say so: --column it=date:%y/%m/%d"
        in notices[1]
    )
    assert (
        "2 values that are no dates as 31/12/24 is one, such as '05/17/24', count as missing"
        in notices[2]
    )
    assert "years of two digits" in notices[3]
    values = repeated("2024-05-17 10:00", "2024-05-18", "2024-05-19 11:00")
    _, notices = examined(values)
    assert "13 dates have no time of day, and count as midnight" in notices[-1]
    values = repeated("2024-05-17T10:00:00Z", "2024-05-18T11:00:00")
    _, notices = examined(values)
    assert "times with a zone, which count in UTC; 20 have none, and count as UTC" in notices[-1]


# -- new rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trained", "new", "said"),
    [
        (["1500", "2"], "1,500", "1 value of 'it' cannot be read as a number such as 1234.5: '1,500' in row 2"),
        (["1500", "2"], "$1500", "'$1500' in row 2"),
        (["1500", "2"], "1500%", "'1500%' in row 2"),
        (["1,500.5", "2.0"], "1.500,5", "such as 1,234.5: '1.500,5' in row 2"),
        (["3,14", "2,7"], "3.14", "such as 1234,5: '3.14' in row 2"),
        (["45.5%", "2%"], "0.455", "such as 1234.5 %: '0.455' in row 2"),
        (["$45", "$2.5"], "€45", "'€45' in row 2"),
        (["1:30:00", "2:00:00"], "90", "such as 1:30:00: '90' in row 2"),
        (["1:30:00", "2:00:00"], "1:30", "'1:30' in row 2"),
        (["05/17/2024", "06/18/2024"], "18/06/2024", "a date such as 12/31/2024: '18/06/2024' in row 2"),
        (["2024-05-17", "2024-06-18"], "17.05.2024", "a date such as 2024-12-31: '17.05.2024' in row 2"),
        (["2024-05-17T10:00:00Z", "2024-06-18T09:00:00Z"], "2024-06-18T09:00:00", "which has no time zone, unlike"),
        (["2024-05-17T10:00:00", "2024-06-18T09:00:00"], "2024-06-18T09:00:00Z", "which has a time zone, unlike"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_as_in_training_is_named(
    trained: list[str], new: str, said: str
) -> None:
    column, _ = examined(repeated(*trained))
    assert column is not None
    rows = read_rows(pd.DataFrame({"it": [trained[0], new, None]}), (column,))
    (unread,) = rows.unread
    assert said in str(unread)
    assert (unread.count, unread.row) == (1, 1)
    assert np.isnan(rows.x[1:]).all()
    assert np.isfinite(rows.x[0]).all()


def test_marks_of_new_rows_that_their_file_makes_doubtful_are_said() -> None:
    plain, comma = Column("it", "number"), Column("it", "number", written="1234,5")
    frame = pd.DataFrame({"it": ["1.500", "999"]})
    rows = read_rows(frame, (plain,), "t", ";")
    assert rows.notices == ("'it': 1.500 is read as 1.5, as numbers were written in training",)
    assert read_rows(frame, (plain,), "t", ",").notices == ()
    assert read_rows(pd.DataFrame({"it": ["1.500", "0.5"]}), (plain,), "t", ";").notices == ()
    frame = pd.DataFrame({"it": ["1,500", "999"]})
    assert len(read_rows(frame, (comma,), "t", ",").notices) == 1
    assert read_rows(frame, (comma,), "t", ";").notices == ()


def test_what_training_counted_as_missing_may_come_again() -> None:
    column, _ = examined([str(v) for v in AMOUNTS[:39]] + ["n.k."])
    assert column is not None
    rows = read_rows(pd.DataFrame({"it": ["1", "n.k."]}), (column,))
    assert (rows.unread, rows.notices) == ((), ())


def test_unknown_categories_and_infinite_numbers_are_said() -> None:
    columns = (Column("kind", "category", ("a", "b")), Column("n", "number"))
    rows = read_rows(pd.DataFrame({"kind": ["a", "c", "d"], "n": [1, np.inf, 2]}), columns)
    assert rows.unread == ()
    assert rows.notices == (
        "2 values of 'kind' were not there in training, and count as unknown, such as 'c' in row 2",
        "1 value of 'n' is infinite, and counts as missing",
    )


def test_columns_of_earlier_models_are_read_as_their_rows_are_written() -> None:
    column = Column("it", "number", written=UNKNOWN)
    frame = pd.DataFrame({"it": ["3,14", "2,718"]})
    np.testing.assert_allclose(read_rows(frame, (column,), "t", ";").x[:, 0], [3.14, 2.718])
    series = pd.Series(pd.to_timedelta([1, 2], unit="s"))
    assert read_rows(pd.DataFrame({"it": series}), (column,)).x[:, 0].tolist() == [1, 2]
    dated = Column("it", "date", written="%d/%m/%Y %H:%M", parts=("days",))
    assert as_matrix(["17/05/2024 12:00"], dated).tolist() == [[19860.5]]


@pytest.mark.parametrize("zero", [0x0660, 0x0966, 0x09E6, 0x0E50, 0xFF10])
def test_digits_of_other_scripts_are_digits(zero: int) -> None:
    digits = {ord(str(k)): chr(zero + k) for k in range(10)}
    column, _ = examined([str(k * 7 + 1000).translate(digits) for k in range(ROWS)])
    assert column is not None
    assert column.kind == "number"
    assert as_matrix(["1234".translate(digits)], column)[0, 0] == 1234
