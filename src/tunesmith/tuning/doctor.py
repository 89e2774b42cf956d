"""Diagnosis of the environment and of a job file (`tunesmith doctor`): finds mistakes before they cost anything."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunesmith.core.errors import TunesmithError
from tunesmith.core.quantity import count, show_bytes, show_seconds
from tunesmith.core.rng import stream
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Space
from tunesmith.run.output import STEP
from tunesmith.run.remote import Remote
from tunesmith.run.resources import cores, visible_gpus
from tunesmith.run.usage import warnings
from tunesmith.store import Location, file_of, open_store
from tunesmith.store.network import network_of
from tunesmith.tuning.job import Job, load_job
from tunesmith.tuning.place import network_hint
from tunesmith.tuning.preflight import Try, try_config
from tunesmith.tuning.shared_folder import faults
from tunesmith.version import __version__

#: Random configs that the space is judged by.
_SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Literal["ok", "hint", "warning", "error"]
    text: str


def check_environment(storage: Location) -> Iterator[Finding]:
    """Python, packages, cores, memory, disk, and the store."""
    import psutil

    memory = show_bytes(psutil.virtual_memory().available)
    gpus = visible_gpus()
    listed = f"GPUs {', '.join(gpus)}" if gpus else "no GPU"
    yield Finding(
        "ok",
        f"tunesmith {__version__}, Python {platform.python_version()}, {count(cores(), 'core')}, {memory} of "
        f"memory free, {listed}",
    )
    file = file_of(storage)
    files = file if isinstance(storage, Path) else storage.trials or file
    assert files is not None
    place = files.absolute().parent
    if not place.is_dir():
        yield Finding("error", f"the folder of {files} does not exist; make it, or use --storage")
        return
    free = shutil.disk_usage(place).free
    level: Literal["ok", "warning"] = "ok" if free > 1 << 30 else "warning"
    yield Finding(level, f"{show_bytes(free)} free on the disk of {files}")
    yield from _check_shared(storage, files)
    if not isinstance(storage, Path) and (url := storage.trials_url) is not None:
        try:
            Remote(url).check()
            yield Finding("ok", f"checkpoints can be kept in {url}")
        except TunesmithError as error:
            yield Finding("error", str(error))
    if file is None or file.exists():
        try:
            store = open_store(storage)
            names = store.names()
            store.close()
            yield Finding("ok", f"{storage} has {count(len(names), 'study')}")
        except TunesmithError as error:
            yield Finding("error", str(error))


def _check_shared(storage: Location, files: Path) -> Iterator[Finding]:
    """A folder that several hosts share: one on a network file system, or one that was named for trials."""
    named = not isinstance(storage, Path) and storage.names_trials
    folder = files if named else files.absolute().parent
    if hint := network_hint(storage):
        yield Finding("warning", hint)
    elif not named and network_of(folder) is None:
        return
    if not folder.is_dir():
        folder = folder.parent
    wrong = [*faults(folder)]
    yield from (Finding("warning", text) for text in wrong)
    if not wrong:
        yield Finding(
            "ok",
            f"{folder} can be written, files are renamed and locked as they should, clocks agree",
        )


def check_job(path: Path, *, storage: Location | None, try_s: float) -> Iterator[Finding]:
    """A job file: can it be read, does the program start, do its metrics arrive, is the space sound?

    The program is run with the default config for at most `try_s` (0: not at all).
    """
    try:
        job = load_job(path, {"storage": storage})
    except TunesmithError as error:
        for line in str(error).splitlines():
            yield Finding("error", line)
        return
    yield Finding("ok", f"{path}: study {job.spec.name}, {count(len(job.spec.space), 'parameter')}")
    yield from check_environment(job.storage)
    try:
        yield Finding("ok", f"the program is {job.find() or 'of each trial'}")
    except TunesmithError as error:
        yield Finding("error", str(error))
        try_s = 0.0
    yield from check_space(job.spec.space)
    yield from (Finding("warning", text) for text in warnings(job.program, job.spec.space))
    if try_s > 0:
        yield from _check_run(job, try_s)


def check_space(space: Space) -> Iterator[Finding]:
    """What in a space is probably a mistake."""
    for name, parameter in space.tunables.items():
        match parameter:
            case _ if parameter.size == 1:
                yield Finding("hint", f"{name} has only one value; write it without a range")
            case Float() | Int() if not parameter.log and parameter.low > 0:
                if parameter.high / parameter.low >= 1000:
                    yield Finding(
                        "hint",
                        f"{name} spans {parameter.low:g} to {parameter.high:g}; with log: true small "
                        "values are tried as often as large ones",
                    )
            case Choice(ordered=False) if len(parameter.values) > 2:
                numbers = [v for v in parameter.values if isinstance(v, (int, float))]
                if len(numbers) == len(parameter.values) and numbers == sorted(numbers):
                    yield Finding(
                        "hint", f"{name} has numbers in order; say ordered: true if they compare"
                    )
    rng = stream(0, 0, "doctor")
    width = len(space)
    free = [space.decode(rng.random(width)) for _ in range(_SAMPLES)]
    for name in space:
        if space.condition(name) is not None and not any(name in config for config in free):
            yield Finding(
                "warning",
                f"{name} was active in none of {_SAMPLES} random configs: check its when:",
            )
    share = sum(map(space.satisfies, free)) / _SAMPLES
    if share < 0.01:
        relations = "; ".join(r.text for r in space.relations)
        yield Finding(
            "warning", f"fewer than 1 % of random configs satisfy the relations ({relations})"
        )


def _check_run(job: Job, try_s: float) -> Iterator[Finding]:
    try:
        config = job.spec.space.nearest(job.spec.space.default())
    except TunesmithError as error:
        yield Finding("error", str(error))
        return
    tried = try_config(job, "default", config, try_s)
    took = show_seconds(tried.wall_s)
    wanted = [objective.metric for objective in job.spec.objectives]
    missing = [name for name in wanted if name not in tried.metrics]
    if tried.problem is not None:
        ran = f"it ran {tried.command}"
        yield Finding("error", f"the default config failed after {took}: {tried.problem}; {ran}")
        for line in tried.output.splitlines():
            yield Finding("error", f"  | {line}")
    elif not missing:
        values = ", ".join(f"{n} = {tried.metrics[n]:.5g}" for n in wanted)
        yield Finding("ok", f"the default config ran {took} and reported {values}")
    if tried.problem is None:
        absent = {**dict.fromkeys(missing, ""), **tried.absent}
        yield from (_missing(name, text, tried, took) for name, text in absent.items())


def _missing(name: str, why: str, tried: Try, took: str) -> Finding:
    """A metric, or the step, that did not arrive."""
    if tried.cut:
        seen = f"; it reported {', '.join(tried.metrics)}" if tried.metrics else ""
        return Finding(
            "warning",
            f"the metric {name!r} did not come in the first {took}{seen}; try for longer with --try",
        )
    if name == STEP:
        return Finding("warning", f"{why}; without it, reports are counted")
    return Finding("error", why)
