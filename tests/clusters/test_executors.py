"""Executors of clusters pass the public suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import ray
from tests.clusters.kept import FUNCTION, PROGRAM, Kept
from tests.clusters.nodes import Nodes

from tunesmith.run.base import Executor
from tunesmith.run.demand import Demand
from tunesmith.run.fleet import FleetExecutor
from tunesmith.run.ray import RayCluster, connect
from tunesmith.testing import Check, executor_checks


@pytest.fixture(scope="module", autouse=True)
def connected(three_nodes: Nodes) -> Iterator[None]:
    connect(three_nodes.address, None)
    yield
    KEPT.clear()
    ray.shutdown()


KEPT: dict[str, Kept] = {}


def made(name: str, work: Any) -> Executor:
    if name not in KEPT:
        KEPT[name] = Kept(work, lambda site: RayCluster(site, Demand(cpu=0.5)))
    kept = KEPT[name]
    return FleetExecutor(kept, folder=kept.folder, sign="none", parallel=2)


def functions() -> Executor:
    return made("functions", FUNCTION)


def programs() -> Executor:
    return made("programs", PROGRAM)


CHECKS = [
    pytest.param(check, id=f"ray-{make.__name__}-{check}")
    for make in (functions, programs)
    for check in executor_checks(make, asks=make is functions)
]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check: Check) -> None:
    check()
