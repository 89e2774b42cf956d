"""What every door to a study has to do: the same happenings give the same events, ends and costs included.

A door is a way to run a study: the loop of `tune`, ask and tell, a service. Each script says what a study's trials
do; the checks drive it through the door and compare what the store holds then with what it has to hold. Whoever has
the verbs of ask and tell writes a `Client` and lets `drive` run it; an executor's door runs `ScriptedExecutor`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from tunesmith.core import events
from tunesmith.core.events import Event, Exited, Reported, Start, Stop
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Objective
from tunesmith.core.outcome import finite
from tunesmith.core.space.parameter import Int
from tunesmith.core.space.space import Config, Space
from tunesmith.core.study import Strategy, StudySpec
from tunesmith.core.trial import Cost, Kind, Reason
from tunesmith.run.base import Happened
from tunesmith.testing.check import Check


class Clock:
    """A time that passes when it is told to (s)."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Fate(NamedTuple):
    """What a trial does: it reports `reports` at steps 1, 2, .., one a second, and a second later it returns
    `returned`, or fails."""

    returned: Any = None
    reports: Sequence[float] = ()
    failed: str | None = None


@dataclass(frozen=True)
class Script:
    """A study over the numbers `k` from 1 to `numbers`, searched in this order; what its trials do, in the order of
    their numbers (the last fate is that of all that follow); and the events that come of it, in words."""

    fates: Sequence[Fate]
    expected: Sequence[str]
    limits: Mapping[str, Any] = field(default_factory=dict)
    scheduler: Mapping[str, Any] | None = None
    deterministic: bool = False
    numbers: int = 99
    queue: Sequence[Config] = ()

    @property
    def spec(self) -> StudySpec:
        return StudySpec(
            name="script",
            space=Space(k=Int(1, self.numbers)),
            objectives=(Objective("loss"),),
            limits=Limits(trial_silence="off", **self.limits),
            searcher=Strategy("grid", {"levels": self.numbers}),
            scheduler=None if self.scheduler is None else Strategy.of(self.scheduler),
            deterministic=self.deterministic,
        )

    def fate(self, trial: int) -> Fate:
        return self.fates[min(trial, len(self.fates) - 1)]


class Door(Protocol):
    """A way to run a study."""

    def run(self, script: Script, clock: Clock) -> Iterable[Event]:
        """Create `script.spec`, enqueue `script.queue`, run one trial after the other until the study is over; all
        that is stored of it then. Times are those of `clock`."""
        ...


class Client(Protocol):
    """The verbs of ask and tell."""

    def ask(self) -> int | None:
        """The next trial; None once the study is over."""
        ...

    def report(self, trial: int, step: int, loss: float) -> bool:
        """Whether the trial is to stop."""
        ...

    def tell(self, trial: int, returned: Any, failed: str | None) -> None: ...


def drive(client: Client, script: Script, clock: Clock) -> None:
    """Run the trials of `script` by asking and telling."""
    for _ in range(_MOST_ATTEMPTS):
        trial = client.ask()
        if trial is None:
            return
        fate = script.fate(trial)
        for step, loss in enumerate(fate.reports, start=1):
            clock.advance(1.0)
            if client.report(trial, step, loss):
                client.tell(trial, None, None)
                break
        else:
            clock.advance(1.0)
            client.tell(trial, fate.returned, fate.failed)
    raise AssertionError("the study does not end")


class ScriptedExecutor:
    """Runs the trials of `script` one after the other; see `tunesmith.run.base.Executor`."""

    def __init__(self, script: Script, clock: Clock) -> None:
        self._script = script
        self._clock = clock
        self._waiting: deque[Start] = deque()
        self._began = 0.0
        self._step = 0
        self._stopped: Reason | None = None
        self._turns = 0

    def start(self, command: Start) -> None:
        self._waiting.append(command)
        self._began, self._step, self._stopped = self._clock(), 0, None

    def stop(self, command: Stop) -> None:
        self._stopped = command.reason

    def events(self, timeout_s: float) -> list[Happened]:
        self._turns += 1
        assert self._turns < 10 * _MOST_ATTEMPTS, "the study does not end"
        if not self._waiting:
            return []
        start = self._waiting[0]
        fate = self._script.fate(start.trial)
        if self._stopped is not None:
            return [self._exit(start, None, self._stopped)]
        self._clock.advance(1.0)
        if self._step < len(fate.reports):
            loss = fate.reports[self._step]
            self._step += 1
            metrics = finite({"loss": loss})
            return [Reported(self._clock(), start.trial, start.attempt, self._step, metrics)]
        failed = None if fate.failed is None else Reason(Kind.ERROR, fate.failed)
        return [self._exit(start, None if failed else fate.returned, failed)]

    def close(self) -> None:
        self._waiting.clear()

    def _exit(self, start: Start, returned: Any, reason: Reason | None) -> Exited:
        self._waiting.popleft()
        cost = Cost(self._clock() - self._began)
        return Exited(self._clock(), start.trial, start.attempt, returned, reason, cost)


