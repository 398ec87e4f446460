"""StarGAN's networks (Choi et al. 2018), as a recipe names them."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.families.base import Family, ImageDiscriminator, ResidualTranslator
from gan_models.sections import PositiveInt

_LEAST_MAP = 2


class AttributeTransferGenerator(ResidualTranslator):
    """One residual network that is told the attribute to give to the image (Choi et al. 2018)."""

    family: Literal["attribute-transfer"] = "attribute-transfer"


class AttributeTransferDiscriminator(ImageDiscriminator):
    """Patches real or generated, and the image's attribute, from one trunk (Choi et al. 2018)."""

    family: Literal["attribute-transfer"] = "attribute-transfer"
    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each layer")
    max_width: PositiveInt = Field(2048, description="at most so many channels, however often width doubles")
    layers: PositiveInt = Field(6, description="halvings of the image, at most; a 2x2 map is not halved")

    def maps(self, size: Size) -> Sequence[int]:
        halved = [size.shorter >> level for level in range(1, self.layers + 1)]
        return [pixels for pixels in halved if pixels >= _LEAST_MAP]


FAMILY = Family(
    AttributeTransferGenerator,
    AttributeTransferDiscriminator,
    "gan_models.families.attribute_transfer.networks:AttributeTransfer",
    "attribute-transfer",
)
