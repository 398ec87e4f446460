"""What a user's texts ask a generator for, and pictures with texts underneath."""

import pytest
import torch

from gan_models.errors import RequestError
from gan_models.sampling.generator import GeneratorInfo
from gan_models.tasks.text import captioned_grid, captions_of, examples_of

INFO = GeneratorInfo(
    recipe_name="stackgan", image_shape=(3, 16, 16), class_names=(), words=("a", "red", "seven", "green"), step=1,
    seed=0, data_fingerprint="f", diversity=1.0, collapsed=False,
)  # fmt: skip


def test_texts_become_the_numbers_of_their_words() -> None:
    examples = examples_of(["A red seven!", "green"], INFO)
    assert examples.captions is not None
    assert examples.captions.tolist() == [[1, 2, 3], [4, 0, 0]]
    assert len(examples) == 2
    assert captions_of(examples.captions, INFO) == ["a red seven", "green"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a rde seven", "unknown word 'rde': did you mean 'red'?"),
        ("a purple seven", "unknown word 'purple'"),
        ("...", "caption '...' has no words; known: a, green, red, seven"),
    ],
)
def test_texts_that_cannot_be_drawn_are_refused(text: str, words: str) -> None:
    with pytest.raises(RequestError) as refused:
        examples_of(["a red seven", text], INFO)
    assert words in str(refused.value)


def test_a_generator_without_words_takes_no_texts() -> None:
    with pytest.raises(RequestError, match="trained without captions"):
        examples_of(["a"], INFO.model_copy(update={"words": ()}))


@pytest.mark.parametrize("channels", [1, 3])
def test_each_picture_stands_above_its_text(channels: int) -> None:
    images = torch.full((3, 16, 16, channels), 90, dtype=torch.uint8)
    one_line = captioned_grid(images, ["a", "a", "a"], 2)
    grid = captioned_grid(images, ["a", "a red seven that is broken into lines", ""], 2)
    width = 6 * 16  # the smallest multiple that is wide enough
    assert one_line.shape[1] == grid.shape[1] == 2 * width + 6
    assert grid.shape[0] > one_line.shape[0]
    assert (grid[:width, :width] == 90).all()
    strip = (grid.shape[0] - 6) // 2 - width
    under = [grid[width : width + strip, left : left + width] for left in (0, width + 6)]
    dark = [int((part < 128).sum()) for part in under]
    assert 0 < dark[0] < dark[1]
    assert (grid[-strip:, :width] == 255).all()  # no text
