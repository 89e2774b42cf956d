"""What is done to a study of Vizier's: each act on the newest history, for one of the service's threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgspec

from tunesmith.core import decide, events
from tunesmith.core.errors import StudyOver, StudyWaits, shorten
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.outcome import Outcome, finite, outcome_of
from tunesmith.core.trial import ENDED, USER, Cost, Kind, Origin, Reason, State, alike
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies
from tunesmith.service.vizier import metadata
from tunesmith.service.vizier.names import client_of, invalid
from tunesmith.service.vizier.space import Parameters
from tunesmith.service.vizier.spec import ELAPSED, JOB
from tunesmith.service.vizier.trials import (
    BEFORE,
    DELETED,
    FINAL,
    STOPPING,
    Measured,
    final_text,
    is_there,
    read,
    texts,
)
from tunesmith.tuning.session import Session
from tunesmith.tuning.spec import edit_events, me
from tunesmith.tuning.study import Study

#: What only a session can begin, and nobody runs: trials that are added with their results.
ADDED: Final = "vizier:added"
#: The longest reason that is kept whole (characters).
_REASON: Final = 10_000


def refused(message: str) -> Problem:
    """What cannot be done as things stand."""
    return Problem(409, "state", message)


def ledger_of(study: Study, number: int | None = None) -> Ledger:
    """The newest history; with a trial's number, if it has that. Raises Problem. For whoever has the journal's lock."""
    ledger = study._refresh()  # noqa: SLF001
    if number is not None and not is_there(ledger, number):
        raise Problem(404, "trial", f"study {study.name!r} has no trial {number + 1}")
    return ledger


def check_mutable(ledger: Ledger) -> None:
    """Raise Problem for a study that was stopped: it takes no new trials."""
    if state_of(ledger) == "INACTIVE" or ledger.stop_requested is not None:
        raise refused("this study was stopped (INACTIVE or COMPLETED was set); set it ACTIVE first")


def state_of(ledger: Ledger) -> str:
    """The state of a study, in Vizier's words."""
    ended = ledger.ended
    on_request = ledger.stop_requested is not None or (
        ended is not None and ended.detail == decide.ON_REQUEST.detail
    )
    if on_request:
        return str(ledger.spec.job[JOB].get("state", "INACTIVE"))
    return "ACTIVE" if ended is None else "COMPLETED"


def why_inactive(ledger: Ledger) -> str:
    return ledger.ended.detail if ledger.ended is not None else "it was asked to stop"


# -- suggestions --------------------------------------------------------------------------------


def mine(ledger: Ledger, session: Session) -> list[int]:
    """The trials of a client that go on, oldest first."""
    return sorted(
        number
        for number, running in ledger.running.items()
        if running.session == session.id
        and STOPPING not in ledger.tags(number)
        and number not in ledger.stop_reasons
        and is_there(ledger, number)
    )


class Have(NamedTuple):
    """The trials of a client, and whether those are all that it is to have by now."""

    numbers: list[int]
    whole: bool


def more(
    studies: Studies, study: Study, session: Session, count: int, *, instant: bool, at_most: int
) -> Have | None:
    """The trials of a client, `count` at most, and new ones if there are fewer, `at_most` of them: others wait meanwhile. None if
    it takes a model that thinks and is not to (`instant`). Raises StudyWaits where no trial may begin yet, and the client has
    none."""
    with study._journal.lock:  # noqa: SLF001
        ended, asked = False, 0
        # looked at again before each: the client may be asking another service, too
        while len(have := mine(ledger_of(study), session)[:count]) < count and not ended:
            check_mutable(study._ledger)  # noqa: SLF001
            if asked == at_most:
                return Have(have, whole=False)
            if instant and not studies.instant(study):
                return None
            try:
                studies.next_of(study, session)
                asked += 1
            except StudyOver:
                ended = True
            except StudyWaits:
                if not have:
                    raise
                ended = True
        _flush(study, have)
        return Have(have, whole=True)


def _flush(study: Study, numbers: Sequence[int]) -> None:
    """Report what came with trials before they had begun."""
    for number in numbers:
        if BEFORE in study._ledger.tags(number):  # noqa: SLF001
            study.commit(lambda n=number: _flushed(study, n))  # type: ignore[misc]


