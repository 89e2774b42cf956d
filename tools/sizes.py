"""What an extra brings, and what it costs to import: a table for docs/guides/install.md.

    python tools/sizes.py [--sizes] [EXTRA ...]        with --sizes, without the times

Sizes are those of the files that pip has installed here: of each extra, what `pip install tunesmith` alone would not bring.
An extra whose packages are not all here is left out. Times are processor time of a fresh process, the better of two.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tomllib
from collections.abc import Collection, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT: Final = Path(__file__).parents[1] / "pyproject.toml"
#: What is imported of an extra, where that is not the integration of its name; the rest are imported by the packages' users.
IMPORTED: Final = {
    "": "tunesmith",
    "sklearn": "tunesmith.integrations.sklearn",
    "serve": "tunesmith.service.app",
    "figures": "plotly.graph_objects",
    "paper": "matplotlib.pyplot",
    "ray": "ray",
    "dask": "distributed",
    "slurm": "submitit",
    "pandas": "pandas",
    "polars": "polars",
    "excel": "python_calamine",
    "postgres": "psycopg",
    "remote": "fsspec",
    "vizier": "grpc",
    "tabular": "tunesmith.recipes.tabular",
    "images": "tunesmith.recipes.images",
    "testing": "tunesmith.testing",
    "examples": "sklearn",
    "hydra": "hydra",
}
RUNS: Final = 2


def closure(needed: Requirement, found: dict[str, Distribution]) -> None:
    """Add a distribution and all that it needs. Raises PackageNotFoundError."""
    key = canonicalize_name(needed.name)
    own = distribution(needed.name)
    known, found[key] = key in found, own
    for text in own.requires or ():
        inner = Requirement(text)
        marker = inner.marker
        wanted = [""] * (not known) + sorted(needed.extras)
        if any(marker is None or marker.evaluate({"extra": extra}) for extra in wanted):
            closure(inner, found)


def all_of(requirements: Sequence[str]) -> dict[str, Distribution]:
    """By name, what these need here. Raises PackageNotFoundError."""
    found: dict[str, Distribution] = {}
    for text in requirements:
        needed = Requirement(text)
        if needed.marker is None or needed.marker.evaluate():
            closure(needed, found)
    return found


def size(of: Distribution) -> int:
    """Bytes of its files."""
    paths = [file.locate() for file in of.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())  # type: ignore[attr-defined]


def seconds(module: str) -> float:
    """Processor time to import it, less that of an empty program."""

    def run(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {"KERAS_BACKEND": "torch", **os.environ}  # Keras would look for TensorFlow
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, env=environment
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    best = [min(run(code) for _ in range(RUNS)) for code in (f"import {module}", "")]
    return best[0] - best[1]


def row(extra: str, requirements: Sequence[str], base: Collection[str]) -> str | None:
    try:
        found = all_of(requirements)
    except PackageNotFoundError:
        return None
    new = [of for name, of in found.items() if name not in base]
    module = IMPORTED.get(extra, f"tunesmith.integrations.{extra.replace('-', '_')}")
    name = f"`{extra}`" if extra else "(none)"
    took = "" if "--sizes" in sys.argv else f"{seconds(module):.1f}"
    return f"| {name} | {len(new)} | {sum(map(size, new)) / 1e6:.0f} | `{module}` | {took} |"


def main() -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    base, extras = project["dependencies"], project["optional-dependencies"]
    known = all_of(base)
    print("| extra | packages | MB | import | seconds |\n| --- | --- | --- | --- | --- |")
    for extra in [a for a in sys.argv[1:] if a != "--sizes"] or [
        "",
        *sorted(extras.keys() - {"all"}),
    ]:
        line = row(extra, extras[extra], known) if extra else row("", base, ())
        if line:
            print(line, flush=True)


if __name__ == "__main__":
    main()
