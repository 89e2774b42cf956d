"""Every searcher passes the public suite."""

import pytest

from tunesmith import search
from tunesmith.core.study import Strategy
from tunesmith.testing import Check, searcher_checks

CHECKS = [
    pytest.param(check, id=f"{name}-{check}")
    for name in search.names()
    for check in searcher_checks(lambda name=name: search.make(Strategy(name)))  # type: ignore[misc]
]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check: Check) -> None:
    check()
