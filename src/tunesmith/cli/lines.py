"""Text rendering of studies, trials and results, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tunesmith import streams
from tunesmith.analysis.constraints import sentences
from tunesmith.analysis.fronts import standing
from tunesmith.cli.tables import config_block, show_config
from tunesmith.core.quantity import count, show_number, show_seconds
from tunesmith.core.text import without_codes
from tunesmith.core.trial import Report, State
from tunesmith.tuning.feed import Change
from tunesmith.tuning.result import Result
from tunesmith.tuning.standing import luck, reached

if TYPE_CHECKING:
    from tunesmith.core.space.lattice import Count
    from tunesmith.tuning.study import Study


#: Trials of the front that are listed at the end of a run.
FRONT_ROWS: Final = 20


def headline(study: Study, planned: Count | None) -> str:
    """What is about to happen, in one line."""
    spec = study.spec
    goals = ", ".join(str(o) for o in spec.objectives)
    parts = [
        f"{spec.name}: {goals}",
        count(len(spec.space), "parameter"),
        f"searcher {spec.searcher.name}",
    ]
    if planned is not None:
        parts[-1] = f"{spec.searcher.name} of {planned} points"
    if spec.scheduler is not None:
        parts.append(f"scheduler {spec.scheduler.name}")
    if (trials := spec.limits.trials) is not None:
        parts.append(count(trials, "trial"))
    if spec.limits.time is not None:
        parts.append(show_seconds(spec.limits.time))
    if spec.limits.parallel > 1:
        parts.append(f"{spec.limits.parallel} at a time")
    begun = study.result().ledger.started_count
    if begun:
        parts.append(f"going on after {count(begun, 'trial')}")
    return " · ".join(parts)


def trial_line(change: Change, objectives: Sequence[str], last: Report | None = None) -> str:
    """One line about a trial that has ended, paused or gone on; `objectives` are their metrics."""
    trial = change.trial
    name = f"trial {trial.number:>4}"
    if trial.state is State.RUNNING:
        return f"{name}  goes on: {one_line(change.why)}"
    rest = f"{show_seconds(trial.cost.wall_s)}  {show_config(trial.config)}"
    if trial.state is State.COMPLETED and trial.values is not None:
        outcome = " ".join(
            f"{n}={show_number(v)}" for n, v in zip(objectives, trial.values, strict=True)
        )
        breaks = f" breaks {' and '.join(trial.broken)}" if trial.broken else ""
        return f"{name}  {outcome}{' *' if change.best else ''}{breaks}  {rest}"
    if trial.state in (State.STOPPED, State.PAUSED) and last is not None:
        outcome = " ".join(f"{n}={show_number(v)}" for n, v in last.metrics.items())
        why = "" if trial.reason is None else f" ({one_line(trial.reason.message)})"
        return f"{name}  {outcome} {trial.state} at step {last.step}{why}  {rest}"
    reason = "" if trial.reason is None else f" ({one_line(str(trial.reason))})"
    return f"{name}  {trial.state}{reason}  {rest}"


def one_line(text: str, width: int = 100) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(without_codes(text).split())
    return line if len(line) <= width else f"{line[: width - 3]}..."


def _print_front(result: Result) -> None:
    """The trials that no other beats, by the first objective."""
    out, metrics = streams.out(), [o.metric for o in result.spec.objectives]
    sign = result.spec.first_objective.sign
    front = sorted(result.front, key=lambda trial: sign * (trial.value or 0.0))
    many = f"{len(front)} trials that no other beats" if len(front) > 1 else "one trial beats all"
    out.write(f"{many} in {', '.join(metrics)}:\n")
    knee = result.knee if len(front) > 2 else None
    preferred = result.ledger.incumbent
    for trial in front[:FRONT_ROWS]:
        values = zip(metrics, trial.values or (), strict=True)
        shown = " ".join(f"{metric}={show_number(value)}" for metric, value in values)
        marks = ["knee"] * (knee is not None and trial.number == knee.number)
        marks += ["preferred"] * (trial.number == preferred)
        mark = f"  <- {', '.join(marks)}" if marks else ""
        out.write(f"  trial {trial.number}: {shown}{mark}  {show_config(trial.config)}\n")
    if len(front) > FRONT_ROWS:
        command = f"tunesmith trials {result.spec.name} --sort value"
        out.write(f"  and {len(front) - FRONT_ROWS} more: {command} lists them first\n")
    if knee is not None:
        out.write(f"knee: {standing(result.ledger, knee.number)}\n")


def print_outlook(result: Result) -> None:
    """What more trials would gain, where that can be said."""
    outlook = result.outlook()
    if outlook is not None:
        streams.out().line(f"outlook: {outlook}")


def print_result(result: Result, *, constraints: bool = True) -> None:
    """The end: why, how many trials break which of the `constraints`, and the best trial(s)."""
    out = streams.out()
    out.write(f"{result.spec.name}: {result.ended or 'not ended'}\n")
    for sentence in sentences(result.ledger) if constraints else ():
        out.write(f"{sentence}\n")
    if not result.front:
        out.write(f"{result.nothing}\n")
        for line in result.nothing_output.splitlines():
            out.write(f"  | {line}\n")
        return
    if len(result.spec.objectives) > 1:
        _print_front(result)
        if result.spec.prefer is None:
            return
        out.write(f"preferred ({result.spec.prefer}):\n")
    best = result.best
    metrics = [objective.metric for objective in result.spec.objectives]
    out.write(f"best: {reached(metrics, best)}\n")
    if len(metrics) > 1:
        out.write(f"  {standing(result.ledger, best.number)}\n")
    if (lucky := luck(result, best)) is not None:
        out.write(f"  {lucky}\n")
    for confirmed in result.confirmed:
        out.write(f"  trial {confirmed.trial}: {confirmed}\n")
    out.write(config_block(best.config))
    out.flush()
