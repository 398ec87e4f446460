"""BigGAN (Brock, Donahue, Simonyan 2019, section 3 and appendix B): SAGAN's network, wider, and told everywhere.

The class is embedded once; the latent is cut into one chunk for the coarsest map and one for each block, and a block's
batch norms take gain and bias from its chunk and the embedding. With `width` 96 and 1,000 classes the 128x128 networks
have the 70.4 and 88.0 million parameters of the paper's public code. Without classes the chunks alone are heard.

That code's script for CIFAR-10 has neither chunks nor a shared embedding: the whole latent enters at the coarsest map,
each batch norm has a gain and a bias for each class, 4,304,387 and 4,207,361 parameters at `width` 64.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gan_models.data.shape import Size
from gan_models.families.biggan.spec import BigganDiscriminator, BigganGenerator
from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.residual import NormFactory, UpBlocks, down_trunk, unconditioned_norm
from gan_models.layers.initialization import SCHEMES

# Channels of the maps from the coarsest, in units of `width`: the public code's 128x128, 64x64 and 32x32 networks.
_UP = {5: (16, 16, 8, 4, 2, 1), 4: (16, 16, 8, 4, 2)}
_DOWN = {5: (1, 2, 4, 8, 16, 16), 4: (1, 2, 4, 8, 16)}
_SMALL = 4


class ClassEmbedding(nn.Embedding):
    """Classes [B] to vectors [B, F]."""

    takes_spectral_norm = False
    """The paper's code leaves G's embeddings alone."""


class VectorBatchNorm2d(nn.Module):
    """Batch norm with gain 1 + A v and bias B v, linear in the block's condition v [B, F] (appendix B, figure 15)."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain, self.bias = self.made_of(features, channels), self.made_of(features, channels)

    def made_of(self, features: int, channels: int) -> nn.Module:
        """What makes gains and biases of the condition."""
        return nn.Linear(features, channels, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[B, C, H, W] and vectors [B, F] -> [B, C, H, W]."""
        normal: Tensor = self.norm(x)
        gain, bias = (1.0 + self.gain(condition)).to(normal.dtype), self.bias(condition).to(normal.dtype)
        return torch.addcmul(bias[:, :, None, None], gain[:, :, None, None], normal)


class ClassBatchNorm2d(VectorBatchNorm2d):
    """The same with a gain and a bias for each class: the condition is classes, int64 [B]; `features` is their number.

    Like `ConditionalBatchNorm2d`, but for its first weights, which are drawn as all others are.
    """

    def made_of(self, features: int, channels: int) -> nn.Module:
        return ClassEmbedding(features, channels)


class BigganImageGenerator(LatentGenerator):
    """A dense layer of the first chunk, UpBlocks of the others, then batch norm-ReLU-convolution-tanh.

    A latent that the chunks do not divide has longer chunks first; one that is not cut is a single chunk.
    """

    def build(self, spec: BigganGenerator, image_shape: ImageShape) -> None:
        channels, size = image_shape[0], Size.of(image_shape)
        base, doublings = spec.plan(size)
        self.chunks = _chunks(self.latent, doublings + 1) if spec.chunks else [self.latent]
        widths = [spec.width * factor for factor in _UP.get(doublings, (_SMALL,) * (doublings + 1))]
        shared = spec.embedding if self.num_classes else 0
        self.embedding = ClassEmbedding(self.num_classes, shared) if shared else None
        self.coarse_shape = (widths[0], *base)
        self.project = nn.Linear(self.chunks[0], widths[0] * base.places)
        heard = self.chunks[1:] or [0] * doublings
        norms = [self.conditioned_norm(chunk + shared) for chunk in heard]
        self.blocks = UpBlocks(widths, base, norms, spec.attention)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def conditioned_norm(self, features: int) -> NormFactory:
        """For blocks whose condition has so many features; 0: the class itself, where there is one."""
        if features:
            return partial(VectorBatchNorm2d, features=features)
        if self.num_classes:
            return partial(ClassBatchNorm2d, features=self.num_classes)
        return unconditioned_norm("batch")

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        first, *chunks = torch.split(z_BZ, self.chunks, dim=1)
        conditions: list[Tensor | None] = [*chunks] or [labels_B] * len(self.blocks.blocks)
        if self.embedding is not None and labels_B is not None:
            classes_BF = self.embedding(labels_B).to(z_BZ.dtype)
            joined = [torch.cat([classes_BF, chunk], dim=1) for chunk in chunks]
            conditions = [*joined] or [classes_BF] * len(self.blocks.blocks)
        features = self.blocks(self.project(first).unflatten(1, self.coarse_shape), conditions)
        return self.last(relu(self.norm(features))).tanh()


def _chunks(latent: int, count: int) -> list[int]:
    """Lengths of the chunks."""
    return [latent // count + (index < latent % count) for index in range(count)]


class Biggan(LatentBuilder):
    """Both players."""

    network = BigganImageGenerator
    initialise = staticmethod(SCHEMES["orthogonal"])  # everywhere (section 3)

    def trunk(self, spec: BigganDiscriminator, image_shape: ImageShape) -> Trunk:
        """Halving blocks, then one that keeps the coarsest map at 128x128, two that keep twice it at 32x32 and less."""
        channels, size = image_shape[0], Size.of(image_shape)
        halvings = spec.halvings(size)
        factors = _DOWN.get(spec.plan(size).doublings, (_SMALL,) * (halvings + 2))
        widths = [channels, *(spec.width * factor for factor in factors)]
        return down_trunk(widths, size, halvings, wide=True, norm=spec.norm, attention=spec.attention)
