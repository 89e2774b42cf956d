"""What our part of other people's programs costs, in processor time: callbacks, the sampler for Optuna, copies of studies.

    python -m benchmarks.integrations.overheads --results overheads.csv

Needs optuna (and torch, for Optuna's own GPSampler).
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tunesmith as ts
from tunesmith.integrations.reporting import Reporter

EPOCHS, TRIALS, COPIED = 2000, 200, 10_000


def callback() -> Iterator[tuple[str, float]]:
    """Seconds an epoch of a callback: alone, and of a report in `tune`, which has to store it."""
    metrics = {"loss": 0.5, "val_loss": 0.25, "accuracy": 0.9}
    reporter = Reporter(None, "val_loss")
    began = time.process_time()
    for epoch in range(EPOCHS):
        reporter(epoch + 1, metrics)
    yield "callback alone, an epoch", (time.process_time() - began) / EPOCHS

    class Nothing:
        def report(self, step: int, **metrics: float) -> None: ...

    reporter = Reporter(Nothing(), "val_loss")  # type: ignore[arg-type]
    began = time.process_time()
    for epoch in range(EPOCHS):
        reporter(epoch + 1, metrics)
    yield (
        "callback with a trial, an epoch, without the report itself",
        (time.process_time() - began) / EPOCHS,
    )
    taken = []

    def objective(_: dict[str, Any], trial: ts.LiveTrial) -> float:
        reporter = Reporter(trial, "val_loss")
        began = time.process_time()
        for epoch in range(EPOCHS):
            reporter(epoch + 1, metrics)
        taken.append((time.process_time() - began) / EPOCHS)
        return 0.0

    for storage in (None, "file"):
        with tempfile.TemporaryDirectory() as folder:
            where = None if storage is None else str(Path(folder) / "s.db")
            ts.tune(objective, {"x": 1}, metric="val_loss", trials=1, progress=False, storage=where)
        yield (
            f"callback in tune, an epoch, its report stored in {'memory' if where is None else 'a file'}",
            taken[-1],
        )


def sampler(make: Callable[[], Any]) -> float:
    """Seconds a trial, over the last 20 of 200 in 6 dimensions."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=make())

    def objective(trial: Any) -> float:
        x = np.array([trial.suggest_float(f"x{k}", -5, 5) for k in range(6)])
        return float(np.sum((x - 1) ** 2))

    study.optimize(objective, n_trials=TRIALS - 20)
    began = time.process_time()
    study.optimize(objective, n_trials=20)
    return (time.process_time() - began) / 20


def copies() -> Iterator[tuple[str, float]]:
    """Seconds for 10,000 trials of 4 parameters with 3 intermediate values each."""
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    from tunesmith.integrations.optuna import export_study, import_study
    from tunesmith.integrations.optuna_rows import add_trials

    rng = np.random.default_rng(0)
    space = {
        "x": FloatDistribution(0, 1),
        "y": FloatDistribution(1e-5, 1, log=True),
        "n": IntDistribution(1, 8),
        "kind": CategoricalDistribution(["a", "b"]),
    }
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/optuna.db"
        made = optuna.create_study(study_name="train", storage=url)
        add_trials(  # Optuna's own takes minutes
            made,
            [
                optuna.trial.create_trial(
                    params={
                        "x": float(rng.random()),
                        "y": float(rng.random()) + 1e-5,
                        "n": int(rng.integers(1, 9)),
                        "kind": "ab"[k % 2],
                    },
                    distributions=space,
                    value=float(k),
                    intermediate_values={s: float(k + s) for s in range(3)},
                )
                for k in range(COPIED)
            ],
        )
        wall, began = time.perf_counter(), time.process_time()
        import_study(url, "train", storage=f"{folder}/study.db")
        yield "import of 10,000 trials", time.process_time() - began
        yield "import of 10,000 trials, by the clock", time.perf_counter() - wall
        wall, began = time.perf_counter(), time.process_time()
        with ts.Study.open(storage=f"{folder}/study.db") as study:
            export_study(study, f"sqlite:///{folder}/again.db")
        yield "export of 10,000 trials", time.process_time() - began
        yield "export of 10,000 trials, by the clock", time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("overheads.csv"))
    parser.add_argument("--only", default="callback,sampler,copies")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    new = not given.results.exists()
    with given.results.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["what", "seconds", "load"])
        for what, seconds in measured(given.only.split(",")):
            writer.writerow([what, f"{seconds:.6g}", f"{os.getloadavg()[0]:.1f}"])
            file.flush()


def measured(wanted: Sequence[str]) -> Iterator[tuple[str, float]]:
    if "callback" in wanted:
        yield from callback()
    if "sampler" in wanted:
        import optuna

        from tunesmith.integrations.optuna import TunesmithSampler

        for name, make in {
            "TunesmithSampler": lambda: TunesmithSampler(seed=0),
            "TPESampler": lambda: optuna.samplers.TPESampler(seed=0),
            "GPSampler": lambda: optuna.samplers.GPSampler(seed=0),
        }.items():
            yield f"{name}, a trial at 200 trials", sampler(make)
    if "copies" in wanted:
        yield from copies()


if __name__ == "__main__":
    main()
