"""Output of `run --preflight`."""

from __future__ import annotations

import typer

from tunesmith.cli import errors
from tunesmith.cli.tables import print_json, print_table, show_config
from tunesmith.core.quantity import count, seconds, show_bytes, show_seconds
from tunesmith.tuning.job import Job
from tunesmith.tuning.preflight import CostEstimate, preflight


def show_preflight(job: Job, limit: str, *, as_json: bool) -> int:
    """Try, estimate, print; the exit code."""
    estimate = preflight(job, seconds(limit, "--preflight-time"), lambda m: typer.echo(m, err=True))
    if as_json:
        print_json(estimate.to_dict())
    else:
        _print(job, estimate)
    return errors.FAILED if any(one.problem for one in estimate.tries) else 0


def _print(job: Job, estimate: CostEstimate) -> None:
    rows, metrics = [], [objective.metric for objective in job.spec.objectives]
    for one in estimate.tries:
        least = "> " if one.cut else ""
        values = [one.metrics.get(metric) for metric in metrics]
        outcome = ["failed" if one.problem else "" if v is None else f"{v:.5g}" for v in values]
        took, memory = (
            f"{least}{show_seconds(one.wall_s)}",
            f"{least}{show_bytes(one.memory_bytes)}",
        )
        rows.append((one.label, took, memory, *outcome, show_config(one.config)))
    print_table(
        ("config", "time", "memory", *metrics, "values"),
        rows,
        right=("time", "memory"),
    )
    bound = "at least " if estimate.lower_bound else ""
    echo = typer.echo
    if estimate.time_s is not None and estimate.trials is not None:
        low, high = map(show_seconds, estimate.time_s)
        echo(
            f"{count(estimate.trials, 'trial')}, {estimate.parallel} at a time: {bound}{low} to {high}"
        )
    if estimate.memory_bytes is not None:
        echo(f"memory: {bound}{show_bytes(estimate.memory_bytes)} at a time")
    if estimate.money is not None:
        echo(f"cost: {bound}{estimate.money[0]:.4g} to {estimate.money[1]:.4g}")
    for warning in estimate.warnings:
        echo(f"warning: {warning}")
    for one in estimate.tries:
        for line in one.output.splitlines():
            echo(f"  {one.label} | {line}")
