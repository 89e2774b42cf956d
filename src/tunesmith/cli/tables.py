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
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()
) -> None:
    """A table as wide as the terminal; columns named in `right` are right-aligned."""
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
    console = Console()
    if not console.is_terminal:  # a file or a pipe is as wide as it needs to be
        console = Console(width=max(200, 24 * len(columns)))
    console.print(table)


def show_value(value: Any) -> str:
    """A parameter's value, or a metric, at a glance."""
    from tunesmith.core.quantity import show_number

    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, float):
        return show_number(value)
    return value if isinstance(value, str) else json.dumps(value)


def show_config(config: dict[str, Any]) -> str:
    """``learning_rate=0.001 optimizer=adam``."""
    return " ".join(f"{name}={show_value(value)}" for name, value in config.items())


def config_block(config: dict[str, Any]) -> str:
    """A config to copy from: one parameter a line, with all of its digits."""
    from tunesmith.core.text import text_of

    width = max((len(name) for name in config), default=0)
    return "".join(f"  {name.ljust(width)}  {text_of(value)}\n" for name, value in config.items())
