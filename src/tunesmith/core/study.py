"""What a study is: its space, objectives, limits and strategies. Trials are in the history."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tunesmith.core.constraint import COSTS, Constraint, constraints_of
from tunesmith.core.constraint import check as check_constraints
from tunesmith.core.errors import StudyError, shorten
from tunesmith.core.limits import Limits
from tunesmith.core.objective import LAST, Objective
from tunesmith.core.preference import Preference, preference_of
from tunesmith.core.prior_study import PriorStudy
from tunesmith.core.space.parameter import plain
from tunesmith.core.space.space import Space

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
_LONGEST_TAG: Final = 50
_MOST_TAGS: Final = 20
_LONGEST_OWNER: Final = 200
_TAG: Final = re.compile(rf"[^\s,](?:[^,]{{0,{_LONGEST_TAG - 2}}}[^\s,])?")


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
    #: What a trial's results have to keep for it to be the best.
    constraints: tuple[Constraint, ...] = ()
    #: How one of several objectives' front is chosen as the best; see `core.preference`.
    prefer: Preference | None = None
    limits: Limits = Limits()
    searcher: Strategy = Strategy("auto")
    scheduler: Strategy | None = None
    seed: int = 0
    #: Suggestion k sees only the results of trials up to k - parallel, in order.
    deterministic: bool = False
    #: The same config may be run twice.
    duplicates: bool = False
    #: The space is learned from what its trials ask for: see `core.asking`.
    learned: bool = False
    #: Earlier studies that it starts with.
    past: tuple[PriorStudy, ...] = ()
    #: How its trials are run (a job file's part), for whoever resumes it; not read by the core.
    job: Mapping[str, Any] = field(default_factory=dict)
    #: Words by which people find it among others, and who made it.
    tags: tuple[str, ...] = ()
    owner: str = ""

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
        object.__setattr__(self, "constraints", tuple(constraints_of(self.constraints)))
        check_constraints(self.constraints, self.space, self.objectives)
        object.__setattr__(self, "prefer", preference_of(self.prefer, self.objectives))
        if len(set(metrics)) != len(metrics):
            raise StudyError(f"an objective is there twice: {', '.join(metrics)}")
        if (
            isinstance(self.seed, bool)
            or not isinstance(self.seed, int)
            or not 0 <= self.seed < 2**63
        ):
            raise StudyError(f"the seed is a whole number from 0 to 2^63 - 1, not {self.seed!r}")
        object.__setattr__(self, "job", plain(dict(self.job)))
        object.__setattr__(self, "tags", tags_of(self.tags))
        if not isinstance(self.owner, str) or len(self.owner) > _LONGEST_OWNER:
            raise StudyError(f"a study's owner is a name, not {shorten(repr(self.owner))}")

    @property
    def first_objective(self) -> Objective:
        """The objective that counts where one is meant: what most searchers model, most schedulers compare and a
        `target` is about. Whatever takes it says so by this name."""
        return self.objectives[0]

    @property
    def needed_metrics(self) -> frozenset[str]:
        """The metrics beside the objectives' without which a trial has no result: those that constraints name, and the one
        that says what it cost."""
        cost = self.limits.cost_metric
        if not self.constraints and cost is None:
            return frozenset()
        named = {name for c in self.constraints for name in c.metrics(self.space)} - set(COSTS)
        named |= set() if cost is None else {cost}
        return frozenset(named - {o.metric for o in self.objectives})

    #: Until all callers have the other name.
    objective = first_objective

    def edited(self, changes: Mapping[str, Any]) -> StudySpec:
        """This study with `changes`, each in the form `to_dict` has it. Raises StudyError.

        A study's objectives and name stay what they are: other numbers would no longer compare.
        """
        editable = (
            "space",
            "limits",
            "searcher",
            "scheduler",
            "job",
            "duplicates",
            "constraints",
            "prefer",
            "tags",
        )
        for name in changes:
            if name not in editable:
                raise StudyError(
                    f"{name!r} of a study cannot be changed; make a new study"
                    f" (what can: {', '.join(editable)})"
                )
        edited = StudySpec.from_dict(self.to_dict() | dict(changes))
        if "space" in changes:
            check_edit(self.space, edited.space, learned=self.learned)
        return edited

    def place_of(self, objective: int | str) -> int:
        """The place of an objective, by its metric or its place. Raises StudyError."""
        metrics = [o.metric for o in self.objectives]
        if objective in metrics:
            return metrics.index(str(objective))
        if isinstance(objective, int) and 0 <= objective < len(metrics):
            return int(objective)
        raise StudyError(
            f"study {self.name!r} has no objective {objective!r}; it has {', '.join(metrics)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The study in JSON's types; `from_dict` reads it back equal."""
        out: dict[str, Any] = {
            "name": self.name,
            "space": self.space.to_dict(),
            "objectives": [
                {"metric": o.metric, "goal": o.goal} | ({"use": o.use} if o.use != LAST else {})
                for o in self.objectives
            ],
            "limits": self.limits.to_dict(),
            "searcher": self.searcher.to_dict(),
            "seed": self.seed,
        }
        if self.constraints:
            out["constraints"] = [constraint.text for constraint in self.constraints]
        if self.prefer is not None:
            out["prefer"] = self.prefer.to_dict()
        if self.scheduler is not None:
            out["scheduler"] = self.scheduler.to_dict()
        for name in ("deterministic", "duplicates", "learned"):
            if getattr(self, name):
                out[name] = True
        if self.past:
            out["past"] = [past.to_dict() for past in self.past]
        if self.job:
            out["job"] = dict(self.job)
        if self.tags:
            out["tags"] = list(self.tags)
        if self.owner:
            out["owner"] = self.owner
        return out

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> StudySpec:
        scheduler = spec.get("scheduler")
        return cls(
            name=spec["name"],
            space=Space.from_dict(spec["space"], stored=True),
            objectives=tuple(Objective(**objective) for objective in spec["objectives"]),
            constraints=tuple(map(Constraint, spec.get("constraints", ()))),
            prefer=spec.get("prefer"),
            limits=Limits.from_dict(spec.get("limits", {})),
            searcher=Strategy.of(spec.get("searcher", "auto")),
            scheduler=None if scheduler is None else Strategy.of(scheduler),
            seed=spec.get("seed", 0),
            deterministic=spec.get("deterministic", False),
            duplicates=spec.get("duplicates", False),
            learned=spec.get("learned", False),
            past=tuple(map(PriorStudy.from_dict, spec.get("past", ()))),
            job=spec.get("job", {}),
            tags=_listed(spec.get("tags", [])),
            owner=spec.get("owner", ""),
        )


