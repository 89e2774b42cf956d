"""Studies with constraints and preferences at every door: what breaks a constraint is kept, and is never the best."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.tuning.jobs import write_job
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.store import open_store
from tunesmith.tuning.job import load_job, run_job

SPACE = ts.Space(x=ts.Float(0, 1))
OPTIONS: Any = {"metric": "loss", "searcher": "random", "seed": 1, "name": "bounded"}
#: (loss, memory); with at most 5 of memory trial 2 is the best.
RESULTS = [(0.1, 9.0), (0.5, 1.0), (0.3, 5.0), (0.2, 5.1), (0.4, 2.0)]


def filled(**options: Any) -> ts.Study:
    study = ts.Study.create(SPACE, **{**OPTIONS, **options})
    for loss, memory in RESULTS:
        study.tell(study.ask(), {"loss": loss, "memory": memory})
    return study


class TestBest:
    def test_of_those_that_keep_it(self, tmp_path: Path) -> None:
        with filled(constraints=["memory <= 5"], storage=tmp_path / "s.db") as study:
            assert study.best.number == 2
        with ts.Study.open(storage=tmp_path / "s.db") as study:
            assert study.best.number == 2
            result = study.result()
            assert [t.number for t in result.trials if t.broken] == [0, 3]
            assert result.trials[0].to_dict()["broken"] == ["memory <= 5"]
            assert json.loads(result.to_json())["best"] == 2
        with closing(open_store(tmp_path / "s.db")) as store:
            assert store.summary("bounded").best == 2
            assert store.verify("bounded") is None

    def test_a_bound_is_one(self) -> None:
        assert filled(at_most={"memory": 1.5}).best.number == 1
        assert filled(at_least={"memory": 9}).best.number == 0

    def test_none_keeps_it(self) -> None:
        study = filled(constraints=["memory <= 0.5"])
        with pytest.raises(
            ts.NothingCompleted, match=r"the nearest is trial 1 .*memory = 1.*breaks memory <= 0.5"
        ):
            _ = study.best

    def test_edited_it_is_judged_again(self, tmp_path: Path) -> None:
        with filled(storage=tmp_path / "s.db") as study:
            assert study.best.number == 0
            study.edit(constraints=["memory < 5"])
            assert study.best.number == 4
            study.edit(constraints=[])
            assert study.best.number == 0
        with closing(open_store(tmp_path / "s.db")) as store:
            assert store.verify("bounded") is None

    def test_corrected_it_is_judged_again(self) -> None:
        study = filled(constraints=["memory <= 5"])
        study.correct(0, {"loss": 0.1, "memory": 4.0}, why="read wrongly")
        assert study.best.number == 0

    def test_what_a_trial_took_counts(self) -> None:
        result = ts.tune(
            lambda c: c["x"], SPACE, trials=3, constraints=["wall_s < 0"], progress=False
        )
        assert all(trial.broken for trial in result.trials)


class TestMissing:
    def test_a_trial_without_the_metric_fails(self) -> None:
        study = ts.Study.create(SPACE, **OPTIONS, constraints=["memory <= 5"])
        study.tell(study.ask(), {"loss": 0.5, "memori": 3})
        first = study.result().trials[0]
        assert first.state == "failed"
        assert first.reason is not None
        assert (
            "'memory', which a constraint or the limit on cost names, never arrived"
            in first.reason.message
        )
        assert "'memory': ..." in first.reason.message

    def test_a_truth_value_is_0_or_1(self) -> None:
        study = ts.Study.create(SPACE, **OPTIONS, constraints=["ok == True"])
        for ok in (False, True):
            study.tell(study.ask(), {"loss": 0.5, "ok": ok})
        assert study.best.number == 1

    def test_a_name_that_is_both(self) -> None:
        with pytest.raises(ts.StudyError, match="a parameter and an objective's metric"):
            ts.Study.create(SPACE, metric="x", constraints=["x <= 5", "x * y <= 3"])


def test_parameters_alone_make_a_relation() -> None:
    space = ts.Space(a=ts.Float(0, 1), b=ts.Float(0, 1))
    study = ts.Study.create(space, metric="loss", constraints=["a <= b", "a * loss <= 1"])
    assert [c.text for c in study.spec.constraints] == ["a * loss <= 1"]
    assert [r.text for r in study.spec.space.relations] == ["a <= b"]
    assert space.relations == ()


def test_what_a_stopped_trial_has_not_reported_breaks_nothing() -> None:
    def train(config: dict[str, Any], trial: ts.LiveTrial) -> dict[str, float]:
        trial.report(step=1, loss=config["x"])
        trial.report(step=2, loss=config["x"])
        return {"loss": config["x"], "memory": 9.0}

    options: Any = {
        **OPTIONS,
        "scheduler": {"threshold": {"worst": 0.5}},
        "constraints": ["memory <= 5"],
    }
    result = ts.tune(train, SPACE, **options, trials=8, progress=False)
    states = {str(trial.state): bool(trial.broken) for trial in result.trials}
    assert states == {"stopped": False, "completed": True}


class TestPreference:
    def both(self, **options: Any) -> ts.Study:
        return filled(**{"metric": ["loss", "memory"], **options})

    def test_the_best_of_several_objectives(self, tmp_path: Path) -> None:
        with self.both(prefer={"loss": 0.1}, storage=tmp_path / "s.db") as study:
            assert study.best.number == 3
            assert [t.number for t in study.result().front] == [0, 1, 2, 3, 4]
            assert study.result().preferred({"at_most": {"memory": 3}}).number == 4
            assert study.result().preferred("memory").number == 1
        with closing(open_store(tmp_path / "s.db")) as store:
            assert store.summary("bounded").best == 3
            assert store.verify("bounded") is None
        shown = CliRunner().invoke(app, ["best", "bounded", "-s", str(tmp_path / "s.db")])
        assert "trial 3" in shown.stdout

    def test_with_a_constraint(self) -> None:
        assert self.both(prefer="loss", at_most={"memory": 5}).best.number == 2

    def test_without_one_how_to_choose_is_said(self) -> None:
        with pytest.raises(ts.StudyError, match=r"prefer=\{'loss': 0.01\}"):
            _ = self.both().best


class TestJobFiles:
    def test_constraints(self, tmp_path: Path) -> None:
        path = write_job(
            tmp_path,
            command="printf 'loss=%s memory=%s\\n' {x} {x}",
            metrics={"loss": "loss={number}", "memory": "memory={number}"},
            constraints=["memory >= 0.5"],
            storage="s.db",
            limits={"trials": 6},
        )
        result = run_job(load_job(path))
        kept = [t.value for t in result.trials if t.value is not None and t.value >= 0.5]
        assert result.best.value == min(kept)

    def test_a_metric_that_no_trial_prints_is_named(self, tmp_path: Path) -> None:
        path = write_job(tmp_path, storage="s.db", at_most={"memory": 5}, limits={"trials": 1})
        reason = run_job(load_job(path)).trials[0].reason
        assert reason is not None
        assert "memory" in reason.message

    @pytest.mark.parametrize(
        ("key", "value", "words"),
        [
            ("constraints", ["memory"], "compares a metric"), ("at_most", {"memory": "much"}, "valid number"),
            ("prefer", {"loss": 1}, "several objectives"), ("constraints", ["x <= loss ="], "cannot read"),
        ],
    )  # fmt: skip
    def test_mistakes_have_their_line(
        self, tmp_path: Path, key: str, value: Any, words: str
    ) -> None:
        path = write_job(tmp_path, **{key: value})
        with pytest.raises(ts.JobError, match=words) as caught:
            load_job(path)
        line = int(str(caught.value).split(":")[1])
        assert key in path.read_text().splitlines()[line - 1]


class TestFront:
    def front(self) -> ts.Result:
        study = ts.Study.create(SPACE, metric=["loss", "seconds"], searcher="random", seed=1)
        for pair in [(0.0, 100.0), (0.1, 20.0), (0.5, 10.0), (1.0, 0.0), (1.0, 50.0)]:
            study.tell(study.ask(), pair)
        return study.result()

    def test_knee(self) -> None:
        knee = self.front().knee
        assert knee is not None
        assert knee.number == 1
        empty = ts.Study.create(SPACE, metric=["loss", "seconds"])
        assert empty.result().knee is None

    def test_hypervolume(self) -> None:
        result = self.front()
        assert result.hypervolume({"loss": 1.0, "seconds": 100.0}) == pytest.approx(
            0.4 * 80 + 0.5 * 90
        )
        with pytest.raises(ts.StudyError, match="a value for each of loss, seconds, not for loss"):
            result.hypervolume({"loss": 1.0})
