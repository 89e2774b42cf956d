"""scikit-optimize: its Gaussian process with the default hedge of acquisition functions.

Conditions: it has none; inactive parameters are tuned and ignored. Relations: by `space_constraint`.
Failures: the worst value so far. Recommended: the best value seen.
"""

from __future__ import annotations

from typing import Any

from skopt import Optimizer
from skopt.space import Categorical, Integer, Real

from knobs import Config, Knob, Knobs
from peers import Seen


def _dimension(knob: Knob) -> Any:
    prior = "log-uniform" if knob.log else "uniform"
    if knob.kind == "choice":
        return Categorical(knob.settings, name=knob.name)
    if knob.kind == "int":
        return Integer(int(knob.low), int(knob.high), prior=prior, name=knob.name)
    return Real(knob.low, knob.high, prior=prior, name=knob.name)


class Skopt:
    def __init__(self, knobs: Knobs, *, seed: int, trials: int) -> None:
        self._knobs, self._seen = knobs, Seen()
        constraint = {"space_constraint": self._holds} if knobs.relations else {}
        self._optimizer = Optimizer(
            [_dimension(knob) for knob in knobs.all], random_state=seed, **constraint
        )
        self._point: list[Any] = []

    def _config(self, point: list[Any]) -> Config:
        names = [knob.name for knob in self._knobs.all]
        return self._knobs.config(dict(zip(names, point, strict=True)))

    def _holds(self, point: list[Any]) -> bool:
        return self._knobs.holds(self._config(point))

    def ask(self) -> Config:
        self._point = self._optimizer.ask()
        return self._config(self._point)

    def tell(self, config: Config, value: float, failed: bool) -> None:
        self._seen.note(config, value, failed)
        self._optimizer.tell(self._point, self._seen.penalty if failed else value)

    def recommend(self) -> Config | None:
        return self._seen.best
