"""Jobs handed over to a service: real processes of a real service, which is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import psutil
import pytest
from PIL import Image
from tests.service.running import Service
from tests.tuning.test_parcel import HOSTILE
from typer.testing import CliRunner

from tunesmith.cli.app import app
from tunesmith.core.errors import JobError, StudyBusy, TunesmithError
from tunesmith.recipes import load_model
from tunesmith.service.jobs import job as job_file
from tunesmith.service.jobs import keeper
from tunesmith.service.jobs.blobs import Blobs
from tunesmith.service.jobs.job import Job
from tunesmith.service.jobs.jobs import Jobs
from tunesmith.service.problems import Problem
from tunesmith.service.tokens import Tokens
from tunesmith.store.location import location_of
from tunesmith.tuning.handover import Handover
from tunesmith.tuning.job import load_job, run_job
from tunesmith.tuning.study import Study

JOB = """\
name: digits
command: {command}
objective: {{metric: loss, goal: minimize}}
space: {{x: {{float: [0, 1]}}}}
searcher: random
limits: {{trials: {trials}, grace: 0.2s}}
"""
#: Writes down that it runs, and goes on once `go` is there.
WAITS = """\
import json, os, pathlib, sys, time
here = pathlib.Path(os.environ["MARK"])
with open(here / "began", "a") as file:
    file.write(f"{os.getpid()}\\n")
until = time.monotonic() + 60
while not (here / "go").exists() and time.monotonic() < until:
    time.sleep(0.02)
