"""Task of a cluster's queue that this process is, as its environment says: for people, who know it by that."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.core.text import shorten, utf8

#: A longer one is cut.
_CHARACTERS = 200


def cluster_task(environment: Mapping[str, str], host: str) -> str:
    """``array task 7 of Slurm job 123 on node n12``, ``pod digits-0-x7w2k of Kubernetes``; "" outside of both."""
    get = environment.get
    if job := get("SLURM_ARRAY_JOB_ID"):
        task = f"array task {get('SLURM_ARRAY_TASK_ID', '?')} of Slurm job {job}"
    elif job := get("SLURM_JOB_ID"):
        several = get("SLURM_NTASKS", "1") != "1" and "SLURM_PROCID" in environment
        task = f"task {get('SLURM_PROCID')} of Slurm job {job}" if several else f"Slurm job {job}"
    elif get("KUBERNETES_SERVICE_HOST"):
        index = get("JOB_COMPLETION_INDEX")
        task = f"pod {get('POD_NAME') or host} of Kubernetes"
        task += f", index {index}" if index else ""
    else:
        return ""
    if node := get("SLURMD_NODENAME"):
        task += f" on node {node}"
    return shorten(utf8(task), _CHARACTERS)
