"""What makes scores too good: columns that give the target away, groups that nobody named, rows that are there twice."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes.tabular.columns import Column
from tunesmith.recipes.tabular.matrix import places

if TYPE_CHECKING:
    from tunesmith.recipes.tabular.data import Data
    from tunesmith.recipes.tabular.splits import Split

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

#: More rows than this do not change what a column tells.
ROWS: Final = 5_000
#: Columns that are looked at, at most: each takes some milliseconds.
COLUMNS: Final = 2_000
#: Rows that are not of the commonest class, which are looked at where there are so many; and rows at most.
OTHERS: Final = 50
MOST_ROWS: Final = 50_000
#: With fewer rows a column may tell everything by chance; so it may where that is likelier than this.
FEWEST_ROWS: Final = 30
BY_CHANCE: Final = 1e-3
#: The share of the errors (or of a target's variance) that is gone where a column tells nearly everything.
NEARLY_ALL: Final = 0.95
NEARLY_ALL_NUMBERS: Final = 0.97
#: A column of more values than this, and twice the classes, may name groups.
MANY: Final = 10
#: Columns that a warning names.
NAMED: Final = 5


def warnings(data: Data, frame: Any = None) -> tuple[str, ...]:
    """What has to be said loudly of a table before it is learned from; `frame`, if there is one, has the columns
    that were left out."""
    if data.sparse or data.rows < FEWEST_ROWS:
        return ()
    rows = _looked_at(data)
    y = data.y[rows]
    if data.classes and _chance(y, min(data.width, COLUMNS)) > BY_CHANCE:
        return ()
    kinds = len(data.classes)
    copies, groups = [], []
    for at, column in list(places(data.columns))[:COLUMNS]:
        if column.kind == "text":
            if kinds and _by_word(data.x[rows, at : at + column.width], y, kinds) >= _enough(kinds):
                copies.append(column.name)
            continue
        share = _share_explained(data.x[rows, at : at + column.width], column, y, kinds)
        if share < _enough(kinds):
            if _is_group(data.x[rows, at], column, y, kinds):
                groups.append(column.name)
        elif column.kind == "category" and len(column.known) > max(MANY, 2 * kinds):
            groups.append(column.name)
        else:
            copies.append(column.name)
    if frame is not None:
        groups += [
            name for name in _left_out(data) if _names_groups(frame[name].iloc[rows], y, kinds)
        ]
    if data.bonds.group is not None:
        groups = []  # they were named
    return (*_of_copies(copies, data.target), *_of_groups(groups, data.target))


def _looked_at(data: Data) -> NDArray[np.intp]:
    """Rows that tell what all do: more of them where nearly all are of one class."""
    size = ROWS
    if data.classes:
        others = data.rows - int(np.bincount(data.y.astype(int)).max())
        size = max(ROWS, min(MOST_ROWS, OTHERS * data.rows // max(others, 1)))
    if data.rows <= size:
        return np.arange(data.rows)
    return np.sort(np.random.default_rng(0).permutation(data.rows)[:size])


def _chance(y: Floats, columns: int) -> float:
    """The chance, at most, that two splits of one of so many columns of noise part the commonest class from the rest."""
    rows = len(y)
    others = rows - int(np.bincount(y.astype(int)).max())
    ways = math.lgamma(rows + 1) - math.lgamma(others + 1) - math.lgamma(rows - others + 1)
    return math.exp(min(0.0, math.log(columns * rows**2 / 2) - ways))


def _of_copies(names: Sequence[str], target: str) -> list[str]:
    if not names:
        return []
    listed, several, they, more = _listed(names)
    text = (
        f"{listed}{', each' if several else ''} alone tell{'' if several else 's'} nearly all of {target!r}, as a copy "
        f"of it would: if {they} not known when you predict, the target leaks, and the scores mean nothing; then leave "
        f"{'them' if several else 'it'} out, with --column {shlex.quote(f'{names[0]}=ignore')}{more}"
    )
    return [text]


def _of_groups(names: Sequence[str], target: str) -> list[str]:
    if not names:
        return []
    listed, _, _, _ = _listed(names)
    text = (
        f"rows with the same {listed} nearly always have the same {target!r}: if new rows will be of others, the "
        f"scores are too good; keep these rows together in folds, with --group {shlex.quote(names[0])}"
    )
    return [text]


def _listed(names: Sequence[str]) -> tuple[str, bool, str, str]:
    """The names, whether they are several, "they are" or "it is", and the end of an example."""
    several = len(names) > 1
    listed = ", ".join(map(repr, names[:NAMED]))
    if len(names) > NAMED:
        listed += f" and {len(names) - NAMED:,} more"
    return listed, several, "they are" if several else "it is", " and so on" if several else ""


# -- what one column tells ----------------------------------------------------------------------


def _enough(kinds: int) -> float:
    return NEARLY_ALL if kinds else NEARLY_ALL_NUMBERS


def _share_explained(values: Floats, column: Column, y: Floats, kinds: int) -> float:
    """The share of the target that a column alone tells: with a split or two, or a value for each category."""
    if column.kind == "category":
        return by_value(_codes(values[:, 0]), y, kinds)
    return max(_by_splits(part, y, kinds) if kinds else _by_line(part, y) for part in values.T)


def _by_splits(values: Floats, y: Floats, kinds: int) -> float:
    """The share of errors that is gone where each class has a range of the values, and one is left for gaps."""
    from sklearn.tree import DecisionTreeClassifier

    there = values[np.isfinite(values)]
    if not len(there):
        return 0.0
    # a gap may be what tells: it is below all values
    span = float(np.ptp(there)) or 1.0
    filled = np.where(np.isfinite(values), values, there.min() - span)[:, None]
    if np.ptp(filled) == 0.0:
        return 0.0
    scaled = (filled - filled.min()) / np.ptp(filled)  # trees count in single precision
    tree = DecisionTreeClassifier(max_leaf_nodes=kinds + 1, random_state=0).fit(scaled, y)
    wrong = float((tree.predict(scaled) != y).mean())
    blind = 1.0 - float(np.bincount(y.astype(int)).max()) / len(y)
    return 1.0 - wrong / blind


def _by_word(counts: Floats, y: Floats, kinds: int) -> float:
    """The share of errors that is gone with one word or part of one: by whether it is there. `counts`: (rows, words)."""
    there = (counts > 0.0).T.astype(np.float32) @ np.eye(kinds, dtype=np.float32)[y.astype(int)]
    total = np.bincount(y.astype(int), minlength=kinds)
    right = there.max(axis=1) + (total - there).max(axis=1)
    return 1.0 - (1.0 - float(right.max()) / len(y)) / (1.0 - float(total.max()) / len(y))


def _by_line(values: Floats, y: Floats) -> float:
    """The share of the variance that is gone with a line, or with a curve that only rises or falls."""
    from scipy.stats import rankdata

    there = np.isfinite(values)
    if there.sum() < FEWEST_ROWS:
        return 0.0
    x, z = values[there], y[there]
    if np.ptp(x) == 0.0 or np.ptp(z) == 0.0:
        return 0.0
    with np.errstate(all="ignore"):
        lines = (np.corrcoef(x, z)[0, 1], np.corrcoef(rankdata(x), rankdata(z))[0, 1])
    return float(np.nanmax(np.square(lines))) * float(there.mean())


def by_value(codes: Codes, y: Floats, kinds: int) -> float:
    """The share of errors (or of the variance) that is gone where each row is told by the others of the same value.

    `codes` are from 0 on, shape (rows,); `y` has values, or the indices of `kinds` classes.
    """
    n = np.bincount(codes)
    if not kinds:
        others = n[codes] - 1.0
        total = np.bincount(codes, y)[codes] - y
        mean = np.where(others > 0, total / np.maximum(others, 1.0), y.mean())
        spread = float(np.square(y - y.mean()).sum())
        return 1.0 - float(np.square(y - mean).sum()) / spread if spread else 0.0
    table = np.zeros((len(n), kinds))
    np.add.at(table, (codes, y.astype(int)), 1.0)
    ordered = np.sort(table, axis=1)
    most, second = ordered[:, -1], ordered[:, -2]
    right = most[(most - 1.0 >= second) & (most > 1.0)].sum()
    return 1.0 - float(1.0 - right / len(y)) / float(
        1.0 - np.bincount(y.astype(int)).max() / len(y)
    )


# -- groups -------------------------------------------------------------------------------------


def _is_group(values: Floats, column: Column, y: Floats, kinds: int) -> bool:
    """Whether numbers that come back tell the target as names would: a patient's number, say."""
    if column.kind != "number" or not np.isfinite(values).all():
        return False
    if not (values == np.round(values)).all():
        return False
    return _tells(_codes(values), y, kinds)


