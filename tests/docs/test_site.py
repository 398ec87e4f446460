"""The site of the documentation is built without a warning, has what it should, and asks nothing of other servers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import gan_models

REPO = Path(__file__).parents[2]
_LOADING = {  # what a browser fetches by itself, by tag
    **dict.fromkeys(("script", "img", "iframe", "source", "video", "audio", "embed", "track", "input"), "src"),
    **dict.fromkeys(("link", "use", "image"), "href"),
    "object": "data",
}


class _Page(HTMLParser):
    """What a page loads, and the names that lie in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids.add(given.get("id", ""))
        if address := given.get(_LOADING.get(tag, "")):
            self.loads.append(address)
        self.loads += re.findall(r"url\(['\"]?([^'\")]+)", given.get("style", ""))


def outside(page: str) -> list[str]:
    return [address for address in _Page(page).loads if re.match(r"(?:[a-z]+:)?//", address)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=REPO,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return target


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    assert {str(page): found for page in pages if (found := outside(page.read_text(encoding="utf-8")))} == {}
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert not [found for style in styles for found in re.findall(r"(?:url\(|@import )['\"]?(?:https?:)?//", style)]


def test_what_is_loaded_lies_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # which is served for any address, so that its links begin at the root
            continue
        for address in _Page(page.read_text(encoding="utf-8")).loads:
            if not address.startswith("data:"):
                assert (page.parent / address.partition("?")[0].partition("#")[0]).exists(), (page, address)


def test_nothing_that_loads_from_elsewhere_is_overlooked() -> None:
    page = "<script src='https://cdn.example/x.js'></script><link href=//fonts.example/a.css><img src='a.png'>"
    assert outside(page + "<p style='background: url(http://x.example/y)'><a href='https://example.org'>") == [
        *("https://cdn.example/x.js", "//fonts.example/a.css", "http://x.example/y"),
    ]


def test_everything_of_the_front_door_is_explained(site: Path) -> None:
    explained = set()
    for page in (site / "api").glob("*.html"):
        explained |= {name.rpartition(".")[2] for name in _Page(page.read_text(encoding="utf-8")).ids if "." in name}
    assert set(gan_models.__all__) <= explained


def test_home_and_notebook_are_pages(site: Path) -> None:
    assert "from a folder of images to a GAN generator" in (site / "index.html").read_text(encoding="utf-8")
    notebook = (site / "notebooks/first-gan.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in notebook
