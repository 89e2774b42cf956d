"""Cross-validation that respects what binds rows together: which are learned from, and which are checked.

Independent rows go to stratified folds. Groups stay whole. In time, rows are checked with what was learned from
earlier ones only: the first half is never checked, and the second half is checked part after part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular import stratified
from tunesmith.recipes.tabular.data import Data

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]

#: The share of the rows, in order of time, that is only learned from.
FIRST: Final = 0.5
#: Quantiles of a target that groups are spread by.
BINS: Final = 8


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to learn from, and rows to check with."""

    learned: Rows
    checked: Rows


def splits(data: Data, folds: int, repeats: int, seed: int) -> list[Split]:
    """The splits of a table, `folds` for each repeat. Raises JobError where one would learn from a single class."""
    bonds = data.bonds
    if bonds.time is not None:
        fold_of = None
        if bonds.group is not None:
            fold_of = _of_groups(data.y, bool(data.classes), bonds.group, folds, 1, seed)[0]
        chosen = _in_time(bonds.time, bonds.group, fold_of, folds)
    else:
        each = (
            stratified.folds(data.y, folds, repeats, seed)
            if bonds.group is None
            else _of_groups(data.y, bool(data.classes), bonds.group, folds, repeats, seed)
        )
        chosen = [
            Split(np.flatnonzero(fold != k), np.flatnonzero(fold == k))
            for fold in each
            for k in range(folds)
        ]
    for split in chosen:
        if not len(split.learned):
            raise JobError(
                f"no row is earlier in {data.roles.time!r} and of another group in {data.roles.group!r} than those "
                "of one fold; leave --group or --time-column out"
            )
        if data.classes and np.ptp(data.y[split.learned]) == 0.0:
            raise JobError(_one_class(data, split))
    return chosen


def _one_class(data: Data, split: Split) -> str:
    only = data.classes[int(data.y[split.learned][0])]
    if data.bonds.time is not None:
        return (
            f"the first {len(split.learned):,} rows in the order of {data.roles.time!r} are all {only!r}: nothing "
            "can be learned from them, and so folds in time order are not possible; leave --time-column out"
        )
    return (
        f"without the groups of one fold all rows are {only!r}: each class has to be in two groups of "
        f"{data.roles.group!r} at least"
    )


def checked_rows(chosen: list[Split]) -> Rows:
    """The rows that are checked in any of the splits, in order."""
    return np.unique(np.concatenate([split.checked for split in chosen]))


def most_folds(data: Data, folds: int, repeats: int) -> tuple[int, int]:
    """As many folds and repeats as the groups and times allow, those wanted at most. Raises JobError for fewer than
    two."""
    bonds = data.bonds
    if bonds.group is not None:
        folds = min(folds, len(np.unique(bonds.group)))
    if bonds.time is not None:
        folds, repeats = min(folds, len(_later_times(bonds.time)[0])), 1
    if folds < 2:
        raise JobError(
            f"{data.name}: {data.roles.time!r} has two different times; folds in time order need three at least"
            if bonds.time is not None
            else f"{data.name}: a single group is left in {data.roles.group!r}; folds need two at least"
        )
    return folds, repeats


