"""The progress that `tune` shows: a line in a terminal, HTML in a notebook, or messages alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tunesmith import streams
from tunesmith.core.ledger import Ledger
from tunesmith.core.text import without_codes
from tunesmith.tuning.feed import Feed, Watcher


class Messages:
    """Shows nothing but messages that matter, on stderr."""

    def __init__(self, also: Watcher | None) -> None:
        self.watch = also

    def say(self, message: str) -> None:
        streams.err().line(without_codes(message))


class Line:
    """One line on stderr, written over and over."""

    def __init__(self, also: Watcher | None) -> None:
        self._also = also
        self._feed = Feed()
        self._stream = streams.err()
        self._shown = ""

    def watch(self, ledger: Ledger, now: float) -> None:
        text = str(self._feed.moment(ledger, now))
        if text != self._shown:
            self._write(f"\r{text.ljust(len(self._shown))}")
            self._shown = text
        if self._also is not None:
            self._also(ledger, now)

    def say(self, message: str) -> None:
        self._write(f"\r{' ' * len(self._shown)}\r{message}\n")
        self._shown = ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def finish(self) -> None:
        if self._shown:
            self._write("\n")


class Shown(Protocol):
    """What shows progress: it watches, says what matters, and comes to an end."""

    def watch(self, ledger: Ledger, now: float) -> None: ...
    def say(self, message: str) -> None: ...
    def finish(self) -> None: ...


@contextmanager
def progress_watcher(wanted: bool | None, *, also: Watcher | None) -> Iterator[Messages | Shown]:
    """A line if `wanted` (None: if stderr is a terminal or a notebook), in a notebook HTML; else silence."""
    if not (streams.err().interactive if wanted is None else wanted):
        yield Messages(also)
        return
    line: Shown = Line(also)
    if "ipykernel" in sys.modules:
        from tunesmith.tuning.notebook import Cell, in_notebook

        line = Cell(also) if in_notebook() else line
    try:
        yield line
    finally:
        line.finish()
