"""The page in a real browser: each view, live, by mouse and keyboard, with hostile texts, without a foreign request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.service.page.browser import PATIENCE_MS, Watched
from tests.service.page.test_data import made
from tests.service.running import Service

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.trial import Origin, State
from tunesmith.store import Store, open_store

expect.set_options(timeout=PATIENCE_MS)

EVIL = "<img src=x onerror=window.evil=1></script><script>window.evil=1</script>\"'&javascript:alert(1)"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("page")
    store = open_store(folder / "studies.db")
    made(store, "digits")
    made(store, "faces")
    hostile = ts.Study.create(
        {"odd": ts.Choice(EVIL, "tame"), "x": ts.Float(0, 1)},
        metric="evil<b>",
        storage=store,
        name="hostile",
    )
    trial = hostile.enqueue({"odd": EVIL, "x": 0.5}, why=EVIL, tags={EVIL[:30]: EVIL})
    hostile.ask()
    hostile.tell(0, {"evil<b>": 1.0, EVIL: 2.0})
    hostile.annotate(trial, EVIL)
    hostile.ask()
    hostile.tell(1, failed=EVIL)
    store.close()
    service = Service(folder / "studies.db", "--no-token")
    yield service
    service.close()


@pytest.fixture
def window(browser: Browser) -> Iterator[Watched]:
    window = Watched(browser, viewport={"width": 1440, "height": 900})
    yield window
    window.close()
    assert window.wrong == []


def look(window: Watched, service: Service, query: str = "") -> Page:
    window.page.goto(service.url() + "/" + query)
    return window.page


def shown(page: Page) -> list[str]:
    """The numbers of the trials in the table."""
    return [cell.split(" ")[0] for cell in page.locator(".rows .row a").all_inner_texts()]


def test_from_the_list_to_a_trial_and_back(window: Watched, service: Service) -> None:
    page = look(window, service)
    expect(page.get_by_role("heading", name="Studies")).to_be_visible()
    expect(page.locator(".card")).to_have_count(3)
    page.get_by_label("Search studies by name").fill("digi")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".count")).to_have_text("1 of 3 studies")
    page.get_by_role("link", name="digits").click()
    expect(page.locator("h1")).to_contain_text("The best of")
    expect(page.get_by_role("heading", name="What won")).to_be_visible()
    page.get_by_role("link", name="Trials").click()
    expect(page.locator(".rows .row")).to_have_count(5)
    page.locator(".rows .row").nth(4).click()
    expect(page.get_by_role("heading", name="Trial 0")).to_be_visible()
    expect(page.locator("#drawer")).to_contain_text("user: to see")
    expect(page.locator("#drawer tr.differs")).to_have_count(5)
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    page.go_back()
    expect(page.get_by_role("heading", name="Trial 0")).to_be_visible()
    assert window.hosts == {f"127.0.0.1:{service.port}"}


def test_the_address_has_the_filter_the_order_and_the_trial(
    window: Watched, service: Service
) -> None:
    page = look(window, service, "?study=digits&view=trials&where=loss+%3C+0.25&sort=loss&trial=3")
    expect(page.get_by_role("heading", name="Trial 3")).to_be_visible()
    expect(page.locator(".list .count")).to_have_text("2 of 5 trials")
    assert shown(page) == ["1", "3"]
    field = page.get_by_label("Filter trials by an expression")
    field.fill('optimizer = "adam" and number < 4')
    field.press("Enter")
    expect(page.locator(".list .count")).to_have_text("2 of 5 trials")
    page.get_by_role("columnheader", name="learning_rate").get_by_role("button").click()
    expect(page.get_by_role("columnheader", name="learning_rate")).to_have_attribute(
        "aria-sort", "ascending"
    )
    expect(page.locator(".rows .row a").first).to_have_text("2")
    field.fill("los < 1")
    field.press("Enter")
    expect(page.locator(".wrong")).to_contain_text("did you mean 'loss'")
    field.fill("loss > 7")
    field.press("Enter")
    expect(page.locator(".rows")).to_contain_text("None of the 5 trials fits this filter")


def test_the_table_by_keyboard(window: Watched, service: Service) -> None:
    page = look(window, service, "?study=digits&view=trials&sort=number")
    expect(page.locator(".rows .row")).to_have_count(5)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "where"
    page.locator(".table").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Trial 2")).to_be_visible()
    expect(page.locator("#drawer")).to_contain_text("Failed: it broke (error).")


def test_a_new_result_appears_by_itself(window: Watched, service: Service) -> None:
    page = look(window, service, "?study=faces&view=trials")
    expect(page.locator(".rows .row")).to_have_count(5)
    study = ts.Study.open("faces", storage=service.storage)
    study.tell(study.ask(), 0.05)
    expect(page.locator(".rows .row")).to_have_count(6)
    expect(page.locator(".rows .row.best")).to_contain_text("0.05")
    study.close()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?study=hostile",
        "?study=hostile&view=trials&trial=0",
        "?study=hostile&view=journal&trial=1",
        "?study=hostile&view=parallel",
    ],
)
def test_hostile_texts_are_texts(window: Watched, service: Service, query: str) -> None:
    page = window.page
    page.add_init_script(
        "window.violations = []; addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective + ' ' + e.blockedURI));"
    )
    look(window, service, query)
    expect(page.locator("main")).not_to_contain_text("Loading")
    page.wait_for_load_state("networkidle") if not query else page.locator("#top nav").wait_for()
    if "trial=" in query:
        expect(page.locator("#drawer .drawerhead")).to_be_visible()
        expect(page.locator("#drawer")).to_contain_text("onerror=window.evil=1")
    assert page.evaluate("window.evil") is None
    assert page.evaluate("violations") == []
    assert page.locator("img").count() == 0


def test_a_brush_on_an_axis_filters_every_view(window: Watched, service: Service) -> None:
    page = look(window, service, "?study=digits&view=parallel&where=number+%3C+4")
    expect(page.locator("[data-axis]")).to_have_count(6)
    expect(page.locator(".caption")).to_contain_text("4 of 5 trials")
    axis = page.locator("[data-axis=loss] .grip").bounding_box()
    assert axis is not None
    middle = axis["x"] + axis["width"] / 2
    page.mouse.move(middle, axis["y"] + axis["height"] - 4)
    page.mouse.down()
    page.mouse.move(middle, axis["y"] + axis["height"] / 2 - 12, steps=4)
    page.mouse.up()
    expect(page.locator(".caption")).to_contain_text("2 of 5 trials within the brushes")
    expect(page.locator(".list .count")).to_have_text("2 of 5 trials")
    assert "brush=" in page.url
    page.get_by_role("link", name="Trials", exact=True).click()
    expect(page.locator(".list .count")).to_have_text("2 of 5 trials")
    assert set(shown(page)) == {"1", "3"}
    page.reload()
    expect(page.locator(".list .count")).to_have_text("2 of 5 trials")
    page.get_by_label("Remove the brush on loss").click()
    expect(page.locator(".list .count")).to_have_text("4 of 5 trials")


def test_a_brush_by_keyboard(window: Watched, service: Service) -> None:
    page = look(window, service, "?study=digits&view=parallel&where=number+%3C+4")
    page.get_by_text("Brush by numbers, hide axes").click()
    page.get_by_label("layers from").fill("3")
    page.get_by_label("layers from").press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(".list .count")).to_have_text("2 of 5 trials")
    page.get_by_label("sgd").uncheck()
    expect(page.locator(".list .count")).to_have_text("1 of 5 trials")
    expect(page.locator(".chip")).to_have_count(2)


def test_a_lost_connection_is_told_and_clears_nothing(browser: Browser, tmp_path: Path) -> None:
    store = open_store(tmp_path / "studies.db")
    study = made(store, "digits")
    service, window = Service(tmp_path / "studies.db", "--no-token"), Watched(browser)
    page = look(window, service, "?study=digits&view=trials")
    expect(page.locator(".stand")).to_have_text("live")
    service.stop()
    expect(page.locator(".stand.lost")).to_contain_text("no connection since")
    expect(page.locator(".rows .row")).to_have_count(5)
    study.tell(study.ask(), 0.01)
    service.start()
    expect(page.locator(".rows .row")).to_have_count(6)
    expect(page.locator(".stand")).to_have_text("live")
    window.close()
    service.close()
    study.close()


def test_a_long_table_is_scrolled_to_its_end(browser: Browser, tmp_path: Path) -> None:
    store = open_store(tmp_path / "studies.db")
    long(store, 20_000)
    service, window = Service(tmp_path / "studies.db", "--no-token"), Watched(browser)
    page = look(window, service, "?study=long&view=trials&sort=number")
    expect(page.locator(".list .count")).to_have_text("20,000 trials")
    expect(page.locator(".rows .row a").first).to_have_text("0 ★")
    page.locator(".table").evaluate("table => { table.scrollTop = table.scrollHeight; }")
    expect(page.locator(".rows .row a").last).to_have_text("19999")
    assert page.locator(".rows .row").count() < 100, "the document has those that are seen"
    page.locator(".table").focus()
    page.keyboard.press("Home")
    expect(page.locator(".rows .row a").first).to_have_text("0 ★")
    page.get_by_role("columnheader", name="loss").get_by_role("button").click()
    expect(page.locator(".rows .row").first).to_contain_text("★")
    page.goto(service.url() + "/?study=long&view=parallel")
    expect(page.locator(".caption")).to_contain_text("of them as lines and all as bands")
    window.close()
    service.close()
    store.close()
    assert window.wrong == []


def long(store: Store, n: int) -> None:
    """A study of `n` trials, written at once."""
    space = ts.Space(x=ts.Float(0, 1), y=ts.Choice("a", "b"))
    study = ts.Study.create(space, metric="loss", storage=store, name="long", searcher="random")
    many: list[events.Event] = [events.Opened(1.0, "s", "host", 1, 0.0, False)]
    for k in range(n):
        config = {"x": (k * 0.618) % 1, "y": "ab"[k % 2]}
        values = ((k * 0.37) % 1 + 0.1,)
        many.append(events.Suggested(float(k), k, config, Origin("random"), "s"))
        many.append(
            events.Finished(float(k + 1), k, 0, State.COMPLETED, values, {"loss": values[0]})
        )
    store.append(study.name, many, 0)


def test_under_the_prefix_of_a_proxy(window: Watched, service: Service) -> None:
    own = service.url()
    asked: list[str] = []

    def forward(route: Route) -> None:
        asked.append(route.request.url)
        route.continue_(url=route.request.url.replace("/tuning/here/", "/"))

    window.page.route(re.compile(re.escape(own) + ".*"), forward)
    page = window.page
    page.goto(f"{own}/tuning/here/?study=digits&view=trials&trial=1")
    expect(page.get_by_role("heading", name="Trial 1")).to_be_visible()
    page.get_by_role("link", name="Parallel").click()
    expect(page.locator("[data-axis]")).to_have_count(6)
    page.get_by_role("link", name="tunesmith").click()
    expect(page.locator(".card")).to_have_count(3)
    assert [url for url in asked if "/tuning/here/" not in url] == []


def test_a_study_that_is_not_there(window: Watched, service: Service) -> None:
    page = look(window, service, "?study=none")
    expect(page.locator("main")).to_contain_text("no study 'none'")


def test_nothing_is_wider_than_a_phone(browser: Browser, service: Service) -> None:
    phone: dict[str, Any] = {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "color_scheme": "dark",
    }
    window = Watched(browser, **phone)
    for query in (
        "",
        "?study=digits",
        "?study=digits&view=trials",
        "?study=digits&view=trials&trial=0",
        "?study=digits&view=journal",
    ):
        page = look(window, service, query)
        expect(page.locator("main > *").first).to_be_visible()
        expect(page.locator("main")).not_to_contain_text("Loading")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, query
    window.close()
    assert window.wrong == []
