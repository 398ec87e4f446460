"""Every link of the documentation leads somewhere: to a file of the repository, and to a heading that is there.

Addresses outside are looked at for their form alone: nothing is asked of the network.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

REPO = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "docs/**/*.ipynb", "components/*/*.md", "infra/**/*.md", "benchmarks/*.md")
    for path in REPO.glob(pattern)
)
_FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_INLINE = re.compile(r"\]\(\s*<?([^)\s>]*)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_HTML = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=[\"']([^\"']*)")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)


def text_of(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return _FENCE.sub("", text)


def links_of(page: Path) -> list[str]:
    text = _SPAN.sub("code", text_of(page))
    return [found for pattern in (_INLINE, _REFERENCE, _HTML) for found in pattern.findall(text)]


def anchors_of(page: Path) -> set[str]:
    """As GitHub makes them: words and dashes of a heading, a number behind one that comes again."""
    found: set[str] = set()
    for heading in _HEADING.findall(text_of(page)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = base = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = 0
        while slug in found:
            number += 1
            slug = f"{base}-{number}"
        found.add(slug)
    return found


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere, each with what is wrong."""
    wrong = []
    for link in links_of(page):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            if parts.scheme not in ("http", "https", "mailto") or (parts.scheme != "mailto" and not parts.hostname):
                wrong.append(f"{link}: no address")
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if link.startswith("/") or not target.exists():
            wrong.append(f"{link}: there is no such file")
        elif parts.fragment and (target.is_dir() or parts.fragment not in anchors_of(target)):
            wrong.append(f"{link}: there is no such heading")
    return wrong


def test_all_pages_are_looked_at() -> None:
    names = {page.relative_to(REPO).as_posix() for page in PAGES}
    assert {"README.md", "docs/evaluation.md", "infra/README.md", "benchmarks/README.md"} <= names
    assert {path.relative_to(REPO).as_posix() for path in REPO.glob("components/*/README.md")} <= names
    assert sum(len(links_of(page)) for page in PAGES) > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPO).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_what_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A title\n\n## A `part` (of it)\n\n## A title\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#a-part-of-it) [c](other.md#a-title-1) [d](#here) <a href='other.md'>e</a>\n"
        '![f](other.md "title") [g](https://example.org/x) `[h](nowhere.md)`\n```\n[i](nowhere.md)\n```\n'
    )
    assert broken(page) == []
    page.write_text(
        "[a](nowhere.md) [b](other.md#nothing) [c](#there) ![d](picture.png) [e](/etc/hostname) [f](https:///x)\n"
        "[g]: gone.md\n<img src='gone.png'>\n```\n# There\n```\n"
    )
    assert [each.partition(":")[0] for each in broken(page)] == [
        *("nowhere.md", "other.md#nothing", "#there", "picture.png", "/etc/hostname", "https"),
        *("gone.md", "gone.png"),
    ]
