"""StackGAN (Zhang et al. 2017): text to image in two stages, each conditioned on a sample around the text's embedding.

Stage I draws a picture of a half or a quarter of the size from noise and text; stage II reads that picture and the text
again, and draws it at full size. Nearest-neighbour upsampling and 3x3 convolutions, batch norm and ReLU (section 3.3
and 3.4).

Texts come as embeddings with the data, as the paper has it (those of a pretrained encoder), or as captions. An encoder
of captions is not pretrained, but learns in stage I with the generator that it serves, and is frozen with it. D has one
of its own (`gan_models.games.text`): the condition that D judges by is no part of G, so that G cannot move it to please
D, and D's matching of texts and images cannot be undone by G.

The `published` layout is that of the authors' first release (github.com/hanzhanggit/StackGAN, TensorFlow, birds), which
their PyTorch release for COCO is not: bottleneck blocks in stage I and in D, D conditional only.

Shape suffixes: B batch, L words, T text embedding, Z latent, E condition, C channels, H W height and width.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from gan_models.data.shape import DataShape, Size
from gan_models.errors import RequestError
from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import Generator, ImageShape, Trunk
from gan_models.families.stackgan.spec import StackganDiscriminator, StackganGenerator, sizes_down_from
from gan_models.families.stackgan.text import build_text_encoder
from gan_models.layers.attention import attention_after
from gan_models.layers.initialization import SCHEMES, gains_around_one
from gan_models.layers.normalization import generator_norm
from gan_models.recipes.schema import Recipe

_LEAK = 0.2
_EIGHTFOLD = 8  # D's head reads so many times its first layer's channels


class Drawing(NamedTuple):
    """What one stage made, and the Gaussian that its condition was drawn from."""

    images: Tensor
    """[B, C, H, W] in [-1, 1]."""
    mean: Tensor
    """mu [B, E]."""
    log_variance: Tensor
    """log sigma^2 [B, E]."""


class ConditioningAugmentation(nn.Module):
    """c = mu(text) + sigma(text) * noise (section 3.2): few texts become a smooth region of conditions.

    A fully connected layer gives mu and log sigma^2. In the authors' first release it gives mu and log sigma, and a
    leaky ReLU follows (`leaky`); the PyTorch one has a ReLU, under which sigma could not fall below 1; the paper none.
    """

    def __init__(self, text: int, width: int, *, leaky: bool = False) -> None:
        super().__init__()
        self.leaky = leaky
        self.gaussian = nn.Linear(text, 2 * width)

    def forward(self, text_BT: Tensor, noise_BE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The condition [B, E] with its mean and log variance, from noise of N(0, I)."""
        mean, log_variance = self.gaussian(text_BT).float().chunk(2, dim=1)
        if self.leaky:
            mean, log_variance = leaky_relu(mean, _LEAK), 2.0 * leaky_relu(log_variance, _LEAK)
        return mean + (0.5 * log_variance).exp() * noise_BE, mean, log_variance


def augmentation_divergence(mean_BE: Tensor, log_variance_BE: Tensor) -> Tensor:
    """KL(N(mu, diag sigma^2) || N(0, I)) (eq. 2), the mean over batch and dimensions, 0-d.

    The paper writes the sum over dimensions; its public code takes their mean, which the weight of 2 belongs to.
    """
    return 0.5 * (mean_BE.square() + log_variance_BE.exp() - 1.0 - log_variance_BE).mean()


