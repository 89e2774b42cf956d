"""What every executor has to do: the promises of `tunesmith.run.base`.

Executors are tested with one objective, `behave`, which does what its config says. An executor of
programs runs ``python -m tunesmith.testing.program`` instead, which does the same.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import numpy as np
import psutil

from tunesmith.core import codec
from tunesmith.core.events import Asked, Exited, Finished, Reported, Start, Stop
from tunesmith.core.trial import Kind, Reason, State
from tunesmith.run.base import Executor, Happened, storable
from tunesmith.run.live import LiveTrial
from tunesmith.testing.check import Check, collect

#: Nothing in the suite takes longer than this unless it hangs (s).
_PATIENCE_S = 60.0


def behave(config: Any, trial: LiveTrial | None = None) -> Any:
    """Do what ``config["do"]`` says, with ``config["with"]``; a trial alone is asked."""
    if trial is None:
        return _ask(config)
    return _BEHAVIOURS[config["do"]](config.get("with"), trial)


def _ask(trial: LiveTrial) -> float:
    """Ask for what was suggested, for what was not, and not for all that was."""
    x, y = trial.float("x", 0.0, 1.0), trial.float("y", 0.0, 1.0)
    if trial.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    trial.set_user_attr("x", str(x))
    return x + 10 * y


def _report(steps: Any, trial: LiveTrial) -> None:
    for step in range(1, int(steps) + 1):
        trial.report(step=step, loss=1.0 / step)


def _raise(message: Any, _: LiveTrial) -> None:
    raise ValueError(message)


def _sleep(seconds: Any, trial: LiveTrial) -> float:
    trial.report(step=1, loss=0.5)
    time.sleep(seconds)
    return 0.5


def _spin(_: Any, trial: LiveTrial) -> None:
    """Deaf to SIGTERM, as a loop in C is."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    trial.report(step=1, loss=0.5)
    while True:
        time.sleep(0.01)


def _eat(_: Any, __: LiveTrial) -> None:
    hoard = []
    while True:
        hoard.append(bytearray(16 << 20))
        time.sleep(0.002)


def _fork(seconds: Any, trial: LiveTrial) -> float:
    """Start a child that would live for ten minutes; its pid is the step of the report."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    trial.report(step=child.pid, loss=0.5)
    time.sleep(seconds)
    return 0.5


def _print(kilobytes: Any, _: LiveTrial) -> float:
    for _line in range(int(kilobytes)):
        sys.stdout.write("x" * 1023 + "\n")
    return 0.5


def _garble(_: Any, __: LiveTrial) -> float:
    os.write(1, b"\xff\xfe\x00 no text \x80\n" * 100)
    return 0.5


def _exit(code: Any, _: LiveTrial) -> None:
    os._exit(int(code))


class _Unspeakable(Exception):
    """Cannot be put into words, nor into a pickle."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")


class _Odd:
    """Neither a number nor a text nor a mapping, though it pretends to be each."""

    def __float__(self) -> float:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise RuntimeError("no words")

    __str__ = __repr__


#: What an objective may raise, by name.
_RAISED: Final[dict[str, Callable[[], BaseException]]] = {
    "sys.exit": lambda: SystemExit("bad config"),
    "sys.exit(0)": lambda: SystemExit(0),
    "KeyboardInterrupt": KeyboardInterrupt,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "unspeakable": _Unspeakable,
    "surrogate": lambda: ValueError("bad name \udcff"),
    "long": lambda: ValueError("x" * (10 << 20)),
}
#: What it may return, beside a number.
_RETURNED: Final[dict[str, Any]] = {
    "huge": 10**400,
    "decimal": Decimal("1e400"),
    "complex": 1j,
    "array": np.zeros(3),
    "odd": _Odd(),
    "odd value": {"loss": _Odd()},
    "odd name": {_Odd(): 1.0},
    "names": {3: 0.5, None: 1.0, "a\udcff": 2.0},
    "nested": {"loss": {"loss": [1]}},
    "text": "a\udcff",
    "type": _Odd,
}


def _raise_other(name: Any, _: LiveTrial) -> None:
    raise _RAISED[name]()  # noqa: RSE102 (a function that makes it)


