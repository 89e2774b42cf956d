"""The largest batch that fits into memory, and how many samples a second each size trains."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import astuple, dataclass
from typing import Any, Final

from tunesmith.analysis.drawn import to_figure
from tunesmith.analysis.style import BLUE, ORANGE, Figure, figure
from tunesmith.core.errors import TunesmithError
from tunesmith.core.quantity import show_bytes, size_bytes
from tunesmith.core.space.parameter import Group, Int

#: What libraries say when there is no memory.
_SAYINGS: Final = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "bad_alloc",
    "alloc_failed",
)
#: A batch size is good enough if it trains this share of the most samples a second.
NEARLY: Final = 0.95
#: The largest size is known to this share of it.
_EXACT: Final = 0.05


@dataclass(frozen=True, slots=True)
class Size:
    """One batch size: seconds that a step takes (the median), or why it does not fit."""

    batch_size: int
    step_s: float | None
    why: str = ""

    @property
    def samples_per_s(self) -> float:
        return 0.0 if self.step_s is None else self.batch_size / max(self.step_s, 1e-9)


@dataclass(frozen=True)
class BatchSizes:
    """What was tried, by batch size."""

    sizes: tuple[Size, ...]

    @property
    def fitting(self) -> list[Size]:
        return [size for size in self.sizes if size.step_s is not None]

    @property
    def largest(self) -> int:
        """The largest that fits, to within 5 % (or the largest that was asked for)."""
        return self.fitting[-1].batch_size

    @property
    def fastest(self) -> int:
        """The one that trains the most samples a second."""
        return max(self.fitting, key=lambda size: size.samples_per_s).batch_size

    @property
    def knee(self) -> int:
        """The smallest that trains nearly as many samples a second as the fastest."""
        most = max(size.samples_per_s for size in self.fitting)
        return next(s.batch_size for s in self.fitting if s.samples_per_s >= NEARLY * most)

    def parameter(self, group: Group = "optimizer") -> Int:
        """A parameter up to the largest; it begins at the knee."""
        low = max(1, min(16, self.largest // 4, self.knee))
        return Int(low, self.largest, log=True, default=self.knee, group=group)

    def figure(self) -> Any:
        """The throughput, as a Plotly figure (extra ``figures``)."""
        return to_figure(self.picture())

    def picture(self) -> Figure:
        """The throughput, as Plotly's JSON has it."""
        x = [size.batch_size for size in self.fitting]
        y = [size.samples_per_s for size in self.fitting]
        ticks = [b for a, b in zip([0, *x], x, strict=False) if b >= 1.3 * a]
        data: list[dict[str, Any]] = [
            {"type": "scatter", "x": x, "y": y, "mode": "lines+markers", "line": {"color": BLUE}},
            {
                "type": "scatter",
                "x": [self.knee],
                "y": [y[x.index(self.knee)]],
                "mode": "markers",
                "marker": {"color": ORANGE, "size": 11},
            },
        ]
        return figure(
            "Throughput by batch size",
            f"Median of repeated steps. Orange: {self.knee}, the smallest within {NEARLY:.0%} of the fastest; "
            f"{self.largest} is the largest that fits.",
            data,
            xaxis={
                "title": {"text": "batch size"},
                "type": "log",
                "tickvals": ticks,
                "ticktext": [str(size) for size in ticks],
            },
            yaxis={"title": {"text": "samples a second"}, "rangemode": "tozero"},
        )

    def __str__(self) -> str:
        speed = next(s.samples_per_s for s in self.fitting if s.batch_size == self.knee)
        why = next((f" ({size.why} beyond)" for size in self.sizes if size.step_s is None), "")
        return (
            f"batch size {self.knee} trains {speed:,.0f} samples/s; the largest that fits is "
            f"{self.largest}{why}"
        )


