from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular.columns import Column, examine, matrix, names, wishes

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
    column, _ = examined(series)
    assert column == Column("it", "number", missing=True)
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
    assert "identifier" in notices[0]


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


def test_a_text_has_no_place_in_the_matrix() -> None:
    column, _ = as_said([f"so good {k}" for k in range(ROWS)], "text")
    assert column == Column("it", "text")
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
        (["a", "b"], {"y": "number"}, "'y' is what is to be predicted; say what it is with --task"),
    ],
)  # fmt: skip
def test_what_a_column_cannot_be(values: list[Any], wish: dict[str, str], said: str) -> None:
    frame = pd.DataFrame({"it": repeated(*values), "other": OTHER, "y": OTHER})
    with pytest.raises(JobError, match=said):
        examine(frame, ("y",), wish)


def test_how_wishes_are_written() -> None:
    assert wishes(None) == {}
    assert wishes(["a=b=number", " zip =category"]) == {"a=b": "number", "zip": "category"}
    assert wishes({"zip": "category"}) == {"zip": "category"}
    for spec, said in (
        (["zip"], "write NAME=KIND"),
        (["zip=categry"], "did you mean 'category'"),
        (["zip=category", "zip=number"], "'zip' is said to be 'category' and 'number'"),
        ("zip=category", "columns is a dict"),
    ):
        with pytest.raises(JobError, match=said):
            wishes(spec)
