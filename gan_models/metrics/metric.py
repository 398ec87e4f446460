"""What a metric is: one record that says all that others ask about it. Needs no PyTorch, so that tables don't."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from gan_models.metrics.classification_accuracy import ClassificationAccuracy
    from gan_models.metrics.extraction import Extracted

Better = Literal["lower", "higher", "near 0", "near 1"]
Need = Literal["reference", "logits", "classes", "labels", "asked", "domains", "training", "generator"]
"""What there may be besides the sample: see `Comparison.has`."""
Beside = Literal["training", "reference", "nothing"]

T = TypeVar("T")

IS_SPLITS = 10  # of the Inception Score, as everybody reports it
IS_SPLIT_IMAGES = 100  # the least of a split: n images score n at most, and perfect ones scored one by one 1
KID_SUBSETS, KID_SUBSET_SIZE = 100, 1000  # of the kernel distance, as torch-fidelity takes them


class Score(NamedTuple):
    """A figure; `std` over splits (IS) or subsets (KID), None for the others."""

    value: float
    std: float | None = None


class Parameters(NamedTuple):
    """What the figures are computed with."""

    is_splits: int
    kid_subsets: int
    kid_subset_size: int
    neighbours: int

    @classmethod
    def of(cls, count: int, references: int, k: int) -> Parameters:
        """The usual ones, or what so many generated and real images allow; `neighbours` is what the name stands for."""
        # At most half of a side: subsets that are the whole of it would all be the same, and their spread 0.
        size = min(KID_SUBSET_SIZE, max(2, min(count, references) // 2))
        return cls(max(1, min(IS_SPLITS, count // IS_SPLIT_IMAGES)), KID_SUBSETS, size, k)


class OfGenerator(Protocol):
    """Figures that a generator is asked for itself; both are worked out when they are read."""

    @property
    def path_length(self) -> Score: ...

    @property
    def accuracy(self) -> ClassificationAccuracy: ...


@dataclass(frozen=True)
class Comparison:
    """Images that are judged, and what they are judged by."""

    sample: Extracted
    """Of a generator, or real ones in its place."""
    reference: Extracted
    """Real images, of the split that names say."""
    training: Extracted | None = None
    """What the generator was trained on; None where the reference is of that, too."""
    unseen: Extracted | None = None
    """Further real images that it was not trained on."""
    own_classes: bool = False
    """The logits are of the data's own classes."""
    domains: tuple[Tensor, Tensor] | None = None
    """Of translations: the domains (or combinations of attributes), int64 [N] and [M], of sample and reference."""
    asked: bool = False
    """The labels of the sample are what the generator was asked for."""
    generator: OfGenerator | None = None
    """What can be had of the generator of the sample beyond its images, where it is at hand."""
    k: int = 5
    """Nearest neighbours of precision, recall, density and coverage."""
    seed: int = 2020
    """Of the splits of IS and the subsets of KID."""
    _made: dict[Callable[..., Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def has(self) -> frozenset[Need]:
        """What metrics can be made from, besides the sample's images and features."""
        sample, reference = self.sample, self.reference
        found: dict[Need, bool] = {
            "reference": True,
            "logits": sample.logits is not None,
            "classes": sample.logits is not None and self.own_classes,
            "labels": sample.labels is not None,
            "asked": self.asked and sample.labels is not None and reference.labels is not None,
            "domains": self.domains is not None,
            "training": self.training is not None,
            "generator": self.generator is not None,
        }
        return frozenset(need for need, there in found.items() if there)

    @property
    def parameters(self) -> Parameters:
        return Parameters.of(len(self.sample), len(self.reference), self.k)

    def rows(self, sample: Tensor, reference: Tensor) -> Comparison:
        """Of these images of either side, with what is known of them."""
        domains = None if self.domains is None else (self.domains[0][sample], self.domains[1][reference])
        return replace(self, sample=self.sample.rows(sample), reference=self.reference.rows(reference), domains=domains)

    def shared(self, make: Callable[[Comparison], T]) -> T:
        """What `make` finds in this comparison, worked out once however many metrics ask for it."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]


@dataclass(frozen=True)
class Metric:
    """One metric. Its name is the one that `METRICS` has it by; the full name of a figure says also what it is of."""

    title: str
    """As a line of the report says it."""
    better: Better
    compute: Callable[[Comparison], Score | float | None]
    """None where the images do not allow the figure."""
    needs: tuple[Need, ...] = ("reference",)
    """Without these there is no figure. One that does not need the reference is of the sample alone."""
    least: int = 2
    """Images of the sample, and of the reference where that is needed, below which there is no figure."""
    beside: Beside = "training"
    """The real images whose figure stands beside the generator's: as many training images judged in its place, or the
    reference itself, which a trained extractor has not seen."""
    goes_first: bool = True
    """Among the figures that a reader looks for: the headline of a run."""
    is_share: bool = False
    """Shown in per cent."""
    in_report: bool = True
    """Has a line in the report's table."""
    in_terminal: bool = True
    """Has a line in the table that a run ends with."""
    short: str = ""
    """What that line calls it; default: its full name."""
    published: str = ""
    """What it is called when the features are those of published figures; default: the same."""
    published_with: str = ""
    """Whose features those are, in `EXTRACTORS`; default: those of all that call their features published."""
    only_named: bool = False
    """Takes minutes: computed where it is asked for by name."""
    selects: bool = False
    """Generators are chosen by the last such metric that applies: the most particular one."""

    def applies(self, seen: Comparison) -> bool:
        """Whether all that it needs is there, and enough of it."""
        sides = (seen.sample, seen.reference) if "reference" in self.needs else (seen.sample,)
        return seen.has.issuperset(self.needs) and min(map(len, sides)) >= self.least

    def of(self, seen: Comparison) -> Score | None:
        """The figure; None where it does not apply or the images do not allow it: it is never NaN or infinite."""
        found = self.compute(seen) if self.applies(seen) else None
        if found is None:
            return None
        score = found if isinstance(found, Score) else Score(float(found))
        return score if math.isfinite(score.value) else None

    def distance(self, value: float) -> float:
        """How far a value is from the best one, to choose by: lower is better, whatever the metric."""
        away = {"lower": value, "higher": -value, "near 0": abs(value), "near 1": abs(value - 1.0)}
        return away[self.better]
