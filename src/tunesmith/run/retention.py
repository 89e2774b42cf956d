"""Checkpoint retention policy: keeps the best, the last, and those from which a trial resumes."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import ExecutorError
from tunesmith.core.incumbent import front, ranking
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import show_bytes
from tunesmith.core.trial import State
from tunesmith.run import checkpoint
from tunesmith.run.checkpoint import Checkpoint
from tunesmith.run.folder import CHECKPOINT, FULL, Folder, fault_of
from tunesmith.run.objective import NotFetched
from tunesmith.run.remote import Remote

#: A trial in one of these goes on from its last checkpoint.
_GOES_ON = frozenset({State.RUNNING, State.WAITING, State.PAUSED})
#: How often it is looked for checkpoints that other hosts have copied to the folder's URL (s).
_LOOK_S: Final = 10.0


@contextlib.contextmanager
def _fetching(remote: Remote) -> Iterator[None]:
    """Raises NotFetched for what is wrong with one trial's checkpoints, and ExecutorError where none can be had: then the
    trial waits for a host that can reach them."""
    try:
        yield
    except ExecutorError as error:
        remote.check()
        raise NotFetched(str(error)) from error


class Keeper:
    """Removes what nobody needs. The only one that does: a trial writes, the coordinator removes.

    While a trial goes on, its last checkpoint stays, the last one that it has reported, and the one at its
    best report. When it has ended, they stay if it is one of the best (`keep` of them, all that are to be
    confirmed, and with several objectives all that no other beats). Over the `disk` limit, the least needed go first; if that is not enough, trials write none
    until there is room.

    Where the folder has a URL, what is kept is copied there, and of all that hosts have copied the same is kept; the
    `disk` limit is each host's. Raises ExecutorError where the URL cannot be used.
    """

    def __init__(self, folder: Folder, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._root = os.fspath(folder.path)
        self._say = say
        #: What each trial's checkpoints take, in bytes; None before anything was looked at.
        self._sizes: dict[int, int] | None = None
        self._full = False
        with contextlib.suppress(OSError):  # whoever needs the folder says what is wrong with it
            (folder.path / FULL).unlink()
        self._warned = False
        self._remote = None if folder.url is None else Remote(folder.url, folder.identity)
        self._looked_s = -_LOOK_S
        if self._remote is not None:
            self._remote.check()

    def begin(self, number: int, attempt: int) -> None:
        """See to what an attempt at a trial begins with: a first one with none, as a study of this name that was
        deleted may have left some; a later one with what was copied from another host."""
        if attempt == 0:
            self._clear(number)
        if self._remote is not None:
            with _fetching(self._remote):
                self._remote.begin(number, attempt, self._of(number))

    def leave(self, number: int) -> None:
        """Wait until what is whole of a trial is where other hosts find it: it is about to be theirs."""
        if self._remote is not None:
            self._remote.upload(number, self._of(number), State.WAITING)
            self._remote.settle()
            self._tell()

    def close(self, ledger: Ledger) -> None:
        """Wait for what is being copied."""
        if self._remote is not None:
            self._remote.settle()
            self._tidy_remote(ledger)
            self._remote.close()
            self._tell()

    def _clear(self, number: int) -> None:
        left = f"{self._root}/{number:06d}/{CHECKPOINT}"  # as `_of`: it is asked for every trial
        if os.path.lexists(left):
            shutil.rmtree(left, ignore_errors=True)
        if self._sizes is not None:
            self._sizes.pop(number, None)

    def inherit(self, ledger: Ledger, parent: int, child: int) -> None:
        """Let `child` begin with the last checkpoint of `parent`."""
        folder = self._folder.make(child)
        last = ledger.curves.last(parent)
        reported = last.step if last is not None else None
        if self._remote is not None:
            with _fetching(self._remote):
                self._remote.fetch(parent, self._of(parent))
        try:
            inherited = checkpoint.inherit(self._of(parent), self._of(child), reported)
        except OSError as error:
            raise fault_of(error, folder) from error
        if inherited is None and not any(self._of(parent).glob("*")):
            self._complain(f"trial {child} is to go on where trial {parent} is", "begins anew")

    def look(self, ledger: Ledger, trials: Iterable[int]) -> None:
        """Tidy up after `trials`, of which something has been heard."""
        for number in trials:
            paused = number in ledger.paused
            if not os.path.isdir(f"{self._root}/{number:06d}/{CHECKPOINT}"):  # noqa: PTH112 (each report asks)
                if paused:
                    self._complain(f"trial {number} was paused", "will start over if it goes on")
                continue
            checkpoints = checkpoint.complete(self._of(number))
            if paused and not checkpoints and not any(self._of(number).iterdir()):
                self._complain(f"trial {number} was paused", "will start over if it goes on")
            if checkpoints:
                self._tidy(ledger, number, checkpoints)
            if self._remote is not None:
                self._remote.upload(number, self._of(number), ledger.state(number))
        if self._remote is not None:
            if time.monotonic() - self._looked_s >= _LOOK_S:
                self._tidy_remote(ledger)
            self._tell()
        limit = ledger.spec.limits.disk
        if limit is not None or self._full:
            self._fit(ledger, math.inf if limit is None else limit)

    def _complain(self, what: str, then: str) -> None:
        if not self._warned:
            self._warned = True
            self._say(f"{what} without a checkpoint, and {then}: call trial.save(state, step=...)")

    def _of(self, number: int) -> Path:
        return self._folder.trial(number) / CHECKPOINT

    def _tidy(self, ledger: Ledger, number: int, checkpoints: list[Checkpoint]) -> None:
        sizes = self._measured(ledger)
        state = ledger.state(number)
        if state.ended and state is not State.COMPLETED:
            self._remove(ledger, number, checkpoints)
        else:
            best = self._best_step(ledger, number, checkpoints)
            self._remove(
                ledger, number, [c for c in _older(ledger, number, checkpoints) if c.step != best]
            )
        sizes[number] = _bytes_of(self._of(number))
        if state is State.COMPLETED:
            for loser in self._losers(ledger, {n for n in sizes if sizes[n]}):
                self._remove(ledger, loser, checkpoint.complete(self._of(loser)))

    def _tidy_remote(self, ledger: Ledger) -> None:
        """Remove what nobody needs of what was copied: whoever ended a trial may have died before it did so."""
        assert self._remote is not None
        self._looked_s = time.monotonic()
        self._remote.look()
        there = {n for n in self._remote.trials() if n < ledger.size}
        over = [n for n in there if ledger.state(n) not in {*_GOES_ON, State.COMPLETED}]
        self._remote.remove([*over, *self._losers(ledger, there)])

    def _tell(self) -> None:
        assert self._remote is not None
        for sentence in self._remote.news():
            self._say(sentence)

    def _losers(self, ledger: Ledger, numbers: Iterable[int]) -> list[int]:
        """Those completed trials of `numbers` that are not among the best (with several objectives: nor of the front);
        those that only confirm others are losers all."""
        limits = ledger.spec.limits
        if limits.keep == "all":
            return []
        wanted = limits.keep and max(limits.keep, limits.confirm or 0)
        ended = [n for n in numbers if ledger.state(n) is State.COMPLETED]
        repeats = [n for n in ended if n in ledger.confirming]
        ranked = _ranked(ledger, sorted(set(ended) - set(repeats)))
        best = ledger.incumbent
        if best in ranked:  # of those that were confirmed the likeliest
            ranked = [best, *(n for n in ranked if n != best)]
        members = _front(ledger) if wanted else frozenset()
        return [*repeats, *(n for n in ranked[wanted:] if n not in members)]

    def _best_step(self, ledger: Ledger, number: int, checkpoints: list[Checkpoint]) -> int:
        """The step of the last checkpoint at a report of the trial that no other of its reports beats; its last one if
        no report has a value."""
        steps = {c.step for c in checkpoints}
        losses = {
            report.step: losses
            for report in ledger.curves.back(number)
            if report.step in steps and (losses := _reported(ledger, report.metrics))
        }
        if not losses:
            return checkpoints[-1].step
        at = sorted(losses)
        return at[int(front(np.array([losses[step] for step in at]))[-1])]

    # -- room ---------------------------------------------------------------------------------

    def _measured(self, ledger: Ledger) -> dict[int, int]:
        """What trials' checkpoints take: O(files of the study) when first asked."""
        if self._sizes is None:
            self._sizes = {}
            for path in self._folder.path.glob(f"*/{CHECKPOINT}"):
                name = path.parent.name
                if name.isdigit() and int(name) < ledger.size:
                    self._sizes[int(name)] = _bytes_of(path)
        return self._sizes

    def _fit(self, ledger: Ledger, limit: float) -> None:
        sizes = self._measured(ledger)
        if sum(sizes.values()) > limit:
            for number, dispensable in self._dispensable(ledger):
                self._remove(ledger, number, dispensable)
                if sum(sizes.values()) <= limit:
                    break
        used = sum(sizes.values())
        full = used > limit
        if full != self._full:
            self._full = full
            flag = self._folder.path / FULL
            if not full:
                flag.unlink(missing_ok=True)
                return
            text = (
                f"the checkpoints that running trials and the best one need take {show_bytes(used)}, "
                f"over the study's disk limit of {show_bytes(limit)}"
            )
            flag.write_text(text)
            self._say(f"{text}; trials save none until there is room")

    def _dispensable(self, ledger: Ledger) -> Iterator[tuple[int, list[Checkpoint]]]:
        """Trials and checkpoints of theirs, the least needed first."""
        sizes = self._measured(ledger)
        with_some = [n for n in sizes if sizes[n]]
        best = _front(ledger)
        ended = [n for n in with_some if ledger.state(n) not in _GOES_ON and n not in best]
        worst = _ranked(ledger, ended)[::-1]
        for number in sorted(worst, key=lambda n: n not in ledger.confirming):
            yield number, checkpoint.complete(self._of(number))
        for number in with_some:
            yield number, _older(ledger, number, checkpoint.complete(self._of(number)))
        paused = [n for n in with_some if n in ledger.paused]
        last = np.array(
            [_reported(ledger, ledger.judged.latest(n)) or _nothing(ledger) for n in paused]
        )
        for i in ranking(last)[::-1].tolist() if paused else ():
            yield paused[i], checkpoint.complete(self._of(paused[i]))
        if (
            len(ledger.spec.objectives) > 1
        ):  # which of the front is chosen depends on what matters more
            members = [n for n in with_some if n in best]
            for i in ranking(_losses(ledger, members))[:0:-1].tolist():
                self._say(
                    f"the checkpoints of trial {members[i]}, which no other beats, have to go: the study's disk limit of "
                    f"{show_bytes(ledger.spec.limits.disk)} is used up"
                )
                yield members[i], checkpoint.complete(self._of(members[i]))

    def _remove(self, ledger: Ledger, number: int, gone: list[Checkpoint]) -> None:
        for one in gone:
            checkpoint.remove(one.path)
        if gone:
            self._measured(ledger)[number] = _bytes_of(self._of(number))


