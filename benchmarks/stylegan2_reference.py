"""Equal outputs at equal weights: this project's StyleGAN2 beside the authors' public PyTorch code.

    python benchmarks/stylegan2_reference.py CHECKOUT    # of github.com/NVlabs/stylegan2-ada-pytorch

Their networks are made small with random weights, renamed as `gan_models.families.stylegan2.published` does it, and
asked for the same images and logits; largest differences are printed. Here, on a CPU: 5e-6 of images and 6e-7 of
logits, of configuration F, of the CIFAR-10 one with classes, and with the classes of both players.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from gan_models.data.shape import DataShape
from gan_models.families.building import build_discriminator, build_generator
from gan_models.families.stylegan2.published import discriminator_weights, generator_weights
from gan_models.recipes import load_recipe

CASES = (("original", 32, 2, 10), ("residual", 64, 8, 0), ("residual", 32, 3, 3))
LATENT, STYLE, BASE, MOST = 48, 40, 512, 64


def main(checkout: Path) -> None:
    sys.path.insert(0, str(checkout))
    from training.networks import Discriminator, Generator  # type: ignore[import-not-found]

    for architecture, size, mapping, classes in CASES:
        torch.manual_seed(0)
        channels = {"channel_base": BASE, "channel_max": MOST}
        theirs: tuple[Any, Any] = (
            Generator(
                LATENT, classes, STYLE, size, 3, mapping_kwargs={"num_layers": mapping}, synthesis_kwargs=channels
            ),
            Discriminator(classes, size, 3, architecture={"original": "orig", "residual": "resnet"}[architecture],
                          **channels),
        )  # fmt: skip
        for network in theirs:
            for parameter in network.eval().parameters():
                parameter.data.add_(0.1 * torch.randn_like(parameter))
        theirs[0].mapping.w_avg.normal_()
        told = ["conditioning={generator: embedding, discriminator: projection}"] if classes else []
        recipe = load_recipe("stylegan2-ada", [
            f"data.size={size}", f"networks.latent={LATENT}", f"networks.generator.style={STYLE}", *told,
            f"networks.generator.mapping={mapping}", f"networks.discriminator.architecture={architecture}",
            *(f"networks.{player}.{key}={value}" for player in ("generator", "discriminator")
              for key, value in channels.items()),
        ])  # fmt: skip
        shape = DataShape((3, size, size), classes)
        generator, discriminator = build_generator(recipe, shape).eval(), build_discriminator(recipe, shape).eval()
        generator.load_state_dict(generator_weights(theirs[0].state_dict()))
        discriminator.load_state_dict(discriminator_weights(theirs[1].state_dict()))
        latents, labels = torch.randn(8, LATENT), torch.randint(0, max(1, classes), (8,))
        one_hot = torch.nn.functional.one_hot(labels, classes).float() if classes else torch.zeros(8, 0)
        given = labels if classes else None
        with torch.no_grad():
            images = theirs[0](latents, one_hot, noise_mode="const", truncation_psi=0.7)
            found = generator(latents=latents, labels=given, psi=torch.full((8, 1), 0.7))
            logits, judged = theirs[1](images, one_hot)[:, 0], discriminator(images, given).logits
        apart = [float((one - other).abs().max()) for one, other in ((images.clamp(-1, 1), found), (logits, judged))]
        sys.stdout.write(f"{architecture} {size}px {classes} classes: images {apart[0]:.1e}, logits {apart[1]:.1e}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="of the authors' repository")
    main(parser.parse_args().checkout)
