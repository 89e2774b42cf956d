"""A trial: its config beside that of the best, its curve, why it was suggested, how it ended, all that ever happened to it."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

import msgspec
import numpy as np

from tunesmith.analysis import svg
from tunesmith.analysis.appendix import range_of
from tunesmith.analysis.style import BLUE, GREY, Figure, Value, figure, text
from tunesmith.core import codec, events
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import Fixed
from tunesmith.core.text import shorten, text_of
from tunesmith.core.trial import ENDED, TABLE, State, Trial
from tunesmith.service.page.readings import Reading
from tunesmith.tuning.table import json_safe

#: Points of a curve, and events of a log, at most.
POINTS: Final = 400
EVENTS: Final = 200


def trial_of(reading: Reading, number: int) -> dict[str, Any]:
    """Raises StudyError where there is no such trial."""
    with reading.result() as result:
        ledger = result.ledger
        trial = ledger.trial(number)
        best = ledger.incumbent
        other = ledger.config(best) if best is not None and best != number else {}
        made = {
            **json_safe(
                {k: v for k, v in trial.to_dict().items() if k not in ("config", "reports")}
            ),
            "config": [_value(ledger, name, value, other) for name, value in trial.config.items()],
            "absent": [
                {"name": name, "best": json_safe(other[name])}
                for name in other
                if name not in trial.config
            ],
            "best": best,
            "objectives": [
                {
                    "metric": o.metric,
                    "goal": o.goal,
                    "value": None if trial.values is None else json_safe(trial.values[k]),
                }
                for k, o in enumerate(ledger.spec.objectives)
            ],
            "may": sorted(
                {verb for state, verb in TABLE if state is trial.state}
                & {"cancel", "correct", "retract"}
            ),
            "ended": trial.state in ENDED,
            "size": ledger.size,
            "cursor": ledger.cursor,
            "ended_why": _end(ledger, trial),
            "curves": [_drawn(made) for made in curve_figures(ledger, trial)],
        }
    history = list(reading.store.changes(reading.name, trial=number))
    made["log"] = [sentence(event) for event in history[-EVENTS:]]
    made["events"] = len(history)
    return made


def _value(ledger: Ledger, name: str, value: Any, other: dict[str, Any]) -> dict[str, Any]:
    parameter = ledger.spec.space.parameters.get(name)
    cell = {
        "name": name,
        "value": json_safe(value),
        "group": getattr(parameter, "group", None),
        "range": range_of(parameter),
        "fixed": parameter is None or isinstance(parameter, Fixed),
    }
    if name in other:
        cell |= {"best": json_safe(other[name]), "differs": other[name] != value}
    elif other:
        cell |= {"best": None, "differs": True}
    return cell


def _end(ledger: Ledger, trial: Trial) -> str:
    """Why it is where it is, in a sentence."""
    if trial.state is State.RUNNING:
        reason = ledger.stop_reasons.get(trial.number)
        if reason is not None:
            return f"It has been told to end: {reason.message}."
        why = ledger.running[trial.number].why if trial.number in ledger.running else ""
        return f"It goes on: {why}." if why else ""
    if trial.reason is not None:
        verb = {State.STOPPED: "Stopped", State.FAILED: "Failed", State.PAUSED: "Paused"}.get(
            trial.state, "Waiting again"
        )
        return f"{verb}: {trial.reason.message} ({trial.reason.kind})."
    return ""


def curve_figures(ledger: Ledger, trial: Trial) -> list[Figure]:
    """A figure for each metric that was reported more than once, the objectives first; grey is the best trial."""
    objectives = {o.metric: o.sign for o in ledger.spec.objectives}
    names = dict.fromkeys([*objectives, *(name for r in trial.reports for name in r.metrics)])
    best = ledger.incumbent
    other = ledger.curves.of(best) if best is not None and best != trial.number else ()
    made: list[Figure] = []
    for name in names:
        own = [(r.step, r.metrics[name]) for r in trial.reports if name in r.metrics]
        if len(own) < 2 or len(made) == 6:
            continue
        beside = [(r.step, r.metrics[name]) for r in other if name in r.metrics]
        lines = [
            (f"trial {best}, the best", beside, GREY, 1.5),
            (f"trial {trial.number}", own, BLUE, 2.2),
        ]
        data = []
        axis = Value(
            np.array([v for _, v in [*own, *beside]]), objectives.get(name, 1.0), whole=True
        )
        for title, points, colour, width in lines:
            if not points:
                continue
            some = points[:: max(1, len(points) // POINTS)]
            some = some if some[-1] == points[-1] else [*some, points[-1]]
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": text(title),
                    "x": [float(step) for step, _ in some],
                    "y": axis(np.array([v for _, v in some])),
                    "line": {"color": colour, "width": width},
                    "text": [text(title)],
                }
            )
        layout = {"xaxis": {"title": {"text": "step"}}, "yaxis": axis.axis(name)}
        made.append(figure(name, "", data, 240, **layout))
    return made


def _drawn(made: Figure) -> dict[str, str]:
    return {"svg": svg.draw(made, 520), "legend": svg.legend(made)}


# -- what happened, in words ------------------------------------------------------------------


def sentence(event: Event) -> dict[str, Any]:
    """An event: when, what, in words, by whom; and whole, as it is stored."""
    made = {
        "at": event.at,
        "kind": type(event).__name__.lower(),
        "words": _words(event),
        "by": getattr(event, "by", ""),
    }
    number = getattr(event, "trial", None)
    if number is not None:
        made["trial"] = number
    stored = codec.encode(event)
    made["stored"] = stored if len(stored) <= 4000 else stored[:4000] + "…"
    return made


def _words(event: Event) -> str:  # noqa: C901 (one case a kind)
    match event:
        case events.Opened():
            what = "began to run the study" if event.coordinator else "came to take trials"
            return f"process {event.pid} on {event.host} {what}"
        case events.Closed():
            return "a process left in good order"
        case events.Suggested():
            return f"suggested by {event.origin.searcher} and begun" + _because(event.origin.why)
        case events.Enqueued():
            return f"put into the queue by {event.origin.searcher}" + _because(event.origin.why)
        case events.Forked():
            return f"goes on from trial {event.parent} with another config" + _because(
                event.origin.why
            )
        case events.Started():
            return f"attempt {event.attempt} began" + _because(event.why)
        case events.Reported():
            return f"step {event.step}: {_metrics(event.metrics)}"
        case events.Asked():
            asked = ", ".join(f"{name} {shorten(text_of(v))}" for name, v in event.values.items())
            return f"asked for {asked or ', '.join(event.only or ())}"
        case events.Finished():
            values = _metrics(event.metrics)
            return (
                f"{event.state}"
                + (f": {values}" if values else "")
                + (f" ({event.reason})" if event.reason else "")
            )
        case events.Requeued():
            return f"attempt {event.attempt} is to be run again: {event.reason}"
        case events.Paused():
            return f"paused: {event.reason.message}"
        case events.Decided():
            return f"the scheduler decides: {event.decision}" + _because(event.why)
        case events.Corrected():
            return f"corrected to {_metrics(event.metrics)}" + _because(event.why)
        case events.Retracted():
            return ("counts again" if event.undo else "counts no longer") + _because(event.why)
        case events.Annotated():
            tags = ", ".join(f"{k}={v}" for k, v in event.tags.items())
            return "; ".join(
                part
                for part in (
                    f"note: {event.note}" if event.note else "",
                    f"tags: {tags}" if tags else "",
                )
                if part
            )
        case events.Edited():
            return f"changed {', '.join(event.changes)}"
        case events.StopRequested():
            return "asked the study to stop"
        case events.Ended():
            return f"the study ended: {event.detail}"
    return msgspec.json.encode(event).decode()


def _because(why: str) -> str:
    return f": {why}" if why else ""


def _metrics(metrics: Any) -> str:
    return ", ".join(
        f"{name} {'not finite' if v is None or v != v else format(v, '.6g')}"
        for name, v in metrics.items()
    )


def journal(
    reading: Reading, before: int | None = None, count: int = 100, *, reports: bool = True
) -> dict[str, Any]:
    """The newest events of a study (before number `before`), the newest first; without trials' reports if so wished."""
    last = reading.store.cursor(reading.name)
    end = last if before is None else min(last, max(0, before - 1))
    made: list[dict[str, Any]] = []
    begin = end
    while begin > 0 and len(made) < count:
        # what is left out may be most of it
        begin, stop = max(0, begin - 10 * count), begin
        part = islice(reading.store.changes(reading.name, begin), stop - begin)
        kept = [
            (number, event)
            for number, event in enumerate(part, begin + 1)
            if reports or not isinstance(event, events.Reported)
        ]
        made += [{"number": n, **sentence(event)} for n, event in kept[::-1][: count - len(made)]]
    return {"events": made, "cursor": last}
