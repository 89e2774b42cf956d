"""Spaces as other tools write them: lists of values, grids, distributions of SciPy and of Optuna, or our own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Final

import numpy as np

from tunesmith.core.errors import SpaceError, shown
from tunesmith.core.space.labels import labelled
from tunesmith.core.space.parameter import Choice, Fixed, Float, Int, Parameter, parameter_from_dict
from tunesmith.core.space.rules import replace_when
from tunesmith.core.space.space import Config, Space, parameter_name
from tunesmith.spaces.compose import overridden

#: The parameter that says which of several grids a config is of.
GRID: Final = "grid"
#: A distribution without ends is cut where this share of it lies beyond.
TAIL: Final = 1e-4
_KINDS: Final = frozenset({"float", "int", "choice", "value"})


@dataclass(frozen=True, slots=True)
class Read:
    """One parameter as it was written: what it is here, and what its values are there (None: the same)."""

    parameter: Parameter
    value: Callable[[Any], Any] | None = None
    #: Equal for what is the same in several grids; None for what cannot be told to be.
    same: str | None = None
    #: What the values here are, where they are not those there.
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Distributions:
    """A space, and how its configs become the parameters that were asked for."""

    space: Space
    #: By the name in the space: the name there, and what its values are there.
    _names: Mapping[str, tuple[str, Callable[[Any], Any] | None]]

    @property
    def theirs(self) -> set[str]:
        """The names that were asked for."""
        return {there for there, _ in self._names.values()}

    def config(self, parameters: Mapping[str, Any]) -> Config:
        """The inverse of `parameters`, for those that have a name here."""
        by_name = {there: here for here, (there, _) in self._names.items()}
        return {by_name[name]: self.stored(by_name[name], v) for name, v in parameters.items()}

    def stored(self, here: str, value: Any) -> Any:
        """What stands in a config for a value that was asked for."""
        parameter, back = self.space[here], self._names[here][1]
        if not isinstance(parameter, Choice) or back is None:
            return value
        for label in parameter.values:
            original = back(label)
            if original is value or (type(original) is type(value) and _equal(original, value)):
                return label
        return value

    def beginning_with(self, values: Mapping[str, Any]) -> Distributions:
        """The same, but a search tries `values` first, as near as the space has them. A default or a prior that a parameter
        has itself comes before."""
        begun = {}
        for here, (there, _) in self._names.items():
            parameter = self.space[here]
            if isinstance(parameter, Fixed) or parameter.has_default or parameter.prior is not None:
                continue
            if there in values and not parameter.problem(near := self._near(here, values[there])):
                begun[here] = parameter.to_dict() | {"default": near}
        return replace(self, space=overridden(self.space, begun)) if begun else self

    def _near(self, here: str, value: Any) -> Any:
        """What in the range of a parameter is nearest to a number; any other value as it is stored."""
        parameter, back = self.space[here], self._names[here][1]
        if not isinstance(parameter, (Float, Int)):
            return self.stored(here, value)
        number = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
        if back is not None or not number or not math.isfinite(value):
            return None
        return parameter.decode(
            float(parameter.unit(min(max(float(value), parameter.low), parameter.high)))
        )

    def parameters(self, config: Config) -> dict[str, Any]:
        """The values of a config of `space` by the names and of the types that were asked for."""
        out = {}
        for here, value in config.items():
            if here in self._names:
                there, back = self._names[here]
                out[there] = value if back is None else back(value)
        return out


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except (TypeError, ValueError):  # arrays, and what holds them
        return False


def read_distributions(written: Any) -> Distributions:
    """A space from a grid, distributions, a list of either, or a `Space`. Raises SpaceError.

    Of several grids, each is a branch of the parameter ``grid``; what is the same in all of them is one parameter.
    """
    if isinstance(written, Space):
        return Distributions(written, {name: (name, None) for name in written})
    grids = [written] if isinstance(written, Mapping) else written
    if not (
        isinstance(grids, (list, tuple)) and grids and all(isinstance(g, Mapping) for g in grids)
    ):
        raise SpaceError(
            "param_distributions is a mapping of names to lists or distributions, a list of such mappings, or a Space, "
            f"not {shown(written)}"
        )
    read = [{name: read_parameter(str(name), spec) for name, spec in g.items()} for g in grids]
    if len(read) == 1:
        return _one(read[0])
    return _several(read)


def _one(grid: Mapping[Any, Read]) -> Distributions:
    here: dict[str, Any] = {}
    names: dict[str, tuple[str, Callable[[Any], Any] | None]] = {}
    for there, read in grid.items():
        name = free_name(str(there) + read.suffix, here)
        here[name], names[name] = read.parameter, (str(there), read.value)
    return Distributions(Space(here), names)


def _several(grids: Sequence[Mapping[Any, Read]]) -> Distributions:
    every = {name for grid in grids for name in grid}
    shared = {
        name
        for name, first in grids[0].items()
        if first.same is not None
        and all(name in grid and grid[name].same == first.same for grid in grids)
    }
    which = free_name(GRID, every)
    here: dict[str, Any] = {which: Choice(*range(len(grids)))}
    names: dict[str, tuple[str, Callable[[Any], Any] | None]] = {}
    for k, grid in enumerate(grids):
        for there, read in grid.items():
            if there in shared and k > 0:
                continue
            if read.parameter.when is not None:
                raise SpaceError(
                    f"{there}: when= has no place in a list of several grids; write one mapping with conditions"
                )
            alone = there in shared or sum(there in g for g in grids) == 1
            name = free_name(f"{'' if alone else f'{which}{k}.'}{there}{read.suffix}", here)
            condition = None if there in shared else {which: k}
            here[name] = replace_when(read.parameter, condition)
            names[name] = (str(there), read.value)
    return Distributions(Space(here), names)


def free_name(wanted: str, taken: Any) -> str:
    """`wanted`, or the nearest name that parameters may have and that is none of those taken."""
    name = parameter_name(wanted)
    while name in taken:
        name += "_"
    return name


def read_parameter(name: str, spec: Any) -> Read:
    """One parameter: a list of values, a distribution, or one of ours. Raises SpaceError."""
    if isinstance(spec, (Float, Int, Choice, Fixed)):
        return _ours(spec)
    if isinstance(spec, Mapping):
        if _KINDS & spec.keys():
            return _ours(parameter_from_dict(name, spec))
    elif type(spec).__module__.startswith("optuna."):
        return read_optuna(name, spec)
    elif hasattr(spec, "rvs"):
        return _of_scipy(name, spec)
    elif isinstance(spec, range) and len(spec) > 1 and abs(spec.step) > 0:
        low, high = sorted((spec[0], spec[-1]))
        return _ours(Int(low, high, step=abs(spec.step)))
    elif isinstance(spec, (Sequence, np.ndarray)) and not isinstance(spec, (str, bytes)):
        return _of_values(name, spec)
    raise SpaceError(
        f"{name}: a list of values, a distribution with rvs and ppf, or one of tunesmith's parameters is needed, not "
        f"{shown(spec)}; one value that does not change is a list of one"
    )


def _ours(parameter: Parameter) -> Read:
    return Read(parameter, None, json.dumps(parameter.to_dict(), sort_keys=True))


# -- lists ------------------------------------------------------------------------------------


def _of_values(name: str, values: Sequence[Any] | np.ndarray[Any, Any]) -> Read:
    """A choice between values of any type: what JSON does not have goes by its text."""
    if getattr(values, "ndim", 1) != 1:
        raise SpaceError(f"{name}: the values are a list, not an array of {values.ndim} dimensions")  # type: ignore[union-attr]
    if len(values) == 0:
        raise SpaceError(f"{name}: the list of values is empty; write one value at least")
    labels = labelled(values)
    shown_as = labels.labels
    numbers = [v for v in shown_as if isinstance(v, (int, float)) and not isinstance(v, bool)]
    ordered = len(numbers) == len(shown_as) > 2 and numbers in (
        sorted(numbers),
        sorted(numbers, reverse=True),
    )
    choice = Choice(*shown_as, ordered=ordered)
    same = json.dumps([type(values[0]).__name__, *shown_as]) if labels.bare else None
    return Read(choice, labels.original, same)


# -- distributions ----------------------------------------------------------------------------


def _of_scipy(name: str, spec: Any) -> Read:
    """A frozen distribution: uniform, log-uniform and whole numbers as ranges, any other one by its quantiles."""
    if not (hasattr(spec, "ppf") and hasattr(spec, "support")):
        raise SpaceError(
            f"{name}: {shown(spec)} has no ppf; write a range, such as ts.Float(0.1, 10, log=True)"
        )
    kind = str(getattr(getattr(spec, "dist", None), "name", ""))
    low, high = (float(end) for end in spec.support())
    # a scale moves the ends of a log-uniform distribution, a location makes it another one
    arguments = getattr(getattr(spec, "dist", None), "_parse_args", None)
    moved = arguments is not None and bool(arguments(*spec.args, **spec.kwds)[1])
    moved = moved and kind in ("loguniform", "reciprocal")
    if not np.isfinite([low, high]).all() or moved:
        kind = ""
    if kind == "uniform":
        return _ours(Float(low, high))
    if kind in ("loguniform", "reciprocal"):
        return _ours(Float(low, high, log=True))
    if kind == "randint":
        return _ours(Int(int(low), int(high)))
    ends = [0.0 if np.isfinite(low) else TAIL, 1.0 if np.isfinite(high) else 1.0 - TAIL]
    return Read(Float(*ends), lambda u: _quantile(spec, u), None, ".quantile")


def _quantile(spec: Any, u: float) -> Any:
    value = spec.ppf(u)
    if hasattr(spec, "pmf") or hasattr(getattr(spec, "dist", None), "_pmf"):
        value = np.maximum(value, spec.support()[0]).astype(
            np.int64
        )  # ppf(0) is one below the first
    return value[()] if isinstance(value, np.ndarray) else value


def read_optuna(name: str, spec: Any) -> Read:
    """A distribution of Optuna's. Raises SpaceError."""
    if hasattr(spec, "choices"):
        return _of_values(name, list(spec.choices))
    if not (hasattr(spec, "low") and hasattr(spec, "high")):
        raise SpaceError(f"{name}: {shown(spec)} is no distribution that is known here")
    if type(spec).__name__ in ("IntDistribution", "IntUniformDistribution"):
        return _ours(Int(spec.low, spec.high, log=bool(spec.log), step=spec.step or 1))
    return _ours(Float(spec.low, spec.high, log=bool(spec.log), step=spec.step))
