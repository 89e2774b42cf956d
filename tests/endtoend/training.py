"""A real training: softmax regression by stochastic gradient descent, epoch by epoch, with checkpoints.

Run by tests as a program (``python training.py LEARNING_RATE SEED PAUSE_S``) and as a function.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tunesmith as ts

EPOCHS = 9


def run(
    rate: float,
    seed: int,
    *,
    restore: Callable[[], Any],
    save: Callable[[Any, int], None],
    report: Callable[[int, float], None],
    pause_s: float = 0.0,
) -> float:
    """Train to the end, from the last checkpoint on if there is one; the last loss."""
    given = np.random.default_rng(0)
    inputs = given.normal(size=(200, 4))
    labels = (inputs @ given.normal(size=4) + given.normal(size=200) > 0).astype(float)
    state = restore()
    if state is None:
        rng = np.random.default_rng(seed)
        state = {"epoch": 0, "weights": rng.normal(size=4), "loss": 0.0, "rng": rng}
    rng = state["rng"]
    for epoch in range(state["epoch"] + 1, EPOCHS + 1):
        for i in rng.permutation(200):
            margin = 1 / (1 + np.exp(-inputs[i] @ state["weights"]))
            state["weights"] = state["weights"] - rate * (margin - labels[i]) * inputs[i]
        chances = 1 / (1 + np.exp(-inputs @ state["weights"]))
        state["epoch"] = epoch
        state["loss"] = float(-np.mean(np.log(np.where(labels > 0, chances, 1 - chances) + 1e-12)))
        time.sleep(pause_s)
        save(state, epoch)
        report(epoch, state["loss"])
    return float(state["loss"])


def curve(rate: float, seed: int) -> list[float]:
    """The losses of a training that nobody interrupts."""
    losses: list[float] = []
    run(
        rate,
        seed,
        restore=lambda: None,
        save=lambda *_: None,
        report=lambda _, loss: losses.append(loss),
    )
    return losses


def train(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    """The objective."""
    return run(
        config["rate"],
        trial.seed,
        restore=trial.restore,
        save=lambda state, epoch: trial.save(state, step=epoch),
        report=lambda epoch, loss: trial.report(step=epoch, loss=loss),
        pause_s=config.get("pause_s", 0.0),
    )


if __name__ == "__main__":
    run(
        float(sys.argv[1]),
        int(sys.argv[2]),
        restore=ts.restore,
        save=lambda state, epoch: ts.save(state, step=epoch),
        report=lambda epoch, loss: ts.report(step=epoch, loss=loss),
        pause_s=float(sys.argv[3]),
    )
