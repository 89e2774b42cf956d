"""What a person may change in a study, as forms; and what a change would do, before it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from tunesmith.analysis.appendix import range_of
from tunesmith.core.errors import StudyError
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import Limits
from tunesmith.core.quantity import count, show_bytes, show_number, show_seconds
from tunesmith.core.space.parameter import Choice, Fixed, Float, Int, Parameter
from tunesmith.core.space.space import Space
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import State
from tunesmith.service.page.readings import Reading
from tunesmith.tuning.table import json_safe

#: The limits that the form shows at once; the others are folded.
FIRST: Final = ("trials", "time", "parallel", "trial_time", "target", "no_improvement")
_DURATIONS: Final = (
    "time",
    "trial_time",
    "compute_time",
    "no_improvement_time",
    "grace",
    "trial_silence",
)
_SIZES: Final = ("trial_memory", "disk")
#: Trials that are named as outside a space.
_NAMED: Final = 8


def digest(spec: StudySpec) -> str:
    """What a form was filled in for: another one when somebody has changed the study meanwhile."""
    return hashlib.sha256(json.dumps(spec.to_dict(), sort_keys=True).encode()).hexdigest()[:16]


def form_of(reading: Reading) -> dict[str, Any]:
    """The fields of a config, of the limits, and the space as a text."""
    with reading.result() as result:
        ledger = result.ledger
        spec = ledger.spec
        best = ledger.incumbent
        return {
            "digest": digest(spec),
            "parameters": [
                _field(name, parameter, spec.space)
                for name, parameter in spec.space.parameters.items()
            ],
            "relations": [relation.text for relation in spec.space.relations],
            "best": best,
            "config": None if best is None else json_safe(ledger.config(best)),
            "limits": [
                _limit(f.name, f.metadata.get("doc", ""), spec.limits) for f in fields(Limits)
            ],
            "space": spec.space.to_yaml(),
            "command": spec.job.get("command"),
            "ended": None if ledger.ended is None else ledger.ended.detail,
            "stopping": ledger.stop_requested is not None,
            "failed": ledger.counts[State.FAILED],
        }


def _field(name: str, parameter: Parameter, space: Space) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "group": getattr(parameter, "group", None),
        "range": range_of(parameter),
        "default": json_safe(parameter.standard()),
        "when": None if space.condition(name) is None else _condition(parameter.when),
    }
    match parameter:
        case Choice():
            return made | {"kind": "choice", "values": list(parameter.values)}
        case Fixed():
            return made | {"kind": "fixed"}
        case Int():
            return made | {
                "kind": "int",
                "low": parameter.low,
                "high": parameter.high,
                "step": parameter.step,
            }
        case Float():
            return made | {"kind": "float", "low": parameter.low, "high": parameter.high}
    raise AssertionError


def _condition(when: Any) -> str:
    if isinstance(when, Mapping):
        return " and ".join(f"{name} is {_among(value)}" for name, value in when.items())
    return str(when)


def _among(value: Any) -> str:
    return (
        " or ".join(map(str, value))
        if isinstance(value, (list, tuple, set, frozenset))
        else str(value)
    )


def _limit(name: str, doc: str, limits: Limits) -> dict[str, Any]:
    value = getattr(limits, name)
    return {
        "name": name,
        "doc": doc,
        "value": _shown(name, value),
        "first": name in FIRST or name in limits.to_dict(),
    }


def _shown(name: str, value: Any) -> str:
    """A limit as a form has it, and as it may be written there."""
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}s" if name in _DURATIONS else f"{value:.15g}"
    return str(value)


def changes_of(spec: StudySpec, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of a filled form: ``{"limits": {"trials": "120"}, "space": "yaml"}``. Raises StudyError, SpaceError."""
    changes: dict[str, Any] = {}
    limits = wanted.get("limits") or {}
    if limits:
        known = {f.name for f in fields(Limits)}
        read = {name: _read(value) for name, value in limits.items()}
        if unknown := sorted(read.keys() - known):
            raise StudyError(f"there is no limit {unknown[0]!r}")
        defaults = {f.name: f.default for f in fields(Limits)}
        full = spec.limits.to_dict() | {n: defaults[n] if v is None else v for n, v in read.items()}
        changes["limits"] = Limits.from_dict(full).to_dict()
    if (text := wanted.get("space")) is not None:
        changes["space"] = Space.from_yaml(str(text)).to_dict()
    now = spec.to_dict()
    then = spec.edited(changes).to_dict()
    return {name: value for name, value in changes.items() if now.get(name) != then.get(name)}


