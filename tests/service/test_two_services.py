"""Two services of one database: what one of them deletes and makes anew, the other does not show as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres import server
from tests.service.running import Service

import tunesmith as ts
from tunesmith.core.errors import StudyNotFound


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Service, Service]]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    url = server().url()
    one = Service(url)
    try:
        other = Service(url)
        try:
            yield one, other
        finally:
            other.close()
    finally:
        one.close()


def make(storage: str, parameter: str, trials: int) -> None:
    with ts.Study.create(
        ts.Space({parameter: ts.Float(0, 1)}),
        metric="loss",
        name="s",
        storage=storage,
        searcher="random",
        seed=1,
    ) as study:
        for k in range(trials):
            study.tell(study.ask(), 0.25 * k)


_PATHS = ["", "/s", "/s/trials", "/s/trials/0", "/s/created", "/s/summary", "/s/heads", "/s/beats"]


def test_a_study_that_one_makes_anew_is_another_one_at_the_other(
    services: tuple[Service, Service],
) -> None:
    one, other = services
    token = one.token()  # of both: they have their state in common

    def look(service: Service, path: str) -> object:
        answer = service.ask("GET", f"/api/v1/studies{path}", token=token)
        # how long ago sessions were heard of differs by the time that a look takes
        return answer.status, [*answer.json] if path.endswith("beats") else answer.json

    for _ in range(2):
        make(one.url(token), "x", 3)
        client = ts.Study.open("s", storage=other.url(token))
        assert client.best.config.keys() == {"x"}
        for path in _PATHS:
            assert look(other, path) == look(one, path)
        one.ask("DELETE", "/api/v1/studies/s", token=token)
        make(one.url(token), "y", 2)
        for path in _PATHS:  # whichever is asked for first
            assert look(other, path) == look(one, path)
        with pytest.raises(StudyNotFound, match="made anew"):
            client.result()
        with pytest.raises(StudyNotFound, match="made anew"):
            client.enqueue({"x": 0.5})
        client.close()
        with ts.Study.open("s", storage=other.url(token)) as again:
            assert [set(t.config) for t in again.trials] == [{"y"}] * 2
        asked = other.ask("POST", "/api/v1/studies/s/ask", {"session": "w"}, token=token)
        assert set(asked.json["config"]) == {"y"}
        told = other.ask("POST", "/api/v1/studies/s/trials/2/tell", {"value": 0.5}, token=token)
        assert told.status == 200
        assert look(other, "/s") == look(one, "/s")
        one.ask("DELETE", "/api/v1/studies/s", token=token)
        assert look(other, "/s")[0] == 404  # type: ignore[index]
        assert look(other, "") == (200, {"studies": [], "next": None})


@pytest.mark.parametrize("first", ["ask", "tell", "enqueue"])
def test_a_worker_hears_that_its_study_is_gone(
    services: tuple[Service, Service], first: str
) -> None:
    """With its first request at the other service; nothing of it gets into the later study."""
    one, other = services
    token = one.token()
    make(one.url(token), "x", 1)
    assert other.ask("POST", "/api/v1/studies/s/ask", {"session": "w"}, token=token).status == 200
    one.ask("DELETE", "/api/v1/studies/s", token=token)
    make(one.url(token), "y", 0)
    path, body = {
        "ask": ("/ask", {"session": "w"}),
        "tell": ("/trials/1/tell", {"value": 0.5}),
        "enqueue": ("/trials", {"config": {"x": 0.5}}),
    }[first]
    answer = other.ask("POST", f"/api/v1/studies/s{path}", body, token=token)
    assert answer.status == 404
    assert one.ask("GET", "/api/v1/studies/s", token=token).json["cursor"] == 0
    asked = other.ask("POST", "/api/v1/studies/s/ask", {"session": "w"}, token=token)
    assert set(asked.json["config"]) == {"y"}
