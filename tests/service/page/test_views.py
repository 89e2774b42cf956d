"""Curves, timeline, what mattered, comparison: their data; and every view without a violation of axe-core's rules."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, expect
from tests.service.page.browser import PATIENCE_MS, Watched, violations
from tests.service.page.test_data import SPACE, made
from tests.service.running import Service

import tunesmith as ts
from tunesmith.analysis.landscape import Landscape, Plane
from tunesmith.analysis.style import BLUE
from tunesmith.core.errors import StudyError
from tunesmith.service.page import attained, predicted
from tunesmith.service.page.comparison import compare
from tunesmith.service.page.curves import curves_of
from tunesmith.service.page.influence import influence
from tunesmith.service.page.readings import Reading, Readings
from tunesmith.service.page.timeline import timeline
from tunesmith.store import MemoryStore, Store, open_store

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def store() -> Store:
    return MemoryStore()


class TestCurves:
    def test_lines_and_bands(self, store: Store) -> None:
        study = made(store)
        page = curves_of(Reading(store, "digits"))
        assert (page["metric"], page["reporting"], page["bands"]) == ("loss", 3, [])
        assert {line["trial"]: line["y"] for line in page["lines"]}[1] == [1.1, 0.1]
        assert page["lines"][-1]["best"]
        for k in range(12):
            trial = study.ask()
            study.report(trial, 1, loss=float(k), accuracy=0.5)
        page = curves_of(Reading(store, "digits"))
        assert page["metrics"] == ["loss", "accuracy"]
        assert [band[0] for band in page["bands"]] == [1.0, 2.0]
        assert curves_of(Reading(store, "digits"), "accuracy")["reporting"] == 12
        timed = curves_of(Reading(store, "digits"), timed=True)
        assert timed["bands"] == []
        assert all(0 <= place < 60 for line in timed["lines"] for place in line["x"])
        assert curves_of(Reading(store, "digits"), "none", "number < 1")["reporting"] == 1
        json.dumps(page, allow_nan=False)

    def test_many_steps_are_taken_together_and_what_is_not_finite_is_left_out(
        self, store: Store
    ) -> None:
        study = ts.Study.create(SPACE, metric="loss", storage=store, name="long")
        for _ in range(12):
            trial = study.ask()
            for step in range(1, 301):
                study.report(trial, step, loss=float("nan") if step == 7 else 1.0 / step)
            study.tell(trial)
        page = curves_of(Reading(store, "long"))
        assert 90 <= len(page["bands"]) <= 100
        assert all(len(line["x"]) <= 121 for line in page["lines"])
        assert page["lines"][0]["x"][-1] == 300
        json.dumps(page, allow_nan=False)

    def test_no_reports(self, store: Store) -> None:
        ts.Study.create(SPACE, metric="loss", storage=store, name="new")
        assert curves_of(Reading(store, "new"))["lines"] == []


class TestTimeline:
    def test_a_bar_for_each_attempt(self, store: Store) -> None:
        study = made(store)
        reading = Reading(store, "digits")
        page = timeline(reading)
        assert [bar[2:] for lane in page["lanes"] for bar in lane["bars"]] == [
            [0, "completed"], [1, "completed"], [2, "failed"], [3, "completed"], [4, "running"],
        ]  # fmt: skip
        study.tell(4, 0.4)
        other = study.ask(), study.ask()
        page = timeline(reading)
        assert (page["total"], len(page["lanes"])) == (7, 2), "two at a time have two lanes"
        assert [t.number for t in other] == [5, 6]
        json.dumps(page, allow_nan=False)

    def test_an_empty_one(self, store: Store) -> None:
        ts.Study.create(SPACE, metric="loss", storage=store, name="new")
        assert timeline(Reading(store, "new"))["lanes"] == []


class TestInfluence:
    def test_a_slice_for_each_parameter(self, store: Store) -> None:
        made(store)
        page = influence(Reading(store, "digits"))
        assert len(page["slices"]) == 5
        assert "style=" not in page["bars"] + "".join(page["slices"])
        json.loads(page["tips"])
        with pytest.raises(StudyError, match="no objective 3"):
            influence(Reading(store, "digits"), 3)


class TestPredicted:
    def test_a_line_for_each_parameter_and_a_plane_for_two(self, store: Store) -> None:
        study = made(store)
        few = predicted.slices(Reading(store, "digits"), 0, ["layers"])
        assert "random has no model. A model needs 10 completed trials" in few["why"]
        for _ in range(14):
            trial = study.ask()
            study.tell(
                trial,
                {
                    "loss": float(trial.config["layers"]) + trial.config["learning_rate"],
                    "accuracy": 0.5,
                },
            )
        reading = Reading(store, "digits")
        lines = predicted.slices(reading, 0, ["layers", "crop", "unknown"])
        assert (len(lines["slices"]), lines["known"]) == (2, 17)
        assert "random does without a model" in lines["note"]
        assert 'data-figure="1000"' in lines["slices"][0]
        plane = predicted.contour(reading, 0, "layers", "learning_rate")
        assert len(plane["figures"]) == 2
        assert "style=" not in "".join(lines["slices"] + plane["figures"])
        assert json.loads(plane["tips"])["first"] == 2000
        key = ("model", 0)
        before = reading.last(key)
        study.tell(study.ask(), {"loss": 9.0, "accuracy": 0.5})
        assert predicted.contour(reading, 0, "crop", "layers")["known"] == 17, (
            "hardly more: the same model"
        )
        assert reading.last(key) == before
        for x, y in (("layers", "layers"), ("layers", "speed")):
            with pytest.raises(StudyError):
                predicted.contour(reading, 0, x, y)

    def test_a_plane_is_predicted_once_while_nobody_waits(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        study = made(store)
        for _ in range(14):
            trial = study.ask()
            study.tell(trial, {"loss": float(trial.config["layers"]), "accuracy": 0.5})
        reading = Reading(store, "digits")
        over, others = Landscape.over, []

        def watched(model: Landscape, a: str, b: str) -> Plane:
            def look() -> None:
                with reading.result():
                    others.append((a, b))

            other = threading.Thread(target=look, daemon=True)
            other.start()
            other.join(timeout=20)
            assert not other.is_alive(), "the history is held"
            return over(model, a, b)

        monkeypatch.setattr(Landscape, "over", watched)
        assert len(predicted.contour(reading, 0, "layers", "crop")["figures"]) == 2
        assert others == [("layers", "crop")]


class TestCompare:
    def test_two_studies(self, store: Store) -> None:
        made(store, "one", trials=9)
        made(store, "two", trials=12)
        page = compare(Readings(store), ["one", "two", "one"])
        assert [row["name"] for row in page["rows"]] == ["one", "two"]
        assert [row["what"] for row in page["differences"]] == ["limit trials"]
        assert len(page["figures"]) == 3
        json.dumps(page, allow_nan=False)

    def test_how_soon_each_reached_what_all_did(self, store: Store) -> None:
        for name, values in {"one": [0.5, 0.2, 0.1], "two": [0.3, 0.2, 0.4], "new": []}.items():
            study = ts.Study.create(
                SPACE, metric="loss", storage=store, name=name, searcher="random"
            )
            for value in values:
                study.tell(study.ask(), value)
        reached = compare(Readings(store), ["one", "two"])["reached"]
        assert reached["value"] == 0.2
        assert [row["trials"] for row in reached["rows"]] == [2, 2]
        assert compare(Readings(store), ["one", "new"])["reached"] is None

    def test_fronts_of_two_objectives_and_what_they_beat(self, store: Store) -> None:
        options: dict[str, Any] = {"metric": ["loss", "score"], "goal": ["minimize", "maximize"]}
        for name, shift in {"good": 0.0, "bad": 0.5}.items():
            study = ts.Study.create(SPACE, storage=store, name=name, searcher="random", **options)
            for k in range(6):
                study.tell(study.ask(), [k / 5 + shift, k / 5])
        page = compare(Readings(store), ["good", "bad"])
        assert [figure["title"] for figure in page["figures"]][3:] == [
            "The fronts beside one another", "What was beaten, of what all beat together",
        ]  # fmt: skip
        losses = {"good": np.array([[0.0, -0.5], [1.0, -1.0]]), "bad": np.array([[2.0, 0.0]])}
        objectives = study.spec.objectives
        made = attained.volumes(objectives, [(name, one, BLUE) for name, one in losses.items()])
        assert made is not None
        shares = {trace["name"]: trace["y"] for trace in made["data"]}
        assert shares["good"][-1] == pytest.approx(1.0)
        assert shares["bad"][-1] == 0.0
        ts.Study.create(SPACE, metric="loss", storage=store, name="single")
        assert len(compare(Readings(store), ["good", "single"])["figures"]) == 3

    def test_values_that_do_not_compare(self, store: Store) -> None:
        made(store, "one")
        ts.Study.create(SPACE, metric="accuracy", goal="maximize", storage=store, name="two")
        with pytest.raises(StudyError, match=r"'two' about accuracy \(maximize\)"):
            compare(Readings(store), ["one", "two"])


def rich(store: Store) -> None:
    """A study with trials enough for a model, and two objectives."""
    study = ts.Study.create(
        SPACE, metric=["loss", "seconds"], storage=store, name="rich", searcher="random", seed=1, tags=["many"]
    )  # fmt: skip
    for _ in range(15):
        trial = study.ask()
        study.tell(trial, [float(trial.config["layers"]), float(trial.config["crop"])])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("views")
    store = open_store(folder / "studies.db")
    made(store, "digits")
    made(store, "faces")
    rich(store)
    ts.Study.create(SPACE, metric="loss", storage=store, name="new")
    store.close()
    service = Service(folder / "studies.db", "--no-token")
    yield service
    service.close()


#: A view, and what is to be seen in it.
VIEWS = [
    ("?", "4 studies"),
    ("?tag=many", "1 of 4 studies"),
    ("?study=digits", "What won"),
    ("?study=digits&view=trials&trial=0", "Why it was suggested"),
    ("?study=digits&view=curves", "step by step, of 3 trials"),
    ("?study=digits&view=parallel", "Orange are the best"),
    ("?study=digits&view=influence", "loss by layers"),
    ("?study=rich&view=influence&x=crop&y=layers", "How far off the loss may be"),
    ("?study=rich&view=compare&with=digits", "How soon"),
    ("?study=digits&view=timeline", "5 attempts by 1 process"),
    ("?study=digits&view=journal", "suggested by random"),
    ("?study=digits&view=compare&with=faces", "How they differ"),
    ("?study=digits&view=steer", "Queue a config"),
]
#: An empty view says why it is empty.
EMPTY = [
    ("", "It has not ended, and nobody has asked for a trial|No trial has begun yet"),
    ("trials", "No trials yet"),
    ("curves", "No trials yet"),
    ("parallel", "No trials yet"),
    ("influence", "No trial has completed yet"),
    ("timeline", "No trial has begun yet"),
    ("journal", "Nothing has happened yet"),
    ("compare", "Name one to four other studies"),
]


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_every_view_is_there_for_everybody(
    browser: Browser, service: Service, width: int, scheme: Any
) -> None:
    window = Watched(
        browser,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    page, wrong = window.page, list[str]()
    for query, words in VIEWS:
        page.goto(f"{service.url()}/{query}")
        expect(page.get_by_text(words).first).to_be_visible()
        wrong += [f"{query}: {one}" for one in violations(page)]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, query
    window.close()
    assert wrong == []
    assert window.wrong == []
    assert window.hosts == {f"127.0.0.1:{service.port}"}


def test_every_empty_view_says_why(browser: Browser, service: Service) -> None:
    window = Watched(browser)
    for view, words in EMPTY:
        window.page.goto(f"{service.url()}/?study=new&view={view}")
        expect(window.page.locator("main")).to_contain_text(words.rpartition("|")[2])
    window.close()
    assert window.wrong == []


def test_a_click_on_a_bar_and_on_a_curve_leads_to_the_trial(
    browser: Browser, service: Service
) -> None:
    window = Watched(browser, viewport={"width": 1200, "height": 900})
    page = window.page
    page.goto(f"{service.url()}/?study=digits&view=timeline&by=600")
    bar = page.locator(".picture canvas")
    expect(page.locator(".caption")).to_contain_text("attempts by")
    bar.click(position={"x": 1100, "y": 17})
    expect(page.locator("#drawer h2")).to_contain_text("Trial")
    page.goto(f"{service.url()}/?study=digits&view=curves")
    expect(page.locator(".caption")).to_contain_text("of 3 trials")
    box = page.locator(".picture canvas").bounding_box()
    assert box is not None
    page.locator(".picture canvas").click(position={"x": box["width"] - 17, "y": 420 - 52})
    expect(page.locator("#drawer h2")).to_contain_text("Trial")
    window.close()
    assert window.wrong == []
