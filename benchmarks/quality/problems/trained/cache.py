"""Evaluations kept on disk, so that more tuners and seeds are cheap where they try what was tried before."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path

from problems import Config

#: The variable that names the folder; without it nothing is kept.
FOLDER = "EVALUATIONS"


def kept(name: str, true: Callable[[Config], float]) -> Callable[[Config], float]:
    """`true`, looked up in ``$EVALUATIONS/NAME.sqlite`` first. Several processes may use one folder."""

    def cached(config: Config) -> float:
        folder = os.environ.get(FOLDER)
        if not folder:
            return true(config)
        database = _database(folder, name.replace("/", "-"))
        key = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).digest()
        row = database.execute("SELECT value FROM evaluation WHERE key = ?", (key,)).fetchone()
        if row is not None:
            return math.nan if row[0] is None else float(row[0])
        value = true(config)
        stored = value if math.isfinite(value) else None
        with database:
            database.execute("INSERT OR IGNORE INTO evaluation VALUES (?, ?)", (key, stored))
        return value

    return cached


@cache
def _database(folder: str, name: str) -> sqlite3.Connection:
    """One a process; a value may differ in another version of scikit-learn, which has its own file."""
    import sklearn

    Path(folder).mkdir(parents=True, exist_ok=True)
    path = Path(folder) / f"{name}-{sklearn.__version__}.sqlite"
    database = sqlite3.connect(path, timeout=60)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")
    with database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS evaluation (key BLOB PRIMARY KEY, value REAL) WITHOUT ROWID"
        )
    return database
