"""Audits of a scheduler: some trials that it would stop run to their end, to see what would have been lost."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.rng import stream
from tunesmith.core.strategy import (
    Decision,
    Scheduler,
    Verdict,
    instant,
    objectives_seen,
    pauses,
    repeats,
)
from tunesmith.strategy import options


@dataclass(frozen=True, slots=True)
class Audited:
    """`scheduler`, but a `share` of the trials that it would stop go on."""

    scheduler: Scheduler
    share: float

    def __post_init__(self) -> None:
        options.number("a scheduler's audit", "the share", self.share, above=0.0, below=1.0)
        if pauses(self.scheduler):
            name = type(self.scheduler).__module__.rpartition(".")[2]
            raise StrategyError(
                f"audit is for schedulers that only stop trials; this {name} lets paused ones or copies go on: "
                "leave audit out"
            )

    @property
    def instant(self) -> bool:
        return instant(self.scheduler)

    @property
    def repeats(self) -> bool:
        return repeats(self.scheduler)

    @property
    def objectives(self) -> str:
        return objectives_seen(self.scheduler)

    def decide(self, history: History, trial: int) -> Decision:
        decision = self.scheduler.decide(history, trial)
        if decision.verdict is not Verdict.STOP:
            return decision
        if stream(history.seed, trial, "audit").random() >= self.share:
            return decision
        return Decision(Verdict.AUDIT, decision.why)
