"""A text taken apart as a number with what stands around it: sign, currency or unit, thousands.

Signs may be ``-``, U+2212, behind the number, or parentheses; groups of digits may be parted by any kind of space.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

SAME: Final = str.maketrans({
    "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2007": " ", "\u2008": " ", "\u200a": " ", "\u205f": " ",
    "\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-", "\u2019": "'", "\u02bc": "'", "\uff07": "'",
    "\uff05": "%", "\ufe6a": "%", "\uff04": "$", "\u200e": None, "\u200f": None,
})  # fmt: skip
#: The zeros of other scripts, from Arabic to full width.
_ZEROS: Final = (
    0x0660, 0x06F0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0E50, 0x0ED0, 0x0F20,
    0x1040, 0x17E0, 0x1810, 0xFF10,
)  # fmt: skip
#: Their digits, and Arabic's decimal and thousands marks.
for _zero in _ZEROS:
    SAME.update({_zero + k: str(k) for k in range(10)})
SAME.update({0x066B: ".", 0x066C: ",", 0xFF0E: ".", 0xFF0C: ","})
_CODES: Final = "USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|SEK|NOK|DKK|PLN|CZK|HUF|RON|AUD|CAD|NZD|SGD|HKD|BRL|MXN|ZAR|TRY|RUB|KRW|ILS"
_CURRENCY: Final = (
    rf"(?:US|R|A|C|AU|CA|NZ|HK|S|Mex)?\$|[€£¥₹₽₩₺₫₪₴₦₱฿₿]|Fr\.|Rs\.?|kr\.?|zł|Kč|{_CODES}"
)
MONEY: Final = re.compile(rf"(?:{_CURRENCY})")
_NUMBER: Final = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+])?\s*(?P<before>{_CURRENCY})?\s*(?P<inner>[-+])?\s*"
    r"(?P<core>\d(?:[\d.,' ]*\d)?[.,]?|[.,]\d+)(?P<power>[eE][-+]?\d+)?"
    r"\s*(?P<scale>(?:[kKMBG]|bn|mn|Mio\.?|Mrd\.?)(?![^\W\d_]))?"
    rf"\s*(?P<after>{_CURRENCY}|[%‰]|°\s?[CFK]?|[^\W\d_][^\W\d_./²³]{{0,11}}(?:/[^\W\d_]{{1,4}})?[²³]?)?\s*(?P<close>\))?(?P<behind>-)?"
)
SCALES: Final = {
    "k": 1e3, "K": 1e3, "M": 1e6, "mn": 1e6, "Mio": 1e6, "B": 1e9, "G": 1e9, "bn": 1e9, "Mrd": 1e9,
}  # fmt: skip
CODE: Final = re.compile(r"\d+", re.ASCII)
#: Digits but 0 are alike in what they can mean.
_DIGITS: Final = str.maketrans("23456789", "11111111")
#: Decimal marks, and what parts groups of digits; the simpler ones first.
MARKS: Final = (
    (".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
)  # fmt: skip


def coarse(text: str) -> str:
    """A text with all digits but 0 as 1: what is read of one such text is read of all, but for the value."""
    return text.translate(_DIGITS)


@dataclass(frozen=True, slots=True)
class Token:
    """A text taken apart: the digits and what is between them, and what stands around."""

    core: str
    power: str
    negative: bool
    unit: str
    scale: str
    brackets: bool

    @property
    def is_number(self) -> bool:
        """Whether any format reads it: 17.05.2024 is none."""
        return any(core(*marks).fullmatch(self.core) for marks in MARKS)

    def value(self, pattern: re.Pattern[str], decimal: str) -> float:
        if not pattern.fullmatch(self.core):
            return math.nan
        whole, point, fraction = self.core.partition(decimal)
        if self.power and not point and ("," in whole or "." in whole):
            return math.nan  # 1,234e+03: nobody parts the thousands of what has an exponent
        digits = re.sub(r"\D", "", whole) or "0"
        value = float(f"{digits}.{fraction or 0}{self.power}")
        return -value if self.negative else value


def token_of(text: str) -> Token | None:
    match = _NUMBER.fullmatch(text.translate(SAME).strip())
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    signs = [s for s in (match["sign"], match["inner"], match["behind"]) if s]
    if len(signs) > 1 or (signs and match["open"]) or (match["before"] and match["after"]):
        return None
    negative = bool(match["open"]) or signs == ["-"]
    unit = match["before"] or match["after"] or ""
    scale = (match["scale"] or "").rstrip(".")
    return Token(
        match["core"], match["power"] or "", negative, unit.replace(" ", ""), scale, bool(match["open"])
    )  # fmt: skip


def is_number(text: str) -> bool:
    token = token_of(text)
    return token is not None and token.is_number


_PATTERNS: dict[tuple[str, str], re.Pattern[str]] = {}


def core(decimal: str, group: str) -> re.Pattern[str]:
    """Digits with this decimal mark, and with this between groups of three (or two, in India, behind the last)."""
    if (decimal, group) not in _PATTERNS:
        d, g = re.escape(decimal), re.escape(group)
        whole = r"\d+"
        if group:
            whole = rf"(?:[1-9]\d{{0,2}}(?:{g}\d{{3}})+|\d+)"
        if group == ",":
            whole = rf"(?:{whole}|[1-9]\d?(?:,\d{{2}})+,\d{{3}})"
        _PATTERNS[decimal, group] = re.compile(rf"(?:{whole}(?:{d}\d*)?|{d}\d+)", re.ASCII)
    return _PATTERNS[decimal, group]
