"""The `game` section, one spec for each procedure of `gan_models.games` told apart by `kind`, and regularizers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from gan_models.recipes.sections import NonNegativeFloat, PositiveFloat, PositiveInt, Section, Share


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


class SemiSupervised(GameSpec):
    """D is a classifier of K classes whose logits also say how real an image is (Salimans et al. 2016, section 5)."""

    kind: Literal["semi-supervised"] = "semi-supervised"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    labels_per_class: PositiveInt = Field(10, description="training images of each class whose label is used")
    supervised: NonNegativeFloat = Field(1.0, description="weight of the supervised loss")
    adversarial: NonNegativeFloat = Field(1.0, description="weight of G's own loss, beside feature matching")


def _kind(value: Any) -> str:
    """The kind of a game section; adversarial unless it says otherwise."""
    return str(value.get("kind", "adversarial") if isinstance(value, dict) else value.kind)


AnyGame = Annotated[
    Annotated[Adversarial, Tag("adversarial")] | Annotated[SemiSupervised, Tag("semi-supervised")],
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
