"""The notebook runs, from its first cell to its last, and what it shows is stored in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "first-gan.ipynb"
MOST_BYTES = 300_000


def code_cells(notebook: Any) -> Iterator[Any]:
    return (cell for cell in notebook.cells if cell.cell_type == "code")


def kinds(cell: Any) -> list[str]:
    """Of a cell's outputs, the richest form of each: what a reader sees."""
    return [
        "image" if "image/png" in output.get("data", {}) else output.get("name", output.output_type)
        for output in cell.outputs
    ]


@pytest.fixture(scope="module")
def stored() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.mark.slow
def test_it_runs_and_shows_what_is_stored(stored: Any, tmp_path: Path) -> None:
    fresh = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for ran, kept in zip(code_cells(fresh), code_cells(stored), strict=True):
        assert kinds(ran) == kinds(kept), kept.source
    assert list(code_cells(fresh))[-1].outputs[0].data["text/plain"] == "True"  # drawn again from the folder


def test_outputs_are_stored_small_and_tell_nothing_of_a_machine(stored: Any) -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < MOST_BYTES
    assert sum(kinds(cell).count("image") for cell in code_cells(stored)) >= 4
    said = "\n".join(str(cell.outputs) for cell in code_cells(stored))
    said = re.sub(r"'image/png': '[^']*'", "", said)
    assert not re.findall(r"(?<![\w<])/(?:home|root|tmp|usr|work|opt|Users)\b", said)
    assert "stderr" not in said
    assert "Traceback" not in said
    assert [cell.execution_count for cell in code_cells(stored)] == list(range(1, 1 + len(list(code_cells(stored)))))