def _flushed(study: Study, number: int) -> list[Event]:
    ledger, at = study._ledger, study._clock()  # noqa: SLF001
    text = ledger.tags(number).get(BEFORE)
    if text is None or number not in ledger.running:
        return []
    last = ledger.curves.last(number)
    return [
        *_reports(
            at, number, ledger.attempt(number), read(text), None if last is None else last.step
        ),
        events.Annotated(at, number, "", {BEFORE: ""}, me(study.store)),
    ]


def _reports(
    at: float, number: int, attempt: int, many: Sequence[Measured], last: int | None
) -> list[Event]:
    made: list[Event] = []
    for measured in many:
        last, metrics = measured.report(last)
        made.append(events.Reported(at, number, attempt, last, metrics))
    return made


# -- trials -------------------------------------------------------------------------------------


def add(study: Study, parameters: Parameters, message: Any, session: Session) -> int:
    """Add a trial: to be run, or with its result. Raises Problem, TunesmithError."""
    config = parameters.config(message.parameters)
    measured = [Measured.of(one) for one in message.measurements]
    if not all(one.metrics for one in measured):
        raise invalid("a measurement has no metrics")
    tags = metadata.tags(metadata.written(message.metadata))
    done = message.state in (message.SUCCEEDED, message.INFEASIBLE)
    if done and (missing := parameters.missing(config)):
        raise invalid(
            f"a trial that is over has a value for each parameter; {missing[0]!r} is missing"
        )
    with study._journal.lock:  # noqa: SLF001
        check_mutable(ledger_of(study))
        if not done:
            kept = {**tags, BEFORE: texts(measured)} if measured else tags
            return study.enqueue(config, tags=kept, why="a client's request").number
        final = (
            Measured.of(message.final_measurement)
            if message.HasField("final_measurement")
            else None
        )
        if message.state == message.SUCCEEDED and (final is None or not final.metrics):
            raise invalid("a trial that has succeeded has a final_measurement with metrics")
        infeasible = message.infeasible_reason if message.state == message.INFEASIBLE else None
        latest = measured[-1].metrics if measured else {}
        if infeasible is None:
            _outcome(study._ledger, final, latest)  # noqa: SLF001 (before anything is stored)
        if final is not None:
            final_text(final, message.client_id)  # raises, likewise
        full = parameters.space.filled(config)
        study.by(session)._join()  # noqa: SLF001
        with _whole(study):
            at, number = study._clock(), study._refresh().size  # noqa: SLF001
            queued = events.Enqueued(at, number, full, Origin(USER, "a client's result"), tags)
            study.commit(lambda: [queued])
            study.commit(lambda: [events.Started(at, number, 0, session.id)])
            study.commit(lambda: _reports(at, number, 0, measured, None))
            study.commit(
                lambda: _end(study, number, final, infeasible, latest, message.client_id, Cost())
            )
        study._settle()  # noqa: SLF001
        return number


@contextmanager
def _whole(study: Study) -> Iterator[None]:
    """What is stored in the block is stored together, or not at all; each step is decided on the one before. Within others'
    block what was decided stays, so nothing here may raise."""
    if study._journal._together is not None:  # noqa: SLF001 (it is a part of others')
        yield
    else:
        with study._journal.together():  # noqa: SLF001
            yield


def measure(study: Study, number: int, measured: Measured) -> None:
    """Report a measurement of a trial that runs. Sent again it is stored once. Raises Problem."""
    if not measured.metrics:
        raise invalid("a measurement has no metrics")
    with study._journal.lock:  # noqa: SLF001
        ledger = ledger_of(study, number)
        state = ledger.state(number)
        if state in (State.FAILED, State.CANCELLED):
            return  # as Vizier has it: infeasible is infeasible
        if state is not State.RUNNING:
            raise _not_running(
                ledger, number, "measurements are added to trials that are ACTIVE or STOPPING"
            )
        _flush(study, [number])
        last = study._ledger.curves.last(number)  # noqa: SLF001
        timed = measured.step > 0 or measured.elapsed_s > 0
        if last is not None and timed and _alike(measured, Measured.reported(last)):
            return
        step, metrics = measured.report(None if last is None else last.step)
        numbers = {name: math.nan if value is None else value for name, value in metrics.items()}
        study._report(number, step, numbers)  # noqa: SLF001


