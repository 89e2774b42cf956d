"""At the end of a training, whatever way it went: implicit differentiation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from tunesmith.core.errors import ConfigError, did_you_mean
from tunesmith.training.hypergrad.tensors import (
    Hypergradient,
    Named,
    check_loss,
    gathered,
    load_torch,
    take_hyper,
    take_state,
)
from tunesmith.training.hypergrad.through import Loss

#: Conjugate gradients end when the residual has shrunk to this share.
_EXACT: Final = 1e-6
#: Power iterations that find the Hessian's largest eigenvalue, and the margin on it.
_POWERS: Final = 12
_MARGIN: Final = 1.25


def implicit(
    inner: Loss,
    outer: Loss,
    state: Mapping[str, Any],
    hyper: Mapping[str, Any],
    *,
    solver: Literal["cg", "neumann"] = "cg",
    terms: int = 50,
    damping: float = 0.0,
    scale: float | None = None,
) -> Hypergradient:
    """Differentiate ``outer(state, hyper)`` where `state` minimises ``inner(state, hyper)``; how it was trained
    does not matter, how well it does.

    By the implicit function theorem the gradient is d outer/d hyper - v' d^2 inner/(d state d hyper), with
    (H + damping I) v = d outer/d state and H the Hessian of the inner loss. ``cg`` solves for v by at most `terms`
    conjugate gradients (Pedregosa 2016; Rajeswaran et al. 2019); ``neumann`` sums `terms` of scale sum_k (I - scale
    H)^k (Lorraine et al. 2020, algorithm 3), with `scale` below 1/largest eigenvalue (found if not given): short sums
    lean to the outer loss's own direction, and stand a Hessian that is not positive. Each term costs two backward
    passes. Raises ConfigError, JobError (no PyTorch).
    """
    torch = load_torch()
    if solver not in ("cg", "neumann"):
        raise ConfigError(
            f"solver is 'cg' or 'neumann', not {solver!r}{did_you_mean(str(solver), ('cg', 'neumann'))}"
        )
    if terms < 1 or damping < 0.0 or (scale is not None and scale <= 0.0):
        raise ConfigError("terms is at least 1, damping at least 0, and scale above 0")
    began = take_state(torch, state)
    tensors = take_hyper(torch, hyper, began)
    weights = {name: value.clone().requires_grad_() for name, value in began.items()}
    leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
    at = Named("tensor", weights), Named("hyperparameter", leaves)
    ws, hs = list(weights.values()), list(leaves.values())
    with torch.enable_grad():
        loss = check_loss(torch, outer(*at), "outer")
        gradients = torch.autograd.grad(loss, [*ws, *hs], allow_unused=True)
        b = [_or_zero(torch, g, w) for g, w in zip(gradients, ws, strict=False)]
        direct = gradients[len(ws) :]
        slopes = torch.autograd.grad(
            check_loss(torch, inner(*at), "inner"), ws, create_graph=True, allow_unused=True
        )
        slopes = [_or_zero(torch, g, w) for g, w in zip(slopes, ws, strict=True)]
        bent = [g for g in slopes if g.requires_grad]

        def times(v: Sequence[Any]) -> list[Any]:
            """(H + damping I) v."""
            made = torch.autograd.grad(
                bent,
                ws,
                [part for g, part in zip(slopes, v, strict=True) if g.requires_grad],
                retain_graph=True,
                allow_unused=True,
            )
            return [
                damping * part if h is None else h + damping * part
                for h, part in zip(made, v, strict=True)
            ]

        if not bent:
            raise ConfigError("inner: the loss is linear in the weights; it has no minimum there")
        v = _conjugate(times, b, terms) if solver == "cg" else _neumann(times, b, terms, scale)
        mixed = torch.autograd.grad(
            bent,
            hs,
            [-part for g, part in zip(slopes, v, strict=True) if g.requires_grad],
            allow_unused=True,
        )
    gradient = {
        name: m if d is None else d if m is None else m + d
        for name, m, d in zip(leaves, mixed, direct, strict=True)
    }
    return gathered(loss, gradient, hyper, weights, "")


def _conjugate(
    times: Callable[[Sequence[Any]], list[Any]], b: Sequence[Any], terms: int
) -> list[Any]:
    """Hestenes & Stiefel 1952, from 0."""
    x = [part * 0.0 for part in b]
    r = list(b)
    p = list(r)
    rr = begin = _dot(r, r)
    for _ in range(terms):
        if rr <= _EXACT**2 * begin:
            break
        hp = times(p)
        curvature = _dot(p, hp)
        if not curvature > 0.0:
            raise ConfigError(
                "the inner loss is not convex where the weights are, so conjugate gradients have no answer: "
                "train longer, give damping= (1e-3, say), or take solver='neumann'"
            )
        alpha = rr / curvature
        x = [xk + alpha * pk for xk, pk in zip(x, p, strict=True)]
        r = [rk - alpha * hk for rk, hk in zip(r, hp, strict=True)]
        before, rr = rr, _dot(r, r)
        p = [rk + rr / before * pk for rk, pk in zip(r, p, strict=True)]
    return x


def _neumann(
    times: Callable[[Sequence[Any]], list[Any]],
    b: Sequence[Any],
    terms: int,
    scale: float | None,
) -> list[Any]:
    if scale is None:
        p = list(b)
        largest = 0.0
        for _ in range(_POWERS):
            norm = _dot(p, p) ** 0.5
            if norm == 0.0:
                break
            p = times([part / norm for part in p])
            largest = _dot(p, p) ** 0.5
        scale = 1.0 / (_MARGIN * largest) if largest > 0.0 else 1.0
    term, total = list(b), list(b)
    for _ in range(terms - 1):
        term = [t - scale * h for t, h in zip(term, times(term), strict=True)]
        total = [s + t for s, t in zip(total, term, strict=True)]
    if not all(part.isfinite().all() for part in total):
        raise ConfigError(
            f"the Neumann series does not converge with scale={scale:.3g}; take a smaller one, below 1 over "
            "the largest eigenvalue of the inner loss's Hessian"
        )
    return [scale * part for part in total]


def _dot(a: Sequence[Any], b: Sequence[Any]) -> float:
    return float(sum((x * y).sum() for x, y in zip(a, b, strict=True)))


def _or_zero(torch: Any, value: Any, like: Any) -> Any:
    return torch.zeros_like(like) if value is None else value
