"""The `game` section, one spec for each procedure of `gan_models.games` told apart by `kind`, and regularizers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from gan_models.recipes.sections import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    Share,
)


class GameSpec(Section):
    """What every procedure understands."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """What each training image must carry besides its pixels: `labels`, `domains`, `captions`."""

    discriminator_steps: PositiveInt = Field(1, description="D steps for each G step")
    augmentations: tuple[str, ...] = Field(
        (),
        description="random changes that D sees real and generated images through (DiffAugment)",
        json_schema_extra={"names_in": "augmentations.AUGMENTATIONS"},
    )


class CriticWarmUp(Section):
    """More critic steps early and now and then (Arjovsky, Chintala, Bottou 2017, their public code)."""

    first: PositiveInt = Field(25, description="generator steps at the start that get `steps` critic steps")
    every: PositiveInt = Field(500, description="and each generator step divisible by this")
    steps: PositiveInt = Field(100, description="critic steps at those")


class Adversarial(GameSpec):
    """Two players, each with a loss on D's logits (Goodfellow et al. 2014, algorithm 1)."""

    kind: Literal["adversarial"] = "adversarial"
    generator_steps: PositiveInt = Field(1, description="G steps for each D step; helps where training is short")
    loss: str = Field(
        "non-saturating",
        description="what each player minimises, on raw logits",
        json_schema_extra={"names_in": "losses.LOSSES"},
    )
    label_smoothing: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(0.0, description="one-sided: real targets 1 - s")
    targets: tuple[float, float, float] = Field(
        (0.0, 1.0, 1.0), description="least-squares only: a for fakes and b for reals in D, c for fakes in G"
    )
    weight_clip: PositiveFloat | None = Field(None, description="D's weights stay within +-this (WGAN)")
    critic_warm_up: CriticWarmUp | None = Field(None, description="more critic steps early and now and then (WGAN)")
    classification: NonNegativeFloat = Field(
        1.0, description="weight of the class loss where conditioning.discriminator is `classifier` (ACGAN)"
    )
    classify_fakes: bool = Field(True, description="whether D's class loss counts generated images too (ACGAN)")


class Progressive(Adversarial):
    """The adversarial game on images that double from 4x4 while it is played (Karras et al. 2018, section 2).

    Each size is held, then the next is faded in, in phases of equal length; the full size is held to the end.
    """

    kind: Literal["progressive"] = "progressive"  # type: ignore[assignment]  # the tag is what tells the two apart
    growing: Share = Field(0.6, description="share of training.steps until the images have their full size")
    fading: Share = Field(0.5, description="share of the growing that new layers are faded in; sizes are held else")
    phase_images: PositiveInt | None = Field(
        None, description="length of each phase in real images instead (600,000 as published); growing and fading rest"
    )


class SemiSupervised(GameSpec):
    """D is a classifier of K classes whose logits also say how real an image is (Salimans et al. 2016, section 5)."""

    kind: Literal["semi-supervised"] = "semi-supervised"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    labels_per_class: PositiveInt = Field(10, description="training images of each class whose label is used")
    supervised: NonNegativeFloat = Field(1.0, description="weight of the supervised loss")
    adversarial: NonNegativeFloat = Field(1.0, description="weight of G's own loss, beside feature matching")


class Cycle(GameSpec):
    """Least squares on patches and consistency of a cycle through the other domain (Zhu et al. 2017, section 3)."""

    kind: Literal["cycle"] = "cycle"
    needs: ClassVar[frozenset[str]] = frozenset({"domains"})
    cycle: NonNegativeFloat = Field(10.0, description="weight of the distance between an image and its cycle")
    identity: NonNegativeFloat = Field(
        0.5, description="weight, as a share of `cycle`, of the change to an image that is of the target domain already"
    )
    pool: NonNegativeInt = Field(
        50, description="generated images of each domain that D is also shown later; 0: only the newest"
    )


