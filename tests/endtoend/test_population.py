"""Population-based training of a real small network, in processes of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.tuning.replay import replay

EPOCHS = 16


def train(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    """A network on scikit-learn's digits; its learning rate may change from part to part."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    inputs, labels = load_digits(return_X_y=True)
    inputs = inputs / 16.0
    network = trial.restore()
    if network is None:
        network = MLPClassifier((config["hidden"],), solver="sgd", random_state=0)
    network.learning_rate_init = config["rate"]
    if hasattr(network, "_optimizer"):
        network._optimizer.learning_rate = config["rate"]
        network._optimizer.learning_rate_init = config["rate"]
    loss = 0.0
    for epoch in range(trial.step + 1, EPOCHS + 1):
        network.partial_fit(inputs[:1200], labels[:1200], classes=np.arange(10))
        chances = network.predict_proba(inputs[1200:])[np.arange(597), labels[1200:]]
        loss = float(-np.mean(np.log(chances + 1e-9)))
        trial.save(network, step=epoch)
        trial.report(step=epoch, loss=loss)
    return loss


@pytest.mark.parametrize("scheduler", ["pbt", "pb2"])
def test_a_network_learns_better_in_a_population(tmp_path: Path, scheduler: str) -> None:
    space = ts.Space(
        rate=ts.Float(1e-4, 1.0, log=True, group="optimizer"),
        hidden=ts.Choice(16, 32, ordered=True, group="model"),
    )

    def run(name: str, scheduler: Any) -> ts.Result:
        return ts.tune(
            train,
            space,
            metric="loss",
            name=name,
            storage=tmp_path / "study.db",
            searcher="random",
            seed=5,
            trials=4,
            parallel=2,
            scheduler=scheduler,
            progress=False,
        )

    alone = run("alone", None)
    together = run("together", {scheduler: {"max": EPOCHS, "interval": 2}})

    def mean(result: ts.Result) -> float:
        ended = [t.value for t in result.trials if t.state is ts.State.COMPLETED]
        return float(np.mean([value for value in ended if value is not None]))

    # Who copies whom depends on who comes first; that the bad ones are gone does not.
    assert mean(together) < 0.7 * mean(alone)
    copies = [trial for trial in together.trials if trial.parent is not None]
    assert len(copies) >= 3
    for copy in copies:
        assert copy.parent is not None
        mother = together.trials[copy.parent]
        assert copy.config["hidden"] == mother.config["hidden"], "it has the weights of that size"
    epochs = sum(len(trial.reports) for trial in together.trials)
    assert epochs <= 4 * EPOCHS + 2 * len(copies)
    with ts.Study.open("together", storage=tmp_path / "study.db") as study:
        assert replay(study.store, "together").problems == []
