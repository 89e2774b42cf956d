"""PyTorch's optimizers as a conditional space."""

from __future__ import annotations

from typing import Any

from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.prior import Normal
from tunesmith.core.space.space import Space
from tunesmith.spaces.compose import overridden

#: Learning rates that are good for most networks: (low, high, where to begin, factor of spread).
_RATES = {
    "sgd": (1e-4, 1.0, 0.05, 5.0),
    "adam": (1e-5, 3e-2, 1e-3, 4.0),
    "adamw": (1e-5, 3e-2, 1e-3, 4.0),
    "rmsprop": (1e-5, 3e-2, 1e-3, 4.0),
    "adadelta": (1e-2, 3.0, 1.0, 3.0),
    "adagrad": (1e-4, 0.5, 1e-2, 4.0),
}


def torch_optimizer(**overrides: Any) -> Space:
    """Which of PyTorch's optimizers, its values, and the batch size.

    `integrations.torch.optimizer` makes it. Good learning rates differ by orders of magnitude
    between optimizers, so each has one of its own (``sgd.learning_rate``), with a prior around what
    most papers use. A keyword replaces a parameter, None takes it away.

    Sources: the defaults of PyTorch; Adam's 1e-3 (Kingma & Ba 2015), Adadelta's 1.0 (Zeiler 2012);
    momentum near 0.9 and its Nesterov form (Sutskever et al. 2013); weight decay decoupled in AdamW,
    around 1e-2 (Loshchilov & Hutter 2019), an L2 penalty near 1e-4 elsewhere; batch sizes of 16 to
    256 (Masters & Luschi 2018).
    """
    spec: dict[str, Any] = {
        "optimizer": Choice(*_RATES, default="adam", group="optimizer"),
        "batch_size": Int(16, 256, log=True, default=64, group="optimizer"),
    }
    for name, (low, high, begin, factor) in _RATES.items():
        mine = {"optimizer": name}
        spec[f"{name}.learning_rate"] = Float(
            low, high, log=True, prior=Normal(begin, factor), group="optimizer", when=mine
        )
    spec["sgd.momentum"] = Float(
        0.0, 0.99, default=0.9, group="optimizer", when={"optimizer": "sgd"}
    )
    spec["sgd.nesterov"] = Choice(
        True, False, default=True, group="optimizer", when="optimizer == 'sgd' and sgd.momentum > 0"
    )
    spec["rmsprop.momentum"] = Float(
        0.0, 0.95, default=0.0, group="optimizer", when={"optimizer": "rmsprop"}
    )
    decoupled = {"optimizer": "adamw"}
    others = {"optimizer": [name for name in _RATES if name != "adamw"]}
    spec["adamw.weight_decay"] = Float(
        1e-5, 0.3, log=True, default=1e-2, group="optimizer", when=decoupled
    )
    spec["weight_decay"] = Float(1e-7, 1e-2, log=True, default=1e-5, group="optimizer", when=others)
    return overridden(Space(spec), overrides)