def complete(
    study: Study, number: int, final: Measured | None, infeasible: str | None, *, best: bool
) -> None:
    """End a trial: with its final measurement, with one that was reported (the last; with `best`, the best), or as infeasible,
    for that reason. The same again is nothing. Raises Problem."""
    with study._journal.lock:  # noqa: SLF001
        ledger = ledger_of(study, number)
        if ledger.state(number) in ENDED and _same_end(ledger, number, final, infeasible):
            return
        if ledger.state(number) is not State.RUNNING:
            raise _not_running(
                ledger, number, "only trials that are ACTIVE or STOPPING can be completed"
            )
        _flush(study, [number])
        ledger = study._ledger  # noqa: SLF001
        reports = ledger.curves.of(number)
        client = client_of(ledger.running[number].session)
        if final is None and infeasible is None:
            if not reports:
                raise refused(
                    f"trial {number + 1} has no measurements, and there is no final_measurement: complete it with one, "
                    "or with an infeasible_reason"
                )
            final = Measured.reported(_best(ledger, reports) if best else reports[-1])
            objectives = {o.metric for o in ledger.spec.objectives}
            if not objectives <= final.metrics.keys():  # reported one by one
                final = final._replace(metrics=_latest(ledger, number))

        def ended() -> list[Event]:
            now, ledger = study._clock(), study._ledger  # noqa: SLF001
            cost = Cost(wall_s=max(0.0, now - ledger.started_at(number)))
            return _end(study, number, final, infeasible, _latest(ledger, number), client, cost)

        study.commit(ended)
        study._halted.pop(number, None)  # noqa: SLF001
        study._settle()  # noqa: SLF001


def _outcome(ledger: Ledger, final: Measured | None, latest: Mapping[str, float]) -> Outcome:
    """What a final measurement comes to. Raises Problem for one that lacks what the study is about."""
    told = {} if final is None else dict(final.metrics)
    spec = ledger.spec
    outcome = outcome_of(spec.objectives, told, latest, needed=spec.needed_metrics)
    if outcome.reason is not None and outcome.reason.kind is Kind.ERROR:
        raise invalid(f"final_measurement: {outcome.reason.message}")
    return outcome


def _end(
    study: Study, number: int, final: Measured | None, infeasible: str | None, latest: Mapping[str, float], client: str,
    cost: Cost,
) -> list[Event]:  # fmt: skip
    """The events that end a trial. Raises Problem as `_outcome`."""
    ledger, at = study._ledger, study._clock()  # noqa: SLF001
    attempt = ledger.attempt(number)
    cost = decide.price(ledger.spec.limits, cost)
    note = {} if final is None else {FINAL: final_text(final, client)}
    noted = [events.Annotated(at, number, "", note, me(study.store))] if note else []
    if infeasible is not None:
        text = shorten(infeasible, _REASON) or "infeasible"
        reason = msgspec.structs.replace(Reason.told(text), message=text)
        known = finite({**latest, **({} if final is None else final.metrics)})
        return [
            events.Finished(at, number, attempt, State.FAILED, None, known, reason, cost),
            *noted,
        ]
    state, values, metrics, why = _outcome(ledger, final, latest)
    stop = ledger.stop_reasons.get(number)
    if stop is not None and state is State.COMPLETED and _reported(ledger, number, final):
        state, why = State.STOPPED, stop
    return [events.Finished(at, number, attempt, state, values, metrics, why, cost), *noted]


def _reported(ledger: Ledger, number: int, final: Measured | None) -> bool:
    """Whether a final measurement says no more than the last report did, so that its trial ended as its scheduler wanted."""
    last = ledger.curves.last(number)
    return (
        last is not None and final is not None and Measured.reported(last).metrics == final.metrics
    )


def _latest(ledger: Ledger, number: int) -> dict[str, float]:
    return {n: v for n, v in ledger.curves.latest(number).items() if n != ELAPSED}


def _best(ledger: Ledger, reports: Sequence[Any]) -> Any:
    objective = ledger.spec.first_objective
    have = [r for r in reports if math.isfinite(r.metrics.get(objective.metric, math.nan))]
    return min(
        have, key=lambda r: objective.sign * r.metrics[objective.metric], default=reports[-1]
    )


def _alike(one: Measured, other: Measured) -> bool:
    return (
        one.step in (0, other.step)
        and one.elapsed_s == other.elapsed_s
        and alike(one.metrics, other.metrics)
    )


