"""How sure the best is: right on functions whose truth and noise are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.analysis.studies import complete, fail, stop, study

from tunesmith.analysis import findings
from tunesmith.analysis.certainty import certainty
from tunesmith.analysis.importance import importance
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import Float
from tunesmith.core.space.space import Space

CUBE = Space(a=Float(0, 1), b=Float(0, 1), c=Float(0, 1))


def truth(config: dict[str, Any]) -> float:
    return float((config["a"] - 0.3) ** 2 + 0.5 * (config["b"] - 0.6) ** 2 + 0.1 * config["c"])


def noisy_study(seed: int, noise: float, trials: int = 40, sign: float = 1.0) -> Ledger:
    goal = "minimize" if sign > 0 else "maximize"
    made, rng = study(CUBE, goal=goal), np.random.default_rng(seed)
    for _ in range(trials):
        config = CUBE.sample(rng)
        complete(made, config, sign * (truth(config) + noise * float(rng.normal())))
    return made


@pytest.mark.parametrize(("noise", "within"), [(0.02, 0.2), (0.1, 0.2)])
def test_chances_and_intervals_come_true(noise: float, within: float) -> None:
    """What is said to be likely happens so often, over studies; that values have noise no result tells, here."""
    said, happened, held = [], [], []
    for seed in range(40):
        trials = TrialArrays(noisy_study(seed, noise))
        sure = certainty(trials)
        assert sure is not None
        assert trials.best is not None
        worth = [truth(trials.ledger.config(k)) for k in range(trials.size)]
        said.append(sure.chance)
        happened.append(worth[trials.best] <= min(worth))
        held.append(sure.worth.low <= worth[trials.best] <= sure.worth.high)
    assert np.mean(said) == pytest.approx(np.mean(happened), abs=within)
    assert np.mean(held) > 0.79


def test_without_noise_the_best_is_the_best() -> None:
    trials = TrialArrays(noisy_study(0, 0.0))
    sure = certainty(trials)
    assert sure is not None
    assert sure.chance > 0.95
    assert not sure.noisy
    said = findings.sureness(trials, sure, importance(trials.history))
    assert said == [
        "The same config run again would reach nearly the same, by what the trials say."
    ]


def test_noise_flatters_the_best() -> None:
    for sign in (1.0, -1.0):
        made, rng = noisy_study(3, 0.1, trials=20, sign=sign), np.random.default_rng(4)
        for k in range(20):  # each config again, which tells noise from roughness
            again = made.config(k)
            complete(made, again, sign * (truth(again) + 0.1 * float(rng.normal())))
        trials = TrialArrays(made)
        sure = certainty(trials)
        assert sure is not None
        assert trials.incumbent is not None
        reached = trials.ledger.values(trials.incumbent)
        assert reached is not None
        assert sign * (sure.observed_worth.value - reached[0]) > 0
        assert sure.worth.low < sure.worth.value < sure.worth.high
        assert sure.noise == pytest.approx(0.1, rel=0.4)
        said = "\n".join(findings.sureness(trials, sure, importance(trials.history)))
        assert "by luck" in said
        assert "is truly the best of the 40 completed trials with a probability of" in said


def test_the_same_config_run_again_is_no_rival() -> None:
    made = noisy_study(0, 0.0, trials=20)
    best = TrialArrays(made).best
    assert best is not None
    again = made.config(best)
    complete(made, again, truth(again) + 1e-9)
    sure = certainty(TrialArrays(made))
    assert sure is not None
    assert sure.chance > 0.95


def test_stopped_and_failed_trials_are_no_evidence() -> None:
    made = noisy_study(1, 0.02)
    before = certainty(TrialArrays(made))
    rng = np.random.default_rng(9)
    for _ in range(30):
        stop(made, CUBE.sample(rng), (9.0, 8.0))
        fail(made, CUBE.sample(rng))
    after = certainty(TrialArrays(made))
    assert before is not None
    assert after is not None
    assert after.worth.value == pytest.approx(before.worth.value, abs=0.01)


def test_too_little_to_say() -> None:
    assert certainty(TrialArrays(study(CUBE))) is None
    few = TrialArrays(noisy_study(0, 0.1, trials=5))
    assert certainty(few) is None
    assert findings.sureness(few, None, None) == [
        "Only 5 trials ran to the end: too few to say how much luck is in the best value."
    ]
    rng, made = np.random.default_rng(0), study(CUBE)
    for _ in range(40):
        complete(made, CUBE.sample(rng), float(rng.normal()))
    alone = TrialArrays(made)
    said = findings.sureness(alone, certainty(alone), importance(alone.history))
    assert said[0].startswith("The parameters explain too little")
    both = study(CUBE, metrics=("error", "size"))
    for _ in range(20):
        config = CUBE.sample(rng)
        complete(both, config, config["a"], config["b"])
    assert certainty(TrialArrays(both)) is None
