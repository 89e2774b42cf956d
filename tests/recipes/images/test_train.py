from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from tests.recipes.images.pictures import bright_and_dark

import tunesmith as ts
from tunesmith.recipes.images import train as training
from tunesmith.recipes.images.batches import batch_count
from tunesmith.recipes.images.space import space
from tunesmith.recipes.images.train import Alone, Part, evaluate, fit

EPOCHS = 4
SPACE = space(8, EPOCHS)
TINY = SPACE.default() | {"depth": 1, "filters": 4, "convolutions": 1, "batch_size": 16}


def part(n: int, seed: int) -> Part:
    return Part(*bright_and_dark(n, seed=seed), classes=2, white=255.0)


TRAIN, VALIDATION = part(64, 1), part(40, 2)


class Interrupted(Exception): ...


@dataclass
class Kept:
    """A trial in memory that is interrupted after some steps, and goes on when it is used again."""

    seed: int = 5
    number: int = 0
    until: int = 99
    step: int = 0
    state: bytes = b""
    saved: int = 0
    curve: dict[int, dict[str, float]] = field(default_factory=dict)

    def restore(self, default: Any = None, *, weights_only: bool = False) -> Any:
        assert weights_only, "a folder from elsewhere may be gone on with"
        self.step = self.saved
        return torch.load(io.BytesIO(self.state), weights_only=True) if self.state else default

    def save(self, state: Any, *, step: int) -> None:
        file = io.BytesIO()
        torch.save(state, file)
        self.state, self.saved = file.getvalue(), step

    def report(self, step: int | None = None, **metrics: float) -> None:
        assert step is not None
        self.curve[step] = metrics
        if step >= self.until:
            raise Interrupted


def curve(config: dict[str, Any], *stops: int) -> dict[int, dict[str, float]]:
    trial = Kept()
    for stop in stops:
        trial.until = stop
        with pytest.raises(Interrupted):
            fit(config, TRAIN, VALIDATION, trial)
    trial.until = 99
    fit(config, TRAIN, VALIDATION, trial)
    return trial.curve


