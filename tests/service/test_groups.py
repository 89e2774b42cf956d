"""What waits for one study at the same time is stored together: each has its own answer, and none before it is stored."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.service.running import Answer, Here, Service

import tunesmith as ts
from tunesmith.core import events
from tunesmith.service import groups
from tunesmith.store.sqlite import open_sqlite
from tunesmith.tuning.replay import replay


class Watched(Here):
    """A service whose transactions can be held up, counted, and made to fail."""

    def __init__(self, path: Path) -> None:
        store = open_sqlite(path)
        ts.Study.create(
            ts.Space(x=ts.Float(0, 1)), metric="loss", name="s", storage=store, searcher="random", seed=1,
            trials=1000,
        )  # fmt: skip
        self.go_on = threading.Event()
        self.go_on.set()
        self.transactions = 0
        #: What is raised when a transaction is over but for its commit, so often.
        self.failing: list[Exception] = []
        writing = store.writing

        @contextmanager
        def watched(name: str) -> Iterator[None]:
            assert self.go_on.wait(60)
            self.transactions += 1
            with writing(name):
                yield
                if self.failing:
                    raise self.failing.pop()

        store.writing = watched  # type: ignore[method-assign]
        super().__init__(store)

    def at_once(self, *requests: tuple[str, Any]) -> list[Answer]:
        """The answers to requests that all wait for the same transaction, in their order."""
        self.go_on.clear()
        self.transactions = 0
        with ThreadPoolExecutor(len(requests)) as pool:
            answers = []
            for n, (path, body) in enumerate(requests, 1):
                answers.append(pool.submit(self.ask, "POST", path, body))
                self.wait_until_waiting(n)
            self.go_on.set()
            return [answer.result() for answer in answers]

    def wait_until_waiting(self, n: int) -> None:
        until = time.monotonic() + 30
        while len(self.app.groups.waiting("s")) < n:
            assert time.monotonic() < until
            time.sleep(0.002)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(groups, "GROUP_S", 60.0)
    here = Watched(tmp_path / "s.db")
    yield here
    here.close()


def asked(here: Here, n: int) -> None:
    for k in range(n):
        assert here.ask("POST", "/s/ask", {"session": f"w{k}"}).json["number"] == k


def test_they_are_one_transaction_in_their_order(here: Watched) -> None:
    asked(here, 5)
    answers = here.at_once(*[(f"/s/trials/{n}/tell", {"value": n / 10}) for n in (3, 1, 4, 0, 2)])
    assert [answer.json["value"] for answer in answers] == [0.3, 0.1, 0.4, 0.0, 0.2]
    assert here.transactions == 1
    store = here.app.studies.store
    ends = [e.trial for e in store.changes("s") if isinstance(e, events.Finished)]
    assert ends == [3, 1, 4, 0, 2]
    assert store.verify("s") is None
    assert replay(store, "s").problems == []


def test_who_is_refused_is_refused_alone(here: Watched) -> None:
    asked(here, 3)
    answers = here.at_once(
        ("/s/trials/0/tell", {"value": 0.1}),
        ("/s/trials/0/tell", {"value": 0.2}),
        ("/s/trials/77/tell", {"value": 0.2}),
        ("/s/trials/1/tell", {"value": 0.2, "attempt": 5}),
        ("/s/trials/1/reports", {"points": [{"step": 1, "metrics": {"loss": 0.5}}]}),
        ("/s/trials/1/tell", {}),
        ("/s/ask", {"session": "w0"}),
        ("/s/ask", {"session": "w0"}),
        ("/s/trials/0/tell", {"value": 0.1}),
        ("/s/trials/0/reports", {"points": [{"step": 1, "metrics": {"loss": 0.5}}]}),
    )
    assert [answer.status for answer in answers] == [
        200,
        409,
        422,
        409,
        200,
        200,
        200,
        200,
        200,
        409,
    ]
    assert answers[5].json["value"] == 0.5
    assert answers[6].json["number"] == answers[7].json["number"] == 3
    assert here.transactions == 1
    with ts.Study.open("s", storage=here.app.studies.store) as study:
        assert [trial.value for trial in study.trials] == [0.1, 0.5, None, None]
        assert study.store.verify("s") is None


@pytest.mark.parametrize(
    "error", [ts.StoreFull("no space"), ts.StoreInterrupted("cut"), RuntimeError("a fault")]
)
def test_what_could_not_be_stored_together_is_stored_one_by_one(
    here: Watched, error: Exception
) -> None:
    asked(here, 4)
    here.failing = [error]
    answers = here.at_once(
        *[(f"/s/trials/{n}/tell", {"value": n / 10}) for n in range(3)],
        ("/s/trials/1/tell", {"value": 0.9}),
    )
    assert not here.failing
    assert here.transactions == 5 + isinstance(error, ts.StoreInterrupted)
    assert [answer.status for answer in answers] == [200, 200, 200, 409]
    with ts.Study.open("s", storage=here.app.studies.store) as study:
        assert [trial.value for trial in study.trials] == [0.0, 0.1, 0.2, None]
        assert study.store.verify("s") is None


def test_what_is_not_stored_is_not_acknowledged(here: Watched) -> None:
    asked(here, 3)
    here.failing = [ts.StoreFull("no space") for _ in range(9)]
    answers = here.at_once(*[(f"/s/trials/{n}/tell", {"value": 0.5}) for n in range(3)])
    assert {answer.status for answer in answers} == {507}
    here.failing = []
    for _ in range(2):  # sent again, as clients do, and once more
        again = [here.ask("POST", f"/s/trials/{n}/tell", {"value": 0.5}) for n in range(3)]
        assert [answer.status for answer in again] == [200, 200, 200]
    store = here.app.studies.store
    assert sum(isinstance(e, events.Finished) for e in store.changes("s")) == 3


def test_a_study_that_is_not_there(here: Watched) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda k: here.ask("POST", "/nowhere/ask", {"session": f"w{k}"}), range(20))
        )
    assert {answer.status for answer in answers} == {404}
    asked(here, 1)


def test_the_short_way_answers_as_the_long_one_does(here: Watched) -> None:
    """A number with so many zeros is left to the framework."""
    asked(here, 1)
    point = {"metrics": {"loss": 1.5}, "step": 1}
    for verb, body in [
        ("reports", {"points": [point]}), ("reports", {"points": [point], "attempt": 4}), ("reports", {"point": []}),
        ("tell", {"value": "?"}), ("tell", {"value": 1, "failed": "x"}), ("tell", {"value": 0.5}), ("tell", {"value": 0.7}),
    ]:  # fmt: skip
        short, long = (
            here.ask("POST", f"/s/trials/{number}/{verb}", body) for number in ("0", "00000000000")
        )
        assert (short.status, short.json) == (long.status, long.json)
        assert sorted(short.headers.keys()) == sorted(long.headers.keys())
    paths = json.loads(here.document().body)["paths"]
    for verb in ("ask", "trials/{number}/tell", "trials/{number}/reports"):
        assert "post" in paths[f"/api/v1/studies/{{name}}/{verb}"]


class Worker:
    """Asks and tells until it is over, whatever becomes of the service; what was acknowledged is noted."""

    def __init__(self, service: Service, name: str, acknowledged: dict[int, float]) -> None:
        self._service, self._name, self._acknowledged = service, name, acknowledged
        self._token = service.token("work")
        self.over = threading.Event()

    def work(self) -> None:
        while not self.over.is_set():
            trial = self._post("ask", {"session": self._name})
            told = {"value": trial["config"]["x"], "attempt": trial["attempt"]}
            ended = self._post(f"trials/{trial['number']}/tell", told)
            self._acknowledged[ended["number"]] = ended["value"]

    def _post(self, path: str, body: Any) -> Any:
        while True:
            try:
                answer = self._service.ask(
                    "POST", f"/api/v1/studies/s/{path}", body, token=self._token
                )
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
            else:
                assert answer.status == 200, answer
                return answer.json


def test_killed_while_many_tell(tmp_path: Path) -> None:
    """Whatever was acknowledged is there, once; and the history is whole."""
    service = Service(tmp_path / "s.db")
    ts.Study.create(
        ts.Space(x=ts.Float(0, 1)), metric="loss", name="s", storage=tmp_path / "s.db", searcher="random", seed=1
    ).close()  # fmt: skip
    acknowledged: dict[int, float] = {}
    workers = [Worker(service, f"w{k}", acknowledged) for k in range(12)]
    with ThreadPoolExecutor(len(workers)) as pool:
        working = [pool.submit(worker.work) for worker in workers]
        for _ in range(2):
            goal = len(acknowledged) + 30
            while len(acknowledged) < goal:
                assert not any(one.done() for one in working)
                time.sleep(0.01)
            service.stop()
            service.start()
        for worker in workers:
            worker.over.set()
        for one in working:
            one.result(60)
    service.close()
    with ts.Study.open("s", storage=tmp_path / "s.db") as study:
        assert study.store.verify("s") is None
        assert {trial.number: trial.value for trial in study.trials} == acknowledged
        ends = [e.trial for e in study.store.changes("s") if isinstance(e, events.Finished)]
        assert sorted(ends) == sorted(acknowledged)
        assert replay(study.store, "s").problems == []
