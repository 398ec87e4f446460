"""What takes long is begun first, so that no worker is left alone with it at the end."""

from __future__ import annotations

import pytest

LONGEST = ("integration", "end_to_end")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> tuple[int, bool]:
        place = next((rank for rank, folder in enumerate(LONGEST) if folder in item.path.parts), len(LONGEST))
        return place, item.path not in slow

    items.sort(key=rank)
