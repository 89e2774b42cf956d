"""Our executor on Ray and Ray Tune beside it, on the same cluster of this host: no-op trials a second, what a report costs, and
200 trials of a second under ASHA while nodes are killed.

    .venv-clusters/bin/python benchmarks/fleet/ray_tune.py throughput | reports | asha [--trials N]

Needs the environment `clusters` (tools/environment), and for Ray Tune `pandas`, `pyarrow` and `tensorboardX` in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("OMP_NUM_THREADS", "1")
from tests.clusters.nodes import ENVIRONMENT, Nodes, nodes

os.environ.update(ENVIRONMENT)
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
warnings.filterwarnings("ignore")

import ray  # noqa: E402
from ray import tune as ray_tune  # noqa: E402

import tunesmith as ts  # noqa: E402

SPACE = ts.Space(x=ts.Float(0.0, 1.0))
STEPS = 10


def noop(config: dict[str, Any]) -> float:
    return float(config["x"])


def reporting(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    for step in range(200):
        trial.report(step=step + 1, loss=config["x"])
    return float(config["x"])


def training(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    """A second in ten steps, which go on from their checkpoint."""
    done = trial.restore(0)
    loss = 1.0
    for step in range(done + 1, STEPS + 1):
        time.sleep(0.1)
        loss = (config["x"] - 0.3) ** 2 + 0.1 / step
        trial.save(step, step=step)
        trial.report(step=step, loss=loss)
    return loss


def theirs(config: dict[str, Any], steps: int, pause_s: float, saves: bool) -> None:
    done = 0
    checkpoint = ray_tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            done = int(Path(folder, "step").read_text())
    for step in range(done + 1, steps + 1):
        time.sleep(pause_s)
        loss = (config["x"] - 0.3) ** 2 + 0.1 / step
        if not saves:
            ray_tune.report({"loss": loss})
            continue
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step))
            ray_tune.report({"loss": loss}, checkpoint=ray_tune.Checkpoint.from_directory(folder))


def our_study(
    cluster: Nodes, objective: Any, trials: int, parallel: int, cpu: float, scheduler: Any = None
) -> ts.Result:
    with tempfile.TemporaryDirectory() as folder:
        return ts.tune(
            objective, SPACE, metric="loss", trials=trials, parallel=parallel, searcher="random", seed=0, progress=False,
            storage=str(Path(folder, "s.db")), scheduler=scheduler, executor={"ray": {"address": cluster.address}},
            resources={"cpu": cpu}, name="b", duplicates=True,
        )  # fmt: skip


def their_study(
    trials: int,
    parallel: int,
    cpu: float,
    steps: int,
    pause_s: float,
    saves: bool,
    scheduler: Any = None,
) -> Any:
    work = ray_tune.with_parameters(theirs, steps=steps, pause_s=pause_s, saves=saves)
    with tempfile.TemporaryDirectory() as folder:
        tuner = ray_tune.Tuner(
            ray_tune.with_resources(work, {"cpu": cpu}),
            param_space={"x": ray_tune.uniform(0.0, 1.0)},
            tune_config=ray_tune.TuneConfig(
                metric="loss",
                mode="min",
                num_samples=trials,
                max_concurrent_trials=parallel,
                scheduler=scheduler,
                reuse_actors=True,
            ),
            run_config=ray_tune.RunConfig(
                storage_path=folder,
                name="b",
                verbose=0,
                failure_config=ray_tune.FailureConfig(max_failures=-1),
            ),
        )
        return tuner.fit()


def timed(act: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    done = act()
    return time.perf_counter() - began, done


def load() -> str:
    return " ".join(f"{one:.1f}" for one in os.getloadavg())


def throughput(trials: int, repeats: int) -> None:
    with nodes(1, cpus=2) as cluster:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        for _ in range(repeats):
            ours_s, result = timed(lambda: our_study(cluster, noop, trials, 2, 1.0))
            ends = sorted(t.ended_at or 0.0 for t in result.trials)
            theirs_s, _ = timed(lambda: their_study(trials // 4, 2, 1.0, 1, 0.0, False))
            show(
                what="no-op trials, start included", ours_per_s=trials / ours_s, steady=len(ends) * 0.75 / (ends[-1] - ends[len(ends) // 4]), ray_tune_per_s=trials / 4 / theirs_s,
                ratio=trials / ours_s / (trials / 4 / theirs_s),
            )  # fmt: skip


def reports(repeats: int) -> None:
    with nodes(1, cpus=2) as cluster:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        for _ in range(repeats):
            result = our_study(cluster, reporting, 2, 1, 1.0)
            gaps = [
                1000 * (b.at - a.at)
                for t in result.trials
                for a, b in zip(t.reports, t.reports[1:], strict=False)
            ]
            show(
                what="a report, one trial at a time (ms)",
                median=statistics.median(gaps),
                p90=statistics.quantiles(gaps, n=10)[-1],
            )


def asha(trials: int, repeats: int) -> None:
    def with_ray_tune(_: Nodes) -> Any:
        scheduler = ray_tune.schedulers.ASHAScheduler(
            max_t=STEPS, grace_period=1, reduction_factor=3
        )
        return their_study(trials, 4, 1.0, STEPS, 0.1, True, scheduler)

    for _ in range(repeats):
        ours_s, ours = killed(
            lambda cluster: our_study(cluster, training, trials, 4, 1.0, {"asha": {"max": STEPS}})
        )
        states = {str(state): n for state, n in ours.counts.items() if n}
        show(what="ours", wall_s=ours_s, best=ours.best.value, states=states)
        theirs_s, grid = killed(with_ray_tune)
        losses = [r.metrics["loss"] for r in grid if r.metrics and "loss" in r.metrics]
        ended = sum(r.error is None for r in grid)
        show(what="Ray Tune", wall_s=theirs_s, best=min(losses), ended=ended)
        show(what="wall time, ours of theirs", ratio=ours_s / theirs_s)


def killed(act: Callable[[Nodes], Any]) -> tuple[float, Any]:
    """Do it on three nodes while one is killed, and comes again, twice; how long it took, and what came."""
    over, kills = threading.Event(), []

    def kill(cluster: Nodes) -> None:
        over.wait(4.0)
        for _ in range(2):
            if not over.is_set():
                cluster.kill(max(cluster.alive()))
                kills.append(time.monotonic())
                over.wait(3.0)
                cluster.add()

    with nodes(3, cpus=2) as cluster:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        killer = threading.Thread(target=kill, args=(cluster,))
        killer.start()
        try:
            return timed(lambda: act(cluster))
        finally:
            over.set()
            killer.join()
            show(what="nodes killed", times=len(kills))
            ray.shutdown()


def show(**figures: Any) -> None:
    rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps({**rounded, "load": load()}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["throughput", "reports", "asha"])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.what == "throughput":
        throughput(arguments.trials, arguments.repeats)
    elif arguments.what == "reports":
        reports(arguments.repeats)
    else:
        asha(arguments.trials, arguments.repeats)


if __name__ == "__main__":
    main()
