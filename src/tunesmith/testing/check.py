"""One promise of a suite, to be called by a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, settings


@dataclass(frozen=True, slots=True)
class Check:
    """Call it: it raises AssertionError if the promise is not kept. Its text names the promise."""

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        self.run()

    def __str__(self) -> str:
        return self.name


def examples_of(number: int) -> settings:
    """Hypothesis's settings for a suite: so many examples, the same ones every time."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


def collect(subject: object) -> list[Check]:
    """A Check for each method of `subject` called ``check_...``, in the order they are written."""
    names = [name for name in vars(type(subject)) if name.startswith("check_")]
    return [Check(name.removeprefix("check_"), getattr(subject, name)) for name in names]
