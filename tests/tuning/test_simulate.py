"""Studies in virtual time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.base import Executor, Happened
from tunesmith.run.simulate import SimulateExecutor
from tunesmith.tuning.simulate import simulate

SPACE = ts.Space(x=ts.Float(0, 1), lr=ts.Float(1e-5, 1, log=True))


def curve(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """81 epochs; slower with larger x."""
    floor = (config["x"] - 0.3) ** 2 + 0.1 * abs(math.log10(config["lr"]) + 3)
    for epoch in range(1, 82):
        yield 10.0 * (1.0 + config["x"]), floor + 1.0 / epoch


def run(**options: Any) -> Any:
    return simulate(curve, SPACE, searcher="random", seed=1, **options)


class TestStudies:
    def test_time_is_what_it_would_take(self) -> None:
        simulated = run(trials=1)
        config = simulated.result.trials[0].config
        assert simulated.elapsed_s == pytest.approx(81 * 10 * (1 + config["x"]))
        assert simulated.busy == pytest.approx(1.0)
        assert simulated.result.trials[0].cost.wall_s == pytest.approx(simulated.elapsed_s)

    def test_workers_share_the_work(self) -> None:
        """The elapsed time is that of a list schedule of the trials' times."""
        simulated = run(trials=9, parallel=4)
        ends = [0.0] * 4
        for trial in simulated.result.trials:
            k = ends.index(min(ends))
            ends[k] += 810 * (1 + trial.config["x"])
        assert simulated.elapsed_s == pytest.approx(max(ends))
        assert simulated.busy == pytest.approx(sum(ends) / 4 / max(ends))

    def test_a_limit_on_time_is_virtual(self) -> None:
        simulated = run(time="1h", parallel=8)
        assert simulated.result.ended_by == "time"
        assert simulated.elapsed_s == pytest.approx(3600, abs=60)

    def test_the_same_seed_gives_the_same(self) -> None:
        def outcome() -> Any:
            simulated = run(trials=60, parallel=7, scheduler={"asha": {"max": 81}})
            return [(t.state, t.value, len(t.reports)) for t in simulated.result.trials]

        assert outcome() == outcome()

    def test_halving_saves_most_of_the_time_and_keeps_workers_busy(self) -> None:
        whole = run(trials=200, parallel=8)
        halved = run(trials=200, parallel=8, scheduler={"asha": {"max": 81}})
        assert halved.elapsed_s < 0.25 * whole.elapsed_s
        assert halved.result.best.value < whole.result.best.value + 0.01
        busy = run(time="3h", parallel=32, scheduler={"asha": {"max": 81}}).busy
        assert busy > 0.98

    def test_a_curve_that_raises_is_a_failed_trial(self) -> None:
        def broken(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
            yield 1.0, 0.5
            raise ValueError("diverged")

        simulated = simulate(broken, SPACE, searcher="random", trials=3, same_error=None)
        assert [str(t.state) for t in simulated.result.trials] == ["failed"] * 3
        assert "diverged" in str(simulated.result.trials[0].reason)

    def test_what_is_not_finite(self) -> None:
        simulated = simulate(lambda _: [(1.0, math.nan)], SPACE, searcher="random", trials=1)
        assert str(simulated.result.trials[0].state) == "failed"


class TestExecutor:
    def test_events_come_in_order_of_time_and_wait_for_an_answer(self) -> None:
        executor = SimulateExecutor(lambda c: [(c["s"], 1.0), (c["s"], 2.0)], metric="loss")
        assert isinstance(executor, Executor)
        executor.start(_start(0, {"s": 3.0}))
        executor.start(_start(1, {"s": 2.0}))
        seen: list[tuple[float, Happened]] = []
        for _ in range(6):
            (event,) = executor.events(0.0)
            seen.append((executor.clock(), event))
        recorded = [(at, e.trial, type(e).__name__) for at, e in seen]
        assert recorded == [
            (2.0, 1, "Reported"),
            (3.0, 0, "Reported"),
            (4.0, 1, "Reported"),
            (4.0, 1, "Exited"),
            (6.0, 0, "Reported"),
            (6.0, 0, "Exited"),
        ]
        last = seen[3][1]
        assert isinstance(last, Exited)
        assert last.returned == {"loss": 2.0}
        assert last.cost.wall_s == 4.0
        assert executor.events(0.5) == []
        assert executor.clock() == 6.5

    def test_a_stopped_trial_ends_at_once(self) -> None:
        executor = SimulateExecutor(lambda _: [(5.0, 1.0)] * 9, metric="loss")
        executor.start(_start(0, {}))
        assert isinstance(executor.events(0.0)[0], Reported)
        executor.stop(Stop(0, Reason(Kind.STOPPED, "enough"), 1.0))
        executor.stop(Stop(7, Reason(Kind.STOPPED, "who?"), 1.0))
        (exited,) = executor.events(0.0)
        assert isinstance(exited, Exited)
        assert (exited.at, exited.reason) == (5.0, Reason(Kind.STOPPED, "enough"))
        executor.start(_start(1, {}))
        executor.close()
        assert executor.events(0.0) == []


def _start(number: int, config: dict[str, Any]) -> Start:
    return Start(number, 0, config, 0)
