"""One of several programs that use one file at once, each in every way that users have (see test_handles.py).

    python handles.py STORAGE SIDE_FILE SEED SECONDS

What it was told to be stored goes into the side file, after the store has said so.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import tunesmith as ts
from tunesmith.store import open_store

NAMES = ("a", "b", "c")
TUNESMITH = Path(sys.executable).with_name("tunesmith")


def open_or_create(storage: Path, name: str) -> ts.Study:
    while True:
        with suppress(ts.StudyNotFound):
            return ts.Study.open(name, storage=storage)
        with suppress(ts.StudyExists):
            return ts.Study.create(
                ts.Space(x=ts.Float(0, 1)), storage=storage, name=name, searcher="random", seed=1
            )


def tell(study: ts.Study, side: int, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 20)):
        trial, value = study.ask(), dice.random()
        study.tell(trial, value)
        os.write(side, f"{study.name} {trial.number} {value!r}\n".encode())


def copy(storage: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with (
            closing(sqlite3.connect(storage)) as source,
            closing(sqlite3.connect(Path(folder) / "copy.db")) as target,
        ):
            source.backup(target)
        with closing(open_store(Path(folder) / "copy.db")) as store:
            for name in store.names():
                assert store.verify(name) is None


def look(storage: Path) -> None:
    with closing(open_store(storage)) as store:
        for name in store.names():
            store.summary(name)


def work(storage: Path, side: int, seed: int, until: float) -> None:
    dice = random.Random(seed)
    study: ts.Study | None = None
    while time.time() < until:
        act = dice.choices(("tell", "close", "look", "copy", "ls", "second"), (12, 4, 4, 1, 1, 4))[
            0
        ]
        if act == "tell":
            study = study or open_or_create(storage, dice.choice(NAMES))
            tell(study, side, dice)
        elif act == "close" and study is not None:
            study.close()
            study = None
        elif act == "look":
            look(storage)
        elif act == "copy":
            copy(storage)
        elif act == "ls":
            subprocess.run([TUNESMITH, "ls", "-s", storage], capture_output=True, check=True)
        elif act == "second":
            with open_or_create(storage, dice.choice(NAMES)) as second:
                tell(second, side, dice)


def main() -> None:
    storage, side_file, seed, seconds = sys.argv[1:]
    side = os.open(side_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    until = time.time() + float(seconds)
    failed: list[BaseException] = []

    def guarded(seed: int) -> None:
        try:
            work(Path(storage), side, seed, until)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=[2 * int(seed) + k]) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
