"""Hyperopt: TPE with its defaults.

Conditions: each value of a choice that others depend on is a branch with their nodes in it.
Relations: by rejection. Failures: ``STATUS_FAIL``. Recommended: the best value seen.
"""

from __future__ import annotations

import math
from typing import Any

import hyperopt
import numpy as np
from hyperopt import hp, tpe
from hyperopt.base import JOB_STATE_DONE, Domain, spec_from_misc

from knobs import Config, Knob, Knobs, flat
from peers import Seen


class Hyperopt:
    def __init__(self, knobs: Knobs, *, seed: int, trials: int) -> None:
        self._knobs, self._seen = knobs, Seen()
        self._nodes: dict[str, Any] = {}
        self._space = {k.name: self._node(k) for k in knobs.children(None)}
        self._domain = Domain(lambda settings: settings, self._space)
        self._trials = hyperopt.Trials()
        self._rng = np.random.default_rng(seed)

    def _node(self, knob: Knob) -> Any:
        """The node of a parameter; one in several branches is the same node in all."""
        if knob.name not in self._nodes:
            self._nodes[knob.name] = self._made(knob)
        return self._nodes[knob.name]

    def _made(self, knob: Knob) -> Any:
        low, high = knob.low, knob.high
        if knob.kind == "choice":
            branches = [
                {"setting": s, **{c.name: self._node(c) for c in self._knobs.branch(knob, s)}}
                for s in knob.settings
            ]
            return hp.choice(knob.name, branches)
        if knob.kind == "int" and knob.log:
            return hp.qloguniform(knob.name, math.log(low - 0.499), math.log(high + 0.499), 1)
        if knob.kind == "int":
            return hp.quniform(knob.name, low - 0.499, high + 0.499, 1)
        if knob.log:
            return hp.loguniform(knob.name, math.log(low), math.log(high))
        return hp.uniform(knob.name, low, high)

    def ask(self) -> Config:
        (number,) = self._trials.new_trial_ids(1)
        docs = tpe.suggest([number], self._domain, self._trials, int(self._rng.integers(2**31)))
        self._trials.insert_trial_docs(docs)
        self._trials.refresh()
        chosen = hyperopt.space_eval(self._space, spec_from_misc(docs[0]["misc"]))
        return self._knobs.config(flat(chosen))

    def tell(self, config: Config, value: float, failed: bool) -> None:
        self._seen.note(config, value, failed)
        doc = self._trials._dynamic_trials[-1]
        doc["state"] = JOB_STATE_DONE
        doc["result"] = {"status": "fail"} if failed else {"status": "ok", "loss": value}
        self._trials.refresh()

    def recommend(self) -> Config | None:
        return self._seen.best
