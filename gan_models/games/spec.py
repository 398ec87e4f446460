"""What every game understands, and what it says of itself, without PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from pydantic import Field

from gan_models.augmentations import AUGMENTATIONS
from gan_models.errors import RequestError
from gan_models.families import FAMILIES
from gan_models.losses import LOSSES, Loss, NonSaturating
from gan_models.schedules import USUAL, Scheduled, scheduled
from gan_models.sections import PositiveInt, Section, one_of

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe

    Augmentation = str
    AnyLoss = Loss
    Probability: TypeAlias = Scheduled
else:
    Augmentation = Literal[tuple(AUGMENTATIONS)]
    AnyLoss = one_of(LOSSES, "name", kind=LOSSES.kind)
    Probability = scheduled(forms=[*USUAL, "adaptive"], ge=0.0, le=1.0)


class GameSpec(Section):
    """Settings of a procedure."""

    kind: str
    discriminator_steps: PositiveInt = Field(1, description="D steps for each G step")
    augmentations: tuple[Augmentation, ...] = Field(
        (), description="random changes that D sees real and generated images through (DiffAugment)"
    )
    augmentation_probability: Probability = Field(1.0, description="with which each image is changed by each of them")

    played_by: ClassVar[str]
    """Its `games.base.Game`, as "module:class"."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """What each training image must carry besides its pixels: `labels`, `domains`, `captions`, `attributes`,
    `partners`; a network may need more."""
    partly_labelled: ClassVar[bool] = False
    """Whether a label of some images is enough for it, where it needs labels."""
    names_classes: ClassVar[bool] = False
    """Whether D's word on an image is made of the logits of its classes."""
    paced_by: ClassVar[str] = ""
    """The setting that makes its steps depend on how many there are to be."""
    most_domains: ClassVar[int | None] = None
    """Domains that it can translate between; None: any number."""
    penalises_apart: ClassVar[bool] = False
    """Whether penalties that come every n-th step have steps of their own, of the player's optimizer on them alone."""
    any_discriminator: ClassVar[bool] = False
    """Whether D may be of any family, though one is made for this game."""
    least_batch: ClassVar[int] = 2
    """The least `training.batch_size` that its losses and networks make sense with."""
    accumulates: ClassVar[bool] = True
    """Whether it can work on a batch in parts (`training.accumulate`)."""
    shareable: ClassVar[bool] = False
    """Whether its state is equal on all ranks; else it keeps image pools or stages of its own in each process."""

    @property
    def carried(self) -> frozenset[str]:
        """`needs`, with what comes of its settings."""
        return self.needs

    def images_of(self, batch_size: int) -> int:
        """Real images in a batch."""
        return batch_size

    def check(self, recipe: Recipe) -> None:
        """Refuses networks and batches that it does not train: RequestError with place, value and remedy."""
        least = min(recipe.training.batch_sizes)
        if least < self.least_batch:
            raise RequestError(
                f"training.batch_size={least}: game.kind={self.kind} needs at least "
                f"{self.least_batch} images in a batch"
            )
        for spec in (recipe.networks.generator, recipe.networks.discriminator):
            only = FAMILIES[spec.family].game
            if only and only != self.kind:
                raise RequestError(
                    f"networks of the family {spec.family} are trained by game.kind={only}, not {self.kind}: set that, "
                    "or choose other networks"
                )
            if not self.accumulates and recipe.training.accumulate > 1:
                raise RequestError(
                    f"training.accumulate={recipe.training.accumulate}: game.kind={self.kind} works on whole batches: "
                    "set it to 1"
                )
            trained = [
                name for name, family in FAMILIES.items() if family.game == self.kind and spec.player in family.players
            ]
            anyone = self.any_discriminator and spec.player == "discriminator"
            if trained and spec.family not in trained and not anyone:
                raise RequestError(
                    f"networks.{spec.player}.family={spec.family}: game.kind={self.kind} trains the family "
                    f"{' or '.join(trained)} only"
                )


class LossGameSpec(GameSpec):
    """Settings of a procedure with a loss to choose."""

    loss: AnyLoss = Field(NonSaturating(), description="what each player minimises, on raw logits")


class UnpairedLossSpec(LossGameSpec):
    """The same, where the generated images stand in no pairs with real ones."""

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if self.loss.relativistic:
            raise RequestError(
                f"game.loss={self.loss.name} pairs generated images with real ones, which this game does not: choose "
                "another"
            )
