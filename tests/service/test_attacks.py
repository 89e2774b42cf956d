"""Hostile requests: no 500, nothing read or written that should not be. What each is against: docs/decisions/0039."""

from __future__ import annotations

import http.client
import json
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.running import Service
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.core import codec, events
from tunesmith.service import streams
from tunesmith.service.audit import Audit
from tunesmith.service.tokens import Tokens
from tunesmith.testing.stores import spec

SCOPES = ("read", "work", "control", "submit", "admin")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    service = Service(Path(tempfile.mkdtemp()) / "studies.db")
    with ts.Study.create(
        ts.Space(x=ts.Float(0, 1)), name="s", storage=service.url(service.token())
    ) as study:
        study.tell(study.ask(), 0.5)
    yield service
    service.close()


@pytest.fixture(scope="module")
def tokens(service: Service) -> dict[str, str]:
    return {scope: service.token(scope) for scope in SCOPES}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cookie(service: Service) -> dict[str, str]:
    answer = service.ask("POST", "/session", {"token": service.token()})
    assert answer.status == 204
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def raw(service: Service, request: bytes, *, to_the_end: bool = False) -> bytes:
    """What is answered to these very bytes; `to_the_end` of the connection, or of a while."""
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.settimeout(0.5 if to_the_end else 20.0)
        connection.sendall(request)
        got = b""
        try:
            while data := connection.recv(65536):
                got += data
                if b"\r\n\r\n" in got and not to_the_end:
                    break
        except TimeoutError:
            pass
        return got


class TestHosts:
    @pytest.mark.parametrize(
        "host",
        ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "localhost.", "127.0.0.1.:80", "", "a b", "[::1",
         "127.0.0.1:80:80", "user@127.0.0.1", "127.1", "2130706433", "127.0.0.1, evil.example"],
    )  # fmt: skip
    def test_strangers(self, service: Service, tokens: dict[str, str], host: str) -> None:
        answer = service.ask("GET", "/api/v1/names", token=tokens["admin"], headers={"Host": host})
        assert answer.status in (400, 421), answer
        assert answer.body != b"s"

    @pytest.mark.parametrize(
        "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:9", "[::1]", "[::1]:8765"]
    )
    def test_ours(self, service: Service, tokens: dict[str, str], host: str) -> None:
        answer = service.ask("GET", "/api/v1/names", token=tokens["admin"], headers={"Host": host})
        assert answer.json == {"names": ["s"]}

    def test_none_and_two(self, service: Service) -> None:
        for hosts in (b"", b"Host: localhost\r\nHost: evil.example\r\n"):
            got = raw(service, b"GET /healthz HTTP/1.1\r\n" + hosts + b"\r\n")
            assert got.startswith(b"HTTP/1.1 4"), got

    def test_no_address_is_made_of_it(self, service: Service, cookie: dict[str, str]) -> None:
        for path in ("//evil.example/", "/api/v1/names/", "/session/"):
            answer = service.ask(
                "GET", path, headers={**cookie, "X-Forwarded-Host": "evil.example"}
            )
            assert "evil" not in str(answer.headers.get("location", ""))
            assert not str(answer.headers.get("location", "")).startswith("http")

    def test_who_asks_is_not_believed(self, service: Service) -> None:
        """Else limits by address, and what the audit log says, are void."""
        for n in range(12):
            answer = service.ask(
                "GET",
                "/api/v1/names",
                token=f"wrong{n}",
                headers={"X-Forwarded-For": f"10.0.0.{n}"},
            )
        assert answer.status == 429


