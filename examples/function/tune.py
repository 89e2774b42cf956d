"""Tune a Python function: which tree ensemble predicts the progress of diabetes best?

Run:  python examples/function/tune.py
"""

from typing import Any

from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_score

import tunesmith as ts

space = ts.Space(
    model=ts.Choice("boosting", "extra_trees", group="model"),
    trees=ts.Int(10, 200, log=True, default=50, group="model"),
    depth=ts.Int(1, 8, default=3, group="model"),
    min_leaf=ts.Int(1, 20, log=True, group="model"),
    max_leaf_nodes=ts.Int(8, 64, log=True, group="model", when={"model": "extra_trees"}),
    learning_rate=ts.Float(0.01, 0.5, log=True, group="optimizer", when={"model": "boosting"}),
    subsample=ts.Float(0.3, 1.0, group="data", when={"model": "boosting"}),
).require("depth * min_leaf <= 80")


def objective(config: dict[str, Any]) -> dict[str, float]:
    """The mean R^2 of five folds, and how much it varies."""
    common = {
        "n_estimators": config["trees"],
        "max_depth": config["depth"],
        "min_samples_leaf": config["min_leaf"],
        "random_state": 0,
    }
    if config["model"] == "boosting":
        model = GradientBoostingRegressor(
            learning_rate=config["learning_rate"], subsample=config["subsample"], **common
        )
    else:
        model = ExtraTreesRegressor(max_leaf_nodes=config["max_leaf_nodes"], **common)
    data, target = load_diabetes(return_X_y=True)
    scores = cross_val_score(model, data, target, cv=KFold(5, shuffle=True, random_state=0))
    return {"r2": scores.mean(), "spread": scores.std()}


if __name__ == "__main__":
    result = ts.tune(
        objective,
        space,
        metric="r2",
        goal="maximize",
        trials=30,
        parallel=2,
        seed=1,
        name="diabetes",
    )
    print(f"\nbest R^2 {result.best.value:.3f} (spread {result.best.metrics['spread']:.3f}) with")
    for name, value in result.best.config.items():
        print(f"  {name} = {value}")