class AttributeTransfer(GameSpec):
    """Translation to any domain by one generator: D also names the domain (Choi et al. 2018, section 3)."""

    kind: Literal["attribute-transfer"] = "attribute-transfer"
    needs: ClassVar[frozenset[str]] = frozenset({"domains"})
    loss: str = Field(
        "wasserstein",
        description="what each player minimises, on raw logits",
        json_schema_extra={"names_in": "losses.LOSSES"},
    )
    classification: NonNegativeFloat = Field(1.0, description="weight of the domain loss, of real images in D's loss")
    reconstruction: NonNegativeFloat = Field(
        10.0, description="weight of the distance between an image and its way there and back"
    )


class Colorization(GameSpec):
    """Adversarial loss and distance to the true colours, some of which the generator is told (Zhang et al. 2017)."""

    kind: Literal["colorization"] = "colorization"
    loss: str = Field(
        "non-saturating",
        description="what each player minimises, on raw logits",
        json_schema_extra={"names_in": "losses.LOSSES"},
    )
    adversarial: NonNegativeFloat = Field(1.0, description="weight of the adversarial loss in G's loss")
    l1: NonNegativeFloat = Field(100.0, description="weight of the mean absolute distance to the true colours")
    hint_end: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.125, description="the number of hints is geometric: before each, they end with this probability"
    )
    hint_size: PositiveInt = Field(9, description="a hint is the mean colour of a square of 1 to so many pixels a side")
    reveal: Share = Field(0.01, description="share of the images that all true colours are told of, to learn to copy")


class TextToImage(GameSpec):
    """D judges pairs of image and text; G is taught in two stages, the second at twice the size (Zhang et al. 2017)."""

    kind: Literal["text"] = "text"
    needs: ClassVar[frozenset[str]] = frozenset({"captions"})
    first_stage: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.5, description="share of the steps that stage I is trained in, before it is frozen and stage II begins"
    )
    mismatched: Share = Field(
        0.5, description="weight of real images with another's text in D's loss; generated ones have the rest of 1"
    )
    divergence: NonNegativeFloat = Field(
        2.0, description="weight in G's loss of the condition's KL divergence from N(0, I)"
    )
    condition: PositiveInt = Field(64, description="dimensions that D compresses its own text embedding to")


def _kind(value: Any) -> str:
    """The kind of a game section; adversarial unless it says otherwise."""
    return str(value.get("kind", "adversarial") if isinstance(value, dict) else value.kind)


AnyGame = Annotated[
    Annotated[Adversarial, Tag("adversarial")]
    | Annotated[Progressive, Tag("progressive")]
    | Annotated[SemiSupervised, Tag("semi-supervised")]
    | Annotated[TextToImage, Tag("text")]
    | Annotated[Cycle, Tag("cycle")]
    | Annotated[AttributeTransfer, Tag("attribute-transfer")]
    | Annotated[Colorization, Tag("colorization")],
    Discriminator(_kind),
]


class Regularizer(Section):
    """A term added to a player's loss."""

    name: str = Field(
        description="which term; the docstrings in gan_models/regularizers.py have the formulas and papers",
        json_schema_extra={"names_in": "regularizers.REGULARIZERS"},
    )
    weight: NonNegativeFloat = Field(1.0, description="factor of the term in the player's loss")
    player: Literal["auto", "generator", "discriminator"] = Field("auto", description="whose loss it joins")
    every: PositiveInt = Field(1, description="applied at every n-th step, scaled by n (lazy regularisation)")


class Optimizer(Section):
    """How one player follows its gradient."""

    name: Literal["adam", "rmsprop"] = Field("adam", description="rmsprop: as WGAN with clipped weights has it")
    lr: PositiveFloat = Field(2e-4, description="learning rate; different ones for the players are TTUR")
    betas: tuple[Share, Share] = Field(
        (0.5, 0.999), description="adam only: decay of the mean of gradients, and of their squares"
    )


class Optimizers(Section):
    """Of both players."""

    generator: Optimizer = Optimizer()
    discriminator: Optimizer = Optimizer()
    decay_from: Share = Field(1.0, description="share of the steps after which both rates fall linearly to zero")
