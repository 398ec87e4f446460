"""The perceptrons of the first GAN (Goodfellow et al. 2014), as a recipe names them."""

from typing import Annotated, Literal

from pydantic import Field

from gan_models.families.base import DiscriminatorSpec, Family, GeneratorSpec, Init, Minibatch, SpectralNorm
from gan_models.sections import PositiveInt

Widths = Annotated[tuple[PositiveInt, ...], Field(description="units of each hidden layer")]


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
    widths: Widths = (128, 256, 512, 1024)


class MlpDiscriminator(DiscriminatorSpec):
    """Multilayer perceptron on all pixels (Goodfellow et al. 2014)."""

    family: Literal["mlp"] = "mlp"
    norm: Literal["none", "batch", "layer"] = Field(
        "none", description="normalisation of D's hidden layers; batch excludes penalties on D's gradient"
    )
    spectral_norm: SpectralNorm = False
    minibatch: Minibatch = "none"
    init: Init = "family"
    widths: Widths = (512, 256, 128)


FAMILY = Family(MlpGenerator, MlpDiscriminator, "gan_models.families.mlp.networks:Mlp")
