"""The figures of images that come batch by batch, on one process or several: `update`, `merge`, `compute`.

What each keeps of the images:

    FrechetDistance    a mean and a triangular factor for each side, D (D + 1) float64, however many images there are
    InceptionScore     the logits, K float32 for an image: its splits are drawn from all images
    KernelDistance     the features, D float32 for an image: its subsets are, too
    Neighbours         the features: a ball may reach to any of them
    Evaluation         what the figures asked for need, once for all of them

Neither the order of the images nor which process saw which changes a figure by more than rounding: before a split or a
subset is drawn, rows are sorted by their content. `merge` takes what another process saw, sent with pickle between
processes that trust each other (`multiprocessing`, `torch.distributed.gather_object`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gan_models.errors import unknown_name
from gan_models.metrics.extraction import Extracted
from gan_models.metrics.frechet import Gaussian, frechet_distance
from gan_models.metrics.inception_score import inception_score
from gan_models.metrics.kernel_distance import kernel_distance
from gan_models.metrics.matrices import Matrix, as_float64, as_floats
from gan_models.metrics.metric import Comparison, Parameters, Score
from gan_models.metrics.neighbours import Neighbourhoods, neighbourhoods
from gan_models.metrics.scores import METRICS

if TYPE_CHECKING:
    from gan_models.metrics.extraction import FeatureExtractor

_OF_FEATURES = ("KID", "precision", "recall", "density", "coverage", "FD-infinity", "MMD-rbf")
STREAMED = ("FD", "IS", *_OF_FEATURES)
"""The metrics that an `Evaluation` can be asked for."""
_ROWS_AT_A_TIME = 1024


class RunningGaussian:
    """Mean and covariance of features that come in parts, the covariance as a factor: see `frechet.Gaussian`.

    Two parts of n and m images with means a and b are one of which the scatter is the sum of theirs and of
    nm / (n + m) (a - b)(a - b)^T (Chan, Golub, LeVeque 1983, equation 2.1). Here the three are stacked as factors and
    made triangular again by QR, so nothing is squared and no digits cancel.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean = torch.empty(0, dtype=torch.float64)
        self._factor = torch.empty(0, 0, dtype=torch.float64)
        self._waiting: list[Tensor] = []

    def __len__(self) -> int:
        return self.count + sum(map(len, self._waiting))

    def update(self, features: Matrix) -> None:
        """Adds features [N, D]; ValueError for another D, or values that are not finite."""
        rows = as_float64(features)
        known = self._mean if self.count else self._waiting[0][0] if self._waiting else rows[0] if len(rows) else None
        if known is None:
            return
        if rows.shape[1] != len(known):
            raise ValueError(f"features of {rows.shape[1]} and {len(known)} dimensions can't be put together")
        if len(rows):
            self._waiting.append(rows.clone())
        # A QR costs as much for a few rows as for D of them.
        if sum(map(len, self._waiting)) >= max(_ROWS_AT_A_TIME, len(known)):
            self._settle()

    def merge(self, other: RunningGaussian) -> None:
        """Adds what another one has seen, which stays as it is."""
        for rows in other._waiting:
            self.update(rows)
        if other.count:
            self._settle()
            self._add(other.count, other._mean, other._factor)

    def gaussian(self) -> Gaussian:
        """Of all so far; ValueError for fewer than two images."""
        self._settle()
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 images, got {self.count}")
        return Gaussian(self._mean, self._factor / (self.count - 1) ** 0.5)

    def _settle(self) -> None:
        if self._waiting:
            rows = torch.cat(self._waiting)
            self._waiting = []
            mean = rows.mean(dim=0)
            self._add(len(rows), mean, rows - mean)

    def _add(self, count: int, mean: Tensor, factor: Tensor) -> None:
        """A part of `count` images with this mean, and `factor.T @ factor` as its scatter around it."""
        if not self.count:
            self.count, self._mean, self._factor = count, mean, factor
        else:
            if len(mean) != len(self._mean):
                raise ValueError(f"features of {len(mean)} and {len(self._mean)} dimensions can't be put together")
            total, apart = self.count + count, mean - self._mean
            between = apart[None] * (self.count / total * count) ** 0.5
            self._factor = torch.cat([self._factor, factor, between])
            self._mean = self._mean + apart * (count / total)
            self.count = total
        if len(self._factor) > len(self._mean):
            self._factor = torch.linalg.qr(self._factor, mode="r").R


