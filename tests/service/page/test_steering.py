"""What a person does to a study from the page: previews, refusals, who it was; by HTTP with tokens, and in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.service.page.browser import PATIENCE_MS, Watched
from tests.service.page.test_data import SPACE, made
from tests.service.running import Service

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.errors import ConfigError, Conflict, SpaceError, StudyError
from tunesmith.service.page import forms, steering
from tunesmith.service.page.readings import Reading
from tunesmith.store import MemoryStore, Store, open_store
from tunesmith.tuning.spec import writing_as

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def study() -> ts.Study:
    return made(MemoryStore(), trials=20)


def form(study: ts.Study) -> dict[str, Any]:
    return forms.form_of(Reading(study.store, study.name))


def preview(study: ts.Study, **wanted: Any) -> str:
    return " ".join(forms.preview(Reading(study.store, study.name), wanted)["sentences"])


class TestForm:
    def test_a_field_for_each_parameter(self, study: ts.Study) -> None:
        made = form(study)
        by_name = {p["name"]: p for p in made["parameters"]}
        assert by_name["optimizer"]["values"] == ["sgd", "adam"]
        assert by_name["momentum"]["when"] == "optimizer is sgd"
        assert by_name["epochs"]["kind"] == "fixed"
        assert made["config"]["learning_rate"] == 0.01, "it begins with the best"
        assert {limit["name"]: limit["value"] for limit in made["limits"]}["trials"] == "20"

    def test_what_stands_in_a_field_may_be_written_there(self, study: ts.Study) -> None:
        study.edit(time="2h", trial_memory="4GiB", parallel=3)
        texts = {limit["name"]: limit["value"] for limit in form(study)["limits"]}
        assert forms.changes_of(study.spec, {"limits": texts, "space": form(study)["space"]}) == {}


class TestEdit:
    def test_limits_shown_first_then_made(self, study: ts.Study) -> None:
        wanted = {"limits": {"trials": "30", "time": "2h"}}
        said = preview(study, **wanted)
        assert "trials: 20 becomes 30." in said
        assert "time: no limit becomes 2 h" in said
        assert study.spec.limits.trials == 20, "a look changes nothing"
        steering.edit(study, {**wanted, "digest": form(study)["digest"]})
        assert (study.spec.limits.trials, study.spec.limits.time) == (30, 7200.0)
        steering.edit(study, {"limits": {"time": ""}})
        assert study.spec.limits.time is None
        assert "have begun already" in preview(study, limits={"trials": "3"})

    def test_a_space_says_what_falls_outside(self, study: ts.Study) -> None:
        narrow = ts.Space({**SPACE.parameters, "layers": ts.Int(1, 2)}).to_yaml()
        said = preview(study, space=narrow)
        assert "layers: 1 to 6 becomes 1 to 2." in said
        assert "would lie outside (1, 2" in said
        assert "Trial 1, the best so far, is one of them" in said
        steering.edit(study, {"space": narrow})
        assert study.trials[2].outside

    @pytest.mark.parametrize(
        ("wanted", "words"),
        [
            ({"limits": {"trials": "none"}}, "trials is a whole number"),
            ({"limits": {"trails": "3"}}, "there is no limit 'trails'"),
            ({"space": "layers: {int: [1, 6]}"}, "gone from the space"),
            ({"space": "layers: {int: [1"}, "line"),
            ({"space": "a: !!python/object/apply:os.system ['x']"}, "."),
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_changes(
        self, study: ts.Study, wanted: Any, words: str
    ) -> None:
        before = study.spec
        with pytest.raises((StudyError, SpaceError, ts.TunesmithError), match=r".") as raised:
            steering.edit(study, wanted)
        assert words in str(raised.value)
        assert study.spec == before

    def test_a_form_of_yesterday_is_refused(self, study: ts.Study) -> None:
        old = form(study)["digest"]
        with writing_as("ada"):
            study.edit(trials=40)
        with pytest.raises(Conflict, match="has changed the study meanwhile"):
            steering.edit(study, {"limits": {"trials": "50"}, "digest": old})
        assert study.spec.limits.trials == 40


class TestVerbs:
    def test_stop_and_go_on(self, study: ts.Study) -> None:
        with pytest.raises(StudyError, match="has not been stopped"):
            steering.go_on(study, {})
        steering.stop(study, {})
        with pytest.raises(StudyError, match="still stopping"):
            steering.go_on(study, {})
        study.tell(4, 0.5)
        with pytest.raises(ts.StudyOver):
            study.ask()
        steering.go_on(study, {})
        assert study.ask().number == 5

    def test_tags_by_hand(self, study: ts.Study) -> None:
        assert steering.tag(study, {"add": ["a", "b"]})["tags"] == ["a", "b"]
        said = steering.tag(study, {"add": [], "remove": ["a", "b"]})
        assert said == {"done": "It has no tags.", "tags": []}
        with pytest.raises(StudyError, match="add: a list"):
            steering.tag(study, {"add": "a"})
        with pytest.raises(StudyError, match="is no tag"):
            steering.tag(study, {"add": ["a,b"]})

    def test_queue_a_config(self, study: ts.Study) -> None:
        made = steering.enqueue(study, {"config": {"layers": 3}, "why": "a guess"})
        assert study.trials[made["trial"]].origin.why == "a guess"
        with pytest.raises(ConfigError, match="layers"):
            steering.enqueue(study, {"config": {"layers": 99}})
        with pytest.raises(StudyError, match="config: a value"):
            steering.enqueue(study, {"config": 3})

    def test_mend_a_trial_with_a_name_to_it(self, study: ts.Study) -> None:
        with writing_as("ada"):
            steering.correct(study, 0, {"values": {"loss": 0.05}, "why": "wrong split"})
            steering.retract(study, 1, {"why": "shared GPU"})
        assert study.best.number == 0
        authors = {
            e.by
            for e in study.store.changes("digits")
            if isinstance(e, (events.Corrected, events.Retracted))
        }
        assert authors == {"ada"}
        steering.retract(study, 1, {"why": "it was not", "undo": True})
        steering.annotate(study, 1, {"note": "look"})
        assert study.trials[1].notes == ("look",)
        number = steering.again(study, 2, {})["trial"]
        assert study.trials[number].config == study.trials[2].config
        steering.cancel(study, number, {})
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("correct", {"values": {}}),
            ("retract", {"why": " "}),
            ("annotate", {}),
        ]
        for verb, body in wrong:
            with pytest.raises(StudyError):
                steering.TRIAL[verb](study, 0, body)

    def test_failed_trials_once_more(self, study: ts.Study) -> None:
        assert steering.retry_failed(study, {})["done"].startswith("1 of")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("steering")
    store: Store = open_store(folder / "studies.db")
    made(store, trials=20)
    store.close()
    service = Service(folder / "studies.db")
    yield service
    service.close()


def test_a_reader_may_look_and_no_more(service: Service) -> None:
    reader, other = service.token("read"), service.token("control", studies=("other",))
    at = "/page/studies/digits"
    assert service.ask("GET", f"{at}/live", token=reader).status == 200
    assert (
        service.ask("POST", f"{at}/preview", {"limits": {"trials": "9"}}, token=reader).status
        == 200
    )
    for path in ("stop", "enqueue", "edit", "trials/0/retract"):
        assert service.ask("POST", f"{at}/{path}", {}, token=reader).status == 403
        assert service.ask("POST", f"{at}/{path}", {}, token=other).status == 404
    worker = service.token("work")
    assert (
        service.ask("POST", f"{at}/trials/0/annotate", {"note": "seen"}, token=worker).status == 200
    )
    assert service.ask("POST", f"{at}/stop", {}, token=worker).status == 403
    assert service.ask("POST", f"{at}/burn", {}, token=service.token("control")).status == 404
    assert (
        service.ask("POST", f"{at}/enqueue", b"[1]", token=service.token("control")).status == 422
    )
    refused = service.ask(
        "POST", f"{at}/enqueue", {"config": {"layers": 0}}, token=service.token("control")
    )
    assert refused.status == 422
    assert "layers" in refused.json["detail"]


def test_in_the_browser(browser: Browser, service: Service) -> None:
    _steer(browser, service)


def test_a_stranger_is_asked_for_a_token(browser: Browser, service: Service) -> None:
    window = Watched(browser)
    page = window.page
    page.goto(service.url() + "/?study=digits&view=trials")
    page.get_by_label("Token").fill("ts_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("This token is not valid.")
    page.get_by_label("Token").fill(service.token("read"))
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".rows .row").first).to_be_visible()
    expect(page.get_by_role("link", name="Steer")).to_have_count(0)
    page.goto(service.url() + "/?study=digits&trial=0")
    expect(page.get_by_role("heading", name="Trial 0")).to_be_visible()
    expect(page.get_by_role("button", name="Retract")).to_have_count(0)
    window.close()
    assert window.wrong == []


def _steer(browser: Browser, service: Service) -> None:
    window = Watched(browser, viewport={"width": 1200, "height": 900})
    page = window.page
    page.goto(service.login + "&study=digits&view=steer")
    expect(page.get_by_role("heading", name="Queue a config")).to_be_visible()
    page.get_by_label("layers").fill("99")
    page.get_by_role("button", name="Put it into the queue").click()
    expect(page.locator(".panel .wrong")).to_contain_text("layers")
    page.get_by_label("layers").fill("4")
    page.get_by_role("button", name="Put it into the queue").click()
    expect(page.get_by_text("Trial 5 is in the queue.").first).to_be_visible()
    page.get_by_label("trials", exact=True).fill("33")
    page.get_by_role("button", name="What would that do?").first.click()
    expect(page.locator(".preview").first).to_contain_text("trials: 20 becomes 33.")
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_label("trials", exact=True)).to_have_value("33")
    page.goto(service.url() + "/?study=digits&trial=1")
    page.get_by_role("button", name="Retract").click()
    page.get_by_label("Why", exact=True).fill("shared GPU")
    page.get_by_role("dialog").get_by_role("button", name="Retract").click()
    expect(page.locator("#drawer")).to_contain_text("does not count")
    expect(page.locator("#drawer .log")).to_contain_text("shared GPU")
    page.goto(service.url() + "/?study=digits&view=steer")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Stop it").click()
    expect(page.locator("main")).to_contain_text("asked it to stop")
    window.close()
    assert window.wrong == []
    study = ts.Study.open("digits", storage=service.storage)
    assert study.spec.limits.trials == 33
    assert study.trials[5].config["layers"] == 4
    assert study.trials[1].retracted
    study.close()


NASTY = ["..%2f..%2fetc%2fpasswd", "%00", "%2e%2e", "a%20b", "%ff", "-1", "9" * 40, "0x1", "1e9", "digits%0d%0aX:%201", "none"]  # fmt: skip


def test_hostile_requests_are_refused_and_break_nothing(service: Service) -> None:
    token = service.token("control")
    wanted = [f"/page/studies/{name}/live" for name in NASTY]
    wanted += [f"/page/studies/digits/trials/{number}" for number in NASTY]
    wanted += [f"/page/studies/digits/trials/{number}/output" for number in NASTY]
    wanted += [f"/static/{name}" for name in NASTY]
    for where in (
        "(" * 900,
        "a" * 3000,
        "%00",
        "1/0>0",
        "2**99999>0",
        "loss<[1,2]",
        "%22",
        "x.y.z<1",
        "%ed%a0%80=1",
    ):
        wanted += [
            f"/page/studies/digits/{view}?where={where}"
            for view in ("trials", "curves", "axes", "trials.csv")
        ]
    wanted += [f"/page/studies/digits/trials?{name}={value}" for name in ("begin", "count", "seen", "sort", "columns") for value in NASTY]  # fmt: skip
    wanted += [
        f"/page/studies/digits/timeline?since={value}" for value in ("nan", "inf", "-1", "1e308")
    ]
    wanted += [f"/page/studies/digits/journal?before={value}" for value in NASTY]
    wanted += [f"/page/studies/digits/influence?objective={value}" for value in NASTY]
    wanted += [
        "/page/compare",
        "/page/compare?name=none",
        "/page/lines",
        "/page/studies?sort=x",
        "/page/studies?begin=-1",
    ]
    wanted += ["/page/compare?" + "&".join(["name=digits"] * 9)]
    for path in wanted:
        assert service.ask("GET", path, token=token).status in (200, 404, 422), path
    bodies: list[Any] = [
        b"", b"[", b"[]", b"null", b'{"config": {"layers": NaN}}', b"[" * 5000, {"config": {"layers": "x" * 9999}},
        {"config": {"\ud800": 1}}, {"config": []}, {"limits": []}, {"limits": {"trials": {}}}, {"limits": {"trials": "9" * 5000}},
        {"space": 3}, {"space": "a: &a [*a]"}, {"space": "[" * 3000}, {"values": {"loss": "x"}, "why": "w"},
        {"values": {"loss": 1e999}, "why": "w"}, {"values": {"none": 1}, "why": "w"}, {"note": {"a": 1}}, {"digest": 3, "limits": {"time": "-1s"}},
    ]  # fmt: skip
    for verb in (
        "preview",
        "edit",
        "enqueue",
        "trials/0/correct",
        "trials/0/annotate",
        "trials/99/cancel",
    ):
        for body in bodies:
            answer = service.ask("POST", f"/page/studies/digits/{verb}", body, token=token)
            assert answer.status in (200, 409, 412, 422), (verb, body, answer.body)
    assert service.ask("GET", "/page/studies/digits/report", token=token).status == 200
