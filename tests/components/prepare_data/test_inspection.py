"""A first look at a source."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_models.data.preparing.inspection import inspect
from gan_models.errors import RequestError
from gan_models.recipes.schema import Data

REPO = Path(__file__).parents[3]

Folder = Callable[[str, range], Path]
Prepare = Callable[..., Any]
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


def deep(folder: Path, highest: int, count: int = 4) -> str:
    folder.mkdir()
    for number in range(count):
        ramp = np.linspace(0, highest - number * highest // 10, 64).reshape(8, 8).astype(np.uint16)
        Image.fromarray(ramp).save(folder / f"{number}.png")
    return f"folder:{folder}"


@pytest.mark.parametrize(("highest", "white"), [(200, 255), (1000, 1023), (4080, 4095), (16000, 16383), (40000, 65535)])
def test_values_of_few_bits_in_files_of_sixteen_come_out_as_bright_as_they_are(
    prepare: Prepare, tmp_path: Path, highest: int, white: int, capsys: pytest.CaptureFixture[str]
) -> None:
    source = deep(tmp_path / "scans", highest)
    seen = inspect(source, Data(size=8))
    assert (seen.range.found, seen.range.used) == ((0, highest), (0, white))
    assert f"values of more than 8 bits, up to {highest}: {white} becomes white" in seen.notes
    result, table = prepare(source)
    assert int(table.split("train").images.max()) == round(255 * highest / white)
    assert f"{white} becomes white" in capsys.readouterr().err
    assert result.images == 4


def test_archives_of_twelve_bits_too(tmp_path: Path) -> None:
    images = np.arange(4 * 64, dtype=np.uint16).reshape(4, 8, 8) * 16
    np.savez(tmp_path / "a.npz", images=images, arr_1=np.arange(4))
    seen = inspect(f"npz:{tmp_path}/a.npz", Data(size=8))
    assert "values of more than 8 bits, up to 4080: 4095 becomes white" in seen.notes
    assert "the arrays arr_1 are left out: data.image, data.label and data.caption choose arrays" in seen.problems


def test_what_was_seen_of_all_and_what_of_a_sample_is_said(folder: Folder) -> None:
    folder("train/a", range(5))
    folder("masks", range(20, 24))
    seen = inspect(f"folder:{folder('test/a', range(5, 8))}", Data(size=8))
    assert seen.split_counts == {"train": 5, "test": 3}
    assert (seen.attributes, seen.ignored, len(seen.left_out)) == ([], 4, 4)
    assert seen.left_out[0].path == "masks/0020.png"
    assert seen.notes[-1].startswith(
        "images, classes, domains, attributes, captions, splits and what is left out are of all 8;"
    )


def test_transparent_dark_and_large_images_are_told_of(tmp_path: Path) -> None:
    Image.new("RGBA", (300, 200), (20, 30, 10, 100)).save(tmp_path / "a.png")
    Image.new("RGBA", (300, 200), (20, 10, 10, 100)).save(tmp_path / "b.png")
    seen = inspect(f"folder:{tmp_path}", Data(size=32))
    assert "2 of 2 images looked at have transparency, which becomes white (data.channels=rgba keeps it)" in seen.notes
    assert "large images (half of them 300x200 or more) become 32x32" in seen.notes
    Image.new("L", (32, 32), 7).save(tmp_path / "a.png")
    Image.new("L", (32, 32), 5).save(tmp_path / "b.png")
    assert any("end at 7 of 255: they are nearly black" in each for each in inspect(f"folder:{tmp_path}").problems)
