"""From a recipe's `networks` section to networks: what the builders of all families have in common."""

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any, ClassVar, TypeVar

from torch import nn

from gan_models.data.shape import DataShape
from gan_models.families import FAMILIES
from gan_models.families.base import PlayerSpec
from gan_models.families.interfaces import Discriminator, Generator, ImageShape, LatentGenerator, Trunk
from gan_models.layers.heads import ClassesHead, LinearHead, ProjectionHead
from gan_models.layers.initialization import SCHEMES
from gan_models.layers.minibatch import MinibatchDiscrimination, MinibatchStdDev
from gan_models.layers.normalization import add_spectral_norm
from gan_models.recipes.schema import Recipe

Network = TypeVar("Network", bound=nn.Module)


class Builder:
    """Makes a family's networks; their weights come from torch's global random state.

    A recipe has been checked when it gets here (`recipes.load_recipe`); what only the data tells is refused here, as a
    RequestError. A family without one of the players is never asked for it.
    """

    initialise: Callable[[nn.Module], None] = staticmethod(lambda module: None)
    """The paper's first weights, for `nn.Module.apply`; here: what PyTorch drew."""

    def generator(self, spec: Any, recipe: Recipe, shape: DataShape) -> Generator:
        raise LookupError(f"{spec.family} has no generator")

    def discriminator(self, spec: Any, recipe: Recipe, shape: DataShape) -> Discriminator:
        raise LookupError(f"{spec.family} has no discriminator")

    def finish(self, network: Network, spec: PlayerSpec) -> Network:
        """Initialises a network as its spec says, and puts spectral norm on what is left standing."""
        scheme = spec.get("init", "family")
        network.apply(self.initialise if scheme == "family" else SCHEMES[scheme])
        if spec.get("spectral_norm", False):
            add_spectral_norm(network)
        return network


class LatentBuilder(Builder):
    """For generators of latents and labels: heads, conditioning and minibatch statistics are put around a trunk."""

    network: ClassVar[type[LatentGenerator]]

    def trunk(self, spec: Any, image_shape: ImageShape) -> Trunk:
        """The discriminator without its heads; `image_shape` counts label planes as channels."""
        raise LookupError(f"{spec.family} has no discriminator")

    def projection(self, spec: Any, trunk: Trunk, classes: int) -> nn.Module:
        """The head that asks whether features and class go together."""
        return ProjectionHead(trunk.channels, classes)

    def generator(self, spec: Any, recipe: Recipe, shape: DataShape) -> Generator:
        classes = shape.classes if recipe.conditional else 0
        one_hot = recipe.conditioning.generator == "one-hot"
        prior = recipe.networks.uniform
        return self.network(spec, recipe.networks.latent, classes, shape.image, one_hot=one_hot, uniform=prior)

    def discriminator(self, spec: Any, recipe: Recipe, shape: DataShape) -> Discriminator:
        conditioning = recipe.conditioning.discriminator
        channels, height, width = shape.image
        planes = shape.classes if conditioning == "concat" else 0
        trunk = self.trunk(spec, (channels + planes, height, width))
        features, kind = trunk.channels * trunk.positions, spec.get("minibatch", "none")
        minibatch: nn.Module | None = None
        if kind == "stddev" and not trunk.has_stddev:
            minibatch, features = MinibatchStdDev(), features + trunk.positions
        elif kind == "discrimination":
            minibatch = MinibatchDiscrimination(features)
            features += minibatch.kernels
        head: nn.Module
        if conditioning == "projection":
            head = self.projection(spec, trunk, shape.classes)
        else:
            head = (
                ClassesHead()
                if recipe.game.names_classes
                else LinearHead(features, linear=trunk.linear, bias=trunk.bias)
            )
        names = recipe.game.names_classes or conditioning == "classifier"
        classifier = LinearHead(features, shape.classes, trunk.linear) if names else None
        return Discriminator(trunk.layers, head, minibatch=minibatch, classifier=classifier, label_planes=planes)


def builder(family: str) -> Builder:
    """The builder of a family."""
    return resolve_name(FAMILIES[family].networks)()


def build_generator(recipe: Recipe, shape: DataShape) -> Generator:
    """The recipe's generator, freshly initialised; raises RequestError for data that it cannot be made for."""
    spec = recipe.networks.generator
    family = builder(spec.family)
    return family.finish(family.generator(spec, recipe, shape), spec)


def build_discriminator(recipe: Recipe, shape: DataShape) -> Discriminator:
    """The recipe's discriminator with the heads that its conditioning and its game ask for; errors as above."""
    spec = recipe.networks.discriminator
    family = builder(spec.family)
    return family.finish(family.discriminator(spec, recipe, shape), spec)
