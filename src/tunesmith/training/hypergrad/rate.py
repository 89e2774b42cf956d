"""A learning rate that descends its own gradient while the training runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, Literal

from tunesmith.core.errors import ConfigError
from tunesmith.training.hypergrad.tensors import load_torch

#: What the learning rate never falls below: at 0 it would have no gradient any more.
_LEAST: Final = 1e-12
_RULES: Final = ("multiplicative", "additive")


class HypergradientDescent:
    """A PyTorch optimizer whose learning rate is trained along (Baydin et al. 2018).

        optimizer = HypergradientDescent(torch.optim.Adam(model.parameters(), lr=1e-3))

    Before each step, a group's learning rate a moves against d loss/d a = g_t . d theta_t/d a, where theta_t
    has come by the step before, which any optimizer makes in proportion to its learning rate (SGD, momentum,
    Nesterov, Adam and its kin do). `rule` "additive": a - beta g_t . u (their algorithms 4 to 6); "multiplicative":
    a (1 - beta cos(g_t, u)), which needs no scale. u is the last step divided by its learning rate.
    A `beta` of 1e-4 to 1e-2 suits the additive rule, 1e-3 to 0.1 the multiplicative one.

    It costs a copy of the weights. It takes the place of a schedule: don't use both.
    """

    def __init__(
        self,
        optimizer: Any,
        beta: float = 0.02,
        rule: Literal["multiplicative", "additive"] = "multiplicative",
    ) -> None:
        if rule not in _RULES:
            raise ConfigError(f"rule is {' or '.join(map(repr, _RULES))}, not {rule!r}")
        if not (math.isfinite(beta) and beta > 0.0):
            raise ConfigError(f"beta is a number above 0, not {beta!r}")
        if rule == "multiplicative" and beta >= 1.0:
            raise ConfigError(f"beta is below 1 for the multiplicative rule, not {beta!r}")
        if not hasattr(optimizer, "param_groups"):
            raise ConfigError(f"optimizer is one of torch.optim, not {type(optimizer).__name__}")
        if type(optimizer).__name__ == "LBFGS":
            raise ConfigError("LBFGS searches along its steps itself; take SGD or Adam, say")
        self.optimizer = optimizer
        self.beta = beta
        self.rule = rule
        #: For each group and weight, the last step divided by its learning rate; None before the first.
        self._moves: list[list[Any]] | None = None

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = self.optimizer.param_groups
        return groups

    @property
    def learning_rates(self) -> list[float]:
        """Each group's learning rate now."""
        return [float(group["lr"]) for group in self.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none=set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the learning rates by the gradients that are there, then the weights.

        A step whose gradients are not finite is not taken: the learning rates are halved instead.
        """
        torch = load_torch()
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            if not all(g.isfinite().all() for p in self._weights() if (g := p.grad) is not None):
                for group in self.param_groups:
                    _set_rate(group, 0.5 * float(group["lr"]))
                return loss
            if self._moves is not None:
                for group, moves in zip(self.param_groups, self._moves, strict=False):
                    _set_rate(group, self._moved(torch, group, moves))
            before = [[p.clone() for p in group["params"]] for group in self.param_groups]
            self.optimizer.step()
            self._moves = [
                [
                    (p - old) / float(group["lr"])
                    for p, old in zip(group["params"], olds, strict=True)
                ]
                for group, olds in zip(self.param_groups, before, strict=True)
            ]
        return loss

    def _moved(self, torch: Any, group: dict[str, Any], moves: list[Any]) -> float:
        """The group's next learning rate."""
        rate = float(group["lr"])
        pairs = [
            (p.grad, u)
            for p, u in zip(group["params"], moves, strict=False)
            if p.grad is not None and u is not None
        ]
        slope = float(sum((g * u).sum() for g, u in pairs))
        if self.rule == "additive":
            return rate - self.beta * slope
        norms = math.sqrt(
            float(sum((g * g).sum() for g, _ in pairs))
            * float(sum((u * u).sum() for _, u in pairs))
        )
        return rate * (1.0 - self.beta * slope / norms) if norms > 0.0 else rate

    def _weights(self) -> list[Any]:
        return [p for group in self.param_groups for p in group["params"]]

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "moves": self._moves}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        moves = state["moves"]
        self._moves = None if moves is None else [[u.clone() for u in group] for group in moves]


def _set_rate(group: dict[str, Any], rate: float) -> None:
    group["lr"] = max(rate, _LEAST) if math.isfinite(rate) else 0.5 * float(group["lr"])
