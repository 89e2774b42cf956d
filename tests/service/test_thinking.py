"""While a model is asked, or a report is made, everybody else goes on with the same study."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.service.running import Here

import tunesmith as ts
from tunesmith.analysis import report
from tunesmith.analysis.landscape import Surroundings
from tunesmith.search.bayes import Bayes
from tunesmith.store.sqlite import open_sqlite
from tunesmith.tuning.replay import replay


class Held:
    """A function that waits until it may go on, from the time that it is held."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.began, self.go_on = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.began.set()
        assert self.go_on.wait(60)
        return self._function(*arguments, **named)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    space = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))
    store = open_sqlite(tmp_path / "s.db")
    ts.Study.create(
        space, metric="loss", name="s", storage=store, searcher="bayes", seed=1, trials=50
    )
    here = Here(store)
    for k in range(12):
        number = here.ask("POST", "/s/ask", {"session": "a"}).json["number"]
        if k < 11:
            told = here.ask("POST", f"/s/trials/{number}/tell", {"value": 1 / (k + 1)})
            assert told.status == 200, told
    yield here
    here.close()
    assert replay(store, "s").proven
    assert store.verify("s") is None


def others_go_on(here: Here) -> None:
    assert here.ask("GET", "/s").status == 200
    assert here.ask("GET", "/s/trials/3").status == 200
    assert here.ask("POST", "/s/ask", {"session": "a"}).json["number"] == 11
    assert (
        here.ask(
            "POST", "/s/trials/11/reports", {"points": [{"step": 1, "metrics": {"loss": 0.6}}]}
        ).status
        == 200
    )
    assert here.ask("POST", "/s/trials/11/tell", {"value": 0.5}).status == 200


def test_a_model(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(Bayes.suggest)

    def suggest(self: Bayes, *arguments: Any) -> Any:
        return held(self, *arguments)

    monkeypatch.setattr(Bayes, "suggest", suggest)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(here.ask, "POST", "/s/ask", {"session": "b"})
        assert held.began.wait(60)
        others_go_on(here)
        assert not asked.done()
        held.go_on.set()
        assert asked.result().json["number"] == 12
    # what was told meanwhile is known to the next one, and the trial to who asks again
    assert here.ask("POST", "/s/ask", {"session": "b"}).json["number"] == 12
    trial = here.ask("POST", "/s/ask", {"session": "a"}).json
    assert trial["number"] == 13
    assert here.ask("GET", "/s").json["counts"]["completed"] == 12


def test_a_report(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(report.report)
    monkeypatch.setattr(report, "report", held)
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(here.ask, "GET", "/s/report")
        assert held.began.wait(60)
        others_go_on(here)
        assert not shown.done()
        held.go_on.set()
        assert shown.result().status == 200


def test_the_model_of_a_figure(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is fitted while everybody, those who look at the same study too, goes on; and once for all figures."""
    held, fitted = Held(Surroundings.fit), list[int]()

    def fit(self: Surroundings) -> Any:
        fitted.append(self.trial)
        return held(self)

    monkeypatch.setattr(Surroundings, "fit", fit)
    with ThreadPoolExecutor(2) as pool:
        shown = pool.submit(here.ask, "GET", "/s/figures/slice?parameter=x")
        assert held.began.wait(60)
        others = [pool.submit(here.ask, "GET", f"/s/{what}") for what in ("trials", "figures/best")]
        try:
            assert [other.result(60).status for other in others] == [200, 200]
            assert not shown.done()
        finally:
            held.go_on.set()
        assert shown.result().json["data"]
    for figure in ("slice?parameter=y", "contour?parameter=x&other=y", "doubt?parameter=x&other=y"):
        assert here.ask("GET", f"/s/figures/{figure}").status == 200, figure
    assert len(fitted) == 1
