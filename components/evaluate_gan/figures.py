"""The figures of the report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from components.evaluate_gan.findings import Classes, Findings, TruncationPoint
from gan_models.metrics.judge import Judge, Material
from gan_models.metrics.neighbours import nearest
from gan_models.metrics.training_images import training_neighbours
from gan_models.sampling.grids import enlargement, image_grid, save_png, side_by_side

_ROWS, _COLUMNS = 10, 10
_PAIRS, _PAIRS_ACROSS = 30, 12  # images across
_FIRST, _CLOSEST = 8, 8  # generated images whose neighbours are shown
_BLUE = "#33638d"


def write_pictures(folder: Path, findings: Findings, material: Material, judge: Judge) -> dict[str, str]:
    """All that there is to show; returns what stands under each picture, by its file."""
    samples = material.samples
    pictures = {
        "samples.png": "Samples. A row is a class where the generator is conditional.",
        "nearest.png": "Top row: generated images, the first eight of the sample, then the eight that are nearest to a "
        "training image. Below each: the training images nearest to it, by features. Copies would show here.",
    }
    write_samples(folder / "samples.png", samples.images, samples.labels)
    write_nearest(folder / "nearest.png", material, judge)
    if findings.classes is not None:
        pictures["classes.png"] = "Classes of generated and of real images, as the classifier sees them."
        write_classes(folder / "classes.png", findings.classes)
    if samples.sources is not None and "images" in samples.inputs:
        pictures["pairs.png"] = "Images of the reference split, what was made of each at its right."
        pairs = side_by_side(samples.sources[:_PAIRS], samples.images[:_PAIRS])
        save_png(image_grid(pairs, _PAIRS_ACROSS), folder / "pairs.png", scale=enlargement(pairs))
    if findings.truncation:
        pictures["truncation.png"] = "Latents cut off at falling thresholds: variety for quality."
        write_truncation(folder / "truncation.png", findings.truncation)
    return pictures


def write_samples(path: Path, images: Tensor, labels: Tensor | None) -> None:
    """Ten by ten generated images; a row is a class where labels [N] were asked for (at most ten)."""
    if labels is None:
        chosen = torch.arange(min(len(images), _ROWS * _COLUMNS))
    else:
        rows = [torch.nonzero(labels == label)[:_COLUMNS, 0] for label in torch.unique(labels)[:_ROWS]]
        chosen = torch.cat([row for row in rows if len(row) == len(rows[0])])
    save_png(image_grid(images[chosen], min(len(chosen), _COLUMNS)), path, scale=enlargement(images))


def write_nearest(path: Path, material: Material, judge: Judge) -> None:
    """Generated images in the top row, the nearest training images below each.

    The first eight columns are the first images of the sample; the others are those, of the whole sample, that are
    nearest to a training image: copies would be among them.
    """
    distances = nearest(material.generated.features, material.training.features).distances[:, 0]
    first = torch.arange(min(_FIRST, len(distances)))
    closest = torch.argsort(distances)[:_CLOSEST]
    chosen = torch.cat([first, closest])
    below = training_neighbours(
        material.samples.images[chosen], material.generated.features[chosen], material.training.features, judge
    )
    grid = torch.cat([material.samples.images[chosen][None], below.transpose(0, 1)]).flatten(0, 1)
    save_png(image_grid(grid, len(chosen)), path, scale=enlargement(grid))


def write_classes(path: Path, classes: Classes) -> None:
    """Shares of the classes among generated and real images, side by side."""
    positions = torch.arange(len(classes.names)).numpy()
    with _axes(path, "classes, as the classifier sees them", min(max(6.4, 0.3 * len(positions)), 24), 3.2) as axes:
        for offset, shares, label, colour in (
            (-0.2, classes.generated_shares, "generated", _BLUE),
            (0.2, classes.real_shares, "real", "#b7b7b7"),
        ):
            axes.bar(positions + offset, [100 * share for share in shares], width=0.4, label=label, color=colour)
        step = -(-len(positions) // 40)  # at most forty names fit
        axes.set_xticks(positions[::step], classes.names[::step], rotation=0 if len(positions) <= 12 else 90)
        axes.set_ylabel("% of images")
        axes.grid(axis="y", alpha=0.3)
        axes.legend(fontsize=8)


def write_truncation(path: Path, points: Sequence[TruncationPoint]) -> None:
    """IS over FD, each point with its threshold; FD over the threshold where there is no IS."""
    names = ["none" if point.threshold is None else f"{point.threshold:g}" for point in points]
    distances = [point.fd for point in points]
    scores = [point.inception_score for point in points if point.inception_score is not None]
    with _axes(path, "truncation of the latents; `none` is the generator that the report judges", 6.4, 3.6) as axes:
        if len(scores) < len(points):
            axes.plot(names[::-1], distances[::-1], "o-", color=_BLUE)
            axes.set_xlabel("latents cut off at")
            axes.set_ylabel("Frechet distance (lower is better)")
        else:
            axes.plot(distances, scores, "o-", color=_BLUE)
            for name, place in zip(names, zip(distances, scores, strict=True), strict=True):
                axes.annotate(name, place, (5, 5), textcoords="offset points", fontsize=8)
            axes.set_xlabel("Frechet distance (lower is better)")
            axes.set_ylabel("Inception Score (higher is better)")
        axes.grid(alpha=0.3)


@contextmanager
def _axes(path: Path, title: str, width: float, height: float) -> Iterator[Axes]:
    """To draw on; written as PNG when the block ends. Sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=9)
    yield axes
    figure.savefig(path)
