"""A study in the hand: ask and tell, mend, edit; several handles and processes on one file."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.store.memory import MemoryStore
from tunesmith.tuning.coordinator import Loop
from tunesmith.tuning.job import load_job, run_job
from tunesmith.tuning.replay import replay

SPACE = ts.Space(x=ts.Float(0, 1), k=ts.Int(1, 4, default=2), o=ts.Choice("sgd", "adam"))


def create(**options: Any) -> ts.Study:
    """A study of one metric, random and seeded."""
    given: dict[str, Any] = {"metric": "loss", "searcher": "random", "seed": 1} | options
    return ts.Study.create(given.pop("space", SPACE), **given)


@pytest.fixture
def study() -> ts.Study:
    return create()


def kinds(study: ts.Study, trial: int) -> list[str]:
    """What happened to a trial."""
    return [type(event).__name__ for event in study.log(trial)]


def told(study: ts.Study, *values: float) -> None:
    """A trial for each value."""
    for value in values:
        study.tell(study.ask(), value)


def short(value: Any) -> str:
    """A test's id."""
    return repr(value)[:16]


class TestCreate:
    def test_in_memory(self, study: ts.Study) -> None:
        assert study.name == "study"
        assert list(study.trials) == []
        assert study.spec.first_objective.metric == "loss"
        assert study.space == SPACE

    def test_in_a_file(self, tmp_path: Path) -> None:
        with create(name="one", storage=tmp_path / "study.db", trials=5) as study:
            told(study, 0.5)
        with ts.Study.open("one", storage=tmp_path / "study.db") as again:
            assert again.spec.limits.trials == 5
            assert [t.value for t in again.trials] == [0.5]

    def test_a_space_may_be_a_mapping(self) -> None:
        study = create(space={"x": {"float": [0, 1]}, "n": 7})
        assert study.space == ts.Space(x=ts.Float(0, 1), n=7)

    def test_a_space_is_copied(self) -> None:
        space = ts.Space(a=ts.Int(1, 9), b=ts.Int(1, 9))
        study = create(space=space)
        space.require("a < b")
        assert study.space.relations == ()

    def test_a_name_that_is_taken(self, tmp_path: Path) -> None:
        create(storage=tmp_path / "study.db").close()
        with pytest.raises(ts.StudyExists, match=r"'study' is in .* already; open it with"):
            create(storage=tmp_path / "study.db")
        store = MemoryStore()
        create(storage=store)
        with pytest.raises(ts.StudyExists, match="or choose another name"):
            create(storage=store)

    @pytest.mark.parametrize(
        ("options", "kind", "words"),
        [
            ({"name": "two words"}, ts.StudyError, "cannot name a study: letters, digits"),
            ({"goal": "max"}, ts.StudyError, "goal is 'minimize' or 'maximize', not 'max'"),
            ({"metric": []}, ts.StudyError, "metric is a name, or a list of names"),
            ({"metric": ["a", "a"]}, ts.StudyError, "an objective is there twice: a, a"),
            ({"goal": ["minimize"] * 2}, ts.StudyError, "1 metrics need one goal, or 1, not"),
            ({"searcher": "baies"}, ts.StrategyError, "no searcher 'baies'; did you mean 'bayes'"),
            ({"searcher": {"grid": {"level": 1}}}, ts.StrategyError, "did you mean 'levels'"),
            ({"scheduler": "ahsa"}, ts.StrategyError, "no scheduler 'ahsa'; did you mean 'asha'"),
            ({"seed": -1}, ts.StudyError, "the seed is a whole number from 0"),
            ({"trials": 0}, ts.StudyError, "trials is a whole number of at least 1, not 0"),
            ({"trails": 5}, ts.StudyError, "no argument 'trails'; did you mean 'trials'"),
            ({"time": "5 parsecs"}, ts.StudyError, "time: '5 parsecs' is no duration; write 90s"),
            ({"cost": 3}, ts.StudyError, "a cost limit needs price_per_hour"),
            ({"space": {"x": {"flaot": [0, 1]}}}, ts.SpaceError, "x: .*did you mean 'float'"),
            ({"space": 5}, ts.SpaceError, "a space is a mapping"),
        ],
    )
    def test_what_makes_no_sense(
        self, tmp_path: Path, options: dict[str, Any], kind: type[Exception], words: str
    ) -> None:
        with pytest.raises(kind, match=words):
            create(storage=tmp_path / "study.db", **options)
        assert not (tmp_path / "study.db").exists(), "nothing is made of it"


