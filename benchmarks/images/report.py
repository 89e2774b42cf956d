"""From results.csv and pace.csv to RESULTS.md.

python -m benchmarks.images.report
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
Row = dict[str, str]


#: What has to be known of how a device's rows were made.
NOTES = {
    "NVIDIA H200": (
        "One seed, one minute, and other benchmarks on most of the machine's 16 cores meanwhile: the accuracies say little (the "
        "searches differ by chance), and utilisation would be higher with cores to prepare batches."
    )
}


def main() -> None:
    rows = read("results.csv")
    lines = [
        INTRODUCTION,
        *on_gpus([row for row in rows if row["device"] != "cpu"]),
        *on_a_cpu([row for row in rows if row["device"] == "cpu"]),
        *paces(read("pace.csv")),
    ]
    (HERE / "RESULTS.md").write_text("\n".join([*lines, HOW]) + "\n")


def read(name: str) -> list[Row]:
    file = HERE / name
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def on_gpus(rows: list[Row]) -> list[str]:
    if not rows:
        return [NONE_YET]
    lines = []
    for device in dict.fromkeys(row["device"] for row in rows):
        mine = [row for row in rows if row["device"] == device]
        sizes = sorted(
            {f"{int(row['images']):,} images of {row['side']}x{row['side']}" for row in mine}
        )
        lines += [
            f"## {device}",
            "",
            f"{', '.join(sizes)}; mean over seeds ± standard deviation.",
            NOTES.get(device, ""),
            "",
        ]
        lines += [
            "### How busy it is",
            "",
            "| networks side by side | precision | utilisation (%) | images/s | memory (MiB) | in 16 bits |",
        ]
        lines += ["|---|---|---|---|---|---|"]
        for networks, precisions in _keys(mine, "networks", "precisions"):
            of = [r for r in mine if (r["networks"], r["precisions"]) == (networks, precisions)]
            cells = [
                mean(of, k, form)
                for k, form in (
                    ("utilisation", ".0f"),
                    ("images_per_s", ",.0f"),
                    ("memory_mib", ",.0f"),
                    ("in_16_bits", ".2f"),
                )
            ]
            lines.append(f"| {networks} | {precisions} | {' | '.join(cells)} |")
        lines += ["", "### Held-out accuracy by minutes", ""]
        minutes = sorted({row["minutes"] for row in mine}, key=float)
        lines += [
            f"| networks | precision | {' | '.join(f'{m} min' for m in minutes)} |",
            "|---" * (2 + len(minutes)) + "|",
        ]
        for networks, precisions in _keys(mine, "networks", "precisions"):
            cells = [
                mean(
                    [
                        r
                        for r in mine
                        if (r["networks"], r["precisions"], r["minutes"])
                        == (networks, precisions, m)
                    ],
                    "accuracy",
                    ".3f",
                )
                for m in minutes
            ]
            lines.append(f"| {networks} | {precisions} | {' | '.join(cells)} |")
        lines += ["", *_failures(mine)]
    return lines


def on_a_cpu(rows: list[Row]) -> list[str]:
    if not rows:
        return []
    lines = [
        "## That it works",
        "",
        "`--cpu` on two cores, small; these figures say nothing of a GPU.",
        "",
    ]
    lines += [
        "| images | minutes | held-out accuracy | trials | images/s |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        size = f"{int(row['images']):,} of {row['side']}x{row['side']}"
        lines.append(
            f"| {size} | {row['minutes']} | {row['accuracy']} | {row['trials']} | {row['images_per_s']} |"
        )
    return [*lines, "", *_failures(rows)]


def paces(rows: list[Row]) -> list[str]:
    """The ratio of each pair."""
    if not rows:
        return []
    lines = ["## On a CPU, before and now", "", PACE, ""]
    lines += [
        "| set | pairs | CPU s before | now | now / before: median (quartiles) | the same loss to the last bit |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["set"] for row in rows):
        of = {(row["pair"], row["version"]): row for row in rows if row["set"] == name}
        pairs = [
            p
            for p in dict.fromkeys(pair for pair, _ in of)
            if (p, "now") in of and (p, "before") in of
        ]
        before, now = (
            [float(of[pair, version]["cpu_s"]) for pair in pairs] for version in ("before", "now")
        )
        low, middle, high = statistics.quantiles([b / a for a, b in zip(before, now, strict=True)])
        same = len({row["loss"] for row in of.values()}) == 1
        lines.append(
            f"| {name} | {len(pairs)} | {statistics.median(before):.2f} | {statistics.median(now):.2f} | {middle:.3f} "
            f"({low:.3f} to {high:.3f}) | {'yes' if same else 'no'} |"
        )
    return [*lines, ""]


def _keys(rows: Iterable[Row], *names: str) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(tuple(row[name] for name in names) for row in rows))


def _failures(rows: list[Row]) -> list[str]:
    failed = [row for row in rows if row["error"]]
    return [f"{len(failed)} searches failed: {failed[0]['error']}", ""] if failed else []


def mean(rows: list[Row], key: str, form: str) -> str:
    values = [float(row[key]) for row in rows if row[key]]
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{form}}{spread}"


INTRODUCTION = """\
# Networks for images: results

Made by `python -m benchmarks.images.report` from results.csv, which `run.py` wrote, and pace.csv, which `pace.py` wrote.
Images are drawn on the spot: five shapes, plain or striped, among clutter and noise. A search has some minutes, in
which it reads, searches and trains the best network once more; accuracy is on images that it never saw.
"""
NONE_YET = """\
## On a GPU

**There are no figures yet: this needs a GPU, and none was at hand.** Before batches were made ahead, four networks side by
side kept an H200 busy to 57 %. On a machine with a GPU, `python -m benchmarks.images.run` measures utilisation, images per
second and held-out accuracy by minutes, for one, four and eight networks side by side, with and without 16 bits.
"""
PACE = """\
What makes batches ahead on a GPU must not cost anything without one. The same training, with the version before it and with
this one, one thread each, in pairs whose order alternates, on a shared machine."""
HOW = """\
## Again

```sh
pip install '.[images]'
python -m benchmarks.images.run                      # on a GPU, about two hours; it goes on where it stopped
python -m benchmarks.images.run --cpu                # a minute, to see that it works
git archive OTHER src | tar -x -C /tmp/other && python -m benchmarks.images.pace /tmp/other/src
python -m benchmarks.images.report
```"""


if __name__ == "__main__":
    main()
