"""Six conditional problems, each as a program that asks and as the space that somebody would have declared for it.

A loss is 0 at the optimum, which lies elsewhere for each seed; the branches differ in how good they can be, so that the right
one has to be found first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tunesmith as ts


class Problem(NamedTuple):
    """`loss` asks a trial for its parameters, and knows where the optimum is; `space` declares them."""

    loss: Callable[[ts.LiveTrial, Place], float]
    space: ts.Space


class Place:
    """Where the optimum lies, by name: a place in the unit interval, drawn by the seed of a run."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._at: dict[str, float] = {}

    def __call__(self, name: str) -> float:
        if name not in self._at:
            key = [self._seed, *name.encode()]
            self._at[name] = 0.1 + 0.8 * float(np.random.default_rng(key).random())
        return self._at[name]

    def best_of(self, name: str, n: int) -> int:
        return min(int((self(name) - 0.1) / 0.8 * n), n - 1)


def bowl(
    place: Place, name: str, value: float, low: float, high: float, *, log: bool = False
) -> float:
    """The squared distance to the optimum, on the parameter's scale."""
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return ((value - low) / (high - low) - place(name)) ** 2


def optimizer(trial: ts.LiveTrial, place: Place) -> float:
    kinds = ("sgd", "adam", "rmsprop")
    kind = trial.choice("optimizer", kinds)
    loss = 0.15 * (kinds.index(kind) != place.best_of("optimizer", 3))
    loss += 4 * bowl(
        place, f"rate-{kind}", trial.float("rate", 1e-5, 1.0, log=True), 1e-5, 1.0, log=True
    )
    if kind == "sgd":
        loss += bowl(place, "momentum", trial.float("momentum", 0.0, 0.99), 0.0, 0.99)
    elif kind == "adam":
        loss += bowl(place, "beta", trial.float("beta", 0.8, 0.999), 0.8, 0.999)
    loss += bowl(place, "decay", trial.float("decay", 1e-6, 1e-1, log=True), 1e-6, 1e-1, log=True)
    return loss


OPTIMIZER = ts.Space(
    optimizer=ts.Choice("sgd", "adam", "rmsprop"),
    rate=ts.Float(1e-5, 1.0, log=True),
    momentum=ts.Float(0.0, 0.99, when={"optimizer": "sgd"}),
    beta=ts.Float(0.8, 0.999, when={"optimizer": "adam"}),
    decay=ts.Float(1e-6, 1e-1, log=True),
)


def layers(trial: ts.LiveTrial, place: Place) -> float:
    n = trial.int("layers", 1, 5)
    loss = 0.1 * abs(n - 1 - place.best_of("layers", 5))
    for i in range(n):
        loss += (
            bowl(place, f"units{i}", trial.int(f"units{i}", 8, 512, log=True), 8, 512, log=True) / n
        )
    return loss + 2 * bowl(
        place, "rate", trial.float("rate", 1e-5, 1e-1, log=True), 1e-5, 1e-1, log=True
    )


_UNITS: dict[str, Any] = {
    f"units{i}": ts.Int(8, 512, log=True, when=f"layers > {i}" if i else None) for i in range(5)
}
LAYERS = ts.Space({"layers": ts.Int(1, 5), **_UNITS, "rate": ts.Float(1e-5, 1e-1, log=True)})


def models(trial: ts.LiveTrial, place: Place) -> float:
    kinds = ("svm", "forest", "net")
    kind = trial.choice("model", kinds)
    loss = 0.2 * (kinds.index(kind) != place.best_of("model", 3))
    if kind == "svm":
        loss += 2 * bowl(place, "c", trial.float("c", 1e-3, 1e3, log=True), 1e-3, 1e3, log=True)
        loss += 2 * bowl(
            place, "gamma", trial.float("gamma", 1e-4, 1e1, log=True), 1e-4, 1e1, log=True
        )
    elif kind == "forest":
        loss += 2 * bowl(place, "depth", trial.int("depth", 2, 32), 2, 32)
        loss += 2 * bowl(place, "share", trial.float("share", 0.1, 1.0), 0.1, 1.0)
    else:
        loss += bowl(place, "rate", trial.float("rate", 1e-5, 1e-1, log=True), 1e-5, 1e-1, log=True)
        loss += bowl(place, "units", trial.int("units", 8, 512, log=True), 8, 512, log=True)
        loss += bowl(place, "dropout", trial.float("dropout", 0.0, 0.7), 0.0, 0.7)
    return loss