class FirstStage(nn.Module):
    """Noise and condition to a small picture (section 3.3)."""

    def __init__(self, spec: StackganGenerator, latent: int, text: int, channels: int, size: Size) -> None:
        super().__init__()
        self.augmentation = ConditioningAugmentation(text, spec.augmentation)
        sizes = sizes_down_from(size)
        widths = [min(spec.max_width, spec.width << level) for level in range(len(sizes))][::-1]
        self.coarse_shape = (widths[0], *sizes[-1])
        norm = generator_norm(spec.norm, widths[0])
        self.project = nn.Linear(latent + spec.augmentation, widths[0] * sizes[-1].places, bias=not norm)
        layers = [*norm, nn.ReLU(inplace=True), *attention_after(sizes[-1].shorter, widths[0], spec.attention)]
        for (inputs, outputs), map_size in zip(pairwise(widths), sizes[-2::-1], strict=True):
            layers += _upsampling(inputs, outputs, map_size, spec)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, 3, padding=1), nn.Tanh())

    def forward(self, text_BT: Tensor, z_BZ: Tensor, noise_BE: Tensor) -> Drawing:
        condition, mean, log_variance = self.augmentation(text_BT, noise_BE)
        coarse = self.project(torch.cat([z_BZ, condition.to(z_BZ.dtype)], dim=1)).unflatten(1, self.coarse_shape)
        return Drawing(self.layers(coarse), mean, log_variance)


class PublishedFirstStage(nn.Module):
    """The same as the authors' first release has it.

    A dense layer with batch norm and no ReLU, a bottleneck block on each of the two coarsest maps, and no hidden layer
    at the picture's own size.
    """

    def __init__(self, spec: StackganGenerator, latent: int, text: int, channels: int, size: Size) -> None:
        super().__init__()
        self.augmentation = ConditioningAugmentation(text, spec.augmentation, leaky=True)
        sizes = sizes_down_from(size)[:0:-1]  # from the coarsest to half of the picture's
        finest = spec.width * spec.enlargement
        widths = [min(spec.max_width, finest << level) for level in range(len(sizes))][::-1]
        self.coarse_shape = (widths[0], *sizes[0])
        dense = widths[0] * sizes[0].places
        self.project = nn.Sequential(
            nn.Linear(spec.augmentation + latent, dense), *generator_norm(spec.norm, dense, flat=True)
        )
        layers: list[nn.Module] = [Bottleneck(widths[0], spec.norm, nn.ReLU())]
        layers += attention_after(sizes[0].shorter, widths[0], spec.attention)
        for level, (inputs, outputs) in enumerate(pairwise(widths), 1):
            layers += _upsampling(inputs, outputs, sizes[level], spec)
            if level == 1:
                # What a bottleneck block is added to is not rectified yet.
                relu = next(place for place in reversed(range(len(layers))) if isinstance(layers[place], nn.ReLU))
                layers[relu] = Bottleneck(outputs, spec.norm, nn.ReLU())
        last = nn.Conv2d(widths[-1], channels, 3, padding=1, bias=False)
        self.layers = nn.Sequential(*layers, nn.Upsample(scale_factor=2, mode="nearest"), last, nn.Tanh())

    def forward(self, text_BT: Tensor, z_BZ: Tensor, noise_BE: Tensor) -> Drawing:
        condition, mean, log_variance = self.augmentation(text_BT, noise_BE)
        coarse = self.project(torch.cat([condition.to(z_BZ.dtype), z_BZ], dim=1)).unflatten(1, self.coarse_shape)
        return Drawing(self.layers(coarse), mean, log_variance)


class SecondStage(nn.Module):
    """A small picture and a condition of its own, drawn from the same text, to the full size (section 3.4).

    No further noise: what z decided is in the picture already.
    """

    def __init__(self, spec: StackganGenerator, text: int, channels: int, size: Size) -> None:
        super().__init__()
        plain = spec.layout == "plain"
        self.augmentation = ConditioningAugmentation(text, spec.augmentation, leaky=not plain)
        doublings = spec.enlargement.bit_length() - 1
        sizes = sizes_down_from(size)[: doublings + spec.downsamplings + 1]
        widths = [min(spec.max_width, spec.width << level) for level in range(len(sizes))]
        first = nn.Conv2d(channels, widths[doublings], 3, padding=1, bias=plain)
        reading: list[nn.Module] = [first, nn.ReLU(inplace=True)]
        for inputs, outputs in pairwise(widths[doublings:]):
            norm = generator_norm(spec.norm, outputs)
            reading += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm), *norm, nn.ReLU(inplace=True)]
        self.reading = nn.Sequential(*reading)
        layers = _convolution(widths[-1] + spec.augmentation, widths[-1], spec)
        layers += [ResidualBlock(widths[-1], spec) for _ in range(spec.residual_blocks)]
        for (inputs, outputs), map_size in zip(pairwise(widths[::-1]), sizes[-2::-1], strict=True):
            layers += _upsampling(inputs, outputs, map_size, spec)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[0], channels, 3, padding=1, bias=plain), nn.Tanh())

    def forward(self, images_BCHW: Tensor, text_BT: Tensor, noise_BE: Tensor) -> Drawing:
        condition, mean, log_variance = self.augmentation(text_BT, noise_BE)
        seen = self.reading(images_BCHW)
        planes = condition.to(seen.dtype)[:, :, None, None].expand(-1, -1, *seen.shape[2:])
        return Drawing(self.layers(torch.cat([seen, planes], dim=1)), mean, log_variance)


