"""Every executor passes the public suite."""

import sys
import tempfile
import uuid
from pathlib import Path

import pytest

from tunesmith.run.base import Executor
from tunesmith.run.command import CommandExecutor
from tunesmith.run.folder import Folder
from tunesmith.run.inline import InlineExecutor
from tunesmith.run.process import ProcessExecutor
from tunesmith.run.program import Program
from tunesmith.testing import Check, behave, executor_checks

MEMORY_LIMIT = 400 * 10**6


def folder() -> Folder:
    return Folder(Path(tempfile.mkdtemp()))


def inline() -> Executor:
    return InlineExecutor(behave, metric="loss", deliver=lambda _: None, directory=folder().trial)


def process() -> Executor:
    return ProcessExecutor(
        behave,
        metric="loss",
        session=uuid.uuid4().hex,
        folder=folder(),
        parallel=2,
        memory_limit=MEMORY_LIMIT,
    )


def isolated() -> Executor:
    return ProcessExecutor(
        behave,
        metric="loss",
        session=uuid.uuid4().hex,
        folder=folder(),
        parallel=2,
        memory_limit=MEMORY_LIMIT,
        isolate=True,
    )


def command() -> Executor:
    program = Program([sys.executable, "-m", "tunesmith.testing.program"], wanted=("loss",))
    return CommandExecutor(
        program,
        session=uuid.uuid4().hex,
        folder=folder(),
        parallel=2,
        memory_limit=MEMORY_LIMIT,
    )


CHECKS = [
    pytest.param(check, id=f"{make.__name__}-{check}")
    for make, has_processes in ((inline, False), (process, True), (isolated, True), (command, True))
    for check in executor_checks(make, isolated=has_processes, asks=make is not command)
]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check: Check) -> None:
    check()
