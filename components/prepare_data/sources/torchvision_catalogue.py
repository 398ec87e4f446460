"""The image-classification data sets of torchvision.datasets, and how each is told which split to give.

A table, not introspection: a misspelt name must be answered without importing torch, and the values that `split=`
takes differ from class to class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.prepare_data.sources.base import SPLIT_NAMES


@dataclass(frozen=True)
class Arrangement:
    """How to construct a data set: once for each entry of `splits`, with that value for the argument `argument`."""

    argument: str = ""
    splits: Mapping[str, Any] = field(default_factory=dict)
    """Our split name -> the data set's; empty when it comes undivided."""
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    """Class names, where the data set does not tell them."""
    labelled: bool = True


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))


def _flag(**more: Any) -> Arrangement:
    return Arrangement("train", {"train": True, "test": False}, **more)


def _split(*names: str, **more: Any) -> Arrangement:
    """`train`, then what is a validation set by its name, then `test`."""
    return Arrangement("split", {SPLIT_NAMES.get(name, "train"): name for name in names}, **more)


CATALOGUE: dict[str, Arrangement] = {
    "CIFAR10": _flag(),
    "CIFAR100": _flag(),
    "CLEVRClassification": _split("train", "val"),  # its test images have no labels
    "Caltech101": Arrangement(),
    "Caltech256": Arrangement(),
    "CelebA": _split("train", "valid", "test", options={"target_type": []}, labelled=False),
    "Country211": _split("train", "valid", "test"),
    "DTD": _split("train", "val", "test"),
    "EMNIST": _flag(options={"split": "balanced"}),
    "EuroSAT": Arrangement(),
    "FER2013": _split("train", "test", classes=("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")),
    "FGVCAircraft": _split("train", "val", "test"),
    "FakeData": Arrangement(),
    "FashionMNIST": _flag(),
    "Flowers102": _split("train", "val", "test"),
    "Food101": _split("train", "test"),
    "GTSRB": _split("train", "test", classes=_numbers(43)),
    "INaturalist": Arrangement("version", {"train": "2021_train_mini", "validation": "2021_valid"}),
    "ImageNet": _split("train", "val"),
    "Imagenette": _split("train", "val"),
    "KMNIST": _flag(),
    "LFWPeople": _split("train", "test"),
    "LSUN": Arrangement("classes", {"train": "train", "validation": "val"}),
    "MNIST": _flag(),
    "Omniglot": Arrangement(),
    "OxfordIIITPet": _split("trainval", "test"),
    "PCAM": _split("train", "val", "test", classes=("normal", "tumour")),
    "Places365": _split("train-standard", "val", options={"small": True}),
    "QMNIST": _flag(),
    "RenderedSST2": _split("train", "val", "test"),
    "SEMEION": Arrangement(classes=_numbers(10)),
    "STL10": _split("train", "test"),
    "SUN397": Arrangement(),
    "SVHN": _split("train", "test", classes=_numbers(10)),
    "StanfordCars": _split("train", "test"),
    "USPS": _flag(classes=_numbers(10)),
}
