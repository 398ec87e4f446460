"""What a user's texts ask a generator for, and pictures with texts underneath."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator
from gan_models.tasks.base import Asked
from gan_models.tasks.text import captioned_grid, captions_of, examples_of, read_embeddings

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


# --- embeddings in place of texts


@pytest.fixture
def reads_embeddings() -> LoadedGenerator:
    torch.manual_seed(0)
    recipe = load_recipe(
        "stackgan", ["data.size=16", "networks.generator={family: stackgan, width: 4, text_encoder: given}"]
    )
    info = INFO.model_copy(update={"words": (), "embedding": 3})
    return LoadedGenerator(build_generator(recipe, info.shape).eval(), recipe, info, torch.device("cpu"))


def test_embeddings_come_from_a_file_and_not_from_a_text(reads_embeddings: LoadedGenerator, tmp_path: Path) -> None:
    task, file = reads_embeddings.task, tmp_path / "said.npy"
    np.save(file, np.array([[1.0, 0, 0], [0, 1, 0]]))
    picture = task.ask(reads_embeddings, Asked(4, embeddings=file))
    assert picture.pixels is not None
    examples = read_embeddings(file, reads_embeddings.info)
    inputs = reads_embeddings.sample(3, examples=examples).inputs
    assert inputs["embeddings"].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    with pytest.raises(RequestError, match=r"--caption: stackgan was trained on embeddings .* --embedding FILE.npy"):
        task.ask(reads_embeddings, Asked(4, captions=("a red seven",)))
    with pytest.raises(RequestError, match=r"folder carries none: add --embedding FILE"):
        task.ask(reads_embeddings, Asked(4))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(4), "embeddings of 4 numbers; stackgan draws from embeddings of 3 numbers"),
        (np.full(3, np.nan), "values that are not finite"),
        (np.array(["a"]), r"expected numbers, \[3\] or \[N, 3\]"),
        (np.zeros(0), r"expected numbers"),
    ],
)
def test_files_of_other_things_are_refused(
    values: np.ndarray, words: str, reads_embeddings: LoadedGenerator, tmp_path: Path
) -> None:
    np.save(tmp_path / "said.npy", values)
    with pytest.raises(RequestError, match=words):
        reads_embeddings.task.ask(reads_embeddings, Asked(1, embeddings=tmp_path / "said.npy"))
    with pytest.raises(RequestError, match="no NumPy array"):
        read_embeddings(tmp_path / "absent.npy", reads_embeddings.info)


def test_a_row_of_a_request_is_a_list_of_numbers(reads_embeddings: LoadedGenerator) -> None:
    task = reads_embeddings.task
    assert [column.name for column in task.columns(reads_embeddings)] == ["seed", "embedding", "truncation"]
    first, second = (task.answer_row(reads_embeddings, row).image for row in task.example_rows(reads_embeddings))
    assert first.shape == second.shape == (16, 16, 3)
    other = task.answer_row(reads_embeddings, {"seed": 0, "embedding": "[9, 9, -9]"}).image
    assert not torch.equal(first, other)
    for text in ("a red seven", "[1, 2]", "{}"):
        with pytest.raises(RequestError, match="embedding"):
            task.answer_row(reads_embeddings, {"seed": 0, "embedding": text})
