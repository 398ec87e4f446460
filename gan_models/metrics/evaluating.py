"""Any images against any others: `evaluate("samples.zip", "photos")`.

What is compared is a sample with a reference, and real images with the same reference: those of another split where the
data has one, else one half of the data with the other. Images are never all in memory; features are.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_models.data.preparing.splits import assign_splits
from gan_models.data.table import ImageTable
from gan_models.data.table_writer import TableWriter
from gan_models.errors import RequestError, RunError, unknown_name
from gan_models.metrics.cache import cached_tensors
from gan_models.metrics.choice import choose_extractor
from gan_models.metrics.classification_accuracy import ClassificationAccuracy, classification_accuracy
from gan_models.metrics.extraction import Bars, Extracted, FeatureExtractor, silent
from gan_models.metrics.extractors import EXTRACTORS, Setting
from gan_models.metrics.extractors import named as named_extractor
from gan_models.metrics.image_sets import (
    DIGEST_BYTES,
    WHOLE,
    DrawnImages,
    ImageSet,
    StoredImages,
    described,
    digest_of,
    open_images,
    open_reference,
)
from gan_models.metrics.intervals import interval
from gan_models.metrics.judge import proportional_labels, representative_order
from gan_models.metrics.locations import default_cache
from gan_models.metrics.metric import IS_SPLIT_IMAGES, IS_SPLITS, Comparison, Metric, Score
from gan_models.metrics.path_length import FeatureDistance, path_length
from gan_models.metrics.protocol import Protocol, Reference
from gan_models.metrics.protocols import NamedProtocol, find_protocol
from gan_models.metrics.scores import METRICS, metric_key
from gan_models.sampling.generator import LoadedGenerator

_SEED = 2020  # of path lengths and of what a classifier learns from
SHOWN = 48
"""Images of either side that an evaluation keeps to be looked at."""
_PLENTY = 10_000  # images, below which the bias of FD is worth a warning
_DRAWN = 10_000  # images of a generator where nobody says how many, at most
_QUICK = 1e10  # products of images on both sides and dimensions, up to which intervals are computed unasked
_HALF_SAMPLES = 25  # that an interval is made from: they give the error to about a seventh of itself
_CLASSIFIER_BYTES = 1 << 30  # of images that a classifier is trained on: they are in memory all at once
_HELD_OUT = 0.1  # share of them that it is tested on, where the data has no splits
_COPIES = 0.01  # share of the sample that may equal reference images by chance


@dataclass(frozen=True)
class Figure:
    """One figure of the sample, and what real images get in its place."""

    metric: str
    """Its record in `METRICS`."""
    value: float
    std: float | None
    """Over splits (IS) or subsets (KID)."""
    interval: tuple[float, float] | None
    """Of 95 %: how far it would move with other images of the same kind."""
    n: int
    """Images of the sample."""
    real: float | None
    """Of real images in its place."""

    @property
    def record(self) -> Metric:
        return METRICS[self.metric]


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` finds."""

    name: str
    """Of the protocol."""
    protocol: Protocol
    figures: dict[str, Figure]
    """By key (`FD-classifier`)."""
    notes: list[str]
    """What a reader must know to read them."""
    samples: Tensor = field(repr=False)
    """The first few, uint8 [N, H, W, C]."""
    real: Tensor = field(repr=False)
    """As many of the reference."""

    @property
    def sentence(self) -> str:
        """What was compared with what."""
        made, reference = self.protocol, self.protocol.reference
        split = "" if reference.split == WHOLE else f"the {reference.split} split of "
        compared = f"{made.samples} images against {reference.images} of {split}{reference.source}"
        return f"{compared}; features of {made.extractor['name']}"

    def as_json(self) -> dict[str, Any]:
        """Protocol with its digest, figures and notes, as JSON values."""
        shown = ("value", "std", "interval", "n", "real")
        return {
            "protocol": {"name": self.name, **self.protocol.model_dump(mode="json")},
            "metrics": {key: {name: getattr(found, name) for name in shown} for key, found in self.figures.items()},
            "notes": self.notes,
        }


