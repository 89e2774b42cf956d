"""SageMaker's API: how long descriptions and lists of many trainings take, and whether many tuning jobs survive a kill.

python benchmarks/fleet/sagemaker.py large [--trials 10000]
python benchmarks/fleet/sagemaker.py many [--jobs 100] [--at-a-time 4]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.service.sagemaker.clients import METRIC, Cloud, config, definition

from tunesmith.core import events
from tunesmith.core.trial import Cost, Origin, State
from tunesmith.service.sagemaker.plan import MOVES, Move
from tunesmith.store import open_store

STEPS = ("Starting", "Downloading", "Training", "Uploading", "Completed")


def timed(service: int, what: str, call: Callable[[], Any], rounds: int = 30) -> Any:
    begun = time.perf_counter()
    answer = call()
    first, took = time.perf_counter() - begun, []
    before = _processor_s(os.getpid()), _processor_s(service)
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        took.append(time.perf_counter() - begun)
    spent = [
        (_processor_s(pid) - was) / rounds * 1e3
        for pid, was in zip((os.getpid(), service), before, strict=True)
    ]
    took.sort()
    print(
        f"{what}: first {first * 1e3:.0f} ms; of {rounds}: median {took[rounds // 2] * 1e3:.1f}, "
        f"least {took[0] * 1e3:.1f}, worst {took[-1] * 1e3:.1f} ms; processor: boto3 {spent[0]:.1f}, service {spent[1]:.1f} ms"
    )
    return answer


def _processor_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def large(trials: int) -> None:
    """A tuning job that is over, with `trials` trainings."""
    folder = Path(tempfile.mkdtemp(prefix="sagemaker-"))
    cloud = Cloud(folder)
    cloud.tune("large", definition(), config(2, 1))
    cloud.over("large")
    cloud.service.stop()
    state = folder / "studies.service" / "sagemaker"
    record = json.loads((state / "tuning" / "large.json").read_text())
    now = time.time()
    batch: list[events.Event] = [events.Opened(now, "b", "h", 1, 1.0, coordinator=False)]
    with (state / "jobs" / record["job"] / MOVES).open("ab") as moves:
        for n in range(2, trials):
            at, value = now + n * 1e-3, float(n % 977)
            batch += [
                events.Suggested(at, n, {"x": 1 + n / trials}, Origin("random"), "b"),
                events.Finished(
                    at + 5e-4,
                    n,
                    0,
                    State.COMPLETED,
                    (value,),
                    {METRIC: value},
                    None,
                    Cost(1.0, 1.0, 1),
                ),
            ]
            for step in STEPS:
                move = Move(n, 0, at, step, "", step if step == "Completed" else "")
                moves.write(msgspec.json.encode(move) + b"\n")
    batch.append(events.Ended(now + 100, "trials", "all"))
    store = open_store(folder / "studies.db")
    cursor = store.cursor("large")
    for begin in range(0, len(batch), 2000):
        cursor = store.append("large", batch[begin : begin + 2000], cursor)
    store.close()
    cloud.service.start()
    cloud.trainings("large")
    time.sleep(5.0)  # what a service does once it has begun is over
    timed_here = partial(timed, cloud.service.pid)
    shown = timed_here("describe the tuning job", lambda: cloud.described("large"))
    assert shown["TrainingJobStatusCounters"]["Completed"] == trials
    page = timed_here("a page of 100 trainings", lambda: cloud.trainings("large"))
    timed_here(
        "a page by value", lambda: cloud.trainings("large", SortBy="FinalObjectiveMetricValue")
    )
    timed_here("describe a training", lambda: cloud.training(page[50]["TrainingJobName"]))
    timed_here(
        "list all training jobs, 100", lambda: cloud.client.list_training_jobs(MaxResults=100)
    )
    print(f"load {os.getloadavg()[0]:.1f}")
    cloud.close()


def many(jobs: int, at_a_time: int) -> None:
    """So many tuning jobs of four trainings each; the service is killed once half are over."""
    cloud = Cloud(Path(tempfile.mkdtemp(prefix="sagemaker-")), at_a_time=at_a_time)
    took: dict[str, list[float]] = {"create": [], "list": [], "describe": []}

    def ask(what: str, call: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        try:
            return call()
        finally:
            took[what].append(time.perf_counter() - begun)
            if took[what][-1] > 1.0:
                print(f"{what} took {took[what][-1]:.1f} s, {over} were over", flush=True)

    def listed(token: dict[str, str]) -> Any:
        return cloud.client.list_hyper_parameter_tuning_jobs(
            StatusEquals="Completed", MaxResults=100, **token
        )

    over = 0
    begun, loads = time.monotonic(), [os.getloadavg()[0]]
    for n in range(jobs):
        ask("create", partial(cloud.tune, f"job-{n}", definition(), config(4, 4)))
    print(f"{jobs} were taken in {time.monotonic() - begun:.0f} s", flush=True)
    killed = False
    while over < jobs:
        time.sleep(1.0)
        page = ask("list", partial(listed, {}))
        over = len(page["HyperParameterTuningJobSummaries"])
        while (token := page.get("NextToken")) is not None:
            page = ask("list", partial(listed, {"NextToken": token}))
            over += len(page["HyperParameterTuningJobSummaries"])
        ask("describe", lambda: cloud.described(f"job-{jobs // 2}"))
        loads.append(os.getloadavg()[0])
        if not killed and over >= jobs // 2:
            killed = True
            print(f"{over} are over after {time.monotonic() - begun:.0f} s: the service is killed")
            cloud.service.stop()
            cloud.service.start()
    took_s = time.monotonic() - begun
    values = [
        cloud.described(f"job-{n}")["ObjectiveStatusCounters"]["Succeeded"] for n in range(jobs)
    ]
    print(f"{sum(values)} of {4 * jobs} trainings in {took_s:.0f} s")
    for what, some in [*took.items(), ("all", [*chain(*took.values())])]:
        some.sort()
        print(
            f"{what}: {len(some)} requests: median {some[len(some) // 2] * 1e3:.0f}, "
            f"99 % {some[int(len(some) * 0.99)] * 1e3:.0f}, worst {some[-1] * 1e3:.0f} ms"
        )
    print(f"load {min(loads):.1f} to {max(loads):.1f}")
    cloud.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("large", "many"))
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--at-a-time", type=int, default=4)
    given = parser.parse_args()
    if given.what == "large":
        large(given.trials)
    else:
        many(given.jobs, given.at_a_time)
