"""The studies whose figures the documentation shows: made when the site is built, drawn by what draws the report."""

from __future__ import annotations

import functools
import html
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import tunesmith as ts
from tunesmith.analysis import contours, fronts, parallel, parameters, progress
from tunesmith.analysis.importance import importance
from tunesmith.analysis.landscape import landscape
from tunesmith.analysis.page import Drawings
from tunesmith.analysis.style import Figure
from tunesmith.analysis.trials import TrialArrays

EPOCHS: Final = 8


@functools.cache
def images() -> Any:
    x, y = load_digits(return_X_y=True)
    return train_test_split(x / 16, y, train_size=700, random_state=0, stratify=y)


def network(config: Mapping[str, Any], trial: Any) -> float:
    """A network for handwritten digits, which says after each epoch how good it is."""
    train_x, test_x, train_y, test_y = images()
    model = MLPClassifier(
        (config["width"],) * config["layers"],
        solver=config["optimizer"],
        learning_rate_init=config["learning_rate"],
        momentum=config.get("momentum", 0.9),
        batch_size=config["batch"],
        random_state=0,
    )
    accuracy = 0.0
    for epoch in range(EPOCHS):
        model.partial_fit(train_x, train_y, classes=np.arange(10))
        accuracy = float(model.score(test_x, test_y))
        trial.report(step=epoch + 1, accuracy=accuracy)
    return accuracy


def forest(config: Mapping[str, Any]) -> dict[str, float]:
    """A forest for the same images: how often it is wrong, and how many nodes it has."""
    train_x, test_x, train_y, test_y = images()
    model = RandomForestClassifier(**config, random_state=0).fit(train_x, train_y)
    nodes = sum(tree.tree_.node_count for tree in model.estimators_)
    return {"error": 1 - float(model.score(test_x, test_y)), "nodes": float(nodes)}


@functools.cache
def studies() -> tuple[ts.Result, ts.Result]:
    single = ts.tune(
        network,
        ts.Space(
            learning_rate=ts.Float(1e-4, 1e-1, log=True, group="optimizer"),
            optimizer=ts.Choice("adam", "sgd", group="optimizer"),
            momentum=ts.Float(0.5, 0.99, when={"optimizer": "sgd"}, group="optimizer"),
            batch=ts.Int(32, 256, log=True, group="optimizer"),
            width=ts.Int(8, 64, log=True, group="model"),
            layers=ts.Int(1, 3, group="model"),
        ),
        metric="accuracy",
        goal="maximize",
        trials=30,
        scheduler={"median": {}},
        name="digits",
        seed=3,
        progress=False,
    )
    several = ts.tune(
        forest,
        ts.Space(
            n_estimators=ts.Int(1, 30, log=True),
            max_depth=ts.Int(2, 14),
            min_samples_leaf=ts.Int(1, 20, log=True),
            max_features=ts.Float(0.05, 0.8),
        ),
        metric=["error", "nodes"],
        trials=30,
        name="forest",
        seed=1,
        progress=False,
    )
    return single, several


@functools.cache
def figures() -> Mapping[str, str]:
    """HTML of each figure by its name, drawn for a screen and for a phone."""
    single, several = studies()
    one, two = TrialArrays(single.ledger), TrialArrays(several.ledger)
    importances, model = importance(one.history), landscape(one)
    assert importances is not None
    assert model is not None
    order = tuple(share.name for share in importances.parameters)
    made: dict[str, Figure] = {
        "best": progress.best_so_far(one),
        "curves": progress.curves(one),
        "cost": progress.cost(one),
        "importance": parameters.importance_bars(importances),
        "slice": parameters.slice_of(one, "learning_rate", model),
        "slice-choice": parameters.slice_of(one, "optimizer", model),
        "contour": contours.contour(one, "learning_rate", "batch", model),
        "doubt": contours.doubt(one, "learning_rate", "batch", model),
        "parallel": parallel.parallel(one, order),
        "front": fronts.front(two),
        "attainment": fronts.attainment(two),
        "hypervolume": fronts.hypervolume(two),
        "objectives": parallel.objectives(two),
    }
    return {name: _drawn(figure, number) for number, (name, figure) in enumerate(made.items())}


def _drawn(figure: Figure, number: int) -> str:
    drawings = Drawings(number)
    drawn = drawings.add(figure, heading=False)
    return f'<div class="figure" data-tips="{html.escape(drawings.json())}">{drawn}</div>'


def write(folder: Path) -> list[str]:
    """Write the reports of both studies, which are pages of their own, below `folder`; their names."""
    names = [f"gallery/{result.spec.name}.html" for result in studies()]
    (folder / "gallery").mkdir(parents=True, exist_ok=True)
    for name, result in zip(names, studies(), strict=True):
        result.report(folder / name)
    return names


if __name__ == "__main__":
    began = time.perf_counter()
    print(f"{len(figures())} figures in {time.perf_counter() - began:.1f} s")