class TestOpen:
    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ts.StudyNotFound, match=r"there is no file .*no\.db"):
            ts.Study.open(storage=tmp_path / "no.db")
        assert not (tmp_path / "no.db").exists()

    def test_the_only_one_needs_no_name(self, tmp_path: Path) -> None:
        create(name="one", storage=tmp_path / "study.db").close()
        with ts.Study.open(storage=tmp_path / "study.db") as study:
            assert study.name == "one"

    def test_of_several_the_name_is_needed(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            create(name=name, storage=tmp_path / "study.db").close()
        with pytest.raises(ts.StudyError, match=r"say which study; .* has 2: one, two"):
            ts.Study.open(storage=tmp_path / "study.db")

    def test_a_name_that_is_not_there(self, tmp_path: Path) -> None:
        create(name="digits", storage=tmp_path / "study.db").close()
        with pytest.raises(ts.StudyNotFound, match=r"no study 'digit' in .*; did you mean"):
            ts.Study.open("digit", storage=tmp_path / "study.db")

    def test_a_store(self) -> None:
        store = MemoryStore()
        create(storage=store, name="one")
        assert ts.Study.open(storage=store).name == "one"

    def test_leaving_the_block_ends_the_session(self, tmp_path: Path) -> None:
        with create(storage=tmp_path / "study.db") as study:
            told(study, 0.5)
        with ts.Study.open(storage=tmp_path / "study.db") as again:
            history = [type(e).__name__ for e in again.store.changes("study")]
            assert history == ["Opened", "Suggested", "Finished", "Closed"]

    def test_who_only_looks_leaves_no_trace(self, tmp_path: Path) -> None:
        create(storage=tmp_path / "study.db").close()
        with ts.Study.open(storage=tmp_path / "study.db") as study:
            assert len(study.trials) == 0
            assert study.result().counts[ts.State.COMPLETED] == 0
            assert study.coordinator() is None
            assert list(study.store.changes("study")) == []


class TestAsk:
    def test_gives_running_trials_in_the_space(self, study: ts.Study) -> None:
        for number in range(20):
            trial = study.ask()
            assert (trial.number, trial.state) == (number, ts.State.RUNNING)
            assert study.space.contains(trial.config)
            assert trial.origin.searcher == "random"

    def test_a_seed_makes_it_repeatable(self) -> None:
        def configs(seed: int) -> list[Any]:
            study = create(seed=seed)
            return [study.ask().config for _ in range(5)]

        assert configs(1) == configs(1)
        assert configs(1) != configs(2)

    def test_the_queue_comes_first(self, study: ts.Study) -> None:
        study.enqueue({"x": 0.25})
        study.enqueue({"x": 0.75})
        assert [study.ask().config["x"] for _ in range(2)] == [0.25, 0.75]
        assert study.ask().origin.searcher == "random"

    def test_until_all_trials_are_started(self) -> None:
        study = create(trials=2)
        told(study, 0.5)
        study.ask()
        with pytest.raises(ts.StudyOver, match="'study' is over: all 2 trials have been started"):
            study.ask()

    def test_until_the_space_is_exhausted(self) -> None:
        study = create(space=ts.Space(k=ts.Int(1, 3)), searcher="grid")
        assert sorted(study.ask().config["k"] for _ in range(3)) == [1, 2, 3]
        with pytest.raises(ts.StudyOver, match="'study' is over: every config of the space"):
            study.ask()

    def test_no_config_twice(self) -> None:
        study = create(space=ts.Space(k=ts.Int(1, 8)))
        assert sorted(study.ask().config["k"] for _ in range(8)) == list(range(1, 9))

    def test_unless_duplicates_are_wanted(self) -> None:
        study = create(space=ts.Space(k=ts.Int(1, 2)), duplicates=True)
        assert {study.ask().config["k"] for _ in range(9)} == {1, 2}

    def test_in_a_deterministic_study_results_are_due(self) -> None:
        study = create(deterministic=True, parallel=2)
        study.ask()
        study.ask()
        with pytest.raises(
            ts.StudyError, match="deterministic, and trial 0 still runs: tell trial 0 before"
        ):
            study.ask()
        study.tell(0, 0.5)
        assert study.ask().number == 2


class TestTell:
    @pytest.mark.parametrize(
        "result",
        [0.5, np.float32(0.5), np.array(0.5), {"loss": 0.5}, {"loss": np.float64(0.5)}, [0.5]],
    )
    def test_a_number_in_any_form(self, study: ts.Study, result: Any) -> None:
        trial = study.tell(study.ask(), result)
        assert (trial.state, trial.value, trial.metrics) == ("completed", 0.5, {"loss": 0.5})

    def test_by_number_or_trial(self, study: ts.Study) -> None:
        study.ask()
        study.ask()
        assert study.tell(1, 0.5).number == 1
        assert study.tell(study.trials[0], 0.25).number == 0

    def test_more_metrics(self, study: ts.Study) -> None:
        result: Any = {"loss": 0.5, "accuracy": 0.9, "note": "no number"}
        trial = study.tell(study.ask(), result)
        assert trial.metrics == {"loss": 0.5, "accuracy": 0.9}

    def test_several_objectives(self) -> None:
        study = create(metric=["loss", "size"], goal=["minimize", "maximize"])
        assert study.tell(study.ask(), (0.5, 7)).values == (0.5, 7.0)
        assert study.tell(study.ask(), {"size": 7, "loss": 0.5}).values == (0.5, 7.0)
        reason = study.tell(study.ask(), {"loss": 0.5}).reason
        assert reason is not None
        assert reason.message.startswith("the metric 'size' never arrived (only 'loss')")

    def test_nothing_means_the_last_report(self, study: ts.Study) -> None:
        trial = study.ask()
        study.report(trial, loss=0.5, accuracy=0.1)
        study.report(trial, loss=0.25)
        trial = study.tell(trial)
        assert (trial.value, trial.metrics) == (0.25, {"loss": 0.25, "accuracy": 0.1})

    def test_nothing_at_all(self, study: ts.Study) -> None:
        trial = study.tell(study.ask())
        assert trial.state is ts.State.FAILED
        assert "the metric 'loss' never arrived (the result was None); give a number" in str(
            trial.reason
        )

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, {"loss": math.nan}])
    def test_what_is_not_finite_is_a_failure(self, study: ts.Study, value: Any) -> None:
        trial = study.tell(study.ask(), value)
        assert trial.state is ts.State.FAILED
        assert trial.value is None
        assert trial.reason is not None
        assert trial.reason.kind == "not_finite"

    @pytest.mark.parametrize(
        "value", [[1, 2], {}, {"loss": "x"}, {"los": 1}, True, 10**400], ids=short
    )
    def test_what_is_no_result_is_a_failure(self, study: ts.Study, value: Any) -> None:
        trial = study.tell(study.ask(), value)
        assert trial.state is ts.State.FAILED
        assert trial.reason is not None

    def test_a_failure(self, study: ts.Study) -> None:
        trial = study.ask()
        study.report(trial, loss=0.5)
        trial = study.tell(trial, failed="the power went")
        assert (trial.state, trial.value) == (ts.State.FAILED, None)
        assert trial.reason == ts.Reason("error", "the power went")  # type: ignore[arg-type]
        assert trial.metrics == {"loss": 0.5}, "what it had reported is kept"

    def test_a_text_is_probably_a_failure(self, study: ts.Study) -> None:
        trial = study.ask()
        with pytest.raises(ts.StudyError, match="for a failure: failed='the power went'"):
            study.tell(trial, "the power went")  # type: ignore[arg-type]
        assert study.trials[0].state is ts.State.RUNNING

    def test_twice(self, study: ts.Study) -> None:
        trial = study.tell(study.ask(), 0.5)
        with pytest.raises(
            ts.TransitionError, match="trial 0 is completed and cannot be told again"
        ):
            study.tell(trial, 0.25)
        assert study.trials[0].value == 0.5

    def test_a_trial_that_waits(self, study: ts.Study) -> None:
        trial = study.enqueue({"x": 0.5})
        with pytest.raises(ts.TransitionError, match="trial 0 is waiting and cannot complete"):
            study.tell(trial, 0.5)

    def test_costs_are_measured(self, study: ts.Study) -> None:
        trial = study.tell(study.ask(), 0.5)
        assert trial.cost.wall_s is not None
        assert 0 <= trial.cost.wall_s < 60
        assert trial.started_at is not None
        assert trial.ended_at is not None
        assert trial.started_at <= trial.ended_at


