"""What is about no study: the log-in, jobs, tokens; and every view on a service in front of PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect
from tests.postgres import server
from tests.service.page.browser import PATIENCE_MS, Watched, violations
from tests.service.page.test_data import made
from tests.service.page.test_views import VIEWS, rich
from tests.service.running import Service
from tests.service.test_jobs import pictures

from tunesmith.store import open_store

expect.set_options(timeout=PATIENCE_MS)

JOB = b"""
command: [python, -c, "print('hello from the trial'); print('{{\\"loss\\": 0.5}}')"]
objective: {metric: loss}
space: {x: {float: [0, 1]}}
limits: {trials: 1}
searcher: random
"""
SLOW = JOB.replace(b"print('hello", b"import time; time.sleep(600); print('hello")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("places")
    open_store(folder / "studies.db").close()
    service = Service(folder / "studies.db", "--jobs", "1")
    yield service
    service.close()


def submit(service: Service, token: str, study: str, job: bytes) -> str:
    sum_ = sha256(job).hexdigest()
    assert service.ask("PUT", f"/api/v1/blobs/{sum_}", job, token=token).status == 204
    files = [{"path": "job.yaml", "sha256": sum_, "size": len(job)}]
    body = {"study": study, "file": "job.yaml", "files": files}
    answer = service.ask("POST", "/api/v1/jobs", body, token=token)
    assert answer.status == 202, answer.body
    return str(answer.json["id"])


def log_in(window: Watched, service: Service, token: str) -> None:
    window.page.goto(service.url())
    window.page.get_by_label("Token").fill(token)
    window.page.get_by_role("button", name="Log in").click()
    expect(window.page.get_by_role("heading", name="Studies")).to_be_visible()


def test_log_in_and_out(browser: Browser, service: Service) -> None:
    window = Watched(browser)
    page = window.page
    page.goto(f"{service.url()}/?q=digits")
    field = page.get_by_label("Token")
    expect(field).to_be_focused()
    assert violations(page) == []
    field.fill("ts_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This token is not valid.")
    field.fill(service.token("read"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Search studies by name")).to_have_value("digits")
    assert "ts_" not in page.url
    for hidden in ("Tokens", "Find a model for a table"):
        expect(page.get_by_text(hidden)).to_have_count(0)
    page.get_by_role("link", name="Jobs").click()
    expect(page.get_by_text("No job has been handed over yet.")).to_be_visible()
    expect(page.get_by_text("Find a model for a table")).to_have_count(0)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    window.close()
    assert window.wrong == []
    assert window.hosts == {f"127.0.0.1:{service.port}"}


def test_jobs(browser: Browser, service: Service, tmp_path: Path) -> None:
    token = service.token("submit")
    window = Watched(browser)
    page = window.page
    log_in(window, service, token)
    submit(service, token, "hello", JOB)
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("link", name="hello").click()
    expect(page.get_by_role("region", name="A job")).to_contain_text("its study is over")
    expect(page.get_by_label("Log")).to_contain_text("trial")
    expect(page.get_by_role("link", name="output", exact=False).first).to_be_visible()
    assert "job=" in page.url
    assert violations(page) == []

    slow = submit(service, token, "slow", SLOW)
    table = tmp_path / "houses 2026.csv"
    table.write_text("rooms,price\n" + "".join(f"{k},{k * 10}\n" for k in range(30)))
    page.get_by_label("Table", exact=True).set_input_files(table)
    expect(page.get_by_label("Column to predict")).to_have_value("price")
    expect(page.get_by_label("Name", exact=True)).to_have_value("houses-2026")
    page.get_by_role("button", name="Hand it over").click()
    expect(page.get_by_role("link", name="houses-2026")).to_be_visible()
    detail = page.get_by_role("region", name="A job")
    expect(detail).to_contain_text("Models for houses 2026.csv; handed over by test")
    expect(detail).to_contain_text("queued")
    page.get_by_role("button", name="Cancel it").click()
    expect(detail).to_contain_text("cancelled")
    page.goto(f"{service.url()}/?view=jobs&job={slow}")
    page.get_by_role("button", name="Cancel it").click()
    expect(page.get_by_role("region", name="A job")).to_contain_text("by test")
    window.close()
    assert window.wrong == []
    assert window.hosts == {f"127.0.0.1:{service.port}"}


def test_a_model_for_a_table(browser: Browser, service: Service, tmp_path: Path) -> None:
    """From the form to the end: how good the best one is stands there, and its files can be had."""
    window = Watched(browser, accept_downloads=True)
    page = window.page
    log_in(window, service, service.token("submit"))
    page.get_by_role("link", name="Jobs").click()
    table = tmp_path / "flats.csv"
    rows = [f"{n % 17},{n % 5},{3 * (n % 17) - n % 5}" for n in range(120)]
    table.write_text("\n".join(["a,b,price", *rows]))
    page.get_by_label("Table", exact=True).set_input_files(table)
    expect(page.get_by_label("Column to predict")).to_have_value("price")
    page.get_by_label("Models to try").fill("2")
    page.get_by_label("Time", exact=True).fill("5m")
    page.get_by_role("button", name="Hand it over").click()
    detail = page.get_by_role("region", name="A job")
    expect(detail).to_contain_text("its study is over")
    log = page.get_by_label("Log")
    expect(log).to_contain_text("rmse")
    expect(log).to_contain_text("predict: tunesmith predict")
    with page.expect_download() as downloading:
        detail.get_by_role("link", name="model.json", exact=True).click()
    described = json.loads(Path(downloading.value.path()).read_text())
    assert described["target"] == "price"
    assert violations(page) == []
    window.close()
    assert window.wrong == []
    assert window.hosts == {f"127.0.0.1:{service.port}"}


def test_a_folder_of_images_is_handed_over(
    browser: Browser, service: Service, tmp_path: Path
) -> None:
    window = Watched(browser)
    page, token = window.page, service.token("submit")
    log_in(window, service, token)
    slow = submit(service, token, "slow", SLOW)
    page.get_by_role("link", name="Jobs").click()
    pictures(tmp_path / "shades")
    (tmp_path / "shades" / "dark" / ".hidden").write_text("x")
    page.get_by_label("Data", exact=True).select_option("A folder of images")
    expect(page.get_by_label("Column to predict")).to_be_hidden()
    page.get_by_label("Folder", exact=True).set_input_files(tmp_path / "shades")
    expect(page.get_by_label("Name", exact=True)).to_have_value("shades")
    page.get_by_role("button", name="Hand it over").click()
    detail = page.get_by_role("region", name="A job")
    expect(detail).to_contain_text("Models for shades; handed over by test")
    expect(detail).to_contain_text("queued")
    assert violations(page) == []
    job = parse_qs(urlsplit(page.url).query)["job"][0]
    sent = Path(str(service.location)).with_suffix(".service") / "jobs" / job / "work" / "shades"
    assert sorted(path.name for path in sent.iterdir()) == ["dark", "light"]
    assert len([*sent.glob("dark/*")]) == 12
    page.get_by_role("button", name="Cancel it").click()
    expect(detail).to_contain_text("cancelled")
    service.ask("POST", f"/api/v1/jobs/{slow}/cancel", {}, token=token)
    window.close()
    assert window.wrong == []


def test_tokens(browser: Browser, service: Service) -> None:
    window = Watched(browser)
    page = window.page
    secret, bob = service.tokens.create("bob", "work")
    log_in(window, service, service.token("admin"))
    page.get_by_role("link", name="Tokens").click()
    expect(page.get_by_role("row", name="bob")).to_contain_text("never")
    assert bob.hash not in page.content()
    assert violations(page) == []
    page.get_by_role("button", name=f"Revoke bob ({bob.id})").click()
    page.get_by_role("button", name="Cancel").click()
    assert service.ask("GET", "/api/v1/names", token=secret).status == 200
    page.get_by_role("button", name=f"Revoke bob ({bob.id})").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(
        page.get_by_role("status").filter(has_text="bob is valid no more.").first
    ).to_be_visible()
    assert service.ask("GET", "/api/v1/names", token=secret).status == 401
    window.close()
    assert window.wrong == []


def test_every_view_in_front_of_postgresql(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    url = server().url()
    store = open_store(url)
    made(store, "digits", tags=["x"])
    made(store, "faces")
    rich(store)
    made(store, "fourth")
    store.close()
    service = Service(url, "--no-token")
    window = Watched(browser)
    try:
        for query, words in [*VIEWS, ("?tag=x", "1 of 4 studies")]:
            window.page.goto(f"{service.url()}/{query}")
            expect(window.page.get_by_text(words).first).to_be_visible()
        window.page.goto(f"{service.url()}/?study=digits&view=steer")
        window.page.get_by_label("Tags").fill("x, from the page")
        window.page.get_by_role("button", name="Keep these tags").click()
        expect(window.page.get_by_text("Tags: x, from the page.").first).to_be_visible()
    finally:
        window.close()
        service.close()
    store = open_store(url)
    assert store.summary("digits").spec.tags == ("x", "from the page")
    store.close()
    assert window.wrong == []
