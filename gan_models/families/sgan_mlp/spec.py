"""The perceptrons of semi-supervised learning on MNIST (Salimans et al. 2016), as a recipe names them."""

from typing import Literal

from pydantic import Field

from gan_models.families.base import DiscriminatorSpec, Family, GeneratorSpec
from gan_models.families.mlp.spec import Widths
from gan_models.sections import NonNegativeFloat


class SganMlpGenerator(GeneratorSpec):
    """Softplus layers with batch norm, and a sigmoid to all pixels at once (Salimans et al. 2016)."""

    family: Literal["sgan-mlp"] = "sgan-mlp"
    widths: Widths = (500, 500)
    weight_norm: bool = Field(True, description="in the last layer")


class SganMlpDiscriminator(DiscriminatorSpec):
    """ReLU layers with weight norm, Gaussian noise before each (Salimans et al. 2016)."""

    family: Literal["sgan-mlp"] = "sgan-mlp"
    widths: Widths = (1000, 500, 250, 250, 250)
    input_noise: NonNegativeFloat = Field(0.3, description="standard deviation of the noise on pixels in [0, 1]")
    noise: NonNegativeFloat = Field(0.5, description="standard deviation of the noise on hidden units")


FAMILY = Family(SganMlpGenerator, SganMlpDiscriminator, "gan_models.families.sgan_mlp.networks:SganMlp")
