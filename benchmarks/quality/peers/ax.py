"""Ax: what its client chooses by default (Sobol points, then BoTorch).

Conditions: ``dependent_parameters`` of the choice that they hang on; Ax wants a tree, so a parameter
that several values activate is always tuned, and ignored where inactive. Relations: given as
parameter constraints where Ax reads them (linear, on linear scales), otherwise by rejection.
Failures: ``mark_trial_failed``. Recommended: its own best parameterization, by model prediction.
"""

from __future__ import annotations

import logging
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

from knobs import Config, Knob, Knobs
from peers import Seen

logging.disable(logging.CRITICAL)


class Ax:
    def __init__(self, knobs: Knobs, *, seed: int, trials: int) -> None:
        self._knobs, self._seen = knobs, Seen()
        try:
            self._client = self._made(seed, list(knobs.relations))
        except Exception:  # noqa: BLE001 (Ax tells in many ways that it can't read a relation)
            self._client = self._made(seed, [])
        self._index = 0

    def _made(self, seed: int, constraints: list[str]) -> Client:
        client = Client(random_seed=seed)
        client.configure_experiment(
            parameters=[self._parameter(k) for k in self._knobs.all],
            parameter_constraints=constraints,
        )
        client.configure_optimization(objective="-value")
        return client

    def _parameter(self, knob: Knob) -> Any:
        if knob.kind == "choice":
            dependents = {
                s: [c.label for c in self._knobs.branch(knob, s) if len(c.parents[knob.name]) == 1]
                for s in knob.settings
            }
            return ChoiceParameterConfig(
                name=knob.label,
                values=knob.settings,
                parameter_type="str",
                is_ordered=False,
                dependent_parameters={s: d for s, d in dependents.items() if d} or None,
            )
        integer = knob.kind == "int"
        return RangeParameterConfig(
            name=knob.label,
            bounds=(int(knob.low), int(knob.high)) if integer else (knob.low, knob.high),
            parameter_type="int" if integer else "float",
            scaling="log" if knob.log else "linear",
        )

    def _config(self, settings: Any) -> Config:
        return self._knobs.config(
            {k.name: settings[k.label] for k in self._knobs.all if k.label in settings}
        )

    def ask(self) -> Config:
        ((self._index, settings),) = self._client.get_next_trials(max_trials=1).items()
        return self._config(settings)

    def tell(self, config: Config, value: float, failed: bool) -> None:
        self._seen.note(config, value, failed)
        if failed:
            self._client.mark_trial_failed(self._index)
        else:
            self._client.complete_trial(self._index, raw_data={"value": value})

    def recommend(self) -> Config | None:
        if self._seen.best is None:
            return None
        return self._config(self._client.get_best_parameterization()[0])
