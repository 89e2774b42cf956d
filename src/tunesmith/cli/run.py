"""`tunesmith run`: run or resume a job file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tunesmith.cli import errors
from tunesmith.cli.arguments import AllowImport, Storage, allow_imports

if TYPE_CHECKING:
    from tunesmith.tuning.result import Result
    from tunesmith.tuning.versions import Changed, OnChange


def run(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job file (YAML or JSON).")],
    storage: Storage = None,
    name: Annotated[
        str | None, typer.Option(help="The study's name, instead of the job's.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Trials in all.")] = None,
    time: Annotated[str | None, typer.Option(help="Time for the study: 90s, 10m, 2h.")] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", "-p", help="Trials at a time.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Makes the study repeatable.")] = None,
    plain: Annotated[bool, typer.Option(help="One line per trial, no live table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    on_change: Annotated[
        str | None,
        typer.Option(
            metavar="continue|refuse|new",
            help="If the program has changed since trials ran: go on all the same, refuse, or begin a study of its own.",
        ),
    ] = None,
    changed: Annotated[
        str | None,
        typer.Option(
            metavar="discount|keep|drop",
            help="What becomes of the results so far, going on: an earlier study's, all together, or left out.",
        ),
    ] = None,
    data_version: Annotated[
        str | None,
        typer.Option(
            help="A word of yours that changes with the data: another one is another program."
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Run the trials that failed again, once the program is mended; they count once.",
        ),
    ] = False,
    join: Annotated[
        bool,
        typer.Option(
            "--join",
            help="Share the study with others who run the same command, here or (with a database) on other hosts.",
        ),
    ] = False,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="ray|slurm|dask", help="Run trials on a cluster (default: what the job says)."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The cluster's (default: what its own variables say, or one here).",
        ),
    ] = None,
    preflight: Annotated[
        bool,
        typer.Option(help="Try the smallest, default and largest configs, forecast, and exit."),
    ] = False,
    preflight_time: Annotated[str, typer.Option(help="Longest try of one config.")] = "30s",
    allow_import: AllowImport = None,
) -> None:
    """Run a job, or go on with it where it stopped.

    Ctrl-C once lets running trials end within their grace; twice kills them. Run it again to go on.
    """
    from tunesmith.cli.watch import mode_of, watcher_for
    from tunesmith.integrations.sweep_files import load
    from tunesmith.tuning.job import run_job
    from tunesmith.tuning.spec import planned_configs

    allow_imports(allow_import)
    overrides = {
        "storage": storage,
        "name": name,
        "trials": trials,
        "time": time,
        "parallel": parallel,
        "seed": seed,
        "on": on,
        "address": address,
    }
    loaded = load(job, overrides)
    if preflight:
        from tunesmith.cli.preflight import show_preflight

        raise typer.Exit(show_preflight(loaded, preflight_time, as_json=json))
    mode = mode_of(json=json, quiet=quiet, plain=plain)
    with watcher_for(
        mode, list(loaded.spec.space.tunables), planned_configs(loaded.spec)
    ) as watcher:
        result = run_job(
            loaded,
            on_change=cast("OnChange | None", on_change),
            changed=cast("Changed | None", changed),
            data_version=data_version,
            retry_failed=retry_failed,
            watcher=watcher.watch,
            say=watcher.say,
            opened=watcher.opened,
            join=join,
        )
    watcher.finish(result)
    raise typer.Exit(_code(result))


def _code(result: Result) -> int:
    """How it went, as an exit code."""
    why = result.ended_by
    if why in ("interrupted", ""):  # stopped, or left to others before it was over
        return errors.INTERRUPTED
    completed = any(trial.value is not None for trial in result.front[:1])
    return 0 if completed and why != "failures" else errors.FAILED
