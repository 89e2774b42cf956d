"""What strangers send: nothing of it is an error of ours, and nothing ends a study."""

from __future__ import annotations

import math
import random
from typing import Any

import grpc
import pytest
from tests.service.vizier.client import config, study
from tests.service.vizier.conftest import Door
from vizier.service import pyvizier as vz

from tunesmith.service.vizier import messages, names

CALLS = {
    "CreateStudy": "Study", "GetStudy": "Study", "ListStudies": "ListStudiesResponse", "DeleteStudy": "Empty",
    "SetStudyState": "Study", "SuggestTrials": "Operation", "GetOperation": "Operation", "CreateTrial": "Trial",
    "GetTrial": "Trial", "ListTrials": "ListTrialsResponse", "AddTrialMeasurement": "Trial", "CompleteTrial": "Trial",
    "DeleteTrial": "Empty", "CheckTrialEarlyStoppingState": "CheckTrialEarlyStoppingStateResponse", "StopTrial": "Trial",
    "ListOptimalTrials": "ListOptimalTrialsResponse", "UpdateMetadata": "UpdateMetadataResponse",
}  # fmt: skip
#: What is a client's fault.
THEIRS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
}


def call(door: Door, name: str, request: Any, metadata: Any = ()) -> Any:
    """Call by a message of ours, or bytes."""
    with grpc.insecure_channel(door.endpoint) as channel:
        made = channel.unary_unary(f"/vizier.VizierService/{name}")
        body = request if isinstance(request, bytes) else request.SerializeToString()
        return messages.of(CALLS[name]).FromString(made(body, metadata=metadata, timeout=60))


def refused(door: Door, name: str, request: Any, metadata: Any = ()) -> tuple[Any, str]:
    with pytest.raises(grpc.RpcError) as error:
        call(door, name, request, metadata)
    return error.value.code(), error.value.details()


@pytest.mark.parametrize("name", CALLS)
def test_nothing_and_anything(door: Door, name: str) -> None:
    """Bytes that are no message, and a message without anything in it."""
    code, said = refused(door, name, b"\xff\xff\xff")
    assert (code, said) == (grpc.StatusCode.INVALID_ARGUMENT, f"this is no {name}Request")
    code, _ = refused(door, name, b"")
    assert code is grpc.StatusCode.INVALID_ARGUMENT


WORDS = ["", "x", "loss", "a/b", "owners/ana", "owners/ana/studies/fuzz", "owners/ana/studies/fuzz/trials/1",
         "owners/ana/studies/fuzz/trials/0", "projects/p/locations/l", "\x00", "é" * 90, "%2F", "GRID_SEARCH", "unnamed"]  # fmt: skip
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, math.nan, math.inf, -math.inf, 1e308, 5e-324, 2.0**53]
WHOLE = [0, 1, -1, 2, 3, 2**31 - 1, -(2**31)]


def filled(message: Any, rng: random.Random, depth: int = 0) -> Any:
    """A message with something in many of its fields."""
    for field in message.DESCRIPTOR.fields:
        if (
            message.DESCRIPTOR.name == "Struct"
            or rng.random() < 0.3
            or (depth > 4 and field.message_type)
        ):
            continue
        for _ in range(rng.choice([1, 1, 2]) if field.is_repeated else 1):
            there = getattr(message, field.name)
            if field.message_type:
                filled(there.add() if field.is_repeated else there, rng, depth + 1)
                continue
            values: dict[int, list[Any]] = {
                9: WORDS,
                1: NUMBERS,
                8: [True, False],
                14: [0, 1, 2, 3, 9],
                12: [b"", b"x"],
            }
            value: Any = rng.choice(
                values.get(field.type, WHOLE if field.type == 5 else [*WHOLE, 2**62])
            )
            if field.is_repeated:
                there.append(value)
            else:
                setattr(message, field.name, value)
    return message


@pytest.mark.parametrize("seed", range(4))
def test_messages_at_random(door: Door, seed: int) -> None:
    """Each is done or refused as its sender's fault, and the study that they are about goes on."""
    made = study(door, "fuzz", config(loss="MINIMIZE"))
    rng = random.Random(seed)
    for _ in range(120):
        name = rng.choice([n for n in CALLS if n not in ("DeleteStudy", "SetStudyState")])
        request = filled(messages.of(f"{name}Request")(), rng)
        for field, value in (
            ("parent", "owners/ana" if "Stud" in name else "owners/ana/studies/fuzz"),
            ("name", "owners/ana/studies/fuzz" if name in ("GetStudy", "UpdateMetadata") else "owners/ana/studies/fuzz/trials/1"),
            ("trial_name", "owners/ana/studies/fuzz/trials/1"),
        ):  # fmt: skip
            if hasattr(request, field) and rng.random() < 0.9:
                setattr(request, field, value)
        if name == "CreateStudy":
            request.study.name = ""
        try:
            call(door, name, request)
        except grpc.RpcError as error:
            assert error.code() in THEIRS, (name, error, request)  # noqa: PT017
    list(made.trials().get())
    (trial,) = made.suggest(count=1, client_id=f"after {seed}")
    trial.complete(vz.Measurement({"loss": 1.0}))


