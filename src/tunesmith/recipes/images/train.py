"""The training program: one network, epoch by epoch, with a report and a checkpoint after each.

What is random in an epoch (the order of images, how they are changed, dropout) comes from a stream of the
trial's seed and the epoch's number. So a trial that goes on from a checkpoint takes the very steps that it
would have taken without the interruption, on a CPU to the last bit, and no state of a generator needs keeping.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch.nn import functional

from tunesmith.core.errors import JobError, TooSlow
from tunesmith.core.objective import Goal
from tunesmith.core.quantity import show_seconds
from tunesmith.core.rng import derive_seed, stream
from tunesmith.integrations.torch import make_optimizer
from tunesmith.recipes.images import network
from tunesmith.recipes.images.augment import distort, mix, resize
from tunesmith.recipes.images.batches import Batch, batch_count, batches
from tunesmith.recipes.images.precision import Precision
from tunesmith.training import schedules

Config = Mapping[str, Any]
#: Images that are evaluated at a time.
CHUNK: Final = 512
#: Steps on a GPU between two looks at the clock.
PACED: Final = 16
#: Goes up when a config's value changes, whatever the images.
VERSION: Final = 1
#: What is reported after each epoch, beside the loss in training; the goal of each.
METRICS: Final[dict[str, Goal]] = {
    "accuracy": "maximize",
    "balanced_accuracy": "maximize",
    "loss": "minimize",
}


class Trial(Protocol):
    """What the program needs of the trial that it is; `tunesmith.run.live.LiveTrial` is one."""

    @property
    def seed(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def step(self) -> int: ...
    def restore(self, default: Any = None, *, weights_only: bool = False) -> Any: ...
    def save(self, state: Any, *, step: int) -> None: ...
    def report(self, step: int | None = None, **metrics: float) -> None: ...


@dataclass(frozen=True)
class Alone:
    """The trial of a network that is trained outside a study: nothing is kept or reported."""

    seed: int
    number: int = 0
    step: int = 0

    def restore(self, default: Any = None, *, weights_only: bool = False) -> Any:
        return default

    def save(self, state: Any, *, step: int) -> None: ...
    def report(self, step: int | None = None, **metrics: float) -> None: ...


@dataclass(frozen=True, eq=False)
class Part:
    """Images and their labels, places in `classes` classes: arrays or tensors, (n, channels, height, width)
    and (n,). `white` is the value of a white pixel."""

    images: Any
    labels: Any
    classes: int
    white: float


@dataclass(frozen=True)
class ImageObjective:
    """The objective of a study: trains on what is in `folder`/train, and validates on `folder`/validation."""

    folder: str
    classes: int
    white: float
    #: On a CPU.
    threads: int = 1
    #: How long a training may take, but for the first one, which `limit_s` was made for.
    limit_s: float | None = None
    #: What the study keeps of it, to notice when it changes.
    program: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, config: dict[str, Any], trial: Trial) -> dict[str, float]:
        train, validation = (
            Part(*_load(self.folder, part), self.classes, self.white)
            for part in ("train", "validation")
        )
        limit_s = self.limit_s if trial.number else None
        with threads(self.threads):
            return fit(config, train, validation, trial, limit_s)[1]


def keep(folder: Path, part: str, images: Any, labels: Any) -> None:
    """Write a part for `ImageObjective`: each of its files is there whole or not at all. Raises JobError."""
    draft = folder / part / ".draft.npy"
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        for name, array in (("images", images), ("labels", labels)):
            np.save(draft, array)
            draft.replace(folder / part / f"{name}.npy")
    except OSError as error:
        raise JobError(
            f"the images cannot be written to {folder}: {error.strerror or error}"
        ) from None
    finally:
        draft.unlink(missing_ok=True)


@lru_cache(maxsize=4)
def _load(folder: str, part: str) -> tuple[Any, Any]:
    """Images and labels, read once by each worker; workers share the memory of images that none resizes."""
    path = Path(folder) / part
    return np.load(path / "images.npy", mmap_mode="c"), np.load(path / "labels.npy")


def fit(
    config: Config,
    train: Part,
    validation: Part | None,
    trial: Trial,
    limit_s: float | None = None,
) -> tuple[Any, dict[str, float]]:
    """The network trained on `train`, and its metrics on `validation` after the last epoch.

    A loss that is no longer finite ends the training, with metrics that are NaN. Raises MemoryError, TooSlow if its
    epochs would take more than `limit_s`, and Stopped where the trial is told to stop.
    """
    with _own_randomness(trial.seed):
        try:
            return _fit(config, train, validation, trial, limit_s)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            raise MemoryError(
                f"the network does not fit into memory: {config['filters']} filters, "
                f"{config['convolutions']} convolutions in each of {config['depth']} stages, images of "
                f"{config['resize']} pixels, batches of {config['batch_size']} ({error})"
            ) from None


def _fit(
    config: Config, train: Part, validation: Part | None, trial: Trial, limit_s: float | None
) -> tuple[Any, dict[str, float]]:
    device = device_here()
    validation = None if validation is None else on_device(device, validation, config)
    learner = Learner(config, on_device(device, train, config), trial.restore(weights_only=True))
    metrics: dict[str, float] = {}
    for epoch in range(trial.step + 1, config["epochs"] + 1):
        # Only the first epoch: no trial fails half way for what else the machine does.
        loss = learner.learn(epoch, trial.seed, limit_s if epoch == 1 else None)
        if not math.isfinite(loss):
            return learner.model, dict.fromkeys(METRICS, math.nan)
        if validation is not None:
            metrics = evaluate(learner.model, validation)
        trial.save(learner.state(), step=epoch)
        trial.report(step=epoch, **metrics, train_loss=loss)
    if not metrics and validation is not None:  # it had been trained to the end
        metrics = evaluate(learner.model, validation)
    return learner.model, metrics


class Learner:
    """A network in training, on tensors of one device."""

    def __init__(self, config: Config, train: Part, state: Mapping[str, Any] | None) -> None:
        """A new network, or one that goes on from `state`, with the values of `config`, which may have changed
        since."""
        self.model = network.build(config, train.images.shape[1], train.classes)
        self._precision = Precision.of(config, train.images.device)
        self._precision.prepare(self.model.to(train.images.device))
        self._config, self._train = config, train
        self._optimizer = make_optimizer(config, self.model.parameters())
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._batches = batch_count(len(train.labels), config["batch_size"])
        #: Never the one that watches a plateau: the space does not have it.
        self._schedule: Any = schedules.from_config(config, config["epochs"] * self._batches)
        if state is not None:
            self.model.load_state_dict(state["model"])
            if state["kind"] == config["optimizer"]:
                self._load_optimizer(state["optimizer"])
            self._precision.load(state.get("scaler"))
        self.model[0].measure(_unit(x, train.white) for x in train.images.split(CHUNK))

    def _load_optimizer(self, state: Any) -> None:
        """Take over what the optimizer remembers of steps, but not its learning rate and the like."""
        groups = self._optimizer.param_groups
        mine = [{k: v for k, v in group.items() if k != "params"} for group in groups]
        self._optimizer.load_state_dict(state)
        for group, values in zip(self._optimizer.param_groups, mine, strict=True):
            group.update(values)

    def state(self) -> dict[str, Any]:
        """What `__init__` takes to go on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "kind": self._config["optimizer"],
            "scaler": self._precision.state(),
        }

    def learn(self, epoch: int, seed: int, limit_s: float | None = None) -> float:
        """Train on each image once; the mean loss. Raises TooSlow if all epochs would take more than `limit_s`."""
        began = time.perf_counter()
        torch.manual_seed(derive_seed(seed, epoch, "dropout"))
        images = self._train.images
        drawn = batches(
            tuple(images.shape), self._config, stream(seed, epoch, "images"), images.device
        )
        self.model.train()
        total = Total(images.device)
        with closing(drawn):
            for step, batch in enumerate(drawn):
                for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
                    group["lr"] = rate * self._schedule((epoch - 1) * self._batches + step)
                total.add(self._step(batch), len(batch))
                if not total.may_be_finite():
                    break
                if limit_s is not None and total.is_known(step):
                    self._check_pace(time.perf_counter() - began, limit_s)
        loss = total.value() / len(images)
        if limit_s is not None and math.isfinite(loss):
            self._check_pace(time.perf_counter() - began, limit_s)
        return loss

    def _check_pace(self, spent_s: float, limit_s: float) -> None:
        epochs = self._config["epochs"]
        if spent_s * epochs > limit_s:
            raise TooSlow(
                f"{epochs} epochs would take more than {show_seconds(spent_s * epochs)}, and a training may take "
                f"{show_seconds(limit_s)}"
            )

    def _step(self, batch: Batch) -> Any:
        """One step on a batch; its mean loss, which on a GPU may not be known yet."""
        train = self._train
        x = distort(_unit(train.images[batch.places], train.white), batch.affine)
        y = functional.one_hot(train.labels[batch.places], train.classes).to(x.dtype)
        x, y = mix(self.model[0].black_or_white(x), y, batch.weight, batch.partners)
        self._optimizer.zero_grad()
        with self._precision.cast(x.device):
            loss = functional.cross_entropy(self.model(self._precision.arranged(x)), y)
        self._precision.step(loss, self._optimizer)
        return loss.detach()


