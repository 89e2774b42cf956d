"""Columns that only label the rows: an index that was written along, row numbers in any order, identifiers."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: So many numbers have to differ in all rows before they are taken for row numbers.
FEW: Final = 20
#: The share of a range of whole numbers that row numbers fill: a table may be a part of a larger one.
DENSE: Final = 0.5
#: How pandas and Arrow call an index that has no name.
_UNNAMED: Final = re.compile(r"|Unnamed: ?\d+(_level_\d+|\.\d+)*|__index_level_\d+__|level_\d+")
#: Names of identifiers: id, ID, row_id, PassengerId, index, row number.
_IDENTIFIER: Final = re.compile(
    r"(?i:id|idx|index|row|rows?[ _.-]?(id|no|nr|num|number|index)|rownames?|serial|nr|no|#)|.*[ _.-](?i:id|idx|index)|.*[a-z](Id|ID)"
)


def row_label(name: str, values: Floats) -> str:
    """Why a column of finite numbers is a label of its rows, and no feature; empty if it is one.

    A column without a name counts as an index if its whole numbers differ, or fill their range, as several tables'
    indices do one below the other. Others differ in all rows and fill half of their range, or are called identifiers.
    """
    if not len(values) or not (values == np.round(values)).all():
        return ""
    distinct = np.unique(values)
    gap = _gap(distinct)
    dense = len(distinct) >= DENSE * ((distinct[-1] - distinct[0]) / gap + 1.0)
    if unnamed(name):
        if len(distinct) == len(values) or (dense and len(distinct) > FEW):
            return "it has no name and holds whole numbers, as an index that was written along with the table"
        return ""
    if len(distinct) < len(values) or len(values) <= FEW:
        return ""
    if (np.diff(values) == 1.0).all():
        return "it counts the rows"
    if dense and gap == 1.0:
        return "it numbers the rows, in another order"
    if _IDENTIFIER.fullmatch(name):
        return "it is an identifier, another whole number in every row"
    return ""


def unnamed(name: Any) -> bool:
    """Whether a column has the name that a column without one gets."""
    return bool(_UNNAMED.fullmatch(str(name)))


def _gap(distinct: Floats) -> float:
    """The greatest common divisor of the steps between whole numbers in order; 1 if there are none."""
    if len(distinct) < 2 or np.abs(distinct).max() > 2.0**53:
        return 1.0
    return float(np.gcd.reduce(np.diff(distinct).astype(np.int64)))
