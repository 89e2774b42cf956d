"""What every store has to do: the promises of `tunesmith.store.base`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.core import events
from tunesmith.core.errors import Conflict, StudyExists, StudyNotFound
from tunesmith.core.events import Event
from tunesmith.core.objective import Objective
from tunesmith.core.space.parameter import Choice, Float
from tunesmith.core.space.space import Space
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Cost, Kind, Origin, Reason, State
from tunesmith.store.base import Store, Tabular
from tunesmith.store.fold import summarize
from tunesmith.store.journal import Journal
from tunesmith.testing.check import Check, collect
from tunesmith.testing.strategies import pasts, spaces


def store_checks(make: Callable[[], tuple[Store, Callable[[], Store]]]) -> list[Check]:
    """The checks for a store. `make` gives an empty one, and a function that opens it once more (as
    another process would; a store in memory may give itself)."""
    return collect(_StoreSuite(make))


SPACE = Space(x=Float(0, 1), c=Choice("a", "b"))


def spec(name: str = "study", **options: Any) -> StudySpec:
    return StudySpec(name=name, space=SPACE, objectives=(Objective("loss"),), **options)


def opened(session: str = "s") -> Event:
    return events.Opened(1.0, session, "host", 1, 0.0)


def suggested(number: int) -> Event:
    config = {"x": number / 64, "c": "a"}
    return events.Suggested(2.0, number, config, Origin("random", "why", 1, number, 1, 0), "s")


def completed(number: int, value: float) -> Event:
    return events.Finished(
        3.0, number, 0, State.COMPLETED, (value,), {"loss": value}, None, Cost(1.0)
    )


def one_of_each() -> list[Event]:
    """A legal history with every kind of event, of a study whose space is learned."""
    return [
        opened(),
        suggested(0),
        events.Reported(2.5, 0, 0, 1, {"loss": 0.5, "other": None}),
        completed(0, 0.25),
        events.Enqueued(3.0, 1, {"x": 0.5, "c": "b"}, Origin("user", "a guess"), {"who": "me"}, 0),
        events.Started(3.5, 1, 0, "s"),
        events.Requeued(4.0, 1, 0, Reason(Kind.LOST, "gone", "last lines\n\u2603")),
        events.Started(4.5, 1, 1, "s"),
        events.Asked(4.55, 1, 1, {"y": {"float": [0.0, 1.0]}}, {"y": 0.5}, ("x", "c", "y")),
        events.Decided(4.6, 1, "stop", "hopeless"),
        events.Finished(5.0, 1, 1, State.FAILED, None, {}, Reason(Kind.ERROR, "boom"), Cost()),
        events.Corrected(6.0, 0, (0.125,), {"loss": 0.125}, "typo", "me"),
        suggested(2),
        completed(2, 0.01),
        events.Retracted(7.0, 2, "wrong data", "me"),
        events.Forked(
            7.1, 3, 0, {"x": 0.75, "c": "b"}, Origin("pbt", "as trial 0, but with x 0.75"), "s"
        ),
        events.Paused(7.2, 3, 0, Reason(Kind.PAUSED, "at step 9"), Cost(2.0)),
        events.Annotated(7.5, 0, "a note", {"tag": "value"}, "me"),
        events.Edited(8.0, {"limits": {"trials": 5}}, "me"),
        events.StopRequested(8.5, "me"),
        events.Ended(9.0, "interrupted", "stopped on request"),
        events.Closed(9.5, "s"),
    ]


class _StoreSuite:
    def __init__(self, make: Callable[[], tuple[Store, Callable[[], Store]]]) -> None:
        self._make = make

    @contextmanager
    def _two(self) -> Iterator[tuple[Store, Store]]:
        """Two handles on one store."""
        first, again = self._make()
        second = again()
        try:
            yield first, second
        finally:
            second.close()
            first.close()

    def check_studies_come_and_go(self) -> None:
        with self._two() as (a, b):
            assert a.names() == []
            a.create(spec("one", seed=7), 1.0)
            a.create(spec("two", deterministic=True), 2.0)
            assert b.names() == ["one", "two"]
            assert b.load("one") == spec("one", seed=7)
            assert b.load("two").deterministic
            a.delete("one")
            assert b.names() == ["two"]
            a.create(spec("one"), 3.0)
            assert (a.made_at("one"), b.made_at("two")) == (3.0, 2.0)
            assert list(b.changes("one")) == []

    def check_a_study_made_anew_is_another_one(self) -> None:
        """For whoever has read the earlier one, too, through another handle."""
        history = [opened(), suggested(0), completed(0, 0.5)]
        looks: list[Callable[[Any, str], object]] = [
            lambda store, name: store.load(name).seed,
            lambda store, name: store.made_at(name),
            lambda store, name: store.summary(name),
            lambda store, name: store.silent_s(name),
            lambda store, name: store.verify(name),
            lambda store, name: list(store.changes(name)),
            lambda store, name: list(store.changes(name, trial=0)),
        ]
        rows: list[Callable[[Any, str], object]] = [
            lambda store, name: store.heads(name),
            lambda store, name: list(store.costs(name)),
            lambda store, name: store.time_of(name, 1),
            lambda store, name: list(store.part(name, [0])),
        ]
        with self._two() as (a, b):
            for k, look in enumerate([*looks, *(rows if isinstance(b, Tabular) else [])]):
                name: Any = f"study{k}"  # each look is the first that hears of it
                a.create(spec(name), 1.0)
                a.append(name, history, 0)
                a.beat(name, "one")
                journal = Journal(b, name)
                assert journal.ledger.size == 1
                a.delete(name)
                a.create(spec(name, seed=7), 2.0)
                a.append(name, [opened("other")], 0)
                assert look(b, name) == look(a, name)
                _raises(StudyNotFound, journal.refresh)
                a.append(name, history[1:], 1)  # as many as there were
                _raises(StudyNotFound, lambda j=journal: j.write(lambda _: [suggested(1)]))  # type: ignore[misc]
                assert a.cursor(name) == b.cursor(name) == 3
                assert Journal(b, name).ledger.spec.seed == 7

    def check_who_reads_on_does_not_read_another_study(self) -> None:
        with self._two() as (a, b):
            a.create(spec(), 1.0)
            a.append("study", [opened(), suggested(0)], 0)
            journal = Journal(b, "study")
            assert journal.ledger.size == 1
            a.delete("study")
            a.create(spec(seed=7), 2.0)
            a.append("study", [opened(), suggested(0), completed(0, 0.5), suggested(1)], 0)
            _raises(StudyNotFound, journal.refresh)
            assert journal.ledger.size == 1
            _raises(StudyNotFound, lambda: journal.ask(lambda _: [suggested(2)]))
            assert Journal(b, "study").ledger.size == 2
            a.delete("study")
            _raises(StudyNotFound, journal.refresh)
            _raises(StudyNotFound, lambda: b.summary("study"))

    def check_unknown_and_known_names(self) -> None:
        with self._two() as (a, b):
            a.create(spec("study"), 1.0)
            _raises(StudyExists, lambda: b.create(spec("study"), 2.0))
            calls: list[Callable[[], object]] = [
                lambda: b.load("studi"),
                lambda: b.delete("studi"),
                lambda: b.cursor("studi"),
                lambda: b.summary("studi"),
                lambda: list(b.changes("studi")),
                lambda: b.append("studi", [opened()], 0),
            ]
            for call in calls:
                _raises(StudyNotFound, call)
            assert a.names() == ["study"]

    def check_every_event_comes_back_the_same(self) -> None:
        with self._two() as (a, b):
            a.create(spec(learned=True), 1.0)
            history = one_of_each()
            assert a.append("study", history, 0) == len(history)
            assert list(b.changes("study")) == history
            assert list(b.changes("study", 5)) == history[5:]
            assert list(b.changes("study", len(history))) == []
            assert b.cursor("study") == len(history)
            mine = [e for e in history if getattr(e, "trial", None) == 1]
            assert list(b.changes("study", trial=1)) == mine

    def check_append_is_compare_and_set(self) -> None:
        with self._two() as (a, b):
            a.create(spec(), 1.0)
            assert a.append("study", [opened("a"), suggested(0)], 0) == 2
            for wrong in (0, 1, 3, 9):
                _raises(Conflict, lambda wrong=wrong: b.append("study", [opened("b")], wrong))  # type: ignore[misc]
            assert b.append("study", [completed(0, 0.5)], 2) == 3
            _raises(Conflict, lambda: a.append("study", [opened("a")], 2))
            assert a.append("study", [opened("c")], 3) == 4
            assert [e.at for e in b.changes("study")] == [1.0, 2.0, 3.0, 1.0]

    def check_a_refused_batch_leaves_nothing(self) -> None:
        with self._two() as (a, b):
            a.create(spec(), 1.0)
            a.append("study", [opened(), suggested(0)], 0)
            before = (list(b.changes("study")), b.summary("study"))
            _raises(Conflict, lambda: b.append("study", [completed(0, 1.0), suggested(1)], 1))
            assert (list(a.changes("study")), a.summary("study")) == before

    def check_studies_do_not_mix(self) -> None:
        with self._two() as (a, b):
            a.create(spec("one"), 1.0)
            a.create(spec("two"), 2.0)
            a.append("one", [opened(), suggested(0)], 0)
            b.append("two", [opened("t")], 0)
            assert a.cursor("one") == 2
            assert a.cursor("two") == 1
            b.delete("one")
            assert len(list(a.changes("two"))) == 1

    def check_the_summary_is_the_fold_of_the_events(self) -> None:
        @settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data(), spaces(max_parameters=3))
        def run(data: st.DataObject, space: Space) -> None:
            ledger = data.draw(pasts(space))
            history = list(_history_of(ledger))
            with self._two() as (a, b):
                a.create(ledger.spec, 1.0)
                cursor = 0
                for event in history:
                    cursor = a.append("past", [event], cursor)
                assert b.summary("past") == summarize(ledger.spec, history, 1.0)

        run()

    def check_the_summary_follows_edits(self) -> None:
        with self._two() as (a, b):
            a.create(spec(), 1.0)
            narrower = Space(x=Float(0.25, 1), c=Choice("a", "b")).to_dict()
            history = [
                opened(),
                suggested(0),
                completed(0, 0.125),
                suggested(32),
            ]
            history[3] = events.Suggested(2.0, 1, {"x": 0.5, "c": "a"}, Origin("random"), "s")
            history += [completed(1, 0.5), events.Edited(4.0, {"space": narrower}, "me")]
            a.append("study", history, 0)
            summary = b.summary("study")
            assert (summary.best, summary.best_value) == (1, 0.5), "trial 0 is outside now"
            assert summary.spec.space == Space.from_dict(narrower)
            wider = events.Edited(5.0, {"space": SPACE.to_dict()}, "me")
            b.append("study", [wider], len(history))
            assert a.summary("study").best == 0

    def check_waiting_for_news(self) -> None:
        with self._two() as (a, b):
            a.create(spec(), 1.0)
            a.append("study", [opened()], 0)
            assert b.wait("study", 0, 0.0)
            assert not b.wait("study", 1, 0.0)
            assert not b.wait("study", 1, 0.05)
            seen: list[bool] = []
            waiting = threading.Thread(target=lambda: seen.append(b.wait("study", 1, 60.0)))
            waiting.start()
            time.sleep(0.05)
            a.append("study", [suggested(0)], 1)
            waiting.join()
            assert seen == [True]
            _raises(StudyNotFound, lambda: a.wait("studi", 0, 0.0))

    def check_leases(self) -> None:
        with self._two() as (a, b):
            a.create(spec(), 1.0)
            assert a.lease("study", "a", 60.0).holder == "a"
            first = b.lease("study", "b", 60.0)
            assert first.holder == "a", "it is taken"
            assert a.lease("study", "a", 90.0).until > first.until, "renewed"
            a.release("study", "b")
            assert b.lease("study", "b", 60.0).holder == "a", "not b's to release"
            assert b.lease("study", "b", 60.0, instead_of="x").holder == "a"
            assert b.lease("study", "b", 60.0, instead_of="a").holder == "b"
            b.release("study", "b")
            assert a.lease("study", "a", 0.0).holder == "a"
            time.sleep(0.01)
            assert b.lease("study", "b", 60.0).holder == "b", "it was over"

    def check_signs_of_life(self) -> None:
        """They are rows, no events: a hundred sessions would flood the history."""
        with self._two() as (a, b):
            a.create(spec(), 1.0)
            assert b.silent_s("study") == {}
            a.beat("study", "one")
            time.sleep(0.02)
            b.beat("study", "two")
            silent = a.silent_s("study")
            assert 0.0 <= silent["two"] < silent["one"] < 60.0
            a.beat("study", "one")
            assert b.silent_s("study")["one"] < silent["one"] + 60.0
            assert a.cursor("study") == 0
            _raises(StudyNotFound, lambda: a.beat("studi", "one"))
            a.delete("study")
            a.create(spec(), 2.0)
            assert b.silent_s("study") == {} or b.names() == ["study"]

    def check_what_is_written_together_is_stored_together(self) -> None:
        with self._two() as (a, b):
            a.create(spec(), 1.0)
            with a.writing("study"):
                assert a.append("study", [opened()], a.cursor("study")) == 1
                assert a.append("study", [suggested(0)], 1) == 2
                assert len(list(a.changes("study"))) == 2
            assert b.cursor("study") == 2

            def fails() -> None:
                with a.writing("study"):
                    a.append("study", [completed(0, 0.5)], 2)
                    raise KeyError

            before = (list(b.changes("study")), b.summary("study"))
            _raises(KeyError, fails)
            assert (list(a.changes("study")), a.summary("study")) == before
            assert b.append("study", [completed(0, 0.5)], 2) == 3
            assert a.append("study", [suggested(1)], 3) == 4
            assert a.verify("study") is None
            _raises(StudyNotFound, lambda: a.writing("studi").__enter__())

    def check_writers_wait_for_one_another(self) -> None:
        """Whoever reads and appends while it is writing has no conflict, in threads and with two handles."""
        with self._two() as (a, b):
            a.create(spec(), 1.0)
            errors: list[Exception] = []

            def work(store: Store) -> None:
                try:
                    for _ in range(25):
                        with store.asking("study"), store.writing("study"):
                            store.append("study", [opened()], store.cursor("study"))
                except Exception as error:  # noqa: BLE001 (shown below)
                    errors.append(error)

            threads = [threading.Thread(target=work, args=[s]) for s in (a, a, b, b)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert errors == []
            assert a.cursor("study") == 100
            assert a.verify("study") is None

    def check_an_honest_history_is_verified(self) -> None:
        with self._two() as (a, b):
            a.create(spec(learned=True), 1.0)
            a.append("study", one_of_each(), 0)
            assert b.verify("study") is None


def _history_of(ledger: Any) -> Iterator[Event]:
    """A history that leads to the same trials as `ledger`'s."""
    yield opened()
    for number in range(ledger.size):
        trial = ledger.trial(number)
        yield events.Suggested(float(number), number, trial.config, trial.origin, "s")
        if trial.state.ended:
            yield events.Finished(
                float(number), number, 0, trial.state, trial.values, trial.metrics, trial.reason
            )
        if trial.retracted:
            yield events.Retracted(float(number), number, "why", "me")


def _raises(kind: type[Exception], call: Callable[[], object]) -> None:
    try:
        call()
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")