def door_checks(make: Callable[[], Door]) -> list[Check]:
    """The checks for the door that `make` gives."""
    return [Check(name, partial(_check, make, script)) for name, script in SCRIPTS.items()]


def _check(make: Callable[[], Door], script: Script) -> None:
    happened = [in_words(event) for event in essence(make().run(script, Clock()))]
    assert happened == [*script.expected], "\n".join(happened)


def essence(history: Iterable[Event]) -> list[Event]:
    """The events, but for who was at work: no sessions."""
    return [
        msgspec.structs.replace(event, session="") if hasattr(event, "session") else event
        for event in history
        if not isinstance(event, (events.Opened, events.Closed))
    ]


def in_words(event: Event) -> str:
    """An event as the scripts have it."""
    match event:
        case events.Suggested(trial=n, config=config):
            return f"suggested {n}: {config['k']}"
        case events.Enqueued(trial=n, config=config):
            return f"enqueued {n}: {config['k']}"
        case events.Started(trial=n, attempt=attempt):
            return f"started {n}, attempt {attempt}"
        case events.Reported(trial=n, step=step, metrics=metrics):
            return f"reported {n} at {step}: {_number(metrics['loss'])}"
        case events.Decided(trial=n, decision=decision):
            return f"decided {n}: {decision}"
        case events.Finished(trial=n, state=state, reason=reason, cost=cost):
            what = _number(event.values[0]) if event.values else "no value"
            why = "" if reason is None else f" ({reason.kind})"
            return f"finished {n}: {state} {what}{why}, {_spent(cost)}"
        case events.Requeued(trial=n, reason=reason, cost=cost):
            return f"requeued {n} ({reason.kind}), {_spent(cost)}"
        case events.Ended(why=why):
            return f"ended: {why}"
    return type(event).__name__


def _number(value: float | None) -> str:
    return "nan" if value is None or math.isnan(value) else f"{value:g}"


def _spent(cost: Cost) -> str:
    wall_s = "?" if cost.wall_s is None else f"{cost.wall_s:g}"
    return f"{wall_s} s" if cost.money is None else f"{wall_s} s, money {cost.money:g}"


def _done(trial: int, value: float, money: str = "") -> list[str]:
    """A trial that is completed after a second."""
    return [f"suggested {trial}: {trial + 1}", f"finished {trial}: completed {value:g}, 1 s{money}"]


def _failed(trial: int) -> list[str]:
    return [f"suggested {trial}: {trial + 1}", f"finished {trial}: failed no value (error), 1 s"]


_MOST_ATTEMPTS: Final = 100
_HALF, _QUARTER = Fate(0.5), Fate(0.25)