class TestReport:
    def test_steps_and_metrics(self, study: ts.Study) -> None:
        trial = study.ask()
        study.report(trial, loss=3)
        study.report(trial, 10, loss=2, accuracy=float(np.float32(0.5)))
        study.report(trial, loss=math.nan)
        reports = [(r.step, r.metrics) for r in study.trials[0].reports]
        assert reports[:2] == [(1, {"loss": 3.0}), (10, {"loss": 2.0, "accuracy": 0.5})]
        assert reports[2][0] == 11
        assert math.isnan(reports[2][1]["loss"])

    def test_what_is_no_report(self, study: ts.Study) -> None:
        trial = study.ask()
        with pytest.raises(ValueError, match="needs a metric"):
            study.report(trial, 3)
        with pytest.raises(ValueError, match="a metric is a number"):
            study.report(trial, 3, loss="x")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="a step is a whole number"):
            study.report(trial, 1.5, loss=1)  # type: ignore[arg-type]
        assert study.trials[0].reports == ()

    def test_a_trial_that_has_ended(self, study: ts.Study) -> None:
        trial = study.tell(study.ask(), 0.5)
        with pytest.raises(ts.TransitionError, match="trial 0 is completed and cannot report"):
            study.report(trial, loss=1)


#: What takes a trial's number.
CALLS: dict[str, Callable[[ts.Study, int], object]] = {
    "tell": lambda study, number: study.tell(number, 0.5),
    "report": lambda study, number: study.report(number, loss=0.5),
    "cancel": lambda study, number: study.cancel(number),
    "correct": lambda study, number: study.correct(number, 0.5, why="why"),
    "retract": lambda study, number: study.retract(number, why="why"),
    "annotate": lambda study, number: study.annotate(number, "note"),
    "enqueue": lambda study, number: study.enqueue({}, parent=number),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", [-1, 3, 64, 10**6])
def test_a_trial_that_is_not_there(study: ts.Study, call: str, number: int) -> None:
    told(study, 0.5, 0.5, 0.5)
    with pytest.raises(ts.StudyError, match=f"there is no trial {number}; .* has trials 0 to 2"):
        CALLS[call](study, number)
    assert len(study.trials) == 3


class TestEnqueue:
    def test_what_is_left_out_takes_its_default(self, study: ts.Study) -> None:
        trial = study.enqueue({"x": 0.25})
        assert trial.config == {"x": 0.25, "k": 2, "o": "sgd"}
        assert trial.state is ts.State.WAITING
        assert trial.origin.searcher == "user"

    def test_carries_tags_a_parent_and_a_reason(self, study: ts.Study) -> None:
        first = study.ask()
        trial = study.enqueue({"x": 0.25}, tags={"who": "me"}, parent=first, why="a hunch")
        assert (trial.tags, trial.parent, trial.origin.why) == ({"who": "me"}, 0, "a hunch")

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"x": 2}, "x is 2, outside 0 .. 1"),
            ({"o": "adan"}, "o is 'adan', which is none of the 2 choices; did you mean 'adam'"),
            ({"k": 1.5}, "k is 1.5, not a whole number"),
            ({"y": 1}, "y is no parameter of this space"),
        ],
    )
    def test_a_config_that_does_not_fit(
        self, study: ts.Study, config: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ts.ConfigError, match=words):
            study.enqueue(config)
        assert len(study.trials) == 0

    @pytest.mark.parametrize("config", [5, "x", None])
    def test_what_is_no_config(self, study: ts.Study, config: Any) -> None:
        with pytest.raises(ts.ConfigError, match="a config is a mapping"):
            study.enqueue(config)

    def test_values_are_cleaned(self, study: ts.Study) -> None:
        trial = study.enqueue({"x": 1, "k": np.int64(3)})
        assert type(trial.config["x"]) is float
        assert type(trial.config["k"]) is int

    def test_find(self, study: ts.Study) -> None:
        trial = study.enqueue({"x": 0.25})
        assert study.find(trial.config) == 0
        assert study.find(trial.config | {"x": 0.5}) is None


