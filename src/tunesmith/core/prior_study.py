"""A prior study: trials of an earlier study, for one that starts with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tunesmith.core.errors import StudyError
from tunesmith.core.space.parameter import plain

#: An earlier study is remembered by at most this many trials.
MOST: Final = 100


@dataclass(frozen=True, slots=True)
class PriorStudy:
    """Trials of the study called `study`: configs of its space, and losses by one objective, of which less is better."""

    study: str
    configs: tuple[Mapping[str, Any], ...]
    losses: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.configs) != len(self.losses):
            raise StudyError(
                f"warm start from {self.study!r}: {len(self.configs)} configs have "
                f"{len(self.losses)} values"
            )

    @classmethod
    def of(
        cls, study: str, configs: Sequence[Mapping[str, Any]], losses: Sequence[float]
    ) -> PriorStudy:
        """The best half of `MOST` trials, and an even selection of the others. O(n log n)."""
        order = np.argsort(np.asarray(losses, dtype=np.float64), kind="stable")
        best, rest = order[: MOST // 2], order[MOST // 2 :]
        most = MOST - len(best)
        if len(rest) > most:
            rest = rest[np.linspace(0, len(rest) - 1, most).astype(np.int64)]
        selected = np.sort(np.concatenate([best, rest])).tolist()
        return cls(
            study,
            tuple(dict(configs[k]) for k in selected),
            tuple(float(losses[k]) for k in selected),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "configs": [plain(config) for config in self.configs],
            "losses": list(self.losses),
        }

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> PriorStudy:
        return cls(spec["study"], tuple(spec["configs"]), tuple(map(float, spec["losses"])))
