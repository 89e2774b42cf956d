"""Vizier's parameters as a space, and what cannot be one."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.core.errors import SpaceError
from tunesmith.core.space.space import Config
from tunesmith.service.problems import Problem
from tunesmith.service.vizier import messages
from tunesmith.service.vizier.space import Parameters


def number(name: str, low: float = 0.0, high: float = 1.0) -> Any:
    made = messages.of("StudySpec")().parameters.add(parameter_id=name)
    made.double_value_spec.min_value, made.double_value_spec.max_value = low, high
    return made


def whole(name: str, low: int, high: int) -> Any:
    made = messages.of("StudySpec")().parameters.add(parameter_id=name)
    made.integer_value_spec.min_value, made.integer_value_spec.max_value = low, high
    return made


def category(name: str, *values: str) -> Any:
    made = messages.of("StudySpec")().parameters.add(parameter_id=name)
    made.categorical_value_spec.values.extend(values)
    return made


def under(parent: Any, kind: str, values: list[Any], child: Any) -> None:
    condition = parent.conditional_parameter_specs.add()
    getattr(condition, f"parent_{kind}_values").values.extend(values)
    condition.parameter_spec.CopyFrom(child)


def there_and_back(known: Parameters, config: Config) -> Config:
    trial = messages.of("Trial")()
    known.fill(trial, config)
    return known.config(trial.parameters)


def test_conditions_below_conditions() -> None:
    """They hold as deep as they go (Vizier's own client loses all but the first)."""
    layers, model = whole("layers", 1, 3), category("model", "linear", "dnn")
    under(layers, "int", [2, 3], number("dropout"))
    under(model, "categorical", ["dnn"], layers)
    known = Parameters([model])
    deep = {"model": "dnn", "layers": 2, "dropout": 0.5}
    for config in (deep, {"model": "dnn", "layers": 1}, {"model": "linear"}):
        assert known.space.contains(config)
        assert there_and_back(known, config) == config
    assert not known.space.contains({"model": "dnn", "layers": 1, "dropout": 0.5})
    assert known.missing({"model": "dnn", "layers": 3}) == ["dropout"]


def test_names_that_are_none_here() -> None:
    """A name may be anything; the space's is as near as can be, and different ones stay different."""
    known = Parameters(
        [number("a b"), number("a-b"), number("require"), number("x[0]"), number("3")]
    )
    assert list(known.space) == ["a_b", "a_b_2", "_require", "x_0_", "_3"]
    config = dict.fromkeys(known.space, 0.25)
    assert there_and_back(known, config) == config


def test_one_name_under_different_values() -> None:
    model = category("model", "a", "b", "c")
    under(model, "categorical", ["a"], number("rate"))
    under(model, "categorical", ["b", "c"], number("rate", 5.0, 6.0))
    known = Parameters([model])
    for config in ({"model": "a", "rate_a": 0.5}, {"model": "c", "rate_b_c": 5.5}):
        assert there_and_back(known, config) == config


def test_numbers_of_a_parent() -> None:
    """A number that is as near as Vizier has it is the same."""
    parent = messages.of("StudySpec")().parameters.add(parameter_id="batch")
    parent.discrete_value_spec.values.extend([0.1, 0.3])
    under(parent, "discrete", [0.1 + 5e-11], number("x"))
    assert Parameters([parent]).space.contains({"batch": 0.1, "x": 0.5})


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ([], "no parameters"),
        ([number("")], "no parameter_id"),
        ([number("x", 1.0, 0.0)], "low is above high"),
        ([number("x", float("nan"), 1.0)], "finite"),
        ([number("x", 0.0, float("inf"))], "finite"),
        ([number("x"), number("x")], "a trial could have both"),
        ([category("x")], "from 1 to 1000 values"),
        ([category("x", "a", "a")], "twice"),
        ([whole("x", 0, 2**60)], "beyond"),
        ([messages.of("StudySpec")().parameters.add(parameter_id="x")], "no [*]_value_spec"),
        ([number(f"x{n}") for n in range(1001)], "1000 parameters at most"),
    ],
)
def test_what_is_no_space(specs: list[Any], said: str) -> None:
    with pytest.raises((Problem, SpaceError), match=said):
        Parameters(specs)


def test_scales() -> None:
    rate, momentum, zero = number("rate", 1e-3, 1.0), number("m", 0.5, 0.99), number("z")
    rate.scale_type = zero.scale_type = rate.UNIT_LOG_SCALE
    momentum.scale_type = rate.UNIT_REVERSE_LOG_SCALE
    made = Parameters([rate, momentum]).space
    assert (made["rate"].log, made["m"].log) == (True, "reverse")  # type: ignore[union-attr]
    with pytest.raises(SpaceError, match=r"parameter 'z': .*a log scale needs low > 0"):
        Parameters([zero])
    rate.scale_type = rate.UNIT_REVERSE_LOG_SCALE
    with pytest.raises(SpaceError, match="between 0 and 1"):
        Parameters([rate])


@pytest.mark.parametrize(
    ("name", "kind", "value", "said"),
    [
        ("x", "number_value", float("nan"), "outside"),
        ("x", "number_value", 2.0, "outside"),
        ("x", "string_value", "0.5", "not a number"),
        ("n", "number_value", 1.5, "not a whole number"),
        ("c", "string_value", "z", "none of"),
        ("c", "number_value", 1.0, "none of"),
        ("y", "number_value", 1.0, "none of this study's"),
    ],
)
def test_values_that_are_none(name: str, kind: str, value: Any, said: str) -> None:
    known = Parameters([number("x"), whole("n", 1, 5), category("c", "a", "b")])
    trial = messages.of("Trial")()
    setattr(trial.parameters.add(parameter_id=name).value, kind, value)
    with pytest.raises(Problem, match=said):
        known.config(trial.parameters)