def evaluate(
    samples: str | Path,
    against: str | Path,
    *,
    protocol: str = "project",
    metrics: Sequence[str] | None = None,
    num: int | None = None,
    seed: int = 0,
    extractor: str | FeatureExtractor | None = None,
    weights: str | Path | None = None,
    intervals: bool | None = None,
    cache: Path | None = None,
    bars: Bars = silent,
) -> Evaluation:
    """Figures of images against others; either is a path or a name, as `image_sets.open_images` takes them.

    Args:
        samples: what is judged.
        against: what it is judged by.
        protocol: one of `PROTOCOLS`.
        metrics: of `METRICS`, or by their published names; default: the protocol's.
        num: images that are judged, at most; default: the protocol's. Of images that are there, a random choice, always
            the same.
        seed: of what a generator draws.
        extractor: its name, in place of the protocol's; or one that is loaded.
        weights: a file with the extractor's weights, where no package brings them.
        intervals: whether to compute them; default: where that takes seconds.
        cache: default: `locations.default_cache()`.
        bars: opens progress bars.

    Raises:
        RequestError: something that is named is not there, or does not fit together; says what to do.
        RunError: images changed while they were read, or features are not numbers.
    """
    named, wanted = find_protocol(protocol), _metrics(metrics)
    if num is not None and num < 2:
        raise RequestError(f"samples {num}: figures need at least 2 images, and most mean something from thousands on")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    asked = num or named.samples
    with _in_the_users_words():
        data = open_reference(against, num=asked or _DRAWN, seed=seed + 1, device=device, bars=bars)
        place, rows, references_notes = _reference(data, named)
        drawn = asked or min(_DRAWN, max(2, len(rows)))
        sample = open_images(samples, num=drawn, seed=seed, device=device, bars=bars)
        channels = _check(sample, data, named)
        work = _Work(data, channels, named, device, cache or default_cache(), bars)
        chosen = work.extractor(extractor, None if weights is None else str(weights))
    _ask_for_classes(sample, data)
    ours = np.arange(sample.count) if sample.drawn else _chosen(np.arange(sample.count), asked)
    judged, reference = work.features(sample, ours, chosen), work.features(data, rows, chosen)
    if not _same_classes(sample, data):
        judged = replace(judged, labels=None)  # of other classes than the data's
    seen = Comparison(
        judged, reference, own_classes=_learns_from_labels(chosen), asked=judged.labels is not None, k=named.k
    )
    other, beside, training = _real_ones(work, place, seen, chosen)
    of_generator = _OfGenerator(work, sample.generator, chosen) if isinstance(sample, DrawnImages) else None
    seen = replace(seen, training=training, generator=of_generator)
    figures, missing = _figures(seen, beside, chosen, wanted, named.metrics, intervals)
    made = Protocol(
        extractor=chosen.describe(),
        reference=Reference(data=work.fingerprint(data), source=data.name, split=place, images=len(rows)),
        samples=len(ours),
        parameters=seen.parameters._asdict(),
    )
    notes = [
        *references_notes,
        *_of_protocol(protocol, named, len(ours), len(rows), place),
        *sample.notes,
        *data.notes,
        *_of_real(other, place, len(beside.sample), len(beside.reference)),
        *_of_copies(work, sample, data, ours, rows),
        *_of_numbers(seen, figures),
        *_of_extractor(chosen, work.reason),
        *missing,
    ]
    shown = work.pictures(sample, ours), work.pictures(data, rows)
    return Evaluation(protocol, made, figures, notes, *shown)


@contextmanager
def _in_the_users_words() -> Iterator[None]:
    """Errors that name settings of a recipe, by the names that they have here."""
    try:
        yield
    except RequestError as error:
        text = str(error)
        for setting, ours in _WORDS.items():
            text = text.replace(setting, ours)
        raise RequestError(text) from None


_WORDS = {
    "pass --set evaluation.inception_weights=PATH": "pass --weights PATH",
    "evaluation.inception_weights": "--weights",
    "set evaluation.extractor to": "--extractor",
    "evaluation.extractor": "--extractor",
}


def _metrics(names: Sequence[str] | None) -> tuple[str, ...]:
    """Records by their names or published names; RequestError for one that there is not."""
    published = {metric.published: name for name, metric in METRICS.items() if metric.published}
    for name in names or ():
        if name not in METRICS and name not in published:
            raise unknown_name("metric", name, (*METRICS, *published))
    return tuple(dict.fromkeys(published.get(name, name) for name in names or ()))


def _chosen(rows: np.ndarray, at_most: int | None) -> np.ndarray:
    """The first of them in `representative_order`."""
    ordered = rows[representative_order(len(rows)).numpy()]
    return ordered if at_most is None else ordered[:at_most]


