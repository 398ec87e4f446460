"""The training images that are nearest to generated ones: copies show there."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from gan_models.data.table import MappedRows
from gan_models.metrics.judge import Judge, representative_order
from gan_models.metrics.neighbours import Nearest, nearest

NEIGHBOURS = 4
_CANDIDATES = 16  # of each, by pixels, where not every training image has features
_THUMBNAIL = 16  # pixels
_AT_A_TIME = 64 << 20  # bytes


def training_neighbours(images: Tensor, features: Tensor, gallery: Tensor, judge: Judge) -> Tensor:
    """The training images [Q, 4, H, W, C] that are nearest, in features [Q, D], to Q generated images.

    Every training image is searched: where only the first have features, `gallery` [M, D], those of the others that are
    near in pixels get features now.
    """
    training = judge.split("train").images
    order = representative_order(len(training))
    pool, others = order[: len(gallery)], order[len(gallery) :].sort().values
    if len(others):
        near = nearest_in_pixels(images, training, others, k=min(_CANDIDATES, len(others)))
        candidates = others[torch.unique(near.indices)]
        pool = torch.cat([pool, candidates])
        gallery = torch.cat([gallery, judge.extractor.features_and_logits(training[candidates]).features])
    found = nearest(features, gallery, k=min(NEIGHBOURS, len(pool)))
    return rows_of(training, pool[found.indices])


def rows_of(images: Tensor | MappedRows, rows: Tensor) -> Tensor:
    """[Q, k, H, W, C] at `rows` int64 [Q, k]."""
    return images[rows.flatten()].reshape(*rows.shape, *images.shape[1:])


def nearest_in_pixels(images: Tensor, training: Tensor | MappedRows, rows: Tensor | None = None, *, k: int) -> Nearest:
    """The k of the training images [M, H, W, C], or of `rows` int64 [M] of them, nearest to each of Q images, all as
    thumbnails; ValueError for k > M.

    Distances are those of thumbnails with values from 0 to 255.
    """
    queries = _thumbnails(images)
    rows = torch.arange(len(training)) if rows is None else rows
    distances, found_rows = [], []
    at_a_time = max(1, _AT_A_TIME // max(1, images[0].numel()))
    for start in range(0, len(rows), at_a_time):
        part = _thumbnails(training[rows[start : start + at_a_time]])
        found = nearest(queries, part, k=min(k, len(part)))
        distances.append(found.distances)
        found_rows.append(found.indices + start)
    every_distance, every_row = torch.cat(distances, dim=1), torch.cat(found_rows, dim=1)
    if k > every_row.shape[1]:
        raise ValueError(f"{len(rows)} images have no {k} nearest neighbours")
    best = every_distance.topk(k, dim=1, largest=False)
    return Nearest(best.values, every_row.gather(1, best.indices))


def _thumbnails(images: Tensor) -> Tensor:
    pixels = images.permute(0, 3, 1, 2).float()
    side = min(_THUMBNAIL, *pixels.shape[2:])
    return adaptive_avg_pool2d(pixels, side).flatten(1)
