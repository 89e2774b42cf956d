"""Slurm: agents as jobs, handed in by submitit, each with what one trial demands.

Agents that are asked for together are one array. The machine of the coordinator, a login node say, has to be reached from the
others (`tunesmith.run.line`).
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import submitit

from tunesmith.core.errors import ExecutorError, StudyError, shown
from tunesmith.core.quantity import seconds
from tunesmith.run.agent import Site
from tunesmith.run.calling import CallingCluster
from tunesmith.run.demand import Demand
from tunesmith.run.line import Call, attend

#: How long a job may run where nothing is said (Slurm's own default may be minutes).
_TIME: Final = "24h"


def slurm(
    site: Site,
    demand: Demand,
    *,
    partition: str | None = None,
    time: float | str = _TIME,
    host: str | None = None,
    options: Mapping[str, Any] | None = None,
    cluster: str = "slurm",
) -> CallingCluster:
    """`time` is how long each job may run; a trial whose job is over goes on in another one. `options` are more of submitit's,
    by its names (`slurm_qos`, `slurm_setup`, ...); `cluster="local"` is submitit's own, without Slurm."""
    if demand.label or demand.custom:
        raise StudyError(
            "resources: Slurm knows no label and no custom ones here; write options: {slurm_constraint: ...}"
        )
    parameters: dict[str, Any] = {
        "name": "tunesmith",
        "timeout_min": max(1, math.ceil(seconds(time, "time") / 60)),
        "cpus_per_task": max(1, math.ceil(demand.cpu)),
    }
    if demand.gpu:
        parameters["gpus_per_node"] = math.ceil(demand.gpu)
    if demand.memory is not None:
        parameters["mem_gb"] = demand.memory / 2**30
    if partition is not None:
        parameters["slurm_partition"] = partition
    return CallingCluster(
        site, demand, _Jobs(site, cluster, {**parameters, **(options or {})}), host
    )


class _Jobs:
    def __init__(self, site: Site, cluster: str, parameters: Mapping[str, Any]) -> None:
        folder = site.folder / "slurm"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.chmod(folder, 0o700)  # jobs are told there what lets them in  # noqa: PTH101
            self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            self._executor.update_parameters(**parameters)
        except Exception as error:
            raise ExecutorError(f"no jobs can be handed in to {shown(cluster)}: {error}") from error
        self._jobs: dict[int, Any] = {}

    def start(self, calls: Sequence[Call]) -> None:
        try:
            if len(calls) == 1:
                jobs = [self._executor.submit(attend, calls[0])]
            else:
                jobs = self._executor.map_array(attend, calls)
        except Exception as error:
            raise ExecutorError(f"jobs could not be handed in: {error}") from error
        self._jobs.update({call.agent: job for call, job in zip(calls, jobs, strict=True)})

    def ended(self, agent: int) -> str:
        job = self._jobs.get(agent)
        if job is None or not job.done():
            return ""
        words = ""
        with contextlib.suppress(Exception):
            words = " ".join((job.stderr() or job.stdout() or "").split("\n")[-4:])[-500:]
        return f"job {job.job_id} has ended ({job.state}) before its agent called: {words or 'it left no output'}"

    def forget(self, agent: int, *, called: bool) -> None:
        job = self._jobs.pop(agent, None)
        if job is not None and not called:
            with contextlib.suppress(Exception):
                job.cancel()

    def close(self) -> None:
        """Jobs end with their agents."""


#: What `tunesmith.run.executors` makes.
CLUSTER: Final = slurm
