"""One search on images, as a process of its own; what it was worth as JSON on its last line.

python -m benchmarks.images.fit LEARNED.npz HELD_OUT.npz OUTPUT MINUTES NETWORKS PRECISIONS SEED
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from contextlib import nullcontext
from unittest.mock import patch

import numpy as np

from tunesmith.recipes import images
from tunesmith.recipes.images import fitting


def main() -> None:
    learned, held_out, output, minutes, networks, precisions, seed = sys.argv[1:]
    began = time.monotonic()
    only = patch.object(fitting, "precisions", lambda _: ("float32",))
    with only if precisions == "float32" else nullcontext():
        model = images.fit(
            learned,
            time=60 * float(minutes),
            parallel=int(networks) or None,
            output=output,
            seed=int(seed),
            progress=False,
        )
    wall_s = time.monotonic() - began
    labels = np.load(held_out)["labels"]
    right = np.array(model.predict(held_out)) == labels
    assert model.result is not None
    trials = list(model.result.trials)
    used = Counter(trial.config.get("precision", "float32") for trial in trials)
    about = {
        "accuracy": float(right.mean()),
        "trials": len(trials),
        "epochs": sum(len(trial.reports) for trial in trials),
        "images_an_epoch": len(np.load(learned)["labels"]) * 0.65,
        "best_precision": model.best_config.get("precision", "float32"),
        "in_16_bits": 1 - used["float32"] / len(trials),
        "wall_s": wall_s,
    }
    print(json.dumps(about))


if __name__ == "__main__":
    main()
