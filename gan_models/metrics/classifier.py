"""A small classifier trained on the data set's own labels (or domains, attributes), as an extractor of features.

For digits, glyphs and other images that ImageNet knows nothing of, figures on MNIST have always been measured so. It
sees the train split only; its accuracy on the other splits is part of its description. Training is a pure function of
the data and this file (on one machine, with one number of threads), so the result is cached under both.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_models.data.shape import Size
from gan_models.data.table import AnySplit, ImageTable, MappedRows, opaque, to_float
from gan_models.errors import RequestError
from gan_models.metrics.cache import Tensors, cached_tensors
from gan_models.metrics.extraction import Bars, FeatureExtractor, fold_batch_norm, silent

Question = Literal["labels", "domains", "attributes"]  # what of an image the classifier names

FEATURES = 128
_WIDTHS = (16, 32, 48, 48, FEATURES)
_MAX_SIZE = 64  # larger images are averaged down to this
_BATCH = 64
_EPOCHS = 9.6
_MIN_STEPS, _MAX_STEPS = 200, 2000
_LEARNING_RATE = 8e-3
_WEIGHT_DECAY = 0.1
_SHIFT = 16  # images move by up to a 16th of their side: the only augmentation that holds for any kind of image
_SEED = 0
_TOGETHER = 512
_HELD_OUT = ("validation", "test")


class ClassifierNetwork(nn.Module):
    """Five 3x3 convolutions with batch norm, averaged over the image: 96k parameters for ten classes."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        # Tiny images keep their resolution for one layer more.
        strides = (2 if size > 16 else 1, 1 if size > 16 else 2, 2, 1, 2)
        blocks: list[nn.Module] = []
        for width, stride in zip(_WIDTHS, strides, strict=True):
            conv = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
            blocks.append(nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU()))
            channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, 128] and logits [B, K] of images [B, C, H, W] in [-1, 1]."""
        features = self.blocks(images).mean(dim=(2, 3))
        return features, self.head(features)


class Classifier(FeatureExtractor):
    """The extractor `classifier`: 128 features, logits over the data set's classes."""

    name = "classifier"
    quick = True
    batch = 512

    def __init__(self, weights: Tensors, shape: tuple[int, int, int], classes: int, device: torch.device | str) -> None:
        """A trained network from its state dict; `shape` is (C, H, W) of the images it was trained on."""
        state = {key: value for key, value in weights.items() if not key.startswith("accuracy.")}
        self.accuracy = {
            split: float(weights[f"accuracy.{split}"]) for split in _HELD_OUT if f"accuracy.{split}" in weights
        }
        channels, size = min(shape[0], 3), Size.of(shape)
        details = {
            "weights_sha256": _digest(state),
            "features": FEATURES,
            "input": [channels, *size],
            "resize": f"area, to {_seen(size).across}" if size != _seen(size) else "none",
            "trained_on": "train split",
            "accuracy": self.accuracy,
        }
        super().__init__(details, device)
        with torch.device("meta"):  # no random weights, and none of the caller's random numbers
            network = ClassifierNetwork(channels, _seen(size).shorter, classes)
        network.load_state_dict(state, assign=True)
        for block in network.eval().blocks:
            fold_batch_norm(block, "0", "1")
        self._network = network.requires_grad_(False).to(self.device).to(memory_format=torch.channels_last)

    @classmethod
    def for_table(
        cls,
        table: ImageTable,
        *,
        cache: Path,
        device: torch.device | str = "cpu",
        bars: Bars = silent,
        of: Question = "labels",
    ) -> Classifier:
        """Of a data set, from the cache or trained now (seconds on two cores); RequestError for under two classes."""
        metadata = table.metadata
        kind, answers, in_use = "classes", metadata.num_classes, metadata.classes_in_use
        if of == "domains":
            kind, answers, in_use = "domains", len(metadata.domain_names), len(metadata.domain_names)
        if of == "attributes":  # each is a question of its own with two answers
            answers = len(metadata.attribute_names)
            kind, in_use = "answers", 2 if answers else 0
        if in_use < 2:
            raise RequestError(f"a classifier can't be trained on {metadata.source}: it has no {of} of two {kind}")
        key = {"data": metadata.fingerprint, "code": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(), "of": of}
        weights = cached_tensors(cache, key, lambda: _trained(table, torch.device(device), bars, of, answers))
        return cls(weights, metadata.image_shape, answers, device)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self._network(_network_input(images))
        return features, logits


