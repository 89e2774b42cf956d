"""`replay` proves an honest run, and detects one that was changed behind our back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import codec, events
from tunesmith.store import open_store
from tunesmith.tuning.arithmetic import arithmetic
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


# -- other processors ---------------------------------------------------------------------------


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, this process is another kind of processor."""

    def moved() -> None:
        there = arithmetic() | {"kernel": "Elsewhere"}
        monkeypatch.setattr("tunesmith.tuning.replay.arithmetic", lambda: there)

    return moved


def shifted(path: Path, by: float) -> None:
    """Another x for the seventh suggestion, in a chain that fits: what another processor would have made."""
    with closing(sqlite3.connect(path)) as connection, connection:
        x = json.loads(
            connection.execute(
                "SELECT body FROM events WHERE kind = 'suggested' ORDER BY seq LIMIT 1 OFFSET 4"
            ).fetchone()[0]
        )["config"]
        x["x"] = (x["x"] + by) if x["x"] < 0.5 else (x["x"] - by)
        edit("suggested", lambda b: body(b, config=x))(connection)
        chain_anew(connection)


def chain_anew(connection: sqlite3.Connection) -> None:
    from tunesmith.store.chain import first_digest, next_digest

    (spec,) = connection.execute("SELECT spec FROM studies").fetchone()
    digest = first_digest(spec)
    for seq, text in connection.execute("SELECT seq, body FROM events ORDER BY seq").fetchall():
        digest = next_digest(digest, text)
        connection.execute("UPDATE events SET digest = ? WHERE seq = ?", (digest, seq))


def only_suggestion(path: Path) -> Replay:
    """What is said of the shifted suggestion: the later ones have seen another history."""
    found = replayed(path)
    found.problems = [p for p in found.problems if p.startswith("trial 5:")]
    found.rounded = [p for p in found.rounded if p.startswith("trial 5:")]
    return found


def test_sessions_record_what_rounding_depends_on(path: Path) -> None:
    store = open_store(path)
    (opened, *_) = [e for e in store.changes("study") if isinstance(e, events.Opened)]
    store.close()
    assert opened.arithmetic == arithmetic()
    assert {"processor", "numpy", "scipy"} <= opened.arithmetic.keys()
    assert replayed(path).verdict == "the same"
    old = '{"kind":"opened","at":1.0,"session":"s","host":"h","pid":1,"pid_started":0.0}'
    assert codec.decode(old).arithmetic == {}  # type: ignore[union-attr]


def test_rounding_on_another_processor_is_no_fault(
    path: Path, elsewhere: Callable[[], None]
) -> None:
    shifted(path, 1e-6)
    assert only_suggestion(path).verdict == "NOT the same", "here it is exact"
    elsewhere()
    found = only_suggestion(path)
    assert found.verdict == "the same but for rounding"
    assert found.proven
    assert len(found.rounded) == 1
    assert any("not Elsewhere" in text for text in found.elsewhere)


def test_what_is_no_rounding_is_a_fault_on_any_processor(
    path: Path, elsewhere: Callable[[], None]
) -> None:
    shifted(path, 0.05)
    elsewhere()
    assert only_suggestion(path).verdict == "NOT the same"


# -- all of it is checked -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trials SET value = value + 1e-9 WHERE number = (SELECT min(number) FROM trials WHERE value > 0.6)",
        "UPDATE trials SET state = 'failed' WHERE number = 3",
        "UPDATE trials SET retracted = 1 WHERE number = 3",
        "UPDATE trials SET outside = 1 WHERE number = 3",
        "DELETE FROM trials WHERE number = 3",
        "INSERT INTO trials (study, number, state) SELECT study, 99, 'waiting' FROM trials LIMIT 1",
    ],
)
def test_every_row_of_the_table_of_trials_is_compared(path: Path, statement: str) -> None:
    """Only the best one and the counts were."""
    with closing(sqlite3.connect(path)) as connection, connection:
        run(statement)(connection)
    assert "trial" in replayed(path).problems[0]
    assert not replayed(path).proven


def read_all(path: Path) -> Any:
    store = open_store(path)
    try:
        name = "study"
        summary = replace(store.summary(name), created_at=0.0)  # no digest covers when it was made
        return store.load(name), list(store.changes(name)), summary, store.names()
    finally:
        store.close()


def test_a_flipped_bit_is_detected_or_changes_nothing(tmp_path: Path) -> None:
    """Single bits all over the file: of 24, 8 went unseen."""
    path = tmp_path / "whole.db"
    ts.tune(
        lambda c: c["x"], SPACE, name="study", storage=path, trials=5, searcher="random",
        progress=False,
    )  # fmt: skip
    whole = path.read_bytes()
    intact = read_all(path)
    assert replayed(path).proven
    used = [k for k in range(100, len(whole)) if whole[k]]
    rng = np.random.default_rng(0)
    silent = []
    for place in rng.choice(used, 120, replace=False).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        copy = tmp_path / "flipped.db"
        copy.write_bytes(damaged)
        try:
            if replayed(copy).proven and read_all(copy) != intact:
                silent.append(place)
        except (ts.TunesmithError, UnicodeError):
            pass  # said at once
        for rest in tmp_path.glob("flipped.db*"):
            rest.unlink()
    assert not silent


def test_what_an_earlier_edition_of_the_strategies_suggested_is_said_to_be(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A searcher that was mended suggests other configs: no fault of the store's, and no rounding."""
    shifted(path, 0.3)
    later = arithmetic() | {"strategies": "edition 99"}
    monkeypatch.setattr("tunesmith.tuning.replay.arithmetic", lambda: later)
    again = replayed(path)
    assert not again.proven
    assert any(word.startswith("strategies edition") for word in again.elsewhere)
