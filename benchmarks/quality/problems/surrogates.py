"""Surrogates of real training runs, fitted by the authors of YAHPO Gym (arXiv 2109.03670, Apache-2.0).

lcbench: an MLP, 7 numbers; rbv2_xgboost: 14 parameters, conditional on the booster; rbv2_rpart: a
decision tree, 5 mixed. `SURROGATES` in the environment names a folder that
holds for each ``FAMILY/model.onnx``, ``config_space.json`` and ``encoding.json``, as YAHPO Gym has them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from problems import Config, Half, Problem, figures, gaussian
from tunesmith import Choice, Float, Int, Space

#: Family: the name of the instance; categorical inputs; numeric ones; outputs; what is minimised; inputs
#: that are held fixed.
FAMILIES: dict[str, dict[str, Any]] = {
    "lcbench": {
        "instance": "OpenML_task_id",
        "categorical": ["OpenML_task_id"],
        "numeric": ["epoch", "batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout"],
        "output": 1,
        "loss": lambda accuracy: 1 - accuracy / 100,
        "fixed": {"epoch": 52},
    },
    "rbv2_xgboost": {
        "instance": "task_id",
        "categorical": ["task_id", "booster", "num.impute.selected.cpo"],
        "numeric": ["nrounds", "eta", "gamma", "lambda", "alpha", "subsample", "max_depth", "min_child_weight",
                    "colsample_bytree", "colsample_bylevel", "rate_drop", "skip_drop", "trainsize", "repl"],
        "output": 5,
        "loss": lambda log_loss: log_loss,
        "fixed": {"trainsize": 1.0, "repl": 10},
    },
    "rbv2_rpart": {
        "instance": "task_id",
        "categorical": ["task_id", "num.impute.selected.cpo"],
        "numeric": ["cp", "maxdepth", "minbucket", "minsplit", "trainsize", "repl"],
        "output": 5,
        "loss": lambda log_loss: log_loss,
        "fixed": {"trainsize": 1.0, "repl": 10},
    },
}  # fmt: skip

DEV = ["lcbench/189906", "rbv2_xgboost/1050", "rbv2_rpart/40701", "rbv2_xgboost/188+noise"]
FINAL = ["lcbench/34539", "rbv2_xgboost/28", "rbv2_rpart/23+noise", "lcbench/168331+noise"]
#: Noise, as a share of the distance from the best known value to the random median.
NOISE = 0.2


@cache
def _session(folder: Path) -> Any:
    import onnxruntime as rt

    options = rt.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return rt.InferenceSession(str(folder / "model.onnx"), sess_options=options)


def _space(folder: Path, hidden: set[str]) -> Space:
    raw = json.loads((folder / "config_space.json").read_text())
    when: dict[str, Any] = {}
    for condition in raw["conditions"]:
        values = condition["values"] if condition["type"] == "IN" else [condition["value"]]
        when[condition["child"]] = {condition["parent"]: list(values)}
    space: dict[str, Any] = {}
    for form in raw["hyperparameters"]:
        name = form["name"]
        if name in hidden:
            continue
        if form["type"] == "categorical":
            space[name] = Choice(*form["choices"], when=when.get(name))
        else:
            kind = Int if form["type"] == "uniform_int" else Float
            space[name] = kind(
                form["lower"], form["upper"], log=bool(form.get("log")), when=when.get(name)
            )
    return Space(space)


def _objective(root: Path, family: str, instance: str) -> Callable[[Config], float]:
    of = FAMILIES[family]
    encoding = json.loads((root / family / "encoding.json").read_text())

    def true(config: Config) -> float:
        row = {**config, of["instance"]: instance, **of["fixed"]}
        categories = [[encoding[k][str(row.get(k, "#na#"))] for k in of["categorical"]]]
        numbers = [[row.get(k, 0.0) for k in of["numeric"]]]
        inputs = {"x_cat": np.array(categories, np.int32), "x_cont": np.array(numbers, np.float32)}
        out = _session(root / family).run(None, inputs)[0]
        return float(of["loss"](float(out[0, of["output"]])))

    return true


def lcbench(root: Path, name: str, half: Half) -> Problem:
    """The network on one more data set."""
    of = FAMILIES["lcbench"]
    space = _space(root / "lcbench", {of["instance"], *of["fixed"]})
    true = _objective(root, "lcbench", name)
    return Problem(f"lcbench/{name}", half, space, true, None, ("numbers",))


def problems() -> Iterator[Problem]:
    root = Path(os.environ.get("SURROGATES", "surrogates"))
    if not root.is_dir():
        return
    for half, names in (("dev", DEV), ("final", FINAL)):
        for name in names:
            base, _, noisy = name.partition("+")
            family, _, instance = base.partition("/")
            of = FAMILIES[family]
            space = _space(root / family, {of["instance"], *of["fixed"]})
            true = _objective(root, family, instance)
            known = figures().get(base, {"median": 1.0, "best": 0.0})
            noise = gaussian(NOISE * (known["median"] - known["best"])) if noisy else None
            yield Problem(name, half, space, true, noise, ("surrogate",))  # type: ignore[arg-type]
