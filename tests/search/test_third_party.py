"""Searchers of other packages are found by entry point or import path, and survive a resume."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.packages import install

import tunesmith as ts
from tunesmith import search
from tunesmith.core.study import Strategy
from tunesmith.strategy import registry

MODULE = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Corner:
    at: float = 0.0

    def suggest(self, space, history, n, rng):
        return [space.corner(self.at)] * n

class Unusable:
    def suggest(self, space, history, n, rng):
        return []
"""


@pytest.fixture(autouse=True)
def _nothing_is_allowed_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_allowed", {})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a searcher."""
    point = "tunesmith.searchers: corner = corner_search:Corner"
    install(tmp_path, monkeypatch, "corner_search", MODULE, point)
    return tmp_path


SPACE = ts.Space(x=ts.Float(0, 1), k=ts.Int(1, 9))


@pytest.mark.parametrize("name", ["corner", "corner_search:Corner"])
def test_by_name(package: Path, name: str) -> None:
    if ":" in name:
        with pytest.raises(
            ts.StrategyNotAllowed, match=r"tunesmith.allow_strategy\('corner_search:"
        ):
            ts.Study.create(SPACE, searcher=name)
        ts.allow_strategy(name)
    assert ("corner" in search.names()) or ":" in name
    result = ts.tune(
        lambda c: c["x"], SPACE, searcher={name: {"at": 1.0}}, trials=1, progress=False
    )
    assert result.trials[0].config == {"x": 1.0, "k": 9}
    assert result.trials[0].origin.searcher == name


def test_as_an_object_and_resumed_by_name(package: Path, tmp_path: Path) -> None:
    from corner_search import Corner  # type: ignore[import-not-found]

    for trials in (1, 2):
        result = ts.tune(
            lambda c: c["x"],
            SPACE,
            searcher=Corner(at=0.5),
            trials=trials,
            storage=tmp_path / "study.db",
            name="study",
            duplicates=True,
            progress=False,
        )
    assert result.spec.searcher == Strategy("corner_search:Corner", {"at": 0.5})
    assert [t.config for t in result.trials] == [SPACE.corner(0.5)] * 2
    code = (
        "import tunesmith as ts, sys; study = ts.Study.open(storage='study.db'); study.edit(trials=3)\n"
        "try: study.ask()\n"
        "except ts.StrategyNotAllowed: assert 'corner_search' not in sys.modules\n"
        "else: raise SystemExit('made by a name in the store')\n"
        "ts.allow_strategy('corner_search:Corner'); print(study.ask().config)"
    )
    search_path = {**os.environ, "PYTHONPATH": str(package)}
    elsewhere = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=search_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert elsewhere.stdout.strip() == str(SPACE.corner(0.5)), elsewhere.stderr


def test_a_scheduler_as_an_object(tmp_path: Path) -> None:
    from tunesmith.schedule.median import Median

    for scheduler in (Median(), StopAtOnce(), StopAtOnce()):
        result = ts.tune(
            reporting,
            SPACE,
            scheduler=scheduler,
            trials=2,
            storage=tmp_path / "study.db",
            progress=False,
        )
    assert result.spec.scheduler == Strategy(f"{__name__}:StopAtOnce")


@dataclass(frozen=True)
class StopAtOnce:
    def decide(self, history: ts.History, trial: int) -> ts.Decision:
        return ts.Decision(ts.Verdict.STOP, "at once")


def reporting(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    trial.report(step=1, value=config["x"])
    return float(config["x"])


def test_mistakes_are_named(package: Path) -> None:
    from corner_search import Unusable

    with pytest.raises(ts.StrategyError, match="did you mean 'corner'"):
        ts.Study.create(SPACE, searcher="corne")
    with pytest.raises(ts.StrategyError, match="no option 'att'; did you mean 'at'"):
        ts.Study.create(SPACE, searcher={"corner": {"att": 1}})
    ts.allow_strategy("no_such_module:Thing")
    with pytest.raises(ts.StrategyError, match="cannot be imported"):
        ts.Study.create(SPACE, searcher="no_such_module:Thing")
    with pytest.raises(ts.StrategyError, match="has to be a dataclass"):
        ts.tune(lambda c: c["x"], SPACE, searcher=Unusable(), trials=1, progress=False)