class TestOtherSites:
    """What a page of another site can make a browser send: cookies, and no headers of its own."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example", "Content-Type": "text/plain"},
            {"Origin": "http://evil.example", "Content-Type": "application/x-www-form-urlencoded"},
            {"Origin": "http://evil.example", "Content-Type": "application/json"},
            {"Origin": "null", "Content-Type": "application/json"},
            {"Origin": "http://127.0.0.1:1", "Content-Type": "application/json"},
            {"Origin": "https://127.0.0.1", "Content-Type": "application/json"},
            {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"},
            {"Sec-Fetch-Site": "same-site", "Content-Type": "application/json"},
            {"Content-Type": "application/json"},
            {"Sec-Fetch-Site": "same-origin", "Content-Type": "text/plain"},
        ],
    )
    def test_change_nothing(
        self, service: Service, cookie: dict[str, str], headers: dict[str, str]
    ) -> None:
        body = json.dumps({"spec": spec("foreign").to_dict(), "at": 1.0}).encode()
        answer = service.ask("POST", "/api/v1/studies", body, headers={**cookie, **headers})
        assert answer.status == 403
        assert service.ask("GET", "/api/v1/names", headers=cookie).json == {"names": ["s"]}

    def test_our_page_does(self, service: Service, cookie: dict[str, str]) -> None:
        for headers in (
            {"Origin": f"http://127.0.0.1:{service.port}"},
            {"Sec-Fetch-Site": "same-origin"},
        ):
            answer = service.ask(
                "PUT", "/api/v1/studies/s/beats/me", {}, headers={**cookie, **headers}
            )
            assert answer.status == 204

    def test_no_cors(self, service: Service) -> None:
        headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        for method in ("OPTIONS", "GET"):
            answer = service.ask(method, "/api/v1/studies", headers=headers)
            assert not [
                name for name in answer.headers if name.lower().startswith("access-control")
            ]

    def test_a_bearer_is_no_cookie_and_no_query(
        self, service: Service, tokens: dict[str, str], cookie: dict[str, str]
    ) -> None:
        secret = cookie["Cookie"].partition("=")[2]
        assert service.ask("GET", "/api/v1/names", token=secret).status in (401, 429)
        name = cookie["Cookie"].partition("=")[0]
        assert (
            service.ask(
                "GET", "/api/v1/names", headers={"Cookie": f"{name}={tokens['admin']}"}
            ).status
            == 401
        )
        assert service.ask("GET", f"/api/v1/names?token={tokens['admin']}").status == 401

    def test_what_every_answer_has(self, service: Service, cookie: dict[str, str]) -> None:
        for path in ("/", "/healthz", "/api/v1/names", "/nowhere", "/api/v1/openapi.json"):
            answer = service.ask("GET", path, headers=cookie)
            policy = answer.headers["content-security-policy"]
            for part in (
                "default-src 'self'",
                "object-src 'none'",
                "frame-ancestors 'none'",
                "form-action 'self'",
            ):
                assert part in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-opener-policy"] == "same-origin"
            assert "server" not in answer.headers


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["..", "%2e%2e", "%2e%2e%2f", "%252e%252e%252f", "..%2fs", "..;/s", "%23", "%3f", "..%5cs", "%00", "s%00", "/s",
         "%2fetc%2fpasswd", "s%2f..%2fs", "jobs", "events", "a" * 101, "%ff", "%f0%9f%98%80", "s%0d%0aX:%20y"],
    )  # fmt: skip
    def test_that_are_none(self, service: Service, tokens: dict[str, str], name: str) -> None:
        for path in (f"/api/v1/studies/{name}", f"/static/{name}"):
            for rest in ("/events", "/summary", ""):
                answer = service.ask("GET", path + rest, token=tokens["admin"])
                assert answer.status in (404, 405), (path + rest, answer)


class TestBodies:
    def test_too_long(self, service: Service, tokens: dict[str, str]) -> None:
        headers = f"Host: localhost\r\nAuthorization: Bearer {tokens['admin']}\r\n".encode()
        declared = (
            b"POST /api/v1/studies HTTP/1.1\r\nContent-Length: 200000000\r\n" + headers + b"\r\n"
        )
        assert b" 413 " in raw(service, declared).split(b"\r\n")[0]
        chunks = b"".join(b"10000\r\n" + b"a" * 65536 + b"\r\n" for _ in range(17)) + b"0\r\n\r\n"
        streamed = (
            b"POST /api/v1/studies HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
            + headers
            + b"\r\n"
            + chunks
        )
        assert b" 413 " in raw(service, streamed).split(b"\r\n")[0]

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b'{"spec": {}, "at": NaN}',
         b'{"spec": {}, "at": 1e999}', b'{"spec": {}, "at": ' + b"9" * 5000 + b"}", b'{"spec": {"name": 7}, "at": 1}',
         b'{"spec": {"name": "x", "space": {"x": {"float": [1e400, 2]}}}, "at": 1}', b'{"spec": [], "at": 1}',
         json.dumps({"spec": {str(n): n for n in range(50_000)}, "at": 1}).encode()],
        ids=range(14),
    )  # fmt: skip
    def test_that_are_no_study(self, service: Service, tokens: dict[str, str], body: bytes) -> None:
        for path in (
            "/api/v1/studies",
            "/api/v1/studies/s/events?expect=0",
            "/api/v1/studies/s/turns/ask",
        ):
            answer = service.ask("POST", path, body, token=tokens["admin"])
            if body or path == "/api/v1/studies":
                assert answer.status in (412, 413, 422), (path, answer)
            assert "Traceback" not in answer.body.decode()
        assert service.ask("GET", "/api/v1/names", token=tokens["admin"]).json == {"names": ["s"]}

    def test_compressed(self, service: Service, tokens: dict[str, str]) -> None:
        answer = service.ask(
            "POST",
            "/api/v1/studies",
            b"x",
            token=tokens["admin"],
            headers={"Content-Encoding": "gzip"},
        )
        assert answer.status == 415

    @pytest.mark.parametrize(
        "head",
        [b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n",
         b"X: a\n b\r\nContent-Length : 0\r\n", b"Content-Length: +5\r\n", b"Transfer-Encoding: xchunked\r\n"],
    )  # fmt: skip
    def test_two_meanings(self, service: Service, head: bytes) -> None:
        """What a proxy and we might understand differently."""
        got = raw(
            service,
            b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n0\r\n\r\nG",
            to_the_end=True,
        )
        assert got.count(b"HTTP/1.1 ") == 1, got
        assert got.startswith(b"HTTP/1.1 4"), got


class TestScopes:
    ROUTES = (
        ("read", "GET", "/api/v1/studies/s/events", None),
        ("read", "GET", "/api/v1/studies/s/summary", None),
        ("read", "POST", "/api/v1/studies/s/verify", None),
        ("work", "PUT", "/api/v1/studies/s/beats/x", None),
        ("work", "PUT", "/api/v1/studies/s/lease", {"holder": "x", "ttl_s": 0}),
        ("work", "POST", "/api/v1/studies/s/turns/write", {"holder": "x"}),
        ("work", "GET", "/api/v1/studies/s/events?turn=x", None),
        ("work", "DELETE", "/api/v1/studies/s/turns/write", {"holder": "x"}),
        ("control", "DELETE", "/api/v1/studies/nowhere", None),
        ("control", "POST", "/api/v1/studies/s/resume", None),
        ("admin", "GET", "/api/v1/tokens", None),
    )

    @pytest.mark.parametrize(("least", "method", "path", "body"), ROUTES)
    def test_of_routes(
        self,
        service: Service,
        tokens: dict[str, str],
        least: str,
        method: str,
        path: str,
        body: Any,
    ) -> None:
        for scope in SCOPES:
            answer = service.ask(method, path, body, token=tokens[scope])
            allowed = SCOPES.index(scope) >= SCOPES.index(least)
            assert (answer.status != 403) == allowed, (scope, answer)
        assert service.ask(method, path, body).status == 401

    @pytest.mark.parametrize(
        "event",
        [events.Edited(1.0, {"limits": {"trials": 1}}, "me"), events.Corrected(1.0, 0, (9.0,), {}, "why", "me"),
         events.Retracted(1.0, 0, "why", "me"), events.StopRequested(1.0, "me")],
    )  # fmt: skip
    def test_of_events(self, service: Service, tokens: dict[str, str], event: events.Event) -> None:
        cursor = service.ask("GET", "/api/v1/studies/s/events", token=tokens["read"]).headers[
            "tunesmith-cursor"
        ]
        path, body = f"/api/v1/studies/s/events?expect={cursor}", codec.encode(event).encode()
        for scope in ("read", "work"):
            assert service.ask("POST", path, body, token=tokens[scope]).status == 403
        assert (
            service.ask("GET", "/api/v1/studies/s/events", token=tokens["read"]).headers[
                "tunesmith-cursor"
            ]
            == cursor
        )

    def test_of_authors(self, service: Service, tokens: dict[str, str]) -> None:
        """Nobody writes in another's name, but who brings a whole history; the library writes in the token's."""
        ana = service.tokens.create("ana", "control")[0]
        with ts.Study.open("s", storage=service.url(ana)) as study:
            study.annotate(0, "mine")
            study.edit(trials=77)
            notes = [
                e
                for e in study.store.changes("s")
                if isinstance(e, events.Annotated | events.Edited)
            ]
        assert {event.by for event in notes} == {"ana"}

        def append(event: events.Event, token: str) -> Any:
            read = service.ask("GET", "/api/v1/studies/s/events", token=token)
            path = f"/api/v1/studies/s/events?expect={read.headers['tunesmith-cursor']}"
            return service.ask("POST", path, codec.encode(event).encode(), token=token)

        for event in (
            events.Annotated(1.0, 0, "forged", {}, "bob"),
            events.Edited(1.0, {"limits": {"trials": 1}}, "bob"),
            events.Corrected(1.0, 0, (9.0,), {}, "why", "tunesmith"),
            events.Retracted(1.0, 0, "why", "Ana"),
            events.StopRequested(1.0, ""),
        ):
            refused = append(event, ana)
            assert (refused.status, refused.json["code"]) == (403, "author"), event
            assert "this token is 'ana'" in refused.json["detail"]
        assert append(events.Annotated(1.0, 0, "late", {}, "tunesmith"), ana).status == 200
        assert append(events.Annotated(1.0, 0, "once", {}, "bob"), tokens["admin"]).status == 200

    def test_of_studies(self, service: Service) -> None:
        mine = service.token("work", studies=("s",))
        other = service.token("admin", studies=("other",))
        assert service.ask("GET", "/api/v1/names", token=other).json == {"names": []}
        assert service.ask("GET", "/api/v1/studies/s/summary", token=other).status == 404
        assert service.ask("DELETE", "/api/v1/studies/s", token=other).status == 404
        assert service.ask("GET", "/api/v1/studies/s/summary", token=mine).status == 200
        new = {"spec": spec("new").to_dict(), "at": 1.0}
        assert service.ask("POST", "/api/v1/studies", new, token=mine).status == 404

    def test_no_get_changes_anything(self, service: Service, tokens: dict[str, str]) -> None:
        routes = service.ask("GET", "/api/v1/openapi.json", token=tokens["read"]).json["paths"]
        before = service.ask("GET", "/api/v1/studies/s/events", token=tokens["read"]).body
        for path in [
            p for p, verbs in routes.items() if "get" in verbs and not p.endswith("/stream")
        ]:
            filled = path.replace("{name}", "s").replace("{number}", "0")
            answer = service.ask("GET", filled.replace("{figure}", "history"), token=tokens["read"])
            assert answer.status < 500, (path, answer)
        assert service.ask("GET", "/api/v1/studies/s/events", token=tokens["read"]).body == before

    def test_a_session_of_others(self, service: Service, tokens: dict[str, str]) -> None:
        answer = service.ask("GET", "/api/v1/studies/s/events", token=tokens["read"])
        session = codec.decode(answer.body.decode().split("\n")[0])
        assert isinstance(session, events.Opened)
        forged = events.Opened(1.0, session.session, "elsewhere", 7, 0.0)
        path = f"/api/v1/studies/s/events?expect={answer.headers['tunesmith-cursor']}"
        refused = service.ask("POST", path, codec.encode(forged).encode(), token=tokens["work"])
        assert refused.status == 422
        assert "another process's" in refused.json["detail"]


class TestStreams:
    def test_a_token_has_so_many(self, service: Service, cookie: dict[str, str]) -> None:
        """Those of its cookies count with it; others have their own, and one that ends makes room."""
        secret, other = service.token("read"), service.token("read")
        path = "/api/v1/studies/s/stream"

        def answered(token: str) -> tuple[int, http.client.HTTPConnection]:
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status, connection

        def look(token: str) -> http.client.HTTPConnection:
            status, connection = answered(token)
            assert status == 200
            return connection

        open_ones = [look(secret) for _ in range(streams.MOST)]
        try:
            refused = service.ask("GET", path, token=secret)
            assert (refused.status, refused.json["code"]) == (429, "streams")
            assert refused.headers["retry-after"]
            page = service.ask("POST", "/session", {"token": secret}).headers["set-cookie"]
            mine = {"Cookie": page.partition(";")[0]}
            assert service.ask("GET", "/page/studies/s/hints", headers=mine).status == 429
            look(other).close()
            assert service.ask("GET", "/api/v1/names", token=secret).status == 200
            open_ones.pop().close()
            until = time.monotonic() + 60
            while (again := answered(secret))[0] != 200:  # it is seen to be closed by and by
                again[1].close()
                assert time.monotonic() < until
                time.sleep(0.3)
            open_ones.append(again[1])
        finally:
            for connection in open_ones:
                connection.close()


class TestTokens:
    def test_expire_and_are_revoked(self, tmp_path: Path) -> None:
        now = [1000.0]
        tokens = Tokens(tmp_path / "t.json", lambda: now[0])
        secret, token = tokens.create("a", "work", days=1)
        other = Tokens(tmp_path / "t.json", lambda: now[0])
        assert other.find(secret) is not None
        assert secret not in (tmp_path / "t.json").read_text()
        assert (tmp_path / "t.json").stat().st_mode & 0o077 == 0
        _, child = other.create("page", "work", days=30, cookie=True, parent=token)
        assert child.expires_at == token.expires_at
        now[0] += 86401
        assert other.find(secret) is None
        assert tokens.all() == []
        lasting, token = tokens.create("b", "read")
        cookie, _ = tokens.create("page", "read", days=30, cookie=True, parent=token)
        assert other.find(cookie) is not None
        tokens.revoke("b")
        assert (other.find(lasting), other.find(cookie)) == (None, None)

    @pytest.mark.parametrize(
        ("name", "scope", "days"),
        [("", "work", None), ("a\nb", "work", None), ("a", "wrok", None), ("a", "work", -1.0)],
    )
    def test_that_make_no_sense(self, name: str, scope: str, days: float | None) -> None:
        with pytest.raises(ts.StudyError):
            Tokens(None).create(name, scope, days=days)

    def test_the_command(self, service: Service) -> None:
        def run(*words: str) -> Any:
            return CliRunner().invoke(app, ["token", *words, "-s", service.storage])

        secret = run("create", "laptop", "--scope", "read", "--study", "s").stdout.strip()
        assert service.ask("GET", "/api/v1/names", token=secret).json == {"names": ["s"]}
        listed = run("list").stdout
        assert "laptop" in listed
        assert secret not in listed
        assert run("revoke", "laptop").exit_code == 0
        assert service.ask("GET", "/api/v1/names", token=secret).status in (401, 429)
        assert "did you mean 'revoke'" in str(run("revok", "laptop").exception)

    def test_over_http(self, service: Service, tokens: dict[str, str]) -> None:
        made = service.ask(
            "POST", "/api/v1/tokens", {"name": "ci", "scope": "work"}, token=tokens["admin"]
        )
        assert made.status == 201
        assert service.ask("GET", "/api/v1/names", token=made.json["token"]).status == 200
        listed = service.ask("GET", "/api/v1/tokens", token=tokens["admin"])
        assert made.json["token"] not in listed.body.decode()
        assert made.json["id"] in listed.body.decode()
        gone = service.ask("DELETE", f"/api/v1/tokens/{made.json['id']}", token=tokens["admin"])
        assert gone.status == 204
        assert service.ask("GET", "/api/v1/names", token=made.json["token"]).status in (401, 429)

    def test_a_valid_one_is_let_in_among_wrong_ones(
        self, service: Service, tokens: dict[str, str]
    ) -> None:
        answers = [service.ask("GET", "/api/v1/names", token=f"ts_{n}").status for n in range(12)]
        assert answers[-1] == 429
        assert service.ask("GET", "/api/v1/names", token=tokens["read"]).status == 200


def test_the_place_of_the_store_is_nobodys_business(
    service: Service, tokens: dict[str, str]
) -> None:
    for path in ("/api/v1/studies/nowhere/summary", "/api/v1/openapi.json"):
        assert service.storage not in service.ask("GET", path, token=tokens["read"]).body.decode()


def test_who_did_what(service: Service, tokens: dict[str, str]) -> None:
    service.ask("DELETE", "/api/v1/studies/gone%0aEvil%1b%5b2J%e2%80%ae", token=tokens["control"])
    service.ask("DELETE", "/api/v1/studies/s", token=tokens["read"])
    text = (Path(service.storage).with_suffix(".service") / "audit.log").read_text()
    assert text.isprintable() or all(c.isprintable() or c == "\n" for c in text)
    lines = [json.loads(line) for line in text.splitlines()]
    assert {(line["path"], line["status"]) for line in lines} >= {("/api/v1/studies/s", 403)}
    assert any("gone" in line["path"] and line["name"] == "test" for line in lines)
    assert not any(secret in text for secret in tokens.values())


@pytest.mark.parametrize(
    ("peer", "forwarded", "status", "address"),
    [
        ("10.0.0.1", "6.6.6.6, 7.7.7.7", 200, "7.7.7.7"),
        ("10.0.0.9", "7.7.7.7", 403, "10.0.0.9"),
        ("127.0.0.1", "7.7.7.7", 200, "127.0.0.1"),
    ],
)
def test_who_asks_is_said_by_the_proxy_alone(
    peer: str, forwarded: str, status: int, address: str
) -> None:
    """The last address of X-Forwarded-For is the proxy's own word; whoever comes past the proxy is sent away."""
    import asyncio

    from tunesmith.service.app import make
    from tunesmith.store import MemoryStore

    served = make(MemoryStore(), proxies=("10.0.0.1",))
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": "/healthz", "raw_path": b"/healthz", "query_string": b"", "scheme": "http",
        "headers": [(b"host", b"localhost"), (b"x-forwarded-for", forwarded.encode())], "client": (peer, 1),
        "server": ("127.0.0.1", 80), "root_path": "", "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(served(scope, receive, send))
    assert (sent[0]["status"], scope["client"][0]) == (status, address)


def test_the_audit_log_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.service.audit.MOST", 1000)
    audit = Audit(tmp_path / "audit.log")
    for _ in range(30):
        audit.note({"client": None, "method": "GET", "path": "/x" * 300, "state": {}}, 403)
    audit.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 4000


def test_headers_that_do_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that sends no whole header is closed; one in a request is not."""
    import asyncio

    from tunesmith.service import protocol

    monkeypatch.setattr(protocol, "HEADER_S", 0.05)

    async def run() -> bytes:
        import uvicorn

        async def answers(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(0.2)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})

        config = uvicorn.Config(
            answers, port=0, log_level="critical", lifespan="off", **protocol.limits()
        )
        server = uvicorn.Server(config)
        listening = socket.create_server(("127.0.0.1", 0))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        port = listening.getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        first = await reader.readuntil(b"done")
        writer.write(b"GET / HTTP/1.1\r\nHo")
        first += await reader.read()
        writer.close()
        server.should_exit = True
        await running
        listening.close()
        return first

    begun = time.monotonic()
    assert asyncio.run(run()).count(b"HTTP/1.1 200") == 1
    assert time.monotonic() - begun < 30
