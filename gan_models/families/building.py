"""Networks, one file for each family; a recipe's `networks` section is built here.

A family of latent generators is a module with

    check_size(size)                                       RequestError for a size it cannot do
    build_generator(spec, latent, classes, image_shape, one_hot)
    build_trunk(spec, image_shape)                         the discriminator without its heads; image_shape counts
                                                           label planes as channels
    initialise(module)                                     the paper's initialisation, for `nn.Module.apply`

and heads, conditioning, minibatch statistics and spectral norm are put around it here. A family that is trained by a
procedure of its own (`gan_models.games`) has `build(recipe, shape)` where its generator takes other inputs than latents
and labels, and `build_discriminator(recipe, shape)` where its discriminator has heads of its own.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TypeVar

from torch import nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.interfaces import (
    Discriminator,
    DiscriminatorOutput,
    Generator,
    Inputs,
    LatentGenerator,
    Trunk,
)
from gan_models.layers.attention import SelfAttention2d
from gan_models.layers.heads import ClassesHead, LinearHead, ProjectionHead
from gan_models.layers.initialization import SCHEMES
from gan_models.layers.minibatch import MinibatchDiscrimination, MinibatchStdDev
from gan_models.layers.spectral import add_spectral_norm
from gan_models.recipes.network_specs import DiscriminatorSpec, GeneratorSpec
from gan_models.recipes.schema import Recipe

Network = TypeVar("Network", bound=nn.Module)

__all__ = [
    "DataShape",
    "Discriminator",
    "DiscriminatorOutput",
    "Generator",
    "Inputs",
    "LatentGenerator",
    "build_discriminator",
    "build_generator",
]


def family_of(name: str) -> ModuleType:
    """The module of a family; its name is the spec's, with underscores."""
    return import_module(f"gan_models.families.{name.replace('-', '_')}.networks")


def build_generator(recipe: Recipe, shape: DataShape) -> Generator:
    """The recipe's generator, freshly initialised from torch's global random state.

    Raises:
        RequestError: the family cannot make images of this size, or cannot do what its spec asks for.
    """
    spec = recipe.networks.generator
    family = family_of(spec.family)
    family.check_size(shape.image[1])
    if hasattr(family, "build"):  # a family with inputs of its own
        generator: Generator = family.build(recipe, shape)
    else:
        classes = shape.classes if recipe.conditional else 0
        one_hot = recipe.conditioning.generator == "one-hot"
        generator = family.build_generator(spec, recipe.networks.latent, classes, shape.image, one_hot)
    return finish(generator, spec, family)


def build_discriminator(recipe: Recipe, shape: DataShape) -> Discriminator:
    """The recipe's discriminator with the heads that its conditioning and its game ask for; errors as above."""
    spec = recipe.networks.discriminator
    family = family_of(spec.family)
    channels, height, width = shape.image
    family.check_size(height)
    if hasattr(family, "build_discriminator"):  # a family with heads of its own
        own: Discriminator = family.build_discriminator(recipe, shape)
        return finish(own, spec, family)
    conditioning = recipe.conditioning.discriminator
    planes = shape.classes if conditioning == "concat" else 0
    trunk: Trunk = family.build_trunk(spec, (channels + planes, height, width))
    minibatch, extra_channels, extra_features = _minibatch(spec, trunk)
    features = (trunk.channels + extra_channels) * trunk.positions + extra_features
    head: nn.Module
    if conditioning == "projection":
        if spec.minibatch != "none":
            raise RequestError(
                "networks.discriminator.minibatch and a projection head both reshape the features: set "
                "networks.discriminator.minibatch=none or conditioning.discriminator=concat"
            )
        head = ProjectionHead(trunk.channels, trunk.positions, shape.classes)
    else:
        names_classes = recipe.game.kind == "semi-supervised"
        head = ClassesHead() if names_classes else LinearHead(features, linear=trunk.linear)
    has_classifier = isinstance(head, ClassesHead) or conditioning == "classifier"
    classifier = LinearHead(features, shape.classes, trunk.linear) if has_classifier else None
    discriminator = Discriminator(trunk.layers, head, minibatch=minibatch, classifier=classifier, label_planes=planes)
    return finish(discriminator, spec, family)


def finish(network: Network, spec: GeneratorSpec | DiscriminatorSpec, family: ModuleType) -> Network:
    """Initialises a network as its spec says, and puts spectral norm on what is left standing."""
    blocks = sum(isinstance(module, SelfAttention2d) for module in network.modules())
    if blocks < len(set(spec.attention)):
        player = "generator" if isinstance(spec, GeneratorSpec) else "discriminator"
        raise RequestError(
            f"networks.{player}.attention={list(spec.attention)}: only {blocks} of these are sizes of a feature map "
            "there; a map doubles or halves from layer to layer, and is smaller than data.size"
        )
    network.apply(family.initialise if spec.init == "family" else SCHEMES[spec.init])
    if spec.spectral_norm:
        add_spectral_norm(network)
    return network


def _minibatch(spec: DiscriminatorSpec, trunk: Trunk) -> tuple[nn.Module | None, int, int]:
    """The layer in front of the heads, and how many channels or features it adds."""
    if spec.minibatch == "stddev" and not trunk.has_stddev:
        return MinibatchStdDev(), 1, 0
    if spec.minibatch == "discrimination":
        layer = MinibatchDiscrimination(trunk.channels * trunk.positions)
        return layer, 0, layer.kernels
    return None, 0, 0
