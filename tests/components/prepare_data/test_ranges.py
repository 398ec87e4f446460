"""Which values of files become black and white, and transparency that stays: what is asked for, pixel by pixel."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from components.artifacts import DataSummary
from gan_models.data.preparing.inspection import inspect
from gan_models.data.table import ImageTable
from gan_models.errors import RequestError
from gan_models.recipes.schema import Data

Prepare = Callable[..., tuple[Any, ImageTable]]
NUMBER = 40
rng = np.random.default_rng(5)
TWELVE_BITS = rng.integers(300, 3001, (NUMBER, 8, 8)).astype(np.uint16)
TWELVE_BITS[:, 0, 0], TWELVE_BITS[:, 0, 1] = 300, 3000


def folder_of(place: Path, arrays: np.ndarray, ending: str = "png") -> str:
    place.mkdir()
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(place / f"{number:02d}.{ending}")
    return f"folder:{place}"


def rows_of(prepared: tuple[Any, ImageTable]) -> dict[int, np.ndarray]:
    """Pixels [H, W, C] by the number in the file's name, or the position in an array."""
    _, table = prepared
    splits = [table.split(name) for name in table.metadata.splits]
    return {
        int("".join(filter(str.isdigit, Path(path).stem))): image.numpy()
        for split in splits
        for path, image in zip(split.paths, split.images, strict=True)
    }


def spread(values: np.ndarray, black: float, white: float) -> np.ndarray:
    return np.rint(((values.astype(np.float64) - black) * 255 / (white - black)).clip(0, 255)).astype(np.uint8)


@pytest.mark.parametrize(
    ("asked", "black", "white", "note"),
    [
        ("auto", 0, 4095, "values of more than 8 bits, up to 3000: 4095 becomes white"),
        ("full", 0, 65535, "values of more than 8 bits, up to 3000: 65535 becomes white"),
        ("used", 300, 3000, "data.range=used: of values of more than 8 bits 300 becomes black and 3000 white, values"),
        ([1000, 2000], 1000, 2000, "data.range=[1000, 2000]: 1000 becomes black and 2000 white, values beyond are cut"),
    ],
)
def test_values_of_twelve_bits_are_spread_as_asked(
    asked: str | list[int], black: int, white: int, note: str, prepare: Prepare, tmp_path: Path
) -> None:
    source = folder_of(tmp_path / "scans", TWELVE_BITS)
    prepared = prepare(source, size=8, range=asked)
    assert prepared[1].metadata.channels == 1
    for number, image in rows_of(prepared).items():
        assert np.array_equal(image[..., 0], spread(TWELVE_BITS[number], black, white))
    seen = inspect(source, Data(size=8, range=asked))
    assert any(each.startswith(note) for each in seen.notes)
    summary = DataSummary.read(prepared[1].folder)
    assert [said.startswith(note) for said in summary.ranges] == [True]
    assert (seen.range.found, seen.range.used) == ((300, 3000), (black, white))


def test_a_window_holds_for_bytes_too_and_leaves_transparency_alone(prepare: Prepare, tmp_path: Path) -> None:
    pictures = rng.integers(0, 256, (NUMBER, 8, 8, 4), dtype=np.uint8)
    source = folder_of(tmp_path / "pictures", pictures)
    table = prepare(source, size=8, range=[50, 150], channels="rgba")
    for number, image in rows_of(table).items():
        assert np.array_equal(image[..., :3], spread(pictures[number][..., :3], 50, 150))
        assert np.array_equal(image[..., 3], pictures[number][..., 3])


def test_dark_pictures_are_named_with_the_option_that_spreads_them(prepare: Prepare, tmp_path: Path) -> None:
    dark = rng.integers(3, 21, (NUMBER, 8, 8), dtype=np.uint8)
    dark[:, 0, 0], dark[:, 0, 1] = 3, 20
    source = folder_of(tmp_path / "dark", dark)
    assert any("data.range=used" in problem for problem in inspect(source, Data(size=8)).problems)
    used = inspect(source, Data(size=8, range="used"))
    assert not any("black" in problem for problem in used.problems)
    for number, image in rows_of(prepare(source, size=8, range="used")).items():
        assert np.array_equal(image[..., 0], spread(dark[number], 3, 20))


@pytest.mark.parametrize(("low", "high", "black", "white"), [(0, 1, 0, 1), (-1, 1, -1, 1), (0, 200, 0, 255)])
def test_floats_have_the_least_usual_range_that_holds_all_of_them(
    low: float, high: float, black: float, white: float, prepare: Prepare, tmp_path: Path
) -> None:
    """Of the set, not of each image: one that happens to be dim stays dim."""
    values = rng.uniform(low, high, (NUMBER, 8, 8)).astype(np.float32)
    values[0, 0, :2] = low, high
    values[1] = 0.25
    source = folder_of(tmp_path / "floats", values, "tiff")
    for number, image in rows_of(prepare(source, size=8)).items():
        assert np.array_equal(image[..., 0], spread(values[number], black, white))
    notes = inspect(source, Data(size=8)).notes
    assert f"floats from {low:g} to {high:g}: {black:g} becomes black and {white:g} white" in notes


