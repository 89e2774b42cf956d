"""`tune`: run a study of a Python function from beginning to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Unpack

from tunesmith.core.objective import Goal, Use
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import Scheduler, Searcher
from tunesmith.run.executors import Where, of_function
from tunesmith.run.objective import check_asking
from tunesmith.store import Durability
from tunesmith.tuning import fingerprint
from tunesmith.tuning.display import progress_watcher
from tunesmith.tuning.feed import Watcher
from tunesmith.tuning.launch import Storage, launch
from tunesmith.tuning.result import Result
from tunesmith.tuning.spec import LimitOptions, make_spec
from tunesmith.tuning.tracking import Named, tracked
from tunesmith.tuning.versions import Changed, OnChange, on_data
from tunesmith.tuning.warm_start import Earlier


def tune(
    objective: Callable[..., Any],
    space: Space | Mapping[str, Any] | None = None,
    *,
    metric: str | Sequence[str] = "value",
    goal: Goal | Sequence[Goal] = "minimize",
    use: Use | Sequence[Use] = "last",
    constraints: str | Sequence[str] = (),
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
    prefer: str | Mapping[str, Any] | None = None,
    name: str | None = None,
    storage: Storage = None,
    searcher: str | Mapping[str, Any] | Searcher = "auto",
    scheduler: str | Mapping[str, Any] | Scheduler | None = None,
    seed: int | None = None,
    enqueue: Iterable[Mapping[str, Any]] = (),
    warm_start: Earlier | Sequence[Earlier] = (),
    deterministic: bool = False,
    duplicates: bool = False,
    tags: Iterable[str] = (),
    on_change: OnChange = "continue",
    changed: Changed = "discount",
    data_version: str | float | None = None,
    retry_failed: bool = False,
    executor: Where = "auto",
    isolate: bool = False,
    gpus_per_trial: float = 0.0,
    resources: Mapping[str, Any] | None = None,
    join: bool = False,
    durability: Durability = "crash",
    progress: bool | None = None,
    watcher: Watcher | None = None,
    loggers: Sequence[Named] = (),
    **limits: Unpack[LimitOptions],
) -> Result:
    """Tune `objective` over `space`, and return what was found.

    ``objective(config)`` or ``objective(config, trial)`` returns a number or ``{metric: number}``, or
    yields reports. Without a `space` it is ``objective(trial)``, which asks for its parameters as it goes
    (``trial.float("lr", 1e-5, 1e-1, log=True)``), and the space is learned from that. `storage` names a file in which the study is kept, or a database (``postgresql://user@host/database``); the same call again goes on
    where it stopped, and a changed space, searcher or limit is taken as an edit of the study. If the objective's
    code has changed since, that is said, and `on_change` decides: "continue" goes on, "refuse" raises StudyError, "new"
    begins a study of its own. Going on, `changed` says what becomes of the results so far: "discount" (they count as an
    earlier study's, the best ones are run again, and the best is a new one), "keep" (all count together) or "drop".
    `data_version`, a word or number of yours that changes with the data, is a part of the program. With `retry_failed` the trials that failed are run again, once
    the objective is mended (`Study.retry_failed`).

    Main arguments: `metric` and `goal` (or a list of each), `use` (how a trial's reports become its value: "last",
    "best" or "mean of last 10"; what it returns counts with "last" only), and what to spend: ``trials=100``,
    ``time="2h"``, ``compute_time``, ``cost`` with ``price_per_hour``, ``target``; ``parallel=4`` runs
    that many at a time, in processes of their own. Other limits: see `Limits`.

    Other arguments: `name` of the study (the function's); `searcher`, `scheduler`, by name,
    ``{name: options}`` or as an object; `enqueue`, configs to run first; `warm_start`, earlier studies to learn from (or their
    results, or names in the same storage; taken in when the study is new); `deterministic` (the same trials on every run,
    however parallel); `duplicates` (the same config may run twice); `tags`, words by which people find the study; `executor` ("auto" takes processes
    if trials are parallel, limited in time or memory, isolated or on GPUs; "ray", or ``{"ray": {"address": ...,
    "runtime_env": {...}}}``, runs them on a Ray cluster, and `resources` says what each needs there:
    ``{"cpu": 2, "gpu": 0.5, "memory": "8GiB", "label": {"market": "spot"}}``); `isolate` (a process for
    each trial); `gpus_per_trial`; `durability="power"` (survives a power cut); `progress` (None: if
    this is a terminal); `watcher`, called with the ledger and the time as the study goes on; `loggers`, experiment trackers that are told what happens, such as
    ``tunesmith.integrations.mlflow.MlflowLogger()``.

    With `join` the same call may be made in several processes at once, on several hosts if `storage` is a database: each runs
    trials (`parallel` of them at a time), all learn from all, the limits of the first call hold for all together, and who comes
    late helps, or gets the result. Trials of a process that died are given to others.

    Ctrl-C once lets running trials end within their grace and returns; twice kills them. Raises
    SpaceError, StudyError (StudyBusy if it is being run elsewhere), StrategyError, JobError, StoreError.
    """
    spec = make_spec(
        space,
        name=name or _name_of(objective),
        metric=metric,
        goal=goal,
        use=use,
        constraints=constraints,
        at_most=at_most,
        at_least=at_least,
        prefer=prefer,
        searcher=searcher,
        scheduler=scheduler,
        seed=seed,
        deterministic=deterministic,
        duplicates=duplicates,
        tags=tags,
        limits=limits,
    )
    if spec.learned:
        check_asking(objective)
    runner = of_function(
        objective,
        spec,
        where=executor,
        isolate=isolate,
        gpus_per_trial=gpus_per_trial,
        resources=resources,
    )
    program = on_data(fingerprint.of_function(objective), data_version)
    with tracked(loggers, watcher) as also, progress_watcher(progress, also=also) as shown:
        return launch(
            spec,
            storage,
            runner,
            program=program,
            on_change=on_change,
            changed=changed,
            retry_failed=retry_failed,
            seed=seed,
            enqueue=enqueue,
            warm_start=warm_start,
            durability=durability,
            join=join,
            watcher=shown.watch,
            say=shown.say,
        )


def _name_of(objective: Callable[..., Any]) -> str:
    name = str(getattr(objective, "__name__", type(objective).__name__))
    return name if name.isidentifier() else "study"
