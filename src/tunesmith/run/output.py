"""Metric extraction from a program's output, by patterns and JSON lines.

A *line* gives a report if one of the patterns matches in it, or if it is a JSON object with a number
under the name of a metric. A pattern called ``step`` gives the step; without one, a metric's step is
how often it has been seen.

What is printed where a number was expected is not passed over: once a metric has had a value, ``nan``,
``None`` or ``1,234.5`` in its place is a value that is not finite, so that the one before does not stand.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tunesmith.core.outcome import finite, number, whole
from tunesmith.run import pattern
from tunesmith.run.pattern import Pattern, Reading, reading

STEP: Final = "step"
#: Of longer lines the middle is left out.
_LINE_BYTES: Final = 8 << 20
#: What of a text is quoted in a message.
_QUOTED: Final = 100
#: What moves the cursor to the right, or elsewhere: it parts what stands before and after it.
_MOVE: Final = re.compile(rb"\x1b\[[\d;]*[A-Hdf`]")
#: What colours, clears, links and names things: CSI, OSC and its like, and escapes of one or two characters.
_ESCAPE: Final = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
)
_LINE_END: Final = re.compile(rb"[\r\n]")


class ScannedReport(NamedTuple):
    """A report extracted from the output."""

    step: int
    metrics: dict[str, float | None]


def compile_metrics(patterns: Mapping[str, str]) -> dict[str, Pattern]:
    """The patterns by metric. Raises JobError."""
    return {metric: Pattern.of(metric, text) for metric, text in patterns.items()}


@dataclass(slots=True)
class Scanner:
    """Reads one attempt's output as it grows."""

    #: The metrics that count as such in JSON lines (others come along).
    wanted: frozenset[str]
    patterns: Mapping[str, Pattern] = field(default_factory=dict)
    #: Whether every JSON object with a number is a report (a file that holds nothing else).
    any_json: bool = False
    #: Patterns that took too long, and so are not searched for any more: why, by metric.
    given_up: dict[str, str] = field(default_factory=dict)
    #: What stood last where a number was expected, by metric; a number that comes after it removes it.
    no_number: dict[str, str] = field(default_factory=dict)
    #: Words that stood there after the last value, and were passed over.
    passed_over: dict[str, str] = field(default_factory=dict)
    #: The metrics whose last value is a number that is not finite, and that number.
    not_finite: dict[str, float] = field(default_factory=dict)
    #: How many lines there were, and the first that is no JSON object, with its place.
    lines: int = 0
    no_json: tuple[int, str] | None = None
    #: The step that was printed last.
    step: int | None = None
    _rest: bytearray = field(default_factory=bytearray)
    _seen: dict[str, int] = field(default_factory=dict)
    #: What stands in every line that says something; None where that is not certain.
    _look_for: re.Pattern[bytes] | None = None

    def __post_init__(self) -> None:
        literals = [one.literal for one in self.patterns.values()]
        if not self.any_json and all(literals):
            literals = [*dict.fromkeys([*literals, "}", "\x1b", "\b", "\0"])]
            self._look_for = re.compile(
                b"|".join(re.escape(text.encode(errors="replace")) for text in literals)
            )

    def feed(self, chunk: bytes, *, last: bool = False) -> Iterator[ScannedReport]:
        """The reports in `chunk`, which continues what came before; with `last`, nothing follows."""
        start, *others = _LINE_END.split(chunk)
        self._rest += start
        if others:
            yield from self._read()
            *whole, rest = others
            if self._look_for is not None and self._look_for.search(chunk) is None:
                self.lines += sum(map(bool, whole))
            else:
                for line in whole:
                    if line:
                        yield from self._line(line)
            self._rest += rest
        if last:
            yield from self._read()
        elif len(self._rest) > 2 * _LINE_BYTES:
            _shorten(self._rest)

    def _read(self) -> Iterator[ScannedReport]:
        """The report in the line that is complete now."""
        if self._rest:
            _shorten(self._rest)
            line = bytes(self._rest)
            self._rest.clear()
            yield from self._line(line)

    def _line(self, printed: bytes) -> Iterator[ScannedReport]:
        """The report in a line."""
        self.lines += 1
        if self._look_for is not None and self._look_for.search(printed) is None:
            return
        line = _as_shown(printed)
        metrics = self._from_json(line)
        for metric in self.patterns:
            value = self._search(metric, line)
            if value is not None:
                metrics[metric] = value
        step = whole(metrics.pop(STEP, None))
        if step is not None:
            self.step = step
        if not metrics:
            return
        for name, value in metrics.items():
            self._seen[name] = self._seen.get(name, 0) + 1
            self.passed_over.pop(name, None)
            self.not_finite.pop(name, None)
            if not math.isfinite(value):
                self.not_finite[name] = value
        at = self.step if self.step is not None else max(self._seen[name] for name in metrics)
        yield ScannedReport(at, finite(metrics))

    def _search(self, metric: str, line: str) -> float | None:
        """The number that a pattern finds in a line."""
        if metric in self.given_up:
            return None
        try:
            match = self.patterns[metric].read(line)
        except TimeoutError:
            self.given_up[metric] = (
                f"the pattern of {metric!r} took more than {pattern.SEARCH_S:g} s on a line of {len(line):,} "
                f"characters: {self.patterns[metric].text}; write it without repetitions inside repetitions, "
                f"such as {metric}={{number}}"
            )
            return None
        return None if match is None else self._value(metric, match)

    def _value(self, metric: str, match: Reading) -> float | None:
        """A match as a value; NaN for what stands in the place of a number, once there has been one."""
        if match.number is not None:
            self.no_number.pop(metric, None)
            return match.number
        if metric not in self._seen or match.stands_for_number:
            self.no_number[metric] = match.text[:_QUOTED]
        else:
            self.passed_over[metric] = match.text[:_QUOTED]
        return math.nan if metric in self._seen and match.stands_for_number else None

    def _from_json(self, line: str) -> dict[str, float]:
        entries = _json_object(line)
        if entries is None:
            if self.any_json and self.no_json is None and line.strip():
                self.no_json = self.lines, line.strip()[:_QUOTED]
            return {}
        metrics = {name: v for name, value in entries.items() if (v := number(value)) is not None}
        for name in self.wanted - entries.keys():
            if "." in name and (value := number(_nested(entries, name))) is not None:
                metrics[name] = value
        for name in self.wanted & (entries.keys() - metrics.keys()):
            value = self._value(name, _json_reading(entries[name]))
            if value is not None:
                metrics[name] = value
        for name in metrics.keys() & self.no_number.keys():
            if math.isfinite(metrics[name]):
                del self.no_number[name]
        return metrics if self.any_json or self.wanted & metrics.keys() else {}


