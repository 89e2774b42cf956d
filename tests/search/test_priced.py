"""Studies whose limit is a cost: what trials cost is learned, and the limit is spent well."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.store import MemoryStore
from tunesmith.tuning.replay import replay

SPACE = ts.Space(x=ts.Float(0, 1), size=ts.Float(1, 1000, log=True))


def objective(config: dict[str, Any]) -> dict[str, float]:
    return {"loss": (config["x"] - 0.3) ** 2 + 0.1 / config["size"], "seconds": config["size"]}


def run(**limits: Any) -> ts.Result:
    return ts.tune(
        objective, SPACE, metric="loss", cost_metric="seconds", seed=4, progress=False, **limits
    )


class TestLimit:
    def test_the_sum_of_the_metric_ends_the_study(self) -> None:
        result = run(cost=2000)
        assert result.ended_by == "cost"
        assert result.cost["money"] == pytest.approx(
            sum(t.metrics["seconds"] for t in result.trials)
        )
        assert (
            result.cost["money"] - result.trials[-1].metrics["seconds"]
            < 2000
            <= result.cost["money"]
        )

    def test_more_trials_than_without_a_look_at_the_cost(self) -> None:
        free = ts.tune(objective, SPACE, metric="loss", trials=40, seed=4, progress=False)
        spent = list(accumulate(t.metrics["seconds"] for t in free.trials))
        assert len(run(cost=spent[-1] / 2).trials) > sum(s < spent[-1] / 2 for s in spent) + 1

    def test_the_reason_names_the_cost(self) -> None:
        result = run(cost=5000, trials=1000)
        whys = [t.origin.why for t in result.trials if "; cost " in t.origin.why]
        powers = [float(why.rsplit(" ", 1)[1]) for why in whys]
        assert powers == sorted(powers, reverse=True)
        assert powers[0] > powers[-1]

    def test_a_limit_on_trials_that_comes_first_leaves_the_search_alone(self) -> None:
        free = ts.tune(objective, SPACE, metric="loss", trials=15, seed=4, progress=False)
        cheap = run(cost=1e9, trials=15)
        assert [t.config for t in cheap.trials] == [t.config for t in free.trials]

    def test_the_initial_design_is_a_quarter_of_what_fits(self) -> None:
        six = ts.Space({f"x{j}": ts.Float(0, 1) for j in range(6)})

        def design(**limits: Any) -> int:
            result = ts.tune(
                lambda c: {"loss": sum(c.values()), "seconds": 5.0}, six, metric="loss",
                cost_metric="seconds", seed=4, progress=False, **limits,
            )  # fmt: skip
            return sum("initial design" in t.origin.why for t in result.trials)

        assert design(cost=50) == design(trials=10) == 3
        assert design(cost=150) == design(trials=30) == 7

    def test_replays(self) -> None:
        store = MemoryStore()
        run(cost=1000, storage=store, name="study")
        assert replay(store, "study").problems == []

    def test_a_trial_that_does_not_say_what_it_cost_fails(self) -> None:
        result = ts.tune(
            lambda c: c["x"],
            SPACE,
            cost_metric="seconds",
            cost=5,
            trials=1,
            progress=False,
            searcher="random",
        )
        assert "'seconds'" in str(result.trials[0].reason)

    def test_one_price(self) -> None:
        with pytest.raises(ts.StudyError, match="not both"):
            run(cost=5, price_per_hour=3)
        with pytest.raises(ts.StudyError, match=r"price_per_hour, .*or cost_metric"):
            ts.tune(objective, SPACE, metric="loss", cost=5)
        with pytest.raises(ts.StudyError, match="the name of a metric"):
            ts.tune(objective, SPACE, metric="loss", cost_metric=5, cost=5)  # type: ignore[arg-type]
