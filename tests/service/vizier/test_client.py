"""OSS Vizier's client creates studies, asks, measures and completes; what it does is a study like any other."""

from __future__ import annotations

import signal
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.postgres import server
from tests.service.vizier.client import config, study
from tests.service.vizier.conftest import Door
from vizier.service import pyvizier as vz

from tunesmith.tuning.replay import replay
from tunesmith.tuning.study import Study


@pytest.mark.skipif(Path(sys.prefix).name != ".venv-vizier", reason="of that environment")
@pytest.mark.parametrize("name", ["vizier", "google.cloud.aiplatform_v1"])
def test_the_packages_are_there(name: str) -> None:
    assert find_spec(name) is not None


def measured(**metrics: float) -> Any:
    return vz.Measurement(metrics)


def ours(door: Door, name: str) -> Study:
    return Study.open(name, storage=door.url(door.token()))


class TestTheLoop:
    @pytest.mark.parametrize(
        "algorithm",
        ["DEFAULT", "RANDOM_SEARCH", "QUASI_RANDOM_SEARCH", "GRID_SEARCH", "GP_UCB_PE", "NSGA2"],
    )
    def test_from_the_study_to_the_best_trial(self, door: Door, algorithm: str) -> None:
        """Values of all types come as they were declared; integers and truth values as Python has them."""
        wanted = config(algorithm)
        root = wanted.search_space.root
        root.add_float_param("rate", 1e-5, 1e-1, scale_type=vz.ScaleType.LOG)
        root.add_int_param("layers", 1, 5)
        root.add_discrete_param("batch", [16, 32, 64.5])
        root.add_categorical_param("optimizer", ["sgd", "adam"])
        root.add_bool_param("nesterov")
        made = study(door, f"loop-{algorithm}", wanted)
        for _ in range(3):
            (trial,) = made.suggest(count=1, client_id="w")
            values = trial.parameters
            assert type(values["layers"]) is int
            assert type(values["nesterov"]) is bool
            assert values["batch"] in (16, 32, 64.5)
            assert values["optimizer"] in ("sgd", "adam")
            trial.add_measurement(vz.Measurement({"loss": 9.0}, steps=1, elapsed_secs=2.0))
            final = vz.Measurement({"loss": values["x"]}, steps=7, elapsed_secs=3.0)
            assert trial.complete(final) == final
        (best,) = made.optimal_trials().get()
        assert best.final_measurement_or_die.metrics["loss"].value == min(
            trial.final_measurement_or_die.metrics["loss"].value for trial in made.trials().get()
        )
        assert [m.metrics["loss"].value for m in best.measurements] == [9.0]
        with ours(door, f"loop-{algorithm}") as here:
            assert here.best.number + 1 == best.id
            assert here.spec.owner == "ana"
            assert replay(here.store, here.name).proven

    def test_conditions(self, door: Door) -> None:
        """What depends on a value is there with that value alone, whatever searches; two of one name under different values
        have each its own range."""
        wanted = vz.StudyConfig(algorithm="RANDOM_SEARCH")
        wanted.metric_information.append(
            vz.MetricInformation("loss", goal=vz.ObjectiveMetricGoal.MINIMIZE)
        )
        model = wanted.search_space.root.add_categorical_param("model", ["linear", "dnn"])
        model.select_values(["linear"]).add_float_param("rate", 0.0, 1.0)
        deep = model.select_values(["dnn"])
        deep.add_float_param("rate", 10.0, 11.0)
        deep.add_int_param("layers", 1, 3)
        made = study(door, "conditions", wanted)
        seen = set()
        for trial in made.suggest(count=20, client_id="w"):
            values = trial.parameters
            seen.add(values["model"])
            assert values["rate"] <= 1.0 if values["model"] == "linear" else values["rate"] >= 10.0
            assert ("layers" in values) == (values["model"] == "dnn")
        assert len(seen) == 2

    def test_several_metrics_and_safety(self, door: Door) -> None:
        """A front is listed; what breaks a safety threshold is not in it."""
        wanted = config(error="MINIMIZE", speed="MAXIMIZE", memory=("MINIMIZE", 4.0))
        made = study(door, "front", wanted)
        results = [(1.0, 1.0, 1.0), (2.0, 3.0, 2.0), (2.0, 2.0, 2.0), (0.0, 9.0, 5.0)]
        for error, speed, memory in results:
            (trial,) = made.suggest(count=1)
            trial.complete(measured(error=error, speed=speed, memory=memory))
        assert [trial.id for trial in made.optimal_trials()] == [1, 2]

    def test_who_asks_again_gets_the_same(self, door: Door) -> None:
        made = study(door, "again")
        first = [trial.id for trial in made.suggest(count=3, client_id="a/b c")]
        assert [trial.id for trial in made.suggest(count=2, client_id="a/b c")] == first[:2]
        more = [trial.id for trial in made.suggest(count=4, client_id="a/b c")]
        assert more[:3] == first
        assert not {trial.id for trial in made.suggest(count=2, client_id="b")} & set(more)
        assert made.get_trial(1).materialize().assigned_worker == "a/b c"

    def test_infeasible(self, door: Door) -> None:
        """However many of them: they end no study."""
        made = study(door, "infeasible")
        for _ in range(30):
            (trial,) = made.suggest(count=1)
            trial.complete(infeasible_reason="timeout: no luck")
            assert trial.materialize().infeasibility_reason == "timeout: no luck"
        assert made.materialize_state() == vz.StudyState.ACTIVE

    def test_a_completed_trial_stays_as_it_is(self, door: Door) -> None:
        made = study(door, "final")
        (trial,) = made.suggest(count=1)
        trial.complete(measured(loss=1.0))
        trial.complete(measured(loss=1.0))  # sent again
        with pytest.raises(grpc.RpcError, match=r"trial 1 is over already") as refused:
            trial.complete(measured(loss=0.5))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert trial.materialize().final_measurement_or_die.metrics["loss"].value == 1.0


