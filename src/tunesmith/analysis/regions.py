"""Regions: which values of which parameters go with something that happened to some trials and not to others.

A region is one condition on a parameter, or two: ``batch_size >= 256 and width >= 1024``. Of all of them the one is taken
that makes it likeliest who is concerned, given the share inside and the share outside (the likelihood ratio G; Sokal & Rohlf,
"Biometry", 1995, chapter 17), if G is more than so many tries would give by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.trials import cut, show
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import count, show_number
from tunesmith.core.space.parameter import Choice, Int, Parameter
from tunesmith.core.space.space import Space
from tunesmith.core.trial import BLAMED, CODES, Kind, State

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Borders that are tried for a number, at most twice as many.
BORDERS: Final = 24
#: Digits of a border of real numbers.
DIGITS: Final = 4
#: Conditions that are tried together with each other one.
TOP: Final = 12
#: G of a region by chance is over this in one of a hundred tries; a second condition has to bring as much.
CHANCE: Final = 6.63
#: G by which a condition on a parameter that is not always active has to be better.
CONDITIONAL: Final = 6.0


class Region(NamedTuple):
    """Where something happens: `inside` of the `of` trials there, and `outside` of the `rest` trials elsewhere. `where` names
    the parameters and values, ``batch_size >= 256``; it is empty where no parameter tells."""

    where: str
    inside: int
    of: int
    outside: int
    rest: int


@dataclass(frozen=True)
class Failures:
    """The failures for one reason: `trials` are their numbers, `region` says where they happen."""

    kind: Kind
    trials: tuple[int, ...]
    region: Region

    def to_dict(self) -> dict[str, Any]:
        return {"reason": str(self.kind), "trials": list(self.trials), **self.region._asdict()}

    def __str__(self) -> str:
        """``out_of_memory: 9 of 11 trials with batch_size >= 256, none of the 29 others``"""
        where, inside, of, outside, rest = self.region
        if not where:
            return f"{self.kind}: {inside:,} of {count(of, 'trial')}"
        others = (
            f"{outside:,} of the {rest:,} others" if outside else f"none of the {rest:,} others"
        )
        return (
            f"{self.kind}: {inside:,} of {count(of, 'trial')} with {where}"
            + f", {others}" * bool(rest)
        )


def failures(ledger: Ledger) -> tuple[Failures, ...]:
    """By reason, the commonest first, the failures that the config may be blamed for, and where they happen. A trial that
    failed for another reason counts neither way. O(trials * parameters)."""
    state, blamed = ledger.column("state"), ledger.column("blamed")
    counts = ~ledger.column("retracted") & ~ledger.column("outside") & ~ledger.column("aged")
    ran = counts & np.isin(
        state, [CODES[s] for s in (State.COMPLETED, State.STOPPED, State.PAUSED)]
    )
    out = []
    for code, kind in enumerate(BLAMED, 1):
        bad = counts & (blamed == code)
        if bad.any():
            region = region_of(ledger.spec.space, ledger.column("numbers"), bad, bad | ran)
            out.append(Failures(kind, tuple(np.flatnonzero(bad).tolist()), region))
    return tuple(sorted(out, key=lambda f: -len(f.trials)))


def region_of(space: Space, numbers: Floats, bad: Mask, tried: Mask) -> Region:
    """Where those lie that are `bad`, among all that were `tried`, shape (n,); `numbers` are the configs, shape (n, d)."""
    rows = np.flatnonzero(tried)
    labels, values = bad[rows], numbers[rows]
    n, b = len(labels), int(labels.sum())
    nowhere = Region("", b, n, 0, 0)
    if b < 2 or b == n:
        return nowhere
    tests = list(_tests(space, values, labels))
    if not tests:
        return nowhere
    inside = np.array([test.inside for test in tests])
    columns = np.array([test.column for test in tests])
    # a parameter with many borders has as many chances to look right
    handicap = 2.0 * np.log(np.bincount(columns)[columns])
    # and one that is not always there says, too, what it depends on
    absent = np.asarray(np.isnan(values).any(axis=0))
    handicap += CONDITIONAL * absent[columns]
    single = _likelihood(inside, labels) - handicap
    needed = CHANCE + 2.0 * math.log(len(set(columns.tolist())))
    order = np.argsort(-single, kind="stable")
    best, chosen = float(single[order[0]]), [int(order[0])]
    for first in order[:TOP]:
        both = _likelihood(inside & inside[first], labels) - handicap - handicap[first]
        second = int(np.argmax(both))
        if both[second] > max(best, float(single.max()) + needed):
            best, chosen = float(both[second]), [int(first), second]
    if best < needed:
        return nowhere
    within = inside[chosen].all(axis=0)
    where = " and ".join(tests[k].text for k in sorted(chosen, key=lambda k: tests[k].column))
    return Region(
        where,
        int((labels & within).sum()),
        int(within.sum()),
        int((labels & ~within).sum()),
        int((~within).sum()),
    )


class _Test(NamedTuple):
    """A condition on the parameter in a column, and who fulfils it, shape (n,)."""

    column: int
    text: str
    inside: Mask


def _tests(space: Space, values: Floats, labels: Mask) -> Iterator[_Test]:
    """The conditions to try; a number's borders are those between one that is bad and one that is not."""
    for j, (name, parameter) in enumerate(space.tunables.items()):
        column = values[:, j]
        distinct = np.unique(column[~np.isnan(column)])
        if isinstance(parameter, Choice) and not parameter.ordered:
            for value in distinct.tolist() if len(distinct) > 1 else ():
                yield _Test(j, f"{name} = {cut(show(parameter.value(value)), 30)}", column == value)
            continue
        for beyond, value in _borders(column, labels, distinct):
            limit, text = _shown(parameter, beyond, value)
            if value > beyond:
                yield _Test(j, f"{name} >= {text}", column >= limit)
            else:
                yield _Test(j, f"{name} <= {text}", column <= limit)


