"""Events as text: what is written once must be readable for ever."""

import json
import math

import msgspec
import pytest

from tunesmith.core import codec, events
from tunesmith.core.errors import StoreError
from tunesmith.core.trial import Cost, Kind, Origin, Reason, State
from tunesmith.testing.stores import one_of_each


@pytest.mark.parametrize("event", one_of_each(), ids=codec.kind_of)
def test_there_and_back(event: events.Event) -> None:
    text = codec.encode(event)
    assert codec.decode(text) == event
    assert json.loads(text)["kind"] == codec.kind_of(event)


def test_every_kind_is_in_the_example() -> None:
    kinds = {codec.kind_of(event) for event in one_of_each()}
    union = msgspec.inspect.type_info(events.Event)
    assert isinstance(union, msgspec.inspect.UnionType)
    assert kinds == {str(t.tag) for t in union.types}  # type: ignore[attr-defined]


#: Texts as version 0.1 wrote them. Never change one of these: readers must understand them for ever.
KEPT = {
    '{"kind":"opened","at":1.0,"session":"s","host":"h","pid":1,"pid_started":0.5,"version":"0.1.0"}': (
        events.Opened(1.0, "s", "h", 1, 0.5, version="0.1.0")
    ),
    '{"kind":"suggested","at":1.0,"trial":0,"config":{"x":0.5,"c":"a"},'
    '"origin":["random","why",1,0,1,0],"session":"s"}': (
        events.Suggested(1.0, 0, {"x": 0.5, "c": "a"}, Origin("random", "why", 1, 0, 1, 0), "s")
    ),
    '{"kind":"reported","at":2.0,"trial":0,"attempt":0,"step":3,"metrics":{"loss":0.5,"bad":null}}': (
        events.Reported(2.0, 0, 0, 3, {"loss": 0.5, "bad": None})
    ),
    '{"kind":"finished","at":3.0,"trial":0,"attempt":0,"state":"completed","values":[0.5],'
    '"metrics":{"loss":0.5},"cost":[1.0,0.5,null,null]}': (
        events.Finished(3.0, 0, 0, State.COMPLETED, (0.5,), {"loss": 0.5}, None, Cost(1.0, 0.5))
    ),
    '{"kind":"requeued","at":3.0,"trial":1,"attempt":0,"reason":{"kind":"lost","message":"gone"}}': (
        events.Requeued(3.0, 1, 0, Reason(Kind.LOST, "gone"))
    ),
}


@pytest.mark.parametrize("text", KEPT)
def test_kept_texts_are_still_understood(text: str) -> None:
    assert codec.decode(text) == KEPT[text]


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    text = '{"kind":"closed","at":1.0,"session":"s","colour":"blue"}'
    assert codec.decode(text) == events.Closed(1.0, "s")


@pytest.mark.parametrize("text", ['{"kind":"sung","at":1.0}', "{}", "no json", '{"kind":"closed"}'])
def test_what_is_no_event_is_an_error_that_shows_it(text: str) -> None:
    with pytest.raises(StoreError, match="an event cannot be read") as error:
        codec.decode(text)
    assert text[:20] in str(error.value)
    with pytest.raises(StoreError):
        codec.decode_many([codec.encode(events.Closed(1.0, "s")), text])


def test_what_is_not_finite_becomes_null() -> None:
    event = events.Reported(1.0, 0, 0, 1, {"loss": math.nan})
    assert '"loss":null' in codec.encode(event)


def test_events_cannot_change() -> None:
    with pytest.raises(AttributeError):
        events.Closed(1.0, "s").at = 2.0  # type: ignore[misc]


def test_a_start_has_a_seed_of_its_own() -> None:
    seeds = {
        events.Start(trial, attempt, {}, 7).seed for trial in range(50) for attempt in range(3)
    }
    assert len(seeds) == 50, "by trial, the same in every attempt"
    assert events.Start(0, 0, {}, 8).seed not in seeds


def test_what_is_too_deep_for_a_reader_is_no_event() -> None:
    text = '{"kind": "started", "at": ' + "[" * 100_000
    with pytest.raises(StoreError, match="cannot be read"):
        codec.decode(text)
    with pytest.raises(StoreError, match="cannot be read"):
        codec.decode_many([text])


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"name": 3}', "9" * 5_000])
def test_a_study_that_cannot_be_read(text: str) -> None:
    with pytest.raises(StoreError, match="the study cannot be read") as refused:
        codec.decode_spec(text)
    assert len(str(refused.value)) < 1000
