"""Vertex AI's own package, by REST, against ours instead of Google's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform
from google.cloud.aiplatform.vizier import Study, pyvizier
from google.cloud.aiplatform_v1 import VizierServiceClient
from google.cloud.aiplatform_v1.types import StudySpec
from google.oauth2.credentials import Credentials
from tests.service.vizier.conftest import Door

from tunesmith.tuning.study import Study as Ours

PARENT = "projects/p/locations/europe-west1"


@pytest.fixture(scope="module")
def token(door: Door) -> str:
    return door.tokens.create("ana", "control")[0]


@pytest.fixture(scope="module")
def sdk(door: Door, token: str) -> Iterator[None]:
    """What a script says once, at its beginning."""
    aiplatform.init(
        project="p", location="europe-west1", credentials=Credentials(token=token), api_endpoint=door.url(),
        api_transport="rest",
    )  # fmt: skip
    yield
    aiplatform.initializer.global_config.__init__()


@pytest.fixture(scope="module")
def client(door: Door, token: str) -> Any:
    return VizierServiceClient(
        credentials=Credentials(token=token),
        transport="rest",
        client_options={"api_endpoint": door.url()},
    )


def problem(goal: Any = pyvizier.ObjectiveMetricGoal.MAXIMIZE) -> Any:
    made = pyvizier.StudyConfig()
    made.algorithm = pyvizier.Algorithm.RANDOM_SEARCH
    made.metric_information.append(pyvizier.MetricInformation(name="accuracy", goal=goal))
    root = made.search_space.select_root()
    root.add_float_param("rate", 1e-5, 1.0, scale_type=pyvizier.ScaleType.LOG)
    root.add_categorical_param("optimizer", ["sgd", "adam"])
    return made


def described(**more: Any) -> Any:
    """A study as the plain client has it."""
    number = {
        "parameter_id": "x",
        "double_value_spec": {"min_value": 0.0, "max_value": 1.0, "default_value": 0.25},
    }
    metric = {"metric_id": "loss", "goal": "MINIMIZE"}
    return {"parameters": [number], "metrics": [metric], "algorithm": "RANDOM_SEARCH", **more}


def test_the_package(sdk: None, door: Door) -> None:
    """Its high-level classes, as in Google's notebooks."""
    study = Study.create_or_load(display_name="tuning", problem=problem())
    assert Study.create_or_load(display_name="tuning", problem=problem()).name == study.name
    for value in (0.25, 0.75):
        (trial,) = study.suggest(count=1, worker="w")
        assert set(trial.parameters) == {"rate", "optimizer"}
        trial.add_measurement(pyvizier.Measurement({"accuracy": 0.1}, steps=1, elapsed_secs=3))
        assert trial.should_stop() is False
        final = trial.complete(pyvizier.Measurement({"accuracy": value}, steps=4))
        assert final.metrics["accuracy"].value == value
        assert final.steps == 4
    assert [trial.uid for trial in study.optimal_trials()] == [2]
    (trial,) = study.suggest(count=1, worker="w")
    trial.complete(infeasible_reason="no luck")
    assert trial.materialize().infeasibility_reason == "no luck"
    assert [trial.uid for trial in study.trials()] == [1, 2, 3]
    assert Study.from_uid(study.name).resource_name == study.resource_name
    with Ours.open("tuning", storage=door.url(door.token())) as here:
        assert here.best.value == 0.75
        assert here.spec.owner == "ana"
    trial.delete()
    assert [trial.uid for trial in study.trials()] == [1, 2]
    study.delete()
    with pytest.raises(exceptions.NotFound, match="there is no study"):
        Study(study.name)


def test_every_operation(client: Any) -> None:
    """The generated client's, conditions of early stopping and of the end included."""
    stopping = {
        "max_num_trials": 4,
        "maximum_runtime_constraint": {"max_duration": {"seconds": 600}},
    }
    spec = described(
        study_stopping_config=stopping,
        median_automated_stopping_spec={},
        measurement_selection_type="BEST_MEASUREMENT",
    )
    study = client.create_study(parent=PARENT, study={"display_name": "all", "study_spec": spec})
    assert study.study_spec.algorithm is StudySpec.Algorithm.RANDOM_SEARCH
    assert study.study_spec.parameters[0].double_value_spec.default_value == 0.25
    assert client.lookup_study({"parent": PARENT, "display_name": "all"}).name == study.name
    assert study.name in [one.name for one in client.list_studies(parent=PARENT)]
    suggest = {"parent": study.name, "suggestion_count": 2, "client_id": "w"}
    first, second = client.suggest_trials(suggest).result(timeout=60).trials
    again = client.suggest_trials(suggest).result(timeout=60)
    assert [t.name for t in again.trials] == [first.name, second.name]
    for step, loss in enumerate([3.0, 1.0, 2.0], 1):
        measurement = {"step_count": step, "metrics": [{"metric_id": "loss", "value": loss}]}
        client.add_trial_measurement({"trial_name": first.name, "measurement": measurement})
    assert (
        not client.check_trial_early_stopping_state({"trial_name": first.name}).result().should_stop
    )
    ended = client.complete_trial({"name": first.name})
    assert (ended.final_measurement.step_count, ended.final_measurement.metrics[0].value) == (
        2,
        1.0,
    )
    assert client.stop_trial({"name": second.name}).state.name == "STOPPING"
    assert client.check_trial_early_stopping_state({"trial_name": second.name}).result().should_stop
    parameter = {"parameter_id": "x", "value": 0.5}
    mine = client.create_trial(parent=study.name, trial={"parameters": [parameter]})
    assert mine.state.name == "REQUESTED"
    assert [t.id for t in client.suggest_trials({**suggest, "client_id": "v"}).result().trials] == [
        "3",
        "4",
    ]
    best = client.list_optimal_trials({"parent": study.name})
    assert [t.id for t in best.optimal_trials] == ["1"]
    pages = client.list_trials({"parent": study.name, "page_size": 3})
    assert [len(page.trials) for page in pages.pages] == [3, 1]
    assert client.get_trial(name=mine.name).client_id == "v"
    more = client.suggest_trials({**suggest, "client_id": "late"}).result()
    assert not more.trials
    client.delete_trial(name=mine.name)
    client.delete_study(name=study.name)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"decay_curve_stopping_spec": {"use_elapsed_duration": True}}, "compared at equal steps"),
        ({"study_stopping_config": {"min_num_trials": 3}}, "min_num_trials is not to be had here"),
        ({"study_stopping_config": {"should_stop_asap": True}}, "should_stop_asap"),
        ({"metrics": []}, "no metric"),
    ],
)
def test_what_cannot_be_had(client: Any, spec: dict[str, Any], said: str) -> None:
    with pytest.raises(exceptions.BadRequest, match=said):
        client.create_study(
            parent=PARENT, study={"display_name": "no", "study_spec": described(**spec)}
        )