def _older(ledger: Ledger, number: int, checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """All but the newest one, and the newest that the trial has reported: it goes on from there, if the
    report of the other one never comes."""
    last = None if ledger.state(number).ended else ledger.curves.last(number)
    reported = [c for c in checkpoints if last is not None and c.step <= last.step]
    return [c for c in checkpoints[:-1] if c not in reported[-1:]]


def _losses(ledger: Ledger, numbers: Sequence[int]) -> NDArray[np.float64]:
    """Of these trials by every objective, shape (n, m); inf where there is none."""
    losses = ledger.column("losses")[list(numbers)]
    return np.where(np.isnan(losses), np.inf, losses)


def _ranked(ledger: Ledger, numbers: Sequence[int]) -> list[int]:
    """These trials, the best first: those that break a constraint behind those that do not, and those of an earlier
    version of the program last."""
    ranked = [numbers[i] for i in ranking(_losses(ledger, numbers)).tolist()]
    table = ledger.table
    return sorted(ranked, key=lambda n: (table.aged.item(n), table.broken.item(n)))


def _front(ledger: Ledger) -> frozenset[int]:
    """The best trial; with several objectives all that no other beats."""
    return frozenset(ledger.front().tolist())


def _reported(ledger: Ledger, metrics: Mapping[str, float]) -> list[float] | None:
    """The losses of a report by every objective; None where it has none of their metrics."""
    objectives = ledger.spec.objectives
    if not any(objective.metric in metrics for objective in objectives):
        return None
    return [_or_inf(o.sign * metrics.get(o.metric, math.nan)) for o in objectives]


def _nothing(ledger: Ledger) -> list[float]:
    return [math.inf] * len(ledger.spec.objectives)


def _or_inf(loss: float) -> float:
    return math.inf if loss != loss else loss


def _bytes_of(path: Path) -> int:
    """What the files under `path` take; one that several trials share is counted for each."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += Path(folder, name).lstat().st_size
            except FileNotFoundError:  # a trial is writing just now
                continue
    return total