def _same_end(ledger: Ledger, number: int, final: Measured | None, infeasible: str | None) -> bool:
    """Whether a trial has ended just so: its answer may have been lost."""
    trial = ledger.trial(number)
    failed = trial.state in (State.FAILED, State.CANCELLED)
    if infeasible is not None:
        return (
            failed
            and trial.reason is not None
            and trial.reason.message == (shorten(infeasible, _REASON) or "infeasible")
        )
    if final is None:
        return not failed
    kept = trial.tags.get(FINAL)
    if kept is None:
        return False
    told = final_text(final, "")[:-3]
    metrics = {name: value for name, value in final.metrics.items() if math.isfinite(value)}
    return kept.startswith(told) and all(trial.metrics.get(n) == v for n, v in metrics.items())


def _not_running(ledger: Ledger, number: int, rule: str) -> Problem:
    state = ledger.state(number)
    if state in ENDED:
        return refused(
            f"trial {number + 1} is over already: {rule}. A result that is wrong is corrected on the service's page, where the "
            "old one stays visible"
        )
    return refused(f"trial {number + 1} was not handed out yet (REQUESTED): {rule}")


def stop(study: Study, number: int) -> None:
    """Note that a trial is to stop; nothing for one that is over. Raises Problem."""
    with study._journal.lock:  # noqa: SLF001
        ledger = ledger_of(study, number)
        state = ledger.state(number)
        if state is State.RUNNING and STOPPING not in ledger.tags(number):
            study.annotate(number, tags={STOPPING: "a client's request"})
        elif state in (State.FAILED, State.CANCELLED, State.WAITING):
            raise _not_running(ledger, number, "only trials that run can be stopped")


def stops(study: Study, number: int) -> bool:
    """Whether a trial is to stop. Raises Problem."""
    with study._journal.lock:  # noqa: SLF001
        ledger = ledger_of(study, number)
        if ledger.state(number) is not State.RUNNING:
            raise _not_running(ledger, number, "only trials that run can be asked about")
        return STOPPING in ledger.tags(number) or study._why_stop(number) is not None  # noqa: SLF001


def delete(study: Study, number: int) -> None:
    """Show a trial to no client any more. What runs or waits is cancelled, and a result counts no more; both stay in the log."""
    with study._journal.lock:  # noqa: SLF001
        state = ledger_of(study, number).state(number)
        if state in (State.WAITING, State.RUNNING):
            study.cancel(number)
        elif state is not State.CANCELLED and not study._ledger.table.retracted[number]:  # noqa: SLF001
            study.retract(number, why="a client deleted the trial")
        study.annotate(number, tags={DELETED: "by a client"})


# -- studies ------------------------------------------------------------------------------------


def set_state(study: Study, state: str) -> None:
    """Let a study take no more trials, or take them again. Raises Problem, StudyBusy, StudyOver."""
    with study._journal.lock:  # noqa: SLF001
        now = state_of(ledger_of(study))
        if state == "ACTIVE":
            if now != "ACTIVE":
                study.resume()
                _change_job(study, lambda asked: {k: v for k, v in asked.items() if k != "state"})
            return
        _change_job(study, lambda asked: {**asked, "state": state})
        if now != state:
            study.stop()
            study._settle()  # noqa: SLF001


def note(study: Study, on_study: dict[str, str], on_trials: dict[int, dict[str, str]]) -> None:
    """Keep metadata: all of them, or none. Raises Problem."""
    with study._journal.lock:  # noqa: SLF001
        for number in on_trials:
            ledger_of(study, number)
        if on_study:
            kept = {**study._refresh().spec.job[JOB]["metadata"], **on_study}  # noqa: SLF001
            metadata.check_size(kept)

        def noted() -> list[Event]:
            at, ledger, author = study._clock(), study._ledger, me(study.store)  # noqa: SLF001
            made: list[Event] = [
                events.Annotated(at, number, "", metadata.tags(items), author)
                for number, items in on_trials.items()
            ]
            if on_study:
                asked = ledger.spec.job[JOB]
                changed = {**asked, "metadata": {**asked["metadata"], **on_study}}
                made += edit_events(ledger.spec, {"job": {**ledger.spec.job, JOB: changed}}, author)
            return made

        study.commit(noted)


def _change_job(study: Study, change: Callable[[Any], Any]) -> None:
    def changed() -> list[Event]:
        spec = study._ledger.spec  # noqa: SLF001
        return edit_events(spec, {"job": {**spec.job, JOB: change(spec.job[JOB])}}, me(study.store))

    study.commit(changed)
