"""Cost estimate before a study is run: tries its smallest, default and largest configs.

"Smallest" and "largest" have every number at its end of the range, and every choice at its first or
last value.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.core.outcome import outcome_of
from tunesmith.core.quantity import show_bytes, show_seconds
from tunesmith.core.space.space import Config
from tunesmith.core.trial import Cost, Kind, Reason, State
from tunesmith.run.base import Executor
from tunesmith.run.executors import Context
from tunesmith.run.folder import OUTPUT, Folder
from tunesmith.run.metric_file import MetricFileReader
from tunesmith.run.missing_metric import no_metric
from tunesmith.run.output import STEP, Scanner
from tunesmith.run.pattern import Pattern
from tunesmith.run.program import built_in_of, compile_sources
from tunesmith.tuning.job import Job
from tunesmith.tuning.session import Session


@dataclass(frozen=True, slots=True)
class Try:
    """How one config did."""

    label: str
    config: Config
    wall_s: float
    memory_bytes: int | None
    reports: int
    metrics: dict[str, float]
    #: Whether it was cut off by the time for a try: its costs are lower bounds.
    cut: bool
    problem: str | None
    output: str = ""
    #: The command line that ran, its values put in.
    command: str = ""
    #: Why metrics that the job names, beside the objectives', never came.
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What the whole study will take, from the cheapest to the dearest try."""

    tries: tuple[Try, ...]
    trials: int | None
    parallel: int
    time_s: tuple[float, float] | None
    money: tuple[float, float] | None
    memory_bytes: int | None
    warnings: tuple[str, ...]

    @property
    def lower_bound(self) -> bool:
        """Whether some try was cut off, so that all may be more."""
        return any(one.cut for one in self.tries)

    def to_dict(self) -> dict[str, Any]:
        return {
            "tries": [
                {
                    "label": t.label,
                    "config": t.config,
                    "wall_s": t.wall_s,
                    "memory_bytes": t.memory_bytes,
                    "metrics": t.metrics,
                    "cut": t.cut,
                    "problem": t.problem,
                    "command": t.command,
                }
                for t in self.tries
            ],
            "trials": self.trials,
            "parallel": self.parallel,
            "time_s": self.time_s,
            "money": self.money,
            "memory_bytes": self.memory_bytes,
            "lower_bound": self.lower_bound,
            "warnings": list(self.warnings),
        }


def try_config(job: Job, label: str, config: Config, limit_s: float) -> Try:
    """Run one config for at most `limit_s`, in a temporary folder; nothing is stored."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        context = Context(job.spec, Session.new().id, Folder(Path(folder)), lambda _: None)
        executor = job.executor(context)
        program, trial = job.program, context.folder.trial(0)
        patterns, files = compile_sources(program.metrics)
        built_in = built_in_of(0, 0, job.spec.seed, trial)
        readers = {
            file.metric: MetricFileReader(file, file.resolved(program.cwd, built_in))
            for file in files
        }
        try:
            tried = _follow(job, executor, label, config, limit_s)
        finally:
            executor.close()
        return replace(tried, absent=_absent(tried, trial / OUTPUT, patterns, readers))


def _absent(
    tried: Try,
    output: Path,
    patterns: Mapping[str, Pattern],
    readers: Mapping[str, MetricFileReader],
) -> dict[str, str]:
    """Why metrics that the job file names, beside the objectives', never came."""
    scanner = Scanner(frozenset(patterns), patterns)
    printed = b""
    with suppress(OSError):
        printed = output.read_bytes()
    for _ in scanner.feed(printed, last=True):
        pass
    text = printed[-(64 << 10) :].decode(errors="replace")
    for reader in readers.values():
        for _ in reader.read(math.inf, last=True):
            pass
    came = {*tried.metrics, *([STEP] * (scanner.step is not None))}
    return {
        name: no_metric(
            [name], scanner, Scanner(frozenset()), readers, [*tried.metrics], patterns, text
        )
        for name in [*patterns, *readers]
        if name not in came
    }


