"""What a study is: its space, objectives, limits and strategies. Trials are in the history."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, TypeAlias

from tunesmith.core.errors import StudyError, did_you_mean
from tunesmith.core.prior_study import Past
from tunesmith.core.quantity import seconds, size_bytes
from tunesmith.core.space.parameter import plain
from tunesmith.core.space.space import Space

Goal: TypeAlias = Literal["minimize", "maximize"]
GOALS: Final = ("minimize", "maximize")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")

#: A trial is silent for too long after this many times the longest gap seen among its siblings, ...
SILENCE_FACTOR: Final = 20.0
#: ... but never before this many seconds, ...
SILENCE_FLOOR_S: Final = 60.0
#: ... and not before this many of them have ended.
SILENCE_SIBLINGS: Final = 5


#: The share of trials, or of the time, that is for confirming the best.
CONFIRM_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and whether more of it is better."""

    metric: str
    goal: Goal = "minimize"

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise StudyError(f"the metric is a name such as 'accuracy', not {self.metric!r}")
        if self.goal not in GOALS:
            raise StudyError(f"goal is 'minimize' or 'maximize', not {self.goal!r}")

    @property
    def sign(self) -> float:
        """What the history multiplies the metric by, so that less is better."""
        return 1.0 if self.goal == "minimize" else -1.0


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


def _share(value: Any, name: str) -> float:
    share = _amount(value, name)
    if not 0.0 < share <= 1.0:
        raise StudyError(f"{name} is a share above 0 and up to 1, unlike {value!r}")
    return share


def _silence(value: Any, name: str) -> float | Literal["auto", "off"]:
    if value is False:  # YAML's `off` in old dialects
        return "off"
    if isinstance(value, str) and value in ("auto", "off"):
        return "auto" if value == "auto" else "off"
    return seconds(value, name)


