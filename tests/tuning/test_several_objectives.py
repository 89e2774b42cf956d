"""A study of two objectives, of which the second is to be as large as possible, at every door: nothing is called best,
and what looks at the first objective alone says so."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.core.history import History
from tunesmith.core.incumbent import Improvement
from tunesmith.tuning import table
from tunesmith.tuning.replay import replay
from tunesmith.tuning.spec import narrow

SPACE = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))
GOALS: Any = {"metric": ["error", "size"], "goal": ["minimize", "maximize"]}
#: Trials 1, 3 and 4 are beaten by no other; of the first objective trial 3 is best, of the second trial 4.
VALUES = [(0.5, 1.0), (0.4, 2.0), (0.6, 1.5), (0.1, 0.5), (0.9, 9.0), (0.4, 1.0)]
FRONT = [1, 3, 4]


def create(**options: Any) -> ts.Study:
    options = {"searcher": "random", "seed": 1, "name": "two", **GOALS, **options}
    return ts.Study.create(SPACE, **options)


def filled(study: ts.Study, values: list[tuple[float, float]] = VALUES) -> ts.Study:
    for pair in values:
        study.tell(study.ask(), pair)
    return study


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with create(storage=tmp_path / "two.db") as study:
        filled(study)
    return tmp_path / "two.db"


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)])


class TestLibrary:
    def test_nothing_is_best_and_the_front_is(self) -> None:
        result = filled(create()).result()
        assert [trial.number for trial in result.front] == FRONT
        with pytest.raises(ts.StudyError, match=r"\(error, size\).*Result\.front"):
            _ = result.best
        document = json.loads(result.to_json())
        assert (document["best"], document["front"]) == (None, FRONT)
        assert "best" not in repr(result)

    def test_the_first_objective_is_called_so(self) -> None:
        study = filled(create())
        history = History(study.result().ledger)
        assert history.first_objective == study.spec.first_objective == study.objective
        assert history.first_losses.tolist() == [error for error, _ in VALUES]
        assert history.losses[:, 1].tolist() == [-size for _, size in VALUES]

    def test_a_table_by_value_has_the_front_first(self) -> None:
        study = filled(create())
        failed = study.ask()
        study.tell(failed, failed="the power went")
        rows = table.select(study.result(), sort="value")
        assert [row["number"] for row in rows] == [3, 1, 4, 5, 0, 2, failed.number]
        rows = table.select(study.result(), sort="-value")
        assert [row["number"] for row in rows] == [2, 0, 5, 4, 1, 3, failed.number]

    def test_importance_is_of_the_objective_that_is_named(self) -> None:
        def train(config: Any) -> dict[str, float]:
            return {"error": config["x"], "size": config["y"]}

        result = ts.tune(
            train, SPACE, **GOALS, searcher="random", trials=30, seed=1, progress=False
        )
        for objective, parameter in ((0, "x"), ("error", "x"), (1, "y"), ("size", "y")):
            importance = result.importance(objective)
            assert importance is not None
            assert importance.parameters[0].name == parameter
        for wrong in ("loss", 2, -1):
            with pytest.raises(ts.StudyError, match=r"no objective .*error, size"):
                result.importance(wrong)

    def test_an_audit_goes_by_the_front(self) -> None:
        scheduler = {"asha": {"max": 8, "min": 1, "reduction": 2, "audit": 0.999}}
        study = create(scheduler=scheduler)
        for pair in [(0.1, 0.9), (0.2, 0.8), (0.3, 0.7), (0.4, 0.6), (0.5, 0.5)]:
            trial = study.ask()
            study.report(trial, 1, error=pair[0], size=pair[1])
            study.tell(trial, (pair[0], 5.0 if trial.number == 4 else pair[1]))
        audit = study.result().audit()
        assert 4 in audit.trials, "it is the worst in both when it is compared"
        assert len(audit.trials) > 1
        assert audit.winners == (4,), "and has more of the second in the end than any other"

    def test_a_scheduler_says_by_what_it_ranks(self) -> None:
        study = create(scheduler={"asha": {"max": 8, "min": 1, "reduction": 2}})
        for pair in [(0.1, 0.9), (0.2, 0.8), (0.3, 0.7)]:
            decision = study.report(study.ask(), 1, error=pair[0], size=pair[1])
        assert (
            decision.why
            == "at step 1 it, with error 0.3 and size 0.7, is number 3 of 3; the best 1 go on"
        )


class TestWarmStart:
    def test_it_is_from_the_objective_that_both_have(self) -> None:
        several = filled(create())
        by_size = ts.Study.create(
            SPACE, metric="size", goal="maximize", searcher="random", warm_start=several
        )
        assert by_size.spec.past[0].losses == tuple(-size for _, size in VALUES)
        by_error = create(name="three", warm_start=several)
        assert by_error.spec.past[0].losses == tuple(error for error, _ in VALUES)

    @pytest.mark.parametrize(("metric", "goal"), [("loss", "minimize"), ("size", "minimize")])
    def test_it_is_refused_where_there_is_none(self, metric: str, goal: Any) -> None:
        words = rf"'two' has several objectives \(minimize error, maximize size\).*{goal} {metric}"
        with pytest.raises(ts.StudyError, match=words):
            ts.Study.create(SPACE, metric=metric, goal=goal, warm_start=filled(create()))

    def test_past_asks_which(self) -> None:
        result = filled(create()).result()
        with pytest.raises(
            ts.StudyError, match=r"several objectives \(error, size\).*past\('error'\)"
        ):
            result.past()
        assert result.past("size").losses == tuple(-size for _, size in VALUES)


class TestStrategiesThatLookAtOne:
    def test_searchers_say_so(self) -> None:
        with pytest.warns(UserWarning, match="searcher gradient looks at error alone"):
            create(searcher="gradient")

    @pytest.mark.parametrize(
        "searcher", ["auto", "bayes", "tpe", "cmaes", "evolution", "random", "sobol", "grid"]
    )
    def test_those_that_look_at_all_or_none_need_not(self, searcher: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            create(searcher=searcher)

    @pytest.mark.parametrize(
        ("scheduler", "words"),
        [
            ("patience", "scheduler patience looks at error alone"),
            ({"threshold": {"worst": 1.0}}, "scheduler threshold looks at error alone"),
            ({"pbt": {"max": 9, "interval": 3}}, "scheduler pbt looks at error alone"),
            ({"pb2": {"max": 9, "interval": 3}}, "scheduler pb2 looks at error alone"),
            ("racing", "scheduler racing stops nobody"),
            ({"patience": {"audit": 0.5}}, "scheduler patience looks at error alone"),
            ({"forecast": {"chance": 0.1}}, ""),
            ("median", ""),
            ("percentile", ""),
            ({"freeze_thaw": {"max": 9}}, ""),
            ("asha", ""),
            ({"hyperband": {"max": 9}}, ""),
            ({"pasha": {"max": 9}}, ""),
        ],
    )
    def test_schedulers_say_so(self, scheduler: Any, words: str) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            create(scheduler=scheduler)
        sentences = [str(warning.message) for warning in caught]
        assert [words in sentence for sentence in sentences] == ([True] if words else [])

    def test_of_one_objective_there_is_nothing_to_say(self) -> None:
        study = ts.Study.create(SPACE, metric="loss", scheduler="racing")
        assert narrow(study.spec) == ""

    def test_a_run_says_so_at_its_beginning(self, capsys: pytest.CaptureFixture[str]) -> None:
        def train(config: Any) -> tuple[float, float]:
            return config["x"], config["y"]

        options = {**GOALS, "scheduler": "patience", "trials": 1, "seed": 1, "executor": "inline"}
        ts.tune(train, SPACE, progress=False, **options)
        sentence = "of the 2 objectives, the scheduler patience looks at error alone"
        assert sentence in capsys.readouterr().err


class TestCommandLine:
    def test_show_lists_the_front_with_all_values(self, store: Path) -> None:
        said = command("show", "-s", store).output
        lines = said[said.index("3 trials that no other beats in error, size:") :].splitlines()
        assert [line.split("  x=")[0] for line in lines[1:4]] == [
            "  trial 3: error=0.1 size=0.5  <- knee",
            "  trial 1: error=0.4 size=2",
            "  trial 4: error=0.9 size=9",
        ]
        document = json.loads(command("show", "-s", store, "--json").output)
        assert document["best"] == []
        assert [trial["number"] for trial in document["front"]] == FRONT

    def test_best_says_where_the_front_is(self, store: Path) -> None:
        outcome = command("best", "-s", store)
        assert outcome.exit_code == 0
        for number in FRONT:
            assert f"trial {number}" in outcome.output
        outcome = command("best", "-s", store, "--args")
        assert outcome.exit_code == 1
        assert "tunesmith show" in outcome.output

    def test_trials_and_ls_and_export(self, store: Path) -> None:
        listed = json.loads(
            command("trials", "-s", store, "--sort", "value", "-n", 3, "--json").output
        )
        assert [row["number"] for row in listed] == [3, 1, 4]
        assert [row["size"] for row in listed] == [0.5, 2.0, 9.0]
        [study] = json.loads(command("ls", "-s", store, "--json").output)
        assert (study["best"], study["best_value"], len(study["objectives"])) == (None, None, 2)
        exported = json.loads(command("export", "-s", store, "-f", "json").output)
        assert exported["front"] == FRONT
        assert "error,size" in command("export", "-s", store, "-f", "csv").output.splitlines()[0]

    def test_replay_and_report(self, store: Path, tmp_path: Path) -> None:
        assert command("replay", "-s", store).exit_code == 0
        assert command("report", "-s", store, "-o", tmp_path / "r.html").exit_code == 0
        page = (tmp_path / "r.html").read_text()
        assert "3 that no other beats in all of error and size" in page
        assert "The diamond is the best" not in page

    def test_the_live_table_calls_nothing_best(self) -> None:
        from tunesmith.cli.screen import Screen

        study = create()
        screen = Screen(["x", "y"], None)
        screen.watch(study.result().ledger, 0.0)
        filled(study)
        screen.watch(study.result().ledger, 0.0)
        assert screen._top == []
        assert "best" not in "\n".join(line.plain for line in screen._footer._lines)

    def test_a_long_front_is_cut(self, tmp_path: Path) -> None:
        with create(storage=tmp_path / "two.db") as study:
            filled(study, [(k / 100, k / 10) for k in range(30)])
        lines = command("show", "-s", tmp_path / "two.db").output.splitlines()
        assert len([line for line in lines if line.startswith("  trial ")]) == 20
        assert "and 10 more: tunesmith trials two --sort value" in lines[-2]


class TestCheckpoints:
    """What is kept of two objectives (`docs/guides/checkpoints.md`)."""

    def run(self, tmp_path: Path, values: list[tuple[float, float]], **limits: Any) -> list[int]:
        """The trials that have checkpoints at the end."""
        left = iter(values)

        def train(config: Any, trial: ts.LiveTrial) -> tuple[float, float]:
            pair = next(left)
            with trial.checkpoint(step=1) as folder:  # `save` writes more where torch is loaded
                (folder / "weights").write_bytes(b"0" * 1000)
            trial.report(step=1, error=pair[0], size=pair[1])
            return pair

        ts.tune(
            train,
            SPACE,
            **GOALS,
            searcher="random",
            trials=len(values),
            seed=1,
            executor="inline",
            storage=tmp_path / "two.db",
            name="two",
            progress=False,
            **limits,
        )
        with ts.Study.open(storage=tmp_path / "two.db") as study:
            return [n for n in range(len(values)) if study.checkpoint(n) is not None]

    def test_the_front_is_kept(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, VALUES) == FRONT

    def test_nothing_is_kept_where_that_was_asked_for(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, VALUES, keep=0) == []

    def test_the_disk_limit_takes_the_front_last_and_says_so(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert set(self.run(tmp_path, VALUES, keep="all", disk=4500)) >= set(FRONT)
        assert "which no other beats" not in capsys.readouterr().err
        (tmp_path / "less").mkdir()
        left = self.run(tmp_path / "less", VALUES, keep="all", disk=2500)
        assert 1 <= len(left) < 3
        assert "which no other beats, have to go" in capsys.readouterr().err


def test_a_trial_keeps_the_checkpoint_of_its_front(tmp_path: Path) -> None:
    """Of steps 1 to 3 the second is beaten by the first; the third, the last, is not."""

    def train(config: Any, trial: ts.LiveTrial) -> tuple[float, float]:
        for step, pair in enumerate([(0.1, 5.0), (0.2, 4.0), (0.3, 9.0), (0.4, 8.0)], 1):
            trial.save(step, step=step)
            trial.report(step=step, error=pair[0], size=pair[1])
        return 0.4, 8.0

    storage = tmp_path / "two.db"
    ts.tune(
        train, SPACE, **GOALS, searcher="random", trials=1, seed=1, storage=storage, name="two",
        executor="inline", progress=False,
    )  # fmt: skip
    with ts.Study.open(storage=storage) as study:
        last = study.checkpoint(0)
        assert last is not None
        steps = sorted(int(path.name.split("-")[-1]) for path in last.parent.iterdir())
    assert steps == [3, 4]


def test_the_front_improves_in_any_order_as_after_an_edit() -> None:
    """The last improvement, kept as trials end, is that of a search through all."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        study = create()
        filled(
            study, [tuple(pair) for pair in rng.integers(0, 6, size=(20, 2)).astype(float).tolist()]
        )
        ledger = study.result().ledger
        incremental = ledger.improvement
        again = Improvement()
        again.search(ledger.table, ledger.confirming)
        assert (incremental.trial, incremental.trials_since) == (again.trial, again.trials_since)
        losses = ledger.column("losses")
        front = {tuple(losses[n]) for n in ledger.front()}
        assert {tuple(losses[n]) for n in incremental._front} == front
        assert sorted(incremental._front) == again._front


def test_a_study_of_two_objectives_is_resumed_and_replayed(tmp_path: Path) -> None:
    def train(config: Any, trial: ts.LiveTrial) -> dict[str, float]:
        for step in range(1, 5):
            trial.report(step=step, error=config["x"] / step, size=config["y"] * step)
        return {"error": config["x"], "size": config["y"]}

    options: Any = {
        **GOALS, "seed": 1, "storage": tmp_path / "two.db", "name": "two", "progress": False,
        "executor": "inline", "scheduler": {"asha": {"max": 4, "min": 1, "reduction": 2}},
    }  # fmt: skip
    ts.tune(train, SPACE, trials=12, **options)
    result = ts.tune(train, SPACE, trials=25, **options)
    assert len(result.trials) == 25
    with ts.Study.open(storage=tmp_path / "two.db") as study:
        assert replay(study.store, study.name).verdict == "the same"
        losses = study.result().ledger.column("losses")[study.result().ledger.feasible()]
        front = study.result().ledger.column("losses")[study.result().ledger.front()]
        for row in front:
            assert not ((losses <= row).all(axis=1) & (losses < row).any(axis=1)).any()
