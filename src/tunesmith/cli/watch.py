"""How `run` shows what goes on: a live table, a line per trial, JSON lines, or nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from tunesmith.cli.tables import config_block, show_config
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import show_number, show_seconds
from tunesmith.core.trial import ENDED, State, Trial
from tunesmith.tuning.result import Result
from tunesmith.tuning.table import finite, rows

if TYPE_CHECKING:
    from tunesmith.core.space.lattice import Count
    from tunesmith.tuning.study import Study

Mode: TypeAlias = Literal["live", "plain", "quiet", "json"]


class RunWatcher(Protocol):
    """What `run` tells as it goes on."""

    def opened(self, study: Study) -> None: ...
    def watch(self, ledger: Ledger, now: float) -> None: ...
    def say(self, message: str) -> None: ...
    def finish(self, result: Result) -> None: ...


@contextmanager
def watcher_for(
    mode: Mode, names: Sequence[str], grid_points: Count | None = None
) -> Iterator[RunWatcher]:
    """The watcher for a mode; a live table, of the parameters `names`, is taken down when the block is left.

    `grid_points`: how many a grid search has.
    """
    if mode == "live":
        from tunesmith.cli.screen import Screen

        with Screen(names, grid_points) as screen:
            yield screen
    elif mode == "json":
        yield JsonLines()
    elif mode == "quiet":
        yield Quiet()
    else:
        yield Plain(grid_points)


def mode_of(*, json: bool, quiet: bool, plain: bool) -> Mode:
    """What the user asked for; a live table where stderr is a terminal."""
    return (
        "json"
        if json
        else "quiet"
        if quiet
        else "plain"
        if plain or not sys.stderr.isatty()
        else "live"
    )


class Follower:
    """The trials that have ended, paused or gone on since the last call: O(not ended + new)."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._open: list[int] = []
        #: The state of open trials that was told last.
        self._told: dict[int, State] = {}

    def new(self, ledger: Ledger) -> list[Trial]:
        if self._next is None:  # what earlier sessions did is known
            self._next = ledger.size
            self._open = [n for n in range(ledger.size) if ledger.state(n) not in ENDED]
        self._open += range(self._next, ledger.size)
        self._next = ledger.size
        news = []
        for number in self._open:
            state = ledger.state(number)
            gone_on = state is State.RUNNING and self._told.get(number) is State.PAUSED
            if (
                state in ENDED
                or gone_on
                or (state is State.PAUSED and self._told.get(number) != state)
            ):
                news.append(number)
                self._told[number] = state
        self._open = [number for number in self._open if ledger.state(number) not in ENDED]
        return [ledger.trial(number) for number in news]


class Quiet:
    """Only the result, and messages that matter."""

    def opened(self, study: Study) -> None:
        pass

    def watch(self, ledger: Ledger, now: float) -> None:
        pass

    def say(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)  # noqa: T201

    def finish(self, result: Result) -> None:
        print_result(result)
        print_outlook(result)


class Plain(Quiet):
    """One line for each trial, for logs and pipes."""

    def __init__(self, grid_points: Count | None) -> None:
        self._grid_points = grid_points
        self._follower = Follower()

    def opened(self, study: Study) -> None:
        self.say(headline(study, self._grid_points))

    def watch(self, ledger: Ledger, now: float) -> None:
        for trial in self._follower.new(ledger):
            self.say(trial_line(ledger, trial))


class JsonLines(Quiet):
    """One JSON object per line on stdout: each trial that ends, pauses or goes on, then the end of the study."""

    def __init__(self) -> None:
        self._follower = Follower()

    def watch(self, ledger: Ledger, now: float) -> None:
        for trial in self._follower.new(ledger):
            event = {State.PAUSED: "paused", State.RUNNING: "resumed"}.get(trial.state, "trial")
            self._put({"event": event, "best": ledger.incumbent == trial.number, **trial.to_dict()})

    def finish(self, result: Result) -> None:
        best = None if result.ledger.incumbent is None else result.best.to_dict()
        told = result.outlook()
        end: dict[str, Any] = {
            "event": "end",
            "why": result.ended_by,
            "detail": result.ended,
            "best": best,
        }
        if len(result.spec.objectives) > 1:
            end["front"] = [trial.to_dict() for trial in result.front]
        self._put({**end, "outlook": None if told is None else told._asdict()})

    def _put(self, value: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(finite(value), ensure_ascii=False) + "\n")
        sys.stdout.flush()