class Total:
    """A sum of losses. On a CPU it is known at once; to know it on a GPU is to wait for it, with nothing to do next
    in the meantime."""

    def __init__(self, device: Any) -> None:
        self._late = device.type == "cuda"
        self._sum: Any = torch.zeros((), dtype=torch.float64, device=device) if self._late else 0.0

    def add(self, loss: Any, images: int) -> None:
        self._sum += (loss.double() if self._late else float(loss.item())) * images

    def may_be_finite(self) -> bool:
        return self._late or math.isfinite(self._sum)

    def is_known(self, step: int) -> bool:
        """Whether what has been asked for is done. On a GPU that is awaited every `PACED` steps."""
        if self._late and step % PACED == PACED - 1:
            torch.cuda.synchronize()
        return not self._late or step % PACED == PACED - 1

    def value(self) -> float:
        return float(self._sum)


def evaluate(model: Any, part: Part) -> dict[str, float]:
    """The metrics of a network on images with known classes."""
    logits = scores(model, part.images, part.white)
    labels = part.labels.cpu().numpy()
    probability = np.exp(logits)[np.arange(len(labels)), labels]
    right = logits.argmax(1) == labels
    recalls = [right[labels == label].mean() for label in np.unique(labels)]
    with np.errstate(divide="ignore"):
        loss = float(-np.log(np.maximum(probability, 1e-12)).mean())
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean(recalls)),
        "loss": loss,
    }


