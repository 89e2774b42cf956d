"""Allocation of a machine's cores and GPUs to trials."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tunesmith.core.errors import JobError

#: What numerical libraries read to learn how many threads they may start.
THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
GPU_VARIABLE: Final = "CUDA_VISIBLE_DEVICES"


def cores() -> int:
    """The cores that this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def thread_caps(parallel: int, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables that give each of `parallel` trials its share of the cores.

    What the user has set stays as it is.
    """
    environment = os.environ if environment is None else environment
    share = str(max(1, cores() // max(1, parallel)))
    return {name: share for name in THREAD_VARIABLES if name not in environment}


def threads_of(count: int, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables that give a trial so many threads, wherever it runs; what the user has set here holds there."""
    environment = os.environ if environment is None else environment
    return {name: environment.get(name, str(count)) for name in THREAD_VARIABLES}


def visible_gpus() -> list[str]:
    """The GPUs there are: CUDA_VISIBLE_DEVICES if it is set, else what nvidia-smi lists."""
    visible = os.environ.get(GPU_VARIABLE)
    if visible is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.split()


class GpuSlots:
    """GPUs shared out by `per_trial`: 2.0 takes two whole ones, 0.5 shares one between two trials.

    >>> slots = GpuSlots(["0", "1"], per_trial=0.5, parallel=4)
    >>> [slots.take(trial) for trial in range(4)]
    [('0',), ('1',), ('0',), ('1',)]
    """

    def __init__(self, gpus: Sequence[str], per_trial: float, parallel: int) -> None:
        if per_trial < 0:
            raise JobError(f"gpus_per_trial is not below 0, unlike {per_trial!r}")
        if per_trial > 1 and per_trial != int(per_trial):
            raise JobError(
                f"gpus_per_trial is a fraction below 1 or a whole number, not {per_trial!r}"
            )
        share = int(1 / per_trial + 1e-9) if 0 < per_trial < 1 else 1
        fit = len(gpus) * share if per_trial <= 1 else len(gpus) // int(per_trial)
        if per_trial and fit < parallel:
            raise JobError(
                f"{parallel} trials at a time with gpus_per_trial {per_trial:g} need more GPUs than "
                f"the {len(gpus)} there are; at most {fit} fit: lower parallel"
            )
        self._per_trial = per_trial
        self._share = share
        self._load: dict[str, int] = dict.fromkeys(gpus, 0)
        self._taken: dict[int, tuple[str, ...]] = {}

    def take(self, holder: int) -> tuple[str, ...]:
        """The GPUs for `holder`, the least loaded first; () where no trial gets any."""
        if not self._per_trial:
            return ()
        count = max(1, int(self._per_trial))
        free = [gpu for gpu, load in self._load.items() if load < self._share]
        chosen = tuple(sorted(free, key=lambda gpu: self._load[gpu])[:count])
        if len(chosen) < count:
            raise JobError(f"no GPU is free for trial {holder}")  # more trials than `parallel`
        for gpu in chosen:
            self._load[gpu] += 1
        self._taken[holder] = chosen
        return chosen

    def give_back(self, holder: int) -> None:
        """Free the GPUs of `holder`, if it has any."""
        for gpu in self._taken.pop(holder, ()):
            self._load[gpu] -= 1


def gpu_environment(gpus: Iterable[str], per_trial: float) -> dict[str, str]:
    """What tells a program its GPUs; nothing where trials are given none."""
    return {GPU_VARIABLE: ",".join(gpus)} if per_trial else {}
