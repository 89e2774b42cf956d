"""How numbers and durations are written in a column of texts, and what they are.

A column has one format, which is decided on all of its values: ``1,234`` may be 1234 or 1.234, and no value says
so alone.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes.tabular import durations
from tunesmith.recipes.tabular.formats import FORMATS, PLAIN, TRUTHS, Format
from tunesmith.recipes.tabular.tokens import (
    CODE,
    MONEY,
    SAME,
    SCALES,
    Token,
    coarse,
    core,
    is_number,
    token_of,
)

Floats = NDArray[np.float64]

#: The share of a column's values that one format has to read.
NEARLY_ALL: Final = 0.9
#: What only another format reads is no slip of the pen where it is so much, relative to what only the best reads.
CONFLICT: Final = 0.1
#: Larger whole numbers may differ though their doubles are equal.
EXACT: Final = 2.0**53
#: A letter or digit.
_NAMED: Final = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a column's texts are as numbers. `format` is None where no format reads nearly all, and `why` then says
    what hinders; `rival`: what reads as much, and means other numbers; `decimal`: the decimal mark that is certain."""

    format: Format | None
    rival: Format | None = None
    decimal: str = ""
    #: Whether they are whole numbers with leading zeros: names, not amounts.
    codes: bool = False
    why: str = ""
    notice: str = ""
    #: Whether numbers with and without a group of three are there, and the latter are less than 1000.
    grouped: bool = False


def is_plain(values: Floats, texts: Sequence[str] | None) -> bool:
    """Whether texts that were read as these plain numbers cannot be meant otherwise.

    Without the texts, of which none has a leading zero then: whether the numbers alone tell that they cannot.
    """
    if not np.isfinite(values).all():
        return False
    if texts is not None:
        padded = [text for text in texts if text[:1] == "0" and len(text) > 1 and text.isdigit()]
        if padded:
            return not _are_codes(texts)
    if (values == np.round(values)).all():
        return texts is not None or bool((np.abs(values) <= EXACT).all())
    thousandth = 1000 * values  # rounded: 1000 * 4.035 is not 4035
    if not np.isclose(thousandth, np.round(thousandth), rtol=1e-12, atol=1e-6).all():
        return True
    if texts is None:
        size = np.abs(values)  # 1.234 may be 1234, and 0.234 or 1234.567 not
        return bool(
            (((size < 1.0) & (size > 0.0)) | ((size >= 1000.0) & (size != np.round(size)))).any()
        )
    return any(core(",", ".").fullmatch(text.strip().lstrip("+-")) is None for text in texts)


