"""Studies on fleets, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.errors import StudyError
from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.core.trial import Kind, Reason, State
from tunesmith.run.base import Elastic, Executor
from tunesmith.run.simulated_fleet import FleetSimulator, SimulatedFleet
from tunesmith.tuning.launch import launch
from tunesmith.tuning.simulate import simulate
from tunesmith.tuning.spec import make_spec

SPACE = ts.Space(x=ts.Float(0, 1))
STEPS = 6


def curve(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
    for epoch in range(1, STEPS + 1):
        yield 10.0 * (1.0 + config["x"]), (config["x"] - 0.3) ** 2 + 1.0 / epoch


def run(fleet: SimulatedFleet, **options: Any) -> Any:
    return simulate(curve, SPACE, searcher="random", seed=1, fleet=fleet, **options)


def test_trials_of_nodes_that_fail_go_on_elsewhere() -> None:
    """Uncharged, and from where they were."""
    fleet = SimulatedFleet(20, places=2, lives_s=200.0, returns_s=60.0, begins_s=5.0)
    simulated = run(fleet, trials=100, retries=0)
    (strain,) = simulated.strain
    assert strain.failures > 5
    assert {t.state for t in simulated.result.trials} == {State.COMPLETED}
    assert any(t.attempt for t in simulated.result.trials)
    for trial in simulated.result.trials:
        assert [r.step for r in trial.reports] == list(range(1, STEPS + 1))
    steady = run(SimulatedFleet(20, places=2), trials=100)
    assert simulated.elapsed_s > steady.elapsed_s
    assert simulated.busy < steady.busy


def test_without_thinking_the_same_seed_gives_the_same() -> None:
    fleet = SimulatedFleet(7, lives_s=200.0, message_s=0.01, commit_s=0.01)

    def outcome() -> Any:
        simulated = run(fleet, trials=60, scheduler={"asha": {"max": STEPS}})
        return [(t.state, t.value, len(t.reports)) for t in simulated.result.trials]

    assert outcome() == outcome()


def test_a_coordinator_that_cannot_keep_up_is_seen() -> None:
    """10 places report each 15 s: 0.7 messages a second, each of which takes 2 s, and its answer as long."""
    slow = run(SimulatedFleet(10, message_s=2.0), trials=30)
    quick = run(SimulatedFleet(10, message_s=0.002), trials=30)
    assert slow.strain[0].busy > 0.9
    assert slow.strain[0].waited_s[1] > 10.0
    assert quick.strain[0].busy < 0.01
    assert quick.strain[0].waited_s[1] < 0.1
    assert slow.elapsed_s > 1.5 * quick.elapsed_s


def test_its_own_time_counts() -> None:
    busy = [run(SimulatedFleet(10, thinking=k), trials=20).strain[0].busy for k in (0.0, 1000.0)]
    assert busy[0] == 0.0
    assert busy[1] > 0.0


def test_several_coordinators_share_a_fleet() -> None:
    fleet = SimulatedFleet(9, lives_s=400.0, arrives_s=3.0, seed=4)
    simulated = run(fleet, time="5m", coordinators=3)
    assert len(simulated.strain) == 3
    assert all(strain.messages > 20 for strain in simulated.strain)
    assert simulated.result.ended_by == "time"
    assert simulated.elapsed_s == pytest.approx(300.0, abs=60.0)
    completed = [t for t in simulated.result.trials if t.state is State.COMPLETED]
    assert len(completed) > 9
    for trial in completed:
        assert [r.step for r in trial.reports] == list(range(1, STEPS + 1))


def test_what_cannot_be() -> None:
    for options in ({"nodes": 0}, {"nodes": 1, "lives_s": 0.0}, {"nodes": 1, "message_s": -1.0}):
        with pytest.raises(StudyError):
            SimulatedFleet(**options)
    with pytest.raises(StudyError, match="as many workers as places"):
        run(SimulatedFleet(2), trials=1, parallel=3)
    with pytest.raises(StudyError, match=r"coordinators: 1 to 2"):
        run(SimulatedFleet(2), trials=1, coordinators=3)
    with pytest.raises(StudyError, match="several need a fleet"):
        simulate(curve, SPACE, trials=1, coordinators=2)


def test_a_study_ends_though_no_place_is_left() -> None:
    """It had waited for one, for a trial that nobody wanted."""

    class Last(FleetSimulator):
        turns = 0

        def room(self, wanted: int) -> int:
            if self._steps.get(0) != STEPS:
                return super().room(wanted)
            self.turns += 1
            assert self.turns < 100, "the study does not end"
            return 0

    spec = make_spec(
        SPACE, name="s", metric="value", goal="minimize", searcher="random", limits={"trials": 1}
    )
    last = Last(curve, SimulatedFleet(1), metric="value")
    result = launch(spec, None, lambda _: last, clock=last.clock)
    assert result.counts[State.COMPLETED] == 1


def test_the_executor() -> None:
    executor = FleetSimulator(lambda _: [(5.0, 1.0)] * 9, SimulatedFleet(1), metric="loss")
    assert isinstance(executor, Executor)
    assert isinstance(executor, Elastic)
    assert executor.room(1) == 0
    assert executor.events(0.0) == []
    assert executor.room(3) == 1
    executor.start(Start(0, 0, {}, 0))
    assert executor.room(1) == 0
    (reported,) = executor.events(60.0)
    assert isinstance(reported, Reported)
    assert reported.at == 5.0
    assert executor.events(2.0) == []
    executor.stop(Stop(0, Reason(Kind.INTERRUPTED, "for now"), 1.0))  # in the midst of a step
    executor.stop(Stop(7, Reason(Kind.STOPPED, "who?"), 1.0))
    (exited,) = executor.events(60.0)
    assert isinstance(exited, Exited)
    assert (exited.at, exited.reason) == (7.0, Reason(Kind.INTERRUPTED, "for now"))
    executor.start(Start(0, 1, {}, 0))
    (reported,) = executor.events(60.0)
    assert isinstance(reported, Reported)
    assert (reported.at, reported.attempt, reported.step) == (12.0, 1, 2)
    executor.close()
    assert executor.events(0.0) == []


def test_what_a_lost_attempt_reported_does_not_hurry_the_next() -> None:
    fleet = SimulatedFleet(1, lives_s=7.0, noticed_s=0.0, returns_s=1.0, begins_s=0.0)
    executor = FleetSimulator(lambda _: [(5.0, 1.0)] * 9, fleet, metric="loss")
    executor.room(1)
    executor.events(0.0)
    executor.room(1)
    executor.start(Start(0, 0, {}, 0))
    executor._reported.add(0)  # its report and its node's end were heard at once
    executor._exit(executor._running[0])
    assert executor._reported == set()
