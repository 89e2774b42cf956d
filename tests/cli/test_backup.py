"""`tunesmith backup`: a whole copy, whoever writes meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app


def test_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "a ?#%20.db"
    over = threading.Event()
    with ts.Study.create(ts.Space(x=ts.Float(0, 1)), storage=path, searcher="random") as study:
        study.tell(study.ask(), 0.5)

        def work() -> None:
            while not over.is_set():
                study.tell(study.ask(), 0.5)

        writer = threading.Thread(target=work)
        writer.start()
        try:
            for n in range(3):
                copy = tmp_path / f"copy-{n}.db"
                run = CliRunner().invoke(app, ["backup", str(copy), "-s", str(path)])
                assert run.exit_code == 0, run.exception
        finally:
            over.set()
            writer.join()
    sizes = [len(ts.Study.open(storage=tmp_path / f"copy-{n}.db").trials) for n in range(3)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 1
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".copy")]


def test_what_cannot_be_copied(tmp_path: Path) -> None:
    (tmp_path / "other.db").write_bytes(b"no database at all" * 100)
    there = tmp_path / "there.db"
    there.touch()
    for storage, target, message in (
        (tmp_path / "nowhere.db", "x.db", "there is no file"),
        (tmp_path / "other.db", "x.db", "not a database"),
        (tmp_path / "other.db", "there.db", "is there already"),
        ("postgresql://host/db", "x.db", "pg_dump"),
    ):
        run = CliRunner().invoke(app, ["backup", str(tmp_path / target), "-s", str(storage)])
        assert isinstance(run.exception, ts.TunesmithError)
        assert message in str(run.exception)
    assert there.read_bytes() == b""
    assert not (tmp_path / "x.db").exists()
