"""Written here on numpy: a network with its optimizers, convolutions, and factors of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from problems import Config
from problems.trained import data
from problems.trained.classifiers import Case
from problems.trained.data import Floats
from problems.trained.scores import log_loss
from tunesmith import Choice, Float, Int, Space

#: Steps of the network's training.
STEPS = 100

_ACTIVATIONS: dict[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "relu": (lambda a: np.maximum(a, 0), lambda h: (h > 0).astype(float)),
    "tanh": (np.tanh, lambda h: 1 - h * h),
    "sigmoid": (lambda a: 1 / (1 + np.exp(-np.clip(a, -30, 30))), lambda h: h * (1 - h)),
}


def network() -> Case:
    space = Space(
        pixels=Choice("as they are", "unit", "binary"),
        cut=Int(1, 14, when={"pixels": "binary"}),
        width=Int(4, 64, log=True),
        activation=Choice(*_ACTIVATIONS),
        start=Float(0.05, 5, log=True),
        dropout=Float(0.0, 0.7),
        optimizer=Choice("sgd", "adam", "rmsprop", "adadelta"),
        learning_rate=Float(1e-4, 3, log=True),
        momentum=Float(0.0, 0.99, when={"optimizer": "sgd"}),
        memory=Float(
            0.5, 0.999, log="reverse", when={"optimizer": ["adam", "rmsprop", "adadelta"]}
        ),
        schedule=Choice("constant", "cosine", "steps"),
        falls=Int(1, 5, when={"schedule": "steps"}),
        batch=Choice(8, 16, 32, 64, ordered=True),
        decay=Float(1e-6, 1e-1, log=True),
        softness=Float(0.0, 0.3),
    )

    def true(c: Config) -> float:
        x, y = data.shipped("digits", 420)
        if c["pixels"] == "binary":
            x = (x >= c["cut"]).astype(float)
        elif c["pixels"] == "unit":
            x = x / 16
        with np.errstate(all="ignore"):
            losses = [_trained(c, x[:280], y[:280], x[280:], y[280:], seed) for seed in (0, 1)]
        return float(np.mean(losses))

    return "network/digits", space, true


def _trained(c: Config, x: Floats, y: Floats, x_test: Floats, y_test: Floats, seed: int) -> float:
    """The log loss on the test rows; a training that diverges ends at the log of many."""
    rng = default_rng(seed)
    act, slope = _ACTIVATIONS[c["activation"]]
    weights = [
        rng.normal(0, c["start"] / math.sqrt(x.shape[1]), (x.shape[1], c["width"])), np.zeros(c["width"]),
        rng.normal(0, c["start"] / math.sqrt(c["width"]), (c["width"], 10)), np.zeros(10),
    ]  # fmt: skip
    first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
    goals = np.eye(10)[y] * (1 - c["softness"]) + c["softness"] / 10
    keep, memory, kind = 1 - c["dropout"], c.get("memory", 0.0), c["optimizer"]
    for step in range(STEPS):
        rows = rng.integers(len(x), size=(c["batch"],))
        hidden = act(x[rows] @ weights[0] + weights[1])
        mask = (rng.random(hidden.shape) < keep) / keep
        shown = hidden * mask
        scores = shown @ weights[2] + weights[3]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = (scores / scores.sum(axis=1, keepdims=True) - goals[rows]) / len(rows)
        back = (error @ weights[2].T) * mask * slope(hidden)
        gradients = [x[rows].T @ back, back.sum(axis=0), shown.T @ error, error.sum(axis=0)]
        rate = c["learning_rate"]
        if c["schedule"] == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * step / STEPS))
        elif c["schedule"] == "steps":
            rate *= 0.3 ** (step * (c["falls"] + 1) // STEPS)
        for k, g in enumerate(gradients):
            if k % 2 == 0:
                g = g + c["decay"] * weights[k]
            if kind == "sgd":
                first[k] = c["momentum"] * first[k] + g
                move = rate * first[k]
            else:
                second[k] = memory * second[k] + (1 - memory) * g * g
                if kind == "rmsprop":
                    move = rate * g / (np.sqrt(second[k]) + 1e-8)
                elif kind == "adam":
                    first[k] = 0.9 * first[k] + 0.1 * g
                    unbiased = second[k] / (1 - memory ** (step + 1))
                    move = rate * first[k] / (1 - 0.9 ** (step + 1)) / (np.sqrt(unbiased) + 1e-8)
                else:
                    move = g * np.sqrt(first[k] + 1e-4) / np.sqrt(second[k] + 1e-4)
                    first[k] = memory * first[k] + (1 - memory) * move * move
                    move = rate * move
            weights[k] = weights[k] - move
    hidden = act(x_test @ weights[0] + weights[1])
    scores = hidden @ weights[2] + weights[3]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = np.nan_to_num(scores / scores.sum(axis=1, keepdims=True))
    return log_loss(probabilities, y_test)


def convolutions() -> Case:
    """Random filters over the digits, pooled, and a ridge regression of the classes on them."""
    space = Space(
        binary=Choice(True, False),
        kernel=Int(1, 7),
        stride=Int(1, 3),
        padding=Int(0, 3),
        filters=Choice(4, 8, 16, 32, ordered=True),
        spread=Float(0.02, 1.0, log=True),
        bias=Float(-1.5, 1.5),
        pooling=Choice("max", "average", "none"),
        ridge=Float(1e-3, 1e4, log=True),
    ).require("padding <= kernel")

    def true(c: Config) -> float:
        x, y = data.shipped("digits", 420)
        rng = default_rng(3)
        images = (x > 7).astype(float) if c["binary"] else x / 16
        p, k, s = c["padding"], c["kernel"], c["stride"]
        images = np.pad(images.reshape(-1, 8, 8), ((0, 0), (p, p), (p, p)))
        patches = np.lib.stride_tricks.sliding_window_view(images, (k, k), axis=(1, 2))
        patches = patches[:, ::s, ::s]
        filters = rng.normal(0, 1, (49, 32))[: k * k, : c["filters"]] * c["spread"]
        out = patches.reshape(*patches.shape[:3], k * k) @ filters + c["bias"] * c["spread"]
        out = np.maximum(out, 0)
        if c["pooling"] != "none" and out.shape[1] > 1:
            half = out.shape[1] // 2 * 2
            out = out[:, :half, :half]
            blocks = out.reshape(len(out), half // 2, 2, half // 2, 2, -1)
            out = blocks.max(axis=(2, 4)) if c["pooling"] == "max" else blocks.mean(axis=(2, 4))
        features = out.reshape(len(out), -1)
        return _ridge_error(features, y, c["ridge"])

    return "convolutions/digits", space, true


def _ridge_error(x: Floats, y: Floats, penalty: float) -> float:
    """In two halves, each predicted by the other."""
    wrong = 0
    for train in (np.arange(len(x)) % 2 == 0, np.arange(len(x)) % 2 == 1):
        mean, scale = x[train].mean(axis=0), x[train].std() + 1e-9
        a, b = (x[train] - mean) / scale, (x[~train] - mean) / scale
        goals = np.eye(10)[y[train]] - 0.1
        kernel = a @ a.T + penalty * np.eye(len(a))
        predicted = (b @ a.T) @ np.linalg.solve(kernel, goals)
        wrong += int((predicted.argmax(axis=1) != y[~train]).sum())
    return wrong / len(x)


def factors() -> Case:
    """Alternating least squares on a table of ratings, with biases."""
    space = Space(
        rank=Int(1, 10),
        bias_penalty=Float(1e-2, 1e2, log=True),
        left_penalty=Float(1e-3, 1e2, log=True),
        right_penalty=Float(1e-3, 1e2, log=True),
        by_count=Float(0.0, 1.0),
        rounds=Int(1, 6),
        shrink=Float(0.3, 1.2),
    )

    def true(c: Config) -> float:
        table, train, known = data.ratings()
        test = known & ~train
        mean = table[train].mean()
        rest = np.where(train, table - mean, 0.0)
        rows, columns = np.zeros((len(table), 1)), np.zeros((1, table.shape[1]))
        for _ in range(3):
            rows = ((rest - columns) * train).sum(1, keepdims=True)
            rows /= train.sum(1, keepdims=True) + c["bias_penalty"]
            columns = ((rest - rows) * train).sum(0, keepdims=True)
            columns /= train.sum(0, keepdims=True) + c["bias_penalty"]
        rest = (rest - rows - columns) * train
        rng = default_rng(0)
        left = np.zeros((len(table), c["rank"]))
        right = rng.normal(0, 0.3, (table.shape[1], c["rank"]))
        for _ in range(c["rounds"]):
            left = _solved(rest, train, right, c["left_penalty"], c["by_count"])
            right = _solved(rest.T, train.T, left, c["right_penalty"], c["by_count"])
        predicted = mean + rows + columns + c["shrink"] * left @ right.T
        return float(np.sqrt(((predicted - table)[test] ** 2).mean()))

    return "factors/ratings", space, true


def _solved(
    table: Floats, known: NDArray[np.bool_], other: Floats, penalty: float, by_count: float
) -> Floats:
    """The factors of all rows, given the columns'."""
    gram = np.einsum("ij,jk,jl->ikl", known.astype(float), other, other, optimize=True)
    weight = penalty * known.sum(axis=1) ** by_count
    gram += weight[:, None, None] * np.eye(other.shape[1])
    solved: Floats = np.linalg.solve(gram, (table @ other)[:, :, None])[:, :, 0]
    return solved


def cases() -> Iterator[Case]:
    for make in (network, convolutions, factors):
        yield make()
