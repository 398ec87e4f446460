"""What a feature extractor is, and how to get one by name.

An extractor maps images to features, on which distances mean something, and to the logits of a classifier. Figures
of different extractors can't be compared, nor can those of one extractor with different preprocessing or weights:
`describe` says all of it, goes into every report, and keys every cache.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gan_models.errors import unknown_name
from gan_models.metrics.choice import EXTRACTORS, check_extractor
from gan_models.metrics.frechet import Gaussian

if TYPE_CHECKING:
    from gan_models.data.table import ImageTable

Advance = Callable[[int], object]
"""Called with the number of images that were done since the last call."""


@dataclass(frozen=True)
class Extracted:
    """`features` float32 [N, D] and class `logits` float32 [N, K], on the CPU; `logits` None where there are none."""

    features: Tensor
    logits: Tensor | None

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def gaussian(self) -> Gaussian:
        """Fitted to the features, once."""
        return Gaussian.of(self.features)

    def part(self, start: int, stop: int) -> Extracted:
        """Of the images from `start` up to `stop`."""
        if start == 0 and stop >= len(self):
            return self
        return Extracted(self.features[start:stop], None if self.logits is None else self.logits[start:stop])


class FeatureExtractor(Protocol):
    """Images to features."""

    @property
    def name(self) -> str:
        """As it appears in the names of metrics."""

    @property
    def quick(self) -> bool:
        """Whether all images of a data set can be extracted in passing, without a GPU."""

    def describe(self) -> dict[str, Any]:
        """Everything the features depend on besides the images, as JSON values: weights, preprocessing, layer."""

    def features_and_logits(self, images: Tensor, advance: Advance | None = None) -> Extracted:
        """Features and logits of uint8 [N, H, W, C] images, C 1 or 3, in batches of its own choice."""


class Bar(Protocol):
    """A progress bar, as the stages show it."""

    def advance(self, n: int = 1, **figures: float | str) -> None: ...


Bars = Callable[[str, int], AbstractContextManager[Bar]]
"""Opens a progress bar for (description, total)."""


class _Silent:
    def advance(self, n: int = 1, **figures: float | str) -> None:
        pass


def silent(description: str, total: int) -> AbstractContextManager[Bar]:
    """`Bars` that show nothing."""
    return nullcontext(_Silent())


def load_extractor(
    name: str,
    table: ImageTable,
    *,
    cache: Path,
    inception_weights: str | None = None,
    device: torch.device | str = "cpu",
    bars: Bars = silent,
) -> FeatureExtractor:
    """The extractor called `name`, one of `choice.EXTRACTORS`, for the images of `table`.

    Args:
        cache: folder of what is made once (`locations.default_cache`): a trained classifier, downloaded weights.
        inception_weights: file of the 2015 Inception weights, in place of their download.

    Raises:
        RequestError: an unknown name, a package or weights that are missing, or labels that the data does not have.
    """
    check_extractor(name)
    # Each brings libraries of its own: only the one in use is imported.
    if name == "classifier":
        from gan_models.metrics.classifier import Classifier

        return Classifier.for_table(table, cache=cache / "classifiers", device=device, bars=bars)
    if name == "efficientnet-lite0":
        from gan_models.metrics.efficientnet import EfficientNetLite0

        return EfficientNetLite0(device=device)
    if name == "inception-2015":
        from gan_models.metrics.inception import Inception2015, inception_file

        return Inception2015(inception_file(inception_weights, cache / "weights"), device=device)
    raise unknown_name("extractor", name, EXTRACTORS)


def in_batches(
    images: Tensor, size: int, call: Callable[[Tensor], tuple[Tensor, Tensor | None]], advance: Advance | None
) -> Extracted:
    """Runs `call` on batches of uint8 [B, H, W, C] and joins its features and logits on the CPU."""
    features, logits = [], []
    with torch.inference_mode():
        for batch in torch.split(images, size):
            part_features, part_logits = call(batch)
            features.append(part_features.float().cpu())
            if part_logits is not None:
                logits.append(part_logits.float().cpu())
            if advance is not None:
                advance(len(batch))
    # Clones leave inference mode behind, so callers may use the tensors in any way.
    return Extracted(torch.cat(features).clone(), torch.cat(logits).clone() if logits else None)


def fold_batch_norm(module: nn.Module, conv: str, norm: str) -> None:
    """Folds the batch norm called `norm` into the convolution called `conv`: the same function, faster; to evaluate."""
    setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
    setattr(module, norm, nn.Identity())
