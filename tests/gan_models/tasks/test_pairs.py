"""Images made from their partners: what is given and shown, by seed, served, kept and exported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.exporting import export, plain
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator, load_generator, save_examples, save_generator
from gan_models.sampling.served import RowServer
from gan_models.tasks.base import Asked
from gan_models.tasks.pairs import measure_pairs


@pytest.fixture
def generator() -> LoadedGenerator:
    recipe = load_recipe("pix2pix", ["networks.generator.width=4", "data.size=8"])
    torch.manual_seed(0)
    module = build_generator(recipe, DataShape((3, 8, 8))).eval()
    info = GeneratorInfo(
        recipe_name="pix2pix", image_shape=(3, 8, 8), class_names=(), step=1, seed=0, data_fingerprint="f",
        diversity=1.0, collapsed=False,
    )  # fmt: skip
    images = torch.randint(0, 256, (5, 8, 8, 3), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    examples = Split(images, None, [""] * 5, partners=255 - images)
    return LoadedGenerator(module, recipe, info, torch.device("cpu"), examples)


def test_the_partner_is_given_and_the_image_is_the_truth(generator: LoadedGenerator) -> None:
    examples = generator.examples
    assert examples is not None
    assert examples.partners is not None
    columns = generator.task.before_and_after(generator, examples, 0)  # type: ignore[attr-defined]
    assert list(columns) == ["given", "made", "true"]
    assert torch.equal(columns["given"], examples.partners)
    assert torch.equal(columns["true"], examples.images)
    samples = generator.sample(5)
    assert torch.equal(columns["made"], samples.images)
    assert torch.equal(samples.sources, examples.partners)


def test_the_distance_is_to_the_true_image(generator: LoadedGenerator) -> None:
    samples = generator.sample(7)
    assert samples.examples is not None
    truth = samples.examples.images[torch.arange(7) % 5]
    found = measure_pairs(samples)
    assert found.error == pytest.approx(float((samples.images.double() - truth).abs().mean() / 255))
    assert measure_pairs(samples._replace(images=truth)).error == 0
    assert measure_pairs(samples._replace(images=truth)).psnr > 100


def test_files_are_those_of_the_grid_however_many_are_made_at_a_time(generator: LoadedGenerator) -> None:
    (whole,) = generator.task.parts(generator, Asked(5, seed=3))
    parts = [part.draw() for part in generator.task.parts(generator, Asked(5, seed=3), size=2)]
    assert torch.allclose(torch.cat(parts).float(), whole.draw().float(), atol=1)
    assert whole.names[4] == "00000004-made"
    (other,) = generator.task.parts(generator, Asked(5, seed=4))
    assert not torch.equal(other.draw(), whole.draw())


def test_images_of_the_users_own_are_partners(generator: LoadedGenerator) -> None:
    examples = generator.examples
    assert examples is not None
    own = Split(examples.images[:2], None, [""] * 2)
    picture = generator.task.ask(generator, Asked(2, given=lambda *_: own))
    assert picture.sentence.endswith("columns: given, made")


def test_a_served_generator_draws_by_seed(generator: LoadedGenerator) -> None:
    served = RowServer(generator)
    first, second = served.answer(served.example())
    assert (first["seed"], second["seed"]) == (0, 1)
    assert first["image"] != second["image"]
    assert served.answer(served.example())[0] == first


def test_a_generator_folder_keeps_the_partners_of_its_examples(generator: LoadedGenerator, tmp_path: Path) -> None:
    save_generator(tmp_path / "g", generator.module.state_dict(), generator.recipe, generator.info)
    assert generator.examples is not None
    save_examples(tmp_path / "g", generator.examples)
    assert torch.equal(load_generator(tmp_path / "g").sample(7).images, generator.sample(7).images)


@pytest.mark.parametrize("form", ["pt2", "onnx"])
def test_it_is_exported(generator: LoadedGenerator, tmp_path: Path, form: str) -> None:
    assert export(plain(generator), form, tmp_path).is_file()
