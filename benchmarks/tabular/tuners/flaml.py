"""FLAML's AutoML with its defaults."""

from __future__ import annotations

import pandas as pd
from benchmarks.tabular.tuners import Work, main


def solve(work: Work) -> pd.DataFrame:
    from flaml import AutoML

    x, y = work.learned.drop(columns="target"), work.learned["target"]
    held_out, more = work.held_out, {}
    if "group" in work.options:
        more = {"split_type": "group", "groups": x.pop(work.options["group"])}
    if "time_column" in work.options:
        more = {"split_type": "time"}  # the rows are in order
    if "weight" in work.options:
        more = {"sample_weight": x.pop(work.options["weight"])}
    held_out = held_out[x.columns]
    automl = AutoML()
    automl.fit(
        X_train=x,
        y_train=y,
        task="regression" if work.metric == "rmse" else "classification",
        metric=work.metric,
        time_budget=work.seconds,
        n_jobs=work.cores,
        seed=work.seed,
        verbose=0,
        **more,
    )
    work.say("flaml", reported=float(automl.best_loss))
    print(automl.best_estimator, automl.best_loss)
    if work.metric == "rmse":
        return pd.DataFrame({"value": automl.predict(held_out)})
    return pd.DataFrame(automl.predict_proba(held_out), columns=list(map(str, automl.classes_)))


if __name__ == "__main__":
    main(solve)
