"""Validates what users write into a study's spec, the same for every door, before anything is stored."""

from __future__ import annotations

import getpass
import inspect
import itertools
import json
import os
import secrets
import time
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypedDict

from tunesmith import schedule, search
from tunesmith.core import events
from tunesmith.core.constraint import constraints_of
from tunesmith.core.errors import StudyError, did_you_mean
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Goal, Use, objectives_of
from tunesmith.core.preference import preference_of
from tunesmith.core.space.lattice import Count
from tunesmith.core.space.parameter import Fixed
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Countable, Scheduler, Searcher, check_space, objectives_seen
from tunesmith.core.study import Strategy, StudySpec, tags_of
from tunesmith.core.text import text_of
from tunesmith.store import Store

#: Why a trial is there that was named when the study was started.
ENQUEUED: Final = "enqueued"


def remarks(spec: StudySpec) -> list[str]:
    """What is legal in a new study, and hardly meant, in sentences. Raises StrategyError."""
    return [sentence for sentence in (narrow(spec), _constant(spec.space)) if sentence]


def _constant(space: Space) -> str:
    """That nothing varies where lists were meant to, as other tools write what is to be tried; else empty."""
    lists = [
        (name, parameter.constant)
        for name, parameter in space.parameters.items()
        if isinstance(parameter, Fixed)
        and isinstance(parameter.constant, (list, tuple))
        and len(parameter.constant) > 1
    ]
    if space.tunables or not lists:
        return ""
    name, values = lists[0]
    return (
        f"no parameter of this space varies: {name} is {text_of(values)} in every trial; to try one value after the "
        f"other write Choice({', '.join(map(repr, values))}), in a job file {{choice: {text_of(values)}}}"
    )


def narrow(spec: StudySpec) -> str:
    """What the study's strategies make of several objectives, in a sentence, where that is not all there is to make of
    them; else empty. Raises StrategyError."""
    if len(spec.objectives) < 2:
        return ""
    seen = {("searcher", spec.searcher.name): objectives_seen(search.make(spec.searcher))}
    if spec.scheduler is not None:
        made = schedule.make(spec.scheduler)
        seen["scheduler", spec.scheduler.name] = objectives_seen(made)
    parts = [
        f"the {noun} {name} looks at {spec.first_objective.metric} alone"
        if what == "first"
        else f"the {noun} {name} stops nobody, for it needs one best trial"
        for (noun, name), what in seen.items()
        if what in ("first", "one")
    ]
    return f"of the {len(spec.objectives)} objectives, {'; '.join(parts)}" if parts else ""


class LimitOptions(TypedDict, total=False):
    """The limits as keyword arguments; see `Limits`."""

    trials: int | None
    time: float | str | None
    trial_time: float | str | None
    trial_memory: int | str | None
    compute_time: float | str | None
    cost: float | None
    price_per_hour: float | None
    cost_metric: str | None
    parallel: int
    failures_in_a_row: int | None
    same_error: int | None
    target: float | None
    no_improvement: int | None
    no_improvement_time: float | str | None
    least_gain: float | None
    failure_rate: float | None
    confirm: int | None
    trial_silence: float | str
    keep: int | str
    disk: int | str | None
    grace: float | str
    retries: int


