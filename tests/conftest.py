"""What takes long is begun first, so that no worker is left alone with it at the end; the browser of all tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.chromium import CHROMIUM, NONE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LONGEST = ("integration", "end_to_end")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> tuple[int, bool]:
        place = next((rank for rank, folder in enumerate(LONGEST) if folder in item.path.parts), len(LONGEST))
        return place, item.path not in slow

    items.sort(key=rank)


@pytest.fixture(scope="module")  # not for longer: while it is open, its event loop is the thread's
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(NONE)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()
