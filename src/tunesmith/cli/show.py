"""`tunesmith show`: show a study or one trial."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tunesmith.cli.arguments import Json, Storage, StudyName

if TYPE_CHECKING:
    from tunesmith.core.events import Event, Opened
    from tunesmith.core.trial import Trial
    from tunesmith.tuning.excerpt import Overview
    from tunesmith.tuning.result import Result
    from tunesmith.tuning.study import Study


def show(
    study: StudyName = None,
    trial: Annotated[
        int | None,
        typer.Option("--trial", "-t", help="One trial, with everything that happened to it."),
    ] = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Show a study, or one of its trials in full."""
    from tunesmith.cli.arguments import open_study
    from tunesmith.cli.tables import print_json

    with open_study(study, storage) as opened:
        if trial is None:
            print_json(_study_dict(opened)) if json else _show_study(opened)
            return
        log = opened.log(trial)
        if json:
            print_json(
                {**opened.result().trials[trial].to_dict(), "log": [_event_dict(e) for e in log]}
            )
        else:
            result = opened.result()
            _show_trial(opened, result.trials[trial], log, result.ledger.sessions)


def _study_dict(study: Study) -> dict[str, Any]:
    from tunesmith.core.incumbent import breaches
    from tunesmith.tuning.excerpt import overview
    from tunesmith.tuning.session import at_work

    if (seen := overview(study.store, study.name)) is not None:
        top = [] if seen.best is None else [seen.best]
        return _dict(seen, seen.sessions, best=[trial.to_dict() for trial in top], outlook=None)
    result = study.result()
    outlook = result.outlook()
    front = [trial.to_dict() for trial in result.front]
    single = len(result.spec.objectives) == 1
    best = result.ledger.incumbent
    likely = [] if best is None else [result.best]
    _, numbers = breaches(result.ledger.table, result.ledger.where_counted)
    broken = dict(zip(result.spec.constraints, numbers, strict=True))
    more: dict[str, Any] = {}
    if any(trial.expected is not None for trial in likely):
        more["best_observed"] = result.best_observed.to_dict()
    if not single:
        knee = result.knee
        more |= {"front": front, "knee": None if knee is None else knee.number}
    if broken:
        more["broken"] = {constraint.text: int(n) for constraint, n in broken.items()}
    if failures := result.failures:
        more["failures"] = [one.to_dict() for one in failures]
    return _dict(
        result,
        at_work(result.ledger),
        best=[trial.to_dict() for trial in likely],
        **more,
        outlook=None if outlook is None else outlook._asdict(),
    )


def _dict(seen: Overview | Result, sessions: Sequence[Opened], **rest: Any) -> dict[str, Any]:
    coordinator = next((one for one in sessions if one.coordinator), None)
    running = None if coordinator is None else {"host": coordinator.host, "pid": coordinator.pid}
    return {
        **seen.spec.to_dict(),
        "counts": {str(state): n for state, n in seen.counts.items() if n},
        "ended": seen.ended,
        "running_here": running,
        "run_by": [{"host": s.host, "pid": s.pid, "task": s.task} for s in sessions],
        "cost": seen.cost,
        **rest,
    }


def _show_study(study: Study) -> None:
    from tunesmith.analysis.constraints import breaking
    from tunesmith.analysis.versions import version_lines
    from tunesmith.cli.lines import print_outlook, print_result
    from tunesmith.tuning.excerpt import overview
    from tunesmith.tuning.session import at_work

    if (seen := overview(study.store, study.name)) is not None:
        _show_head(seen, seen.sessions)
        _show_best(study, seen)
        return
    result = study.result()
    audit = str(audited) if (audited := result.audit()).trials else ""
    _show_head(
        result,
        at_work(result.ledger),
        audit,
        version_lines(result.ledger),
        len(result.ledger.forks),
        breaking(result.ledger),
        [str(one) for one in result.failures],
    )
    print_result(result, constraints=False)
    if result.ledger.incumbent is not None:
        _show_command(study, result.best)
    print_outlook(result)


def _show_command(study: Study, trial: Trial) -> None:
    if (command := study.command(trial)) is not None:
        typer.echo(f"command: {command}")


def _show_best(study: Study, seen: Overview) -> None:
    """What `print_result` says of a large study, as far as that is known without its history."""
    from tunesmith.cli.tables import config_block
    from tunesmith.core.quantity import show_number

    typer.echo(f"{seen.spec.name}: {seen.ended or 'not ended'}")
    if seen.best is None:
        typer.echo(f"study {seen.spec.name!r} has no completed trial")
        return
    value = show_number(seen.best.value, 7)
    typer.echo(f"best: {seen.spec.first_objective.metric} {value} (trial {seen.best.number})")
    typer.echo(config_block(seen.best.config), nl=False)
    _show_command(study, seen.best)
    typer.echo("outlook: left out for so many trials; `tunesmith report` has it")


