"""Which trial of a front a preference chooses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core.objective import objectives_of
from tunesmith.core.preference import preference_of

OBJECTIVES = objectives_of(["error", "accuracy"], ["minimize", "maximize"])
#: (error, accuracy): the front of the tests.
FRONT = [(0.10, 0.2), (0.11, 0.5), (0.30, 0.8), (0.90, 0.9)]
LOSSES = np.array([(error, -accuracy) for error, accuracy in FRONT])


def choice(prefer: Any) -> int:
    rule = preference_of(prefer, OBJECTIVES)
    assert rule is not None
    assert preference_of(rule.to_dict(), OBJECTIVES) == rule
    return rule.choose(LOSSES, OBJECTIVES)


@pytest.mark.parametrize(
    ("prefer", "chosen"),
    [
        ("error", 0), ({"error": 0}, 0), ({"error": 0.015}, 1), ({"error": 0.5}, 2), ("accuracy", 3),
        ({"accuracy": 0.15, "error": 0}, 2), ({"weights": {"error": 1}}, 0), ({"weights": {"error": 1, "accuracy": 1}}, 2),
        ({"weights": {"accuracy": 2.0}}, 3), ({"at_most": {"error": 0.5}}, 0), ({"at_least": {"accuracy": 0.6}}, 2),
        ({"at_least": {"accuracy": 0.6}, "weights": {"accuracy": 1}}, 3), ({"at_least": {"accuracy": 5}}, 0),
        ({"at_most": {"error": 0.5}, "accuracy": 0}, 2),
    ],
)  # fmt: skip
def test_choice(prefer: Any, chosen: int) -> None:
    assert choice(prefer) == chosen


@pytest.mark.parametrize(
    ("prefer", "words"),
    [
        ({"eror": 1}, "did you mean 'error'"), ({"error": -1}, "tolerance of 'error' is a number from 0 on, not -1"),
        ({}, "write prefer="), (3, "write prefer="), ({"weights": {}}, "write prefer="), ({"weights": 3}, "write prefer="),
        ({"weights": {"error": 0}}, "all weights 0"), ({"weights": {"error": 1}, "error": 1}, "not both"),
        ({"at_most": {"error": "x"}}, "limit of 'error' is a number, not 'x'"), ({"error": float("nan")}, "from 0 on"),
        ({"error": True}, "from 0 on"),
    ],
)  # fmt: skip
def test_no_preferences(prefer: Any, words: str) -> None:
    with pytest.raises(ts.StudyError, match=words):
        preference_of(prefer, OBJECTIVES)


def test_one_objective_needs_none() -> None:
    with pytest.raises(ts.StudyError, match="chooses between several objectives"):
        preference_of("loss", objectives_of("loss", "minimize"))