class Rows:
    """Rows float32 [N, D] that come in parts, in an order that depends on their content alone."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def update(self, rows: Matrix) -> None:
        """Adds rows [N, D]; ValueError for another D, or values that are not finite."""
        added = as_floats(rows).float()
        if self._parts and added.shape[1] != self._parts[0].shape[1]:
            raise ValueError(
                f"features of {added.shape[1]} and {self._parts[0].shape[1]} dimensions can't be put together"
            )
        self._parts.append(added.clone())

    def merge(self, other: Rows) -> None:
        """Adds the rows of another one, which stays as it is."""
        for part in other._parts:
            self.update(part)

    def sorted(self) -> Tensor:
        """All of them, by their bytes."""
        rows = torch.cat(self._parts) if self._parts else torch.empty(0, 0)
        return rows[_by_content(rows)]


def _by_content(rows: Tensor) -> Tensor:
    """The order int64 [N] that sorts rows [N, D]; equal ones can be told apart by nothing."""
    if not rows.numel():
        return torch.arange(len(rows))
    table = np.ascontiguousarray(rows.numpy())
    return torch.from_numpy(np.argsort(table.view(np.dtype((np.void, table.itemsize * table.shape[1])))[:, 0]))


class FrechetDistance:
    """Frechet distance of real and generated features [N, D]: equal to `frechet_distance` of all at once."""

    def __init__(self) -> None:
        self.real, self.fake = RunningGaussian(), RunningGaussian()

    def update(self, *, real: Matrix | None = None, fake: Matrix | None = None) -> None:
        """Adds features of either side; ValueError as `RunningGaussian.update`."""
        for side, features in ((self.real, real), (self.fake, fake)):
            if features is not None:
                side.update(features)

    def merge(self, other: FrechetDistance) -> None:
        """Adds what another one has seen."""
        self.real.merge(other.real)
        self.fake.merge(other.fake)

    def compute(self) -> float:
        """Of all so far; ValueError for fewer than two images on a side."""
        return frechet_distance(self.fake.gaussian(), self.real.gaussian())


class InceptionScore:
    """Inception Score of the logits [N, K] of generated images; arguments as of `inception_score`."""

    def __init__(self, *, splits: int = 10, seed: int = 2020) -> None:
        self.splits, self.seed = splits, seed
        self._logits = Rows()

    def update(self, logits: Matrix) -> None:
        """Adds logits [N, K]."""
        self._logits.update(logits)

    def merge(self, other: InceptionScore) -> None:
        """Adds what another one has seen."""
        self._logits.merge(other._logits)

    def compute(self) -> Score:
        """Of all so far; ValueError for fewer images than splits."""
        return inception_score(self._logits.sorted(), splits=self.splits, seed=self.seed)


class _OfFeatures:
    """Keeps the features of both sides."""

    def __init__(self) -> None:
        self._real, self._fake = Rows(), Rows()

    def update(self, *, real: Matrix | None = None, fake: Matrix | None = None) -> None:
        """Adds features [N, D] of either side."""
        for side, features in ((self._real, real), (self._fake, fake)):
            if features is not None:
                side.update(features)

    def _merge(self, other: _OfFeatures) -> None:
        self._real.merge(other._real)
        self._fake.merge(other._fake)


class KernelDistance(_OfFeatures):
    """Kernel distance (KID); subsets as `Parameters.of` has them, or of the size given."""

    def __init__(self, *, subsets: int = 100, subset_size: int | None = None, seed: int = 2020) -> None:
        super().__init__()
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed

    def merge(self, other: KernelDistance) -> None:
        """Adds what another one has seen."""
        self._merge(other)

    def compute(self) -> Score:
        """Of all so far; ValueError where the subsets are larger than a side."""
        size = self.subset_size or Parameters.of(len(self._fake), len(self._real), 1).kid_subset_size
        sides = (self._fake.sorted(), self._real.sorted())
        return kernel_distance(*sides, subsets=self.subsets, subset_size=size, seed=self.seed)


class Neighbours(_OfFeatures):
    """Precision, recall, density and coverage."""

    def __init__(self, *, k: int = 5) -> None:
        super().__init__()
        self.k = k

    def merge(self, other: Neighbours) -> None:
        """Adds what another one has seen."""
        self._merge(other)

    def compute(self) -> Neighbourhoods:
        """Of all so far; ValueError where k is not below the number of images on either side."""
        return neighbourhoods(self._fake.sorted(), self._real.sorted(), k=self.k)


class _Side:
    """What is kept of the real or the generated images."""

    def __init__(self, metrics: Sequence[str]) -> None:
        self.gaussian = RunningGaussian() if "FD" in metrics else None
        self.features = Rows() if set(metrics).intersection(_OF_FEATURES) else None
        self.logits = Rows() if "IS" in metrics else None
        self.count = 0

    def update(self, found: Extracted) -> None:
        for kept in (self.gaussian, self.features):
            if kept is not None:
                kept.update(found.features)
        if self.logits is not None and found.logits is not None:
            self.logits.update(found.logits)
        self.count += len(found)

    def merge(self, other: _Side) -> None:
        if self.gaussian is not None and other.gaussian is not None:
            self.gaussian.merge(other.gaussian)
        for ours, theirs in ((self.features, other.features), (self.logits, other.logits)):
            if ours is not None and theirs is not None:
                ours.merge(theirs)
        self.count += other.count

    def seen(self) -> Extracted:
        """As far as it was kept; where features were not, rows of nothing stand for them."""
        features = torch.empty(self.count, 0) if self.features is None else self.features.sorted()
        logits = None if self.logits is None or not len(self.logits) else self.logits.sorted()
        return Extracted(features, logits)


class Evaluation:
    """Every figure of generated images against real ones that come batch by batch.

    >>> evaluation = Evaluation(extractor, ("FD", "IS"))            # doctest: +SKIP
    >>> evaluation.update(real=images, fake=generator.sample(...))  # doctest: +SKIP
    >>> evaluation.compute()                                        # doctest: +SKIP
    {'FD': Score(value=1.3, std=None), 'IS': Score(value=9.6, std=0.1)}

    With FD alone memory is bounded, whatever the number of images.

    Args:
        extractor: of features; None where `update` is given features.
        metrics: of `STREAMED`.
        k: nearest neighbours of precision, recall, density and coverage.
        seed: of splits and subsets.

    Raises:
        RequestError: a metric that is not one of them, with the nearest right name.
    """

    def __init__(
        self,
        extractor: FeatureExtractor | None = None,
        metrics: Sequence[str] = ("FD", "KID", "IS", "precision", "recall", "density", "coverage"),
        *,
        k: int = 5,
        seed: int = 2020,
    ) -> None:
        for name in metrics:
            if name not in STREAMED:
                raise unknown_name("metric of images that come batch by batch", name, STREAMED)
        self.extractor, self.metrics, self.k, self.seed = extractor, tuple(metrics), k, seed
        self._real, self._fake = _Side([name for name in metrics if name != "IS"]), _Side(metrics)

    def update(self, *, real: Tensor | Extracted | None = None, fake: Tensor | Extracted | None = None) -> None:
        """Adds images of either side.

        Args:
            real: uint8 [N, H, W, C], or what an extractor saw; without an extractor also features float [N, D].
            fake: the same of generated images.

        Raises:
            ValueError: features of another size than before, or not finite.
        """
        for side, given in ((self._real, real), (self._fake, fake)):
            if given is not None:
                side.update(self._extracted(given))

    def _extracted(self, given: Tensor | Extracted) -> Extracted:
        if isinstance(given, Extracted):
            return given
        if self.extractor is None:
            return Extracted(given, None)
        return self.extractor.features_and_logits(given)

    def merge(self, other: Evaluation) -> None:
        """Adds what another one has seen; ValueError where it was asked for other figures."""
        ours, theirs = ((one.metrics, one.k, one.seed) for one in (self, other))
        if ours != theirs:
            raise ValueError(f"evaluations of {ours} and of {theirs} can't be put together")
        self._real.merge(other._real)
        self._fake.merge(other._fake)

    def compute(self) -> dict[str, Score]:
        """Every figure that so many images allow, as `score` gives them; ValueError for features of different sizes."""
        seen = Comparison(self._fake.seen(), self._real.seen(), k=self.k, seed=self.seed)
        found: dict[str, Score | None] = {}
        for name in self.metrics:
            if name != "FD":
                found[name] = METRICS[name].of(seen)
            elif METRICS[name].applies(seen):
                assert self._fake.gaussian is not None
                assert self._real.gaussian is not None
                found[name] = Score(frechet_distance(self._fake.gaussian.gaussian(), self._real.gaussian.gaussian()))
        return {name: figure for name, figure in found.items() if figure is not None}