def headline(study: Study, grid_points: Count | None) -> str:
    """What is about to happen, in one line."""
    spec = study.spec
    goals = ", ".join(f"{o.goal} {o.metric}" for o in spec.objectives)
    parts = [
        f"{spec.name}: {goals}",
        f"{len(spec.space)} parameters",
        f"searcher {spec.searcher.name}",
    ]
    if grid_points is not None:
        parts[-1] = f"grid of {grid_points} points"
    if spec.scheduler is not None:
        parts.append(f"scheduler {spec.scheduler.name}")
    if spec.limits.trials is not None:
        parts.append(f"{spec.limits.trials} trials")
    if spec.limits.time is not None:
        parts.append(show_seconds(spec.limits.time))
    if spec.limits.parallel > 1:
        parts.append(f"{spec.limits.parallel} at a time")
    done = len(study.trials)
    if done:
        parts.append(f"going on after {done} trials")
    return " · ".join(parts)


def trial_line(ledger: Ledger, trial: Trial) -> str:
    """One line about a trial that has ended, paused or gone on."""
    name = f"trial {trial.number:>4}"
    if trial.state is State.RUNNING:
        return f"{name}  goes on: {one_line(ledger.running[trial.number].why)}"
    told = f"{show_seconds(trial.cost.wall_s)}  {show_config(trial.config)}"
    last = ledger.curves.last(trial.number)
    if trial.state is State.COMPLETED and trial.values is not None:
        names = [o.metric for o in ledger.spec.objectives]
        outcome = " ".join(
            f"{n}={show_number(v)}" for n, v in zip(names, trial.values, strict=True)
        )
        return f"{name}  {outcome}{' *' if ledger.incumbent == trial.number else ''}  {told}"
    if trial.state in (State.STOPPED, State.PAUSED) and last is not None:
        outcome = " ".join(f"{n}={show_number(v)}" for n, v in last.metrics.items())
        why = "" if trial.reason is None else f" ({one_line(trial.reason.message)})"
        return f"{name}  {outcome} {trial.state} at step {last.step}{why}  {told}"
    reason = "" if trial.reason is None else f" ({one_line(str(trial.reason))})"
    return f"{name}  {trial.state}{reason}  {told}"


def one_line(text: str, width: int = 100) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."


def print_outlook(result: Result) -> None:
    """What more trials would gain, where that can be said."""
    outlook = result.outlook()
    if outlook is not None:
        sys.stdout.write(f"outlook: {outlook}\n")


def print_result(result: Result) -> None:
    """The end: why, and the best trial(s)."""
    out = sys.stdout
    out.write(f"{result.spec.name}: {result.ended or 'not ended'}\n")
    if not result.front:
        out.write(f"{result.nothing}\n")
        failed = [t for t in result.trials[-1:] if t.reason is not None]
        out.writelines(f"  | {line}\n" for t in failed for line in t.reason.output.splitlines())
        return
    if len(result.spec.objectives) > 1:
        out.write(f"{len(result.front)} trials that no other beats in every objective:\n")
        for row in rows(result, result.ledger.front()):
            out.write(f"  {row['number']}: {show_config(row)}\n")
        return
    best = result.best
    metric = result.spec.objective.metric
    out.write(f"best: {metric} {show_number(best.value, 7)} (trial {best.number})\n")
    for confirmed in result.confirmed:
        out.write(f"  trial {confirmed.trial}: {confirmed}\n")
    out.write(config_block(best.config))
