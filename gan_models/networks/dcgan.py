"""DCGAN (Radford, Metz, Chintala 2016): strided and transposed convolutions, no pooling, no hidden dense layers.

Batch norm everywhere but in G's output and D's input; ReLU in G, LeakyReLU(0.2) in D; weights from N(0, 0.02).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from gan_models.errors import RequestError
from gan_models.layers.attention import attention_after
from gan_models.layers.initialization import SCHEMES
from gan_models.layers.normalization import REFERENCE_ROWS, discriminator_norm, generator_norm
from gan_models.networks.interfaces import LatentGenerator, Trunk
from gan_models.recipes.network_specs import DcganDiscriminator, DcganGenerator

ImageShape = tuple[int, int, int]

# The coarsest feature map is 4 to 7 pixels wide, and every layer doubles it.
_COARSEST = range(4, 8)
_LARGEST = 128
SIZES = sorted(base << doublings for base in _COARSEST for doublings in range(1, 6) if base << doublings <= _LARGEST)


def check_size(size: int) -> None:
    """Raises RequestError where no coarse map of 4 to 7 pixels doubles to `size`."""
    if size not in SIZES:
        near = sorted(sorted(SIZES, key=lambda known: abs(known - size))[:2])
        raise RequestError(
            f"data.size={size}: dcgan doubles a 4 to 7 pixel map, so the nearest sizes it can make are "
            f"{' and '.join(map(str, near))} (all: {', '.join(map(str, SIZES))})"
        )


def _resolution_plan(size: int) -> tuple[int, int]:
    """The width of the coarsest map and the number of doublings from it to `size`."""
    check_size(size)
    doublings = next(n for n in range(1, 6) if size >> n in _COARSEST and (size >> n) << n == size)
    return size >> doublings, doublings


class DcganImageGenerator(LatentGenerator):
    """A dense projection to the coarsest map, then 4x4 transposed convolutions of stride 2."""

    def __init__(
        self, spec: DcganGenerator, latent: int, num_classes: int, image_shape: ImageShape, *, one_hot: bool
    ) -> None:
        reference = REFERENCE_ROWS if spec.norm in ("virtual", "reference") else 0
        super().__init__(latent, num_classes, one_hot=one_hot, reference=reference)
        channels, size, _ = image_shape
        base, doublings = _resolution_plan(size)
        widths = [min(spec.max_width, spec.width << level) for level in reversed(range(doublings))]
        self.coarse_shape = (widths[0], base, base)
        # The paper's first layer, a convolution on a 1x1 map, written as the matrix product that it is.
        self.project = nn.Linear(self.joined, widths[0] * base * base, bias=spec.norm == "none")
        layers = [*generator_norm(spec.norm, widths[0], reference), nn.ReLU(inplace=True)]
        layers += attention_after(base, widths[0], spec.attention)
        for level, (inputs, outputs) in enumerate(pairwise(widths), 1):
            layers.append(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=spec.norm == "none"))
            layers += [*generator_norm(spec.norm, outputs, reference), nn.ReLU(inplace=True)]
            layers += attention_after(base << level, outputs, spec.attention)
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        images: Tensor = self.layers(self.project(z_BZ).unflatten(1, self.coarse_shape))
        return images


def build_generator(
    spec: DcganGenerator, latent: int, num_classes: int, image_shape: ImageShape, one_hot: bool
) -> LatentGenerator:
    """Raises RequestError for conditional batch norm, which this family does not have."""
    if num_classes and not one_hot:
        raise RequestError("dcgan takes the class joined to its latent: set conditioning.generator=one-hot")
    return DcganImageGenerator(spec, latent, num_classes, image_shape, one_hot=one_hot)


def build_trunk(spec: DcganDiscriminator, image_shape: ImageShape) -> Trunk:
    """4x4 convolutions of stride 2 down to the coarsest map."""
    channels, size, _ = image_shape
    base, doublings = _resolution_plan(size)
    widths = [channels, *(min(spec.max_width, spec.width << level) for level in range(doublings))]
    layers: list[nn.Module] = []
    for level, (inputs, outputs) in enumerate(pairwise(widths)):
        map_size = size >> (level + 1)
        norm = discriminator_norm(spec.norm, outputs, map_size) if level > 0 else []
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm), *norm, nn.LeakyReLU(0.2, inplace=True)]
        layers += attention_after(map_size, outputs, spec.attention)
    return Trunk(nn.Sequential(*layers), widths[-1], base * base)


def initialise(module: nn.Module) -> None:
    """Section 4 of the paper: every weight from N(0, 0.02); batch-norm gains around 1, as its public code has them."""
    SCHEMES["normal"](module)
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
