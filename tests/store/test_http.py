"""Studies of a service: the same location wherever a file is, connections that break, a server that is killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.service.running import Service as Running
from tests.service.running import emptied
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.core import events
from tunesmith.core.errors import (
    Conflict,
    NotAStore,
    StoreError,
    StoreReadOnly,
    StoreUnreachable,
    StudyExists,
)
from tunesmith.store import Service, line, open_store
from tunesmith.store.journal import Journal
from tunesmith.testing.stores import completed, opened, spec, suggested

SPACE = ts.Space(x=ts.Float(0, 1))
SECRET = "ts_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@pytest.fixture
def url() -> str:
    return emptied()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A service of one's own, to be killed."""
    service = Running(tmp_path / "studies.db")
    yield service
    service.close()


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "shown", "parts"),
        [
            (f"http://{SECRET}@tuner:8765", "http://tuner:8765", ("tuner", 8765, "", SECRET, False)),
            (f"https://me:{SECRET}@tuner.example/", "https://tuner.example", ("tuner.example", 443, "", SECRET, True)),
            ("http://[::1]:99/a/b", "http://[::1]:99/a/b", ("::1", 99, "/a/b", "", False)),
        ],
    )  # fmt: skip
    def test_are_taken_apart(
        self, url: str, shown: str, parts: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TUNESMITH_TOKEN", raising=False)
        place = Service(url)
        assert (str(place), repr(place)) == (shown, f"<Service {shown}>")
        assert (place.host, place.port, place.prefix, place.token, place.secure) == parts
        monkeypatch.setenv("TUNESMITH_TOKEN", "ts_other")
        assert place.token == parts[3] or "ts_other"

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            (f"http://{SECRET}@h:port", "'port' is no port"),
            (f"http://{SECRET}@/x", "there is no host"),
            (f"http://{SECRET}@h?schema=a", "no option 'schema'"),
            (f"http:/{SECRET}@h", "as text"),
            (f"http://{SECRET}%0a@h", "is TUNESMITH_TOKEN right"),
            (f"http://{SECRET}@127.0.0.1:1", "nothing answers there"),
        ],
    )
    def test_that_are_wrong(self, url: str, message: str) -> None:
        with pytest.raises(StoreError, match=message) as failure:
            open_store(url)
        assert SECRET[:-1] not in str(failure.value)

    def test_the_files_of_trials(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        folders = [
            Service(f"http://{where}").trials
            for where in ("h:1", "token@h:1", "h:2", "h:1/prefix", "h:1?trials=/shared")
        ]
        assert folders[0] == folders[1]
        assert len(set(folders)) == 4
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
            study.edit(trials=9)
            study.correct(0, 0.5, why="typo")
            study.retract(1, why="wrong data")
            study.annotate(0, "a note")
            assert study.enqueue({"x": 0.5}).number == 5
            assert study.ask().number == 5
            assert study.spec.limits.trials == 9
        assert ts.Study.open("s", storage=url).store.verify("s") is None

    def test_the_command_line(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And its token is not said."""
        monkeypatch.chdir(tmp_path)
        place = Service(url)
        monkeypatch.setenv("TUNESMITH_STORAGE", str(place))
        monkeypatch.setenv("TUNESMITH_TOKEN", place.token)
        (tmp_path / "job.yaml").write_text(
            'name: job\ncommand: python3 -c \'import os; print(os.environ.get("TUNESMITH_TOKEN")); print("loss=", {x})\'\n'
            "objective: {metric: loss}\nmetrics: {loss: 'loss= {number}'}\nspace: {x: {float: [0, 1]}}\n"
            "limits: {trials: 2}\nsearcher: random\n"
        )
        said = ""
        for command in ("run job.yaml", "ls", "show job", "best job", "trials job", "replay job", "doctor", "export job",
                        "enqueue job x=0.5", "annotate job 0 hello", "show job --trial 0"):  # fmt: skip
            run = CliRunner().invoke(app, command.split())
            said += run.output
            assert run.exit_code == 0, (command, run.output, run.exception)
        assert place.token not in said
        assert str(place) in said

    def test_several_share_a_study(self, url: str, tmp_path: Path) -> None:
        code = (
            "import sys, tunesmith as ts\n"
            "result = ts.tune(lambda c: c['x'], ts.Space(x=ts.Float(0, 1)), metric='loss', trials=12, storage=sys.argv[1],\n"
            "                 join=True, progress=False, seed=1, name='s', searcher='random')\n"
            "print(len(result.trials))\n"
        )
        runs = [
            subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             cwd=tmp_path) for _ in range(3)
        ]  # fmt: skip
        for run in runs:
            out, err = run.communicate(timeout=100)
            assert (run.returncode, out) == (0, "12\n"), err
        with ts.Study.open("s", storage=url) as study:
            assert [trial.state for trial in study.trials] == ["completed"] * 12
            assert study.store.verify("s") is None


class TestWhoMay:
    def test_a_token_that_is_wrong_or_missing(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TUNESMITH_TOKEN", raising=False)
        bare = str(Service(url))
        with pytest.raises(StoreUnreachable, match=r"a token is needed.*set TUNESMITH_TOKEN"):
            open_store(bare)
        monkeypatch.setenv("TUNESMITH_TOKEN", SECRET)
        with pytest.raises(StoreUnreachable, match="not valid"):
            open_store(bare)

    def test_readers_and_workers(self, running: Running) -> None:
        with ts.Study.create(SPACE, storage=running.url(running.token("work")), trials=3) as study:
            study.tell(study.ask(), 0.5)
            with pytest.raises(StoreReadOnly, match="scope 'control'"):
                study.edit(trials=5)
            with pytest.raises(StoreReadOnly, match="scope 'control'"):
                study.correct(0, 0.1, why="typo")
            with pytest.raises(StoreReadOnly):
                study.store.delete("study")
            study.tell(study.ask(), 0.25)
        with ts.Study.open(storage=running.url(running.token("read"))) as study:
            assert study.best.value == 0.25
            with pytest.raises(StoreReadOnly, match="scope 'work'"):
                study.ask()

    def test_something_else_answers(self) -> None:
        import http.server

        class Other(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_error(404)

            def log_message(self, *_: Any) -> None: ...

        server = http.server.HTTPServer(("127.0.0.1", 0), Other)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(NotAStore, match="no tunesmith service"):
            open_store(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        server.server_close()


class TestPoison:
    """What cannot be folded is stored nowhere: it would be in every reader's way for ever."""

    @pytest.mark.parametrize(
        ("batch", "message"),
        [
            ([completed(7, 0.5)], "there is no trial 7"),
            ([suggested(1)], "cannot come next"),
            ([events.Suggested(2.0, 0, {"x": 7.0, "c": "a"}, suggested(0).origin, "s")], "does not fit"),  # type: ignore[union-attr]
            ([suggested(0), completed(0, 0.5), completed(0, 0.5)], "completed"),
            ([suggested(0), events.Reported(2.0, 0, 99, 1, {"loss": 1.0})], "attempt 99"),
            ([suggested(0), events.Reported(2.0, 0, 0, 2**80, {"loss": 1.0})], "cannot be what happened next"),
            ([events.Opened(1e300, "s", "h", 1, 0.0)], "ahead of the service's clock"),
            ([events.Opened(1.0, "s", "h", -1, 0.0)], "no process"),
            ([opened(), events.Opened(1.0, "s", "other", 1, 0.0)], "another process's"),
            ([events.Edited(1.0, {"space": 7}, "me")], "space"),
            ([opened(), events.StopRequested(1.0, "a\0b")], "NUL"),
        ],
    )  # fmt: skip
    def test_is_refused(self, url: str, batch: list[Any], message: str) -> None:
        with closing(open_store(url)) as store:
            store.create(spec(), 1.0)
            with pytest.raises(ts.TunesmithError, match=message) as failure:
                store.append("study", batch, 0)
            assert not isinstance(failure.value, (StoreUnreachable, Conflict))
            assert store.cursor("study") == 0
            assert store.append("study", [opened(), suggested(0), completed(0, 0.5)], 0) == 3


class TestBrokenConnections:
    def test_idle_ones_are_made_again(self, running: Running) -> None:
        with ts.Study.create(SPACE, name="s", storage=running.url(running.token())) as study:
            for number in range(2):
                trial = study.ask()
                running.stop(signal.SIGKILL)
                running.start()
                study.tell(trial, float(number))
            assert len(study.trials) == 2
            assert study.store.verify("s") is None

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_lost_answer(self, url: str, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was stored is recognised, what was not is stored."""
        cuts: list[str] = []
        send = line.Line._send

        def cut(self: Any, method: str, path: str, *rest: Any) -> Any:
            if method in ("POST", "DELETE") and "/turns/" not in path and path not in cuts:
                cuts.append(path)
                if when == "after":
                    send(self, method, path, *rest)
                raise ConnectionResetError
            return send(self, method, path, *rest)

        monkeypatch.setattr(line.Line, "_send", cut)
        with closing(open_store(url)) as store:
            store.create(spec(), 1.0)
            assert store.append("study", [opened(), suggested(0)], 0) == 2
            journal = Journal(store, "study")
            journal.refresh()
            journal.write(lambda ledger: [completed(0, 0.5)])
            with store.writing("study"):
                store.append("study", [opened("b")], store.cursor("study"))
            assert store.cursor("study") == 4
            assert journal.refresh().cursor == 4
            assert store.verify("study") is None
            with pytest.raises(StudyExists):
                store.create(spec(), 2.0)
            store.delete("study")
            assert store.names() == []
            assert len(cuts) >= 5

    def test_a_server_that_stays_away(
        self, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(line, "PATIENCE_S", 0.2)
        with closing(open_store(running.url(running.token()))) as store:
            store.create(spec(), 1.0)
            running.stop(signal.SIGKILL)
            with pytest.raises(StoreUnreachable, match="nothing answers there"):
                store.cursor("study")
            running.start()
            assert store.cursor("study") == 0

    def test_killed_at_random_moments(self, running: Running) -> None:
        """While one process tunes and another asks and tells: nothing acknowledged is lost, nothing is there twice."""
        url = running.url(running.token())
        code = (
            "import sys, tunesmith as ts\n"
            "def train(config, trial):\n"
            "    for step in (1, 2): trial.report(step=step, loss=config['x'])\n"
            "    return config['x']\n"
            "ts.tune(train, ts.Space(x=ts.Float(0, 1)), metric='loss', trials=40, storage=sys.argv[1],\n"
            "        progress=False, seed=1, name='tuned', searcher='random')\n"
        )
        tuned = subprocess.Popen(
            [sys.executable, "-c", code, url], cwd=Path(running.storage).parent
        )
        with closing(open_store(url)) as store:
            while store.names() != ["tuned"]:
                time.sleep(0.05)
        over = threading.Event()

        def kill() -> None:
            rng = random.Random(1)
            for _ in range(3):
                time.sleep(rng.uniform(0.0, 0.5))
                running.stop(signal.SIGKILL)
                running.start()
            over.set()

        killer = threading.Thread(target=kill)
        acknowledged: dict[int, float] = {}
        with ts.Study.create(SPACE, name="asked", storage=url, searcher="random") as study:
            killer.start()
            while not over.is_set() or len(acknowledged) < 20:
                trial = study.ask()
                study.report(trial, step=1, value=trial.config["x"])
                study.tell(trial, trial.config["x"])
                acknowledged[trial.number] = trial.config["x"]
            killer.join()
            assert {t.number: t.value for t in study.trials} == acknowledged
            assert sorted(acknowledged) == list(range(len(acknowledged)))
            assert tuned.wait(100) == 0
            for name in ("asked", "tuned"):
                assert study.store.verify(name) is None
        with ts.Study.open("tuned", storage=url) as study:
            assert [trial.state for trial in study.trials] == ["completed"] * 40
            assert all(len(study.log(n)) == 4 for n in range(40)), (
                "begun, twice reported, ended: once each"
            )
