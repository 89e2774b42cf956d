"""A prior study: trials of an earlier study, for one that starts with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core import pareto
from tunesmith.core.errors import StudyError
from tunesmith.core.space.parameter import plain

#: An earlier study is remembered by at most this many trials.
MOST: Final = 100


@dataclass(frozen=True, slots=True)
class PriorStudy:
    """Trials of the study called `study`: configs of its space, and losses by the first objective of the study that learns
    from them, of which less is better; `others` are those by its further objectives. NaN where an objective has no value.
    `broken` are the places of those that break a constraint of that study."""

    study: str
    configs: tuple[Mapping[str, Any], ...]
    losses: tuple[float, ...]
    others: tuple[tuple[float, ...], ...] = ()
    broken: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for values in (self.losses, *self.others):
            if len(self.configs) != len(values):
                raise StudyError(
                    f"warm start from {self.study!r}: {len(self.configs)} configs have "
                    f"{len(values)} values"
                )

    @classmethod
    def of(
        cls,
        study: str,
        configs: Sequence[Mapping[str, Any]],
        losses: Sequence[float] | NDArray[np.float64],
        broken: Sequence[bool] = (),
    ) -> PriorStudy:
        """The best half of `MOST` trials, and an even selection of the others; `losses` have the shape (n,), or (n,
        objectives). O(n log n), with several objectives O(n^2)."""
        values = np.asarray(losses, dtype=np.float64).reshape(len(configs), -1)
        order = ranked(values)
        best, rest = order[: MOST // 2], order[MOST // 2 :]
        most = MOST - len(best)
        if len(rest) > most:
            rest = rest[np.linspace(0, len(rest) - 1, most).astype(np.int64)]
        selected = np.sort(np.concatenate([best, rest])).tolist()
        first, *others = (tuple(column) for column in values[selected].T.tolist())
        off = tuple(place for place, k in enumerate(selected) if broken and broken[k])
        return cls(study, tuple(dict(configs[k]) for k in selected), first, tuple(others), off)

    @property
    def values(self) -> NDArray[np.float64]:
        """The losses by all objectives that it knows of, shape (n, objectives)."""
        return np.column_stack([np.array(v, dtype=np.float64) for v in (self.losses, *self.others)])

    def to_dict(self) -> dict[str, Any]:
        out = {
            "study": self.study,
            "configs": [plain(config) for config in self.configs],
            "losses": [_finite(loss) for loss in self.losses],
        }
        if self.others:
            out["others"] = [[_finite(loss) for loss in losses] for losses in self.others]
        if self.broken:
            out["broken"] = list(self.broken)
        return out

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> PriorStudy:
        others = tuple(tuple(map(_known, losses)) for losses in spec.get("others", ()))
        return cls(
            spec["study"],
            tuple(spec["configs"]),
            tuple(map(_known, spec["losses"])),
            others,
            tuple(spec.get("broken", ())),
        )


def ranked(losses: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rows of losses, shape (n, objectives), from best to worst: by front where there are several; those that lack a value
    come last."""
    if losses.shape[1] == 1:
        return np.argsort(losses[:, 0], kind="stable")
    whole = ~np.isnan(losses).any(axis=1)
    first = np.flatnonzero(whole)
    return np.concatenate([first[pareto.order(losses[whole])], np.flatnonzero(~whole)])


def _finite(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _known(loss: float | None) -> float:
    return math.nan if loss is None else float(loss)
