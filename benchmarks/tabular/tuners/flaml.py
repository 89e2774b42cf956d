"""FLAML's AutoML with its defaults."""

from __future__ import annotations

import pandas as pd
from benchmarks.tabular.tuners import Work, main


def solve(work: Work) -> pd.DataFrame:
    from flaml import AutoML

    x, y = work.learned.drop(columns="target"), work.learned["target"]
    automl = AutoML()
    automl.fit(
        X_train=x,
        y_train=y,
        task="regression" if work.metric == "rmse" else "classification",
        metric=work.metric,
        time_budget=work.seconds,
        n_jobs=2,
        seed=work.seed,
        verbose=0,
    )
    print(automl.best_estimator, automl.best_loss)
    if work.metric == "rmse":
        return pd.DataFrame({"value": automl.predict(work.held_out)})
    return pd.DataFrame(
        automl.predict_proba(work.held_out), columns=list(map(str, automl.classes_))
    )


if __name__ == "__main__":
    main(solve)