class Bottleneck(nn.Module):
    """activation(x + f(x)), f normed convolutions of 1x1, 3x3, 3x3, the first two of a quarter of the channels."""

    def __init__(self, channels: int, norm: str, activation: nn.Module) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        self.activation = activation

        def convolution(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
            normed = generator_norm(norm, outputs)
            return [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not normed), *normed]

        self.layers = nn.Sequential(
            *convolution(channels, inner, 1), activation, *convolution(inner, inner, 3), activation,
            *convolution(inner, channels, 3),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        return self.activation(features + self.layers(features))


class ResidualBlock(nn.Module):
    """relu(x + f(x)), f two 3x3 convolutions with batch norm and a ReLU between them (He et al. 2016)."""

    def __init__(self, channels: int, spec: StackganGenerator) -> None:
        super().__init__()
        last = _convolution(channels, channels, spec)[:-1]
        self.layers = nn.Sequential(*_convolution(channels, channels, spec), *last)

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.relu(features + self.layers(features))


class StackGan(Generator):
    """Latents [B, Z + 2E] and texts, captions [B, L] or embeddings [B, T], to images of the full size.

    Everything random comes in with the latents: z, then the noise of stage I's and of stage II's condition.

    Attributes:
        stage: 1 until stage II is there (the images are stage I's, enlarged), then 2. Saved with the weights.
    """

    task = "text"

    def __init__(self, spec: StackganGenerator, latent: int, shape: DataShape) -> None:
        super().__init__(("latents", *spec.needs), latent=latent + 2 * spec.augmentation)
        channels, size = shape.image[0], Size.of(shape.image)
        self.spec = spec
        self.parts = [latent, spec.augmentation, spec.augmentation]
        self.text = build_text_encoder(spec, shape)
        first = FirstStage if spec.layout == "plain" else PublishedFirstStage
        self.first = first(spec, latent, self.text.width, channels, size.halved(spec.enlargement.bit_length() - 1))
        self.second = SecondStage(spec, self.text.width, channels, size)
        self.stage = 1

    def forward(self, latents: Tensor, captions: Tensor | None = None, embeddings: Tensor | None = None) -> Tensor:
        texts = captions if embeddings is None else embeddings
        if texts is None:
            raise ValueError(f"this generator draws what a text says: pass {self.inputs[1]}")
        return self.draw(latents, texts).images if self.stage == 2 else self.enlarged(latents, texts)

    def draw(self, latents: Tensor, texts: Tensor) -> Drawing:
        """What the stage in training makes: small pictures in stage I, those of the full size in stage II.

        Stage II is given stage I's picture without a gradient to it: stage I and the text encoder stay as they are.
        """
        z, first_noise, second_noise = torch.split(latents, self.parts, dim=1)
        if self.stage == 1:
            return self.first(self.text(texts), z, first_noise)
        with torch.no_grad():
            text = self.text(texts)
            coarse = self.first(text, z, first_noise).images
        return self.second(coarse, text, second_noise)

    def enlarged(self, latents: Tensor, texts: Tensor) -> Tensor:
        """Stage I's pictures at the full size, by bilinear interpolation."""
        z, noise, _ = torch.split(latents, self.parts, dim=1)
        images = self.first(self.text(texts), z, noise).images
        return nn.functional.interpolate(images, scale_factor=self.spec.enlargement, mode="bilinear")

    def begin_second_stage(self) -> None:
        """Freezes stage I with its text encoder; from now on images are stage II's."""
        self.stage = 2
        self.text.requires_grad_(False)
        self.first.requires_grad_(False)

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.stage)

    def set_extra_state(self, state: Tensor) -> None:
        self.stage = int(state)


