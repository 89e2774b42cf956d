"""Ctrl-C comes between transactions, not within one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held_back() -> Iterator[None]:
    """While the block runs, the first Ctrl-C waits for its end: a KeyboardInterrupt in the middle of a message to a
    server, or between a commit and what is noted of it, leaves neither side knowing what the other has. A second one
    comes at once, as the block may wait for others."""
    handler = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(handler) or getattr(handler, "holds_back", False):
        yield  # within another such block nothing needs to be done
        return
    process, came = os.getpid(), list[FrameType | None]()

    def hold(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:
            handler(number, frame)
            return
        came.append(frame)
        if len(came) > 1:
            if len(came) == 2:
                handler(number, came[0])
            handler(number, frame)

    hold.holds_back = True  # type: ignore[attr-defined]
    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is hold:
            signal.signal(signal.SIGINT, handler)
        if len(came) == 1:
            handler(signal.SIGINT, came[0])


def interrupt_of(
    error: BaseException, handled: BaseException | None = None
) -> BaseException | None:
    """The Ctrl-C, or whatever else is no failure but an order to end, that `error` is or came of: to take back what is
    half done may fail then, in words of its own. `handled` is what was being dealt with before."""
    cause: BaseException | None = error
    while isinstance(cause, Exception) and cause is not handled:
        cause = cause.__context__
    return None if cause is handled else cause
