"""What a job's processes are started with: programs, and variables, of which none is a secret of the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tunesmith.core.errors import JobError, shown
from tunesmith.service.jobs import container, recipe
from tunesmith.service.jobs.job import Environment, Job
from tunesmith.service.jobs.keeper import Plan, Step
from tunesmith.store.location import TOKEN_VARIABLE

RUN: Final = "run"
#: The service's variables that jobs get, and what such variables begin with.
_PASSED: Final = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX",
     "SSL_CERT_FILE", "SSL_CERT_DIR", "RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH",
     "RAY_USE_TLS", "RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY")
)  # fmt: skip
_PASSED_BEGIN: Final = ("LC_", "CUDA_", "NVIDIA_", "ROCR_", "HIP_", "OMP_", "OPENBLAS_", "MKL_")
#: A Python that finds no modules in the current folder, which is the job's.
_PYTHON: Final = (sys.executable, "-P")


def plan(job: Job, folder: Path, url: str, token: str, containers: str | None = None) -> Plan:
    """What is run for a job in `folder`, which reaches the service at `url` with a token of its own; `containers` is the
    program that runs them. Raises JobError where there is none any more, OSError."""
    work = folder / "work"
    variables = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED or name.startswith(_PASSED_BEGIN)
    }
    variables |= {TOKEN_VARIABLE: token, "PYTHONUNBUFFERED": "1"}
    steps: list[Step] = []
    python = job.environment.python
    if job.environment.requirements is not None:
        made = folder / "venv"
        steps.append(
            Step(
                "making its environment",
                [python or sys.executable, "-m", "venv", "--clear", str(made)],
            )
        )
        python = str(made / "bin" / "python")
        words = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        steps.append(
            Step("installing its requirements", [*words, "-r", job.environment.requirements])
        )
    if python is not None:  # `python` in its command is this one
        programs = Path(python).parent
        variables.pop("CONDA_PREFIX", None)
        variables["VIRTUAL_ENV"] = str(programs.parent)
        variables["PATH"] = os.pathsep.join([str(programs), variables.get("PATH", os.defpath)])
    if job.environment.container is None:
        words = [*_PYTHON, "-m", "tunesmith", *_words(job, folder, url)]
        steps.append(Step(RUN, words))
    else:
        if containers is None:
            raise JobError("this service runs no containers any more")
        (folder / job.results).mkdir(mode=0o700, exist_ok=True)
        folders = {"work": work, job.results: folder / job.results}
        words = _words(job, container.INSIDE, url)
        words = container.run(containers, job.id, job.environment, folders, words)
        steps.append(Step(RUN, words, container.removal(containers, job.id)))
        variables |= {name: os.environ[name] for name in container.PASSED if name in os.environ}
    return Plan(job.attempt, str(work), variables, steps)


def _words(job: Job, folder: Path, url: str) -> list[str]:
    """What tunesmith is asked to do for a job whose results are in `folder`, as it sees that."""
    results = str(folder / job.results)
    if job.fit is None:
        storage = f"{url}?trials={quote(results)}"
        words = ["run", f"./{job.file}", "--name", job.study, "--storage", storage, "--plain"]
        return [*words, "--join"] if job.environment.join else words
    return ["fit", f"./{job.file}", "--output", results, "--plain", *recipe.words(job.fit)]


def check(environment: Environment, paths: set[str], containers: str | None) -> None:
    """Raise JobError for an environment that cannot be: `paths` are the files that were sent, `containers` what runs such."""
    container.check(environment, containers)
    python = environment.python
    if python is not None and not (
        "\0" not in python
        and Path(python).is_absolute()
        and Path(python).is_file()
        and os.access(python, os.X_OK)
    ):
        raise JobError(
            f"there is no Python {shown(python)} where the service runs; name one by its whole path, such as "
            f"{sys.executable}, or leave it out for that one"
        )
    if environment.requirements is not None and environment.requirements not in paths:
        raise JobError(
            f"there is no {shown(environment.requirements)} among the files that were sent, relative to the job file's folder"
        )
