"""What every generator and discriminator of the project looks like from outside.

Shape suffixes in model code: B batch, Z latent, K classes, F features, C channels, H W height and width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from gan_models import ranks
from gan_models.data.table import AnySplit, Split
from gan_models.errors import RequestError
from gan_models.families.base import GeneratorSpec
from gan_models.layers.heads import ClassesHead
from gan_models.layers.normalization import REFERENCE_NORMS, REFERENCE_ROWS
from gan_models.sampling.draws import Draws
from gan_models.sampling.latents import LEAST_THRESHOLD, truncate
from gan_models.tasks import TASKS

ImageShape = tuple[int, int, int]
"""(C, H, W)."""
MOST_PSI = 2.0  # beyond, images fall apart
Inputs = dict[str, Tensor]
"""What one call of a generator is given: its tensors by name, equally many rows each."""


class DiscriminatorOutput(NamedTuple):
    """`logits` [B] (or [B, H, W], one for each patch) before any sigmoid; `features` [B, ...], what the head reads.

    `class_logits` [B, K] where D also names the class of an image.
    """

    logits: Tensor
    features: Tensor
    class_logits: Tensor | None = None

    def in_fp32(self) -> DiscriminatorOutput:
        """The same words, features aside, in full precision."""
        classes = None if self.class_logits is None else self.class_logits.float()
        return self._replace(logits=self.logits.float(), class_logits=classes)


class Generator(nn.Module):
    """Makes images [B, C, H, W] in [-1, 1] from named tensors: `generator(**inputs)`.

    In training mode, a network that ends linearly may leave [-1, 1], for D to see it.

    Attributes:
        task: what it is for (`gan_models.tasks`), which is how it is fed, pictured and measured.
        inputs: names of forward's tensors, in its order.
        latent: Z, dimensions of z ~ N(0, I); 0 where it takes none.
        num_classes: K where it takes class labels, else 0.
        num_domains: how many domains it translates between; 0 where it does not.
        num_attributes: how many attributes it gives or takes away; 0 where it does not.
    """

    task: ClassVar[str]

    def __init__(
        self,
        inputs: tuple[str, ...],
        *,
        latent: int = 0,
        num_classes: int = 0,
        num_domains: int = 0,
        num_attributes: int = 0,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.latent = latent
        self.num_classes = num_classes
        self.num_domains = num_domains
        self.num_attributes = num_attributes

    @property
    def needs_examples(self) -> bool:
        """Whether it makes images from real ones, or from what they carry."""
        return not {"latents", "labels"}.issuperset(self.inputs)

    def begin(self, split: AnySplit) -> None:
        """Called once before a training: what its first weights have of the images; here nothing."""

    def draw_inputs(self, draws: Draws, *, labels: Tensor | None = None, examples: Split | None = None) -> Inputs:
        """Inputs for images as its task draws them (`tasks.base.Task.draw`)."""
        return TASKS[self.task]().draw(self, draws, labels=labels, examples=examples)

    def distinct(self, examples: int) -> int | None:
        """How many different inputs that makes of so many examples; None where there is no limit."""
        return TASKS[self.task]().distinct(self, examples)

    def truncated(self, inputs: Inputs, truncation: float, draws: Draws) -> Inputs:
        """The inputs of `draws` for less variety and cleaner images; here latents beyond +-`truncation` drawn again.

        Raises RequestError for a `truncation` that cannot be.
        """
        if not truncation >= LEAST_THRESHOLD:
            raise RequestError(
                f"truncation={truncation:g}: latents are cut off at a number of at least {LEAST_THRESHOLD}, such as 0.5"
            )
        return inputs | {"latents": truncate(inputs["latents"], truncation, draws)}


class LatentGenerator(Generator, ABC):
    """Maps latents [B, Z] and, where conditional, labels [B] to images.

    Where a normalisation layer needs a reference batch (Salimans et al. 2016, section 3.5), `reference` latents are
    drawn once, kept with the weights, and sent through the network in front of every batch.

    Args:
        one_hot: whether the class is joined to the latent.
        uniform: z is uniform between these two numbers. The latents that are given stay N(0, I), and what is known of
            them holds: each goes through its own distribution function, which makes it uniform, on its way in.
    """

    task = "latent"
    reference_latents: Tensor
    reference_labels: Tensor

    def __init__(
        self,
        spec: GeneratorSpec,
        latent: int,
        num_classes: int,
        image_shape: ImageShape,
        *,
        one_hot: bool,
        uniform: tuple[float, float] | None = None,
    ) -> None:
        inputs = ("latents", "labels") if num_classes else ("latents",)
        super().__init__(inputs, latent=latent, num_classes=num_classes)
        self.one_hot = one_hot and num_classes > 0
        self.uniform = uniform
        self.reference = REFERENCE_ROWS if spec.get("norm", "none") in REFERENCE_NORMS else 0
        if self.reference:
            self.register_buffer("reference_latents", torch.randn(self.reference, latent))
            self.register_buffer("reference_labels", torch.arange(self.reference) % max(1, num_classes))
        self.build(spec, image_shape)

    @abstractmethod
    def build(self, spec: Any, image_shape: ImageShape) -> None:
        """Makes the layers, called once."""

    @property
    def joined(self) -> int:
        """Width of what `synthesize` is given: Z, and K more where the class is joined one-hot."""
        return self.latent + (self.num_classes if self.one_hot else 0)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.num_classes and labels is None:
            raise ValueError("this generator is conditional: pass labels")
        if self.reference:
            latents = torch.cat([self.reference_latents.to(latents.dtype), latents])
            labels = None if labels is None else torch.cat([self.reference_labels, labels])
        latents = self.of_prior(latents)
        if self.one_hot and labels is not None:
            # One-hot joined to the latent (Mirza, Osindero 2014), by comparison, which exports to any batch size.
            classes_K = torch.arange(self.num_classes, device=latents.device)
            latents = torch.cat([latents, (labels[:, None] == classes_K).to(latents.dtype)], dim=1)
        return self.synthesize(latents, labels)[self.reference :]

    def of_prior(self, latents: Tensor) -> Tensor:
        """Latents from N(0, I) as the network is given them: uniform ones where the recipe says so."""
        if self.uniform is None:
            return latents
        low, high = self.uniform
        return low + (high - low) * 0.5 * (1.0 + torch.erf(latents * 0.5**0.5))

    @abstractmethod
    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        """Images from the latent with whatever conditioning was joined to it, [B, `joined`]."""


AVERAGE_DECAY = 0.995


class StyledGenerator(LatentGenerator):
    """Makes its images from styles, vectors w [B, W] that a mapping network makes of latents, one for each layer.

    Styles [B, L, W] can be mixed, drawn to their average, moved and searched for; `draw` makes the images.

    Attributes:
        average: the moving average of w in training, [W].
        layers: L.
    """

    average: Tensor

    def make_average(self, style: int, *, layers: int) -> None:
        """Called by `build`."""
        self.layers = layers
        self.register_buffer("average", torch.zeros(style))

    @abstractmethod
    def mapped(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        """w [B, W]."""

    @abstractmethod
    def draw(self, styles_BLW: Tensor) -> Tensor:
        """Images [B, C, H, W], not clamped."""

    def forward(
        self,
        latents: Tensor | None = None,
        labels: Tensor | None = None,
        psi: Tensor | None = None,
        styles: Tensor | None = None,
    ) -> Tensor:
        """Images of latents, or of `styles` [B, L, W] in their place; `psi` as of `styles`."""
        if styles is None:
            if latents is None:
                raise ValueError("pass latents, or styles")
            styles = self.styles(latents, labels, psi)
        return self.draw(styles).clamp(-1.0, 1.0)

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        return self.draw(self.styles(z_BZ, labels_B))

    def styles(
        self, latents: Tensor, labels: Tensor | None = None, psi: Tensor | None = None, *, track: bool = True
    ) -> Tensor:
        """[B, L, W], the same w for all layers.

        Args:
            psi: [B, L] or [B, 1], how far each goes from the average to what the latent gives: 1 all the way, 0 not at
                all (the truncation trick; Karras et al. 2019, appendix B).
            track: whether, in training, the average takes these in.
        """
        if self.num_classes and labels is None:
            raise ValueError("this generator is conditional: pass labels")
        w_BW = self.mapped(self.of_prior(latents), labels)
        if self.training and track:
            with torch.no_grad():
                self.average.copy_(ranks.mean(w_BW.mean(0)).lerp(self.average, AVERAGE_DECAY))
        styles = w_BW[:, None].expand(-1, self.layers, -1)
        return styles if psi is None else self.average + psi[:, :, None] * (styles - self.average)

    def noises(self) -> dict[str, Tensor]:
        """The maps of noise that images are drawn with after training, by their names in the network."""
        return {name: buffer for name, buffer in self.named_buffers() if name.rpartition(".")[2] == "noise"}

    def truncated(self, inputs: Inputs, truncation: float, draws: Draws) -> Inputs:
        """The styles go `truncation` of the way from their average to what the latents give."""
        if not 0.0 <= truncation <= MOST_PSI:
            raise RequestError(
                f"truncation={truncation:g}: styles go a share from 0 to {MOST_PSI:g} of the way from their average to "
                "what the latents give, such as 0.7"
            )
        return inputs | {"psi": torch.full((len(draws), 1), truncation)}


class Trunk(NamedTuple):
    """The part of a discriminator that a family draws: images [B, C, H, W] -> features [B, channels, ...]."""

    layers: nn.Module
    channels: int
    positions: int
    """Places of the feature map that the head reads, H' * W'; 1 for features [B, channels]."""
    linear: Callable[..., nn.Module] = nn.Linear
    """The dense layer that heads are made of."""
    bias: bool = True
    """Whether the head has one."""
    has_stddev: bool = False
    """Whether minibatch standard deviation is part of the layers already."""


class Discriminator(nn.Module):
    """A trunk of blocks and its heads: conditioning, minibatch statistics and losses on features are compositions.

    Args:
        trunk: images [B, C, H, W] (with `label_planes` more channels where those are joined) to features [B, F, ...].
        head: features and labels to logits [B]; a `ClassesHead` is given the class logits instead.
        minibatch: features to features that also tell of an image's neighbours, in front of the heads.
        classifier: features to class logits [B, K].
        label_planes: K where the class is joined to the image as K planes, else 0.
    """

    def __init__(
        self,
        trunk: nn.Module,
        head: nn.Module,
        *,
        minibatch: nn.Module | None = None,
        classifier: nn.Module | None = None,
        label_planes: int = 0,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.minibatch = minibatch
        self.classifier = classifier
        self.label_planes = label_planes

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        if self.label_planes:
            if labels is None:
                raise ValueError("this discriminator is conditional: pass labels")
            # Planes [B, K, H, W], that of the class of ones and the rest of zeros (Mirza, Osindero 2014).
            one_hot = nn.functional.one_hot(labels, self.label_planes).to(images.dtype)
            planes = one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])
            images = torch.cat([images, planes], dim=1)
        features = self.trunk(images)
        seen = features if self.minibatch is None else self.minibatch(features)
        class_logits = None if self.classifier is None else self.classifier(seen)
        judged = class_logits if isinstance(self.head, ClassesHead) else seen
        return DiscriminatorOutput(self.head(judged, labels), features, class_logits)
