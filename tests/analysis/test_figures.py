"""Figures: what is in them, that Plotly takes them, and that our own drawing holds the same."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from tests.analysis.studies import SPACE, complete, loss, mixed_study, random_study, stop, study

from tunesmith.analysis import fronts, parallel, parameters, progress, svg
from tunesmith.analysis.drawn import to_figure
from tunesmith.analysis.figures import Figures
from tunesmith.analysis.importance import importance
from tunesmith.analysis.scale import Scale
from tunesmith.analysis.style import Figure, Value, plain, text, unit_of
from tunesmith.analysis.trials import DOTS, TrialArrays
from tunesmith.core.errors import StudyError, TunesmithError
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import Choice, Float
from tunesmith.core.space.space import Space
from tunesmith.core.study import Strategy


def two_objectives() -> Ledger:
    made, rng = (
        study(SPACE, metrics=("error", "speed"), goal=("minimize", "maximize")),
        np.random.default_rng(0),
    )
    for _ in range(25):
        config = SPACE.sample(rng)
        complete(made, config, loss(config), 10.0 - config["layers"])
    return made


def all_figures(ledger: Ledger) -> list[Figure]:
    trials = TrialArrays(ledger)
    found = importance(trials.history)
    made = [
        progress.best_so_far(trials),
        progress.best_so_far(trials, "time"),
        progress.curves(trials),
        progress.cost(trials),
        parallel.parallel(trials),
        *(parameters.slice_of(trials, name) for name in ledger.spec.space.tunables),
    ]
    if found is not None:
        made += [parameters.importance_bars(found), parameters.importance_bars(found, groups=True)]
    if len(ledger.spec.objectives) > 1:
        made.append(fronts.front(trials))
    return made


STUDIES: dict[str, Callable[[], Ledger]] = {
    "mixed": mixed_study,
    "maximize": lambda: mixed_study(goal="maximize", metrics="accuracy"),
    "empty": study,
    "two": two_objectives,
}


@pytest.mark.parametrize("name", STUDIES)
def test_plotly_takes_every_figure_and_we_draw_it(name: str) -> None:
    pytest.importorskip("plotly")
    for made in all_figures(STUDIES[name]()):
        json.dumps(made, allow_nan=False)
        to_figure(made)  # raises for what Plotly does not know
        for width in (840, 352):
            drawn = ET.fromstring(svg.draw(made, width))
            assert "nan" not in svg.draw(made, width)
            assert drawn.tag == "svg"
        for trace, said in zip(made["data"], svg.tips(made), strict=True):
            if (
                "text" in trace
                and trace["mode" if trace["type"] == "scatter" else "type"] != "lines"
            ):
                assert len(said) == len(trace["x"])


def traces(made: Figure) -> dict[str, dict[str, Any]]:
    return {trace["name"]: trace for trace in made["data"]}


def test_best_so_far() -> None:
    made = study()
    for value in (3.0, 5.0, 2.0, 4.0):
        complete(made, SPACE.default(), value)
    found = traces(progress.best_so_far(TrialArrays(made)))
    assert found["completed"]["y"] == [3.0, 5.0, 2.0, 4.0]
    line = found["best so far"]
    assert (line["x"], line["y"]) == ([0, 2, 3], [3.0, 2.0, 2.0])
    assert "trial 2" in found["completed"]["text"][2]
    with pytest.raises(StudyError, match="over is 'trials' or 'time', not 'steps'"):
        progress.best_so_far(TrialArrays(made), "steps")


def test_every_state_is_there() -> None:
    ledger = mixed_study()
    found = traces(progress.best_so_far(TrialArrays(ledger)))
    states = {"completed", "forecast of stopped ones", "failed"}
    assert {*states, "best so far"} == set(found)
    assert sum(len(found[name]["x"]) for name in states) == 40
    assert "is its forecast" in found["forecast of stopped ones"]["text"][0]
    assert "CUDA out of memory" in found["failed"]["text"][0]


def test_curves_mark_where_trials_were_stopped() -> None:
    ledger = mixed_study()
    made = progress.curves(TrialArrays(ledger))
    crosses = traces(made)["where it was stopped"]
    stopped = sum(ledger.state(i).value == "stopped" for i in range(ledger.size))
    assert len(crosses["x"]) == stopped
    assert set(crosses["x"]) == {3}
    best = made["data"][-2]
    assert (best["name"], best["line"]["width"]) == ("best", 3.0)
    assert f"trial {ledger.incumbent}\n" in plain(best["text"][0])


def test_large_studies_are_thinned_and_say_so() -> None:
    ledger = random_study(SPACE, loss, 3000)
    trials = TrialArrays(ledger)
    assert len(trials.dots) == DOTS
    assert set(trials.improved.tolist()) <= set(trials.dots.tolist())
    assert set(trials.ranked[:100].tolist()) <= set(trials.dots.tolist())
    made = progress.best_so_far(trials)
    assert (
        "Of 3,000 completed trials 1,200 are drawn" in made["layout"]["title"]["subtitle"]["text"]
    )
    assert len(json.dumps(made)) < 500_000
    lines = parallel.parallel(trials)
    assert len(lines["data"]) <= parallel.LINES
    assert "Of 3,000 completed trials 90 are drawn" in lines["layout"]["title"]["subtitle"]["text"]


def test_parallel_coordinates_go_round_what_is_not_used() -> None:
    made = study()
    complete(
        made,
        {"learning_rate": 1e-3, "optimizer": "adam", "layers": 3, "crop": [24, 24], "epochs": 9},
        1.0,
    )
    complete(
        made,
        {
            "learning_rate": 1e-1,
            "optimizer": "sgd",
            "momentum": 0.99,
            "layers": 6,
            "crop": [28, 28],
            "epochs": 9,
        },
        2.0,
    )
    found = parallel.parallel(TrialArrays(made))
    one, other = sorted(found["data"], key=lambda trace: trace["name"])
    assert one["name"] == "best"
    assert one["x"][2] == parallel.UNUSED
    assert other["x"][:3] == [1.0, 0.25, 1.0]
    assert (one["x"][-1], other["x"][-1]) == (1.0, 0.0)
    words = [note["text"] for note in found["layout"]["annotations"]]
    assert words.count("unused") == 1
    assert {"<b>momentum</b>", "sgd", "1e-05", "0.1"} <= set(words)


def test_importance_bars() -> None:
    found = importance(TrialArrays(random_study(SPACE, loss, 60)).history)
    assert found is not None
    made = parameters.importance_bars(found)
    names = [plain(t) for t in made["layout"]["yaxis"]["ticktext"]]
    assert names[0] == found.parameters[0].name
    for trace in made["data"]:
        assert min(*trace["error_x"]["array"], *trace["error_x"]["arrayminus"]) >= 0
    assert {t["name"] for t in made["data"]} == {"optimizer", "model", "data"}


def test_slices() -> None:
    trials = TrialArrays(random_study(SPACE, loss, 30))
    made = parameters.slice_of(trials, "learning_rate")
    assert made["layout"]["xaxis"]["type"] == "log"
    assert len(made["data"][0]["x"]) == 30
    choice = parameters.slice_of(trials, "optimizer")
    assert choice["layout"]["xaxis"]["ticktext"] == ["sgd", "adam"]
    inner = parameters.slice_of(trials, "momentum")
    assert 0 < len(inner["data"][0]["x"]) < 30
    assert "Only trials that use momentum" in inner["layout"]["title"]["subtitle"]["text"]
    with pytest.raises(
        StudyError, match="'epochs' is no tuned parameter; there are: learning_rate"
    ):
        parameters.slice_of(trials, "epochs")


def test_the_front() -> None:
    made = study(SPACE, metrics=("error", "speed"), goal=("minimize", "maximize"))
    for error, speed in ((1.0, 1.0), (2.0, 2.0), (3.0, 1.5), (2.0, 2.0)):
        complete(made, SPACE.default(), error, speed)
    trials = TrialArrays(made)
    assert trials.front.tolist() == [0, 1, 3]
    found = traces(fronts.front(trials))
    assert found["not beaten: the front"]["x"] == [1.0, 2.0, 2.0]
    assert found["beaten by others"]["y"] == [1.5]
    with pytest.raises(StudyError, match="several objectives"):
        fronts.front(TrialArrays(study()))


def test_the_front_of_what_is_maximised() -> None:
    """Between two members nobody reached more than the lesser one, at what the other one took."""
    made = study(SPACE, metrics=("accuracy", "size"), goal=("maximize", "minimize"))
    for accuracy, size in ((0.9, 10.0), (0.8, 5.0), (0.7, 2.0)):
        complete(made, SPACE.default(), accuracy, size)
    front = traces(fronts.front(TrialArrays(made)))["not beaten: the front"]
    assert (front["x"], front["y"]) == ([0.9, 0.8, 0.7], [10.0, 5.0, 2.0])
    assert front["line"]["shape"] == "hv"


def test_circles_of_folds_are_their_means() -> None:
    made = study(SPACE, scheduler=Strategy("racing", {"folds": 3}))
    complete(made, SPACE.default(), 1.0, reports=(0.2, 1.8))
    number = stop(made, SPACE.default(), (0.1, 3.9))
    trials = TrialArrays(made)
    assert trials.last_reports == {number: 2.0}
    figure = progress.best_so_far(trials)
    assert "Faint circles are means of the folds" in figure["layout"]["title"]["subtitle"]["text"]
    assert "2 on average of its folds" in plain(
        traces(figure)["forecast of stopped ones"]["text"][0]
    )


def test_the_best_of_many_choices_has_its_name_on_the_axis() -> None:
    space = Space(kind=Choice(*"abcdefghij"), x=Float(0, 1))
    made = random_study(space, lambda c: c["x"] + (c["kind"] != "g"), 60)
    found = parallel.parallel(TrialArrays(made), ("kind",))
    assert "g" in {note["text"] for note in found["layout"]["annotations"]}


def test_the_best_line_is_on_top() -> None:
    made = random_study(SPACE, lambda _: 1.0, 30)
    found = parallel.parallel(TrialArrays(made))
    assert found["data"][-1]["name"] == "best"


def test_notebook_figures() -> None:
    go = pytest.importorskip("plotly.graph_objects")
    figures = Figures(mixed_study())
    made = [
        figures.best(),
        figures.best("time"),
        figures.curves(),
        figures.importance(),
        figures.parallel(),
        figures.slice("layers"),
        figures.cost(),
    ]
    assert all(isinstance(figure, go.Figure) for figure in made)
    assert isinstance(Figures(two_objectives()).front(), go.Figure)
    with pytest.raises(StudyError, match="importance needs some completed trials"):
        Figures(study()).importance()


def test_without_plotly_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(TunesmithError, match=r"pip install 'tunesmith\[figures\]'"):
        Figures(mixed_study()).best()


def test_texts_survive_plotly_and_back() -> None:
    for words in ("<b>&amp;</b>", "a < b\nc", "</script>", "x<br>y"):
        assert plain(text(words)) == words
        assert "<" not in text(words).replace("<br>", "")


def test_names_of_choices_are_texts_in_a_drawing() -> None:
    bad = "</script><svg onload=alert(1)>"
    space = Space(kind=Choice(bad, "b"), x=Float(0, 1))
    trials = TrialArrays(random_study(space, lambda c: c["x"], 20))
    for made in (parameters.slice_of(trials, "kind"), parallel.parallel(trials)):
        drawn = svg.draw(made, 400)
        ET.fromstring(drawn)
        assert "<svg onload" not in drawn


@pytest.mark.parametrize(
    ("values", "sign", "log", "clipped"),
    [
        ([1.0, 2.0, 3.0], 1.0, False, False),
        ([1e-4, 1e-2, 1.0], 1.0, True, False),
        ([-1.0, 0.0, 1.0, 1e9], 1.0, False, True),
        ([0.9, 0.95, 0.97, -500.0], -1.0, False, True),
        ([1.0, 1.0], 1.0, False, False),
        ([], 1.0, False, False),
    ],
)
def test_the_axis_of_a_metric(values: list[float], sign: float, log: bool, clipped: bool) -> None:
    axis = Value(np.array(values), sign)
    assert (axis.log, axis.clipped) == (log, clipped)
    shown = [v for v in axis(np.array(values)) if v is not None]
    assert len(shown) == len(values)
    if clipped:
        assert axis.range is not None
        assert axis.range[0] <= min(shown)
        assert max(shown) <= axis.range[1]


def labels(low: float, high: float, *, log: bool = False) -> list[str]:
    return [label for _, label in Scale(log, low, high, 0.0, 400.0).ticks(80.0)]


def test_ticks() -> None:
    assert labels(0.0, 100.0) == ["0", "20", "40", "60", "80", "100"]
    assert labels(0.0, 1.0) == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert labels(0.98, 0.983) == ["0.980", "0.981", "0.982", "0.983"]
    assert labels(0.0, 10_000.0)[-1] == "10,000"
    assert labels(-5.0, 1.0, log=True) == ["10⁻⁵", "0.001", "0.1", "10"]
    assert labels(0.0, 0.7, log=True) == ["1", "2", "5"]
    assert labels(0.0, 4e9) == ["0", "10⁹", "2·10⁹", "3·10⁹", "4·10⁹"]


def test_a_drawing_holds_all_marks() -> None:
    made = progress.best_so_far(TrialArrays(mixed_study()))
    drawn = svg.draw(made, 840)
    for place, trace in enumerate(made["data"]):
        if trace["mode"] == "markers":
            (path,) = re.findall(rf'<path d="([^"]*)"[^>]*data-marks="{place}"', drawn)
            assert path.count("M") == len(trace["x"])


def test_units() -> None:
    assert unit_of(0.2) == (1e-3, "milliseconds")
    assert unit_of(90.0) == (1.0, "seconds")
    assert unit_of(7200.0) == (3600.0, "hours")


@pytest.mark.parametrize("width", [352, 840])
def test_labels_stand_on_a_ground_of_their_own(width: int) -> None:
    """Lines of the parallel coordinates went through names and values."""
    figure = parallel.parallel(TrialArrays(mixed_study(40)))
    drawn = svg.draw(figure, width)
    labels = re.findall(
        r'<rect x="([-\d.]+)" y="[-\d.]+" width="([\d.]+)" [^>]*/><text class="halo', drawn
    )
    assert len(labels) == drawn.count('<text class="halo')
    assert len(labels) > 6
    assert all(float(x) > -8 and float(x) + float(w) < width + 8 for x, w in labels)
    assert drawn.rindex("stroke-linejoin") < drawn.index('<text class="halo'), "lines are below"
