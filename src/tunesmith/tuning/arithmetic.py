"""What suggestions depend on beside the history: the edition of the strategies, and for rounding processor, libraries and threads.

Sessions record it, and replay compares it.
"""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.numeric.threads import kernel, thread_count
from tunesmith.version import EDITION


@cache
def arithmetic() -> dict[str, str]:
    """This process's, by name; what cannot be known is left out."""
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    known = {
        "processor": _processor(),
        "kernel": kernel(),
        "numpy": np.__version__,
        "scipy": _version("scipy"),
        "blas": f"{blas.get('name', '')} {blas.get('version', '')}".strip(),
        "threads": str(thread_count() or ""),
        "strategies": f"edition {EDITION}",
    }
    return {name: value for name, value in known.items() if value}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # no Linux
    return platform.processor() or platform.machine()
