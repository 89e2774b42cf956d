"""`fit`: from a folder of images to the best network that could be found in the time given."""

from __future__ import annotations

import math
import shutil
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from tunesmith.analysis.report import write_report
from tunesmith.core.errors import JobError, NothingCompleted, did_you_mean
from tunesmith.core.outcome import whole
from tunesmith.core.quantity import seconds, show_seconds
from tunesmith.core.rng import derive_seed
from tunesmith.core.study import Strategy
from tunesmith.recipes.images import reading
from tunesmith.recipes.images import train as training
from tunesmith.recipes.images.data import Images, Places, Shape, Split, sample, split
from tunesmith.recipes.images.model import RECIPE, Fitted, save, wilson
from tunesmith.recipes.images.precision import precisions
from tunesmith.recipes.images.space import space
from tunesmith.recipes.images.train import METRICS, Alone, Config, ImageObjective, Part
from tunesmith.recipes.output import (
    REPORT,
    STUDY,
    begin,
    beside,
    say_if,
    search_s,
    settle,
    start_over,
)
from tunesmith.run.resources import cores, visible_gpus
from tunesmith.tuning.api import tune
from tunesmith.tuning.feed import Watcher
from tunesmith.tuning.result import Result
from tunesmith.tuning.versions import OnChange

#: A whole training sees about so many images, ...
IMAGES_SEEN: Final = 40_000
#: ... but each of them so often at least, and at most.
EPOCHS: Final = (10, 40)
#: Images that a search is on at least, if there are so many.
FEWEST: Final = 300
#: Without a limit of time or trials (s).
TIME_S: Final = 600.0
#: The share of the time that is for the search; the rest is for the last training and the report.
SEARCH: Final = 0.8
#: The share of the time that a training with the first config is planned to take at most, and that any may take.
PLANNED: Final = 0.1
LONGEST: Final = 0.25
#: So many trainings with the first config are planned to fit into the search.
TRAININGS: Final = 12
#: Images by which the pace is measured.
MEASURED: Final = 64
#: Threads of the last training at most.
THREADS: Final = 8
#: The last training begins anew with another seed, if it diverges, so often.
ATTEMPTS: Final = 3
#: Trials on a GPU at a time.
PER_GPU: Final = 4
#: What was measured: docs/guides/images.md.
SCHEDULER: Final = "hyperband"
#: In the output folder: the images for its trials.
PREPARED: Final = ".images"
#: What may not change in a folder's search, as far as it is given.
SAME: Final[Mapping[str, str]] = {
    "digest": "set of images",
    "metric": "metric ({})",
    "seed": "seed ({})",
}


