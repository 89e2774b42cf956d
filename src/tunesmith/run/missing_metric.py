"""Why a program that came to its end has given no value of a metric, and what to write instead."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from tunesmith.core.errors import shorten
from tunesmith.core.quantity import count
from tunesmith.run.metric_file import MetricFileReader
from tunesmith.run.output import Scanner
from tunesmith.run.pattern import Pattern

#: What of a line is quoted in a message.
_QUOTED: Final = 100


def no_metric(
    missing: Sequence[str],
    printed: Scanner,
    reported: Scanner,
    files: Mapping[str, MetricFileReader],
    metrics: Collection[str],
    patterns: Mapping[str, Pattern],
    output: str,
) -> str:
    """Why a program that exited with 0 has given no value of the `missing` metrics; `metrics` are those that came, and
    `output` is the end of what it printed."""
    names = ", ".join(repr(name) for name in missing)
    for name in missing:
        if name in files and files[name].problem:
            return f"the metric {name!r} never came: {files[name].problem}"
        for scanner in (printed, reported):
            if name in scanner.no_number:
                return no_number(name, scanner.no_number[name], patterns.get(name))
    if reported.no_json is not None:
        line, text = reported.no_json
        return (
            f"the metric {names} never came: $TUNESMITH_METRICS is a file of JSON lines, and its line {line} is "
            f'{text!r}; write one object a line, such as {{"{missing[0]}": 0.5}}'
        )
    if metrics:
        got = f"it reported {', '.join(map(repr, metrics))}"
    else:
        got = "it reported nothing" if printed.lines else "it printed nothing"
    unmatched = [name for name in missing if name in patterns]
    if unmatched:
        return (
            f"the metric {names} never came ({got}): in {count(printed.lines, 'line')} of output the pattern of "
            f"{unmatched[0]!r} never matched: {patterns[unmatched[0]].text}{_instead(unmatched[0], output)}"
        )
    if instead := _instead(missing[0], output):
        return f"the program exited with 0, but the metric {names} never came ({got}){instead}"
    if patterns and not metrics:
        got += f"; metrics: names {', '.join(map(repr, patterns))}"
    return (
        f"the program exited with 0, but the metric {names} never came ({got}); give it a pattern under metrics:, "
        'print {"name": value} lines, or call tunesmith.report()'
    )


def _instead(metric: str, output: str) -> str:
    """The pattern for a line in which a number follows the metric's name, however that is written there, or the names
    in a JSON line; else empty."""
    if not re.search(r"\w", metric):
        return ""
    names = r"[\W_]".join(map(re.escape, re.split(r"[\W_]+", metric)))
    place = re.compile(rf"(?<!\w)(['\"]?){names}\1\s*[:=(]?\s*(?=[-+.]?\d)", re.IGNORECASE)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in reversed(lines):
        if match := place.search(line):
            text = match[0].strip().replace("{", "{{").replace("}", "}}")
            spelled = f"{text}{'' if text[-1] in ':=(' else ' '}{{number}}"
            quote = '"' if "'" in spelled else "'"
            return f"; it printed {shorten(line, _QUOTED)!r}, so write metrics: {{{metric}: {quote}{spelled}{quote}}}"
    for line in reversed(lines):
        with contextlib.suppress(ValueError, RecursionError):
            entries = json.loads(line) if line.startswith("{") else None
            if isinstance(entries, dict) and entries:
                listed = ", ".join(map(repr, list(entries)[:10]))
                return f"; its JSON lines have {listed}: print {metric!r} among them, or name one of them as the metric"
    return ""


def no_number(metric: str, text: str, pattern: Pattern | None) -> str:
    """What to say of a text that stood where the number of a metric was expected."""
    if pattern is None:
        return f"the metric {metric!r} was reported as {text}, which is no number"
    remedy = "the pattern has to match where the number is printed, and nowhere else"
    if re.search(r"\d,\d", text):
        remedy = f"{{number:,}} takes a comma between thousands, as in {metric}={{number:,}}"
    elif re.match(r"[-+]?[\d.]+\w", text):
        remedy = f"a unit belongs into the pattern, as in {metric}={{number}}ms"
    return f"the pattern of {metric!r} matched {text!r}, which is no number; {remedy}"
