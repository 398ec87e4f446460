"""Pictures that a user brings along become what the generator was trained on, or a sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_models.data.preparing.preparation import Preparation
from gan_models.errors import RequestError
from gan_models.exploring.given import MOST_BYTES, read_picture
from gan_models.families.building import build_generator
from gan_models.recipes import Recipe
from gan_models.recipes.schema import Data
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator


@pytest.fixture(scope="module")
def generator(small_recipe: Callable[..., Recipe]) -> LoadedGenerator:
    recipe = small_recipe("dcgan")
    size = recipe.data.size
    info = GeneratorInfo(
        recipe_name="dcgan", image_shape=(1, *size), class_names=(), step=1, seed=0, data_fingerprint="f",
        diversity=1.0, collapsed=False,
    )  # fmt: skip
    return LoadedGenerator(build_generator(recipe, info.shape).eval(), recipe, info, torch.device("cpu"))


def test_a_picture_is_made_square_grey_and_small(generator: LoadedGenerator, tmp_path: Path) -> None:
    path, size = tmp_path / "wide.png", generator.info.image_shape[1]
    wide = Image.new("RGB", (90, 30), (255, 255, 255))
    wide.paste((0, 0, 255), (30, 0, 60, 30))  # the square that is kept
    wide.save(path)
    picture = read_picture(path, generator)
    assert picture.images.shape == (1, size, size, 1)
    assert (picture.images[0, :, 2:-2] == 29).all()  # the luminance of blue; bicubic at the rim
    assert (picture.labels, picture.domains, picture.paths) == (None, None, ["wide.png"])


def test_its_values_mean_what_they_meant_in_training(generator: LoadedGenerator, tmp_path: Path) -> None:
    side = generator.info.image_shape[1]
    for number in range(3):  # one of them shows that there are 12 bits
        values = np.full((side, side), 4000 if number else 500, np.uint16)
        values[0, 0] = number
        Image.fromarray(values).save(tmp_path / f"{number}.png")
    preparation = Preparation.of(Data(source=f"folder:{tmp_path}", size=side, validation=0, test=0))
    metadata = preparation.write(tmp_path / "table", lambda done, bad: None).metadata
    assert metadata.ranges is not None
    assert metadata.ranges.deep == (0, 4095, False)
    info = GeneratorInfo.model_validate_json(
        generator.info.model_copy(update={"ranges": metadata.ranges}).model_dump_json()
    )
    dark = read_picture(tmp_path / "0.png", replace(generator, info=info)).images
    assert dark[0, 5, 5, 0] == round(500 * 255 / 4095)
    assert read_picture(tmp_path / "0.png", generator).images[0, 5, 5, 0] == round(500 * 255 / 65535)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no picture", "a.png cannot be used: not an image of a known format"),
        (b"", "a.png cannot be used: the file is empty"),
        (bytes(MOST_BYTES + 1), "a.png has 20 MiB: pictures of up to 20 are taken"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(
    generator: LoadedGenerator, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(RequestError, match=words):
        read_picture(tmp_path / "a.png", generator)
