"""A first look at a source."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.prepare_data.inspection import inspect
from gan_models.errors import RequestError
from gan_models.recipes.schema import Data

Folder = Callable[[str, range], Path]
Picture = Callable[..., bytes]


def test_embedded_digits() -> None:
    seen = inspect("digits")
    assert (seen.kind, seen.images, seen.channels) == ("digits", 1797, "grey")
    assert seen.classes == list("0123456789")
    assert seen.splits == []
    assert seen.sizes == {"8x8": seen.sample}
    assert "at most half of data.size=32" in seen.problems[0]
    assert inspect("digits", Data(size=8)).problems == []


def test_folder_with_surprises(folder: Folder, picture: Picture) -> None:
    folder("train/cat", range(3))
    folder("train/dog", range(3, 6))
    root = folder("test/dog", range(6, 8))
    (root / "train/cat/colour.jpg").write_bytes(picture(8, mode="RGB", format="JPEG"))
    (root / "train/cat/bad.png").write_text("not an image")
    (root / "readme.md").write_text("about")
    seen = inspect(f"folder:{root}", Data(size=8))
    assert seen.classes == ["cat", "dog"]
    assert seen.splits == ["train", "test"]
    assert (seen.images, seen.sample, seen.channels, seen.ignored) == (10, 10, "rgb", 1)
    assert seen.modes == {"L": 8, "RGB": 1}
    assert "1 of 10 images looked at cannot be opened: not an image of a known format" in seen.problems
    assert any(problem.startswith("only 10 images") for problem in seen.problems)
    assert any("some in colour" in problem for problem in seen.problems)
    assert any("readme.md" in problem for problem in seen.problems)


def test_oblong_images(tmp_path: Path) -> None:
    from PIL import Image

    for index in range(3):
        Image.new("L", (30, 20)).save(tmp_path / f"{index}.png")
    assert any("not square and lose their edges" in problem for problem in inspect(f"folder:{tmp_path}").problems)
    padded = inspect(f"folder:{tmp_path}", Data(fit="pad"))
    assert any("get black borders" in problem for problem in padded.problems)


def test_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="holds no images"):
        inspect(f"folder:{tmp_path}")