def test_numbers_that_are_none(door: Door) -> None:
    """A measurement may have them; a result that is none makes its trial infeasible, and says why."""
    made = study(door, "nan")
    (trial,) = made.suggest(count=1)
    trial.add_measurement(vz.Measurement({"loss": math.inf}, steps=1))
    trial.complete(vz.Measurement({"loss": math.inf}))
    now = trial.materialize()
    assert "loss = inf" in now.infeasibility_reason
    assert not list(made.optimal_trials())
    (other,) = made.suggest(count=1)
    other.complete(vz.Measurement({"loss": 1.0}))
    assert [t.id for t in made.optimal_trials()] == [2]


def test_what_is_too_long(door: Door) -> None:
    made = study(door, "long")
    study_name = made.resource_name
    update = messages.of("UpdateMetadataRequest")(name=study_name)
    update.delta.add().metadatum.value = "x" * (5 << 20)
    assert refused(door, "UpdateMetadata", update)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    update.delta[0].metadatum.value = "x" * 100_000
    code, said = refused(door, "UpdateMetadata", update)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "90,000 characters at most" in said
    suggest = messages.of("SuggestTrialsRequest")(
        parent=study_name, client_id="c", suggestion_count=1001
    )
    assert "from 1 to 1000, not 1001" in refused(door, "SuggestTrials", suggest)[1]
    trial = messages.of("CreateTrialRequest")(parent=study_name)
    trial.trial.parameters.add(parameter_id="x").value.number_value = 0.5
    for step in range(5000):
        trial.trial.measurements.add(step_count=step).metrics.add(metric_id="loss", value=1.0)
    assert "too many" in refused(door, "CreateTrial", trial)[1]
    del trial.trial.measurements[:]
    trial.trial.state = trial.trial.SUCCEEDED
    for metric in ["loss", *(f"{n:0>200}" for n in range(450))]:
        trial.trial.final_measurement.metrics.add(metric_id=metric, value=1.0)
    assert "too many" in refused(door, "CreateTrial", trial)[1]
    assert not list(made.trials())  # nor is one left that nobody runs
    operation = names.operation_name(study_name, 1_000_000, "c")
    get = messages.of("GetOperationRequest")(name=operation)
    assert "from 1 to 1000, not 1000000" in refused(door, "GetOperation", get)[1]
    assert not list(made.trials())


def test_names(door: Door) -> None:
    """A slash is no part of a name; anything else is, and names that look alike here are different studies."""
    create = messages.of("CreateStudyRequest")(parent="owners/a/b")
    assert "names no parent" in refused(door, "CreateStudy", create)[1]
    called = ["wie geht's?", "wie geht's!", "..", "ü", "-", "x" * 200]
    made = {name: study(door, name, owner="o'w n") for name in called}
    for name, one in made.items():
        assert one.resource_name == f"owners/o'w n/studies/{name}"
        (trial,) = one.suggest(count=1, client_id=f"{name[:9]}\n/")
        trial.complete(vz.Measurement({"loss": float(len(name))}))
    for name, one in made.items():
        (only,) = one.trials().get()
        assert only.final_measurement_or_die.metrics["loss"].value == len(name)
        assert only.assigned_worker == f"{name[:9]}\n/"


def test_another_study_of_the_name(door: Door) -> None:
    """The same study again is given back; another one is an error, and not taken for the first without a word."""
    first = study(door, "taken")
    assert study(door, "taken").resource_name == first.resource_name
    with pytest.raises(grpc.RpcError, match="with another study_spec"):
        study(door, "taken", config(loss="MAXIMIZE"))
    assert (
        study(door, "taken", config(loss="MAXIMIZE"), owner="bob").resource_name
        != first.resource_name
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.metrics.clear(), "no metric"),
        (lambda s: s.metrics.add(metric_id="loss"), "twice"),
        (lambda s: setattr(s, "algorithm", "BOCS"), "there is no algorithm 'BOCS' here: DEFAULT, "),
        (lambda s: setattr(s.metrics[0].safety_config, "safety_threshold", 1.0), "no metric to optimise"),
        (lambda s: s.metrics.add(metric_id="m").safety_config.MergeFromString(b"\x09" + b"\xff" * 8), "is a number"),
        (lambda s: s.parameters.add(parameter_id="y"), "value_spec"),
    ],
)  # fmt: skip
def test_studies_that_make_no_sense(door: Door, change: Any, said: str) -> None:
    wanted = config().to_proto()
    create = messages.of("CreateStudyRequest")(parent="owners/ana")
    create.study.display_name = "nonsense"
    create.study.study_spec.ParseFromString(wanted.SerializeToString())
    change(create.study.study_spec)
    code, text = refused(door, "CreateStudy", create)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert said in text


def test_a_final_measurement_without_the_metric(door: Door) -> None:
    """It is refused, and the trial can still be completed."""
    made = study(door, "lacking", config(loss="MINIMIZE", memory=("MINIMIZE", 4.0)))
    (trial,) = made.suggest(count=1)
    with pytest.raises(grpc.RpcError, match="the metric 'loss' never arrived"):
        trial.complete(vz.Measurement({"los": 1.0}))
    with pytest.raises(grpc.RpcError, match="the metric 'memory'"):
        trial.complete(vz.Measurement({"loss": 1.0}))
    trial.complete(vz.Measurement({"loss": 1.0, "memory": 3.0}))
