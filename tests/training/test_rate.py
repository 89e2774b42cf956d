"""Hypergradient descent of the learning rate: by the paper's formulas, and out of absurd beginnings."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, cast

import pytest

from tunesmith import ConfigError
from tunesmith.training.hypergrad import HypergradientDescent

torch = pytest.importorskip("torch")
Optimizer = Callable[[Any], Any]

CURVES = torch.tensor([1.0, 10.0], dtype=torch.float64)
KINDS: dict[str, Callable[..., Any]] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "nesterov": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def weights() -> Any:
    return torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))


def loss(w: Any) -> Any:
    return 0.5 * (CURVES * w**2).sum()


def run(w: Any, optimizer: Any, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(w)
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    return losses


def test_sgd_by_hand() -> None:
    """Baydin et al. 2018, algorithm 4 (SGD-HD): a <- a + beta g_t . g_{t-1}, then theta <- theta - a g_t."""
    w, a, beta = weights(), 0.01, 1e-4
    optimizer = HypergradientDescent(torch.optim.SGD([w], lr=a), beta, "additive")
    theta, before = w.detach().clone(), torch.zeros(2, dtype=torch.float64)
    for _ in range(20):
        g = CURVES * theta
        a += beta * float(g @ before)
        theta -= a * g
        before = g
        run(w, optimizer, 1)
        assert optimizer.learning_rates == [pytest.approx(a, rel=1e-9)]
        torch.testing.assert_close(w.detach(), theta)


def test_multiplicative_by_hand() -> None:
    """The multiplicative rule: a <- a (1 + beta' cos(g_t, g_{t-1})) for SGD."""
    w, a, beta = weights(), 0.01, 0.05
    optimizer = HypergradientDescent(torch.optim.SGD([w], lr=a), beta)
    theta, before = w.detach().clone(), None
    for _ in range(20):
        g = CURVES * theta
        if before is not None:
            a *= 1 + beta * float(g @ before / (g.norm() * before.norm()))
        theta -= a * g
        before = g
        run(w, optimizer, 1)
        assert optimizer.learning_rates == [pytest.approx(a, rel=1e-9)]


def test_adam_by_hand() -> None:
    """Algorithm 6 (Adam-HD): u is -m_hat / (sqrt(v_hat) + eps) of the step before."""
    w, a, beta = weights(), 0.01, 1e-5
    optimizer = HypergradientDescent(torch.optim.Adam([w], lr=a), beta, "additive")
    theta = w.detach().clone()
    m, v, u = (torch.zeros(2, dtype=torch.float64) for _ in range(3))
    for t in range(1, 20):
        g = CURVES * theta
        a -= beta * float(g @ u)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        u = -(m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        theta = theta + a * u
        run(w, optimizer, 1)
        assert optimizer.learning_rates == [pytest.approx(a, rel=1e-7)]
        torch.testing.assert_close(w.detach(), theta)


@pytest.mark.parametrize("rule", ["additive", "multiplicative"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_moves_against_its_gradient(kind: str, rule: Any) -> None:
    """The derivative of the loss after a step by that step's learning rate has the sign that it moved against."""
    rate = 1e-3
    w = weights()
    optimizer = HypergradientDescent(KINDS[kind]([w], lr=rate), 1e-6, rule)
    run(w, optimizer, 2)
    after = []
    for moved in (rate * 1.001, rate * 0.999):
        other = weights()
        run(other, KINDS[kind]([other], lr=moved), 1)
        after.append(float(loss(other.detach())))
    assert math.copysign(1, optimizer.learning_rates[0] - rate) == math.copysign(
        1, after[1] - after[0]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [1e-7, 3.0])
def test_an_absurd_learning_rate_recovers(kind: str, rate: float) -> None:
    """3 is 15 times beyond where SGD diverges; with 1e-7 nothing would happen."""
    w, alone = weights(), weights()
    losses = run(w, HypergradientDescent(KINDS[kind]([w], lr=rate), 0.3), 500)
    assert losses[-1] < 1e-3
    fixed = run(alone, KINDS[kind]([alone], lr=rate), 500)[-1]
    if rate < 1.0 or not kind.startswith("adam"):  # Adam itself gets over the other one
        assert not fixed < losses[0] / 2


def test_gradients_that_are_not_finite_halve_the_learning_rate() -> None:
    w = weights()
    optimizer = HypergradientDescent(torch.optim.SGD([w], lr=0.1))
    w.grad = torch.tensor([math.inf, 0.0], dtype=torch.float64)
    before = w.detach().clone()
    optimizer.step()
    assert torch.equal(w.detach(), before)
    assert optimizer.learning_rates == [0.05]


def test_groups_have_their_own() -> None:
    one, two = weights(), weights()
    inner = torch.optim.SGD([{"params": [one], "lr": 0.01}, {"params": [two], "lr": 0.3}])
    optimizer = HypergradientDescent(inner, 0.1)
    for _ in range(5):
        optimizer.step(lambda: closure(optimizer, one, two))
    low, high = optimizer.learning_rates
    assert low > 0.01
    assert high < 0.3


def closure(optimizer: Any, *ws: Any) -> Any:
    optimizer.zero_grad()
    value = sum(loss(w) for w in ws)
    value.backward()
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_state_makes_the_round(kind: str) -> None:
    """A run that is saved and loaded goes on as one that is not."""
    w, other = weights(), weights()
    whole = HypergradientDescent(KINDS[kind]([w], lr=0.01), 0.05)
    run(w, whole, 5)
    saved, at = copy.deepcopy(whole.state_dict()), w.detach().clone()
    after = run(w, whole, 5)
    resumed = HypergradientDescent(KINDS[kind]([other], lr=0.5), 0.05)
    resumed.load_state_dict(saved)
    with torch.no_grad():
        other.copy_(at)
    assert run(other, resumed, 5) == after
    assert resumed.learning_rates == whole.learning_rates


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: HypergradientDescent(o, rule=cast("Any", "exponential")), "rule is 'multiplicative' or 'additive'"),
        (lambda o: HypergradientDescent(o, 0.0), "beta is a number above 0"),
        (lambda o: HypergradientDescent(o, 1.5), "beta is below 1 for the multiplicative rule"),
        (lambda o: HypergradientDescent([1]), "optimizer is one of torch.optim, not list"),
        (lambda o: HypergradientDescent(torch.optim.LBFGS([weights()])), "take SGD or Adam"),
    ],
)  # fmt: skip
def test_bad_options(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(torch.optim.SGD([weights()], lr=0.1))