def make_spec(
    space: Space | Mapping[str, Any] | None,
    *,
    name: str,
    metric: str | Sequence[str] = "value",
    goal: Goal | Sequence[Goal] = "minimize",
    use: Use | Sequence[Use] = "last",
    constraints: str | Sequence[str] = (),
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
    prefer: str | Mapping[str, Any] | None = None,
    searcher: str | Mapping[str, Any] | Searcher = "auto",
    scheduler: str | Mapping[str, Any] | Scheduler | None = None,
    seed: int | None = None,
    deterministic: bool = False,
    duplicates: bool = False,
    job: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    limits: Mapping[str, Any],
) -> StudySpec:
    """A StudySpec from what users write. Raises SpaceError, StudyError or StrategyError.

    A constraint that names parameters alone is known before a trial: it becomes a relation of the space. Without a space it
    is learned from what trials ask for.
    """
    check_arguments(limits)
    learned, space = space is None, {} if space is None else space
    space = space if isinstance(space, Space) else Space.from_dict(space)
    later = []
    for constraint in constraints_of(constraints, at_most, at_least):
        if constraint.metrics(space):
            later.append(constraint)
        else:  # in a copy: the user's own space stays as it is
            space = Space.from_dict(space.to_dict()).require(constraint.text)
    objectives = objectives_of(metric, goal, use)
    spec = StudySpec(
        name=name,
        space=space,
        objectives=objectives,
        constraints=tuple(later),
        prefer=preference_of(prefer, objectives),
        limits=Limits.from_dict(limits),
        searcher=strategy_of(searcher, search.describe),
        scheduler=None if scheduler is None else strategy_of(scheduler, schedule.describe),
        seed=secrets.randbits(32) if seed is None else seed,
        deterministic=deterministic,
        duplicates=duplicates,
        learned=learned,
        job=job or {},
        tags=tags_of(tags),
    )
    if learned:
        _check_learnable(spec)
    search.make(spec.searcher)  # an unknown name or option is an error now, not at the first trial
    check_space(schedule.make(spec.scheduler), spec.space)
    return spec


def _check_learnable(spec: StudySpec) -> None:
    """Raise StudyError for what needs a declared space."""
    if isinstance(search.make(spec.searcher), Countable):
        raise StudyError(
            f"searcher {spec.searcher.name!r} goes through a declared space: give it one, or take another searcher"
        )
    if spec.deterministic and spec.limits.parallel > 1:
        raise StudyError(
            "deterministic with parallel trials needs a declared space: which one asks first for what is chance"
        )


def check_arguments(limits: Mapping[str, Any]) -> None:
    """Raise StudyError for an argument that is neither a limit nor anything else of a study."""
    known = LimitOptions.__annotations__
    for name in limits:
        if name not in known:
            if name in _ELSEWHERE:
                raise StudyError(f"there is no argument {name!r}: here it is {_ELSEWHERE[name]}")
            others = inspect.signature(make_spec).parameters.keys() - {"limits", "job"}
            hint = did_you_mean(name, [*known, *others, *_OF_TUNE])
            raise StudyError(f"there is no argument {name!r}{hint}")


#: What others call our arguments.
_ELSEWHERE: Final[Mapping[str, str]] = {
    "n_trials": "trials",
    "num_samples": "trials",
    "max_evals": "trials",
    "timeout": "time",
    "n_jobs": "parallel",
    "max_concurrent": "parallel",
    "direction": 'goal ("minimize" or "maximize")',
    "directions": "goal, a list",
    "mode": 'goal ("minimize" or "maximize")',
    "study_name": "name",
    "sampler": "searcher",
    "search_alg": "searcher",
    "pruner": "scheduler",
    "callbacks": "loggers (they are told what happens), or watcher (called as the study goes on)",
    "load_if_exists": "what always happens: the same call goes on where it stopped",
    "show_progress_bar": "progress",
}

#: What `tunesmith.tune` takes beside what makes a study.
_OF_TUNE: Final = (
    "storage",
    "enqueue",
    "warm_start",
    "progress",
    "watcher",
    "loggers",
    "executor",
    "resources",
    "on_change",
    "changed",
    "data_version",
    "durability",
    "join",
)


def strategy_of(strategy: Any, describe_object: Callable[[Any], Strategy]) -> Strategy:
    """A strategy by name; an object is named by its import path, for whoever resumes."""
    if isinstance(strategy, (str, Mapping, Strategy)):
        return Strategy.of(strategy)
    return describe_object(strategy)


_AUTHOR: ContextVar[str] = ContextVar("author", default="")


