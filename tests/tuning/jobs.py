"""A small job file for the tests of tuning and of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunesmith.core.text import write_yaml

#: A program of a few milliseconds that prints its metric (no imports that take time).
PROGRAM = """\
import sys, time
x = float(sys.argv[sys.argv.index("--x") + 1])
if "--sleep" in sys.argv: time.sleep(float(sys.argv[sys.argv.index("--sleep") + 1]))
if x > 0.999: sys.exit("too much")
print(f"loss={(x - 0.25) ** 2:.6f}")
"""

JOB: dict[str, Any] = {
    "name": "small",
    "command": "python3 -S program.py --x {x}",
    "objective": {"metric": "loss"},
    "metrics": {"loss": "loss=([0-9.e-]+)"},
    "space": {"x": {"float": [0, 1]}},
    "limits": {"trials": 4},
    "searcher": "random",
    "seed": 1,
}


def write_job(folder: Path, **changes: Any) -> Path:
    """Write job.yaml and its program; a change to None leaves the key out."""
    (folder / "program.py").write_text(PROGRAM)
    path = folder / "job.yaml"
    job = {key: value for key, value in (JOB | changes).items() if value is not None}
    path.write_text(write_yaml(job))
    return path
