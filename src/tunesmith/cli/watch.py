"""Progress output of `run` and `fit`: a live table, a line per trial, JSON lines, or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from tunesmith import streams
from tunesmith.cli.lines import headline, print_outlook, print_result, trial_line
from tunesmith.core.ledger import Ledger
from tunesmith.core.text import without_codes
from tunesmith.core.trial import State
from tunesmith.tuning.feed import Feed
from tunesmith.tuning.result import Result
from tunesmith.tuning.table import json_safe

if TYPE_CHECKING:
    from tunesmith.core.space.lattice import Count
    from tunesmith.tuning.study import Study

Mode: TypeAlias = Literal["live", "plain", "quiet", "json"]


class RunWatcher(Protocol):
    """What `run` shows as it goes on."""

    def opened(self, study: Study) -> None: ...
    def watch(self, ledger: Ledger, now: float) -> None: ...
    def say(self, message: str) -> None: ...
    def finish(self, result: Result) -> None: ...


@contextmanager
def watcher_for(
    mode: Mode, names: Sequence[str], planned: Count | None = None
) -> Iterator[RunWatcher]:
    """The watcher for a mode; a live table, of the parameters `names`, is taken down when the block is left.

    `planned`: how many configs the searcher has to propose, if that is known.
    """
    if mode == "live":
        from tunesmith.cli.screen import Screen

        with Screen(names, planned) as screen:
            yield screen
    elif mode == "json":
        yield JsonLines()
    elif mode == "quiet":
        yield ResultOnly()
    else:
        yield Plain(planned)


def mode_of(*, json: bool, quiet: bool, plain: bool) -> Mode:
    """What the user asked for; a live table where stderr is a terminal."""
    return (
        "json"
        if json
        else "quiet"
        if quiet
        else "plain"
        if plain or not streams.err().isatty()
        else "live"
    )


class ResultOnly:
    """Only the result, and messages that matter."""

    def opened(self, study: Study) -> None:
        pass

    def watch(self, ledger: Ledger, now: float) -> None:
        pass

    def say(self, message: str) -> None:
        streams.err().line(without_codes(message))

    def finish(self, result: Result) -> None:
        print_result(result)
        print_outlook(result)


class Plain(ResultOnly):
    """One line for each trial, for logs and pipes."""

    def __init__(self, planned: Count | None) -> None:
        self._planned = planned
        self._feed = Feed()

    def opened(self, study: Study) -> None:
        self.say(headline(study, self._planned))

    def watch(self, ledger: Ledger, now: float) -> None:
        progress = self._feed.moment(ledger, now)
        for change in progress.changes:
            self.say(trial_line(change, progress.metrics, ledger.judged.last(change.trial.number)))


class JsonLines(ResultOnly):
    """One JSON object per line on stdout: each trial that ends, pauses or goes on, with how far the study is then;
    and the end of the study."""

    def __init__(self) -> None:
        self._feed = Feed()

    def say(self, message: str) -> None:
        super().say(message)
        self._feed.warn(message)

    def watch(self, ledger: Ledger, now: float) -> None:
        progress = self._feed.moment(ledger, now)
        for trial, best, _ in progress.changes:
            event = {State.PAUSED: "paused", State.RUNNING: "resumed"}.get(trial.state, "trial")
            entry = {"event": event, "best": best, **trial.to_dict()}
            self._put({**entry, "progress": progress.to_dict()})

    def finish(self, result: Result) -> None:
        best = None if result.ledger.incumbent is None else result.best.to_dict()
        outlook = result.outlook()
        end: dict[str, Any] = {
            "event": "end",
            "why": result.ended_by,
            "detail": result.ended,
            "best": best,
        }
        if len(result.spec.objectives) > 1:
            end["front"] = [trial.to_dict() for trial in result.front]
        self._put({**end, "outlook": None if outlook is None else outlook._asdict()})

    def _put(self, value: dict[str, Any]) -> None:
        streams.out().line(json.dumps(json_safe(value), ensure_ascii=False))
