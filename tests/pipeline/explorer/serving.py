"""Tiny generators of every kind, and the real command that serves their pages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from gan_models.data.captions import Vocabulary
from gan_models.data.table import Split
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, save_examples, save_generator

WORDS = ("red", "blue", "circle", "square")
SIZE = 16
_NARROW = ["data.size=16", "networks.generator.width=4", "networks.discriminator.width=4"]


def _loud(module: nn.Module) -> None:
    """Fresh networks draw next to nothing: with larger weights, other inputs are other pictures."""
    for parameter in module.parameters():
        parameter.data *= 4


def _follows_hints(module: nn.Module) -> None:
    """A U-Net that draws the colours of its hints where they are, and nothing elsewhere."""
    for name, parameter in module.named_parameters():
        if name.startswith(("network.first", "network.last")):
            parameter.data.zero_()
    for colour in range(3):
        # Inputs are grey, mask, R, G, B; in front of the last layer, what came past the maps is behind what came up.
        module.get_parameter("network.first.0.weight").data[colour, 2 + colour, 1, 1] = 1.0
        module.get_parameter("network.last.0.weight").data[colour, 4 + colour, 1, 1] = 3.0


def save_tiny(folder: Path, recipe_name: str) -> Path:
    """A generator folder with weights that nobody trained; `attributes`: attribute-transfer with these."""
    vectors = recipe_name == "attributes"
    recipe_name = "attribute-transfer" if vectors else recipe_name
    recipe = load_recipe(recipe_name, [*_NARROW, *(["game.transfers=attributes"] if vectors else [])])
    torch.manual_seed(0)
    grey = recipe_name in ("cgan-projection", "dcgan")
    info = GeneratorInfo(
        recipe_name=recipe_name, image_shape=(1 if grey else 3, SIZE, SIZE), step=1, seed=0, data_fingerprint="f",
        class_names=("cat", "dog", "owl") if recipe_name == "cgan-projection" else (),
        domain_names=("red", "green", "blue") if recipe_name == "attribute-transfer" else (),
        words=WORDS if recipe_name == "stackgan" else (), diversity=1.0, collapsed=False,
        attribute_names=("large", "warm") if vectors else (),
    )  # fmt: skip
    module = build_generator(recipe, info.shape)
    (_follows_hints if recipe_name == "colorization/gan" else _loud)(module)
    save_generator(folder, module.state_dict(), recipe, info)
    if not grey:
        captions = Vocabulary(WORDS).encode_all(["red circle", "blue square", "blue circle"])
        paths, domains = [str(number) for number in range(3)], torch.arange(3)
        partners = 255 - _pictures() if recipe_name == "pix2pix" else None
        examples = Split(_pictures(), None, paths, domains, torch.from_numpy(captions), partners=partners)
        save_examples(folder, examples)
    return folder


def _pictures() -> Tensor:
    """Uint8 [3, H, W, 3]: a lighter square in the middle of each."""
    pictures = torch.full((3, SIZE, SIZE, 3), 90, dtype=torch.uint8)
    for number in range(3):
        pictures[number, 4:12, 4:12] = 120 + 30 * number
    return pictures


class Served(NamedTuple):
    """A page that is served by `gan-pipeline explore`."""

    address: str
    process: subprocess.Popen[str]


def start(*arguments: str | Path) -> Served:
    """The command as a process of its own, on a port that was free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "from pipeline.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "explore", *map(str, arguments), "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SHARE": "True", "GRADIO_ANALYTICS_ENABLED": "True"},
    )
    return Served(f"http://127.0.0.1:{port}", process)


def await_page(served: Served) -> None:
    assert served.process.stdout is not None
    line = served.process.stdout.readline()
    if served.address not in line:
        served.process.kill()
        pytest.fail(f"no page: {line}{served.process.communicate()}")
