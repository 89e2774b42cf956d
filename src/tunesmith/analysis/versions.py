"""Versions of a study's program: what its sessions ran, which trials ran with which, and what has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tunesmith import search
from tunesmith.core.aging import Worth
from tunesmith.core.errors import shorten
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.program import Fingerprint, Source, stored_statements

#: So many changed parts are shown, and so many new lines of each.
_PARTS: Final = 8
_LINES: Final = 3


def changed(ledger: Ledger, program: Fingerprint) -> bool:
    """Whether trials of the study ran with another program than this."""
    return bool(program.parts) and any(
        ledger.versions[version - 1] != program.parts for version in _counts(ledger)
    )


def warning(ledger: Ledger, program: Fingerprint) -> str:
    """What has changed since which trials; "" if nothing has, or that is not known."""
    if not changed(ledger, program):
        return ""
    counts = _counts(ledger)
    last = max(v for v in counts if ledger.versions[v - 1] != program.parts)
    before = [number for version in counts for number in counts[version] if ledger.versions[version - 1] != program.parts]  # fmt: skip
    name, trials = ledger.spec.name, ranges(before)
    if dict(ledger.versions[max(counts) - 1]) == dict(program.parts):
        return f"the program of study {name!r} is the one that ran last, and {trials} ran an earlier version of it"
    lines = [f"the program of study {name!r} has changed since {trials}:"]
    lines += (f"  {line}" for line in differences(ledger.versions[last - 1], program))
    return "\n".join(lines)


def _counts(ledger: Ledger) -> dict[int, list[int]]:
    """The trials that ran with each version of the program, where that is known and their results count."""
    trials: dict[int, list[int]] = {}
    counts = ~ledger.column("retracted")
    for number, version in enumerate((ledger.column("version") * counts).tolist()):
        if version:
            trials.setdefault(version, []).append(number)
    return trials


def version_lines(ledger: Ledger) -> Iterator[str]:
    """One line for each version of a program that trials ran with, where there are several: what it changed, and what its
    results are worth, if it is not the current one."""
    counts = _counts(ledger)
    if len(counts) < 2 and not ledger.aging.generation:
        return
    previous: Mapping[str, str] | None = None
    value = {one.version: one for one in worth(ledger)}
    for version in sorted(counts):
        parts = ledger.versions[version - 1]
        news = () if previous is None else [*differences(previous, Fingerprint(parts))]
        line = f"version {version}: {ranges(counts[version])}" + "".join(f"; {n}" for n in news)
        yield line + (f"; {value[version]}" if version in value else "")
        previous = parts


def worth(ledger: Ledger) -> list[Worth]:
    """What the results of versions that are set aside are worth to the study, by version."""
    aged = ledger.column("aged")
    if not aged.any():
        return []
    changed, known = ledger.aging.changed, search.likeness(History(ledger))
    return [
        Worth(version, len(trials), changed, *known.get(version, ()))
        for version, trials in sorted(_counts(ledger).items())
        if aged[trials].all()
    ]


def differences(old: Mapping[str, str], program: Fingerprint) -> Iterator[str]:
    """What of a program has changed, a part a line."""
    new = program.parts
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    names.sort(key=lambda name: (name.startswith("value"), name not in new or name not in old))
    for name in names[:_PARTS]:
        if name not in new:
            yield f"{name} is gone"
        elif name not in old:
            yield f"{name} is new" + _value_of(new[name])
        else:
            yield f"{name}{_change(old[name], new[name], program.sources.get(name))}"
    if len(names) > _PARTS:
        yield f"and {len(names) - _PARTS} parts more"


def _value_of(text: str) -> str:
    return "" if text.startswith(("source ", "digest ", "bytecode ")) else f": {shorten(text)}"


def _change(old: str, new: str, source: tuple[str, Source] | None) -> str:
    before, after = stored_statements(old), stored_statements(new)
    if before is None or after is None or source is None:
        coded = old.startswith("bytecode ") and new.startswith("bytecode ")
        was, now = old.rpartition(" ")[2], new.rpartition(" ")[2]
        if coded and was != now:
            return f" cannot be compared: it has no source, and was run by Python {was}"
        if _value_of(old) and _value_of(new):
            return f": {shorten(new)} (it was {shorten(old)})"
        words = new.split(" ", 2)[2:] if new.startswith("digest ") else []
        return " has changed" + (f" ({words[0]})" if words else "")
    file, text = source
    fresh = [statement for statement in text.statements if statement.digest not in before]
    if not fresh:
        gone = len(before - after)
        if not gone:
            return " has changed: the order of its statements"
        return f" has changed: {gone} of its statements {'is' if gone == 1 else 'are'} gone"
    shown = [f"{file}:{s.line}  {shorten(s.text, 80)}" for s in fresh[:_LINES]]
    more = f" (and {len(fresh) - _LINES} more)" if len(fresh) > _LINES else ""
    return " has changed:" + "".join(f"\n    {line}" for line in shown) + more


def ranges(numbers: Iterable[int]) -> str:
    """``trials 0 to 7 and 9`` for these numbers."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [str(a) if a == b else f"{a} to {b}" if b > a + 1 else f"{a} and {b}" for a, b in runs]
    if len(words) > 6:
        words = [*words[:3], "...", words[-1]]
    single = len(runs) == 1 and runs[0][0] == runs[0][1]
    listed = ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]
    return f"trial{'' if single else 's'} {listed}"
