"""The best trial of a study, without reading its history: O(1) in the number of trials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import StudyError, StudyNotFound
from tunesmith.core.events import Enqueued, Suggested
from tunesmith.store import open_store


@dataclass(frozen=True, slots=True)
class Best:
    """The best trial, or (config None) that there is none yet."""

    study: str
    metric: str
    number: int | None
    value: float | None
    config: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "metric": self.metric,
            "number": self.number,
            "value": self.value,
            "config": self.config,
        }


def best_of(name: str | None, path: Path) -> Best:
    """The best of the study in a store; without a name, of the only one. Raises StudyError."""
    if not path.exists():
        raise StudyNotFound(
            f"there is no file {path}; `tunesmith run JOB` makes one, or use --storage"
        )
    store = open_store(path)
    try:
        names = store.names() if name is None else [name]
        if len(names) != 1:
            raise StudyError(
                f"say which study; {path} has {len(names)}: {', '.join(names) or 'none'}"
            )
        summary = store.summary(names[0])
        spec = summary.spec
        if len(spec.objectives) > 1:
            raise StudyError(
                f"{spec.name} has several objectives, and no one best trial; see `show`"
            )
        config = None
        if summary.best is not None:
            for event in store.changes(names[0], trial=summary.best):
                if isinstance(event, (Suggested, Enqueued)):
                    config = spec.space.complete(event.config)
        return Best(spec.name, spec.objective.metric, summary.best, summary.best_value, config)
    finally:
        store.close()