print(json.dumps({"loss": float(sys.argv[1])}))
"""


def until(condition: Callable[[], Any], what: str = "") -> Any:
    end = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return value


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PGPASSWORD", "hunter2")
        patched.setenv("TUNESMITH_STORAGE", "postgresql://u:hunter2@nowhere/db")
        patched.setenv("TUNESMITH_TOKEN", "ts_hunter2")
        service = Service(tmp_path_factory.mktemp("service") / "studies.db", "--jobs", "2")
    yield service
    service.close()


def handover(service: Service) -> Handover:
    return Handover(location_of(service.url(service.token("submit"))))


def write(folder: Path, command: str = "echo loss={x}", trials: int = 2, **more: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "job.yaml"
    job.write_text(JOB.format(command=command, trials=trials))
    if command.startswith("echo"):
        job.write_text(job.read_text() + "metrics: {loss: 'loss={number}'}\n")
    for name, text in more.items():
        (folder / name.replace("_py", ".py")).write_text(dedent(text))
    return job


def pictures(folder: Path) -> None:
    """Twelve dark images and twelve light ones."""
    for number in range(24):
        shade = ("dark", "light")[number % 2]
        path = folder / shade / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), (number % 2) * 200 + number).save(path)


def waiting(folder: Path, trials: int = 1) -> Path:
    """A job that waits for ``folder/go``, and writes into ``folder/began``."""
    job = write(folder / "job", "python train.py {x}", trials, train_py=WAITS)
    job.write_text(job.read_text() + f"environment: {{MARK: '{folder}'}}\n")
    return job


def over(service: Handover, job: str) -> Any:
    return until(
        lambda: (one := service.get(job))["state"] in ("ended", "failed", "cancelled") and one
    )


def began(folder: Path) -> list[str]:
    return (folder / "began").read_text().split() if (folder / "began").exists() else []


class TestSubmit:
    def test_a_job(self, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is sent without what is not to be, runs in its own folder without the service's secrets and behind the service, and its
        study is the service's."""
        program = """\
            import json, os, sys, helper
            assert "large.bin" not in os.listdir() and "hunter2" not in str(dict(os.environ))
            assert os.nice(0) == NICE
            print(json.dumps({"loss": helper.loss(float(sys.argv[1]))}))
        """.replace("NICE", str(min(19, os.nice(0) + 5)))
        job = write(
            tmp_path, "python train.py {x}", train_py=program, helper_py="def loss(x): return x"
        )
        (tmp_path / ".gitignore").write_text("*.bin\n")
        (tmp_path / "large.bin").write_text("no")
        (tmp_path / "helper.py").chmod(0o4777)
        monkeypatch.setenv("TUNESMITH_STORAGE", service.url())
        monkeypatch.setenv("TUNESMITH_TOKEN", service.token("submit"))
        ran = CliRunner().invoke(app, ["submit", str(job), "-f", "--name", "first"])
        assert ran.exit_code == 0, ran.output
        assert "sent 4 of 4 files" in ran.output
        assert "its study is over" in ran.output
        with Study.open("first", storage=service.url(service.token())) as study:
            assert [trial.value for trial in study.trials] == [
                trial.config["x"] for trial in study.trials
            ]
        listed = json.loads(CliRunner().invoke(app, ["jobs", "--json"]).output)
        assert [(one["study"], one["state"], one["by"]) for one in listed] == [
            ("first", "ended", "test")
        ]
        assert listed[0]["attempt"] == 1
        assert listed[0]["exit"] == 0
        shown = CliRunner().invoke(app, ["logs", listed[0]["id"][:6]])
        assert shown.exit_code == 0
        assert "best" in shown.output
        assert not [token for token in service.tokens.all() if token.name.startswith("job ")]
        work = Path(service.storage).with_suffix(".service") / "jobs" / listed[0]["id"] / "work"
        modes = [(work / name).stat().st_mode & 0o7777 for name in ("", "helper.py", "train.py")]
        assert modes == [0o700, 0o700, 0o600]

    def test_one_that_fails_says_why(self, service: Service, tmp_path: Path) -> None:
        there = handover(service)
        job = write(tmp_path, "python train.py {x}", train_py="raise SystemExit('no data')")
        taken = there.submit(job, name="fails")
        ended = over(there, taken["id"])
        assert ended["state"] == "failed"
        assert "exit code 1" in ended["why"]
        assert b"no data" in b"".join(there.log(taken["id"], follow=True))

    def test_handed_over_again_with_more_trials(self, service: Service, tmp_path: Path) -> None:
        there = handover(service)
        for trials in (2, 3):
            job = write(tmp_path / str(trials), trials=trials)
            ended = over(there, there.submit(job, name="again")["id"])
            log = b"".join(there.log(ended["id"], follow=True)).decode()
            assert ended["state"] == "ended", log
            with Study.open("again", storage=service.url(service.token())) as study:
                assert len(study.trials) == trials

    def test_shared_with_who_joins(self, service: Service, tmp_path: Path) -> None:
        there = handover(service)
        job = waiting(tmp_path, trials=2)
        taken = there.submit(job, name="shared", join=True)
        until(lambda: began(tmp_path))
        here = load_job(job, {"name": "shared", "storage": service.url(service.token("control"))})
        with ThreadPoolExecutor(1) as pool:
            joined = pool.submit(run_job, here, join=True)
            until(lambda: len(began(tmp_path)) == 2)  # each runs one at a time
            (tmp_path / "go").touch()
            result = joined.result(60)
        assert over(there, taken["id"])["state"] == "ended"
        assert [trial.state for trial in result.trials] == ["completed"] * 2

    def test_what_makes_no_sense_is_refused_at_once(self, service: Service, tmp_path: Path) -> None:
        there = handover(service)
        job = write(tmp_path)
        before = there.all()
        with pytest.raises(JobError, match="there is no Python"):
            there.submit(job, python="/nowhere/python")
        with pytest.raises(JobError, match="no file"):
            there.submit(job, requirements="none.txt")
        job.write_text(job.read_text().replace("random", "randon"))
        with pytest.raises(TunesmithError, match="random"):
            there.submit(job)
        answer = submitted(service, {"job.yaml": job.read_bytes()})
        assert answer.status == 422
        assert "job.yaml:5" in answer.json["detail"]
        assert there.all() == before

    def test_a_python_of_its_own(self, service: Service, tmp_path: Path) -> None:
        there = handover(service)
        (tmp_path / "bin").mkdir()
        python = tmp_path / "bin" / "python"
        python.write_text("#!/bin/sh\necho loss=7\n")
        python.chmod(0o700)
        job = write(tmp_path / "job", "python {x}", 1)
        job.write_text(job.read_text() + "metrics: {loss: 'loss={number}'}\n")
        taken = there.submit(job, name="python", python=str(python))
        assert over(there, taken["id"])["state"] == "ended"
        with Study.open("python", storage=service.url(service.token())) as study:
            assert study.best.value == 7

    def test_an_environment_of_its_own(self, service: Service, tmp_path: Path) -> None:
        """By a Python that makes one at once: its `pip` fails where it is asked for nowhere."""
        there = handover(service)
        inside = tmp_path / "inside"
        inside.write_text(
            '#!/bin/sh\n[ "$2" = pip ] || { echo loss=7; exit; }\nwhile [ "$1" != -r ]; do shift; done\n! grep nowhere "$2"\n'
        )
        python = tmp_path / "python"
        python.write_text(
            f'#!/bin/sh\n[ "$2" = venv ] && mkdir -p "$4/bin" && cp {inside} "$4/bin/python"\n'
        )
        inside.chmod(0o700)
        python.chmod(0o700)
        job = write(tmp_path / "job", "python {x}", 1)
        job.write_text(job.read_text() + "metrics: {loss: 'loss={number}'}\n")
        (tmp_path / "job/needs.txt").write_text("numpy\n")
        how: dict[str, Any] = {"python": str(python), "requirements": "needs.txt"}
        taken = there.submit(job, name="venv", **how)
        ended = over(there, taken["id"])
        assert ended["state"] == "ended", b"".join(there.log(taken["id"]))
        with Study.open("venv", storage=service.url(service.token())) as study:
            assert study.best.value == 7
        (tmp_path / "job/needs.txt").write_text("nowhere\n")
        ended = over(there, there.submit(job, name="venv2", **how)["id"])
        assert ended["state"] == "failed"
        assert ended["why"] == "installing its requirements: nowhere (exit code 1)"