class Stackgan(LatentBuilder):
    """The generator with both stages and their text encoder, and the trunk of a stage's discriminator."""

    def generator(self, spec: StackganGenerator, recipe: Recipe, shape: DataShape) -> StackGan:
        """Raises RequestError where captions, or embeddings in their place, are missing."""
        if spec.text_encoder == "given" and not shape.embedding:
            raise RequestError(
                "networks.generator.text_encoder=given reads texts as embeddings that come with the data, and this "
                "data has none: use a source with a column `embedding`, or set it to gru"
            )
        if spec.text_encoder != "given" and not shape.words:
            remedy = "set networks.generator.text_encoder=given" if shape.embedding else "use one with captions"
            raise RequestError(f"stackgan draws what a text says, but the data has no captions: {remedy}")
        return StackGan(spec, recipe.networks.latent, shape)

    def trunk(self, spec: StackganDiscriminator, image_shape: ImageShape) -> Trunk:
        """Halvings to a map of 4 to 7 pixels, 1x1 convolutions back to 8 times the width, a bottleneck block."""
        channels, size = image_shape[0], Size.of(image_shape)
        sizes = sizes_down_from(size)
        widths = [spec.width << level for level in range(len(sizes) - 1)]
        while widths[-1] > _EIGHTFOLD * spec.width:
            widths.append(widths[-1] // 2)
        last = len(widths) - 1
        # What the block is added to is not rectified; nor, in the release, what goes into its last halving.
        linear = {last, last - 1} if len(widths) == len(sizes) - 1 else {last}
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(pairwise([channels, *widths])):
            halves = level < len(sizes) - 1
            norm = generator_norm(spec.norm, outputs) if level else []
            kernel, stride, padding = (4, 2, 1) if halves else (1, 1, 0)
            layers += [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bool(level) and not norm), *norm]
            if level not in linear:
                layers.append(nn.LeakyReLU(_LEAK))
            layers += attention_after(sizes[level + 1].shorter, outputs, spec.attention) if halves else []
        layers.append(Bottleneck(widths[-1], spec.norm, nn.LeakyReLU(_LEAK)))
        return Trunk(nn.Sequential(*layers), widths[-1], sizes[-1].places, bias=False)

    def initialise(self, module: nn.Module) -> None:
        """N(0, 0.02) and batch-norm gains around 1, as the public code has them; the text's own layers keep theirs.

        A layer of 0.02 on an embedding of a caption would hide the text behind the noise that is added to it.
        """
        if isinstance(module, ConditioningAugmentation) and not module.leaky:
            nn.init.normal_(module.gaussian.weight, 0.0, module.gaussian.in_features**-0.5)
            nn.init.zeros_(module.gaussian.bias)
        elif not isinstance(module, nn.Embedding):
            SCHEMES["normal"](module)
        gains_around_one(module)
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1.0, 0.02)


def _convolution(inputs: int, outputs: int, spec: StackganGenerator) -> list[nn.Module]:
    norm = generator_norm(spec.norm, outputs)
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=not norm), *norm, nn.ReLU(inplace=True)]


def _upsampling(inputs: int, outputs: int, size: Size, spec: StackganGenerator) -> list[nn.Module]:
    """To a map of a size."""
    doubling = nn.Upsample(scale_factor=2, mode="nearest")
    return [doubling, *_convolution(inputs, outputs, spec), *attention_after(size.shorter, outputs, spec.attention)]