def _names_groups(series: Any, y: Floats, kinds: int) -> bool:
    """Whether the texts of a column that is left out, as it has too many, come back and tell the target."""
    import pandas as pd
    from pandas.api import types

    if not (types.is_object_dtype(series) or types.is_string_dtype(series)) or series.isna().any():
        return False
    try:
        codes, _ = pd.factorize(series)
    except TypeError:  # lists
        return False
    return _tells(codes, y, kinds)


def _tells(codes: Codes, y: Floats, kinds: int) -> bool:
    count = len(np.unique(codes))
    if not max(MANY, 2 * kinds) < count <= len(codes) / 2:
        return False
    return by_value(codes, y, kinds) >= _enough(kinds)


def _left_out(data: Data) -> list[str]:
    roles = data.roles.to_dict().values()
    return [name for name in data.left_out if name not in roles]


def _codes(values: Floats) -> Codes:
    """Numbers from 0 on for values, gaps being one as well."""
    _, codes = np.unique(values, return_inverse=True)
    return np.asarray(codes, dtype=np.intp)


# -- rows that are there twice ------------------------------------------------------------------


def copies(data: Data, folds: Sequence[Split]) -> int:
    """How many rows are the same, target included, as a row that their fold learns from; of the first folds that
    check each."""
    marks = _marks(data)
    _, first, counts = np.unique(marks, return_index=True, return_counts=True)
    if len(first) == len(marks):
        return 0
    several = np.isin(marks, marks[first[counts > 1]])
    seen = np.zeros(len(marks), dtype=bool)
    twice = 0
    for split in folds:
        checked = split.checked[~seen[split.checked]]
        seen[checked] = True
        checked = checked[several[checked]]
        twice += int(np.isin(marks[checked], marks[split.learned]).sum())
    return twice


def _marks(data: Data) -> NDArray[np.uint64]:
    """A digest of each row, the same for the same values, shape (rows,)."""
    import pandas as pd

    if data.sparse:
        csr = data.x
        marks = [
            hash((csr.indices[a:b].tobytes(), csr.data[a:b].tobytes()))
            for a, b in zip(csr.indptr[:-1], csr.indptr[1:], strict=True)
        ]
        frame = pd.DataFrame({"x": np.array(marks), "y": data.y})
    else:
        frame = pd.DataFrame(np.column_stack([data.x, data.y]) + 0.0)  # -0 is 0
    return np.asarray(pd.util.hash_pandas_object(frame, index=False).to_numpy())


def notice_of_copies(count: int, rows: int) -> str:
    return (
        f"{count:,} of {rows:,} rows are the same, target included, as rows that their fold learns from: if these "
        "are one case recorded twice, the scores are too good; leave the copies out, or name what they share with "
        "--group"
    )