class TestTable:
    def test_the_best_model(
        self, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One request trains many models on a table, another one gets the best of them."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TUNESMITH_STORAGE", service.url())
        monkeypatch.setenv("TUNESMITH_TOKEN", service.token("submit"))
        rows = [f"{n % 17},{n % 5},{3 * (n % 17) - n % 5}" for n in range(120)]
        Path("houses.csv").write_text("\n".join(["a,b,price", *rows]))
        words = ["submit", "houses.csv", "-t", "price", "-f", "--option"]
        ran = CliRunner().invoke(
            app,
            [
                *words,
                "trials=1",
                "--option",
                "ensemble=1",
                "--option",
                "algorithms=linear",
                "--option",
                "parallel=1",
            ],
        )
        assert ran.exit_code == 0, ran.output
        ran = CliRunner().invoke(app, ["fetch", "houses"])
        assert ran.exit_code == 0, ran.output
        Path("new.csv").write_text("a,b\n3,1\n")
        assert load_model("houses-model").predict("new.csv")[0] == pytest.approx(8, abs=1)
        again = CliRunner().invoke(app, ["fetch", "houses"])
        assert "is there already" in str(again.exception)
        wrong = CliRunner().invoke(app, [*words, "output=/tmp/x"])
        assert "has no option 'output'" in str(wrong.exception)

    def test_images(
        self, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder of them is sent file by file, and the model that comes of it says what a new one is of."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TUNESMITH_STORAGE", service.url())
        monkeypatch.setenv("TUNESMITH_TOKEN", service.token("submit"))
        pictures(tmp_path / "shades")
        words = ["submit", "shades", "-f"]
        for option in ("trials=1", "parallel=1", "time=10m"):
            words += ["--option", option]
        ran = CliRunner().invoke(app, words)
        assert ran.exit_code == 0, ran.output
        assert "sent 24 of 24 files" in ran.output
        assert handover(service).get("shades")["why"] == "its study is over"
        ran = CliRunner().invoke(app, ["fetch", "shades"])
        assert ran.exit_code == 0, ran.output
        model = load_model("shades-model")
        assert set(model.about["classes"]) == {"dark", "light"}

        for wrong, message in (
            (["shades", "-t", "dark"], "--target is a column of a table"),
            (["shades", "--join"], "data needs no program"),
            (["."], "a folder without images"),
        ):
            (tmp_path / "empty").mkdir(exist_ok=True)
            monkeypatch.chdir(tmp_path / "empty" if wrong == ["."] else tmp_path)
            assert message in str(CliRunner().invoke(app, ["submit", *wrong]).exception)

    def test_what_links_lead_to(self, service: Service, tmp_path: Path) -> None:
        """A job's files are those of its folder: no path and no link leads elsewhere."""
        there = handover(service)
        program = """\
            import json, os
            os.symlink("/etc/passwd", "../trials/link")
            os.symlink("/etc", "../trials/folder")
            print(json.dumps({"loss": 1}))
        """
        taken = there.submit(
            write(tmp_path, "python train.py {x}", 1, train_py=program), name="links"
        )
        over(there, taken["id"])
        token = service.token("read")
        path = f"/api/v1/jobs/{taken['id']}/files"
        listed = [one["path"] for one in service.ask("GET", path, token=token).json["files"]]
        assert "links/000000/config.json" in listed
        assert not {"link", "folder/passwd"} & {*listed}
        for name in (
            "link",
            "folder/passwd",
            "../job.json",
            "..%2fjob.json",
            "%2e%2e/job.json",
            "%2fetc%2fpasswd",
            "a%00",
            "a%5cb",
            ".",
        ):
            answer = service.ask("GET", f"{path}/{name}", token=token)
            assert answer.status in (404, 422), (name, answer)
        assert service.ask("GET", f"{path}/{listed[0]}", token=token).status == 200


