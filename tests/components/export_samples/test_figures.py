"""Figures of the latents: both walks join the same images; sums are drawn where a classifier can name the images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from components.artifacts import Figures
from components.export_samples import figures
from gan_models.data.shape import DataShape
from gan_models.data.table import ImageTable
from gan_models.families.building import build_generator
from gan_models.metrics.classifier import Classifier
from gan_models.metrics.extraction import Extracted
from gan_models.metrics.protocol import Protocol, Reference
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator
from gan_models.sampling.grids import save_png

CELL = 8 + 2  # an image and the gap to the next


def generator(recipe_name: str) -> LoadedGenerator:
    torch.manual_seed(0)
    # Weights large enough that images differ visibly without training.
    recipe = load_recipe(recipe_name, ["networks.generator.width=4", "networks.generator.init=xavier"])
    info = GeneratorInfo(
        recipe_name=recipe_name, image_shape=(1, 8, 8), class_names=tuple("0123456789"), step=6, seed=0,
        data_fingerprint="f", diversity=1.0, collapsed=False,
    )  # fmt: skip
    module = build_generator(recipe, DataShape((1, 8, 8), 10)).eval()
    return LoadedGenerator(module, recipe, info, torch.device("cpu"))


def cells(path: Path, columns: int) -> np.ndarray:
    """The images of a grid, [rows, columns, 8, 8]."""
    pixels = np.asarray(Image.open(path))
    scale = 56 // 8
    pixels = pixels[::scale, ::scale]
    rows = (len(pixels) + 2) // CELL
    return np.stack(
        [[pixels[r * CELL : r * CELL + 8, c * CELL : c * CELL + 8] for c in range(columns)] for r in range(rows)]
    )


class Quarters:
    """Sure of everything: an image is of class 0 to 3 by its mean brightness among the others."""

    def features_and_logits(self, images: Tensor) -> Extracted:
        brightness = images.float().mean(dim=(1, 2, 3))
        quarter = (brightness.argsort().argsort() * 4) // len(brightness)
        return Extracted(torch.zeros(len(images), 1), 50.0 * torch.nn.functional.one_hot(quarter, 10))


def judged_by(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    Figures(
        metrics={},
        headline=[],
        protocol=Protocol(
            extractor={"name": name},
            reference=Reference(data="d", source="s", split="test", images=9),
            samples=9,
            parameters={},
        ),
    ).write(folder)
    return folder


@pytest.mark.parametrize("recipe", ["dcgan", "cgan-projection"])
def test_straight_and_great_circle_walks_join_the_same_images(recipe: str, tmp_path: Path) -> None:
    picture = figures.draw_interpolation(generator(recipe), seed=1)
    save_png(picture.pixels, tmp_path / "walks.png", scale=picture.scale)
    grid = cells(tmp_path / "walks.png", figures.WALK_STEPS)
    assert len(grid) == 2 * figures.WALKS
    for straight, circle in zip(grid[::2], grid[1::2], strict=True):
        for end in (0, -1):  # a rounding step at most: sin(angle) / sin(angle)
            assert np.abs(straight[end].astype(int) - circle[end]).max() <= 1
        assert np.abs(straight[5].astype(int) - circle[5]).max() > 1


def test_sums_of_classes_that_the_classifier_names(
    tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classifier, "for_table", lambda *_, **__: Quarters())
    report = judged_by(tmp_path / "report", "classifier")
    drawn = figures.draw_arithmetic(generator("dcgan"), report, dataset, tmp_path, seed=1)
    save_png(drawn.pixels, tmp_path / "sums.png", scale=drawn.scale)
    assert "0 - 1 + 2" in drawn.sentence
    grid = cells(tmp_path / "sums.png", 4).astype(int)
    triples = [part.split() for part in drawn.sentence.split(": ")[1].split(", ")]
    assert len(grid) == len(triples)
    images = {}  # the same class is the same image wherever it stands
    for row, (a, _, b, _, c) in zip(grid, triples, strict=True):
        for name, image in zip((a, b, c), row, strict=False):
            assert np.array_equal(images.setdefault(name, image), image)
    assert images["3"].mean() > images["0"].mean()


def test_without_a_classifier_or_with_classes_asked_for_there_are_no_sums(tmp_path: Path, dataset: Path) -> None:
    report = judged_by(tmp_path / "report", "efficientnet-lite0")
    for recipe, folder, reason in (
        ("dcgan", report, "judged by efficientnet-lite0"),
        ("dcgan", tmp_path / "none", "judged by nothing"),
        ("cgan-projection", report, "asked for by its labels"),
    ):
        drawn = figures.draw_arithmetic(generator(recipe), folder, dataset, tmp_path, seed=1)
        assert drawn.pixels is None
        assert reason in drawn.sentence


def test_images_of_too_few_classes_are_said(tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Undecided:
        def features_and_logits(self, images: Tensor) -> Extracted:
            return Extracted(torch.zeros(len(images), 1), torch.zeros(len(images), 10))

    monkeypatch.setattr(Classifier, "for_table", lambda *_, **__: Undecided())
    assert ImageTable.open(dataset).metadata.num_classes == 10
    report = judged_by(tmp_path / "report", "classifier")
    drawn = figures.draw_arithmetic(generator("dcgan"), report, dataset, tmp_path, seed=1)
    assert drawn.pixels is None
    assert "needs three classes, and the generator's images show 0" in drawn.sentence
