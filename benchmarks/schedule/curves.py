"""Learning curves: a surrogate of neural networks that were trained for 52 epochs, and what each epoch took.

LCBench (Zimmer, Lindauer & Hutter 2021) as YAHPO Gym's surrogate has it (arXiv 2109.03670, Apache-2.0): 7
parameters, validation error after each epoch. `SURROGATES` in the environment names a folder with
``lcbench/{model.onnx,config_space.json,encoding.json}``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

EPOCHS = 52
#: Developed on, and looked at only for the report.
DEV = ["3945", "7593", "126025", "146212", "189906"]
FINAL = ["34539", "168331", "126026", "167149", "189908"]

_NUMBERS = ["epoch", "batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout"]  # fmt: skip


@dataclass(frozen=True)
class Curves:
    """One data set. `space` maps names to (kind, low, high, log)."""

    name: str
    space: dict[str, tuple[str, float, float, bool]]

    def of(self, config: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Validation error after each epoch, and the seconds that each took, shape (EPOCHS,) both."""
        rows = np.array(
            [[e, *(config[n] for n in _NUMBERS[1:])] for e in range(1, EPOCHS + 1)], np.float32
        )
        code = _table("encoding")["OpenML_task_id"][self.name]
        codes = np.full((EPOCHS, 1), code, np.int32)
        out = _session().run(None, {"x_cat": codes, "x_cont": rows})[0].astype(float)
        seconds = np.diff(np.maximum.accumulate(np.maximum(out[:, 0], 1e-3)), prepend=0.0)
        return 1.0 - out[:, 1] / 100.0, np.maximum(seconds, 1e-4)

    def sample(self, rng: np.random.Generator) -> dict[str, Any]:
        config: dict[str, Any] = {}
        for name, (kind, low, high, log) in self.space.items():
            u = rng.random()
            value = low * (high / low) ** u if log else low + u * (high - low)
            config[name] = round(value) if kind == "int" else float(value)
        return config

    @property
    def full_s(self) -> float:
        """What a random config's whole training takes, on average, in seconds."""
        return _full(self.name)


@cache
def _full(name: str) -> float:
    rng, problem = np.random.default_rng(0), curves(name)
    return float(np.mean([problem.of(problem.sample(rng))[1].sum() for _ in range(200)]))


@cache
def curves(name: str) -> Curves:
    space = {}
    for form in _table("config_space")["hyperparameters"]:
        if form["name"] in ("OpenML_task_id", "epoch"):
            continue
        kind = "int" if form["type"] == "uniform_int" else "float"
        space[form["name"]] = (kind, form["lower"], form["upper"], bool(form.get("log")))
    return Curves(name, space)


def _folder() -> Path:
    return Path(os.environ.get("SURROGATES", "surrogates")) / "lcbench"


@cache
def _table(what: str) -> Any:
    return json.loads((_folder() / f"{what}.json").read_text())


@cache
def _session() -> Any:
    import onnxruntime as rt

    options = rt.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return rt.InferenceSession(str(_folder() / "model.onnx"), sess_options=options)
