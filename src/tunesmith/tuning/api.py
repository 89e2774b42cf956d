"""`tune`: run a study of a Python function from beginning to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, Unpack

from tunesmith import search
from tunesmith.core.errors import StudyError, StudyNotFound
from tunesmith.core.objective import Goal
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import Countable, Scheduler, Searcher
from tunesmith.core.study import StudySpec
from tunesmith.run.base import Executor
from tunesmith.run.folder import Folder
from tunesmith.run.inline import InlineExecutor
from tunesmith.run.process import ProcessExecutor
from tunesmith.store import Durability, Store, file_of, open_store
from tunesmith.tuning.coordinator import Loop, Watcher
from tunesmith.tuning.result import Result
from tunesmith.tuning.study import LimitOptions, Study, edit_events, make_spec
from tunesmith.tuning.warm_start import Earlier, pasts

Objective: TypeAlias = Callable[..., Any]
Where: TypeAlias = Literal["auto", "inline", "process"]


def tune(
    objective: Objective,
    space: Space | Mapping[str, Any],
    *,
    metric: str | Sequence[str] = "value",
    goal: Goal | Sequence[Goal] = "minimize",
    name: str | None = None,
    storage: str | Path | Store | None = None,
    searcher: str | Mapping[str, Any] | Searcher = "auto",
    scheduler: str | Mapping[str, Any] | Scheduler | None = None,
    seed: int | None = None,
    enqueue: Iterable[Mapping[str, Any]] = (),
    warm_start: Earlier | Sequence[Earlier] = (),
    deterministic: bool = False,
    duplicates: bool = False,
    executor: Where = "auto",
    isolate: bool = False,
    gpus_per_trial: float = 0.0,
    durability: Durability = "crash",
    progress: bool | None = None,
    watcher: Watcher | None = None,
    **limits: Unpack[LimitOptions],
) -> Result:
    """Tune `objective` over `space`, and return what was found.

    ``objective(config)`` or ``objective(config, trial)`` returns a number or ``{metric: number}``, or
    yields reports. `storage` names a file in which the study is kept; the same call again goes on
    where it stopped, and a changed space, searcher or limit is taken as an edit of the study.

    Main arguments: `metric` and `goal` (or a list of each), and what to spend: ``trials=100``,
    ``time="2h"``, ``compute_time``, ``cost`` with ``price_per_hour``, ``target``; ``parallel=4`` runs
    that many at a time, in processes of their own. Other limits: see `Limits`.

    Other arguments: `name` of the study (the function's); `searcher`, `scheduler`, by name,
    ``{name: options}`` or as an object; `enqueue`, configs to run first; `warm_start`, earlier studies to learn from (or their
    results, or names in the same storage; taken in when the study is new); `deterministic` (the same trials on every run,
    however parallel); `duplicates` (the same config may run twice); `executor` ("auto" takes processes
    if trials are parallel, limited in time or memory, isolated or on GPUs); `isolate` (a process for
    each trial); `gpus_per_trial`; `durability="power"` (survives a power cut); `progress` (None: if
    this is a terminal); `watcher`, called with the ledger and the time as the study goes on.

    Ctrl-C once lets running trials end within their grace and returns; twice kills them. Raises
    SpaceError, StudyError (StudyBusy if it is being run elsewhere), StrategyError, JobError, StoreError.
    """
    spec = make_spec(
        space,
        name=name or _name_of(objective),
        metric=metric,
        goal=goal,
        searcher=searcher,
        scheduler=scheduler,
        seed=seed,
        deterministic=deterministic,
        duplicates=duplicates,
        limits=limits,
    )
    check_limits(spec)
    store = open_store(storage, durability=durability)
    study = open_or_create(store, spec, seed, warm_start)
    queue(study, enqueue)
    folder = Folder.beside(file_of(storage), spec.name)
    from tunesmith.tuning.progress import progress_watcher

    with progress_watcher(progress, also=watcher) as shown:
        loop = Loop(store, spec.name, watcher=shown.watch, say=shown.say)
        try:
            runner = _executor(
                objective, loop, folder, executor, isolate=isolate, gpus_per_trial=gpus_per_trial
            )
        except BaseException:
            loop.close()
            raise
        try:
            loop.run(runner, folder)
        finally:
            folder.close()
    result = Result(loop.ledger)
    if not isinstance(storage, Store):
        store.close()
    return result


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
    finite = all(p.size is not None for p in spec.space.tunables.values()) and not spec.duplicates
    if finite or any(limit is not None for limit in ends):
        return
    if not isinstance(search.make(spec.searcher), Countable):
        raise StudyError(
            "nothing would end this study: say what to spend, for example trials=100 or time='10m'"
        )


def open_or_create(
    store: Store,
    spec: StudySpec,
    seed: int | None,
    warm_start: Earlier | Sequence[Earlier] = (),
) -> Study:
    """The study called `spec.name`: a new one, or the one that is there, edited to match `spec`.

    Raises StudyError where that is not possible: other objectives, another seed.
    """
    import time

    try:
        study = Study(store, spec.name)
    except StudyNotFound:
        store.create(replace(spec, past=pasts(warm_start, store, spec.name)), time.time())
        return Study(store, spec.name)
    now = study.spec
    fixed = {
        "objectives": (now.objectives, spec.objectives),
        "deterministic": (now.deterministic, spec.deterministic),
        "seed": (now.seed, now.seed if seed is None else seed),
    }
    for what, (old, new) in fixed.items():
        if old != new:
            raise StudyError(
                f"study {spec.name!r} is there already, with other {what} ({old}, not {new}), and its "
                "results would not compare; choose another name, or another storage"
            )
    wanted, there = spec.to_dict(), now.to_dict()
    changes = {
        key: wanted.get(key, default)
        for key, default in (
            ("space", {}),
            ("limits", {}),
            ("searcher", "auto"),
            ("scheduler", None),
            ("job", {}),
            ("duplicates", False),
        )
        if wanted.get(key, default) != there.get(key, default)
    }
    study.commit(lambda: edit_events(study.spec, changes))
    return study


def queue(study: Study, configs: Iterable[Mapping[str, Any]]) -> None:
    """Enqueue those of `configs` that are not in the study yet: a resumed call queues none twice."""
    for config in configs:
        space = study.space
        full = space.clean(space.complete(config))
        if study.find(full) is None:
            study.enqueue(full, why="enqueued")


def _name_of(objective: Objective) -> str:
    name = str(getattr(objective, "__name__", type(objective).__name__))
    return name if name.isidentifier() else "study"


def _executor(
    objective: Objective,
    loop: Loop,
    folder: Folder,
    where: Where,
    *,
    isolate: bool,
    gpus_per_trial: float,
) -> Executor:
    limits = loop.ledger.spec.limits
    metric = loop.ledger.spec.objective.metric
    if where not in ("auto", "inline", "process"):
        raise StudyError(f"executor is 'auto', 'inline' or 'process', not {where!r}")
    needs_processes = (
        limits.parallel > 1
        or limits.trial_time is not None
        or limits.trial_memory is not None
        or isolate
        or gpus_per_trial > 0
    )
    if where == "inline" and needs_processes:
        raise StudyError(
            "executor='inline' runs one trial at a time in this process; parallel, trial_time, "
            "trial_memory, isolate and gpus_per_trial need executor='process'"
        )
    if where == "inline" or (where == "auto" and not needs_processes):
        return InlineExecutor(
            objective, metric=metric, deliver=loop.deliver, directory=folder.trial
        )
    return ProcessExecutor(
        objective,
        metric=metric,
        session=loop.session.id,
        folder=folder,
        parallel=limits.parallel,
        memory_limit=limits.trial_memory,
        isolate=isolate,
        gpus_per_trial=gpus_per_trial,
    )