def _reference(data: ImageSet, named: NamedProtocol) -> tuple[str, np.ndarray, list[str]]:
    """The split to compare with, its images and what to say of it; RequestError where there are too few."""
    usable = {split: count for split, count in data.splits.items() if count >= 2}
    if not usable:
        raise RequestError(
            f"{data.name} holds {data.count} image{'s' * (data.count != 1)} to compare with: at least 2 are needed, "
            "and most figures mean something from thousands on"
        )
    if set(usable) == {WHOLE}:
        return WHOLE, _chosen(data.rows_of(WHOLE), named.references), []
    place = next(split for split in (named.reference, "test", "validation", "train", WHOLE) if split in usable)
    notes = []
    if place != named.reference:
        notes.append(f"{data.name} has no {named.reference} split: the reference is its {place} split.")
    return place, _chosen(data.rows_of(place), named.references), notes


def _other_split(data: ImageSet, place: str) -> tuple[str | None, np.ndarray]:
    """Real images to judge in the sample's place: another split, training images first; None where there is none."""
    usable = {split for split, count in data.splits.items() if count >= 2} - {place, WHOLE}
    other = next((split for split in ("train", "test", "validation") if split in usable), None)
    return other, np.empty(0, np.int64) if other is None else data.rows_of(other)


def _real_ones(
    work: _Work, place: str, seen: Comparison, extractor: FeatureExtractor
) -> tuple[str | None, Comparison, Extracted | None]:
    """Real images in the sample's place: of which split, compared with what, and training images to look for copies in.

    They are of another split, against the same reference; else one half of the reference against the other.
    """
    asked = work.data.labels is not None
    other, rows = _other_split(work.data, place)
    if other is None:
        half = len(seen.reference) // 2
        first, second = seen.reference.rows(slice(0, half)), seen.reference.rows(slice(half, None))
        return None, replace(seen, sample=first, reference=second, asked=asked), None
    # Copies are looked for among all training images, where that is quick.
    count = len(seen.sample)
    real = work.features(work.data, _chosen(rows, None if extractor.quick else count), extractor)
    beside = replace(seen, sample=real.part(0, count), asked=asked)
    return other, beside, real if other == "train" else None


def _check(sample: ImageSet, data: ImageSet, named: NamedProtocol) -> int:
    """Channels that both are read with; RequestError where the sets do not compare."""
    if sample.count < 2:
        raise RequestError(
            f"{sample.name} holds {sample.count} image{'s' * (sample.count != 1)}: figures need at least 2, and most "
            "mean something from thousands on"
        )
    if sample.colour != data.colour:
        grey, coloured = (data, sample) if sample.colour else (sample, data)
        raise RequestError(
            f"{grey.name} is grey throughout and {coloured.name} has colours: a figure would measure little else; "
            "compare grey with grey"
        )
    if not named.any_size:
        for images in (sample, data):
            if len(images.sizes) > 1:
                (one, first), (two, second) = list(images.sizes.items())[:2]
                raise RequestError(
                    f"images of {images.name} are of {len(images.sizes)} sizes ({first} {_size(one)}, {second} "
                    f"{_size(two)}): make them equal, or name a protocol that resizes each by itself, such as clean-fid"
                )
        ours, theirs = (next(iter(images.sizes)) for images in (sample, data))
        if ours != theirs:
            raise RequestError(
                f"images of {sample.name} are {_size(ours)} and those of {data.name} {_size(theirs)}: make them equal, "
                "or name a protocol that resizes each by itself, such as clean-fid"
            )
    return max(sample.channels, data.channels)


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _same_classes(sample: ImageSet, data: ImageSet) -> bool:
    return bool(sample.class_names) and sample.class_names == data.class_names and sample.labels is not None


def _ask_for_classes(sample: ImageSet, data: ImageSet) -> None:
    """Of a generator of the data's classes, as many images of each as there are of it."""
    if isinstance(sample, DrawnImages) and sample.class_names and sample.class_names == data.class_names:
        sample.ask_for(proportional_labels(described(data, 1, 1, 1), sample.count, sample.seed))


def _learns_from_labels(extractor: FeatureExtractor) -> bool:
    return (known := EXTRACTORS.get(extractor.name)) is not None and known.needs_labels


