"""Dask: agents as tasks of a cluster, each in a process of its own beside its worker.

A task holds its worker's thread as long as its agent lives, so that Dask places as many as there is room for. Cancelling a task
does not end it in Dask: agents are ended by their lines (`tunesmith.run.line`).
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import distributed

from tunesmith.core.errors import ExecutorError, StudyError, shown
from tunesmith.run.agent import Site
from tunesmith.run.calling import CallingCluster
from tunesmith.run.demand import Demand
from tunesmith.run.line import Call

_CONNECT_S: Final = 30


def dask(
    site: Site, demand: Demand, *, address: str | None = None, host: str | None = None
) -> CallingCluster:
    """Connects to `address`; without one the client is taken that this process has. What is demanded are the resources that workers were
    started with: GPU, MEMORY (bytes), CPU (asked for where it is not 1), and names of your own."""
    if demand.label:
        raise StudyError(
            "resources: Dask's workers have no labels; start them with resources, and write custom: {NAME: 1}"
        )
    amounts: dict[str, float | None] = {"GPU": demand.gpu, "MEMORY": demand.memory, **demand.custom}
    amounts |= {} if demand.cpu == 1 else {"CPU": demand.cpu}
    needed = {name: amount for name, amount in amounts.items() if amount}
    return CallingCluster(site, demand, _Tasks(address, needed), host)


class _Tasks:
    def __init__(self, address: str | None, resources: Mapping[str, float]) -> None:
        self._client, self._mine = _client(address)
        self._resources = dict(resources)
        self._tasks: dict[int, Any] = {}

    def start(self, calls: Sequence[Call]) -> None:
        try:
            for call in calls:
                self._tasks[call.agent] = self._client.submit(
                    accompany, call, pure=False, retries=0, resources=self._resources or None
                )
        except Exception as error:
            raise ExecutorError(f"tasks could not be handed in: {error}") from error

    def ended(self, agent: int) -> str:
        task = self._tasks.get(agent)
        if task is None or task.status == "pending":
            return ""
        error = task.exception() if task.status == "error" else None
        return f"its task on Dask has ended ({task.status}) before it began{f': {error}' if error else ''}"

    def forget(self, agent: int, *, called: bool) -> None:
        task = self._tasks.pop(agent, None)
        if task is not None:
            with contextlib.suppress(Exception):  # else it is run again where its worker has died
                task.cancel()

    def close(self) -> None:
        if self._mine:
            self._client.close()


def accompany(call: Call) -> None:
    """On a worker: run an agent in a process of its own, which ends with this one."""
    words = [sys.executable, "-m", "tunesmith.run.line"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(call, process.stdin)
            process.stdin.flush()
        process.wait()
    if process.returncode:
        raise ExecutorError(
            f"an agent has ended with status {process.returncode}; what it printed is with its worker's output"
        )


def _client(address: str | None) -> tuple[Any, bool]:
    """A client, and whether it is ours to close. Raises ExecutorError."""
    if address is None:
        try:
            return distributed.get_client(), False
        except ValueError:
            raise ExecutorError(
                "no Dask cluster: say which ({dask: {address: tcp://HOST:8786}}), or make a distributed.Client before"
            ) from None
    try:
        return distributed.Client(address, timeout=_CONNECT_S, set_as_default=False), True
    except (OSError, ValueError) as error:
        raise ExecutorError(f"no Dask cluster at {shown(address)} could be had: {error}") from error


#: What `tunesmith.run.executors` makes.
CLUSTER: Final = dask
