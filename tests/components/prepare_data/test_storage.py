"""Images that are kept compressed: the same pixels, half of the disk."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from gan_models.data import table, table_writer
from gan_models.data.decoding import encode
from gan_models.data.table import ImageTable
from gan_models.data.table_file import SHARDS_FOLDER
from gan_models.errors import RequestError

Prepare = Callable[..., tuple[Any, ImageTable]]
Folder = Callable[[str, range], Path]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    root = tmp_path / "photographs"
    root.mkdir()
    for number, image in enumerate(load_sample_images().images):
        for top in range(0, 160, 16):
            Image.fromarray(np.ascontiguousarray(image[top : top + 64, top : top + 64])).save(
                root / f"{number}-{top}.png"
            )
    return root


@pytest.mark.parametrize("channels", ["rgb", "grey"])
@pytest.mark.parametrize("cores", [1, 3])
def test_encoded_pixels_are_the_same(
    channels: str, cores: int, prepare: Prepare, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_writer, "SHARD_ROWS", 8)
    monkeypatch.setattr(table, "available_cores", lambda: cores)
    asked = {"size": 64, "channels": channels, "test": 0.3, "validation": 0.0}
    result, plain = prepare(f"folder:{photographs}", **asked)
    expected = {name: plain.split(name) for name in ("train", "test")}
    size = sum(file.stat().st_size for file in (tmp_path / "dataset/shards").iterdir())
    again, encoded = prepare(f"folder:{photographs}", storage="encoded", **asked)
    assert again.fingerprint == result.fingerprint
    assert sum(file.stat().st_size for file in (tmp_path / "dataset/shards").iterdir()) < 0.75 * size
    for name, split in expected.items():
        assert torch.equal(encoded.split(name).images, split.images)
        mapped = encoded.mapped(name)
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
        assert torch.equal(mapped.rows(order).images, split.images[order])
        assert torch.equal(mapped.images[1:3], split.images[1:3])
        assert list(mapped.paths) == list(split.paths)


def test_duplicates_go_from_encoded_tables_too(prepare: Prepare, photographs: Path) -> None:
    _, clean = prepare(f"folder:{photographs}", size=64, storage="encoded")
    expected = clean.split("train").images
    shutil.copyfile(photographs / "0-0.png", photographs / "1-9.png")
    result, table = prepare(f"folder:{photographs}", size=64, storage="encoded")
    assert result.duplicates == 1
    assert torch.equal(table.split("train").images, expected)


def test_pairs_are_encoded_on_both_sides(prepare: Prepare, folder: Folder, photographs: Path, tmp_path: Path) -> None:
    for side, change in (("A", 255), ("B", 0)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for file in photographs.iterdir():
            Image.fromarray(np.asarray(Image.open(file)) ^ np.uint8(change)).save(tmp_path / "pairs" / side / file.name)
    _, plain = prepare(f"folder:{tmp_path}/pairs", size=64)
    expected = plain.split("train")
    _, encoded = prepare(f"folder:{tmp_path}/pairs", size=64, storage="encoded")
    split = encoded.split("train")
    assert split.partners is not None
    assert torch.equal(split.images, expected.images)
    assert torch.equal(split.partners, expected.partners)


@pytest.mark.parametrize("damage", [b"\0" * 60, encode(Image.new("RGB", (64, 64)))])
def test_damage_is_noticed(damage: bytes, prepare: Prepare, photographs: Path, tmp_path: Path) -> None:
    _, table = prepare(f"folder:{photographs}", size=64, storage="encoded", test=0.0, validation=0.0)
    file = next((tmp_path / "dataset" / SHARDS_FOLDER).iterdir())
    content = file.read_bytes()
    start = content.index(b"RIFF")
    file.write_bytes(content[:start] + damage + content[start + len(damage) :])
    with pytest.raises(RequestError, match=r"00000\.arrow is damaged"):
        table.split("train")


def test_hashes_of_encoded_images_have_to_be_given(tmp_path: Path) -> None:
    writer = table_writer.TableWriter(tmp_path, 8, 8, 3, storage="encoded")
    images = np.empty(1, object)
    images[0] = encode(Image.new("RGB", (8, 8)))
    with pytest.raises(ValueError, match="are those of their pixels: give them"):
        writer.append(images, [None], ["train"], ["a"])
