"""Lines at the foot of a terminal that are drawn over and over, below what is printed meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import IO, cast

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.segment import ControlType, Segment
from rich.text import Text


class Footer(RenderHook):
    """Keeps its lines below everything that the console, or whoever writes to the standard streams, prints.

    rich's `Live` remembers how many lines it drew, and leaves torn ones behind where the terminal has been made
    narrower since: most terminals break what is too long then. This one counts rows by the width that the terminal
    has when they are taken down, and draws with the terminal's own breaking of lines switched off.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._moves = console.is_terminal and not console.is_dumb_terminal
        self._lines: Sequence[Text] = ()
        #: How wide the lines are that stand there now.
        self._drawn: list[int] = []
        self._streams: tuple[IO[str], IO[str]] | None = None

    def __enter__(self) -> Footer:
        console = self._console
        console.push_render_hook(self)
        if self._moves:
            console.show_cursor(False)
            self._streams = sys.stdout, sys.stderr
            sys.stdout, sys.stderr = (_behind(console, stream) for stream in self._streams)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.update(())
        self._console.pop_render_hook()
        if self._streams is not None:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            sys.stdout, sys.stderr = self._streams
            self._console.show_cursor(True)

    def update(self, lines: Sequence[Text]) -> None:
        """Draw `lines`, as many as there is room for, instead of those before."""
        self._lines = lines[: max(1, self._console.height - 1)]
        if self._moves:
            self._console.print(Control())

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        if not self._moves:
            return renderables
        taken_down = _Raw(self._take_down())
        return [taken_down, *renderables, _Lines(self._lines, self._drawn)]

    def _take_down(self) -> str:
        width = max(1, self._console.width)
        rows = sum(max(1, -(-drawn // width)) for drawn in self._drawn)
        up = f"\x1b[{min(rows, self._console.height)}A" if rows else ""
        return f"\r{up}\x1b[0J"


def _behind(console: Console, stream: IO[str]) -> IO[str]:
    return cast(IO[str], FileProxy(console, stream)) if stream is not None else stream


class _Raw:
    """Codes for the terminal."""

    def __init__(self, codes: str) -> None:
        self._codes = codes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self._codes, None, [(ControlType.HOME,)])


class _Lines:
    """Lines that are cut at the terminal's edge; `drawn` takes their widths."""

    def __init__(self, lines: Sequence[Text], drawn: list[int]) -> None:
        self._lines = lines
        self._drawn = drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self._drawn.clear()
        if not self._lines:
            return
        yield from _Raw("\x1b[?7l").__rich_console__(console, options)
        for line in self._lines:
            cut = line.copy()
            cut.end = ""
            cut.truncate(console.width, overflow="ellipsis")
            self._drawn.append(cut.cell_len)
            yield from console.render(cut, options.update(no_wrap=True, overflow="ignore"))
            yield Segment.line()
        yield from _Raw("\x1b[?7h").__rich_console__(console, options)