def _follow(job: Job, executor: Executor, label: str, config: Config, limit_s: float) -> Try:
    began = time.monotonic()
    executor.start(Start(0, 0, config, job.spec.seed))
    stopped = False
    reports: list[Mapping[str, float]] = []
    while True:
        for event in executor.events(0.1):
            if isinstance(event, Reported):
                reports.append({n: v for n, v in event.metrics.items() if v is not None})
            elif isinstance(event, Exited):
                return _tried(job, event, label, config, reports, stopped)
        if not stopped and time.monotonic() - began >= limit_s:
            stopped = True
            executor.stop(Stop(0, Reason(Kind.STOPPED, "tried for long enough"), grace_s=2.0))


def _tried(
    job: Job,
    event: Exited,
    label: str,
    config: Config,
    reports: list[Mapping[str, float]],
    stopped: bool,
) -> Try:
    cut = stopped and event.reason is not None and event.reason.kind is Kind.STOPPED
    cost: Cost = event.cost
    problem, output = None, ""
    metrics = {name: value for report in reports for name, value in report.items()}
    if not cut:
        outcome = outcome_of(job.spec.objectives, event.returned, metrics, lambda: reports)
        metrics |= {name: v for name, v in outcome.metrics.items() if v is not None}
        reason = event.reason or outcome.reason
        if event.reason is not None or outcome.state is not State.COMPLETED:
            assert reason is not None
            problem, output = str(reason), reason.output
    command = job.program.template.shown(
        config, {"trial": 0, "attempt": 0, "seed": Start(0, 0, config, job.spec.seed).seed}
    )
    return Try(
        label, config, cost.wall_s or 0.0, cost.memory_bytes, len(reports), metrics, cut, problem, output,
        command,
    )  # fmt: skip


def preflight(
    job: Job, limit_s: float, tell: Callable[[str], None] = lambda _: None
) -> CostEstimate:
    """Try the three configs, each for at most `limit_s`, and estimate the study's cost."""
    space, limits = job.spec.space, job.spec.limits
    configs = {
        "smallest": space.corner(0.0),
        "default": space.nearest(space.default()),
        "largest": space.corner(1.0),
    }
    tries = []
    for label, config in configs.items():
        tell(f"trying the {label} config ...")
        tries.append(try_config(job, label, config, limit_s))
    times = [one.wall_s for one in tries if one.problem is None]
    memory = max((one.memory_bytes or 0 for one in tries), default=0) or None
    time_s = money = None
    if times and limits.trials is not None:
        rounds = -(-limits.trials // limits.parallel)
        time_s = (min(times) * rounds, max(times) * rounds)
        if limits.price_per_hour is not None:
            price = limits.price_per_hour / 3600 * limits.trials
            money = (min(times) * price, max(times) * price)
    return CostEstimate(
        tuple(tries),
        limits.trials,
        limits.parallel,
        time_s,
        money,
        None if memory is None else memory * limits.parallel,
        tuple(_warnings(job, tries, time_s, money, memory)),
    )


def _warnings(
    job: Job,
    tries: list[Try],
    time_s: tuple[float, float] | None,
    money: tuple[float, float] | None,
    memory: int | None,
) -> list[str]:
    limits = job.spec.limits
    warnings = [
        f"the {one.label} config failed: {one.problem}; it ran {one.command}"
        for one in tries
        if one.problem
    ]
    have = psutil.virtual_memory().available
    if memory is not None and memory * limits.parallel > have:
        warnings.append(
            f"{limits.parallel} trials at a time may need {show_bytes(memory * limits.parallel)} of "
            f"memory, and {show_bytes(have)} are free: lower parallel, or set trial_memory"
        )
    longest = max((one.wall_s for one in tries), default=0.0)
    if limits.trial_time is not None and longest > limits.trial_time:
        warnings.append(
            f"a trial may take {show_seconds(longest)}, over trial_time {show_seconds(limits.trial_time)}"
        )
    if time_s is not None and limits.time is not None and time_s[1] > limits.time:
        warnings.append(
            f"all trials may take {show_seconds(time_s[1])}; the time limit of "
            f"{show_seconds(limits.time)} may end the study first"
        )
    if money is not None and limits.cost is not None and money[1] > limits.cost:
        warnings.append(f"all trials may cost {money[1]:.4g}, over the limit of {limits.cost:g}")
    return warnings
