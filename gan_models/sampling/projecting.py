"""An image searched for in W: the style whose picture is nearest (Karras et al. 2020a, section 5 and appendix D).

w begins as the mean of many styles and follows the gradient of a perceptual distance, together with the maps of noise,
which are kept from taking over what the style should say: their correlation with their neighbours, at every size down
to 8 pixels, is held near zero. As in the authors' public code, one w stands for all layers.

Unlike there a distance counts as a share of what it is at the mean style, so that one in other units than LPIPS weighs
as much beside the noise.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gan_models.atomic import new_folder
from gan_models.data.shape import Size
from gan_models.data.table import to_float, to_uint8
from gan_models.errors import RequestError
from gan_models.families.interfaces import StyledGenerator
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import save_png, side_by_side

STYLES_FILE, TENSORS_FILE, PICTURE_FILE = "w.npy", "projection.safetensors", "projection.png"
_DRAWN = 10_000  # styles whose mean is begun with
_RATE, _RISING, _FALLING = 0.1, 0.05, 0.25  # of Adam, and the shares of the steps that it rises and falls in
_JITTER, _JITTERED = 0.05, 0.75  # noise on w in its standard deviations, and the share of the steps that it fades in
_NOISE_WEIGHT = 1e5
_COARSEST = 8  # pixels of a map of noise, down to which its correlations count
_SEEN = 256  # pixels a side that images are compared at, at most


class Distance(Protocol):
    """As `gan_models.metrics.path_length.Distance`: of images [B, C, H, W] in [-1, 1] from others, [B]."""

    def __call__(self, first: Tensor, second: Tensor) -> Tensor: ...


class Projection(NamedTuple):
    """What was found."""

    style: Tensor
    """w, float32 [W]."""
    noises: dict[str, Tensor]
    """Maps [H, W] by their names in the network."""
    image: Tensor
    """The picture of both, uint8 [H, W, C]."""
    target: Tensor
    """uint8 [H, W, C]."""
    shares: tuple[float, ...]
    """Of the distance at the mean style, that was left at each step."""
    frames: tuple[Tensor, ...]
    """Pictures on the way, uint8 [H, W, C]."""


def pixels_at_all_sizes(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared differences of pixels, summed over the image's own size and its halves, [B]."""
    total = (first - second).square().mean((1, 2, 3))
    while min(first.shape[2:]) >= _COARSEST:
        first, second = avg_pool2d(first, 2), avg_pool2d(second, 2)
        total = total + (first - second).square().mean((1, 2, 3))
    return total


def project(
    generator: LoadedGenerator,
    target: Tensor,
    distances: Sequence[Distance],
    *,
    label: int | None = None,
    steps: int = 1000,
    seed: int = 0,
    frames: int = 0,
    advance: Callable[[float], object] = lambda share: None,
) -> Projection:
    """The style and the noise whose picture is nearest to `target` uint8 [H, W, C].

    Args:
        distances: each counts the same.
        label: the class whose mean style is begun with; by default that of all.
        seed: decides the noise.
        frames: how many pictures of the way to keep.
        advance: called after each step with the share of the distance that is left.

    Raises:
        RequestError: the generator has no styles, or makes images of another size.
    """
    made = generator.module
    if not isinstance(made, StyledGenerator):
        raise RequestError(
            f"{generator.info.recipe_name} has no styles to search in: project an image into a stylegan2-ada generator"
        )
    if tuple(target.shape) != (*generator.info.image_shape[1:], generator.info.image_shape[0]):
        raise RequestError(f"an image of {list(target.shape)} is not one that {generator.info.recipe_name} could make")
    if label is not None and not 0 <= label < made.num_classes:
        raise RequestError(f"label={label}: {generator.info.recipe_name} has {made.num_classes} classes")
    device = generator.device
    random = torch.Generator(device).manual_seed(seed)
    module = copy.deepcopy(made).eval().requires_grad_(False)
    mean, spread = _mean_style(module, label, device)
    style = mean.clone().requires_grad_()
    noises = module.noises()
    for noise in noises.values():
        noise.normal_(generator=random).requires_grad_()
    wanted = _seen(to_float(target[None].to(device)))
    optimizer = torch.optim.Adam([style, *noises.values()], betas=(0.9, 0.999))
    first: list[Tensor] = []
    shares: list[float] = []
    kept: list[Tensor] = []
    for step in range(steps):
        done = step / steps
        optimizer.param_groups[0]["lr"] = _RATE * _ramp(done)
        jitter = spread * _JITTER * max(0.0, 1.0 - done / _JITTERED) ** 2
        moved = style + jitter * torch.randn(style.shape, generator=random, device=device)
        drawn = module.draw(moved.expand(1, module.layers, -1))
        found = [distance(_seen(drawn), wanted).sum() for distance in distances]
        first = first or [each.detach().clamp(min=1e-12) for each in found]
        share = torch.stack([each / start for each, start in zip(found, first, strict=True)]).mean()
        optimizer.zero_grad(set_to_none=True)
        (share + _NOISE_WEIGHT * _correlation(noises.values())).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        _normalise(noises.values())
        shares.append(share.item())
        if frames and (step + 1) * frames // steps > step * frames // steps:
            kept.append(_picture(module, style))
        advance(shares[-1])
    found_noises = {name: noise.detach().cpu() for name, noise in noises.items()}
    picture = _picture(module, style)
    return Projection(style.detach().cpu(), found_noises, picture, target.cpu(), tuple(shares), tuple(kept))


