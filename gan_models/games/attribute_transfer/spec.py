"""The settings of StarGAN's game (Choi et al. 2018, section 3)."""

from typing import ClassVar, Literal

from pydantic import Field

from gan_models.games.spec import AnyLoss, UnpairedLossSpec
from gan_models.losses import Wasserstein
from gan_models.sections import NonNegativeFloat


class AttributeTransfer(UnpairedLossSpec):
    """Translation to any domain by one generator: D also names the domain (Choi et al. 2018, section 3)."""

    kind: Literal["attribute-transfer"] = "attribute-transfer"
    transfers: Literal["domains", "attributes"] = Field(
        "domains",
        description="domains: an image is of one (RaFD's expressions); attributes: it has any number of them, each or "
        "not (CelebA's)",
    )
    loss: AnyLoss = Field(Wasserstein(), description="what each player minimises, on raw logits")
    classification: NonNegativeFloat = Field(
        1.0, description="weight of the loss of domains or attributes, of real images in D's loss"
    )
    reconstruction: NonNegativeFloat = Field(
        10.0, description="weight of the distance between an image and its way there and back"
    )

    played_by: ClassVar[str] = "gan_models.games.attribute_transfer.game:AttributeTransferGame"

    @property
    def carried(self) -> frozenset[str]:
        return frozenset({self.transfers})
