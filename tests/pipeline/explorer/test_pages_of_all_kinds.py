"""Which page a generator gets, made without serving it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from torch import Tensor

from gan_models.errors import RequestError
from gan_models.families.interfaces import Generator
from gan_models.sampling.generator import LoadedGenerator, load_generator
from pipeline.explorer.page import make_page
from pipeline.explorer.showing import answering, tiled, whole
from pipeline.explorer.translation import TranslationPage
from tests.pipeline.explorer.serving import SIZE, save_tiny

LATENT = {"Directions", "Grid", "Walk", "Arithmetic"}


def offered(page: gr.Blocks) -> set[str]:
    """Labels of tabs and of what can be set or seen."""
    return {str(label) for block in page.blocks.values() if (label := getattr(block, "label", None))}


@pytest.mark.parametrize(
    ("recipe", "there", "absent"),
    [
        ("dcgan", {*LATENT, "Seed", "Truncation"}, {"Class", "Domain", "Upload a picture"}),
        ("cgan-projection", {*LATENT, "Class"}, {"Caption: choose one, or write your own"}),
        ("stackgan", {*LATENT, "Caption: choose one, or write your own"}, {"Class"}),
        ("attribute-transfer", {"Domain", "Picture", "Translated"}, {*LATENT, "Seed", "Class"}),
        ("attributes", {"Attributes", "Picture", "Translated"}, {*LATENT, "Domain", "Seed"}),
        ("pix2pix", {"Seed", "Picture", "Translated"}, {*LATENT, "Domain", "Attributes"}),
        ("colorization/gan", {"Grey picture, with your hints", "Coloured"}, {*LATENT, "Domain", "Class"}),
    ],
)
def test_a_page_offers_what_the_generator_takes(recipe: str, there: set[str], absent: set[str], tmp_path: Path) -> None:
    generator = load_generator(save_tiny(tmp_path / "g", recipe))
    labels = offered(make_page(generator, None, "here", tmp_path))
    assert there <= labels
    assert not absent & labels
    assert "Nearest training images" not in labels  # there is no data at hand


def test_a_translator_without_examples_takes_uploads_alone(tmp_path: Path) -> None:
    generator = replace(load_generator(save_tiny(tmp_path / "g", "attribute-transfer")), examples=None)
    labels = offered(make_page(generator, None, "here", tmp_path))
    assert "Domain" in labels
    assert "Or one that came with the generator" not in labels


def test_what_is_wanted_of_a_picture_decides_what_comes_of_it(tmp_path: Path) -> None:
    wishes: dict[str, tuple[Any, Any]] = {"attributes": ([], ["large", "warm"]), "pix2pix": (0, 1)}
    for name, (one, other) in wishes.items():
        generator = load_generator(save_tiny(tmp_path / name, name))
        with gr.Blocks():
            page = TranslationPage(generator, None)
        assert page.pictures.images is not None
        image = page.pictures.images[:1]
        first, second, again = (generator.synthesize(page._inputs(image, wish)).images for wish in (one, other, one))
        assert torch.equal(first, again)
        assert not torch.equal(first, second)
    assert page.pictures.images[0, 0, 0, 0] == 255 - 90  # what is shown of a pair is what the other is made from


class Odd(Generator):
    """Of a package of somebody else's."""

    task = "latent"

    def forward(self, sketches: Tensor) -> Tensor:
        return sketches


def test_what_nobody_made_a_page_for_is_a_sentence(tmp_path: Path) -> None:
    known = load_generator(save_tiny(tmp_path / "g", "dcgan"))
    odd = LoadedGenerator(Odd(("sketches",)), known.recipe, known.info, torch.device("cpu"))
    with pytest.raises(RequestError, match="dcgan makes images from sketches, and there is no page"):
        make_page(odd, None, "here", tmp_path)


def test_errors_become_sentences_of_the_page() -> None:
    def refused() -> None:
        raise RequestError("seed -1: expected more")

    def unforeseen() -> None:
        raise ZeroDivisionError("division by zero")

    with pytest.raises(gr.Error) as first:
        answering(refused)()
    assert str(first.value).strip("'") == "seed -1: expected more"
    with pytest.raises(gr.Error) as second:
        answering(unforeseen)()
    assert "ZeroDivisionError: division by zero" in str(second.value)
    for value in (None, 1.5, -1):
        with pytest.raises(RequestError, match="seed: expected a whole number from 0 to 2147483647, not"):
            whole(value, "seed")


def test_names_of_rows_stand_in_front_of_them() -> None:
    images = torch.zeros(4, SIZE, SIZE, 1, dtype=torch.uint8)
    plain, named = tiled(images, 2), tiled(images, 2, ["cat", "dog"])
    assert named.height == plain.height
    margin = named.width - plain.width
    assert margin > 20
    assert named.crop((margin, 0, named.width, named.height)).tobytes() == plain.convert("RGB").tobytes()
    top, bottom = (
        named.crop((0, start, margin, start + named.height // 2)).getextrema()[0][0] for start in (0, named.height // 2)
    )
    assert top < 128 > bottom  # there is ink in front of each