class _OfGenerator:
    """See `gan_models.metrics.metric.OfGenerator`."""

    def __init__(self, work: _Work, generator: LoadedGenerator, extractor: FeatureExtractor) -> None:
        self.work, self.generator, self.extractor = work, generator, extractor

    @cached_property
    def path_length(self) -> Score:
        found = path_length(self.generator, FeatureDistance(self.extractor), seed=_SEED)
        return Score(found.value, found.std)

    @cached_property
    def accuracy(self) -> ClassificationAccuracy:
        work = self.work
        height, width = next(iter(work.data.sizes))
        with tempfile.TemporaryDirectory(prefix="gan-evaluate-") as scratch:
            table = work.table(Path(scratch), height, width)
            return classification_accuracy(table, self.generator, seed=_SEED, bars=work.bars)


class _Work:
    """Features, with what they are kept under."""

    def __init__(
        self, data: ImageSet, channels: int, named: NamedProtocol, device: torch.device, cache: Path, bars: Bars
    ) -> None:
        self.data, self.channels, self.named = data, channels, named
        self.device, self.cache, self.bars = device, cache, bars
        self.reason = "as given"

    def extractor(self, wanted: str | FeatureExtractor | None, weights: str | None) -> FeatureExtractor:
        """Loaded; RequestError where it does not fit the data, or lacks packages or weights."""
        if isinstance(wanted, FeatureExtractor):
            return wanted
        named = self.named
        height, width = next(iter(self.data.sizes))
        metadata = described(self.data, height, width, self.channels)
        requested = wanted or named.extractor
        kind, file = named_extractor(requested)
        if file is None and kind in EXTRACTORS and EXTRACTORS[kind].takes_file:
            if weights is None:
                raise RequestError(
                    f"the extractor {kind} needs its weights, which no package brings: pass --weights PATH"
                )
            requested, weights = f"{kind}:{weights}", None
        choice = choose_extractor(requested, metadata)
        known = EXTRACTORS[choice.name]
        if weights is not None and not known.takes_weights:
            takers = " or ".join(name for name, each in EXTRACTORS.items() if each.takes_weights or each.takes_file)
            raise RequestError(f"--weights is for {takers}, and images are judged by {choice.name}: leave it out")
        self.reason = choice.reason if named.extractor == "auto" or wanted else "the protocol's"
        preprocessing = named.preprocessing if choice.name == named.extractor else ""
        with tempfile.TemporaryDirectory(prefix="gan-evaluate-") as scratch:
            folder = Path(scratch)
            table = self.table(folder, height, width) if known.needs_labels else ImageTable(folder, metadata)
            return known.load(Setting(table, self.cache, choice.file or weights, self.device, self.bars, preprocessing))

    def table(self, folder: Path, height: int, width: int) -> ImageTable:
        """The data as a classifier is trained on it: all, or a random choice of what memory holds."""
        data = self.data
        if len(data.sizes) > 1:
            raise RequestError(f"a classifier can't be trained on {data.name}: its images are of different sizes")
        at_most = max(2, _CLASSIFIER_BYTES // (height * width * self.channels))
        rows = np.sort(_chosen(np.arange(data.count), at_most))
        splits = np.full(data.count, "train", object)
        if set(data.splits) == {WHOLE}:
            places = np.ascontiguousarray(data.digests[:, :8]).view("<u8")[:, 0]
            shares = {"validation": 0.0, "test": _HELD_OUT}
            splits[:] = assign_splits(places, [None] * data.count, frozenset(), shares, 0)
        for split in data.splits:
            if split != WHOLE:
                splits[data.rows_of(split)] = split
        labels = data.labels
        assert labels is not None
        done = 0
        writer = TableWriter(folder, height, width, self.channels)
        for images in data.read(rows, self.channels):
            part = rows[done : done + len(images)]
            done += len(images)
            known = labels[part] >= 0
            part = part[known]
            writer.append(images[known], labels[part].tolist(), splits[part].tolist(), [""] * len(part))
        writer.close(data.class_names, data.name, {})
        return ImageTable.open(folder)

    def fingerprint(self, images: ImageSet) -> str:
        """Of all that was read of a set."""
        if isinstance(images, StoredImages):
            return images.fingerprint
        return hashlib.sha256(images.digests.tobytes()).hexdigest()

    def digests(self, images: ImageSet, rows: np.ndarray) -> np.ndarray:
        """uint8 [N, 16], of images whose features are there."""
        return images.digests if images.drawn else images.digests[rows]

    def features(self, images: ImageSet, rows: np.ndarray, extractor: FeatureExtractor) -> Extracted:
        """Of these images, in this order; those that are stored from the cache where possible."""
        order = np.argsort(rows)
        ascending = rows[order]
        if images.drawn:
            made = self._extract(images, ascending, extractor)
        else:
            key = {
                "images": hashlib.sha256(images.digests[ascending].tobytes()).hexdigest(),
                "channels": self.channels,
                "extractor": extractor.describe(),
                "device": extractor.device.type,
                "torch": torch.__version__,
            }
            made = cached_tensors(self.cache / "features", key, lambda: self._extract(images, ascending, extractor))
        back = torch.from_numpy(np.argsort(order))
        labels = None if images.labels is None else torch.from_numpy(images.labels[rows].astype(np.int64))
        logits = made.get("logits")
        features = made["features"]
        if not torch.isfinite(features).all():
            raise RunError(
                f"{extractor.name} gave features of images of {images.name} that are no numbers: are its weights whole?"
            )
        if labels is not None and bool((labels < 0).any()):
            labels = None
        return Extracted(
            features[back],
            None if logits is None else logits[back],
            labels,
            load=lambda: torch.from_numpy(np.concatenate([*images.read(ascending, self.channels)]))[back],
        )

    def _extract(self, images: ImageSet, rows: np.ndarray, extractor: FeatureExtractor) -> dict[str, Tensor]:
        features, logits = [], []
        digests: list[bytes] = []
        with self.bars(f"features of {images.name}", len(rows)) as bar:
            for batch in _joined(images.read(rows, self.channels), extractor.batch):
                if images.drawn:
                    digests += map(digest_of, batch)
                found = extractor.features_and_logits(torch.from_numpy(batch))
                features.append(found.features)
                if found.logits is not None:
                    logits.append(found.logits)
                bar.advance(len(batch))
        if images.drawn:
            images.digests = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_BYTES)
        return {"features": torch.cat(features)} | ({"logits": torch.cat(logits)} if logits else {})

    def pictures(self, images: ImageSet, rows: np.ndarray) -> Tensor:
        """The first few of these images, of the size of the first, uint8 [N, H, W, C]."""
        first: list[np.ndarray] = []
        for batch in images.read(np.sort(rows[:SHOWN]), self.channels):
            if not first or batch.shape[1:] == first[0].shape[1:]:
                first.append(batch)
        return torch.from_numpy(np.concatenate(first))


