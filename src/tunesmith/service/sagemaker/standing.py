"""How a tuning job and its trainings stand: what the study's history, the job that runs it and the trainings' own words come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import CODES, Kind, State
from tunesmith.service.jobs.job import Job
from tunesmith.service.sagemaker.moves import ENDS, Moves
from tunesmith.service.sagemaker.plan import Plan
from tunesmith.service.sagemaker.records import Record

STATUSES: Final = ("InProgress", "Completed", "Failed", "Stopping", "Stopped")
_CODE: Final[Mapping[str, int]] = {name: code for code, name in enumerate(STATUSES)}
_OF_STATE: Final = np.array(
    [
        _CODE[
            {
                State.COMPLETED: "Completed",
                State.STOPPED: "Stopped",
                State.FAILED: "Failed",
                State.CANCELLED: "Stopped",
            }.get(state, "InProgress")
        ]
        for state in State
    ],
    dtype=np.int8,
)
_OF_END: Final = np.array([_CODE[end] for end in ENDS], dtype=np.int8)
_ENDED: Final = [CODES[state] for state in (State.COMPLETED, State.STOPPED, State.FAILED)]
_OPEN: Final = [CODES[state] for state in (State.WAITING, State.RUNNING, State.PAUSED)]
OVER: Final = ("Completed", "Failed", "Stopped")
#: As SageMaker says it.
_ALL_FAILED: Final = "All training jobs failed. Please take a look at the training jobs failures to get more details."
#: What clients are told at most (characters).
_LONGEST: Final = 1024


@dataclass(frozen=True)
class Standing:
    """A tuning job (or a training job's only trial) as it stands. Its history is not to change meanwhile."""

    record: Record
    plan: Plan
    ledger: Ledger | None
    job: Job | None
    moves: Moves

    # -- the whole ------------------------------------------------------------------------------

    @cached_property
    def status(self) -> str:
        ended = None if self.ledger is None else self.ledger.ended
        over = self.job is not None and self.job.over
        if ended is not None and (ended.why != "interrupted" or over or self._stopping):
            if ended.why == "interrupted":
                return "Stopped"
            return "Completed" if ended.why != "failures" and self._any_good else "Failed"
        if self.job is not None and over:
            return "Failed" if self.job.state == "failed" else "Stopped"
        return "Stopping" if self._stopping else "InProgress"

    @property
    def _any_good(self) -> bool:
        """Whether some training has not failed: none at all may be needed."""
        assert self.ledger is not None
        states = self.ledger.column("state")
        return not len(states) or bool((states != CODES[State.FAILED]).any())

    @property
    def _last_failure(self) -> str:
        assert self.ledger is not None
        failed = np.flatnonzero(self.ledger.column("state") == CODES[State.FAILED])
        reason = self.ledger.reason(int(failed[-1])) if len(failed) else None
        return "" if reason is None else reason.message

    @property
    def _stopping(self) -> bool:
        return self.record.stopping_at is not None

    @property
    def why(self) -> str:
        """Why it failed."""
        if self.status != "Failed":
            return ""
        if self.ledger is not None and self.ledger.ended is not None:
            text = self.ledger.ended.detail
            if not self._any_good:
                text = f"{_ALL_FAILED} {text}; the last one: {self._last_failure}"
        else:
            text = "" if self.job is None else self.job.why
        return text[:_LONGEST]

    @property
    def ended_at(self) -> float | None:
        if self.status not in OVER:
            return None
        at = None if self.job is None else self.job.ended_at
        return (
            at
            or (self.ledger.last_at if self.ledger is not None else None)
            or self.record.created_at
        )

    @property
    def modified_at(self) -> float:
        last = 0.0 if self.ledger is None else self.ledger.last_at
        return max(
            self.record.created_at,
            self.record.stopping_at or 0.0,
            last or 0.0,
            self.ended_at or 0.0,
        )

    @property
    def size(self) -> int:
        return 0 if self.ledger is None else self.ledger.size

    # -- its trainings --------------------------------------------------------------------------

    @cached_property
    def statuses(self) -> NDArray[np.int8]:
        """The trainings' statuses, as places in STATUSES."""
        if self.ledger is None:
            return np.zeros(0, dtype=np.int8)
        states = self.ledger.column("state")
        out: NDArray[np.int8] = _OF_STATE[states]
        n = min(len(out), len(self.moves.ends))
        ends = self.moves.ends[:n]
        said = (ends >= 0) & np.isin(states[:n], _ENDED)
        out[:n][said] = _OF_END[ends[said]]
        left = np.isin(states, _OPEN)
        if self.status in OVER:
            out[left] = _CODE["Stopped"]
        elif self._stopping:
            out[left] = _CODE["Stopping"]
        return out

    def counters(self) -> dict[str, int]:
        """`TrainingJobStatusCounters`."""
        found = np.bincount(self.statuses, minlength=len(STATUSES))
        lost = 0
        if self.ledger is not None and found[_CODE["Failed"]]:
            lost = sum(self._lost(int(k)) for k in np.flatnonzero(self.statuses == _CODE["Failed"]))
        return {
            "Completed": int(found[_CODE["Completed"]]),
            "InProgress": int(found[_CODE["InProgress"]] + found[_CODE["Stopping"]]),
            "RetryableError": lost,
            "NonRetryableError": int(found[_CODE["Failed"]]) - lost,
            "Stopped": int(found[_CODE["Stopped"]]),
        }

    def _lost(self, trial: int) -> bool:
        reason = None if self.ledger is None else self.ledger.reason(trial)
        return reason is not None and reason.kind is Kind.LOST

    def objective_counters(self) -> dict[str, int]:
        """`ObjectiveStatusCounters`."""
        if self.ledger is None:
            return {"Succeeded": 0, "Pending": 0, "Failed": 0}
        good = self.succeeded()
        pending = np.isin(self.ledger.column("state"), _OPEN) & ~good
        if self.status in OVER:
            pending[:] = False
        return {
            "Succeeded": int(good.sum()),
            "Pending": int(pending.sum()),
            "Failed": int(len(good) - good.sum() - pending.sum()),
        }

    def succeeded(self) -> NDArray[np.bool_]:
        """Which trainings have a value that counts."""
        assert self.ledger is not None
        states = self.ledger.column("state")
        there = np.isfinite(self.ledger.column("losses")[:, 0])
        return np.asarray(there & np.isin(states, _ENDED[:2]) & ~self.ledger.column("retracted"))

    def seconds(self) -> int:
        """How long all trainings have run together."""
        if self.ledger is None:
            return 0
        return int(np.nansum(self.ledger.column("wall_s")))


def frozen(standing: Standing) -> dict[str, Any]:
    """What lists say of a job that is over."""
    return {
        "status": standing.status,
        "counters": standing.counters(),
        "objectives": standing.objective_counters(),
        "ended_at": standing.ended_at,
        "modified_at": standing.modified_at,
    }