def inner(data: Data, y: Floats, one_in: int, seed: int) -> Split:
    """A part of a training set that says when to stop, about one row in so many: the latest, or whole groups; and what is
    learned from meanwhile. With groups and times, rows that are neither are left out."""
    bonds = data.bonds
    if bonds.time is not None and bonds.group is not None:
        parts = max(2, one_in // 2)  # of the later half
        fold_of = _of_groups(y, bool(data.classes), bonds.group, parts, 1, seed)[0]
        last = _in_time(bonds.time, bonds.group, fold_of, parts)[-1]
        if len(last.learned) and len(last.checked):
            return last
    stopping = np.zeros(len(y), dtype=bool)
    if bonds.time is not None:
        stopping = bonds.time > np.quantile(bonds.time, 1.0 - 1.0 / one_in)
    elif bonds.group is not None and (count := len(np.unique(bonds.group))) > 1:
        fold = _of_groups(y, bool(data.classes), bonds.group, min(one_in, count), 1, seed)[0]
        stopping = fold == 0
    if not stopping.any():
        stopping = stratified.folds(y, one_in, 1, seed)[0] == 0
    return Split(np.flatnonzero(~stopping), np.flatnonzero(stopping))


def parts(data: Data, y: Floats, k: int, seed: int) -> list[Split] | None:
    """A partition of a training set, each part of which is told by others: by those of other groups, by what is earlier.
    The first part in time is told by the second. None where rows are independent, or too few groups or times bind them."""
    bonds = data.bonds
    if bonds.time is not None:
        at = np.unique(bonds.time, return_inverse=True)[1]
        middle = np.cumsum(np.bincount(at)) - np.bincount(at) / 2
        part = _numbered((middle * k / len(y)).astype(int)[at])
    elif bonds.group is not None:
        k = min(k, len(np.unique(bonds.group)))
        part = _of_groups(y, bool(data.classes), bonds.group, max(2, k), 1, seed)[0].astype(int)
    else:
        return None
    count = int(part.max()) + 1
    if count < 2:
        return None
    out = []
    for fold in range(count):
        others = part != fold
        if bonds.time is not None:
            others = part < fold if fold else part == 1
            if bonds.group is not None:
                apart = others & ~np.isin(bonds.group, bonds.group[part == fold])
                others = apart if apart.any() else others
        out.append(Split(np.flatnonzero(others), np.flatnonzero(part == fold)))
    return out


def _numbered(part: NDArray[np.intp]) -> NDArray[np.intp]:
    """Parts from 0 on, none of them empty."""
    return np.asarray(np.unique(part, return_inverse=True)[1], dtype=np.intp)


def kind_of_rows(roles_of: dict[str, str]) -> str:
    """Which new rows scores of such splits are for."""
    group, time = roles_of.get("group"), roles_of.get("time_column")
    if not group and not time:
        return "rows like these"
    return f"{'later ' if time else ''}rows{' of new groups' if group else ''}"


def assumption(roles_of: dict[str, str]) -> str:
    """Under which assumption scores of such splits hold, in a sentence."""
    group, time = roles_of.get("group"), roles_of.get("time_column")
    weight = roles_of.get("weight")
    if group and time:
        holds = (
            f"for rows later in {time!r} than those learned from, and of other groups ({group!r}), if later times "
            "are like the later half of these"
        )
    elif group:
        holds = f"for rows of new groups: no {group!r} was both learned from and checked"
    elif time:
        holds = f"for rows later in {time!r} than those learned from, if later times are like the later half of these"
    else:
        holds = "if new rows come as these did, independent of one another (otherwise: --group, --time-column)"
    return f"holds {holds}{f'; rows count by {weight!r}' if weight else ''}"


# -- groups -------------------------------------------------------------------------------------


def _of_groups(
    y: Floats, classes: bool, group: NDArray[np.intp], k: int, repeats: int, seed: int
) -> NDArray[np.int8]:
    """Which fold each row is checked in, shape (repeats, rows), where no group is in two.

    Greedy: the groups that weigh most in any class (or range of the target) come first, and each goes where least
    of its kind is. O(groups * k * kinds).
    """
    rng = np.random.default_rng(seed)
    kinds = y.astype(int) if classes else _bins(y)
    _, group = np.unique(group, return_inverse=True)
    groups, count = int(group.max()) + 1, int(kinds.max()) + 1
    holds = np.zeros((groups, count + 1))
    np.add.at(holds, (group, kinds), 1.0)
    holds[:, count] = holds.sum(axis=1)  # and all rows, so that folds are of a size
    holds /= np.maximum(holds.sum(axis=0), 1.0)
    out = np.empty((repeats, len(y)), dtype=np.int8)
    for repeat in range(repeats):
        shuffled = rng.permutation(groups)
        order = shuffled[np.argsort(-holds[shuffled].max(axis=1), kind="stable")]
        load = np.zeros((k, count + 1))
        fold_of = np.empty(groups, dtype=np.int8)
        for at, g in enumerate(order):
            # the first k groups go to one fold each: none is empty
            free = at if at < k else int(np.argmin(load @ holds[g]))
            fold_of[g] = free
            load[free] += holds[g]
        out[repeat] = fold_of[group]
    return out


def _bins(y: Floats) -> NDArray[np.intp]:
    """Which part of the target's range each row is in: parts of as many rows each."""
    edges = np.unique(np.quantile(y, np.linspace(0.0, 1.0, BINS + 1)[1:-1]))
    return np.searchsorted(edges, y, side="right")


# -- time ---------------------------------------------------------------------------------------


def _later_times(time: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """The times of the later half of the rows, in order, and how many rows each has; all but the first time, where the
    later half has a single one."""
    ordered = np.sort(time)
    times, counts = np.unique(time, return_counts=True)
    later = times > ordered[int(FIRST * (len(time) - 1))]
    if later.sum() < 2:
        later = times > times[0]
    return times[later], counts[later]


def _in_time(
    time: Floats, group: NDArray[np.intp] | None, fold_of: NDArray[np.int8] | None, k: int
) -> list[Split]:
    """Parts of the later rows, each checked with what all earlier rows teach; rows of one time stay together.

    Groups that are checked are not learned from. Where those of one part are in most of the earlier rows, only the
    groups of one fold, by `fold_of`, are checked.
    """
    times, counts = _later_times(time)
    k = min(k, len(times))
    middle = np.cumsum(counts) - counts / 2
    part = (middle * k / counts.sum()).astype(int)  # as many rows in each as whole times allow
    if len(np.unique(part)) < k:  # a time of very many rows: as many times in each
        part = np.arange(len(times)) * k // len(times)
    out = []
    for fold in range(k):
        own = times[part == fold]
        here, earlier = (time >= own[0]) & (time <= own[-1]), time < own[0]
        if group is not None and fold_of is not None:
            others = ~np.isin(group, group[here])
            if (earlier & others).sum() < 0.5 * earlier.sum():
                mine = fold_of == fold
                here = here & mine if (here & mine).any() else here
                others = ~np.isin(group, group[here])
            earlier = earlier & others
        out.append(Split(np.flatnonzero(earlier), np.flatnonzero(here)))
    return out
