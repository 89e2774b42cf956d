"""A real PgBouncer in transaction mode before the server, and a server that is reached by TLS."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.postgres import Server, free_port, server
from tests.tuning.test_joined import is_whole, start

import tunesmith as ts
from tunesmith.core.errors import StoreUnreachable
from tunesmith.store import listen, open_store

SPACE = ts.Space(x=ts.Float(0, 1))


class Pooler:
    """A PgBouncer that lends two connections, each for one transaction at a time."""

    def __init__(self, behind: Server) -> None:
        self.port = free_port()
        self.folder = behind.folder / f"pooler-{self.port}"
        self.folder.mkdir()
        (self.folder / "users").write_text('"tester" ""\n')
        (self.folder / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={behind.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {self.folder}/users\n"
            "pool_mode = transaction\ndefault_pool_size = 2\nserver_login_retry = 1\n"
        )
        for path in (self.folder, *self.folder.iterdir()):
            behind.own(path)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program() or "", "-q", str(self.folder / "ini")], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **behind.runs_as,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def url(self, **options: str) -> str:
        return server().url(**options).replace(f":{server().port}/", f":{self.port}/")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def program() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.fixture(scope="module")
def pooler() -> Iterator[Pooler]:
    if program() is None:
        pytest.skip("there is no pgbouncer on this machine: apt-get install pgbouncer")
    with closing(Pooler(server())) as one:
        yield one


class TestPgBouncer:
    def test_studies(self, pooler: Pooler) -> None:
        url = pooler.url()
        with ts.Study.create(SPACE, name="s", storage=url, searcher="bayes", seed=1) as study:
            for _ in range(8):
                trial = study.ask()
                study.report(trial, step=1, value=0.5)
                study.tell(trial, trial.config["x"])
            study.enqueue({"x": 0.5})
            study.edit(trials=100)
            assert study.store.verify("s") is None
        with ts.Study.open("s", storage=url) as study:
            assert len(study.trials) == 9

    def test_more_processes_than_it_lends_connections(self, pooler: Pooler) -> None:
        """Who waits for the turn to ask holds one of the two, and who has it needs one more to end it."""
        url = pooler.url()
        processes = [start(url, 0.05, "bayes") for _ in range(4)]
        outputs = [p.communicate(timeout=200) for p in processes]
        assert [p.returncode for p in processes] == [0] * 4, outputs
        assert {out for out, _ in outputs} == {"24 all 24 trials have been run\n"}
        is_whole(url)

    def test_news_are_looked_for(self, pooler: Pooler, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listen, "_SELF_TEST_S", 0.2)
        url = pooler.url()
        with (
            ts.Study.create(SPACE, name="s", storage=url) as study,
            closing(open_store(url)) as other,
        ):
            at = other.cursor("s")
            other.wait("s", at, 0.1)
            study.ask()
            assert other.wait("s", at, 10.0)

    def test_a_server_that_is_stopped_hard_behind_it(self, pooler: Pooler) -> None:
        with ts.Study.create(SPACE, name="s", storage=pooler.url(), searcher="random") as study:
            study.tell(study.ask(), 0.5)
            server().stop(signal.SIGQUIT)
            server().start()
            for _ in range(3):
                study.tell(study.ask(), 0.5)
            assert [t.value for t in study.trials] == [0.5] * 4
            assert study.store.verify("s") is None


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server with a certificate that it made itself, and the certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl on this machine, to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    folder.chmod(0o755)
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    one = Server(certificate=(key, certificate))
    yield one, certificate
    one.remove()


class TestTLS:
    def test_a_server_that_is_who_it_says(self, secured: tuple[Server, Path]) -> None:
        one, certificate = secured
        url = one.url(sslmode="verify-full", sslrootcert=str(certificate)).replace(
            "127.0.0.1", "localhost"
        )
        with ts.Study.create(SPACE, name="s", storage=url, searcher="random") as study:
            study.tell(study.ask(), 0.5)
            encrypted = one.run(
                "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                "WHERE application_name = 'tunesmith'"
            )
            assert encrypted == [(True,)]

    @pytest.mark.parametrize(("host", "why"), [("127.0.0.1", "does not match"), ("localhost", "")])
    def test_one_that_is_not(
        self, secured: tuple[Server, Path], host: str, why: str, tmp_path: Path
    ) -> None:
        """Another host's certificate, or one that nobody vouches for."""
        one, certificate = secured
        options = {"sslrootcert": str(certificate)} if why else {"sslrootcert": "system"}
        url = one.url(sslmode="verify-full", **options).replace("127.0.0.1", host)
        with pytest.raises(StoreUnreachable, match=why or "certificate"):
            open_store(url)

    def test_a_server_without(self) -> None:
        with pytest.raises(StoreUnreachable, match="does not support SSL"):
            open_store(server().url(sslmode="require"))