def find_batch_size(
    run: Callable[[int], object],
    *,
    low: int = 1,
    high: int = 65_536,
    repeats: int = 3,
    memory: str | int | None = None,
) -> BatchSizes:
    """Try batch sizes by doubling from `low`, then by halving the gap to the first that does not fit.

    ``run(batch_size)`` does one step of training on a batch of that size, as it will be done in earnest (forward,
    backward, update). It is called once to warm up and `repeats` times for the clock; a step that
    raises MemoryError, or an error that says that memory is out (PyTorch's do), does not fit. With `memory`
    (``"4GiB"``) each size runs in a process of its own, which is ended when it takes more, or when the system kills it:
    so the largest size can be found where taking too much would take the whole machine down.

    Raises TunesmithError if not even `low` fits; other errors of `run` come through as they are.
    """
    if not 1 <= low <= high:
        raise TunesmithError(f"low ({low!r}) is at least 1 and at most high ({high!r})")
    limit = None if memory is None else size_bytes(memory, "memory")
    sizes: dict[int, Size] = {}

    def fits(batch_size: int) -> bool:
        if batch_size not in sizes:
            sizes[batch_size] = (
                _timed(run, batch_size, repeats)
                if limit is None
                else _apart(run, batch_size, repeats, limit)
            )
        return sizes[batch_size].step_s is not None

    size = low
    while fits(size) and size < high:
        size = min(2 * size, high)
    if not sizes[size].step_s:
        good, bad = size // 2, size
        if size == low:
            raise TunesmithError(
                f"not even a batch of {low} fits ({sizes[low].why}); begin with a smaller low=, or a smaller model"
            )
        while bad - good > max(1, _EXACT * good):
            middle = (good + bad) // 2
            good, bad = (middle, bad) if fits(middle) else (good, middle)
    return BatchSizes(tuple(sizes[k] for k in sorted(sizes)))


def _timed(run: Callable[[int], object], batch_size: int, repeats: int) -> Size:
    taken: list[float] = []
    try:
        for _ in range(repeats + 1):
            begun = time.perf_counter()
            run(batch_size)
            taken.append(time.perf_counter() - begun)
    except Exception as error:
        if not is_memory(error):
            raise
        message = (str(error).strip().splitlines() or [""])[0][:80]
        return Size(batch_size, None, ": ".join(filter(None, (type(error).__name__, message))))
    return Size(batch_size, statistics.median(taken[1:]))


def is_memory(error: Exception) -> bool:
    """Whether an error says that there is no memory left."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(saying in text for saying in _SAYINGS)


def _apart(run: Callable[[int], object], batch_size: int, repeats: int, limit: int) -> Size:
    """The same in a process of its own, of at most `limit` bytes."""
    import cloudpickle
    import psutil

    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import child; child()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    work = cloudpickle.dumps((sys.path, cloudpickle.dumps((run, batch_size, repeats))))
    with ThreadPoolExecutor(1) as reader:
        answer = reader.submit(process.communicate, work)
        try:
            watched = psutil.Process(process.pid)
            while not wait([answer], 0.01).done:
                if watched.memory_info().rss > limit:
                    return Size(batch_size, None, f"more than {show_bytes(limit)}")
        except psutil.NoSuchProcess:
            pass
        finally:
            if not answer.done():
                process.kill()
    measured = cloudpickle.loads(answer.result()[0]) if process.returncode == 0 else None
    if isinstance(measured, Exception):
        raise measured
    if measured is None:
        return Size(batch_size, None, f"its process was ended (exit code {process.returncode})")
    return Size(batch_size, *measured)


def child() -> None:
    """The process of its own: work comes on stdin, the answer goes to stdout, prints to stderr."""
    import cloudpickle

    answer, sys.stdout = sys.stdout.buffer, sys.stderr
    path, work = cloudpickle.loads(sys.stdin.buffer.read())
    sys.path[:] = path
    try:
        measured: Any = astuple(_timed(*cloudpickle.loads(work)))[1:]
    except Exception as error:  # noqa: BLE001 (it is raised in the parent)
        measured = error
    answer.write(cloudpickle.dumps(measured))
    answer.flush()
