"""The executor for a cluster's nodes: an agent for each trial that runs at a time (`tunesmith.run.agent`), asked for from
whoever has the nodes (a `Cluster`).

An agent takes up what one trial demands, and is kept for the next. There are never more than the study's `parallel`, and
they are asked for as soon as trials could begin: what the cluster has no room for waits there, where autoscaling sees it,
while the trials themselves have not begun and no time of theirs runs.

**Whose fault.** A trial has processes of its own, so the end of its agent is the machine's, and the trial is run again
without being charged with it. That holds for `BLAMELESS` agents: a trial that has taken so many with it is charged.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, TypeAlias

from tunesmith.core.errors import ExecutorError, JobError
from tunesmith.core.events import Exited, Start, Stop
from tunesmith.core.quantity import count
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.agent import Files, Hello, News, Order, Printed, place, sent_along
from tunesmith.run.base import Happened
from tunesmith.run.folder import OUTPUT, Folder, fault_of, made
from tunesmith.version import __version__

#: So many agents may end under one trial before it is charged with that.
BLAMELESS: Final = 10
#: An agent that nobody has needed for so long (s) is given back, all but one.
_IDLE_S: Final = 60.0
#: An agent that has waited for so long (s) shows that the study has no more trials at this moment.
_SPARE_S: Final = 1.0
#: After so long without an agent (s) it is said what is waited for.
_SAY_S: Final = 20.0
#: So many faults of nodes in a row are taken for one of all nodes.
_FAULTS: Final = 4
#: How long a trial may take to end whose node is about to be taken away (s).
_LEAVE_S: Final = 10.0


class Gone(NamedTuple):
    """An agent has ended, or its node has; with `memory`, because the node's was used up."""

    why: str
    memory: bool = False


class Leaving(NamedTuple):
    """An agent's node is about to be taken away."""

    why: str
    #: How long it will still be there (s).
    left_s: float = math.inf


Heard: TypeAlias = Hello | News | Gone | Leaving


class Cluster(Protocol):
    """Where agents run. Agents are known by numbers."""

    def ask(self) -> int:
        """Ask for one more agent; its `Hello` comes when it is there."""
        ...

    def turn(self, agent: int, orders: Sequence[Order]) -> None:
        """Have it take a turn; its `News` comes."""
        ...

    def tell(self, agent: int, order: Stop) -> None:
        """Tell an agent something during its turn."""
        ...

    def heard(self, timeout_s: float) -> list[tuple[int, Heard]]:
        """What has been heard of which agent; waits up to `timeout_s` if nothing has. Raises ExecutorError or JobError
        for what is wrong with all of them."""
        ...

    def end(self, agent: int) -> None:
        """End an agent, and all that it runs; nothing more is heard of it."""
        ...

    def close(self) -> None:
        """End all."""
        ...

    def wants(self) -> str:
        """What is waited for where no agent comes, in a sentence."""
        ...


@dataclass(slots=True)
class _Agent:
    number: int
    hello: Hello | None = None
    start: Start | None = None
    #: Whether it is in a turn; between two of them it has `orders` waiting for it.
    turning: bool = False
    orders: list[Order] = field(default_factory=list)
    stopping: Reason | None = None
    #: Why its node is about to be taken away; "" if it is not.
    leaving: str = ""
    idle_since: float = 0.0
    began: float = 0.0

    @property
    def idle(self) -> bool:
        return self.hello is not None and self.start is None and not self.leaving


