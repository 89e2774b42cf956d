"""The result: a trained network, kept in a folder that `tunesmith predict` reads.

OUTPUT/model.json         what it is: classes, config, scores
       weights-HASH.pt    its weights, which torch.load(file, weights_only=True) reads

The description names the file and is written last: a model is there whole, or is still the one before.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from tunesmith.core.errors import JobError
from tunesmith.core.quantity import show_number
from tunesmith.recipes.images import network
from tunesmith.recipes.images.augment import resize
from tunesmith.recipes.images.data import Shape, listed
from tunesmith.recipes.images.reading import read_unlabelled
from tunesmith.recipes.images.train import scores
from tunesmith.recipes.output import ABOUT, checked, own_file, put
from tunesmith.tuning.result import Result
from tunesmith.version import __version__

RECIPE: Final = "images"
#: 2 has tones.
VERSION: Final = 2


@dataclass(frozen=True)
class Fitted:
    """A trained network: `predict`. `about` is what model.json says."""

    path: Path
    about: Mapping[str, Any]
    #: The study that found it; None for a model that was loaded.
    result: Result | None = None

    @property
    def metric(self) -> str:
        return str(self.about["metric"])

    @property
    def value(self) -> float:
        """The metric on validation images, by which the config was chosen: it flatters a little."""
        return float(self.about["value"])

    @property
    def scores(self) -> dict[str, float]:
        """Every metric on the images that were held out."""
        return dict(self.about["scores"])

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """Where the accuracy on images like the held-out ones is, with a probability of 95 %."""
        low, high = self.about["accuracy_interval"]
        return float(low), float(high)

    @property
    def best_config(self) -> dict[str, Any]:
        return dict(self.about["best"]["config"])

    @property
    def classes(self) -> list[str]:
        return list(self.about["classes"])

    @cached_property
    def network(self) -> Any:
        """The ``torch.nn.Module``. Raises JobError if its file is gone or cannot be read."""
        file = own_file(self.path, self.about)
        shape = Shape.of(self.about["shape"])
        try:
            net = network.build(self.best_config, shape.channels, len(self.classes))
            net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        except Exception as error:  # noqa: BLE001 (torch raises many kinds for a damaged file)
            raise JobError(
                f"the weights {file} cannot be read ({error}); fit the model again"
            ) from None
        return net.eval()

    def predict(self, data: str | Path) -> list[str | None]:
        """The class of each image of a folder or ``.npz`` file, or of one image file, as `rows`."""
        return [row["label"] for row in self.rows(data)]

    def rows(
        self, data: str | Path, *, proba: bool = False, say: Callable[[str], None] | None = None
    ) -> list[dict[str, Any]]:
        """``{"file", "label", "probability"}`` for each image, and with `proba` the probability of each class.

        `data` is a folder, an ``.npz`` file or one image file. A file among others that cannot be read has None,
        but for its name; `say` is told of such. Raises JobError.
        """
        images = read_unlabelled(Path(data).expanduser(), Shape.of(self.about["shape"]))
        notices = list(images.notices)
        if images.broken:
            which = listed([f"{name} ({why})" for name, why in images.broken.items()])
            notices.append(
                f"{len(images.broken)} of {len(images.names)} images cannot be read: {which}"
            )
        if say is not None:
            for notice in notices:
                say(f"note: {notice}")
        pixels = resize(torch.from_numpy(images.pixels), self.best_config["resize"])
        rows = iter(np.exp(scores(self.network, pixels, images.white)).round(6))
        columns = [f"probability of {name}" for name in self.classes] if proba else []
        out: list[dict[str, Any]] = []
        for name in images.names:
            prediction: dict[str, Any] = {"file": name, "label": None, "probability": None}
            each: list[float] | list[None] = [None] * len(columns)
            if name not in images.broken:
                row = next(rows)
                prediction |= {"label": self.classes[row.argmax()], "probability": float(row.max())}
                each = row.tolist()
            out.append(prediction | dict(zip(columns, each, strict=False)))
        return out

    @property
    def worth(self) -> str:
        """How good it is, in a line."""
        held_out = self.about["images"]["held_out"]
        low, high = self.accuracy_interval
        return (
            f"accuracy {self.scores['accuracy']:.1%} on {held_out:,} held-out images "
            f"({low:.1%} to {high:.1%})"
        )

    def summary(self) -> str:
        """What it is and how good, in a few lines."""
        others = (f"{n} {show_number(v)}" for n, v in self.scores.items() if n != "accuracy")
        return f"{self.path}: {self.worth}\n  {'  '.join(others)}"


def save(folder: Path, about: Mapping[str, Any], net: Any, result: Result | None = None) -> Fitted:
    """Write a network into `folder`, with what is known of it in JSON's types.

    Raises JobError if the folder cannot be written, and then holds the model that it held.
    """
    versions = {"tunesmith": __version__, "torch": str(torch.__version__)}
    whole = {"recipe": RECIPE, "version": VERSION, **about, "versions": versions}
    weights = io.BytesIO()
    torch.save({name: tensor.cpu() for name, tensor in net.state_dict().items()}, weights)
    draft = folder / ".weights.draft"
    try:
        draft.write_bytes(weights.getvalue())
        return Fitted(folder, put(folder, draft, "weights.pt", whole), result)
    except OSError as error:
        raise JobError(
            f"the model cannot be written to {folder}: {error.strerror or error}"
        ) from None
    finally:
        draft.unlink(missing_ok=True)


def load(path: str | Path, *, allow_pickle: bool = False) -> Fitted:  # noqa: ARG001 (as other recipes')
    """The model in a folder. Raises JobError if there is none, or another recipe's, or a newer one.

    Its weights are never a pickle, whatever `allow_pickle` says.
    """
    folder = Path(path).expanduser()
    about = checked(folder, RECIPE, VERSION)
    fitted = Fitted(folder, about)
    try:
        Shape.of(about["shape"]), fitted.best_config["resize"], fitted.classes
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise JobError(f"{folder / ABOUT} is broken ({error}); fit the model again") from None
    return fitted


def predict(model: str | Path, data: str | Path) -> list[str | None]:
    """The class that the model in the folder `model` gives each image: see `Fitted.predict`."""
    return load(model).predict(data)


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The interval that has the true share with a probability of 95 %, `right` of `of` being seen.

    Wilson, "Probable inference, the law of succession, and statistical inference" (JASA 1927).
    """
    share, spread = right / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)
