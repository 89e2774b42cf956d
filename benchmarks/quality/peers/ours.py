"""tunesmith itself, by its public ask and tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knobs import Config
from tunesmith import Space, Study
from tunesmith.core.errors import NothingCompleted


class Ours:
    """A study in memory with defaults everywhere but the searcher's name.

    Recommended: what a user has from it, ``best``, which with noise is the trial that is likely best.
    """

    def __init__(self, space: Mapping[str, Any], *, seed: int, trials: int, searcher: str) -> None:
        self._study = Study.create(
            Space.from_dict(space),
            searcher=searcher,
            seed=seed,
            trials=trials,
            failures_in_a_row=None,
            same_error=None,
        )
        self._trial: Any = None

    def ask(self) -> Config:
        self._trial = self._study.ask()
        config: Config = dict(self._trial.config)
        return config

    def tell(self, config: Config, value: float, failed: bool) -> None:
        self._study.tell(self._trial, None if failed else value, failed="error" if failed else None)

    def recommend(self) -> Config | None:
        try:
            return dict(self._study.best.config)
        except NothingCompleted:
            return None
