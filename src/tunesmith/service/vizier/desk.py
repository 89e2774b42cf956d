"""The operations of Vizier, for the service's event loop; who asks and how is the doors' matter (`rpc`, `rest`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from tunesmith.core.errors import StudyExists, StudyNotFound, StudyWaits, TunesmithError
from tunesmith.core.ledger import Ledger
from tunesmith.service.gate import allow
from tunesmith.service.groups import Groups
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies
from tunesmith.service.tokens import Scope, Token
from tunesmith.service.vizier import acts, messages, metadata, names, spec
from tunesmith.service.vizier.names import Resource, invalid
from tunesmith.service.vizier.pages import page
from tunesmith.service.vizier.space import Parameters
from tunesmith.service.vizier.trials import Measured, is_there, message_of
from tunesmith.service.wire import MOST_WAIT_S, Wire
from tunesmith.tuning.session import Session
from tunesmith.tuning.spec import writing_as
from tunesmith.tuning.study import Study

T = TypeVar("T")

#: Suggestions of one request, at most; and how many are made before others have their turn.
MOST: Final = 1000
_AT_A_TIME: Final = 10
#: Instead of an answer that is not whole yet.
_PART: Final = object()
#: Trials that are written into an answer while a study's history is kept from others.
_CHUNK: Final = 500
#: Who is meant where a session's machine is: nobody looks for its process.
_REMOTE: Final = "vizier"
#: So many studies' parameters are kept.
_KEPT: Final = 500


class Desk:
    """Vizier's operations: a message in, a message out. All raise Problem and TunesmithError."""

    def __init__(self, studies: Studies, groups: Groups, wire: Wire) -> None:
        self._studies, self._groups, self._wire = studies, groups, wire
        #: The study of each resource's name, as far as they were looked for; and its parameters.
        self._known: dict[str, str] = {}
        self._parameters: dict[tuple[str, str], Parameters] = {}
        #: Requests for suggestions that take longer than their clients wait, by the operation's name.
        self._asking: dict[str, asyncio.Task[Any]] = {}

    def calls(self, wait_s: float) -> dict[str, Callable[[Token, Any], Awaitable[Any]]]:
        """All operations by their names; suggestions are waited for so long (s)."""
        return {
            "CreateStudy": self.create_study,
            "GetStudy": self.get_study,
            "LookupStudy": self.lookup_study,
            "ListStudies": self.list_studies,
            "DeleteStudy": self.delete_study,
            "SetStudyState": self.set_study_state,
            "UpdateMetadata": self.update_metadata,
            "SuggestTrials": partial(self.suggest_trials, wait_s=wait_s),
            "GetOperation": partial(self.get_operation, wait_s=wait_s),
            "CreateTrial": self.create_trial,
            "GetTrial": self.get_trial,
            "ListTrials": self.list_trials,
            "ListOptimalTrials": self.list_optimal_trials,
            "AddTrialMeasurement": self.add_trial_measurement,
            "CompleteTrial": self.complete_trial,
            "StopTrial": self.stop_trial,
            "DeleteTrial": self.delete_trial,
            "CheckTrialEarlyStoppingState": self.check_trial_early_stopping_state,
        }

    # -- studies --------------------------------------------------------------------------------

    async def create_study(self, who: Token, request: Any) -> Any:
        """Make a study. The same one that is there is given back; another one is an error (Vizier gives it back without a
        word, with other parameters than its client has)."""
        parent = names.resource(request.parent, "parent")
        wanted = request.study
        if wanted.name:
            raise invalid(
                "a study's name is made by the service: leave it out, and give a display_name"
            )
        resource = names.of_new(parent, wanted.display_name)
        allow(who, "work")
        there = await self._studies.think(self._make, who, parent, resource, wanted)
        shown = await self._shown(who, names.resource(resource, "study"))
        if there and not spec.alike(shown.study_spec, wanted.study_spec):
            raise Problem(
                409,
                "StudyExists",
                f"there is a study {names.shortened(wanted.display_name)} already, with another study_spec: take another name, "
                "load it as it is (Study.from_resource_name), or delete it",
            )
        return shown

    def _make(self, who: Token, parent: Resource, resource: str, wanted: Any) -> bool:
        """Make a study unless it is there; whether it was."""
        if self._find(resource) is not None:
            return True
        for name in names.study_names(resource, wanted.display_name):
            made = spec.make(name, resource, wanted)
            metadata.check_size(made.job[spec.JOB]["metadata"])
            allow(who, "work", name)
            owner = who.owner or (parent.parent.rpartition("/")[2] if not who.id else who.name)
            try:
                self._studies.store.create(replace(made, owner=owner[:200]), self._studies.clock())
            except StudyExists:
                self._studies.forget(name)
                if self._resource_of(name) == resource:  # by another request, at the same time
                    self._known[resource] = name
                    return True
                continue
            self._known[resource] = name
            return False
        raise Problem(
            409,
            "StudyExists",
            f"there are other studies called {names.shortened(wanted.display_name)}",
        )

    async def get_study(self, who: Token, request: Any) -> Any:
        return await self._shown(who, names.resource(request.name, "study"))

    async def lookup_study(self, who: Token, request: Any) -> Any:
        resource = names.of_new(names.resource(request.parent, "parent"), request.display_name)
        return await self._shown(who, names.resource(resource, "study"))

    async def list_studies(self, who: Token, request: Any) -> Any:
        parent = names.resource(request.parent, "parent")
        allow(who, "read")
        prefix = f"{parent.parent}/studies/"

        def listed() -> tuple[list[Any], str]:
            found = [
                (resource, name)
                for name in self._studies.store.names()
                if who.sees(name) and (resource := self._resource_of(name)).startswith(prefix)
            ]
            for resource, name in found:
                self._known.setdefault(resource, name)
            shown, following = page(sorted(found), lambda one: one[0], request)
            made = []
            for resource, name in shown:
                with suppress(StudyNotFound):  # deleted meanwhile
                    made.append(self._studies.on(name, partial(self._study, resource=resource)))
            return made, following

        made, following = await self._studies.think(listed)
        return messages.of("ListStudiesResponse")(studies=made, next_page_token=following)

    async def delete_study(self, who: Token, request: Any) -> Any:
        resource = names.resource(request.name, "study")
        name = await self._name(who, "control", resource)

        def delete() -> (
            None
        ):  # whose name it is now: the one that is known may be another study's by now
            self._studies.forget(name)
            if self._resource_of(name) != resource.name:
                raise _missing(resource)
            self._studies.delete(name)

        try:
            await self._found(resource, self._studies.quick(delete))
        finally:
            self._known.pop(resource.name, None)
        return messages.of("Empty")()

    async def set_study_state(self, who: Token, request: Any) -> Any:
        resource = names.resource(request.parent, "study")
        kinds = messages.of("Study").State
        state = kinds.Name(request.state) if request.state in kinds.values() else ""
        if state not in ("ACTIVE", "INACTIVE", "COMPLETED"):
            raise invalid("a study's state is ACTIVE, INACTIVE or COMPLETED")
        await self._do(who, "control", resource, lambda study, _: acts.set_state(study, state))
        return await self._shown(who, resource)

    async def update_metadata(self, who: Token, request: Any) -> Any:
        """Keep notes: all of them, or none."""
        resource = names.resource(request.name, "study")
        on_study = metadata.written(
            d.metadatum for d in request.delta if not d.HasField("trial_id")
        )
        on_trials: dict[int, dict[str, str]] = {}
        for delta in request.delta:
            if delta.HasField("trial_id"):
                trial = names.resource(f"{resource.name}/trials/{delta.trial_id}", "trial").trial
                assert trial is not None
                on_trials.setdefault(trial, {}).update(metadata.written([delta.metadatum]))
        await self._do(
            who, "work", resource, lambda study, _: acts.note(study, on_study, on_trials)
        )
        return messages.of("UpdateMetadataResponse")()

    # -- suggestions ----------------------------------------------------------------------------

    async def suggest_trials(self, who: Token, request: Any, wait_s: float) -> Any:
        """The operation that brings suggestions; done if they come within so long (s). It can be asked again, and by another
        service: who asks again gets the same trials."""
        resource = names.resource(request.parent, "study")
        if len(request.contexts):
            raise invalid("contexts are not known here; leave them out")
        client = request.client_id
        count = request.suggestion_count
        return await self._operation(who, resource, count, client, wait_s)

    async def get_operation(self, who: Token, request: Any, wait_s: float) -> Any:
        resource = names.resource(request.name, "operation")
        count, client = names.asked_by(resource.operation)
        return await self._operation(who, resource, count, client, wait_s)

    async def _operation(
        self, who: Token, resource: Resource, count: int, client: str, wait_s: float
    ) -> Any:
        if not 1 <= count <= MOST:
            raise invalid(f"suggestion_count is from 1 to {MOST}, not {count}")
        names.session_of(client)  # raises
        operation = messages.of("Operation")(
            name=names.operation_name(resource.name, count, client)
        )
        await self._name(who, "work", resource)
        key = f"{who.id} {operation.name}"
        task = self._asking.get(key)
        if task is None:
            made = self._suggest(who, resource, count, client)
            task = self._asking[key] = asyncio.get_running_loop().create_task(made)

            def forget(done: asyncio.Task[Any]) -> None:
                self._asking.pop(key, None)  # who asks again gets the same trials
                if not done.cancelled():
                    done.exception()  # heard of, if nobody waits any more

            task.add_done_callback(forget)
        done, _ = await asyncio.wait({task}, timeout=wait_s)
        if not done:
            return operation
        try:
            answer = task.result()
        except StudyWaits:  # until other trials have ended
            return operation
        operation.done = True
        operation.response.value = answer.SerializeToString()
        return operation

    async def _suggest(self, who: Token, resource: Resource, count: int, client: str) -> Any:
        name = await self._name(who, "work", resource)
        session = Session(names.session_of(client), _REMOTE, 0, 0.0, _REMOTE, remote=True)
        begun = self._studies.clock()

        def at_once(study: Study, parameters: Parameters) -> Any:
            have = acts.more(self._studies, study, session, count, instant=True, at_most=_AT_A_TIME)
            return have and self._suggested(study, parameters, resource, have)

        def think(study: Study) -> Any:
            with writing_as(who.name):
                have = acts.more(self._studies, study, session, count, instant=False, at_most=1)
            return have and self._suggested(study, self._of(study, resource), resource, have)

        found: Any = _PART
        while found is _PART:
            found = await self._do(who, "work", resource, at_once)
            if found is None:
                turn = self._wire.asking.turn(name, f"{session.id} {id(session)}", 2 * MOST_WAIT_S)
                async with turn:
                    found = await self._studies.think(self._studies.on, name, think, thinking=True)
        found.start_time.FromNanoseconds(round(begun * 1e9))
        found.end_time.FromNanoseconds(round(self._studies.clock() * 1e9))
        return found

    def _suggested(
        self, study: Study, parameters: Parameters, resource: Resource, have: acts.Have
    ) -> Any:
        """The answer; _PART where there are more to come."""
        if not have.whole:
            return _PART
        with study._journal.lock:  # noqa: SLF001
            ledger = study._ledger  # noqa: SLF001
            trials = [
                message_of(ledger, parameters, resource.name, number) for number in have.numbers
            ]
            state = messages.of("Study").State.Value(acts.state_of(ledger))
        return messages.of("SuggestTrialsResponse")(trials=trials, study_state=state)

    # -- trials ---------------------------------------------------------------------------------

    async def create_trial(self, who: Token, request: Any) -> Any:
        resource = names.resource(request.parent, "study")
        session = Session(acts.ADDED, _REMOTE, 0, 0.0, _REMOTE, remote=True)

        def add(study: Study, parameters: Parameters) -> Any:
            number = acts.add(study, parameters, request.trial, session)
            return self._trial(study, parameters, resource, number)

        return await self._do(who, "work", resource, add)

    async def get_trial(self, who: Token, request: Any) -> Any:
        resource = names.resource(request.name, "trial")
        return await self._look(
            who, resource, lambda study, known: self._trial(study, known, resource, resource.trial)
        )

    async def list_trials(self, who: Token, request: Any) -> Any:
        resource = names.resource(request.parent, "study")
        trials, following = await self._listed(
            who, resource, request, lambda ledger: range(ledger.size)
        )
        return messages.of("ListTrialsResponse")(trials=trials, next_page_token=following)

    async def list_optimal_trials(self, who: Token, request: Any) -> Any:
        """The best trial, or the front of several objectives; only what keeps the constraints."""
        resource = names.resource(request.parent, "study")

        def optimal(ledger: Ledger) -> list[int]:
            if len(ledger.spec.objectives) > 1:
                return [int(n) for n in ledger.front().tolist()]
            return [] if ledger.incumbent is None else [ledger.incumbent]

        trials, following = await self._listed(who, resource, request, optimal)
        return messages.of("ListOptimalTrialsResponse")(
            optimal_trials=trials, next_page_token=following
        )

    async def add_trial_measurement(self, who: Token, request: Any) -> Any:
        measured = Measured.of(request.measurement)
        return await self._act(
            who, "work", request.trial_name, lambda s, n: acts.measure(s, n, measured)
        )

    async def complete_trial(self, who: Token, request: Any) -> Any:
        given = request.HasField("final_measurement") and len(request.final_measurement.metrics) > 0
        final = Measured.of(request.final_measurement) if given else None
        infeasible = request.infeasible_reason if request.trial_infeasible else None

        def complete(study: Study, number: int) -> None:
            best = False
            if final is None and infeasible is None:
                asked = spec.described(study._refresh().spec.job[spec.JOB])  # noqa: SLF001
                best = asked.measurement_selection_type == asked.BEST_MEASUREMENT
            acts.complete(study, number, final, infeasible, best=best)

        return await self._act(who, "work", request.name, complete)

    async def stop_trial(self, who: Token, request: Any) -> Any:
        return await self._act(who, "work", request.name, acts.stop)

    async def delete_trial(self, who: Token, request: Any) -> Any:
        resource = names.resource(request.name, "trial")
        number = resource.trial
        assert number is not None
        await self._do(who, "control", resource, lambda study, _: acts.delete(study, number))
        return messages.of("Empty")()

    async def check_trial_early_stopping_state(self, who: Token, request: Any) -> Any:
        resource = names.resource(request.trial_name, "trial")
        number = resource.trial
        assert number is not None
        stops = await self._do(who, "work", resource, lambda study, _: acts.stops(study, number))
        return messages.of("CheckTrialEarlyStoppingStateResponse")(should_stop=stops)

    # -- how ------------------------------------------------------------------------------------

    async def _act(
        self, who: Token, scope: Scope, name: str, act: Callable[[Study, int], None]
    ) -> Any:
        """Do something to a trial; the trial as it is then."""
        resource = names.resource(name, "trial")
        number = resource.trial
        assert number is not None

        def acted(study: Study, parameters: Parameters) -> Any:
            act(study, number)
            return self._trial(study, parameters, resource, number)

        return await self._do(who, scope, resource, acted)

    async def _do(
        self, who: Token, scope: Scope, resource: Resource, call: Callable[[Study, Parameters], T]
    ) -> T:
        """What `call` makes of a study, once it is stored, written as by the token's owner."""
        name = await self._name(who, scope, resource)

        def work(study: Study) -> T:
            with writing_as(who.name):
                return call(study, self._of(study, resource))

        return await self._found(resource, self._groups.do(name, work))

    async def _look(
        self, who: Token, resource: Resource, call: Callable[[Study, Parameters], T]
    ) -> T:
        name = await self._name(who, "read", resource)

        def look(study: Study) -> T:
            return call(study, self._of(study, resource))

        return await self._found(resource, self._studies.quick(self._studies.on, name, look))

    async def _found(self, resource: Resource, made: Awaitable[T]) -> T:
        try:
            return await made
        except StudyNotFound:  # somebody has deleted it
            self._known.pop(resource.name, None)
            raise _missing(resource) from None

    async def _name(self, who: Token, scope: Scope, resource: Resource) -> str:
        """The study's own name, if it may be used so."""
        allow(who, scope)
        name = self._known.get(resource.name)
        if name is None:
            name = await self._studies.think(self._find, resource.name)
        if name is None or not who.sees(name):
            raise _missing(resource)
        return name

    def _find(self, resource: str) -> str | None:
        """The study of a resource: all studies are looked through where it is not known."""
        known = self._known.get(resource)
        if known is not None and self._resource_of(known) == resource:
            return known
        for name in self._studies.store.names():
            if found := self._resource_of(name):
                self._known.setdefault(found, name)
                if found == resource:
                    self._known[resource] = name
                    return name
        return None

    def _resource_of(self, name: str) -> str:
        """The resource's name of a study; "" for one that is none of Vizier's, or is gone."""
        try:
            asked = spec.asked_for(self._studies.origin(name).spec)
        except TunesmithError:
            return ""
        if asked is None:
            return ""
        resource = str(asked["name"])
        # whoever makes a study may write such a mark in it: it counts where `_make` would give the study this name
        called = names.study_names(resource, str(asked.get("display_name", "")))
        return resource if name in called else ""

    def _of(self, study: Study, resource: Resource) -> Parameters:
        """A study's parameters, if it is the one that is meant."""
        origin = self._studies.origin(study.name)
        asked = spec.asked_for(origin.spec)
        if asked is None or asked["name"] != resource.name:
            self._known.pop(resource.name, None)
            raise _missing(resource)
        key = (study.name, origin.id)
        if key not in self._parameters:
            if len(self._parameters) >= _KEPT:
                self._parameters.clear()
            self._parameters[key] = Parameters(spec.described(asked).parameters)
        return self._parameters[key]

    def _trial(
        self, study: Study, parameters: Parameters, resource: Resource, number: int | None
    ) -> Any:
        assert number is not None
        with study._journal.lock:  # noqa: SLF001
            return message_of(acts.ledger_of(study, number), parameters, resource.name, number)

    async def _listed(
        self, who: Token, resource: Resource, request: Any, which: Callable[[Ledger], Any]
    ) -> tuple[list[Any], str]:
        name = await self._name(who, "read", resource)

        def listed(study: Study) -> tuple[list[Any], str]:
            parameters = self._of(study, resource)
            with study._journal.lock:  # noqa: SLF001
                ledger = acts.ledger_of(study)
                numbers = [n for n in which(ledger) if is_there(ledger, n)]
            shown, following = page(sorted(numbers), int, request)
            made = []
            for chunk in _chunks(shown):
                with study._journal.lock:  # noqa: SLF001
                    ledger = study._ledger  # noqa: SLF001
                    made += [message_of(ledger, parameters, resource.name, n) for n in chunk]
            return made, following

        return await self._found(resource, self._studies.think(self._studies.on, name, listed))

    async def _shown(self, who: Token, resource: Resource) -> Any:
        return await self._look(who, resource, lambda study, _: self._study(study, resource.name))

    def _study(self, study: Study, resource: str) -> Any:
        with study._journal.lock:  # noqa: SLF001
            ledger = study._refresh()  # noqa: SLF001
            asked = ledger.spec.job[spec.JOB]
            state, why = acts.state_of(ledger), acts.why_inactive(ledger)
        made = messages.of("Study")(name=resource, display_name=asked["display_name"])
        made.study_spec.CopyFrom(spec.described(asked))
        spec.mark_whole(made.study_spec.parameters)
        metadata.fill(made.study_spec, asked["metadata"])
        made.state = made.State.Value(state)
        if state == "INACTIVE":
            made.inactive_reason = why
        made.create_time.FromNanoseconds(round(self._studies.origin(study.name).created_at * 1e9))
        return made


def _missing(resource: Resource) -> Problem:
    return Problem(404, "StudyNotFound", f"there is no study {resource.name}")


def _chunks(items: list[T]) -> Iterator[list[T]]:
    for begin in range(0, len(items), _CHUNK):
        yield items[begin : begin + _CHUNK]
