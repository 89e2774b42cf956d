"""Columns with another role than a feature's: groups, an order in time, weights. Also the costs of mistakes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError, did_you_mean, shown
from tunesmith.core.quantity import are, count
from tunesmith.recipes.tabular.amounts import ordered
from tunesmith.recipes.tabular.habits import Habits
from tunesmith.recipes.tabular.metrics import Aim
from tunesmith.recipes.tabular.numbers import NEARLY_ALL
from tunesmith.recipes.tabular.values import as_texts

Floats = NDArray[np.float64]
#: What a mistake costs that nothing is said about.
ONE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Roles:
    """The names of the columns that say which rows belong together, when each was, and how much each counts."""

    group: str | None = None
    time: str | None = None
    weight: str | None = None

    @property
    def unlearned(self) -> tuple[str, ...]:
        """Those that nothing is learned from: a time may be a feature as well."""
        return tuple(name for name in (self.group, self.weight) if name is not None)

    def to_dict(self) -> dict[str, str]:
        named = {"group": self.group, "time_column": self.time, "weight": self.weight}
        return {role: name for role, name in named.items() if name is not None}

    @classmethod
    def from_dict(cls, spec: Mapping[str, str]) -> Roles:
        return cls(spec.get("group"), spec.get("time_column"), spec.get("weight"))


@dataclass(frozen=True, eq=False)
class Bonds:
    """What those columns hold, each of shape (rows,): `group`, a number for each; `time`, which only has an order;
    `weight`, above 0."""

    group: NDArray[np.intp] | None = None
    time: Floats | None = None
    weight: Floats | None = None

    @property
    def binds(self) -> bool:
        """Whether rows are not independent."""
        return self.group is not None or self.time is not None

    def take(self, rows: NDArray[Any]) -> Bonds:
        def part(values: Any) -> Any:
            return None if values is None else values[rows]

        return Bonds(part(self.group), part(self.time), part(self.weight))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Those that are there, by name."""
        named = {"group": self.group, "time": self.time, "weight": self.weight}
        return {name: values for name, values in named.items() if values is not None}


NO_ROLES: Final = Roles()
FREE: Final = Bonds()


def check(roles: Roles, target: str, frame: Any, table: str) -> None:
    """Raise JobError unless the columns are there, and are not the target."""
    for option, name in roles.to_dict().items():
        flag = f"--{option.replace('_', '-')}"
        if name not in frame.columns:
            raise JobError(
                f"{table} has no column {name!r} for {flag}{did_you_mean(name, frame.columns)}"
            )
        if name == target:
            raise JobError(f"{name!r} is to be predicted, and cannot be the column of {flag} too")
    if roles.weight is not None and roles.weight in (roles.group, roles.time):
        raise JobError(f"{roles.weight!r} is named for --weight and for another role; name another")


def read(
    roles: Roles, frame: Any, table: str, habits: Habits, wishes: Mapping[str, str]
) -> tuple[Bonds, NDArray[np.bool_], list[str]]:
    """What the columns hold, for the rows that can be learned from; which those are; and what has to be said.

    Rows without a group are one group. Rows without a time, and those that weigh nothing, are left out. Raises
    JobError for weights that are missing or negative, and for what gives no order.
    """
    usable = np.ones(len(frame), dtype=bool)
    notices: list[str] = []
    group = time = weight = None
    if roles.group is not None:
        group = _group(frame[roles.group], table, notices)
    if roles.time is not None:
        time, doubts = _time(frame[roles.time], table, habits, wishes.get(roles.time, ""))
        if wishes.get(roles.time) == "ignore":  # otherwise they are said of the feature
            notices += doubts
        undated = np.isnan(time)
        if undated.any():
            usable &= ~undated
            lost = int(undated.sum())
            notices.append(
                f"{count(lost, 'row')} without a time in {roles.time!r} that can be read {are(lost)} left out"
                f"{_example(frame[roles.time][undated])}"
            )
    if roles.weight is not None:
        weight, doubts = _weight(frame[roles.weight], table, habits, wishes.get(roles.weight, ""))
        notices += doubts
        if (weight == 0.0).any():
            usable &= weight > 0.0
            lost = int((weight == 0.0).sum())
            notices.append(f"{count(lost, 'row')} whose {roles.weight!r} is 0 {are(lost)} left out")
    return Bonds(group, time, weight).take(usable), usable, notices


def _example(series: Any) -> str:
    there = series.dropna()
    return f", such as {shown(_plain(there.iloc[0]))}" if len(there) else ""


