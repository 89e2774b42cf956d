"""How long a training takes on a CPU with the sources of another version and with these, in pairs.

    git archive OTHER src | tar -x -C /tmp/other
    python -m benchmarks.images.pace /tmp/other/src --pairs 15

Each is a process with one thread; which of a pair comes first alternates. Losses are compared, too: they have to be
the same to the last bit.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OURS = HERE.parent.parent / "src"
RESULTS = HERE / "pace.csv"
PROGRAM = """
import json, time
import numpy as np
from tunesmith.recipes.images.space import space
from tunesmith.recipes.images.train import Alone, Part, fit, threads

def part(count, channels, side, seed):
    labels = np.arange(count) % 10
    images = np.random.default_rng(seed).integers(0, 120, (count, channels, side, side))
    images[np.arange(count), :, labels * side // 10] += 100
    return Part(images.astype(np.uint8), labels.astype(np.int64), 10, 255.0)

SETS = {"1,200 grey images of 8x8": (1200, 1, 8, 6, {}),
        "400 images of 32x32 in colour": (400, 3, 32, 4, {"filters": 16, "mixup": 0.2, "flip": "horizontal"})}
for name, (count, channels, side, epochs, changes) in SETS.items():
    config = space(side, epochs).default() | changes
    train, validation = part(count, channels, side, 1), part(200, channels, side, 2)
    with threads(1):
        fit(config | {"epochs": 1}, train, validation, Alone(0))
        began = time.process_time()
        loss = fit(config, train, validation, Alone(1))[1]["loss"]
        print(json.dumps([name, time.process_time() - began, loss]))
"""


def run(source: Path) -> list[tuple[str, float, float]]:
    """(set, CPU seconds, loss) of each set."""
    environment = {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("other", type=Path)
    parser.add_argument("--pairs", type=int, default=15)
    args = parser.parse_args()
    with RESULTS.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("pair", "version", "set", "cpu_s", "loss"))
        for pair in range(args.pairs):
            versions = [("before", args.other.resolve()), ("now", OURS)]
            for version, source in versions if pair % 2 else reversed(versions):
                for name, cpu_s, loss in run(source):
                    rows.writerow((pair, version, name, f"{cpu_s:.3f}", repr(loss)))
                file.flush()


if __name__ == "__main__":
    main()
