"""Random changes that D sees real and generated images through, so that it cannot learn few images by heart.

G is not taught to imitate a change, because its own images are changed as well, with a way back for the gradient (Zhao
et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training"). `color`, `translation` and `cutout` are the
operations of that paper, in whose recipes they come in this order.

An `Augmentation` maps images [B, C, H, W] in [-1, 1] and the probability by which each is changed to images of the same
shape; a new one is one entry in `AUGMENTATIONS`. Its gradient is differentiated again where D's own is penalised
(R1, R2). PyTorch is imported when one is applied, so that recipes can be read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Probability: TypeAlias = "float | Tensor"
"""Or 0-d, where a training sets it by what it sees."""
Augmentation = Callable[["Tensor", Probability], "Tensor"]


def color(images: Tensor) -> Tensor:
    """Brightness +-0.5, saturation 0 to 2 times, contrast 0.5 to 1.5 times, in this order (the authors' public code).

    Saturation is the distance from a pixel's mean over the channels, contrast that from the image's own mean. A fourth
    channel, of what is transparent, stays as it is.
    """
    import torch

    if images.shape[1] == 4:
        return torch.cat([color(images[:, :3]), images[:, 3:]], dim=1)
    changed = images + _uniform(images, -0.5, 0.5)
    grey = changed.mean(1, keepdim=True)
    changed = grey + (changed - grey) * _uniform(images, 0.0, 2.0)
    mean = changed.mean((1, 2, 3), keepdim=True)
    return mean + (changed - mean) * _uniform(images, 0.5, 1.5)


def translation(images: Tensor) -> Tensor:
    """Moves each image by up to an eighth of its size, rounded, both ways; grey (0) comes in (section 3.2)."""
    from torch.nn.functional import pad

    # One line of zeros around, to which everything from outside the image is taken.
    return _taken(pad(images, (1, 1, 1, 1)), *(_moved(images, axis, _eighth) + 1 for axis in (2, 3)))


def shift(images: Tensor) -> Tensor:
    """Moves each image as `translation` does, by an eighth rounded down, and repeats its border.

    No paper's: grey bands are a thing that no image of digits on black has, and D must spend itself on them.
    """
    return _taken(images, *(_moved(images, axis, lambda size: max(1, size // 8)) for axis in (2, 3)))


def cutout(images: Tensor) -> Tensor:
    """Blanks (to grey, 0) a square of half the image's size around a random place, cut off at the border (section 3.2).

    The centre is one of the pixels, or one beyond the last where the square's side is even (the authors' code).
    """
    inside = _in_window(images, 2)[:, :, None] & _in_window(images, 3)[:, None, :]
    return images * (~inside)[:, None]


def _each(change: Callable[[Tensor], Tensor]) -> Augmentation:
    """Applies a change to each image by itself with the probability that is asked for."""

    def augmentation(images: Tensor, probability: Probability) -> Tensor:
        import torch

        if isinstance(probability, float) and probability >= 1.0:
            return change(images)
        return torch.where(_uniform(images, 0.0, 1.0) < probability, change(images), images)

    return augmentation


def ada(images: Tensor, probability: Probability) -> Tensor:
    """StyleGAN2-ADA's pipeline of 12 changes (Karras et al. 2020b, appendix B), each with the probability."""
    from gan_models.ada import augmented

    return augmented(images, probability)


def ada_cutout(images: Tensor, probability: Probability) -> Tensor:
    """R3GAN's: `ada` with changes of colour half as often, then `cutout` (Huang et al. 2024, their public code).

    The centre of the square lies anywhere there, here on a pixel.
    """
    from gan_models.ada import augmented

    return _each(cutout)(augmented(images, probability, colour=0.5), probability)


AUGMENTATIONS: dict[str, Augmentation] = {
    "ada": ada,
    "ada-cutout": ada_cutout,
    **{change.__name__: _each(change) for change in (color, cutout, shift, translation)},
}


def augment(images: Tensor, names: Sequence[str], probability: Probability = 1.0) -> Tensor:
    """Applies the named augmentations in order, drawn anew for each image, each with the same probability."""
    if isinstance(probability, float) and probability <= 0.0:
        return images
    for name in names:
        images = AUGMENTATIONS[name](images, probability)
    return images


def _eighth(size: int) -> int:
    return int(size / 8 + 0.5)


def _moved(images: Tensor, axis: int, reach: Callable[[int], int]) -> Tensor:
    """For each image, which row (or column) comes to lie at each place, int64 [B, size]; -1 and size: from outside."""
    import torch

    size = images.shape[axis]
    by = _drawn(images, -reach(size), reach(size) + 1)
    return torch.arange(size, device=images.device) + by


def _taken(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pixels at rows [B, H] and columns [B, W], the nearest where there are no such; [B, C, H, W]."""
    import torch

    count, _, height, width = images.shape
    each = torch.arange(count, device=images.device)[:, None, None]
    rows, columns = rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    return images.permute(0, 2, 3, 1)[each, rows, columns].permute(0, 3, 1, 2)


def _in_window(images: Tensor, axis: int) -> Tensor:
    """For each image, whether a row (or column) lies in a window of half the size at a random place, bool [B, size]."""
    import torch

    size = images.shape[axis]
    side = int(size / 2 + 0.5)
    first = _drawn(images, 0, size + 1 - side % 2) - side // 2
    places = torch.arange(size, device=images.device)
    return (places >= first) & (places < first + side)


def _drawn(images: Tensor, low: int, high: int) -> Tensor:
    """A whole number from `low` to below `high` for each image, int64 [B, 1]."""
    import torch

    from gan_models import ranks

    return ranks.share(torch.randint(low, high, (len(images) * ranks.count(), 1), device=images.device))


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """A number from U(low, high) for each image, [B, 1, 1, 1] of its type."""
    import torch

    from gan_models import ranks

    drawn = torch.rand(len(images) * ranks.count(), 1, 1, 1, device=images.device)
    return (low + (high - low) * ranks.share(drawn)).to(images.dtype)