def _json_object(line: str) -> dict[str, Any] | None:
    text = line.strip().strip("\ufeff").strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        entries: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return entries


def _nested(entries: dict[str, Any], name: str) -> Any:
    """What stands under a dotted name in objects inside one another."""
    node: Any = entries
    for key in name.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _json_reading(value: Any) -> Reading:
    """What stands in JSON where a number is expected: many writers make null of NaN."""
    if value is None:
        return Reading("null", None, stands_for_number=True)
    as_text = (
        reading(value) if isinstance(value, str) else Reading("", None, stands_for_number=False)
    )
    if as_text.number is not None and not math.isfinite(as_text.number):
        return as_text
    return Reading(json.dumps(value), None, as_text.stands_for_number)


def _as_shown(line: bytes) -> str:
    """A line as a terminal shows it: without colours, and with what backspaces have replaced."""
    if b"\x1b" in line:
        line = _ESCAPE.sub(b"", _MOVE.sub(b" ", line))
    text = line.replace(b"\0", b"").decode(errors="replace")
    if "\b" not in text:
        return text
    shown: list[str] = []
    at = 0
    for character in text:
        if character == "\b":
            at = max(0, at - 1)
        else:
            shown[at : at + 1] = character
            at += 1
    return "".join(shown)


def _shorten(line: bytearray) -> None:
    """Leave out the middle of a line that is too long."""
    if len(line) > _LINE_BYTES:
        line[_LINE_BYTES // 2 : -_LINE_BYTES // 2] = b" ... "
