"""The figures of the report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from components.evaluate_gan.findings import Classes, Findings, TruncationPoint
from components.evaluate_gan.realism import realism
from gan_models.metrics.judge import Judge, Material
from gan_models.metrics.neighbours import nearest
from gan_models.metrics.training_images import training_neighbours
from gan_models.sampling.grids import enlargement, image_grid, save_png, side_by_side

_ROWS, _COLUMNS = 10, 10
_LARGE, _COLUMNS_OF_LARGE = 64, 6  # pixels from which on fewer images are shown, larger
_RANKED, _LOOKED_AT = 20, 2000  # images that look most and least real, of how many of the sample
_PAIRS, _PAIRS_ACROSS = 30, 12  # images across
_FIRST, _CLOSEST = 8, 8  # generated images whose neighbours are shown
_BLUE = "#33638d"


class Picture(NamedTuple):
    """A file of the report."""

    caption: str
    """What stands under it."""
    alt: str
    """What it shows, for who does not see it."""
    rows: tuple[str, ...] = ()
    """Names of its rows, where they have any."""
    width: int | None = None
    """Of the file, where it is to be seen as large as it is; else it fills its place."""


def write_pictures(folder: Path, findings: Findings, material: Material, judge: Judge, seed: int) -> dict[str, Picture]:
    """All that there is to show, by file."""
    pictures = {**_write_grids(folder, material, judge), **_write_task(folder, material, seed)}
    write_nearest(folder / "nearest.png", material, judge)
    pictures["nearest.png"] = Picture(
        "Top row: generated images, the first eight of the sample, then the eight nearest to a training image. "
        "Below each: the training images nearest to it, by features. Copies would show here.",
        "Generated images above the training images nearest to them",
    )
    pictures |= _write_ranked(folder, material, judge, findings.protocol.parameters["neighbours"])
    if findings.classes is not None:
        caption = "Classes of generated and of real images, as the classifier sees them."
        pictures["classes.png"] = Picture(caption, "Bars: share of each class among generated and real images")
        write_classes(folder / "classes.png", findings.classes)
    if findings.truncation:
        caption = "Latents cut off at falling thresholds: variety for quality."
        pictures["truncation.png"] = Picture(caption, "Curve of figures at falling truncation thresholds")
        write_truncation(folder / "truncation.png", findings.truncation)
    return pictures


def _write_grids(folder: Path, material: Material, judge: Judge) -> dict[str, Picture]:
    """Samples, and as many real images of the reference split, rows of the same classes."""
    samples, count = material.samples, len(material.reference)
    real, names = judge.real_images(material.split, count), judge.table.metadata.class_names
    labels, theirs = samples.labels, material.reference.labels
    columns = _COLUMNS if samples.images.shape[1] < _LARGE else _COLUMNS_OF_LARGE
    shown: tuple[int, ...] = ()
    if labels is not None and theirs is not None and names:
        shown = tuple(torch.unique(labels).tolist()[:_ROWS])
        most = max(int((of == label).sum()) for of in (labels, theirs) for label in shown)
        columns = min(columns, most)
    rows = tuple(names[label] for label in shown)
    for file, images, of in (("samples.png", samples.images, labels), ("real.png", real, theirs)):
        tiles = _by_class(images, of, shown, columns) if shown and of is not None else images[: columns * columns]
        save_png(image_grid(tiles, min(columns, len(tiles))), folder / file, scale=enlargement(images))
    by_class = "A row is a class." if shown else ""
    return {
        "samples.png": Picture(
            f"Samples, the first drawn, none picked. {by_class}".strip(),
            f"Generated images{', a row for each class' if shown else ''}", rows,
        ),
        "real.png": Picture(
            f"Real images of the {material.split} split. {by_class}".strip(),
            f"Real images of the {material.split} split{', a row for each class' if shown else ''}", rows,
        ),
    }  # fmt: skip


def _by_class(images: Tensor, labels: Tensor, shown: Sequence[int], columns: int) -> Tensor:
    """The first `columns` images of each class, white where there are fewer."""
    tiles = images.new_full((len(shown), columns, *images.shape[1:]), 255)
    for row, label in enumerate(shown):
        found = images[torch.nonzero(labels.cpu() == label)[:columns, 0]]
        tiles[row, : len(found)] = found
    return tiles.flatten(0, 1)


def _write_task(folder: Path, material: Material, seed: int) -> dict[str, Picture]:
    """What shows the task itself, made of images or texts of the reference split."""
    samples, pictures = material.samples, {}
    if samples.sources is not None and "images" in samples.inputs:
        pairs = side_by_side(samples.sources[:_PAIRS], samples.images[:_PAIRS])
        save_png(image_grid(pairs, _PAIRS_ACROSS), folder / "pairs.png", scale=enlargement(pairs))
        pictures["pairs.png"] = Picture(
            "Images of the reference split, what was made of each at its right.", "Images before and after, in pairs"
        )
    if samples.examples is None:
        return pictures
    generator = replace(material.generator, examples=samples.examples)
    for picture in generator.task.pictures(generator, seed):
        if picture.pixels is not None:
            save_png(picture.pixels, folder / picture.file, scale=picture.scale)
            sentence = picture.sentence.removeprefix(f"{picture.file}: ")
            width = picture.pixels.shape[1] * picture.scale
            pictures[picture.file] = Picture(f"{sentence[0].upper()}{sentence[1:]}.", sentence, width=width)
    return pictures


def _write_ranked(folder: Path, material: Material, judge: Judge, k: int) -> dict[str, Picture]:
    """The images that look most and least real, of the first of the sample; none where real ones are too few."""
    looked_at = material.generated.part(0, _LOOKED_AT)
    if len(material.reference) <= 2 * k or len(looked_at) < 2 * _RANKED:
        return {}
    scores = realism(looked_at.features, material.reference.features, k=k)
    order, images, labels = (
        scores.argsort(descending=True),
        material.samples.images,
        material.samples.inputs.get("labels"),
    )
    names, pictures = judge.table.metadata.class_names, {}
    for file, ranked, which in (("best.png", order[:_RANKED], "most"), ("worst.png", order.flip(0)[:_RANKED], "least")):
        save_png(image_grid(images[ranked], _COLUMNS), folder / file, scale=enlargement(images))
        asked = ""
        if labels is not None and names:
            asked = f" Asked for: {', '.join(names[labels[row]] for row in ranked.tolist())}."
        ends = scores[ranked[[0, -1]]].tolist()
        pictures[file] = Picture(
            f"Of the first {len(looked_at)} samples, the {_RANKED} that look {which} real: realism {ends[0]:.3g} to "
            f"{ends[1]:.3g}; from 1 on, an image lies among real ones (Kynkaanniemi et al. 2019).{asked}",
            f"The {_RANKED} generated images that look {which} real",
        )
    return pictures


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
