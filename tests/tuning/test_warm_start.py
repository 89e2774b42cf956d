"""Starting from what earlier studies found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