def test_values_that_nobody_can_read_are_a_sentence_with_the_remedy(prepare: Prepare, tmp_path: Path) -> None:
    """Hounsfield units, say: there is no usual range, and a window is what their readers choose."""
    values = rng.uniform(-1000, 2000, (NUMBER, 8, 8)).astype(np.float32)
    source = folder_of(tmp_path / "scans", values, "tiff")
    problems = inspect(source, Data(size=8)).problems
    assert any("there is no telling" in problem and "data.range" in problem for problem in problems)
    with pytest.raises(RequestError, match="there is no telling which is black and which white"):
        prepare(source, size=8)
    for number, image in rows_of(prepare(source, size=8, range=[-160, 240])).items():
        assert np.array_equal(image[..., 0], spread(values[number], -160, 240))


def test_a_range_of_colours_in_arrays_is_not_taken_for_one_of_their_8_bits(prepare: Prepare, tmp_path: Path) -> None:
    values = rng.integers(0, 4096, (NUMBER, 8, 8, 3)).astype(np.uint16)
    np.savez(tmp_path / "deep.npz", images=values)
    source = f"npz:{tmp_path / 'deep.npz'}"
    for asked in ([300, 3000], "used", "full"):
        with pytest.raises(RequestError, match=r"colours of more than 8 bits in arrays.*leave data.range=auto"):
            prepare(source, size=8, range=asked)
    for number, image in rows_of(prepare(source, size=8)).items():
        assert np.array_equal(image, spread(values[number], 0, 4095))


def test_a_single_image_that_no_range_holds_is_quarantined_alone(prepare: Prepare, tmp_path: Path) -> None:
    values = rng.uniform(0, 1, (NUMBER, 8, 8)).astype(np.float32)
    values[3, 2, 2] = 5000
    source = folder_of(tmp_path / "floats", values, "tiff")
    prepared = prepare(source, size=8, max_bad_share=0.1)
    assert sorted(rows_of(prepared)) == [number for number in range(NUMBER) if number != 3]
    assert '03.tiff,"32-bit values from' in (prepared[1].folder / "quarantine.csv").read_text(encoding="utf-8")
    for number, image in rows_of(prepared).items():
        assert np.array_equal(image[..., 0], spread(values[number], 0, 1))


@pytest.mark.parametrize("asked", ["wide", [3, 3], [1, 2, 3], [0, float("nan")], 7, [True, 2]])
def test_a_range_that_is_none_is_refused(asked: object) -> None:
    with pytest.raises(ValueError, match="range"):
        Data(range=asked)


def test_images_of_one_value_have_no_used_range(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "flat", np.full((3, 8, 8), 7, np.uint8))
    with pytest.raises(RequestError, match=r"data\.range=used: values of 8 bits looked at are all 7"):
        inspect(source, Data(size=8, range="used"))


def test_colours_of_sixteen_bits_are_said_to_be_cut(tmp_path: Path) -> None:
    """Pillow reads the first 8 of them."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes(8 * 6) for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "colours").mkdir()
    for number in range(3):
        (tmp_path / "colours" / f"{number}.png").write_bytes(png)
    problems = inspect(f"folder:{tmp_path / 'colours'}", Data(size=8)).problems
    assert "3 of 3 images looked at have colours of 16 bits, of which the first 8 are read" in problems


# -- transparency


@pytest.mark.parametrize("storage", ["pixels", "encoded"])
def test_four_channels_are_kept_where_asked_and_white_is_said_otherwise(
    storage: str, prepare: Prepare, tmp_path: Path
) -> None:
    pictures = rng.integers(0, 256, (NUMBER, 8, 8, 4), dtype=np.uint8)
    source = folder_of(tmp_path / "icons", pictures)
    kept = prepare(source, size=8, channels="rgba", storage=storage)
    assert kept[1].metadata.image_shape == (4, 8, 8)
    for number, image in rows_of(kept).items():
        assert np.array_equal(image, pictures[number])
    seen = inspect(source, Data(size=8))
    assert any("which becomes white (data.channels=rgba keeps it)" in note for note in seen.notes)
    assert seen.channels == "rgb"
    assert any("stays, in a fourth channel" in note for note in inspect(source, Data(channels="rgba")).notes)


def test_opaque_images_among_transparent_ones_are_opaque(prepare: Prepare, tmp_path: Path) -> None:
    plain = rng.integers(0, 256, (NUMBER, 8, 8, 3), dtype=np.uint8)
    source = folder_of(tmp_path / "plain", plain)
    for image in rows_of(prepare(source, size=8, channels="rgba", storage="encoded")).values():
        assert (image[..., 3] == 255).all()


def test_metrics_see_transparent_images_on_white() -> None:
    from gan_models.data.table import opaque

    images = torch.tensor([10, 20, 30, 0, 10, 20, 30, 255, 100, 100, 100, 102], dtype=torch.uint8).reshape(1, 1, 3, 4)
    assert opaque(images).tolist() == [[[[255, 255, 255], [10, 20, 30], [193, 193, 193]]]]
    assert opaque(images[..., :3]).data_ptr() == images.data_ptr()
