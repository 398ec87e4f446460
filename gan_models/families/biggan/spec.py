"""BigGAN's networks (Brock, Donahue, Simonyan 2019), as a recipe names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.families.base import ConvolutionalDiscriminator, Family, GeneratorSpec, Init, Maps, SpectralNorm
from gan_models.sections import NonNegativeInt, PositiveInt

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe

_ALL_DOWN = (4, 5)  # doublings of the public code's 64x64 and 128x128 networks, all of which D undoes


class BigganGenerator(GeneratorSpec):
    """Residual blocks whose batch norms hear the class and a chunk of the latent (Brock et al. 2019)."""

    hears: ClassVar[tuple[str, ...]] = ("batch-norm",)
    deaf: ClassVar[str] = "biggan embeds the class for its batch norms: set conditioning.generator=batch-norm"

    family: Literal["biggan"] = "biggan"
    spectral_norm: SpectralNorm = False
    attention: Maps = ()
    init: Init = "family"
    width: PositiveInt = Field(96, description="the unit of channels: 16 at the coarsest of 128x128, 4 at all of 32x32")
    embedding: NonNegativeInt = Field(
        128,
        description="dimensions of the class embedding that all blocks share; 0: gains and biases by class in each "
        "batch norm instead",
    )
    chunks: bool = Field(
        True, description="cut the latent into a chunk for each block, or give all of it to the coarsest map alone"
    )

    def maps(self, size: Size) -> Sequence[int]:
        return self.plan(size).maps[1:]

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        chunks, latent = len(self.plan(recipe.data.size).maps), recipe.networks.latent
        if self.chunks and recipe.conditional and not self.embedding:
            raise RequestError(
                "networks.generator.embedding=0 leaves the chunks of the latent nothing to be joined to: set "
                "networks.generator.chunks=false too, or embedding=128"
            )
        if self.chunks and latent < chunks:
            raise RequestError(
                f"networks.latent={latent}: biggan cuts the latent into {chunks} chunks at this size: set it to at "
                f"least {chunks}, as a multiple of it (20 for each in the paper)"
            )


class BigganDiscriminator(ConvolutionalDiscriminator):
    """Wide residual blocks from the image to a small map, summed over places (Brock et al. 2019)."""

    family: Literal["biggan"] = "biggan"
    width: PositiveInt = Field(96, description="the unit of channels: 16 at the coarsest of 128x128, 4 at all of 32x32")

    def maps(self, size: Size) -> Sequence[int]:
        return self.plan(size).maps[::-1][1 : self.halvings(size) + 1]

    def halvings(self, size: Size) -> int:
        """How often it halves an image."""
        doublings = self.plan(size).doublings
        return doublings if doublings in _ALL_DOWN else max(1, doublings - 1)


FAMILY = Family(BigganGenerator, BigganDiscriminator, "gan_models.families.biggan.networks:Biggan")
