"""What has happened is stored before a strategy is asked; one that raises ends the study, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from numpy.random import Generator

import tunesmith as ts
from tunesmith.core.history import History
from tunesmith.core.strategy import Decision, Verdict
from tunesmith.store import Store, open_store

SPACE = ts.Space(x=ts.Float(0, 1))
#: The store that the strategies below look into, and what they have seen there.
_watched: list[tuple[Store, str]] = []
_completed: list[int] = []


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store(None)
    _watched[:] = [(store, "study")]
    _completed.clear()
    yield store
    _watched.clear()


@dataclass(frozen=True)
class Raises:
    """A searcher that raises at trial 2."""

    ours: bool = False

    def suggest(self, space: ts.Space, history: History, n: int, rng: Generator) -> list[Any]:
        if len(history) == 2:
            raise ts.SpaceError("no room") if self.ours else ZeroDivisionError("by zero")
        return [{"x": len(history) / 10}]


@dataclass(frozen=True)
class Instant(Raises):
    """The same, of those whose answers are stored along with what has happened."""

    instant = True


@dataclass(frozen=True)
class Looks:
    """A searcher that looks into the store: what has happened is there before it is asked."""

    def suggest(self, space: ts.Space, history: History, n: int, rng: Generator) -> list[Any]:
        store, name = _watched[0]
        counts = store.summary(name).counts
        _completed.append(counts[ts.State.COMPLETED])
        return [{"x": len(history) / 10}]


@dataclass(frozen=True)
class RaisesAtStep:
    """A scheduler that raises at step 2."""

    def decide(self, history: History, trial: int) -> Decision:
        if next(history.back(trial)).step == 2:
            raise RuntimeError("no idea")
        return Decision(Verdict.CONTINUE)


@pytest.mark.parametrize("searcher", [Raises(), Instant()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_searcher_that_raises(store: Store, searcher: Any, executor: Any) -> None:
    with pytest.raises(
        ts.StrategyError, match="raised ZeroDivisionError: by zero; what trials have returned"
    ):
        ts.tune(
            _value,
            SPACE,
            trials=5,
            name="study",
            storage=store,
            searcher=searcher,
            executor=executor,
            progress=False,
        )
    trials = ts.Study.open("study", storage=store).trials
    assert [(str(t.state), t.value) for t in trials] == [("completed", 0.0), ("completed", 0.1)]


def test_our_own_errors_stay_what_they_are(store: Store) -> None:
    with pytest.raises(ts.SpaceError, match="no room"):
        ts.tune(
            _value,
            SPACE,
            trials=5,
            name="study",
            storage=store,
            searcher=Raises(ours=True),
            progress=False,
        )
    assert len(ts.Study.open("study", storage=store).result().table()) == 2


def test_results_are_stored_before_the_searcher_is_asked(store: Store) -> None:
    ts.tune(_value, SPACE, trials=3, name="study", storage=store, searcher=Looks(), progress=False)
    assert _completed == [0, 1, 2]


def test_a_scheduler_that_raises(store: Store) -> None:
    ts.allow_strategy(RaisesAtStep)
    with pytest.raises(ts.StrategyError, match="raised RuntimeError: no idea"):
        ts.tune(
            _reports,
            SPACE,
            trials=5,
            name="study",
            storage=store,
            searcher="random",
            scheduler={f"{__name__}:RaisesAtStep": {}},
            progress=False,
        )
    (trial,) = ts.Study.open("study", storage=store).trials
    assert [report.step for report in trial.reports] == [1, 2], "the report is stored"
    assert trial.state == "waiting", "it goes back into the queue"


def test_ask_and_tell(store: Store) -> None:
    study = ts.Study.create(SPACE, name="study", storage=store, searcher=Raises())
    for value in (0.5, 0.25):
        study.tell(study.ask(), value)
    with pytest.raises(ts.StrategyError, match="raised ZeroDivisionError"):
        study.ask()
    assert [t.value for t in ts.Study.open("study", storage=store).trials] == [0.5, 0.25]


def _value(config: dict[str, Any]) -> float:
    return float(config["x"])


def _reports(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    for step in range(1, 5):
        trial.report(step=step, value=0.5)
    return 0.5
