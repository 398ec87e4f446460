"""The example packages of docs/extending.md, as its reader has them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parents[1]
_PAGE = (REPO / "docs/extending.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONTAINERFILE = _PAGE.partition("```dockerfile\n")[2].partition("```")[0]


def examples() -> dict[str, dict[str, str]]:
    """Files by their paths, of each package by its name."""
    packages: dict[str, dict[str, str]] = {}
    for file, text in _BLOCK.findall(_PAGE):
        if file == "pyproject.toml":
            name = re.search(r'^name = "(.*)"$', text, re.MULTILINE)[1]  # type: ignore[index]
            packages[name] = {}
        packages[name][file] = text
    return packages


def write(package: dict[str, str], folder: Path) -> Path:
    """Writes a package's files into a folder."""
    for file, text in package.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def install(packages: dict[str, dict[str, str]], folder: Path) -> Path:
    """Installs packages by pip, into a folder for PYTHONPATH."""
    written = [str(write(package, folder / "sources" / name)) for name, package in packages.items()]
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder / "installed")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *written], check=True, timeout=300)
    return folder / "installed"