def save_projection(found: Projection, folder: Path, *, scale: int = 1) -> None:
    """Writes w.npy (w alone), projection.safetensors (`w`, and the noise by name), projection.png (target, picture)."""
    with new_folder(folder) as place:
        np.save(place / STYLES_FILE, found.style.numpy())
        tensors = {name: noise.contiguous() for name, noise in found.noises.items()}
        save_file({"w": found.style.contiguous(), **tensors}, place / TENSORS_FILE)
        both = side_by_side(found.target[None], found.image[None])
        save_png(torch.cat(list(both), dim=1).numpy(), place / PICTURE_FILE, scale=scale)


def _mean_style(module: StyledGenerator, label: int | None, device: torch.device) -> tuple[Tensor, Tensor]:
    """The mean [W] of styles, and their standard deviation, 0-d: the root of the mean squared distance from it."""
    draws = Draws(123, _DRAWN)  # as good as any
    labels = None
    if module.num_classes:
        labels = (draws.numbers % module.num_classes if label is None else torch.full((_DRAWN,), label)).to(device)
    with torch.no_grad():
        styles = module.styles(draws.normal(module.latent).to(device), labels)[:, 0]
    mean = styles.mean(0)
    return mean, (styles - mean).square().sum(1).mean().sqrt()


def _ramp(done: float) -> float:
    """The factor of the rate: up in a line, down along a cosine."""
    falling = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - done) / _FALLING))
    return falling * min(1.0, done / _RISING)


def _seen(images: Tensor) -> Tensor:
    """As they are compared: no larger than what the networks behind distances were made for."""
    size = Size(*images.shape[2:])
    return images if size.shorter <= _SEEN else interpolate(images, size=tuple(size.with_shorter(_SEEN)), mode="area")


def _correlation(noises: Iterable[Tensor]) -> Tensor:
    """Squared correlations of each map with its neighbours to the right and below, at all sizes, summed."""
    terms = []
    for noise in noises:
        each = noise[None, None]
        while True:
            terms += [(each * each.roll(1, dims=axis)).mean().square() for axis in (2, 3)]
            if min(each.shape[2:]) <= _COARSEST:
                break
            each = avg_pool2d(each, 2)
    return torch.stack(terms).sum()


@torch.no_grad()
def _normalise(noises: Iterable[Tensor]) -> None:
    """Each map to mean 0 and variance 1."""
    for noise in noises:
        noise -= noise.mean()
        noise *= noise.square().mean().rsqrt()


@torch.no_grad()
def _picture(module: StyledGenerator, style: Tensor) -> Tensor:
    return to_uint8(module(styles=style.expand(1, module.layers, -1)))[0].cpu()
