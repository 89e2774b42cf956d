"""Assembles and runs a study: a spec, a storage and an executor give a result.

`tune`, job files and `simulate` come through here, so that an option means the same at every door.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from tunesmith import streams
from tunesmith.core.errors import StudyError, StudyExists, StudyNotFound
from tunesmith.core.study import StudySpec
from tunesmith.run.executors import Context, Factory
from tunesmith.run.folder import Folder
from tunesmith.store import Durability, Store, file_of, open_store
from tunesmith.tuning.coordinator import Loop
from tunesmith.tuning.feed import Watcher
from tunesmith.tuning.result import Result
from tunesmith.tuning.session import alive, busy
from tunesmith.tuning.spec import check_limits, edit_events, narrow
from tunesmith.tuning.study import Study
from tunesmith.tuning.warm_start import Earlier, pasts

Storage: TypeAlias = str | Path | Store | None
#: What a later call may change of a study, with what is left out of a stored spec.
_EDITABLE: Final[Mapping[str, Any]] = {
    "space": {}, "limits": {}, "searcher": "auto", "scheduler": None, "job": {}, "duplicates": False,
}  # fmt: skip


def launch(
    spec: StudySpec,
    storage: Storage,
    executor: Factory,
    *,
    seed: int | None = None,
    enqueue: Iterable[Mapping[str, Any]] = (),
    warm_start: Earlier | Sequence[Earlier] = (),
    durability: Durability = "crash",
    watcher: Watcher | None = None,
    say: Callable[[str], None] | None = None,
    opened: Callable[[Study], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Result:
    """Run or resume the study `spec` until it is over or stopped.

    `seed` is the one that was asked for (None: any); `opened` is called once the study is there, before the first
    trial. A call that is refused changes nothing. Raises as `tunesmith.tune`.
    """
    streams.keep_descriptors()
    check_limits(spec)
    configs = [spec.space.filled(config) for config in enqueue]
    with ExitStack() as stack:
        store = stack.enter_context(_opened(storage, durability))
        study = open_or_create(store, spec, warm_start, clock)
        running = study.coordinator()
        if running is not None and alive(running):
            raise busy(spec.name, running)
        match(study, spec, seed)
        study._queue(configs)  # noqa: SLF001
        if opened is not None:
            opened(study)
        if say is not None and (sentence := narrow(study.spec)):
            say(sentence)
        coordinator = Loop(store, spec.name, watcher=watcher, say=say, clock=clock)
        with _closed_on_error(coordinator):
            folder = Folder.beside(file_of(storage), spec.name)
            stack.callback(folder.close)
            context = Context(
                coordinator.ledger.spec, coordinator.session.id, folder, coordinator.deliver
            )
            runner = executor(context)
        coordinator.run(runner, folder)
        return Result(coordinator.ledger)


def open_or_create(
    store: Store,
    spec: StudySpec,
    warm_start: Earlier | Sequence[Earlier] = (),
    clock: Callable[[], float] = time.time,
) -> Study:
    """The study called `spec.name`: the one that is there, or a new one."""
    try:
        return Study(store, spec.name, clock=clock)
    except StudyNotFound:
        # where somebody else creates it at this moment, theirs is as good
        with suppress(StudyExists):
            store.create(replace(spec, past=pasts(warm_start, store, spec)), clock())
        return Study(store, spec.name, clock=clock)


def match(study: Study, spec: StudySpec, seed: int | None) -> None:
    """Edit a study where `spec` differs. `seed` is the one that was asked for (None: any).

    Raises StudyError for what cannot be edited: other objectives, another seed.
    """
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
        for key, default in _EDITABLE.items()
        if wanted.get(key, default) != there.get(key, default)
    }
    study.commit(lambda: edit_events(study.spec, changes))


@contextmanager
def _opened(storage: Storage, durability: Durability) -> Iterator[Store]:
    """The store; closed afterwards, unless it is the caller's own."""
    store = open_store(storage, durability=durability)
    try:
        yield store
    finally:
        if store is not storage:
            store.close()


@contextmanager
def _closed_on_error(coordinator: Loop) -> Iterator[None]:
    try:
        yield
    except BaseException:
        coordinator.close()
        raise
