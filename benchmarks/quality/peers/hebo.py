"""HEBO with its defaults.

Conditions: it has none; inactive parameters are tuned and ignored. Relations: by rejection.
Failures: the worst value so far. Recommended: the best value seen (``best_x``).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from knobs import Config, Knob, Knobs
from peers import Seen

warnings.filterwarnings("ignore")


def _parameter(knob: Knob) -> dict[str, Any]:
    if knob.kind == "choice":
        return {"name": knob.name, "type": "cat", "categories": knob.settings}
    kind = {("float", False): "num", ("float", True): "pow", ("int", False): "int"}
    return {
        "name": knob.name,
        "type": kind.get((knob.kind, knob.log), "pow_int"),
        "lb": knob.low,
        "ub": knob.high,
    }


class Hebo:
    def __init__(self, knobs: Knobs, *, seed: int, trials: int) -> None:
        self._knobs, self._seen = knobs, Seen()
        np.random.seed(seed)  # noqa: NPY002 (HEBO draws from it)
        torch.manual_seed(seed)
        space = DesignSpace().parse([_parameter(knob) for knob in knobs.all])
        self._optimizer = HEBO(space, scramble_seed=seed)
        self._asked: Any = None

    def ask(self) -> Config:
        self._asked = self._optimizer.suggest(n_suggestions=1)
        return self._knobs.config(self._asked.iloc[0].to_dict())

    def tell(self, config: Config, value: float, failed: bool) -> None:
        self._seen.note(config, value, failed)
        told = self._seen.penalty if failed else value
        self._optimizer.observe(self._asked, np.array([[told]]))

    def recommend(self) -> Config | None:
        return self._seen.best
