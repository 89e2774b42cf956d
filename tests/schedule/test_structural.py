"""What may change in the middle of a run, and what may not: weights of one layout do not fit another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tests.core.driver import cancelled, completed, ledger, opened, requeued, started, suggested

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.errors import SpaceError, StrategyError
from tunesmith.core.trial import Kind, Origin, Reason, State
from tunesmith.strategy.population import changeable
from tunesmith.tuning.feed import Feed, fraction_done
from tunesmith.tuning.spec import make_spec

POPULATIONS = [{"pbt": {"max": 8, "interval": 2}}, {"pb2": {"max": 8, "interval": 2}}]


def test_what_is_structural() -> None:
    space = ts.Space(
        optimizer=ts.Choice("sgd", "adam"),
        batch=ts.Choice(16, 32, 64, ordered=True, structural=False),
        rate=ts.Float(1e-4, 1.0, log=True),
        frozen=ts.Float(0.0, 1.0, structural=True),
        layers=ts.Int(1, 4),
        width=ts.Int(8, 64, group="model"),
        last=ts.Float(0.1, 0.9, when="layers >= 3"),
        dropout=ts.Float(0.0, 0.5, group="model", structural=False),
    )
    assert space.structural == {"optimizer", "frozen", "layers", "width"}
    assert changeable("pbt", space, None) == ["batch", "rate", "last", "dropout"]
    again = ts.Space.from_dict(space.to_dict())
    assert again.structural == space.structural
    assert ts.Space.from_yaml(space.to_yaml()).structural == space.structural


def test_spaces_that_were_stored_before_read_on() -> None:
    old = {"rate": {"float": [0, 1]}, "kind": {"choice": ["a", "b"], "group": "optimizer"}}
    space = ts.Space.from_dict(old)
    assert space.structural == {"kind"}
    assert "structural" not in str(space.to_dict()), "what nobody said is not written"


@pytest.mark.parametrize("make", [ts.Float, ts.Int, ts.Choice])
def test_structural_is_true_or_false(make: Any) -> None:
    with pytest.raises(SpaceError, match="structural is True or False, not 'yes'"):
        make(1, 2, structural="yes")


@pytest.mark.parametrize("scheduler", POPULATIONS)
def test_a_population_with_nothing_to_change_is_an_error_at_once(scheduler: Any) -> None:
    space = {"kind": {"choice": ["a", "b"]}, "width": {"int": [1, 8], "group": "model"}}
    with pytest.raises(StrategyError, match=r"kind, width.*structural=False"):
        make_spec(space, name="s", scheduler=scheduler, limits={})
    space["kind"] = {"choice": ["a", "b"], "structural": False}
    make_spec(space, name="s", scheduler=scheduler, limits={})


@pytest.mark.parametrize(
    ("change", "message"),
    [(["rat"], "change has 'rat'.*did you mean"), (["width"], "'width', which the space calls")],
)
def test_what_change_names_is_checked_before_anything_runs(change: Any, message: str) -> None:
    space = ts.Space(rate=ts.Float(0, 1), width=ts.Int(1, 8, structural=True))
    scheduler = {"pbt": {"max": 8, "interval": 2, "change": change}}
    with pytest.raises(StrategyError, match=message):
        make_spec(space, name="s", scheduler=scheduler, limits={})


def test_change_may_name_a_choice() -> None:
    """Who names it has thought about it: jobs written before `structural` mean what they meant."""
    space = ts.Space(kind=ts.Choice("a", "b"))
    assert changeable("pbt", space, ["kind"]) == ["kind"]


def train(config: Mapping[str, Any], trial: ts.LiveTrial) -> float:
    """A run whose checkpoint fits one optimizer and one number of layers only."""
    mine = (config["optimizer"], config["layers"])
    place, shape = trial.restore((5.0, mine))
    assert shape == mine, "the weights of another network"
    for step in range(trial.step + 1, 9):
        place *= 1 - config["rate"] / (1 + step)
        trial.save((place, mine), step=step)
        trial.report(step=step, value=abs(place))
    return abs(float(place))


@pytest.mark.parametrize("scheduler", POPULATIONS)
def test_copies_keep_what_is_structural(scheduler: Any) -> None:
    space = ts.Space(
        rate=ts.Float(0.001, 0.9),
        optimizer=ts.Choice("sgd", "adam", ordered=True, group="optimizer"),
        layers=ts.Int(1, 4),
        units=ts.Float(0.0, 1.0, when="layers >= 2"),
    )
    result = ts.tune(
        train, space, trials=6, searcher="random", seed=3, scheduler=scheduler, progress=False
    )
    assert not result.counts[State.FAILED]
    copies = [t for t in result.trials if t.parent is not None]
    assert len(copies) >= 3
    for copy in copies:
        assert copy.parent is not None
        mother = result.trials[copy.parent]
        assert {k: copy.config[k] for k in ("optimizer", "layers")} == {
            k: mother.config[k] for k in ("optimizer", "layers")
        }
    assert any(
        copy.config["rate"] != result.trials[copy.parent or 0].config["rate"] for copy in copies
    )
    moment = Feed().moment(result.ledger, result.ledger.last_at)
    assert (moment.done, moment.trials, moment.copies) == (6, 6, len(copies))
    assert fraction_done(result.ledger, 0.0) == 1.0
    assert str(moment).startswith(f"6/6 trials and {len(copies)} copies · ")


def forked(number: int, parent: int, at: float = 4.0) -> events.Event:
    config = {"x": number / 64, "c": "a"}
    return events.Forked(at, number, parent, config, Origin("pbt", "as"), "s", 1, False)


def stopped(number: int) -> events.Event:
    reason = Reason(Kind.STOPPED, "gave way")
    return events.Finished(3.0, number, 0, State.STOPPED, None, {}, reason)


def test_runs_are_counted_once_whatever_becomes_of_their_copies() -> None:
    made = ledger(opened(), suggested(0), suggested(1), trials=2)
    assert (made.started_count, made.ended_count) == (2, 0)
    made.extend([stopped(1), forked(2, 0)])
    assert (made.started_count, made.ended_count, made.full) == (2, 0, True)
    made.apply(requeued(2))
    assert not made.full, "it has to be started again"
    made.extend([started(2, 1), cancelled(2)])
    assert made.full, "a copy that was cancelled left room for one more member"
    assert made.started_count == 2
    made.apply(completed(0, 0.5))
    assert made.ended_count == 2
    made.apply(events.Retracted(5.0, 0, "why", "me"))
    assert (made.started_count, made.ended_count) == (1, 1)
    made.apply(events.Retracted(5.0, 0, "why", "me", True))
    assert (made.started_count, made.ended_count) == (2, 2)


def test_progress_counts_what_the_limit_counts() -> None:
    """Cancelled and retracted trials made progress say 4/4 before the limit let the study end."""
    made = ledger(
        opened(),
        suggested(0),
        completed(0, 0.5),
        suggested(1),
        cancelled(1),
        suggested(2),
        trials=4,
    )
    assert str(Feed().moment(made, 5.0)).startswith("1/4 trials ·")
    assert fraction_done(made, 5.0) == 0.25
    made.extend([completed(2, 0.25), events.Retracted(5.0, 2, "why", "me")])
    assert str(Feed().moment(made, 5.0)).startswith("1/4 trials ·")
    assert np.isclose(fraction_done(made, 5.0) or 0.0, 0.25)
