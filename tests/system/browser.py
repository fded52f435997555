"""A real browser, which fails a test when a page logs an error or asks another host for anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from scripts import chromium
from scripts.apt import Unavailable

WAIT_MS = 60_000
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_LOST_CONNECTION = ("net::ERR_", "503")  # of a test that restarts the API


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Start Chromium, and skip the tests where it cannot be installed."""
    try:
        path = chromium.require()
    except Unavailable as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_OPTIONS)
        yield browser
        browser.close()


@contextmanager
def watched_pages(browser: Browser, base_url: str, **options: object) -> Iterator[BrowserContext]:
    """Yield a browser profile whose pages must log no error and reach no other host."""
    context = browser.new_context(base_url=base_url, **options)  # type: ignore[arg-type]  # viewport and the like
    context.set_default_timeout(WAIT_MS)
    complaints: list[str] = []

    def on_request(request: Request) -> None:
        if urlsplit(request.url).scheme.startswith("http") and not request.url.startswith(base_url):
            complaints.append(f"request to {request.url}")

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(word in message.text for word in _LOST_CONNECTION):
            complaints.append(f"console: {message.text}")

    def on_page(page: Page) -> None:
        page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))

    context.on("request", on_request)
    context.on("console", on_console)
    context.on("page", on_page)
    yield context
    context.close()
    assert complaints == []
