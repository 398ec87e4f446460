"""The kind `torchvision:<Class>`: data sets of torchvision.datasets, downloaded by it into the cache folder.

How each is told which split to give is a table, not introspection: a misspelt name must be answered without importing
torch, and the values that `split=` takes differ from class to class.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gan_models.data.sources.base import SPLIT_NAMES, Batch, RowSource, Source, SourceKind, SourceName, carrying
from gan_models.errors import RequestError, RunError
from gan_models.metrics.locations import default_cache

if TYPE_CHECKING:
    from gan_models.data.decoding import Item


@dataclass(frozen=True)
class Arrangement:
    """How to construct a data set: once for each entry of `splits`, with that value for the argument `argument`."""

    argument: str = ""
    splits: Mapping[str, Any] = field(default_factory=dict)
    """Our split name -> the data set's; empty when it comes undivided."""
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()  # class names, where the data set does not tell them
    labelled: bool = True


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))


def _flag(**more: Any) -> Arrangement:
    return Arrangement("train", {"train": True, "test": False}, **more)


def _split(*names: str, **more: Any) -> Arrangement:
    """`train`, then what is a validation set by its name, then `test`."""
    return Arrangement("split", {SPLIT_NAMES.get(name, "train"): name for name in names}, **more)


_ARRANGEMENTS: dict[str, Arrangement] = {
    **dict.fromkeys(("CIFAR10", "CIFAR100", "FashionMNIST", "KMNIST", "MNIST", "QMNIST"), _flag()),
    **dict.fromkeys(("Caltech101", "Caltech256", "EuroSAT", "FakeData", "Omniglot", "SUN397"), Arrangement()),
    **dict.fromkeys(("Food101", "LFWPeople", "STL10", "StanfordCars"), _split("train", "test")),
    **dict.fromkeys(("ImageNet", "Imagenette"), _split("train", "val")),
    **dict.fromkeys(("DTD", "FGVCAircraft", "Flowers102", "RenderedSST2"), _split("train", "val", "test")),
    "CLEVRClassification": _split("train", "val"),  # its test images have no labels
    "CelebA": _split("train", "valid", "test", options={"target_type": []}, labelled=False),
    "Country211": _split("train", "valid", "test"),
    "EMNIST": _flag(options={"split": "balanced"}),
    "FER2013": _split("train", "test", classes=("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")),
    "GTSRB": _split("train", "test", classes=_numbers(43)),
    "INaturalist": Arrangement("version", {"train": "2021_train_mini", "validation": "2021_valid"}),
    "LSUN": Arrangement("classes", {"train": "train", "validation": "val"}),
    "OxfordIIITPet": _split("trainval", "test"),
    "PCAM": _split("train", "val", "test", classes=("normal", "tumour")),
    "Places365": _split("train-standard", "val", options={"small": True}),
    "SEMEION": Arrangement(classes=_numbers(10)),
    "SVHN": _split("train", "test", classes=_numbers(10)),
    "USPS": _flag(classes=_numbers(10)),
}
CATALOGUE = dict(sorted(_ARRANGEMENTS.items()))