def _plain(value: Any) -> Any:
    """A value of NumPy's types as one of Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _group(series: Any, table: str, notices: list[str]) -> NDArray[np.intp]:
    import pandas as pd

    there = series.notna().to_numpy()
    codes, names = pd.factorize(as_texts(series[there]))
    out: NDArray[np.intp] = np.full(len(series), len(names), dtype=np.intp)
    out[there] = codes
    groups = len(names) + (not there.all())
    if groups < 2:
        raise JobError(
            f"{table}: all rows have the same value in {series.name!r}; groups are kept apart in folds, and that "
            "needs two at least"
        )
    if groups == len(series):
        notices.append(f"{series.name!r} differs in every row, so each row is a group of its own")
    else:
        notices.append(f"{series.name!r} tells {groups:,} groups, and is not learned from")
    if not there.all():
        notices.append(
            f"{count(int((~there).sum()), 'row')} without a value of {series.name!r} {'counts' if (~there).sum() == 1 else 'count'} as one group"
        )
    return out


def _time(series: Any, table: str, habits: Habits, wish: str) -> tuple[Floats, list[str]]:
    """Numbers, or days since 1970; NaN where there is none; and doubts. `wish`: what the column is said to be."""
    out, doubts = ordered(series, habits, wish)
    known = out[np.isfinite(out)]
    if len(known) < NEARLY_ALL * series.notna().sum() or not len(known):
        raise JobError(
            f"{table}: {series.name!r} holds neither numbers nor dates{_example(series)}, and so gives no order in "
            "time; write dates as 2024-05-17, or number the rows"
        )
    if known.min() == known.max():
        raise JobError(
            f"{table}: {series.name!r} is the same in every row, and so gives no order in time"
        )
    return np.where(np.isfinite(out), out, np.nan), doubts


def _weight(series: Any, table: str, habits: Habits, wish: str) -> tuple[Floats, list[str]]:
    out, doubts = ordered(series, habits, wish if wish.startswith("number") else "number")
    odd = ~np.isfinite(out) | (out < 0.0)
    if odd.any():
        at = int(np.flatnonzero(odd)[0])
        value = shown(_plain(series.iloc[at])) if series.notna().iloc[at] else "nothing"
        raise JobError(
            f"{table}: {int(odd.sum()):,} row{'s have' if odd.sum() > 1 else ' has'} no usable weight in "
            f"{series.name!r}: row {at + 1:,} has "
            f"{value}; a weight is a number, 0 or more"
        )
    if not out.any():
        raise JobError(f"{table}: all weights in {series.name!r} are 0")
    return out, doubts


# -- the aim ------------------------------------------------------------------------------------


def quantile_of(quantile: Any) -> float | None:
    """A quantile between 0 and 1, or none. Raises JobError."""
    if quantile is None:
        return None
    number = isinstance(quantile, (int, float)) and not isinstance(quantile, bool)
    if not number or not 0.0 < quantile < 1.0:
        instead = f"; write {quantile / 100:g}" if number and 1.0 < quantile < 100.0 else ""
        raise JobError(
            f"a quantile is a number between 0 and 1, as 0.9, not {shown(quantile)}{instead}"
        )
    return float(quantile)


def aim_of(quantile: float | None, costs: Any, classes: tuple[Any, ...]) -> Aim:
    """What predictions are for. `costs` is a text as ``yes=10,no:yes=1``, or a mapping ``{"yes": 10}``,
    ``{"yes": {"no": 10}}`` or ``{("yes", "no"): 10}``: by the true class, and the one that is taken for it. Raises
    JobError."""
    if costs is None:
        return Aim(quantile)
    if not classes:
        raise JobError(
            "costs are of mistaken classes, and here numbers are predicted; leave costs out"
        )
    matrix = np.full((len(classes), len(classes)), ONE) - np.eye(len(classes))
    named = {str(c): k for k, c in enumerate(classes)}

    def place(name: Any) -> int:
        if str(name) not in named:
            raise JobError(
                f"costs: there is no class {str(name)!r}{did_you_mean(str(name), named)}"
            )
        return named[str(name)]

    for truth, taken, cost in _pairs(costs, named):
        if isinstance(cost, bool) or not isinstance(cost, (int, float)) or not 0 <= cost < math.inf:
            raise JobError(f"a cost is a number, 0 or more, not {shown(cost)}")
        row = place(truth)
        if taken is None:
            matrix[row, [k for k in range(len(classes)) if k != row]] = cost
        else:
            matrix[row, place(taken)] = cost
    if not (matrix - np.diag(matrix)[:, None]).any():
        raise JobError("costs: every decision costs the same, so there is nothing to decide")
    return Aim(quantile, tuple(map(tuple, matrix.tolist())))


def _pairs(costs: Any, named: Mapping[str, int]) -> list[tuple[Any, Any, Any]]:
    """The true class, the one taken for it (None: any other), and the cost."""
    if isinstance(costs, str):
        costs = _mapping(costs, named)
    if not isinstance(costs, Mapping) or not costs:
        raise JobError(
            f"costs are written as 'yes=10,no=1' or {{'yes': 10, 'no': 1}}, not {shown(costs)}"
        )
    out: list[tuple[Any, Any, Any]] = []
    for truth, cost in costs.items():
        if isinstance(cost, Mapping):
            out += [(truth, taken, each) for taken, each in cost.items()]
        elif isinstance(truth, tuple) and len(truth) == 2:
            out.append((*truth, cost))
        else:
            out.append((truth, None, cost))
    return sorted(out, key=lambda pair: pair[1] is not None)  # the particular after the general


def _mapping(text: str, named: Mapping[str, int]) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise JobError(f"costs: {shown(text)} is no JSON ({error})") from None
    out: dict[Any, Any] = {}
    for part in text.split(","):
        names, equals, cost = part.rpartition("=")
        try:
            value = float(cost)
        except ValueError:
            equals = ""
        if not equals:
            raise JobError(
                f"costs: {part.strip()!r} is none; write TRUE=COST or TRUE:TAKEN=COST, as in 'yes=10,no:yes=1'"
            )
        names = names.strip()
        truth, colon, taken = names.partition(":")
        key = (truth.strip(), taken.strip()) if colon and names not in named else names
        if key in out:
            raise JobError(f"costs: {names!r} is there twice")
        out[key] = value
    return out
