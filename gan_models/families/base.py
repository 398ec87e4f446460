"""What a family says of itself without PyTorch: a section of a recipe for each player, and what goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.families.resolutions import Plan, plan
from gan_models.sections import PositiveInt, Section

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe

Init = Annotated[
    Literal["family", "normal", "xavier", "orthogonal"],
    Field(description="first weights; family: as the family's paper has it"),
]
GeneratorNorm = Annotated[
    Literal["batch", "instance", "virtual", "reference", "none"],
    Field(
        description="normalisation of G's hidden layers; virtual and reference: statistics of a fixed reference batch "
        "(Salimans et al. 2016)"
    ),
]
TranslatorNorm = Annotated[
    Literal["batch", "instance", "none"], Field(description="normalisation of G's hidden layers")
]
DiscriminatorNorm = Annotated[
    Literal["none", "batch", "layer", "instance"],
    Field(description="normalisation of D's hidden layers; batch excludes penalties on D's gradient"),
]
SpectralNorm = Annotated[
    bool, Field(description="divide each weight by its largest singular value (SNGAN; in G too: SAGAN, BigGAN)")
]
Maps = Annotated[
    tuple[PositiveInt, ...],
    Field(
        description="sizes, of oblong ones the shorter sides, of the feature maps that a self-attention block follows"
    ),
]
Minibatch = Annotated[
    Literal["none", "discrimination", "stddev"],
    Field(description="what D learns of an image's neighbours in the batch, against collapse"),
]
MaxWidth = Annotated[PositiveInt, Field(description="at most so many channels, however often width doubles")]


@dataclass(frozen=True)
class Family:
    """A pair of networks that are made for each other; either may be missing."""

    generator: type[PlayerSpec] | None
    discriminator: type[PlayerSpec] | None
    networks: str
    """Its `families.building.Builder`, as "module:class"."""
    game: str = ""
    """The one game that trains it, and that trains nothing else in its place; empty: any of the others."""

    @property
    def players(self) -> dict[str, type[PlayerSpec]]:
        """The sections that it has, by player."""
        both = {"generator": self.generator, "discriminator": self.discriminator}
        return {player: spec for player, spec in both.items() if spec is not None}


class PlayerSpec(Section):
    """What one player's network can be told; fields that a family does not honour are not among its own."""

    family: str

    player: ClassVar[Literal["generator", "discriminator"]]

    def get(self, setting: str, otherwise: Any) -> Any:
        """A setting, or what stands for it in a family that does not have it."""
        return getattr(self, setting) if setting in type(self).model_fields else otherwise

    @property
    def needs(self) -> frozenset[str]:
        """What each training image must carry for it, besides what the game needs (`games.spec.GameSpec.needs`)."""
        return frozenset()

    def plan(self, size: Size) -> Plan:
        """How a coarse map doubles to `size`; raises RequestError where none does."""
        return plan(size, self.family)

    def maps(self, size: Size) -> Sequence[int]:
        """Shorter sides of the feature maps that attention may follow, for images of a size."""
        return ()

    def check(self, recipe: Recipe) -> None:
        """Refuses what the network cannot be built with: RequestError with place, value and remedy."""
        maps = set(self.maps(recipe.data.size))
        asked: tuple[int, ...] = self.get("attention", ())
        if found := set(asked) - maps:
            raise RequestError(
                f"networks.{self.player}.attention={list(asked)}: only {len(set(asked) - found)} of these are sizes of "
                f"a feature map there ({', '.join(map(str, sorted(maps))) or 'it has none'}); a map doubles or halves "
                "from layer to layer"
            )


