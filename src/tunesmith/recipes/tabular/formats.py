"""The formats that numbers and durations are written in, and reading texts by one."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes.tabular import durations
from tunesmith.recipes.tabular.tokens import MARKS, MONEY, SCALES, Token, coarse, core, token_of

Floats = NDArray[np.float64]

TRUTHS: Final = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Format:
    """How a column's numbers are written; `duration` is "h:mm" or "m:ss" (how two parts are meant), or "any" where no
    value has two. Durations are read as seconds."""

    decimal: str = "."
    group: str = ""
    unit: str = ""
    #: Whether k, M and B behind a number are its thousands, millions and billions.
    scaled: bool = False
    duration: str = ""

    def __str__(self) -> str:
        """What a model keeps: ``1,234.5 $``; empty for plain numbers."""
        if self.duration:
            return f"duration {self.duration}"
        if self == PLAIN:
            return ""
        scale = "kMB" if self.scaled else ""
        return f"1{self.group}234{self.decimal}5{scale} {self.unit}".rstrip()

    @classmethod
    def of(cls, written: str) -> Format:
        """What `str` wrote. Raises ValueError for another text."""
        if not written:
            return PLAIN
        if written.startswith("duration "):
            return cls(duration=written.removeprefix("duration "))
        match = re.fullmatch(r"1([,.' ]?)234([.,])5(kMB)?(?: (.+))?", written)
        if match is None:
            raise ValueError(f"no format of numbers: {written!r}")
        return cls(match[2], match[1], match[4] or "", bool(match[3]))

    @property
    def example(self) -> str:
        """A number as this format has it."""
        if self.duration:
            return {"h:mm": "1:30 (hours and minutes)", "m:ss": "1:30 (minutes and seconds)"}.get(
                self.duration, "1:30:00"
            )
        return str(self) or "1234.5"

    def read(self, texts: Sequence[str]) -> Floats:
        """What texts are in this format, shape (texts,); NaN for what is none."""
        import pandas as pd

        if self.duration:
            return np.array([durations.read(text, self.duration) for text in texts])
        if self == PLAIN:
            as_objects = pd.Series(list(texts), dtype=object)
            out: Floats = pd.to_numeric(as_objects, errors="coerce").to_numpy(np.float64, copy=True)
            for k in np.flatnonzero(np.isnan(out)).tolist():
                out[k] = _plain(texts[k])
            return out
        pattern = core(self.decimal, self.group)
        unit = re.escape(self.unit)
        usual = re.compile(
            rf"(-?)(?:{unit}({pattern.pattern})|({pattern.pattern}) ?{unit})", re.ASCII
        )
        out = np.full(len(texts), np.nan)
        places: dict[str, tuple[int, int] | None] = {}
        for at, text in enumerate(texts):
            shape = coarse(text)
            if shape not in places:
                match = usual.fullmatch(text)
                places[shape] = match.span(2 if match[2] else 3) if match else None
            span = places[shape]
            if span is None:
                out[at] = self.value(token_of(text), pattern)
                continue
            digits = text[span[0] : span[1]].replace(self.group, "")
            value = float(digits if self.decimal == "." else digits.replace(self.decimal, "."))
            out[at] = -value if text[0] == "-" else value
        return out

    def value(self, token: Token | None, pattern: re.Pattern[str]) -> float:
        if token is None or not self._same_unit(token) or (token.scale and not self.scaled):
            return math.nan
        value = token.value(pattern, self.decimal)
        return value * SCALES[token.scale] if token.scale else value

    def _same_unit(self, token: Token) -> bool:
        """A number without its currency is one; of others only zero means the same without a unit."""
        if token.unit == self.unit:
            return True
        return not token.unit and (bool(MONEY.fullmatch(self.unit)) or not token.core.strip("0.,"))


PLAIN: Final = Format()
#: Of those that read the same, the first counts.
FORMATS: Final = tuple(Format(decimal, group) for decimal, group in MARKS)


def _plain(text: str) -> float:
    """A text that Python's own syntax does not know as a number, as a plain one."""
    truth = TRUTHS.get(text.lower())
    if truth is not None:
        return truth
    token = token_of(text)
    if token is None or token.unit or token.scale:
        return math.nan
    return token.value(core(".", ""), ".")
