"""Standard streams that are not there, or that nobody reads."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith import streams
from tunesmith.streams import Stream


def test_a_stream_that_is_missing_or_closed_drops_what_is_written() -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (Stream(None), Stream(closed)):
        stream.line("lost")
        stream.flush()
        assert not stream.isatty()
        assert not stream.interactive
    with pytest.raises(OSError, match="no such stream"):
        Stream(None).fileno()


def test_a_reader_that_has_gone_is_no_error() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w", encoding="utf-8") as raw:
        stream = Stream(raw)
        for _ in range(3):
            stream.line("nobody reads this")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, theirs)
        os.close(nowhere)


def test_what_the_encoding_lacks_is_escaped() -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Stream(raw).line("a · b")
    assert raw.buffer.getvalue() == b"a \\xb7 b\n"


def test_closed_descriptors_are_kept_from_other_files(tmp_path: Path) -> None:
    program = (
        "from tunesmith import streams; streams.keep_descriptors(); f = open('x', 'w'); "
        "import os, subprocess, sys; code = subprocess.call([sys.executable, '-c', 'import os; "
        "os.fstat(1), os.fstat(2)']); f.write(f'{f.fileno() > 2} {code}')"
    )
    subprocess.run(
        ["sh", "-c", '"$0" -c "$1" >&- 2>&- <&-', sys.executable, program],
        cwd=tmp_path, check=True,
    )  # fmt: skip
    assert (tmp_path / "x").read_text() == "True 0"


def test_streams_are_those_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr("sys.stdout", text)
    streams.out().line("here")
    assert text.getvalue() == "here\n"