def scores(model: Any, images: Any, white: float) -> Any:
    """Log-probabilities, (n, classes), as a numpy array; `images` as `resize` leaves them."""
    model.eval()
    with torch.inference_mode():
        parts = [model(_unit(x, white)).log_softmax(1) for x in images.split(CHUNK)]
        return torch.cat(parts).double().cpu().numpy()


def _unit(images: Any, white: float) -> Any:
    """Pixels from 0 (black) to 1 (white)."""
    return images.float() / white


def on_device(device: Any, part: Part, config: Config) -> Part:
    """The images as tensors on a device, at the size that the network takes."""
    images = resize(torch.from_numpy(part.images).to(device), config["resize"])
    return replace(part, images=images, labels=torch.from_numpy(part.labels).to(device))


def device_here() -> Any:
    """The (first) GPU that this process may use; without any, the CPU. Which one a worker may use is the executor's
    to say."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pace_s(config: Config, part: Part) -> float:
    """How long an image takes in training (s), by a second look at a few; the first one warms up."""
    with _own_randomness(0):
        learner = Learner(config, on_device(device_here(), part, config), None)
        learner.learn(1, 0)
        began = time.perf_counter()
        learner.learn(2, 0)
        return (time.perf_counter() - began) / len(part.labels)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """torch's random numbers from `seed` on, leaving those of the program around as they were; and, on GPUs,
    only algorithms that give the same result every time, where there are such."""
    before = torch.backends.cudnn.deterministic
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.backends.cudnn.deterministic = before


def _out_of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
