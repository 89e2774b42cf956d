"""Ray: agents as actors of a cluster (`tunesmith.run.fleet`), each with what one trial demands.

Actors are this driver's own: when it dies, Ray ends them, and their trials end with them. Nothing of a study is kept in
Ray.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import ray
import ray.exceptions

from tunesmith.core.errors import ExecutorError, shown
from tunesmith.core.events import Stop
from tunesmith.run.agent import Agent, Hello, News, Order, Site
from tunesmith.run.demand import Demand
from tunesmith.run.fleet import Gone, Heard, Leaving, waiting

#: How often nodes are asked about that are about to be taken away (s).
_DRAIN_EVERY_S: Final = 1.0
#: How long an agent may take to end its trial (s).
_CLOSE_S: Final = 15.0


class RayAgent(Agent):
    """An agent that knows its node."""

    def hello(self, node: str = "") -> Hello:
        return super().hello(node or ray.get_runtime_context().get_node_id())


class RayCluster:
    """See the module's text. Connects to `address` (else to $RAY_ADDRESS, a cluster of this machine, or one of its own),
    unless this process is connected already."""

    def __init__(
        self,
        site: Site,
        demand: Demand,
        *,
        address: str | None = None,
        runtime_env: Mapping[str, Any] | None = None,
    ) -> None:
        self._mine = not ray.is_initialized()
        if self._mine:
            connect(address, runtime_env)
        self._demand = demand
        self._site = ray.put(site)
        # an agent is asked during its turns
        self._make: Any = ray.remote(RayAgent).options(
            max_concurrency=4,
            max_restarts=0,
            num_cpus=demand.cpu,
            num_gpus=demand.gpu,
            **({} if demand.memory is None else {"memory": demand.memory}),
            **({"resources": dict(demand.custom)} if demand.custom else {}),
            **({"label_selector": dict(demand.label)} if demand.label else {}),
        )
        self._actors: dict[int, Any] = {}
        self._nodes: dict[int, str] = {}
        #: What is awaited, and of whom; and the last words of those that were told to end.
        self._awaited: dict[Any, int] = {}
        self._ending: dict[Any, tuple[Any, float]] = {}
        self._count = 0
        self._looked_s = time.monotonic()
        #: A client of the cluster's control service; None until it is needed, and after it has failed.
        self._control: Any = None

    def ask(self) -> int:
        number = self._count
        self._count += 1
        actor = self._actors[number] = self._make.remote(self._site)
        self._awaited[actor.hello.remote()] = number
        return number

    def turn(self, agent: int, orders: Sequence[Order]) -> None:
        self._awaited[self._actors[agent].turn.remote(orders)] = agent

    def tell(self, agent: int, order: Stop) -> None:
        self._actors[agent].tell.remote(order)

    def heard(self, timeout_s: float) -> list[tuple[int, Heard]]:
        self._see_off()
        heard: list[tuple[int, Heard]] = self._drained()
        refs = list(self._awaited)
        if not refs:
            time.sleep(0.0 if heard else timeout_s)
            return heard
        ready, _ = ray.wait(refs, num_returns=1, timeout=0.0 if heard else timeout_s)
        if ready and len(refs) > 1:
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0.0)
        for ref in ready:
            agent = self._awaited.pop(ref)
            if agent in self._actors:
                heard.append((agent, self._result(agent, ref)))
        return heard

    def end(self, agent: int) -> None:
        actor, known = self._forget(agent)
        if known:
            self._ending[actor.close.remote()] = actor, time.monotonic() + _CLOSE_S
        else:
            ray.kill(actor)

    def close(self) -> None:
        try:
            for agent in list(self._actors):
                self.end(agent)
            if self._ending:
                ray.wait(list(self._ending), num_returns=len(self._ending), timeout=_CLOSE_S)
            for actor, _ in self._ending.values():
                ray.kill(actor)
            self._ending.clear()
        finally:
            if self._mine:
                ray.shutdown()

    def wants(self) -> str:
        text = waiting(self._demand, len(self._actors))
        needed = {"CPU": self._demand.cpu, "GPU": self._demand.gpu, **self._demand.custom}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(n, 0.0) >= v for n, v in needed.items()) for node in nodes):
            text += "; no node that is there now is so large"
        return text

    # -- what comes back ----------------------------------------------------------------------------

    def _result(self, agent: int, ref: Any) -> Heard:
        try:
            result: Hello | News = ray.get(ref)
        except ray.exceptions.OutOfMemoryError as error:
            return self._lost(
                agent,
                f"Ray ended it, as its node's memory was used up: {_brief(error)}",
                memory=True,
            )
        except (
            ray.exceptions.RuntimeEnvSetupError,
            ray.exceptions.ActorUnschedulableError,
        ) as error:
            raise ExecutorError(f"Ray cannot run trials: {_brief(error)}") from None
        except ray.exceptions.RayTaskError as error:
            raise ExecutorError(f"an agent on a Ray node failed: {_brief(error.cause)}") from error
        except ray.exceptions.RayError as error:
            if "No module named 'tunesmith" in str(error):
                raise ExecutorError(
                    "tunesmith is not installed on a node of the cluster: install it there, or name it in runtime_env: "
                    "{'pip': ['tunesmith']}"
                ) from None
            return self._lost(agent, f"its Ray node or agent died: {_brief(error)}")
        if isinstance(result, Hello):
            self._nodes[agent] = result.node
        return result

    def _lost(self, agent: int, why: str, *, memory: bool = False) -> Gone:
        self._forget(agent)
        return Gone(why, memory)

    def _forget(self, agent: int) -> tuple[Any, bool]:
        """Await nothing of an agent any more; its actor, and whether it had come."""
        for ref, number in list(self._awaited.items()):
            if number == agent:
                del self._awaited[ref]
        return self._actors.pop(agent), self._nodes.pop(agent, None) is not None

    def _see_off(self) -> None:
        """Let those end that have closed, or take too long for it."""
        if not self._ending:
            return
        closed, _ = ray.wait(list(self._ending), num_returns=len(self._ending), timeout=0.0)
        now = time.monotonic()
        for ref, (actor, deadline) in list(self._ending.items()):
            if ref in closed or now > deadline:
                del self._ending[ref]
                ray.kill(actor)

    def _drained(self) -> list[tuple[int, Heard]]:
        """The agents on nodes that are about to be taken away."""
        now = time.monotonic()
        if not self._nodes or now - self._looked_s < _DRAIN_EVERY_S:
            return []
        self._looked_s = now
        nodes = self._draining()
        return [
            (agent, Leaving("its node is about to be taken away", nodes[node]))
            for agent, node in self._nodes.items()
            if node in nodes
        ]

    def _draining(self) -> dict[str, float]:
        """The nodes that are about to be taken away (as hexadecimal ids), and how long they will be there (s)."""
        try:
            if self._control is None:
                from ray._raylet import GcsClient

                self._control = GcsClient(address=ray.get_runtime_context().gcs_address)
            ends = self._control.get_draining_nodes()
        except Exception:  # noqa: BLE001 (no public call says it; without it, trials are lost and run again)
            self._control = None
            return {}
        now = time.time()
        return {node: end_ms / 1000 - now if end_ms else math.inf for node, end_ms in ends.items()}


#: What `tunesmith.run.executors` makes.
CLUSTER: Final = RayCluster


def connect(address: str | None, runtime_env: Mapping[str, Any] | None) -> None:
    """Connect this process to a cluster. Raises ExecutorError."""
    try:
        ray.init(
            address=address,
            runtime_env=None if runtime_env is None else dict(runtime_env),
            log_to_driver=False,
            logging_level="ERROR",
            **({"include_dashboard": False} if _own(address) else {}),
        )
    except Exception as error:
        where = f" at {shown(address)}" if address else ""
        hint = ""
        if "token" in str(error).lower():
            hint = "; it wants a token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN) as on its nodes"
        raise ExecutorError(f"no Ray cluster{where} could be had: {_brief(error)}{hint}") from error


def _own(address: str | None) -> bool:
    return address in (None, "local") and not os.environ.get("RAY_ADDRESS")


def _brief(error: object) -> str:
    """What Ray says, without its pages of advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])[:500] or type(error).__name__
