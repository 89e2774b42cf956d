"""The training program under every scheduler, in this process, with few and tiny images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.recipes.images.pictures import bright_and_dark

import tunesmith as ts
from tunesmith.core.trial import State
from tunesmith.recipes.images.fitting import scheduler_for
from tunesmith.recipes.images.space import space
from tunesmith.recipes.images.train import ImageObjective, keep
from tunesmith.strategy.registry import names

EPOCHS = 9
SPACE = space(8, EPOCHS)
FIRST: dict[str, Any] = SPACE.default() | {"depth": 1, "filters": 8, "convolutions": 1}
#: What a scheduler has to be told.
NEEDED: dict[str, dict[str, Any]] = {
    "bandit": {"factor": 0.2},
    "truncation": {"percent": 30},
    "pb2": {"interval": 4},
    "threshold": {"worst": 0.4, "after": 2},
    "scripted": {"schedule": [[0, FIRST], [4, FIRST | {"crop": 0.2}]]},
}
#: How many trials, where that is not 9: a population's members, and a script's one run.
TRIALS = {"pbt": 4, "pb2": 4, "scripted": 1}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    keep(folder, "train", *bright_and_dark(48, seed=1))
    keep(folder, "validation", *bright_and_dark(30, seed=2))
    return folder


def search(
    prepared: Path, scheduler: str | Mapping[str, Any] | None, trials: int = 9, **more: Any
) -> ts.Result:
    return ts.tune(
        ImageObjective(str(prepared), 2, 255.0),
        SPACE,
        metric="accuracy",
        goal="maximize",
        scheduler=scheduler_for(scheduler, EPOCHS),
        searcher="random",
        enqueue=[FIRST],
        executor="inline",
        trials=trials,
        seed=1,
        progress=False,
        **more,
    )


@pytest.mark.parametrize("name", names("tunesmith.schedule", "tunesmith.schedulers"))
def test_every_scheduler(prepared: Path, name: str) -> None:
    result = search(prepared, {name: NEEDED.get(name, {})}, trials=TRIALS.get(name, 9))
    assert result.counts[State.FAILED] == 0
    assert result.counts[State.COMPLETED] > 0
    for trial in result.trials:
        steps = [report.step for report in trial.reports]
        assert steps == sorted(set(steps)), "no epoch is trained twice"
        if trial.state is State.COMPLETED:
            assert steps[-1] == EPOCHS


def test_a_promoted_trial_ends_where_an_undisturbed_one_does(prepared: Path) -> None:
    promoted = search(prepared, {"asha": {"type": "promotion"}})
    whole = search(prepared, None)
    done = [trial for trial in promoted.trials if trial.state is State.COMPLETED]
    assert done
    assert len(done) < len(promoted.trials)
    for trial in done:
        same = whole.trials[trial.number]
        assert same.config == trial.config
        assert [r.metrics["loss"] for r in trial.reports] == [
            r.metrics["loss"] for r in same.reports
        ]


def test_a_population_changes_only_how_it_is_trained(prepared: Path) -> None:
    result = search(prepared, {"pbt": {"interval": 3}}, trials=4)
    copies = [trial for trial in result.trials if trial.number >= 4]
    assert copies
    model = [n for n, p in SPACE.parameters.items() if p.group == "model"]
    kept = [tuple(trial.config.get(n) for n in model) for trial in result.trials[:4]]
    for copy in copies:
        assert tuple(copy.config.get(n) for n in model) in kept


def test_a_training_that_would_take_too_long_is_given_up_but_for_the_first(
    prepared: Path,
) -> None:
    result = ts.tune(
        ImageObjective(str(prepared), 2, 255.0, limit_s=1e-6),
        SPACE,
        metric="accuracy",
        goal="maximize",
        enqueue=[FIRST],
        executor="inline",
        trials=3,
        seed=1,
        progress=False,
    )
    assert [t.state for t in result.trials] == [State.COMPLETED, State.FAILED, State.FAILED]
    reason = result.trials[1].reason
    assert reason is not None
    assert "TooSlow: 9 epochs would take more than" in reason.message
    assert not result.trials[1].reports