def find(values: Sequence[str], counts: NDArray[np.intp], only: str = "") -> Finding:
    """How the numbers among different texts are written, each of which is there so often.

    `only` is what was said: "decimal-comma", "decimal-point", "h:mm" or "m:ss".
    """
    if all(text.lower() in TRUTHS for text in values):
        return Finding(PLAIN)
    named = np.array([_NAMED.search(text) is not None for text in values], dtype=bool)
    if named.any() and not named.all():  # a dash in an empty cell
        values, counts = [t for t, n in zip(values, named, strict=True) if n], counts[named]
    if only in ("h:mm", "m:ss"):
        return _durations(values, counts, only) or Finding(None, why="no durations")
    if not only:
        sample = values[:: max(1, len(values) // 1000)]
        if sum(any(map(str.isdigit, text[:24])) for text in sample) < 0.5 * len(sample):
            return Finding(None)
        if _hold_codes(values):
            return Finding(None, codes=True)
    timed = _durations(values, counts, "")
    if timed is not None:
        return timed
    if not only and sum(map(is_number, sample)) < 0.4 * len(sample):
        return Finding(None)
    return _amounts(values, counts, only)


def _amounts(values: Sequence[str], counts: NDArray[np.intp], only: str) -> Finding:
    """The numbers among texts that are no durations."""
    total = int(counts.sum())
    values, counts, tokens = _shapes(values, counts)
    tokens = [token if token is not None and token.is_number else None for token in tokens]
    there = np.array([token is not None for token in tokens])
    if counts[there].sum() < NEARLY_ALL * total and not only:
        return Finding(None, why=_why_few(values, there, counts))
    unit, scaled, why = _unit(tokens, counts, total)
    if why:
        return Finding(None, why=why)
    candidates = [
        replace(f, unit=unit, scaled=scaled)
        for f in FORMATS
        if only not in ("decimal-comma", "decimal-point")
        or (f.decimal == ",") == (only == "decimal-comma")
    ]
    readings = [
        np.array([f.value(token, core(f.decimal, f.group)) for token in tokens]) for f in candidates
    ]
    weights = [int(counts[~np.isnan(reading)].sum()) for reading in readings]
    best = int(np.argmax(weights))
    if not weights[best] or (weights[best] < NEARLY_ALL * total and not only):
        return Finding(None, why=_why_none(values, readings, counts))
    if np.mean([t.brackets for t in tokens if t is not None]) > NEARLY_ALL:
        return Finding(None)
    return _judged(values, counts, candidates, readings, weights, best)


def _shapes(
    values: Sequence[str], counts: NDArray[np.intp]
) -> tuple[list[str], NDArray[np.intp], list[Token | None]]:
    """One text of each shape (where digits, marks and units stand), how often each is there, and what it is."""
    at: dict[tuple[Any, ...], int] = {}
    alike: dict[str, int] = {}
    texts: list[str] = []
    tokens: list[Token | None] = []
    weights: list[int] = []
    for text, count in zip(values, counts.tolist(), strict=True):
        rough = coarse(text)
        if rough not in alike:
            token = token_of(text)
            shape: tuple[Any, ...] = (None,)
            if token is not None:
                runs = CODE.sub(lambda m: ("0" if m[0][0] == "0" else "1") * len(m[0]), token.core)
                shape = (runs, bool(token.power), token.unit, token.scale, token.brackets)
            alike[rough] = k = at.setdefault(shape, len(texts))
            if k == len(texts):
                texts.append(text)
                tokens.append(token)
                weights.append(0)
        weights[alike[rough]] += count
    return texts, np.array(weights, dtype=np.intp), tokens


def _judged(
    values: Sequence[str],
    counts: NDArray[np.intp],
    candidates: Sequence[Format],
    readings: Sequence[Floats],
    weights: Sequence[int],
    best: int,
) -> Finding:
    """The best format, and the one that reads as much otherwise."""
    rival = None
    mine = ~np.isnan(readings[best])
    for k, other in enumerate(readings):
        also = ~np.isnan(other)
        if k == best or not (readings[best] != other)[mine & also].any():
            continue
        only_other, only_best = counts[also & ~mine].sum(), counts[mine & ~also].sum()
        if weights[k] == weights[best]:
            rival = rival or candidates[k]
        elif only_other > CONFLICT * only_best:
            a, b = _first(values, mine & ~also), _first(values, also & ~mine)
            return Finding(
                None, why=f"it has numbers in different formats, such as {a!r} and {b!r}"
            )
    best_format = candidates[best]
    marks = {c for text in values for c in text if c in ".,"}
    decimal = (
        ""
        if rival
        else best_format.decimal
        if best_format.group in marks or best_format.decimal in marks
        else ""
    )
    bare = [t for t, ok in zip(values, mine, strict=True) if ok and not any(c in ".,'" for c in t)]
    less = all(len(re.sub(r"\D", "", t)) <= 3 for t in bare)
    return Finding(best_format, rival, decimal, grouped=bool(bare) and less)


def settled(finding: Finding, decimal: str, separator: str) -> tuple[Format | None, str]:
    """The format of a column, after what the rest of the table says, and a doubt that has to be said, or none.

    `decimal`: the decimal mark of other columns, if it is certain; `separator`: what parts the file's fields.
    """
    if finding.rival is None or finding.format is None:
        return finding.format, ""
    both = (finding.format, finding.rival)
    fraction = next((f for f in both if not f.group or f.group == " "), both[0])
    grouped = both[1] if fraction is both[0] else both[0]
    mark = fraction.decimal
    if decimal:
        pick = fraction if decimal == mark else grouped
        return pick, "" if pick is fraction else _doubt(pick, mark)
    if mark == ",":
        pick = fraction if separator == ";" else grouped
        return pick, _doubt(pick, mark)
    if separator in (",", ""):
        return fraction, ""
    pick = grouped if finding.grouped else fraction
    return pick, _doubt(pick, mark)


def doubtful(values: Sequence[str], written: Format, separator: str) -> str:
    """What has to be said of new numbers that are read as in training, though their file parts its fields as files do in
    which the same mark parts thousands; empty where no doubt is left."""
    if written.duration or (written.decimal, separator) not in ((".", ";"), (",", ",")):
        return ""
    other = core("," if written.decimal == "." else ".", written.decimal)
    marked = [text for text in values if written.decimal in text]
    tokens = [token_of(text) for text in marked]
    if not marked or not all(
        t is not None and not t.power and other.fullmatch(t.core) for t in tokens
    ):
        return ""
    value = written.read(marked[:1])[0]
    return f"{marked[0]} is read as {value:g}, as numbers were written in training"


def _doubt(pick: Format, mark: str) -> str:
    reading, other = ("1.234", "1234") if pick.decimal == mark else ("1234", "1.234")
    way = {".": "decimal-point", ",": "decimal-comma"}
    wish = way[mark] if pick.decimal != mark else way["." if mark == "," else ","]
    return f"1{mark}234 is read as {reading}; if it is {other}, say so: --column NAME=number:{wish}"


def _hold_codes(texts: Sequence[str]) -> bool:
    """Whether texts are names such as 01234, and others that are no numbers (K1A 0B1)."""
    codes = [text for text in texts if text.isdecimal() and text.isascii()]
    if len(codes) < 0.5 * len(texts) or not _are_codes(codes):
        return False
    return len(codes) == len(texts) or not any(
        is_number(text) for text in texts if not CODE.fullmatch(text)
    )


def _are_codes(texts: Sequence[str]) -> bool:
    """Whether whole numbers, some with leading zeros, are names: all are as long, or many have such zeros."""
    padded = sum(len(text) > 1 and text[0] == "0" for text in texts)
    return bool(padded) and (len({len(text) for text in texts}) == 1 or 100 * padded >= len(texts))


def _unit(
    tokens: Sequence[Token | None], counts: NDArray[np.intp], total: int
) -> tuple[str, bool, str]:
    """The unit of a column's numbers, whether thousands are written as k, and why there is no one unit."""
    units: Counter[str] = Counter()
    examples: dict[str, Token] = {}
    scales: Counter[str] = Counter()
    for token, count in zip(tokens, counts.tolist(), strict=True):
        if token is not None:
            units[token.unit] += count
            scales[token.scale] += count
            examples.setdefault(token.unit, token)
    scaled = any(scales[s] for s in SCALES)
    (unit, most), *others = units.most_common() or [("", 0)]
    named = [u for u in units if u]
    if most + (others[0][1] if others else 0) < NEARLY_ALL * total:
        return "", False, ""
    if len(named) == 1 and MONEY.fullmatch(named[0]):
        return named[0], scaled, ""
    if others and most < NEARLY_ALL * total:
        first, second = unit, others[0][0]
        words = [f"in {u!r}" if u else "without a unit" for u in (first, second)]
        return "", False, f"it has numbers {words[0]} and {words[1]}, and those do not compare"
    return unit, scaled, ""


def _why_none(values: Sequence[str], readings: Sequence[Floats], counts: NDArray[np.intp]) -> str:
    weights = [counts[~np.isnan(r)].sum() for r in readings]
    best = int(np.argmax(weights))
    mine = ~np.isnan(readings[best])
    if not mine.any() or mine.all():
        return ""
    return (
        f"it looks like numbers, but no one format reads nearly all: {_first(values, mine)!r} and "
        f"{_first(values, ~mine)!r} differ"
    )


def _why_few(values: Sequence[str], there: NDArray[np.bool_], counts: NDArray[np.intp]) -> str:
    share = counts[there].sum() / counts.sum()
    if share < 0.5:
        return ""
    return f"{share:.0%} of its values are numbers, and others, such as {_first(values, ~there)!r}, are none"


def _first(values: Sequence[str], which: NDArray[np.bool_]) -> str:
    return values[int(np.flatnonzero(which)[0])]


# -- durations ----------------------------------------------------------------------------------


def _durations(values: Sequence[str], counts: NDArray[np.intp], only: str) -> Finding | None:
    """Durations and times of day, if nearly all are; `only`: how two parts are meant, if that was said."""
    sample = values[:: max(1, len(values) // 500)]
    if (
        not only
        and sum(not math.isnan(durations.read(t, "m:ss")) for t in sample) < len(sample) / 2
    ):
        return None
    read = np.array([durations.read(text, "m:ss") for text in values])
    there = ~np.isnan(read)
    if not there.any() or (counts[there].sum() < NEARLY_ALL * counts.sum() and not only):
        return None
    matches = [m for text in values if (m := durations.CLOCK.fullmatch(text.translate(SAME)))]
    two = [m for m in matches if not m["third"] and not m["half"] and not m["days"]]
    if not matches and not only and not durations.several_units(values):
        return None  # "90 min" in all rows: a number with a unit
    if only or not two:
        return Finding(Format(duration=only or "any"))
    if any(m["third"] and not m["half"] and int(m["first"]) < 24 for m in matches):
        meant, sure = "m:ss", len(two) < len(matches) and all(int(m["first"]) < 60 for m in two)
    elif all(int(m["first"]) < 24 and len(m["first"]) == 2 for m in two):
        meant, sure = "h:mm", any(int(m["first"]) == 0 for m in two)
    else:
        meant, sure = (
            ("m:ss", False) if any(int(m["first"]) >= 24 for m in two) else ("h:mm", False)
        )
    words = {"h:mm": "hours and minutes", "m:ss": "minutes and seconds"}
    other = "m:ss" if meant == "h:mm" else "h:mm"
    notice = (
        ""
        if sure
        else f"{two[0][0]} is read as {words[meant]}; if it is {words[other]}, say so: --column NAME=number:{other}"
    )
    return Finding(Format(duration=meant), notice=notice)
