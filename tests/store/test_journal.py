"""The one writer: what is decided once, what twice, and what an answer that got lost means."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.errors import TransitionError
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import State
from tunesmith.store import Store
from tunesmith.store.journal import Journal, append_once, append_rebased, independent
from tunesmith.store.memory import MemoryStore
from tunesmith.store.sqlite import open_sqlite
from tunesmith.testing.stores import completed, opened, spec, suggested


@pytest.fixture(params=["memory", "sqlite"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, Store]:
    """Two handles on a study with two running trials."""
    if request.param == "memory":
        one = other = MemoryStore()
        pair: tuple[Store, Store] = (one, other)
    else:
        pair = (open_sqlite(tmp_path / "study.db"), open_sqlite(tmp_path / "study.db"))
    pair[0].create(spec(), 1.0)
    pair[0].append("study", [opened(), suggested(0), suggested(1)], 0)
    return pair


def note(text: str) -> Event:
    return events.Annotated(9.0, 0, text, {}, "me")


def asks(*then: Callable[[], object]) -> tuple[Callable[[Ledger], Sequence[Event]], list[int]]:
    """Suggests the next trial; while it thinks for the k-th time, `then[k]` happens elsewhere."""
    thoughts: list[int] = []
    happenings = list(then)

    def decide(ledger: Ledger) -> Sequence[Event]:
        thoughts.append(ledger.cursor)
        number = ledger.size
        if happenings:
            happenings.pop(0)()
        return [suggested(number)]

    return decide, thoughts


class TestAsk:
    def test_results_that_come_in_meanwhile_are_no_reason_to_think_again(
        self, stores: tuple[Store, Store]
    ) -> None:
        journal, other = Journal(stores[0], "study"), Journal(stores[1], "study")
        decide, thoughts = asks(lambda: other.write(lambda _: [completed(0, 0.5), note("b")]))
        journal.ask(decide)
        assert thoughts == [3]
        assert [type(e).__name__ for e in stores[1].changes("study", 3)] == [
            *("Finished", "Annotated", "Suggested")
        ]
        assert journal.ledger.cursor == 6
        assert journal.ledger.counts == Journal(stores[1], "study").ledger.counts

    def test_what_trials_ask_for_is_not_either_but_a_space_learned_from_it_is(self) -> None:
        store = MemoryStore()
        store.create(ts.Study.create(trials=9).spec, 1.0)
        store.append("study", [opened(), suggested(0), suggested(1)], 0)
        journal, other = Journal(store, "study"), Journal(store, "study")
        x = ts.Float(0, 1).to_dict()
        asked = events.Asked(3.0, 0, 0, {"x": x}, {"x": 0.5})
        decide, thoughts = asks(lambda: other.write(lambda _: [asked]))
        journal.ask(decide)
        assert thoughts == [3]
        edited = events.Edited(4.0, {"space": {"x": x}}, "tunesmith")
        decide, thoughts = asks(lambda: other.write(lambda _: [edited]))
        journal.ask(decide)
        assert thoughts == [5, 6]

    def test_another_suggestion_is(self, stores: tuple[Store, Store]) -> None:
        journal, other = Journal(stores[0], "study"), Journal(stores[1], "study")
        decide, thoughts = asks(lambda: other.write(lambda ledger: [suggested(ledger.size)]))
        (mine,) = journal.ask(decide)
        assert thoughts == [3, 4]
        assert isinstance(mine, events.Suggested)
        assert mine.trial == 3

    def test_one_at_a_time(self, stores: tuple[Store, Store]) -> None:
        """Two that saw the same history would suggest the same."""
        thoughts: list[int] = []

        def decide(ledger: Ledger) -> Sequence[Event]:
            thoughts.append(ledger.size)
            time.sleep(0.005)
            return [suggested(ledger.size)]

        def work(store: Store) -> None:
            journal = Journal(store, "study")
            for _ in range(4):
                journal.ask(decide)

        threads = [threading.Thread(target=work, args=[s]) for s in (*stores, *stores)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert thoughts == list(range(2, 18))

    def test_nothing_is_locked_while_it_thinks(self, stores: tuple[Store, Store]) -> None:
        """Others may write: no model is fitted inside a transaction."""
        seen = []
        decide, _ = asks(lambda: seen.append(stores[1].append("study", [note("x")], 3)))
        Journal(stores[0], "study").ask(decide)
        assert seen == [4]


class TestWrite:
    def test_it_sees_what_others_wrote(self, stores: tuple[Store, Store]) -> None:
        journal, other = Journal(stores[0], "study"), Journal(stores[1], "study")
        assert other.ledger.cursor == 3
        journal.write(lambda _: [completed(0, 0.5)])
        with pytest.raises(TransitionError):
            other.write(lambda _: [completed(0, 0.25)])
        assert stores[0].cursor("study") == 4
        assert other.ledger.cursor == 4

    def test_nothing_is_kept_of_what_fails(self, stores: tuple[Store, Store]) -> None:
        journal = Journal(stores[0], "study")

        def fails(_: Ledger) -> Sequence[Event]:
            raise KeyError

        with pytest.raises(KeyError):
            journal.write(fails)
        with pytest.raises(ts.TunesmithError):
            journal.write(lambda _: [note("fine"), completed(7, 0.5)])
        assert stores[1].cursor("study") == journal.ledger.cursor == 3

    def test_many_threads_and_handles(self, stores: tuple[Store, Store]) -> None:
        journals = [Journal(store, "study") for store in stores]

        def work(journal: Journal) -> None:
            for _ in range(20):
                journal.write(lambda ledger: [note(str(ledger.cursor))])

        threads = [threading.Thread(target=work, args=[journals[k % 2]]) for k in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        notes = [e.note for e in stores[0].changes("study", 3) if isinstance(e, events.Annotated)]
        assert notes == [str(cursor) for cursor in range(3, 123)]


class TestTogether:
    """Several writes stored as one are the same events as one by one."""

    @staticmethod
    def writes(journal: Journal) -> list[str]:
        """What each of some verbs says; one of them makes no sense."""
        said = []
        for batch in (
            [completed(0, 0.5)],
            [completed(0, 0.6)],
            [suggested(2), note("a")],
            [completed(2, 0.1)],
        ):
            try:
                journal.write(lambda _, batch=batch: batch)  # type: ignore[misc]
                said.append("stored")
            except TransitionError as error:
                said.append(str(error))
        return said

    def test_the_same_events(self, tmp_path: Path) -> None:
        chains = []
        for how in ("one by one", "together"):
            with closing(open_sqlite(tmp_path / f"{how}.db")) as store:
                store.create(spec(), 1.0)
                store.append("study", [opened(), suggested(0), suggested(1)], 0)
                journal = Journal(store, "study")
                if how == "together":
                    with journal.together():
                        said = self.writes(journal)
                        assert store.cursor("study") == 3
                else:
                    said = self.writes(journal)
                assert store.verify("study") is None
                ledger = Ledger(store.load("study")).extend(store.changes("study"))
                assert journal.ledger.cursor == ledger.cursor == 7
                assert journal.ledger.counts == ledger.counts
                chains.append((said, [*store._heads.values()]))
        assert chains[0] == chains[1]

    def test_nobody_else_writes_meanwhile(self, stores: tuple[Store, Store]) -> None:
        journal, other = Journal(stores[0], "study"), Journal(stores[1], "study")
        inside, done = threading.Event(), threading.Event()

        def beside() -> None:
            inside.wait(30)
            other.write(lambda _: [note("b")])
            done.set()

        thread = threading.Thread(target=beside)
        thread.start()
        with journal.together():
            journal.write(lambda _: [completed(0, 0.5)])
            inside.set()
            assert not done.wait(0.05)
            journal.write(lambda ledger: [suggested(ledger.size)])
        thread.join(30)
        kinds = [type(e).__name__ for e in stores[1].changes("study", 3)]
        assert kinds == ["Finished", "Suggested", "Annotated"]

    @pytest.mark.parametrize("error", [ts.StoreFull("no space"), RuntimeError("a fault")])
    def test_what_is_not_stored_is_not_known(
        self, stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        journal = Journal(stores[0], "study")

        def full(*_: object) -> int:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(stores[0], "append", full)
            with pytest.raises(type(error)), journal.together():
                self.writes(journal)
        assert journal.ledger.cursor == stores[1].cursor("study") == 3
        journal.write(lambda _: [completed(0, 0.7)])
        assert journal.ledger.cursor == 4

    @pytest.mark.parametrize("done", [True, False])
    def test_a_lost_answer_is_no_failure(
        self, stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, done: bool
    ) -> None:
        journal, writing = Journal(stores[0], "study"), stores[0].writing

        @contextmanager
        def cut(name: str) -> Iterator[None]:
            monkeypatch.undo()
            with suppress(RuntimeError), writing(name):
                yield
                if not done:
                    raise RuntimeError
            raise ts.StoreError("the server closed the connection")

        monkeypatch.setattr(stores[0], "writing", cut)
        with nullcontext() if done else pytest.raises(ts.StoreError), journal.together():
            self.writes(journal)
        assert journal.ledger.cursor == stores[1].cursor("study") == (7 if done else 3)

    def test_a_fold_that_fails_stores_nothing(
        self, stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = Journal(stores[0], "study")

        def broken(*_: object) -> Ledger:
            raise RuntimeError("a fault of the fold")

        def some() -> None:
            journal.write(lambda _: [completed(0, 0.5)])
            with monkeypatch.context() as patch:
                patch.setattr(Ledger, "extend", broken)
                with pytest.raises(RuntimeError):
                    journal.write(lambda _: [completed(1, 0.5)])
            journal.write(lambda _: [note("after it")])

        with pytest.raises(ts.Conflict), journal.together():
            some()
        assert journal.ledger.cursor == stores[1].cursor("study") == 3


class TestLostAnswers:
    """A connection that is lost after all has been done: the events are there, and count once."""

    @pytest.mark.parametrize("done", [True, False])
    def test_what_is_there_has_been_stored(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool
    ) -> None:
        with closing(open_sqlite(tmp_path / "study.db")) as store:
            store.create(spec(), 1.0)
            append = store.append

            def cut(name: str, batch: Sequence[Event], expect: int) -> int:
                if done:
                    append(name, batch, expect)
                raise ts.StoreError("the server closed the connection")

            monkeypatch.setattr(store, "append", cut)
            batch = [opened(), suggested(0)]
            if done:
                append_once(store, "study", batch, 0)
            else:
                with pytest.raises(ts.StoreError, match="closed the connection"):
                    append_once(store, "study", batch, 0)
            assert store.cursor("study") == 2 * done

    def test_anothers_are_not_taken_for_mine(
        self, stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, other = stores

        def cut(name: str, batch: Sequence[Event], expect: int) -> int:
            monkeypatch.undo()
            other.append(name, [note("theirs")], expect)
            raise ts.StoreError("the server closed the connection")

        monkeypatch.setattr(store, "append", cut)
        with pytest.raises(ts.StoreError, match="closed the connection"):
            append_once(store, "study", [note("mine")], 3)


class TestRebased:
    def test_behind_what_changes_nothing(self, stores: tuple[Store, Store]) -> None:
        queued = events.Enqueued(
            4.0,
            2,
            {"x": 0.5, "c": "a"},
            suggested(0).origin,  # type: ignore[union-attr]
        )
        stores[1].append("study", [queued, note("x")], 3)
        news = append_rebased(stores[0], "study", [completed(0, 0.5)], 3)
        assert news == [queued, note("x")]
        assert list(stores[1].changes("study", 3)) == [queued, note("x"), completed(0, 0.5)]

    @pytest.mark.parametrize("other", [suggested(2), completed(1, 0.5)])
    def test_but_not_behind_what_might(self, stores: tuple[Store, Store], other: Event) -> None:
        stores[1].append("study", [other], 3)
        with pytest.raises(ts.Conflict):
            append_rebased(stores[0], "study", [suggested(2)], 3)
        assert stores[0].cursor("study") == 4

    def test_two_that_are_independent_give_the_same_ledger(self) -> None:
        base = [opened(), suggested(0), suggested(1)]
        queued = events.Enqueued(
            4.0,
            2,
            {"x": 0.5, "c": "a"},
            suggested(0).origin,  # type: ignore[union-attr]
        )
        ours = [
            events.Reported(5.0, 0, 0, 1, {"loss": 0.5}),
            completed(0, 0.5),
            events.Requeued(6.0, 1, 0, ts.Reason("lost", "gone")),  # type: ignore[arg-type]
        ]
        theirs = [note("x"), queued, events.StopRequested(4.5, "me"), opened("t")]
        theirs[3] = events.Opened(4.6, "t", "host", 1, 0.0, coordinator=False)
        assert independent(theirs, ours)
        one = Ledger(spec()).extend([*base, *ours, *theirs])
        two = Ledger(spec()).extend([*base, *theirs, *ours])
        assert [one.trial(n) for n in range(3)] == [two.trial(n) for n in range(3)]
        assert one.counts == two.counts
        assert one.counts[State.WAITING] == 2
        assert (one.open_sessions, one.stop_requested) == (two.open_sessions, two.stop_requested)
        assert one.next_waiting() == two.next_waiting()


def test_ctrl_c_in_the_middle_of_the_fold_leaves_no_half_of_an_event(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, extend = Journal(stores[0], "study"), Ledger.extend
    journal.refresh()

    def torn(self: Ledger, news: Sequence[Event]) -> Ledger:
        extend(self, news)
        self.cursor -= 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "extend", torn)
        with pytest.raises(KeyboardInterrupt):
            journal.write(lambda _: [completed(0, 1.0)])
    journal.write(lambda _: [completed(1, 0.5)])
    assert [journal.ledger.state(n) for n in (0, 1)] == [State.COMPLETED] * 2
