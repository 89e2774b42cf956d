"""What the page's views are made of: lists, tables, filters, a trial, axes."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.analysis.landscape import Landscape
from tunesmith.core.errors import ExpressionError, StudyError, StudyNotFound
from tunesmith.service.labelled import Labelled
from tunesmith.service.page import axes, overview, predicted, read_ahead
from tunesmith.service.page.files import StaticFiles
from tunesmith.service.page.listing import Part, csv_of, expression, fitting, page_of
from tunesmith.service.page.output import TAIL, output_of
from tunesmith.service.page.readings import Reading, Readings
from tunesmith.service.page.studies import Overviews
from tunesmith.service.page.trial import journal, trial_of
from tunesmith.store import MemoryStore, Store, open_store
from tunesmith.tuning.spec import writing_as

SPACE = ts.Space(
    learning_rate=ts.Float(1e-5, 1e-1, log=True, group="optimizer"),
    optimizer=ts.Choice("sgd", "adam"),
    momentum=ts.Float(0.0, 0.99, when={"optimizer": "sgd"}),
    layers=ts.Int(1, 6),
    crop=ts.Choice(24, 28),
    epochs=9,
)
CONFIGS: list[dict[str, Any]] = [
    {"learning_rate": 1e-3, "optimizer": "adam", "layers": 2, "crop": 24},
    {"learning_rate": 1e-2, "optimizer": "sgd", "momentum": 0.5, "layers": 3, "crop": 28},
    {"learning_rate": 1e-4, "optimizer": "adam", "layers": 6, "crop": 24},
    {"learning_rate": 1e-1, "optimizer": "sgd", "momentum": 0.9, "layers": 1, "crop": 28},
]


def made(store: Store, name: str = "digits", **options: Any) -> ts.Study:
    """A study with trials that were completed (0: 0.3, 1: 0.1, 3: 0.2), that failed (2) and that runs (4)."""
    study = ts.Study.create(
        SPACE, metric="loss", storage=store, name=name, searcher="random", seed=1, **options
    )
    for config in CONFIGS:
        study.enqueue(config, why="to see")
    for value in (0.3, 0.1, None, 0.2):
        trial = study.ask()
        if value is None:
            study.tell(trial, failed="error: it broke")
            continue
        study.report(trial, 1, loss=value + 1)
        study.report(trial, 2, loss=value)
        study.tell(trial, {"loss": value, "accuracy": 1 - value})
    study.ask()
    return study


@pytest.fixture
def store() -> Store:
    return MemoryStore()


@pytest.fixture
def reading(store: Store) -> Reading:
    made(store)
    return Reading(store, "digits")


def table(
    reading: Reading, sort: str = "number", where: str = "", **options: Any
) -> dict[str, Any]:
    names = options.pop("names", ())
    return page_of(reading, Part(sort, where, **options), names)


class TestFilter:
    @pytest.mark.parametrize(
        ("where", "numbers"),
        [
            ("", [0, 1, 2, 3, 4]),
            ("loss < 0.25", [1, 3]),
            ('loss < 0.25 and optimizer = "sgd"', [1, 3]),
            ("optimizer == 'adam' and number < 4", [0, 2]),
            ("momentum > 0.6", [3]),
            ("crop = 24 and number < 4", [0, 2]),
            ('state = "failed" or layers = 3', [1, 2]),
            ("0.15 < loss < 0.5", [0, 3]),
            ("not loss < 0.25 and loss < 9", [0]),
            ('state != "failed" and number != 3', [0, 1, 4]),
            ('optimizer = "none"', []),
            ('optimizer != "none" and number < 2', [0, 1]),
            ("momentum != 0.5 and number < 4", [3]),
            ('optimizer in ["sgd"] and layers >= 2 and number < 4', [1]),
            ("epochs = 9 and number < 2", [0, 1]),
            ("1 / (layers - 1) > 0.4 and number < 4", [0, 1]),
        ],
    )
    def test_what_fits(self, reading: Reading, where: str, numbers: list[int]) -> None:
        with reading.result() as result:
            assert fitting(result.ledger, where).tolist() == numbers

    def test_a_single_equals_sign_compares_but_not_within_quotes(self) -> None:
        assert expression('a = "b=c" and d=1').text == 'a == "b=c" and d==1'
        assert expression("a <= 1 and b != 2 and c == 3 and d >= 4").text.count("==") == 1

    @pytest.mark.parametrize(
        ("where", "words"),
        [
            ("los < 1", "there is no column 'los'; did you mean 'loss'"),
            ("loss <", "write for example: loss < 0.1"),
            ("loss", "says nothing that a trial could fit"),
            ("__import__('os')", "calls '__import__'"),
            ("optimizer < 1", "cannot be worked out"),
        ],
    )
    def test_what_is_wrong_is_said(self, reading: Reading, where: str, words: str) -> None:
        with (
            reading.result() as result,
            pytest.raises((ExpressionError, StudyError), match=r".") as raised,
        ):
            fitting(result.ledger, where)
        assert words in str(raised.value)

    def test_a_trial_outside_of_an_edited_space_keeps_its_values(self, store: Store) -> None:
        study = made(store)
        study.edit(space=ts.Space({**SPACE.parameters, "layers": ts.Int(1, 3)}))
        with Reading(store, "digits").result() as result:
            assert fitting(result.ledger, "layers = 6 and number < 4").tolist() == [2]


class TestTable:
    def test_sorted_by_any_column_what_has_no_value_comes_last(self, reading: Reading) -> None:
        assert table(reading, "loss")["numbers"] == [1, 3, 0, 2, 4]
        assert table(reading, "-loss")["numbers"][:3] == [0, 3, 1]
        assert table(reading, "value")["numbers"][:3] == [1, 3, 0]
        assert table(reading, "-number")["numbers"] == [4, 3, 2, 1, 0]
        assert table(reading, "momentum", "number < 4")["numbers"] == [1, 3, 0, 2]
        assert table(reading, "optimizer", "number < 4")["numbers"] == [0, 2, 1, 3]
        assert table(reading, "reason", "number < 4")["numbers"][0] == 2
        with pytest.raises(StudyError, match="no column 'lss'; did you mean 'loss'"):
            table(reading, "lss")

    def test_every_column_can_be_shown_and_sorted(self, reading: Reading) -> None:
        every = table(reading)["every"]
        page = table(reading, names=every)
        assert [column["name"] for column in page["columns"]] == every
        json.dumps(page, allow_nan=False)
        for name in every:
            assert sorted(table(reading, name)["numbers"]) == [0, 1, 2, 3, 4]

    def test_scrolling_stays_in_the_order_of_the_beginning(self, store: Store) -> None:
        study = made(store)
        reading = Reading(store, "digits")
        first = table(reading, "loss", count=2)
        assert first["numbers"] == [1, 3]
        study.tell(4, 0.01)
        after = table(reading, "loss", begin=2, seen=first["cursor"])
        assert after["numbers"] == [0, 2, 4]
        assert (after["cursor"], after["size"]) == (first["cursor"], first["size"])
        assert table(reading, "loss")["numbers"] == [4, 1, 3, 0, 2]

    def test_beyond_the_end_there_is_nothing(self, reading: Reading) -> None:
        assert table(reading, begin=10**6)["rows"] == []

    def test_as_csv_no_text_is_a_formula(self, store: Store) -> None:
        study = made(store)
        study.enqueue(CONFIGS[0], why="=HYPERLINK(1)")
        lines = csv_of(Reading(store, "digits"), "number > 3").splitlines()
        assert lines[0].startswith("number,state,loss")
        assert "'=HYPERLINK(1)" in lines[2]


class TestList:
    def test_studies_by_activity_name_and_search(self, store: Store) -> None:
        for name in ("digits", "faces", "Letters"):
            made(store, name)
        page = Overviews(store, Labelled(store)).page()
        assert [row["name"] for row in page["studies"]] == ["Letters", "faces", "digits"]
        row = page["studies"][0]
        assert row["counts"] == {"running": 1, "completed": 3, "failed": 1}
        assert (row["best"], row["best_value"]) == (1, 0.1)
        assert [
            r["name"] for r in Overviews(store, Labelled(store)).page(sort="name")["studies"]
        ] == [
            "digits",
            "faces",
            "Letters",
        ]
        found = Overviews(store, Labelled(store)).page(search="ACE")
        assert ([r["name"] for r in found["studies"]], found["total"], found["every"]) == (
            ["faces"],
            1,
            3,
        )
        assert (
            Overviews(store, Labelled(store)).page(sees=lambda name: name == "digits")["every"] == 1
        )
        with pytest.raises(StudyError, match="sorted by last, name"):
            Overviews(store, Labelled(store)).page(sort="secret")

    def test_a_row_is_made_again_when_something_has_happened(self, tmp_path: Any) -> None:
        study = made(ts_store(tmp_path))
        overviews = Overviews(study.store, Labelled(study.store))
        assert overviews.page()["studies"][0]["best_value"] == 0.1
        assert overviews.lines(["digits"])["digits"] == [0.3, 0.1, 0.1]
        study.tell(4, 0.01)
        assert overviews.page()["studies"][0]["best_value"] == 0.01
        assert overviews.lines(["digits", "none"]) == {"digits": [0.3, 0.1, 0.1, 0.01]}
        study.close()

    @pytest.mark.parametrize("kept", ["memory", "sqlite"])
    def test_tags_and_owners_filter_the_list(self, kept: str, tmp_path: Path) -> None:
        store = MemoryStore() if kept == "memory" else ts_store(tmp_path)
        for name, owner, tags in (("a", "ana", ["x", "y"]), ("b", "bob", ["x"]), ("c", "bob", [])):
            with writing_as(owner):
                ts.Study.create(SPACE, metric="loss", storage=store, name=name, tags=tags)
        overviews = Overviews(store, Labelled(store))

        def names(**wanted: Any) -> list[str]:
            return sorted(row["name"] for row in overviews.page(**wanted)["studies"])

        assert names(tag="x") == ["a", "b"]
        assert names(tag="x", owner="bob") == ["b"]
        assert names(owner="bob", search="C") == ["c"]
        assert overviews.labels() == {
            "tags": [("x", 2), ("y", 1)],
            "owners": [("ana", 1), ("bob", 2)],
        }
        ts.Study.open("c", storage=store).tag("x")
        ts.Study.open("a", storage=store).tag(remove=["x"])
        assert names(tag="x") == ["b", "c"], "what has changed is looked at again"
        assert overviews.labels(lambda name: name == "a") == {
            "tags": [("y", 1)], "owners": [("ana", 1)]
        }  # fmt: skip
        store.delete("b")
        assert names(tag="x") == ["c"]
        store.close()

    def test_trials_whose_process_is_gone_do_not_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        study = made(ts_store(tmp_path))
        row = Overviews(study.store, Labelled(study.store)).page()["studies"][0]
        assert row["counts"]["running"] == 1
        assert "process" in row["who"]
        monkeypatch.setattr("tunesmith.tuning.session.alive", lambda _: False)
        counts = Overviews(study.store, Labelled(study.store)).page()["studies"][0]["counts"]
        assert (counts.get("running"), counts["waiting"]) == (None, 1)
        study.close()


def ts_store(tmp_path: Any) -> Store:
    return open_store(tmp_path / "studies.db")


class TestTrial:
    def test_what_differs_from_the_best_and_why(self, reading: Reading) -> None:
        trial = trial_of(reading, 0)
        assert trial["best"] == 1
        differing = {
            p["name"]: (p["value"], p["best"]) for p in trial["config"] if p.get("differs")
        }
        assert differing["optimizer"] == ("adam", "sgd")
        assert "epochs" not in differing
        assert [p["name"] for p in trial["absent"]] == ["momentum"]
        assert trial["origin"]["why"] == "to see"
        assert "<svg" in trial["curves"][0]["svg"]
        assert "style=" not in trial["curves"][0]["svg"]
        assert trial["may"] == ["correct", "retract"]
        assert [e["kind"] for e in trial["log"]] == [
            "enqueued",
            "started",
            "reported",
            "reported",
            "finished",
        ]
        json.dumps(trial, allow_nan=False)

    def test_how_one_failed(self, reading: Reading) -> None:
        assert trial_of(reading, 2)["ended_why"] == "Failed: it broke (error)."
        with pytest.raises(StudyError, match="no trial 99"):
            trial_of(reading, 99)

    def test_the_journal_newest_first_in_pages(self, reading: Reading) -> None:
        page = journal(reading, count=3)
        assert [e["number"] for e in page["events"]] == [page["cursor"] - k for k in range(3)]
        older = journal(reading, before=page["events"][-1]["number"], count=500)
        assert older["events"][-1]["number"] == 1
        json.dumps([page, older], allow_nan=False)

    def test_every_kind_of_event_has_words(self, store: Store) -> None:
        study = made(store)
        study.correct(0, 0.4, why="wrong split")
        study.retract(1, why="shared GPU")
        study.annotate(3, "look again", {"who": "ada"})
        study.edit(trials=50)
        study.stop()
        words = [e["words"] for e in journal(Reading(store, "digits"))["events"]][:5]
        assert words == [
            "asked the study to stop", "changed limits", "note: look again; tags: who=ada",
            "counts no longer: shared GPU", "corrected to loss 0.4, accuracy 0.7: wrong split",
        ]  # fmt: skip
        few = journal(Reading(store, "digits"), reports=False, count=500)["events"]
        assert "reported" not in {e["kind"] for e in few}
        assert [e["number"] for e in few][-1] == 1


class TestPredicted:
    def test_who_waits_for_the_history_does_not_wait_for_the_model(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))
        study = ts.Study.create(space, metric="loss", storage=store, name="s", searcher="random")
        for k in range(12):
            study.enqueue({"x": k / 12, "y": (5 * k % 12) / 12})
            study.tell(study.ask(), (k / 12 - 0.4) ** 2)
        reading, along = Reading(store, "s"), Landscape.along
        asked: list[str] = []

        def look() -> None:
            with reading.result():
                pass

        def slowly(self: Landscape, name: str) -> Any:
            looking = threading.Thread(target=look, daemon=True)
            looking.start()
            looking.join(30)
            assert not looking.is_alive()
            asked.append(name)
            return along(self, name)

        monkeypatch.setattr(Landscape, "along", slowly)
        made = predicted.slices(reading, 0, ["x", "z", "y"])
        assert asked == ["x", "y"]
        assert len(made["slices"]) == 2
        assert all("<path" in one for one in made["slices"])


class TestOverview:
    def test_what_goes_on(self, reading: Reading) -> None:
        live = overview.live(reading)
        assert live["state"]["word"] == "running"
        assert live["running"][0]["number"] == 4
        assert live["headline"].startswith("The best of")
        json.dumps(live, allow_nan=False)

    def test_the_report_in_parts_needs_no_inline_style(self, reading: Reading) -> None:
        report = overview.report(reading)
        html = report["head"] + "".join(section["html"] for section in report["sections"])
        assert " style=" not in html
        assert "<script" not in html
        assert report["title"].startswith("digits: ")
        json.dumps(report, allow_nan=False)

    def test_its_beginning_is_as_in_the_whole_and_waits_for_no_model(
        self, reading: Reading, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as without:
            without.setattr("tunesmith.search.look_ahead", lambda *_: pytest.fail("a model"))
            first = overview.report(reading, first=True)
        whole = overview.report(reading)
        n = overview.FIRST
        assert first["head"] == whole["head"]
        assert first["sections"][:n] == whole["sections"][:n]
        assert {one["html"] for one in first["sections"][n:]} == {""}
        assert [one["anchor"] for one in first["sections"]] == [
            one["anchor"] for one in whole["sections"]
        ]
        assert all(one["html"] for one in whole["sections"])
        assert whole == {
            **overview.report(Reading(reading.store, reading.name)),
            "made_at": whole["made_at"],
        }

    def test_a_beginning_of_before_is_not_gone_on_with(self, store: Store) -> None:
        study, reading = made(store), Reading(store, "digits")
        overview.report(reading, first=True)
        study.tell(study.ask(), 0.001)
        assert "0.001" in overview.report(reading)["head"]

    def test_an_empty_study(self, store: Store) -> None:
        ts.Study.create(SPACE, metric="loss", storage=store, name="new")
        reading = Reading(store, "new")
        assert overview.live(reading)["state"]["word"] == "new"
        assert overview.report(reading)["sections"]
        assert table(reading)["total"] == 0
        assert unpacked(axes.packed(reading))[0]["count"] == 0


def unpacked(
    data: bytes,
) -> tuple[dict[str, Any], np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    length = int.from_bytes(data[:4], "little")
    head = json.loads(data[4 : 4 + length])
    n, at = head["count"], 4 + length
    numbers = np.frombuffer(data, "<u4", n, at)
    places = {
        axis["name"]: np.frombuffer(data, "<u2", n, at + 4 * n + 2 * n * k)
        for k, axis in enumerate(head["axes"])
    }
    assert len(data) == at + 4 * n + 2 * n * len(head["axes"])
    return head, numbers, places


class TestAxes:
    def test_places_on_axes(self, reading: Reading) -> None:
        head, numbers, places = unpacked(axes.packed(reading, "number < 4"))
        assert numbers.tolist() == [0, 1, 2, 3]
        assert places["learning_rate"][0] == pytest.approx(axes.HIGH / 2, abs=1)
        assert places["learning_rate"][3] == axes.HIGH
        assert places["optimizer"].tolist() == [axes.HIGH, 0, axes.HIGH, 0]
        assert places["momentum"].tolist()[0] == axes.NONE
        assert places["loss"].tolist() == [axes.HIGH, 0, axes.NONE, axes.HIGH / 2]
        by_name = {axis["name"]: axis for axis in head["axes"]}
        assert by_name["learning_rate"]["log"]
        assert by_name["optimizer"]["values"] == ["sgd", "adam"]
        assert head["axes"][-1]["name"] == "loss"
        assert head["front"] is None

    def test_of_several_objectives_the_front(self, store: Store) -> None:
        study = ts.Study.create(SPACE, metric=["loss", "seconds"], storage=store, name="two")
        for pair in ((1.0, 3.0), (2.0, 1.0), (3.0, 4.0)):
            study.tell(study.ask(), pair)
        head, _, _ = unpacked(axes.packed(Reading(store, "two")))
        assert head["front"] == [0, 1]
        assert [axis["name"] for axis in head["axes"][-2:]] == ["loss", "seconds"]


def test_what_a_trial_printed_without_following_links(tmp_path: Path) -> None:
    study = made(open_store(tmp_path / "studies.db"))
    reading = Reading(study.store, "digits")
    storage = tmp_path / "studies.db"
    assert output_of(reading, storage, 0) == {"text": "", "size": 0, "files": []}
    folder = tmp_path / "studies.trials" / "digits"
    (folder / "000000").mkdir(parents=True)
    (folder / "000000" / "output.log").write_bytes(b"x\n" * 40_000 + b"\x1b[31mthe end\n")
    printed = output_of(reading, storage, 0)
    assert printed["text"].endswith("x\nthe end\n")
    assert len(printed["text"]) <= TAIL
    assert printed["files"] == [{"name": "output.log", "size": 80_013}]
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "000001").mkdir()
    (folder / "000001" / "output.log").symlink_to(secret)
    assert output_of(reading, storage, 1) == {"text": "", "size": 0, "files": []}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "output.log").write_text("secret")
    (folder / "000002").symlink_to(elsewhere)
    assert output_of(reading, storage, 2)["text"] == ""
    with pytest.raises(StudyError, match="no trial 77"):
        output_of(reading, storage, 77)
    study.close()


def test_a_study_that_was_deleted_is_gone(store: Store) -> None:
    made(store)
    readings = Readings(store)
    readings.of("digits")
    store.delete("digits")
    with pytest.raises(StudyNotFound):
        readings.of("digits")


def test_a_study_made_anew_is_another_one() -> None:
    store = MemoryStore()
    readings = Readings(store)
    for k, name in enumerate("xy"):
        with ts.Study.create(
            ts.Space({name: ts.Float(0, 1)}),
            metric="loss",
            name="s",
            storage=store,
            searcher="random",
        ) as study:
            for _ in range(3 - k):
                study.tell(study.ask(), 0.5)
        with readings.of("s").result() as result:
            assert [set(t.config) for t in result.trials] == [{name}] * (3 - k)
        store.delete("s")


def test_the_study_of_late_is_read_before_anybody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path / "s.db")
    for name, n in (("before", 4), ("late", 3)):
        study = ts.Study.create(
            ts.Space(x=ts.Float(0, 1)), metric="loss", name=name, storage=store, searcher="random"
        )
        for _ in range(n):
            study.tell(study.ask(), 0.5)
    readings = Readings(store)
    read_ahead(readings)  # in a moment, once somebody looks
    assert [reading.size for reading in readings._open.values()] == []
    monkeypatch.setattr("tunesmith.service.page.ahead.LONG", 5)
    read_ahead(Readings(store, trials=2))  # too many to be kept
    read_ahead(readings)
    assert [(r.name, r.size) for r in readings._open.values()] == [("late", 3)]
    store.delete("late")
    store.delete("before")
    read_ahead(Readings(store))
    read_ahead(Readings(MemoryStore()))
    store.close()


class TestShell:
    def shell(self, **asked: str) -> str:
        return bytes(StaticFiles().shell(asked=asked).body).decode()

    def links(self, **asked: str) -> set[str]:
        """The modules that a browser is told of, without their digests."""
        return set(
            re.findall(r'"modulepreload" href="static/(\w+)\.\w+\.mjs"', self.shell(**asked))
        )

    def test_it_names_what_its_view_needs_and_no_more(self) -> None:
        assert {"app", "studies", "dom"} <= self.links()
        assert not {"overview", "trials", "parallel"} & self.links()
        assert {"app", "parallel", "trials", "lines"} <= self.links(study="a", view="parallel")
        assert {"app", "overview"} <= self.links(study="a")

    def test_it_names_what_is_asked_for_first(self) -> None:
        asked = re.compile(r'as="fetch" crossorigin href="([^"]*)"')
        assert asked.findall(self.shell()) == ["page/me", "page/studies?sort=last&amp;begin=0"]
        assert asked.findall(self.shell(q="x")) == ["page/me"]
        trials = self.shell(study="a b/c", view="trials")
        assert asked.findall(trials) == ["page/me", "page/studies/a%20b%2Fc/live"]

    def test_a_name_is_no_html(self) -> None:
        shell = self.shell(study='"><script>alert(1)</script>', view="<b>")
        assert "<script>" not in shell
        assert "<b>" not in shell
