"""The published presets of up to five million parameters train, resume and export at their full size."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gan_models.recipes import counted_parameters

NAMES = (
    *("acgan/cifar10", "cgan-concat/mnist", "colorization/gan", "pggan/cifar10", "sgan/mnist", "vanilla/mnist"),
    "wgan-gp/cifar10",
)


@pytest.fixture(scope="module")
def published() -> ModuleType:
    place = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, place)
    try:
        return importlib.import_module("published")
    finally:
        sys.path.remove(place)


def test_no_small_one_is_left_out(published: ModuleType) -> None:
    counted = counted_parameters()
    small = {name for name in published.PUBLISHED if sum(counted[name].values()) <= published.SMALL}
    assert small == {*NAMES}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_is_trained_stopped_resumed_and_exported(name: str, published: ModuleType) -> None:
    assert published.tried(name, "training.threads=1")["exported"] == "safetensors"
