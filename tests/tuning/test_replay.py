"""`replay` proves an honest run, and detects one that was changed behind our back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.store import open_store
from tunesmith.tuning.replay import Replay, replay

SPACE = ts.Space(x=ts.Float(0, 1), c=ts.Choice("a", "b", "c"))


def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    trial.report(step=1, loss=config["x"] + 1)
    return float(config["x"])


def replayed(path: Path) -> Replay:
    store = open_store(path)
    try:
        return replay(store, "study")
    finally:
        store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A study of twelve trials by the default searcher, with one queued config."""
    path = tmp_path / "study.db"
    ts.tune(
        objective,
        SPACE,
        metric="loss",
        name="study",
        storage=path,
        trials=12,
        seed=3,
        enqueue=[{"x": 0.5, "c": "b"}],
        progress=False,
    )
    return path


def test_an_honest_run_is_proven(path: Path) -> None:
    found = replayed(path)
    assert found.proven
    assert found.problems == []
    assert found.suggestions == 11, "the queued one is nobody's suggestion"
    assert found.events == open_store(path).cursor("study")
    assert found.versions == set()


@pytest.mark.parametrize("searcher", ["random", "sobol", "grid"])
def test_every_searcher_can_be_proven(tmp_path: Path, searcher: str) -> None:
    path = tmp_path / "study.db"
    ts.tune(
        objective,
        ts.Space(x=ts.Float(0, 1, step=0.25), c=ts.Choice("a", "b")),
        metric="loss",
        name="study",
        storage=path,
        trials=8,
        parallel=2,
        searcher=searcher,
        progress=False,
    )
    found = replayed(path)
    assert (found.problems, found.suggestions) == ([], 8)


def test_of_a_run_in_two_parts_with_an_edit_between(path: Path) -> None:
    with ts.Study.open("study", storage=path) as study:
        study.edit(space=ts.Space(x=ts.Float(0, 0.5), c=ts.Choice("a", "b", "c")), trials=16)
        for _ in range(4):
            study.tell(study.ask(), 0.5)
        study.retract(2, why="a doubt")
        study.correct(3, 0.25, why="a typing error")
    found = replayed(path)
    assert (found.problems, found.suggestions) == ([], 15)


def test_of_a_run_that_somebody_edits_as_it_writes(tmp_path: Path) -> None:
    """The coordinator learns of it because the store refuses what it was about to write."""
    path = tmp_path / "study.db"

    def editing(config: dict[str, Any]) -> float:
        with ts.Study.open("study", storage=path) as study:
            study.edit(searcher="sobol")
        return float(config["x"])

    options: dict[str, Any] = {"name": "study", "storage": path, "seed": 3, "progress": False}
    result = ts.tune(editing, SPACE, searcher="random", trials=6, **options)
    assert [t.origin.searcher for t in result.trials[2:]] == ["sobol"] * 4
    assert replayed(path).problems == []


def body(row: str, **changes: Any) -> str:
    return json.dumps(json.loads(row) | changes)


def edit(kind: str, make: Callable[[str], str]) -> Callable[[sqlite3.Connection], None]:
    """Falsify the fifth event of a kind."""

    def act(connection: sqlite3.Connection) -> None:
        seq, old = connection.execute(
            "SELECT seq, body FROM events WHERE kind = ? ORDER BY seq LIMIT 1 OFFSET 4", (kind,)
        ).fetchone()
        new = make(old)
        assert json.loads(new) != json.loads(old)
        connection.execute("UPDATE events SET body = ? WHERE seq = ?", (new, seq))

    return act


def run(*statements: str) -> Callable[[sqlite3.Connection], None]:
    def act(connection: sqlite3.Connection) -> None:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, f"{statement} changed nothing"

    return act


FALSIFIED: dict[str, tuple[Callable[[sqlite3.Connection], None], str]] = {
    "a value": (edit("finished", lambda b: body(b, values=[0.001])), "is not what was written"),
    "a config": (edit("suggested", lambda b: body(b, config={"x": 0.1, "c": "a"})), "trial 5"),
    "a report": (edit("reported", lambda b: body(b, metrics={"loss": 9.0})), "event"),
    "an event is gone": (run("DELETE FROM events WHERE seq = 9"), "event 9 is missing"),
    "the seed": (
        run("UPDATE studies SET spec = replace(spec, '\"seed\": 3', '\"seed\": 4')"),
        "trial",
    ),
    "the table of trials": (
        run("UPDATE trials SET value = -1 WHERE number = 7"),
        "does not follow",
    ),
    "a column": (run("UPDATE events SET trial = 3 WHERE seq = 9"), "event 9"),
    "the time": (edit("finished", lambda b: body(b, at=1.0)), "is not what was written"),
}


@pytest.mark.parametrize("what", FALSIFIED)
def test_a_falsified_run_is_detected(path: Path, what: str) -> None:
    falsify, words = FALSIFIED[what]
    with closing(sqlite3.connect(path)) as connection, connection:
        falsify(connection)
    found = replayed(path)
    assert not found.proven
    assert words in "\n".join(found.problems)


def test_whoever_forges_the_digests_too_is_betrayed_by_the_suggestions(path: Path) -> None:
    """A config that the searcher would not have made, with a chain that fits."""
    from tunesmith.store.chain import first_digest, next_digest

    with closing(sqlite3.connect(path)) as connection, connection:
        edit("suggested", lambda b: body(b, config={"x": 0.125, "c": "a"}))(connection)
        (spec,) = connection.execute("SELECT spec FROM studies").fetchone()
        digest = first_digest(spec)
        rows = connection.execute("SELECT seq, body FROM events ORDER BY seq").fetchall()
        for seq, text in rows:
            digest = next_digest(digest, text)
            connection.execute("UPDATE events SET digest = ? WHERE seq = ?", (digest, seq))
    found = replayed(path)
    assert [p for p in found.problems if "'x': 0.125" in p and "again it would be" in p]


def test_a_study_that_is_not_there(path: Path) -> None:
    store = open_store(path)
    with pytest.raises(ts.StudyNotFound, match="did you mean 'study'"):
        replay(store, "studdy")
    store.close()
