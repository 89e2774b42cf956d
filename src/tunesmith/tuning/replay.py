"""Replay: recomputes every suggestion and scheduler decision of a study from its stored events, and compares.

A suggestion depends on the space, the seed and the history as it was; all of that is in the store.
O(suggestions * cost of a suggestion), and one pass over the events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tunesmith import schedule, search
from tunesmith.core import events
from tunesmith.core.asking import redraws
from tunesmith.core.decide import Strategies, resumption, verdict
from tunesmith.core.errors import StrategyNotAllowed, StudyNotFound
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.propose import recompute
from tunesmith.core.space.parameter import Float
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Drop, Resume, Verdict
from tunesmith.core.trial import USER, Origin, State
from tunesmith.store import Store
from tunesmith.tuning.arithmetic import arithmetic
from tunesmith.version import __version__

#: What a climb to the same maximum may end apart, in shares of a parameter's scale: rounding in the
#: model's last digits is some thousand times as much in the place of a flat maximum.
ROUNDING: Final = 1e-3


@dataclass(slots=True)
class Replay:
    """How the recomputed study compares; `problems` is empty if all is as it was."""

    suggestions: int = 0
    decisions: int = 0
    events: int = 0
    problems: list[str] = field(default_factory=list)
    #: Versions of tunesmith other than this one that worked on the study.
    versions: set[str] = field(default_factory=set)
    #: Suggestions that differ by rounding, made with another arithmetic than this process's.
    rounded: list[str] = field(default_factory=list)
    #: What was other than here in the sessions that made suggestions: "kernel Haswell, not SkylakeX".
    elsewhere: set[str] = field(default_factory=set)

    @property
    def proven(self) -> bool:
        """All is as it was, but for rounding."""
        return not self.problems

    @property
    def verdict(self) -> str:
        if self.problems:
            return "NOT the same"
        return "the same but for rounding" if self.rounded else "the same"


def replay(store: Store, name: str) -> Replay:
    """Check the store's own chain, then compute everything again.

    Raises StudyNotFound; StrategyNotAllowed for a study whose strategies are code that has to be allowed first.
    """
    comparison = Replay()
    try:
        tampered = store.verify(name)
        if tampered:
            comparison.problems.append(tampered)
        history = list(store.changes(name))
        comparison.events = len(history)
        _Pass(Ledger(store.load(name)), history, comparison).run()
    except (StrategyNotAllowed, StudyNotFound):
        raise
    except Exception as error:  # noqa: BLE001 (a falsified history may break anything)
        comparison.problems.append(f"the history does not hold together: {error}")
    return comparison


class _Pass:
    """One pass over the events."""

    def __init__(self, ledger: Ledger, history: list[Event], comparison: Replay) -> None:
        self._ledger = ledger
        self._history = history
        self._comparison = comparison
        self._memo: dict[Any, Any] = {}
        #: What each session computed with.
        self._arithmetic: dict[str, Mapping[str, str]] = {}
        #: Which suggestions were made at which cursor: several trials may share one.
        self._due: dict[int, list[events.Suggested]] = {}
        for event in history:
            if isinstance(event, events.Suggested):
                self._due.setdefault(event.origin.seen, []).append(event)
        self._decided = _decisions(history)
        self._unanswered = _unanswered(history)
        self._make_strategies()

    def _make_strategies(self) -> None:
        spec = self._ledger.spec
        self._strategies = Strategies(
            search.make(spec.searcher), schedule.make(spec.scheduler), memo=self._memo
        )

    def run(self) -> None:
        for i, event in enumerate(self._history):
            self._suggest_again(self._due.pop(self._ledger.cursor, []))
            self._resume_again(event)
            self._draw_again(event)
            self._ledger.apply(event)
            if isinstance(event, events.Edited):
                self._memo.clear()
                self._make_strategies()
            elif isinstance(event, events.Opened):
                self._arithmetic[event.session] = event.arithmetic
                if event.version not in ("", __version__):
                    self._comparison.versions.add(event.version)
            elif isinstance(event, events.Reported):
                self._decide_again(event, self._decided.get(i), unanswered=i in self._unanswered)
        for late in self._due.values():
            for event in late:
                self._comparison.problems.append(
                    f"trial {event.trial} claims to have seen the future"
                )

    def _suggest_again(self, suggested: list[events.Suggested]) -> None:
        made: dict[Origin, list[Config]] = {}
        for event in suggested:
            origin = event.origin
            if origin.searcher == USER:
                continue
            call = msgspec.structs.replace(origin, pick=0, why="")
            if call not in made:
                made[call] = list(
                    recompute(self._ledger, self._strategies.searcher, origin, self._memo)
                )
            self._comparison.suggestions += 1
            again = made[call][origin.pick] if origin.pick < len(made[call]) else None
            if again != event.config:
                self._differs(event, again)

    def _differs(self, event: events.Suggested, again: Config | None) -> None:
        """A suggestion is another one now: a fault, unless it is rounding where that may differ."""
        what = f"trial {event.trial}: suggested {event.config}, but again it would be {again}"
        there = self._arithmetic.get(event.session, {})
        others = [
            f"{name} {there.get(name, 'unknown')}, not {here}"
            for name, here in arithmetic().items()
            if there.get(name) != here
        ]
        self._comparison.elsewhere.update(others)
        if others and again is not None and _near(self._ledger.spec.space, event.config, again):
            self._comparison.rounded.append(what)
        else:
            self._comparison.problems.append(what)

    def _resume_again(self, event: Event) -> None:
        """What a scheduler does with paused trials: go on with one, or end it, or begin another there."""
        match event:
            case events.Started(why=why) if why:
                done: Resume | Drop = Resume(event.trial, why)
            case events.Forked():
                done = Resume(event.parent, event.origin.why, event.config)
            case events.Finished(state=State.STOPPED) if event.trial in self._ledger.paused:
                done = Drop(event.trial, event.reason.message if event.reason else "")
            case _:
                return
        again = resumption(self._ledger, self._strategies, full=event.full)
        self._comparison.decisions += 1
        if again != done:
            self._comparison.problems.append(
                f"the scheduler said {done}, but again it would be {again}"
            )

    def _draw_again(self, event: Event) -> None:
        """The values that a trial was given for what nobody had suggested."""
        if not isinstance(event, events.Asked):
            return
        number = event.trial
        for name in redraws(self._ledger.seed(number), number, self._ledger.plan(number), event):
            self._comparison.problems.append(
                f"trial {number}: {name} was {event.values.get(name)!r}, which is not what is drawn for it"
            )

    def _decide_again(
        self, event: events.Reported, decided: events.Decided | None, *, unanswered: bool
    ) -> None:
        decision = verdict(self._ledger, self._strategies, event.trial)
        if decision is None:
            return
        self._comparison.decisions += 1
        recorded = Verdict.CONTINUE if decided is None else Verdict(decided.decision)
        if decision.verdict is not recorded and not (decided is None and unanswered):
            self._comparison.problems.append(
                f"trial {event.trial} at step {event.step}: decided {recorded}, but again it would be "
                f"{decision.verdict}"
            )


def _near(space: Space, one: Config, other: Config) -> bool:
    """Whether two configs differ in real numbers alone, and by hardly any of their scales."""
    if one.keys() != other.keys():
        return False
    for name, value in one.items():
        parameter = space[name]
        if isinstance(parameter, Float) and parameter.step is None:
            apart = parameter.unit(float(value)) - parameter.unit(float(other[name]))
            if abs(float(apart)) > ROUNDING:
                return False
        elif value != other[name]:
            return False
    return True


def _decisions(history: list[Event]) -> dict[int, events.Decided]:
    """What was decided after a report, by its place in `history`: where others ask and tell, their events
    may come in between."""
    decisions: dict[int, events.Decided] = {}
    last: dict[int, int] = {}
    for i, event in enumerate(history):
        if isinstance(event, events.Reported):
            last[event.trial] = i
        elif isinstance(event, events.Decided) and event.trial in last:
            decisions[last.pop(event.trial)] = event
    return decisions


def _unanswered(history: list[Event]) -> set[int]:
    """The places in `history` of the reports with which whoever ran the trial may have died: a report is stored
    before anybody is asked about it."""
    last: dict[int, int] = {}
    unanswered: set[int] = set()
    for i, event in enumerate(history):
        match event:
            case events.Reported():
                last[event.trial] = i
            case events.Requeued() if event.trial in last:
                unanswered.add(last.pop(event.trial))
            case events.Decided() | events.Finished() | events.Paused():
                last.pop(event.trial, None)
    return unanswered | set(last.values())
