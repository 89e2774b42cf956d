"""What is read without the whole history is what the whole history says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.trial import Cost, Kind, Reason, State
from tunesmith.tuning import excerpt as module
from tunesmith.tuning.excerpt import excerpt, overview
from tunesmith.tuning.session import at_work
from tunesmith.tuning.table import rows, select

SPACE = ts.Space(
    x=ts.Float(0, 10), kind=ts.Choice("a", "b"), depth=ts.Int(1, 3, when={"kind": "a"})
)


@pytest.fixture
def study(tmp_path: Path) -> Any:
    """Trials of every kind, an edited space, a session that was cut off."""
    path = tmp_path / "study.db"

    def objective(config: dict[str, Any]) -> dict[str, float]:
        if config["x"] > 8:
            raise ValueError("too far")
        return (
            {"loss": config["x"], "extra": 1.0} if config["kind"] == "a" else {"loss": config["x"]}
        )

    limits: dict[str, Any] = {"price_per_hour": 3600.0}
    ts.tune(
        objective,
        SPACE,
        metric="loss",
        trials=30,
        seed=1,
        storage=path,
        name="s",
        progress=False,
        **limits,
    )
    with ts.Study.open("s", storage=path) as opened:
        opened.retract(opened.best, why="a leak")
        narrow = ts.Space(
            x=ts.Float(1, 10), kind=ts.Choice("a", "b"), depth=ts.Int(1, 3, when={"kind": "a"})
        )
        opened.edit(space=narrow, trials=40)
        opened.enqueue({"x": 5.0, "kind": "b"}, tags={"of": "mine"}, parent=0)
        at = opened.result().ledger.last_at + 1
        batch: list[Any] = [
            events.Opened(at, "cut-off", "elsewhere", 1, 0.0, True, "0.1.0"),
            events.Started(at + 1, 30, 0, "cut-off"),
            events.Reported(at + 2, 30, 0, 1, {"loss": 9.0}),
            events.Requeued(at + 9, 30, 0, Reason(Kind.LOST, "gone"), Cost(wall_s=3.0, money=1.0)),
            events.Opened(at + 100, "next", "elsewhere", 2, 0.0, True, "0.1.0"),
            events.Ended(at + 150, "trials", "enough"),
        ]
        store = opened.store
        store.append("s", batch, store.cursor("s"))
    with ts.Study.open("s", storage=path) as opened:
        yield opened


@pytest.mark.parametrize("sort", [None, "value", "-value"])
@pytest.mark.parametrize("states", [(), (State.FAILED,), (State.COMPLETED, State.WAITING)])
def test_some_trials(study: ts.Study, sort: str | None, states: tuple[State, ...]) -> None:
    whole = select(study.result(), sort=sort, states=states)
    for limit in (0, 1, 7, 100):
        part = excerpt(study.store, "s", sort=sort, states=states, limit=limit, last=False)
        assert part is not None
        assert list(rows(part[0], part[0].order)) == whole[:limit]
        assert part[1] == len(whole)
    part = excerpt(study.store, "s", sort=sort, states=states, limit=7, last=True)
    assert part is not None
    assert list(rows(part[0], part[0].order)) == whole[-7:]


def test_a_study_at_a_glance(study: ts.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    assert overview(study.store, "s") is None, "a small one is read as a whole"
    monkeypatch.setattr(module, "LARGE", 0)
    seen, result = overview(study.store, "s"), study.result()
    assert seen is not None
    assert (seen.spec, seen.counts, seen.ended) == (result.spec, result.counts, "enough")
    assert seen.best == result.best
    assert seen.cost == pytest.approx(result.cost)
    assert seen.sessions == at_work(result.ledger)


def test_in_memory_the_whole_history_is_there(study: ts.Study) -> None:
    memory = ts.Study.create(SPACE, name="m")
    assert excerpt(memory.store, "m", sort=None, states=(), limit=5, last=True) is None
    assert overview(memory.store, "m") is None