class TestCancel:
    def test_running_and_waiting(self, service: Service, tmp_path: Path) -> None:
        """Two run at a time; the third one waits, and is not begun."""
        there = handover(service)
        jobs = [there.submit(waiting(tmp_path / str(n)), name=f"c{n}")["id"] for n in range(3)]
        until(lambda: began(tmp_path / "0") and began(tmp_path / "1"))
        assert [there.get(job)["state"] for job in jobs] == ["running", "running", "queued"]
        with pytest.raises(StudyBusy, match="has the study 'c0'"):
            there.submit(waiting(tmp_path / "0"), name="c0")
        ran = CliRunner().invoke(
            app,
            ["cancel", jobs[2], "--why", "enough", "--to", service.url(service.token("submit"))],
        )
        assert "cancelled: by test: enough" in ran.output
        there.cancel(jobs[0])
        assert over(there, jobs[0])["state"] == "cancelled"
        pid = int(began(tmp_path / "0")[0])
        until(lambda: not psutil.pid_exists(pid))
        assert there.get(jobs[1])["state"] == "running"
        (tmp_path / "1/go").touch()
        assert over(there, jobs[1])["state"] == "ended"
        assert not began(tmp_path / "2")
        assert there.cancel(jobs[1])["state"] == "ended"


class TestDeleted:
    def test_old_ones(self, tmp_path: Path) -> None:
        """Those that have been over for so long, and no others."""
        made = Job("0" * 12, "s", "job.yaml", 0.0, "t", "ana", state="ended", ended_at=1000.0)
        for name, state, ended_at in (
            ("a", "ended", 1000.0),
            ("b", "failed", 1800.0),
            ("c", "ended", None),
        ):
            one = msgspec.structs.replace(made, id=name * 12, state=state, ended_at=ended_at)
            (tmp_path / one.id).mkdir()
            job_file.write(tmp_path / one.id, one)
        jobs = Jobs(tmp_path, Tokens(None), "http://127.0.0.1:1", 1, lambda: 2000.0, keep_s=500.0)
        jobs.start()
        until(lambda: not (tmp_path / ("a" * 12)).exists())
        jobs.close()
        assert {one.id for one in jobs.all()} == {"b" * 12, "c" * 12}

    def test_one_that_somebody_has_removed_by_hand(self, service: Service, tmp_path: Path) -> None:
        jobs = handover(service)
        state = Path(service.storage).with_name("studies.service")
        gone = submitted(service, {"job.yaml": write_bytes()}, study="removed").json["id"]
        over(jobs, gone)
        shutil.rmtree(state / "jobs" / gone)
        token = service.token("submit")
        assert service.ask("DELETE", f"/api/v1/jobs/{gone}", token=token).status == 204
        assert service.ask("GET", f"/api/v1/jobs/{gone}", token=token).status == 404

    def test_one_that_cannot_be_deleted_keeps_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor one that somebody has removed by hand; and while files are deleted nobody waits."""
        for name in "abc":
            one = Job(name * 12, "s", "job.yaml", 0.0, "t", "ana", state="ended", ended_at=1000.0)
            (tmp_path / one.id).mkdir()
            job_file.write(tmp_path / one.id, one)
        now, began, go_on = [1000.0], threading.Event(), threading.Event()

        def slow(path: Path, **options: Any) -> None:
            began.set()
            assert go_on.wait(60)

        jobs = Jobs(tmp_path, Tokens(None), "http://127.0.0.1:1", 1, lambda: now[0], keep_s=500.0)
        jobs.start()
        (tmp_path / f".job-{'b' * 12}/x").mkdir(parents=True)  # its new name is taken
        shutil.rmtree(tmp_path / ("c" * 12))
        monkeypatch.setattr(shutil, "rmtree", slow)
        now[0] = 2000.0
        with jobs._changed:
            jobs._changed.notify_all()
        assert began.wait(60)
        with ThreadPoolExecutor(1) as pool:
            looked = pool.submit(jobs.all)
            try:
                assert looked.result(30)
            finally:
                go_on.set()
        until(lambda: [one.id for one in jobs.all()] == ["b" * 12])
        jobs.close()
        assert not (tmp_path / ("a" * 12)).exists()

    def test_no_running_one(self, tmp_path: Path) -> None:
        running = Job("0" * 12, "s", "job.yaml", 0.0, "t", "ana", state="running")
        jobs = Jobs(tmp_path, Tokens(None), "http://127.0.0.1:1", 1)
        jobs._jobs[running.id] = running
        with pytest.raises(Problem, match="cancel it first"):
            jobs.delete(running.id)


class TestBlobs:
    def test_one_kept_twice_at_once_counts_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        blobs, file = Blobs(tmp_path / "blobs"), tmp_path / "job.yaml"
        file.write_bytes(b"x" * 10)
        room = blobs._make_room

        def meanwhile(size: int) -> None:
            room(size)
            monkeypatch.undo()
            blobs.keep(file, "job.yaml")

        monkeypatch.setattr(blobs, "_make_room", meanwhile)
        kept = blobs.keep(file, "job.yaml")
        assert [path.name for path in (tmp_path / "blobs").iterdir()] == [kept.sha256]
        assert blobs._bytes == 10

    def test_a_file_that_changes_meanwhile_is_kept_as_it_was_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        blobs, file = Blobs(tmp_path / "blobs"), tmp_path / "job.yaml"
        file.write_bytes(b"as it was")
        room = blobs._make_room

        def meanwhile(size: int) -> None:
            file.write_bytes(b"as it is now")
            room(size)

        monkeypatch.setattr(blobs, "_make_room", meanwhile)
        kept = blobs.keep(file, "job.yaml")
        assert blobs.path(kept.sha256).read_bytes() == b"as it was"
        assert (kept.size, blobs._bytes) == (9, 9)
        blobs.lay_out([kept], tmp_path / "work")

    def test_room_is_made_of_blobs_and_not_of_what_is_being_written(self, tmp_path: Path) -> None:
        blobs, file = Blobs(tmp_path / "blobs", most=15), tmp_path / "a"
        file.write_bytes(b"x" * 10)
        old = blobs.path(blobs.keep(file, "a").sha256)
        draft = blobs._draft()
        draft.write_bytes(b"y" * 9)
        for path in (old, draft):
            os.utime(path, (1.0, 1.0))
        file.write_bytes(b"z" * 10)
        blobs.keep(file, "a")
        assert draft.exists()
        assert not old.exists()
        assert blobs._bytes == 10

    def test_what_a_killed_service_has_left_is_removed(self, tmp_path: Path) -> None:
        program = f"""if True:
            import os, pathlib
            from tunesmith.service.jobs.blobs import Blobs
            pathlib.Path.replace = lambda *_: os._exit(9)
            file = pathlib.Path({str(tmp_path / "a")!r})
            file.write_text("x")
            Blobs(pathlib.Path({str(tmp_path / "blobs")!r})).keep(file, "a")
        """
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
        assert len([*(tmp_path / "blobs").iterdir()]) == 1
        Blobs(tmp_path / "blobs")
        assert [*(tmp_path / "blobs").iterdir()] == []


class TestNotBegun:
    @pytest.mark.parametrize("container", ["python", None])
    def test_no_token_stays(
        self, container: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of one whose containers are not allowed any more, and of one whose process cannot be started."""

        def refuse(*_: Any, **named: Any) -> Any:
            raise OSError(12, "Cannot allocate memory")

        wanted = job_file.Environment(container=container)
        made = Job("a" * 12, "s", "job.yaml", 0.0, "t", "ana", environment=wanted)
        (tmp_path / made.id).mkdir()
        job_file.write(tmp_path / made.id, made)
        monkeypatch.setattr(subprocess, "Popen", refuse)
        tokens = Tokens(None)
        jobs = Jobs(tmp_path, tokens, "http://127.0.0.1:1", 1)
        jobs.start()
        until(lambda: jobs.get(made.id).over)
        jobs.close()
        assert job_file.read(tmp_path / made.id).state == "failed"
        assert jobs.get(made.id).why == (
            "this service runs no containers any more"
            if container
            else "it could not be started: Cannot allocate memory"
        )
        assert tokens.all() == []


