"""`TunesmithSearch` in Ray Tune's experiments: its distributions, several objectives, save and restore."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray.tune.search import Searcher
from tests.clusters.nodes import Nodes

from tunesmith.core.errors import SpaceError
from tunesmith.integrations.ray_tune import TunesmithSearch

pytestmark = pytest.mark.filterwarnings("ignore")
SPACE = {
    "optimizer": {"lr": tune.loguniform(1e-4, 1), "name": tune.choice(["sgd", "adam"])},
    "units": tune.quniform(8, 64, 8),
    "layers": tune.randint(1, 4),
    "noise": tune.randn(0, 1),
    "kind": tune.choice([("a", 1), ("b", 2)]),
    "epochs": 3,
}


def loss(config: dict[str, Any]) -> Any:
    return (
        abs(config["units"] - 32) / 32
        + abs(config["layers"] - 2)
        + (config["optimizer"]["lr"] - 0.1) ** 2
    )


def train(config: dict[str, Any]) -> None:
    assert config["epochs"] == 3
    assert config["kind"] in [("a", 1), ("b", 2)]
    for _ in range(2):
        tune.report({"loss": loss(config)})


@pytest.fixture
def cluster(three_nodes: Nodes) -> Iterator[None]:
    ray.init(address=three_nodes.address, log_to_driver=False)
    yield
    ray.shutdown()


def test_an_experiment_and_one_that_goes_on(cluster: None, tmp_path: Path) -> None:
    search = TunesmithSearch(seed=0, points_to_evaluate=[{"units": 8.0, "kind": ("b", 2)}])
    tuner = tune.Tuner(
        train,
        param_space=SPACE,
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", search_alg=search, num_samples=6, max_concurrent_trials=2
        ),
        run_config=tune.RunConfig(name="t", storage_path=str(tmp_path), verbose=0),
    )
    results = tuner.fit()
    assert len(results) == 6
    assert not results.errors
    first = next(
        r.config for r in results if r.config["units"] == 8.0 and r.config["kind"] == ("b", 2)
    )
    assert first["layers"] in (1, 2, 3)
    values = sorted(t.value or 0.0 for t in search._study()[0].study.trials)
    assert values == pytest.approx(sorted(r.metrics["loss"] for r in results))
    assert list((tmp_path / "t").glob("searcher-state-*"))

    again = tune.Tuner.restore(str(tmp_path / "t"), train, param_space=SPACE)
    assert len(again.fit()) == 6


def simulated(search: TunesmithSearch, count: int, first: int = 0) -> list[Any]:
    made = []
    for k in range(first, first + count):
        config = search.suggest(f"t{k}")
        assert isinstance(config, dict)
        made.append(config)
        search.on_trial_complete(f"t{k}", {"loss": loss(config)}, error=False)
    return made


def test_saved_and_restored_it_suggests_the_same(tmp_path: Path) -> None:
    space = {name: value for name, value in SPACE.items() if name != "noise"}
    whole = simulated(TunesmithSearch(space, "loss", "min", seed=3), 12)
    search = TunesmithSearch(space, "loss", "min", seed=3)
    assert simulated(search, 7) == whole[:7]
    search.save(str(tmp_path / "state"))
    restored = TunesmithSearch(space, "loss", "min", seed=99)
    restored.restore(str(tmp_path / "state"))
    assert simulated(restored, 5, 7) == whole[7:]
    assert simulated(pickle.loads(pickle.dumps(search)), 5, 7) == whole[7:]


def test_failures_several_objectives_and_the_end(tmp_path: Path) -> None:
    search = TunesmithSearch({"n": tune.randint(0, 3)}, ["a", "b"], ["min", "max"], seed=0)
    seen = set()
    for k in range(3):
        config = search.suggest(f"t{k}")
        assert isinstance(config, dict)
        seen.add(config["n"])
        search.on_trial_complete(f"t{k}", None if k == 1 else {"a": 1.0, "b": 2.0}, error=k == 1)
    assert seen == {0, 1, 2}
    assert search.suggest("more") == Searcher.FINISHED
    search.on_trial_complete("unknown", {"a": 1.0})
    states = [str(t.state) for t in search._study()[0].study.trials]
    assert states == ["completed", "failed", "completed"]


def test_a_paused_trial_that_is_given_up_has_what_it_reported_last(tmp_path: Path) -> None:
    search = TunesmithSearch({"x": tune.uniform(0, 1)}, "loss", "min", seed=0)
    for name in ("paused", "silent", "broken"):
        search.suggest(name)
    search.on_trial_result("paused", {"loss": 2.0})
    search.on_trial_result("paused", {"loss": 1.0})
    search.on_trial_result("paused", {"other": 0.0, "loss": None})
    search.on_trial_result("broken", {"loss": 3.0})
    search.on_trial_result("unknown", {"loss": 3.0})
    search.save(str(tmp_path / "state"))
    restored = TunesmithSearch({"x": tune.uniform(0, 1)}, "loss", "min")
    restored.restore(str(tmp_path / "state"))
    for each in (search, restored):
        each.on_trial_complete("paused")
        each.on_trial_complete("silent")
        each.on_trial_complete("broken", error=True)
        trials = each._study()[0].study.trials
        assert [t.value for t in trials] == [1.0, None, None]
        assert [str(t.state) for t in trials] == ["completed", "failed", "failed"]


@pytest.mark.parametrize(
    "space",
    [
        {"x": tune.grid_search([1, 2])},
        {"x": tune.sample_from(lambda _: 1)},
        {"x": tune.qrandn(0, 1, 0.5)},
    ],
)
def test_what_has_no_place(space: dict[str, Any]) -> None:
    with pytest.raises(SpaceError, match="has no place"):
        TunesmithSearch(space, "loss", "min")


def test_ranges_keep_their_steps() -> None:
    space = {
        "units": tune.qlograndint(8, 64, 8),
        "rate": tune.qloguniform(0.1, 1, 0.1),
        "layers": tune.qrandint(2, 8, 2),
    }
    search = TunesmithSearch(space, "loss", "min", seed=0)
    for k in range(20):
        config = search.suggest(f"t{k}")
        assert isinstance(config, dict)
        assert config["units"] in range(8, 65, 8)
        assert config["layers"] in range(2, 9, 2)
        assert config["rate"] * 10 == pytest.approx(round(config["rate"] * 10))
