"""Attributes that are asked for by name, and what is measured of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.metrics.extraction import Extracted
from gan_models.recipes import load_recipe
from gan_models.sampling.draws import Draws
from gan_models.sampling.exporting import export, plain
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator, load_generator, save_examples, save_generator
from gan_models.sampling.served import RowServer
from gan_models.tasks.attributes import measure_attributes, with_attributes
from gan_models.tasks.base import Asked

NAMES = ("large", "round", "warm")
OWN = torch.tensor([[0, 0, 0], [1, 0, 1], [0, 1, 1], [1, 1, 0]], dtype=torch.uint8)


@pytest.fixture
def generator() -> LoadedGenerator:
    narrow = ["networks.generator.width=4", "data.size=8", "game.transfers=attributes"]
    recipe = load_recipe("attribute-transfer", narrow)
    torch.manual_seed(0)
    module = build_generator(recipe, DataShape((3, 8, 8), attributes=3)).eval()
    info = GeneratorInfo(
        recipe_name="attribute-transfer", image_shape=(3, 8, 8), class_names=(), attribute_names=NAMES, step=1, seed=0,
        data_fingerprint="f", diversity=1.0, collapsed=False,
    )  # fmt: skip
    images = torch.randint(0, 256, (4, 8, 8, 3), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    examples = Split(images, None, [""] * 4, attributes=OWN)
    return LoadedGenerator(module, recipe, info, torch.device("cpu"), examples)


def test_one_attribute_of_each_example_is_turned_round_each_in_turn(generator: LoadedGenerator) -> None:
    inputs = generator.module.draw_inputs(Draws(0, 12), examples=generator.examples)
    turned = inputs["attributes"] != OWN.float().repeat(3, 1)
    assert (turned.sum(1) == 1).all()
    pairs = {(row % 4, place) for row, place in enumerate(turned.int().argmax(1).tolist())}
    assert len(pairs) == generator.module.distinct(4) == 12


def test_attributes_are_set_and_cleared_by_name() -> None:
    assert with_attributes(OWN.float(), "large, -warm", NAMES).tolist() == [[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0]]
    assert torch.equal(with_attributes(OWN.float(), "", NAMES), OWN.float())
    with pytest.raises(RequestError, match="did you mean 'large'"):
        with_attributes(OWN.float(), "lage", NAMES)


def test_what_is_asked_for_is_one_picture_beside_the_image(generator: LoadedGenerator) -> None:
    by_default = generator.task.ask(generator, Asked(2))
    assert by_default.sentence.endswith("columns: image, large, round, warm")
    asked = Asked(2, attributes="large,-warm")
    assert generator.task.ask(generator, asked).sentence.endswith("columns: image, changed")
    assert generator.task.about(generator, asked) == {"made": ["changed"], "attributes": "large,-warm"}
    (part,) = generator.task.parts(generator, asked)
    assert part.names == ["00000000-changed", "00000001-changed"]
    wanted = torch.tensor([[1, 0, 0], [1, 0, 0]]).float()
    assert generator.examples is not None
    expected = generator.synthesize(
        {"images": generator.examples.images[:2].permute(0, 3, 1, 2) / 127.5 - 1, "attributes": wanted}
    ).images
    assert torch.equal(part.draw(), expected)


def test_other_generators_refuse_attributes(generator: LoadedGenerator) -> None:
    from gan_models.tasks.latent import Latent

    with pytest.raises(RequestError, match="--attributes: attribute-transfer changes no attributes"):
        Latent().refuse(generator, Asked(2, attributes="large"))


def test_a_served_generator_is_asked_by_name(generator: LoadedGenerator) -> None:
    served = RowServer(generator)
    first, second = served.answer(served.example())
    assert (first["attributes"], second["attributes"]) == ("large", "large, round, warm")
    assert first["image"] != second["image"]
    with pytest.raises(RequestError, match="row 0: unknown attribute"):
        served.answer([{**served.example()[0], "attributes": "green"}])


def test_a_generator_folder_keeps_the_attributes_of_its_examples(generator: LoadedGenerator, tmp_path: Path) -> None:
    save_generator(tmp_path / "g", generator.module.state_dict(), generator.recipe, generator.info)
    assert generator.examples is not None
    save_examples(tmp_path / "g", generator.examples)
    again = load_generator(tmp_path / "g")
    assert again.examples is not None
    assert torch.equal(again.examples.attributes, OWN)
    assert torch.equal(again.sample(8).images, generator.sample(8).images)


def test_it_is_exported(generator: LoadedGenerator, tmp_path: Path) -> None:
    assert export(plain(generator), "pt2", tmp_path).is_file()


class Knowing:
    """A classifier that finds the first attribute always, and the others as they are asked for or as they were."""

    def __init__(self, answers: torch.Tensor) -> None:
        self.answers = answers

    def features_and_logits(self, images: torch.Tensor) -> Extracted:
        return Extracted(torch.zeros(len(images), 1), self.answers, None, load=lambda: images)


def test_what_turned_and_what_stayed_are_counted_apart(generator: LoadedGenerator) -> None:
    samples = generator.sample(12)
    asked = samples.inputs["attributes"]
    right = measure_attributes(generator, samples, Knowing(2 * asked - 1))
    assert (right.reached, right.each, right.kept) == (1.0, [1.0] * 3, 1.0)
    own = samples.source_attributes
    assert own is not None
    nothing = measure_attributes(generator, samples, Knowing(2 * own - 1))
    assert (nothing.reached, nothing.each, nothing.kept) == (0.0, [0.0] * 3, 1.0)
    assert 0 < nothing.cycle_error < 1
