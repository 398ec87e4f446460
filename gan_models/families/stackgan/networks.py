"""StackGAN (Zhang et al. 2017): text to image in two stages, each conditioned on a sample around the text's embedding.

Stage I draws a picture of half the size from noise and text; stage II reads that picture and the text again, and
draws it at full size. Nearest-neighbour upsampling and 3x3 convolutions, batch norm and ReLU (section 3.3 and 3.4).

The text encoder is not pretrained, as the paper's is, but learns in stage I with the generator that it serves, and is
frozen with it. D has one of its own (`gan_models.games.text`): the condition that D judges by is no part of G, so that
G cannot move it to please D, and D's matching of texts and images cannot be undone by G.

Shape suffixes: B batch, L words, T text embedding, Z latent, E condition, C channels, H W height and width.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import Builder
from gan_models.families.interfaces import Generator
from gan_models.families.stackgan.spec import StackganGenerator, sizes_down_from
from gan_models.families.stackgan.text import build_text_encoder
from gan_models.layers.attention import attention_after
from gan_models.layers.initialization import SCHEMES, gains_around_one
from gan_models.layers.normalization import generator_norm
from gan_models.recipes.schema import Recipe


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

    A fully connected layer gives mu and log sigma^2. The public code has a ReLU behind it, under which sigma could not
    fall below 1; the paper has none.
    """

    def __init__(self, text: int, width: int) -> None:
        super().__init__()
        self.gaussian = nn.Linear(text, 2 * width)

    def forward(self, text_BT: Tensor, noise_BE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The condition [B, E] with its mean and log variance, from noise of N(0, I)."""
        mean, log_variance = self.gaussian(text_BT).float().chunk(2, dim=1)
        return mean + (0.5 * log_variance).exp() * noise_BE, mean, log_variance


def augmentation_divergence(mean_BE: Tensor, log_variance_BE: Tensor) -> Tensor:
    """KL(N(mu, diag sigma^2) || N(0, I)) (eq. 2), the mean over batch and dimensions, 0-d.

    The paper writes the sum over dimensions; its public code takes their mean, which the weight of 2 belongs to.
    """
    return 0.5 * (mean_BE.square() + log_variance_BE.exp() - 1.0 - log_variance_BE).mean()


class FirstStage(nn.Module):
    """Noise and condition to a picture of half the size (section 3.3)."""

    def __init__(self, spec: StackganGenerator, latent: int, text: int, channels: int, size: int) -> None:
        super().__init__()
        self.augmentation = ConditioningAugmentation(text, spec.augmentation)
        sizes = sizes_down_from(size)
        widths = [min(spec.max_width, spec.width << level) for level in range(len(sizes))][::-1]
        self.coarse_shape = (widths[0], sizes[-1], sizes[-1])
        norm = generator_norm(spec.norm, widths[0])
        self.project = nn.Linear(latent + spec.augmentation, widths[0] * sizes[-1] ** 2, bias=not norm)
        layers = [*norm, nn.ReLU(inplace=True), *attention_after(sizes[-1], widths[0], spec.attention)]
        for (inputs, outputs), map_size in zip(pairwise(widths), sizes[-2::-1], strict=True):
            layers += _upsampling(inputs, outputs, map_size, spec)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, 3, padding=1), nn.Tanh())

    def forward(self, text_BT: Tensor, z_BZ: Tensor, noise_BE: Tensor) -> Drawing:
        condition, mean, log_variance = self.augmentation(text_BT, noise_BE)
        coarse = self.project(torch.cat([z_BZ, condition.to(z_BZ.dtype)], dim=1)).unflatten(1, self.coarse_shape)
        return Drawing(self.layers(coarse), mean, log_variance)


class SecondStage(nn.Module):
    """A picture of half the size and a condition of its own, drawn from the same text, to the full size (section 3.4).

    No further noise: what z decided is in the picture already.
    """

    def __init__(self, spec: StackganGenerator, text: int, channels: int, size: int) -> None:
        super().__init__()
        self.augmentation = ConditioningAugmentation(text, spec.augmentation)
        sizes = sizes_down_from(size)[: spec.downsamplings + 2]
        widths = [min(spec.max_width, spec.width << level) for level in range(len(sizes))]
        reading: list[nn.Module] = [nn.Conv2d(channels, widths[1], 3, padding=1), nn.ReLU(inplace=True)]
        for inputs, outputs in pairwise(widths[1:]):
            norm = generator_norm(spec.norm, outputs)
            reading += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm), *norm, nn.ReLU(inplace=True)]
        self.reading = nn.Sequential(*reading)
        layers = _convolution(widths[-1] + spec.augmentation, widths[-1], spec)
        layers += [ResidualBlock(widths[-1], spec) for _ in range(spec.residual_blocks)]
        for (inputs, outputs), map_size in zip(pairwise(widths[::-1]), sizes[-2::-1], strict=True):
            layers += _upsampling(inputs, outputs, map_size, spec)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[0], channels, 3, padding=1), nn.Tanh())

    def forward(self, images_BCHW: Tensor, text_BT: Tensor, noise_BE: Tensor) -> Drawing:
        condition, mean, log_variance = self.augmentation(text_BT, noise_BE)
        seen = self.reading(images_BCHW)
        planes = condition.to(seen.dtype)[:, :, None, None].expand(-1, -1, *seen.shape[2:])
        return Drawing(self.layers(torch.cat([seen, planes], dim=1)), mean, log_variance)


class ResidualBlock(nn.Module):
    """relu(x + f(x)), f two 3x3 convolutions with batch norm and a ReLU between them (He et al. 2016)."""

    def __init__(self, channels: int, spec: StackganGenerator) -> None:
        super().__init__()
        last = _convolution(channels, channels, spec)[:-1]
        self.layers = nn.Sequential(*_convolution(channels, channels, spec), *last)

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.relu(features + self.layers(features))


class StackGan(Generator):
    """Latents [B, Z + 2E] and captions [B, L] to images of the full size.

    Everything random comes in with the latents: z, then the noise of stage I's and of stage II's condition.

    Attributes:
        stage: 1 until stage II is there (the images are stage I's, enlarged), then 2. Saved with the weights.
    """

    task = "text"

    def __init__(self, spec: StackganGenerator, latent: int, shape: DataShape) -> None:
        super().__init__(("latents", "captions"), latent=latent + 2 * spec.augmentation)
        channels, size, _ = shape.image
        self.spec = spec
        self.parts = [latent, spec.augmentation, spec.augmentation]
        self.text = build_text_encoder(spec, shape)
        self.first = FirstStage(spec, latent, self.text.width, channels, size // 2)
        self.second = SecondStage(spec, self.text.width, channels, size)
        self.stage = 1

    def forward(self, latents: Tensor, captions: Tensor) -> Tensor:
        return self.draw(latents, captions).images if self.stage == 2 else self.enlarged(latents, captions)

    def draw(self, latents: Tensor, captions: Tensor) -> Drawing:
        """What the stage in training makes: pictures of half the size in stage I, of the full size in stage II.

        Stage II is given stage I's picture without a gradient to it: stage I and the text encoder stay as they are.
        """
        z, first_noise, second_noise = torch.split(latents, self.parts, dim=1)
        if self.stage == 1:
            return self.first(self.text(captions), z, first_noise)
        with torch.no_grad():
            text = self.text(captions)
            coarse = self.first(text, z, first_noise).images
        return self.second(coarse, text, second_noise)

    def enlarged(self, latents: Tensor, captions: Tensor) -> Tensor:
        """Stage I's pictures at the full size, by bilinear interpolation."""
        z, noise, _ = torch.split(latents, self.parts, dim=1)
        images = self.first(self.text(captions), z, noise).images
        return nn.functional.interpolate(images, scale_factor=2, mode="bilinear")

    def begin_second_stage(self) -> None:
        """Freezes stage I with its text encoder; from now on images are stage II's."""
        self.stage = 2
        self.text.requires_grad_(False)
        self.first.requires_grad_(False)

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.stage)

    def set_extra_state(self, state: Tensor) -> None:
        self.stage = int(state)


class Stackgan(Builder):
    """The generator with both stages and their text encoder; its discriminators are the game's."""

    def generator(self, spec: StackganGenerator, recipe: Recipe, shape: DataShape) -> StackGan:
        """Raises RequestError where captions are missing."""
        if not shape.words:
            raise RequestError("stackgan draws what a text says, but the data has no captions: use one with captions")
        return StackGan(spec, recipe.networks.latent, shape)

    def initialise(self, module: nn.Module) -> None:
        """N(0, 0.02) and batch-norm gains around 1, as the public code has them; the text's own layers keep theirs.

        A layer of 0.02 on an embedding would hide the text behind the noise that is added to it.
        """
        if isinstance(module, ConditioningAugmentation):
            nn.init.normal_(module.gaussian.weight, 0.0, module.gaussian.in_features**-0.5)
            nn.init.zeros_(module.gaussian.bias)
        elif not isinstance(module, nn.Embedding):
            SCHEMES["normal"](module)
        gains_around_one(module)


def _convolution(inputs: int, outputs: int, spec: StackganGenerator) -> list[nn.Module]:
    norm = generator_norm(spec.norm, outputs)
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=not norm), *norm, nn.ReLU(inplace=True)]


def _upsampling(inputs: int, outputs: int, size: int, spec: StackganGenerator) -> list[nn.Module]:
    """To a map of `size` pixels."""
    doubling = nn.Upsample(scale_factor=2, mode="nearest")
    return [doubling, *_convolution(inputs, outputs, spec), *attention_after(size, outputs, spec.attention)]
