"""tunesmith fit, as it stands."""

from __future__ import annotations

import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from benchmarks.tabular.tuners import Work, main


def solve(work: Work) -> pd.DataFrame:
    import tunesmith
    from tunesmith.recipes import tabular

    with tempfile.TemporaryDirectory() as folder:
        fitted = tabular.fit(
            work.learned,
            target="target",
            metric=work.metric,
            time=work.seconds,
            seed=work.seed,
            parallel=work.cores,
            output=f"{folder}/model",
            progress=False,
            **work.options,
        )
        low, high = fitted.interval_on(len(work.held_out)) or (float("nan"), float("nan"))
        work.say(
            "tunesmith",
            reported=fitted.score,
            reported_low=low,
            reported_high=high,
            version=f"{version('tunesmith')} {_commit(Path(tunesmith.__file__).parent)}",
        )
        print(fitted.summary())
        if work.metric == "rmse":
            return pd.DataFrame({"value": fitted.predict(work.held_out)})
        probabilities: pd.DataFrame = fitted.predict_proba(work.held_out)
        return probabilities.rename(columns=str)


def _commit(folder: Path) -> str:
    """Which one a checkout is at; empty for an installed package."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main(solve)
