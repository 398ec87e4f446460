"""R3GAN's networks here and in the authors' public code, at equal weights: their outputs, and how far they differ.

    git clone https://github.com/brownvc/R3GAN
    python benchmarks/r3gan_by_its_authors.py R3GAN [--full]

The authors' code runs without its CUDA extensions, by the plain PyTorch forms that it has beside them. Widths are a
tenth or so of the published ones, or those with --full.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.families.building import build_discriminator, build_generator
from gan_models.recipes import load_recipe

LATENT, BLOCKS, EXPANSION, GROUP = 64, 2, 2, 16


def authors_networks(folder: Path) -> Any:
    """The module `R3GAN.Networks` of a checkout, with its plain forms in place of its CUDA ones."""
    sys.path.insert(0, str(folder))
    for name in ("torch_utils", "torch_utils.ops", "torch_utils.ops.bias_act", "torch_utils.ops.upfirdn2d"):
        sys.modules[name] = types.ModuleType(name)
    for parent, child in (("torch_utils", "ops"), ("torch_utils.ops", "bias_act"), ("torch_utils.ops", "upfirdn2d")):
        setattr(sys.modules[parent], child, sys.modules[f"{parent}.{child}"])
    operators, resamplers = (importlib.import_module(f"R3GAN.{name}") for name in ("FusedOperators", "Resamplers"))
    operators.BiasedActivation = operators.BiasedActivationReference
    resamplers.InterpolativeUpsampler = resamplers.InterpolativeUpsamplerReference
    resamplers.InterpolativeDownsampler = resamplers.InterpolativeDownsamplerReference
    return importlib.import_module("R3GAN.Networks")


def in_our_order(network: nn.Module, *, generator: bool) -> Iterator[Tensor]:
    """The authors' weights as our networks have theirs: layer by layer from the input on."""

    def of(module: Any) -> Iterator[Tensor]:
        if hasattr(module, "LinearLayer1"):  # a residual block
            yield from (module.LinearLayer1.Layer.weight, module.NonLinearity1.Bias, module.LinearLayer2.Layer.weight)
            yield from (module.NonLinearity2.Bias, module.LinearLayer3.Layer.weight)
        elif hasattr(module, "Basis"):
            yield module.Basis if generator else module.Basis.weight
            yield module.LinearLayer.weight
        elif hasattr(module, "LinearLayer"):
            yield module.LinearLayer.Layer.weight

    theirs: Any = network
    embedding = [theirs.EmbeddingLayer.weight] if hasattr(theirs, "EmbeddingLayer") else []
    yield from embedding if generator else [theirs.ExtractionLayer.Layer.weight]
    for stage in theirs.MainLayers:
        for layer in stage.Layers:
            yield from of(layer)
    yield from [theirs.AggregationLayer.Layer.weight] if generator else embedding


@torch.no_grad()
def take_over(ours: nn.Module, theirs: nn.Module, *, generator: bool) -> None:
    """Random weights for both."""
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, 0.0, (2.0 / max(1, parameter[0].numel())) ** 0.5)
    for mine, given in zip(ours.parameters(), in_our_order(theirs, generator=generator), strict=True):
        # Their embeddings are matrices for one-hot vectors: columns are classes.
        mine.copy_(given if mine.shape == given.shape else given.mT if given.dim() == 2 else given.view(mine.shape))


def compare(networks: Any, name: str, widths: list[int], classes: int) -> None:
    """One line for each player."""
    size, groups = 4 << (len(widths) - 1), [EXPANSION * width // GROUP for width in widths]
    counts, condition = [BLOCKS] * len(widths), {"ConditionDimension": classes} if classes else {}
    theirs = {
        "generator": networks.Generator(
            *(LATENT, widths, groups, counts, EXPANSION),
            **condition,
            ConditionEmbeddingDimension=LATENT * bool(classes),
        ),
        "discriminator": networks.Discriminator(
            *(widths[::-1], groups[::-1], counts, EXPANSION),
            **condition,
            ConditionEmbeddingDimension=widths[0] * bool(classes),
        ),
    }
    settings = [f"width={widths[-1]}", f"max_width={widths[0]}", f"blocks={BLOCKS}", f"group={GROUP}"]
    recipe = load_recipe(
        "r3gan",
        [
            *(f"networks.{player}.{setting}" for player in theirs for setting in settings),
            *(f"data.size={size}", f"networks.latent={LATENT}"),
            *(["conditioning={generator: embedding, discriminator: projection}"] if classes else []),
        ],
    )
    shape = DataShape((3, size, size), classes)
    ours: dict[str, nn.Module] = {
        "generator": build_generator(recipe, shape).train(),
        "discriminator": build_discriminator(recipe, shape),
    }
    labels = torch.arange(4) % classes if classes else None
    one_hot = nn.functional.one_hot(labels, classes).float() if labels is not None else None
    inputs = {"generator": torch.randn(4, LATENT), "discriminator": torch.randn(4, 3, size, size)}
    for player, given in inputs.items():
        take_over(ours[player], theirs[player], generator=player == "generator")
        with torch.no_grad():
            expected, found = theirs[player](given, one_hot), ours[player](given, labels)
        found = found if isinstance(found, Tensor) else found.logits
        number = sum(parameter.numel() for parameter in ours[player].parameters())
        apart = ((found - expected).abs().max() / expected.std()).item()
        print(f"{name:24s} {player:14s} {number:12,d} parameters, largest difference {apart:.1e} of a deviation")
        assert number == sum(parameter.numel() for parameter in theirs[player].parameters())
        assert apart < 1e-3, "not the same network"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("code", type=Path, help="a checkout of brownvc/R3GAN")
    parser.add_argument("--full", action="store_true", help="the published widths: some minutes")
    options = parser.parse_args()
    networks, by = authors_networks(options.code), 1 if options.full else 12
    torch.manual_seed(0)
    with torch.random.fork_rng():
        compare(networks, "CIFAR-10", [768 // by] * 4, 0)
        compare(networks, "CIFAR-10, by class", [768 // by] * 4, 10)
        compare(networks, "FFHQ 64", [768 // by] * 4 + [384 // by], 0)
        compare(networks, "FFHQ 256", [768 // by] * 4 + [384 // by, 192 // by, 96 // by], 0)


if __name__ == "__main__":
    main()
