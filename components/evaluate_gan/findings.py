"""What an evaluation found, as it is written to metrics.json."""

from typing import Any

from pydantic import BaseModel, Field

from components.artifacts import Figures
from gan_models.metrics.memorisation import Memorisation
from gan_models.metrics.metric import Metric
from gan_models.metrics.scores import METRICS
from gan_models.tasks.base import TaskFigure


class Reading(BaseModel):
    """A figure of so many images; `std` is over splits (IS) or subsets (KID)."""

    name: str
    value: float
    std: float | None
    images: int


class Row(BaseModel):
    """One metric of `METRICS`: the generator's figure, and what real images get in its place."""

    metric: str
    better: str  # "lower" or "higher", or the value that is best
    generated: Reading
    real: Reading | None
    generated_at_real: Reading | None
    """The generator's at the number of images of `real`, where there are fewer real images than generated ones."""


class Interval(BaseModel):
    """From low to high."""

    low: float
    high: float


class Intervals(BaseModel):
    """Of one metric; None where none is known."""

    generated: Interval | None = None
    real: Interval | None = None
    difference: Interval | None = None
    """Of the generator's figure minus that of as many real images, both by the same reference."""
    how: str


class Classes(BaseModel):
    """What the data set's own classifier sees in the generated images, and in the real ones of the reference."""

    names: list[str]
    generated_shares: list[float]
    real_shares: list[float]
    confidence: float  # mean probability of the likeliest class
    real_confidence: float
    agreement: float | None
    """Share of the images that are of the class that was asked for; None where the generator is unconditional."""
    real_agreement: float  # the same for real images and their labels: the classifier's accuracy
    confusion: list[list[int]] | None = None
    """Generated images of the class asked for (row) that the classifier takes for each class; None as for agreement and
    where there are too many classes to look at."""


class ClassReading(BaseModel):
    """The Frechet distance within one class, and that of real images of it."""

    class_name: str
    generated: Reading
    real: Reading | None


class WithinClasses(BaseModel):
    """See `gan_models.metrics.intra_class`."""

    mean: Reading | None  # over all classes; None where one is left out
    real_mean: Reading | None
    classes: list[ClassReading]
    left_out: list[str]  # classes with fewer than `least` generated or real images
    least: int


class TruncationPoint(BaseModel):
    """The generator with its latents cut off: as many images, from the same draws, against the same reference."""

    threshold: float | None
    """Latents beyond it are drawn again; None for the generator as it is, whose figures go first everywhere."""
    fd: float
    inception_score: float | None  # None where the extractor has no classes


class Findings(Figures):
    """The whole of metrics.json."""

    comparison_metrics: dict[str, float]
    """Those of real images (`real-...`), and the generator's at as many images where that is another number."""
    rows: list[Row]  # of metrics that training images are judged by, too
    further_rows: list[Row] = Field([])  # of the others, whose real images are those of the reference, or none
    memorisation: Memorisation | None
    classes: Classes | None
    within_classes: WithinClasses | None = None  # for generators that are asked for classes
    tasks: list[TaskFigure] = Field([])  # figures of translations and colorizations
    truncation: list[TruncationPoint] = Field([])
    """Where the recipe asks for it, by falling threshold, the generator as it is first."""
    intervals: dict[str, Intervals] = Field({})
    """By metric (`Row.metric`); see `components.evaluate_gan.intervals`."""
    extractor_choice: str
    generated: dict[str, Any]
    reference: dict[str, Any]
    real_sample: dict[str, Any]
    seed: int
    data: dict[str, str]
    environment: dict[str, str]
    notes: list[str]

    def lines(self) -> list[tuple[Metric, Row]]:
        """What tables are made from: every row with its metric, in the order of `METRICS`."""
        found = {row.metric: row for row in (*self.rows, *self.further_rows)}
        return [(metric, found[name]) for name, metric in METRICS.items() if name in found]
