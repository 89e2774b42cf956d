"""Starting from what earlier studies found."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.program import tunesmith

import tunesmith as ts
from tunesmith.core.prior_study import MOST, PriorStudy
from tunesmith.tuning.job import load_job, run_job
from tunesmith.tuning.replay import replay

SPACE = ts.Space({f"x{j}": ts.Float(0, 1) for j in range(5)}, kind=ts.Choice("a", "b", "c"))


def bowl(centre: float, sign: float = 1.0) -> Any:
    def objective(config: dict[str, Any]) -> float:
        away = sum((config[f"x{j}"] - centre) ** 2 for j in range(5))
        return sign * float(away + {"a": 0.6, "b": 0.0, "c": 0.3}[config["kind"]])

    return objective


def tune(objective: Any, **options: Any) -> ts.Result:
    return ts.tune(objective, SPACE, progress=False, **options)


@pytest.fixture(scope="module")
def earlier() -> ts.Result:
    return tune(bowl(0.85), trials=40, seed=9, name="earlier")


def mean_best(trials: int, **options: Any) -> float:
    """Of a bowl at 0.8, which is much like the earlier one at 0.85."""
    values = [tune(bowl(0.8), trials=trials, seed=s, **options).best.value for s in range(4)]
    return float(np.mean([v for v in values if v is not None]))


class TestWhatItBrings:
    def test_a_related_study_helps(self, earlier: ts.Result) -> None:
        assert mean_best(12, warm_start=[earlier]) < 0.3 * mean_best(12)

    def test_an_unrelated_one_costs_little(self) -> None:
        opposite = tune(bowl(0.2, -1.0), trials=40, seed=9, name="opposite")
        assert mean_best(40, warm_start=opposite) < mean_best(40) + 0.02

    def test_the_first_trials_are_its_best_and_say_so(self, earlier: ts.Result) -> None:
        result = tune(bowl(0.8), trials=5, seed=1, warm_start=earlier)
        assert result.trials[0].config == earlier.best.config
        assert result.trials[0].origin.why == "bayes: warm start: one of the best of earlier"
        assert len({str(t.config) for t in result.trials}) == 5

    def test_a_goal_may_be_the_other_way_round(self, earlier: ts.Result) -> None:
        result = tune(bowl(0.8, -1.0), goal="maximize", trials=1, warm_start=earlier)
        assert result.trials[0].config == earlier.best.config

    def test_another_space(self, earlier: ts.Result) -> None:
        """A parameter more, one less, a narrower range: what does not fit is left out."""
        space = ts.Space(
            x0=ts.Float(0.5, 0.9),
            x1=ts.Float(0, 1),
            kind=ts.Choice("b", "d"),
            rate=ts.Float(1e-5, 1, log=True, default=1e-3),
            own=ts.Int(1, 9, when={"kind": "d"}),
        )
        seen: list[dict[str, Any]] = []

        def objective(config: dict[str, Any]) -> float:
            seen.append(config)
            return float(config["x0"])

        ts.tune(objective, space, trials=12, seed=1, warm_start=[earlier], progress=False)
        assert seen[0]["kind"] == "b"
        assert seen[0]["rate"] == 1e-3
        assert abs(seen[0]["x1"] - 0.85) < 0.1
        assert len(seen) == 12

    def test_nothing_in_common(self, earlier: ts.Result) -> None:
        space = ts.Space(kind=ts.Choice("u", "v"), y=ts.Float(0, 1))
        result = ts.tune(
            lambda c: c["y"], space, trials=15, seed=1, warm_start=[earlier], progress=False
        )
        assert result.best.value is not None
        assert result.best.value < 0.05

    def test_several(self, earlier: ts.Result) -> None:
        other = tune(bowl(0.75), trials=15, seed=2, name="other")
        result = tune(bowl(0.8), trials=20, seed=1, warm_start=[earlier, other])
        whys = [t.origin.why for t in result.trials[:3]]
        assert {"earlier", "other"} == {why.split()[-1] for why in whys}
        assert result.best.value is not None
        assert result.best.value < 0.02


class TestBookkeeping:
    def test_it_is_kept_with_the_study_and_replayed(
        self, tmp_path: Path, earlier: ts.Result
    ) -> None:
        storage = tmp_path / "study.db"
        for trials in (10, 20):  # resumed: the second call's warm start is not taken in again
            tune(bowl(0.8), trials=trials, seed=1, storage=storage, name="s", warm_start=[earlier])
        with ts.Study.open("s", storage=storage) as study:
            (past,) = study.spec.past
            assert past.study == "earlier"
            assert len(past.configs) == 40
            assert replay(study.store, "s").problems == []

    def test_another_process_suggests_the_same(self, tmp_path: Path, earlier: ts.Result) -> None:
        storage = tmp_path / "study.db"
        tune(bowl(0.8), trials=14, seed=1, storage=storage, name="s", warm_start=[earlier])
        with ts.Study.open("s", storage=storage) as study:
            study.edit(trials=15)
        code = (
            "import sys, tunesmith as ts\n"
            "print(ts.Study.open('s', storage=sys.argv[1]).ask().config)"
        )
        told = [
            subprocess.run(
                [sys.executable, "-c", code, str(tmp_path / name)],
                capture_output=True, text=True, check=True,
            ).stdout
            for name in self._copies(storage)
        ]  # fmt: skip
        with ts.Study.open("s", storage=storage) as study:
            assert told == [f"{study.ask().config}\n"] * 2

    @staticmethod
    def _copies(storage: Path) -> list[str]:
        for name in ("a.db", "b.db"):
            (storage.parent / name).write_bytes(storage.read_bytes())
        return ["a.db", "b.db"]

    def test_by_name_and_by_file(self, tmp_path: Path) -> None:
        storage = tmp_path / "study.db"
        tune(bowl(0.85), trials=5, seed=9, storage=storage, name="old")
        result = tune(bowl(0.8), trials=1, storage=storage, name="new", warm_start="old")
        assert [p.study for p in result.spec.past] == ["old"]
        elsewhere = {"storage": str(storage), "study": "old"}
        with ts.Study.open("old", storage=storage) as old:
            for given in (elsewhere, [elsewhere], old, [old]):
                study = ts.Study.create(SPACE, warm_start=given)
                assert [p.study for p in study.spec.past] == ["old"]

    def test_of_many_trials_the_best_half_and_some_others_are_kept(self) -> None:
        losses = list(range(1000, 0, -1))
        past = PriorStudy.of("big", [{"x": k} for k in range(1000)], losses)
        assert len(past.losses) == MOST
        assert sorted(past.losses)[: MOST // 2] == list(range(1, MOST // 2 + 1))
        assert max(past.losses) == 1000
        assert PriorStudy.from_dict(past.to_dict()) == past


def test_a_job_may_start_from_another_file(tmp_path: Path, earlier: ts.Result) -> None:
    tune(bowl(0.85), trials=5, seed=9, storage=tmp_path / "old.db", name="old")
    (tmp_path / "job.yaml").write_text(
        "name: new\ncommand: echo '{{\"loss\":' {x0} '}}'\nobjective: {metric: loss}\n"
        "space: {x0: {float: [0, 1]}}\nlimits: {trials: 1}\n"
        "warm_start: [{storage: old.db, study: old}]\n"
    )
    job = load_job(tmp_path / "job.yaml", {"storage": str(tmp_path / "new.db")})
    result = run_job(job)
    assert result.trials[0].origin.why == "bayes: warm start: one of the best of old"


def test_a_job_of_several_objectives_may(tmp_path: Path) -> None:
    """From the command line as from Python: a file written by the one, a job run by the other."""
    old = TestSeveralObjectives.tune(
        ["error", "seconds"], 8, name="old", storage=tmp_path / "old.db"
    )
    (tmp_path / "job.yaml").write_text(
        "name: new\ncommand: echo '{{\"error\":' {width} ',\"seconds\":' {depth} '}}'\n"
        "objective: [{metric: seconds}, {metric: error}]\n"
        "space: {width: {float: [0, 1]}, depth: {float: [0, 1]}}\nlimits: {trials: 2}\n"
        "warm_start: [{storage: old.db, study: old}]\n"
    )
    said = tunesmith(tmp_path, "run", "job.yaml", "-s", "new.db", "-q")
    assert said.code == 0, said.err
    with ts.Study.open("new", storage=tmp_path / "new.db") as study:
        (past,) = study.spec.past
        assert past.others == (tuple(t.metrics["error"] for t in old.trials),)
        first = study.result().trials[0]
    assert first.origin.why == "bayes: warm start: one of the best of old"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("study", ts.StudyError, "'study' cannot start from itself"),
        ("nobody", ts.StudyNotFound, "no study 'nobody'"),
        (3.5, TypeError, "not iterable"),
        ([3.5], ts.StudyError, "takes studies, results or names"),
        ({"storage": "x.db"}, ts.StudyError, "write {storage: file, study: name}"),
        ({"storage": "x.db", "study": "a"}, ts.StudyError, "there is no file x.db"),
    ],
)
def test_what_is_no_study(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ts.Study.create(SPACE, warm_start=given)


def test_one_without_results() -> None:
    with pytest.raises(ts.StudyError, match="study 'empty' has no results to start from"):
        ts.Study.create(SPACE, warm_start=ts.Study.create(SPACE, name="empty"))


@pytest.fixture(scope="module")
def two() -> ts.Result:
    return TestSeveralObjectives.tune(["error", "seconds"], 40, name="earlier")


class TestSeveralObjectives:
    """Each objective has its own lessons, from an objective of the earlier study or from what its trials reported beside."""

    SPACE = ts.Space(
        width=ts.Float(0, 1),
        depth=ts.Float(0, 1),
        kind=ts.Choice("a", "b"),
        rate=ts.Float(0, 1, when={"kind": "b"}),
    )

    @staticmethod
    def objective(shift: float = 0.0) -> Callable[[dict[str, Any]], dict[str, float]]:
        def train(config: dict[str, Any]) -> dict[str, float]:
            far = (config["width"] - 0.8 - shift) ** 2 + (config["depth"] - 0.6) ** 2
            far += 0.3 if config["kind"] == "a" else (config["rate"] - 0.3) ** 2
            return {"error": far, "accuracy": 1 - far, "seconds": config["width"] + config["depth"]}

        return train

    @classmethod
    def tune(cls, metric: Any, trials: int, shift: float = 0.0, **more: Any) -> ts.Result:
        more = {"seed": 3, "progress": False, **more}
        return ts.tune(cls.objective(shift), cls.SPACE, metric=metric, trials=trials, **more)

    def volume(self, result: ts.Result) -> float:
        return result.hypervolume({"error": 0.5, "seconds": 2.0})

    def test_it_begins_with_the_earlier_front(self, two: ts.Result) -> None:
        result = self.tune(["error", "seconds"], 14, warm_start=two)
        front = [t.config for t in two.front]
        for trial in result.trials[:3]:
            assert trial.origin.why == "bayes: warm start: one of the best of earlier"
            assert trial.config in front

    def test_it_is_sooner_where_it_wants_to_be(self) -> None:
        def zdt(config: dict[str, Any]) -> dict[str, float]:
            g = 1 + 20 * sum((config[f"x{j}"] - 0.4) ** 2 for j in range(1, 5))
            return {"one": config["x0"], "two": g * (1 - math.sqrt(config["x0"] / g))}

        space = ts.Space({f"x{j}": ts.Float(0, 1) for j in range(5)})

        def volume(seed: int, **more: Any) -> float:
            options = {"metric": ["one", "two"], "seed": seed, "progress": False, **more}
            result = ts.tune(zdt, space, **options)
            return result.hypervolume({"one": 1.0, "two": 2.0})

        earlier = ts.tune(zdt, space, metric=["one", "two"], trials=40, seed=9, progress=False)
        warm = [volume(s, trials=8, warm_start=earlier) for s in range(3)]
        assert min(warm) > max(volume(s, trials=8) for s in range(3))

    def test_other_goals_and_another_order(self, two: ts.Result) -> None:
        (past,) = self.tune(["seconds", "error"], 4, warm_start=two).spec.past
        trials = two.trials
        assert past.losses == tuple(t.metrics["seconds"] for t in trials)
        assert past.others == (tuple(t.metrics["error"] for t in trials),)

    def test_what_was_reported_beside_is_a_lesson(self) -> None:
        one = self.tune("error", 12, name="one")
        study = ts.Study.create(
            self.SPACE,
            metric=["seconds", "accuracy"],
            goal=["minimize", "maximize"],
            warm_start=one,
        )
        (past,) = study.spec.past
        assert past.losses == tuple(t.metrics["seconds"] for t in one.trials)
        assert past.others == (tuple(-t.metrics["accuracy"] for t in one.trials),)

    def test_an_objective_that_nobody_knew_has_none(self) -> None:
        def blind(config: dict[str, Any]) -> dict[str, float]:
            return {"error": config["width"], "memory": 3.0}

        one = ts.tune(blind, self.SPACE, metric=["error", "memory"], trials=12, progress=False)
        result = self.tune(["error", "seconds"], 14, warm_start=one)
        (past,) = result.spec.past
        assert np.isnan(past.others).all()
        assert (
            PriorStudy.from_dict(json.loads(json.dumps(past.to_dict()))).to_dict() == past.to_dict()
        )
        assert len(result.front) > 1

    def test_what_breaks_a_constraint_is_a_lesson_but_not_tried(self, two: ts.Result) -> None:
        limit = float(np.median([t.metrics["seconds"] for t in two.trials]))
        for metric in (["error", "seconds"], "error"):
            constraints = [f"seconds <= {limit}"]
            warm = self.tune(metric, 4, warm_start=two, constraints=constraints)
            assert all(trial.metrics["seconds"] <= limit for trial in warm.trials[:3])
            (past,) = warm.spec.past
            assert len(past.broken) == 20
            assert PriorStudy.from_dict(json.loads(json.dumps(past.to_dict()))) == past

    def test_of_none_of_them(self) -> None:
        other = ts.tune(
            lambda c: {"p": c["width"], "q": c["depth"]},
            self.SPACE, metric=["p", "q"], trials=5, progress=False, name="other",
        )  # fmt: skip
        with pytest.raises(ts.StudyError, match=r"\(minimize p, minimize q\), and none of them is"):
            self.tune(["error", "seconds"], 5, warm_start=other)

    @pytest.mark.parametrize("more", [{}, {"constraints": ["seconds <= 1.5"]}, {"parallel": 4}])
    def test_with_all_the_rest_and_replayed(
        self, two: ts.Result, tmp_path: Path, more: dict[str, Any]
    ) -> None:
        storage = tmp_path / "study.db"
        metric = ["error", "seconds", "accuracy", "far"][: 4 if not more else 2]
        goal: Any = ["minimize", "minimize", "maximize", "minimize"][: len(metric)]

        def noisy(config: dict[str, Any]) -> dict[str, float]:
            values = self.objective(0.05)(config)
            return {**values, "far": values["error"] ** 2}

        space = ts.Space(
            {**self.SPACE.parameters, "depth": ts.Float(0, 1, prior=ts.Normal(0.5, 0.2))}
        )
        result = ts.tune(
            noisy, space, metric=metric, goal=goal, trials=16, seed=1, warm_start=two,
            storage=storage, name="s", progress=False, **more,
        )  # fmt: skip
        assert len(result.trials) == 16
        with ts.Study.open("s", storage=storage) as study:
            assert replay(study.store, "s").problems == []

    def test_ask_and_tell(self, two: ts.Result) -> None:
        study = ts.Study.create(
            self.SPACE, metric=["error", "seconds"], warm_start=two, seed=3, trials=14
        )
        for _ in range(14):
            trial = study.ask()
            study.tell(trial, self.objective()(trial.config))
        tuned = self.tune(["error", "seconds"], 14, warm_start=two)
        assert [t.config for t in study.result().trials] == [t.config for t in tuned.trials]