def _joined(batches: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Batches of the extractor's size, as far as images are of one size."""
    held: list[np.ndarray] = []
    for batch in batches:
        if held and held[0].shape[1:] != batch.shape[1:]:
            yield np.concatenate(held)
            held = []
        held.append(batch)
        if sum(map(len, held)) >= size:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def _figures(
    seen: Comparison,
    beside: Comparison,
    extractor: FeatureExtractor,
    asked: Sequence[str],
    names: Sequence[str],
    wanted: bool | None,
) -> tuple[dict[str, Figure], list[str]]:
    """By key, and why there are none of what was asked for."""
    work = len(seen.sample) * len(seen.reference) * seen.sample.features.shape[1]
    with_intervals = work <= _QUICK if wanted is None else wanted
    figures, missing = {}, []
    for name in asked or names or [each for each, metric in METRICS.items() if not metric.only_named]:
        metric = METRICS[name]
        found = metric.of(seen)
        if found is None:
            missing += _why_none(name, metric, seen, name in asked)
            continue
        real = {"training": beside, "reference": replace(seen, sample=seen.reference), "nothing": None}[metric.beside]
        theirs = None if real is None else metric.of(real)
        around = _interval(metric, seen) if with_intervals else None
        figures[metric_key(name, extractor.name)] = _figure(name, found, theirs, around, len(seen.sample))
    if wanted is None and not with_intervals:
        missing.append("Intervals are left out, which take long for so many images: --intervals asks for them.")
    if not figures:
        raise RequestError(f"no figure can be computed: {' '.join(missing) or 'none applies'}")
    return figures, missing


def _figure(name: str, found: Score, real: Score | None, around: tuple[float, float] | None, count: int) -> Figure:
    return Figure(name, found.value, found.std, around, count, None if real is None else real.value)


def _interval(metric: Metric, seen: Comparison) -> tuple[float, float] | None:
    """None of memorisation (half of the training images would make another figure), of what is asked of the generator
    itself, and of too few images.
    """
    if {"training", "generator"}.intersection(metric.needs):
        return None
    try:
        found = interval(metric, seen, seed=seen.seed, resamples=_HALF_SAMPLES)
    except ValueError:
        return None
    return (max(found.low, 0.0), min(found.high, 1.0)) if metric.is_share else (found.low, found.high)


def _why_none(name: str, metric: Metric, seen: Comparison, asked: bool) -> list[str]:
    """Nothing of a metric that is not of such images, unless it was asked for."""
    lacking = [_LACKING[need] for need in metric.needs if need not in seen.has]
    if lacking:
        return [f"No {name}: it needs {' and '.join(lacking)}."] if asked else []
    if not metric.applies(seen):
        return [f"No {name}: it means something from {metric.least} images on either side."]
    return [f"No {name}: {len(seen.sample)} images against {len(seen.reference)} do not allow it."]


_LACKING = {
    "reference": "a reference",
    "logits": "class logits",
    "classes": "a classifier of the data's classes",
    "labels": "labels",
    "asked": "classes that were asked for",
    "domains": "domains",
    "training": "a train split beside the reference",
    "generator": "a generator as SAMPLES",
}


def _of_protocol(name: str, named: NamedProtocol, samples: int, references: int, place: str) -> Iterator[str]:
    if name == "project":
        return
    short = [
        f"{count} {what} and not {asked}"
        for what, count, asked in (("samples", samples, named.samples), ("references", references, named.references))
        if asked is not None and count < asked
    ]
    if place != named.reference and named.reference != WHOLE:
        short.append(f"the reference is {place} and not {named.reference}")
    yield f"Protocol {name}: {named.note}."
    if short:
        yield f"These are not the figures of {name}, but of its features: {', '.join(short)}."


def _of_real(other: str | None, place: str, count: int, references: int) -> Iterator[str]:
    if other is None:
        yield (
            f"Real images beside the figures: one half of the data ({count} images) against the other ({references}), "
            "so fewer than the figures are of, by which FD comes out larger."
        )
    else:
        yield f"Real images beside the figures: {count} of the {other} split against the same {references} of {place}."


def _of_copies(work: _Work, sample: ImageSet, data: ImageSet, ours: np.ndarray, rows: np.ndarray) -> Iterator[str]:
    """What of the sample is in the reference pixel by pixel."""
    mine, theirs = (
        [row.tobytes() for row in work.digests(images, chosen)] for images, chosen in ((sample, ours), (data, rows))
    )
    if sorted(mine) == sorted(theirs):
        yield f"{sample.name} and the reference hold the same images: the figures say nothing of a generator."
        return
    everywhere = theirs if data.drawn else [row.tobytes() for row in data.digests]
    for known, what in ((set(theirs), "the reference"), (set(everywhere), data.name)):
        copies = sum(each in known for each in mine)
        if copies > _COPIES * len(mine):
            yield f"{copies} of {len(mine)} images of {sample.name} equal images of {what} pixel by pixel."
            break
    repeated = len(mine) - len(set(mine))
    if repeated > _COPIES * len(mine):
        yield f"{repeated} of {len(mine)} images of {sample.name} equal others of it pixel by pixel."


def _of_numbers(seen: Comparison, figures: dict[str, Figure]) -> Iterator[str]:
    count, references = len(seen.sample), len(seen.reference)
    computed = {figure.metric for figure in figures.values()}
    if "FD" in computed and min(count, references) < _PLENTY:
        yield (
            f"FD is biased upwards when images are few, and here it sees {count} against {references}: read it beside "
            "the real images' figure, never against one at another N. KID is unbiased."
        )
    if "IS" in computed and (splits := seen.parameters.is_splits) < IS_SPLITS:
        yield (
            f"The Inception Score is over {splits} split{'s' * (splits > 1)}, not {IS_SPLITS}: one of fewer than "
            f"{IS_SPLIT_IMAGES} images scores too low."
        )


def _of_extractor(extractor: FeatureExtractor, reason: str) -> Iterator[str]:
    known = EXTRACTORS.get(extractor.name)
    accuracy = extractor.describe().get("accuracy") or {}
    shares = ", ".join(f"{100 * value:.1f} % right on {split}" for split, value in accuracy.items())
    yield f"Images are judged by {extractor.name}: {reason}{f' ({shares})' if shares else ''}."
    if known is None or not known.published:
        yield f"Features of {extractor.name} do not compare with published FID, KID and IS."
    if known is not None and known.note:
        yield known.note
