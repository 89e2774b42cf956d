"""What a model predicts along a parameter and over two: how sure it is, where it says nothing, and how that is drawn."""

from __future__ import annotations

import gc
from itertools import pairwise
from typing import Any
from weakref import ref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunesmith as ts
from tunesmith.analysis import contours, parameters, svg
from tunesmith.analysis.certainty import model_there
from tunesmith.analysis.landscape import Landscape, landscape, surroundings
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.errors import StudyError

SPACE = ts.Space(
    x=ts.Float(0.0, 1.0),
    rate=ts.Float(1e-4, 1.0, log=True),
    layers=ts.Int(1, 4),
    kind=ts.Choice("a", "b", "c"),
    momentum=ts.Float(0.0, 1.0, when={"kind": "a"}),
)


def loss(config: dict[str, Any]) -> float:
    return float(
        (config["x"] - 0.4) ** 2
        + 0.05 * (np.log10(config["rate"]) + 2) ** 2
        + 0.1 * abs(config["layers"] - 2)
        + {"a": 0.5, "b": 0.0, "c": 0.2}[config["kind"]]
    )


def made(seed: int = 1, trials: int = 60, **options: Any) -> TrialArrays:
    options = {"metric": "loss", "searcher": "random", "progress": False, **options}
    result = ts.tune(loss, SPACE, trials=trials, seed=seed, **options)
    return TrialArrays(result.ledger)


@pytest.fixture(scope="module")
def trials() -> TrialArrays:
    return made()


@pytest.fixture(scope="module")
def model(trials: TrialArrays) -> Landscape:
    found = landscape(trials)
    assert found is not None
    return found


def test_the_band_holds_the_function() -> None:
    held: list[bool] = []
    for seed in range(3):
        trials = made(seed)
        model = landscape(trials)
        assert model is not None
        assert model.trial == trials.best
        centre = trials.ledger.config(model.trial)
        for name in ("x", "rate"):
            x, (middle, low, high) = model.along(name)
            assert (low <= middle).all()
            assert (middle <= high).all()
            true = np.array([loss({**centre, name: float(v)}) for v in x])
            held += ((low - 1e-3 <= true) & (true <= high + 1e-3)).tolist()
    assert np.mean(held) > 0.6


def test_a_metric_that_is_to_be_large_is_not_turned_over() -> None:
    result = ts.tune(
        lambda c: 5.0 - loss(c), SPACE, metric="score", goal="maximize", searcher="random", trials=60, seed=1,
        progress=False,
    )  # fmt: skip
    model = landscape(TrialArrays(result.ledger))
    assert model is not None
    _, (middle, low, high) = model.along("x")
    assert 2.0 < middle.min() <= middle.max() < 6.0
    assert (low <= high).all()
    assert int(middle.argmax()) not in (0, len(middle) - 1)


def test_choices_and_whole_numbers_have_a_place_each(model: Landscape) -> None:
    assert model.along("kind").x.tolist() == [0.0, 1.0, 2.0]
    assert model.along("layers").x.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert int(model.along("kind").band.middle.argmin()) == 1


def test_a_parameter_that_the_best_does_not_use(trials: TrialArrays, model: Landscape) -> None:
    assert not model.uses("momentum")
    assert np.isnan(model.along("momentum").band.middle).all()
    figure = parameters.slice_of(trials, "momentum", model)
    assert f"Trial {trials.best}, the best, does not use momentum" in str(figure["layout"]["title"])
    svg.draw(figure, 400)
    plane = model.over("kind", "momentum")
    known = np.isfinite(plane.middle)
    assert known[:, 0].all(), "with the kind that has it, it is predicted"
    assert not known[:, 1:].any()


def test_nothing_is_predicted_where_a_relation_is_broken() -> None:
    space = ts.Space(x=ts.Float(0.0, 1.0), y=ts.Float(0.0, 1.0)).require("x + y <= 1")
    result = ts.tune(
        lambda c: c["x"] + c["y"], space, searcher="random", trials=30, seed=1, progress=False
    )
    trials = TrialArrays(result.ledger)
    model = landscape(trials)
    assert model is not None
    plane = model.over("x", "y")
    allowed = plane.x[None, :] + plane.y[:, None] <= 1.0
    assert (np.isfinite(plane.middle) == allowed).all()
    figure = contours.contour(trials, "x", "y", model)
    assert "Nothing is drawn where no config can be" in str(figure["layout"]["title"])
    svg.draw(figure, 400)


