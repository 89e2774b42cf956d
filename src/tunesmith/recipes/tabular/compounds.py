"""Texts with several numbers in them, or with one that is not read: fractions, ranges, bounds, sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tunesmith.recipes.tabular.numbers import NEARLY_ALL
from tunesmith.recipes.tabular.tokens import SAME

_ONE: Final = r"[-+]?\d[\d.,]*"
_RANGE: Final = re.compile(rf"({_ONE})\s*(?:[-~:]|\.\.+|to)\s*({_ONE})")
#: How they are written, what they are called, and what to write instead.
_FORMS: Final = (
    (re.compile(rf"(?:{_ONE}\s+)?\d+\s*/\s*\d+"), "fractions", "write 3/4 as 0.75"),
    (_RANGE, "ranges", "write both ends as columns of their own, or the middle"),
    (
        re.compile(r"0[xX][\da-fA-F]+"),
        "numbers to base 16",
        "write them to base 10, if they are amounts",
    ),
    (re.compile(rf"(?:[<>~≤≥≈]|[<>]=)\s*{_ONE}"), "bounds", "write the number alone"),
    (
        re.compile(rf"{_ONE}\s*(?:[xX*×]\s*{_ONE})+"),
        "sizes",
        "write each number as a column of its own",
    ),
    (
        re.compile(rf"{_ONE}\s*(?:±|\+/?-)\s*{_ONE}"),
        "numbers with their uncertainty",
        "write both as columns of their own",
    ),
)


def why_unread(texts: Sequence[str]) -> str:
    """Why nearly all of some texts are no numbers though they hold some, and what to write; empty for others."""
    plain = [text.translate(SAME).strip() for text in texts]
    for form, what, instead in _FORMS:
        matches = [match for text in plain if (match := form.fullmatch(text))]
        if form is _RANGE:  # 555-1234 is a name
            matches = [match for match in matches if _digits(match[1]) <= _digits(match[2])]
        if matches and len(matches) >= NEARLY_ALL * len(plain):
            sample = texts[plain.index(matches[0][0])]
            return f"{what} such as {sample!r} are not read as numbers; {instead}"
    return ""


def _digits(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return float(re.sub(r"\D", "", text))