class FleetExecutor:
    """See the module's text."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        folder: Folder,
        sign: str,
        parallel: int,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._cluster = cluster
        self._folder = folder
        self._sign = sign
        self._parallel = parallel
        self._say = say or (lambda _: None)
        self._agents: dict[int, _Agent] = {}
        #: Trials that no agent has taken yet.
        self._queue: deque[Start] = deque()
        self._happened: list[Happened] = []
        #: How many agents have ended under a trial, and nodes' faults since a trial has ended well.
        self._losses: dict[int, int] = {}
        self._faults = 0
        self._waiting_since: float | None = None
        self._said: set[str] = set()

    # -- verbs --------------------------------------------------------------------------------------

    def room(self, wanted: int) -> int:
        """How many of `wanted` trials more can begin now; agents are asked for the others."""
        now = time.monotonic()
        idle = [agent for agent in self._agents.values() if agent.idle]
        free = len(idle) - len(self._queue)
        spare = any(now - agent.idle_since > _SPARE_S for agent in idle)
        coming = sum(agent.hello is None for agent in self._agents.values())
        if not spare:
            self._ask(wanted - free - coming)
        self._give_back(idle, now)
        return max(0, free)

    def start(self, command: Start) -> None:
        self._queue.append(command)
        self._assign()
        coming = sum(agent.hello is None for agent in self._agents.values())
        self._ask(len(self._queue) - coming)

    def stop(self, command: Stop) -> None:
        agent = self._of(command.trial)
        if agent is not None:
            agent.stopping = agent.stopping or command.reason
            self._order(agent, command)
            return
        for start in self._queue:
            if start.trial == command.trial:
                self._queue.remove(start)
                self._happened.append(_exited(start, command.reason))
                return

    def events(self, timeout_s: float) -> list[Happened]:
        for agent in self._agents.values():
            if agent.start is not None and not agent.turning:
                self._turn(agent)
        for number, heard in self._cluster.heard(0.0 if self._happened else timeout_s):
            if number in self._agents:
                self._hear(self._agents[number], heard)
        self._assign()
        self._tell_of_waiting()
        happened, self._happened = self._happened, []
        return happened

    def close(self) -> None:
        try:
            self._cluster.close()
        finally:
            self._agents.clear()
            with contextlib.suppress(OSError):
                (self._folder.path / self._sign).unlink()

    # -- agents -------------------------------------------------------------------------------------

    def _ask(self, more: int) -> None:
        staying = sum(not agent.leaving for agent in self._agents.values())
        for _ in range(min(more, self._parallel - staying)):
            number = self._cluster.ask()
            self._agents[number] = _Agent(number)

    def _give_back(self, idle: Sequence[_Agent], now: float) -> None:
        """Give back what has not been needed for long, and what was asked for meanwhile."""
        old = [agent for agent in idle if now - agent.idle_since > _IDLE_S]
        if old and len(old) == len(idle):
            coming = [agent for agent in self._agents.values() if agent.hello is None]
            for agent in [*old[1:], *coming]:
                self._end(agent)

    def _end(self, agent: _Agent) -> None:
        self._agents.pop(agent.number, None)
        self._cluster.end(agent.number)

    def _of(self, trial: int) -> _Agent | None:
        agents = self._agents.values()
        return next((a for a in agents if a.start is not None and a.start.trial == trial), None)

    def _assign(self) -> None:
        """Give trials to agents that have none."""
        for agent in self._agents.values() if self._queue else ():
            if agent.idle and self._queue:
                start = self._queue.popleft()
                agent.start, agent.stopping, agent.began = start, None, time.monotonic()
                assert agent.hello is not None
                if not agent.hello.shares:
                    agent.orders.append(sent_along(self._folder, start))
                    self._keep_earlier_output(start)
                agent.orders.append(start)
                self._turn(agent)

    def _turn(self, agent: _Agent) -> None:
        orders, agent.orders, agent.turning = agent.orders, [], True
        self._cluster.turn(agent.number, orders)

    def _order(self, agent: _Agent, order: Stop) -> None:
        if agent.turning:
            self._cluster.tell(agent.number, order)
        else:
            agent.orders.append(order)

    # -- what is heard ------------------------------------------------------------------------------

    def _hear(self, agent: _Agent, heard: Heard) -> None:
        match heard:
            case Hello():
                self._greet(agent, heard)
            case News():
                self._take(agent, heard)
            case Gone():
                self._bury(agent, heard)
            case Leaving():
                self._leave(agent, heard)

    def _greet(self, agent: _Agent, hello: Hello) -> None:
        if hello.version != __version__:
            raise ExecutorError(
                f"node {hello.host} has tunesmith {hello.version}, and this process {__version__}: let all have the same one"
            )
        agent.hello, agent.idle_since = hello, time.monotonic()
        self._waiting_since = None
        if not hello.shares:
            self._tell_once(
                f"nodes do not see {self._folder.path}: checkpoints and output come here with what trials report"
            )

    def _take(self, agent: _Agent, news: News) -> None:
        agent.turning = False
        if news.broken:
            raise JobError(news.broken)
        if news.fault:
            self._fault(agent, news.fault)
            return
        for files in news.files:
            self._place(files)
        for printed in news.printed:
            self._print(printed)
        for event in news.happened:
            if isinstance(event, Exited):
                event = self._over(agent, event)
            self._happened.append(event)

    def _over(self, agent: _Agent, exited: Exited) -> Exited:
        agent.start, agent.idle_since = None, time.monotonic()
        self._faults = 0
        self._losses.pop(exited.trial, None)
        if not agent.leaving:
            return exited
        self._end(agent)
        interrupted = exited.reason is not None and exited.reason.kind is Kind.INTERRUPTED
        return exited._replace(blameless=interrupted)

    def _fault(self, agent: _Agent, text: str) -> None:
        """A node that cannot run trials: another one may."""
        self._faults += 1
        host = agent.hello.host if agent.hello is not None else "?"
        if self._faults >= _FAULTS:
            raise ExecutorError(f"on node {host}, as on others: {text}")
        self._tell_once(f"node {host}: {text}")
        self._end(agent)
        self._lose(agent, Gone(f"its node {host} cannot run trials: {text}"))

    def _bury(self, agent: _Agent, gone: Gone) -> None:
        self._agents.pop(agent.number, None)
        self._lose(agent, gone)

    def _lose(self, agent: _Agent, gone: Gone) -> None:
        """What becomes of a trial whose agent is gone."""
        start = agent.start
        if start is None:
            return
        agent.start = None
        losses = self._losses[start.trial] = self._losses.get(start.trial, 0) + 1
        reason = agent.stopping
        if reason is None and gone.memory:
            reason = Reason(Kind.OUT_OF_MEMORY, gone.why)
        blameless = reason is None and losses <= BLAMELESS
        reason = reason or Reason(Kind.LOST, gone.why)
        self._happened.append(_exited(start, reason)._replace(blameless=blameless))

    def _leave(self, agent: _Agent, leaving: Leaving) -> None:
        """Have its trial end while there is time to save where it is."""
        if agent.leaving:
            return
        agent.leaving = leaving.why
        self._tell_once(f"node {agent.hello.host if agent.hello else '?'}: {leaving.why}")
        if agent.start is None:
            self._end(agent)
        elif agent.stopping is None:
            agent.stopping = Reason(Kind.INTERRUPTED, leaving.why)
            grace_s = max(0.0, min(_LEAVE_S, leaving.left_s - 1.0))
            self._order(agent, Stop(agent.start.trial, agent.stopping, grace_s))

    # -- files and words ----------------------------------------------------------------------------

    def _keep_earlier_output(self, start: Start) -> None:
        output = self._folder.trial(start.trial) / OUTPUT
        if start.attempt and output.exists():
            output.replace(output.with_name(f"output-{start.attempt - 1}.log"))

    def _place(self, files: Files) -> None:
        try:
            place(self._folder, files)
        except OSError as error:
            raise fault_of(error, self._folder.trial(files.trial)) from error

    def _print(self, printed: Printed) -> None:
        folder = self._folder.make(printed.trial)
        try:
            with (folder / OUTPUT).open("ab" if printed.offset else "wb") as file:
                file.write(printed.text)
        except OSError as error:
            raise fault_of(error, folder) from error

    def _tell_of_waiting(self) -> None:
        if any(agent.hello is not None for agent in self._agents.values()) or not self._agents:
            self._waiting_since = None
            return
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since > _SAY_S:
            self._tell_once(self._cluster.wants())

    def _tell_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


def _exited(start: Start, reason: Reason) -> Exited:
    return Exited(time.time(), start.trial, start.attempt, None, reason)


def signed(folder: Folder) -> str:
    """Leave a sign in the study's folder by which agents know it; its name. Raises ExecutorError."""
    name = f".agents-{uuid.uuid4().hex[:12]}"
    path = made(folder.path) / name
    try:
        path.write_text(name)
    except OSError as error:
        raise fault_of(error, path, unused=True) from error
    return name


def own_path() -> tuple[str, ...]:
    """The folders in which this process finds the user's own modules: what nodes cannot know."""
    installed = {os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)}
    places = [os.path.abspath(place) for place in sys.path]  # noqa: PTH100
    return tuple(
        place
        for place in dict.fromkeys(places)
        if not any(os.path.realpath(place).startswith(f"{root}/lib") for root in installed)
        and not place.endswith(".zip")
    )


def waiting(demand: object, agents: int) -> str:
    """That nodes have no room yet for what was asked for, for people."""
    return (
        f"the cluster has no room yet for a trial ({demand}; {count(agents, 'place')} asked for); trials begin when it "
        "has"
    )
