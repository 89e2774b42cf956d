"""Watchdog process that kills the trials' processes of a coordinator that has died.

It waits on a pipe whose other end only the coordinator has. When that end closes, however the
coordinator died, it kills every process that carries the session's mark.

Run as ``python -m tunesmith.run.reaper SESSION``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType

from tunesmith.run.marks import SESSION_MARK


class Guard:
    """The coordinator's side: holds the pipe, and closes it in the end."""

    def __init__(self, session: str) -> None:
        _fill_standard_streams()
        environment = {name: value for name, value in os.environ.items() if name != SESSION_MARK}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tunesmith.run.reaper", session],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )

    def close(self) -> None:
        """Let the guard see that all is done, and end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _fill_standard_streams() -> None:
    """Open what of stdin, stdout and stderr is closed: a pipe that took such a number would be lost in
    the children, which have their own."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)


def main(session: str) -> None:
    """Wait for the coordinator's end, then kill what it left behind."""
    while os.read(0, 1024):
        pass
    from tunesmith.run.process_tree import kill_marked

    kill_marked((SESSION_MARK, session))


if __name__ == "__main__":
    main(sys.argv[1])
