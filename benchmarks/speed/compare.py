"""Measure tunesmith against Optuna, in turn, on this machine, and write RESULTS.md.

    python -m venv .venv-peers && .venv-peers/bin/pip install optuna==5.0.0
    python benchmarks/speed/compare.py --peer .venv-peers/bin/python

Each figure is the median of several processes; a ratio is the median of the ratios of pairs run one
after the other, so that it holds while the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent


def case(python: str, script: str, name: str, n: int, folder: Path) -> dict[str, float]:
    """One process, one figure (or a few)."""
    command = [python, str(HERE / script), name, str(n)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    figures: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return figures


def seconds(command: Sequence[str], folder: Path) -> float:
    """Wall time of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, cwd=folder)
    return time.perf_counter() - began


def spread(values: Sequence[float], digits: int = 0) -> str:
    """``median (lowest .. highest)``."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} .. {high:,.{digits}f})"


class Table:
    """Rows of the report: what, ours, the peer's, the ratio, the bar, whether it is reached."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str, str, str]] = []

    def add(self, what: str, ours: str, peer: str, ratio: str, bar: str, *, reached: bool) -> None:
        self.rows.append((what, ours, peer, ratio, bar, "yes" if reached else "NO"))
        print(" | ".join(self.rows[-1]), flush=True)

    def markdown(self) -> str:
        head = ("what", "tunesmith", "Optuna 5.0.0", "ratio", "bar", "reached")
        lines = [head, ("---",) * 6, *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def throughput(table: Table, peer: str, rounds: int, folder: Path) -> None:
    """Trials per second, pair by pair."""
    plans = [
        ("memory, 2 floats", "memory2", 30_000, "memory2", 8_000, 3.0, 0.0),
        ("memory, 5 mixed", "memory5", 30_000, "memory5", 5_000, 3.0, 0.0),
        ("SQLite file, survives kill -9", "sqlite", 6_000, "sqlite", 100, 50.0, 2000.0),
        (
            "SQLite file, survives a power cut, 8 in flight",
            "power8",
            3_000,
            "sqlite",
            100,
            20.0,
            0.0,
        ),
    ]
    for what, ours, n, theirs, m, least_ratio, least in plans:
        mine, other = [], []
        for _ in range(rounds):
            mine.append(case(sys.executable, "ours.py", ours, n, folder)["per_s"])
            other.append(case(peer, "optuna_side.py", theirs, m, folder)["per_s"])
        ratio = statistics.median(a / b for a, b in zip(mine, other, strict=True))
        bar = f"{least_ratio:g} x" + (f" and {least:,.0f}/s" if least else "")
        table.add(
            f"trials/s: {what}",
            spread(mine),
            spread(other),
            f"{ratio:.1f} x",
            bar,
            reached=ratio >= least_ratio and statistics.median(mine) >= least,
        )


def start_up(table: Table, peer: str, rounds: int, folder: Path) -> None:
    """How long the import and the help take, less an empty interpreter where imports compare."""
    mine, other = [], []
    for _ in range(rounds * 3):
        empty = seconds([sys.executable, "-c", "pass"], folder)
        mine.append(seconds([sys.executable, "-c", "import tunesmith"], folder) - empty)
        other.append(seconds([peer, "-c", "import optuna"], folder) - empty)
    ratio = statistics.median(a / b for a, b in zip(mine, other, strict=True))
    table.add(
        "import, ms",
        spread([1e3 * t for t in mine], 1),
        spread([1e3 * t for t in other], 1),
        f"{ratio:.3f}",
        "0.25",
        reached=ratio <= 0.25,
    )
    tool = str(Path(sys.executable).parent / "tunesmith")
    helps = [seconds([tool, "--help"], folder) for _ in range(rounds * 3)]
    table.add(
        "tunesmith --help, s",
        spread(helps, 3),
        "",
        "",
        "0.25 s",
        reached=statistics.median(helps) < 0.25,
    )


def growth(table: Table, rounds: int, folder: Path) -> None:
    """What depends on the number of trials, or on nothing but us."""

    def ours(name: str, n: int) -> list[dict[str, float]]:
        return [case(sys.executable, "ours.py", name, n, folder) for _ in range(rounds)]

    rates = [run["per_s"] for run in ours("process2", 3_000)]
    table.add(
        "trials/s: process executor, no-op, 2 workers",
        spread(rates),
        "",
        "",
        "500/s",
        reached=statistics.median(rates) >= 500,
    )
    few = [run["ask_us"] for run in ours("ask", 100)]
    many = [run["ask_us"] for run in ours("ask", 100_000)]
    ratio = statistics.median(many) / statistics.median(few)
    table.add(
        "ask at 100 and at 100,000 trials, us",
        f"{spread(few, 1)}; {spread(many, 1)}",
        "",
        f"{ratio:.2f}",
        "2",
        reached=ratio <= 2,
    )
    case(sys.executable, "ours.py", "make_big", 100_000, folder)
    for name, what in (("open_best", "tunesmith best"), ("open_history", "Study.open(...).best")):
        runs = ours(name, 0)
        times, memory = [run["s"] for run in runs], [run["mb"] for run in runs]
        table.add(
            f"100,000 trials in SQLite: {what}, s; MB",
            f"{spread(times, 2)}; {spread(memory)}",
            "",
            "",
            "1 s, 300 MB",
            reached=statistics.median(times) < 1 and statistics.median(memory) < 300,
        )
    (big,) = [case(sys.executable, "ours.py", "million", 1_000_000, folder)]
    table.add(
        "history of 1,000,000 trials, MB; us to add one",
        f"{big['mb']:,.0f}; {big['us']:.1f}",
        "",
        "",
        "2,000 MB",
        reached=big["mb"] <= 2000,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peer", required=True, help="a Python that has Optuna")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    peer = str(Path(options.peer).absolute())
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    table = Table()
    with tempfile.TemporaryDirectory(dir=".") as temporary:
        folder = Path(temporary).absolute()
        throughput(table, peer, options.rounds, folder)
        start_up(table, peer, options.rounds, folder)
        growth(table, options.rounds, folder)
    text = (
        "# Speed\n\n"
        f"Made by `python benchmarks/speed/compare.py --peer PYTHON --rounds {options.rounds}` on "
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {os.cpu_count()} cores. "
        "Figures are medians over processes (lowest .. highest); ratios are medians over pairs run one "
        "after the other.\n\n"
        f"{table.markdown()}\n"
    )
    options.output.write_text(text)


if __name__ == "__main__":
    main()
