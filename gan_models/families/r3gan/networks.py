"""R3GAN (Huang, Gokaslan, Kuleshov, Tompkin 2024, "The GAN is dead; long live the GAN!"), section 4, config E.

No normalisation layer, no minibatch statistics, no style: stages of residual blocks 1x1 - grouped 3x3 - 1x1 with an
inverted bottleneck, resampling by the filter [1, 3, 3, 1], and the initialisation that stands in for the norms (Zhang,
Dauphin, Ma 2019, "Fixup"). Made for the relativistic game with R1 and R2 penalties. Where the paper leaves it open, as
the authors' public code has it.

Images are unbounded in training and cut off at [-1, 1] afterwards. The form that this project's first version gave the
networks (`form: first`) stays, so that generators of that time make the images that they made.
"""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from gan_models.data.shape import Size
from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.r3gan.spec import R3ganDiscriminator, R3ganGenerator, Stages
from gan_models.families.resolutions import doubled_widths
from gan_models.layers.attention import attention_after
from gan_models.layers.filtering import BinomialFilter

_SLOPE = 0.2
_GAIN = sqrt(2.0 / (1.0 + _SLOPE**2))  # keeps the variance through the leaky ReLU (He et al. 2015)
_CONVOLUTIONS = 3  # of a block


class InvertedBottleneck(nn.Module):
    """x + 1x1(act(grouped 3x3(act(1x1(x))))): [B, C, H, W] -> the same shape; the identity before training.

    Args:
        expansion: how many times as many channels lie between the 1x1 convolutions.
        group: channels of each group there, about.
        blocks: how many such blocks the network has, by which their first weights are scaled down.
    """

    def __init__(self, channels: int, *, expansion: int, group: int, blocks: int) -> None:
        super().__init__()
        hidden = channels * expansion
        groups = next(count for count in range(max(1, hidden // group), 0, -1) if hidden % count == 0)
        self.widen = nn.Conv2d(channels, hidden, 1)
        self.mix = nn.Conv2d(hidden, hidden, 3, padding=1, groups=groups)
        self.narrow = nn.Conv2d(hidden, channels, 1, bias=False)
        # L ** (-1 / (2 m - 2)) of Fixup, m convolutions in each of L blocks.
        self.gain = _GAIN * blocks ** (-1.0 / (2 * _CONVOLUTIONS - 2))

    def forward(self, x: Tensor) -> Tensor:
        hidden = leaky_relu(self.widen(x), _SLOPE)
        hidden = leaky_relu(self.mix(hidden), _SLOPE)
        return x + self.narrow(hidden)


class Resample(nn.Module):
    """Doubling or halving by a filter, with a 1x1 convolution where the width changes, always on the smaller map.

    Args:
        published: by [1, 3, 3, 1] with zeros beyond the border; else bilinearly.
    """

    def __init__(self, inputs: int, outputs: int, *, up: bool, published: bool) -> None:
        super().__init__()
        self.up = up
        self.filter = BinomialFilter() if published else None
        self.change = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.filter is not None:
            return self.filter.doubled(self.change(x)) if self.up else self.change(self.filter.halved(x))
        if self.up:
            return interpolate(self.change(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.change(avg_pool2d(x, 2))  # which bilinear halving comes to


class GenerativeBasis(nn.Module):
    """The coarsest map: learnt maps, each weighted by a linear function of the latent: [B, Z] -> [B, C, H, W]."""

    def __init__(self, latent: int, channels: int, base: Size) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(channels, *base))
        self.weigh = nn.Linear(latent, channels, bias=False)

    def forward(self, z_BZ: Tensor) -> Tensor:
        weights: Tensor = self.weigh(z_BZ)
        return self.maps.to(weights.dtype) * weights[:, :, None, None]


class R3ganImageGenerator(LatentGenerator):
    """A basis at the coarsest map and `blocks` residual blocks at each map, doubling in between."""

    def build(self, spec: R3ganGenerator, image_shape: ImageShape) -> None:
        channels, size = image_shape[0], Size.of(image_shape)
        self.published = spec.form == "published"
        # A class that is not joined one-hot is joined as learnt.
        learnt = spec.embedding if self.num_classes and not self.one_hot else 0
        self.embed = nn.Embedding(self.num_classes, learnt) if learnt else None
        base, doublings = spec.plan(size)
        widths = doubled_widths(spec.width, spec.max_width, doublings + 1)[::-1]
        layers: list[nn.Module] = [GenerativeBasis(self.joined + learnt, widths[0], base)]
        for level, width in enumerate(widths):
            if level:
                layers.append(Resample(widths[level - 1], width, up=True, published=self.published))
            layers += _stage(spec, width, len(widths))
            layers += attention_after(base.shorter << level, width, spec.attention)
        layers.append(nn.Conv2d(widths[-1], channels, 1, bias=False))
        self.layers = nn.Sequential(*layers, *([] if self.published else [nn.Tanh()]))

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        """Unbounded while training: D is to see where they leave [-1, 1], and a tanh holds back the gradient."""
        if self.embed is not None and labels_B is not None:
            z_BZ = torch.cat([z_BZ, self.embed(labels_B).to(z_BZ.dtype)], dim=1)
        images: Tensor = self.layers(z_BZ)
        return images if self.training or not self.published else images.clamp(-1.0, 1.0)


class EmbeddedProjection(nn.Module):
    """<W h, E(y)>, both of F dimensions, and no term without the class: features [B, F] and labels [B] -> logits [B].

    Unlike Miyato and Koyama's projection (2018), as the authors' code has it.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, features, bias=False)
        self.embedding = nn.Embedding(classes, features)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            raise ValueError("this discriminator is conditional: pass labels")
        return (self.project(features) * self.embedding(labels)).sum(1)


class R3gan(LatentBuilder):
    """Both players."""

    network = R3ganImageGenerator

    def trunk(self, spec: R3ganDiscriminator, image_shape: ImageShape) -> Trunk:
        """The generator's mirror image; the coarsest map is summed over places with learnt weights for each channel."""
        channels, size = image_shape[0], Size.of(image_shape)
        base, doublings = spec.plan(size)
        widths = doubled_widths(spec.width, spec.max_width, doublings + 1)
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 1, bias=False)]
        for level, width in enumerate(widths):
            layers += _stage(spec, width, len(widths))
            layers += attention_after(size.shorter >> level, width, spec.attention)
            if level < doublings:
                layers.append(Resample(width, widths[level + 1], up=False, published=spec.form == "published"))
        layers += [nn.Conv2d(widths[-1], widths[-1], base, groups=widths[-1], bias=False), nn.Flatten()]
        # A relativistic loss does not see a bias of all logits.
        return Trunk(nn.Sequential(*layers), widths[-1], 1, bias=spec.form != "published")

    def projection(self, spec: R3ganDiscriminator, trunk: Trunk, classes: int) -> nn.Module:
        if spec.form == "published":
            return EmbeddedProjection(trunk.channels, classes)
        return super().projection(spec, trunk, classes)

    def initialise(self, module: nn.Module) -> None:
        """N(0, 1 / fan in), times the block's gain inside one, and zero in its last convolution.

        An embedding's fan-in is the number of classes, as that of a matrix which one-hot vectors are multiplied by.
        """
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, module.num_embeddings**-0.5)
        if isinstance(module, EmbeddedProjection):  # after its parts: the product of both has the features' size
            embedding = module.embedding
            nn.init.normal_(embedding.weight, 0.0, (embedding.num_embeddings * embedding.embedding_dim) ** -0.5)
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, InvertedBottleneck):
            for convolution in (module.widen, module.mix):
                nn.init.normal_(convolution.weight, 0.0, module.gain * convolution.weight[0].numel() ** -0.5)
            nn.init.zeros_(module.narrow.weight)


def _stage(spec: Stages, width: int, stages: int) -> list[nn.Module]:
    """The blocks of one map."""
    total = spec.blocks * stages
    return [
        InvertedBottleneck(width, expansion=spec.expansion, group=spec.group, blocks=total) for _ in range(spec.blocks)
    ]