def _show_head(
    seen: Overview | Result,
    sessions: Sequence[Opened],
    audit: str = "",
    versions: Iterable[str] = (),
    copies: int = 0,
    broken: Mapping[str, str] | None = None,
    failures: Sequence[str] = (),
) -> None:
    from tunesmith.core.quantity import show_seconds
    from tunesmith.core.text import write_yaml
    from tunesmith.tuning.session import describe_all

    spec, cost = seen.spec, seen.cost
    head: dict[str, Any] = {
        f"study {spec.name}": ", ".join(str(o) for o in spec.objectives),
        "trials": ", ".join(f"{n} {state}" for state, n in seen.counts.items() if n)
        or "no trials yet",
        **(
            {"copies": f"{copies} of these, in which runs of the population go on"}
            if copies
            else {}
        ),
        "searcher": spec.searcher.to_dict(),
        "seed": spec.seed,
    }
    if spec.scheduler is not None:
        head["scheduler"] = spec.scheduler.to_dict()
        if audit:
            head["audit"] = audit
    if broken:
        head["constraints"] = [f"{text}, broken by {who}" for text, who in broken.items()]
    if spec.tags:
        head["tags"] = list(spec.tags)
    if spec.owner:
        head["owner"] = spec.owner
    if failures:
        head["failures"] = failures
    if spec.prefer is not None:
        head["prefer"] = str(spec.prefer)
    head["limits"] = {n: _limit(n, v) for n, v in spec.limits.to_dict().items()} or "none"
    spent = spec.limits.spent(cost["money"])
    money = f", {spent}" if spent else ""
    head["spent"] = (
        f"{show_seconds(cost['elapsed_s'])} in all, {show_seconds(cost['compute_s'])} in trials{money}"
    )
    head["run by"] = describe_all(sessions) or "nobody at the moment"
    if listed := [*versions]:
        head["program"] = listed
    typer.echo(write_yaml(head), nl=False)
    typer.echo("space, learned from what trials asked for:" if spec.learned else "space:")
    typer.echo(indent(spec.space.to_yaml(), "  "))


#: Limits that are times, and those that are sizes.
_TIMES: Final = frozenset(
    {"time", "trial_time", "compute_time", "no_improvement_time", "trial_silence", "grace"}
)
_SIZES: Final = frozenset({"trial_memory", "disk"})


def _limit(name: str, value: Any) -> Any:
    """A limit in words."""
    from tunesmith.core.quantity import show_bytes, show_seconds

    if isinstance(value, str):
        return value
    return show_seconds(value) if name in _TIMES else show_bytes(value) if name in _SIZES else value


def _show_trial(
    study: Study, trial: Trial, log: list[Event], sessions: Mapping[str, Opened]
) -> None:
    from tunesmith.cli.tables import show_value
    from tunesmith.core.quantity import show_bytes, show_number, show_seconds
    from tunesmith.core.trial import State
    from tunesmith.tuning.session import name_of

    echo = typer.echo
    marks = "".join(f", {m}" for m in ("retracted", "outside") if getattr(trial, m))
    echo(f"trial {trial.number} of {study.name}: {trial.state}{marks}")
    for name, value in trial.metrics.items():
        echo(f"  {name} = {show_number(value, 7)}")
    for constraint in trial.broken if trial.state is State.COMPLETED else ():
        echo(f"breaks {constraint}")
    echo("config:")
    for name, value in trial.config.items():
        echo(f"  {name} = {show_value(value)}")
    _show_command(study, trial)
    origin = (
        f"{trial.origin.searcher}: {trial.origin.why}"
        if trial.origin.why
        else trial.origin.searcher
    )
    echo(f"from: {origin}")
    cost = trial.cost
    echo(
        f"cost: {show_seconds(cost.wall_s)} wall, {show_seconds(cost.cpu_s)} CPU, "
        f"{show_bytes(cost.memory_bytes)} at most"
        + (
            ""
            if cost.money is None
            else f", {study.spec.limits.cost_metric or 'money'} {cost.money:.4g}"
        )
    )
    if (checkpoint := study.checkpoint(trial, fetch=False)) is not None:
        echo(f"checkpoint: {checkpoint}")
    if trial.tags:
        echo("tags: " + ", ".join(f"{name}={value}" for name, value in trial.tags.items()))
    for note in trial.notes:
        echo(f"note: {note}")
    if trial.reason is not None:
        echo(f"reason: {trial.reason}")
        for line in trial.reason.output.splitlines():
            echo(f"  | {line}")
    echo("log:")
    for event in log:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
        who = sessions.get(getattr(event, "session", ""))
        echo(f"  {at}  {_event_line(event)}{f' by {name_of(who)}' if who else ''}")


def _event_dict(event: Event) -> dict[str, Any]:
    import json as json_module

    from tunesmith.core.codec import encode

    decoded: dict[str, Any] = json_module.loads(encode(event))
    return decoded


def _event_line(event: Event) -> str:
    """An event in words: its kind, and what it carries beside the trial and the time."""
    fields = _event_dict(event)
    kind = fields.pop("kind")
    for name in ("at", "trial", "session", "config", "origin", "cost"):
        fields.pop(name, None)
    if "reason" in fields:
        fields["reason"] = f"{fields['reason']['kind']}: {fields['reason']['message']}"
    details = ", ".join(f"{name} {value}" for name, value in fields.items())
    return f"{kind} {details}".rstrip()