def _fork_and_return(_: Any, trial: LiveTrial) -> float:
    """Both come back, and both have a value; the child reports, too."""
    child = os.fork()
    if child == 0:
        trial.report(step=99, loss=99.0)
        return 99.0
    os.waitpid(child, 0)
    return 0.5


def _threads(count: Any, trial: LiveTrial) -> float:
    """Each of several threads reports thirty times."""

    def work(k: int) -> None:
        for step in range(1, 31):
            trial.report(step=100 * k + step, loss=float(k))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(int(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0.5


def _pool(_: Any, __: LiveTrial) -> float:
    """A pool of processes that is ended as soon as it has begun."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return float(sum(pool.map(abs, [-0.25, 0.25])))


_BEHAVIOURS: Final[dict[str, Callable[[Any, LiveTrial], Any]]] = {
    "return": lambda argument, _: argument,
    "report": _report,
    "return other": lambda name, _: _RETURNED[name],
    "raise": _raise,
    "raise other": _raise_other,
    "fork and return": _fork_and_return,
    "threads": _threads,
    "pool": _pool,
    "sleep": _sleep,
    "spin": _spin,
    "eat": _eat,
    "fork": _fork,
    "print": _print,
    "garble": _garble,
    "exit": _exit,
    "segfault": lambda _, __: ctypes.string_at(0),
}


def executor_checks(
    make: Callable[[], Executor], *, isolated: bool = True, asks: bool = False
) -> list[Check]:
    """The checks for the executor that `make` gives, whose objective is `behave` and whose trials have
    a memory limit of 400 MB.

    `isolated` says that trials run in processes of their own, so that they can be killed, run at the
    same time, and die without harm; `asks`, that they are functions, which may ask for their parameters.
    """
    checks = collect(_Anywhere(make))
    checks += collect(_Isolated(make)) if isolated else []
    checks += collect(_Asking(make)) if asks else []
    return checks + collect(_AskingApart(make)) if asks and isolated else checks


class _Suite:
    def __init__(self, make: Callable[[], Executor]) -> None:
        self._make = make

    @contextmanager
    def _executor(self) -> Iterator[Executor]:
        executor = self._make()
        try:
            yield executor
        finally:
            executor.close()

    def _run(self, do: str, argument: Any = None) -> tuple[list[Reported], Exited]:
        """One trial, from beginning to end."""
        with self._executor() as executor:
            executor.start(start(0, do, argument))
            return follow(executor, 0)


def start(trial: int, do: str, argument: Any = None, attempt: int = 0) -> Start:
    return Start(trial, attempt, {"do": do, "with": argument}, 1)


def _finished(exited: Exited) -> Finished:
    return Finished(exited.at, exited.trial, exited.attempt, State.FAILED, reason=exited.reason)


def follow(executor: Executor, trial: int) -> tuple[list[Reported], Exited]:
    """What a trial reports, and its end."""
    reports: list[Reported] = []
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        for event in executor.events(0.05):
            if event.trial != trial:
                continue
            if isinstance(event, Exited):
                return reports, event
            assert isinstance(event, Reported)
            reports.append(event)
    raise AssertionError(f"trial {trial} did not end within {_PATIENCE_S} s")


def until(executor: Executor, what: Callable[[Happened], bool]) -> Happened:
    """The first event for which `what` holds."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        for event in executor.events(0.05):
            if what(event):
                return event
    raise AssertionError("the event never came")


class _Anywhere(_Suite):
    """What executors of every kind do."""

    def check_a_number_comes_back(self) -> None:
        _, exited = self._run("return", 0.25)
        assert exited.reason is None
        assert exited.returned in (0.25, {"loss": 0.25})
        assert (exited.trial, exited.attempt) == (0, 0)

    def check_costs_are_measured(self) -> None:
        _, exited = self._run("sleep", 0.3)
        assert exited.cost.wall_s is not None
        assert 0.25 < exited.cost.wall_s < _PATIENCE_S
        assert exited.cost.cpu_s is not None
        assert 0 <= exited.cost.cpu_s < exited.cost.wall_s + 5

    def check_reports_arrive_in_order(self) -> None:
        reports, exited = self._run("report", 5)
        assert exited.reason is None, exited.reason
        if reports:  # an executor in this thread delivers them by another way
            assert [r.step for r in reports] == [1, 2, 3, 4, 5]
            assert [r.metrics["loss"] for r in reports] == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]

    def check_an_exception_is_a_reason(self) -> None:
        _, exited = self._run("raise", "the flux capacitor is empty")
        assert exited.reason is not None
        assert exited.reason.kind is Kind.ERROR
        text = exited.reason.message + exited.reason.output
        assert "the flux capacitor is empty" in text
        assert "ValueError" in text

    def check_what_is_no_result_does_no_harm(self) -> None:
        for value in (None, float("nan"), float("inf"), "a text", [1, 2], {"other": 1.0}, {}):
            storable(self._run("return", value)[1])
        for name in _RETURNED:
            storable(self._run("return other", name)[1])

    def check_whatever_is_raised_fails_the_trial(self) -> None:
        with self._executor() as executor:
            for trial, name in enumerate(_RAISED):
                executor.start(start(trial, "raise other", name))
                _, exited = follow(executor, trial)
                assert exited.reason is not None, name
                assert exited.reason.kind is Kind.ERROR, (name, exited.reason)
                codec.encode(_finished(exited))
                assert len(exited.reason.message + exited.reason.output) < 20_000, name

    def check_a_forked_child_does_not_answer(self) -> None:
        reports, exited = self._run("fork and return")
        assert exited.returned in (0.5, {"loss": 0.5}), exited
        assert [r.step for r in reports if r.step == 99] == []

    def check_threads_may_report(self) -> None:
        reports, exited = self._run("threads", 4)
        assert exited.reason is None, exited.reason
        if reports:  # an executor in this thread delivers them by another way
            steps = [r.step for r in reports if r.metrics["loss"] == r.step // 100]
            assert sorted(steps) == [100 * k + step for k in range(4) for step in range(1, 31)]

    def check_a_pool_of_processes_can_be_ended(self) -> None:
        with self._executor() as executor:
            for trial in range(5):
                executor.start(start(trial, "pool"))
                assert follow(executor, trial)[1].returned in (0.5, {"loss": 0.5})

    def check_many_trials_one_after_the_other(self) -> None:
        with self._executor() as executor:
            for trial in range(20):
                executor.start(start(trial, "return", float(trial)))
                _, exited = follow(executor, trial)
                assert exited.returned in (float(trial), {"loss": float(trial)}), exited

    def check_waiting_for_nothing_takes_its_time(self) -> None:
        with self._executor() as executor:
            began = time.monotonic()
            assert executor.events(0.1) == []
            assert 0.05 < time.monotonic() - began < 5

    def check_stopping_a_stranger_is_ignored(self) -> None:
        with self._executor() as executor:
            executor.stop(Stop(99, Reason(Kind.STOPPED, "why"), 1.0))
            executor.start(start(0, "return", 0.5))
            assert follow(executor, 0)[1].reason is None


class _Isolated(_Suite):
    """What executors do whose trials have processes of their own."""

    def check_trials_run_at_the_same_time(self) -> None:
        with self._executor() as executor:
            executor.start(start(0, "sleep", 600))
            until(executor, lambda e: isinstance(e, Reported) and e.trial == 0)
            executor.start(start(1, "return", 0.5))
            assert follow(executor, 1)[1].reason is None

    def check_stop_ends_a_trial_with_its_reason(self) -> None:
        with self._executor() as executor:
            executor.start(start(0, "sleep", 600))
            until(executor, lambda e: isinstance(e, Reported))
            executor.events(0.0)
            executor.stop(Stop(0, Reason(Kind.TIMEOUT, "too slow"), 5.0))
            _, exited = follow(executor, 0)
            assert exited.reason is not None
            assert (exited.reason.kind, exited.reason.message) == (Kind.TIMEOUT, "too slow")

    def check_a_deaf_trial_is_killed_after_its_grace(self) -> None:
        with self._executor() as executor:
            executor.start(start(0, "spin"))
            until(executor, lambda e: isinstance(e, Reported))
            executor.events(0.0)
            began = time.monotonic()
            executor.stop(Stop(0, Reason(Kind.TIMEOUT, "too slow"), 0.5))
            _, exited = follow(executor, 0)
            assert 0.3 < time.monotonic() - began < 20
            assert exited.reason is not None
            assert exited.reason.kind is Kind.TIMEOUT
            executor.start(start(1, "return", 0.5))
            assert follow(executor, 1)[1].reason is None, "the next trial runs"

    def check_memory_is_limited(self) -> None:
        _, exited = self._run("eat")
        assert exited.reason is not None
        assert exited.reason.kind is Kind.OUT_OF_MEMORY
        assert exited.cost.memory_bytes is not None
        assert exited.cost.memory_bytes > 300e6

    def check_children_do_not_outlive_a_stopped_trial(self) -> None:
        with self._executor() as executor:
            executor.start(start(0, "fork", 600))
            report = until(executor, lambda e: isinstance(e, Reported))
            assert isinstance(report, Reported)
            executor.events(0.0)
            executor.stop(Stop(0, Reason(Kind.TIMEOUT, "too slow"), 0.5))
            follow(executor, 0)
            executor.close()
            assert gone([report.step])

    def check_children_do_not_outlive_the_executor(self) -> None:
        executor = self._make()
        executor.start(start(0, "fork", 600))
        report = until(executor, lambda e: isinstance(e, Reported))
        assert isinstance(report, Reported)
        executor.close()
        assert gone([report.step])

    def check_a_dead_process_is_an_outcome(self) -> None:
        for do, argument, words in (("exit", 3, "exit code 3"), ("segfault", None, "SIGSEGV")):
            _, exited = self._run(do, argument)
            assert exited.reason is not None
            assert exited.reason.kind is Kind.ERROR
            assert words in exited.reason.message, exited.reason

    def check_much_output_and_no_text(self) -> None:
        _, exited = self._run("print", 100 << 10)  # 100 MB
        assert exited.reason is None
        _, exited = self._run("garble")
        assert exited.reason is None


def gone(pids: Sequence[int], patience_s: float = 10.0) -> bool:
    """Whether all these processes end in time."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if not any(_lives(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


_X: Final = {"float": [0.0, 1.0]}


class _Asking(_Suite):
    """What executors of functions do for a study whose space is learned."""

    def check_a_trial_gets_what_was_suggested_and_draws_the_rest(self) -> None:
        with self._executor() as executor:
            ends = [
                _asked(executor, Start(0, k, {"x": 0.25, "z": 1}, 1, asked={"x": _X}))
                for k in (0, 1)
            ]
        for exited in ends:
            assert exited.reason is None, exited.reason
            assert exited.asked == ("x", "y")
            assert exited.tags == {"x": '"0.25"'}
        assert ends[0].returned == ends[1].returned, "every attempt draws the same"

    def check_another_range_fails_the_trial(self) -> None:
        with self._executor() as executor:
            exited = _asked(executor, Start(0, 0, {}, 1, asked={"x": {"float": [0.0, 2.0]}}))
        assert exited.reason is not None
        assert exited.reason.kind is Kind.ERROR
        assert "trial.float('x', 0.0, 2.0) before" in exited.reason.message


class _AskingApart(_Suite):
    """The same, where trials may be killed."""

    def check_what_a_killed_trial_had_asked_for_is_known(self) -> None:
        with self._executor() as executor:
            exited = _asked(executor, Start(1, 0, {"x": 0.25, "z": 1}, 1, asked={"x": _X}))
        assert exited.reason is not None
        assert exited.asked == ("x", "y")

    def check_a_question_is_stored_before_it_is_answered(self) -> None:
        with self._executor() as executor:
            executor.start(Start(0, 0, {"x": 0.25}, 1, asked={"x": _X}))
            asked = until(executor, lambda e: e.trial == 0)
            assert isinstance(asked, Asked), asked
            assert asked.parameters == {"y": _X}
            executor.stop(Stop(0, Reason(Kind.ERROR, "refused"), 30.0))
            exited = until(executor, lambda e: isinstance(e, Exited))
            assert isinstance(exited, Exited)
            assert exited.reason is not None
            assert (exited.reason.kind, exited.reason.message) == (Kind.ERROR, "refused")


def _asked(executor: Executor, begin: Start) -> Exited:
    executor.start(begin)
    exited = until(executor, lambda e: isinstance(e, Exited) and e.trial == begin.trial)
    assert isinstance(exited, Exited)
    return exited
