"""The limits of a study: what it may spend, when it is over, what one trial may take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from tunesmith.core.errors import StudyError, did_you_mean
from tunesmith.core.quantity import seconds, size_bytes

#: A trial is silent for too long after this many times the longest gap seen among its siblings, ...
SILENCE_FACTOR: Final = 20.0
#: ... but never before this many seconds, ...
SILENCE_FLOOR_S: Final = 60.0
#: ... and not before this many of them have ended.
SILENCE_SIBLINGS: Final = 5
#: The share of trials, or of the time, that is for confirming the best.
CONFIRM_SHARE: Final = 0.2


def _count(value: Any, name: str, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise StudyError(f"{name} is a whole number of at least {least}, not {value!r}")
    return value


def _amount(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise StudyError(f"{name} is a number, not {value!r}")
    return float(value)


def _price(value: Any, name: str) -> float:
    price = _amount(value, name)
    if price < 0:
        raise StudyError(f"{name} is not below 0, unlike {value!r}")
    return price


def _metric(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise StudyError(f"{name} is the name of a metric, such as 'gpu_seconds', not {value!r}")
    return value


def _share(value: Any, name: str) -> float:
    share = _amount(value, name)
    if not 0.0 < share <= 1.0:
        raise StudyError(f"{name} is a share above 0 and up to 1, unlike {value!r}")
    return share


def _plain(amount: float) -> str:
    """An amount as people write it: ``1,234``, ``0.0123``."""
    return f"{amount:,.0f}" if abs(amount) >= 1000 else f"{amount:.4g}"


def _silence(value: Any, name: str) -> float | Literal["auto", "off"]:
    if value is False:  # YAML's `off` in old dialects
        return "off"
    if isinstance(value, str) and value in ("auto", "off"):
        return "auto" if value == "auto" else "off"
    return seconds(value, name)


def _limit(default: Any, doc: str) -> Any:
    """A field of `Limits`, with the sentence that the reference shows."""
    return field(default=default, metadata={"doc": doc})


#: What is no limit, but may be written among them by another name: an argument of `tune`, a key of a job file.
_ELSEWHERE: Final = (
    "goal",
    "searcher",
    "scheduler",
    "name",
    "seed",
    "progress",
    "enqueue",
    "storage",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a study may spend, and when it is over. None is no limit.

    Durations take seconds or a text (``2h``), sizes bytes or a text (``4GiB``); both are kept as
    numbers.
    """

    trials: int | None = _limit(
        None, "Trials in all. Cancelled and retracted ones do not count, lost ones count once."
    )
    time: float | None = _limit(None, "How long the study may be worked on, in all sessions.")
    trial_time: float | None = _limit(None, "One trial's longest run.")
    trial_memory: int | None = _limit(None, "Memory of one trial with all of its processes.")
    compute_time: float | None = _limit(None, "Sum of the trials' wall times.")
    cost: float | None = _limit(None, "Sum of the trials' costs, by price_per_hour or cost_metric.")
    price_per_hour: float | None = _limit(
        None, "What one trial costs an hour, in a currency of your own."
    )
    cost_metric: str | None = _limit(
        None,
        "The metric by which a trial returns what it cost (GPU seconds, tokens, money), instead of price_per_hour.",
    )
    parallel: int = _limit(1, "Trials at a time.")
    failures_in_a_row: int | None = _limit(20, "Failures one after the other that end the study.")
    same_error: int | None = _limit(
        5, "If the first trials of a session all fail alike, this many of them end the study."
    )
    target: float | None = _limit(
        None, "A value of the objective (of several: the first) that is good enough."
    )
    no_improvement: int | None = _limit(
        None,
        "Trials that end one after the other without a better value; with several objectives, without one that no other "
        "beats.",
    )
    no_improvement_time: float | None = _limit(
        None,
        "How long the study may be worked on without a better value; with several objectives, without a trial that no "
        "other beats.",
    )
    least_gain: float | Literal["noise"] | None = _limit(
        None,
        "What 20 more trials have to be expected to gain, in the metric's units (or noise: as much as the "
        "metric's noise); looked at every 5 trials from 20 on, and too little three times running ends the study.",
    )
    failure_rate: float | None = _limit(
        None, "The share of failures among the last 20 trials that ends the study."
    )
    trial_silence: float | Literal["auto", "off"] = _limit(
        "auto",
        "How long a trial may report nothing: a duration, off, or auto (20 times the longest gap seen "
        "in other trials, at least 60 s, once 5 have ended).",
    )
    confirm: int | None = _limit(
        None,
        "The best so many trials are run again with fresh seeds, for up to a fifth of the trials (or of the "
        "time), or two runs for each if that is more, until one is best with a probability of 95 %. Not where "
        "cost, compute_time, failures or a request to stop end the study.",
    )
    keep: int | Literal["all"] = _limit(
        1, "The checkpoints of how many of the best completed trials stay: a number, or all."
    )
    disk: int | None = _limit(None, "What the checkpoints of all trials may take.")
    grace: float = _limit(10.0, "How long a trial may take to end after it was told to.")
    retries: int = _limit(
        3,
        "How often a trial that vanished or interrupted itself is started again. A coordinator's death does not count.",
    )

    def __post_init__(self) -> None:
        for name in ("trials", "failures_in_a_row", "same_error", "no_improvement", "confirm"):
            self._set(name, _count)
        for name in ("time", "trial_time", "compute_time", "grace", "no_improvement_time"):
            self._set(name, seconds)
        self._set("trial_memory", size_bytes)
        self._set("disk", size_bytes)
        if self.keep != "all":
            object.__setattr__(self, "keep", _count(self.keep, "keep", least=0))
        self._set("parallel", _count)
        self._set("target", _amount)
        self._set("cost", _price)
        self._set("price_per_hour", _price)
        self._set("trial_silence", _silence)
        self._set("failure_rate", _share)
        if self.least_gain != "noise":
            self._set("least_gain", _price)
        object.__setattr__(self, "retries", _count(self.retries, "retries", least=0))
        if self.confirm and self.trials is not None and self.trials <= self.reserve:
            raise StudyError(
                f"confirm={self.confirm} needs {self.reserve} trials for itself; trials={self.trials} leaves none "
                "to search with"
            )
        if self.cost is not None and self.price_per_hour is None and self.cost_metric is None:
            raise StudyError(
                "a cost limit needs price_per_hour, what one trial costs an hour, or cost_metric, the metric that says "
                "what it cost"
            )
        if self.cost_metric is not None:
            self._set("cost_metric", _metric)
            if self.price_per_hour is not None:
                raise StudyError("a trial's cost is by price_per_hour or by cost_metric, not both")

    def _set(self, name: str, read: Any) -> None:
        value = getattr(self, name)
        if value is not None:
            object.__setattr__(self, name, read(value, name))

    @property
    def reserve(self) -> int:
        """How many of the trials are for confirming."""
        if self.confirm is None or self.trials is None:
            return 0
        return max(2 * self.confirm, math.ceil(self.trials * CONFIRM_SHARE))

    def spent(self, money: float) -> str:
        """What the trials cost, in words: ``1,234 of 2,000 gpu_seconds``; empty where nothing says what they cost."""
        if self.cost_metric is None and self.price_per_hour is None:
            return ""
        of = "" if self.cost is None else f" of {_plain(self.cost)}"
        return f"{_plain(money)}{of} {self.cost_metric or 'money'}"

    def to_dict(self) -> dict[str, Any]:
        """Only what differs from the defaults."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) != f.default
        }

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> Limits:
        """Limits from their dict form. Raises StudyError for unknown names and wrong values."""
        known = [f.name for f in fields(cls)]
        for name in spec:
            if name not in known:
                hint = did_you_mean(str(name), [*known, *_ELSEWHERE])
                raise StudyError(f"limits have no {name!r}{hint}")
        return cls(**spec)
