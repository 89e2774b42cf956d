"""An error in an objective is shown where it happens, once for all that are alike."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

import tunesmith as ts
from tunesmith.cli.tables import show_value
from tunesmith.core.outcome import fingerprint
from tunesmith.core.text import without_codes
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.objective import TAIL_LINES, call, reason_of, with_source

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


class TestNamesThatTheConfigLacks:
    """A misspelt parameter: the message says which there are, and which is nearest."""

    CONFIG: ClassVar[dict[str, Any]] = {"learning_rate": 0.1, "model.depth": 3, "items": 2}

    def said(self, objective: Callable[[dict[str, Any]], Any]) -> str:
        reason = call(lambda config, _: objective(config), dict(self.CONFIG), lambda: None)[1]  # type: ignore[arg-type, return-value]
        assert reason is not None
        return reason.message

    @pytest.mark.parametrize(
        "objective",
        [
            lambda c: c["lerning_rate"],
            lambda c: c.pop("lerning_rate"),
            lambda c: inner(c) + 1,
            lambda c: c.lerning_rate,
        ],
    )
    def test_are_named_with_the_nearest(self, objective: Any) -> None:
        assert self.said(objective).endswith(
            "the config has no 'lerning_rate', only learning_rate, model.depth, items (a parameter with a condition is "
            "there only where that holds); did you mean 'learning_rate'?"
        )

    def test_as_an_attribute(self) -> None:
        said = self.said(lambda c: c.learning_rate)  # type: ignore[attr-defined]
        assert said.endswith("; the config is a dict: write config['learning_rate']")

    def test_as_one_of_nested_ones(self) -> None:
        said = self.said(lambda c: c["model"]["depth"])
        assert said == "KeyError: 'model'; the config is flat: write config['model.depth']"

    def test_other_errors_are_left_alone(self) -> None:
        table = {"a": 1}
        assert self.said(lambda c: table["b"]) == "KeyError: 'b'"
        assert self.said(lambda c: table["items"]) == "KeyError: 'items'"
        assert self.said(lambda c: {}[3]) == "KeyError: 3"  # type: ignore[index]
        assert self.said(lambda c: table.nothing).endswith("has no attribute 'nothing'")  # type: ignore[attr-defined]


def inner(settings: dict[str, Any]) -> Any:
    return settings["lerning_rate"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m and \x1b]0;title\x07plain", "red and plain"),
        ("link \x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\", "link here"),
        ("\x9b2Jgone\x9d0;title\x9cback", "goneback"),
        ("\x1bPq#0\x1b\\after\x1bc", "after"),
        ("cut off \x1b[3", "cut off 3"),
        ("an open \x1b]0;title", "an open "),
        ("bell\x07, nul\x00, back\b\x7f", "bell, nul, back"),
        ("10%\r20%\r\nlines\tstay\n", "10%\n20%\nlines\tstay\n"),
        ("naïve ☃ 100 %", "naïve ☃ 100 %"),
    ],
)
def test_a_terminal_is_told_nothing_by_what_a_program_printed(text: str, shown: str) -> None:
    assert without_codes(text) == shown
    reason = Reason(Kind.ERROR, text, text)
    assert (reason.message, reason.output) == (shown, shown)


def test_values_in_tables_are_on_one_line() -> None:
    assert show_value("a\x1b[31m\nb\x9b") == '"a\\u001b[31m\\nb\\u009b"'
    assert show_value("plain ☃") == "plain ☃"
