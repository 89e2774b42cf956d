"""The last sections of the report: costs and failures, the search space, and how to run the study again."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Final

import numpy as np

from tunesmith.analysis import progress
from tunesmith.analysis.page import Drawings, bullets, copyable, escape, folded, paragraphs, table
from tunesmith.analysis.regions import failures
from tunesmith.analysis.style import NO_GROUP
from tunesmith.analysis.trials import TrialArrays, brief, cut, show
from tunesmith.analysis.versions import version_lines
from tunesmith.core.quantity import count, show_bytes, show_number, show_seconds
from tunesmith.core.space.parameter import Choice, Fixed, Parameter
from tunesmith.core.text import write_yaml
from tunesmith.core.trial import State

#: Kinds of failures that are shown with an example.
EXAMPLES: Final = 5

_DURATIONS: Final = (
    "time", "trial_time", "compute_time", "no_improvement_time", "trial_silence",
)  # fmt: skip
_SIZES: Final = ("trial_memory", "disk")
_SEVERAL: Final = (
    "The program was changed while it was tuned, and results of several versions may not compare:"
)
STATES: Final = {
    State.COMPLETED: "completed",
    State.STOPPED: "stopped early",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.PAUSED: "paused",
    State.RUNNING: "running",
    State.WAITING: "waiting",
}


def cost(trials: TrialArrays, drawings: Drawings) -> str:
    ledger = trials.ledger
    elapsed, compute = ledger.worked_s, ledger.compute_time_s
    sentences = [
        f"The study took {show_seconds(elapsed)}, and its trials {show_seconds(compute)} together."
    ]
    wall = ledger.column("wall_s")
    known = wall[np.isfinite(wall)]
    if len(known) > 1 and float(np.median(known)) >= 1e-3:
        sentences.append(
            f"A typical trial took {show_seconds(float(np.median(known)))}, the longest {show_seconds(float(known.max()))}."
        )
    if spent := ledger.spec.limits.spent(ledger.money):
        by = "cost_metric" if ledger.spec.limits.cost_metric else "price_per_hour"
        sentences.append(f"They spent {spent} (by the limit {by}).")
    rows = []
    for state, name in STATES.items():
        of = np.flatnonzero(ledger.column("state") == list(State).index(state))
        if len(of):
            rows.append([name, f"{len(of):,}", show_seconds(float(np.nansum(wall[of])))])
    parts = [
        paragraphs([" ".join(sentences)]),
        table(["state", "trials", "time"], rows, right=["trials", "time"]),
    ]
    parts += _failures(trials)
    worth = float(np.nanmax(wall[trials.done], initial=0.0)) > 0.1
    if len(trials.done) > 2 and (worth or ledger.spec.limits.cost_metric):
        parts.append(drawings.add(progress.cost(trials)))
    return "".join(parts)


def _failures(trials: TrialArrays) -> Iterator[str]:
    """Why trials failed: each message once, the commonest first, with what was printed last."""
    by_message: dict[str, list[int]] = {}
    for number in trials.of(State.FAILED).tolist():
        reason = trials.ledger.reason(number)
        words = "no reason given" if reason is None else " ".join(str(reason).split())
        by_message.setdefault(cut(words, 200), []).append(number)
    if not by_message:
        return
    shown = False
    yield "<h3>Why trials failed</h3>"
    for one in failures(trials.ledger):
        if one.region.where:
            yield paragraphs([f"{one}."])
    for words, numbers in sorted(by_message.items(), key=lambda item: -len(item[1]))[:EXAMPLES]:
        reason = trials.ledger.reason(numbers[-1])
        entry = f"<p>{count(len(numbers), 'trial')}: {escape(words)}</p>"
        if reason is not None and reason.output.strip():
            lines = "\n".join(reason.output.strip().splitlines()[-20:])
            entry += folded(
                f"what trial {numbers[-1]} printed last",
                f"<pre>{html.escape(lines)}</pre>",
                unfolded=not len(trials.done) and not shown,
            )
            shown = True
        yield entry
    if len(by_message) > EXAMPLES:
        yield paragraphs([f"And {len(by_message) - EXAMPLES} other reasons."])


def tuned(trials: TrialArrays) -> str:
    space = trials.ledger.spec.space
    rows = []
    for name, parameter in space.parameters.items():
        condition = space.condition(name)
        rows.append(
            [
                name,
                range_of(parameter)
                if not isinstance(parameter, Fixed)
                else f"fixed at {show(parameter.constant)}",
                "" if group_of(parameter) == NO_GROUP else group_of(parameter),
                "" if condition is None else condition.text,
            ]
        )
    keep = [0, 1, *(k for k in (2, 3) if any(row[k] for row in rows))]
    columns = [["parameter", "searched", "group", "only if"][k] for k in keep]
    parts = [table(columns, [[row[k] for k in keep] for row in rows])]
    if trials.ledger.spec.learned:
        parts.append(paragraphs(["Learned from what the trials asked for, the conditions too."]))
    if space.relations:
        parts.append(paragraphs(["Every config had to satisfy:"]))
        parts.append(bullets([r.text for r in space.relations]))
    if constraints := trials.ledger.spec.constraints:
        parts.append(paragraphs(["Results had to keep:"]))
        parts.append(bullets([c.text for c in constraints]))
    return "".join(parts)


def again(trials: TrialArrays) -> str:
    from tunesmith.version import __version__

    spec = trials.ledger.spec
    versions = {s.version for s in trials.ledger.sessions.values() if getattr(s, "version", "")}
    rows = [
        ["tunesmith", ", ".join(sorted(versions)) or __version__],
        ["study", spec.name],
        ["seed", str(spec.seed)],
        ["searcher", _strategy(spec.searcher.to_dict())],
        ["scheduler", "none" if spec.scheduler is None else _strategy(spec.scheduler.to_dict())],
    ]
    rows += [
        [f"limit {name}", _limit(name, value)] for name, value in spec.limits.to_dict().items()
    ]
    programs = [*version_lines(trials.ledger)]
    study = {k: v for k, v in spec.to_dict().items() if k != "past"}
    space = spec.space.to_dict()
    return (
        table(["", ""], rows)
        + paragraphs(
            [
                "The same seed, space and searcher give the same configs, if trials end in the same order."
            ]
        )
        + (paragraphs([_SEVERAL]) + bullets(programs) if programs else "")
        + folded(
            "The space", copyable("As YAML, for a job file", write_yaml(space) if space else "")
        )
        + folded(
            "The whole study", copyable("As JSON", json.dumps(study, ensure_ascii=False, indent=2))
        )
    )


def _limit(name: str, value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if name in _DURATIONS:
            return show_seconds(value)
        if name in _SIZES:
            return show_bytes(value)
    return "none" if value is None else show(value)


def _strategy(spec: object) -> str:
    return spec if isinstance(spec, str) else json.dumps(spec)


def group_of(parameter: Parameter | None) -> str:
    return getattr(parameter, "group", None) or NO_GROUP


def range_of(parameter: Parameter | None) -> str:
    """Among which values a parameter was searched."""
    if parameter is None or isinstance(parameter, Fixed):
        return "fixed"
    if isinstance(parameter, Choice):
        shown = ", ".join(brief(show(v), 24) for v in parameter.values[:8])
        if len(shown) > 90:
            return f"{brief(show(parameter.values[0]), 24)} and {parameter.size - 1} more"
        return shown + (f" and {parameter.size - 8} more" if parameter.size > 8 else "")
    scale = {True: ", log scale", "reverse": ", reverse log scale"}.get(parameter.log, "")
    return (
        f"{show_number(float(parameter.low), 4)} to {show_number(float(parameter.high), 4)}{scale}"
    )
