"""What a person sees in a terminal: columns that are whole, conditional parameters folded, nothing torn by resizing."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.text import Text
from tests.analysis.studies import begin, complete, report, study

import tunesmith as ts
from tunesmith.cli.columns import Layout, heading
from tunesmith.cli.footer import Footer
from tunesmith.cli.screen import Screen, bar
from tunesmith.core.ledger import Ledger
from tunesmith.tuning.feed import Feed

SPACE = ts.Space(
    learning_rate=ts.Float(1e-5, 1e-1, log=True),
    weight_decay=ts.Float(1e-6, 1e-2, log=True),
    optimizer=ts.Choice("sgd", "adam"),
    momentum=ts.Float(0.0, 0.99, when={"optimizer": "sgd"}),
    beta1=ts.Float(0.8, 0.99, when={"optimizer": "adam"}),
    layers=ts.Int(1, 8),
    activation=ts.Choice("relu", "leaky_relu"),
)
CONFIG = {
    "learning_rate": 0.00076938,
    "weight_decay": 1e-4,
    "layers": 3,
    "activation": "leaky_relu",
}
SGD = CONFIG | {"optimizer": "sgd", "momentum": 0.93112}
ADAM = CONFIG | {"optimizer": "adam", "beta1": 0.90001}


def running() -> Ledger:
    """Two trials that have completed, and two that run."""
    made = study(SPACE, metrics="val_accuracy", goal="maximize", trials=40)
    complete(made, SGD, 0.89617, reports=(0.5, 0.89617))
    complete(made, ADAM, 0.89001, reports=(0.5, 0.89001))
    report(made, begin(made, ADAM), (0.71234,))
    begin(made, SGD)
    return made


def drawn(width: int, height: int = 30, ledger: Ledger | None = None) -> list[str]:
    """The lines that the screen draws in a terminal of that size."""
    screen = Screen(list(SPACE.tunables), None)
    screen._console = Console(width=width, height=height, file=io.StringIO())
    screen._footer = Footer(screen._console)
    screen.watch(running() if ledger is None else ledger, 50.0)
    return [line.plain for line in screen._footer._lines]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_metric_can_be_read_at_every_width(width: int) -> None:
    lines = drawn(width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "0.89617" in text
    assert "0.71234" in text
    assert "trial" in text
    assert "time" in text


def test_rows_are_aligned_and_conditional_parameters_folded() -> None:
    lines = drawn(80)
    upper, lower, best, second, rule, first, last = lines[:7]
    assert "val_" in upper
    at = lower.index("accuracy")
    assert upper.index("val_") == at == best.index("0.89617") == first.index("0.71234")
    assert rule.startswith("── running ─")
    assert "momentum=0.931" in best
    assert "beta1=0.9" in second
    assert "beta1" not in best
    assert "momentum" not in lower, "it has no column of its own"
    assert last.lstrip().startswith("3 ")
    assert re.search(r"beta1=0\.9 |beta1=0\.9$", first), "three digits are enough here"


def test_a_wide_terminal_shows_every_parameter() -> None:
    text = "\n".join(drawn(160))
    for name in ("layers", "activation", "leaky_relu", "momentum=0.931"):
        assert name in text
    assert "…" not in text


def test_a_low_terminal_keeps_the_bar() -> None:
    lines = drawn(80, height=10)
    assert len(lines) <= 9
    assert "left" in lines[-1]
    assert "2/40 trials" in "\n".join(lines[-2:])


def test_the_bar_stands_above_a_text_that_is_too_long() -> None:
    progress = Feed().moment(running(), 50.0)
    assert len(bar(progress, 120)) == 1
    lines = [line.plain for line in bar(progress, 50)]
    assert len(lines) > 1
    assert set(lines[0]) == {"━"}
    assert all(len(line) <= 50 for line in lines)


def test_headings_break_where_words_join() -> None:
    assert heading("learning_rate") == ("learning_", "rate")
    assert heading("lr") == ("", "lr")
    assert heading("model.encoder.depth") == ("model.", "encoder.depth")
    assert heading("a" * 40)[1] == "a" * 12 + "…" + "a" * 11


def test_columns_are_whole_or_not_there() -> None:
    names = ["number", "value", "a", "b", "reason"]
    rows = [["1", "0.123456", "x" * 20, "yy", "because of a reason that goes on and on and on"]]
    wide = Layout.of(names, rows, 200, whole=[0, 1], loose=4)
    assert wide.places == (0, 1, 2, 3, 4)
    assert wide.row(rows[0]).plain.endswith("and on")
    narrow = Layout.of(names, rows, 45, whole=[0, 1], loose=4)
    assert narrow.places == (0, 1, 3, 4), "a does not fit, b does, the reason is cut"
    assert narrow.width <= 45
    assert Layout.of(names, rows, 20, whole=[0, 1], loose=4).places == (0, 1, 3)


def test_values_of_any_text_stay_on_their_line() -> None:
    names, rows = ["n", "text"], [["1", "a\nb\x1b[31mred"], ["2", "日本語"]]
    layout = Layout.of(names, rows, 40)
    lines = [layout.row(row) for row in rows]
    assert [line.plain for line in lines] == ["1  a b [31mred", "2  日本語"]
    assert all(line.cell_len <= layout.width for line in lines)


class TestFooter:
    """Rows are counted by the width that the terminal has when they are taken down."""

    def footer(self, width: int) -> tuple[Footer, Console, io.StringIO]:
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, width=width, height=20, color_system=None)
        return Footer(console), console, out

    def ups(self, out: io.StringIO) -> list[int]:
        return [int(n) for n in re.findall(r"\x1b\[(\d+)A", out.getvalue())]

    def test_lines_that_the_terminal_has_broken_are_taken_down_whole(self) -> None:
        footer, console, out = self.footer(80)
        console.push_render_hook(footer)
        footer.update([Text("x" * 70), Text("y" * 30), Text("")])
        footer.update([Text("x" * 70), Text("y" * 30), Text("")])
        assert self.ups(out) == [3]
        console.width = 40  # 70 cells are two rows now
        footer.update([Text("x" * 70)])
        assert self.ups(out)[-1] == 4
        console.width = 100
        footer.update([])
        assert self.ups(out)[-1] == 1
        console.print("after")
        assert len(self.ups(out)) == 3, "there is nothing to take down"

    def test_lines_are_cut_at_the_edge_and_not_more_than_fit(self) -> None:
        footer, console, out = self.footer(40)
        console.push_render_hook(footer)
        footer.update([Text("z" * 100)] * 50)
        lines = [line for line in out.getvalue().splitlines() if "z" in line]
        assert len(lines) == 19
        assert {line.count("z") for line in lines} == {39}
        footer.update([])
        assert self.ups(out) == [19]

    def test_what_is_printed_stands_above(self) -> None:
        footer, console, out = self.footer(40)
        console.push_render_hook(footer)
        footer.update([Text("the foot")])
        console.print("a message")
        text = out.getvalue()
        assert text.index("a message") < text.rindex("the foot")

    def test_a_file_gets_no_codes(self) -> None:
        out = io.StringIO()
        with Footer(Console(file=out, width=40)) as footer:
            footer.update([Text("the foot")])
        assert out.getvalue() == ""
