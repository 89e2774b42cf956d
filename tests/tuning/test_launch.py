"""Every door starts a study in the same way: what is asked for at one reaches the study as at another."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program import tunesmith

import tunesmith as ts
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Objective
from tunesmith.store import MemoryStore
from tunesmith.tuning.coordinator import Loop
from tunesmith.tuning.job import load_job, run_job
from tunesmith.tuning.spec import LimitOptions, planned_configs

LIMITS: dict[str, Any] = {
    "trials": 5,
    "time": "2h",
    "trial_time": "90s",
    "trial_memory": "3GiB",
    "compute_time": "3h",
    "cost": 50.0,
    "cost_metric": "loss",
    "parallel": 2,
    "failures_in_a_row": 3,
    "same_error": 4,
    "target": -5.0,
    "no_improvement": 40,
    "no_improvement_time": "30m",
    "least_gain": 0.1,
    "failure_rate": 0.7,
    "confirm": 1,
    "trial_silence": "20s",
    "keep": 7,
    "disk": "2GiB",
    "grace": "7s",
    "retries": 4,
}
OPTIONS: dict[str, Any] = {
    "name": "one",
    "metric": "loss",
    "goal": "maximize",
    "use": "best",
    "constraints": ["loss <= 100"],
    "at_most": {"loss": 200.0},
    "at_least": {"loss": -200.0},
    "searcher": {"sobol": {}},
    "scheduler": {"median": {}},
    "seed": 12,
    "enqueue": [{"x": 0.25}, {"x": 0.25}],
    "warm_start": "earlier",
    "deterministic": True,
    "duplicates": True,
    "durability": "power",
    "tags": ["vision"],
}
#: What says how trials run and what is shown, not what the study is; a job file has the first.
RUNNING = {
    "on_change",
    "changed",
    "data_version",
    "retry_failed",
    "gpus_per_trial",
    "executor",
    "resources",
    "isolate",
    "join",
    "progress",
    "watcher",
    "loggers",
}


def objective(config: dict[str, Any]) -> dict[str, float]:
    return {"loss": config["x"]}


def by_tune(storage: Path) -> None:
    ts.tune(objective, SPACE, storage=storage, progress=False, **OPTIONS, **LIMITS)


def by_create(storage: Path) -> None:
    study = ts.Study.create(SPACE, storage=storage, **OPTIONS, **LIMITS)
    for _ in range(3):
        trial = study.ask()
        study.tell(trial, trial.config["x"])
    study.close()


def job_file(storage: Path) -> Path:
    of_objective = {name: OPTIONS[name] for name in ("metric", "goal", "use")}
    job = {
        **{k: v for k, v in OPTIONS.items() if k not in of_objective},
        "warm_start": ["earlier"],
        "command": ["echo", '{{"loss": {x}}}'],
        "objective": of_objective,
        "space": SPACE.to_dict(),
        "limits": LIMITS,
        "storage": storage.name,
    }
    path = storage.with_suffix(".yaml")
    path.write_text(json.dumps(job))
    return path


def by_job(storage: Path) -> None:
    run_job(load_job(job_file(storage)))


def by_command_line(storage: Path) -> None:
    assert tunesmith(storage.parent, "run", str(job_file(storage)), "--quiet").code == 0


SPACE = ts.Space(x=ts.Float(0.0, 1.0))
DOORS = [by_tune, by_create, by_job, by_command_line]


def test_no_option_is_forgotten_here() -> None:
    instead = {"price_per_hour"}  # of cost_metric
    assert set(LIMITS) | instead == set(LimitOptions.__annotations__)
    assert set(LimitOptions.__annotations__) == set(Limits.__dataclass_fields__)
    several = {"prefer"}  # which needs more than one objective: see test_constraints.py
    own = {"objective", "space", "storage", "limits"} | several | RUNNING
    assert set(inspect.signature(ts.tune).parameters) == set(OPTIONS) | own


@pytest.mark.parametrize("door", DOORS)
def test_every_option_reaches_the_study(
    door: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = tmp_path / "studies.db"
    ts.tune(
        objective, SPACE, metric="loss", name="earlier", trials=3, storage=storage, progress=False
    )
    wanted: list[str] = []
    opened = ts.open_store

    def open_store(where: Any, *, durability: Any = "crash") -> Any:
        wanted.append(durability)
        return opened(where, durability=durability)

    for module in ("launch", "study"):
        monkeypatch.setattr(f"tunesmith.tuning.{module}.open_store", open_store)
    door(storage)
    monkeypatch.undo()
    if wanted:  # not where the door is another process
        assert wanted == ["power"]
    with ts.Study.open("one", storage=storage) as study:
        spec, trials = study.spec, [*study.trials]
    default = Limits()
    for name, limit in LIMITS.items():
        value = getattr(spec.limits, name)
        assert value == getattr(Limits.from_dict(LIMITS), name), (name, limit)
        assert value != getattr(default, name), f"{name}: the default shows nothing"
    assert spec.first_objective == Objective("loss", "maximize", "best")
    assert spec.searcher.to_dict() == "sobol"
    assert spec.scheduler is not None
    assert spec.scheduler.to_dict() == "median"
    assert (spec.seed, spec.deterministic, spec.duplicates) == (12, True, True)
    assert spec.tags == ("vision",)
    assert [past.study for past in spec.past] == ["earlier"]
    assert [(t.config["x"], t.origin.searcher, t.origin.why) for t in trials[:2]] == [
        (0.25, "user", "enqueued"),
        (0.25, "user", "enqueued"),
    ]


@pytest.mark.parametrize("duplicates", [True, False])
def test_the_same_call_again_queues_nothing_twice(duplicates: bool) -> None:
    store = MemoryStore()
    configs = [{"x": 0.1}, {"x": 0.2}, {"x": 0.1}]

    def run(trials: int) -> list[float]:
        options: dict[str, Any] = {"name": "s", "seed": 1, "duplicates": duplicates}
        result = ts.tune(
            lambda c: c["x"], SPACE, storage=store, enqueue=configs, trials=trials,
            progress=False, **options,
        )  # fmt: skip
        return [t.config["x"] for t in result.trials if t.origin.searcher == "user"]

    queued = [0.1, 0.2, 0.1] if duplicates else [0.1, 0.2]
    assert run(2) == queued
    assert run(6) == queued


def test_a_refused_call_leaves_nothing_behind() -> None:
    store = MemoryStore()
    for wrong in (
        {"executor": "threads"},
        {"executor": "inline", "parallel": 2},
        {"enqueue": [{"y": 1}]},
        {"warm_start": "nobody"},
    ):
        with pytest.raises(ts.TunesmithError):
            ts.tune(objective, SPACE, metric="loss", storage=store, trials=2, **wrong)
    with pytest.raises(ts.ConfigError):
        ts.Study.create(SPACE, metric="loss", storage=store, enqueue=[{"y": 1}])
    assert store.names() == []


class Raced(MemoryStore):
    """Where another process creates each study a moment earlier, and runs it."""

    other: Loop | None = None

    def create(self, spec: Any, at: float) -> None:
        super().create(spec, at)
        self.other = Loop(self, spec.name)
        super().create(spec, at)


def test_of_two_first_starts_one_says_who_runs_it() -> None:
    store = Raced()
    with pytest.raises(ts.StudyBusy, match=r"'objective' is being run by process \d+ on .*, since"):
        ts.tune(objective, SPACE, metric="loss", storage=store, trials=2, enqueue=[{"x": 0.5}])
    assert store.other is not None
    assert store.other.ledger.size == 0


def test_a_call_that_finds_the_study_run_edits_nothing() -> None:
    store = MemoryStore()
    ts.tune(objective, SPACE, metric="loss", storage=store, trials=2, progress=False)
    other = Loop(store, "objective")
    with pytest.raises(ts.StudyBusy):
        ts.tune(
            objective, SPACE, metric="loss", storage=store, trials=9, enqueue=[{"x": 0.125}],
            progress=False,
        )  # fmt: skip
    other.close()
    with ts.Study.open("objective", storage=store) as study:
        assert study.spec.limits.trials == 2
        assert study.find({"x": 0.125}) is None


def test_a_searcher_says_how_many_configs_it_has_planned() -> None:
    space = ts.Space(x=ts.Float(0, 1), y=ts.Choice("a", "b"))

    def planned(searcher: Any) -> Any:
        return planned_configs(ts.Study.create(space, searcher=searcher).spec)

    assert str(planned({"grid": {"levels": 3}})) == "6"
    assert planned("random") is None
    ts.tune(lambda c: c["x"], space, searcher={"grid": {"levels": 3}}, progress=False)
    with pytest.raises(ts.StudyError, match="nothing would end this study"):
        ts.tune(lambda c: c["x"], space, searcher="random", progress=False)
