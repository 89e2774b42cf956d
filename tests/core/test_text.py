"""Data from outside costs little, however it is made, and messages stay readable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import text
from tunesmith.core.errors import SHOWN, TextError, shorten, shown, without_passwords
from tunesmith.core.text import check_bounds, read_json, read_yaml


def contains_itself() -> Any:
    data: list[Any] = [1]
    data.append(data)
    return data


def deep(levels: int) -> Any:
    data: Any = 1
    for _ in range(levels):
        data = [data]
    return data


def multiplied() -> Any:
    """Ten lists, each of ten times the one before: 10^10 values where they are written out."""
    data: Any = 1
    for _ in range(10):
        data = [data] * 10
    return data


HOSTILE = [contains_itself, lambda: deep(100_000), multiplied]


@pytest.mark.parametrize("make", HOSTILE)
def test_data_that_is_not_meant_well(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MOST", 10_000)
    value = make()
    for build in (
        lambda: ts.Choice(value, 2),
        lambda: ts.Choice(2, default=value),
        lambda: ts.Space(x={"choice": [value, 2]}),
        lambda: ts.Space(x={"choice": value}),
        lambda: ts.Space(x={"float": value}),
        lambda: ts.Space(x={"float": [0, 1], "when": {"y": value}}),
        lambda: ts.Space(x={"value": value}),
        lambda: ts.Space(x=value),
        lambda: ts.Space.from_dict({"x": {"int": [0, value]}}),
    ):
        with pytest.raises(ts.SpaceError) as refused:
            build()
        assert len(str(refused.value)) < 1500
    space = ts.Space(c=ts.Choice(1, [2]), x=ts.Float(0, 1), k=ts.Int(0, 3), e=7)
    for name in ("c", "x", "k", "e"):
        assert space.contains({**space.default(), name: value}).problems
        with pytest.raises(ts.ConfigError) as unfit:
            space.clean({**space.default(), name: value})
        assert len(str(unfit.value)) < 1500


def test_sizes_that_people_use_are_within_bounds() -> None:
    check_bounds({"a": [[[k] for k in range(100)] for _ in range(1000)]})
    check_bounds(deep(99))
    with pytest.raises(ts.SpaceError, match="inside one another"):
        check_bounds(deep(101))
    assert read_yaml("{a: &x [1, 2], b: *x, c: [*x, *x]}") == {
        "a": [1, 2], "b": [1, 2], "c": [[1, 2], [1, 2]],
    }  # fmt: skip


@pytest.mark.parametrize(
    "number",
    [10**400, -(10**5000), np.float64("inf"), float("nan")],
    ids=["400 digits", "5000 digits", "infinity", "nan"],
)
def test_numbers_beyond_all_doubles(number: Any) -> None:
    for build in (
        lambda: ts.Float(0, number),
        lambda: ts.Int(0, number),
        lambda: ts.Choice(1, number),
        lambda: ts.Space(x=number),
    ):
        with pytest.raises(ts.SpaceError):
            build()
    for parameter in (ts.Float(0, 1), ts.Int(0, 1), ts.Choice(0, 1)):
        assert parameter.problem(number)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("[" * 100_000, "inside one another"),
        ("9" * 5_000, "this is no JSON"),
        ("{,}", "this is no JSON"),
        ("", "this is no JSON"),
    ],
)
def test_json_that_cannot_be_read(written: str, words: str) -> None:
    with pytest.raises(TextError, match=words):
        read_json(written)


def test_what_a_message_repeats_is_short() -> None:
    assert shorten("abc") == "abc"
    assert len(shorten("x" * 10**6)) == SHOWN
    assert shorten("a" * 300 + "end").endswith("end")
    assert shown("it's") == '"it\'s"'
    assert shown(10**9) == "1000000000"
    assert shown(10**9000) == "a number of 29898 bits"
    assert shown(deep(100_000)) == "[[[[...]]]]"
    assert shown([1, "a", {"b": (2, None)}]) == "[1, 'a', {'b': (2, None)}]"
    assert len(str(ts.StudyError("x" * 10**6))) == 1000
    assert str(ts.StudyError("one\ntwo")) == "one\ntwo"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("no store at postgresql://ann:pa55@db/x", "no store at postgresql://ann:***@db/x"),
        ("postgresql+psycopg://ann:p@a5:5/@db:5432/x", "postgresql+psycopg://ann:***@db:5432/x"),
        ("there is no file postgresql:/ann:pa55@db/x", "there is no file postgresql:/ann:***@db/x"),
        ("'http://:pa55@host'; and so on", "'http://:***@host'; and so on"),
        (
            "http://host?token=pa55&a=1&sslpassword=pa55'",
            "http://host?token=***&a=1&sslpassword=***'",
        ),
        ("http://ann@host:80/a:b", "http://ann@host:80/a:b"),
        ("job.yaml:3: x", "job.yaml:3: x"),
    ],
)
def test_passwords_are_no_part_of_messages(text: str, masked: str) -> None:
    assert without_passwords(text) == masked
    assert str(ts.StoreError(text)) == masked
