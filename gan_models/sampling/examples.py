"""A few real images in a generator folder, so that what translates or illustrates them draws without the data.

examples.safetensors   `images` uint8 [N, H, W, C] and, where the data has them, `labels`, `domains`, `captions`
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gan_models.data.table import Split

EXAMPLES_FILE = "examples.safetensors"
MOST_EXAMPLES = 64


def chosen(split: Split, index: Tensor) -> Split:
    """The images of a split at `index` int64 [N], with what they carry."""
    index = index.to(split.images.device)

    def part(column: Tensor | None) -> Tensor | None:
        return None if column is None else column[index]

    return replace(
        split,
        images=split.images[index],
        labels=part(split.labels),
        paths=[split.paths[row] for row in index.tolist()],
        domains=part(split.domains),
        captions=part(split.captions),
    )


def first(split: Split, count: int) -> Split:
    """The first `count` images of a split, or all."""
    return chosen(split, torch.arange(min(count, len(split))))


def save_examples(folder: Path, examples: Split) -> None:
    """Writes the first images of `examples`, at most 64, into a generator folder."""
    columns = {name: getattr(examples, name) for name in ("images", "labels", "domains", "captions")}
    kept = {name: column[:MOST_EXAMPLES].cpu().contiguous() for name, column in columns.items() if column is not None}
    save_file(kept, folder / EXAMPLES_FILE)


def load_examples(folder: Path) -> Split | None:
    """The examples of a generator folder; None where it carries none. Raises SafetensorError for a damaged file."""
    path = folder / EXAMPLES_FILE
    if not path.is_file():
        return None
    columns = load_file(path)
    images = columns["images"]
    paths = [f"example-{number}" for number in range(len(images))]
    return Split(images, columns.get("labels"), paths, columns.get("domains"), columns.get("captions"))
