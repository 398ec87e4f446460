"""Distances within classes in the evaluation: names, real images beside them, and classes that are too small."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from components.evaluate_gan.measuring import find, notes_within_classes, plain_name
from components.evaluate_gan.report import markdown
from gan_models.data.shape import DataShape
from gan_models.data.table import ImageTable
from gan_models.families.building import build_generator
from gan_models.metrics import intra_class
from gan_models.metrics.judge import Judge, Material, collect
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Evaluation
from gan_models.sampling.generator import GeneratorInfo, save_generator


@pytest.fixture(scope="module")
def judge(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return Judge.for_table(ImageTable.open(dataset), Evaluation(), cache=tmp_path_factory.mktemp("cache"))


def material(folder: Path, judge: Judge, recipe_name: str) -> Material:
    metadata = judge.table.metadata
    recipe = load_recipe(recipe_name, ["networks.generator.width=4"])
    info = GeneratorInfo(
        recipe_name=recipe_name, image_shape=(1, 8, 8), class_names=metadata.class_names, step=6, seed=0,
        data_fingerprint=metadata.fingerprint, diversity=1.0, collapsed=False,
    )  # fmt: skip
    save_generator(folder, build_generator(recipe, DataShape((1, 8, 8), 10)).state_dict(), recipe, info)
    return collect(folder, judge, 400, 1)


def test_digits_have_too_few_of_each_in_their_test_split_and_that_is_said(tmp_path: Path, judge: Judge) -> None:
    found = find(material(tmp_path / "g", judge, "cgan-projection"), judge, k=5, seed=0).within_classes
    assert found is not None
    assert (found.mean, found.classes) == (None, [])
    assert found.left_out == [str(digit) for digit in range(10)]
    (note,) = notes_within_classes(found)
    assert "10 of 10 classes have fewer than 30 images on one side and are left out (0, 1, 2" in note


def test_every_class_gets_a_figure_and_real_images_one_beside_it(
    tmp_path: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    lowered = functools.partial(intra_class.distances_within_classes, least=10)
    monkeypatch.setattr(intra_class, "distances_within_classes", lowered)
    found = find(material(tmp_path / "g", judge, "cgan-projection"), judge, k=5, seed=0)
    within = found.within_classes
    assert within is not None
    assert within.mean is not None
    assert within.real_mean is not None
    assert within.mean.name == "intra-FD-classifier"
    assert found.metrics[within.mean.name] == pytest.approx(sum(one.generated.value for one in within.classes) / 10)
    assert within.mean.name in found.headline
    assert sum(one.generated.images for one in within.classes) == 400
    for one in within.classes:
        assert one.generated.name == f"intra-FD-of-{one.class_name}-classifier"
        assert found.metrics[one.generated.name] == one.generated.value
        assert one.real is not None
        assert found.comparison_metrics[one.real.name] == one.real.value
        assert one.real.name.startswith(f"real-intra-FD-of-{one.class_name}-")
        assert one.generated.value > 2 * one.real.value  # an untrained generator
    text = markdown("x", found, {})
    assert "| Frechet distance within classes, mean (lower is better) |" in text
    assert "| Frechet distance within a class | generated (images) | real (images) |" in text


def test_a_generator_that_is_asked_for_nothing_has_none(tmp_path: Path, judge: Judge) -> None:
    assert find(material(tmp_path / "g", judge, "dcgan"), judge, k=5, seed=0).within_classes is None
    assert notes_within_classes(None) == []


def test_a_name_that_mlflow_does_not_take_is_written_with_its_number() -> None:
    assert plain_name(3, "cat/dog?") == "3-cat-dog"
    assert plain_name(3, "cat_1.b") == "cat_1.b"
