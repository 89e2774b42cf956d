"""Measure what somebody with a browser waits for: the list of many studies, and a long study, known and cold.

    python benchmarks/service/first_paint.py [--studies 10000] [--trials 100000] [--folder DIR]

Stores are made once in `--folder`, where they stay. Times are from the address to what is on screen, in Chromium.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.service.page.browser import Watched, chromium
from tests.service.running import Service

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.events import Event
from tunesmith.core.trial import Cost, Origin, State

ROUNDS = 9
#: What says something of a study, and what has its report.
WORDS = ("main h1, main .note, main .strip p", ".report h2")
#: Reports of each trial of the long study.
REPORTS = 3


def trials(n: int, reports: int, began: float, rng: random.Random) -> list[Event]:
    """The events of `n` completed trials of two parameters."""
    made: list[Event] = []
    for k in range(n):
        at = began + k
        config = {"x": rng.random(), "y": rng.random()}
        made.append(events.Suggested(at, k, config, Origin("random"), "s"))
        made += [
            events.Reported(at, k, 0, step, {"loss": rng.random()})
            for step in range(1, reports + 1)
        ]
        value = (config["x"] - 0.3) ** 2 + config["y"]
        end = (value,), {"loss": value}, None, Cost(wall_s=0.5)
        made.append(events.Finished(at + 0.5, k, 0, State.COMPLETED, *end))
    return made


def store(path: Path, studies: int, n: int, reports: int) -> Path:
    """A file with so many studies of `n` trials."""
    if path.exists():
        return path
    space, rng = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1)), random.Random(1)
    made = path.with_suffix(".made")
    study = ts.Study.create(
        space, metric="loss", name="study-0", searcher="random", seed=1, storage=made
    )
    for k in range(studies):
        if k:
            study.store.create(dataclasses.replace(study.spec, name=f"study-{k}"), time.time())
        history = trials(n, reports, time.time() - n, rng)
        for begin in range(0, len(history), 20_000):
            study.store.append(f"study-{k}", history[begin : begin + 20_000], begin)
    study.close()
    made.replace(path)
    return path


#: Notes when each of some things is on screen for the first time (ms after the address was gone to): a driver that waits
#: for one looks twice a second, no more.
_NOTES = """wanted => {
  window.shown = {};
  const look = () => {
    for (const one of wanted)
      if (!(one in window.shown) && document.querySelector(one)) {
        window.shown[one] = null;
        requestAnimationFrame(() => setTimeout(() => { window.shown[one] = performance.now(); }));
      }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
}"""


def seconds(window: Watched, address: str, *there: str) -> list[float]:
    """How long after going to an address each of some things was on screen (s)."""
    page = window.context.new_page()
    page.add_init_script(f"({_NOTES})({json.dumps(there)})")
    page.goto(address, wait_until="commit")
    while True:
        shown = page.evaluate("window.shown") or {}
        if all(shown.get(one) for one in there):
            page.close()
            return [shown[one] / 1e3 for one in there]
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    many = store(folder / f"many-{options.studies}.db", options.studies, 3, 0)
    long = store(folder / f"long-{options.trials}.db", 1, options.trials, REPORTS)
    with chromium() as browser:
        service = Service(many)
        window = Watched(browser)
        window.page.goto(service.login)
        window.page.locator(".card").first.wait_for()
        times = [
            seconds(window, f"http://127.0.0.1:{service.port}/", ".card")[0] for _ in range(ROUNDS)
        ]
        print(
            f"{options.studies:,} studies, first page on screen: median {1e3 * statistics.median(times):.0f} ms, "
            f"{1e3 * min(times):.0f} to {1e3 * max(times):.0f}"
        )
        window.close()
        service.close()
        for wait_s, what in ((0.0, "at once after the service's start"), (30.0, "30 s later")):
            service = Service(long)
            time.sleep(wait_s)
            window = Watched(browser)
            window.page.goto(f"{service.login}")
            address = f"http://127.0.0.1:{service.port}/?study=study-0"
            first, report = seconds(window, address, *WORDS)
            print(
                f"{options.trials:,} trials, {what}: first words {first:.2f} s, report {report:.2f} s"
            )
            again = [seconds(window, address, *WORDS) for _ in range(ROUNDS)]
            first, report = (statistics.median(times) for times in zip(*again, strict=True))
            print(f"... and again: first words {first:.2f} s, report {report:.2f} s")
            window.close()
            service.close()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