@pytest.mark.parametrize("pair", [("x", "rate"), ("kind", "x"), ("layers", "kind")])
def test_contours_are_drawn_for_every_kind(
    trials: TrialArrays, model: Landscape, pair: tuple[str, str]
) -> None:
    for draw in (contours.contour, contours.doubt):
        figure = draw(trials, *pair, model)
        shades = [trace for trace in figure["data"] if trace.get("fill")]
        assert 1 < len(shades) <= contours.SHADES
        opacities = [trace["opacity"] for trace in shades]
        assert opacities == sorted(opacities), "what is better is darker"
        assert "<path" in svg.draw(figure, 400)
        assert svg.legend(figure).count("key") >= len(shades)


def test_figures_are_the_same_in_a_notebook(trials: TrialArrays) -> None:
    pytest.importorskip("plotly")
    from tunesmith.analysis.figures import Figures

    figures = Figures(trials.ledger)
    assert any(trace.fill == "toself" for trace in figures.slice("x").data)
    assert any(trace.fill == "toself" for trace in figures.contour("x", "rate").data)
    assert figures.doubt("x", "rate").layout.title.text.startswith("How far off")
    with pytest.raises(StudyError, match="not over 'x' twice"):
        figures.contour("x", "x")
    with pytest.raises(StudyError, match="no tuned parameter"):
        figures.contour("x", "speed")


def test_too_few_results_are_said() -> None:
    few = made(trials=6)
    assert landscape(few) is None
    said = surroundings(few)
    assert isinstance(said, str)
    assert "random has no model" in said
    assert "needs 10 completed trials" in said
    alike = ts.tune(lambda _: 1.0, SPACE, searcher="random", trials=15, seed=1, progress=False)
    assert isinstance(surroundings(TrialArrays(alike.ledger)), str)


def test_it_is_the_model_by_which_the_best_is_judged(trials: TrialArrays) -> None:
    assert trials.best is not None
    around = surroundings(trials)
    assert not isinstance(around, str)
    assert around.known is not None, "no second fit"


def test_models_are_kept_of_the_last_studies_alone() -> None:
    """Each may be 50 MB, and a service has many studies open."""
    every = [made(seed, trials=12) for seed in range(6)]
    drawn = []
    for trials in every:
        model = landscape(trials)
        assert model is not None
        drawn.append(ref(model))
        del model
    gc.collect()
    assert [model() is None for model in drawn] == [True, True, False, False, False, False]
    assert [model_there(trials.ledger) is None for trials in every[:3]] == [True, True, False]
    assert landscape(every[2]) is drawn[2](), "what is kept is found again"
    assert landscape(every[0]) is not None
    gc.collect()
    assert [model() is None for model in drawn[2:4]] == [False, True], "that asked for last stays"


def test_several_objectives_have_one_each() -> None:
    result = ts.tune(
        lambda c: {"loss": loss(c), "seconds": 1.0 + 3.0 * c["x"]}, SPACE, metric=["loss", "seconds"],
        searcher="random", trials=40, seed=1, progress=False,
    )  # fmt: skip
    trials = TrialArrays(result.ledger).by(1)
    model = landscape(trials)
    assert model is not None
    _, (middle, _, _) = model.along("x")
    assert middle[-1] > middle[0] + 2.0


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 5))
def test_shades_cover_every_place_once(seed: int, columns: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = np.cumsum(rng.random(columns) + 0.1), np.cumsum(rng.random(rows) + 0.1)
    values = rng.random((rows, columns)).round(1)  # with ties
    levels = [-np.inf, 0.3, 0.6, np.inf]
    total = sum(
        area(ring)
        for low, high in pairwise(levels)
        for ring in contours._rings(x, y, values, low, high)
    )
    assert total == pytest.approx((x[-1] - x[0]) * (y[-1] - y[0]), rel=1e-6)


def area(ring: list[tuple[float, float]]) -> float:
    return (
        abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1], strict=True)))
        / 2
    )
