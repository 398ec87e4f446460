"""Attributes and partners, from each kind of source to the table that is trained on."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from gan_models.data.preparing.inspection import inspect
from gan_models.data.sources.npz import NpzSource
from gan_models.data.sources.toy_images import factors_of
from gan_models.data.table import ImageTable
from gan_models.errors import RequestError

Prepare = Callable[..., Any]
Folder = Callable[[str, range], Path]
Picture = Callable[..., bytes]

NAMES = ("glasses", "smiling")
ROWS = [[1, 0], [0, 1], [1, 1], [0, 0], [1, 0]]


def written(folder: Path, columns: dict[str, Any], metadata: dict[str, str] | None = None) -> str:
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), folder / "data.parquet")
    return f"parquet:{folder / 'data.parquet'}"


def attributes_of(table: ImageTable) -> list[list[int]]:
    split = table.split("train")
    assert split.attributes is not None
    assert split.attributes.dtype == torch.uint8
    return split.attributes.tolist()


# --- attributes


@pytest.mark.parametrize("form", ["integers", "booleans", "signs", "columns"])
def test_attributes_of_parquet(prepare: Prepare, picture: Picture, tmp_path: Path, form: str) -> None:
    columns: dict[str, Any] = {"image": [picture(seed) for seed in range(5)]}
    if form == "columns":
        columns |= {f"attr.{name}": [row[place] for row in ROWS] for place, name in enumerate(NAMES)}
    else:
        said = {"integers": int, "booleans": bool, "signs": lambda value: 2 * value - 1}[form]
        columns["attributes"] = [[said(value) for value in row] for row in ROWS]
    source = written(tmp_path, columns, {"attribute_names": "glasses, smiling"})
    result, table = prepare(source)
    assert result.images == 5
    assert table.metadata.attribute_names == NAMES
    assert table.metadata.shape.attributes == 2
    assert attributes_of(table) == ROWS
    assert inspect(source).attributes == list(NAMES)


def test_rows_without_all_attributes_are_put_aside(prepare: Prepare, picture: Picture, tmp_path: Path) -> None:
    rows = [*ROWS[:3], None, [1]]
    columns = {"image": [picture(seed) for seed in range(5)], "attributes": rows}
    result, table = prepare(written(tmp_path, columns), max_bad_share=0.5)
    assert (result.images, result.bad) == (3, 2)
    assert table.metadata.attribute_names == ("0", "1")
    assert attributes_of(table) == ROWS[:3]
    assert "no attributes, or not one for each name" in (tmp_path / "dataset/quarantine.csv").read_text()


def test_attributes_that_are_no_numbers_are_refused(prepare: Prepare, picture: Picture, tmp_path: Path) -> None:
    columns = {"image": [picture(seed) for seed in range(2)], "attributes": [["a"], ["b"]]}
    with pytest.raises(RequestError, match=r"column 'attributes' is list<.*>, not lists of booleans"):
        prepare(written(tmp_path, columns))


def test_attributes_of_an_archive(prepare: Prepare, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", images=images, attributes=np.array(ROWS), attribute_names=np.array(NAMES))
    _, table = prepare(f"npz:{tmp_path / 'data.npz'}")
    assert table.metadata.attribute_names == NAMES
    assert attributes_of(table) == ROWS
    np.savez(tmp_path / "data.npz", images=images, attributes=np.array(ROWS)[:4])
    with pytest.raises(RequestError, match="5 images need as many rows"):
        NpzSource(tmp_path / "data.npz")


def test_attributes_of_shapes_are_what_they_show(prepare: Prepare) -> None:
    _, table = prepare("toy:shapes", size=32, max_images=400)
    split = table.split("train")
    assert table.metadata.attribute_names == ("bright", "large", "warm")
    assert split.attributes is not None
    assert split.attributes.float().mean(0).tolist() == pytest.approx([0.5] * 3, abs=0.1)
    lit = split.images.float().amax((1, 2))
    bright, large, warm = split.attributes.bool().unbind(1)
    assert torch.equal(lit[:, 1] > 150, bright)
    assert torch.equal(lit[:, 0] > 150, warm)
    areas = (split.images.amax(3) > 100).float().mean((1, 2))
    assert areas[large].mean() > 2 * areas[~large].mean()
    for path, row in zip(split.paths[:20], split.attributes.tolist(), strict=False):
        assert [*factors_of(int(path.rpartition("/")[2])).attributes.values()] == [bool(value) for value in row]


def test_equal_images_of_other_attributes_both_stay(prepare: Prepare, picture: Picture, tmp_path: Path) -> None:
    columns = {"image": [picture(seed) for seed in (0, 0, 0, 1)], "attributes": [[1, 0], [0, 1], [1, 0], [1, 1]]}
    result, table = prepare(written(tmp_path, columns))
    assert (result.images, result.duplicates) == (3, 2)
    assert attributes_of(table) == [[1, 0], [0, 1], [1, 1]]


def test_attributes_are_part_of_the_fingerprint(prepare: Prepare, picture: Picture, tmp_path: Path) -> None:
    found = set()
    for attributes in (None, [[0]] * 3, [[0], [0], [1]]):
        columns = {"image": [picture(seed) for seed in range(3)]} | (
            {} if attributes is None else {"attributes": attributes}
        )
        found.add(prepare(written(tmp_path, columns))[0].fingerprint)
    assert len(found) == 3


# --- pairs


def assert_paired(table: ImageTable, count: int) -> None:
    """Each partner is the image's negative."""
    assert table.metadata.paired
    split = table.split("train")
    assert split.partners is not None
    assert len(split) == count
    assert torch.equal(split.partners, 255 - split.images)
    chosen = split.rows(torch.tensor([2, 0]))
    assert chosen.partners is not None
    assert torch.equal(chosen.partners, split.partners[[2, 0]])


