"""From whatever an objective returned to the state its trial ends in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tunesmith.core.errors import did_you_mean
from tunesmith.core.objective import LAST, Objective
from tunesmith.core.text import utf8
from tunesmith.core.trial import Kind, Reason, State

#: Steps are kept in 64 bits with a sign.
STEPS: Final = 2**63


class Outcome(NamedTuple):
    """How a trial ended, ready to be recorded."""

    state: State
    values: tuple[float, ...] | None = None
    metrics: Mapping[str, float | None] = {}
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """Stands for a value that another process returned and that is no number."""

    text: str
    type_name: str

    @classmethod
    def of(cls, value: Any) -> Unusable:
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001 (a __repr__ of the user's may raise anything)
            text = "something"
        return cls(text if len(text) <= 60 else f"{text[:57]}...", type(value).__name__)

    def __str__(self) -> str:
        return f"{self.text} ({self.type_name})"


def number(value: Any) -> float | None:
    """`value` as a float if it is a number (numpy's, or a tensor with one element), else None."""
    if type(value) is float:
        return value
    if type(value) is bool or value is None or isinstance(value, (str, bytes, Unusable)):
        return None
    try:
        if hasattr(value, "item"):
            value = value.item()
        return None if isinstance(value, (bool, str, bytes)) else float(value)
    except Exception:  # noqa: BLE001 (a __float__ of the user's may raise anything)
        return None


def whole(value: Any) -> int | None:
    """`value` as a step if it is a whole number of 64 bits, else None."""
    exact = value if type(value) is int else number(value)
    if exact is None or not -STEPS <= exact < STEPS or exact != int(exact):
        return None
    return int(exact)


def numbers(metrics: Mapping[Any, Any]) -> dict[str, float]:
    """The metrics that are numbers; others (a text, say) are left out."""
    return {
        utf8(str(name)): v for name, value in metrics.items() if (v := number(value)) is not None
    }


def finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """The metrics as they are stored: what is not finite as None."""
    return {
        name if type(name) is str and name.isascii() else utf8(name): v
        if math.isfinite(v)
        else None
        for name, v in metrics.items()
    }


def outcome_of(
    objectives: Sequence[Objective],
    returned: Any,
    latest: Mapping[str, float] | None = None,
    reports: Callable[[], Sequence[Mapping[str, float]]] = tuple,
    needed: Collection[str] = (),
) -> Outcome:
    """The outcome of a trial whose objective came to its end and returned `returned`.

    A bare number is the value of the only objective, a sequence has one number per objective, a
    mapping has metrics by name. What is missing is taken from `latest`, the trial's last reports. An objective
    that uses the best of them, or a mean, gets it from all `reports`, oldest first, whatever was returned. `needed` are
    further metrics without which the study's constraints cannot be judged, or its cost.
    """
    simple = type(returned) is float and len(objectives) == 1 and not latest and not needed
    if simple and math.isfinite(returned):
        return Outcome(
            State.COMPLETED, (returned,), {objectives[0].metric: returned}
        )  # the fast way
    names = [objective.metric for objective in objectives]
    latest = latest or {}
    if returned is None:
        returned_metrics: Mapping[Any, Any] = {}
    elif isinstance(returned, Mapping):
        returned_metrics = returned
    elif len(names) == 1 and number(returned) is not None:
        returned_metrics = {names[0]: returned}
    elif isinstance(returned, (tuple, list)) and len(returned) == len(names):
        returned_metrics = dict(zip(names, returned, strict=True))
    else:
        return _failed(
            f"the result was {_short(returned)}; give a number, or a mapping with {_listed(names)}"
        )
    metrics = {**latest, **numbers(returned_metrics)}
    values = []
    for name, objective in zip(names, objectives, strict=True):
        if name in returned_metrics and number(returned_metrics[name]) is None:
            return _failed(
                f"the metric {name!r} is {_short(returned_metrics[name])}, which is no number",
                metrics,
            )
        if name not in metrics:
            known = f"only {_listed(sorted(metrics))}" if metrics else "nothing was reported"
            what = "the result was None" if returned is None and not metrics else known
            remedy = (
                f"give a number, or {{{name!r}: number}}"
                if len(names) == 1
                else f"give {{{name!r}: ...}}"
            )
            return _failed(f"the metric {name!r} never arrived ({what}); {remedy}", metrics)
        if objective.use != LAST:
            reported = [report[name] for report in reports() if name in report]
            metrics[name] = objective.value_of(reported) if reported else metrics[name]
        values.append(metrics[name])
    missing = _complete(metrics, returned_metrics, needed)
    if missing is not None:
        return _failed(
            f"the metric {missing!r}, which a constraint or the limit on cost names, never arrived"
            f"{did_you_mean(missing, metrics)}; give {{{names[0]!r}: ..., {missing!r}: ...}}",
            metrics,
        )
    if not all(map(math.isfinite, values)):
        wrong = ", ".join(
            f"{n} = {v}"
            if math.isfinite(v) or n in returned_metrics
            else f"the last {n} is NaN or infinite"
            for n, v in zip(names, values, strict=True)
        )
        return Outcome(State.FAILED, None, finite(metrics), Reason(Kind.NOT_FINITE, wrong))
    return Outcome(State.COMPLETED, tuple(values), finite(metrics))


def _complete(
    metrics: dict[str, float], returned: Mapping[Any, Any], needed: Collection[str]
) -> str | None:
    """Put truth values (a constraint such as ``ok == 1``) among `metrics`; the first that is needed and missing."""
    for name in sorted(needed):
        if name not in metrics and isinstance(returned.get(name), bool):
            metrics[name] = float(returned[name])
    return next((name for name in sorted(needed) if name not in metrics), None)


#: What differs between errors that are the same: quoted names, paths, addresses and numbers, in this order.
_DETAILS: Final = re.compile(
    r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`"
    r"|(?:[A-Za-z]:\\|~?/)[^\s:,;'\"()]+"
    r"|0x[0-9a-fA-F]+|[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
)


def fingerprint(reason: Reason) -> str:
    """What makes two errors the same: their kind and message, but for numbers, addresses, paths and quoted names."""
    return f"{reason.kind}: {_DETAILS.sub('#', reason.message)}"


def _failed(message: str, metrics: Mapping[str, float] | None = None) -> Outcome:
    return Outcome(State.FAILED, None, finite(metrics or {}), Reason(Kind.ERROR, message))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _short(value: Any) -> str:
    return str(value if isinstance(value, Unusable) else Unusable.of(value))
