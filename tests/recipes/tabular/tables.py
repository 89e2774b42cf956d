"""Small tables of every kind that a pipeline may meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from tunesmith.recipes.tabular.data import Data, load

TASKS = ("regression", "binary", "multiclass")
KINDS = ("numbers", "mixed", "categories", "awkward", "tiny", "rare", "sparse")


def table(kind: str, task: str, seed: int = 0) -> Data:
    """A table of one of KINDS, whose target, for one of TASKS, depends on its first column."""
    rng = np.random.default_rng(seed)
    rows = 12 if kind == "tiny" else 60
    frame: Any = pd.DataFrame(rng.normal(size=(rows, 5)), columns=list("abcde"))
    signal = frame["a"].to_numpy().copy()
    if kind in ("mixed", "tiny"):
        frame["colour"] = rng.choice(np.array(["red", "blue", None], dtype=object), rows)
        frame["many"] = [f"m{k}" for k in rng.integers(0, rows // 3, rows)]
        frame.loc[rng.random(rows) < 0.3, "b"] = np.nan
        frame["seldom"] = [1.0, 2.0] + [np.nan] * (rows - 2)
        frame["when"] = pd.date_range("2020-01-30", periods=rows, freq="31h").astype(str)
    if kind == "categories":
        frame = pd.DataFrame(
            {"p": np.where(signal > 0, "x", "y"), "q": rng.choice(list("uv"), rows)}
        )
        frame.loc[0, "p"] = "once"
        frame.loc[1, "q"] = None
    if kind == "awkward":
        frame["copy"], frame["huge"], frame["small"] = (
            frame["a"],
            frame["b"] * 1e9,
            frame["c"] * 1e-12,
        )
        frame["nearly"] = [0.0] * (rows - 1) + [1.0]
    frame["y"] = _target(task, signal, rng, rare=kind == "rare")
    data = load(frame, "y", task if task == "regression" else "classification")
    if kind == "sparse":
        data = replace(data, x=csr_matrix(np.where(data.x > 0.3, data.x, 0.0)))
    return data


def _target(task: str, signal: Any, rng: Any, *, rare: bool) -> Any:
    n = len(signal)
    if task == "regression":
        y = 100 + 30 * signal + rng.normal(size=n)
        return np.r_[np.full(n - 2, 5.0), y[-2:]] if rare else y
    if rare and task == "binary":
        return ["a"] * (n - 2) + ["b"] * 2
    if rare:
        return ["a", "b"] * (n // 2 - 2) + list("ccde")
    parts = 2 if task == "binary" else 3
    inner = np.quantile(signal, np.linspace(0, 1, parts + 1)[1:-1])
    return np.array(list("abc"))[np.digitize(signal, inner)]
