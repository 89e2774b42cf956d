"""Assembles and runs a study: a spec, a storage and an executor give a result.

`tune`, job files and `simulate` come through here, so that an option means the same at every door.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, Final, TypeAlias

from tunesmith import schedule, streams
from tunesmith.analysis import versions
from tunesmith.core import asking
from tunesmith.core.errors import StudyError, StudyExists, StudyNotFound, shorten
from tunesmith.core.events import Edited
from tunesmith.core.program import UNKNOWN, Fingerprint
from tunesmith.core.quantity import count
from tunesmith.core.space.space import Config
from tunesmith.core.strategy import instant, pauses
from tunesmith.core.study import StudySpec
from tunesmith.core.text import text_of
from tunesmith.core.trial import CODES, State
from tunesmith.run.claim import claimed, identity_of
from tunesmith.run.executors import Context, Factory
from tunesmith.store import Durability, Location, Store, file_of, location_of, open_store
from tunesmith.tuning.coordinator import Loop
from tunesmith.tuning.feed import Watcher
from tunesmith.tuning.joined import Joined
from tunesmith.tuning.place import folder_of, network_hint, refuse_network
from tunesmith.tuning.result import Result
from tunesmith.tuning.session import alive, at_work, busy, describe_all
from tunesmith.tuning.spec import check_limits, edit_events, me, remarks
from tunesmith.tuning.study import Study
from tunesmith.tuning.versions import Changed, OnChange, check_on_change, remedy
from tunesmith.tuning.warm_start import Earlier, pasts

Storage: TypeAlias = str | Location | Store | None
#: What a later call may change of a study, with what is left out of a stored spec.
_EDITABLE: Final[Mapping[str, Any]] = {
    "space": {}, "limits": {}, "searcher": "auto", "scheduler": None, "job": {}, "duplicates": False,
    "constraints": [], "prefer": None,
}  # fmt: skip


def launch(
    spec: StudySpec,
    storage: Storage,
    executor: Factory,
    *,
    program: Fingerprint = UNKNOWN,
    on_change: OnChange = "continue",
    changed: Changed = "discount",
    retry_failed: bool = False,
    seed: int | None = None,
    enqueue: Iterable[Mapping[str, Any]] = (),
    warm_start: Earlier | Sequence[Earlier] = (),
    durability: Durability = "crash",
    watcher: Watcher | None = None,
    say: Callable[[str], None] | None = None,
    opened: Callable[[Study], None] | None = None,
    join: bool = False,
    clock: Callable[[], float] = time.time,
) -> Result:
    """Run or resume the study `spec` until it is over or stopped; with `join`, beside others who do.

    `program` is what its trials run; `on_change`, what becomes of a study whose trials ran another one, and `changed`
    of these trials;
    `retry_failed`, whether its failed trials are run again. `seed` is the one that was asked for (None: any);
    `opened` is called once the study is there, before the first trial. A call that is refused changes nothing. Raises as `tunesmith.tune`.
    """
    streams.keep_descriptors()
    check_limits(spec)
    if join:
        _check_joinable(spec)
        refuse_network(storage, "join")
    check_on_change(on_change, changed)
    say = say or (lambda _: None)
    configs = [asking.queued(spec, config) for config in enqueue]
    with ExitStack() as stack:
        store = stack.enter_context(_opened(storage, durability))
        if on_change == "new":
            spec = _of_its_own(store, spec, program, say)
        study = open_or_create(store, spec, warm_start, clock)
        running = study.coordinator()
        if running is not None and alive(running):
            raise busy(spec.name, running)
        warning = _check_program(study, spec, program, on_change)
        if join and changed != "keep":
            _refuse_two_versions(study, program)
        there = study.result().ledger.started_count  # retracted ones do not count
        (check_same if join else match)(study, spec, seed)
        study._data, study._changed = program.parts, changed  # noqa: SLF001
        tried = 0 if join else study._run_best_again(program.parts, changed)  # noqa: SLF001
        if warning:
            choice = remedy(changed, tried, refused=False, command_line=bool(spec.job))
            say(f"{warning}\n{choice}")
        _fill_queue(study, configs, retry_failed, say)
        if opened is not None:
            opened(study)
        folder = folder_of(storage, spec.name)
        stack.callback(folder.close)
        identity = identity_of(spec.name, store.made_at(spec.name))
        stack.enter_context(claimed(folder, identity, say))
        folder = replace(folder, identity=identity)
        if join:
            part = Joined(study, spec.limits.parallel, watcher=watcher, say=say)
            part.run(executor, folder)
            return study.result()
        if hint := network_hint(storage):
            study._refuse_other_hosts(location_of(storage))  # noqa: SLF001
            say(hint)
        for sentence in remarks(study.spec):
            say(sentence)
        coordinator = Loop(
            store,
            spec.name,
            program=program.parts,
            changed=changed,
            watcher=watcher,
            say=say,
            clock=clock,
        )
        with _closed_on_error(coordinator):
            context = Context(
                coordinator.ledger.spec, coordinator.session.id, folder, coordinator.deliver, say
            )
            runner = executor(context)
        coordinator.run(runner, folder)
        result = Result(coordinator.ledger)
        if there:
            _say_what_was_there(result, there, storage, coordinator.session.id, say)
        if sentence := _nothing_but_failures(result):
            say(sentence)
        return result


def _of_its_own(
    store: Store, spec: StudySpec, program: Fingerprint, say: Callable[[str], None]
) -> StudySpec:
    """`spec` under the first of the names ``train``, ``train-2``, ... whose study, if there is one, ran `program`
    for the same objectives."""
    names, warning = store.names(), ""
    for number in itertools.count(1):
        name = spec.name if number == 1 else f"{spec.name}-{number}"
        if name not in names:
            break
        there = Study(store, name)
        differs = versions.warning(there.result().ledger, program)
        if (theirs := _in_words(there.spec)) != _in_words(spec):
            differs = f"study {name!r} has other objectives: {theirs}, not {_in_words(spec)}"
        if not differs:
            break
        warning = warning or differs
    if warning:
        say(f"{warning}\nstudy {name!r} is for what is asked for now (on_change: new)")
    return replace(spec, name=name)


def _check_program(
    study: Study,
    spec: StudySpec,
    program: Fingerprint,
    on_change: OnChange,
) -> str:
    """That trials of the study ran another program, if they did. Raises StudyError where that is to be refused."""
    warning = versions.warning(study.result().ledger, program)
    if warning and on_change == "refuse":
        choice = remedy("", 0, refused=True, command_line=bool(spec.job))
        raise StudyError(f"{warning}\n{choice}")
    return warning


def _say_what_was_there(
    result: Result, there: int, storage: Storage, session: str, say: Callable[[str], None]
) -> None:
    """How many trials an earlier call had left, and how many this one has run."""
    ledger, location, path = result.ledger, location_of(storage), file_of(storage)
    where = "the storage" if location is None else str(location)
    if path is not None:
        where = path.name
    began = ledger.sessions[session].at
    now = ledger.column("started_at") >= began
    now[list(ledger.forks)] = False  # they go on where another trial was
    ran = int(now.sum())
    if ran and result.spec.job:  # the command line has said so as it began
        return
    were = f"{count(there, 'trial')} {'were' if there > 1 else 'was'} in {where} already"
    say(f"{were}; {f'{ran} ran now' if ran else f'none was run: {result.ended}'}")


def _nothing_but_failures(result: Result) -> str:
    """How to go on after failures before any success: they count as trials, until they are run again."""
    ledger = result.ledger
    failed = int(
        ((ledger.column("state") == CODES[State.FAILED]) & ~ledger.column("retracted")).sum()
    )
    if not failed or ledger.completed or result.ended_by == "interrupted":
        return ""
    remedy = "tunesmith run --retry-failed" if result.spec.job else "tune(..., retry_failed=True)"
    one = failed == 1
    return (
        f"{count(failed, 'trial')} failed and none was completed; once the program is mended, {remedy} runs "
        f"{'it' if one else 'them'} again, and {'it does' if one else 'they do'} not count twice"
    )


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
            made = replace(spec, past=pasts(warm_start, store, spec), owner=me(store))
            store.create(made, clock())
        return Study(store, spec.name, clock=clock)


def _fill_queue(
    study: Study, configs: Sequence[Config], retry_failed: bool, say: Callable[[str], None]
) -> None:
    """What is to run before the searcher is asked."""
    if retry_failed and (again := study.retry_failed()):
        say(f"trials that had failed are run again: {len(again)}")
    study._queue(configs)  # noqa: SLF001


def check_same(study: Study, spec: StudySpec, seed: int | None) -> None:
    """Raise StudyError where a study that is to be joined is not `spec`, but for its limits, which hold for all."""
    now = study.spec
    _check_learned(now, spec)
    wanted, there = spec.to_dict(), now.to_dict()
    kept = {"limits", *(["space"] if spec.learned else [])}
    differ = [
        name
        for name, default in {**_EDITABLE, "objectives": None, "deterministic": False}.items()
        if name not in kept and wanted.get(name, default) != there.get(name, default)
    ]
    if seed is not None and seed != now.seed:
        differ.append("seed")
    if differ:
        shown = "; ".join(
            f"{name} is {shorten(text_of(there.get(name)))}, not {shorten(text_of(wanted.get(name)))}"
            for name in differ
        )
        raise StudyError(
            f"join: study {spec.name!r} is there already, with another {' and '.join(differ)} ({shown}); take another "
            "name, or change it with tunesmith edit"
        )


def _check_joinable(spec: StudySpec) -> None:
    """Refuse a scheduler that pauses trials and takes its time to say which go on: with several processes it would hardly
    ever have seen what has happened meanwhile."""
    if spec.scheduler is None:
        return
    scheduler = schedule.make(spec.scheduler)
    if pauses(scheduler) and not instant(scheduler):
        raise StudyError(
            f"join: scheduler {spec.scheduler.name!r} fits models to say which paused trial goes on, while results of other "
            "processes come in; run the study without join, or take one that answers at once (asha, hyperband, pbt, "
            "median)"
        )


def _refuse_two_versions(study: Study, program: Fingerprint) -> None:
    """Raise StudyError where others run another version of the program at this moment: each would set the results of the
    other aside."""
    parts = dict(program.parts)
    others = [
        one
        for one in at_work(study.result().ledger)
        if one.program and parts and dict(one.program) != parts
    ]
    if others:
        raise StudyError(
            f"join: another version of the program is being run ({describe_all(others)}); start all processes with the same "
            "one, wait for the others to end, or count all results together with changed='keep' (--changed keep) where the "
            "difference does not matter"
        )


def match(study: Study, spec: StudySpec, seed: int | None) -> list[str]:
    """Edit a study where `spec` differs; what was changed. `seed` is the one that was asked for (None: any).

    Raises StudyError for what cannot be edited: other objectives, another seed.
    """
    now = study.spec
    fixed = {
        "objectives": (_in_words(now), _in_words(spec)),
        "deterministic": (now.deterministic, spec.deterministic),
        "seed": (now.seed, now.seed if seed is None else seed),
    }
    for what, (old, new) in fixed.items():
        if old != new:
            raise StudyError(
                f"study {spec.name!r} is there already, with other {what} ({old}, not {new}), and its "
                "results would not compare; choose another name, or another storage"
            )
    _check_learned(now, spec)
    wanted, there = spec.to_dict(), now.to_dict()
    changes = {
        key: wanted.get(key, default)
        for key, default in _EDITABLE.items()
        if not (spec.learned and key == "space")
        and wanted.get(key, default) != there.get(key, default)
    }
    if missing := [tag for tag in spec.tags if tag not in now.tags]:  # others' are left alone
        changes["tags"] = [*now.tags, *missing]
    edited = study.commit(lambda: edit_events(study.spec, changes, me(study.store)))
    return [name for event in edited if isinstance(event, Edited) for name in event.changes]


def _check_learned(there: StudySpec, wanted: StudySpec) -> None:
    """Raise StudyError where one space is declared and the other learned."""
    if there.learned != wanted.learned:
        is_, not_ = (
            ("learned from what its trials ask for", "declared")
            if there.learned
            else ("declared", "left to what trials ask for")
        )
        raise StudyError(
            f"study {there.name!r} is there already, and its space is {is_}, not {not_}; choose another name, or another "
            "storage"
        )


def _in_words(spec: StudySpec) -> str:
    """The objectives of a study."""
    return ", ".join(map(str, spec.objectives))


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
