"""Tables, JSON and values as text, on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def print_json(value: Any) -> None:
    """`value` as JSON; what JSON cannot say becomes null."""
    from tunesmith.tuning.table import json_safe

    sys.stdout.write(json.dumps(json_safe(value), indent=2, ensure_ascii=False) + "\n")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Sequence[str] = (),
    *,
    whole: Sequence[str] = (),
    last: Sequence[str] = (),
    loose: str | None = None,
) -> None:
    """A table as wide as the terminal; columns named in `right` are right-aligned.

    Columns are shown whole or not at all: those in `whole` always, those in `last` only where there is room for all
    others, and `loose`, of free text, in what is left. What is left out is named below.
    """
    from rich.console import Console
    from rich.text import Text

    from tunesmith import streams
    from tunesmith.cli.columns import Layout
    from tunesmith.core.text import printable

    console = Console()
    cells = [[printable(cell) for cell in row] for row in rows]
    if console.is_terminal:
        place = {name: k for k, name in enumerate(columns)}
        layout = Layout.of(
            columns,
            cells,
            console.width,
            right=[place[name] for name in right],
            whole=[place[name] for name in whole],
            order=[
                *(place[name] for name in columns if name not in last),
                *(place[name] for name in last),
            ],
            loose=None if loose is None else place[loose],
        )
        rule = Text("─" * min(layout.width, console.width), style="dim")
        for line in [*layout.head(), rule, *(layout.row(row) for row in cells)]:
            line.end = "\n"
            console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
        hidden = [name for k, name in enumerate(columns) if k not in layout.places]
        if hidden:
            names = ", ".join(hidden)
            streams.err().line(f"no room for: {names} (a wider terminal has, and a file or a pipe)")
        return
    _print_wide(columns, cells, right)


def _print_wide(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]
) -> None:
    """A table for a file or a pipe, as wide as it needs to be: headings on one line."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=max(200, 24 * len(columns))).print(table)


def show_value(value: Any) -> str:
    """A parameter's value, or a metric, at a glance."""
    from tunesmith.core.quantity import show_number
    from tunesmith.core.text import printable

    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, float):
        return show_number(value)
    return printable(value) if isinstance(value, str) else json.dumps(value)


def show_config(config: dict[str, Any]) -> str:
    """``learning_rate=0.001 optimizer=adam``."""
    return " ".join(f"{name}={show_value(value)}" for name, value in config.items())


def config_block(config: dict[str, Any]) -> str:
    """A config to copy from: one parameter a line, with all of its digits."""
    from tunesmith.core.text import printable, text_of

    width = max((len(name) for name in config), default=0)
    return "".join(
        f"  {name.ljust(width)}  {printable(text_of(value))}\n" for name, value in config.items()
    )
