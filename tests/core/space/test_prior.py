"""What a person may believe, and what is no belief."""

from __future__ import annotations

from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.space.parameter import Tunable, parameter_from_dict


class TestNormal:
    @pytest.mark.parametrize(
        ("parameter", "mean", "deviation"),
        [
            (ts.Float(0, 10, prior=ts.Normal(2, 1)), 0.2, 0.1),
            (ts.Float(1e-5, 1e-1, log=True, prior=ts.Normal(1e-3, 10)), 0.5, 0.25),
            (ts.Float(0.9, 0.9999, log="reverse", prior=ts.Normal(0.99, 10)), 1 / 3, 1 / 3),
            (ts.Int(1, 10, prior=ts.Normal(3, 2)), 0.25, 0.2),
            (ts.Float(0, 10, prior=ts.Normal(5)), 0.5, 0.1),
            (ts.Float(3, 3, prior=ts.Normal(3, 1)), 0.5, 0.1),
        ],
    )
    def test_it_lies_on_the_parameters_scale(
        self, parameter: ts.Float, mean: float, deviation: float
    ) -> None:
        assert parameter.prior is not None
        assert parameter.prior.place(parameter.axis) == pytest.approx((mean, deviation))

    def test_without_a_default_the_search_begins_at_its_centre(self) -> None:
        assert ts.Float(1e-5, 1, log=True, prior=ts.Normal(1e-3, 3)).standard() == 1e-3
        assert ts.Int(1, 9, prior=ts.Normal(2, 3)).standard() == 2
        assert ts.Float(0, 1, default=0.75, prior=ts.Normal(0.25, 0.1)).standard() == 0.75

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (
                lambda: ts.Float(0, 1, prior=ts.Normal(2, 1)),
                "the prior is around 2, outside 0 .. 1",
            ),
            (lambda: ts.Float(0, 1, prior=ts.Normal(0.5, 0)), "spread 0, but a spread is above 0"),
            (
                lambda: ts.Float(1e-5, 1, log=True, prior=ts.Normal(1e-3, 0.5)),
                "has spread 0.5, but on a log scale it is a factor above 1, like 3",
            ),
            (lambda: ts.Normal(float("nan")), "centre is a finite number, not nan"),
            (lambda: ts.Normal(1, "2"), "spread is a finite number, not '2'"),  # type: ignore[arg-type]
            (lambda: ts.Normal(True), "centre is a finite number, not True"),
            (lambda: ts.Float(0, 1, prior=0.5), r"the prior of a number is ts.Normal\(centre"),  # type: ignore[arg-type]
            (lambda: ts.Int(0, 9, prior={"normal": []}), "the prior of a number"),  # type: ignore[arg-type]
        ],
    )
    def test_what_is_none(self, make: Any, message: str) -> None:
        with pytest.raises(ts.SpaceError, match=message):
            make()


class TestWeights:
    def test_of_some_choices_or_of_all(self) -> None:
        assert ts.Choice("sgd", "adam", "adagrad", prior={"adam": 3}).prior == (1.0, 3.0, 1.0)
        assert ts.Choice(16, 32, 64, prior=[1, 2, 1]).prior == (1.0, 2.0, 1.0)
        assert ts.Choice(16, 32, 64, prior={32: 5}).standard() == 32

    @pytest.mark.parametrize(
        ("prior", "message"),
        [
            ({"adan": 3}, "weighs 'adan', which is no choice; did you mean 'adam'"),
            ([1], "or 2 weights in order"),
            ({"adam": 0}, "a prior's weight is a number above 0, not 0"),
            ({"adam": float("inf")}, "not inf"),
            ([1, "2"], "not '2'"),
            (ts.Normal(1), "is {value: weight}"),
        ],
    )
    def test_what_is_none(self, prior: Any, message: str) -> None:
        with pytest.raises(ts.SpaceError, match=message):
            ts.Choice("sgd", "adam", prior=prior)


@pytest.mark.parametrize(
    "parameter",
    [
        ts.Float(1e-5, 1, log=True, prior=ts.Normal(1e-3, 3)),
        ts.Int(1, 9, prior=ts.Normal(3)),
        ts.Choice("sgd", "adam", prior={"adam": 3}),
        ts.Choice(1, 2, ordered=True, prior=[1, 4]),
    ],
)
def test_dict_form(parameter: Tunable) -> None:
    assert parameter_from_dict("p", parameter.to_dict()) == parameter


def test_short_dict_form() -> None:
    assert parameter_from_dict("p", {"float": [0, 1], "prior": {"normal": 0.25}}) == ts.Float(
        0, 1, prior=ts.Normal(0.25)
    )
    with pytest.raises(ts.SpaceError, match=r"p: .*the prior is around 2, outside"):
        parameter_from_dict("p", {"float": [0, 1], "prior": {"normal": 2}})
