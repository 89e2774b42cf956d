"""Measure commands on a large study, and on many studies, each run a whole process: ``python large.py [--rounds 5]``.

The study has 100,000 trials with 5 reports each, in a SQLite file. Writes LARGE.md: seconds as median
(lowest .. highest), the processor's seconds, peak memory, and the bars.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tunesmith.core import events
from tunesmith.core.limits import Limits
from tunesmith.core.rng import passing_stream
from tunesmith.core.study import Strategy, StudySpec
from tunesmith.core.trial import Cost, Origin, State
from tunesmith.store import open_store

sys.path.insert(0, str(Path(__file__).parent))
from ours import five_mixed, two_floats  # type: ignore[import-not-found]

HERE = Path(__file__).parent
TRIALS, REPORTS, STUDIES = 100_000, 5, 300
MEGABYTES = 400
#: Events written at a time.
BATCH = 7_000
RESUME = """
from tunesmith.store import open_store
from tunesmith.tuning.coordinator import Loop
Loop(open_store("large.db"), "large").close()
"""


def make_large(path: Path, trials: int = TRIALS) -> None:
    """A study of random search, not ended, so that it can be resumed."""
    limits = Limits(trials=2 * trials)
    spec = StudySpec(name="large", space=five_mixed(), searcher=Strategy("random"), limits=limits)
    store = open_store(path)
    store.create(spec, 0.0)
    cursor = 0
    batch: list[events.Event] = [events.Opened(0.0, "s", "host", 1, 0.0, True, "0.1.0")]
    origin, cost = Origin("random", "", 1, 1, 1, 0), Cost(1.0, 1.0, 2**20, None)
    for k in range(trials):
        config = spec.space.sample(passing_stream(0, k, "suggest"))
        loss, at = (config["x"] - 1) ** 2 + config["z"], float(k)
        batch.append(events.Suggested(at, k, config, origin, "s"))
        for step in range(1, REPORTS + 1):
            metrics = {"value": loss * (1 + 1 / step)}
            batch.append(events.Reported(at + step / 10, k, 0, step, metrics))
        end = (at + 0.9, k, 0, State.COMPLETED, (loss,), {"value": loss}, None, cost)
        batch.append(events.Finished(*end))
        if len(batch) > BATCH:
            cursor, batch = store.append("large", batch, cursor), []
    store.append("large", [*batch, events.Closed(float(trials), "s")], cursor)
    store.close()


def make_many(path: Path, studies: int = STUDIES) -> None:
    """Studies of 20 trials."""
    store = open_store(path)
    for number in range(studies):
        spec = StudySpec(name=f"study-{number}", space=two_floats(), searcher=Strategy("random"))
        store.create(spec, float(number))
        batch: list[events.Event] = []
        for k in range(20):
            config = spec.space.sample(passing_stream(number, k, "suggest"))
            batch.append(events.Suggested(float(k), k, config, Origin("random"), "s"))
            batch.append(events.Finished(k + 0.5, k, 0, State.COMPLETED, (config["x"],)))
        store.append(spec.name, batch, 0)
    store.close()


def measured(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Seconds, the processor's seconds and peak megabytes of a process."""
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - began
    assert process.returncode == 0, command
    return took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def spread(values: list[float]) -> str:
    """``median (lowest .. highest)``."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} .. {max(values):.2f})"


def row(what: str, bar_s: float, runs: list[tuple[float, float, float]]) -> str:
    seconds, processor, megabytes = (list(column) for column in zip(*runs, strict=True))
    good = statistics.median(seconds) <= bar_s and max(megabytes) <= MEGABYTES
    cells: list[Any] = [what, spread(seconds), spread(processor), f"{max(megabytes):.0f}"]
    return f"| {' | '.join(map(str, [*cells, f'{bar_s:g} s', 'yes' if good else 'no']))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--output", type=Path, default=HERE / "LARGE.md")
    options = parser.parse_args()
    tool = str(Path(sys.executable).parent / "tunesmith")
    plans = [
        ("trials", 2.0, [tool, "trials", "large", "-s", "large.db"]),
        ("show", 2.0, [tool, "show", "large", "-s", "large.db"]),
        ("export --format csv", 5.0, [tool, "export", "large", "-s", "large.db", "-o", "l.csv"]),
        ("report", 5.0, [tool, "report", "large", "-s", "large.db", "-o", "l.html"]),
        ("resume: a coordinator opens and closes it", 3.0, [sys.executable, "-c", RESUME]),
        (f"ls of {STUDIES} studies", 1.0, [tool, "ls", "-s", "many.db"]),
    ]
    with tempfile.TemporaryDirectory(dir=".") as temporary:
        folder = Path(temporary).absolute()
        make_large(folder / "large.db", options.trials)
        make_many(folder / "many.db")
        lines = [
            row(what, bar, [measured(command, folder) for _ in range(options.rounds)])
            for what, bar, command in plans
        ]
    head = ("what", "s", "processor time, s", "MB", "bar", "reached")
    text = (
        "# Large studies\n\n"
        f"Made by `python benchmarks/speed/large.py --rounds {options.rounds}` on {time.strftime('%Y-%m-%d')}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores: whole processes on a study of {options.trials:,} trials with "
        f"{REPORTS} reports each, as median (lowest .. highest); the bar for memory is {MEGABYTES} MB. "
        f"{os.getloadavg()[0]:.1f} processes wanted a core when it ended.\n\n"
        f"| {' | '.join(head)} |\n|{' --- |' * len(head)}\n" + "\n".join(lines) + "\n"
    )
    options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
