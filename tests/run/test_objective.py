"""An objective may have any shape; what it raises becomes a reason that shows the user's own code."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import Stopped
from tunesmith.core.events import Exited, Start
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.inline import InlineExecutor
from tunesmith.run.live import LiveTrial
from tunesmith.run.objective import TAIL_LINES, ObjectiveFunction, reason_of, tail, takes_trial
from tunesmith.run.objective import call as run

Reports = list[tuple[int, dict[str, float | None]]]


def live(reports: Reports, stop_at: int | None = None) -> LiveTrial:
    """A trial that keeps what is reported, and tells the objective to stop at a step."""

    def send(step: int, metrics: dict[str, float | None]) -> Reason | None:
        reports.append((step, metrics))
        return Reason(Kind.STOPPED, "hopeless") if step == stop_at else None

    return LiveTrial(0, 0, {}, 0, Path, send)


def call(
    function: Callable[..., Any],
    stop_at: int | None = None,
    metric: str | tuple[str, ...] = "loss",
) -> tuple[Any, Reports]:
    """What it returned, and what it reported."""
    reports: Reports = []
    objective = ObjectiveFunction.of(function, metric)
    return objective({"x": 1}, lambda: live(reports, stop_at)), reports


class Callable1:
    def __call__(self, config: dict[str, Any]) -> float:
        return 1.0

    def method(self, config: dict[str, Any], trial: LiveTrial) -> float:
        return 2.0

    @staticmethod
    def static(config: dict[str, Any]) -> float:
        return 3.0

    @classmethod
    def klass(cls, config: dict[str, Any], trial: LiveTrial) -> float:
        return 4.0


def keyword(config: Any, trial: Any = None) -> None: ...
def option(config: Any, verbose: bool = False) -> None: ...
def variable(config: Any, *more: Any) -> None: ...
def anything(*args: Any, **options: Any) -> None: ...
def three(config: Any, trial: Any, data: Any) -> None: ...
def nothing() -> None: ...
def demanding(config: Any, *, data: Any) -> None: ...


class TestSignature:
    @pytest.mark.parametrize(
        ("function", "with_trial"),
        [
            (lambda config: 1, False),
            (lambda config, trial: 1, True),
            (lambda c, t: 1, True),
            (keyword, True),
            (option, False),
            (variable, False),
            (anything, False),
            (Callable1(), False),
            (Callable1().method, True),
            (Callable1.static, False),
            (Callable1.klass, True),
            (functools.partial(three, data=1), True),
            (functools.partial(demanding, data=1), False),
            (len, False),
            (dict, False),
        ],
    )
    def test_says_whether_the_trial_is_wanted(
        self, function: Callable[..., Any], with_trial: bool
    ) -> None:
        assert takes_trial(function) is with_trial

    @pytest.mark.parametrize("function", [nothing, three, demanding])
    def test_that_does_not_fit(self, function: Callable[..., Any]) -> None:
        with pytest.raises(TypeError, match=r"has to take \(config\) or \(config, trial\)") as e:
            takes_trial(function)
        assert function.__name__ in str(e.value)

    def test_arguments_arrive(self) -> None:
        assert call(lambda config: config)[0] == {"x": 1}
        returned, _ = call(lambda config, trial: (config, type(trial)))
        assert returned == ({"x": 1}, LiveTrial)

    def test_a_trial_is_made_only_for_those_who_want_it(self) -> None:
        def unwanted() -> LiveTrial:
            raise AssertionError

        assert ObjectiveFunction.of(lambda config: 7, "loss")({}, unwanted) == 7


class TestGenerators:
    def test_yield_numbers(self) -> None:
        def objective(config: Any) -> Iterator[float]:
            yield 3.0
            yield 2.0

        returned, reports = call(objective)
        assert returned is None
        assert reports == [(1, {"loss": 3.0}), (2, {"loss": 2.0})]

    def test_yield_mappings_with_and_without_a_step(self) -> None:
        def objective(config: Any) -> Iterator[dict[str, float]]:
            yield {"loss": 3.0, "accuracy": 0.5}
            yield {"loss": 2.0, "step": 10}
            yield {"loss": 1.0}

        assert call(objective)[1] == [
            (1, {"loss": 3.0, "accuracy": 0.5}),
            (10, {"loss": 2.0}),
            (11, {"loss": 1.0}),
        ]

    def test_yield_steps_with_either(self) -> None:
        def objective(config: Any) -> Iterator[tuple[int, Any]]:
            yield 5, 3.0
            yield 10, {"loss": 2.0}

        assert call(objective)[1] == [(5, {"loss": 3.0}), (10, {"loss": 2.0})]

    @pytest.mark.parametrize(
        ("yielded", "step", "metrics"),
        [
            ((0.5, 1.5), 1, {"loss": 0.5, "time": 1.5}),
            ((100, 7.5), 1, {"loss": 100, "time": 7.5}),
            ([100, 7.5], 1, {"loss": 100, "time": 7.5}),
            ({"loss": 1.0}, 1, {"loss": 1.0}),
            ((3, {"loss": 1.0}), 3, {"loss": 1.0}),
            ((3, (0.5, 1.5)), 3, {"loss": 0.5, "time": 1.5}),
        ],
    )
    def test_yield_several_objectives_as_they_return_them(
        self, yielded: Any, step: int, metrics: Any
    ) -> None:
        def objective(config: Any) -> Iterator[Any]:
            yield yielded

        assert call(objective, metric=("loss", "time"))[1] == [(step, metrics)]

    @pytest.mark.parametrize("names", [("loss", "time"), ("loss", "time", "size")])
    @pytest.mark.parametrize("yielded", [7.5, (1, 2, 3, 4), (7.5,), [], "ab", (3, 7.5, "x", 1)])
    def test_yield_no_value_of_one_of_several(self, names: Any, yielded: Any) -> None:
        def objective(config: Any) -> Iterator[Any]:
            yield yielded

        with pytest.raises(ValueError, match="yield the values of 'loss', 'time'"):
            call(objective, metric=names)

    def test_yield_a_step_and_a_number_for_three_objectives(self) -> None:
        def objective(config: Any) -> Iterator[Any]:
            yield 3, 7.5

        with pytest.raises(ValueError, match=r"yielded \(3, 7.5\); for a report\(\), yield"):
            call(objective, metric=("loss", "time", "size"))

    def test_return_something_in_the_end(self) -> None:
        def objective(config: Any) -> Generator[float, None, float]:
            yield 3.0
            return 0.5

        assert call(objective) == (0.5, [(1, {"loss": 3.0})])

    def test_may_want_the_trial_and_report_themselves(self) -> None:
        def objective(config: Any, trial: LiveTrial) -> Iterator[float]:
            trial.report(step=4, loss=4.0)
            yield 3.0

        assert call(objective)[1] == [(4, {"loss": 4.0}), (5, {"loss": 3.0})]

    def test_may_be_returned_by_a_function(self) -> None:
        assert call(lambda config: (float(k) for k in (3, 2)))[1] == [
            (1, {"loss": 3.0}),
            (2, {"loss": 2.0}),
        ]

    def test_leave_what_they_yielded_alone(self) -> None:
        given = {"loss": 1.0, "step": 3}

        def objective(config: Any) -> Iterator[dict[str, float]]:
            yield given

        call(objective)
        assert given == {"loss": 1.0, "step": 3}

    @pytest.mark.parametrize("given", ["text", None, (1, 2, 3), {"loss": "text"}, {}, (1, None)])
    def test_that_yield_what_is_no_report(self, given: Any) -> None:
        def objective(config: Any) -> Iterator[Any]:
            yield given

        with pytest.raises(ValueError, match=r"report\("):
            call(objective)

    def test_are_closed_when_they_are_stopped(self) -> None:
        done: list[str] = []

        def objective(config: Any) -> Iterator[float]:
            try:
                yield 3.0
                yield 2.0
                yield 1.0
            finally:
                done.append("cleaned up")

        with pytest.raises(Stopped, match="hopeless"):
            call(objective, stop_at=2)
        assert done == ["cleaned up"]


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class OutOfMemoryError(RuntimeError):
    """As PyTorch calls it."""


def raised(error: Exception) -> Exception:
    """The error with a traceback."""
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 (it may be any)
        return caught


class TestReason:
    def test_says_what_was_raised_and_where(self) -> None:
        reason = reason_of(raised(ValueError("the flux capacitor is empty")))
        assert (reason.kind, reason.message) == (
            Kind.ERROR,
            "ValueError: the flux capacitor is empty",
        )
        assert Path(__file__).name in reason.output
        assert "raise error" in reason.output

    def test_of_an_error_without_a_text(self) -> None:
        assert reason_of(raised(KeyError())).message == "KeyError"

    def test_of_an_error_that_cannot_be_printed(self) -> None:
        assert "Unprintable" in reason_of(raised(Unprintable())).message

    @pytest.mark.parametrize(
        "error",
        [MemoryError(), OutOfMemoryError("x"), RuntimeError("CUDA error: out of memory")],
    )
    def test_of_memory(self, error: Exception) -> None:
        assert reason_of(raised(error)).kind is Kind.OUT_OF_MEMORY

    def test_of_a_stop(self) -> None:
        assert reason_of(raised(Stopped("hopeless"))) == Reason(Kind.STOPPED, "hopeless")

    def test_shows_no_frames_of_tunesmith(self) -> None:
        def broken(config: Any) -> float:
            raise ValueError(config)

        executor = InlineExecutor(
            broken, metric="loss", deliver=lambda _: None, directory=lambda _: Path()
        )
        executor.start(Start(0, 0, {"x": 1}, 0))
        (exited,) = executor.events(0.0)
        assert isinstance(exited, Exited)
        assert exited.reason is not None
        assert "in broken" in exited.reason.output
        assert "tunesmith/run" not in exited.reason.output

    def test_shows_causes(self) -> None:
        def broken(config: Any) -> float:
            try:
                raise OSError("no such dataset")
            except OSError as error:
                raise ValueError("cannot train") from error

        with pytest.raises(ValueError) as caught:
            call(broken)
        assert "no such dataset" in reason_of(caught.value).output

    def test_is_short(self) -> None:
        def deep(n: int) -> None:
            if n:
                deep(n - 1)
            raise ValueError("x" * 5000)

        with pytest.raises(ValueError) as caught:
            deep(50)
        lines = reason_of(caught.value).output.splitlines()
        assert len(lines) <= TAIL_LINES
        assert max(map(len, lines)) <= 500


class TestTail:
    def test_is_the_end(self) -> None:
        text = "\n".join(str(k) for k in range(100))
        assert tail(text).splitlines() == [str(k) for k in range(80, 100)]
        assert tail(text, lines=2) == "98\n99"

    def test_drops_empty_lines_behind(self) -> None:
        assert tail("a\nb\n\n\n") == "a\nb"
        assert tail("") == ""

    def test_cuts_long_lines(self) -> None:
        assert tail("x" * 30, width=10) == "xxxxxxx..."


@pytest.mark.parametrize("how", ["returns", "raises another", "passes it on"])
def test_told_to_stop_then_ended_is_stopped(how: str) -> None:
    """A library's loop returns its model as it is, or wraps what its callback raised."""

    def objective(config: Any, trial: LiveTrial) -> float:
        try:
            trial.report(step=1, loss=2.0)
        except Stopped as stop:
            if how == "passes it on":
                raise
            if how == "raises another":
                raise RuntimeError(f"a callback failed: {stop}") from None
        return 0.5

    trial = live([], stop_at=1)
    returned, reason = run(ObjectiveFunction.of(objective, "loss"), {}, lambda: trial)
    assert returned is None
    assert reason is not None
    assert reason.kind is Kind.STOPPED
    assert reason.message == "hopeless"


def test_an_error_before_it_was_told_is_an_error() -> None:
    def objective(config: Any, trial: LiveTrial) -> float:
        trial.report(step=1, loss=2.0)
        raise RuntimeError("my own")

    trial = live([], stop_at=2)
    _, reason = run(ObjectiveFunction.of(objective, "loss"), {}, lambda: trial)
    assert reason is not None
    assert reason.kind is Kind.ERROR
