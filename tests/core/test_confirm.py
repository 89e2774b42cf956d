"""An honest winner: who is best, and how sure that is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.core.driver import completed, opened, spec, suggested

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.confirm import confirmed_contenders, contenders, next_run
from tunesmith.core.history import History
from tunesmith.core.incumbent import Confirmed, _quantile
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import CONFIRM, Origin
from tunesmith.tuning.replay import replay


def study(values: list[float], again: dict[int, list[float]]) -> History:
    """Trials with `values`, and runs of theirs."""
    ledger = Ledger(spec(seed=3)).extend([opened()])
    for number, value in enumerate(values):
        ledger.extend([suggested(number), completed(number, value)])
    for trial, runs in again.items():
        for value in runs:
            number = ledger.size
            origin = Origin(CONFIRM, "once more")
            config = ledger.config(trial)
            ledger.apply(events.Enqueued(4.0, number, config, origin, {}, trial))
            ledger.apply(events.Started(4.0, number, 0, "s"))
            ledger.apply(completed(number, value))
    return History(ledger)


def test_repeats_are_no_contenders() -> None:
    history = study([0.3, 0.1, 0.2], {1: [0.0, 0.05]})
    assert contenders(history, 2) == [1, 2]


def test_means_of_the_repeats_count_and_not_the_value_that_won() -> None:
    history = study([0.30, 0.10, 0.20], {1: [0.5, 0.6], 2: [0.2, 0.3]})
    first, second = confirmed_contenders(history, 2)
    assert (first.trial, first.before, first.mean, first.runs) == (2, 0.2, 0.25, 2)
    assert (second.trial, second.before, second.mean) == (1, 0.1, 0.55)
    assert first.chance > 0.95
    assert first.chance + second.chance == pytest.approx(1.0)
    # pooled: s^2 = (0.005 + 0.005) / 2, 2 degrees of freedom, t = 4.303
    assert first.within == pytest.approx(4.303 * math.sqrt(0.005 / 2), rel=1e-3)


def test_who_runs_next() -> None:
    values = [0.1, 0.2, 0.3, 0.9]
    assert next_run(study(values, {}), 3) == 0
    assert next_run(study(values, {0: [0.1, 0.1], 1: [0.2]}), 3) == 2
    near = {0: [0.1, 0.3], 1: [0.2, 0.21, 0.22], 2: [5.0, 5.2]}
    assert next_run(study(values, near), 3) == 0, "of the two likeliest the less often run"
    sure = {0: [0.1, 0.1], 1: [5.0, 5.1], 2: [5.0, 5.1]}
    assert next_run(study(values, sure), 3) is None
    assert next_run(study([], {}), 3) is None


def test_quantiles() -> None:
    from scipy.stats import t

    for freedom in (1, 2, 3, 5, 6, 8, 15, 60):
        assert _quantile(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=3e-3)


def test_in_words() -> None:
    assert str(Confirmed(3, 0.9, 0.85, 0.02, 4, 0.97)) == (
        "0.9 then; run 4 times more: 0.85 ± 0.02; the best of them with a probability of 97 %"
    )


def noisy(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    return float((config["x"] - 0.3) ** 2 + 0.03 * np.random.default_rng(trial.seed).normal())


def test_a_study_confirms_its_best(tmp_path: Any) -> None:
    result = ts.tune(
        noisy,
        ts.Space(x=ts.Float(0, 1)),
        name="s",
        storage=tmp_path / "study.db",
        trials=80,
        seed=1,
        searcher="random",
        confirm=3,
        scheduler="median",
        parallel=2,
        progress=False,
    )
    confirmed = result.confirmed
    assert len(confirmed) == 3
    assert sum(c.runs for c in confirmed) == len(result.trials) - 64
    assert result.to_dict()["best"] == result.best.number == confirmed[0].trial
    assert all(c.before < c.mean for c in confirmed), "the best of many is best by luck, too"
    again = [t for t in result.trials if t.origin.searcher == CONFIRM]
    assert len({t.seed for t in again}) == len(again)
    assert all(t.config == result.trials[t.parent].config for t in again if t.parent is not None)
    with ts.Study.open("s", storage=tmp_path / "study.db") as opened_again:
        assert opened_again.best.number == result.best.number
        assert replay(opened_again.store, "s").problems == []


def test_a_space_that_is_exhausted_before() -> None:
    space = ts.Space(x=ts.Choice(0.1, 0.3, 0.5))
    result = ts.tune(noisy, space, trials=100, seed=1, confirm=2, progress=False)
    assert result.ended_by == "confirmed"
    assert result.best.config["x"] == 0.3
    assert "is the best of 2: " in result.ended


def test_there_have_to_be_trials_left() -> None:
    with pytest.raises(ts.StudyError, match="confirm=3 needs 6 trials for itself; trials=6"):
        ts.tune(noisy, ts.Space(x=ts.Float(0, 1)), trials=6, confirm=3, progress=False)


def test_several_objectives_have_no_winner() -> None:
    with pytest.raises(
        ts.StudyError, match="confirm needs a single objective; this study has a, b"
    ):
        ts.Study.create(ts.Space(x=ts.Float(0, 1)), metric=["a", "b"], confirm=2)


def test_the_stated_probability_holds() -> None:
    """Of contenders whose true means differ little, the winner is the true best about as often as is said."""
    rng = np.random.default_rng(0)
    chances, right = [], []
    for _ in range(150):
        truth = rng.normal(0.0, 1.0, size=3)
        again = {k: (truth[k] + rng.normal(0.0, 1.0, size=4)).tolist() for k in range(3)}
        first = confirmed_contenders(study((truth + rng.normal(size=3)).tolist(), again), 3)[0]
        chances.append(first.chance)
        right.append(first.trial == int(np.argmin(truth)))
    assert np.mean(chances) == pytest.approx(np.mean(right), abs=0.1)