class TestCancel:
    def test_a_waiting_trial(self, study: ts.Study) -> None:
        study.enqueue({"x": 0.5})
        assert study.cancel(0).state is ts.State.CANCELLED
        assert study.ask().number == 1, "it is not run"

    def test_a_trial_that_nobody_will_tell(self, study: ts.Study) -> None:
        trial = study.ask()
        assert study.cancel(trial).state is ts.State.CANCELLED
        with pytest.raises(ts.TransitionError, match="is cancelled and cannot complete"):
            study.tell(trial, 0.5)

    def test_it_does_not_count(self) -> None:
        study = create(trials=1)
        study.cancel(study.ask())
        told(study, 0.5)
        with pytest.raises(ts.StudyOver):
            study.ask()

    def test_what_has_ended(self, study: ts.Study) -> None:
        told(study, 0.5)
        with pytest.raises(ts.TransitionError, match="trial 0 is completed and cannot cancel"):
            study.cancel(0)


class TestMending:
    def test_a_correction_keeps_the_old_value_in_the_log(self, study: ts.Study) -> None:
        told(study, 0.5, 0.25)
        trial = study.correct(0, 0.125, why="digits swapped")
        assert (trial.value, trial.metrics) == (0.125, {"loss": 0.125})
        assert study.best.number == 0
        finished, corrected = study.log(0)[-2:]
        assert isinstance(finished, events.Finished)
        assert isinstance(corrected, events.Corrected)
        assert (finished.values, corrected.values) == ((0.5,), (0.125,))
        assert corrected.why == "digits swapped"
        assert corrected.by

    def test_a_correction_keeps_other_metrics(self, study: ts.Study) -> None:
        study.tell(study.ask(), {"loss": 0.5, "accuracy": 0.9})
        assert study.correct(0, {"loss": 0.25}, why="why").metrics == {
            "loss": 0.25,
            "accuracy": 0.9,
        }

    def test_a_failure_can_be_corrected(self, study: ts.Study) -> None:
        study.tell(study.ask(), failed="the printer was off")
        trial = study.correct(0, 0.5, why="found the paper")
        assert (trial.state, trial.reason) == (ts.State.COMPLETED, None)
        assert study.best.number == 0

    @pytest.mark.parametrize("value", [math.nan, "x", {"accuracy": 1}])
    def test_a_correction_that_is_none(self, study: ts.Study, value: Any) -> None:
        study.tell(study.ask(), failed="why")
        with pytest.raises(ts.StudyError, match="the corrected result cannot be used"):
            study.correct(0, value, why="why")

    def test_what_has_not_ended(self, study: ts.Study) -> None:
        study.ask()
        with pytest.raises(ts.TransitionError, match="is running and cannot correct"):
            study.correct(0, 0.5, why="why")
        with pytest.raises(ts.TransitionError, match="is running and cannot retract"):
            study.retract(0, why="why")

    def test_a_retraction_and_back(self, study: ts.Study) -> None:
        told(study, 0.5, 0.25)
        assert study.retract(1, why="wrong data").retracted
        assert study.best.number == 0
        assert study.trials[1].value == 0.25, "it stays visible"
        assert not study.retract(1, why="it was right", undo=True).retracted
        assert study.best.number == 1
        assert kinds(study, 1) == ["Suggested", "Finished", "Retracted", "Retracted"]

    def test_a_retracted_trial_does_not_count(self) -> None:
        study = create(trials=1)
        told(study, 0.5)
        study.retract(0, why="wrong data")
        told(study, 0.25)
        with pytest.raises(ts.StudyOver):
            study.ask()

    def test_a_retraction_twice_is_one(self) -> None:
        study = create(trials=2)
        told(study, 0.5)
        study.retract(0, why="wrong data")
        study.retract(0, why="very wrong data")
        told(study, 0.5, 0.5)
        with pytest.raises(ts.StudyOver):
            study.ask()

    def test_notes_and_tags(self, study: ts.Study) -> None:
        trial = study.ask()
        study.annotate(trial, "looks good")
        study.annotate(trial, "no, it does not", {"colour": "red", "who": "me"})
        trial = study.annotate(trial, tags={"colour": "", "size": "big"})
        assert trial.notes == ("looks good", "no, it does not")
        assert trial.tags == {"who": "me", "size": "big"}


#: Texts that are none. Once stored, a wrong type would make the file unreadable.
WRONG_TYPES: dict[str, Callable[[Any], object]] = {
    "note": lambda s: s.annotate(0, 5),
    "tag": lambda s: s.annotate(0, tags={"a": 5}),
    "tag of a queued config": lambda s: s.enqueue({}, tags={"a": 5}),
    "why of a queued config": lambda s: s.enqueue({}, why=5),
    "failed": lambda s: s.tell(0, failed=5),
    "why of a correction": lambda s: s.correct(1, 0.5, why=5),
    "why of a retraction": lambda s: s.retract(1, why=5),
    "step": lambda s: s.report(0, 2**63, loss=1.0),
    "big step": lambda s: s.report(0, 10**30, loss=1.0),
}


