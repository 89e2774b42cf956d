"""`tune`: from a function to a result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.ledger import Ledger

SPACE = ts.Space(x=ts.Float(0, 1))


def square(config: dict[str, Any]) -> float:
    return float((config["x"] - 0.3) ** 2)


def tune(objective: Any = square, space: Any = SPACE, **options: Any) -> ts.Result:
    return ts.tune(objective, space, **{"trials": 5, "seed": 1, "progress": False, **options})


def values(result: ts.Result) -> list[float]:
    return [t.value for t in result.trials if t.value is not None]


class TestObjectives:
    def test_a_number(self) -> None:
        result = tune()
        assert len(result.trials) == 5
        assert result.best.value == min(values(result))
        assert result.best.metrics == {"value": result.best.value}

    def test_the_goal(self) -> None:
        result = tune(goal="maximize")
        assert result.best.value == max(values(result))

    def test_a_dict(self) -> None:
        result = tune(lambda c: {"loss": c["x"], "size": 3}, metric="loss")
        assert result.best.value == result.best.config["x"]
        assert result.best.metrics["size"] == 3

    def test_reports(self) -> None:
        def objective(config: dict[str, Any], trial: ts.LiveTrial) -> None:
            for step in range(3):
                trial.report(loss=config["x"] / (step + 1))

        result = tune(objective, metric="loss")
        assert [r.step for r in result.trials[0].reports] == [1, 2, 3]
        assert result.trials[0].value == result.trials[0].config["x"] / 3, "the last one counts"

    def test_a_generator(self) -> None:
        def objective(config: dict[str, Any]) -> Iterator[dict[str, float]]:
            for step in range(3):
                yield {"loss": config["x"] + step}

        result = tune(objective, metric="loss")
        assert [r.metrics["loss"] for r in result.trials[0].reports] == [
            result.trials[0].config["x"] + step for step in range(3)
        ]

    def test_errors_are_results(self) -> None:
        def objective(config: dict[str, Any]) -> float:
            if config["x"] > 0.5:
                raise ValueError("too large")
            return float(config["x"])

        result = tune(objective, enqueue=[{"x": 0.75}, {"x": 0.25}])
        assert str(result.trials[0].state) == "failed"
        assert "ValueError: too large" in str(result.trials[0].reason)
        assert "test_api.py" in result.trials[0].reason.output, "with the traceback's end"
        assert result.best.value is not None

    def test_the_same_error_every_time_ends_the_study(self) -> None:
        def broken(config: dict[str, Any]) -> float:
            raise ImportError("no module named frobnicate")

        result = tune(broken, trials=100)
        assert len(result.trials) < 10
        assert result.ended_by == "failures"
        assert "no module named frobnicate" in result.ended

    def test_what_takes_no_config(self) -> None:
        with pytest.raises(TypeError, match=r"has to take \(config\) or \(config, trial\)"):
            tune(lambda: 1.0)


class TestWhere:
    @pytest.mark.parametrize(
        "options", [{"parallel": 2}, {"executor": "process"}, {"isolate": True}]
    )
    def test_in_processes(self, options: dict[str, Any]) -> None:
        offset = 0.25  # a closure
        result = tune(lambda c: (c["x"] - offset) ** 2, searcher="sobol", **options)
        alone = tune(searcher="sobol")
        assert [t.config for t in result.trials] == [t.config for t in alone.trials]
        assert all(t.cost.wall_s is not None for t in result.trials)

    def test_inline_cannot_do_everything(self) -> None:
        with pytest.raises(ts.StudyError, match="executor='inline' runs one trial at a time"):
            tune(executor="inline", parallel=2)

    def test_an_unknown_one(self) -> None:
        with pytest.raises(
            ts.StudyError, match="executor is 'auto', 'inline', 'process' or a cluster"
        ):
            tune(executor="thread")


class TestStorage:
    def test_a_file_is_gone_on_with(self, tmp_path: Path) -> None:
        first = tune(storage=tmp_path / "study.db")
        again = tune(storage=tmp_path / "study.db")
        assert len(again.trials) == 5, "all trials had been run"
        more = tune(storage=str(tmp_path / "study.db"), trials=8)
        assert len(more.trials) == 8
        assert [t.config for t in more.trials[:5]] == [t.config for t in first.trials]
        assert [t.config for t in more.trials] == [t.config for t in tune(trials=8).trials]

    def test_a_changed_space_is_an_edit(self, tmp_path: Path) -> None:
        tune(storage=tmp_path / "study.db", enqueue=[{"x": 0.75}])
        result = tune(storage=tmp_path / "study.db", space=ts.Space(x=ts.Float(0, 0.5)), trials=8)
        assert next(t.number for t in result.trials if t.outside) == 0
        assert all(t.config["x"] <= 0.5 for t in result.trials[5:])

    def test_another_goal_is_another_study(self, tmp_path: Path) -> None:
        tune(storage=tmp_path / "study.db")
        with pytest.raises(ts.StudyError, match="'square' is there already, with other objectives"):
            tune(storage=tmp_path / "study.db", goal="maximize")
        with pytest.raises(ts.StudyError, match="with other seed"):
            tune(storage=tmp_path / "study.db", seed=2)

    def test_enqueued_once(self, tmp_path: Path) -> None:
        for _ in range(2):
            result = tune(storage=tmp_path / "study.db", enqueue=[{"x": 0.5}, {"x": 0.25}])
        assert [t.config["x"] for t in result.trials[:2]] == [0.5, 0.25]
        assert [t.origin.searcher for t in result.trials].count("user") == 2

    def test_memory_leaves_no_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        tune(lambda c, trial: trial.directory.name and c["x"])
        assert list(tmp_path.iterdir()) == []


class TestLimits:
    def test_a_target(self) -> None:
        result = tune(trials=1000, target=0.01)
        assert result.ended_by == "target"
        assert min(values(result)) <= 0.01
        assert len(result.trials) < 200

    def test_a_finite_space_ends_by_itself(self) -> None:
        result = tune(lambda c: c["k"], ts.Space(k=ts.Int(1, 7)), trials=None)
        assert sorted(t.config["k"] for t in result.trials) == list(range(1, 8))
        assert result.ended_by == "exhausted"

    def test_time(self) -> None:
        result = tune(trials=None, time=0.2)
        assert result.ended_by == "time"
        assert len(result.trials) > 5

    @pytest.mark.parametrize(
        ("options", "kind", "words"),
        [
            ({"trials": None}, ts.StudyError, "nothing would end this study"),
            ({"trials": -1}, ts.StudyError, "trials is a whole number of at least 1"),
            ({"trails": 3}, ts.StudyError, "did you mean 'trials'"),
            ({"metric": ["a", "a"]}, ts.StudyError, "twice"),
            ({"goal": "up"}, ts.StudyError, "'minimize' or 'maximize'"),
            ({"searcher": "baysian"}, ts.StrategyError, "no searcher 'baysian'"),
            ({"space": {"x": {"flot": [0, 1]}}}, ts.SpaceError, "did you mean 'float'"),
            ({"enqueue": [{"y": 1}]}, ts.ConfigError, "y is no parameter"),
            ({"enqueue": [{"x": 3}]}, ts.ConfigError, "x .*3"),
            ({"name": "a/b"}, ts.StudyError, "name"),
        ],
    )
    def test_what_makes_no_sense(
        self, options: dict[str, Any], kind: type[Exception], words: str
    ) -> None:
        with pytest.raises(kind, match=words):
            tune(**options)


class TestWatching:
    def test_a_watcher_sees_the_ledger(self) -> None:
        sizes: list[int] = []

        def watch(ledger: Ledger, now: float) -> None:
            assert now > 0
            sizes.append(ledger.size)

        tune(watcher=watch)
        assert sizes[-1] == 5
        assert sizes == sorted(sizes)

    def test_progress(self, capsys: pytest.CaptureFixture[str]) -> None:
        tune(progress=True)
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "5/5 trials" in shown.err
        assert "best value" in shown.err


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_generator_yields_several_objectives_as_it_would_return_them(executor: Any) -> None:
    def train(config: dict[str, Any]) -> Any:
        for k in range(2):
            yield 100 - k, 7.5

    result = ts.tune(
        train, SPACE, metric=["loss", "time"], trials=1, seed=1, progress=False, executor=executor
    )
    (trial,) = result.trials
    assert [(r.step, r.metrics) for r in trial.reports] == [
        (1, {"loss": 100, "time": 7.5}),
        (2, {"loss": 99, "time": 7.5}),
    ]
    assert trial.values == (99, 7.5)
