"""Dask: agents as tasks of a cluster, each in a process of its own beside its worker.

A task holds its worker's thread as long as its agent lives, so that Dask places as many as there is room for. Cancelling a task
does not end it in Dask: agents are ended by their lines (`tunesmith.run.line`).
"""

from __future__ import annotations

import contextlib
import math
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import distributed

from tunesmith.core.errors import ExecutorError, StudyError, shown
from tunesmith.run.agent import Site
from tunesmith.run.calling import CallingCluster
from tunesmith.run.demand import Demand
from tunesmith.run.line import Call

_CONNECT_S: Final = 30
#: A task that waits is handed in again when workers have come, and after so long (s), later after twice as long, and so on: Dask
#: gives it to a worker at once, and leaves it there behind a busy one though another is free.
_AGAIN_S: Final = 15.0
#: How often it is asked which workers there are (s).
_LOOK_EVERY_S: Final = 1.0
#: So often a task is handed in again whose workers have died.
_DEATHS: Final = 10


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


@dataclass(slots=True)
class _Task:
    call: Call
    future: Any
    #: The workers that were there when it was handed in.
    workers: frozenset[str]
    #: How often its worker has died before it called.
    deaths: int = 0
    waits_s: float = _AGAIN_S
    again_at: float = field(default_factory=lambda: time.monotonic() + _AGAIN_S)


class _Tasks:
    def __init__(self, address: str | None, resources: Mapping[str, float]) -> None:
        self._client, self._mine = _client(address)
        self._resources = dict(resources)
        self._tasks: dict[int, _Task] = {}
        self._workers: frozenset[str] = frozenset()
        self._looked_s = -math.inf

    def start(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._tasks[call.agent] = _Task(call, self._submitted(call), self._there())

    def _submitted(self, call: Call) -> Any:
        try:
            return self._client.submit(
                accompany, call, pure=False, retries=0, resources=self._resources or None
            )
        except Exception as error:
            raise ExecutorError(f"tasks could not be handed in: {error}") from error

    def ended(self, agent: int) -> str:
        task = self._tasks.get(agent)
        if task is None:
            return ""
        status = task.future.status
        error = task.future.exception() if status == "error" else None
        died = status in ("lost", "cancelled") or isinstance(error, distributed.KilledWorker)
        if status != "pending" and not (died and task.deaths < _DEATHS):
            return f"its task on Dask has ended ({status}) before it began{f': {error}' if error else ''}"
        there = self._there()
        more = not there <= task.workers
        late = more or time.monotonic() > task.again_at
        if late and not died and self._begun(task.call, there):
            task.again_at, task.workers = time.monotonic() + _AGAIN_S, there
        elif died or late:
            task.deaths += died
            task.waits_s *= 1 if died or more else 2
            task.workers = there
            self._cancel(task)
            task.future = self._submitted(task.call)
            task.again_at = time.monotonic() + task.waits_s
        return ""

    def _there(self) -> frozenset[str]:
        """The workers that are there, as of a second ago."""
        if time.monotonic() - self._looked_s > _LOOK_EVERY_S:
            with contextlib.suppress(Exception):
                self._workers = frozenset(self._client.scheduler_info(n_workers=-1)["workers"])
            self._looked_s = time.monotonic()
        return self._workers

    def _begun(self, call: Call, there: frozenset[str]) -> bool:
        """Whether it runs on a worker that is there: cancelled, it would go on, on a worker that is taken for free."""
        try:
            return any(worker in there for _, worker in self._client.get_events(_topic(call)))
        except Exception:  # noqa: BLE001 (asked again later)
            return True

    def forget(self, agent: int, *, called: bool) -> None:
        task = self._tasks.pop(agent, None)
        if task is not None:
            self._cancel(task)

    def _cancel(self, task: _Task) -> None:
        with contextlib.suppress(Exception):  # else it is run again where its worker has died
            task.future.cancel()

    def close(self) -> None:
        if self._mine:
            self._client.close()


def accompany(call: Call) -> None:
    """On a worker: run an agent in a process of its own, which ends with this one."""
    worker = distributed.get_worker()
    worker.log_event(_topic(call), worker.address)
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


def _topic(call: Call) -> str:
    """Under what it is noted that an agent has begun, and on which worker."""
    return f"tunesmith {call.host}:{call.port}/{call.agent}"


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
