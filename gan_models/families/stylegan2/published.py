"""Weights under the names of StyleGAN2-ADA's public PyTorch code, for networks of this project.

The published files are pickles of whole Python objects, which run what is in them when they are loaded; nothing here
reads one. What is read are state dicts of `G_ema` and `D` that somebody has written as safetensors.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import build_discriminator, build_generator
from gan_models.families.stylegan2.spec import COARSEST
from gan_models.recipes.schema import Recipe
from gan_models.sampling.generator import GeneratorInfo, save_generator

_LAYERS = {"noise_const": "noise", "noise_strength": "strength", "affine": "style"}
_BLOCKS = {"conv0": "first", "conv1": "second", "skip": "shortcut"}
_LAST = {"conv": "trunk.convolution", "fc": "trunk.dense", "out": "head.linear"}


def generator_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`G_ema`'s state dict under the names of `networks.StyleGan2ImageGenerator`."""
    return _renamed(published, _of_generator)


def discriminator_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`D`'s state dict under the names of a discriminator of this family."""
    sizes = [int(found[1]) for name in published if (found := re.match(r"b(\d+)\.", name))]
    largest = max(sizes, default=COARSEST)
    return _renamed(published, lambda name: _of_discriminator(name, largest))


def convert(recipe: Recipe, shape: DataShape, generator: Path, folder: Path, discriminator: Path | None = None) -> None:
    """Writes a generator folder, to draw from and to begin a training with, from safetensors of the authors' names.

    Args:
        recipe: with the networks that the weights are of, such as `stylegan2-ada/ffhq-256`.
        shape: of the images, with the number of classes.
        discriminator: its weights, for trainings that begin with both.

    Raises:
        RequestError: a file is absent or damaged, or its weights are those of other networks.
    """
    weights = generator_weights(_read(generator))
    _check(build_generator(recipe, shape), weights, generator)
    companions: dict[str, Mapping[str, Tensor]] = {}
    if discriminator is not None:
        companions["discriminator"] = discriminator_weights(_read(discriminator))
        _check(build_discriminator(recipe, shape), companions["discriminator"], discriminator)
    info = GeneratorInfo(
        recipe_name=recipe.name,
        image_shape=shape.image,
        class_names=tuple(str(number) for number in range(shape.classes)),
        step=recipe.training.steps,
        seed=0,
        data_fingerprint="published weights",
        diversity=1.0,  # nobody has measured it
        collapsed=False,
    )
    save_generator(folder, weights, recipe, info, companions)


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:100]
        raise RequestError(
            f"{file} holds no safetensors ({reason}): write the state dict of G_ema or D with safetensors' save_file; "
            "pickles are not read"
        ) from None


def _check(network: nn.Module, weights: Mapping[str, Tensor], file: Path) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"{file} holds the weights of other networks than the recipe's ({reason})") from None


def _renamed(published: Mapping[str, Tensor], rename: Callable[[str], str]) -> dict[str, Tensor]:
    named = {rename(name): tensor for name, tensor in published.items() if not name.endswith("resample_filter")}
    if unknown := [name for name in published if not name.endswith("resample_filter") and not rename(name)]:
        raise RequestError(f"{unknown[0]} is no name of StyleGAN2-ADA's public code: give the state dict of G_ema or D")
    return named


def _of_mapping(name: str, prefix: str) -> str:
    return re.sub(r"^mapping\.fc(\d+)\.", rf"{prefix}layers.\1.", re.sub(r"^mapping\.embed\.", f"{prefix}embed.", name))


def _of_generator(name: str) -> str:
    """The name here; "" for one that is not known."""
    if name == "mapping.w_avg":
        return "average"
    if name == f"synthesis.b{COARSEST}.const":
        return "constant"
    if re.match(r"mapping\.(embed|fc\d+)\.(weight|bias)$", name):
        return _of_mapping(name, "mapping.")
    found = re.match(r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(\w+)(\.\w+)?$", name)
    if found is None:
        return ""
    size, layer, what, rest = int(found[1]), found[2], found[3], found[4] or ""
    level = (size // COARSEST).bit_length() - 1
    place = f"to_image.{level}" if layer == "torgb" else f"convolutions.{2 * level - (layer == 'conv0')}"
    return f"{place}.{_LAYERS.get(what, what)}{rest}"


def _of_discriminator(name: str, largest: int) -> str:
    """Likewise, for images of `largest` pixels a side."""
    if re.match(r"mapping\.(embed|fc\d+)\.(weight|bias)$", name):
        return _of_mapping(name, "head.mapping.")
    found = re.match(r"b(\d+)\.(\w+)\.(weight|bias)$", name)
    if found is None:
        return ""
    size, layer, what = int(found[1]), found[2], found[3]
    if layer == "fromrgb" and size == largest:
        return f"trunk.from_image.{what}"
    if size == COARSEST and layer in _LAST:
        return f"{_LAST[layer]}.{what}"
    block = (largest // size).bit_length() - 1
    return f"trunk.blocks.{block}.{_BLOCKS[layer]}.{what}" if layer in _BLOCKS else ""
