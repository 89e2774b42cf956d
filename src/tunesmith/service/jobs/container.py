"""A job in a container: by podman or docker, with nothing of the host but the job's own files and the way to the service.

Images are those that are there: none is fetched. `tunesmith` has to be in them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tunesmith.core.errors import JobError, StudyError, TunesmithError, shown
from tunesmith.core.quantity import size_bytes
from tunesmith.service.jobs.job import Environment
from tunesmith.store.location import TOKEN_VARIABLE

PROGRAMS: Final = ("podman", "docker")
#: Where the job's folders are within.
INSIDE: Final = Path("/job")
#: Variables by which the program itself finds its images; the container does not get them.
PASSED: Final = ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DOCKER_HOST", "CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "STORAGE_DRIVER")  # fmt: skip
_IMAGE: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._/:@-]{0,254}")
_PROCESSES: Final = 4096


def find() -> str:
    """The program that runs containers here. Raises StudyError if there is none."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        raise StudyError(
            f"--containers needs {' or '.join(PROGRAMS)}, and neither is there; install one, or leave --containers out"
        )
    return found


def check(environment: Environment, program: str | None) -> None:
    """Raise JobError for a container that cannot be."""
    image = environment.container
    if image is None:
        if environment.memory is not None or environment.cpus is not None:
            raise JobError("memory and cpus are limits of a container; name one, or leave them out")
        return
    if program is None:
        raise JobError(
            "this service runs no containers; its operator may allow them: tunesmith serve --containers"
        )
    if not _IMAGE.fullmatch(image) or ".." in image:
        raise JobError(
            f"{shown(image)} is no name of an image, such as registry.example/team/train:1.2"
        )
    if environment.python is not None or environment.requirements is not None:
        raise JobError(
            "a container has its own Python and packages; leave python and requirements out"
        )
    if environment.memory is not None:
        _memory(environment.memory)
    if environment.cpus is not None and not 0.01 <= environment.cpus <= 10_000:
        raise JobError(f"cpus: {environment.cpus:g} is no number of processors")


def _memory(text: str) -> int:
    try:
        return size_bytes(text, "memory")
    except TunesmithError as error:
        raise JobError(str(error)) from None


def name_of(job: str) -> str:
    return f"tunesmith-job-{job}"


def run(
    program: str, job: str, environment: Environment, folders: dict[str, Path], words: list[str]
) -> list[str]:
    """The command that runs `words`, of tunesmith, in a new container; `folders` of the host by their names in `INSIDE`,
    where it begins in ``work``. The token is in the environment of the program, and in no command line."""
    assert environment.container is not None
    podman = Path(program).name == "podman"
    user = os.getuid(), os.getgid()
    # files are the service's user's, as outside; rootless podman maps that one to root otherwise
    who = ["--userns=keep-id"] if podman and user[0] else [f"--user={user[0]}:{user[1]}"]
    limits = []
    if environment.memory is not None:
        limits.append(f"--memory={_memory(environment.memory)}")
    if environment.cpus is not None:
        limits.append(f"--cpus={environment.cpus:g}")
    mounts = [f"--volume={path}:{INSIDE / name}" for name, path in folders.items()]
    return [
        program, "run", "--rm", f"--name={name_of(job)}", "--pull=never", "--log-driver=none", "--cap-drop=ALL",
        "--security-opt=no-new-privileges", "--read-only", "--tmpfs=/tmp", f"--pids-limit={_PROCESSES}",
        "--network=host",  # the service is at its loopback
        *who, *limits, *mounts, f"--workdir={INSIDE / 'work'}", f"--env={TOKEN_VARIABLE}", "--env=PYTHONUNBUFFERED=1",
        "--env=HOME=/tmp", "--entrypoint=tunesmith", environment.container, *words,
    ]  # fmt: skip


def removal(program: str, job: str) -> list[str]:
    """The command that ends a job's container, if there is one: it may have outlived the program that began it."""
    return [program, "rm", "--force", name_of(job)]


def remove(program: str, job: str) -> subprocess.Popen[bytes] | None:
    """Begin to carry `removal` out; None where that cannot be done now."""
    try:
        return subprocess.Popen(
            removal(program, job), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )  # fmt: skip
    except OSError:
        return None
