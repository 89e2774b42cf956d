"""The columns of a table: what each holds, and what a person can say that it holds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from tunesmith.core.errors import JobError, did_you_mean, shown
from tunesmith.recipes.tabular import dates

Kind = Literal["number", "category", "date", "text"]
#: What a column can be said to be: a kind, or nothing that is learned from.
WISHES: Final = ("category", "number", "date", "text", "ignore")
#: How numbers and dates can be said to be written; a date also as a format such as %d/%m/%Y.
WAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "number": ("decimal-point", "decimal-comma", "h:mm", "m:ss"),
    "date": (*dates.ORDERS, *dates.SERIALS),
}
#: Nothing was said of any column.
NO_WISHES: Final[Mapping[str, str]] = MappingProxyType({})
#: What an earlier version kept of how a column's numbers are written: nothing.
UNKNOWN: Final = "?"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table. `known`: a category's texts in order; `written`: the format of its dates, or of its
    numbers (empty: plain); `parts`: those of a date that differ; `missing`: whether any value was missing; `odd`: the
    commonest texts among numbers or dates, which count as missing; `zoned`: whether its times have zones (None: some,
    or that is not known)."""

    name: str
    kind: Kind
    known: tuple[str, ...] = ()
    written: str = ""
    parts: tuple[str, ...] = ()
    missing: bool = False
    odd: tuple[str, ...] = ()
    zoned: bool | None = None
    #: Of a text: the n-grams that are counted, the first `size` of them of words, the others of characters. Without
    #: them, in models of earlier versions, each kind has `size` places, by hash.
    grams: tuple[str, ...] = ()
    size: int = 0

    @property
    def width(self) -> int:
        """How many columns of the matrix it is."""
        if self.kind == "text":
            return len(self.grams) or 2 * self.size
        return len(self.parts) if self.kind == "date" else 1

    def to_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"name": self.name, "kind": self.kind}
        for key in ("known", "parts", "odd", "grams"):
            if getattr(self, key):
                out[key] = list(getattr(self, key))
        if self.written:
            out["written"] = self.written
        if self.missing:
            out["missing"] = True
        if self.zoned is not None:
            out["zoned"] = self.zoned
        if self.size:
            out["size"] = self.size
        return out

    @classmethod
    def from_dict(cls, spec: dict[str, Any]) -> Column:
        return cls(
            spec["name"],
            spec["kind"],
            tuple(spec.get("known", ())),
            spec.get("written", ""),
            tuple(spec.get("parts", ())),
            spec.get("missing", False),
            tuple(spec.get("odd", ())),
            spec.get("zoned"),
            tuple(spec.get("grams", ())),
            spec.get("size", 0),
        )


def wishes(spec: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    """What columns are said to be: ``{"zip": "category"}``, or texts such as ``"zip=category"``. Raises JobError."""
    if spec is None:
        return {}
    if isinstance(spec, str) or not isinstance(spec, (Mapping, Sequence)):
        raise JobError(f"columns is a dict such as {{'zip': 'category'}}, not {spec!r}")
    pairs: list[tuple[Any, Any]] = []
    if isinstance(spec, Mapping):
        pairs = list(spec.items())
    else:
        for text in spec:
            name, equals, kind = str(text).rpartition("=")
            if not equals:
                raise JobError(
                    f"--column {text}: write NAME=KIND, where KIND is one of {', '.join(WISHES)}"
                )
            pairs.append((name, kind))
    out: dict[str, str] = {}
    for name, wish in pairs:
        name, wish = str(name).strip(), str(wish).strip()
        _check_wish(name, wish)
        if out.get(name, wish) != wish:
            raise JobError(f"{name!r} is said to be {out[name]!r} and {wish!r}; leave one out")
        out[name] = wish
    return out


def _check_wish(name: str, wish: str) -> None:
    kind, colon, how = wish.partition(":")
    if kind not in WISHES:
        raise JobError(
            f"a column is one of {', '.join(WISHES)}, and {name!r} is said to be {kind!r}"
            f"{did_you_mean(kind, WISHES)}"
        )
    ways = WAYS.get(kind, ())
    if colon and how not in ways and not (kind == "date" and "%" in how):
        known = f": write {', '.join(f'{kind}:{way}' for way in ways)}" if ways else ""
        like = ", or date:%d/%m/%Y with a format of your own" * (kind == "date")
        raise JobError(f"{name!r} is said to be {wish!r}, and there is no such {kind}{known}{like}")


def flag(name: str, wish: str) -> str:
    """How a column is said to be something on the command line."""
    return f"--column {shlex.quote(f'{name}={wish}')}"


def named(doubt: str, name: str) -> str:
    """A doubt of `numbers`, which does not know the column."""
    return re.sub(r"--column NAME=(\S+)", lambda match: flag(name, match[1]), doubt)


def check_dates(order: str | None) -> str | None:
    """The order of day and month where a table leaves it open. Raises JobError."""
    if order is not None and order not in dates.ORDERS:
        raise JobError(f"dates is {' or '.join(dates.ORDERS)}, not {shown(order)}")
    return order


#: A column, or None where it is left out, and what has to be said about it.
Examined = tuple[Column | None, list[str]]


def left_out(name: str, why: str) -> Examined:
    return None, [f"{name!r} is left out: {why}"]
