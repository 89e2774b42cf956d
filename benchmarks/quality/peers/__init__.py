"""The tuners that are compared, each behind the same three verbs.

A tuner is made for one space, one seed and a number of trials. Every adapter says in its docstring
how conditions and relations are given to its tuner. Where a tuner has no way to be told a relation,
a suggestion that breaks one is told to it as failed, at no cost of a trial, and it is asked again;
after `REJECTIONS` such suggestions in a row a random config takes the place of the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from knobs import Config, Knobs

#: How often a tuner may break a relation before a random config is run instead.
REJECTIONS = 10


class Tuner(Protocol):
    """What every adapter does. Objectives are minimised, one trial at a time."""

    def ask(self) -> Config:
        """The config to run next."""
        ...

    def tell(self, config: Config, value: float, failed: bool) -> None:
        """How the config asked for last ended; `value` is NaN if it failed."""
        ...

    def recommend(self) -> Config | None:
        """The config that the tuner thinks best, by its own means."""
        ...


@dataclass(frozen=True)
class Peer:
    """How to make a tuner: its environment, its adapter (``module:Class``) and options.

    `cpu_s` is a rough price of 100 trials, start included, to run cheap tuners first.
    """

    environment: str
    adapter: str
    cpu_s: float
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, space: Mapping[str, Any], seed: int, trials: int) -> Tuner:
        """A fresh tuner. `space` is the dict form of a tunesmith space."""
        module, _, name = self.adapter.partition(":")
        factory = getattr(import_module(module), name)
        given = space if module == "peers.ours" else Knobs(space)
        tuner: Tuner = factory(given, seed=seed, trials=trials, **self.options)
        return tuner


PEERS: dict[str, Peer] = {
    "optuna-tpe": Peer("optuna", "peers.optuna:Optuna", 2, {"sampler": "tpe"}),
    "nevergrad": Peer("nevergrad", "peers.nevergrad:Nevergrad", 5),
    "hyperopt": Peer("hyperopt", "peers.hyperopt:Hyperopt", 4),
    "smac": Peer("smac", "peers.smac:Smac", 8),
    "optuna-auto": Peer("optuna", "peers.optuna:Optuna", 30, {"sampler": "auto"}),
    "optuna-gp": Peer("optuna", "peers.optuna:Optuna", 50, {"sampler": "gp"}),
    "skopt": Peer("skopt", "peers.skopt:Skopt", 60),
    "botorch": Peer("botorch", "peers.botorch:Botorch", 60),
    "ax": Peer("ax", "peers.ax:Ax", 250),
    "hebo": Peer("hebo", "peers.hebo:Hebo", 340),
}


def peer(name: str) -> Peer:
    """The tuner of this name; any other name is a searcher of tunesmith."""
    return PEERS.get(name) or Peer("", "peers.ours:Ours", 1, {"searcher": name})


class Seen:
    """What a tuner has been told, for those who don't keep it themselves."""

    def __init__(self) -> None:
        self.best: Config | None = None
        self.best_value = math.inf
        self.worst_value = -math.inf

    def note(self, config: Config, value: float, failed: bool) -> None:
        if failed:
            return
        self.worst_value = max(self.worst_value, value)
        if value < self.best_value:
            self.best, self.best_value = config, value

    @property
    def penalty(self) -> float:
        """What a failure counts as for a tuner that knows numbers only: the worst value so far."""
        return self.worst_value if math.isfinite(self.worst_value) else 1e3
