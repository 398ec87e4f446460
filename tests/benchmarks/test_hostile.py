"""The hostile inputs of the benchmark in one process: each ends in a sentence and a documented exit code."""

from __future__ import annotations

import importlib
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.cli import call

FOLDER = Path(__file__).parents[2] / "benchmarks"
KINDS = ("settings", "addresses", "places", "documents", "damaged")


@pytest.fixture(scope="module")
def hostile() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("hostile")
    finally:
        sys.path.remove(str(FOLDER))


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_ends_in_a_sentence(
    kind: str,
    hostile: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile.lay_out(tmp_path)
    monkeypatch.setenv("GAN_PIPELINE_CACHE", str(tmp_path / "cache"))
    make = getattr(hostile, kind)
    inputs: Iterator[Any] = make(tmp_path, random.Random(1)) if kind == "damaged" else make(tmp_path)
    wrong, ends = [], Counter[int]()
    for given in inputs:
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            for name, value in given.variables:
                if name == "PWD":
                    patch.chdir(value)
                elif value is None:
                    patch.delenv(name, raising=False)
                else:
                    patch.setenv(name, value)
            code = call(list(given.words))
        said = capsys.readouterr().err
        ends[code] += 1
        if code not in (0, 1, 2) or "unexpected " in said.partition("gan-pipeline: ")[2][:11] or "Traceback" in said:
            wrong.append((given.name, code, said[-200:]))
    assert wrong == []
    assert ends[2] > sum(ends.values()) / 4  # most are refused
    assert not (tmp_path / "executed").exists()