ALL = {"crop": 0.2, "rotation": 20.0, "flip": "both", "mixup": 0.3, "dropout": 0.4}
OPTIMIZERS = ["sgd", "adam", "adamw", "rmsprop", "adadelta", "adagrad"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_an_interrupted_training_gives_the_same_curve_to_the_last_bit(
    optimizer: str, schedule: str
) -> None:
    chosen = {n: v for n, v in TINY.items() if n != "warmup" and "." not in n}
    config = SPACE.complete(chosen | ALL | {"optimizer": optimizer, "schedule": schedule})
    whole = curve(config)
    assert list(whole) == [1, 2, 3, 4]
    assert curve(config, 1, 3) == whole


def test_a_seed_gives_one_curve_and_leaves_other_random_numbers_alone() -> None:
    torch.manual_seed(1)
    first = torch.rand(1)
    torch.manual_seed(1)
    _, one = fit(TINY, TRAIN, VALIDATION, Alone(1))
    assert torch.equal(torch.rand(1), first)
    assert fit(TINY, TRAIN, VALIDATION, Alone(1))[1] == one
    assert fit(TINY, TRAIN, VALIDATION, Alone(2))[1] != one


def test_black_and_white_images_are_mixed_and_not_made_black_and_white_again() -> None:
    """Or one of two images would be seen, and both be the target."""
    plain = {"binarize": True, "threshold": 0.5, "scaling": "none", "mixup": 0.4}
    plain |= {"flip": "none", "crop": 0.0, "rotation": 0.0, "resize": 8}
    train = training.on_device(torch.device("cpu"), TRAIN, TINY | plain)
    seen: list[torch.Tensor] = []
    learner = training.Learner(TINY | plain, train, None)
    learner.model[0].register_forward_hook(lambda _, __, out: seen.append(out))
    learner.learn(1, 0)
    greys = [sorted(set(x.unique().tolist()) - {0.0, 1.0}) for x in seen]
    assert any(greys)
    for grey in greys:  # a weight, and what is left of 1
        assert sum(grey) == pytest.approx(len(grey) / 2)
        assert len(grey) <= 2
    evaluate(learner.model, train)
    assert set(seen[-1].unique().tolist()) == {0.0, 1.0}


def test_it_learns() -> None:
    config = TINY | {"epochs": 12, "adam.learning_rate": 0.01, "flip": "none", "dropout": 0.0}
    _, metrics = fit(config, TRAIN, VALIDATION, Alone(0))
    assert metrics["accuracy"] > 0.9
    assert metrics["loss"] < 0.4


def test_a_training_goes_on_with_changed_values() -> None:
    """As population-based training has it: other values of `optimizer` and `data`, the same weights."""
    trial = Kept(until=2)
    with pytest.raises(Interrupted):
        fit(TINY, TRAIN, VALIDATION, trial)
    trial.until = 99
    kept = {n: v for n, v in TINY.items() if "learning_rate" not in n}
    changes = {"resize": 12, "batch_size": 30, "optimizer": "sgd", "scaling": "none"}
    fit(SPACE.complete(kept | changes), TRAIN, VALIDATION, trial)
    assert list(trial.curve) == [1, 2, 3, 4]
    trial = Kept(until=2)
    with pytest.raises(Interrupted):
        fit(TINY, TRAIN, VALIDATION, trial)
    rate = 0.02
    learner = training.Learner(
        TINY | {"adam.learning_rate": rate},
        training.on_device(torch.device("cpu"), TRAIN, TINY),
        trial.restore(weights_only=True),
    )
    assert learner._optimizer.param_groups[0]["lr"] == rate
    assert len(learner._optimizer.state) > 0


def test_a_training_that_was_at_its_end_is_only_evaluated() -> None:
    trial = Kept()
    _, metrics = fit(TINY, TRAIN, VALIDATION, trial)
    reported = dict(trial.curve)
    trial.curve.clear()
    assert fit(TINY, TRAIN, VALIDATION, trial)[1] == metrics
    assert trial.curve == {}
    assert metrics == {n: v for n, v in reported[4].items() if n != "train_loss"}


def test_a_training_that_diverges_ends_with_nan() -> None:
    kept = {n: v for n, v in TINY.items() if "learning_rate" not in n}
    config = SPACE.complete(kept | {"optimizer": "sgd"}) | {
        "sgd.learning_rate": 1e20,
        "norm": "none",
    }
    trial = Kept()
    _, metrics = fit(config, TRAIN, VALIDATION, trial)
    assert all(math.isnan(value) for value in metrics.values())
    assert len(trial.curve) < EPOCHS


def test_too_little_memory_is_said_in_words() -> None:
    class Hungry(Alone):
        def restore(self, default: Any = None, *, weights_only: bool = False) -> Any:
            return torch.empty(2**60)

    with pytest.raises(MemoryError, match=r"does not fit into memory: 4 filters, .* batches of 16"):
        fit(TINY, TRAIN, VALIDATION, Hungry(0))


def test_metrics() -> None:
    class Fixed(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(torch.stack([1 - x[:, 0, 0, 0], x[:, 0, 0, 0]], 1))

    images = torch.tensor([0.9, 0.8, 0.6, 0.4, 0.2, 0.7])[:, None, None, None].expand(6, 1, 4, 4)
    labels = torch.tensor([1, 1, 1, 1, 0, 0])
    found = evaluate(Fixed(), Part(images, labels, 2, 1.0))
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    right = np.array([0.9, 0.8, 0.6, 0.4, 0.8, 0.3])
    assert found["loss"] == pytest.approx(-np.log(right).mean(), rel=1e-5)


@pytest.mark.parametrize(("images", "size"), [(2, 256), (17, 16), (1169, 64), (1000, 16), (23, 16)])
def test_batches_are_of_nearly_the_size_asked_for(images: int, size: int) -> None:
    sizes = [len(b) for b in np.array_split(np.arange(images), batch_count(images, size))]
    assert min(sizes) >= min(images, size * 2 / 3 - 1)
    assert max(sizes) < 1.5 * size + 1


@pytest.mark.parametrize("name", SPACE.tunables)
def test_each_parameter_of_the_space_changes_the_network(name: str) -> None:
    rng = np.random.default_rng(0)
    thin = {"filters": 5, "epochs": 4, "batch_size": 16}
    for _ in range(200):
        base, other = SPACE.sample(rng), SPACE.sample(rng)
        if name not in base or name not in other or base[name] == other[name]:
            continue
        config = SPACE.adopt({**base, name: other[name]})
        if config is None or not SPACE.contains(config):
            continue
        thinner = {n: v for n, v in thin.items() if n != name}
        one, two = (
            fit({**c, **thinner}, TRAIN, VALIDATION, Alone(1))[1]["loss"] for c in (base, config)
        )
        if one != two and not (math.isnan(one) and math.isnan(two)):
            return
    pytest.fail(f"{name} says nothing")


def test_configs_from_the_space_train_on_eight_pixels() -> None:
    rng = np.random.default_rng(0)
    for _ in range(12):
        config: dict[str, Any] = SPACE.sample(rng) | {"epochs": 1, "filters": 4}
        _, metrics = fit(config, TRAIN, VALIDATION, Alone(0))
        assert set(metrics) == {"accuracy", "balanced_accuracy", "loss"}
    assert isinstance(SPACE, ts.Space)
