"""Write AGAIN.md: ours of today beside the peers' runs that there are, on the 24 problems of RESULTS.md.

    SURROGATES=DATA python benchmarks/quality/again.py

`again.csv` has our runs, and the peers' where the optimum has moved since (the synthetic ones); the peers' others, and our runs of
an earlier edition, are those of `results.csv`. Each comparison is by the problems and seeds that both have.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from problems import Problem
from report import DRAWS, HERE, JUDGED, NAMES, OURS, Runs, read
from run import FIELDS, MARKS

Floats = NDArray[np.float64]
BEFORE: Final = "before"
#: AutoSampler is one of two others.
LEFT_OUT: Final = (OURS, "optuna-auto")
HEAD: Final = """\
# The 24 problems again

Made by `python benchmarks/quality/again.py` from `again.csv` (ours, edition 12, and the peers on the synthetic problems, whose optima
are at another place for each seed) and `results.csv` (the peers on the others). Mean normalised regret times 100 of what each gives
as its result: ours, the peer's, and ours divided by the peer's with its 95 % bootstrap interval over seeds; by the problems and
seeds that both have, which are counted. `before` is the default searcher of RESULTS.md.
"""


def merged(ours: Path, peers: Path) -> Runs:
    """The rows of both; ours of the second are another tuner's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "both.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            for source in (peers, ours):
                with source.open(newline="") as rows:
                    for row in csv.DictReader(rows):
                        if source == peers and row["tuner"] == OURS:
                            row["tuner"] = BEFORE
                        writer.writerow(row)
        NAMES[BEFORE] = BEFORE
        return read(path)


def row(runs: Runs, peer: str, chosen: list[Problem], mark: int) -> str | None:
    """Ours beside a peer's; None where there is nothing to compare."""
    part, k = runs.of(problems=chosen), MARKS.index(mark)
    mine, theirs = (part.regret[part.tuners.index(t), :, :, k] for t in (OURS, peer))
    rng = np.random.default_rng(0)
    means, draws, seeds = [], [], []
    for a, b in zip(mine, theirs, strict=True):
        both = np.flatnonzero(np.isfinite(a) & np.isfinite(b))
        if not len(both):
            continue
        seeds.append(len(both))
        pair = np.stack([a[both], b[both]])
        means.append(pair.mean(axis=1))
        draws.append(pair[:, rng.integers(len(both), size=(DRAWS, len(both)))].mean(axis=2))
    if not means:
        return None
    (ours, other), drawn = np.mean(means, axis=0), np.mean(draws, axis=0)
    low, high = np.quantile(drawn[0] / np.maximum(drawn[1], 1e-12), (0.025, 0.975))
    count = f"{min(seeds)} to {max(seeds)}" if min(seeds) < max(seeds) else f"{seeds[0]}"
    told = f"{ours / other:.2f}" + (f" ({low:.2f} .. {high:.2f})" if min(seeds) > 1 else "")
    return f"| {NAMES[peer]} | {len(means)} | {count} | {100 * ours:.1f} | {100 * other:.1f} | {told} |"


def main() -> None:
    runs = merged(HERE / "again.csv", HERE / "results.csv")
    groups = {
        "All": list(runs.problems),
        "Synthetic, optima moved": [p for p in runs.problems if "synthetic" in p.tags],
        "The others": [p for p in runs.problems if "synthetic" not in p.tags],
    }
    lines = [HEAD]
    for title, chosen in groups.items():
        for mark in JUDGED[1:]:
            lines += [f"## {title}, {mark} trials", ""]
            lines += [
                "| peer | problems | seeds | ours | theirs | ratio |",
                "|---|---|---|---|---|---|",
            ]
            told = [row(runs, t, chosen, mark) for t in runs.tuners if t not in LEFT_OUT]
            lines += [line for line in told if line] + [""]
    (HERE / "AGAIN.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