def _borders(column: Floats, labels: Mask, distinct: Floats) -> list[tuple[float, float]]:
    """Neighbouring values of a good one and a bad one, in this order: the bad ones are ends of regions."""
    bad, good = (np.isin(distinct, column[mask]) for mask in (labels, ~labels))
    up, down = np.flatnonzero(good[:-1] & bad[1:]), np.flatnonzero(bad[:-1] & good[1:])
    low = np.concatenate([np.column_stack([up, up + 1]), np.column_stack([down + 1, down])])
    if len(low) > 2 * BORDERS:
        low = low[np.linspace(0, len(low) - 1, 2 * BORDERS).astype(np.int64)]
    return [(float(distinct[i]), float(distinct[k])) for i, k in low.tolist()]


def _shown(parameter: Parameter, beyond: float, value: float) -> tuple[float, str]:
    """The number of fewest digits that parts `value` from `beyond`, on its side, or its neighbour of `DIGITS`; and its text."""
    if isinstance(parameter, Choice):
        return value, show(parameter.value(value))
    up = value > beyond
    for digits in range(1, DIGITS + 1):
        step = 10.0 ** (math.floor(math.log10(abs(value) or 1.0)) + 1 - digits)
        short = float(f"{(math.floor if up else math.ceil)(value / step) * step:.12g}")
        if beyond < short <= value or value <= short < beyond:
            break
    else:
        short = value if isinstance(parameter, Int) else float(f"{value:.{DIGITS}g}")
    return short, show_number(short, 12)


def _likelihood(inside: Mask, labels: Mask) -> Floats:
    """G of each of some regions, shape (m, n), in which the share is higher than outside; else 0. Shape (m,)."""
    n, b = len(labels), int(labels.sum())
    of = inside.sum(axis=1).astype(np.float64)
    hit = (inside & labels).sum(axis=1).astype(np.float64)
    g = 2.0 * (
        _entropy(hit, of)
        + _entropy(b - hit, n - of)
        - _entropy(np.array(float(b)), np.array(float(n)))
    )
    out: Floats = np.where(hit * n > b * of, g, 0.0)
    return out


def _entropy(hit: Floats, of: Floats) -> Floats:
    """The log likelihood of `hit` in `of` at their share."""
    from scipy.special import xlogy

    share = hit / np.maximum(of, 1.0)
    out: Floats = xlogy(hit, share) + xlogy(of - hit, 1.0 - share)
    return out
