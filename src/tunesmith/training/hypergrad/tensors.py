"""Named tensors in and out of the user's functions, and what can be wrong with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from tunesmith.core.errors import ConfigError, JobError, did_you_mean

Tensors: TypeAlias = dict[str, Any]


class Hypergradient(NamedTuple):
    """What a training came to.

    `loss` is the outer loss; `gradient` its derivatives by hyperparameter: numbers where a number was given,
    else tensors of the same shape; `state` the trained tensors, without a graph.
    """

    loss: float
    gradient: dict[str, Any]
    state: Tensors


class Named(dict[str, Any]):
    """A dict that knows what it holds: a wrong name is a clear error inside the user's functions."""

    def __init__(self, kind: str, items: Mapping[str, Any]) -> None:
        super().__init__(items)
        self._kind = kind

    def __missing__(self, name: str) -> Any:
        raise ConfigError(f"there is no {self._kind} {name!r}{did_you_mean(name, self)}")


def load_torch() -> Any:
    """PyTorch. Raises JobError if it is not installed."""
    try:
        import torch
    except ImportError:
        raise JobError(
            "gradients through a training need PyTorch; install it with: pip install 'tunesmith[torch]' "
            "(ridge, kernel_ridge and logistic do without)"
        ) from None
    return torch


def take_state(torch: Any, state: Mapping[str, Any]) -> Tensors:
    """The initial tensors, detached from whatever made them. Raises ConfigError."""
    if not isinstance(state, Mapping) or not state:
        raise ConfigError(
            "state is a mapping from names to tensors, e.g. dict(model.named_parameters()), not "
            f"{type(state).__name__}"
        )
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise ConfigError(f"state: {name!r} is {type(value).__name__}, not a tensor")
        if not value.isfinite().all():
            raise ConfigError(f"state: {name!r} has values that are NaN or infinite")
    return {name: value.detach() for name, value in state.items()}


def take_hyper(torch: Any, hyper: Mapping[str, Any], state: Tensors) -> Tensors:
    """The hyperparameters as tensors of the state's own type and device. Raises ConfigError."""
    like = next((v for v in state.values() if v.is_floating_point()), torch.zeros(()))
    if not isinstance(hyper, Mapping) or not hyper:
        raise ConfigError("hyper is a mapping from names to numbers or tensors, with one or more")
    taken = {}
    for name, value in hyper.items():
        try:
            tensor = torch.as_tensor(
                value, dtype=value.dtype if isinstance(value, torch.Tensor) else like.dtype
            )
            tensor = tensor.detach().to(like.device)
            tensor = tensor if tensor.is_floating_point() else tensor.to(like.dtype)
        except (TypeError, ValueError, RuntimeError):
            raise ConfigError(
                f"hyper: {name!r} is {value!r}; there is a gradient by numbers and tensors only"
            ) from None
        if not tensor.isfinite().all():
            raise ConfigError(f"hyper: {name!r} is {value!r}, which is not finite")
        taken[name] = tensor
    return taken


def check_state(made: Any, tensors: Tensors) -> Tensors:
    """What an update returned, if it is a state. Raises ConfigError."""
    if not isinstance(made, Mapping):
        raise ConfigError(f"update returns the next state, a mapping, not {type(made).__name__}")
    for name, before in tensors.items():
        if name not in made:
            raise ConfigError(f"update: the next state lacks {name!r}{did_you_mean(name, made)}")
        if made[name].shape != before.shape:
            raise ConfigError(
                f"update: {name!r} had the shape {tuple(before.shape)}, and then {tuple(made[name].shape)}"
            )
    return dict(made)


def check_loss(torch: Any, loss: Any, owner: str, *, graph: bool = True) -> Any:
    """`loss` if it is one number (with a graph). Raises ConfigError."""
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        what = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise ConfigError(f"{owner} returns a tensor with one number, not {what}")
    if graph and not loss.requires_grad:
        raise ConfigError(
            f"{owner}: its loss has no graph, so there is nothing to differentiate; compute it from the "
            "weights that it gets, without .item(), .detach(), .data, NumPy or torch.no_grad()"
        )
    if not loss.isfinite().all():
        raise ConfigError(
            f"{owner}: the loss is {loss.item()}: the training diverged; lower the learning rate, or take "
            "fewer steps"
        )
    return loss.reshape(())


def gathered(
    loss: Any, gradient: Mapping[str, Any], hyper: Mapping[str, Any], state: Tensors, hint: str
) -> Hypergradient:
    """The answer, in the user's own types. Raises ConfigError for what did not matter, or is not finite."""
    without = [name for name, value in gradient.items() if value is None]
    if without:
        raise ConfigError(
            f"{_listed(without)} did not influence the outer loss{hint}; use it in the functions that you "
            "give, as the tensor that they get, or leave it out of hyper"
        )
    wild = [name for name, value in gradient.items() if not value.isfinite().all()]
    if wild:
        raise ConfigError(
            f"the derivative by {_listed(wild)} is not finite: the training is at the edge of diverging; "
            "lower the learning rate, or take fewer steps (truncate=)"
        )
    values = {
        name: float(value) if isinstance(hyper[name], (int, float)) else value.detach()
        for name, value in gradient.items()
    }
    return Hypergradient(float(loss.detach()), values, {k: v.detach() for k, v in state.items()})


def as_metrics(
    loss: float,
    gradient: Mapping[str, Any],
    *,
    metric: str = "loss",
    logs_of: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """A loss and its derivatives by parameter, as metrics for a trial to return, report or print.

    ``{"loss": 0.3, "d_loss/d_x": -0.2}``: that is where ``searcher="gradient"`` finds them. With
    ``logs_of=config`` the derivatives are by the logarithms of the config's values. Raises ConfigError.

    >>> as_metrics(0.3, {"penalty": 0.02}, logs_of={"penalty": 0.1})
    {'loss': 0.3, 'd_loss/d_penalty': 0.2}
    """
    from tunesmith.core.history import derivative

    metrics = {metric: float(loss)}
    for name, value in gradient.items():
        try:
            slope = float(value)
        except (TypeError, ValueError, RuntimeError):
            raise ConfigError(
                f"the derivative by {name!r} is no single number; a parameter is one number: give each "
                f"its own name, {{f'{name}_{{k}}': value for k, value in enumerate(...)}}"
            ) from None
        if logs_of is not None:
            if name not in logs_of:
                raise ConfigError(f"logs_of has no {name!r}{did_you_mean(name, logs_of)}")
            if not logs_of[name] > 0.0:
                raise ConfigError(f"logs_of: {name} is {logs_of[name]!r}, which has no logarithm")
            slope /= float(logs_of[name])
        if math.isfinite(slope):
            metrics[derivative(metric, name)] = slope
    return metrics


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
