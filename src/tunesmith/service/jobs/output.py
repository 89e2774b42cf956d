"""What a program prints, for the processes beside jobs and trainings, who look after other things meanwhile."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Iterator
from typing import Final

#: How long processes that a program has left behind are listened to (s).
_AFTER_S: Final = 0.5


def printed(process: subprocess.Popen[bytes], look_s: float) -> Iterator[bytes]:
    """What `process` prints, as it comes, and b"" where nothing does for `look_s`; until it has ended. Its stdout is closed then."""
    assert process.stdout is not None
    ended_at = None
    with process.stdout as output:
        while True:
            if process.poll() is not None:  # before the look: what it has printed is there by now
                ended_at = ended_at or time.monotonic()
            ready, _, _ = select.select([output], [], [], look_s)
            data = os.read(output.fileno(), 65536) if ready else b""
            if ready and not data:  # it has closed its output, and may go on
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(look_s)
                    return
            if ended_at is not None and not data:
                return
            yield data
            if ended_at is not None and time.monotonic() - ended_at > _AFTER_S:
                return