@contextmanager
def writing_as(author: str) -> Iterator[None]:
    """While the block runs, what this thread writes into a study's log is by `author`, who asked this process to."""
    before = _AUTHOR.set(author)
    try:
        yield
    finally:
        _AUTHOR.reset(before)


def me(store: Store | None = None) -> str:
    """Who writes into a study's log in `store`: at a service, the one whose token it is."""
    if author := _AUTHOR.get() or getattr(store, "author", ""):
        return str(author)
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def check_limits(spec: StudySpec) -> None:
    """Raise StudyError if nothing would ever end the study."""
    limits = spec.limits
    ends = (
        limits.trials,
        limits.time,
        limits.compute_time,
        limits.cost,
        limits.target,
        limits.no_improvement,
        limits.no_improvement_time,
    )
    countable = all(p.size is not None for p in spec.space.tunables.values())
    if (
        all(limit is None for limit in ends)
        and (spec.duplicates or spec.learned or not countable)
        and not isinstance(search.make(spec.searcher), Countable)
    ):
        raise StudyError(
            "nothing would end this study: say what to spend, for example trials=100 or time='10m'"
        )


def planned_configs(spec: StudySpec) -> Count | None:
    """How many configs the searcher has planned; None for one that goes on for as long as it is asked."""
    searcher = search.make(spec.searcher)
    return searcher.count(spec.space) if isinstance(searcher, Countable) else None


def edit_events(spec: StudySpec, changes: Mapping[str, Any], by: str) -> list[Event]:
    """The event that makes those of `changes` that are changes; raises StudyError."""
    if "searcher" in changes:
        search.make(Strategy.of(changes["searcher"]))
    now, then = spec.to_dict(), spec.edited(changes).to_dict()
    real = {name: value for name, value in changes.items() if now.get(name) != then.get(name)}
    if not real:
        return []
    return [events.Edited(time.time(), real, by)]


def missing_configs(ledger: Ledger, configs: Sequence[Config], since: int = 0) -> list[Config]:
    """Those of `configs` (complete and clean) that a call has yet to queue, so that the same call again queues
    none twice. Where the study allows duplicates, a config that is named twice is queued twice. Of trials before `since` it
    is known that they are none of them. O(configs), and, with duplicates or in a space that is learned, O(configs that people
    have queued since)."""
    space, duplicates, missing = ledger.spec.space, ledger.spec.duplicates, Counter[Hashable]()
    keys: list[Hashable]
    if ledger.spec.learned:
        keys = [_named(config) for config in configs]
        missing.update(keys if duplicates else set(keys))
        missing.subtract(_named(ledger.asking.given[number]) for number in _queued(ledger, since))
    elif duplicates:
        keys = [_key(space, config) for config in configs]
        queued = [ledger.config(number) for number in _queued(ledger, since)]
        missing.update(keys)
        missing.subtract(_key(space, config) for config in queued if space.contains(config))
    else:
        keys = [_key(space, config) for config in configs]
        missing.update({key: ledger.find(c) is None for key, c in zip(keys, configs, strict=True)})
    new: list[Config] = []
    for key, config in zip(keys, configs, strict=True):
        if missing[key] > 0:
            missing[key] -= 1
            new.append(config)
    return new


def _queued(ledger: Ledger, since: int) -> Iterator[int]:
    """The trials that such calls have made, from number `since` on; the newest first."""
    for number in itertools.takewhile(lambda n: n >= since, reversed(ledger.by_hand)):
        if ledger.origin(number).why == ENQUEUED:
            yield number


def _named(config: Config) -> Hashable:
    """The same for equal configs of a space that is learned."""
    values = ((n, json.dumps(v) if isinstance(v, (list, dict)) else v) for n, v in config.items())
    return frozenset(values)


def _key(space: Space, config: Config) -> bytes:
    """The same for equal configs."""
    return array("d", space.row(config)).tobytes()
