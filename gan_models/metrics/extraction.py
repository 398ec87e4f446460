"""What a feature extractor is, and what every one needs.

An extractor maps images to features, on which distances mean something, and to the logits of a classifier. Figures
of different extractors can't be compared, nor can those of one extractor with different preprocessing or weights:
`describe` says all of it, goes into every report, and keys every cache.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gan_models.data.table import opaque
from gan_models.metrics.frechet import Gaussian

Advance = Callable[[int], object]
"""Called with the number of images that were done since the last call."""


@dataclass(frozen=True)
class Extracted:
    """What an extractor saw in N images, and what else is known of them; all on the CPU, None where there is none."""

    features: Tensor
    """float32 [N, D]."""
    logits: Tensor | None
    """float32 [N, K]."""
    labels: Tensor | None = None
    """int64 [N]: the images' own classes, or those that a generator was asked for."""
    load: Callable[[], Tensor] | None = None
    """Gets the images."""

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def images(self) -> Tensor:
        """uint8 [N, H, W, C]."""
        assert self.load is not None, "these features came without their images"
        return self.load()

    @cached_property
    def gaussian(self) -> Gaussian:
        """Fitted to the features, once."""
        return Gaussian.of(self.features)

    def part(self, start: int, stop: int) -> Extracted:
        """Of the images from `start` up to `stop`."""
        return self if start == 0 and stop >= len(self) else self.rows(slice(start, stop))

    def rows(self, which: slice | Tensor) -> Extracted:
        """Of these images, which may come more than once."""
        logits, labels = (None if one is None else one[which] for one in (self.logits, self.labels))
        load = None if self.load is None else lambda: self.images[which]
        return Extracted(self.features[which], logits, labels, load)


class FeatureExtractor(ABC):
    """Images to features, on `device`; `details` are what `describe` says besides the name."""

    name: str
    """As it appears in the names of metrics."""
    quick: ClassVar[bool] = False
    """Whether all images of a data set can be extracted in passing, without a GPU."""
    batch: ClassVar[int]
    takes_floats: ClassVar[bool] = True
    """Whether `forward` also takes images float32 from 0 to 255, which are not rounded to levels."""

    def __init__(self, details: dict[str, Any], device: torch.device | str) -> None:
        self.details = details
        self.device = torch.device(device)

    def describe(self) -> dict[str, Any]:
        """Everything the features depend on besides the images, as JSON values: weights, preprocessing, layer."""
        return {"name": self.name, **self.details}

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features [B, D] and logits [B, K] of uint8 [B, H, W, C] on the device."""

    def features_and_logits(self, images: Tensor, advance: Advance | None = None) -> Extracted:
        """Features and logits of uint8 [N, H, W, C] images, batch by batch; a fourth channel is seen on white."""
        features, logits = [], []
        with torch.inference_mode():
            for part in torch.split(images, self.batch):
                part_features, part_logits = self.forward(opaque(part.to(self.device)))
                features.append(part_features.float().cpu())
                if part_logits is not None:
                    logits.append(part_logits.float().cpu())
                if advance is not None:
                    advance(len(part))
        # Clones leave inference mode behind, so callers may use the tensors in any way.
        return Extracted(torch.cat(features).clone(), torch.cat(logits).clone() if logits else None)


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


def fold_batch_norm(module: nn.Module, conv: str, norm: str) -> None:
    """Folds the batch norm called `norm` into the convolution called `conv`: the same function, faster; to evaluate."""
    setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
    setattr(module, norm, nn.Identity())
