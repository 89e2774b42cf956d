"""`tunesmith serve` as a process: it begins, says where, lets in whom it should, and ends."""

from __future__ import annotations

import gc
import http.client
import json
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from tests.postgres import free_port
from tests.service.running import Service
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.service import server
from tunesmith.store import location_of, open_store
from tunesmith.tuning.place import state_of


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path / "studies.db")
    yield service
    service.close()


def test_a_code_is_swapped_for_a_cookie_once(service: Service) -> None:
    assert service.ask("GET", "/healthz").status == 200
    parts = urlsplit(service.login)
    assert (parts.hostname, parts.port) == ("127.0.0.1", service.port)
    swapped = service.ask("GET", f"/?{parts.query}&view=1")
    assert (swapped.status, swapped.headers["location"]) == (303, "?view=1")
    cookie = swapped.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    mine = {"Cookie": cookie.partition(";")[0]}
    assert service.ask("GET", "/", headers=mine).status == 200
    assert service.ask("GET", f"/?{parts.query}").status == 401
    assert service.ask("GET", "/").status == 401
    service.stop(signal.SIGKILL)
    service.start()
    assert service.ask("GET", "/", headers=mine).status == 200, "it outlives the process"
    assert (
        service.ask(
            "DELETE", "/session", {}, headers={**mine, "Sec-Fetch-Site": "same-origin"}
        ).status
        == 204
    )
    assert service.ask("GET", "/", headers=mine).status == 401


def test_what_it_has_done(service: Service) -> None:
    token = service.token("read")
    assert service.ask("GET", "/readyz").body.startswith(b"ok")
    service.ask("GET", "/api/v1/studies/secret/summary", token=token)
    text = service.ask("GET", "/metrics", token=token).body.decode()
    route = "/api/v1/studies/{name}/summary"
    assert f'tunesmith_requests_total{{route="{route}",method="GET",status="404"}} 1' in text
    assert "secret" not in text
    assert service.ask("GET", "/metrics").status == 401


def test_without_tokens_pages_of_others_are_kept_out(tmp_path: Path) -> None:
    service = Service(tmp_path / "studies.db", "--no-token")
    try:
        with ts.Study.create(ts.Space(x=ts.Float(0, 1)), name="s", storage=service.url()) as study:
            study.tell(study.ask(), 0.5)
        beat = "/api/v1/studies/s/beats/me"
        for headers in (
            {"Origin": "http://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Content-Type": "text/plain"},
        ):
            assert service.ask("PUT", beat, {}, headers=headers).status == 403
        assert service.ask("PUT", beat, {}, headers={"Sec-Fetch-Site": "same-origin"}).status == 204
        assert service.ask("GET", "/", headers={"Host": "evil.example"}).status == 421
    finally:
        service.close()


def test_it_ends_in_order_though_somebody_looks_on(tmp_path: Path) -> None:
    """And has written a line for each request."""
    service = Service(tmp_path / "studies.db", "--access-log")
    token = service.token()
    ts.Study.create(ts.Space(x=ts.Float(0, 1)), name="s", storage=service.url(token)).close()
    looking = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    looking.request("GET", "/api/v1/studies/s/stream", headers={"Authorization": f"Bearer {token}"})
    stream = looking.getresponse()
    assert stream.status == 200
    process = service._process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    stream.read()  # it comes to its end
    looking.close()
    assert process.wait(60) in (0, -signal.SIGTERM)
    lines = [json.loads(line) for line in service.said.splitlines() if line.startswith("{")]
    assert {"path": "/api/v1/studies/s/stream", "status": 200}.items() <= lines[-1].items()
    assert token not in str(lines)


def test_garbage_that_full_collections_leave_out_is_collected_by_and_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Node:
        def __init__(self) -> None:
            self.itself = self

    monkeypatch.setattr(gc, "callbacks", [])
    callbacks = gc.callbacks
    server._shorten_pauses()
    (after,) = callbacks
    node = Node()
    there = weakref.ref(node)
    try:
        for n in range(1, 2 * server._WHOLE + 1):
            gc.collect()
            after("stop", {"generation": 2})
            assert (gc.get_freeze_count() > 0) == (n % server._WHOLE > 0)
            if n == 1:
                del node
            if n == 2:
                assert there() is not None
    finally:
        gc.unfreeze()
    assert there() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "give --tls-cert and --tls-key"),
        (["--tls-cert", "a.pem"], "belong together"),
        (["--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"], "cannot be used"),
        (["-s", "http://127.0.0.1:1"], "is a service already"),
        (["--no-token", "--behind-proxy", "10.0.0.1"], "for 127.0.0.1 alone"),
        (["--host", "nowhere.invalid", "--behind-proxy", "10.0.0.1"], "cannot listen at"),
    ],
)
def test_what_would_not_be_safe(tmp_path: Path, options: list[str], message: str) -> None:
    answer = CliRunner().invoke(app, ["serve", "-s", str(tmp_path / "s.db"), *options])
    assert message in str(answer.exception)


def test_what_was_begun_is_ended_where_the_service_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one may have the folder of jobs, and the port, at once."""
    location = location_of(tmp_path / "studies.db")
    assert location is not None
    described = tmp_path / "sagemaker.yaml"
    described.write_text("{keys: {}}")
    described.chmod(0o600)
    records = state_of(location) / "sagemaker" / "tuning"
    records.mkdir(parents=True)
    (records / "broken.json").write_text("{")
    port, before = free_port(), threading.active_count()
    with closing(open_store(location)) as store:
        address = server.Address(port=port, jobs=1, sagemaker=described)
        for _ in range(2):
            with pytest.raises(msgspec.DecodeError):
                server.serve(store, location, address, lambda _: None)
        assert threading.active_count() == before
        monkeypatch.setattr(server, "_shorten_pauses", lambda: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                server.serve(store, location, server.Address(port=port, jobs=1), lambda _: None)
    assert threading.active_count() == before
