"""Whatever the space gives can be built, and runs forward; and the relations leave enough."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tunesmith as ts
from tunesmith.core.rng import stream
from tunesmith.recipes.images.network import build, left
from tunesmith.recipes.images.space import space
from tunesmith.spaces import lr_schedule, torch_optimizer

#: (channels, height, width): digits, MNIST, CIFAR, and the smallest, long and large ones.
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 4, 4), (3, 24, 31), (3, 12, 128), (3, 64, 64)]
SIDES = (4, 8, 16, 24, 28, 32, 64, 128)


@cache
def of(side: int) -> ts.Space:
    return space(side, 10)


def small(config: dict[str, object]) -> dict[str, object]:
    """The same network, but thin: its sizes are what is tested."""
    return config | {"filters": 2}


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_config_builds_and_runs(shape: tuple[int, int, int], seed: int) -> None:
    channels, height, width = shape
    config = small(of(min(height, width)).sample(stream(seed, 0, "space")))
    factor = config["resize"] / min(height, width)  # type: ignore[operator]
    images = torch.rand(2, channels, round(height * factor), round(width * factor))
    net = build(config, channels, 5)
    out = net(images)
    assert out.shape == (2, 5)
    assert torch.isfinite(out).all()
    out.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("side", SIDES)
def test_relations_say_what_fits(side: int) -> None:
    """A config that a relation forbids leaves nothing of the image, or has a filter that mostly misses it."""
    searched = of(side)
    free = ts.Space(dict(searched.parameters))
    kept = 0
    for k in range(1000):
        config = free.sample(stream(1, k, "space"))
        sizes = left(config["resize"], config)
        fits = min(sizes) >= 1
        last = sizes[-1] if config["pooling"] == "none" else sizes[-2]
        meets = config["padding"] == "none" or 2 * last > config["filter_size"]
        holds = all(
            r.holds(config)
            for r in searched.relations
            if {"depth", "resize"} <= set(r.names) and all(name in config for name in r.names)
        )
        assert holds == (fits and meets), (config, sizes)
        kept += searched.satisfies(config)
    assert kept > 300, "sampling by rejection is cheap"


@pytest.mark.parametrize("side", SIDES)
def test_the_default_is_contained_and_every_parameter_has_a_group(side: int) -> None:
    searched = of(side)
    assert searched.contains(searched.default())
    assert searched.default()["resize"] <= 48
    groups = {name: p.group for name, p in searched.tunables.items()}
    assert set(groups.values()) == {"model", "optimizer", "data"}


def test_the_three_kinds_of_hyperparameters_are_there() -> None:
    names = set(of(28))
    model = "depth filters filter_size stride padding pooling pool_size activation dropout norm"
    data = "resize crop flip rotation binarize threshold scaling mixup"
    assert set(model.split()) | set(data.split()) <= names
    assert set(torch_optimizer()) <= names
    assert {"schedule", "cosine.end", "step.gamma", "warmup"} <= set(lr_schedule()) & names
    assert "plateau.gamma" not in names


@pytest.mark.parametrize("side", SIDES)
def test_no_network_is_too_large_to_be_saved_after_each_epoch(side: int) -> None:
    searched = of(side)
    for k in range(200):
        config = searched.sample(stream(2, k, "space"))
        width, weights = 3, 0
        for stage in range(config["depth"]):
            filters = round(config["filters"] * config["widening"] ** stage)
            for _ in range(config["convolutions"]):
                weights += config["filter_size"] ** 2 * width * filters
                width = filters
        assert weights < 6e6, config


@given(st.integers(4, 128), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_images_of_any_size_have_a_space(side: int, seed: int) -> None:
    searched = space(side, 10)
    config = searched.sample(np.random.default_rng(seed))
    assert min(left(config["resize"], config)) >= 1
