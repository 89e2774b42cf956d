"""What is to be written to one study at the same time is decided one by one and stored together: a transaction, a flush
and two changes of threads for all who wait, where each of them would take its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from tunesmith.core.errors import StoreLost, StudyNotFound, TunesmithError
from tunesmith.service.news import News
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies
from tunesmith.service.turns import Turns
from tunesmith.tuning.study import Study

T = TypeVar("T")

#: How long one group decides (s): whoever is not done then is in the next one, and others get their turn before.
GROUP_S: Final = 0.02
#: How long a group waits for its turn to write (s), after which it goes without.
_WAIT_S: Final = 25.0
#: After a group could not be stored (a full disk, a broken connection) each is on its own for so long (s): it is read
#: anew after each such failure, and a long history takes its time.
ALONE_S: Final = 5.0


class _Waiting(NamedTuple):
    call: Callable[[Study], Any]
    made: asyncio.Future[Any]


class _Done(NamedTuple):
    waiting: _Waiting
    result: Any
    failure: BaseException | None


class Groups:
    """The verbs that wait for each study, first come, first served. For the event loop."""

    def __init__(self, studies: Studies, turns: Turns, news: News) -> None:
        self._studies, self._turns, self._news = studies, turns, news
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: Until when the verbs of a study are done alone.
        self._alone_until: dict[str, float] = {}

    async def do(self, name: str, call: Callable[[Study], T]) -> T:
        """What `call` makes of the study, once it is stored. It may be called a second time, where nothing of the first
        was. Raises what it raises, and what kept it from being stored."""
        loop = asyncio.get_running_loop()
        one = _Waiting(call, loop.create_future())
        if (waiting := self._waiting.get(name)) is not None:
            waiting.append(one)
        else:
            self._waiting[name] = waiting = deque([one])
            task = loop.create_task(self._see_to(name, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        made: T = await one.made
        return made

    def waiting(self, name: str) -> Sequence[object]:
        """Who waits for a study, beside those that are being seen to."""
        return self._waiting.get(name, ())

    async def _see_to(self, name: str, waiting: deque[_Waiting]) -> None:
        """Do what waits for a study until nothing does."""
        taken: list[_Waiting] = []
        try:
            while waiting:
                taken = []
                async with self._turns.turn(name, f"group {id(waiting)}", _WAIT_S):
                    done, cursor = await self._studies.quick(self._group, name, waiting, taken)
                if cursor is not None:
                    self._news.tell(name, cursor)
                for one in done:
                    _answer(one)
        finally:
            del self._waiting[name]
            for left in (*taken, *waiting):  # none, unless the service ends
                _answer(_Done(left, None, Problem(503, "ending", "the service ends")))

    def _group(
        self, name: str, waiting: deque[_Waiting], taken: list[_Waiting]
    ) -> tuple[list[_Done], int | None]:
        """The results of those who wait now, or of the first of them, who are `taken`; and the study's cursor then, if that
        is known."""
        begun = time.monotonic()
        try:
            if begun >= self._alone_until.get(name, 0.0):
                study = self._studies.study(name)  # once: all of them on the same history
                with study._journal.together():  # noqa: SLF001
                    done = []
                    for _ in range(len(waiting)):
                        taken.append(waiting.popleft())
                        done.append(_done(taken[-1], partial(taken[-1].call, study)))
                        if time.monotonic() - begun > GROUP_S:
                            break
                return done, self._cursor(name)
        except StoreLost as lost:
            done = [_Done(one, None, lost) for one in taken]
            if done:
                return done, None
        except StudyNotFound as gone:  # what was meant for it is for no later study of its name
            self._studies.forget(name)
            taken += [waiting.popleft() for _ in range(len(waiting))]  # others may come meanwhile
            return [_Done(one, None, gone) for one in taken], None
        except Exception:  # noqa: BLE001 (each of them hears of it, if it is still so)
            if taken:
                self._alone_until[name] = begun + ALONE_S
        if not taken:
            taken.append(waiting.popleft())
        alone = [_done(one, partial(self._studies.on, name, one.call)) for one in taken]
        return alone, self._cursor(name)

    def _cursor(self, name: str) -> int | None:
        with suppress(TunesmithError):
            journal = self._studies.study(name)._journal  # noqa: SLF001
            with journal.lock:
                return journal.ledger.cursor if journal.loaded else None
        return None


def _done(one: _Waiting, do: Callable[[], Any]) -> _Done:
    try:
        return _Done(one, do(), None)
    except Exception as error:  # noqa: BLE001 (it is for who asked)
        return _Done(one, None, error)


def _answer(done: _Done) -> None:
    made = done.waiting.made
    if made.done():  # nobody waits any more
        return
    if done.failure is None:
        made.set_result(done.result)
    else:
        made.set_exception(done.failure)
