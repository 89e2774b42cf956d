"""A PostgreSQL server for the tests: in a folder of its own, not as root, one for each process of tests.

Without PostgreSQL on this machine the tests that need it fail, and say how to install it (`tools/check` does).
"""

from __future__ import annotations

import atexit
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any, Final

import psycopg

#: Who runs the server where the tests are run by root, which it refuses.
_USERS: Final = ("postgres", "nobody")
_SCHEMAS: Final = itertools.count(1)
#: For its log as well: errors' texts are in English.
_ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "UTC"}


def programs() -> Path:
    """The folder with ``initdb`` and ``postgres``. Raises RuntimeError."""
    there = [shutil.which("initdb")]
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    there += [str(p) for p in sorted(versions, key=lambda p: float(p.parts[-3]), reverse=True)]
    for candidate in there:
        if (
            candidate is not None
            and (folder := Path(candidate).resolve().parent).joinpath("postgres").exists()
        ):
            return folder
    raise RuntimeError(
        "these tests start a PostgreSQL server, and there is none on this machine: apt-get install postgresql (or brew "
        "install postgresql); as root, tools/check does so by itself"
    )


class Server:
    """A server of our own, on 127.0.0.1. With ``durable=False`` it does not survive a power cut, and is quicker."""

    def __init__(
        self,
        *,
        durable: bool = False,
        certificate: tuple[Path, Path] | None = None,
        **settings: str,
    ) -> None:
        self._programs = programs()
        self.runs_as: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        if os.getuid() == 0:
            user = next(u for u in _USERS if u in {entry.pw_name for entry in pwd.getpwall()})
            entry = pwd.getpwnam(user)
            self.runs_as = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self._data = self.folder / "data"
        self._run("initdb", "--pgdata", self._data, "--username", "tester", "--encoding", "UTF8", "--no-sync",
                  "--locale", "C", "--auth", "trust")  # fmt: skip
        self.port = free_port()
        hba = "host all secretive all scram-sha-256\nhost all all all trust\nlocal all all trust\n"
        (self._data / "pg_hba.conf").write_text(hba)
        if certificate is not None:  # a key, and what it is for
            for path, name in zip(certificate, ("server.key", "server.crt"), strict=True):
                shutil.copy(path, self._data / name)
                (self._data / name).chmod(0o600)
                self.own(self._data / name)
            settings = {"ssl": "on", **settings}
        sync = "on" if durable else "off"
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": sync,
            "full_page_writes": sync,
            "max_connections": "100",
            "shared_buffers": "32MB",
            "autovacuum": "off",
            "log_min_messages": "fatal",
            **settings,
        }
        self._server: subprocess.Popen[bytes] | None = None
        self.start()

    def own(self, path: Path) -> None:
        """Give a file or folder to who runs the server."""
        if self.runs_as:
            os.chown(path, self.runs_as["user"], self.runs_as["group"])

    def _run(self, program: str, *arguments: Any) -> None:
        run = subprocess.run(
            [self._programs / program, *arguments], cwd=self.folder, env={**os.environ, **_ENVIRONMENT},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **self.runs_as,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout

    def start(self) -> None:
        """Begin, and be there."""
        options = [
            part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")
        ]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options], cwd=self.folder, stdout=log, stderr=log,
                env={**os.environ, **_ENVIRONMENT}, start_new_session=True, **self.runs_as,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.admin().close()
            except psycopg.OperationalError:
                assert self._server.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def stop(self, how: int = signal.SIGQUIT) -> None:
        """End it: SIGQUIT at once, as ``pg_ctl stop -m immediate`` does; SIGINT in order."""
        assert self._server is not None
        self._server.send_signal(how)
        self._server.wait(60)
        self._server = None

    def remove(self) -> None:
        if self._server is not None:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of the superuser."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="tester", dbname=database, autocommit=True
        )

    def run(self, *statements: str, database: str = "postgres") -> Any:
        """What the last of the statements gives."""
        with self.admin(database) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def url(self, *, user: str = "tester", database: str = "postgres", **options: str) -> str:
        """The URL of a database; in a schema that nobody else has, unless it is named."""
        options = {"schema": f"s{next(_SCHEMAS)}", **options}
        listed = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}?{listed}"

    def end_connections(self) -> int:
        """Terminate all of the store's connections, whatever they do; how many there were."""
        return len(self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tunesmith'"
        ))  # fmt: skip


@cache
def server() -> Server:
    """The server of this process's tests."""
    made = Server()
    atexit.register(made.remove)
    return made


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
