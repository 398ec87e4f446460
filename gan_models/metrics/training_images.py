"""The training images that are nearest to generated ones: copies show there."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from gan_models.metrics.judge import Judge
from gan_models.metrics.neighbours import Nearest, nearest

NEIGHBOURS = 4
_CANDIDATES = 16  # of each, by pixels, where not every training image has features
_THUMBNAIL = 16  # pixels
_AT_A_TIME = 8192


def training_neighbours(images: Tensor, features: Tensor, gallery: Tensor, judge: Judge) -> Tensor:
    """The training images [Q, 4, H, W, C] that are nearest, in features [Q, D], to Q generated images.

    Every training image is searched: where only the first have features, `gallery` [M, D], those of the others that are
    near in pixels get features now.
    """
    training = judge.real_images("train", judge.table.metadata.count("train"))
    pool = training[: len(gallery)]
    if len(pool) < len(training):
        others = training[len(pool) :]
        near = torch.unique(nearest_in_pixels(images, others, k=min(_CANDIDATES, len(others))).indices) + len(pool)
        pool = torch.cat([pool, training[near]])
        gallery = torch.cat([gallery, judge.extractor.features_and_logits(training[near]).features])
    found = nearest(features, gallery, k=min(NEIGHBOURS, len(pool)))
    return pool[found.indices]


def nearest_in_pixels(images: Tensor, training: Tensor, *, k: int) -> Nearest:
    """The k of the training images [M, H, W, C] nearest to each of Q images, all as thumbnails; ValueError for k > M.

    Distances are those of thumbnails with values from 0 to 255.
    """
    queries = _thumbnails(images)
    distances, rows = [], []
    for start in range(0, len(training), _AT_A_TIME):
        part = _thumbnails(training[start : start + _AT_A_TIME])
        found = nearest(queries, part, k=min(k, len(part)))
        distances.append(found.distances)
        rows.append(found.indices + start)
    every_distance, every_row = torch.cat(distances, dim=1), torch.cat(rows, dim=1)
    if k > every_row.shape[1]:
        raise ValueError(f"{len(training)} images have no {k} nearest neighbours")
    best = every_distance.topk(k, dim=1, largest=False)
    return Nearest(best.values, every_row.gather(1, best.indices))


def _thumbnails(images: Tensor) -> Tensor:
    pixels = images.permute(0, 3, 1, 2).float()
    side = min(_THUMBNAIL, *pixels.shape[2:])
    return adaptive_avg_pool2d(pixels, side).flatten(1)