class TestKilled:
    def test_clients_go_on(self, tmp_path: Path) -> None:
        """The service is killed and started again while clients ask and complete: none of what was answered is lost, and
        each trial has one result."""
        door = Door(tmp_path / "studies.db")
        try:
            made = study(door, "killed")
            told: dict[int, float] = {}
            stop = threading.Event()

            def work(client: str) -> None:
                while not stop.is_set():
                    try:
                        (trial,) = made.suggest(count=1, client_id=client)
                        value = trial.parameters["x"]
                        trial.complete(measured(loss=value))
                    except grpc.RpcError as error:
                        assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017
                        stop.wait(0.05)
                    else:
                        told[trial.id] = value

            threads = [threading.Thread(target=work, args=[f"w{n}"]) for n in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(2):
                seen = len(told)
                while len(told) < seen + 15:
                    assert all(thread.is_alive() for thread in threads)
                    stop.wait(0.02)
                door.stop(signal.SIGKILL)
                door.start()
            seen = len(told)
            while len(told) < seen + 15:
                assert all(thread.is_alive() for thread in threads)
                stop.wait(0.02)
            stop.set()
            for thread in threads:
                thread.join()
            there = {t.id: t for t in made.trials().get()}
            for number, value in told.items():
                assert there[number].final_measurement_or_die.metrics["loss"].value == value
        finally:
            door.close()


class TestTwoServices:
    def test_of_one_database(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each has what the other has done."""
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        url = server().url()
        one, other = Door(url), Door(url)
        try:
            here, there = study(one, "both"), study(other, "both")
            (trial,) = here.suggest(count=1, client_id="w")
            assert there.suggest(count=1, client_id="w")[0].id == trial.id
            there.get_trial(1).complete(measured(loss=1.0))
            assert [t.id for t in here.optimal_trials()] == [1]
        finally:
            one.close()
            other.close()
