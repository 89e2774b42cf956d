"""PostgreSQL: locations, rights, versions, many at once, and connections that break at any moment."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.postgres import Server, server
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.core.errors import (
    Conflict,
    NotAStore,
    StoreError,
    StoreInterrupted,
    StoreLost,
    StoreReadOnly,
    StoreUnreachable,
    StoreVersionError,
    StudyExists,
    StudyNotFound,
)
from tunesmith.core.trial import State
from tunesmith.store import Database, listen, open_store, postgres
from tunesmith.store.journal import Journal
from tunesmith.store.migrate import upgrade
from tunesmith.store.postgres import PostgresSchema, make_engine
from tunesmith.store.schema import HEAD
from tunesmith.testing.stores import completed, opened, spec, suggested

SPACE = ts.Space(x=ts.Float(0, 1))


@pytest.fixture
def url() -> str:
    """A schema of nobody's yet."""
    return server().url()


def schema_of(url: str) -> str:
    return Database(url).schema


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "shown", "parameters"),
        [
            (
                "postgresql://me:s3cr%25t@db.example:5433/tuning?sslmode=verify-full",
                "postgresql://me@db.example:5433/tuning",
                {"user": "me", "password": "s3cr%t", "host": "db.example", "port": "5433", "dbname": "tuning",
                 "sslmode": "verify-full"},
            ),
            ("postgres:///tuning", "postgresql:///tuning", {"dbname": "tuning"}),
            ("postgresql+psycopg://u@h/d?schema=mine", "postgresql://u@h/d?schema=mine",
             {"user": "u", "host": "h", "dbname": "d"}),
            ("postgresql://u:p@ss@[::1]:77,b/d", "postgresql://u@[::1]:77,b/d",
             {"user": "u", "password": "p@ss", "host": "::1,b", "port": "77,", "dbname": "d"}),
            ("postgresql://u@%2Fvar%2Frun/d", "postgresql://u@%2Fvar%2Frun/d",
             {"user": "u", "host": "/var/run", "dbname": "d"}),
        ],
    )  # fmt: skip
    def test_are_taken_apart(self, url: str, shown: str, parameters: dict[str, str]) -> None:
        database = Database(url)
        assert (str(database), repr(database)) == (shown, f"<Database {shown}>")
        assert database.parameters == parameters

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("postgresql://me:s3cret@h:port/d", "'port' is no port"),
            ("postgresql://me:s3cret@h/d?schema=a.b;drop", "is no schema that can be used"),
        ],
    )
    def test_that_are_wrong(self, url: str, message: str) -> None:
        with pytest.raises(StoreError, match=message) as failure:
            open_store(url)
        assert "s3cret" not in str(failure.value)

    def test_the_files_of_trials(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No two databases share a folder, unless they say so."""
        monkeypatch.chdir(tmp_path)
        folders = [
            Database(f"postgresql://{where}").trials
            for where in ("h/d", "u:p@h/d", "g/d", "h/e", "h/d?schema=other", "h/d?trials=/shared")
        ]
        assert folders[0] == folders[1]
        assert len(set(folders)) == 5
        assert folders[0].parent == tmp_path
        assert folders[-1] == Path("/shared")


class TestDoors:
    """The same location wherever a file is."""

    def test_python(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for trials in (3, 5):
            result = ts.tune(lambda c: c["x"], SPACE, metric="loss", trials=trials, storage=url, progress=False, seed=1,
                             name="s")  # fmt: skip
            assert len(result.trials) == trials
        with ts.Study.open(storage=url) as study:
            assert len(study.trials) == 5
            trial = study.trials[0]
            assert study.checkpoint(trial) is None
        with ts.Study.create(SPACE, name="t", storage=url, warm_start="s") as study:
            study.tell(study.ask(), 0.5)
        with closing(open_store(url)) as store:
            assert store.names() == ["s", "t"]
            assert [store.verify(name) for name in store.names()] == [None, None]

    @pytest.mark.parametrize("by", ["option", "variable", "job file"])
    def test_the_command_line(
        self, url: str, tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        job = (
            "name: digits\ncommand: echo loss={x}\nobjective: {metric: loss}\nmetrics: {loss: 'loss={number}'}\n"
            "space: {x: {float: [0, 1]}}\nlimits: {trials: 2}\n"
        )
        (tmp_path / "job.yaml").write_text(
            job + (f"storage: '{url}'\n" if by == "job file" else "")
        )
        option = ["-s", url] if by == "option" else []
        environment = {"TUNESMITH_STORAGE": url if by == "variable" else None}
        for command in (
            ["doctor", "job.yaml"],
            ["run", "job.yaml", "--plain"],
            ["ls", "job.yaml"],
            ["show", "job.yaml"],
            ["trials", "job.yaml"],
            ["edit", "job.yaml"],
            ["export", "job.yaml", "-f", "json"],
            ["replay", "job.yaml"],
        ):
            outcome = CliRunner(env=environment).invoke(app, [*command, *option])
            assert outcome.exit_code == 0, (command, outcome.output)
        assert [p.suffix for p in tmp_path.iterdir() if p.is_dir()] == [".trials"]
        assert not list(tmp_path.glob("*.db"))

    def test_no_password_is_shown_or_stored(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither in what is printed, nor in what is exported, nor in any row."""
        monkeypatch.chdir(tmp_path)
        schema = f"secret{os.getpid()}"
        secretive(schema)
        url = server().url(user="secretive:s3cr%25t", schema=schema)
        (tmp_path / "job.yaml").write_text(
            "name: a\ncommand: echo loss={x}\nobjective: {metric: loss}\nmetrics: {loss: 'loss={number}'}\n"
            f"space: {{x: {{float: [0, 1]}}}}\nlimits: {{trials: 1}}\nstorage: '{url}'\n"
        )
        printed = ""
        for command in (
            ["doctor"],
            ["run", "--json"],
            ["show"],
            ["ls"],
            ["export", "-f", "json"],
            ["replay"],
        ):
            outcome = CliRunner().invoke(app, [command[0], "job.yaml", *command[1:]])
            assert outcome.exit_code == 0, outcome.output
            printed += outcome.output
        stored = str(server().run(f"SELECT * FROM {schema}.events"))
        stored += str(server().run(f"SELECT * FROM {schema}.studies"))
        stored += "".join(
            p.read_text() for p in tmp_path.rglob("*") if p.is_file() and p.name != "job.yaml"
        )
        for text in (printed, stored):
            assert "s3cr" not in text
        assert "secretive@127.0.0.1" in printed


def secretive(schema: str) -> None:
    """A user with a password, and a schema of theirs."""
    with server().admin() as admin:
        if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'secretive'").fetchone():
            admin.execute("CREATE USER secretive PASSWORD 's3cr%t'")
        admin.execute(f"CREATE SCHEMA {schema} AUTHORIZATION secretive")


class TestErrors:
    def refused(self, kind: type[StoreError], url: str) -> str:
        with pytest.raises(kind) as failure:
            open_store(url)
        assert type(failure.value) is kind
        assert "wr0ng" not in str(failure.value)
        return str(failure.value)

    def test_nobody_answers(self) -> None:
        text = self.refused(StoreUnreachable, "postgresql://me:wr0ng@127.0.0.1:1/d")
        assert text.startswith("postgresql://me@127.0.0.1:1/d: no PostgreSQL server answers there")

    def test_no_such_host(self) -> None:
        assert "no host of that name" in self.refused(
            StoreUnreachable, "postgresql://me:wr0ng@no-such-host.invalid/d"
        )

    def test_no_such_database(self) -> None:
        text = self.refused(StoreUnreachable, server().url(database="tunning"))
        assert "there is no database 'tunning' on that server; make it (createdb tunning)" in text

    def test_no_such_user(self) -> None:
        text = self.refused(StoreUnreachable, server().url(user="nobody_there"))
        assert "there is no user 'nobody_there' on that server" in text

    @pytest.mark.parametrize(
        ("login", "says"), [("secretive:wr0ng", "is wrong"), ("secretive", "needs a password")]
    )
    def test_the_password(self, login: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PGPASSWORD", raising=False)
        secretive(f"p{time.monotonic_ns()}")
        assert says in self.refused(StoreUnreachable, server().url(user=login))

    def test_an_unknown_option(self) -> None:
        assert "PostgreSQL knows no option 'colour'" in self.refused(
            StoreUnreachable, server().url(colour="red")
        )

    def test_no_right_to_make_tables(self, url: str) -> None:
        secretive(f"p{time.monotonic_ns()}")
        text = self.refused(StoreReadOnly, server().url(user="secretive:s3cr%25t"))
        assert "has no right to do that there" in text
        assert "permission denied for database postgres" in text

    def test_rights_to_read_only(self, url: str) -> None:
        """What is there can be looked at, and is left as it is."""
        with ts.Study.create(SPACE, name="s", storage=url) as study:
            study.tell(study.ask(), 0.5)
        secretive(f"p{time.monotonic_ns()}")
        schema = schema_of(url)
        server().run(
            f"GRANT USAGE ON SCHEMA {schema} TO secretive",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO secretive",
        )
        with ts.Study.open(storage=server().url(user="secretive:s3cr%25t", schema=schema)) as study:
            assert study.best.value == 0.5
            with pytest.raises(StoreReadOnly, match="no right to do that"):
                study.annotate(0, "seen")

    def test_rights_to_work(self, url: str) -> None:
        """As the guide grants them: one who may not make tables makes and removes studies."""
        open_store(url).close()
        secretive(f"p{time.monotonic_ns()}")
        schema = schema_of(url)
        server().run(
            f"GRANT USAGE ON SCHEMA {schema} TO secretive",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO secretive",
        )
        login = server().url(user="secretive:s3cr%25t", schema=schema)
        result = ts.tune(lambda c: c["x"], SPACE, trials=2, storage=login, name="s", progress=False)
        assert len(result.trials) == 2
        with closing(open_store(login)) as store:
            store.delete("s")
            assert store.names() == []

    def test_a_server_that_can_only_be_read(self, url: str) -> None:
        with ts.Study.create(SPACE, name="s", storage=url) as study:
            study.tell(study.ask(), 0.5)
        options = "-c%20default_transaction_read_only%3Don"
        with ts.Study.open(storage=f"{url}&options={options}") as study:
            assert len(study.trials) == 1
            with pytest.raises(StoreReadOnly, match="can only be read now"):
                study.annotate(0, "seen")

    def test_another_programs_tables(self, url: str) -> None:
        server().run(
            f"CREATE SCHEMA {schema_of(url)}", f"CREATE TABLE {schema_of(url)}.users (id int)"
        )
        text = self.refused(NotAStore, url)
        assert "it has the tables users" in text
        assert "?schema=NAME" in text

    def test_a_table_that_is_missing(self, url: str) -> None:
        open_store(url).close()
        server().run(f"DROP TABLE {schema_of(url)}.events")
        with closing(open_store(url)) as store:
            store.create(spec(), 1.0)
            with pytest.raises(NotAStore, match="a table is missing"):
                store.cursor("study")

    def test_without_the_package(self, tmp_path: Path) -> None:
        code = (
            "import sys; sys.modules['psycopg'] = None\n"
            "import tunesmith as ts\n"
            "try: ts.open_store('postgresql://me:wr0ng@h/d')\n"
            "except ts.StoreError as error: print(error)\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert "pip install 'tunesmith[postgres]'" in run.stdout
        assert "wr0ng" not in run.stdout + run.stderr

    def test_a_value_that_no_database_takes(self, url: str) -> None:
        with ts.Study.create(SPACE, name="s", storage=url) as study:
            trial = study.ask()
            study.annotate(trial.number, "a\0b")
            assert study.trials[0].notes == ("a\0b",)
            study.tell(trial, failed="\N{SNOWMAN}\n\\'\"%s; DROP TABLE studies; --")
            assert study.store.verify("s") is None


class TestVersions:
    def test_a_newer_one_is_refused_and_left_alone(self, url: str) -> None:
        open_store(url).close()
        table = f"{schema_of(url)}.tunesmith_version"
        server().run(f"UPDATE {table} SET version_num = '9999'")
        with pytest.raises(
            StoreVersionError, match=r"newer tunesmith \(schema 9999, this one knows up to"
        ):
            open_store(url)
        assert server().run(f"SELECT version_num FROM {table}") == [("9999",)]

    def test_the_migrations_make_the_tables_of_the_metadata(self, url: str) -> None:
        made, migrated = url, server().url()
        open_store(made).close()
        old(migrated, HEAD)
        assert tables(migrated) == tables(made)

    def test_an_older_one_is_upgraded(self, url: str) -> None:
        old(url, "0001")
        study = (
            f"INSERT INTO studies (name, created_at, spec) VALUES ('study', 1.0, '{old_spec()}')"
        )
        server().run(f"SET search_path TO {schema_of(url)}", study)
        threads = [threading.Thread(target=lambda: open_store(url).close()) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with closing(open_store(url)) as store:
            assert store.names() == ["study"]
            store.append("study", [opened(), suggested(0), completed(0, 0.5)], 0)
            store.beat("study", "s")
            assert store.verify("study") is None
        fresh = server().url()
        open_store(fresh).close()
        assert tables(url) == tables(fresh)

    def test_an_upgrade_that_is_cut_short_leaves_the_old_one(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old(url, "0001")
        before = tables(url)

        def cut(connection: Any) -> None:
            upgrade(connection)
            server().end_connections()
            connection.exec_driver_sql("SELECT 1")

        with monkeypatch.context() as patch:
            patch.setattr("tunesmith.store.migrate.upgrade", cut)
            with pytest.raises(StoreInterrupted):
                open_store(url)
        assert tables(url) == before
        open_store(url).close()
        assert tables(url) != before


def old(url: str, version: str) -> None:
    """Make the tables that an earlier version made."""
    dialect = PostgresSchema(Database(url))
    engine = make_engine(dialect)
    server().run(f"CREATE SCHEMA {dialect.schema}")
    with engine.connect() as connection, dialect.transaction(connection, write=True, study=None):
        upgrade(connection, version)
    engine.dispose()


def old_spec() -> str:
    import json

    return json.dumps(spec().to_dict())


def tables(url: str) -> Any:
    schema = schema_of(url)
    return (
        server().run(
            "SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity, "
            f"character_maximum_length FROM information_schema.columns WHERE table_schema = '{schema}' ORDER BY 1, 2"
        ),
        server().run(
            f"SELECT tablename, indexname FROM pg_indexes WHERE schemaname = '{schema}' ORDER BY 1, 2"
        ),
        server().run(
            "SELECT conname, contype, confdeltype FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace "
            f"WHERE nspname = '{schema}' ORDER BY 1"
        ),
    )


class TestManyAtOnce:
    def test_sixteen_make_the_tables_and_the_study(self) -> None:
        for _ in range(3):
            url = server().url()
            outcomes: list[str] = []
            begin = threading.Barrier(16)

            def work(
                url: str = url, begin: threading.Barrier = begin, outcomes: list[str] = outcomes
            ) -> None:
                begin.wait()
                try:
                    with closing(open_store(url)) as store:
                        try:
                            store.create(spec(), 1.0)
                            outcomes.append("made")
                        except StudyExists:
                            outcomes.append("there")
                        store.cursor("study")
                except Exception as error:  # noqa: BLE001 (shown below)
                    outcomes.append(repr(error))

            threads = [threading.Thread(target=work) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(outcomes) == ["made", *["there"] * 15]

    def test_an_id_is_never_given_twice(self, url: str) -> None:
        """Who still holds a deleted study must not write into its successor."""
        with closing(open_store(url)) as one, closing(open_store(url)) as other:
            one.create(spec(), 1.0)
            one.append("study", [opened()], 0)
            assert other.cursor("study") == 1
            one.delete("study")
            one.create(spec(), 2.0)
            with pytest.raises(StudyNotFound, match="made anew"):
                other.append("study", [suggested(0)], 1)
            with pytest.raises(Conflict):
                other.append("study", [suggested(0)], 1)
            assert one.cursor("study") == 0

    def test_readers_see_one_moment(self, url: str) -> None:
        with closing(open_store(url)) as store, closing(open_store(url)) as other:
            store.create(spec(), 1.0)
            with other.writing("study"):
                other.append("study", [opened(), suggested(0)], 0)
                assert store.cursor("study") == 0, "no reader waits for a writer"
            assert store.summary("study").counts[State.RUNNING] == 1


class TestPoolers:
    def test_nothing_of_a_session_is_relied_upon(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As behind a pooler that lends another connection for each transaction: all there is goes before each."""
        transaction = PostgresSchema.transaction

        def elsewhere(self: Any, connection: Any, **options: Any) -> Any:
            connection.connection.driver_connection.execute("DISCARD ALL")
            return transaction(self, connection, **options)

        monkeypatch.setattr(PostgresSchema, "transaction", elsewhere)
        statements: list[str] = []
        execute = psycopg.Cursor.execute

        def recorded(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            statements.append(str(query))
            return execute(self, query, *arguments, **options)

        monkeypatch.setattr(psycopg.Cursor, "execute", recorded)
        with ts.Study.create(SPACE, name="s", storage=url, searcher="bayes", seed=1) as study:
            for _ in range(3):
                study.tell(study.ask(), 0.5)
            assert study.store.verify("s") is None
        prepared = server().run("SELECT count(*) FROM pg_prepared_statements")
        assert prepared == [(0,)]
        lasting = [
            s
            for s in statements
            if re.search(r"\bSET (?!LOCAL)", s) and not re.search(r"\bUPDATE\b", s)
        ]
        assert lasting == []
        assert not any("pg_advisory_lock" in s for s in statements)


class TestNews:
    def test_arrive_at_once(self, url: str) -> None:
        """Not only when one looks, which is every second where they are heard."""
        with closing(open_store(url)) as one, closing(open_store(url)) as other:
            one.create(spec(), 1.0)
            assert not other.wait("study", 0, 0.1)
            assert other._dialect._news.heard  # type: ignore[attr-defined]
            before = other._dialect._news._connection  # type: ignore[attr-defined]
            assert before is not None
            one.append("study", [opened()], 0)
            (message,) = before.notifies(timeout=10.0, stop_after=1)
            assert message.channel == f"tunesmith_{schema_of(url)}"
            assert other.wait("study", 0, 0.0)

    def test_are_looked_for_where_a_pooler_drops_them(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listen, "_SELF_TEST_S", 0.05)
        monkeypatch.setattr(psycopg.Connection, "notifies", lambda *_, **__: iter(()))
        with closing(open_store(url)) as one, closing(open_store(url)) as other:
            one.create(spec(), 1.0)
            assert not other.wait("study", 0, 0.1)
            one.append("study", [opened()], 0)
            assert other.wait("study", 0, 10.0)
            assert not other._dialect._news.heard  # type: ignore[attr-defined]

    def test_a_connection_that_breaks_is_made_again(self, url: str) -> None:
        with closing(open_store(url)) as store:
            store.create(spec(), 1.0)
            for expect in range(2):
                assert not store.wait("study", expect, 0.1)
                server().end_connections()
                store.append("study", [opened()], expect)
                assert store.wait("study", expect, 10.0)


class TestBrokenConnections:
    def test_an_idle_one_is_made_again(self, url: str) -> None:
        with ts.Study.create(SPACE, name="s", storage=url) as study:
            for number in range(5):
                trial = study.ask()
                assert server().end_connections() >= 1
                study.tell(trial, float(number))
                server().end_connections()
                assert len(study.trials) == number + 1
            assert study.store.verify("s") is None

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_at_the_commit(self, url: str, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The answer is lost: what was stored is recognised, what was not is stored."""
        cuts: list[int] = []
        send = PostgresSchema._send

        def cut(self: Any, driver: Any, end: str = "") -> None:
            if end and not cuts:
                cuts.append(1)
                if when == "after":
                    send(self, driver, end)
                server().end_connections()
                driver.execute("SELECT 1")
            send(self, driver, end)

        with closing(open_store(url)) as store:
            store.create(spec(), 1.0)
            with monkeypatch.context() as patch:
                patch.setattr(PostgresSchema, "_send", cut)
                assert store.append("study", [opened(), suggested(0)], 0) == 2
            assert cuts
            journal = Journal(store, "study")
            journal.refresh()
            cuts.clear()
            with monkeypatch.context() as patch:
                patch.setattr(PostgresSchema, "_send", cut)
                journal.write(lambda ledger: [completed(0, 0.5)])
            assert cuts
            assert store.cursor("study") == 3
            assert journal.ledger.cursor == 3
            assert store.verify("study") is None

    @pytest.mark.parametrize("verb", ["create", "delete"])
    def test_a_study_is_made_and_removed_once(
        self, url: str, verb: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cuts: list[int] = []
        transaction = PostgresSchema.transaction

        def cut(self: Any, connection: Any, *, write: bool, **options: Any) -> Any:
            inner = transaction(self, connection, write=write, **options)
            if write and not cuts:
                cuts.append(1)
                return Cut(inner)
            return inner

        with closing(open_store(url)) as store:
            if verb == "delete":
                store.create(spec(), 1.0)
            with monkeypatch.context() as patch:
                patch.setattr(PostgresSchema, "transaction", cut)
                if verb == "create":
                    store.create(spec(), 1.0)
                else:
                    store.delete("study")
            assert cuts
            assert store.names() == (["study"] if verb == "create" else [])

    def test_another_writer_of_the_same_name_is_no_lost_answer(self, url: str) -> None:
        with closing(open_store(url)) as store:
            store.create(spec(), 1.0)
            with pytest.raises(StudyExists):
                store.create(spec(), 1.0)

    def test_a_silent_writer_is_put_out(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """One whose network is cut in the middle of a transaction keeps nobody from writing for long."""
        monkeypatch.setattr(postgres, "SILENT_WRITER_S", 1)
        with closing(open_store(url)) as silent, closing(open_store(url)) as store:
            store.create(spec(), 1.0)

            def hangs() -> None:
                with silent.writing("study"):
                    silent.append("study", [opened("silent")], 0)
                    assert silent.cursor("study") == 1
                    assert store.append("study", [opened("other")], 0) == 1

            with pytest.raises(StoreInterrupted):
                hangs()
            assert store.cursor("study") == 1
            assert silent.append("study", [suggested(0)], 1) == 2
            assert store.verify("study") is None

    @pytest.mark.parametrize("seen", [True, False], ids=["restarted", "behind a pooler"])
    def test_a_database_that_was_set_back(
        self, url: str, seen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Results that had been stored are gone: it is said, and what is known is saved."""
        monkeypatch.chdir(tmp_path)
        with ts.Study.create(SPACE, name="s", storage=url) as study:
            for _ in range(3):
                study.tell(study.ask(), 0.5)
            server().run(f"DELETE FROM {schema_of(url)}.events WHERE seq > 4")
            if seen:
                server().end_connections()
            with pytest.raises(StoreLost, match="set back to an earlier state") as lost:
                study.tell(study.ask(), 0.25)
            (saved,) = tmp_path.glob("*.json")
            assert str(saved) in str(lost.value)
            assert saved.read_text().count('"completed"') >= 3
            monkeypatch.setattr(study, "_session", None)


class Cut:
    """A transaction whose connection breaks after its commit."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._inner.__exit__(*error)
        if error[0] is None:
            server().end_connections()
            raise psycopg.OperationalError("server closed the connection unexpectedly")


# -- killed at any moment ----------------------------------------------------------------------------

#: Asks and tells until the study is over, and prints what has been acknowledged.
ASKER = """
import sys, time, tunesmith as ts
study = ts.Study.open("s", storage=sys.argv[1])
print("begun", flush=True)
try:
    while True:
        trial = study.ask()
        time.sleep(0.1)  # or it is over before its connections have been ended a few times
        value = trial.config["x"]
        study.report(trial, step=1, loss=value + 1)
        study.tell(trial, value)
        print(trial.number, repr(value), flush=True)
except ts.StudyOver:
    print("over", flush=True)
study.close()
"""
#: The same with the loop of `tune`.
TUNER = """
import sys, time, tunesmith as ts
def objective(config, trial):
    if trial.number == 0: print("begun", flush=True)
    time.sleep(0.1)
    trial.report(step=1, loss=config["x"] + 1)
    return config["x"]
result = ts.tune(objective, ts.Space(x=ts.Float(0, 1)), metric="loss", name="s", storage=sys.argv[1], trials=int(sys.argv[2]),
                 searcher="random", seed=1, progress=False)
for trial in result.trials: print(trial.number, repr(trial.value), flush=True)
print("over", flush=True)
"""


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server that outlives being killed."""
    made = Server(durable=True)
    yield made
    made.remove()


class TestInterrupted:
    @pytest.mark.timeout(60)
    def test_ctrl_c_in_the_middle_of_a_message_breaks_that_one_alone(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def torn(self: PostgresSchema, driver: Any, end: str = "") -> None:
            self._put_off = []
            driver.pgconn.send_query(b"SELECT 1")  # its answer is still to come
            raise KeyboardInterrupt

        study = ts.Study.create(SPACE, name="s", metric="loss", storage=url, searcher="random")
        with closing(study):
            trial = study.ask()
            with monkeypatch.context() as patch:
                patch.setattr(PostgresSchema, "_send", torn)
                with pytest.raises(KeyboardInterrupt):
                    study.tell(trial, 1.0)
            study.tell(trial, 0.5)
            assert study.trials[0].value == 0.5
            assert study.store.verify("s") is None


class TestKilled:
    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("program", [ASKER, TUNER], ids=["ask and tell", "tune"])
    def test_nothing_is_lost_and_nothing_is_there_twice(
        self, durable: Server, program: str
    ) -> None:
        """Connections end at random moments, and the server too: ``-m immediate``, as with ``kill -9``."""
        url, trials = durable.url(), 60
        ts.Study.create(
            SPACE, name="s", metric="loss", trials=trials, storage=url, searcher="random", seed=1
        ).close()
        workers = [
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", program, url, str(trials)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2 if program == ASKER else 1)
        ]
        for worker in workers:  # a server that was never there is not looked for
            assert worker.stdout is not None
            assert worker.stdout.readline() == "begun\n"
        rng, kills, stops = random.Random(1), 0, 0
        while any(worker.poll() is None for worker in workers):
            time.sleep(rng.uniform(0.0, 0.3))
            if rng.random() < 0.1 and stops < 4:
                stops += 1
                durable.stop(signal.SIGQUIT)
                time.sleep(rng.uniform(0.0, 0.5))
                durable.start()
            elif kills < 50:
                kills += durable.end_connections() > 0
        outputs = []
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stderr is not None
            outputs.append((worker.stdout.read(), worker.stderr.read()))
            worker.stdout.close()
            worker.stderr.close()
        assert [worker.returncode for worker in workers] == [0] * len(workers), outputs
        assert kills + stops > 3, "they were quicker than that: more trials are needed"
        acknowledged = [
            (int(number), float(value))
            for out, _ in outputs
            for number, value in (line.split() for line in out.splitlines() if line != "over")
        ]
        assert all(out.endswith("over\n") for out, _ in outputs)
        with ts.Study.open("s", storage=url) as study:
            stored = [(trial.number, trial.value) for trial in study.trials]
            assert sorted(acknowledged) == stored
            assert [number for number, _ in stored] == list(range(trials))
            assert all(len(trial.reports) == 1 for trial in study.trials)
            assert study.store.verify("s") is None
            assert study.result().ended_by == "trials"
