"""An error in an objective is shown where it happens, once for all that are alike."""

from __future__ import annotations

import linecache
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.outcome import fingerprint
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.objective import TAIL_LINES, reason_of, with_source

SPACE = ts.Space(x=ts.Float(0.0, 1.0))


def broken(config: dict[str, Any]) -> float:
    raise ValueError(f"no column 'c{config['x']}' in /tmp/run{config['x']}/data.csv at 0x7f00")


@pytest.mark.parametrize("parallel", [1, 2])
def test_the_first_traceback_is_shown_outside_a_terminal(
    parallel: int, capsys: pytest.CaptureFixture[str]
) -> None:
    result = ts.tune(broken, SPACE, trials=8, parallel=parallel, progress=False, same_error=3)
    shown = capsys.readouterr().err
    assert shown.count("failed: ValueError: no column") == 1
    assert shown.count("raise ValueError(f\"no column 'c{config['x']}' in ") == 1
    assert 'test_errors_shown.py", line ' in shown
    assert result.ended_by == "failures"
    with pytest.raises(ts.NothingCompleted, match="raise ValueError"):
        _ = result.best


def test_some_kinds_of_errors_are_shown_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = iter("abcdefgh")

    def several(config: dict[str, Any]) -> float:
        raise ValueError(f"this is {next(kinds)} sort")

    ts.tune(several, SPACE, trials=5, progress=False, same_error=None, failures_in_a_row=None)
    assert capsys.readouterr().err.count("failed: ValueError") == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("could not read '/tmp/a1/x.csv'", "could not read '/tmp/b2/y.csv'"),
        ("no file /tmp/tmpab12/x.npy here", "no file /tmp/tmpzz9/x.npy here"),
        ("KeyError: 'lr'", "KeyError: 'momentum'"),
        ("<Net object at 0x7fa1> of 3", "<Net object at 0x8eb2> of -4.5e-7"),
        ("no file C:\\Temp\\a1 here", "no file C:\\Temp\\b2 here"),
    ],
)
def test_errors_that_differ_in_names_and_numbers_are_the_same(one: str, other: str) -> None:
    assert fingerprint(Reason(Kind.ERROR, one)) == fingerprint(Reason(Kind.ERROR, other))
    assert fingerprint(Reason(Kind.ERROR, one)) != fingerprint(Reason(Kind.ERROR, "else"))


def test_a_long_traceback_keeps_the_users_own_line() -> None:
    def deep(n: int) -> None:
        if n:
            deep(n - 1) if n % 2 else deep(n - 1 + 0)
        raise ValueError("deep down")

    with pytest.raises(ValueError, match="deep down") as caught:
        deep(40)
    output = reason_of(caught.value).output
    assert "deep(40)" in output
    assert output.endswith("ValueError: deep down")
    assert len(output.splitlines()) <= TAIL_LINES
    with pytest.raises(SystemExit) as exited:
        raise SystemExit(3)
    assert "raise SystemExit(3)" in reason_of(exited.value).output


def test_the_source_of_a_notebooks_cell_is_put_in_where_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = "/tmp/ipykernel_1/cell.py"
    monkeypatch.setitem(linecache.cache, cell, (9, None, ["a = 1\n", "b = a / 0\n"], cell))
    trace = (
        f'Traceback (most recent call last):\n  File "{cell}", line 2, in f\nZeroDivisionError: no'
    )
    filled = f'Traceback (most recent call last):\n  File "{cell}", line 2, in f\n    b = a / 0\nZeroDivisionError: no'
    assert with_source(trace) == filled
    assert with_source(filled) == filled