@dataclass(frozen=True)
class ImagePlan:
    """What a folder's search is about; `digest`: of all images; `images`: how many of them it is on; `epochs`: of a
    whole training."""

    digest: str
    metric: str
    seed: int
    images: int
    epochs: int
    #: What each part of the images was, and how long was searched before they changed (s): see `output.Plan`.
    parts: dict[str, str] = field(default_factory=dict)
    spent_s: float = 0.0


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
    on_change: OnChange = "refuse",
    storage: str | Path | None = None,
    progress: bool | None = None,
    watcher: Watcher | None = None,
    say: Callable[[str], None] | None = None,
) -> Fitted:
    """Find the best convolutional network for images, and train it: see docs/guides/images.md.

    `data` is a folder with a folder of images for each class, or an ``.npz`` file with the arrays ``images`` and
    ``labels``. `time`, 10 minutes unless `trials` are given, is for everything; the same call again goes on with
    the search in `output` (NAME-model beside the data), and if the images have changed since, `on_change` decides:
    "refuse", "continue" (its best configs are tried first, its results no longer count), or "new" (a search in
    NAME-model-2). `metric` is accuracy, balanced_accuracy or loss.
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
    if seed is not None and (whole(seed) is None or seed < 0):
        raise JobError(f"seed is a whole number from 0 on, not {seed!r}")
    if parallel is not None and (whole(parallel) is None or parallel < 1):
        raise JobError(f"parallel is how many trials run at a time, 1 or more, not {parallel!r}")
    limit_s = seconds(time, "time") if time is not None else None if trials else TIME_S
    folder = _folder(Path(data).expanduser(), output)
    every = reading.read(Path(data).expanduser())
    parallel = parallel or _parallel()
    threads = max(1, cores() // parallel)
    seen = None if limit_s is None else _affordable(every, limit_s, parallel, threads)
    wanted = {"digest": data, "metric": metric, "seed": seed}
    same = {name: called for name, called in SAME.items() if wanted[name] is not None}
    settled = settle(folder, RECIPE, _plan(every, metric, seed or 0, seen), same, on_change, say)
    folder, plan = settled.folder, settled.plan
    storage = storage or folder / "study.db"
    images = every.take(sample(every.labels, plan.images, plan.seed))
    parts = split(images.labels, plan.seed, images.groups)
    for line in _summary(str(data), every, parts, plan):
        say(line)
    longest_s = None if limit_s is None else max(5.0, np.floor(limit_s * LONGEST))
    device = training.device_here()
    searched = space(min(images.pixels.shape[2:]), plan.epochs, precisions(device))
    if settled.changed:
        plan = replace(plan, spent_s=start_over(storage, searched))
    with begin(folder, RECIPE, plan):
        for name, places in (("train", parts.train), ("validation", parts.validation)):
            training.keep(folder / PREPARED, name, images.pixels[places], images.labels[places])
        prepared = str((folder / PREPARED).absolute())
        program = {"recipe": f"{RECIPE} {training.VERSION}", **plan.parts}
        spent_s = clock.monotonic() - begun
        result = tune(
            ImageObjective(
                prepared, len(images.classes), images.white, threads, longest_s, program
            ),
            searched,
            metric=plan.metric,
            goal=METRICS[plan.metric],
            name=STUDY,
            storage=storage,
            scheduler=scheduler_for(scheduler, plan.epochs),
            seed=plan.seed,
            enqueue=[searched.default()],
            executor="process",
            gpus_per_trial=_gpus_per_trial(parallel),
            progress=progress,
            watcher=watcher,
            parallel=parallel,
            time=None if limit_s is None else plan.spent_s + search_s(limit_s, SEARCH, spent_s),
            on_change=on_change,
            trials=trials,
            trial_time=None if longest_s is None else 2 * longest_s,
            grace=2.0,
            failures_in_a_row=None,
            same_error=10,
        )
    shutil.rmtree(folder / PREPARED, ignore_errors=True)
    return _finish(result, images, parts, plan, folder, say)


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


def _gpus_per_trial(parallel: int) -> float:
    """The share of a GPU that each trial gets, so that all find room; 0 where there are none."""
    gpus = visible_gpus() if torch.cuda.is_available() else []
    return 1 / math.ceil(parallel / len(gpus)) if gpus else 0.0


def scheduler_for(scheduler: str | Mapping[str, Any] | None, epochs: int) -> dict[str, Any] | None:
    """The scheduler with what it has to know of a whole training; None for none."""
    if scheduler == "none":
        return None
    strategy = Strategy.of(SCHEDULER if scheduler is None else scheduler)
    known: dict[str, dict[str, int]] = {
        "asha": {"max": epochs, "min": max(1, epochs // 9)},
        "hyperband": {"max": epochs, "min": max(1, epochs // 9)},
        "freeze_thaw": {"max": epochs},
        "pasha": {"max": epochs},
        "pbt": {"max": epochs, "interval": max(1, epochs // 8)},
        "pb2": {"max": epochs, "interval": max(1, epochs // 8)},
    }
    return {strategy.name: {**known.get(strategy.name, {}), **strategy.options}}


# -- the plan -----------------------------------------------------------------------------------


def _affordable(images: Images, limit_s: float, parallel: int, threads: int) -> int:
    """How many images a training may see, each as often as there are epochs, for `TRAININGS` to fit into the search
    and each into its share of the time."""
    few = sample(images.labels, MEASURED, 0)
    config = space(min(images.pixels.shape[2:]), 2).default()
    with training.threads(threads):
        pace_s = training.pace_s(config, _part(images, few))
    return int(min(PLANNED, SEARCH * parallel / TRAININGS) * limit_s / pace_s)


def _plan(images: Images, metric: str | None, seed: int, seen: int | None) -> ImagePlan:
    """How to search: with fewer epochs where time is short, and where that is not enough, on a sample."""
    count = len(images.labels)
    trained = len(split(images.labels, seed).train)
    fewest, most = EPOCHS
    epochs = min(max(IMAGES_SEEN // trained, fewest), most)
    if seen is not None:
        epochs = min(epochs, max(fewest, seen // trained))
        count = min(count, max(FEWEST, seen * count // (epochs * trained)))
    parts = images.parts
    return ImagePlan(images.fingerprint, metric or "accuracy", seed, count, epochs, parts)


def _summary(name: str, images: Images, parts: Split, plan: ImagePlan) -> list[str]:
    n, channels, height, width = images.pixels.shape
    kind = "in colour" if channels == 3 else "grey"
    few = f"note: {n:,} images are many for this time: {plan.images:,} of them are used; more time uses more"
    sizes = [len(part) for part in (parts.train, parts.validation, parts.test)]
    return [
        f"{name}: {n:,} images of {len(images.classes)} classes, {width}x{height} pixels, {kind}",
        *(f"note: {notice}" for notice in images.notices),
        *([few] if plan.images < n else []),
        f"{sizes[0]:,} to train with, {sizes[1]:,} to choose by {plan.metric}, {sizes[2]:,} held out",
        f"a whole training has {plan.epochs} epochs",
    ]


# -- the result ---------------------------------------------------------------------------------


def _finish(
    result: Result,
    images: Images,
    parts: Split,
    plan: ImagePlan,
    folder: Path,
    say: Callable[[str], None],
) -> Fitted:
    """Train the best config once more, on training and validation images, and keep the network."""
    try:
        best = result.best
    except NothingCompleted as error:
        raise NothingCompleted(f"{error}; give it more time, and run it again to go on") from None
    rest = np.sort(np.concatenate([parts.train, parts.validation]))
    say(f"training the best network (trial {best.number}) on {len(rest):,} images")
    begun = clock.monotonic()
    with training.threads(_fastest(best.config, _part(images, rest[:MEASURED]))):
        net = _train(best.config, _part(images, rest), plan.seed)
        test = training.on_device(training.device_here(), _part(images, parts.test), best.config)
        held_out = training.evaluate(net, test)
    say(f"trained it in {show_seconds(clock.monotonic() - begun)}")
    channels, height, width = images.pixels.shape[1:]
    right = round(held_out["accuracy"] * len(parts.test))
    about = {
        "classes": list(images.classes),
        "shape": asdict(Shape(channels, height, width, images.white, images.tones)),
        "metric": plan.metric,
        "goal": METRICS[plan.metric],
        "value": best.value,
        "best": {"trial": best.number, "value": best.value, "config": best.config},
        "scores": held_out,
        "accuracy_interval": list(wilson(right, len(parts.test))),
        "images": {"train": len(rest), "held_out": len(parts.test)},
        "seed": plan.seed,
        "trials": len(result.trials),
    }
    fitted = save(folder, about, net, result)
    write_report(result._ledger, folder / REPORT, fitted.worth)  # noqa: SLF001
    return fitted


def _fastest(config: Config, few: Part) -> int:
    """How many threads to train with: many, or one, which is faster for small networks."""

    def pace_s(count: int) -> float:
        with training.threads(count):
            return training.pace_s(config, few)

    return min({1, min(cores(), THREADS)}, key=pace_s)


def _train(config: Config, part: Part, seed: int) -> Any:
    """The network of a config. Raises JobError if it diverges whatever the seed."""
    for attempt in range(ATTEMPTS):
        alone = Alone(derive_seed(seed, attempt, "last training"))
        net, diverged = training.fit(config, part, None, alone)
        if not diverged:
            return net
    raise JobError(
        f"the best network diverges when it is trained on all images; fit with another seed than {seed}"
    )


def _part(images: Images, places: Places) -> Part:
    return Part(images.pixels[places], images.labels[places], len(images.classes), images.white)
