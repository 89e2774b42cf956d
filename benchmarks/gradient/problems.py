"""What is tuned: four problems with derivatives, on data sets that scikit-learn ships.

A seed chooses the samples of each. `evaluate(config, slopes)` gives the validation loss, with its derivatives
only if they are wanted, so that nobody pays for what he does not use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tunesmith as ts
from tunesmith import hypergrad

Floats = NDArray[np.float64]
Config = Mapping[str, float]


@dataclass(frozen=True)
class Problem:
    """`held_out(config)` is a value that the tuning has not seen; less is better. `others` are held-out values of
    settings that nobody tuned."""

    space: ts.Space
    evaluate: Callable[[Config, bool], dict[str, float]]
    held_out: Callable[[Config], float]
    others: Mapping[str, float]


def split(seed: int, n: int, *sizes: int) -> list[NDArray[np.int64]]:
    """Disjoint random samples of 0 .. n-1 of these sizes, and the rest."""
    order = np.random.default_rng(seed).permutation(n)
    return np.split(order, np.cumsum(sizes))


def standardised(train: Floats, *rest: Floats) -> list[Floats]:
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0.0] = 1.0
    return [(part - mean) / deviation for part in (train, *rest)]


# -- closed forms -----------------------------------------------------------------------------


@cache
def diabetes() -> tuple[Floats, Floats, NDArray[np.int64]]:
    """150 columns in 50 groups: x, x^2, x^3 of each of 10 variables, and xy, x^2 y, x y^2 of 40 pairs. (s4 is s1
    over s3; its products with the other five serum values are left out.)"""
    from sklearn.datasets import load_diabetes

    data = load_diabetes()
    x, names = data.data / data.data.std(axis=0), data.feature_names
    columns = [[x[:, j] ** k for k in (1, 2, 3)] for j in range(10)]
    for i, j in combinations(range(10), 2):
        pair = {names[i], names[j]}
        if "s4" in pair and all(name.startswith("s") and name != "sex" for name in pair):
            continue
        a, b = x[:, i], x[:, j]
        columns.append([a * b, a * a * b, a * b * b])
    group = np.repeat(np.arange(len(columns)), 3)
    return np.column_stack([c for part in columns for c in part]), data.target, group


def ridge_50(seed: int) -> Problem:
    """Ridge regression with 50 penalties; the exact leave-one-out error of 352 patients, by closed form."""
    x, y, group = diabetes()
    train, test = split(seed, len(y), 352)
    x_train, x_test = standardised(x[train], x[test])
    scale = y[train].std()
    y_train, y_test = (y[train] - y[train].mean()) / scale, (y[test] - y[train].mean()) / scale
    space = ts.Space({f"p{k}": ts.Float(1e-2, 1e5, log=True) for k in range(50)})

    def evaluate(config: Config, slopes: bool) -> dict[str, float]:
        found = hypergrad.ridge(x_train, y_train, list(config.values()), group)
        return told(found, config, slopes)

    def held_out(config: Config) -> float:
        d = np.array(list(config.values()))[group]
        b = np.linalg.solve(x_train.T @ x_train + np.diag(d), x_train.T @ y_train)
        return float(np.mean((y_test - x_test @ b) ** 2))

    one = min(
        (dict.fromkeys(space, p) for p in np.geomspace(1e-2, 1e5, 60)),
        key=lambda config: evaluate(config, False)["loss"],
    )
    return Problem(space, evaluate, held_out, {"the best single penalty": held_out(one)})


@cache
def pixels() -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Digits, odd or even: 319 columns in 6 groups. Pixels, their squares, and products with the neighbour to the
    right, below, and along both diagonals."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    images = x.reshape(-1, 8, 8)
    products = [
        images[:, :, :-1] * images[:, :, 1:],
        images[:, :-1] * images[:, 1:],
        images[:, :-1, :-1] * images[:, 1:, 1:],
        images[:, :-1, 1:] * images[:, 1:, :-1],
    ]
    parts = [part.reshape(len(x), -1) for part in (images, images**2, *products)]
    group = np.concatenate([np.full(part.shape[1], k) for k, part in enumerate(parts)])
    columns = np.hstack(parts)
    used = columns.std(axis=0) > 0.0
    return columns[:, used], y % 2, group[used]


def penalties(seed: int) -> Problem:
    """Logistic regression on 400 digits, with a penalty for each of 6 groups of columns. The approximate
    leave-one-out log loss, by closed form."""
    from sklearn.linear_model import LogisticRegression

    x, y, group = pixels()
    train, test = split(seed, len(y), 400)
    x_train, x_test = standardised(x[train], x[test])
    space = ts.Space({f"p{k}": ts.Float(0.1, 1e5, log=True) for k in range(6)})

    def evaluate(config: Config, slopes: bool) -> dict[str, float]:
        found = hypergrad.logistic(x_train, y[train], list(config.values()), group)
        return told(found, config, slopes)

    def held_out(config: Config) -> float:
        root = np.sqrt(np.array(list(config.values())))[group]
        model = LogisticRegression(C=1.0, max_iter=5000, tol=1e-6).fit(x_train / root, y[train])
        p = model.predict_proba(x_test / root)[np.arange(len(test)), y[test]]
        return float(-np.mean(np.log(np.maximum(p, 1e-12))))

    one = min(
        (dict.fromkeys(space, p) for p in np.geomspace(0.1, 1e5, 60)),
        key=lambda config: evaluate(config, False)["loss"],
    )
    return Problem(space, evaluate, held_out, {"the best single penalty": held_out(one)})


def told(found: hypergrad.Slope, config: Config, slopes: bool) -> dict[str, float]:
    if not slopes:
        return {"loss": found.loss}
    return hypergrad.as_metrics(
        found.loss, dict(zip(config, found.by_log, strict=True)), logs_of=config
    )


# -- through PyTorch --------------------------------------------------------------------------


@cache
def digits() -> tuple[Any, Any]:
    import torch
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16.0, dtype=torch.float64), torch.tensor(y)


STEPS = 120
BATCH = 100


def network(seed: int) -> Problem:
    """A network (64-32-10) on 200 digits, 120 steps of SGD with momentum: learning rate, weight decay, and by how far the training images are moved. The cross-entropy of 400 others."""
    import torch
    from torch.nn import functional as nn

    x, y = digits()
    train, validation, test = split(seed, len(y), 200, 400)
    space = ts.Space(
        learning_rate=ts.Float(1e-3, 1.0, log=True),
        weight_decay=ts.Float(1e-5, 1e-1, log=True),
        shift=ts.Float(0.0, 1.0),
    )
    generator = torch.Generator().manual_seed(seed)
    start = {
        "a": torch.randn(64, 32, generator=generator, dtype=x.dtype) / 8.0,
        "b": torch.zeros(32, dtype=x.dtype),
        "c": torch.randn(32, 10, generator=generator, dtype=x.dtype) / 32**0.5,
        "d": torch.zeros(10, dtype=x.dtype),
    }
    batches = [
        torch.as_tensor(train)[torch.randperm(len(train), generator=generator)[:BATCH]]
        for _ in range(STEPS)
    ]
    pictures = x.reshape(-1, 8, 8)
    moved = torch.stack(
        [
            nn.pad(pictures, pad)[:, top : top + 8, left : left + 8].reshape(-1, 64)
            for pad, top, left in (
                ((0, 1, 0, 0), 0, 1),
                ((1, 0, 0, 0), 0, 0),
                ((0, 0, 0, 1), 1, 0),
                ((0, 0, 1, 0), 0, 0),
            )
        ]
    )
    where = [torch.randint(0, 4, (BATCH,), generator=generator) for _ in range(STEPS)]
    how_far = [torch.rand(BATCH, 1, generator=generator, dtype=x.dtype) for _ in range(STEPS)]

    def outputs(state: Mapping[str, Any], images: Any) -> Any:
        return torch.tanh(images @ state["a"] + state["b"]) @ state["c"] + state["d"]

    def inner(state: Mapping[str, Any], hyper: Mapping[str, Any], step: int) -> Any:
        rows = batches[step]
        # between an image and the one moved by a pixel: moved by part of a pixel
        share = hyper["shift"] * how_far[step]
        images = x[rows] + share * (moved[where[step], rows] - x[rows])
        return nn.cross_entropy(outputs(state, images), y[rows])

    def outer(state: Mapping[str, Any], _: Mapping[str, Any]) -> Any:
        return nn.cross_entropy(outputs(state, x[validation]), y[validation])

    update = hypergrad.sgd(inner)

    def evaluate(config: Config, slopes: bool) -> dict[str, float]:
        hyper = {**config, "momentum": 0.9}
        if slopes:
            found = hypergrad.reverse(update, outer, start, hyper, steps=STEPS)
            return hypergrad.as_metrics(found.loss, {name: found.gradient[name] for name in config})
        return {"loss": float(outer(trained(config), hyper))}

    def trained(config: Config) -> dict[str, Any]:
        state = {name: value.clone().requires_grad_() for name, value in start.items()}
        optimizer = torch.optim.SGD(
            state.values(), config["learning_rate"], 0.9, weight_decay=config["weight_decay"]
        )
        for step in range(STEPS):
            optimizer.zero_grad()
            inner(state, config, step).backward()
            optimizer.step()
        return {name: value.detach() for name, value in state.items()}

    def held_out(config: Config) -> float:
        wrong = outputs(trained(config), x[test]).argmax(1) != y[test]
        return float(wrong.float().mean())

    plain = {"learning_rate": 0.1, "weight_decay": 1e-4, "shift": 0.0}
    return Problem(space, evaluate, held_out, {"0.1, 1e-4, no shift": held_out(plain)})


CORRUPTED = 0.4


def cleaning(seed: int) -> Problem:
    """Softmax regression on 200 digits of which 40 % have random labels; a weight for each of them. The
    cross-entropy of 400 clean ones, by implicit differentiation (Franceschi et al. 2017, section 5.1)."""
    import torch
    from torch.nn import functional as nn

    x, y = digits()
    train, validation, test = split(seed, len(y), 200, 400)
    rng = np.random.default_rng(seed)
    wrong = torch.as_tensor(rng.random(len(train)) < CORRUPTED)
    labels = torch.where(wrong, torch.as_tensor(rng.integers(0, 10, len(train))), y[train])
    names = [f"w{k}" for k in range(len(train))]
    space = ts.Space({name: ts.Float(0.0, 1.0) for name in names})

    def outputs(state: Mapping[str, Any], images: Any) -> Any:
        return images @ state["a"] + state["b"]

    def inner(state: Mapping[str, Any], hyper: Mapping[str, Any]) -> Any:
        losses = nn.cross_entropy(outputs(state, x[train]), labels, reduction="none")
        return (hyper["weights"] * losses).mean() + 1e-3 * sum((v**2).sum() for v in state.values())

    def outer(state: Mapping[str, Any], _: Mapping[str, Any]) -> Any:
        return nn.cross_entropy(outputs(state, x[validation]), y[validation])

    def trained(weights: Any) -> dict[str, Any]:
        state = {
            "a": torch.zeros(64, 10, dtype=x.dtype, requires_grad=True),
            "b": torch.zeros(10, dtype=x.dtype, requires_grad=True),
        }
        optimizer = torch.optim.LBFGS(
            state.values(), max_iter=300, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
        )

        def closure() -> Any:
            optimizer.zero_grad()
            loss = inner(state, {"weights": weights})
            loss.backward()
            return loss

        optimizer.step(closure)
        return {name: value.detach() for name, value in state.items()}

    def evaluate(config: Config, slopes: bool) -> dict[str, float]:
        weights = torch.tensor([config[name] for name in names], dtype=x.dtype)
        state = trained(weights)
        if not slopes:
            return {"loss": float(outer(state, {}))}
        found = hypergrad.implicit(inner, outer, state, {"weights": weights}, terms=30)
        return hypergrad.as_metrics(
            found.loss, dict(zip(names, found.gradient["weights"].tolist(), strict=True))
        )

    def error(weights: Any) -> float:
        return float((outputs(trained(weights), x[test]).argmax(1) != y[test]).float().mean())

    def held_out(config: Config) -> float:
        return error(torch.tensor([config[name] for name in names], dtype=x.dtype))

    clean = (labels == y[train]).double()
    return Problem(
        space,
        evaluate,
        held_out,
        {
            "every weight 1": error(torch.ones(len(train), dtype=x.dtype)),
            "0 for the wrong ones": error(clean),
        },
    )


#: Each with the CPU seconds that a searcher gets.
PROBLEMS: dict[str, tuple[Callable[[int], Problem], float]] = {
    "penalties": (penalties, 8.0),
    "network": (network, 12.0),
    "cleaning": (cleaning, 16.0),
}
