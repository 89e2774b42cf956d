"""Studies whose truth is known, and what is said of them: ``python benchmarks/certainty/run.py --cases 40``.

A study has 12 to 50 trials, drawn at random (every other) or searched for, and then 20 more. `studies.jsonl` keeps them (`--studies`),
so that what is said of them can be worked out again without running them; `results.csv` has a row for each.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from functions import KINDS, Case, case  # type: ignore[import-not-found]
from numpy.random import default_rng

from tunesmith.analysis.certainty import certainty, likely_best
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.propose import propose
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Origin, State
from tunesmith.search import look_ahead
from tunesmith.search.auto import Auto

HERE = Path(__file__).parent
#: Trials after what is said, whose gain is compared.
MORE = 20
USERS = Origin(USER)


@dataclass(frozen=True)
class Run:
    """A study: `configs` and `values` of all its trials, of which something is said after the first `trials`."""

    kind: str
    seed: int
    trials: int
    searched: bool
    configs: list[dict[str, Any]]
    values: list[float]


def study(kind: str, seed: int) -> Run:
    of, rng = case(kind, seed), default_rng([seed, 99])
    trials, searched = int(rng.integers(12, 51)), seed % 4 >= 2
    ledger, searcher = begun(of, seed), Auto()
    memo: dict[Any, Any] = {}
    configs, values = [], []
    for number in range(trials + MORE):
        if searched or number >= trials:
            ((config, origin),) = propose(ledger, searcher, 1, memo)
        else:
            config, origin = of.space.sample(rng), USERS
        configs.append(config)
        values.append(of.observe(config, rng))
        add(ledger, config, values[-1], origin)
    return Run(kind, seed, trials, searched, configs, values)


def begun(of: Case, seed: int) -> Ledger:
    return Ledger(StudySpec(name="s", space=of.space, objectives=(Objective("loss"),), seed=seed))


def add(ledger: Ledger, config: dict[str, Any], value: float, origin: Origin = USERS) -> None:
    number, at = ledger.size, float(ledger.size)
    ledger.apply(events.Suggested(at, number, config, origin, "s"))
    done = events.Finished(at, number, 0, State.COMPLETED, (value,), {"loss": value})
    ledger.apply(done)


def said(run: Run) -> dict[str, Any]:
    """What is said after the first trials, what is true, and what the other trials gained."""
    of = case(run.kind, run.seed)
    true = [of.true(config) for config in run.configs]
    ledger = begun(of, run.seed)
    for config, value in zip(run.configs[: run.trials], run.values, strict=False):
        add(ledger, config, value)
    trials = TrialArrays(ledger)
    sure, outlook = certainty(trials), look_ahead(History(ledger), MORE)
    first, incumbent = likely_best(trials), trials.incumbent
    rest = zip(run.configs[run.trials :], run.values[run.trials :], strict=True)
    for config, value in rest:
        add(ledger, config, value)
    last = likely_best(TrialArrays(ledger))
    assert sure is not None
    assert outlook is not None
    assert first is not None
    assert last is not None
    assert incumbent is not None
    begin = float(np.median(true[:8]))
    row: dict[str, Any] = {
        "kind": run.kind, "seed": run.seed, "trials": run.trials, "searched": int(run.searched),
        "noisy": int(sure.noisy), "unit": max(begin - min(true), 1e-12),
        "true_noise": of.noise(run.configs[first]), "noise": sure.noise,
        "truth": true[first], "low": sure.worth.low, "high": sure.worth.high, "value": sure.worth.value,
        "observed_truth": true[incumbent], "observed_low": sure.observed_worth.low,
        "observed_high": sure.observed_worth.high,
        "gain": outlook.gain, "bound": outlook.bound, "gained": true[first] - true[last],
    }  # fmt: skip
    return {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}


def runs(studies: Path, kinds: list[str], cases: int) -> Iterator[Run]:
    """Those that the file has, and the others, which are added to it."""
    known: dict[tuple[str, int], Run] = {}
    if studies.exists():
        for line in studies.read_text().splitlines():
            run = Run(**json.loads(line))
            known[run.kind, run.seed] = run
    with studies.open("a") as file:
        for seed in range(cases):
            for kind in kinds:
                made = known.get((kind, seed))
                if made is None:
                    made = study(kind, seed)
                    print(json.dumps(asdict(made)), file=file, flush=True)
                yield made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=40, help="of each kind")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--studies", type=Path, default=HERE / "studies.jsonl")
    parser.add_argument("--results", type=Path, default=HERE / "results.csv")
    args = parser.parse_args()
    rows = []
    for run in runs(args.studies, args.kinds.split(","), args.cases):
        rows.append(said(run))
        with args.results.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
