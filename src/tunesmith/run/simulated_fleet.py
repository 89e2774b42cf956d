"""A fleet in virtual time: nodes that fail and come back, places that take their time, and a coordinator that is busy.

What decides is the real thing (engine, searcher, scheduler, store); its thinking takes virtual time too, and what happens
meanwhile waits. So a coordinator that cannot keep up is seen as it would be: reports wait for their answers, and places for
trials. What one message costs between coordinator and node is not run here; it is a number that has been measured
(benchmarks/fleet/nodes.py).
"""

from __future__ import annotations

import heapq
import math
import random
import threading
import time
from array import array
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from tunesmith.core.errors import StudyError
from tunesmith.core.events import Exited, Start, Stop
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.base import Happened
from tunesmith.run.simulate import GOES_ON, Curve, Running

#: How often somebody with nothing to do looks what others do (s).
_NEWS_S: Final = 1.0
_LOST: Final = Reason(Kind.LOST, "its node failed")


@dataclass(frozen=True, slots=True)
class SimulatedFleet:
    """Times are in seconds. Raises StudyError."""

    nodes: int
    #: Trials that run on one node at a time.
    places: int = 1
    #: From a trial's beginning to its training: its process, its imports, its data.
    begins_s: float = 0.0
    #: Until a node is there that was asked for.
    arrives_s: float = 0.0
    #: How long a node lives, in the mean; until it is known that it does not; and until there is another.
    lives_s: float = math.inf
    noticed_s: float = 10.0
    returns_s: float = 300.0
    #: How much of the coordinator's own processor time passes for the study: 1 is this machine's, 0 makes runs repeatable.
    thinking: float = 0.0
    #: What the coordinator does for each message from or to a node, and for each time that it writes to its store.
    message_s: float = 0.0
    commit_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("nodes", "places"):
            if getattr(self, name) < 1:
                raise StudyError(
                    f"a fleet has at least one of its {name}, not {getattr(self, name)}"
                )
        for name in ("begins_s", "arrives_s", "noticed_s", "returns_s", "thinking", "message_s", "commit_s"):  # fmt: skip
            if not 0.0 <= getattr(self, name) < math.inf:
                raise StudyError(f"{name} is at least 0, not {getattr(self, name):g}")
        if not self.lives_s > 0.0:
            raise StudyError(f"lives_s is more than 0, not {self.lives_s:g}")

    def part(self, number: int, of: int) -> SimulatedFleet:
        """The nodes of one of several coordinators."""
        nodes = self.nodes // of + (number < self.nodes % of)
        return replace(self, nodes=nodes, seed=self.seed + number)


class Strain(NamedTuple):
    """How a coordinator of a fleet did."""

    #: The share of the time in which it was at work.
    busy: float
    #: How long what happened had waited until it was heard: the median, 99 of 100, the longest (s).
    waited_s: tuple[float, float, float]
    messages: int
    #: How many nodes have failed.
    failures: int


class Turns:
    """A virtual clock for several coordinators in threads: only the one that is furthest behind moves."""

    def __init__(self, began: float, count: int) -> None:
        self._at = dict.fromkeys(range(count), began)
        self._changed = threading.Condition()

    def until(self, who: int, at: float) -> None:
        """Go on at `at`, when nobody is before that."""
        with self._changed:
            self._at[who] = at
            self._changed.notify_all()
            while min(self._at.items(), key=lambda one: (one[1], one[0]))[0] != who:
                self._changed.wait()

    def leave(self, who: int) -> None:
        with self._changed:
            self._at.pop(who, None)
            self._changed.notify_all()


@dataclass(slots=True)
class _Node:
    #: Counts its lives; what was planned for an earlier one is void.
    life: int = 0
    free: int = 0
    #: It has failed, and nobody knows.
    silent: bool = False
    running: set[int] = field(default_factory=set)