def _trained(table: ImageTable, device: torch.device, bars: Bars, of: Question, answers: int) -> Tensors:
    """State dict of a network trained on the train split, and its accuracy on the others."""
    split = _with_answers(table.fitting("train", device, shortened=True), of)
    network = trained_network(split.images, _answers(split, of), answers, bars, f"training the classifier of {of}")
    weights = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    for name in _HELD_OUT:
        if table.metadata.count(name):
            other = _with_answers(table.fitting(name, device, shortened=True), of)
            if not len(other):
                continue
            weights[f"accuracy.{name}"] = torch.tensor(accuracy(network, other.images, _answers(other, of)))
    return weights


def trained_network(
    images: Tensor | MappedRows, labels: Tensor, classes: int, bars: Bars = silent, title: str = "training a classifier"
) -> ClassifierNetwork:
    """A network trained on labelled images, in evaluation mode: `training_steps` steps, always the same ones.

    Args:
        images: uint8 [N, H, W, C], on the device to train on.
        labels: int64 [N] on the same device, below `classes`; or float [N, classes], 1 for each thing that is so.
    """
    device, steps = images.device, training_steps(len(images))
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.random.fork_rng(devices=[]), flags, bars(title, steps) as bar:
        torch.manual_seed(_SEED)
        size = _seen(Size(*images.shape[1:3])).shorter
        network = ClassifierNetwork(min(images.shape[3], 3), size, classes)
        network.to(device).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps, pct_start=0.2)
        reach = -(-size // _SHIFT)
        offsets: list[list[int]] = torch.randint(0, 2 * reach + 1, (steps, 2)).tolist()
        for index, offset in zip(_order(len(images), steps), offsets, strict=True):
            part = _shifted(_network_input(images[index.to(device)]), reach, *offset)
            _, logits = network(part)
            named = labels[index.to(device)]
            loss = F.cross_entropy(logits, named) if named.dim() == 1 else _independent(logits, named)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            bar.advance()
    return network.eval()


def _with_answers(split: AnySplit, of: Question) -> AnySplit:
    return split.labelled() if of == "labels" else split


def _answers(split: AnySplit, of: Question) -> Tensor:
    """int64 [N], or float [N, A] of attributes: what the classifier is to say of each image."""
    answers: Tensor | None = getattr(split, of)
    assert answers is not None
    return answers.float() if of == "attributes" else answers


def _independent(logits: Tensor, named: Tensor) -> Tensor:
    """The loss of questions with two answers each, float [B, A]."""
    return F.binary_cross_entropy_with_logits(logits, named)


def training_steps(images: int) -> int:
    """Steps of training for a train split of so many images: about ten epochs, within bounds."""
    return min(max(round(_EPOCHS * images / _BATCH), _MIN_STEPS), _MAX_STEPS)


def _order(images: int, steps: int) -> Tensor:
    """Indices int64 [steps, B], epoch after epoch."""
    epochs = -(-steps * _BATCH // images)
    return torch.cat([torch.randperm(images) for _ in range(epochs)])[: steps * _BATCH].view(steps, _BATCH)


def _shifted(images: Tensor, reach: int, down: int, right: int) -> Tensor:
    """Images [B, C, H, W] moved by up to `reach` pixels, the rim repeated."""
    height, width = images.shape[2:]
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    return padded[:, :, down : down + height, right : right + width].contiguous(memory_format=torch.channels_last)


def _seen(size: Size) -> Size:
    """What images of a size are shrunk to."""
    return size if size.shorter <= _MAX_SIZE else size.with_shorter(_MAX_SIZE)


def _network_input(images: Tensor) -> Tensor:
    """uint8 [B, H, W, C] as [B, C, H', W'] in [-1, 1], channels_last."""
    scaled = to_float(opaque(images))
    size = Size(*scaled.shape[2:])
    return scaled if _seen(size) == size else F.interpolate(scaled, size=tuple(_seen(size)), mode="area")


@torch.inference_mode()
def accuracy(network: nn.Module, images: Tensor | MappedRows, labels: Tensor) -> float:
    """Share of uint8 [N, H, W, C] images that a network names as `labels` int64 [N] do; all on its device.

    Of attributes, float [N, A]: the share of all answers that are right.
    """
    right = 0
    for start in range(0, len(images), _TOGETHER):
        named = labels[start : start + _TOGETHER]
        logits = network(_network_input(images[start : start + _TOGETHER]))[1]
        said = logits.argmax(dim=1) if named.dim() == 1 else logits > 0
        right += int((said == named).sum())
    return right / labels.numel()


def _digest(state: Tensors) -> str:
    whole = hashlib.sha256()
    for name in sorted(state):
        whole.update(name.encode())
        whole.update(state[name].contiguous().numpy().tobytes())
    return whole.hexdigest()
