"""Images in a zip: read as a folder is, and never unpacked to the disk."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gan_models.data.decoding import BadImageError
from gan_models.data.sources import parse_source
from gan_models.data.sources.paths import FolderSource, ZipSource
from gan_models.errors import RequestError

Folder = Callable[[str, range], Path]


def packed(root: Path, path: Path, **more: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*.png")):
            archive.write(file, file.relative_to(root).as_posix())
        for name, content in more.items():
            archive.writestr(name, content)
    return path


def test_it_is_read_as_the_folder_is(folder: Folder, tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "test/cat"):
        root = folder(name, range(3))
    path = packed(root, tmp_path / "pets.zip", **{"train/__MACOSX/cat.png": b"waste", "notes.txt": b""})
    ours, theirs = parse_source(f"zip:{path}").open(), FolderSource(root)
    assert (ours.total, ours.class_names, ours.split_counts) == (9, theirs.class_names, theirs.split_counts)
    for mine, other in zip(ours.batches(None, 4), theirs.batches(None, 4), strict=True):
        assert (mine.paths, mine.labels, mine.splits) == (other.paths, other.labels, other.splits)
        assert list(mine.items) == [Path(str(item)).read_bytes() for item in other.items]
    assert parse_source(f"zip:{path}").short == "pets"


def test_a_zip_of_stylegan_s_tools_brings_its_labels(folder: Folder, tmp_path: Path) -> None:
    root = folder("00000", range(4))
    labels = {"labels": [[f"00000/{number:04d}.png", number % 2] for number in range(4)]}
    source = ZipSource(packed(root, tmp_path / "a.zip", **{"dataset.json": json.dumps(labels).encode()}))
    (batch,) = source.batches(None, 10)
    assert (source.class_names, batch.labels) == (("0", "1"), [0, 1, 0, 1])


def test_what_is_no_zip_or_holds_no_images_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(RequestError, match=r"cannot read .*text.zip as a zip"):
        parse_source(f"zip:{tmp_path / 'text.zip'}").open()
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(RequestError, match=r"zip .*empty.zip holds no images \(1 other files\)"):
        parse_source(f"zip:{tmp_path / 'empty.zip'}").open()
    with pytest.raises(RequestError, match="is not a file"):
        parse_source(f"zip:{tmp_path}").open()


def test_a_damaged_or_huge_member_is_a_bad_image_and_not_the_end(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(folder("x", range(3)), tmp_path / "a.zip", **{"big.png": b"\0" * 5000})
    content = bytearray(path.read_bytes())
    start = content.index(b"\x89PNG") + 20
    content[start : start + 8] = b"garbage!"
    path.write_bytes(content)
    monkeypatch.setattr("gan_models.data.sources.paths.MEMBER_BYTES", 4000)
    (batch,) = ZipSource(path).batches(None, 10)
    bad = [str(item) for item in batch.items if isinstance(item, BadImageError)]
    assert len(bad) == 2
    assert any("damaged in the zip: Bad CRC-32" in reason for reason in bad)
    assert any("too large" in reason for reason in bad)
