"""Through the training: reverse and forward mode over the steps, and an update to begin with."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tunesmith.core.errors import ConfigError
from tunesmith.training.hypergrad.tensors import (
    Hypergradient,
    Named,
    Tensors,
    check_loss,
    check_state,
    gathered,
    load_torch,
    take_hyper,
    take_state,
)

#: (state, hyper, step) -> the next state; it may add tensors, which come back in the next step.
Update: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any], int], Mapping[str, Any]]
#: (state, hyper) -> a loss.
Loss: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
#: (state, hyper, step) -> the loss on the step's batch.
BatchLoss: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any], int], Any]


def reverse(
    update: Update,
    outer: Loss,
    state: Mapping[str, Any],
    hyper: Mapping[str, Any],
    *,
    steps: int,
    truncate: int | None = None,
) -> Hypergradient:
    """Train by `update` for `steps` steps and differentiate ``outer(state, hyper)`` backwards through the last
    `truncate` of them (through all: None): the cost of some three trainings for any number of hyperparameters.

    Memory grows with the steps that are differentiated. Leaving out the early ones is nearly as good where the
    training forgets where it began (Shaban et al. 2019). ``update(state, hyper, step)`` gives the next state; `sgd`
    makes one. Raises ConfigError, JobError (no PyTorch).
    """
    torch = load_torch()
    began = take_state(torch, state)
    tensors = take_hyper(torch, hyper, began)
    tracked = (
        _steps(steps) if truncate is None else min(_steps(truncate, "truncate"), _steps(steps))
    )
    constant = Named("hyperparameter", tensors)
    now = dict(began)
    for step in range(steps - tracked):
        made = check_state(update(_leaves(now), constant, step), began)
        now = {name: value.detach() for name, value in made.items()}
    leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
    live = Named("hyperparameter", leaves)
    now = _leaves(now)
    with torch.enable_grad():
        for step in range(steps - tracked, steps):
            now = check_state(update(Named("tensor", now), live, step), began)
        seen = {name: now[name] for name in began}
        loss = check_loss(torch, outer(Named("tensor", seen), live), "outer")
        gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    hint = "" if tracked == steps else f" within the last {tracked} of {steps} steps"
    return gathered(loss, dict(zip(leaves, gradients, strict=True)), hyper, seen, hint)


def forward(
    update: Update,
    outer: Loss,
    state: Mapping[str, Any],
    hyper: Mapping[str, Any],
    *,
    steps: int,
) -> Hypergradient:
    """As `reverse`, by carrying derivatives along with the training (Franceschi et al. 2017, algorithm 2): one
    training of twice the cost for each number in `hyper`, and memory that does not grow with the steps.

    The trainings are to be the same: random numbers from PyTorch's generators are, for they begin from the
    same state each time.
    """
    torch = load_torch()
    began = take_state(torch, state)
    tensors = take_hyper(torch, hyper, began)
    _steps(steps)
    with (
        warnings.catch_warnings()
    ):  # PyTorch's first dual tensor loads what PyTorch calls deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        with torch.autograd.forward_ad.dual_level():
            torch.autograd.forward_ad.make_dual(torch.zeros(1), torch.ones(1))
    slopes: dict[str, Any] = {}
    for name, tensor in tensors.items():
        entries = []
        for k in range(tensor.numel()):
            with torch.random.fork_rng(enabled=not _is_last(tensors, name, k)):
                loss, slope, seen = _carried(torch, update, outer, began, tensors, name, k, steps)
            entries.append(slope)
        known = [entry for entry in entries if entry is not None]
        slopes[name] = None
        if known:
            zero = torch.zeros_like(known[0])
            full = [zero if entry is None else entry for entry in entries]
            slopes[name] = torch.stack(full).reshape(tensor.shape)
    return gathered(loss, slopes, hyper, seen, "")


def _carried(
    torch: Any,
    update: Update,
    outer: Loss,
    began: Tensors,
    tensors: Tensors,
    name: str,
    entry: int,
    steps: int,
) -> tuple[Any, Any, Tensors]:
    """The loss, its derivative by one number (None if there is none), and the state, of one training."""
    dual = torch.autograd.forward_ad
    with dual.dual_level(), torch.enable_grad():
        direction = torch.zeros_like(tensors[name]).flatten()
        direction[entry] = 1.0
        moved = dual.make_dual(tensors[name], direction.reshape(tensors[name].shape))
        live = Named("hyperparameter", {**tensors, name: moved})
        now = _leaves(began)
        for step in range(steps):
            made = check_state(update(Named("tensor", now), live, step), began)
            now = {}
            for key, value in made.items():
                parts = dual.unpack_dual(value)
                now[key] = _leaf(parts.primal)
                if parts.tangent is not None:
                    now[key] = dual.make_dual(now[key], parts.tangent.detach())
        seen = {key: now[key] for key in began}
        loss = check_loss(torch, outer(Named("tensor", seen), live), "outer")
        parts = dual.unpack_dual(loss)
        slope = None if parts.tangent is None else parts.tangent.detach()
        plain = {key: dual.unpack_dual(value).primal.detach() for key, value in seen.items()}
        return parts.primal.detach(), slope, plain


def sgd(inner: BatchLoss) -> Update:
    """An update for `reverse` and `forward`: PyTorch's SGD on ``inner(state, hyper, step)``.

    It takes ``learning_rate``, and ``momentum`` and ``weight_decay`` if they are there, from `hyper`; each may be a
    tensor with a number for every step (a schedule).
    """

    def update(state: Mapping[str, Any], hyper: Mapping[str, Any], step: int) -> Mapping[str, Any]:
        torch = load_torch()
        weights = {k: v for k, v in state.items() if not k.startswith(_VELOCITY)}
        loss = check_loss(torch, inner(Named("tensor", weights), hyper, step), "inner")
        slopes = torch.autograd.grad(
            loss, list(weights.values()), create_graph=True, allow_unused=True
        )
        rate, momentum, decay = (
            _at(hyper[name], step) if name in hyper or name == "learning_rate" else None
            for name in ("learning_rate", "momentum", "weight_decay")
        )
        following: Tensors = {}
        for (name, weight), slope in zip(weights.items(), slopes, strict=True):
            if slope is None:
                following[name] = weight
                continue
            if decay is not None:
                slope = slope + decay * weight
            if momentum is not None:
                if (before := state.get(_VELOCITY + name)) is not None:
                    slope = momentum * before + slope
                following[_VELOCITY + name] = slope
            following[name] = weight - rate * slope
        return following

    return update


#: Under which names `sgd` keeps what momentum adds up.
_VELOCITY = "velocity of "


def _at(value: Any, step: int) -> Any:
    return value[step] if value.ndim == 1 else value


def _leaf(value: Any) -> Any:
    value = value.detach()
    return value.requires_grad_() if value.is_floating_point() else value


def _leaves(state: Tensors) -> Tensors:
    """Tensors that an inner loss may be differentiated by, without a past."""
    return Named("tensor", {name: _leaf(value) for name, value in state.items()})


def _is_last(tensors: Tensors, name: str, entry: int) -> bool:
    return name == list(tensors)[-1] and entry == tensors[name].numel() - 1


def _steps(steps: int, name: str = "steps") -> int:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ConfigError(f"{name} is a whole number from 1, not {steps!r}")
    return steps
