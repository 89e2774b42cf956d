from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import StudyError
from tunesmith.core.quantity import (
    are,
    count,
    seconds,
    show_bytes,
    show_number,
    show_seconds,
    size_bytes,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("90s", 90.0),
        ("500ms", 0.5),
        ("10m", 600.0),
        ("2h", 7200.0),
        ("1.5h", 5400.0),
        ("1h30m", 5400.0),
        ("1h 30m 10s", 5410.0),
        (" 2 H ", 7200.0),
        ("2d", 172800.0),
        ("1w", 604800.0),
        (90, 90.0),
        (0.25, 0.25),
    ],
)
def test_durations(text: Any, wanted: float) -> None:
    assert seconds(text, "time") == wanted


@pytest.mark.parametrize(
    ("value", "message"),
    [
        *[
            (text, f"time: {text!r} is no duration; write 90s")
            for text in ("", "h", "2", "1x", "-1h", "1h-30m", "1e3s", "1h,5m", "two hours")
        ],
        *[(number, "is not above 0") for number in (0, -1, math.nan, math.inf, "0s", "0h0m")],
        (True, "is not a duration"),
        (None, "is not a duration"),
        ([1], "is not a duration"),
    ],
)
def test_what_is_no_duration(value: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        seconds(value, "time")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("512MiB", 512 * 2**20),
        ("4GiB", 2**32),
        ("4GB", 4 * 10**9),
        ("4G", 2**32),
        ("1.5 k", 1536),
        ("1tb", 10**12),
        ("12", 12),
        ("12b", 12),
        (1.5, 2),
        (0.2, 1),
        (2**40, 2**40),
    ],
)
def test_sizes(text: Any, wanted: int) -> None:
    size = size_bytes(text, "memory")
    assert (size, type(size)) == (wanted, int)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        *[(text, f"memory: {text!r} is no size") for text in ("", "GB", "1PB", "-1B", "4 GiB x")],
        *[(number, "is not above 0") for number in (0, -3, math.nan, "0", "0GiB")],
        (True, "is not a size"),
        (None, "is not a size"),
        ({}, "is not a size"),
    ],
)
def test_what_is_no_size(value: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        size_bytes(value, "memory")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, "-"),
        (math.nan, "-"),
        (0.0123, "12 ms"),
        (1.24, "1.2 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.9, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_are_shown(value: float | None, wanted: str) -> None:
    assert show_seconds(value) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1536, "1.5 KiB"),
        (512 * 2**20, "512 MiB"),
        (1.5 * 2**30, "1.5 GiB"),
        (3 * 2**40, "3.0 TiB"),
    ],
)
def test_sizes_are_shown(value: float | None, wanted: str) -> None:
    assert show_bytes(value) == wanted


def test_numbers_are_shown() -> None:
    assert show_number(0.123456789) == "0.12346"
    assert show_number(12.0, 3) == "12"
    assert (show_number(None), show_number(math.nan)) == ("-", "-")


@given(st.integers(1, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_hours_minutes_and_seconds_add_up(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h{minutes}m{rest}s", "time") == hours * 3600 + minutes * 60 + rest


def test_nouns_agree_with_their_numbers() -> None:
    assert [count(n, "trial") for n in (0, 1, 2000)] == ["0 trials", "1 trial", "2,000 trials"]
    assert [count(n, "study") for n in (1, 2)] == ["1 study", "2 studies"]
    assert [are(n) for n in (0, 1, 2)] == ["are", "is", "are"]
