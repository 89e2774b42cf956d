"""Public conformance suites: what every searcher, scheduler, store, executor and door has to pass.

    import pytest
    from tunesmith.testing import searcher_checks

    @pytest.mark.parametrize("check", searcher_checks(MySearcher), ids=str)
    def test_my_searcher(check):
        check()

They need Hypothesis (``pip install "tunesmith[testing]"``), and work with any test runner.
"""

from __future__ import annotations

from tunesmith.testing.check import Check
from tunesmith.testing.distant import distant_store_checks
from tunesmith.testing.doors import door_checks
from tunesmith.testing.executors import behave, executor_checks
from tunesmith.testing.schedulers import scheduler_checks
from tunesmith.testing.searchers import searcher_checks
from tunesmith.testing.stores import store_checks

__all__ = [
    "Check",
    "behave",
    "distant_store_checks",
    "door_checks",
    "executor_checks",
    "scheduler_checks",
    "searcher_checks",
    "store_checks",
]