def tags_of(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags as they are kept: each once. Raises StudyError."""
    listed = [tags] if isinstance(tags, str) else list(tags)
    for tag in listed:
        if not isinstance(tag, str) or not _TAG.fullmatch(tag) or not tag.isprintable():
            raise StudyError(
                f"{tag!r} is no tag: {_LONGEST_TAG} characters at most, without commas, and no spaces around it"
            )
    if len(known := dict.fromkeys(listed)) > _MOST_TAGS:
        raise StudyError(f"a study has {_MOST_TAGS} tags at most, not {len(known)}")
    return tuple(known)


def _listed(tags: Any) -> tuple[str, ...]:
    """Stored tags. What reads them without the rest of the study takes them for a list, too."""
    if not isinstance(tags, (list, tuple)):
        raise StudyError(f"tags are a list of texts, not {tags!r}")
    return tuple(tags)


def check_edit(old: Space, new: Space, *, learned: bool = False) -> None:
    """Raise StudyError unless trials of `old` stay usable in `new`.

    Ranges, choices, scales, conditions and relations may change: a trial that falls outside is kept
    and marked. A new parameter needs a default, which old trials are taken to have had; a parameter
    that goes has to become a fixed value. In a space that is `learned` earlier trials did not ask for a new parameter.
    """
    for name in old:
        if name not in new:
            raise StudyError(
                f"{name!r} is gone from the space, and its trials have values for it; "
                f"give it a fixed value instead, such as {name}={old[name].standard()!r}"
            )
    for name, parameter in new.tunables.items():
        if name not in old.parameters and not parameter.has_default and not learned:
            raise StudyError(
                f"the new parameter {name!r} needs a default: what the earlier trials ran with"
            )
