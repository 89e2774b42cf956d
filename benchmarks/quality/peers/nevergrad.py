"""Nevergrad: NGOpt, which chooses among its optimisers by space and budget.

Conditions: each value of a choice that others depend on is a ``Dict`` with its own copies of them.
Relations: ``register_cheap_constraint``. Failures: the worst value so far.
Recommended: ``provide_recommendation``, which reckons with noise.
"""

from __future__ import annotations

from typing import Any

import nevergrad as ng
import numpy as np

from knobs import Config, Knob, Knobs, flat
from peers import Seen


class Nevergrad:
    def __init__(self, knobs: Knobs, *, seed: int, trials: int) -> None:
        self._knobs, self._seen = knobs, Seen()
        space = ng.p.Dict(**{k.name: self._parameter(k) for k in knobs.children(None)})
        space.random_state = np.random.RandomState(seed)
        if knobs.relations:
            space.register_cheap_constraint(lambda tree: knobs.holds(self._config(tree)))
        self._optimizer = ng.optimizers.NGOpt(space, budget=trials, num_workers=1)
        self._asked: Any = None

    def _parameter(self, knob: Knob) -> Any:
        if knob.kind == "choice":
            branches = {s: self._knobs.branch(knob, s) for s in knob.settings}
            if not any(branches.values()):
                return ng.p.Choice(knob.settings)
            return ng.p.Choice(
                [
                    ng.p.Dict(setting=s, **{c.name: self._parameter(c) for c in children})
                    for s, children in branches.items()
                ]
            )
        number = (
            ng.p.Log(lower=knob.low, upper=knob.high)
            if knob.log
            else ng.p.Scalar(lower=knob.low, upper=knob.high)
        )
        return number.set_integer_casting() if knob.kind == "int" else number

    def _config(self, tree: dict[str, Any]) -> Config:
        return self._knobs.config(flat(tree))

    def ask(self) -> Config:
        self._asked = self._optimizer.ask()
        return self._config(self._asked.value)

    def tell(self, config: Config, value: float, failed: bool) -> None:
        self._seen.note(config, value, failed)
        self._optimizer.tell(self._asked, self._seen.penalty if failed else value)

    def recommend(self) -> Config | None:
        return self._config(self._optimizer.provide_recommendation().value)
