"""Finding metrics in what a program prints.

A *line* gives a report if one of the patterns matches in it, or if it is a JSON object with a number
under the name of a metric. A pattern called ``step`` gives the step; without one, a metric's step is
how often it has been seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tunesmith.core.errors import JobError
from tunesmith.core.outcome import finite, number, whole

STEP: Final = "step"
#: What the group with the number may be called, where a pattern has several.
VALUE: Final = "value"
#: Longer lines are looked at up to here.
_LINE_BYTES: Final = 64 << 10


class Found(NamedTuple):
    """A report found in the output."""

    step: int
    metrics: dict[str, float | None]


def compile_metrics(patterns: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """The patterns by metric, each with one group (or one called "value"). Raises JobError."""
    compiled = {}
    for name, pattern in patterns.items():
        try:
            regex = re.compile(pattern)
        except re.error as error:
            raise JobError(
                f"metrics: the pattern of {name!r} is no regular expression: {error}"
            ) from None
        if regex.groups != 1 and VALUE not in regex.groupindex:
            raise JobError(
                f"metrics: the pattern of {name!r} has {regex.groups} groups; exactly one (...) says "
                f"where the number is, e.g. {name}=([-+.0-9e]+); or call it (?P<{VALUE}>...)"
            )
        compiled[name] = regex
    return compiled


@dataclass(slots=True)
class Scanner:
    """Reads one attempt's output as it grows."""

    #: The metrics that count as such in JSON lines (others come along).
    wanted: frozenset[str]
    patterns: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    #: Whether every JSON object with a number is a report (a file that holds nothing else).
    any_json: bool = False
    _rest: bytes = b""
    _step: int | None = None
    _seen: dict[str, int] = field(default_factory=dict)

    def feed(self, chunk: bytes, *, last: bool = False) -> Iterator[Found]:
        """The reports in `chunk`, which continues what came before; with `last`, nothing follows."""
        lines = re.split(rb"[\r\n]", self._rest + chunk)
        self._rest = b"" if last else lines.pop()[:_LINE_BYTES]
        for line in lines:
            found = self._read(line[:_LINE_BYTES].decode(errors="replace"))
            if found is not None:
                yield found

    def _read(self, line: str) -> Found | None:
        metrics = self._from_json(line)
        for name, pattern in self.patterns.items():
            match = pattern.search(line)
            value = None if match is None else _float(match[_group(pattern)])
            if value is not None:
                metrics[name] = value
        step = whole(metrics.pop(STEP, None))
        if step is not None:
            self._step = step
        if not metrics:
            return None
        for name in metrics:
            self._seen[name] = self._seen.get(name, 0) + 1
        at = self._step if self._step is not None else max(self._seen[name] for name in metrics)
        return Found(at, finite(metrics))

    def _from_json(self, line: str) -> dict[str, float]:
        text = line.strip()
        if not (text.startswith("{") and text.endswith("}")):
            return {}
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        metrics = {name: v for name, value in given.items() if (v := number(value)) is not None}
        return metrics if self.any_json or self.wanted & metrics.keys() else {}


def _group(pattern: re.Pattern[str]) -> int | str:
    return VALUE if VALUE in pattern.groupindex else 1


def _float(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
