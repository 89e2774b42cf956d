"""Measure what a suggestion costs beside Optuna's TPE, in turn, on this machine, and write SUGGEST.md.

    python benchmarks/speed/suggest.py --peer .venv-peers/bin/python

CPU time (user and system) of an ask and a tell of the default searcher on one thread: ten mixed parameters, in memory. Ours
and the peer are two processes that take turns of ten trials, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
#: Trials about which a suggestion is measured, and how many each way.
MARKS = (50, 100, 200, 500, 1000)
AROUND = 10
TURN = 10
#: Asked for in one go, and after how many results.
BATCH, AMONG = 64, 100
KINDS = ("relu", "gelu", "tanh", "silu"), ("sgd", "adam", "rmsprop")
NUMBERS = {
    "rate": (1e-5, 1.0, True), "decay": (1e-6, 1e-1, True), "dropout": (0.0, 0.7, False),
    "momentum": (0.0, 0.99, False), "warmup": (0.0, 0.3, False),
}  # fmt: skip
COUNTS = {"layers": (1, 8, False), "width": (16, 512, True), "batch": (8, 256, True)}


def errors(c: dict[str, Any], k: int) -> list[float]:
    """`k` objectives of a config, smooth in the numbers, with a part for each choice."""
    import math

    u = [math.log10(c["rate"]) + 2.5, math.log10(c["decay"]) + 3.5, c["dropout"] - 0.3]
    u += [c["momentum"] - 0.8, 3.0 * (c["warmup"] - 0.1), 0.3 * (c["layers"] - 4)]
    u += [math.log(c["width"] / 100) / 2, math.log(c["batch"] / 32) / 2]
    base = 0.2 * KINDS[0].index(c["activation"]) + 0.15 * KINDS[1].index(c["optimizer"])
    return [base + sum(0.3 * (v - 0.4 * j) ** 2 for v in u) + 0.1 * u[j] for j in range(k)]


class Ours:
    def __init__(self, objectives: int, seed: int) -> None:
        import tunesmith as ts

        space: dict[str, Any] = {n: ts.Float(a, b, log=g) for n, (a, b, g) in NUMBERS.items()}
        space |= {n: ts.Int(a, b, log=g) for n, (a, b, g) in COUNTS.items()}
        space |= {"activation": ts.Choice(*KINDS[0]), "optimizer": ts.Choice(*KINDS[1])}
        names = [f"error{j}" for j in range(objectives)]
        metric: Any = names if objectives > 1 else names[0]
        self._k, self._names = objectives, names
        self._study = ts.Study.create(ts.Space(space), metric=metric, seed=seed)

    def trial(self) -> float:
        began = time.process_time()
        trial = self._study.ask()
        asked = time.process_time() - began
        values = dict(zip(self._names, errors(dict(trial.config), self._k), strict=True))
        began = time.process_time()
        self._study.tell(trial, values)
        return asked + time.process_time() - began

    def batch(self) -> list[float]:
        """Of the first one asked for among these results, whose model is to be fitted, and of the same one again."""
        from tunesmith.core import events
        from tunesmith.core.ledger import Ledger
        from tunesmith.core.objective import Objective
        from tunesmith.core.propose import propose
        from tunesmith.core.study import StudySpec
        from tunesmith.core.trial import USER, Origin, State
        from tunesmith.search.bayes import Bayes

        spec = StudySpec(
            name="batch", space=self._study.space, objectives=(Objective(self._names[0]),)
        )
        ledger = Ledger(spec)
        for trial in self._study.trials:
            at, metrics = float(trial.number), dict(trial.metrics)
            values = (metrics[self._names[0]],)
            config = dict(trial.config)
            ledger.apply(events.Suggested(at, trial.number, config, Origin(USER), "s"))
            done = events.Finished(at, trial.number, 0, State.COMPLETED, values, metrics)
            ledger.apply(done)
        laps = []
        for _ in range(2):
            began = time.process_time()
            made = propose(ledger, Bayes(), BATCH, {})
            laps.append(time.process_time() - began)
            assert len(made) == BATCH
        return laps


class Optuna:
    def __init__(self, objectives: int, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._k = objectives
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed), directions=["minimize"] * objectives
        )

    def trial(self) -> float:
        began = time.process_time()
        trial = self._study.ask()
        config: dict[str, Any] = {
            n: trial.suggest_float(n, a, b, log=g) for n, (a, b, g) in NUMBERS.items()
        }
        config |= {n: trial.suggest_int(n, a, b, log=g) for n, (a, b, g) in COUNTS.items()}
        config["activation"] = trial.suggest_categorical("activation", KINDS[0])
        config["optimizer"] = trial.suggest_categorical("optimizer", KINDS[1])
        asked = time.process_time() - began
        values = errors(config, self._k)
        began = time.process_time()
        self._study.tell(trial, values)
        return asked + time.process_time() - began


def serve(side: str, objectives: int, seed: int) -> None:
    """Lines in: how many trials to run, or ``batch``; lines out: the seconds that each took."""
    tuner: Any = {"ours": Ours, "optuna": Optuna}[side](objectives, seed)
    for line in sys.stdin:
        laps = tuner.batch() if line == "batch\n" else [tuner.trial() for _ in range(int(line))]
        print(json.dumps(laps), flush=True)


class Side:
    """One tuner in a process of its own; `laps` are the seconds of its trials so far."""

    def __init__(self, python: str, side: str, objectives: int, seed: int) -> None:
        command = [python, __file__, "--serve", side, str(objectives), str(seed)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.laps: list[float] = []

    def _say(self, line: str) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        laps: list[float] = json.loads(self._process.stdout.readline())
        return laps

    def advance(self, trials: int) -> None:
        self.laps += self._say(str(trials))

    def batch(self) -> list[float]:
        return self._say("batch")

    def about(self, mark: int) -> float:
        return 1e3 * statistics.mean(self.laps[mark - AROUND : mark + AROUND])

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} .. {max(values):.1f})"


def beside(peer: str, objectives: int, marks: tuple[int, ...], seeds: int) -> list[str]:
    """A row for each number of trials."""
    mine: dict[int, list[float]] = {m: [] for m in marks}
    theirs: dict[int, list[float]] = {m: [] for m in marks}
    for seed in range(seeds):
        sides = (
            Side(sys.executable, "ours", objectives, seed),
            Side(peer, "optuna", objectives, seed),
        )
        try:
            for _ in range(0, max(marks) + AROUND, TURN):
                for side in sides:
                    side.advance(TURN)
            for m in marks:
                mine[m].append(sides[0].about(m))
                theirs[m].append(sides[1].about(m))
        finally:
            for side in sides:
                side.close()
    rows = []
    for m in marks:
        ratio = statistics.median(a / b for a, b in zip(mine[m], theirs[m], strict=True))
        what = "one objective" if objectives == 1 else f"{objectives} objectives"
        bar = "below the peer's" if objectives == 1 else {2: "40", 3: "80"}[objectives]
        reached = ratio < 1.0 if objectives == 1 else statistics.median(mine[m]) <= float(bar)
        rows.append(
            f"| {what}, about {m} trials | {spread(mine[m])} | {spread(theirs[m])} | {ratio:.2f} | "
            f"{bar} | {'yes' if reached else 'NO'} |"
        )
        print(rows[-1], flush=True)
    return rows


def batches(rounds: int) -> list[str]:
    """The first one, and the same one again."""
    laps: list[list[float]] = [[], []]
    for seed in range(rounds):
        side = Side(sys.executable, "ours", 1, seed)
        try:
            side.advance(AMONG)
            for those, seconds in zip(laps, side.batch(), strict=True):
                those.append(1e3 * seconds)
        finally:
            side.close()
    rows = []
    for those, what in zip(laps, ("", ", the model being there"), strict=True):
        reached = "yes" if statistics.median(those) <= 60 else "NO"
        rows.append(
            f"| a batch of {BATCH} among {AMONG} results{what} | {spread(those)} | | | 60 | {reached} |"
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peer", help="a Python that has Optuna")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--most", type=int, default=MARKS[-1], help="trials of a study")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=HERE / "SUGGEST.md")
    options = parser.parse_args()
    if options.serve:
        side, objectives, seed = options.serve
        serve(side, int(objectives), int(seed))
        return
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    peer = str(Path(options.peer).absolute())
    make: list[Callable[[], list[str]]] = [
        lambda: beside(peer, 1, tuple(m for m in MARKS if m <= options.most), options.seeds),
        lambda: beside(peer, 2, (100,), options.seeds),
        lambda: beside(peer, 3, (100,), options.seeds),
        lambda: batches(options.seeds),
    ]
    rows = [row for rows in make for row in rows()]
    busy = os.getloadavg()[1]
    options.output.write_text(
        "# What a suggestion costs\n\n"
        f"Made by `python benchmarks/speed/suggest.py --peer PYTHON --seeds {options.seeds} --most {options.most}` on "
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {os.cpu_count()} cores: milliseconds of CPU "
        "time (one thread) of an ask and a tell, ten mixed parameters, the mean of the 20 trials about a number of "
        "trials, as median (lowest .. highest) over seeds; the peer is Optuna 5.0.0's TPE, ten trials in turn; the "
        f"ratio is the median over seeds. {busy:.1f} processes wanted a core when it ended.\n\n"
        "| what | tunesmith, ms | Optuna's TPE, ms | ratio | bar | reached |\n"
        "| --- | --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


if __name__ == "__main__":
    main()
