"""Layout of text tables in a terminal of limited width: columns are shown whole or not at all, headings on two lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.text import Text

#: Between columns.
GAP: Final = 2
#: A column is no wider, but for one that is `loose`, which has what is left, if that is so much.
WIDEST: Final = 24
LEAST: Final = 16
#: A heading that is wider is broken after one of these.
_LONG: Final = 8
#: What would move the cursor, or colour what comes after.
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_JOINT: Final = re.compile(r"(?<=[_.\-/ ])")


def heading(name: str, width: int = WIDEST) -> tuple[str, str]:
    """A column's name on two lines, the first one empty if one line is enough."""
    pieces = [piece for piece in _JOINT.split(name) if piece]
    if cell_len(name) <= _LONG or len(pieces) == 1:
        return "", middle_cut(name, width)
    breaks = (("".join(pieces[:k]), "".join(pieces[k:])) for k in range(1, len(pieces)))
    upper, lower = min(breaks, key=lambda halves: max(map(cell_len, halves)))
    return middle_cut(upper, width), middle_cut(lower, width)


def _one_line(cell: str) -> str:
    return _CONTROLS.sub(" ", cell)


def middle_cut(words: str, width: int) -> str:
    """A name in at most `width` characters: its beginning, and its end, in which long ones differ."""
    if len(words) <= width:
        return words
    tail = (width - 1) // 2
    return f"{words[: width - 1 - tail]}…{words[-tail:]}" if tail else words[:width]


def fitting(
    widths: Sequence[int], whole: Iterable[int], order: Iterable[int], room: int
) -> set[int]:
    """Which columns there is room for: all that are `whole`, and of the others, by `order`, those that fit."""
    shown = set(whole)
    left = room - sum(widths[k] + GAP for k in shown) + GAP
    for k in order:
        if k not in shown and widths[k] + GAP <= left:
            shown.add(k)
            left -= widths[k] + GAP
    return shown


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table as they are shown: their places in its rows, headings, widths, and which are aligned to
    the right."""

    places: tuple[int, ...]
    headings: tuple[tuple[str, str], ...]
    widths: tuple[int, ...]
    right: frozenset[int]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        rows: Sequence[Sequence[str]],
        room: int,
        *,
        right: Iterable[int] = (),
        whole: Iterable[int] = (),
        order: Iterable[int] | None = None,
        loose: int | None = None,
        least: Sequence[int] = (),
    ) -> Layout:
        """The columns that fit into `room`, each at least as wide as `least` says.

        Those that are `whole` are shown in any case, then others by `order`; a `loose` one takes what is left, and
        is left out where that is less than `LEAST`.
        """
        heads = [heading(name) for name in names]
        natural = [
            max((cell_len(_one_line(row[k])) for row in rows), default=0) for k in range(len(names))
        ]
        named = [max(map(cell_len, head)) for head in heads]
        widths = [max(n, min(WIDEST, w)) for n, w in zip(named, natural, strict=True)]
        if least:
            widths = [max(pair) for pair in zip(widths, least, strict=True)]
        inner = room
        if loose is not None:
            widths[loose] = min(max(natural[loose], named[loose]), LEAST)
            inner = room - widths[loose] - GAP
        ranked = [k for k in (range(len(names)) if order is None else order) if k != loose]
        shown = fitting(widths, (k for k in whole if k != loose), ranked, inner)
        if loose is not None:
            left = room - sum(widths[k] + GAP for k in shown)
            if left >= widths[loose]:
                widths[loose] = min(max(natural[loose], named[loose]), left)
                shown.add(loose)
            else:
                shown = fitting(widths, shown, ranked, room)
        places = tuple(sorted(shown))
        return cls(
            places,
            tuple(heads[k] for k in places),
            tuple(widths[k] for k in places),
            frozenset(right),
        )

    def head(self) -> list[Text]:
        """The headings, on one line or two."""
        lines = [[halves[k] for halves in self.headings] for k in (0, 1)]
        if not any(lines[0]):
            lines = lines[1:]
        return [self._line(line, "dim") for line in lines]

    @property
    def width(self) -> int:
        return sum(self.widths) + GAP * (len(self.widths) - 1)

    def row(self, cells: Sequence[str], style: str = "") -> Text:
        """A row; `cells` has one for each column of the table, shown or not."""
        return self._line([cells[k] for k in self.places], style)

    def _line(self, cells: Sequence[str], style: str) -> Text:
        line = Text(style=style, no_wrap=True, overflow="ellipsis", end="")
        for k, (place, cell, width) in enumerate(zip(self.places, cells, self.widths, strict=True)):
            text = Text(_one_line(cell))
            text.align("right" if place in self.right else "left", width)
            line.append_text(text)
            line.append("" if k + 1 == len(cells) else " " * GAP)
        line.rstrip()
        return line
