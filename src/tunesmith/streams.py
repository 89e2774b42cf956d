"""Standard output and error that may be closed, missing, or read by nobody: showing something never ends anything."""

from __future__ import annotations

import os
import sys
from typing import TextIO


class Stream:
    """A text stream that drops what cannot be written."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        if self._stream is None:
            return 0
        try:
            try:
                return self._stream.write(text)
            except UnicodeEncodeError:
                plain = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
                return self._stream.write(plain)
        except (OSError, ValueError):  # its reader has gone, its disk is full, or it is closed
            self._stream = None
            return 0

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None

    def line(self, text: str) -> None:
        """Write a line, at once."""
        self.write(f"{text}\n")
        self.flush()

    def isatty(self) -> bool:
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("there is no such stream")
        return self._stream.fileno()

    @property
    def interactive(self) -> bool:
        """Whether a person looks on as it is written: a terminal or a notebook."""
        return self.isatty() or type(self._stream).__module__.startswith("ipykernel.")


def out() -> Stream:
    """Standard output as it is now."""
    return Stream(sys.stdout)


def err() -> Stream:
    """Standard error as it is now."""
    return Stream(sys.stderr)


def keep_descriptors() -> None:
    """Open /dev/null where file descriptors 0, 1 or 2 are closed: the next file that is opened would become one
    of them, and what programs print would go into it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            if os.open(os.devnull, os.O_RDWR) == descriptor:
                os.set_inheritable(descriptor, True)


def let_go() -> None:
    """Flush both streams; what cannot be written is dropped, so that the exit code is the program's own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except ValueError:
            continue
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