#: What is driven through every door.
SCRIPTS: Final[dict[str, Script]] = {
    "trials": Script(
        [_HALF, _QUARTER],
        [*_done(0, 0.5), *_done(1, 0.25), "ended: trials"],
        limits={"trials": 2},
    ),
    "an_exhausted_space": Script(
        [_HALF],
        [*_done(0, 0.5), *_done(1, 0.5), "ended: exhausted"],
        numbers=2,
    ),
    "a_price_and_a_cost_limit": Script(
        [_HALF],
        [line for n in range(3) for line in _done(n, 0.5, ", money 1")] + ["ended: cost"],
        limits={"cost": 2.5, "price_per_hour": 3600},
    ),
    "a_target": Script(
        [_HALF, _QUARTER],
        [*_done(0, 0.5), *_done(1, 0.25), "ended: target"],
        limits={"target": 0.3},
    ),
    "no_improvement": Script(
        [_QUARTER, _HALF],
        [*_done(0, 0.25), *_done(1, 0.5), *_done(2, 0.5), "ended: no_improvement"],
        limits={"no_improvement": 2},
    ),
    "no_improvement_for_a_while": Script(
        [_QUARTER, _HALF],
        [
            *_done(0, 0.25),
            *(line for n in (1, 2, 3) for line in _done(n, 0.5)),
            "ended: no_improvement",
        ],
        limits={"no_improvement_time": 2.5},
    ),
    "time": Script(
        [_HALF],
        [line for n in range(3) for line in _done(n, 0.5)] + ["ended: time"],
        limits={"time": 2.5},
    ),
    "compute_time": Script(
        [_HALF],
        [line for n in range(3) for line in _done(n, 0.5)] + ["ended: compute_time"],
        limits={"compute_time": 2.5},
    ),
    "failures_in_a_row": Script(
        [_HALF, Fate(failed="no disk"), Fate(failed="no network")],
        [*_done(0, 0.5), *_failed(1), *_failed(2), "ended: failures"],
        limits={"failures_in_a_row": 2},
    ),
    "the_same_error": Script(
        [Fate(failed="no disk")],
        [*_failed(0), *_failed(1), *_failed(2), "ended: failures"],
        limits={"same_error": 3},
    ),
    "a_rate_of_failures": Script(
        [_HALF, Fate(failed="no disk")] * 10,
        [line for n in range(0, 20, 2) for line in (*_done(n, 0.5), *_failed(n + 1))]
        + ["ended: failures"],
        limits={"failure_rate": 0.5},
    ),
    "not_a_number": Script(
        [Fate(math.nan), Fate(None, [math.nan, 0.5]), Fate({"loss": 0.25, "size": 3})],
        [
            "suggested 0: 1",
            "finished 0: failed no value (not_finite), 1 s",
            "suggested 1: 2",
            "reported 1 at 1: nan",
            "reported 1 at 2: 0.5",
            "finished 1: completed 0.5, 3 s",
            *_done(2, 0.25),
            "ended: trials",
        ],
        limits={"trials": 3},
    ),
    "nothing_that_could_be_used": Script(
        [Fate([0.1, 0.2]), Fate(None)],
        [*_failed(0), *_failed(1), "ended: trials"],
        limits={"trials": 2},
    ),
    "a_scheduler_stops_a_trial": Script(
        [Fate(0.1, [0.3, 0.9, 0.1]), Fate(0.2, [0.2])],
        [
            "suggested 0: 1",
            "reported 0 at 1: 0.3",
            "reported 0 at 2: 0.9",
            "decided 0: stop",
            "finished 0: stopped 0.9 (stopped), 2 s, money 2",
            "suggested 1: 2",
            "reported 1 at 1: 0.2",
            "finished 1: completed 0.2, 2 s, money 2",
            "ended: trials",
        ],
        limits={"trials": 2, "price_per_hour": 3600},
        scheduler={"threshold": {"worst": 0.5}},
    ),
    "a_trial_over_its_time": Script(
        [Fate(0.1, [0.3, 0.2, 0.1]), _HALF],
        [
            "suggested 0: 1",
            "reported 0 at 1: 0.3",
            "reported 0 at 2: 0.2",
            "finished 0: failed no value (timeout), 2 s",
            *_done(1, 0.5),
            "ended: trials",
        ],
        limits={"trials": 2, "trial_time": 1.5},
    ),
    "a_limit_that_does_not_wait": Script(
        [Fate(0.1, [0.3, 0.2, 0.1])],
        [
            "suggested 0: 1",
            "reported 0 at 1: 0.3",
            "reported 0 at 2: 0.2",
            "requeued 0 (interrupted), 2 s, money 2",
            "ended: cost",
        ],
        limits={"cost": 1.5, "price_per_hour": 3600},
    ),
    "the_queue_comes_first": Script(
        [_HALF],
        [
            "enqueued 0: 7",
            "enqueued 1: 1",
            "started 0, attempt 0",
            "finished 0: completed 0.5, 1 s",
            "started 1, attempt 0",
            "finished 1: completed 0.5, 1 s",
            "suggested 2: 2",
            "finished 2: completed 0.5, 1 s",
            "ended: trials",
        ],
        limits={"trials": 3},
        queue=[{"k": 7}, {"k": 1}],
    ),
    "a_deterministic_study": Script(
        [_HALF, _QUARTER],
        [*_done(0, 0.5), *_done(1, 0.25), *_done(2, 0.25), "ended: trials"],
        limits={"trials": 3},
        deterministic=True,
    ),
    "the_best_is_confirmed": Script(
        [_HALF, _QUARTER, _HALF, _HALF],
        [
            *(line for n, value in enumerate((0.5, 0.25, 0.5)) for line in _done(n, value)),
            "enqueued 3: 2",
            "started 3, attempt 0",
            "finished 3: completed 0.5, 1 s",
            "enqueued 4: 2",
            "started 4, attempt 0",
            "finished 4: completed 0.5, 1 s",
            "ended: trials",
        ],
        limits={"trials": 5, "confirm": 1},
    ),
}
