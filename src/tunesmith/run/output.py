"""Metric extraction from a program's output, by regular expressions and JSON lines.

A *line* gives a report if one of the patterns matches in it, or if it is a JSON object with a number
under the name of a metric. A pattern called ``step`` gives the step; without one, a metric's step is
how often it has been seen.

Patterns are those of the package `regex`, which understands what Python's `re` does and can be told how
long to search: `re` may take years over a line of 40 characters, and nothing can interrupt it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import regex

from tunesmith.core.errors import JobError
from tunesmith.core.outcome import finite, number, whole

STEP: Final = "step"
#: What the group with the number may be called, where a pattern has several.
VALUE: Final = "value"
#: Of longer lines the middle is left out.
_LINE_BYTES: Final = 8 << 20
#: What a search in one line may take, in seconds of CPU time.
_SEARCH_S: Final = 1.0
#: What colours a terminal, and moves about in it.
_ESCAPE: Final = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_LINE_END: Final = re.compile(rb"[\r\n]")


class ScannedReport(NamedTuple):
    """A report found in the output."""

    step: int
    metrics: dict[str, float | None]


def compile_metrics(patterns: Mapping[str, str]) -> dict[str, Any]:
    """The patterns by metric, each with one group (or one called "value"). Raises JobError."""
    compiled = {}
    for name, text in patterns.items():
        try:
            pattern = regex.compile(text)
        except regex.error as error:
            raise JobError(
                f"metrics: the pattern of {name!r} is no regular expression: {error}"
            ) from None
        if pattern.groups != 1 and VALUE not in pattern.groupindex:
            raise JobError(
                f"metrics: the pattern of {name!r} has {pattern.groups} groups; exactly one (...) says "
                f"where the number is, e.g. {name}=([-+.0-9e]+); or call it (?P<{VALUE}>...)"
            )
        compiled[name] = pattern
    return compiled


@dataclass(slots=True)
class Scanner:
    """Reads one attempt's output as it grows."""

    #: The metrics that count as such in JSON lines (others come along).
    wanted: frozenset[str]
    patterns: Mapping[str, Any] = field(default_factory=dict)
    #: Whether every JSON object with a number is a report (a file that holds nothing else).
    any_json: bool = False
    #: Patterns that took too long, and so are not searched for any more: why, by metric.
    given_up: dict[str, str] = field(default_factory=dict)
    #: What a pattern matched last that is no number, by metric.
    no_number: dict[str, str] = field(default_factory=dict)
    _rest: bytearray = field(default_factory=bytearray)
    _step: int | None = None
    _seen: dict[str, int] = field(default_factory=dict)

    def feed(self, chunk: bytes, *, last: bool = False) -> Iterator[ScannedReport]:
        """The reports in `chunk`, which continues what came before; with `last`, nothing follows."""
        start, *others = _LINE_END.split(chunk)
        self._rest += start
        for line in others:
            yield from self._read()
            self._rest += line
        if last:
            yield from self._read()
        elif len(self._rest) > 2 * _LINE_BYTES:
            _shorten(self._rest)

    def _read(self) -> Iterator[ScannedReport]:
        """The report in the line that is complete now."""
        if not self._rest:
            return
        _shorten(self._rest)
        line = _ESCAPE.sub(b"", self._rest).decode(errors="replace")
        self._rest.clear()
        metrics = self._from_json(line)
        for name, pattern in self.patterns.items():
            value = self._search(name, pattern, line)
            if value is not None:
                metrics[name] = value
        step = whole(metrics.pop(STEP, None))
        if step is not None:
            self._step = step
        if not metrics:
            return
        for name in metrics:
            self._seen[name] = self._seen.get(name, 0) + 1
        at = self._step if self._step is not None else max(self._seen[name] for name in metrics)
        yield ScannedReport(at, finite(metrics))

    def _search(self, name: str, pattern: Any, line: str) -> float | None:
        """The number that a pattern finds in a line."""
        if name in self.given_up:
            return None
        try:
            match = pattern.search(line, timeout=_SEARCH_S)
        except TimeoutError:
            self.given_up[name] = (
                f"the pattern of {name!r} took more than {_SEARCH_S:g} s on a line of {len(line):,} "
                f"characters: {pattern.pattern}; write it without repetitions inside repetitions, such "
                f"as {name}=([-+.0-9e]+)"
            )
            return None
        if match is None:
            return None
        text = match[_group(pattern)]
        value = _float(text)
        if value is None and text is not None:
            self.no_number[name] = text[:100]
        return value

    def _from_json(self, line: str) -> dict[str, float]:
        text = line.strip()
        if not (text.startswith("{") and text.endswith("}")):
            return {}
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        metrics = {name: v for name, value in entries.items() if (v := number(value)) is not None}
        return metrics if self.any_json or self.wanted & metrics.keys() else {}


def _shorten(line: bytearray) -> None:
    """Leave out the middle of a line that is too long."""
    if len(line) > _LINE_BYTES:
        line[_LINE_BYTES // 2 : -_LINE_BYTES // 2] = b" ... "


def _group(pattern: Any) -> int | str:
    return VALUE if VALUE in pattern.groupindex else 1


def _float(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
