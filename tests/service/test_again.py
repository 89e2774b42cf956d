"""Requests that are sent again because the service was killed before it answered: each counts once."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.running import Answer, Service

import tunesmith as ts
from tunesmith.core import events
from tunesmith.store import open_store
from tunesmith.testing.stores import spec


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path / "studies.db")
    yield service
    service.close()


class Client:
    """Sends a request until it is answered."""

    def __init__(self, service: Service) -> None:
        self._service, self._token = service, service.token()

    def ask(self, method: str, path: str, body: Any, key: str | None = None) -> Answer:
        headers = {} if key is None else {"Idempotency-Key": key}
        until = time.monotonic() + 120
        while True:
            try:
                answer = self._service.ask(
                    method, f"/api/v1/studies{path}", body, token=self._token, headers=headers
                )
                if answer.status not in (409, 503) or answer.json["code"] not in (
                    "busy",
                    "StoreLocked",
                ):
                    return answer
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < until
            time.sleep(0.02)


def created(service: Service) -> None:
    space = ts.Space(x=ts.Float(0, 1))
    ts.Study.create(
        space, metric="loss", name="s", storage=service.storage, searcher="random"
    ).close()


def killed(service: Service) -> None:
    service.stop()
    service.start()


def test_after_a_kill(service: Service) -> None:
    """What was done is recognised in the history; what only looks like it is done."""
    created(service)
    client = Client(service)
    new = {"spec": spec("new").to_dict(), "at": 1.0}
    point = {"points": [{"metrics": {"loss": 0.5}}, {"metrics": {"loss": 0.5}}]}
    for again in (False, True):
        assert client.ask("POST", "", new, "new").status == 201
        assert client.ask("POST", "", new).status == 409
        assert client.ask("POST", "/s/ask", {"session": "w"}).json["number"] == 0
        assert client.ask("POST", "/s/trials/0/reports", point, "points").status == 200
        if not again:
            killed(service)
    assert client.ask("POST", "/s/trials/0/reports", point, "more points").status == 200
    for again in (False, True):
        queued = [
            client.ask("POST", "/s/trials", {"config": {"x": 0.5}}, key).json["number"]
            for key in "ab"
        ]
        assert queued == [1, 2]
        assert client.ask("POST", "/s/trials/0/tell", {"value": 0.25}).status == 200
        assert client.ask("POST", "/s/stop", None).status == 202
        if not again:
            killed(service)
    other = client.ask("POST", "/s/trials", {"config": {"x": 0.75}}, "a")
    assert other.status == 422, "the key was used for something else"
    with ts.Study.open("s", storage=service.storage) as study:
        assert [report.step for report in study.trials[0].reports] == [1, 2, 3, 4]
        assert study.trials[0].value == 0.25
        history = list(study.store.changes("s"))
    assert sum(isinstance(event, events.StopRequested) for event in history) == 1


def test_while_it_is_killed(service: Service) -> None:
    """At moments that nobody chooses, with requests on their way."""
    created(service)
    client, count = Client(service), 30
    number = client.ask("POST", "/s/ask", {"session": "w"}).json["number"]
    failed: list[str] = []

    def work(path: str, body: dict[str, Any]) -> None:
        for n in range(count):
            answer = client.ask("POST", path, body, f"{path} {n}")
            if answer.status >= 400:
                failed.append(json.dumps(answer.json))

    threads = [
        threading.Thread(target=work, args=("/s/trials", {"config": {"x": 0.5}})),
        threading.Thread(
            target=work,
            args=(f"/s/trials/{number}/reports", {"points": [{"metrics": {"loss": 1.0}}]}),
        ),
    ]
    for thread in threads:
        thread.start()
    kills = 0
    while any(thread.is_alive() for thread in threads) and kills < 3:
        time.sleep(0.15 + 0.1 * kills)
        killed(service)
        kills += 1
    for thread in threads:
        thread.join(240)
    assert not failed
    store = open_store(service.storage)
    history = list(store.changes("s"))
    store.close()
    assert sum(isinstance(event, events.Enqueued) for event in history) == count
    assert sum(isinstance(event, events.Reported) for event in history) == count
    assert kills >= 1