class TestKilled:
    def test_the_service(self, tmp_path: Path) -> None:
        """A job goes on while its service is away, and is found again; one that waited runs; neither runs twice."""
        service = Service(tmp_path / "studies.db", "--jobs", "1")
        try:
            there = handover(service)
            first = there.submit(waiting(tmp_path / "a"), name="a")["id"]
            second = there.submit(write(tmp_path / "b"), name="b")["id"]
            until(lambda: began(tmp_path / "a"))
            service.stop(signal.SIGKILL)
            service.start()
            assert [there.get(one)["state"] for one in (first, second)] == ["running", "queued"]
            service.stop(signal.SIGKILL)
            (tmp_path / "a/go").touch()
            service.start()
            ended = over(there, first)
            assert (ended["state"], ended["attempt"]) == ("ended", 1)
            assert over(there, second)["state"] == "ended"
            assert len(began(tmp_path / "a")) == 1
        finally:
            service.close()

    def test_the_jobs_processes(self, tmp_path: Path) -> None:
        """What was lost while the service was away runs again, and its study goes on; the wish to cancel outlives the service.
        What a killed keeper leaves ends."""
        service = Service(tmp_path / "studies.db", "--jobs", "1")
        try:
            there = handover(service)
            folder = tmp_path / "studies.service" / "jobs"
            job = there.submit(waiting(tmp_path / "a"), name="a")["id"]
            until(lambda: began(tmp_path / "a"))
            service.stop(signal.SIGKILL)
            killed = [
                process
                for process in psutil.process_iter(["cmdline"])
                if {keeper.__name__, str(folder / job)} <= {*(process.info["cmdline"] or ())}
            ]
            assert killed
            for process in killed:
                process.kill()
            service.start()
            until(lambda: len(began(tmp_path / "a")) == 2)
            there.cancel(job)
            service.stop(signal.SIGKILL)
            service.start()
            ended = over(there, job)
            assert (ended["state"], ended["attempt"]) == ("cancelled", 2)
            with Study.open("a", storage=service.url(service.token())) as study:
                assert len(study.trials) == 1
        finally:
            service.close()