@pytest.mark.parametrize("call", WRONG_TYPES)
def test_nothing_is_stored_that_cannot_be_read_again(tmp_path: Path, call: str) -> None:
    """A wrong type is refused, or made right; the study can be opened whatever happens."""
    study = create(storage=tmp_path / "study.db")
    study.ask()
    study.tell(study.ask(), 0.5)
    with suppress(TypeError, ValueError, ts.TunesmithError):
        WRONG_TYPES[call](study)
    with ts.Study.open(storage=tmp_path / "study.db") as again:
        assert len(again.trials) >= 2
        assert replay(again.store, "study").problems == []
    study.close()


class TestEdit:
    def test_limits_one_by_one(self) -> None:
        study = create(trials=5, parallel=2)
        study.edit(trials=7, time="1m")
        assert study.spec.limits == ts.Limits(trials=7, parallel=2, time=60)
        study.edit(trials=None)
        assert study.spec.limits == ts.Limits(parallel=2, time=60)

    def test_the_searcher(self, study: ts.Study) -> None:
        told(study, 0.5)
        study.edit(searcher={"grid": {"levels": 2}})
        assert study.ask().origin.searcher == "grid"

    def test_duplicates(self) -> None:
        study = create(space=ts.Space(k=1))
        told(study, 0.5)
        with pytest.raises(ts.StudyOver):
            study.ask()
        study.edit(duplicates=True)
        told(study, 0.5)

    def test_the_space(self, study: ts.Study) -> None:
        study.enqueue({"x": 0.25})
        study.enqueue({"x": 0.75})
        for value in (0.5, 0.25):
            study.tell(study.ask(), value)
        assert study.best.number == 1
        narrow = ts.Space(x=ts.Float(0, 0.5), k=ts.Int(1, 4, default=2), o=ts.Choice("sgd", "adam"))
        study.edit(space=narrow)
        assert [t.outside for t in study.trials] == [False, True]
        assert study.best.number == 0, "what is outside is not the best"
        assert study.trials[1].config["x"] == 0.75, "and is kept as it was"
        assert study.ask().config["x"] <= 0.5
        study.edit(space=SPACE)
        assert [t.outside for t in study.trials] == [False] * 3
        assert study.best.number == 1

    def test_a_new_parameter(self, study: ts.Study) -> None:
        told(study, 0.5)
        more = ts.Space(SPACE.parameters, depth=ts.Int(1, 8, default=3))
        study.edit(space=more)
        assert study.trials[0].config["depth"] == 3, "what earlier trials are taken to have had"
        assert "depth" in study.ask().config

    def test_a_new_parameter_without_a_default(self, study: ts.Study) -> None:
        with pytest.raises(ts.StudyError, match="the new parameter 'depth' needs a default: what"):
            study.edit(space=ts.Space(SPACE.parameters, depth=ts.Int(1, 8)))

    def test_a_parameter_that_goes(self, study: ts.Study) -> None:
        with pytest.raises(ts.StudyError, match=r"'k' is gone .* fixed value instead, such as k=2"):
            study.edit(space=ts.Space(x=ts.Float(0, 1), o=ts.Choice("sgd", "adam")))

    @pytest.mark.parametrize(
        ("changes", "kind", "words"),
        [
            ({"trials": 0}, ts.StudyError, "trials is a whole number"),
            ({"trails": 5}, ts.StudyError, "did you mean 'trials'"),
            ({"searcher": "rondom"}, ts.StrategyError, "did you mean 'random'"),
            ({"searcher": {"grid": {"level": 2}}}, ts.StrategyError, "did you mean 'levels'"),
        ],
    )
    def test_what_makes_no_sense(
        self, study: ts.Study, changes: dict[str, Any], kind: type[Exception], words: str
    ) -> None:
        before = study.spec
        with pytest.raises(kind, match=words):
            study.edit(**changes)
        assert study.spec == before
        study.ask()

    def test_no_change_is_no_event(self, study: ts.Study) -> None:
        told(study, 0.5)
        before = study.store.cursor("study")
        study.edit(space=SPACE, searcher="random", duplicates=False)
        study.edit()
        assert study.store.cursor("study") == before


class TestStop:
    def test_is_in_the_log(self, study: ts.Study) -> None:
        study.stop()
        (event,) = study.store.changes("study")
        assert isinstance(event, events.StopRequested)
        assert event.by

    def test_whoever_asks_and_tells_may_go_on(self, study: ts.Study) -> None:
        study.stop()
        told(study, 0.5)

    def test_resumed_it_goes_on(self, study: ts.Study) -> None:
        assert not study.resume(), "it has not been stopped"
        trial = study.ask()
        study.stop()
        with pytest.raises(ts.StudyBusy, match="trial 0 runs"):
            study.resume()
        study.tell(trial, 0.5)
        with pytest.raises(ts.StudyOver):
            study.ask()
        assert study.resume()
        assert not study.resume()
        assert study.ask().number == 1

    def test_resumed_though_nobody_has_asked_since(self, study: ts.Study) -> None:
        """Its sessions are open, and have not seen the request."""
        told(study, 0.5)
        study.stop()
        assert study.resume()
        told(study, 0.25)

    def test_a_limit_is_not_resumed_but_changed(self, study: ts.Study) -> None:
        study.edit(trials=1)
        told(study, 0.5)
        with pytest.raises(ts.StudyOver, match="changes its limits"):
            study.resume()
        study.edit(trials=2)
        assert study.resume()
        told(study, 0.5)

    def test_a_study_that_failed_is_resumed(self, study: ts.Study) -> None:
        study.edit(failures_in_a_row=2)
        for _ in range(2):
            study.tell(study.ask(), failed="broken")
        with pytest.raises(ts.StudyOver):
            study.ask()
        assert study.resume()
        told(study, 0.5)


