"""The ledger is the fold of its events, and nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.driver import (
    SPACE,
    completed,
    enqueued,
    failed,
    ledger,
    opened,
    reported,
    requeued,
    spec,
    started,
    suggested,
)

from tunesmith.core import codec, events
from tunesmith.core.errors import StudyError
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Space
from tunesmith.core.trial import Cost, Kind, Origin, Reason, State
from tunesmith.testing.stores import one_of_each
from tunesmith.testing.strategies import pasts, spaces


def edited(space: Space) -> events.Edited:
    return events.Edited(9.0, {"space": space.to_dict()}, "me")


# -- trials ---------------------------------------------------------------------------------------


def test_a_life() -> None:
    study = ledger(
        opened(),
        suggested(0, at=1.0),
        reported(0, 1, 0.75, at=2.0),
        reported(0, 2, None, at=3.0),
        completed(0, 0.5, at=5.0, cost=Cost(4.0, 3.5, 1000, 0.25)),
    )
    trial = study.trial(0)
    assert trial.state is State.COMPLETED
    assert trial.config == {"x": 0.0, "c": "a"}
    assert (trial.value, trial.values) == (0.5, (0.5,))
    assert [r.step for r in trial.reports] == [1, 2]
    assert math.isnan(trial.reports[1].metrics["loss"])
    assert (trial.created_at, trial.started_at, trial.ended_at) == (1.0, 1.0, 5.0)
    assert trial.cost == Cost(4.0, 3.5, 1000, 0.25)
    assert (trial.attempt, trial.origin.searcher, trial.origin.why) == (0, "random", "why")
    assert (study.compute_time_s, study.money, study.incumbent) == (4.0, 0.25, 0)


def test_lost_and_run_again() -> None:
    study = ledger(opened(), suggested(0), requeued(0, counted=True))
    assert study.state(0) is State.WAITING
    assert study.next_waiting() == 0
    assert study.trial(0).reason == Reason(Kind.LOST, "gone")
    assert (study.times_lost(0), study.attempts_begun(0)) == (1, 1)
    study.extend([started(0, 1), completed(0, 0.5)])
    trial = study.trial(0)
    assert (trial.attempt, trial.reason, trial.state) == (1, None, State.COMPLETED)
    assert study.next_waiting() is None


def test_the_loss_of_a_coordinator_is_not_counted() -> None:
    assert ledger(opened(), suggested(0), requeued(0)).times_lost(0) == 0


def test_an_interruption_is_no_loss() -> None:
    assert ledger(opened(), suggested(0), requeued(0, Kind.INTERRUPTED)).times_lost(0) == 0


def test_a_paused_trial_is_asked_about_again_when_it_goes_on() -> None:
    study = ledger(opened(), suggested(0), events.Paused(2.0, 0, 0, Reason(Kind.PAUSED, "later")))
    assert (study.state(0), 0 in study.running) == (State.PAUSED, False)
    study.apply(started(0, 1))
    assert 0 not in study.decided
    study.apply(events.Decided(3.0, 0, "stop", "enough"))
    assert 0 in study.decided
    with pytest.raises(StudyError, match="there is no trial 7"):
        study.apply(events.Decided(3.0, 7, "stop", "enough"))
    assert 7 not in study.decided


def test_waiting_trials_start_in_the_order_of_their_numbers() -> None:
    study = ledger(opened(), suggested(0), enqueued(1), enqueued(2), requeued(0))
    order = []
    while (number := study.next_waiting()) is not None:
        order.append(number)
        study.apply(started(number, 1))
    assert order == [0, 1, 2]


def test_trials_that_count() -> None:
    study = ledger(
        opened(),
        suggested(0),
        completed(0, 1.0),
        enqueued(1),
        enqueued(2),
        events.Finished(3.0, 2, 0, State.CANCELLED),
        suggested(3),
        failed(3),
        suggested(4),
        completed(4, 1.0),
        events.Retracted(4.0, 4, "why", "me"),
        suggested(5),
    )
    assert study.started_count == 3, "0, 3 and 5: neither waiting, cancelled nor retracted"


def test_numbers_have_no_gaps() -> None:
    study = ledger(opened(), suggested(0))
    for wrong in (0, 2):
        with pytest.raises(StudyError, match="cannot come next"):
            study.check(suggested(wrong))
    with pytest.raises(StudyError, match="there is no trial 5; study 'study' has trials 0 to 0"):
        study.apply(completed(5, 1.0))


def test_many_trials_outgrow_every_capacity() -> None:
    study = ledger(opened())
    for number in range(1000):
        config = {"x": number / 1024, "c": "ab"[number % 2]}
        study.apply(suggested(number, config))
        study.apply(reported(number, 1, number / 7))
        metrics: dict[str, float | None] = {"loss": float(number), f"extra{number % 3}": 1.0}
        study.apply(events.Finished(3.0, number, 0, State.COMPLETED, (float(number),), metrics))
    for number in (0, 63, 64, 65, 511, 999):
        trial = study.trial(number)
        assert trial.config == {"x": number / 1024, "c": "ab"[number % 2]}
        assert trial.metrics == {"loss": float(number), f"extra{number % 3}": 1.0}
        assert trial.reports[0].metrics == {"loss": number / 7}
        assert study.find(trial.config) == number
    assert study.incumbent == 0
    assert study.column("points").shape == (1000, 2)


def test_columns_are_read_only_and_points_are_encodings() -> None:
    study = ledger(opened(), suggested(0, {"x": 0.25, "c": "b"}))
    assert study.column("points")[0].tolist() == SPACE.encode({"x": 0.25, "c": "b"}).tolist()
    study.apply(suggested(1, {"x": 0.5, "c": "a"}))
    assert study.column("points")[1].tolist() == SPACE.encode({"x": 0.5, "c": "a"}).tolist()
    with pytest.raises(ValueError, match="read-only"):
        study.column("losses")[0] = 1.0


# -- the best -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("goal", "best"), [("minimize", 1), ("maximize", 2)])
def test_the_best_by_its_goal(goal: Any, best: int) -> None:
    study = ledger(opened(), objectives=(Objective("loss", goal),))
    for number, loss in enumerate([0.5, -1.0, 3.0]):
        study.extend([suggested(number), completed(number, loss)])
    assert study.incumbent == best
    assert study.values(best) == ((-1.0,) if goal == "minimize" else (3.0,))


def test_of_equal_ones_the_first_is_best_whenever_it_came() -> None:
    study = ledger(opened(), suggested(0), suggested(1), completed(1, 0.5), completed(0, 0.5))
    assert study.incumbent == 0


def test_corrections_and_retractions_change_the_best() -> None:
    study = ledger(opened())
    for number, loss in enumerate([0.5, 0.1, 0.3]):
        study.extend([suggested(number), completed(number, loss)])
    study.apply(events.Corrected(4.0, 1, (0.9,), {"loss": 0.9}, "typo", "me"))
    assert (study.incumbent, study.trial(1).metrics["loss"]) == (2, 0.9)
    study.apply(events.Retracted(5.0, 2, "wrong data", "me"))
    assert study.incumbent == 0
    study.apply(events.Retracted(5.5, 2, "again", "me"))
    assert study.started_count == 2, "twice is once"
    study.apply(events.Retracted(6.0, 2, "it was right", "me", undo=True))
    assert (study.incumbent, study.started_count) == (2, 3)


def test_a_failed_trial_may_be_mended() -> None:
    study = ledger(opened(), suggested(0), failed(0))
    study.apply(events.Corrected(4.0, 0, (0.2,), {"loss": 0.2}, "read from the log", "me"))
    assert (study.state(0), study.incumbent, study.trial(0).reason) == (State.COMPLETED, 0, None)


def test_stopped_failed_and_paused_trials_are_never_best() -> None:
    stopped = events.Finished(3.0, 0, 0, State.STOPPED, (-9.0,), {"loss": -9.0})
    study = ledger(opened(), suggested(0), stopped, suggested(1), completed(1, 1.0))
    assert study.incumbent == 1


def test_several_objectives_have_no_one_best() -> None:
    study = ledger(opened(), objectives=(Objective("loss"), Objective("speed", "maximize")))
    two = events.Finished(3.0, 0, 0, State.COMPLETED, (0.5, 9.0), {"loss": 0.5, "speed": 9.0})
    study.extend([suggested(0), two])
    assert study.incumbent is None
    assert study.values(0) == (0.5, 9.0)
    assert study.column("losses")[0].tolist() == [0.5, -9.0]


# -- notes ----------------------------------------------------------------------------------------


def test_notes_and_tags() -> None:
    study = ledger(opened(), suggested(0))
    for note, tags in (("one", {"a": "1", "b": "2"}), ("", {"a": ""}), ("two", {"c": "3"})):
        study.apply(events.Annotated(2.0, 0, note, tags, "me"))
    assert study.trial(0).notes == ("one", "two")
    assert study.trial(0).tags == {"b": "2", "c": "3"}


def test_enqueued_with_tags_and_parent() -> None:
    child = events.Enqueued(
        1.0, 1, {"x": 0.5, "c": "b"}, Origin("user", "a guess"), {"by": "me"}, 0
    )
    study = ledger(opened(), suggested(0), child)
    trial = study.trial(1)
    assert (trial.tags, trial.parent, trial.origin.why) == ({"by": "me"}, 0, "a guess")


# -- edits of the space ---------------------------------------------------------------------------


def three() -> Ledger:
    study = ledger(opened())
    for number, x in enumerate([0.1, 0.5, 0.9]):
        study.extend([suggested(number, {"x": x, "c": "a"}), completed(number, x)])
    return study


def test_narrowing_keeps_and_marks() -> None:
    study = three()
    study.apply(edited(Space(x=Float(0.3, 1), c=Choice("a", "b"))))
    assert [study.trial(n).outside for n in range(3)] == [True, False, False]
    assert study.trial(0).config == {"x": 0.1, "c": "a"}
    assert study.trial(0).value == 0.1
    assert study.incumbent == 1, "the best lies inside"
    assert math.isnan(study.column("points")[0, 0])
    assert study.find({"x": 0.5, "c": "a"}) == 1


def test_widening_takes_them_back_in() -> None:
    study = three()
    study.apply(edited(Space(x=Float(0.3, 1), c=Choice("a", "b"))))
    study.apply(edited(Space(x=Float(-1, 2), c=Choice("a", "b", "z"))))
    assert [study.trial(n).outside for n in range(3)] == [False] * 3
    assert study.incumbent == 0
    assert study.column("points")[0, 0] == pytest.approx(1.1 / 3)
    study.apply(suggested(3, {"x": 2.0, "c": "z"}))
    assert study.trial(3).config == {"x": 2.0, "c": "z"}


def test_a_new_parameter_had_its_default_all_along() -> None:
    study = three()
    study.apply(edited(Space(x=Float(0, 1), c=Choice("a", "b"), k=Int(1, 9, default=4))))
    assert study.trial(1).config == {"x": 0.5, "c": "a", "k": 4}
    assert not study.trial(1).outside
    assert study.find({"x": 0.5, "c": "a", "k": 4}) == 1
    assert study.find({"x": 0.5, "c": "a", "k": 5}) is None


def test_a_choice_that_goes_takes_its_trials_out() -> None:
    study = ledger(opened(), suggested(0, {"x": 0.5, "c": "b"}), completed(0, 1.0))
    study.apply(edited(Space(x=Float(0, 1), c=Choice("a", "z"))))
    assert study.trial(0).outside
    assert study.trial(0).config == {"x": 0.5, "c": "b"}
    assert study.incumbent is None


def test_a_parameter_may_be_fixed() -> None:
    study = three()
    study.apply(edited(Space(x=Float(0, 1), c="a")))
    assert study.trial(2).config == {"x": 0.9, "c": "a"}
    assert not study.trial(2).outside


def test_illegal_edits_change_nothing() -> None:
    study = three()
    for changes, words in (
        ({"space": Space(x=Float(0, 1)).to_dict()}, "'c' is gone"),
        ({"space": Space(x=Float(0, 1), c=Choice("a"), n=Int(1, 2)).to_dict()}, "needs a default"),
        ({"objectives": []}, "cannot be changed"),
        ({"seed": 4}, "cannot be changed"),
    ):
        for attempt in (study.check, study.apply):
            with pytest.raises(StudyError, match=words):
                attempt(events.Edited(9.0, changes, "me"))
    assert study.spec == spec()
    assert study.incumbent == 0


def test_limits_and_searcher_may_be_edited() -> None:
    study = three()
    study.apply(events.Edited(9.0, {"limits": {"trials": 7}, "searcher": "sobol"}, "me"))
    assert (study.spec.limits.trials, study.spec.searcher.name) == (7, "sobol")


# -- sessions and time ----------------------------------------------------------------------------


def test_time_is_that_of_sessions() -> None:
    study = ledger(opened(100.0, "a"))
    assert study.elapsed_s(130.0) == 30.0
    study.apply(events.Closed(140.0, "a"))
    assert study.elapsed_s(999.0) == 40.0
    study.apply(opened(1000.0, "asker", coordinator=False))
    study.apply(events.Closed(1100.0, "asker"))
    assert study.elapsed_s(1200.0) == 140.0
    study.extend([opened(2000.0, "b"), suggested(0, at=2010.0)])  # then b is killed
    study.apply(opened(5000.0, "c"))
    assert study.elapsed_s(5001.0) == 140.0 + 10.0 + 1.0


def test_time_is_counted_once_where_sessions_overlap() -> None:
    study = ledger(opened(100.0, "a", coordinator=False), suggested(0, session="a", at=110.0))
    study.extend([opened(110.0, "b", coordinator=False), events.Closed(120.0, "a")])
    assert study.elapsed_s(130.0) == 30.0
    study.apply(events.Closed(140.0, "b"))
    assert study.elapsed_s(999.0) == 40.0


def test_a_study_that_is_over_goes_on_with_the_next_trial() -> None:
    study = ledger(opened(), suggested(0), failed(0), events.Ended(5.0, "failures", "why"))
    study.apply(opened(6.0, "asker", coordinator=False))
    assert (study.ended, study.failures) == (None, [])
    study.extend([events.Ended(7.0, "target", "why"), suggested(1, at=8.0)])
    assert study.ended is None, "it was edited, say"


def test_a_new_coordinator_starts_with_a_clean_slate() -> None:
    study = ledger(opened(), suggested(0), failed(0))
    study.extend([events.StopRequested(4.0, "me"), events.Ended(5.0, "interrupted", "why")])
    assert study.failures == [0]
    assert study.ended is not None
    study.extend([events.Closed(6.0, "s"), opened(7.0, "t")])
    assert study.failures == []
    assert study.stop_requested is None
    assert not isinstance(study.ended, events.Ended)
    assert (study.coordinator, study.open_sessions) == ("t", {"t"})


def test_failures_in_a_row() -> None:
    study = ledger(opened())
    for number, ending in enumerate([failed, failed, completed, failed]):
        study.apply(suggested(number))
        study.apply(completed(number, 1.0) if ending is completed else failed(number))
    assert study.failures == [3]
    assert study.session_successes == 1


def test_the_longest_silence_is_learned_from_those_that_lived() -> None:
    study = ledger(
        opened(),
        suggested(0, at=10.0),
        reported(0, 1, 0.5, at=12.0),
        reported(0, 2, 0.5, at=17.0),
        completed(0, 0.5, at=18.0),
        suggested(1, at=20.0),
        failed(1, Reason(Kind.TIMEOUT, "hung"), at=900.0),
    )
    assert study.longest_gap_s == 5.0


# -- the fold as a whole --------------------------------------------------------------------------


def test_one_of_each_kind_of_event_folds() -> None:
    study = Ledger(spec(learned=True)).extend(one_of_each())
    assert study.cursor == len(one_of_each())
    states = [str(study.state(n)) for n in range(study.size)]
    assert states == ["completed", "failed", "completed", "paused"]
    assert study.trial(2).retracted
    assert study.trial(3).parent == 0
    assert study.spec.limits.trials == 5


@settings(max_examples=60, deadline=None)
@given(st.data(), spaces())
def test_a_fold_of_the_stored_text_is_the_same_ledger(data: st.DataObject, space: Space) -> None:
    original = data.draw(pasts(space))
    history: list[events.Event] = []
    for number in range(original.size):
        trial = original.trial(number)
        history.append(suggested(number, trial.config))
        history += [
            events.Reported(r.at, number, 0, r.step, dict(r.metrics)) for r in trial.reports
        ]
        if trial.state.ended:
            ending = events.Finished(
                3.0, number, 0, trial.state, trial.values, trial.metrics, trial.reason, trial.cost
            )
            history.append(ending)
    first = Ledger(original.spec).extend(history)
    again = Ledger(original.spec).extend(codec.decode_many([codec.encode(e) for e in history]))
    assert [first.trial(n) for n in range(first.size)] == [
        again.trial(n) for n in range(again.size)
    ]
    assert (first.incumbent, first.counts, first.cursor) == (
        again.incumbent,
        again.counts,
        again.cursor,
    )
    for number in range(first.size):
        assert first.config(number) == original.config(number)
