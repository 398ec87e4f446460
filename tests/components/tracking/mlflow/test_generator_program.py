"""Every kind of generator as a program: any number of images, and the same ones as the network draws."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from components.tracking.mlflow.generator_program import export_program
from gan_models.data.shape import DataShape
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.draws import Draws

SHAPE = DataShape((1, 32, 32), 10, 0, 0)
GENERATORS = {
    "vanilla": ["data.size=32"],
    "dcgan": [],
    "dcgan with virtual batch norm": ["networks.generator.norm=virtual"],
    "cgan-projection": [],
    "sngan": [],
    "sngan-cnn": [],
    "sngan-projection": [],
    "sagan": [],
    "biggan": [],
    "pggan": [],
    "r3gan": [],
}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_of_latents_is_exported_for_any_number_of_images(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name.split()[0], GENERATORS[name])
    torch.manual_seed(0)
    generator = build_generator(recipe, SHAPE).eval()
    export_program(generator, generator.draw_inputs(Draws(1, 2)), tmp_path)
    program = torch.export.load(tmp_path / "data" / "model.pt2").module()
    for count in (1, 5):
        inputs = generator.draw_inputs(Draws(2, count))
        drawn = program(*(inputs[each] for each in generator.inputs))
        torch.testing.assert_close(drawn, generator(**inputs), rtol=1e-3, atol=1e-4)