def test_another_study_of_the_name(client: Any) -> None:
    client.create_study(parent=PARENT, study={"display_name": "one", "study_spec": described()})
    other = described(algorithm="GRID_SEARCH")
    with pytest.raises(exceptions.Conflict, match="with another study_spec"):
        client.create_study(parent=PARENT, study={"display_name": "one", "study_spec": other})


class TestRequests:
    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "said"),
        [
            ("POST", "studies", b"{", 400, "no JSON"),
            ("POST", "studies", b"[]", 400, "an object"),
            ("POST", "studies", {"studySpec": {"surprise": 1}}, 400, "surprise"),
            ("POST", "studies", {"displayName": "\ud800"}, 400, "CreateStudyRequest"),
            ("GET", "studies/1", None, 404, "there is no study"),
            ("GET", "studies/1/trials/x", None, 400, "by its number"),
            ("GET", "studies/1/operations/x", None, 404, "there is no operation"),
            (
                "POST",
                "studies/1/trials:suggest",
                {"suggestionCount": 1},
                400,
                "client_id is missing",
            ),
            (
                "POST",
                "studies/1/trials:suggest",
                {"suggestionCount": 1e99},
                400,
                "SuggestTrialsRequest",
            ),
            ("PATCH", "studies/1", {}, 501, "none of Vizier's operations"),
            ("POST", "customJobs", {}, 501, "only Vizier's studies and trials"),
        ],
    )
    def test_are_refused(
        self, door: Door, token: str, method: str, path: str, body: Any, status: int, said: str
    ) -> None:
        """In Google's form, with what is wrong."""
        answer = door.ask(method, f"/v1/{PARENT}/{path}", body, token=token)
        assert (answer.status, answer.json["error"]["code"]) == (status, status), answer.body
        assert said in answer.json["error"]["message"]

    def test_need_a_token(self, door: Door) -> None:
        assert door.ask("GET", f"/v1/{PARENT}/studies").status == 401
        reader = door.tokens.create("reader", "read")[0]
        answer = door.ask("POST", f"/v1/{PARENT}/studies", {"displayName": "x"}, token=reader)
        assert (answer.status, answer.json["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_suggestions_that_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their operation is not done at first; asked for again, also of a service that knows nothing of it, it is."""
    from tests.service.running import Here

    from tunesmith.service.vizier import acts, rest
    from tunesmith.service.vizier.rpc import Endpoint
    from tunesmith.store import open_store

    may = threading.Event()
    more = acts.more

    def slow(*given: Any, **named: Any) -> Any:
        assert may.wait(60)
        return more(*given, **named)

    monkeypatch.setattr(acts, "more", slow)
    monkeypatch.setattr(rest, "WAIT_S", 0.05)
    here = Here(open_store(tmp_path / "studies.db"), vizier=Endpoint(f"unix:{tmp_path}/door"))
    try:
        path = f"/v1/{PARENT}/studies"

        def ask(method: str, path: str, body: Any = None) -> Any:
            from tests.service.running import request

            answer = request(here.port, method, path, body, token=here.token)
            assert answer.status == 200, answer.body
            return json.loads(answer.body)

        name = ask("POST", path, {"displayName": "slow", "studySpec": {
            "parameters": [{"parameterId": "x", "doubleValueSpec": {"minValue": 0, "maxValue": 1}}],
            "metrics": [{"metricId": "loss"}]}})["name"]  # fmt: skip
        begun = ask("POST", f"/v1/{name}/trials:suggest", {"suggestionCount": 2, "clientId": "a/b"})
        assert begun["done"] is False
        assert ask("GET", f"/v1/{begun['name']}")["done"] is False
        may.set()
        while not (done := ask("GET", f"/v1/{begun['name']}"))["done"]:
            pass
        assert [trial["id"] for trial in done["response"]["trials"]] == ["1", "2"]
        assert [t["id"] for t in ask("GET", f"/v1/{name}/trials")["trials"]] == ["1", "2"]
    finally:
        here.close()
