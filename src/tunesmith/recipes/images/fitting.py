"""`fit`: from a folder of images to the best network that could be found in the time given."""

from __future__ import annotations

import shutil
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from tunesmith.analysis.report import write_report
from tunesmith.core.errors import JobError, NothingCompleted, did_you_mean
from tunesmith.core.quantity import seconds, show_seconds
from tunesmith.core.rng import derive_seed
from tunesmith.core.study import Strategy
from tunesmith.recipes.folder import REPORT, STUDY, beside, keep, say_if, search_s, settle
from tunesmith.recipes.images import data as reading
from tunesmith.recipes.images import train as training
from tunesmith.recipes.images.data import Images, Shape, Split, split
from tunesmith.recipes.images.model import RECIPE, Fitted, save, wilson
from tunesmith.recipes.images.space import space
from tunesmith.recipes.images.train import METRICS, Alone, Part, Program
from tunesmith.run.resources import cores
from tunesmith.tuning.api import tune
from tunesmith.tuning.loop import Watcher
from tunesmith.tuning.result import Result

#: A whole training sees about so many images, ...
IMAGES_SEEN: Final = 40_000
#: ... but each of them so often at least, and at most.
EPOCHS: Final = (10, 40)
#: Without a limit of time or trials (s).
TIME_S: Final = 600.0
#: The share of the time that is for the search; the rest is for the last training and the report.
SEARCH: Final = 0.85
#: The share of the search that one training may take.
LONGEST: Final = 1 / 3
#: Trials on a GPU at a time.
PER_GPU: Final = 4
#: What was measured: docs/guides/images.md.
SCHEDULER: Final = "hyperband"
#: In the output folder: the images for its trials.
PREPARED: Final = ".images"
#: What may not change in a folder's search.
SAME: Final[Mapping[str, str]] = {
    "digest": "set of images (or with these as they were before)",
    "metric": "metric ({})",
}


@dataclass(frozen=True)
class Plan:
    """What a folder's search is about; `digest`: of the images; `epochs`: of a whole training."""

    digest: str
    metric: str
    seed: int
    epochs: int


