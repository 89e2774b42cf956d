"""The search space of the recipe: what may differ between networks for images of a given size.

Three groups: `model` (the layers), `optimizer` (how its weights are found) and `data` (what is done with the
images before it sees them). Relations keep out networks that cannot be built, or only in name: where a filter
or a pool is larger than what strides and pools before it have left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from tunesmith import spaces
from tunesmith.core.space.parameter import Choice, Fixed, Float, Int, Parameter
from tunesmith.core.space.space import Space

#: Stages of convolutions and pooling, at most.
DEEPEST: Final = 5
#: Of the learning rate; the last one has a rise of its own instead of a warm-up.
SCHEDULES: Final = ("cosine", "exponential", "step", "constant", "one_cycle")
#: The last stage has some 9 MB of weights at most in each convolution: wider ones cost much and bring little here.
WIDEST: Final = "filters * widening ** (depth - 1) * filter_size <= 1536"
#: Shorter sides that larger images are shrunk to.
SIDES: Final = (24, 32, 48, 64, 96, 128)


def space(side: int, epochs: int, precisions: Sequence[str] = ("float32",)) -> Space:
    """The space for images whose shorter side has `side` pixels, trained for `epochs`, on a device that has these
    `precisions`, the usual one first."""
    mixed = Choice(*precisions, default=precisions[0], group="optimizer")
    whole = spaces.joined(
        Space(_model(side)),
        spaces.torch_optimizer(),
        _schedule(),
        Space(_data(side)),
        epochs=Fixed(epochs, group="optimizer"),
        **({"precision": mixed} if len(precisions) > 1 else {}),
    )
    for relation in (*relations(_deepest(side)), WIDEST):
        whole.require(relation)
    return whole


def _schedule() -> Space:
    """Some of the known schedules: each has a shape of its own, and follows from the step alone."""
    every = spaces.lr_schedule()
    others = {
        name: None
        for name in every.parameters
        if "." in name and name.partition(".")[0] not in SCHEDULES
    }
    warmup = Float(0.0, 0.2, default=0.05, group="optimizer", when={"schedule": [*SCHEDULES[:-1]]})
    which = Choice(*SCHEDULES, default="cosine", group="optimizer")
    return spaces.lr_schedule(schedule=which, warmup=warmup, **others)


def _model(side: int) -> dict[str, Parameter]:
    filters = (3, 5) if side < 12 else (3, 5, 7)
    return {
        "depth": Int(1, _deepest(side), default=min(2, _deepest(side)), group="model"),
        "convolutions": Int(1, 2, default=2, group="model"),
        "filters": Int(8, 64, log=True, default=32, group="model"),
        "widening": Choice(1.0, 1.5, 2.0, ordered=True, default=2.0, group="model"),
        "filter_size": Choice(*filters, ordered=True, default=3, group="model"),
        "stride": Choice(1, 2, ordered=True, default=1, prior=[3, 1], group="model"),
        "padding": Choice("same", "none", default="same", group="model"),
        "pooling": Choice("max", "avg", "none", default="max", group="model"),
        "pool_size": Choice(
            2,
            3,
            ordered=True,
            default=2,
            prior=[3, 1],
            group="model",
            when={"pooling": ["max", "avg"]},
        ),
        "activation": Choice("relu", "leaky_relu", "silu", "gelu", "tanh", group="model"),
        "norm": Choice("batch", "layer", "none", prior=[3, 1, 1], group="model"),
        "dropout": Float(0.0, 0.6, default=0.2, group="model"),
        "grid": Choice(1, 2, 4, ordered=True, default=2, group="model"),
    }


def _data(side: int) -> dict[str, Parameter]:
    sides = _sides(side)
    return {
        "resize": Choice(*sides, ordered=True, default=_usual(side, sides), group="data"),
        "crop": Float(0.0, 0.25, default=0.1, group="data"),
        "flip": Choice("none", "horizontal", "both", prior=[2, 1, 1], group="data"),
        "rotation": Float(0.0, 30.0, default=10.0, group="data"),
        "binarize": Choice(False, True, prior=[4, 1], group="data"),
        "threshold": Float(0.1, 0.9, default=0.5, group="data", when={"binarize": True}),
        "scaling": Choice("all", "each", "none", group="data"),
        "mixup": Float(0.0, 0.4, default=0.0, group="data"),
    }


def _deepest(side: int) -> int:
    """How often the larger of the sides can be halved before 2 pixels are left; 5 times at most."""
    return max(1, min(DEEPEST, int(math.log2(max(_sides(side)))) - 1))


def _sides(side: int) -> tuple[int, ...]:
    """Shorter sides to resize images to: small ones may be enlarged, large ones shrunk."""
    if side <= 16:
        return (side, 3 * side // 2)
    if side <= 40:
        return (3 * side // 4, side)
    return tuple(s for s in SIDES if s <= side)


def _usual(side: int, sides: tuple[int, ...]) -> int:
    return max(s for s in sides if s <= min(side, 48))


def relations(deepest: int) -> list[str]:
    """What must hold so that every convolution and pool fits into what is left of the shorter side.

    Without padding, the last convolution leaves a pixel; with it, half a filter's width, so that each weight
    meets the image. The last pool gets at least its own size. Sides only shrink, and what has come to
    nothing stays there, so that the last stage is all that needs a look.
    """
    unpadded = "(1 + (filter_size - 1) * (padding == 'none'))"
    half = "(filter_size + 1) // 2 * (padding == 'same')"
    plain = pooled = "resize"
    relations: list[str] = []
    for depth in range(1, deepest + 1):
        plain, in_pool = (
            f"(({before} - {unpadded}) // stride + 1 - (convolutions - 1) * ({unpadded} - 1))"
            for before in (plain, pooled)
        )
        relations += [
            f"depth != {depth} or pooling != 'none' or {plain} >= max(1, {half})",
            f"depth != {depth} or {in_pool} >= max(pool_size, {half})",
        ]
        pooled = f"{in_pool} // pool_size"
    return relations