class TestBest:
    """The best of a study whose history has not been read is taken from the store's own summary."""

    def history(self, storage: Path, goal: str) -> Iterator[ts.Study]:
        """A study in many situations, as its own handle sees it."""
        study = create(storage=storage, goal=goal)
        told(study, 0.5, 0.25, 0.75, 0.25)
        yield study
        study.tell(study.ask(), failed="why")
        study.correct(0, 0.125, why="why")
        yield study
        study.correct(2, 0.875, why="why")
        study.annotate(2, "a note", {"who": "me"})
        yield study
        study.retract(0, why="why")
        study.retract(2, why="why")
        yield study
        study.retract(2, why="why", undo=True)
        study.enqueue({"x": 0.5, "k": 4}, tags={"a": "b"}, parent=1, why="a hunch")
        study.report(study.ask(), loss=0.1)
        study.tell(5, {"loss": 0.0 if goal == "minimize" else 9.0, "other": 1})
        yield study
        study.edit(space=ts.Space(SPACE.parameters, depth=ts.Int(1, 8, default=3)))
        yield study
        narrow = {**SPACE.parameters, "k": ts.Int(1, 3, default=2), "depth": 3}
        study.edit(space=ts.Space(narrow))
        yield study
        study.close()

    @pytest.mark.parametrize("goal", ["minimize", "maximize"])
    def test_is_the_best_of_its_history(self, tmp_path: Path, goal: str) -> None:
        seen = set()
        for study in self.history(tmp_path / "study.db", goal):
            whole = study.result().best
            with ts.Study.open(storage=tmp_path / "study.db") as fresh:
                assert fresh.best == whole
            with ts.Study.open(storage=tmp_path / "study.db") as fresh:
                assert fresh.result().best == whole
            seen.add(whole.number)
        assert len(seen) >= 3, "the best changes on the way"

    def test_there_is_none(self, tmp_path: Path) -> None:
        study = create(storage=tmp_path / "study.db")
        with pytest.raises(ts.NothingCompleted, match="study 'study' has no completed trial"):
            _ = study.best
        study.tell(study.ask(), failed="the power went")
        words = "1 failed, the last: error: the power went"
        fresh = ts.Study.open(storage=tmp_path / "study.db")
        with fresh, pytest.raises(ts.NothingCompleted, match=words):
            _ = fresh.best
        study.close()

    def test_of_several_objectives_there_is_none(self, tmp_path: Path) -> None:
        with create(storage=tmp_path / "study.db", metric=["a", "b"], searcher="random") as study:
            study.tell(study.ask(), (1, 2))
        fresh = ts.Study.open(storage=tmp_path / "study.db")
        with fresh, pytest.raises(ts.StudyError, match=r"objectives \(a, b\).*Result\.front"):
            _ = fresh.best


# -- several at once -------------------------------------------------------------------------------


def test_two_handles_see_one_another(tmp_path: Path) -> None:
    one = create(storage=tmp_path / "study.db", trials=20)
    two = ts.Study.open(storage=tmp_path / "study.db")
    for _ in range(10):
        first, second = one.ask(), two.ask()
        assert second.number == first.number + 1
        one.tell(second, 0.5)  # whoever has the result tells it
        two.tell(first, 0.25)
    assert [t.value for t in one.trials] == [t.value for t in two.trials] == [0.25, 0.5] * 10
    with pytest.raises(ts.StudyOver):
        two.ask()
    one.edit(trials=21)
    assert two.ask().number == 20, "edits are seen, too"
    assert len({str(t.config) for t in one.trials}) == 21
    one.close()
    two.close()


CLIENT = """
import sys
import tunesmith as ts

with ts.Study.open(storage=sys.argv[1]) as study:
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        try:
            trial = study.ask()
        except ts.StudyOver:
            break
        study.report(trial, loss=1.0)
        study.tell(trial, trial.config["x"])
        print(trial.number, flush=True)
"""


def test_two_processes_share_a_study(tmp_path: Path) -> None:
    """No trial twice, none left out, none lost; and the file is what was written."""
    storage = tmp_path / "study.db"
    create(storage=storage, trials=120).close()
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(storage)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for client in clients:
        assert client.stdout is not None
        assert client.stdout.readline() == "ready\n"
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("go\n")
        client.stdin.flush()
    shares = [[int(n) for n in client.communicate(timeout=120)[0].split()] for client in clients]
    assert [client.returncode for client in clients] == [0, 0]
    assert Counter(shares[0] + shares[1]) == Counter(range(120))
    assert all(shares), "both took part"
    with ts.Study.open(storage=storage) as study:
        assert [t.state for t in study.trials] == ["completed"] * 120
        assert [t.value for t in study.trials] == [t.config["x"] for t in study.trials]
        assert len({str(t.config) for t in study.trials}) == 120
        assert study.store.verify("study") is None
        assert replay(study.store, "study").problems == []


