"""The settings of the game of Goodfellow et al. 2014, with any loss on D's logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from gan_models.errors import RequestError
from gan_models.games.spec import LossGameSpec
from gan_models.regularizers import Player
from gan_models.sections import NonNegativeFloat, PositiveFloat, PositiveInt, Section

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe


class CriticWarmUp(Section):
    """More critic steps early and now and then (Arjovsky, Chintala, Bottou 2017, their public code)."""

    first: PositiveInt = Field(25, description="generator steps at the start that get `steps` critic steps")
    every: PositiveInt = Field(500, description="and each generator step divisible by this")
    steps: PositiveInt = Field(100, description="critic steps at those")


class AdversarialSpec(LossGameSpec):
    """Base of the games of two players with a loss each on D's logits."""

    shareable: ClassVar[bool] = True

    generator_steps: PositiveInt = Field(1, description="G steps for each D step; helps where training is short")
    generator_batch: PositiveInt = Field(
        1,
        description="images of a G step for each of a D step; where it is not 1 they are drawn for G alone (2 in the "
        "public code of WGAN-GP and SNGAN)",
    )
    weight_clip: PositiveFloat | None = Field(None, description="D's weights stay within +-this (WGAN)")
    critic_warm_up: CriticWarmUp | None = Field(None, description="more critic steps early and now and then (WGAN)")
    classification: NonNegativeFloat = Field(
        1.0, description="weight of the class loss where conditioning.discriminator is `classifier` (ACGAN)"
    )
    classification_in_generator: NonNegativeFloat | None = Field(
        None, description="its weight in G's loss, where that is another than in D's"
    )
    classify_fakes: bool = Field(True, description="whether D's class loss counts generated images too (ACGAN)")
    dequantise: bool = Field(
        False, description="D sees real images with noise of one grey level, so that no pixel is a whole number"
    )

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if self.generator_steps > 1 and (self.discriminator_steps > 1 or self.critic_warm_up):
            raise RequestError(
                f"game.generator_steps={self.generator_steps} and more than one discriminator step pull in opposite "
                "directions: set game.generator_steps=1, or game.discriminator_steps=1 and no game.critic_warm_up"
            )
        conditioning = recipe.conditioning.discriminator
        weighed = self.classification != 1.0 or self.classification_in_generator is not None
        if (weighed or not self.classify_fakes) and conditioning != "classifier":
            raise RequestError(
                "game.classification, game.classification_in_generator and game.classify_fakes weigh D's class loss, "
                f"which it has none of with conditioning.discriminator={conditioning}: set that to classifier, or "
                "leave them out"
            )
        self._check_critic(recipe)

    @property
    def classification_weights(self) -> dict[Player, float]:
        """Of the class loss, by the player in whose loss it is."""
        own = self.classification_in_generator
        return {"discriminator": self.classification, "generator": self.classification if own is None else own}

    def _check_critic(self, recipe: Recipe) -> None:
        """What bounds a critic, and what needs one."""
        penalties = [term.name for term in recipe.regularizers if term.differentiates]
        spectral = recipe.networks.discriminator.get("spectral_norm", False)
        if self.weight_clip is not None and spectral:
            raise RequestError(
                "game.weight_clip clips weights that networks.discriminator.spectral_norm scales anyway: "
                "set game.weight_clip=null or networks.discriminator.spectral_norm=false"
            )
        if self.weight_clip is not None and penalties:
            raise RequestError(
                f"game.weight_clip and the regularizer {penalties[0]!r} both bound D's gradient, and clipped weights "
                "cannot reach the norm that the penalty asks for: set game.weight_clip=null or drop the regularizer"
            )
        if self.loss.critic and self.weight_clip is None and not penalties and not spectral:
            raise RequestError(
                f"game.loss={self.loss.name} grows without end unless D's slope is bounded: set game.weight_clip=0.01 "
                "or networks.discriminator.spectral_norm=true, or add regularizers=[{name: gradient-penalty, weight: "
                "10}]"
            )
        if self.critic_warm_up and not self.loss.critic:
            raise RequestError(
                f"game.critic_warm_up is for a critic, which is the better the longer it trains; "
                f"game.loss={self.loss.name} has none: set game.critic_warm_up=null"
            )


class Adversarial(AdversarialSpec):
    """Two players, each with a loss on D's logits (Goodfellow et al. 2014, algorithm 1)."""

    kind: Literal["adversarial"] = "adversarial"

    played_by: ClassVar[str] = "gan_models.games.adversarial.game:AdversarialGame"
