"""`gan-pipeline sample --caption`: pictures of what a user writes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_models.data.shape import DataShape
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, save_generator


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained generators: `text`, whose words are a, red, green and seven, and `latent`."""
    root = tmp_path_factory.mktemp("generators")
    words = ("a", "red", "green", "seven")
    for name, recipe_name in (("text", "stackgan"), ("latent", "dcgan")):
        torch.manual_seed(0)
        recipe = load_recipe(recipe_name, ["networks.generator.width=4"])
        shape = DataShape((3, 16, 16), words=4)
        info = GeneratorInfo(
            recipe_name=recipe_name, image_shape=shape.image, class_names=(), words=words, step=6, seed=0,
            data_fingerprint="f", diversity=1.0, collapsed=False,
        )  # fmt: skip
        save_generator(root / name, build_generator(recipe, shape).state_dict(), recipe, info)
    return {name: root / name for name in ("text", "latent")}


def test_captions_are_drawn_in_turn(ask: Callable, folders: dict[str, Path], tmp_path: Path) -> None:
    captions = ["--caption", "a red seven", "--caption", "A GREEN seven"]
    answer = ask("sample", folders["text"], *captions, "--num", 6, "--out", "grid.png")
    assert answer.code == 0, answer.err
    assert Image.open(tmp_path / "grid.png").width == 2 * 96 + 6
    alone = ask("sample", folders["text"], *captions[:2], "--num", 1, "--out", "one.png")
    assert alone.code == 0, alone.err
    first = np.asarray(Image.open(tmp_path / "one.png"))
    assert first.shape[1] == 96
    assert (first[96:] < 128).any()  # its text underneath


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{text}", "--caption", "a rde seven"], "unknown word 'rde': did you mean 'red'?"),
        (["{text}"], "add --caption TEXT"),
        (["{text}", "--caption", "a", "--labels", "3"], "asked in words; use --caption"),
        (["{latent}", "--caption", "a"], "dcgan does not draw from texts"),
    ],
)
def test_wrong_requests_draw_nothing(
    ask: Callable, folders: dict[str, Path], tmp_path: Path, arguments: list[str], words: str
) -> None:
    answer = ask("sample", *(argument.format(**folders) for argument in arguments))
    assert answer.code == 2
    assert words in answer.sentence
    assert not list(tmp_path.iterdir())