class TestBusy:
    def test_a_study_that_is_being_run(self, study: ts.Study) -> None:
        told(study, 0.5)
        study.ask()
        loop = Loop(study.store, "study")
        coordinator = study.coordinator()
        assert coordinator is not None
        assert coordinator.session == loop.session.id
        with pytest.raises(
            ts.StudyBusy, match=r"is being run by process \d+ .*enqueue configs for"
        ):
            study.ask()
        with pytest.raises(ts.StudyBusy):
            study.cancel(1)
        with pytest.raises(ts.StudyBusy, match=r"wait for it, stop it .*tunesmith stop study"):
            Loop(study.store, "study")
        study.enqueue({"x": 0.5})
        study.annotate(0, "a note")
        study.edit(trials=9)
        loop.close()
        assert study.coordinator() is None
        assert study.ask().config["x"] == 0.5

    def test_a_coordinator_that_was_taken_over_writes_no_more(self) -> None:
        """Though the trial in its own thread, which is the first to hear of it, keeps that to itself."""
        store = MemoryStore()
        written: list[int] = []

        def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
            opened = events.Opened(1.0, "other", "host", 1, 0.0)
            store.append("study", [opened], store.cursor("study"))
            written.append(store.cursor("study"))
            with suppress(ts.StudyBusy):
                trial.report(step=1, loss=0.5)
            return 0.5

        with pytest.raises(ts.StudyBusy, match="was taken over by process 1 on host"):
            ts.tune(objective, SPACE, metric="loss", name="study", storage=store, trials=3)
        assert [store.cursor("study")] == written

    def test_a_coordinator_that_died_keeps_nobody_away(self, tmp_path: Path) -> None:
        storage = tmp_path / "study.db"
        create(storage=storage).close()
        code = (
            "import sys, time, tunesmith as ts\n"
            "from tunesmith.tuning.coordinator import Loop\n"
            "loop = Loop(ts.open_store(sys.argv[1]), 'study')\n"
            "print('running', flush=True)\n"
            "time.sleep(600)\n"
        )
        command = [sys.executable, "-c", code, str(storage)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "running\n"
            with ts.Study.open(storage=storage) as study:
                with pytest.raises(ts.StudyBusy, match=f"process {process.pid} "):
                    study.ask()
                process.send_signal(signal.SIGKILL)
                process.wait()
                assert study.ask().number == 0
                loop = Loop(study.store, "study")  # nor a coordinator: its lease is not waited for
                loop.close()

    def test_nor_one_that_died_before_it_wrote_a_word(self, tmp_path: Path) -> None:
        storage = tmp_path / "study.db"
        create(storage=storage).close()
        code = (
            "import os, signal, sys, tunesmith as ts\n"
            "from tunesmith.tuning.coordinator import Loop\n"
            "Loop._open = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "Loop(ts.open_store(sys.argv[1]), 'study')\n"
        )
        died = subprocess.run([sys.executable, "-c", code, str(storage)], check=False)
        assert died.returncode == -signal.SIGKILL
        with ts.Study.open(storage=storage) as study:
            Loop(study.store, "study").close()


def test_what_it_looks_like(study: ts.Study) -> None:
    assert repr(study).startswith("<Study 'study'")


class TestRecommend:
    def test_of_a_noisy_study_is_the_predicted_best(self) -> None:
        """One lucky value among bad ones is not recommended."""
        study = ts.Study.create(ts.Space(x=ts.Float(0, 1)), metric="loss", searcher="bayes", seed=1)
        lucky = study.enqueue({"x": 0.9})
        values = {lucky.number: 0.19}
        for k in range(24):
            study.enqueue({"x": round(0.02 + k * 0.04, 3)})
        for _ in range(25):
            trial = study.ask()
            noise = 0.05 * (-1) ** trial.number
            smooth = (trial.config["x"] - 0.3) ** 2 + 0.25 + noise
            study.tell(trial, values.get(trial.number, smooth))
        assert study.result().best_observed.number == lucky.number
        assert study.best.number == study.recommend().number
        assert abs(study.recommend().config["x"] - 0.3) < 0.15

    def test_without_a_model_it_is_the_best(self) -> None:
        study = create(searcher="random")
        told(study, 0.5, 0.25, 0.75)
        assert study.recommend().number == 1

    def test_of_nothing(self) -> None:
        with pytest.raises(ts.NothingCompleted):
            create().recommend()


class TestReportToAScheduler:
    """Ask and tell, with a scheduler."""

    SPACE = ts.Space(x=ts.Float(0, 1))

    def test_it_says_when_to_stop(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        scheduler = {"asha": {"max": 9}}
        with ts.Study.create(self.SPACE, metric="loss", storage=path, scheduler=scheduler) as study:
            for loss in (0.1, 0.2):
                trial = study.ask()
                assert study.report(trial, step=1, loss=loss).verdict is ts.Verdict.CONTINUE
            last = study.ask()
            decision = study.report(last, step=1, loss=0.3)
            assert decision.verdict is ts.Verdict.STOP
            assert decision.why == "at step 1 its loss of 0.3 is number 3 of 3; the best 1 go on"
            assert study.report(last, step=2, loss=0.2) == decision, "not asked again"
        with ts.Study.open(storage=path) as study:  # another process may end it
            ended = study.tell(last)
            assert (ended.state, ended.value) == (ts.State.STOPPED, 0.2)
            assert ended.reason is not None
            assert ended.reason.message == decision.why
            assert study.tell(0).state is ts.State.COMPLETED
            assert replay(study.store, "study").problems == []

    @pytest.mark.parametrize("told", [{"result": 0.0}, {"failed": "the loop raised"}])
    def test_told_to_stop_it_is_stopped_however_it_ends(self, told: dict[str, Any]) -> None:
        study = ts.Study.create(
            self.SPACE, metric="loss", scheduler={"threshold": {"worst": 0.5, "after": 1}}
        )
        trial = study.ask()
        assert study.report(trial, step=1, loss=0.9).verdict is ts.Verdict.STOP
        ended = study.tell(trial, **told)
        assert (ended.state, ended.value) == (ts.State.STOPPED, 0.9)
        other = study.ask()
        study.report(other, step=1, loss=0.9)
        assert study.tell(other, failed="out of memory").state is ts.State.FAILED

    def test_others_may_report_in_between(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "study.db"
        scheduler = {"asha": {"max": 9}}
        with (
            ts.Study.create(self.SPACE, metric="loss", storage=path, scheduler=scheduler) as study,
            ts.Study.open(storage=path) as other,
        ):
            mine, theirs = [study.ask() for _ in range(3)], other.ask()
            for trial in mine[:2]:
                study.report(trial, step=1, loss=0.5)
            write, between = study.commit, [theirs]

            def slow(decide: Callable[[], Sequence[events.Event]]) -> Sequence[events.Event]:
                written = write(decide)
                while between:
                    other.report(between.pop(), step=1, loss=0.1)
                return written

            monkeypatch.setattr(study, "commit", slow)
            decision = study.report(mine[2], step=1, loss=50.0)
            assert decision.verdict is ts.Verdict.STOP
            assert decision.why == "at step 1 its loss of 50 is number 3 of 3; the best 1 go on"
            assert study.tell(mine[2]).state is ts.State.STOPPED
            assert replay(study.store, "study").problems == []

    def test_without_a_scheduler(self) -> None:
        study = ts.Study.create(self.SPACE, metric="loss")
        assert study.report(study.ask(), loss=0.5).verdict is ts.Verdict.CONTINUE

    @pytest.mark.parametrize("name", ["hyperband", "pbt"])
    def test_what_pauses_trials_needs_somebody_who_runs_them(self, name: str) -> None:
        options = {"hyperband": {"max": 9}, "pbt": {"max": 9, "interval": 3}}[name]
        study = ts.Study.create(self.SPACE, metric="loss", scheduler={name: options})
        trial = study.ask()
        with pytest.raises(ts.StrategyError, match=r"pauses trials .* which ask and tell cannot"):
            study.report(trial, step=1, loss=0.5)
        assert study.trials[0].reports == ()


@pytest.mark.parametrize("door", ["tune", "tell", "program"])
def test_reports_become_the_value_alike_at_every_door(door: str, tmp_path: Path) -> None:
    """PPO, say, is judged by its last episode else: 170, 347 just before."""
    storage, rewards = tmp_path / "s.db", [10.0, 347.0, 170.0]
    space = ts.Space(x=ts.Float(0, 1))
    options: Any = {"metric": "reward", "goal": "maximize", "use": "mean of last 2"}
    if door == "tune":

        def objective(config: dict[str, Any], trial: ts.LiveTrial) -> None:
            for reward in rewards:
                trial.report(reward=reward)

        ts.tune(objective, space, trials=1, storage=storage, name="s", progress=False, **options)
    elif door == "tell":
        with ts.Study.create(space, storage=storage, name="s", **options) as study:
            trial = study.ask()
            for reward in rewards:
                study.report(trial, reward=reward)
            study.tell(trial)
    else:
        lines = "".join(f"echo reward={reward}; " for reward in rewards)
        job = {
            "name": "s",
            "command": ["sh", "-c", lines],
            "objective": options,
            "metrics": {"reward": "reward={number}"},
            "space": space.to_dict(),
            "limits": {"trials": 1},
            "storage": "s.db",
        }
        (tmp_path / "job.yaml").write_text(json.dumps(job))
        run_job(load_job(tmp_path / "job.yaml"))
    with ts.Study.open("s", storage=storage) as study:
        assert study.spec.first_objective.use == "mean of last 2"
        assert study.trials[0].value == 258.5
        assert [r.metrics["reward"] for r in study.trials[0].reports] == rewards


def test_the_history_is_read_once_while_sessions_are_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.tuning import session
    from tunesmith.tuning import study as module

    def dead(ledger: Any, *_: object, **__: object) -> list[str]:
        return sorted({running.session for running in ledger.running.values()})

    for place in (session, module):
        monkeypatch.setattr(place, "abandoned", dead)
    study = ts.Study.create({"x": ts.Float(0, 1)}, storage=tmp_path / "s.db", searcher="random")
    first = study.ask()
    whole: list[int] = []
    changes = study.store.changes

    def counted(name: str, *after: Any, **options: Any) -> Any:
        whole.extend([1] if not after and not options else [])
        return changes(name, *after, **options)

    monkeypatch.setattr(study.store, "changes", counted)
    states = [study.result().trials[0].state for _ in range(3)]
    assert states == [ts.State.WAITING] * 3
    assert len(whole) == 1
    study.annotate(first, "news")
    assert study.result().trials[0].notes == ("news",)
    assert len(whole) == 2
    study.tell(first, 0.5)
    assert study.result().best.value == 0.5


def test_what_one_attempt_was_told_is_not_told_to_the_next() -> None:
    """Which has its time yet."""
    now_s = [1000.0]
    store = MemoryStore()
    store.create(create(trial_time=60, name="s").spec, 1000.0)
    study = ts.Study(store, "s", clock=lambda: now_s[0])
    trial = study.ask()
    assert study.report(trial, loss=1.0).verdict is ts.Verdict.CONTINUE
    now_s[0] += 100.0
    assert study.report(trial, loss=1.0).verdict is ts.Verdict.STOP
    study._leave("its process has left")
    again = study.ask()
    assert (again.number, again.attempt) == (trial.number, 1)
    assert study.report(again, loss=1.0).verdict is ts.Verdict.CONTINUE
    assert str(study.tell(again).state) == "completed"
