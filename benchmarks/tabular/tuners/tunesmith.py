"""tunesmith fit, as it stands."""

from __future__ import annotations

import json
import tempfile

import pandas as pd
from benchmarks.tabular.tuners import Work, main


def solve(work: Work) -> pd.DataFrame:
    from tunesmith.recipes import tabular

    with tempfile.TemporaryDirectory() as folder:
        fitted = tabular.fit(
            work.learned,
            target="target",
            metric=work.metric,
            time=work.seconds,
            seed=work.seed,
            output=f"{folder}/model",
            progress=False,
            **work.options,
        )
        work.report.write_text(json.dumps({"reported": fitted.value}))
        print(fitted.summary())
        if work.metric == "rmse":
            return pd.DataFrame({"value": fitted.predict(work.held_out)})
        probabilities: pd.DataFrame = fitted.predict_proba(work.held_out)
        return probabilities.rename(columns=str)


if __name__ == "__main__":
    main(solve)
