"""Measure what somebody waits for who works on a long study: sorts, filters, brushes, and a result that comes in.

    python benchmarks/service/long_study.py [--trials 100000] [--folder DIR]

Once its history has been read. The store is that of `first_paint.py`, made once in `--folder`. Times are from the click, key or
movement to the frame that shows what comes of it, in Chromium.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.service.first_paint import REPORTS, store
from tests.service.page.browser import Watched, chromium
from tests.service.running import Service

import tunesmith as ts

ROUNDS = 5
#: Notes the frame after some element has another text (ms).
_CHANGED = """selector => new Promise(done => {
  const one = document.querySelector(selector), text = one.textContent, began = performance.now();
  const look = () => {
    if (document.querySelector(selector).textContent === text) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  };
  const watch = new MutationObserver(look);
  watch.observe(document.querySelector("main"), { childList: true, subtree: true, characterData: true });
  window.act();
})"""
#: Notes how long each frame takes.
_FRAMES = """() => {
  window.frames_ms = [];
  let last = performance.now();
  const frame = now => { window.frames_ms.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""


def changed(window: Watched, address: str, ready: str, watched: str, act: str) -> float:
    """How long after `act`, a statement, the element `watched` has another text (s)."""
    window.page.goto(address)
    window.page.locator(ready).first.wait_for()
    time.sleep(1.0)
    window.page.evaluate(f"window.act = () => {{ {act} }}; null")
    return float(window.page.evaluate(_CHANGED, watched)) / 1e3


def go(query: str) -> str:
    """What a click or a key does at last: another address."""
    return f"history.pushState(null, '', '?study=study-0&view=trials&{query}'); dispatchEvent(new Event('address'));"


def brush(window: Watched, address: str) -> list[float]:
    """How long the frames take while a brush is dragged over an axis (ms)."""
    page = window.page
    page.goto(f"{address}&view=parallel")
    page.locator("[data-axis]").first.wait_for()
    time.sleep(3.0)
    grip = page.locator("[data-axis=loss] .grip").bounding_box()
    assert grip is not None
    x, low = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] - 4
    page.evaluate(_FRAMES)
    page.mouse.move(x, low)
    page.mouse.down()
    for k in range(40):
        page.mouse.move(x, low - (grip["height"] - 20) * k / 40)
    page.mouse.up()
    time.sleep(0.5)
    frames: list[float] = page.evaluate("window.frames_ms")
    return frames


def result(window: Watched, address: str, study: ts.Study, round_: int) -> float:
    """How long after its end is acknowledged a trial is in the table (s)."""
    page = window.page
    page.goto(f"{address}&view=trials")
    page.locator(".list [role=row]").nth(3).wait_for()
    time.sleep(1.0)
    trial = study.ask()
    page.evaluate(
        """number => { window.came = new Promise(done => {
          const look = () => {
            if (![...document.querySelectorAll('.list [role=row]')].some(row => row.textContent.startsWith(number)
              && row.textContent.includes('completed'))) return;
            watch.disconnect();
            requestAnimationFrame(() => setTimeout(() => done(Date.now())));
          };
          const watch = new MutationObserver(look);
          watch.observe(document.querySelector('main'), { childList: true, subtree: true, characterData: true });
        }); }""",
        str(trial.number),
    )
    study.tell(trial, 5.0 + round_)
    told = time.time()
    came: float = page.evaluate("window.came")
    return came / 1e3 - told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    made = store(
        (options.folder or Path(tempfile.mkdtemp())) / f"long-{options.trials}.db",
        1, options.trials, REPORTS,
    )  # fmt: skip
    folder = Path(tempfile.mkdtemp())
    path = Path(shutil.copy(made, folder / "studies.db"))
    service = Service(path)
    with chromium() as browser:
        window = Watched(browser)
        window.page.goto(service.login)
        address = f"http://127.0.0.1:{service.port}/?study=study-0"
        window.page.goto(address)
        window.page.locator("#again").wait_for()
        for what, query in (
            ("a sort", "sort=-loss"),
            ("a filter", "where=loss+%3C+0.5+and+x+%3E+{}"),
            ("a filter with or", "where=loss+%3C+0.5+or+x+%3E+{}"),
        ):
            ready, watched = ".list [role=row] >> nth=3", ".list"
            times = [
                changed(
                    window, f"{address}&view=trials", ready, watched, go(query.format((k + 1) / 10))
                )
                for k in range(ROUNDS)
            ]
            print(
                f"{what}: median {1e3 * statistics.median(times):.0f} ms, at most {1e3 * max(times):.0f}"
            )
        frames = [frame for _ in range(ROUNDS) for frame in brush(window, address)]
        longest = sorted(frames)[-ROUNDS:]
        print(
            f"a brush: median frame {statistics.median(frames):.0f} ms, longest {max(frames):.0f}; the {ROUNDS} longest "
            f"of {len(frames)}: {', '.join(f'{frame:.0f}' for frame in longest)}"
        )
        with ts.Study.open("study-0", storage=service.url(service.token())) as study:
            study.ask()
            times = [result(window, address, study, k) for k in range(ROUNDS)]
        print(
            f"a result on screen: median {statistics.median(times):.2f} s, at most {max(times):.2f}"
        )
        heap = window.page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        print(f"heap {heap:.0f} MB; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        window.close()
    service.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
