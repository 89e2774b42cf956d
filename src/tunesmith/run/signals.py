"""Signal handlers of this process that the processes forked by it do not inherit.

A forked child with its parent's handlers could not be ended: `multiprocessing.Pool` ends its workers
with SIGTERM, which a coordinator takes as the wish to stop the study.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from tunesmith.run.base import Interruptible

_masks: Final = threading.local()
#: The handlers that this process had before, by signal: what a child gets.
_before: Final[dict[int, Any]] = {}


@contextmanager
def handling(numbers: Iterable[int], handle: Callable[[int], None]) -> Iterator[None]:
    """Let `handle` be called for these signals, in this process only. For the main thread."""
    process = os.getpid()

    def handler(number: int, _: object) -> None:
        if os.getpid() == process:  # C code can fork without a word to Python
            handle(number)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    outer = dict(_before)
    mine = {number: signal.signal(number, handler) for number in numbers}
    _before.update({n: before for n, before in mine.items() if n not in outer})
    try:
        yield
    finally:
        for number, before in mine.items():
            signal.signal(number, _known(before))
        _before.clear()
        _before.update(outer)


class Interrupts:
    """Ctrl-C of whoever runs trials: once: `begin` to leave; twice: kill what runs; a third time: KeyboardInterrupt
    wherever we are. Termination and a lost terminal count, too, but never raise."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self.count = 0
        #: Whose trial, if it runs in this thread, is interrupted.
        self.executor: object = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Where this is the main thread: others get no signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with handling([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], self._take):
            yield

    def _take(self, number: int) -> None:
        self.count += 1
        if self.count == 1:
            self._begin()
        elif number == signal.SIGINT:
            if isinstance(self.executor, Interruptible):
                self.executor.interrupt()
            if self.count > 2:
                raise KeyboardInterrupt


def _known(handler: Any) -> Any:
    """A handler that Python did not install cannot be put back."""
    return signal.SIG_DFL if handler is None else handler


def _hold() -> None:
    """Before a fork: hold signals back, or one that comes to the child before it has handlers of its own
    would be lost."""
    if _before:
        _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, _before)


def _release() -> None:
    mask = vars(_masks).pop("before", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _reset_child() -> None:
    for number, before in _before.items():
        signal.signal(number, _known(before))
    _before.clear()
    _release()


os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_reset_child)
