"""Pages of tiny generators of every kind, and a browser to click in."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.chromium import CHROMIUM, NONE
from tests.pipeline.explorer.serving import Served, await_page, save_tiny, start


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    """One for each kind of generator, by the name of its recipe."""
    if CHROMIUM is None:
        pytest.skip(NONE)
    folder = tmp_path_factory.mktemp("generators")
    names = ("cgan-projection", "stackgan", "attribute-transfer", "colorization/gan")
    served = {name: start(save_tiny(folder / name, name)) for name in names}
    try:
        for each in served.values():
            await_page(each)
        yield served
    finally:
        for each in served.values():
            each.process.send_signal(signal.SIGTERM)
        codes = {name: each.process.wait(60) for name, each in served.items()}
    assert codes == dict.fromkeys(names, 3)  # SIGTERM ends a page as Ctrl-C does


@pytest.fixture
def visit(browser: Browser, pages: dict[str, Served]) -> Iterator[Callable[[str], Page]]:
    """`visit("stackgan")`: its page, freshly opened. In the end, nobody but this machine must have been asked."""
    asked: list[str] = []
    failures: list[str] = []
    opened: list[Page] = []

    def visit(name: str) -> Page:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(30_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: failures.append(str(error)))
        opened.append(page)
        page.goto(pages[name].address)
        return page

    yield visit
    for page in opened:
        page.close()
    assert asked
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))] == []
    assert failures == []
