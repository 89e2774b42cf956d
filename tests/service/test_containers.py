"""Jobs in containers: by a stand-in that notes what it was asked for and runs it, and by the real podman where one works."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.service.running import Service
from tests.service.test_jobs import handover, over, until, write

from tunesmith.core.errors import JobError, TunesmithError
from tunesmith.service.jobs import container
from tunesmith.service.jobs.job import Environment
from tunesmith.tuning.study import Study

STAND_IN = f"""\
#!{sys.executable}
import json, os, sys
with open({{noted!r}}, "a") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + chr(10))
if sys.argv[1] == "run":
    options = [word for word in sys.argv[2:] if word.startswith("--") and "/job/" in word]
    folders = [word.removeprefix("--volume=").rsplit(":", 1) for word in options if word.startswith("--volume=")]
    words = sys.argv[sys.argv.index("img:1") + 1:]
    for there, inside in folders:
        words = [word.replace(inside, there) for word in words]
    os.execv({sys.executable!r}, [{sys.executable!r}, "-m", "tunesmith", *words])
"""


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in, which is `podman` in PATH, writes what it was asked for."""
    programs = tmp_path / "bin"
    programs.mkdir()
    noted = tmp_path / "noted"
    (programs / "podman").write_text(STAND_IN.format(noted=str(noted)))
    (programs / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return noted


def asked(noted: Path) -> list[tuple[list[str], dict[str, str]]]:
    return [tuple(json.loads(line)) for line in noted.read_text().splitlines()]


def test_a_job_in_a_container(noted: Path, tmp_path: Path) -> None:
    service = Service(tmp_path / "studies.db", "--jobs", "1", "--containers")
    try:
        there = handover(service)
        made = there.submit(write(tmp_path / "job"), container="img:1", memory="1GiB", cpus=1.5)
        ended = over(there, made["id"])
        assert ended["state"] == "ended", ended
        with Study.open("digits", storage=service.url(service.token())) as study:
            assert len(study.trials) == 2
        before, ran, after = (words for words, _ in asked(noted))
        assert before == after == ["rm", "--force", f"tunesmith-job-{made['id']}"]
        assert ran[0] == "run"
        assert {
            "--rm", "--pull=never", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only", "--network=host",
            f"--memory={1 << 30}", "--cpus=1.5", "--env=TUNESMITH_TOKEN", "--entrypoint=tunesmith",
        } <= set(ran)  # fmt: skip
        folder = tmp_path / "studies.service" / "jobs" / made["id"]
        mounts = {word for word in ran if word.startswith("--volume")}
        assert mounts == {f"--volume={folder}/{name}:/job/{name}" for name in ("work", "trials")}
        token = asked(noted)[1][1]["TUNESMITH_TOKEN"]
        assert token not in str(ran)
        there.delete(made["id"])
        assert not folder.exists()
        assert not [p for p in folder.parent.iterdir() if p.name.startswith(".job-")]
        with pytest.raises(JobError, match="no job"):
            there.get(made["id"])
    finally:
        service.close()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"container": "--privileged"}, "no name of an image"),
        ({"container": "a b"}, "no name of an image"),
        ({"container": "../x"}, "no name of an image"),
        ({"container": "img;id"}, "no name of an image"),
        ({"container": ""}, "no name of an image"),
        ({"container": "img", "python": "/usr/bin/python3"}, "its own Python"),
        ({"container": "img", "requirements": "r.txt"}, "its own Python"),
        ({"container": "img", "memory": "much"}, "memory"),
        ({"container": "img", "cpus": -1.0}, "cpus"),
        ({"memory": "1GiB"}, "limits of a container"),
    ],
)
def test_what_makes_no_sense(wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message):
        container.check(Environment(**wanted), "/usr/bin/podman")


def test_not_allowed() -> None:
    with pytest.raises(JobError, match="serve --containers"):
        container.check(Environment(container="img"), None)
    container.check(Environment(), None)


PROGRAM = """\
#!/bin/busybox sh
/bin/busybox echo "user $(/bin/busybox id -u) here $(/bin/busybox pwd) files $(/bin/busybox ls)"
/bin/busybox grep CapEff /proc/self/status
/bin/busybox touch /outside 2>&1
/bin/busybox ls /home /work /job /root 2>&1
/bin/busybox echo left > /job/trials/left
/bin/busybox echo "token ${TUNESMITH_TOKEN:+there}"
if [ "$4" = long ]; then /bin/busybox sleep 600; fi
exit 7
"""
CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
"""


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The real one, with an image whose `tunesmith` is a script; storage of its own."""
    program, busybox = shutil.which("podman"), shutil.which("busybox")
    if program is None or busybox is None:
        pytest.skip("there is no podman, or no static busybox to make an image of")
    configuration = tmp_path / "containers.conf"
    runtime = next((name for name in ("runc", "crun") if shutil.which(name)), "crun")
    configuration.write_text(CONFIGURATION + f'runtime = "{runtime}"\n')
    storage = tmp_path / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n'
    )
    monkeypatch.setenv("CONTAINERS_CONF", str(configuration))
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    root = tmp_path / "root" / "bin"
    root.mkdir(parents=True)
    shutil.copy(busybox, root / "busybox")
    (root / "tunesmith").write_text(PROGRAM)
    (root / "tunesmith").chmod(0o755)
    subprocess.run(["tar", "-C", root.parent, "-cf", tmp_path / "root.tar", "."], check=True)
    made = subprocess.run(
        [program, "import", tmp_path / "root.tar", "localhost/tiny:1"],
        capture_output=True,
        check=False,
    )
    words = [program, "run", "--rm", "--network=host", "localhost/tiny:1", "/bin/busybox", "true"]
    if made.returncode or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("podman does not work here")
    yield program
    subprocess.run([program, "rm", "--force", "--all"], capture_output=True, check=False)


def test_the_real_one(podman: str, tmp_path: Path) -> None:
    """It sees its own files alone, has no rights and no other exit code than its own, and is gone when its keeper is."""
    service = Service(tmp_path / "studies.db", "--jobs", "1", "--containers")
    try:
        there = handover(service)
        job = write(tmp_path / "job")
        made = there.submit(job, container="localhost/tiny:1")
        failed = over(there, made["id"])
        log = b"".join(there.log(made["id"])).decode()
        assert (failed["state"], failed["exit"]) == ("failed", 7), (failed, log)
        assert f"user {os.getuid()} here /job/work files job.yaml" in log
        assert "CapEff:\t0000000000000000" in log
        assert "/outside: Read-only file system" in log
        assert "token there" in log
        folder, _ = there.fetch(made["id"], tmp_path / "fetched")
        assert (folder / "left").read_text() == "left\n"

        running = there.submit(job, name="long", container="localhost/tiny:1")["id"]
        until(lambda: b"token there" in b"".join(there.log(running)), "it runs")
        keeper = next(
            p for p in psutil.Process(service.pid).children() if running in " ".join(p.cmdline())
        )
        os.kill(keeper.pid, signal.SIGKILL)
        there.cancel(running)
        assert over(there, running)["state"] == "cancelled"
        listed = subprocess.run([podman, "ps", "--all", "--quiet"], capture_output=True, check=True)
        assert listed.stdout == b""
    finally:
        service.close()


def test_there_is_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TunesmithError, match="podman or docker"):
        container.find()
