"""A browser for the tests: Chromium as the system has it, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

#: How long anything may take to appear (ms): CI runs beside much else.
PATIENCE_MS: Final = 60_000
#: axe-core, which finds what is not accessible.
AXE: Final = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def program() -> str:
    """The browser's program. Raises RuntimeError."""
    for name in _NAMES:
        if (path := shutil.which(name)) is not None:
            return path
    raise RuntimeError(
        "these tests look at the page in Chromium, and there is none on this machine: apt-get install chromium (or brew "
        "install chromium); as root, tools/check does so by itself"
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A window, and whatever went wrong in it: errors of scripts, violations of the content policy, foreign requests."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.wrong: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._note)
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def _note(self, message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.wrong.append(message.text)

    def close(self) -> None:
        self.context.close()


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """The rules of accessibility that what a page shows breaks, and where."""
    page.evaluate(AXE)
    found = page.evaluate(
        "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })"
    )
    return [
        (v["id"], [n["html"][:160] + " " + n["failureSummary"][:200] for n in v["nodes"][:3]])
        for v in found["violations"]
    ]
