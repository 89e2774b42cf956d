"""AutoGluon's TabularPredictor: medium quality."""

from __future__ import annotations

import tempfile

import pandas as pd
from benchmarks.tabular.tuners import Work, main

METRICS = {"rmse": "root_mean_squared_error", "log_loss": "log_loss"}


def solve(work: Work) -> pd.DataFrame:
    from autogluon.tabular import TabularPredictor

    learned, held_out = work.learned, work.held_out
    weight = work.options.get("weight")
    group, time = work.options.get("group"), work.options.get("time_column")
    tuning = None
    if time is not None:  # the latest rows check
        at = 4 * len(learned) // 5
        learned, tuning = learned.iloc[:at], learned.iloc[at:]
    elif group is not None:  # one group in five checks
        names = learned[group].drop_duplicates().sample(frac=0.2, random_state=work.seed)
        apart = learned[group].isin(names)
        learned, tuning = learned[~apart], learned[apart]
    if group is not None:
        learned, held_out = learned.drop(columns=group), held_out.drop(columns=group)
        tuning = None if tuning is None else tuning.drop(columns=group)
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor(
            label="target",
            eval_metric=METRICS[work.metric],
            path=folder,
            verbosity=0,
            sample_weight=weight,
            weight_evaluation=weight is not None,
        ).fit(
            learned,
            tuning_data=tuning,
            time_limit=work.seconds,
            presets="medium_quality",
            num_cpus=work.cores,
        )
        best = predictor.leaderboard()["score_val"].max()
        work.say("autogluon.tabular", reported=-float(best))
        if work.metric == "rmse":
            return pd.DataFrame({"value": predictor.predict(held_out).to_numpy()})
        p: pd.DataFrame = predictor.predict_proba(held_out)
        return p.rename(columns=str).reset_index(drop=True)


if __name__ == "__main__":
    main(solve)
