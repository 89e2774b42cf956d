from __future__ import annotations

import math

import numpy as np
import pytest

import tunesmith as ts
from tunesmith import spaces
from tunesmith.training.learning_rate import TrainStep


def quadratic(noise: float = 0.0, curvature: float = 2.0) -> object:
    """Gradient descent on sum(curvature/2 x^2), with noise on the gradient: it diverges above a rate of 2 / curvature."""

    def start(seed: int) -> TrainStep:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=50)

        def step(rate: float) -> float:
            nonlocal x
            loss = float(0.5 * curvature * np.mean(x**2)) + noise * float(rng.normal())
            with np.errstate(over="ignore"):
                x = x - rate * (curvature * x + 0.3 * rng.normal(size=50))
            return loss

        return step

    return start


@pytest.mark.parametrize("curvature", [0.5, 20.0])
def test_the_interval_ends_before_the_loss_blows_up(curvature: float) -> None:
    test = ts.find_learning_rate(quadratic(0.01, curvature), seeds=[1, 2])  # type: ignore[arg-type]
    low, high = test.interval
    assert 1e-4 < low < test.suggestion < high
    assert 0.1 < high * curvature <= 4.0, "the edge of stability is 2 / curvature"
    assert f"{low:g} to {high:g} (2 seeds)" in str(test)
    assert all(len(s.rates) == len(s.losses) == len(s.smooth) for s in test.sweeps)


def test_small_batches_are_no_blow_up() -> None:
    """A single batch's loss is far from the mean: neither the end nor the beginning of the fall."""

    def start(seed: int) -> TrainStep:
        rng = np.random.default_rng(seed)
        weights = np.zeros(5)

        def step(rate: float) -> float:
            inputs = rng.normal(size=(16, 5))
            errors = inputs @ (weights - [1.0, -2.0, 0.5, 0.0, 3.0])
            weights[:] -= rate * inputs.T @ errors / 16
            return float(np.mean(errors**2))

        return step

    with np.errstate(all="ignore"):
        test = ts.find_learning_rate(start, seeds=20)
    assert all(sweep.rates[-1] > 0.3 for sweep in test.sweeps)
    assert min(sweep.begins for sweep in test.sweeps) > 1e-5
    assert 0.01 < test.suggestion < test.interval[1] < 3.0


def test_it_narrows_a_space() -> None:
    test = ts.find_learning_rate(quadratic())  # type: ignore[arg-type]
    space = ts.Space(
        learning_rate=ts.Float(1e-6, 10, log=True, group="optimizer"), depth=ts.Int(1, 3)
    )
    narrow = test.narrow(space)
    parameter = narrow["learning_rate"]
    assert isinstance(parameter, ts.Float)
    assert (parameter.low, parameter.high) == test.interval
    assert parameter.log is True
    assert parameter.group == "optimizer"
    assert test.narrow(spaces.mlp(), "learning_rate_init")["learning_rate_init"] == test.parameter()
    with pytest.raises(ts.SpaceError, match="no 'lr' to override"):
        test.narrow(space, "lr")


def test_the_same_seed_gives_the_same() -> None:
    one, two = (ts.find_learning_rate(quadratic(0.1), seeds=[7]) for _ in range(2))  # type: ignore[arg-type]
    assert one.suggestion == two.suggestion
    assert one.picture() == two.picture()
    assert one.picture()["layout"]["xaxis"]["type"] == "log"
    pytest.importorskip("plotly")
    shown = one.figure()
    assert len(shown.data) == 2
    assert [shape.x0 for shape in shown.layout.shapes] == [
        one.interval[0],
        one.suggestion,
        one.interval[1],
    ]


def test_what_shows_nothing_is_said() -> None:
    with pytest.raises(ts.TunesmithError, match="never fell clearly"):
        ts.find_learning_rate(lambda seed: lambda rate: 1.0)
    rng = np.random.default_rng(0)
    with pytest.raises(ts.TunesmithError, match="never fell clearly"):
        ts.find_learning_rate(lambda seed: lambda rate: float(rng.normal()))
    with pytest.raises(ts.TunesmithError, match="not finite after 0 steps"):
        ts.find_learning_rate(lambda seed: lambda rate: math.nan)
    with pytest.raises(ts.TunesmithError, match="below high"):
        ts.find_learning_rate(quadratic(), low=1.0, high=0.1)  # type: ignore[arg-type]
    with pytest.raises(ts.TunesmithError, match="too few"):
        ts.find_learning_rate(quadratic(), steps=5)  # type: ignore[arg-type]
    with pytest.raises(ts.TunesmithError, match="at least one seed"):
        ts.find_learning_rate(quadratic(), seeds=0)  # type: ignore[arg-type]


def test_a_network_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    from tunesmith.integrations.torch import range_test

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    inputs = torch.tensor(rng.normal(size=(512, 8)), dtype=torch.float32)
    target = (inputs[:, :2].sum(1, keepdim=True)).tanh()
    batches = [(inputs[k : k + 64], target[k : k + 64]) for k in range(0, 512, 64)]
    start = range_test(
        lambda: torch.nn.Sequential(
            torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)
        ),
        batches,
        torch.nn.functional.mse_loss,
    )
    test = ts.find_learning_rate(start, steps=120, seeds=2)
    low, high = test.interval
    assert 1e-3 < low < test.suggestion < high <= 10.0
