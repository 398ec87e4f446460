"""Makes one site of pages that lie in several places of the repository. Called by mkdocs; links work there and in git.

README.md is the home page; the READMEs of stages, infra and benchmarks become pages, and so do notebooks.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


def page_of(path: str) -> str:
    """Where a file of the repository lies in the site, both as POSIX paths; "" where it is no part of it."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/").replace(".ipynb", ".md")
    return f"{path.removesuffix('/README.md')}.md" if path in added() else ""


def added() -> list[str]:
    """What is not in docs/ and becomes a page."""
    found = ("README.md", "infra/README.md", "benchmarks/README.md")
    return [*found, *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("components/*/README.md")))]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path in added():
        files.append(File.generated(config, page_of(path), content=(ROOT / path).read_text(encoding="utf-8")))
    for notebook in sorted(ROOT.glob("docs/**/*.ipynb")):
        path = notebook.relative_to(ROOT).as_posix()
        files.append(File.generated(config, page_of(path), content=markdown_of(notebook)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as they are in the repository, made to point at pages; of what is no page, the words stay."""
    here = page.file.src_uri
    places = {page_of(path): path for path in added()}
    there = posixpath.dirname(places.get(here, f"docs/{here}"))

    def moved(link: re.Match[str]) -> str:
        picture, words, target, anchor = link.groups()
        if re.match(r"[a-z]+:", target):
            return link[0]
        path = posixpath.normpath(posixpath.join(there, target))
        if not (site := page_of(path)):
            return link[0] if not (ROOT / path).exists() else words  # what is not there is for mkdocs to refuse
        relative = posixpath.relpath(site, posixpath.dirname(here) or ".")
        return f"{picture}[{words}]({relative}{anchor or ''})"

    parts = FENCE.split(markdown)  # every other one is a block of code
    parts[::2] = [LINK.sub(moved, part) for part in parts[::2]]
    return "".join(parts)


def markdown_of(notebook: Path) -> str:
    """The cells of a notebook with their outputs, pictures inside the page."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(text for cell in cells for text in _of_cell(cell))


def _of_cell(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [source]
    shown = [f"```python\n{source}\n```"]
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        if "image/png" in data:
            shown.append(f"![output](data:image/png;base64,{''.join(data['image/png']).strip()})")
        elif text := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
            shown.append(f"```text\n{text}\n```")
    return shown
