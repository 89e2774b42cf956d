"""Gradients through a training: against finite differences, and what is said of bad input."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from tunesmith import ConfigError, JobError, hypergrad

torch = pytest.importorskip("torch")

STEPS = 12
HYPER = {"learning_rate": 0.3, "momentum": 0.6, "weight_decay": 0.05}
Tensors = Mapping[str, Any]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Such small tensors are faster on one, most of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def problem() -> dict[str, Any]:
    """A small softmax regression in double precision: data, and a penalty for every class."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=rng, dtype=torch.float64)
    y = (x @ torch.randn(4, 3, generator=rng, dtype=torch.float64)).argmax(1)
    flip = torch.randint(0, 3, (60,), generator=rng)
    y = torch.where(torch.arange(60) % 4 == 0, flip, y)
    return {"x": x[:30], "y": y[:30], "vx": x[30:], "vy": y[30:]}


def cross_entropy(state: Tensors, x: Any, y: Any) -> Any:
    return torch.nn.functional.cross_entropy(x @ state["w"] + state["b"], y)


def start() -> dict[str, Any]:
    return {
        "w": torch.full((4, 3), 0.1, dtype=torch.float64),
        "b": torch.zeros(3, dtype=torch.float64),
    }


def differences(value: Any, hyper: Mapping[str, float], step: float = 1e-5) -> dict[str, float]:
    return {
        name: (value({**hyper, name: at + step}) - value({**hyper, name: at - step})) / (2 * step)
        for name, at in hyper.items()
    }


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_through_the_training(problem: dict[str, Any], mode: str) -> None:
    def inner(state: Tensors, hyper: Tensors, step: int) -> Any:
        batch = slice(step % 3 * 10, step % 3 * 10 + 10)
        return cross_entropy(state, problem["x"][batch], problem["y"][batch])

    def outer(state: Tensors, hyper: Tensors) -> Any:
        assert set(state) == {"w", "b"}
        return cross_entropy(state, problem["vx"], problem["vy"])

    def run(hyper: Mapping[str, float]) -> hypergrad.Hypergradient:
        differentiate = getattr(hypergrad, mode)
        made: hypergrad.Hypergradient = differentiate(
            hypergrad.sgd(inner), outer, start(), hyper, steps=STEPS
        )
        return made

    made = run(HYPER)
    assert made.gradient == pytest.approx(
        differences(lambda hyper: run(hyper).loss, HYPER), rel=1e-5
    )
    assert all(abs(g) > 1e-4 for g in made.gradient.values())
    trained = trained_by_torch(inner)
    for name, value in made.state.items():
        torch.testing.assert_close(value, trained[name])
        assert not value.requires_grad


def trained_by_torch(inner: Any) -> dict[str, Any]:
    weights = {name: value.requires_grad_() for name, value in start().items()}
    optimizer = torch.optim.SGD(
        weights.values(),
        lr=HYPER["learning_rate"],
        momentum=HYPER["momentum"],
        weight_decay=HYPER["weight_decay"],
    )
    for step in range(STEPS):
        optimizer.zero_grad()
        inner(weights, {}, step).backward()
        optimizer.step()
    return {name: value.detach() for name, value in weights.items()}


def test_forward_and_reverse_agree_on_tensors_and_random_steps(problem: dict[str, Any]) -> None:
    """A learning rate for every step, a penalty for every class, noise on the inputs."""
    hyper = {
        "learning_rate": torch.linspace(0.5, 0.1, STEPS, dtype=torch.float64),
        "penalty": torch.tensor([0.1, 0.01, 0.03], dtype=torch.float64),
        "noise": 0.3,
    }

    def inner(state: Tensors, hyper: Tensors, step: int) -> Any:
        x = problem["x"]
        x = x + hyper["noise"] * torch.randn(x.shape, dtype=x.dtype)
        return cross_entropy(state, x, problem["y"]) + (hyper["penalty"] * state["w"] ** 2).sum()

    def outer(state: Tensors, hyper: Tensors) -> Any:
        return cross_entropy(state, problem["vx"], problem["vy"])

    hypergradients = []
    for differentiate in (hypergrad.reverse, hypergrad.forward):
        torch.manual_seed(3)
        hypergradients.append(
            differentiate(hypergrad.sgd(inner), outer, start(), hyper, steps=STEPS)
        )
    (one, other) = hypergradients
    assert one.loss == pytest.approx(other.loss)
    for name in hyper:
        np.testing.assert_allclose(one.gradient[name], other.gradient[name], rtol=1e-8)
    assert isinstance(one.gradient["noise"], float)
    assert one.gradient["learning_rate"].shape == (STEPS,)


