"""Hypothesis strategies: spaces, configs, and studies with a past."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tunesmith.core import events
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Objective
from tunesmith.core.rng import stream
from tunesmith.core.space.parameter import Choice, Fixed, Float, Int, Parameter
from tunesmith.core.space.space import Space
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Cost, Kind, Origin, Reason, State

JSON_SCALARS = st.none() | st.booleans() | st.integers(-99, 99) | st.text("abc", max_size=3)


@st.composite
def floats(draw: st.DrawFn, when: Any = None) -> Float:
    """A Float on any scale, stepped or not."""
    scale = draw(st.sampled_from(["linear", "log", "reverse", "step"]))
    if scale == "linear":
        low, high = sorted(draw(st.tuples(*[st.floats(-1e6, 1e6)] * 2)))
        if high - low <= 1e-6 * max(abs(low), abs(high)):
            high = low + 1.0
        return Float(low, high, when=when)
    if scale == "log":
        low = 10.0 ** draw(st.integers(-12, 3))
        return Float(low, low * 10.0 ** draw(st.integers(1, 9)), log=True, when=when)
    if scale == "reverse":
        low = draw(st.sampled_from([0.0, 0.5, 0.9]))
        high = 1.0 - 10.0 ** -draw(st.integers(2, 9))
        return Float(low, high, log="reverse", when=when)
    step = draw(st.sampled_from([0.1, 0.25, 3.0]))
    low = draw(st.integers(-9, 9)) * step
    low = round(low, 6)
    return Float(low, round(low + step * draw(st.integers(0, 20)), 6), step=step, when=when)


@st.composite
def ints(draw: st.DrawFn, when: Any = None) -> Int:
    """An Int, log or stepped or neither."""
    low = draw(st.integers(-1000, 1000))
    step = draw(st.sampled_from([1, 1, 1, 2, 7]))
    log = draw(st.booleans())
    low = abs(low) + 1 if log else low
    return Int(low, low + step * draw(st.integers(0, 500)), step=step, log=log, when=when)


@st.composite
def choices(draw: st.DrawFn, when: Any = None) -> Choice:
    """A Choice of JSON values: scalars, sometimes lists or mappings."""
    values = draw(
        st.lists(
            JSON_SCALARS | st.lists(st.integers(0, 3), max_size=2) | st.just({"a": [1]}),
            min_size=2,
            max_size=5,
            unique_by=repr,
        )
    )
    return Choice(*values, ordered=draw(st.booleans()), when=when)


@st.composite
def spaces(draw: st.DrawFn, max_parameters: int = 5) -> Space:
    """A space with conditions (nested, too), fixed values and sometimes a relation."""
    parameters: dict[str, Parameter] = {}
    parents: list[str] = []

    def _parameter(when: Any) -> st.SearchStrategy[Parameter]:
        fixed = JSON_SCALARS.map(lambda value: Fixed(value, when=when))
        return st.one_of(floats(when), ints(when), choices(when), choices(when), fixed)

    for index in range(draw(st.integers(0, max_parameters))):
        when: dict[str, list[Any]] | None = None
        conditional: bool = draw(st.booleans())
        if parents and conditional:
            mother: str = draw(st.sampled_from(parents))
            parent = parameters[mother]
            assert isinstance(parent, Choice)
            allowed = draw(st.lists(st.sampled_from(list(parent.values)), min_size=1, max_size=2))
            when = {mother: allowed}
        name = f"p{index}"
        parameters[name] = draw(_parameter(when))
        if isinstance(parameters[name], Choice):
            parents.append(name)
    space = Space(parameters)
    numeric = [n for n, p in parameters.items() if isinstance(p, (Float, Int))]
    if len(numeric) >= 2 and draw(st.booleans()):
        a, b = numeric[:2]
        centre = space.corner(0.5)
        if a in centre and b in centre:  # a relation that the middle of the space satisfies
            space.require(f"{a} - {b} <= {centre[a] - centre[b] + 1e-9!r}")
    return space


#: Values that objectives return when they are in a bad mood.
VALUES = st.one_of(
    st.floats(-10, 10),
    st.sampled_from([0.0, 1.0, 1.0, 1e300, -1e300, 1e-300]),
)


@st.composite
def pasts(draw: st.DrawFn, space: Space, max_trials: int = 12) -> Ledger:
    """A study over `space` with trials in every state."""
    spec = StudySpec(
        name="past",
        space=space,
        objectives=(Objective("loss", draw(st.sampled_from(["minimize", "maximize"]))),),
        limits=Limits(trials=1000),
        seed=draw(st.integers(0, 3)),
        duplicates=True,
    )
    ledger = Ledger(spec)
    ledger.apply(events.Opened(0.0, "s", "host", 1, 0.0))
    for number in range(draw(st.integers(0, max_trials))):
        config = space.sample(stream(spec.seed, number, "past"))
        at = float(number)
        ledger.apply(events.Suggested(at, number, config, Origin(USER), "s"))
        for event in _fate(draw, number, at):
            ledger.apply(event)
    return ledger


def _fate(draw: st.DrawFn, number: int, at: float) -> list[events.Event]:
    """What becomes of one trial."""
    fate = draw(st.sampled_from(["completed"] * 4 + ["stopped", "failed", "running", "retracted"]))
    if fate == "running":
        return []
    value = draw(VALUES)
    if fate == "failed":
        reason = Reason(
            draw(st.sampled_from([Kind.ERROR, Kind.OUT_OF_MEMORY, Kind.NOT_FINITE])), "why"
        )
        return [events.Finished(at, number, 0, State.FAILED, None, {}, reason, Cost(1.0))]
    if fate == "stopped":
        reported = events.Reported(at, number, 0, 1, {"loss": value})
        reason = Reason(Kind.STOPPED, "why")
        return [
            reported,
            events.Finished(
                at, number, 0, State.STOPPED, (value,), {"loss": value}, reason, Cost(1.0)
            ),
        ]
    done: list[events.Event] = [
        events.Finished(at, number, 0, State.COMPLETED, (value,), {"loss": value}, None, Cost(1.0))
    ]
    if fate == "retracted":
        done.append(events.Retracted(at, number, "why", "me"))
    return done
