"""The typed shape of a recipe: one document with a section for each stage of the pipeline.

`data` shapes what is trained on, `networks`..`training` say which GAN is trained and how, `selection`, `evaluation` and
`export` say how it is judged and handed over. Unknown keys are refused, with the nearest right name
(`gan_models.recipes.load_recipe`). The sections that decide the trained weights are exactly `MODEL_SECTIONS`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MODEL_SECTIONS = ("networks", "conditioning", "game", "regularizers", "optimizers", "training")

Size = Annotated[int, Field(ge=8, le=1024)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]


class Section(BaseModel):
    """Base of all sections: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """What `prepare_data` makes of a source."""

    source: str = Field(
        "mnist-5k", description="mnist-5k, digits, torchvision:<Class>, folder:, parquet: or npz:<path>"
    )
    size: Size = Field(32, description="side of the square images, pixels")
    channels: Literal["auto", "grey", "rgb"] = Field("auto", description="auto: grey when the source's images all are")
    resize: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"] = "bicubic"
    fit: Literal["crop", "pad"] = Field("crop", description="non-square images become square by centre crop or padding")
    validation: Share = Field(0.1, description="share of the images checkpoints are selected on")
    test: Share = Field(0.1, description="share of the images the reported figures are measured against")
    split_seed: int = 0
    max_images: PositiveInt | None = Field(None, description="use at most this many images")
    max_bad_share: Share = Field(0.01, description="above this share of unreadable images the stage stops")

    @model_validator(mode="after")
    def _training_images_remain(self) -> Data:
        if self.validation + self.test >= 1.0:
            raise ValueError("validation + test must be below 1, or nothing is left to train on")
        return self


class MlpGenerator(Section):
    family: Literal["mlp"] = "mlp"
    widths: tuple[PositiveInt, ...] = (128, 256, 512, 1024)


class MlpDiscriminator(Section):
    family: Literal["mlp"] = "mlp"
    widths: tuple[PositiveInt, ...] = (512, 256, 128)
    norm: Literal["none", "spectral"] = "none"


class DcganGenerator(Section):
    family: Literal["dcgan"] = "dcgan"
    width: PositiveInt = Field(64, description="channels of the last hidden layer; doubles towards the latent")
    max_width: PositiveInt = 512


class DcganDiscriminator(Section):
    family: Literal["dcgan"] = "dcgan"
    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each halving of the image")
    max_width: PositiveInt = 512
    norm: Literal["batch", "none", "spectral"] = "batch"


class Networks(Section):
    latent: PositiveInt = Field(100, description="dimensions of z, drawn from N(0, I)")
    generator: Annotated[MlpGenerator | DcganGenerator, Field(discriminator="family")]
    discriminator: Annotated[MlpDiscriminator | DcganDiscriminator, Field(discriminator="family")]


class Conditioning(Section):
    generator: Literal["none", "one-hot"] = Field("none", description="one-hot: the class is joined to the latent")
    discriminator: Literal["none", "projection"] = Field("none", description="projection: <E(y), h> joins the logit")

    @model_validator(mode="after")
    def _both_or_neither(self) -> Conditioning:
        if (self.generator == "none") != (self.discriminator == "none"):
            raise ValueError("labels must reach both players or neither: set generator and discriminator together")
        return self


class Game(Section):
    """Who minimises what: a loss of `gan_models.losses` and the order of moves."""

    loss: str = Field("non-saturating", description="a name in gan_models.losses.LOSSES")
    discriminator_steps: PositiveInt = Field(1, description="D steps for each G step")
    label_smoothing: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(0.0, description="one-sided: real targets 1 - s")
    augmentations: tuple[str, ...] = Field((), description="what D sees images through: gan_models.augmentations")


class Regularizer(Section):
    name: str = Field(description="a name in gan_models.regularizers.REGULARIZERS")
    weight: NonNegativeFloat = 1.0
    every: PositiveInt = Field(1, description="applied at every n-th step, scaled by n (lazy regularisation)")


class Optimizer(Section):
    name: Literal["adam"] = "adam"
    lr: PositiveFloat = 2e-4
    betas: tuple[Share, Share] = (0.5, 0.999)


class Optimizers(Section):
    generator: Optimizer = Optimizer()
    discriminator: Optimizer = Optimizer()
    decay_from: Share = Field(1.0, description="share of the steps after which both rates fall linearly to zero")


class Training(Section):
    steps: PositiveInt = Field(description="generator steps")
    batch_size: Annotated[int, Field(ge=2)] = 64
    precision: Literal["bf16", "fp32"] = "bf16"
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(0.999, description="decay of the generator's moving average")
    tick: PositiveInt = Field(100, description="steps between reports: metrics, sample grid, health check")
    keep: PositiveInt = Field(10, description="generators kept for selection, evenly spaced, the last one included")
    checkpoint_seconds: NonNegativeFloat = Field(15.0, description="at most this much work is lost when a process dies")
    on_nan: Literal["stop", "flag"] = "stop"
    on_collapse: Literal["stop", "flag"] = "flag"
    min_diversity: NonNegativeFloat = Field(
        0.1, description="collapse: fixed-latent samples differ less than this share of what real images do"
    )
    threads: PositiveInt | None = Field(None, description="CPU threads; equal counts give bit-equal weights")


Extractor = Literal["auto", "classifier", "efficientnet-lite0", "inception-2015"]


class Selection(Section):
    samples: PositiveInt = Field(1000, description="images drawn from each kept checkpoint")


class Evaluation(Section):
    extractor: Extractor = Field("auto", description="also used by selection")
    inception_weights: str | None = Field(None, description="path of the 2015 Inception weights, when not downloadable")
    samples: PositiveInt = Field(5000, description="generated images N that the figures are measured on")
    neighbours: PositiveInt = Field(5, description="k of precision, recall, density and coverage")


class Export(Section):
    samples: PositiveInt = Field(64, description="individual images and rows of samples.parquet")
    model_name: str | None = Field(None, description="name in the MLflow registry; default: recipe and data")


class Recipe(Section):
    """A whole GAN as data: what it is trained on, which networks play which game, how it is judged and exported."""

    name: str
    description: str = ""
    data: Data = Data()
    networks: Networks
    conditioning: Conditioning = Conditioning()
    game: Game = Game()
    regularizers: tuple[Regularizer, ...] = ()
    optimizers: Optimizers = Optimizers()
    training: Training
    selection: Selection = Selection()
    evaluation: Evaluation = Evaluation()
    export: Export = Export()

    @property
    def conditional(self) -> bool:
        """Whether class labels are needed to train and to draw."""
        return self.conditioning.generator != "none"
