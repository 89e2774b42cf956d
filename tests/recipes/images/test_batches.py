"""Batches that are made ahead, sums that are awaited late and 16 bits, as on a GPU, tried on a CPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests.recipes.images.test_train import ALL, SPACE, TINY, TRAIN, VALIDATION, Interrupted, Kept

from tunesmith.core.errors import TooSlow
from tunesmith.core.rng import stream
from tunesmith.recipes.images import batches as making
from tunesmith.recipes.images import train as training
from tunesmith.recipes.images.batches import Batch, ahead, batches
from tunesmith.recipes.images.precision import Precision, precisions
from tunesmith.recipes.images.space import space
from tunesmith.recipes.images.train import Alone, Total, fit

CPU = torch.device("cpu")
CONFIG = TINY | ALL


def drawn(seed: int = 3) -> Iterator[Batch]:
    return batches((50, 1, 8, 8), CONFIG, stream(seed, 1, "images"), CPU)


def test_an_epoch_has_each_image_once_and_what_is_done_to_it() -> None:
    made = list(drawn())
    assert sorted(torch.cat([batch.places for batch in made]).tolist()) == list(range(50))
    for batch in made:
        assert batch.affine.shape == (len(batch), 2, 3)
        assert sorted(batch.partners.tolist()) == list(range(len(batch)))
        assert 0 <= batch.weight <= 1
    plain = CONFIG | {"crop": 0.0, "rotation": 0.0, "flip": "none", "mixup": 0.0}
    for batch in batches((50, 1, 8, 8), plain, stream(3, 1, "images"), CPU):
        assert (batch.affine, batch.partners, batch.weight) == (None, None, 1.0)


def test_what_is_made_ahead_is_the_same() -> None:
    for one, other in zip(drawn(), ahead(drawn(), 3), strict=True):
        assert torch.equal(one.places, other.places)
        assert torch.equal(one.affine, other.affine)
        assert torch.equal(one.partners, other.partners)
        assert one.weight == other.weight


def test_items_are_made_before_they_are_asked_for_but_not_all() -> None:
    made: list[int] = []

    def count() -> Iterator[int]:
        for k in range(1, 100):
            made.append(k)
            yield k

    items = ahead(count(), 4)
    assert next(items) == 1
    items.close()
    assert 4 <= len(made) <= 6
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_an_error_in_the_making_is_raised_where_the_item_is_asked_for() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("torn")

    items = ahead(broken(), 2)
    assert next(items) == 1
    with pytest.raises(ValueError, match="torn"):
        next(items)


class Late(Total):
    """As on a GPU, where nothing waits for a loss."""

    def __init__(self, device: Any) -> None:
        super().__init__(device)
        self._late, self._sum = True, torch.zeros((), dtype=torch.float64)

    def is_known(self, step: int) -> bool:
        return step % 2 == 1


def test_a_training_as_on_a_gpu_gives_the_same_network(monkeypatch: pytest.MonkeyPatch) -> None:
    one, metrics = fit(CONFIG, TRAIN, VALIDATION, Alone(5))
    plain = making.batches
    monkeypatch.setattr(training, "batches", lambda *args: ahead(plain(*args), 8))
    monkeypatch.setattr(training, "Total", Late)
    other, same = fit(CONFIG, TRAIN, VALIDATION, Alone(5))
    assert metrics == same
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(TooSlow):
        fit(CONFIG, TRAIN, VALIDATION, Alone(5), limit_s=1e-9)
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]
    diverging = CONFIG | {"adam.learning_rate": 1e30, "norm": "none"}
    _, metrics = fit(diverging, TRAIN, VALIDATION, Alone(5))
    assert np.isnan(metrics["loss"])


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_a_network_learns_in_mixed_precision_and_goes_on_as_if_nothing_was(name: str) -> None:
    config = TINY | {"epochs": 6, "precision": name, "adam.learning_rate": 0.01, "dropout": 0.0}
    whole = Kept()
    net, metrics = fit(config, TRAIN, VALIDATION, whole)
    assert metrics["accuracy"] > 0.8
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    assert metrics != fit(config | {"precision": "float32"}, TRAIN, VALIDATION, Alone(5))[1]
    torn = Kept(until=3)
    with pytest.raises(Interrupted):
        fit(config, TRAIN, VALIDATION, torn)
    torn.until = 99
    fit(config, TRAIN, VALIDATION, torn)
    assert torn.curve == whole.curve


def test_a_checkpoint_from_before_there_were_precisions_is_gone_on_with() -> None:
    trial = Kept(until=2)
    with pytest.raises(Interrupted):
        fit(TINY, TRAIN, VALIDATION, trial)
    trial.until = 99

    class Older(Kept):
        def restore(self, default: Any = None, *, weights_only: bool = False) -> Any:
            state = super().restore(default, weights_only=weights_only)
            assert state.pop("scaler") == {}
            return state

    older = Older(state=trial.state, saved=trial.saved)
    fit(TINY, TRAIN, VALIDATION, trial)
    fit(TINY, TRAIN, VALIDATION, older)
    assert older.curve == {k: v for k, v in trial.curve.items() if k > 2}


@pytest.mark.parametrize(
    ("capability", "names"),
    [
        ((9, 0), ("float32", "bfloat16")),
        ((7, 5), ("float32", "float16")),
        ((6, 1), ("float32",)),
    ],
)
def test_precisions_are_those_of_the_device(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], names: tuple[str, ...]
) -> None:
    assert precisions(CPU) == ("float32",)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert precisions(torch.device("cuda")) == names
    searched = space(8, 4, names)
    assert ("precision" in searched) == (len(names) > 1)
    config = searched.default()
    assert searched.contains(config)
    assert config.get("precision", "float32") == "float32"
    assert not Precision.of(config, CPU).mixed
    assert "precision" not in SPACE
