"""The perceptrons of the first GAN (Goodfellow et al. 2014), as a recipe names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from gan_models.errors import RequestError
from gan_models.families.base import DiscriminatorSpec, Family, GeneratorSpec, Init, Minibatch, SpectralNorm
from gan_models.sections import NonNegativeInt, PositiveFloat, PositiveInt, Share

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe

Widths = Annotated[tuple[PositiveInt, ...], Field(description="units of each hidden layer")]
InitRange = Annotated[
    PositiveFloat | None, Field(description="weights start uniform within +-this and biases at 0, where init is family")
]
ClassWidth = Annotated[
    NonNegativeInt,
    Field(description="units of a first layer of the class's own, beside that of the rest; 0: it joins the input"),
]


class MlpGenerator(GeneratorSpec):
    """Multilayer perceptron from the latent to all pixels at once (Goodfellow et al. 2014)."""

    family: Literal["mlp"] = "mlp"
    norm: Literal["batch", "virtual", "reference", "none"] = Field(
        "batch",
        description="normalisation of G's hidden layers; virtual and reference: statistics of a fixed reference batch "
        "(Salimans et al. 2016)",
    )
    spectral_norm: SpectralNorm = False
    init: Init = "family"
    init_range: InitRange = None
    widths: Widths = (128, 256, 512, 1024)
    class_width: ClassWidth = 0
    dropout: Share = Field(0.0, description="share of the hidden units that are dropped in training")
    output: Literal["tanh", "sigmoid"] = Field("tanh", description="what bounds the pixels")
    output_bias: Literal["init", "data"] = Field(
        "init",
        description="where the last bias starts; data: at the log odds of the images' mean pixels, for a sigmoid",
    )

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if self.output_bias == "data" and self.output != "sigmoid":
            raise RequestError(
                "networks.generator.output_bias=data is of pixels that a sigmoid bounds: set "
                "networks.generator.output=sigmoid, or output_bias=init"
            )
        if self.class_width and (recipe.conditioning.generator != "one-hot" or not self.widths):
            raise RequestError(
                f"networks.generator.class_width={self.class_width}: there is no class to have a layer, or no other "
                "layer beside it; set conditioning.generator=one-hot and some widths, or class_width=0"
            )


class MlpDiscriminator(DiscriminatorSpec):
    """Multilayer perceptron on all pixels (Goodfellow et al. 2014)."""

    family: Literal["mlp"] = "mlp"
    norm: Literal["none", "batch", "layer"] = Field(
        "none", description="normalisation of D's hidden layers; batch excludes penalties on D's gradient"
    )
    spectral_norm: SpectralNorm = False
    minibatch: Minibatch = "none"
    init: Init = "family"
    init_range: InitRange = None
    widths: Widths = (512, 256, 128)
    pieces: tuple[PositiveInt, ...] = Field(
        (), description="linear pieces of each layer's units (maxout), on pixels in [0, 1]; none: leaky ReLU"
    )
    class_width: ClassWidth = 0
    input_dropout: Share = Field(0.0, description="share of the pixels that are dropped in training")
    dropout: Share = Field(0.0, description="share of the hidden units that are dropped in training")

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if self.class_width and (recipe.conditioning.discriminator != "concat" or not self.widths):
            raise RequestError(
                f"networks.discriminator.class_width={self.class_width}: there is no class to have a layer, or no "
                "other layer beside it; set conditioning.discriminator=concat and some widths, or class_width=0"
            )
        if self.pieces and len(self.pieces) != len(self.widths):
            raise RequestError(
                f"networks.discriminator.pieces={list(self.pieces)}: give one number for each of the "
                f"{len(self.widths)} widths, or none"
            )
        if self.pieces and self.norm != "none":
            raise RequestError(
                f"networks.discriminator.norm={self.norm} and maxout layers do not go together: set it to none, or "
                "networks.discriminator.pieces=[]"
            )


FAMILY = Family(MlpGenerator, MlpDiscriminator, "gan_models.families.mlp.networks:Mlp")
