"""Equal to PyTorch's own schedulers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tunesmith import ConfigError, spaces
from tunesmith.integrations.torch import lr_scheduler, make_optimizer
from tunesmith.training.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    InverseTime,
    OneCycle,
    Piecewise,
    Polynomial,
    ReduceOnPlateau,
    Schedule,
    Step,
    Warmup,
    WarmupStableDecay,
    from_config,
)

torch = pytest.importorskip("torch")
lib = torch.optim.lr_scheduler
RATE = 0.3


def optimizer() -> Any:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2))], "lr": lr} for lr in (RATE, 0.01)]
    return torch.optim.SGD(groups)


def rates(make: Any, steps: int) -> list[list[float]]:
    mine = optimizer()
    scheduler = make(mine)
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in mine.param_groups])
        mine.step()
        scheduler.step()
    return seen


def one_cycle(steps: int, rise: float) -> Any:
    return lambda o: lib.OneCycleLR(
        o, max_lr=[RATE, 0.01], total_steps=steps, pct_start=rise, cycle_momentum=False
    )


def warm(steps: int, then: Any) -> Any:
    """`then` after a linear rise from a tenth."""

    def make(o: Any) -> Any:
        up = lib.LinearLR(o, start_factor=0.1, total_iters=steps)
        return lib.SequentialLR(o, [up, then(o)], milestones=[steps])

    return make


def trapezoid(o: Any) -> Any:
    """Up in 20 steps, flat for 130, down to nothing in 50."""
    up = lib.LinearLR(o, start_factor=1e-12, total_iters=20)
    flat = lib.ConstantLR(o, factor=1.0, total_iters=1)
    down = lib.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=50)
    return lib.SequentialLR(o, [up, flat, down], milestones=[20, 150])


PAIRS: dict[str, tuple[Schedule, Any, int]] = {
    "step": (Step(30, 0.3), lambda o: lib.StepLR(o, 30, 0.3), 300),
    "multistep": (
        Piecewise((50, 120), (1.0, 0.2, 0.04)),
        lambda o: lib.MultiStepLR(o, [50, 120], 0.2),
        300,
    ),
    "exponential": (Exponential(0.98), lambda o: lib.ExponentialLR(o, 0.98), 400),
    "polynomial": (Polynomial(250, 2.5), lambda o: lib.PolynomialLR(o, 250, 2.5), 300),
    "linear": (
        Polynomial(100, 1.0, 0.25),
        lambda o: lib.LinearLR(o, start_factor=1.0, end_factor=0.25, total_iters=100),
        200,
    ),
    "cosine": (Cosine(300), lambda o: lib.CosineAnnealingLR(o, 300), 301),
    "restarts": (CosineRestarts(40, 2), lambda o: lib.CosineAnnealingWarmRestarts(o, 40, 2), 500),
    "equal restarts": (CosineRestarts(50), lambda o: lib.CosineAnnealingWarmRestarts(o, 50), 300),
    "one cycle": (OneCycle(200), one_cycle(200, 0.3), 199),
    "one cycle, early": (OneCycle(333, 0.1), one_cycle(333, 0.1), 332),
    "constant": (Constant(), lambda o: lib.ConstantLR(o, factor=1.0), 30),
    "inverse time": (
        InverseTime(0.05),
        lambda o: lib.LambdaLR(o, lambda step: 1.0 / (1.0 + 0.05 * step)),
        200,
    ),
    "warmup-stable-decay": (WarmupStableDecay(200, warmup=20, decay=50), trapezoid, 210),
    "warm-up, constant": (
        Warmup(Constant(), 20, 0.1),
        warm(20, lambda o: lib.ConstantLR(o, factor=1.0)),
        60,
    ),
    "warm-up, step": (
        Warmup(Step(30, 0.3), 20, 0.1),
        warm(20, lambda o: lib.StepLR(o, 30, 0.3)),
        200,
    ),
    "warm-up, multistep": (
        Warmup(Piecewise((50, 120), (1.0, 0.2, 0.04)), 20, 0.1),
        warm(20, lambda o: lib.MultiStepLR(o, [50, 120], 0.2)),
        200,
    ),
    "warm-up, exponential": (
        Warmup(Exponential(0.98), 20, 0.1),
        warm(20, lambda o: lib.ExponentialLR(o, 0.98)),
        200,
    ),
    "warm-up, inverse time": (
        Warmup(InverseTime(0.05), 20, 0.1),
        warm(20, lambda o: lib.LambdaLR(o, lambda step: 1.0 / (1.0 + 0.05 * step))),
        200,
    ),
    "warm-up, polynomial": (
        Warmup(Polynomial(180, 2.5), 20, 0.1),
        warm(20, lambda o: lib.PolynomialLR(o, 180, 2.5)),
        200,
    ),
    "warm-up, cosine": (
        Warmup(Cosine(180), 20, 0.1),
        warm(20, lambda o: lib.CosineAnnealingLR(o, 180)),
        200,
    ),
    "warm-up, restarts": (
        Warmup(CosineRestarts(40, 2), 20, 0.1),
        warm(20, lambda o: lib.CosineAnnealingWarmRestarts(o, 40, 2)),
        300,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.filterwarnings("ignore:The epoch parameter in:UserWarning")
def test_equal_to_pytorchs_own(name: str) -> None:
    schedule, theirs, steps = PAIRS[name]
    ours = rates(lambda o: lr_scheduler(o, schedule), steps)
    if name.startswith("one cycle"):  # its base learning rate is the lowest one
        ours = [[schedule(step) * RATE, schedule(step) * 0.01] for step in range(steps)]
    np.testing.assert_allclose(ours, rates(theirs, steps), atol=1e-6 * RATE, rtol=1e-6)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_a_plateau_is_equal_to_pytorchs_own(goal: Any) -> None:
    plateau = ReduceOnPlateau(0.5, 3, goal, threshold=1e-3, cooldown=2, least=0.01)
    mine = optimizer()
    theirs = lr_scheduler(mine, plateau)
    rng = np.random.default_rng(0)
    for k in range(300):
        metric = float(2.0 + np.exp(-k / 20) + 0.01 * rng.normal()) * (
            -1 if goal == "maximize" else 1
        )
        metric += 10.0 if goal == "maximize" else 0.0
        metric = math.nan if k < 6 else metric
        plateau = plateau.observe(metric)
        theirs.step(metric)
        assert mine.param_groups[0]["lr"] == pytest.approx(RATE * plateau.factor, abs=2e-8)


def test_a_scheduler_goes_on_from_its_state() -> None:
    first, again = optimizer(), optimizer()
    one, two = lr_scheduler(first, Cosine(50)), lr_scheduler(again, Cosine(50))
    for _ in range(20):
        first.step()
        one.step()
    again.load_state_dict(first.state_dict())
    two.load_state_dict(one.state_dict())
    again.step()
    two.step()
    assert again.param_groups[0]["lr"] == pytest.approx(RATE * Cosine(50)(21))


def test_every_config_of_the_space_makes_an_optimizer_that_trains() -> None:
    space = spaces.joined(spaces.torch_optimizer(), spaces.lr_schedule())
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(60):
        config = space.sample(rng)
        model = torch.nn.Linear(3, 1)
        mine = make_optimizer(config, model.parameters())
        seen.add(type(mine).__name__)
        assert mine.param_groups[0]["lr"] == config[f"{config['optimizer']}.learning_rate"]
        scheduler = lr_scheduler(mine, from_config(config, 10))
        for _ in range(3):
            loss = model(torch.ones(4, 3)).pow(2).mean()
            loss.backward()
            mine.step()
            scheduler.step(*([loss.item()] if config["schedule"] == "plateau" else []))
    assert seen == {"SGD", "Adam", "AdamW", "RMSprop", "Adadelta", "Adagrad"}


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(ConfigError, match="did you mean 'adam'"):
        make_optimizer({"optimizer": "adamm"}, [])
    with pytest.raises(ConfigError, match=r"no sgd\.learning_rate"):
        make_optimizer({"optimizer": "sgd"}, [])