def _read(value: Any) -> Any:
    """What stands in a field: a number where it is one."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text:
        return None
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def preview(reading: Reading, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a change would do, in sentences; nothing is changed. O(trials) for a space. Raises StudyError, SpaceError."""
    with reading.result() as result:
        ledger = result.ledger
        spec = ledger.spec
        changes = changes_of(spec, wanted)
        then = spec.edited(changes)
        sentences = []
        if "limits" in changes:
            sentences += _limits_differ(spec.limits, then.limits)
            sentences += _what_follows(ledger, then.limits)
        if "space" in changes:
            sentences += _spaces_differ(spec.space, then.space)
            sentences += _outside(ledger, then.space)
        return {"sentences": sentences, "changes": sorted(changes), "digest": digest(spec)}


def _limits_differ(old: Limits, new: Limits) -> list[str]:
    made = []
    for f in fields(Limits):
        a, b = getattr(old, f.name), getattr(new, f.name)
        if a != b:
            made.append(
                f"{f.name.replace('_', ' ')}: {_words(f.name, a)} becomes {_words(f.name, b)}."
            )
    return made


def _words(name: str, value: Any) -> str:
    if value is None:
        return "no limit"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if name in _DURATIONS:
            return show_seconds(value)
        return show_bytes(value) if name in _SIZES else show_number(float(value))
    return str(value)


def _what_follows(ledger: Ledger, limits: Limits) -> list[str]:
    begun = ledger.started_count
    if limits.trials is not None and begun >= limits.trials:
        return [
            f"{count(begun, 'trial').capitalize()} have begun already: no more would begin, and the study ends when those that run have."
        ]
    if ledger.ended is not None:
        again = "Whoever asks for trials gets some again; a program that had run it has to be started once more."
        return [f"It had ended ({ledger.ended.detail}). {again}"]
    if limits.trials is not None:
        return [f"That leaves {count(limits.trials - begun, 'trial')} to begin."]
    return []


def _spaces_differ(old: Space, new: Space) -> list[str]:
    made = []
    for name, parameter in new.parameters.items():
        if name not in old.parameters:
            made.append(
                f"{name} is new ({range_of(parameter)}); earlier trials count as having had its default."
            )
        elif old[name] != parameter:
            before, after = _whole(old[name]), _whole(parameter)
            made.append(f"{name}: {before} becomes {after}.")
    gone, come = {r.text for r in old.relations}, {r.text for r in new.relations}
    made += [f"It no longer has to hold that {text}." for text in sorted(gone - come)]
    made += [f"It has to hold that {text}." for text in sorted(come - gone)]
    return made


def _whole(parameter: Parameter) -> str:
    if isinstance(parameter, Fixed):
        return f"always {json.dumps(json_safe(parameter.standard()))}"
    return range_of(parameter)


def _outside(ledger: Ledger, space: Space) -> list[str]:
    before = ledger.column("outside")
    outside = [
        i for i in range(ledger.size) if not space.contains(space.complete(ledger.config(i)))
    ]
    if not outside:
        return ["All trials so far lie inside."] if ledger.size else []
    named = ", ".join(map(str, outside[:_NAMED])) + (", …" if len(outside) > _NAMED else "")
    more = sum(not before[i] for i in outside)
    sentences = [
        f"{count(len(outside), 'trial').capitalize()} of {ledger.size:,} would lie outside ({named}; {more:,} of them inside now).",
        "They are kept, and marked.",
    ]
    best = ledger.incumbent
    if best is not None and best in outside:
        sentences.append(
            f"Trial {best}, the best so far, is one of them: another one would be the best."
        )
    return sentences
