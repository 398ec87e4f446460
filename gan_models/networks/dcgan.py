"""DCGAN (Radford, Metz, Chintala 2016): strided and transposed convolutions, no pooling, no hidden dense layers.

Batch norm everywhere but in G's output and D's input; ReLU in G, LeakyReLU(0.2) in D; weights from N(0, 0.02).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_models.errors import RequestError
from gan_models.networks.heads import LinearHead, ProjectionHead
from gan_models.networks.interfaces import Discriminator, Generator
from gan_models.recipes.schema import DcganDiscriminator, DcganGenerator

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


class DcganImageGenerator(Generator):
    """A dense projection to the coarsest map, then 4x4 transposed convolutions of stride 2."""

    def __init__(self, latent: int, num_classes: int, spec: DcganGenerator, image_shape: ImageShape) -> None:
        super().__init__(latent, num_classes)
        channels, size, _ = image_shape
        base, doublings = _resolution_plan(size)
        widths = [min(spec.max_width, spec.width << level) for level in reversed(range(doublings))]
        self.coarse_shape = (widths[0], base, base)
        # The paper's first layer, a convolution on a 1x1 map, written as the matrix product that it is.
        self.project = nn.Linear(latent + num_classes, widths[0] * base * base, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        for inputs, outputs in pairwise(widths):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs)]
            layers.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())
        self.apply(_initialise)

    def synthesize(self, z_BZ: Tensor) -> Tensor:
        images: Tensor = self.layers(self.project(z_BZ).unflatten(1, self.coarse_shape))
        return images


def build_generator(spec: DcganGenerator, latent: int, num_classes: int, image_shape: ImageShape) -> Generator:
    return DcganImageGenerator(latent, num_classes, spec, image_shape)


def build_discriminator(spec: DcganDiscriminator, num_classes: int, image_shape: ImageShape) -> Discriminator:
    """4x4 convolutions of stride 2 down to the coarsest map, then the head; `num_classes` 0 means unconditional."""
    channels, size, _ = image_shape
    base, doublings = _resolution_plan(size)
    widths = [channels, *(min(spec.max_width, spec.width << level) for level in range(doublings))]
    layers: list[nn.Module] = []
    for level, (inputs, outputs) in enumerate(pairwise(widths)):
        normalised = spec.norm == "batch" and level > 0
        convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not normalised)
        layers.append(spectral_norm(convolution) if spec.norm == "spectral" else convolution)
        if normalised:
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    spectral = spec.norm == "spectral"
    head: nn.Module
    if num_classes:
        head = ProjectionHead(widths[-1], base * base, num_classes, spectral=spectral)
    else:
        head = LinearHead(widths[-1] * base * base, spectral=spectral)
    return Discriminator(nn.Sequential(*layers), head).apply(_initialise)


def _initialise(module: nn.Module) -> None:
    """Section 4 of the paper: every weight from N(0, 0.02); batch-norm gains around 1, as its public code has them."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