def test_truncated(problem: dict[str, Any]) -> None:
    """The trained weights are the same; the gradient is that of the last steps alone, and near the whole one
    where the training has converged."""

    def inner(state: Tensors, hyper: Tensors, step: int) -> Any:
        penalty = hyper["penalty"] * (state["w"] ** 2).sum()
        return cross_entropy(state, problem["x"], problem["y"]) + penalty

    def outer(state: Tensors, hyper: Tensors) -> Any:
        return cross_entropy(state, problem["vx"], problem["vy"])

    hyper = {"learning_rate": 0.5, "penalty": 0.1}
    whole, last, one = (
        hypergrad.reverse(hypergrad.sgd(inner), outer, start(), hyper, steps=60, truncate=k)
        for k in (None, 30, 1)
    )
    assert whole.loss == last.loss == one.loss
    assert last.gradient["penalty"] == pytest.approx(whole.gradient["penalty"], rel=0.03)
    assert abs(one.gradient["penalty"]) < 0.5 * abs(whole.gradient["penalty"])
    assert np.sign(one.gradient["penalty"]) == np.sign(whole.gradient["penalty"])


@pytest.fixture(scope="module")
def converged(problem: dict[str, Any]) -> Any:
    """Inner and outer loss, and `train(hyper)`: the minimiser of the inner one, by Newton's method."""

    def inner(state: Tensors, hyper: Tensors) -> Any:
        weights = torch.sigmoid(hyper["weights"])
        losses = torch.nn.functional.cross_entropy(
            problem["x"] @ state["w"] + state["b"], problem["y"], reduction="none"
        )
        penalty = hyper["penalty"] * ((state["w"] ** 2).sum() + (state["b"] ** 2).sum())
        return (weights * losses).mean() + penalty

    def outer(state: Tensors, hyper: Tensors) -> Any:
        return cross_entropy(state, problem["vx"], problem["vy"]) + hyper["penalty"] ** 2

    def train(hyper: Tensors) -> dict[str, Any]:
        state = {name: value.requires_grad_() for name, value in start().items()}
        optimizer = torch.optim.LBFGS(
            state.values(), max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure() -> Any:
            optimizer.zero_grad()
            loss = inner(state, hyper)
            loss.backward()
            return loss

        optimizer.step(closure)
        return state

    return inner, outer, train


@pytest.mark.parametrize(
    "options",
    [{"solver": "cg"}, {"solver": "neumann", "terms": 400}],
    ids=["cg", "neumann"],
)
def test_implicit(converged: Any, options: dict[str, Any]) -> None:
    inner, outer, train = converged
    hyper = {"penalty": 0.05, "weights": torch.linspace(-1.0, 1.0, 30, dtype=torch.float64)}
    hypergradient = hypergrad.implicit(inner, outer, train(hyper), hyper, **options)

    def value(penalty: float, first: float) -> float:
        moved = {"penalty": torch.tensor(penalty), "weights": hyper["weights"].clone()}
        moved["weights"][0] = first
        return float(outer(train(moved), moved).detach())

    e = 1e-4
    by_penalty = (value(0.05 + e, -1.0) - value(0.05 - e, -1.0)) / (2 * e)
    by_first = (value(0.05, -1.0 + e) - value(0.05, -1.0 - e)) / (2 * e)
    assert hypergradient.gradient["penalty"] == pytest.approx(by_penalty, rel=1e-4)
    assert hypergradient.gradient["weights"][0].item() == pytest.approx(by_first, rel=1e-4)
    assert abs(by_first) > 1e-5


def test_the_ways_agree_at_a_minimum(converged: Any) -> None:
    inner, outer, train = converged
    hyper = {"penalty": 0.05, "weights": torch.zeros(30, dtype=torch.float64)}
    at = train(hyper)
    implicit = hypergrad.implicit(inner, outer, at, hyper)
    update = hypergrad.sgd(lambda state, h, step: inner(state, h))
    through = hypergrad.reverse(
        update, outer, at, {**hyper, "learning_rate": torch.tensor(0.8).double()}, steps=150
    )
    assert through.gradient["penalty"] == pytest.approx(implicit.gradient["penalty"], rel=1e-3)
    torch.testing.assert_close(
        through.gradient["weights"], implicit.gradient["weights"], rtol=1e-2, atol=1e-6
    )


def test_a_hessian_that_is_not_positive() -> None:
    def inner(state: Tensors, hyper: Tensors) -> Any:
        return hyper["a"] * (state["w"] ** 4 - state["w"] ** 2).sum()

    def outer(state: Tensors, hyper: Tensors) -> Any:
        return (state["w"] ** 2).sum()

    state = {"w": torch.tensor([0.1])}
    with pytest.raises(ConfigError, match=r"not convex where the weights are.*damping="):
        hypergrad.implicit(inner, outer, state, {"a": 1.0})
    assert np.isfinite(hypergrad.implicit(inner, outer, state, {"a": 1.0}, damping=5.0).loss)


GOOD = hypergrad.sgd(lambda state, hyper, step: (state["w"] ** 2).sum())


def outer_loss(state: Tensors, hyper: Tensors) -> Any:
    return ((state["w"] - 1.0) ** 2).sum()


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hyper": {"learning_rate": 0.1, "unused": 1.0}}, "'unused' did not influence the outer loss"),
        ({"hyper": {"learning_rat": 0.1}}, "no hyperparameter 'learning_rate'; did you mean 'learning_rat'"),
        ({"hyper": {"learning_rate": float("nan")}}, "'learning_rate' is nan, which is not finite"),
        ({"hyper": {"learning_rate": "fast"}}, "'learning_rate' is 'fast'; there is a gradient by numbers"),
        ({"hyper": {}}, "hyper is a mapping"),
        ({"hyper": {"learning_rate": 1e6}, "steps": 50}, "the training diverged; lower the learning rate"),
        ({"state": {}}, "state is a mapping from names to tensors"),
        ({"state": {"w": 1.0}}, "'w' is float, not a tensor"),
        ({"state": {"w": torch.tensor([float("inf")])}}, "'w' has values that are NaN or infinite"),
        ({"update": hypergrad.sgd(lambda s, h, k: (s["v"] ** 2).sum())}, "there is no tensor 'v'"),
        ({"update": hypergrad.sgd(lambda s, h, k: (s["w"] ** 2).sum().detach())}, "inner: its loss has no graph"),
        ({"update": hypergrad.sgd(lambda s, h, k: 1.0)}, "inner returns a tensor with one number, not float"),
        ({"update": hypergrad.sgd(lambda s, h, k: s["w"] ** 2)}, r"one number, not \(2,\)"),
        ({"update": lambda s, h, k: None}, "update returns the next state"),
        ({"update": lambda s, h, k: {"v": s["w"]}}, "the next state lacks 'w'"),
        ({"update": lambda s, h, k: {"w": s["w"].sum()}}, "'w' had the shape"),
        ({"outer": lambda s, h: s["w"].detach().sum()}, "outer: its loss has no graph"),
        ({"steps": 0}, "steps is a whole number from 1, not 0"),
    ],
)  # fmt: skip
def test_bad_input(mode: str, change: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {
        "update": GOOD,
        "outer": outer_loss,
        "state": {"w": torch.tensor([0.5, 2.0])},
        "hyper": {"learning_rate": 0.1},
        "steps": 3,
    }
    with pytest.raises(ConfigError, match=message):
        getattr(hypergrad, mode)(**(options | change))


def test_a_parameter_that_the_last_steps_do_not_see() -> None:
    def update(state: Tensors, hyper: Tensors, step: int) -> Any:
        return {"w": state["w"] * (hyper["first"] if step == 0 else hyper["rest"])}

    hypergradient = hypergrad.reverse(
        update, outer_loss, {"w": torch.ones(2)}, {"first": 0.5, "rest": 0.9}, steps=3
    )
    assert hypergradient.gradient["first"] != 0.0
    with pytest.raises(
        ConfigError, match=r"'first' did not influence.*within the last 2 of 3 steps"
    ):
        hypergrad.reverse(
            update,
            outer_loss,
            {"w": torch.ones(2)},
            {"first": 0.5, "rest": 0.9},
            steps=3,
            truncate=2,
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"solver": "newton"}, "solver is 'cg' or 'neumann', not 'newton'"),
        ({"terms": 0}, "terms is at least 1"),
        ({"solver": "neumann", "scale": 1e6, "terms": 99}, "does not converge with scale=1e"),
        ({"inner": lambda s, h: s["w"].sum()}, "linear in the weights"),
        ({"hyper": {"a": 1.0, "b": 1.0}}, "'b' did not influence"),
    ],
)
def test_bad_input_of_implicit(change: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {
        "inner": lambda s, h: h["a"] * (s["w"] ** 2).sum(),
        "outer": outer_loss,
        "state": {"w": torch.zeros(2)},
        "hyper": {"a": 1.0},
    }
    with pytest.raises(ConfigError, match=message):
        hypergrad.implicit(**(options | change))


def test_without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name == "torch":
            raise ImportError(name)
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(JobError, match=r"pip install 'tunesmith\[torch\]'"):
        hypergrad.reverse(GOOD, outer_loss, {"w": 1}, {"learning_rate": 0.1}, steps=1)
    assert hypergrad.ridge([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0], 1.0).loss > 0.0
