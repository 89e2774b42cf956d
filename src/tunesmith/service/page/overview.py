"""A study at this moment: what goes on in it, and its report as parts of a page."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Final

from tunesmith.analysis.findings import headline
from tunesmith.analysis.report import Draft, Parts
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import show_number, show_seconds
from tunesmith.service.page.readings import Reading
from tunesmith.tuning.feed import fraction_done, time_left_s
from tunesmith.tuning.session import at_work, brief, describe, running_session

#: A report that took so long (s) is not made again before this many times as long has passed.
PATIENCE: Final = 10.0
_REPORT: Final = "report"
_DRAFT: Final = "draft"
#: Sections that a screen shows at first.
FIRST: Final = 2


def live(reading: Reading) -> dict[str, Any]:
    """What changes from moment to moment: state, counts, limits, who works on it. O(1), but for the headline."""
    with reading.result() as result:
        ledger = result.ledger
        spec = ledger.spec
        best = ledger.incumbent
        goes = bool(ledger.running) or running_session(ledger) is not None
        now = time.time() if goes else ledger.worked_at
        return {
            "name": spec.name,
            "cursor": ledger.cursor,
            "size": ledger.size,
            "state": state_of(ledger),
            "headline": reading.made("headline", ledger, lambda: headline(TrialArrays(ledger))),
            "objectives": [{"metric": o.metric, "goal": o.goal} for o in spec.objectives],
            "counts": {str(state): n for state, n in ledger.counts.items() if n},
            "best": best,
            "best_value": None if best is None else (ledger.values(best) or (None,))[0],
            "limits": limits(ledger, now),
            "fraction": fraction_done(ledger, now),
            "left": show_seconds(left) if goes and (left := time_left_s(ledger, now)) else "",
            "elapsed": show_seconds(ledger.elapsed_s(now)),
            "last_at": ledger.last_at,
            "running": [_running(ledger, number) for number in sorted(ledger.running)[:50]],
            "workers": workers(ledger),
            "tags": list(spec.tags),
            "owner": spec.owner,
            "constraints": [c.text for c in spec.constraints],
            "parameters": list(spec.space.tunables),
            "metrics": list(ledger.metrics),
        }


def state_of(ledger: Ledger) -> dict[str, str]:
    """In a word and a sentence."""
    if ledger.ended is not None:
        return {"word": "ended", "sentence": f"It ended: {ledger.ended.detail}."}
    runs = running_session(ledger)
    if ledger.stop_requested is not None:
        by = ledger.stop_requested.by
        return {
            "word": "stopping",
            "sentence": f"{by} asked it to stop; running trials get their grace.",
        }
    if runs is not None:
        return {"word": "running", "sentence": f"Run by {describe(runs)}."}
    if ledger.running:
        return {
            "word": "running",
            "sentence": f"Run by {brief(at_work(ledger)) or 'a process of which nothing is known'}.",
        }
    if not ledger.size:
        return {"word": "new", "sentence": "No trial has begun yet: nobody has asked for one."}
    return {
        "word": "idle",
        "sentence": "Nobody works on it now: it has not ended, and no trial runs.",
    }


def limits(ledger: Ledger, now: float) -> list[dict[str, Any]]:
    """How much of each limit is used up, in words and as a share."""
    of = ledger.spec.limits
    spent: list[tuple[str, float, float | None, Callable[[float], str]]] = [
        ("trials", ledger.started_count, of.trials, _whole),
        ("time", ledger.elapsed_s(now), of.time, show_seconds),
        ("compute time", ledger.compute_time_s, of.compute_time, show_seconds),
        ("cost", ledger.money, of.cost, show_number),
        ("trials without improvement", ledger.improvement.trials_since, of.no_improvement, _whole),
        ("time without improvement", ledger.best_age_s(now), of.no_improvement_time, show_seconds),
    ]
    return [
        {"name": name, "used": show(used), "limit": show(limit), "share": min(1.0, used / limit)}
        for name, used, limit, show in spent
        if limit
    ]


def _whole(n: float) -> str:
    return f"{n:,.0f}"


def workers(ledger: Ledger) -> list[dict[str, Any]]:
    """Who has trials running."""
    by_session: dict[str, list[int]] = {}
    for number, running in sorted(ledger.running.items()):
        by_session.setdefault(running.session, []).append(number)
    made = []
    for name, numbers in list(by_session.items())[:100]:
        opened = ledger.sessions.get(name)
        who = name if opened is None else f"{opened.host}, process {opened.pid}"
        made.append({"who": who, "trials": numbers[:20], "more": max(0, len(numbers) - 20)})
    return made


def _running(ledger: Ledger, number: int) -> dict[str, Any]:
    last = ledger.curves.last(number)
    return {
        "number": number,
        "since": ledger.started_at(number),
        "step": None if last is None else last.step,
        "heard_at": ledger.running[number].heard_at,
    }


def report(reading: Reading, *, narrow: bool = False, first: bool = False) -> dict[str, Any]:
    """The report in parts, or the `first` of them alone. Where it takes long it is not made anew for each event; `size` is how many trials it knew."""
    with reading.result() as result:
        ledger = result.ledger
        known = reading.last(_REPORT)
        if known is not None:
            cursor, made = known
            if cursor == ledger.cursor or time.monotonic() - made["_at"] < PATIENCE * made["_took"]:
                return _shown(made, narrow=narrow, first=first)
        began = time.monotonic()
        draft = reading.made(_DRAFT, ledger, lambda: Draft(ledger))
        made = _made(ledger, draft.parts(FIRST if first else None), began)
        if not first:
            reading.keep(_REPORT, ledger.cursor, made)
            reading.forget(_DRAFT)
        return _shown(made, narrow=narrow, first=first)


def _made(ledger: Ledger, parts: Parts, began: float) -> dict[str, Any]:
    now = time.monotonic()
    return {
        "title": parts.title,
        "head": parts.head,
        "sections": [{"anchor": a, "heading": h, "html": inner} for a, h, inner in parts.sections],
        "tips": parts.tips,
        "cursor": ledger.cursor,
        "size": ledger.size,
        "made_at": time.time(),
        "_took": now - began,
        "_at": now,
    }


def _shown(made: dict[str, Any], *, narrow: bool, first: bool) -> dict[str, Any]:
    """The report without the drawings for screens of another width: half of it all."""
    other = _WIDE if narrow else _NARROW
    sections = [{**one, "html": other.sub("", one["html"])} for one in made["sections"]]
    shown = {k: v for k, v in made.items() if not k.startswith("_")} | {"sections": sections}
    if not first:
        return shown
    # what is seen without scrolling: the others, with their figures, are asked for behind it
    links = [{**one, "html": ""} for one in sections[FIRST:]]
    return shown | {"sections": sections[:FIRST] + links, "tips": '{"figures":[],"texts":[]}'}


#: A figure as `analysis.page.Drawings` has it for either width.
_WIDE: Final = re.compile(r'<div class="wide"><svg.*?</svg></div>', re.DOTALL)
_NARROW: Final = re.compile(r'<div class="narrow"><svg.*?</svg></div>', re.DOTALL)