MODELS = ts.Space(
    model=ts.Choice("svm", "forest", "net"),
    c=ts.Float(1e-3, 1e3, log=True, when={"model": "svm"}),
    gamma=ts.Float(1e-4, 1e1, log=True, when={"model": "svm"}),
    depth=ts.Int(2, 32, when={"model": "forest"}),
    share=ts.Float(0.1, 1.0, when={"model": "forest"}),
    rate=ts.Float(1e-5, 1e-1, log=True, when={"model": "net"}),
    units=ts.Int(8, 512, log=True, when={"model": "net"}),
    dropout=ts.Float(0.0, 0.7, when={"model": "net"}),
)


def nested(trial: ts.LiveTrial, place: Place) -> float:
    booster = trial.choice("booster", "gbtree", "dart", "gblinear")
    loss = 0.1 * (("gbtree", "dart", "gblinear").index(booster) != place.best_of("booster", 3))
    loss += 2 * bowl(place, "l2", trial.float("l2", 1e-6, 1e1, log=True), 1e-6, 1e1, log=True)
    if booster != "gblinear":
        loss += bowl(place, "depth", trial.int("depth", 1, 12), 1, 12)
        policy = trial.choice("policy", "depthwise", "lossguide")
        loss += 0.1 * (("depthwise", "lossguide").index(policy) != place.best_of("policy", 2))
        if policy == "lossguide":
            loss += bowl(place, "leaves", trial.int("leaves", 4, 256, log=True), 4, 256, log=True)
    if booster == "dart":
        loss += bowl(place, "drop", trial.float("drop", 0.0, 0.8), 0.0, 0.8)
    return loss


NESTED = ts.Space(
    booster=ts.Choice("gbtree", "dart", "gblinear"),
    l2=ts.Float(1e-6, 1e1, log=True),
    depth=ts.Int(1, 12, when={"booster": ["gbtree", "dart"]}),
    policy=ts.Choice("depthwise", "lossguide", when={"booster": ["gbtree", "dart"]}),
    leaves=ts.Int(4, 256, log=True, when={"policy": "lossguide"}),
    drop=ts.Float(0.0, 0.8, when={"booster": "dart"}),
)


def switches(trial: ts.LiveTrial, place: Place) -> float:
    loss = 0.0
    for name in ("augment", "warmup", "smooth"):
        on = trial.choice(name, False, True)
        loss += 0.1 * (on != bool(place.best_of(name, 2)))
        if on:
            loss += bowl(place, f"{name}_by", trial.float(f"{name}_by", 0.0, 1.0), 0.0, 1.0)
    loss += 3 * bowl(place, "rate", trial.float("rate", 1e-5, 1e-1, log=True), 1e-5, 1e-1, log=True)
    return loss + bowl(place, "batch", trial.int("batch", 8, 512, log=True), 8, 512, log=True)


SWITCHES = ts.Space(
    augment=ts.Choice(False, True),
    augment_by=ts.Float(0.0, 1.0, when={"augment": True}),
    warmup=ts.Choice(False, True),
    warmup_by=ts.Float(0.0, 1.0, when={"warmup": True}),
    smooth=ts.Choice(False, True),
    smooth_by=ts.Float(0.0, 1.0, when={"smooth": True}),
    rate=ts.Float(1e-5, 1e-1, log=True),
    batch=ts.Int(8, 512, log=True),
)


def blocks(trial: ts.LiveTrial, place: Place) -> float:
    n = trial.int("blocks", 1, 3)
    loss = 0.15 * abs(n - 1 - place.best_of("blocks", 3))
    for i in range(n):
        kind = trial.choice(f"kind{i}", "conv", "pool")
        loss += 0.1 * (("conv", "pool").index(kind) != place.best_of(f"kind{i}", 2))
        if kind == "conv":
            loss += bowl(
                place, f"width{i}", trial.int(f"width{i}", 4, 128, log=True), 4, 128, log=True
            )
    return loss + 2 * bowl(
        place, "rate", trial.float("rate", 1e-5, 1e-1, log=True), 1e-5, 1e-1, log=True
    )


_BLOCKS: dict[str, Any] = {"blocks": ts.Int(1, 3)}
for _i in range(3):
    _BLOCKS[f"kind{_i}"] = ts.Choice("conv", "pool", when=f"blocks > {_i}" if _i else None)
    _BLOCKS[f"width{_i}"] = ts.Int(4, 128, log=True, when={f"kind{_i}": "conv"})
BLOCKS = ts.Space(_BLOCKS, rate=ts.Float(1e-5, 1e-1, log=True))

PROBLEMS = {
    "optimizer": Problem(optimizer, OPTIMIZER),
    "layers": Problem(layers, LAYERS),
    "models": Problem(models, MODELS),
    "nested": Problem(nested, NESTED),
    "switches": Problem(switches, SWITCHES),
    "blocks": Problem(blocks, BLOCKS),
}
