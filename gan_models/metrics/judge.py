"""An extractor at work on one data set: features of its real images, kept in the cache, and of generated ones.

`collect` draws a sample and gathers everything that an evaluation compares it with.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_models.data.table import AnySplit, ImageTable, Split
from gan_models.data.table_file import TableMetadata
from gan_models.errors import RequestError
from gan_models.metrics.cache import cached_tensors
from gan_models.metrics.choice import Choice, choose_extractor
from gan_models.metrics.classifier import Classifier, Question
from gan_models.metrics.extraction import Bars, Extracted, FeatureExtractor, silent
from gan_models.metrics.extractors import EXTRACTORS, Setting
from gan_models.metrics.metric import Comparison
from gan_models.metrics.protocol import Protocol, Reference
from gan_models.metrics.scores import metric_key
from gan_models.recipes.schema import Evaluation
from gan_models.sampling.generator import LoadedGenerator, Samples, load_generator

_GOLDEN = (math.sqrt(5) - 1) / 2
_LEAST = 2  # images that have a spread
_ORDER_SEED = 0  # which images stand for a split never depends on the run


def reference_split(metadata: TableMetadata, wanted: str) -> str:
    """The wanted split to compare with, or the next best of at least two images; RequestError where there is none."""
    for split in (wanted, "test", "validation", "train"):
        if metadata.count(split) >= _LEAST:
            return split
    raise RequestError(f"{metadata.source} has too few images to compare with: a split must hold at least 2")


def representative_order(size: int) -> Tensor:
    """int64 [size]: any first n of these rows are a random sample of a split, always the same one."""
    return torch.from_numpy(np.random.default_rng(_ORDER_SEED).permutation(size))


def proportional_labels(metadata: TableMetadata, num: int, seed: int) -> Tensor:
    """Labels int64 [num] for a conditional generator, each class as often as in the train split, but for one or two.

    Real sets that are uneven are then compared with samples that are as uneven. Label i depends on the seed and i
    alone: any first ones are as even as the rest, by the fractions of i times the golden ratio (Weyl's sequence).
    """
    counts = np.array([metadata.counts["train"].get(name, 0) for name in metadata.class_names], dtype=float)
    edges = np.cumsum(counts) / counts.sum()
    places = (np.random.default_rng(seed).random() + np.arange(num) * _GOLDEN) % 1.0
    return torch.from_numpy(np.searchsorted(edges[:-1], places, side="right"))


@dataclass(frozen=True)
class Judge:
    """Turns the images of one data set, real and generated, into features of one extractor."""

    table: ImageTable
    extractor: FeatureExtractor
    choice: Choice
    _: KW_ONLY
    cache: Path
    bars: Bars = silent
    _splits: dict[str, AnySplit] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def for_table(cls, table: ImageTable, evaluation: Evaluation, *, cache: Path, bars: Bars = silent) -> Judge:
        """With the extractor asked for, or that fits the data, on a GPU if any; RequestError where there is none."""
        choice = choose_extractor(evaluation.extractor, table.metadata)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        weights = evaluation.inception_weights if choice.file is None else choice.file
        extractor = EXTRACTORS[choice.name].load(Setting(table, cache, weights, device, bars))
        return cls(table, extractor, choice, cache=cache, bars=bars)

    def sentence(self) -> str:
        """What judges, and why; for a trained classifier also how good it is."""
        accuracy = self.extractor.describe().get("accuracy") or {}
        shares = ", ".join(f"{100 * value:.1f} % right on {split}" for split, value in accuracy.items())
        return f"images are judged by {self.extractor.name}: {self.choice.reason}{f' ({shares})' if shares else ''}"

    @property
    def knows_classes(self) -> bool:
        """Whether logits are of the data's own classes."""
        return (known := EXTRACTORS.get(self.extractor.name)) is not None and known.needs_labels

    def key(self, metric: str) -> str:
        """What a figure by this extractor is called."""
        return metric_key(metric, self.extractor.name)

    def protocol(self, seen: Comparison, split: str) -> Protocol:
        """How the figures of a comparison with images of `split` are made."""
        metadata = self.table.metadata
        return Protocol(
            extractor=self.extractor.describe(),
            reference=Reference(
                data=metadata.fingerprint, source=metadata.source, split=split, images=len(seen.reference)
            ),
            samples=len(seen.sample),
            parameters=seen.parameters._asdict(),
        )

    def split(self, name: str) -> AnySplit:
        """A split of the data, opened once; its images are loaded where they fit."""
        if name not in self._splits:
            self._splits[name] = self.table.fitting(name, shortened=True)
        return self._splits[name]

    def real(self, split: str, at_most: int) -> Extracted:
        """Of the first `at_most` images of a split in `representative_order`; from the cache where possible."""
        count = min(self.table.metadata.count(split), at_most)
        key = {
            "data": self.table.metadata.fingerprint,
            "split": split,
            "count": count,
            "order": _ORDER_SEED,
            "extractor": self.extractor.describe(),
            "device": self.extractor.device.type,
            "torch": torch.__version__,
        }

        def make() -> dict[str, Tensor]:
            made = self._extract(self.real_images(split, count), f"features of {split} images")
            return {"features": made.features} | ({} if made.logits is None else {"logits": made.logits})

        tensors = cached_tensors(self.cache / "features", key, make)
        loaded = self.split(split)
        labels = None if loaded.labels is None else loaded.labels[representative_order(len(loaded))[:count]]
        return Extracted(
            tensors["features"], tensors.get("logits"), labels, load=lambda: self.real_images(split, count)
        )

    @property
    def searches_all(self) -> bool:
        """Whether copies are looked for among the features of all training images: where that is quick."""
        return self.extractor.quick and isinstance(self.split("train"), Split)

    def real_images(self, split: str, count: int) -> Tensor:
        """The uint8 [count, H, W, C] images that `real` describes."""
        loaded = self.split(split)
        return loaded.images[representative_order(len(loaded))[:count]]

    def classifier(self, of: Question) -> Classifier:
        """Of the data's labels, domains or attributes, from the cache or trained now; RequestError: it has no two."""
        return Classifier.for_table(
            self.table, cache=self.cache / "classifiers", device=self.extractor.device, bars=self.bars, of=of
        )

    def comparison(self, samples: Samples, sample: Extracted, reference: Extracted, split: str, k: int) -> Comparison:
        """Of `samples`, with features `sample`, and the first images of `split`, with features `reference`."""
        order, domains = representative_order(len(self.split(split)))[: len(reference)], None
        for what in ("domains", "attributes"):
            targets, real = samples.inputs.get(what), getattr(self.split(split), what)
            if targets is not None and real is not None:
                domains = _numbered(targets, real[order])
        asked = "labels" in samples.inputs
        return Comparison(sample, reference, own_classes=self.knows_classes, domains=domains, asked=asked, k=k)

    def examples(self, split: str, at_most: int) -> Split:
        """The first images of a split in `representative_order`, for generators that make images from real ones."""
        loaded = self.split(split)
        return loaded.rows(representative_order(len(loaded))[:at_most])

    def generated(self, samples: Samples, title: str = "features of generated images") -> Extracted:
        """Of what a generator drew; `title` is the progress bar's, empty where there is one around this."""
        found = self._extract(samples.images, title)
        return replace(found, labels=samples.labels, load=lambda: samples.images)

    def _extract(self, images: Tensor, title: str) -> Extracted:
        with (self.bars if title else silent)(title, len(images)) as bar:
            return self.extractor.features_and_logits(images, bar.advance)

    def draw(self, folder: Path, split: str, num: int, seed: int) -> tuple[LoadedGenerator, Samples]:
        """Loads a generator folder and draws `num` images to be judged against the data.

        A generator that makes images from real ones is given those of `split`, and draws fewer where it can make no
        more different ones of them.

        Raises:
            RequestError: the folder is damaged, or makes images of another shape or other classes than the data has.
        """
        generator, metadata = load_generator(folder, self.extractor.device), self.table.metadata
        info = generator.info
        if info.image_shape != metadata.image_shape:
            raise RequestError(
                f"{folder} makes images of shape {info.image_shape}, {metadata.source} was prepared as "
                f"{metadata.image_shape}: name the data set it was trained on"
            )
        labels = None
        if generator.module.num_classes:
            if info.class_names != metadata.class_names:
                raise RequestError(
                    f"{folder} was trained on {len(info.class_names)} classes that are not the "
                    f"{len(metadata.class_names)} of {metadata.source}: name the data set it was trained on"
                )
            labels = proportional_labels(metadata, num, seed)
        examples = None
        if generator.module.needs_examples:
            num = min(num, generator.module.distinct(metadata.count(split)) or num)
            examples = self.examples(split, num)
        return generator, generator.sample(num, seed=seed, labels=labels, examples=examples)


def _numbered(targets: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Domains int64 [N] and [M]; of attributes [N, A] and [M, A], each combination of them is one."""
    if targets.dim() == 1:
        return targets, real
    _, numbers = torch.unique(torch.cat([targets, real.to(targets)]), dim=0, return_inverse=True)
    return numbers[: len(targets)], numbers[len(targets) :]


class Material(NamedTuple):
    """What an evaluation compares. N images were generated, R stand for the reference split."""

    generator: LoadedGenerator
    samples: Samples  # what was drawn, with what it was made from
    generated: Extracted  # features of that
    split: str  # the reference split
    reference: Extracted  # of R of its images: N, or all where it holds fewer
    training: Extracted
    """Of the first training images in `representative_order`: of all where the extractor is quick, else at least N."""
    real: Extracted  # of those of them that are not in the reference: N, or all where there are fewer
    unseen: Extracted | None  # of validation images: neither trained on nor in the reference


def collect(folder: Path, judge: Judge, num: int, seed: int) -> Material:
    """Draws `num` images, extracts features of them and of real ones; RequestError where those do not fit, or lack."""
    metadata = judge.table.metadata
    split = reference_split(metadata, "test")
    reference, training, real = _real_sets(judge, split, num)
    if min(len(reference), len(real)) < _LEAST:
        raise RequestError(
            f"{metadata.source} has too few images: an evaluation compares at least {_LEAST} training images with "
            f"{_LEAST} others"
        )
    validated = split == "test" and metadata.count("validation") >= _LEAST
    unseen = judge.real("validation", num) if validated else None
    generator, samples = judge.draw(folder, split, num, seed)
    return Material(generator, samples, judge.generated(samples), split, reference, training, real, unseen)


def _real_sets(judge: Judge, split: str, num: int) -> tuple[Extracted, Extracted, Extracted]:
    """Features of the reference, of training images, and of the real images judged in the generator's place."""
    total = judge.table.metadata.count("train")
    if split != "train":
        training = judge.real("train", total if judge.searches_all else num)
        return judge.real(split, num), training, training.part(0, num)
    # Nothing was held out: half of the training images stand for the reference, others for the generator.
    references = min(num, total // 2)
    training = judge.real("train", total if judge.searches_all else references + num)
    return training.part(0, references), training, training.part(references, references + num)
