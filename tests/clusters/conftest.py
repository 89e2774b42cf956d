"""Tests on clusters, in an environment of their own: see tools/environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from tests.clusters.nodes import ENVIRONMENT, Nodes, nodes

collect_ignore_glob = [] if find_spec("ray") is not None else ["test_*.py"]
if not collect_ignore_glob:
    os.environ.update(ENVIRONMENT)  # before Ray is loaded


@pytest.fixture(scope="session")
def three_nodes() -> Iterator[Nodes]:
    with nodes(3) as cluster:
        yield cluster
