"""Each parameter of the spaces for PyTorch changes how a network is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith import spaces
from tunesmith.training.schedules import ReduceOnPlateau, from_config

STEPS = 400


def rates(config: dict[str, Any]) -> list[float]:
    """The factor at each step; where it depends on a loss, of one that does not improve."""
    schedule: Any = from_config(config, STEPS)
    if not isinstance(schedule, ReduceOnPlateau):
        return [schedule(step) for step in range(STEPS)]
    factors = []
    for _ in range(STEPS):
        factors.append(schedule.factor)
        schedule = schedule.observe(1.0)
    return factors


@pytest.mark.parametrize("name", spaces.lr_schedule().tunables)
def test_each_parameter_changes_the_schedule(name: str) -> None:
    space, rng = spaces.lr_schedule(), np.random.default_rng(0)
    parent = name.partition(".")[0]
    changed = 0
    for _ in range(400):
        base, other = space.sample(rng), space.sample(rng)
        if name in base and name in other and base[name] != other[name]:
            config: Any = space.adopt({**base, name: other[name]})
            if config is not None and space.contains(config):
                changed += rates(base) != rates(config)
    assert changed >= 1, f"{name} says nothing ({parent})"


def trained(config: dict[str, Any]) -> NDArray[Any]:
    """The weights after a few steps."""
    torch = pytest.importorskip("torch")
    from tunesmith.integrations.torch import make_optimizer

    torch.manual_seed(0)
    inputs = torch.randn(128, 4)
    targets = inputs[:, :1] * 2 + 1
    model = torch.nn.Linear(4, 1)
    optimizer = make_optimizer(config, model.parameters())
    for batch in torch.arange(128).split(config["batch_size"])[:4]:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(inputs[batch]), targets[batch]).backward()
        optimizer.step()
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


@pytest.mark.parametrize("name", spaces.torch_optimizer().tunables)
def test_each_parameter_changes_the_weights(name: str) -> None:
    space, rng = spaces.torch_optimizer(), np.random.default_rng(0)
    optimizers = set()
    for _ in range(300):
        base, other = space.sample(rng), space.sample(rng)
        if name in base and name in other and base[name] != other[name]:
            config = space.adopt({**base, name: other[name]})
            if config is not None and not np.array_equal(trained(base), trained(config)):
                optimizers.add(base["optimizer"])
    active = {"weight_decay": 5, "optimizer": 6, "batch_size": 6}
    assert len(optimizers) == active.get(name, 1), optimizers
