"""What is registered by name, and what an installed package adds to it."""

from importlib.metadata import EntryPoint

import pytest

from gan_models import plugins
from gan_models.errors import RequestError
from gan_models.plugins import Registry


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points of the group of losses that are found besides ours."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(plugins, "_points", lambda: {"gan_pipeline.losses": tuple(points)})
    return points


def registry() -> Registry[object]:
    return Registry("loss", "gan_pipeline.losses", {"pi": "math:pi", "mine": 1.0})


def test_ours_come_first_and_are_imported_when_they_are_asked_for(packages: list[EntryPoint]) -> None:
    packages.append(EntryPoint("e", "math:e", "gan_pipeline.losses"))
    losses = registry()
    assert list(losses) == ["pi", "mine", "e"]
    assert (losses["pi"], losses["mine"], losses["e"]) == (pytest.approx(3.14159, 1e-5), 1.0, pytest.approx(2.71828))


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(RequestError, match=r"unknown game.loss 'min': did you mean 'mine'\? Known: mine, pi"):
        registry().find("min", "game.loss")


def test_a_package_cannot_take_the_place_of_ours(packages: list[EntryPoint]) -> None:
    packages.append(EntryPoint("pi", "math:e", "gan_pipeline.losses"))
    with pytest.raises(RequestError, match="adds a loss 'pi', which there is already"):
        list(registry())


def test_a_package_that_cannot_be_imported_is_named(packages: list[EntryPoint]) -> None:
    packages.append(EntryPoint("broken", "no_such_module:Loss", "gan_pipeline.losses"))
    with pytest.raises(RequestError, match="'broken' of the package no_such_module:Loss cannot be imported"):
        registry()["broken"]


def test_what_decides_results_is_listed_with_its_version() -> None:
    assert all("==" in package for package in plugins.installed())
