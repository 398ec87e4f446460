"""A discriminator of no layers, in the place of one."""

from torch import nn

from gan_models.data.shape import DataShape
from gan_models.families.building import Builder
from gan_models.families.interfaces import Discriminator
from gan_models.families.none.spec import NoDiscriminator
from gan_models.recipes.schema import Recipe


class Nobody(Builder):
    """Without parameters, and never asked."""

    def discriminator(self, spec: NoDiscriminator, recipe: Recipe, shape: DataShape) -> Discriminator:
        return Discriminator(nn.Identity(), nn.Identity())