def _limit(default: Any, doc: str) -> Any:
    """A field of `Limits`, with the sentence that the reference shows."""
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a study may spend, and when it is over. None is no limit.

    Durations take seconds or a text (``2h``), sizes bytes or a text (``4GiB``); both are kept as
    numbers.
    """

    trials: int | None = _limit(
        None, "Trials in all. Cancelled and retracted ones do not count, lost ones count once."
    )
    time: float | None = _limit(
        None, "How long coordinators may work on the study, in all sessions."
    )
    trial_time: float | None = _limit(None, "One trial's longest run.")
    trial_memory: int | None = _limit(None, "Memory of one trial with all of its processes.")
    compute_time: float | None = _limit(None, "Sum of the trials' wall times.")
    cost: float | None = _limit(None, "Sum of the trials' money, by price_per_hour.")
    price_per_hour: float | None = _limit(
        None, "What one trial costs an hour, in a currency of your own."
    )
    parallel: int = _limit(1, "Trials at a time.")
    failures_in_a_row: int | None = _limit(20, "Failures one after the other that end the study.")
    same_error: int | None = _limit(
        5, "If the first trials of a session all fail alike, this many of them end the study."
    )
    target: float | None = _limit(None, "A value of the (first) objective that is good enough.")
    no_improvement: int | None = _limit(
        None, "Trials that end one after the other without a better value of the (first) objective."
    )
    no_improvement_time: float | None = _limit(
        None, "How long coordinators may work without a better value of the (first) objective."
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
        3, "How often a trial that was lost (its machine or coordinator died) is started again."
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
        if self.cost is not None and self.price_per_hour is None:
            raise StudyError("a cost limit needs price_per_hour, what one trial costs an hour")

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
                raise StudyError(f"limits have no {name!r}{did_you_mean(str(name), known)}")
        return cls(**spec)


@dataclass(frozen=True, slots=True)
class Strategy:
    """A searcher or scheduler by name, with its options: ``random``, ``{grid: {levels: 5}}``."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: Any) -> Strategy:
        """Read ``"random"``, ``{"grid": {"levels": 5}}`` or a Strategy."""
        if isinstance(spec, Strategy):
            return spec
        if isinstance(spec, str):
            return cls(spec)
        if isinstance(spec, Mapping) and len(spec) == 1:
            name, options = next(iter(spec.items()))
            if isinstance(name, str) and (options is None or isinstance(options, Mapping)):
                return cls(name, dict(plain(options or {})))
        raise StudyError(f"a strategy is a name, or one name with options, not {spec!r}")

    def to_dict(self) -> str | dict[str, Any]:
        return {self.name: dict(self.options)} if self.options else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """A study, but for its trials. Frozen; `edited` gives a changed one."""

    name: str
    space: Space
    objectives: tuple[Objective, ...] = (Objective("value"),)
    limits: Limits = Limits()
    searcher: Strategy = Strategy("auto")
    scheduler: Strategy | None = None
    seed: int = 0
    #: Suggestion k sees only the results of trials up to k - parallel, in order.
    deterministic: bool = False
    #: The same config may be run twice.
    duplicates: bool = False
    #: Earlier studies that it starts with.
    past: tuple[Past, ...] = ()
    #: How its trials are run (a job file's part), for whoever resumes it; not read by the core.
    job: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise StudyError(
                f"{self.name!r} cannot name a study: letters, digits, '-', '_' and '.', at most 100, "
                "starting with a letter or digit"
            )
        if not isinstance(self.space, Space):
            raise StudyError(f"the space is a tunesmith.Space, not {self.space!r}")
        object.__setattr__(self, "space", Space.from_dict(self.space.to_dict()))
        object.__setattr__(self, "objectives", tuple(self.objectives))
        if not self.objectives:
            raise StudyError("a study needs an objective: a metric and a goal")
        metrics = [objective.metric for objective in self.objectives]
        for name in ("confirm", "least_gain"):
            if len(metrics) > 1 and getattr(self.limits, name) is not None:
                raise StudyError(
                    f"{name} needs a single objective; this study has {', '.join(metrics)}"
                )
        if len(set(metrics)) != len(metrics):
            raise StudyError(f"an objective is there twice: {', '.join(metrics)}")
        if (
            isinstance(self.seed, bool)
            or not isinstance(self.seed, int)
            or not 0 <= self.seed < 2**63
        ):
            raise StudyError(f"the seed is a whole number from 0 to 2^63 - 1, not {self.seed!r}")
        object.__setattr__(self, "job", plain(dict(self.job)))

    @property
    def objective(self) -> Objective:
        """The first objective."""
        return self.objectives[0]

    def edited(self, changes: Mapping[str, Any]) -> StudySpec:
        """This study with `changes`, each in the form `to_dict` has it. Raises StudyError.

        A study's objectives and name stay what they are: other numbers would no longer compare.
        """
        editable = ("space", "limits", "searcher", "scheduler", "job", "duplicates")
        for name in changes:
            if name not in editable:
                raise StudyError(
                    f"{name!r} of a study cannot be changed; make a new study"
                    f" (what can: {', '.join(editable)})"
                )
        edited = StudySpec.from_dict(self.to_dict() | dict(changes))
        if "space" in changes:
            check_edit(self.space, edited.space)
        return edited

    def to_dict(self) -> dict[str, Any]:
        """The study in JSON's types; `from_dict` reads it back equal."""
        out: dict[str, Any] = {
            "name": self.name,
            "space": self.space.to_dict(),
            "objectives": [{"metric": o.metric, "goal": o.goal} for o in self.objectives],
            "limits": self.limits.to_dict(),
            "searcher": self.searcher.to_dict(),
            "seed": self.seed,
        }
        if self.scheduler is not None:
            out["scheduler"] = self.scheduler.to_dict()
        for name in ("deterministic", "duplicates"):
            if getattr(self, name):
                out[name] = True
        if self.past:
            out["past"] = [past.to_dict() for past in self.past]
        if self.job:
            out["job"] = dict(self.job)
        return out

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> StudySpec:
        scheduler = spec.get("scheduler")
        return cls(
            name=spec["name"],
            space=Space.from_dict(spec["space"]),
            objectives=tuple(Objective(**objective) for objective in spec["objectives"]),
            limits=Limits.from_dict(spec.get("limits", {})),
            searcher=Strategy.of(spec.get("searcher", "auto")),
            scheduler=None if scheduler is None else Strategy.of(scheduler),
            seed=spec.get("seed", 0),
            deterministic=spec.get("deterministic", False),
            duplicates=spec.get("duplicates", False),
            past=tuple(map(Past.from_dict, spec.get("past", ()))),
            job=spec.get("job", {}),
        )


def objectives_of(metric: Any, goal: Any) -> tuple[Objective, ...]:
    """Objectives from a metric's name, or several, and as many goals (or one for all)."""
    metrics = [metric] if isinstance(metric, str) else metric
    if not isinstance(metrics, Sequence) or not metrics:
        raise StudyError(f"metric is a name, or a list of names, not {metric!r}")
    goals = [goal] * len(metrics) if isinstance(goal, str) else goal
    if not isinstance(goals, Sequence) or len(goals) != len(metrics):
        raise StudyError(f"{len(metrics)} metrics need one goal, or {len(metrics)}, not {goal!r}")
    return tuple(Objective(m, g) for m, g in zip(metrics, goals, strict=True))


def check_edit(old: Space, new: Space) -> None:
    """Raise StudyError unless trials of `old` stay usable in `new`.

    Ranges, choices, scales, conditions and relations may change: a trial that falls outside is kept
    and marked. A new parameter needs a default, which old trials are taken to have had; a parameter
    that goes has to become a fixed value.
    """
    for name in old:
        if name not in new:
            raise StudyError(
                f"{name!r} is gone from the space, and its trials have values for it; "
                f"give it a fixed value instead, such as {name}={old[name].standard()!r}"
            )
    for name, parameter in new.tunables.items():
        if name not in old.parameters and not parameter.has_default:
            raise StudyError(
                f"the new parameter {name!r} needs a default: what the earlier trials ran with"
            )
