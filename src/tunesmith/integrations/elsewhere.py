"""A study whose trials other tuners run and keep: in memory, asked for what to run next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.core.errors import ConfigError
from tunesmith.core.objective import Goal
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Searcher
from tunesmith.tuning.study import Study


class Elsewhere:
    """Trials go by the names that they have there. What others keep is the truth: this is made anew from it."""

    def __init__(
        self,
        space: Space,
        metrics: Sequence[str],
        goals: Sequence[Goal],
        searcher: str | Mapping[str, Any] | Searcher = "auto",
        seed: int | None = None,
    ) -> None:
        self.study = Study.create(
            space,
            metric=metrics,
            goal=goals,
            searcher=searcher,
            seed=seed,
            failures_in_a_row=None,
            same_error=None,
        )
        self._metrics = list(metrics)
        #: Of what runs; None for what has ended.
        self._numbers: dict[str, int | None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._numbers

    def ask(self, name: str) -> Config:
        """What the trial `name` is to run. Raises StudyOver where the space is exhausted."""
        trial = self.study.ask()
        self._numbers[name] = trial.number
        return trial.config

    def take(self, name: str, config: Config) -> bool:
        """A trial that runs `config`, whoever has thought of it; False for one that is none of the space."""
        try:
            self.study.enqueue(self.study.space.complete(config))
        except ConfigError:
            return False
        self.ask(name)
        return True

    def tell(self, name: str, values: Mapping[str, float] | None, failed: str = "") -> None:
        """How a trial ended: its values, or why it failed. One that is not known here, or has ended, is passed over."""
        number = self._numbers.get(name)
        if number is None:
            return
        if values is not None and all(metric in values for metric in self._metrics):
            self.study.tell(number, {metric: float(values[metric]) for metric in self._metrics})
        else:
            self.study.tell(number, failed=failed or "it has no value")
        self._numbers[name] = None