def negative(encoded: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.eval(Image.open(io.BytesIO(encoded)), lambda value: 255 - value).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("top", ["", "train/"])
def test_pairs_of_a_folder(prepare: Prepare, folder: Folder, top: str) -> None:
    root = folder(f"{top}B", range(6))
    (root / f"{top}A").mkdir()
    for file in sorted((root / f"{top}B").iterdir()):
        (root / f"{top}A" / file.name).write_bytes(negative(file.read_bytes()))
    (root / f"{top}A" / "alone.png").write_bytes((root / f"{top}B" / "0000.png").read_bytes())
    _, table = prepare(f"folder:{root}")
    assert_paired(table, 6)
    assert table.split("train").paths[0] == f"{top}B/0000.png"
    found = inspect(f"folder:{root}")
    assert (found.pairs, found.images, found.classes) == (True, 6, [])
    assert [(each.path, each.reason) for each in found.left_out] == [
        (f"{top}A/alone.png", "no image of its name lies in the other folder")
    ]


def test_folders_a_and_b_of_other_names_are_classes(folder: Folder) -> None:
    folder("A", range(4))
    found = inspect(f"folder:{folder('B', range(4, 8))}")
    assert (found.pairs, found.classes) == (False, ["A", "B"])


def test_pairs_of_parquet_and_of_an_archive(prepare: Prepare, picture: Picture, tmp_path: Path) -> None:
    images = [picture(seed) for seed in range(4)]
    _, table = prepare(written(tmp_path, {"image": images, "partner": list(map(negative, images))}))
    assert_paired(table, 4)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", images=pixels, partners=255 - pixels)
    _, table = prepare(f"npz:{tmp_path / 'data.npz'}")
    assert_paired(table, 5)
    np.savez(tmp_path / "data.npz", images=pixels, partners=pixels[:3])
    with pytest.raises(RequestError, match=r"array 'partners' is uint8 of shape \[3, 8, 8\]"):
        NpzSource(tmp_path / "data.npz")


def test_a_pair_with_a_bad_side_is_put_aside(prepare: Prepare, picture: Picture, tmp_path: Path) -> None:
    images = [picture(seed) for seed in range(5)]
    partners = [negative(image) for image in images]
    images[1], partners[3] = b"nothing", b"nothing"
    result, table = prepare(written(tmp_path, {"image": images, "partner": partners}), max_bad_share=0.5)
    assert_paired(table, 3)
    assert result.bad == 2
    reasons = (tmp_path / "dataset/quarantine.csv").read_text().splitlines()[1:]
    assert [("its partner:" in reason) for reason in reasons] == [False, True]


def test_pairs_are_equal_where_both_sides_are(prepare: Prepare, picture: Picture, tmp_path: Path) -> None:
    images = [picture(seed) for seed in (0, 0, 0, 1)]
    partners = [picture(seed) for seed in (5, 6, 5, 5)]
    result, _ = prepare(written(tmp_path, {"image": images, "partner": partners}))
    assert (result.images, result.duplicates) == (3, 1)


def test_outlined_shapes_come_with_their_outlines(prepare: Prepare) -> None:
    _, table = prepare("toy:outlined-shapes", size=32, max_images=100)
    split = table.split("train")
    assert split.partners is not None
    lines, filled = split.partners.amax(3) > 60, split.images.amax(3) > 100
    assert (lines.float().mean((1, 2)) > 0).all()
    assert lines.float().mean() < filled.float().mean()
    # The line lies along the shape: hardly any of it is further than a pixel away.
    near = torch.nn.functional.max_pool2d(filled[:, None].float(), 3, 1, 1)[:, 0] > 0
    assert float((lines & ~near).float().sum() / lines.float().sum()) < 0.02
