"""What readers of other tools' sweep files share: names, ranges, words of a command, and what is not kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith import streams
from tunesmith.core.errors import JobError
from tunesmith.integrations.distributions import free_name
from tunesmith.tuning.job import Job, load_job

#: A normal distribution is searched within so many deviations.
DEVIATIONS = 3.0


@dataclass
class Sweep:
    """A job in the making."""

    space: dict[str, Any] = field(default_factory=dict)
    #: The name here of each parameter there.
    names: dict[str, str] = field(default_factory=dict)
    #: What the file says and a job does not, a sentence each.
    lost: list[str] = field(default_factory=list)

    def add(self, name: str, described: Any, *, when: Mapping[str, Any] | None = None) -> str:
        """A parameter; its name here."""
        here = free_name(name, self.space)
        if when is not None:
            described = dict(described) if isinstance(described, Mapping) else {"value": described}
            described["when"] = dict(when)
        self.space[here], self.names[name] = described, here
        return here

    def leave_out(self, data: Mapping[str, Any], known: set[str], where: str = "") -> None:
        """Say which keys of the file have no place in a job."""
        for key in data:
            if key not in known:
                self.lost.append(f"{where}{key} is not kept")

    def normal(self, name: str, centre: float, deviation: float, *, log: bool) -> dict[str, Any]:
        """A (log-)normal distribution, as a range with that prior."""
        ends = [centre - DEVIATIONS * deviation, centre + DEVIATIONS * deviation]
        self.lost.append(f"{name} is searched within {DEVIATIONS:g} deviations of its mean")
        if log:
            prior = [math.exp(centre), math.exp(deviation)]
            return {"float": [math.exp(e) for e in ends], "log": True, "prior": {"normal": prior}}
        return {"float": ends, "prior": {"normal": [centre, deviation]}}


def literal(word: str) -> str:
    """A word of a command in which braces mean themselves."""
    return word.replace("{", "{{").replace("}", "}}")


def numbers(name: str, *values: Any) -> list[float]:
    """Values as numbers. Raises JobError."""
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError):
        raise JobError(
            f"{name}: a range is two numbers, not {', '.join(map(repr, values))}"
        ) from None


def read(
    path: Path | str,
    convert: Callable[[Mapping[str, Any], Sweep], dict[str, Any]],
    overrides: Mapping[str, Any] | None,
    say: Callable[[str], None] | None,
) -> Job:
    """A sweep file as a job; what is not kept is said. Raises JobError."""
    sweep = Sweep()

    def converted(data: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return convert(data, sweep)
        except JobError as error:
            raise JobError(f"{path}: {error}") from None

    job = load_job(path, overrides, converted)
    for sentence in sweep.lost:
        (say or streams.err().line)(f"{path}: {sentence}")
    return job