def fit(
    data: str | Path,
    *,
    target: str | None = None,
    metric: str | None = None,
    time: float | str | None = None,
    trials: int | None = None,
    output: str | Path | None = None,
    seed: int | None = None,
    parallel: int | None = None,
    scheduler: str | Mapping[str, Any] | None = None,
    storage: str | Path | None = None,
    progress: bool | None = None,
    watcher: Watcher | None = None,
    say: Callable[[str], None] | None = None,
) -> Fitted:
    """Find the best convolutional network for images, and train it: see docs/guides/images.md.

    `data` is a folder with a folder of images for each class, or an ``.npz`` file with the arrays ``images`` and
    ``labels``. `time`, 10 minutes unless `trials` are given, is for everything; the same call again goes on with
    the search in `output` (NAME-model beside the data). `metric` is accuracy, balanced_accuracy or loss.
    `scheduler` "none" trains every network to its end. `say` is told what was found and done.

    Raises JobError for images that cannot be learned from; nothing is written then.
    """
    begun = clock.monotonic()
    say = say or say_if(progress)
    if target is not None:
        raise JobError(
            f"images have no column {target!r}: the folders that they are in are their classes; leave target out"
        )
    if metric is not None and metric not in METRICS:
        raise JobError(f"there is no metric {metric!r} for images{did_you_mean(metric, METRICS)}")
    limit_s = seconds(time, "time") if time is not None else None if trials else TIME_S
    folder = _folder(Path(data).expanduser(), output)
    images = reading.read(Path(data).expanduser())
    parts = split(images.labels, seed or 0)
    same = {**SAME, **({} if seed is None else {"seed": "seed ({})"})}
    plan = settle(folder, RECIPE, _plan(images, parts, metric, seed), same, say)
    parts = split(images.labels, plan.seed)
    for line in _summary(str(data), images, parts, plan):
        say(line)
    keep(folder, RECIPE, plan)
    _prepare(folder, images, parts)
    parallel = parallel or _parallel()
    threads = max(1, cores() // parallel)
    searched = space(min(images.pixels.shape[2:]), plan.epochs)
    spent_s = clock.monotonic() - begun
    prepared = str((folder / PREPARED).absolute())
    result = tune(
        Program(prepared, len(images.classes), images.white, threads),
        searched,
        metric=plan.metric,
        goal=METRICS[plan.metric],
        name=STUDY,
        storage=storage or folder / "study.db",
        scheduler=_scheduler(scheduler, plan.epochs),
        seed=plan.seed,
        enqueue=[searched.default()],
        executor="process",
        progress=progress,
        watcher=watcher,
        parallel=parallel,
        time=None if limit_s is None else search_s(limit_s, SEARCH, spent_s),
        trials=trials,
        trial_time=None if limit_s is None else max(30.0, np.floor(limit_s * LONGEST)),
        grace=2.0,
        failures_in_a_row=None,
    )
    shutil.rmtree(folder / PREPARED, ignore_errors=True)
    return _finish(result, images, parts, plan, folder, threads, say)


def _folder(data: Path, output: str | Path | None) -> Path:
    folder = beside(data) if output is None else Path(output).expanduser()
    if data.is_dir() and folder.resolve().is_relative_to(data.resolve()):
        raise JobError(f"the output {folder} is inside the images; name a folder elsewhere")
    return folder


def _parallel() -> int:
    """Trials at a time: one for each core, or as many as share the GPUs."""
    if not torch.cuda.is_available():
        return cores()
    gpus: int = torch.cuda.device_count()
    return min(cores(), PER_GPU * gpus)


def _scheduler(given: str | Mapping[str, Any] | None, epochs: int) -> dict[str, Any] | None:
    """The scheduler with what it has to know of a whole training; None for none."""
    if given == "none":
        return None
    strategy = Strategy.of(SCHEDULER if given is None else given)
    known: dict[str, dict[str, int]] = {
        "asha": {"max": epochs, "min": max(1, epochs // 9)},
        "hyperband": {"max": epochs, "min": max(1, epochs // 9)},
        "pasha": {"max": epochs},
        "pbt": {"max": epochs, "interval": max(1, epochs // 8)},
        "pb2": {"max": epochs, "interval": max(1, epochs // 8)},
    }
    return {strategy.name: {**known.get(strategy.name, {}), **strategy.options}}


# -- the plan -----------------------------------------------------------------------------------


def _plan(images: Images, parts: Split, metric: str | None, seed: int | None) -> Plan:
    epochs = min(max(IMAGES_SEEN // len(parts.train), EPOCHS[0]), EPOCHS[1])
    return Plan(images.fingerprint, metric or "accuracy", seed or 0, epochs)


def _prepare(folder: Path, images: Images, parts: Split) -> None:
    """Write the images that trials need where worker processes read them."""
    prepared = folder / PREPARED
    prepared.mkdir(exist_ok=True)
    for name, places in (("train", parts.train), ("validation", parts.validation)):
        draft = prepared / f".{name}.draft.npz"
        np.savez(draft, images=images.pixels[places], labels=images.labels[places])
        draft.replace(prepared / f"{name}.npz")


def _summary(name: str, images: Images, parts: Split, plan: Plan) -> list[str]:
    n, channels, height, width = images.pixels.shape
    kind = "in colour" if channels == 3 else "grey"
    sizes = [len(part) for part in (parts.train, parts.validation, parts.test)]
    return [
        f"{name}: {n:,} images of {len(images.classes)} classes, {width}x{height} pixels, {kind}",
        *(f"note: {notice}" for notice in images.notices),
        f"{sizes[0]:,} to train with, {sizes[1]:,} to choose by {plan.metric}, {sizes[2]:,} held out",
        f"a whole training has {plan.epochs} epochs",
    ]


# -- the result ---------------------------------------------------------------------------------


def _finish(
    result: Result,
    images: Images,
    parts: Split,
    plan: Plan,
    folder: Path,
    threads: int,
    say: Callable[[str], None],
) -> Fitted:
    """Train the best config once more, on training and validation images, and keep the network."""
    try:
        best = result.best
    except NothingCompleted as error:
        raise NothingCompleted(f"{error}; give it more time, and run it again to go on") from None
    begun = clock.monotonic()
    rest = np.sort(np.concatenate([parts.train, parts.validation]))
    with training.threads(threads):
        alone = Alone(derive_seed(plan.seed, 0, "last training"))
        net, _ = training.fit(best.config, _part(images, rest), None, alone)
        device = next(net.parameters()).device
        test = training.on_device(device, _part(images, parts.test), best.config)
        held_out = training.evaluate(net, test)
    say(
        f"trained the best network on {len(rest):,} images in {show_seconds(clock.monotonic() - begun)}"
    )
    channels, height, width = images.pixels.shape[1:]
    interval = wilson(round(held_out["accuracy"] * len(parts.test)), len(parts.test))
    about = {
        "classes": list(images.classes),
        "shape": asdict(Shape(channels, height, width, images.white)),
        "metric": plan.metric,
        "goal": METRICS[plan.metric],
        "value": best.value,
        "best": {"trial": best.number, "value": best.value, "config": best.config},
        "scores": held_out,
        "accuracy_interval": list(interval),
        "images": {"train": len(rest), "held_out": len(parts.test)},
        "seed": plan.seed,
        "trials": len(result.trials),
    }
    write_report(result._ledger, folder / REPORT)  # noqa: SLF001
    return save(folder, about, net, result)


def _part(images: Images, places: reading.Places) -> Part:
    return Part(images.pixels[places], images.labels[places], len(images.classes), images.white)
