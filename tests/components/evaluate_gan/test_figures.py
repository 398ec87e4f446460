"""Neighbours are looked for among all training images, also where only some of them have features."""

from pathlib import Path

import pytest
import torch

from gan_models.data.table import ImageTable
from gan_models.metrics.choice import Choice
from gan_models.metrics.extraction import FeatureExtractor
from gan_models.metrics.judge import Judge
from gan_models.metrics.training_images import training_neighbours


class Pixels(FeatureExtractor):
    """The pixels as features, slow by declaration."""

    name = "pixels"
    batch = 500

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, None]:
        return images.flatten(1).float(), None


@pytest.mark.parametrize("extracted", [100, 1436])
def test_copies_of_any_training_image_are_found(dataset: Path, tmp_path: Path, extracted: int) -> None:
    judge = Judge(ImageTable.open(dataset), Pixels({}, "cpu"), Choice("pixels", ""), cache=tmp_path)
    training = judge.real_images("train", 1436)
    copies = training[[3, 700, 1400]]
    features = Pixels({}, "cpu").features_and_logits(copies).features
    found = training_neighbours(copies, features, judge.real("train", extracted).features, judge)
    assert found.shape == (3, 4, 8, 8, 1)
    assert torch.equal(found[:, 0], copies)
    assert len(torch.unique(found.flatten(0, 1).flatten(1), dim=0)) == 12
