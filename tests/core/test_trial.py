"""The TABLE of legal moves, and what a trial says of itself."""

import json

import pytest
from tests.core.driver import (
    completed,
    enqueued,
    failed,
    ledger,
    opened,
    reported,
    requeued,
    started,
    suggested,
)

from tunesmith.core import events
from tunesmith.core.errors import TransitionError
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import (
    CODES,
    ENDED,
    ENDING_MOVE,
    STATES,
    TABLE,
    Cost,
    Kind,
    Reason,
    State,
    Trial,
    move,
)

LATER = Reason(Kind.PAUSED, "later")
VERBS = sorted({verb for _, verb in TABLE})

#: How to bring trial 0 into each state.
PATHS: dict[State, list[Event]] = {
    State.WAITING: [enqueued(0)],
    State.RUNNING: [suggested(0)],
    State.PAUSED: [suggested(0), events.Paused(2.0, 0, 0, LATER)],
    State.COMPLETED: [suggested(0), completed(0, 0.5)],
    State.STOPPED: [
        suggested(0),
        events.Finished(3.0, 0, 0, State.STOPPED, (0.5,), {}, Reason(Kind.STOPPED, "hopeless")),
    ],
    State.FAILED: [suggested(0), failed(0)],
    State.CANCELLED: [enqueued(0), events.Finished(3.0, 0, 0, State.CANCELLED)],
}

#: An event for each move.
MOVES: dict[str, Event] = {
    "start": started(0, 1),
    "report": reported(0, 1, 0.5),
    "pause": events.Paused(4.0, 0, 0, LATER),
    "requeue": requeued(0),
    "complete": completed(0, 0.25),
    "stop": events.Finished(4.0, 0, 0, State.STOPPED, (0.5,)),
    "fail": failed(0),
    "cancel": events.Finished(4.0, 0, 0, State.CANCELLED),
    "correct": events.Corrected(4.0, 0, (0.1,), {"loss": 0.1}, "why", "me"),
    "retract": events.Retracted(4.0, 0, "why", "me"),
}


def picture(ledger: Ledger) -> object:
    """All that one can see of trial 0 and of the study."""
    return (
        ledger.trial(0),
        ledger.counts,
        ledger.cursor,
        ledger.incumbent,
        ledger.started_count,
        sorted(ledger.running),
        ledger.next_waiting(),
        len(ledger.curves),
        ledger.compute_time_s,
    )


def test_every_move_has_an_event_and_every_state_a_path() -> None:
    assert sorted(MOVES) == VERBS
    assert set(PATHS) == set(State)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", VERBS)
def test_the_ledger_does_what_the_table_says(state: State, verb: str) -> None:
    study = ledger(opened(), *PATHS[state])
    assert study.state(0) is state
    if (state, verb) in TABLE:
        study.check(MOVES[verb])
        study.apply(MOVES[verb])
        assert study.state(0) is TABLE[state, verb]
        assert study.counts[study.state(0)] == 1
        assert sum(study.counts.values()) == 1
        return
    before = picture(study)
    for attempt in (study.check, study.apply):
        with pytest.raises(TransitionError, match=f"trial 0 is {state} and cannot {verb}"):
            attempt(MOVES[verb])
    assert picture(study) == before, "an illegal move changed something"


def test_an_end_is_an_end() -> None:
    for state, verb in TABLE:
        if state in ENDED:
            assert verb in ("correct", "retract"), f"{state} can {verb}"
    assert set(ENDING_MOVE) == ENDED
    assert all(TABLE[State.RUNNING, verb] is state for state, verb in ENDING_MOVE.items())


def test_a_message_says_what_is_legal() -> None:
    with pytest.raises(TransitionError, match=r"legal from there: cancel, start$"):
        move(State.WAITING, "complete", 7)
    with pytest.raises(TransitionError, match=r"trial 7 is cancelled.*legal from there: nothing"):
        move(State.CANCELLED, "start", 7)


def test_codes_are_places_in_the_enum() -> None:
    assert [STATES[CODES[state]] for state in State] == list(State)


def test_a_trial_as_json() -> None:
    trial = Trial(
        number=3,
        config={"x": 0.5},
        state=State.FAILED,
        reason=Reason(Kind.TIMEOUT, "too slow", "last line"),
        cost=Cost(1.5, 1.0, 2**20, 0.25),
    )
    data = json.loads(json.dumps(trial.to_dict()))
    assert data["state"] == "failed"
    assert data["reason"] == {"kind": "timeout", "message": "too slow", "output": "last line"}
    assert data["cost"] == {"wall_s": 1.5, "cpu_s": 1.0, "memory_bytes": 2**20, "money": 0.25}
    assert data["value"] is None
    assert str(trial.reason) == "timeout: too slow"
