"""The nearest training images of a picture, of a data set that the project's own stage prepared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gan_models.data.table import ImageTable
from gan_models.exploring.training_set import TrainingSet
from gan_models.families.building import build_generator
from gan_models.metrics.training_images import nearest_in_pixels
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator


@pytest.fixture(scope="module")
def generator(dataset: Path) -> LoadedGenerator:
    metadata = ImageTable.open(dataset).metadata
    recipe = load_recipe("dcgan", ["data.source=digits", "data.size=8", "networks.generator.width=4"])
    info = GeneratorInfo(
        recipe_name="dcgan", image_shape=(1, 8, 8), class_names=metadata.class_names, step=1, seed=0,
        data_fingerprint=metadata.fingerprint, diversity=1.0, collapsed=False,
    )  # fmt: skip
    return LoadedGenerator(build_generator(recipe, info.shape).eval(), recipe, info, torch.device("cpu"))


def test_a_training_image_is_nearest_to_itself(dataset: Path, generator: LoadedGenerator, tmp_path: Path) -> None:
    training = TrainingSet.find(dataset, generator, tmp_path)
    assert training is not None
    copies = ImageTable.open(dataset).split("train").images[[5, 900]]
    noisy = (copies.int() + torch.randint(-3, 4, copies.shape)).clamp(0, 255).to(torch.uint8)
    for find in (training.by_pixels, training.by_features):
        assert find(copies).shape == (2, 4, 8, 8, 1)
        assert torch.equal(find(copies)[:, 0], copies)
        assert torch.equal(find(noisy)[:, 0], copies)
    assert training.features_of == "classifier"


def test_other_data_and_no_data_are_no_training_set(dataset: Path, generator: LoadedGenerator, tmp_path: Path) -> None:
    other = replace(generator, info=generator.info.model_copy(update={"data_fingerprint": "another"}))
    assert TrainingSet.find(dataset, other, tmp_path) is None
    assert TrainingSet.find(tmp_path / "nowhere", generator, tmp_path) is None


def test_nearest_in_pixels_is_brute_force_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_models.metrics.training_images._AT_A_TIME", 7 * 256)
    images = torch.randint(0, 256, (40, 16, 16, 1), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = nearest_in_pixels(images[:3], images[5:], k=9)

    def flat(which: Tensor) -> Tensor:
        return which.flatten(1).double()

    distances = torch.cdist(flat(images[:3]), flat(images[5:]))
    expected = distances.sort(dim=1)
    assert torch.equal(found.indices, expected.indices[:, :9])
    torch.testing.assert_close(found.distances, expected.values[:, :9])
    with pytest.raises(ValueError, match="35 images have no 36"):
        nearest_in_pixels(images[:3], images[5:], k=36)
