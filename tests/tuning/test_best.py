"""Which trial is best is one answer, whoever gives it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.analysis.report import report
from tunesmith.cli.app import app
from tunesmith.core import events
from tunesmith.core.events import Event
from tunesmith.core.incumbent import front
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Objective
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import CONFIRM, Origin, State
from tunesmith.run import checkpoint
from tunesmith.run.folder import CHECKPOINT, Folder
from tunesmith.run.retention import Keeper
from tunesmith.store import open_store
from tunesmith.tuning.feed import Feed

SPACE = ts.Space(x=ts.Float(0, 10))


def ran(number: int, *values: float, parent: int | None = None) -> list[Event]:
    """A trial from its beginning to its end; with a `parent`, one that confirms it."""
    at, x = float(number), float(number if parent is None else parent)
    metrics = dict(zip(("loss", "size"), values, strict=False))
    finished = events.Finished(at + 0.5, number, 0, State.COMPLETED, values, dict(metrics))
    if parent is None:
        return [events.Suggested(at, number, {"x": x}, Origin("random"), "s"), finished]
    again = events.Enqueued(at, number, {"x": x}, Origin(CONFIRM), {}, parent)
    return [again, events.Started(at, number, 0, "s"), finished]


def confirmed() -> list[Event]:
    """Trial 1 was lucky: run again it is worse than trial 2, but for one run, the luckiest of all."""
    batch = [event for k, loss in enumerate((5.0, 1.0, 2.0)) for event in ran(k, loss)]
    again = [(1, 9.0), (2, 2.1), (1, 0.5), (2, 2.0), (1, 9.5), (2, 1.9)]
    return batch + [
        e for k, (parent, loss) in enumerate(again, 3) for e in ran(k, loss, parent=parent)
    ]


def searched(*losses: float) -> list[Event]:
    return [event for k, loss in enumerate(losses) for event in ran(k, loss)]


def retracted() -> list[Event]:
    return [*searched(3.0, 1.0, 2.0), events.Retracted(9.0, 1, "a leak", "me")]


def outside() -> list[Event]:
    space = ts.Space(x=ts.Float(1.5, 10)).to_dict()
    return [*searched(3.0, 1.0, 2.0), events.Edited(9.0, {"space": space}, "me")]


def no_longer_confirmed() -> list[Event]:
    """Without the limit, the best value counts; a run that only confirmed another is still not one of its own."""
    return [*confirmed(), events.Edited(99.0, {"limits": {}}, "me")]


CASES: list[tuple[str, list[Event], str, Limits, int]] = [
    ("one", searched(3.0, 1.0, 2.0), "minimize", Limits(), 1),
    ("most", searched(1.0, 3.0, 2.0), "maximize", Limits(), 1),
    ("even", searched(2.0, 1.0, 1.0), "minimize", Limits(), 1),
    ("retracted", retracted(), "minimize", Limits(), 2),
    ("outside", outside(), "minimize", Limits(), 2),
    ("confirmed", confirmed(), "minimize", Limits(confirm=2), 2),
    ("unconfirmed", no_longer_confirmed(), "minimize", Limits(confirm=2), 1),
]


def make(path: Path, batch: Sequence[Event], spec: StudySpec) -> None:
    store = open_store(path)
    store.create(spec, 0.0)
    opened = events.Opened(0.0, "s", "host", 1, 0.0, False, "0.1.0")
    store.append(spec.name, [opened, *batch], 0)
    store.close()


def cli(path: Path, *command: str) -> Any:
    run = CliRunner().invoke(app, [*command, "--storage", str(path), "--json"])
    assert run.exit_code == 0, run.output
    return json.loads(run.stdout)


def spared(result: ts.Result, folder: Path) -> list[int]:
    """The trials whose checkpoints the keeper leaves, of all that had some."""
    trials = Folder(folder)
    for number in range(result.ledger.size):
        path = trials.trial(number) / CHECKPOINT
        path.mkdir(parents=True)
        checkpoint.save(path, "state", 1)
    keeper = Keeper(trials, lambda _: None)
    keeper.look(result.ledger, range(result.ledger.size))
    return [
        k for k in range(result.ledger.size) if checkpoint.complete(trials.trial(k) / CHECKPOINT)
    ]


@pytest.mark.parametrize(
    ("name", "batch", "goal", "limits", "best"), CASES, ids=[c[0] for c in CASES]
)
def test_everybody_names_the_same_one(
    name: str, batch: list[Event], goal: Any, limits: Limits, best: int, tmp_path: Path
) -> None:
    path = tmp_path / "study.db"
    make(
        path,
        batch,
        StudySpec(name=name, space=SPACE, objectives=(Objective("loss", goal),), limits=limits),
    )
    with ts.Study.open(name, storage=path) as study:
        assert study.best.number == best, "before the history is read"
        summary = study.store.summary(name)
        assert study.store.verify(name) is None
        result = study.result()
        assert study.best.number == best
    value = result.trials[best].value
    assert (summary.best, summary.best_value) == (best, value)
    assert result.best.number == best
    assert [trial.number for trial in result.front] == [best]
    assert result.to_dict()["best"] == best
    assert f"(trial {best})" in repr(result)
    assert f"(trial {best})" in str(Feed().moment(result.ledger, time.time()))
    assert f"(trial {best})" in report(result.ledger)
    assert [(s["best"], s["best_value"]) for s in cli(path, "ls")] == [(best, value)]
    assert [trial["number"] for trial in cli(path, "show")["best"]] == [best]
    assert cli(path, "best")["number"] == best
    printed = CliRunner().invoke(app, ["show", "--storage", str(path)]).stdout
    assert f"(trial {best})" in printed


def test_the_keeper_spares_the_confirmed_one(tmp_path: Path) -> None:
    """With room for one only, of those that were run again the likeliest stays, not the luckiest run."""
    path = tmp_path / "study.db"
    limits = Limits(confirm=2, disk=1)
    make(
        path,
        confirmed(),
        StudySpec(name="s", space=SPACE, objectives=(Objective("loss"),), limits=limits),
    )
    with ts.Study.open("s", storage=path) as study:
        assert spared(study.result(), tmp_path / "trials") == [2]


def test_of_several_objectives_none_is_best(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    batch = [e for k, (a, b) in enumerate([(1, 9), (5, 5), (6, 6), (9, 1)]) for e in ran(k, a, b)]
    objectives = (Objective("loss"), Objective("size"))
    make(path, batch, StudySpec(name="two", space=SPACE, objectives=objectives))
    with ts.Study.open("two", storage=path) as study:
        with pytest.raises(ts.StudyError, match="no one trial is best"):
            _ = study.best
        result = study.result()
        assert study.store.summary("two").best is None
    members = [0, 1, 3]
    assert [trial.number for trial in result.front] == members
    assert result.to_dict()["best"] is None
    assert "best" not in str(Feed().moment(result.ledger, time.time()))
    assert "3 trials that no other beats" in str(Feed().moment(result.ledger, time.time()))
    assert cli(path, "ls")[0]["best"] is None
    shown = cli(path, "show")
    assert (shown["best"], [t["number"] for t in shown["front"]]) == ([], members)
    printed = CliRunner().invoke(app, ["show", "--storage", str(path)]).stdout
    assert "3 trials that no other beats" in printed
    assert "best:" not in printed


def test_a_front_of_two_objectives_is_that_of_three() -> None:
    """The fast way for two gives what the general one does, duplicates and ties included."""
    import numpy as np

    rng = np.random.default_rng(1)
    for _ in range(50):
        losses = rng.integers(0, 6, size=(30, 2)).astype(np.float64)
        general = front(np.column_stack([losses, np.zeros(30)]))
        assert front(losses).tolist() == general.tolist()
    assert front(np.empty((0, 2))).tolist() == []