class FleetSimulator:
    """The executor: runs `curve` of each config on the nodes of `fleet`, in virtual time from `began` on. One of several
    (`number`) has `turns` with the others."""

    def __init__(
        self,
        curve: Curve,
        fleet: SimulatedFleet,
        *,
        metric: str,
        began: float = 0.0,
        turns: Turns | None = None,
        number: int = 0,
    ) -> None:
        self._curve, self._fleet, self._metric = curve, fleet, metric
        self._turns, self._number = turns, number
        self._began = self._now = began
        self._random = random.Random(fleet.seed)
        #: How long trials have run, all of them together.
        self.busy_s = 0.0
        self._nodes = [_Node() for _ in range(fleet.nodes)]
        #: Free places: nodes with their lives; those of a life that is over are void.
        self._idle: list[tuple[int, int]] = []
        self._free = 0
        #: When what happens: with a node, and which of its lives is meant, or (no word) with a trial and its attempt.
        self._agenda: list[tuple[float, str, int, int]] = []
        self._running: dict[int, Running] = {}
        #: The nodes of running trials.
        self._where: dict[int, int] = {}
        #: Trials that are off and may go on, and at which step every trial was last.
        self._off: dict[int, Running] = {}
        self._steps: dict[int, int] = {}
        #: The trials whose reports are being thought about.
        self._reported: set[int] = set()
        #: How long the coordinator has been at work, and its processor time when it last heard something.
        self._worked_s, self._heard_s = 0.0, time.thread_time()
        self._waits = array("d")
        self._failures = 0
        for number in range(fleet.nodes):
            self._plan(fleet.arrives_s, "arrives", number, 0)

    def clock(self) -> float:
        """The virtual time, in seconds."""
        return self._now

    @property
    def strain(self) -> Strain:
        """How the coordinator has done so far."""
        waits = sorted(self._waits) or [0.0]
        of = waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1]
        busy = self._worked_s / ((self._now - self._began) or 1.0)
        return Strain(busy, of, len(self._waits), self._failures)

    # -- verbs --------------------------------------------------------------------------------------

    def room(self, wanted: int) -> int:
        return min(wanted, self._free)

    def start(self, command: Start) -> None:
        running = Running.begun(self._curve, command, self._now, self._off, self._steps)
        self._work(self._fleet.message_s)
        self._running[command.trial] = running
        self._where[command.trial] = number = self._place()
        self._nodes[number].running.add(command.trial)
        seconds = self._fleet.begins_s + running.advance(self._metric)
        self._plan(seconds, "", command.trial, command.attempt)

    def stop(self, command: Stop) -> None:
        running = self._running.get(command.trial)
        if running is not None and running.stopped is None:
            running.stopped = command.reason
            self._work(self._fleet.message_s)
            if command.trial not in self._reported:
                self._plan(0.0, "", command.trial, running.start.attempt)

    def events(self, timeout_s: float) -> list[Happened]:
        """What has happened by now; if nothing has, what happens next, at its time."""
        self._work(self._fleet.thinking * (time.thread_time() - self._heard_s))
        for number in sorted(self._reported):
            running = self._running.get(number)
            if running is not None:
                self._work(self._fleet.message_s)
                seconds = 0.0 if running.stopped is not None else running.advance(self._metric)
                self._plan(seconds, "", number, running.start.attempt)
        self._reported.clear()
        happened: list[Happened] = []
        # who has nothing to do among others asks after them now and then
        until = self._now + (_NEWS_S if self._turns and not self._running else timeout_s)
        while True:
            self._now = max(self._now, min(until, self._agenda[0][0] if self._agenda else until))
            if self._turns is not None:
                self._turns.until(self._number, self._now)
            while self._agenda and self._agenda[0][0] <= self._now:
                at, what, number, count = heapq.heappop(self._agenda)
                heard = self._node(what, number, count) if what else self._trial(number, count)
                self._waits.extend([self._now - at] * len(heard))
                happened += heard
            if happened or self._now >= until:
                break
        if happened:
            self._work(len(happened) * self._fleet.message_s + self._fleet.commit_s)
        self._heard_s = time.thread_time()
        return happened

    def close(self) -> None:
        self.busy_s += sum(self._now - running.began for running in self._running.values())
        self._running.clear()
        self._agenda.clear()
        if self._turns is not None:
            self._turns.leave(self._number)

    # -- what happens -------------------------------------------------------------------------------

    def _plan(self, seconds: float, what: str, number: int, count: int) -> None:
        heapq.heappush(self._agenda, (self._now + seconds, what, number, count))

    def _work(self, seconds: float) -> None:
        """Time passes in which the coordinator is at work."""
        self._worked_s += seconds
        self._now += seconds

    def _trial(self, number: int, attempt: int) -> list[Happened]:
        """A trial reports, or ends; nothing is heard of one on a silent node."""
        running = self._running.get(number)
        if running is None or running.start.attempt != attempt or number in self._reported:
            return []
        if self._nodes[self._where[number]].silent:
            return []
        if running.stopped is not None or running.following is None:
            return [self._exit(running)]
        self._reported.add(number)
        reported = running.reported(self._now)
        self._steps[number] = running.step
        return [reported]

    def _exit(self, running: Running) -> Exited:
        trial = running.start.trial
        del self._running[trial]
        self._reported.discard(trial)  # what comes next is another attempt
        number = self._where.pop(trial)
        node = self._nodes[number]
        node.running.discard(trial)
        node.free += 1
        self._free += 1
        self._idle.append((number, node.life))
        if running.stopped is not None and running.stopped.kind in GOES_ON:
            self._off[trial] = running
        self.busy_s += self._now - running.began
        return running.exited(self._now)

    def _place(self) -> int:
        while True:
            number, life = self._idle.pop()
            node = self._nodes[number]
            if node.life == life:
                node.free -= 1
                self._free -= 1
                return number

    def _node(self, what: str, number: int, life: int) -> list[Happened]:
        node, fleet = self._nodes[number], self._fleet
        if what == "arrives":
            node.free = fleet.places
            self._free += node.free
            self._idle += [(number, life)] * node.free
            if fleet.lives_s < math.inf:
                self._plan(self._random.expovariate(1.0 / fleet.lives_s), "fails", number, life)
            return []
        if what == "fails":
            node.silent = True
            self._plan(fleet.noticed_s, "is missed", number, life)
            return []
        lost: list[Happened] = []
        for trial in sorted(node.running):
            running = self._running[trial]
            running.stopped = running.stopped or _LOST
            lost.append(self._exit(running)._replace(blameless=True))
        self._failures += 1
        self._free -= node.free
        node.life, node.free, node.silent = life + 1, 0, False
        self._plan(fleet.returns_s, "arrives", number, node.life)
        return lost
