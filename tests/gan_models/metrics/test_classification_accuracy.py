"""Classification accuracy score: a generator teaches as much as its images are worth."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from gan_models.data.table import ImageTable
from gan_models.errors import RequestError
from gan_models.metrics.classification_accuracy import ClassificationAccuracy, classification_accuracy
from gan_models.metrics.classifier import Classifier
from gan_models.sampling.generator import Samples


class Copies:
    """Draws training images, of the classes asked for or of others."""

    def __init__(self, table: ImageTable, heeds_labels: bool) -> None:
        self.device = torch.device("cpu")
        self.module = SimpleNamespace(inputs=("latents", "labels"))
        self.info = SimpleNamespace(
            recipe_name="copies", class_names=table.metadata.class_names, image_shape=table.metadata.image_shape
        )
        self._split, self._heeds = table.split("train"), heeds_labels

    def sample(self, num: int, *, seed: int, labels: Tensor, examples: object) -> Samples:
        assert self._split.labels is not None
        stream = torch.Generator().manual_seed(seed)
        wanted = labels if self._heeds else torch.randint(10, (num,), generator=stream)
        order = torch.randperm(len(self._split), generator=stream)
        rows = [order[self._split.labels[order] == label] for label in range(10)]
        chosen = [rows[label][index % len(rows[label])] for index, label in enumerate(wanted.tolist())]
        return Samples(self._split.images[torch.stack(chosen)], {"labels": labels})


def scored(table: ImageTable, generator: Any) -> ClassificationAccuracy:
    return classification_accuracy(table, generator, seed=0, num=400)


def test_images_of_the_classes_asked_for_teach_what_real_ones_do(table: ImageTable) -> None:
    found = scored(table, Copies(table, heeds_labels=True))
    assert (found.images, found.split) == (400, "test")
    assert found.real > 0.85
    assert found.generated == pytest.approx(found.real, abs=0.06)


def test_images_of_any_class_teach_nothing(table: ImageTable) -> None:
    found = scored(table, Copies(table, heeds_labels=False))
    assert found.real > 0.85
    assert found.generated < 0.3


def test_without_classes_there_is_no_such_score(table: ImageTable) -> None:
    unconditional, other = Copies(table, True), Copies(table, True)
    unconditional.module.inputs = ("latents",)
    with pytest.raises(RequestError, match="copies is not asked for classes"):
        scored(table, unconditional)
    other.info.class_names = ("a", "b")
    with pytest.raises(RequestError, match="name the data set"):
        scored(table, other)


def test_the_judge_s_own_classifier_is_trained_in_the_same_way(table: ImageTable, cache: Any) -> None:
    """On all training images, both are one network."""
    found = classification_accuracy(table, Copies(table, True), seed=0)  # type: ignore[arg-type]
    assert found.images == 1197
    assert found.real == pytest.approx(Classifier.for_table(table, cache=cache).accuracy["test"], abs=0.03)
