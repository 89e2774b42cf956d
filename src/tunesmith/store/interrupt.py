"""Ctrl-C comes between transactions, not within one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Whether the main thread is in a block of `held_back`: to ask for the handler costs microseconds.
_holding = False


@contextmanager
def held_back() -> Iterator[None]:
    """While the block runs, the first Ctrl-C waits for its end: a KeyboardInterrupt in the middle of a message to a
    server, or between a commit and what is noted of it, leaves neither side knowing what the other has. A second one
    comes at once, as the block may wait for others."""
    global _holding
    if _holding or threading.current_thread() is not threading.main_thread():
        yield  # within another such block nothing needs to be done
        return
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        yield
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

    signal.signal(signal.SIGINT, hold)
    try:
        _holding = True
        yield
    finally:
        _holding = False
        now = signal.signal(signal.SIGINT, handler)
        if now is not hold:  # the block has set another one
            signal.signal(signal.SIGINT, now)
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
