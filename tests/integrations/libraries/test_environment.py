"""That the environment's packages are there: `tools/check` would else pass by skipping everything."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(
    Path(sys.prefix).name != ".venv-libraries",
    reason="runs in the environment 'libraries' (tools/check)",
)
@pytest.mark.parametrize("name", ["optuna", "lightning", "catboost", "transformers", "mlflow"])
def test_the_packages_are_there(name: str) -> None:
    assert importlib.util.find_spec(name) is not None