class GeneratorSpec(PlayerSpec):
    """Base of the generators' sections."""

    player: ClassVar[Literal["generator", "discriminator"]] = "generator"
    hears: ClassVar[tuple[str, ...]] = ("one-hot",)
    """How it can be told a class (`conditioning.generator`); empty: not at all."""
    deaf: ClassVar[str] = "{family} takes the class joined to its latent: set conditioning.generator=one-hot"
    """The sentence for whoever tells it in another way."""

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if recipe.conditional and recipe.conditioning.generator not in self.hears:
            raise RequestError(self.deaf.format(family=self.family))
        if recipe.networks.uniform is not None and not self.hears:
            raise RequestError(
                f"networks.uniform={list(recipe.networks.uniform)}: {self.family} does not draw from latents alone: "
                "leave it out"
            )


class DiscriminatorSpec(PlayerSpec):
    """Base of the discriminators' sections."""

    player: ClassVar[Literal["generator", "discriminator"]] = "discriminator"
    projects: ClassVar[tuple[str, ...]] = ("none",)
    """The kinds of minibatch statistics that leave the features to a projection of the class."""


class ConvolutionalSpec(PlayerSpec):
    """What all networks of convolutions can be told."""

    norm: str = "none"
    spectral_norm: SpectralNorm = False
    attention: Maps = ()
    init: Init = "family"


class ConvolutionalGenerator(ConvolutionalSpec, GeneratorSpec):
    """Base of generators that double a small map until it is an image."""

    norm: GeneratorNorm = "batch"

    def maps(self, size: Size) -> Sequence[int]:
        return self.plan(size).maps[1:]


class StridedGenerator(ConvolutionalGenerator):
    """Base of generators of transposed convolutions."""

    width: PositiveInt = Field(64, description="channels of the last hidden layer; doubles towards the latent")
    max_width: MaxWidth = 512


class TranslatorSpec(ConvolutionalSpec, GeneratorSpec):
    """Base of generators that are given images."""

    hears: ClassVar[tuple[str, ...]] = ()
    deaf: ClassVar[str] = "{family} takes images, not class labels: leave the conditioning section out"

    norm: TranslatorNorm = "instance"


class ResidualTranslator(TranslatorSpec):
    """Residual blocks between halvings and doublings of the image (Johnson, Alahi, Fei-Fei 2016)."""

    width: PositiveInt = Field(64, description="channels at full resolution; doubles at each halving of the image")
    halvings: PositiveInt = Field(2, description="how often the image is halved before the residual blocks")
    blocks: PositiveInt = Field(6, description="residual blocks")

    def maps(self, size: Size) -> Sequence[int]:
        if not size.is_multiple_of(1 << self.halvings) or size.halved(self.halvings).shorter < 2:
            raise RequestError(
                f"data.size={size}: networks.generator.halvings={self.halvings} needs a multiple of "
                f"{1 << self.halvings} and at least {2 << self.halvings}: use such a size, or fewer halvings"
            )
        return [size.shorter >> level for level in range(1, self.halvings + 1)]


class ImageDiscriminator(ConvolutionalSpec, DiscriminatorSpec):
    """Base of discriminators of convolutions."""

    norm: DiscriminatorNorm = "none"


class ConvolutionalDiscriminator(ImageDiscriminator):
    """Base of discriminators that judge an image as a whole, beside its neighbours where asked for."""

    minibatch: Minibatch = "none"

    def maps(self, size: Size) -> Sequence[int]:
        return self.plan(size).maps[:-1]


class StridedDiscriminator(ConvolutionalDiscriminator):
    """Base of discriminators of strided convolutions."""

    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each halving of the image")
    max_width: MaxWidth = 512


class PatchDiscriminator(ImageDiscriminator):
    """A PatchGAN (Isola et al. 2017, section 3.2.2)."""

    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each layer, up to eightfold")
    layers: PositiveInt = Field(3, description="halvings of the image, at most: 3 judge patches of 70x70 pixels")

    def halvings(self, size: Size) -> int:
        """How often an image is halved: the last two convolutions want four pixels."""
        return max(1, min(self.layers, (size.shorter // 4).bit_length() - 1))

    def maps(self, size: Size) -> Sequence[int]:
        halved = [size.shorter >> level for level in range(1, self.halvings(size) + 1)]
        return [*halved, halved[-1] - 1]
