"""Loops of PyTorch's and JAX's: an attempt that is killed, a stop, alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts

EPOCHS = 5


def with_torch(trial: Any, kill_at: int, seen: list[int]) -> float:
    torch = pytest.importorskip("torch")
    from tunesmith.integrations.torch import Loop

    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 0.0)
    loop = Loop(trial, EPOCHS, model=model)
    for epoch in loop:
        if epoch == kill_at and trial.attempt == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        seen.append(epoch)
        with torch.no_grad():
            model.weight += 1.0
        loop.report(loss=model.weight.detach())
    return float(model.weight.detach())


def with_jax(trial: Any, kill_at: int, seen: list[int]) -> float:
    jax = pytest.importorskip("jax", reason="runs in the environment 'libraries' (tools/check)")
    from tunesmith.integrations.jax import Loop

    step = jax.jit(lambda state: {"weight": state["weight"] + 1.0, "count": state["count"] + 1})
    loop = Loop(trial, EPOCHS, state={"weight": jax.numpy.zeros(1), "count": 0})
    for epoch in loop:
        if epoch == kill_at and trial.attempt == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        seen.append(epoch)
        loop.state = step(loop.state)
        loop.report(loss=loop.state["weight"][0])
    return float(loop.state["weight"][0])


@pytest.mark.parametrize("train", [with_torch, with_jax])
def test_an_attempt_that_is_killed_goes_on(train: Any, tmp_path: Path) -> None:
    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> dict[str, float]:
        seen: list[int] = []
        value = train(trial, 3, seen)
        return {"loss": value, "first": seen[0], "attempt": trial.attempt}

    if train is with_jax:
        pytest.importorskip("jax")
    result = ts.tune(
        objective, {"x": 1}, metric="loss", trials=1, isolate=True, progress=False, storage=str(tmp_path / "s.db")
    )  # fmt: skip
    assert result.trials[0].metrics == {"loss": EPOCHS, "first": 3.0, "attempt": 1.0}
    reports = result.ledger.curves.of(0)
    assert [(r.step, r.metrics["loss"]) for r in reports] == [
        (k, float(k)) for k in range(1, EPOCHS + 1)
    ]


def test_each_epoch_reports_what_it_has() -> None:
    from tunesmith.integrations.loop import Loop

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        loop = Loop(trial, 3, dict, lambda state: None)
        for epoch in loop:
            loop.report(
                **[{"train": 1.0, "loss": 1.0}, {"loss": 2.0}, {"loss": 3.0, "accuracy": 0.5}][
                    epoch - 1
                ]
            )
        return 3.0

    result = ts.tune(objective, {"x": 1}, metric="loss", trials=1, progress=False)
    assert [(r.step, dict(r.metrics)) for r in result.ledger.curves.of(0)] == [
        (1, {"train": 1.0, "loss": 1.0}),
        (2, {"loss": 2.0}),
        (3, {"loss": 3.0, "accuracy": 0.5}),
    ]


@pytest.mark.parametrize("train", [with_torch, with_jax])
def test_a_stop_leaves_the_model(train: Any) -> None:
    values = []

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        values.append(train(trial, 0, []))
        return 0.0

    if train is with_jax:
        pytest.importorskip("jax")
    result = ts.tune(
        objective, {"x": 1}, metric="loss", trials=1, progress=False, scheduler={"threshold": {"worst": 1.5}}
    )  # fmt: skip
    assert result.trials[0].state is ts.State.STOPPED
    assert values == [2.0]


@pytest.mark.parametrize("train", [with_torch, with_jax])
def test_alone(train: Any) -> None:
    assert train(None, 0, []) == EPOCHS


def test_another_models_state_is_refused(tmp_path: Path) -> None:
    jax = pytest.importorskip("jax", reason="runs in the environment 'libraries' (tools/check)")
    from tunesmith.integrations.jax import Loop

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        loop = Loop(trial, 1, state=[jax.numpy.zeros(1)])
        for _ in loop:
            loop.report(loss=1.0)
        with pytest.raises(ValueError, match="another model's"):
            Loop(trial, 2, state=[jax.numpy.zeros(1)] * 2)
        return 1.0

    result = ts.tune(objective, {"x": 1}, metric="loss", trials=1, progress=False)
    assert result.trials[0].state is ts.State.COMPLETED