def submitted(
    service: Service, files: dict[str, bytes], token: str | None = None, **more: Any
) -> Any:
    """A submission as another client would send it."""
    token = token or service.token("submit")
    listed = []
    for path, contents in files.items():
        digest = sha256(contents).hexdigest()
        assert service.ask("PUT", f"/api/v1/blobs/{digest}", contents, token=token).status == 204
        listed.append({"path": path, "sha256": digest, "size": len(contents)})
    headers = more.pop("headers", {})
    body = {"study": "x", "file": "job.yaml", "files": listed, **more}
    return service.ask("POST", "/api/v1/jobs", body, token=token, headers=headers)


class TestAttacks:
    def test_scopes(self, service: Service) -> None:
        digest = sha256(b"").hexdigest()
        for scope in ("read", "work", "control"):
            token = service.token(scope)
            for method, path in (
                ("POST", "/api/v1/jobs"),
                ("PUT", f"/api/v1/blobs/{digest}"),
                ("HEAD", f"/api/v1/blobs/{digest}"),
                ("POST", "/api/v1/blobs/missing"),
                ("POST", "/api/v1/jobs/0123456789ab/cancel"),
                ("DELETE", "/api/v1/jobs/0123456789ab"),
            ):
                assert service.ask(method, path, b"{}", token=token).status == 403, (scope, path)
        assert service.ask("GET", "/api/v1/jobs").status == 401

    def test_off(self, tmp_path: Path) -> None:
        service = Service(tmp_path / "studies.db")
        try:
            token = service.token()
            for method, path in (
                ("GET", "/api/v1/jobs"),
                ("POST", "/api/v1/jobs"),
                ("PUT", f"/api/v1/blobs/{'0' * 64}"),
                ("GET", "/api/v1/jobs/0123456789ab/log"),
            ):
                answer = service.ask(method, path, b"{}", token=token)
                assert answer.status == 403
                assert "serve --jobs" in answer.json["detail"]
            assert not (tmp_path / "studies.service/jobs").exists()
        finally:
            service.close()

    @pytest.mark.parametrize("path", HOSTILE[:-1])
    def test_paths(self, service: Service, path: str) -> None:
        answer = submitted(service, {"job.yaml": b"x", path: b"evil"})
        assert answer.status == 422
        assert "no path of a file" in answer.json["detail"]

    @pytest.mark.parametrize(
        "paths", [("a", "A"), ("a", "a/b"), ("d/x", "D/y"), ("\u00e9", "e\u0301")]
    )
    def test_doubles(self, service: Service, paths: tuple[str, str]) -> None:
        answer = submitted(service, {"job.yaml": b"x", **dict.fromkeys(paths, b"evil")})
        assert answer.status == 422, answer.body

    def test_lists(self, service: Service) -> None:
        token = service.token("submit")
        sound = {"path": "job.yaml", "sha256": sha256(b"x").hexdigest(), "size": 1}
        for files in (
            [],
            [sound, sound],
            [{**sound, "size": -1}],
            [{**sound, "size": 10**30}],
            [{**sound, "sha256": "../../../../etc/passwd"}],
            [{**sound, "mode": 0o4777}],
            [{**sound, "link": "/etc/passwd"}],
            [{**sound, "path": f"a{n}"} for n in range(5001)],
            "x",
        ):
            body = {"study": "x", "file": "job.yaml", "files": files}
            answer = service.ask("POST", "/api/v1/jobs", body, token=token)
            assert answer.status == 422, answer.body
        more: dict[str, Any]
        for more in (
            {"file": "..", "fit": {}}, {"file": "", "fit": {}}, {"file": "job", "fit": {}}, {"file": "../job.yaml"}, {"file": "/etc/passwd"}, {"study": "../x"}, {"study": ""}, {"study": "a\x1b[2J"},
            {"study": "x" * 101}, {"study": "../x", "fit": {}}, {"study": "x", "fit": {"output": "/tmp"}}, {"fit": {"target": "a\0"}},
            {"fit": {"target": {}}}, {"environment": {"python": "python"}}, {"environment": {"requirements": "/etc/passwd"}},
        ):  # fmt: skip
            answer = submitted(service, {"job.yaml": write_bytes()}, token, **more)
            assert answer.status == 422, (more, answer.body)
        assert not [one for one in handover(service).all() if one["study"] in ("x", "../x")]

    def test_contents(self, service: Service) -> None:
        token = service.token("submit")
        digest = sha256(b"one").hexdigest()
        other = service.ask("PUT", f"/api/v1/blobs/{digest}", b"another", token=token)
        assert other.status == 422
        assert service.ask("HEAD", f"/api/v1/blobs/{digest}", token=token).status == 404
        for name in ("..", "%2e%2e%2fjob.json", digest.upper(), digest + "0", ".draft-0", "a%00"):
            answer = service.ask("PUT", f"/api/v1/blobs/{name}", b"one", token=token)
            assert answer.status in (404, 405, 422), name
        files = [{"path": "job.yaml", "sha256": digest, "size": 3}]
        body = {"study": "x", "file": "job.yaml", "files": files}
        answer = service.ask("POST", "/api/v1/jobs", body, token=token)
        assert answer.status == 409
        assert answer.json["missing"] == [digest]

    def test_long(self, service: Service) -> None:
        token = service.token("submit")
        long = bytes((32 << 20) + 1)
        with pytest.raises((AssertionError, OSError)):
            assert (
                service.ask(
                    "PUT", f"/api/v1/blobs/{sha256(long).hexdigest()}", long, token=token
                ).status
                != 413
            )
        assert service.ask("GET", "/healthz").status == 200

    def test_a_key_is_one_job(self, service: Service) -> None:
        token = service.token("submit")
        key = {"Idempotency-Key": "k"}
        files = {"job.yaml": write_bytes()}
        one = submitted(service, files, token, study="once", headers=key)
        assert one.status == 202, one.body
        again = submitted(service, files, token, study="once", headers=key)
        assert again.json["id"] == one.json["id"]
        assert submitted(service, files, token, study="twice", headers=key).status == 422
        over(handover(service), one.json["id"])

    def test_others_studies(self, service: Service) -> None:
        token = service.token("submit", studies=("mine",))
        files = {"job.yaml": write_bytes()}
        assert submitted(service, files, token, study="theirs").status == 403
        theirs = submitted(service, files, study="theirs").json["id"]
        for method, path in (
            ("GET", theirs),
            ("GET", f"{theirs}/log"),
            ("POST", f"{theirs}/cancel"),
        ):
            assert service.ask(method, f"/api/v1/jobs/{path}", b"{}", token=token).status == 404
        assert service.ask("GET", "/api/v1/jobs", token=token).json["jobs"] == []
        over(handover(service), theirs)

    def test_ids(self, service: Service) -> None:
        token = service.token()
        for name in ("..", "%2e%2e", "..%2fblobs", "blobs", "0123456789ab", "a%00b"):
            for rest in ("", "/log"):
                answer = service.ask("GET", f"/api/v1/jobs/{name}{rest}", token=token)
                assert answer.status in (404, 405), name
        for query in ("after=-1", "after=x", "after=99999999999999999999", "wait=nan"):
            job = handover(service).all()[0]["id"]
            answer = service.ask("GET", f"/api/v1/jobs/{job}/log?{query}", token=token)
            assert answer.status in (200, 422), query

    def test_no_token(self, tmp_path: Path) -> None:
        ran = CliRunner().invoke(
            app, ["serve", "-s", str(tmp_path / "s.db"), "--no-token", "--jobs", "1"]
        )
        assert ran.exit_code != 0
        assert "leave --no-token out" in str(ran.exception)

    def test_two_services(self, service: Service) -> None:
        """A second one of the same studies takes no jobs: they would run twice."""
        ran = CliRunner().invoke(
            app, ["serve", "-s", service.storage, "--port", "0", "--jobs", "1"]
        )
        assert "another service runs the jobs" in str(ran.exception)

    def test_a_mistake_in_sagemakers_file(self, tmp_path: Path) -> None:
        """It is found before jobs are taken: who is told of it has begun none."""
        file = tmp_path / "sagemaker.yaml"
        file.write_text("keys: {}\nimages: {x: {}}\n")
        file.chmod(0o600)
        words = ["serve", "-s", str(tmp_path / "s.db"), "--port", "0", "--jobs", "1"]
        ran = CliRunner().invoke(app, [*words, "--sagemaker", str(file)])
        assert "exactly one of" in str(ran.exception)
        assert not (tmp_path / "s.service/jobs").exists()

    def test_somebody_else_has_sagemakers_jobs(self, tmp_path: Path) -> None:
        """The other jobs are let go: this process has begun, and ends, nothing."""
        file, state = tmp_path / "sagemaker.yaml", tmp_path / "s.service"
        file.write_text("keys: {}\n")
        file.chmod(0o600)
        theirs = Jobs(state / "sagemaker/jobs", Tokens(None), "http://127.0.0.1:1", 1)
        theirs.start()
        words = ["serve", "-s", str(tmp_path / "s.db"), "--port", "0", "--jobs", "1"]
        ran = CliRunner().invoke(app, [*words, "--sagemaker", str(file)])
        theirs.close()
        assert "another service runs the jobs" in str(ran.exception)
        assert "--sagemaker" in str(ran.exception)
        jobs = Jobs(state / "jobs", Tokens(None), "http://127.0.0.1:1", 1)
        jobs.start()
        jobs.close()


def write_bytes() -> bytes:
    return (
        JOB.format(command="echo loss={x}", trials=1) + "metrics: {loss: 'loss={number}'}\n"
    ).encode()
