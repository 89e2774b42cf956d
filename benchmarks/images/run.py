"""Search for networks on a GPU for some minutes; one row per search in a CSV file, which a later run completes.

    python -m benchmarks.images.run --minutes 1,2,4 --networks 1,4,8 --seeds 0-2

Each search is a process; meanwhile nvidia-smi is asked once a second how busy the GPU is. What the network that comes
out is worth is measured on images that the search never saw.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from benchmarks.images.pictures import save

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results.csv"
FIELDS = (
    "device", "images", "side", "minutes", "networks", "precisions", "seed", "accuracy", "utilisation",
    "memory_mib", "trials", "epochs", "images_per_s", "in_16_bits", "best_precision", "error",
)  # fmt: skip
#: Images that are held out.
HELD_OUT = 4000
NO_GPU = (
    "this benchmark measures how busy a GPU is kept, and there is none here (nvidia-smi names none, or PyTorch has no "
    "CUDA). On a machine with one it runs as it stands. With --cpu it runs small, to see that it works: what it "
    "measures then says nothing of a GPU"
)


def gpu() -> str | None:
    """The name of the first GPU, if there is one that PyTorch can use."""
    import torch

    if shutil.which("nvidia-smi") is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name(0))


@contextmanager
def watched(device: str) -> Iterator[dict[str, list[float]]]:
    """How busy the device is, in per cent, and its memory, in MiB, once a second."""
    samples: dict[str, list[float]] = {"busy": [], "memory": []}
    over = threading.Event()

    def look() -> None:
        while not over.wait(1.0):
            if device == "cpu":
                samples["busy"].append(psutil.cpu_percent())
                continue
            ask = ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu,memory.used"]
            done = subprocess.run(
                [*ask, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True
            )
            busy, memory = done.stdout.split(",")
            samples["busy"].append(float(busy))
            samples["memory"].append(float(memory))

    psutil.cpu_percent()
    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One search."""
    row = dict(job)
    with tempfile.TemporaryDirectory() as folder:
        seed = int(job["seed"])
        learned = save(Path(folder, "learned.npz"), job["images"], job["side"], 2 * seed)
        few = min(HELD_OUT, job["images"])
        held_out = save(Path(folder, "held_out.npz"), few, job["side"], 2 * seed + 1)
        command = [
            sys.executable,
            "-m",
            "benchmarks.images.fit",
            learned,
            held_out,
            Path(folder, "model"),
        ]
        command += [job["minutes"], job["networks"], job["precisions"], seed]
        with watched(job["device"]) as samples:
            done = subprocess.run(
                list(map(str, command)),
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                timeout=600 + 120 * float(job["minutes"]),
            )
    if done.returncode:
        row["error"] = " ".join(done.stderr.split())[-300:]
        return row
    about = json.loads(done.stdout.splitlines()[-1])
    # Reading, and predicting at the end, are not what is measured: the first and last tenth are left out.
    busy = samples["busy"][len(samples["busy"]) // 10 : -max(1, len(samples["busy"]) // 10)]
    return row | {
        "accuracy": f"{about['accuracy']:.4f}",
        "utilisation": f"{statistics.fmean(busy):.0f}" if busy else "",
        "memory_mib": f"{max(samples['memory']):.0f}" if samples["memory"] else "",
        "trials": about["trials"],
        "epochs": about["epochs"],
        "images_per_s": f"{about['epochs'] * about['images_an_epoch'] / about['wall_s']:.0f}",
        "in_16_bits": f"{about['in_16_bits']:.2f}",
        "best_precision": about["best_precision"],
    }


def jobs(args: argparse.Namespace, device: str) -> Iterator[dict[str, Any]]:
    """What is to be run and has not been."""
    had = set()
    key = FIELDS[: FIELDS.index("accuracy")]
    if args.results.exists():
        with args.results.open(newline="") as file:
            had = {tuple(row[name] for name in key) for row in csv.DictReader(file)}
    first, _, last = args.seeds.partition("-")
    for seed in range(int(first), int(last or first) + 1):
        for minutes in args.minutes.split(","):
            for networks in args.networks.split(","):
                for precisions in args.precisions.split(","):
                    values = (device, args.images, args.side, minutes, networks, precisions, seed)
                    if tuple(map(str, values)) not in had:
                        yield dict(zip(key, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", default="1,2,4", help="of a search, several with commas")
    parser.add_argument(
        "--networks", default="1,4,8", help="side by side; 0 is the recipe's own choice"
    )
    parser.add_argument("--precisions", default="float32,choice")
    parser.add_argument("--seeds", default="0-2", help="FIRST-LAST")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--cpu", action="store_true", help="on the CPU, small, to see that it works"
    )
    args = parser.parse_args()
    device = "cpu" if args.cpu else gpu()
    if device is None:
        parser.error(NO_GPU)
    if args.cpu:
        args.minutes, args.networks, args.precisions, args.seeds = "0.5", "0", "choice", "0"
        args.images, args.side = 1000, 16
    if not args.results.exists():
        args.results.write_text(",".join(FIELDS) + "\n")
    for job in list(jobs(args, device)):
        row = run(job)
        with args.results.open("a", newline="") as file:
            csv.DictWriter(file, FIELDS, lineterminator="\n").writerow(row)
        print(f"{job}: {row.get('accuracy') or row.get('error')}", file=sys.stderr)


if __name__ == "__main__":
    main()
