"""The images that a generator was trained on, where they are at hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from gan_models.data.table import ImageTable, MappedRows
from gan_models.errors import RequestError
from gan_models.metrics.judge import Judge
from gan_models.metrics.training_images import NEIGHBOURS, nearest_in_pixels, rows_of, training_neighbours
from gan_models.sampling.generator import LoadedGenerator


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The training images of `generator` in an image table; what is slow is done when it is first asked for."""

    table: ImageTable
    generator: LoadedGenerator
    cache: Path
    """Where the evaluation keeps the classifier that it trained, and features (`metrics.locations.default_cache`)."""

    @classmethod
    def find(cls, folder: Path, generator: LoadedGenerator, cache: Path) -> TrainingSet | None:
        """Of the dataset folder, if there is one and the generator was trained on it."""
        try:
            table = ImageTable.open(folder)
        except RequestError:
            return None
        same = table.metadata.fingerprint == generator.info.data_fingerprint
        return cls(table, generator, cache) if same else None

    def by_pixels(self, images: Tensor) -> Tensor:
        """The training images uint8 [Q, 4, H, W, C] that are nearest to images [Q, H, W, C] as thumbnails."""
        found = nearest_in_pixels(images, self._images, k=min(NEIGHBOURS, len(self._images)))
        return rows_of(self._images, found.indices)

    def by_features(self, images: Tensor) -> Tensor:
        """As `by_pixels`, by the features that the evaluation judges by.

        Where an extractor is slow, features are of those only that are nearest as thumbnails.

        Raises:
            RequestError: nothing that is installed can judge these images.
        """
        judge = self._judge
        features = judge.extractor.features_and_logits(images).features
        every = self.table.metadata.count("train") if judge.searches_all else 0
        gallery = judge.real("train", every).features if every else features[:0]
        return training_neighbours(images, features, gallery, judge)

    @property
    def features_of(self) -> str:
        """The name of what extracts features."""
        return self._judge.extractor.name

    @cached_property
    def _images(self) -> Tensor | MappedRows:
        return self.table.fitting("train", shortened=True).images

    @cached_property
    def _judge(self) -> Judge:
        return Judge.for_table(self.table, self.generator.recipe.evaluation, cache=self.cache)