class TorchvisionSource(RowSource):
    """A data set class of torchvision, with the splits that its constructor offers.

    Raises:
        RequestError: this torchvision has no such class, or the files must be fetched by hand and are not there.
        RunError: the download failed.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        arrangement = CATALOGUE[name]
        splits: list[tuple[str | None, Any]] = [*arrangement.splits.items()] or [(None, None)]
        self._parts = [(split, _construct(name, arrangement, value)) for split, value in splits]
        self.total = sum(len(part) for _, part in self._parts)
        self.given_splits = frozenset(arrangement.splits)
        self.class_names = _class_names(arrangement, [part for _, part in self._parts])
        # FakeData sets torch's global random state for every image: not from two threads at once.
        self._one_at_a_time = threading.Lock() if name == "FakeData" else nullcontext()

    def batch(self, rows: Sequence[int]) -> Batch:
        places = [self._place(row) for row in rows]

        def fill(batch: Batch) -> None:
            for _, part, row in places:
                item, label = self._fetch(part, row)
                batch.items.append(item)
                batch.labels.append(label)

        return Batch(
            items=[],
            paths=[f"{self._name}/{split}/{row}" if split else f"{self._name}/{row}" for split, _, row in places],
            labels=[],
            splits=[split for split, _, _ in places],
            fill=fill,
        )

    def _place(self, row: int) -> tuple[str | None, Any, int]:
        """(split, data set, position in it) of a row of the whole."""
        for split, part in self._parts:
            if row < len(part):
                return split, part, row
            row -= len(part)
        raise IndexError(row)

    def _fetch(self, part: Any, row: int) -> tuple[Item, int | None]:
        from PIL import Image

        from gan_models.data.decoding import BadImageError, reason_of

        try:
            with self._one_at_a_time:
                image, target = part[row]
        except Exception as error:  # a damaged file: whatever its decoder raises
            return BadImageError(reason_of(error)), None
        if not isinstance(image, Image.Image):
            return BadImageError(f"torchvision gave {type(image).__name__}, not an image"), None
        label = int(target) if self.class_names and target is not None else None
        return image, label if label is not None and 0 <= label < len(self.class_names) else None


def _construct(name: str, arrangement: Arrangement, value: Any) -> Any:
    """One split of a data set, downloaded when it is not in the cache."""
    from filelock import FileLock
    from torchvision import datasets

    kind = getattr(datasets, name, None)
    if kind is None:
        raise RequestError(f"torchvision:{name}: the installed torchvision has no such data set; upgrade it")
    options = dict(arrangement.options)
    if arrangement.argument:
        options[arrangement.argument] = value
    if name == "FakeData":
        return kind(**options)
    root = default_cache() / "torchvision"
    root.mkdir(parents=True, exist_ok=True)
    # EMNIST and QMNIST pass `download` on without naming it.
    known = inspect.signature(kind).parameters
    downloads = "download" in known or any(known[each].kind is inspect.Parameter.VAR_KEYWORD for each in known)
    if downloads and name != "ImageNet":
        options["download"] = True
    try:
        with FileLock(root / f".{name}.lock"):  # two runs must not unpack into the same place at once
            return kind(root=str(root), **options)
    except ImportError as error:
        raise RequestError(f"torchvision:{name} needs another package: {error}") from error
    except (OSError, RuntimeError, ValueError) as error:  # urllib's errors are OSErrors
        reason = " ".join(str(error).split())
        raise RunError(
            f"torchvision:{name} could not be downloaded or read ({reason}): check the network, or put the files that "
            f"torchvision.datasets.{name} reads into {root}"
        ) from error


def _class_names(arrangement: Arrangement, parts: list[Any]) -> tuple[str, ...]:
    """Class names from the catalogue or from whichever attribute the data set tells them by."""
    if not arrangement.labelled:
        return ()
    first = parts[0]
    names = arrangement.classes or getattr(first, "classes", None) or getattr(first, "categories", None)
    if names:
        return tuple(name if isinstance(name, str) else str(name[0]) for name in names)
    by_name = getattr(first, "class_to_idx", None)
    if by_name:
        return tuple(str(name) for name, _ in sorted(by_name.items(), key=lambda entry: entry[1]))
    if getattr(first, "num_classes", None):
        return tuple(map(str, range(first.num_classes)))
    return tuple(map(str, range(1 + max(_labels_of(part) for part in parts))))


def _labels_of(part: Any) -> int:
    """The largest label of a data set that does not name its classes."""
    for attribute in ("targets", "labels", "_labels", "y"):
        labels = getattr(part, attribute, None)
        if labels is not None and len(labels):
            return max(int(label) for label in labels)
    return max(int(part[row][1]) for row in range(len(part)))


class _Torchvision(SourceKind):
    rest = "Class"
    names = CATALOGUE
    packages = ("torchvision",)
    needs_network = True

    def carries(self, name: SourceName) -> frozenset[str]:
        return carrying(CATALOGUE[name.rest].labelled)

    def open(self, name: SourceName) -> Source:
        return TorchvisionSource(name.rest)


TORCHVISION = _Torchvision()
