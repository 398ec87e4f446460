"""What truncated latents do to a generator (Brock, Donahue, Simonyan 2019, section 3.1): IS against FD by threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from components.evaluate_gan.findings import TruncationPoint
from components.evaluate_gan.material import Material
from gan_models.metrics.extraction import Extracted
from gan_models.metrics.judge import Judge
from gan_models.metrics.metric import Comparison
from gan_models.metrics.scores import score


def truncation_curve(material: Material, judge: Judge, thresholds: Sequence[float], seed: int) -> list[TruncationPoint]:
    """The generator as it is, then at each threshold from the largest; empty where no thresholds are asked for.

    Each point has as many images, of the same classes and the same first draws, as the sample that is judged.

    Raises:
        RequestError: the generator takes no latents.
    """
    if not thresholds:
        return []
    points = [_point(None, material.generated, material.reference)]
    for threshold in sorted(set(thresholds), reverse=True):
        samples = material.generator.sample(
            len(material.images),
            seed=seed,
            labels=material.samples.inputs.get("labels"),
            examples=material.samples.examples,
            truncation=threshold,
        )
        seen = judge.generated(samples, f"features at truncation {threshold:g}")
        points.append(_point(threshold, seen, material.reference))
    return points


def _point(threshold: float | None, sample: Extracted, reference: Extracted) -> TruncationPoint:
    figures = score(Comparison(sample, reference), ("FD", "IS"))
    inception = figures["IS"].value if "IS" in figures else None
    return TruncationPoint(threshold=threshold, fd=figures["FD"].value, inception_score=inception)


def write_truncation(path: Path, points: Sequence[TruncationPoint]) -> None:
    """The curve as PNG: IS over FD, each point with its threshold; FD over the threshold where there is no IS."""
    figure = Figure(figsize=(6.4, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = ["none" if point.threshold is None else f"{point.threshold:g}" for point in points]
    distances = [point.fd for point in points]
    scores = [point.inception_score for point in points if point.inception_score is not None]
    if len(scores) < len(points):
        axes.plot(names[::-1], distances[::-1], "o-", color="#33638d")
        axes.set_xlabel("latents cut off at")
        axes.set_ylabel("Frechet distance (lower is better)")
    else:
        axes.plot(distances, scores, "o-", color="#33638d")
        for name, place in zip(names, zip(distances, scores, strict=True), strict=True):
            axes.annotate(name, place, (5, 5), textcoords="offset points", fontsize=8)
        axes.set_xlabel("Frechet distance (lower is better)")
        axes.set_ylabel("Inception Score (higher is better)")
    axes.set_title("truncation of the latents; `none` is the generator that the report judges", fontsize=9)
    axes.grid(alpha=0.3)
    figure.savefig(path)
