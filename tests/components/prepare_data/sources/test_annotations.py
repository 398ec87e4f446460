"""What files beside images say of them: tables of public hubs, CelebA's lists, captions in texts; wherever they lie."""

import csv
import io
import json
import os
import secrets
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gan_models.data.decoding import open_image
from gan_models.data.sources import parse_source
from gan_models.data.sources.base import Batch, Fields, Source
from gan_models.errors import RequestError
from tests.object_store import Bucket, object_store

Folder = Callable[[str, range], Path]
Open = Callable[..., Source]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with object_store() as bucket:
        yield bucket


@pytest.fixture(params=["folder", "zip", "tar", "s3"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens what lies in tmp_path/"images": as it lies, packed as people pack a folder, or at an address."""

    def call(**fields: Any) -> Source:
        root = tmp_path / "images"
        if request.param == "folder":
            return parse_source(f"folder:{root}", Fields(**fields)).open()
        if request.param == "s3":
            address = request.getfixturevalue("bucket").put_folder(root, secrets.token_hex(8))
            return parse_source(f"folder:{address}", Fields(**fields)).open()
        if request.param == "tar":
            with tarfile.open(tmp_path / "packed.tar", "w") as packed:
                for file in sorted(root.rglob("*")):
                    packed.add(file, str(file.relative_to(root)), recursive=False)
            return parse_source(f"tar:{tmp_path}/packed.tar", Fields(**fields)).open()
        with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
            for file in sorted(root.rglob("*")):
                archive.write(file, f"images/{file.relative_to(root)}")
        return parse_source(f"zip:{tmp_path}/packed.zip", Fields(**fields)).open()

    return call


def rows(source: Source) -> dict[str, dict[str, Any]]:
    """What each image comes with, by its path."""
    found = {}
    for batch in filled(source, 3):
        for position, path in enumerate(batch.paths):
            columns = {"label": batch.labels, "caption": batch.captions, "domain": batch.domains}
            columns |= {"split": batch.splits, "attributes": batch.attributes}
            found[path] = {name: values[position] for name, values in columns.items() if values}
    return found


def filled(source: Source, items: int = 10) -> Iterator[Batch]:
    for batch in source.batches(None, items):
        if batch.fill is not None:
            batch.fill(batch)
        yield batch


def column(source: Source, name: str) -> list[Any]:
    return [row.get(name) for row in rows(source).values()]


def names_of(source: Source) -> list[str | None]:
    return [None if label is None else source.class_names[label] for label in column(source, "label")]


def write_csv(path: Path, *lines: list[Any], delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(lines)


def test_metadata_of_the_hub_s_convention(folder: Folder, opened: Open) -> None:
    root = folder("", range(4))
    write_csv(
        root / "metadata.csv",
        ["file_name", "label", "text", "split"],
        *(
            [f"{row:04}.png", ["dog", "cat"][row % 2], f'a "{row}",\nand more', ["train", "test"][row // 3]]
            for row in range(4)
        ),
    )
    source = opened()
    assert source.class_names == ("cat", "dog")
    assert names_of(source) == ["dog", "cat", "dog", "cat"]
    assert column(source, "caption") == [f'a "{row}",\nand more' for row in range(4)]
    assert column(source, "split") == ["train"] * 3 + ["test"]
    assert (source.given_splits, source.split_counts) == ({"train", "test"}, {"train": 3, "test": 1})
    assert "labels are those of column 'label' of metadata.csv" in source.notes
    assert source.ignored == []


@pytest.mark.parametrize("form", ["tsv", "jsonl", "parquet"])
def test_the_same_in_other_formats(form: str, folder: Folder, opened: Open) -> None:
    root = folder("", range(12))
    names, labels = [f"{row:04}.png" for row in range(12)], [row % 3 for row in range(12)]
    if form == "tsv":
        write_csv(root / "metadata.tsv", ["file_name", "label"], *zip(names, labels, strict=True), delimiter="\t")
    elif form == "jsonl":
        lines = [
            json.dumps({"file_name": name, "label": label, "box": [1, 2]})
            for name, label in zip(names, labels, strict=True)
        ]
        (root / "metadata.jsonl").write_text("\n".join(lines))
    else:
        pq.write_table(pa.table({"file_name": names, "label": labels}), root / "metadata.parquet")
    source = opened()
    assert source.class_names == ("0", "1", "2")
    assert column(source, "label") == labels
    assert any("box" in doubt for doubt in source.doubts) == (form == "jsonl")


def test_a_table_in_each_folder_speaks_of_what_lies_there(folder: Folder, opened: Open) -> None:
    """Names are relative to the table, and equal ones elsewhere are other images."""
    folder("train", range(3))
    root = folder("test", range(3))
    for split, label in (("train", "a"), ("test", "b")):
        write_csv(root / split / "metadata.csv", ["file_name", "label"], *([f"{n:04}.png", label] for n in range(3)))
    source = opened()
    assert source.given_splits == {"train", "test"}
    assert {path: source.class_names[row["label"]] for path, row in rows(source).items()} == {
        f"{split}/{n:04}.png": label for split, label in (("train", "a"), ("test", "b")) for n in range(3)
    }


def test_a_table_called_as_a_folder_speaks_of_what_lies_in_it(folder: Folder, opened: Open) -> None:
    """As competitions have it: train.csv with ids, train/ID.png; the ids of test/ are the same numbers."""
    folder("train", range(4))
    root = folder("test", range(4))
    write_csv(root / "train.csv", ["id", "label"], *([f"{n:04}", "ab"[n % 2]] for n in range(4)))
    source = opened()
    assert source.split_counts == {"train": 4, "test": 4}
    assert names_of(source) == [None] * 4 + ["a", "b"] * 2


def test_what_lies_beside_images_and_is_not_read_is_told_of(folder: Folder, opened: Open) -> None:
    root = folder("", range(2))
    (root / "0001.json").write_text('{"width": 8}')
    (doubt,) = opened().doubts
    assert "1 JSON files are called as images are" in doubt or "'width' in .json are left out" in doubt


def test_labels_of_a_table_stand_in_place_of_folders_and_that_is_said(folder: Folder, opened: Open) -> None:
    folder("x", range(2))
    root = folder("y", range(2, 4))
    write_csv(root / "metadata.csv", ["file_name", "label"], ["x/0000.png", "one"], ["y/0003.png", "two"])
    source = opened()
    assert names_of(source) == ["one", None, None, "two"]
    assert any("folders x, y are no classes" in note for note in source.notes)
    assert any("2 of 4 images have none" in note for note in source.notes)
    assert names_of(opened(label="none")) == [None] * 4


def test_numbers_are_classes_in_their_order_and_minus_one_is_none(folder: Folder, opened: Open) -> None:
    root = folder("", range(12))
    write_csv(root / "metadata.csv", ["file_name", "label"], *([f"{n:04}.png", [-1, 2, 10][n % 3]] for n in range(12)))
    source = opened()
    assert source.class_names == ("2", "10")
    assert column(source, "label") == [None, 0, 1] * 4


def celeba(count: int, names: list[str], *, stray: int = 0) -> tuple[str, np.ndarray]:
    """A list as CelebA's, and its values bool [count, len(names)]."""
    values = np.random.default_rng(0).integers(0, 2, (count, len(names))).astype(bool)
    lines = [f"{n:04}.png " + " ".join(f"{v:2d}" for v in np.where(row, 1, -1)) for n, row in enumerate(values)]
    lines += [f"9{n:03}.png " + " ".join(["-1"] * len(names)) for n in range(stray)]
    return "\r\n".join([str(len(lines)), " ".join(names) + " ", *lines]), values


def test_celeba_s_own_lists(folder: Folder, opened: Open) -> None:
    """Attributes, splits and identities, beside the folder that holds the images; each is what its file says."""
    names = ["5_o_Clock_Shadow", "Male", "Young"]
    root = folder("img_align_celeba", range(10))
    text, values = celeba(10, names, stray=3)
    (root / "list_attr_celeba.txt").write_text(text)
    (root / "list_eval_partition.txt").write_text("".join(f"{n:04}.png {n // 4}\n" for n in range(10)))
    (root / "identity_CelebA.txt").write_text("".join(f"{n:04}.png {2880 + n % 3}\n" for n in range(10)))
    source = opened()
    assert source.attribute_names == tuple(names)
    assert column(source, "attributes") == values.astype(int).tolist()
    assert column(source, "split") == ["train"] * 4 + ["validation"] * 4 + ["test"] * 2
    assert source.class_names == ()
    assert "3 of 13 rows of list_attr_celeba.txt name no image here" in source.doubts
    assert any("identity_CelebA.txt: the columns identity are left out" in doubt for doubt in source.doubts)
    chosen = opened(attributes=("Young", "Male"), label="identity")
    assert chosen.attribute_names == ("Young", "Male")
    assert column(chosen, "attributes") == values[:, [2, 1]].astype(int).tolist()
    assert names_of(chosen) == [str(2880 + n % 3) for n in range(10)]
    assert opened(attributes="none").attribute_names == ()


def test_attributes_that_not_every_image_has_are_read_where_they_are_asked_for(folder: Folder, opened: Open) -> None:
    root = folder("", range(4))
    write_csv(root / "list_attr.csv", ["image_id", "a", "b"], *([f"{n:04}", n % 2, 1 - n % 2] for n in range(3)))
    source = opened()
    assert source.attribute_names == ()
    assert any("nothing of 1 of 4 images" in doubt for doubt in source.doubts)
    assert column(opened(attributes=("b",)), "attributes") == [[1], [0], [1], None]


def test_texts_beside_images_are_captions(folder: Folder, opened: Open) -> None:
    root = folder("a", range(4))
    for number in range(3):
        (root / f"a/{number:04}.txt").write_text(f"\n  é {number}\nsecond line", encoding="utf-8-sig")
    (root / "readme.txt").write_text("about")
    source = opened()
    assert source.has_captions
    assert column(source, "caption") == ["é 0", "é 1", "é 2", None]
    assert "captions are the text files beside the images (3 of 4 images have one)" in source.notes
    assert any("several lines" in doubt for doubt in source.doubts)
    assert [path for path, _ in source.ignored] == ["readme.txt"]
    assert not opened(caption="none").has_captions


def test_a_damaged_caption_is_a_bad_image(folder: Folder, opened: Open) -> None:
    root = folder("", range(3))
    (root / "0000.txt").write_text("a cat")
    (root / "0001.txt").write_bytes(b"\xff\xfe\x00cat")
    (batch,) = filled(opened())
    assert batch.captions == ["a cat", None, None]
    assert [isinstance(item, Exception) for item in batch.items] == [False, True, False]


def test_boxes_of_detectors_are_no_captions(folder: Folder, opened: Open) -> None:
    root = folder("", range(3))
    for number in range(3):
        (root / f"{number:04}.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    source = opened()
    assert not source.has_captions
    assert any("hold numbers or nothing" in doubt for doubt in source.doubts)


def test_columns_are_chosen_by_name(folder: Folder, opened: Open) -> None:
    root = folder("photos", range(6))
    write_csv(
        root / "dogs.csv",
        ["key", "breed", "note", "camera"],
        *([f"{n:04}", ["pug", "collie"][n % 2], f"dog {n}", ["x", "y", "y"][n % 3]] for n in range(6)),
    )
    assert any("the columns breed, note, camera are left out" in doubt for doubt in opened().doubts)
    source = opened(image="key", label="breed", caption="note", domain="camera")
    assert source.class_names == ("collie", "pug")
    assert names_of(source) == ["pug", "collie"] * 3
    assert column(source, "caption") == [f"dog {n}" for n in range(6)]
    assert source.domain_names == ("x", "y")
    assert column(source, "domain") == ["x", "y", "y"] * 2
    with pytest.raises(RequestError, match=r"data.label='bred': .*did you mean 'breed'"):
        opened(label="bred")
    with pytest.raises(RequestError, match=r"data.image='breed': no image in .* is called as that column"):
        opened(image="breed")


def test_a_column_called_label_that_holds_no_classes_is_not_read(folder: Folder, opened: Open) -> None:
    root = folder("", range(30))
    write_csv(root / "metadata.csv", ["file_name", "label"], *([f"{n:04}.png", f"id{n}"] for n in range(30)))
    assert opened().class_names == ()
    assert any("30 values for 30 images" in doubt for doubt in opened().doubts)
    assert len(opened(label="label").class_names) == 30
    write_csv(root / "metadata.csv", ["file_name", "label"], *([f"{n:04}.png", n / 7] for n in range(30)))
    assert any("numbers that are no classes" in doubt for doubt in opened().doubts)


def test_a_single_column_of_zero_and_one_is_told_of(folder: Folder, opened: Open) -> None:
    root = folder("", range(4))
    write_csv(root / "train.csv", ["id", "target"], *([f"{n:04}", n % 2] for n in range(4)))
    (doubt,) = opened().doubts
    assert "data.label=target makes classes of it, data.attributes=[target] an attribute" in doubt
    assert opened(label="target").class_names == ("0", "1")
    assert opened(attributes=("target",)).attribute_names == ("target",)


def test_what_is_no_table_is_a_sentence_for_metadata_and_a_doubt_else(folder: Folder, opened: Open) -> None:
    root = folder("", range(3))
    for content in (b"file_name,label\n0000.png,a,b\n", b"file_name,label\n0000.png,\xff\n", b"a,a\n1,2\n"):
        (root / "notes.csv").write_bytes(content)
        assert any("notes.csv cannot be read as a table" in doubt for doubt in opened().doubts)
        (root / "metadata.csv").write_bytes(content)
        with pytest.raises(RequestError, match=r"metadata.csv cannot be read as a table of images \(.*correct it"):
            opened()
        (root / "metadata.csv").unlink()
    (root / "metadata.jsonl").write_text('{"file_name": "0000.png"}\n[1]')
    with pytest.raises(RequestError, match="line 2 is no object"):
        opened()
    (root / "metadata.jsonl").write_text("[" * 100_000)
    with pytest.raises(RequestError, match=r"metadata.jsonl cannot be read"):
        opened()


def test_rows_of_nobody_and_rows_twice_are_counted(folder: Folder, opened: Open) -> None:
    root = folder("", range(3))
    write_csv(
        root / "metadata.csv",
        ["file_name", "text"],
        *(["0000.png", "first"], ["0000.png", "second"], ["0001.png", "one"], ["gone.png", "x"]),
    )
    source = opened()
    assert column(source, "caption") == ["first", "one", None]
    assert "1 of 4 rows of metadata.csv name no image here" in source.doubts
    assert any(doubt.startswith("1 rows of metadata.csv name an image once more") for doubt in source.doubts)


def test_an_unknown_split_is_refused(folder: Folder, opened: Open) -> None:
    root = folder("", range(2))
    write_csv(root / "metadata.csv", ["file_name", "split"], ["0000.png", "train"], ["0001.png", "fold3"])
    with pytest.raises(RequestError, match=r"column 'split' of metadata.csv holds 'fold3'; known are train"):
        opened()


def test_a_pipe_called_as_a_table_is_never_waited_for(folder: Folder) -> None:
    root = folder("", range(2))
    os.mkfifo(root.parent / "pipe")
    for name in ("list.csv", "0000.txt", "list_attr.txt"):
        (root / name).symlink_to(root.parent / "pipe")
    source = parse_source(f"folder:{root}").open()
    assert source.total == 2
    assert any("list.csv cannot be read as a table" in doubt for doubt in source.doubts)


def test_two_domains_with_splits_by_the_names_of_folders(folder: Folder, opened: Open) -> None:
    for name in ("trainA", "trainB", "testA", "testB"):
        folder(name, range(2))
    folder("models", range(9, 10))
    source = opened()
    assert (source.class_names, source.domain_names, source.given_splits) == ((), ("A", "B"), {"train", "test"})
    assert [(row["domain"], row["split"]) for row in rows(source).values()] == [
        *([("A", "test")] * 2),
        *([("B", "test")] * 2),
        *([("A", "train")] * 2),
        *([("B", "train")] * 2),
    ]
    assert any("testA, testB, trainA and 1 more are two domains, A and B" in note for note in source.notes)
    assert any("data.pairs=by-name" in doubt for doubt in source.doubts)
    paired = opened(pairs="by-name")
    assert (paired.paired, paired.total, paired.domain_names) == (True, 4, ())


def side(item: Any) -> np.ndarray:
    return np.asarray(open_image(item))


@pytest.mark.parametrize("layout", ["train/{}/{}", "{}/train/{}"])
def test_pairs_by_name_with_splits(layout: str, folder: Folder, opened: Open) -> None:
    """A/train and B/train is how pix2pix's own tools expect pairs."""
    for letter, start in (("A", 0), ("B", 10)):
        root = folder(layout.format(letter, "").rstrip("/"), range(3))
        folder(layout.format(letter, "").rstrip("/").replace("train", "test"), range(3, 4))
        for number in range(4):
            split = "train" if number < 3 else "test"
            place = root / layout.replace("train", split).format(letter, f"{number:04}.png")
            Image.fromarray(np.full((8, 8), start + number, np.uint8)).save(place)
    source = opened()
    assert (source.paired, source.total, source.given_splits) == (True, 4, {"train", "test"})
    for direction, ours in (("AtoB", 10), ("BtoA", 0)):
        (batch,) = filled(opened(direction=direction))
        for item, partner in zip(batch.items, batch.partners, strict=True):
            made, given = int(side(item)[0, 0]), int(side(partner)[0, 0])
            assert made // 10 == ours // 10
            assert abs(made - given) == 10
    unpaired = opened(pairs="none", domain="classes")
    assert (unpaired.paired, unpaired.total, unpaired.domain_names) == (False, 8, ("A", "B"))


def test_the_halves_of_one_picture_are_a_pair(folder: Folder, opened: Open) -> None:
    root = folder("x", range(0))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 9, 3), np.uint8)
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(root / f"x/{number}.png")
    source = opened(pairs="side-by-side")
    (batch,) = filled(source)
    assert source.paired
    for each, item, partner in zip(pixels, batch.items, batch.partners, strict=True):
        np.testing.assert_array_equal(side(item), each[:, 5:])
        np.testing.assert_array_equal(side(partner), each[:, :4])
    assert len([*source.sample(3)]) == 6


def test_classes_serve_as_domains_where_there_are_none(folder: Folder, opened: Open) -> None:
    folder("cat", range(2))
    folder("dog", range(2, 4))
    source = opened(domain="classes")
    assert (source.class_names, source.domain_names) == ((), ("cat", "dog"))
    assert column(source, "domain") == ["cat", "cat", "dog", "dog"]
    assert column(source, "label") == [None] * 4
    assert "its classes serve as domains: cat, dog" in source.notes


def test_what_is_carried_is_known_before_anything_is_imported(folder: Folder) -> None:
    folder("cat", range(2))
    text = f"folder:{folder('dog', range(2, 4))}"
    assert parse_source(text).carried() == {"labels"}
    assert parse_source(text, Fields(domain="classes")).carried() == {"domains"}
    assert parse_source(text, Fields(label="none")).carried() == set()
    assert parse_source(text, Fields(pairs="side-by-side")).carried() == {"labels", "partners"}
    with pytest.raises(RequestError, match=r"data.label='fine' says what is read of sources that have columns .*toy"):
        parse_source("toy:ring", Fields(label="fine"))
    assert parse_source("toy:ring", Fields(label="none")).carried() == set()


def test_many_images_and_a_long_list_take_no_time(tmp_path: Path) -> None:
    """Names are met in Arrow, not one by one: 100,000 of them in a table of 10 columns."""
    from gan_models.data.sources import annotations

    images = [f"img/{number:06}.jpg" for number in range(100_000)]
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["image_id", *map(str, range(10))])
    lines.writerows([f"{number:06}.jpg", *([1, -1] * 5)] for number in range(100_000))
    content = text.getvalue().encode()
    found = annotations.read(["list_attr.csv"], images, lambda file: content, Fields(), "here")
    assert found.attributes is not None
    assert found.attributes.shape == (100_000, 10)
    assert found.attributes[-1].tolist() == [1, 0] * 5


def test_a_folder_is_read_as_the_hub_s_own_library_reads_it(folder: Folder, opened: Open) -> None:
    """`datasets` on the same files: the same images, labels and captions, pixel for pixel."""
    datasets = pytest.importorskip("datasets")
    folder("train", range(6))
    root = folder("test", range(6, 9))
    for split, numbers in (("train", range(6)), ("test", range(6, 9))):
        write_csv(
            root / split / "metadata.csv",
            ["file_name", "text", "label"],
            *([f"{n:04}.png", f"number {n}, drawn", "even" if n % 2 == 0 else "odd"] for n in numbers),
        )
    theirs = datasets.load_dataset("imagefolder", data_dir=str(root), cache_dir=str(root.parent / "cache"))
    ours = opened()
    assert {name: len(split) for name, split in theirs.items()} == ours.split_counts
    expected = {row["text"]: (name, row["label"], row["image"]) for name, each in theirs.items() for row in each}
    for batch in filled(ours):
        for item, label, caption, split in zip(batch.items, batch.labels, batch.captions, batch.splits, strict=True):
            assert caption is not None
            assert label is not None
            name, named, image = expected.pop(caption)
            assert (split, ours.class_names[label]) == (name, named)
            np.testing.assert_array_equal(side(item), np.asarray(image))
    assert not expected


def test_celeba_is_read_as_torchvision_reads_it(folder: Folder, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CelebA

    root = folder("img_align_celeba", range(12))
    text, _ = celeba(12, ["Smiling", "Male", "Young", "Bald"])
    (root / "list_attr_celeba.txt").write_text(text)
    (root / "list_eval_partition.txt").write_text("".join(f"{n:04}.png {n // 5}\n" for n in range(12)))
    (root / "identity_CelebA.txt").write_text("".join(f"{n:04}.png {100 + n % 5}\n" for n in range(12)))
    for name in ("list_bbox_celeba.txt", "list_landmarks_align_celeba.txt"):
        (root / name).write_text("12\nimage_id x\n" + "".join(f"{n:04}.png 1\n" for n in range(12)))
    monkeypatch.setattr(CelebA, "_check_integrity", lambda self: True)
    monkeypatch.setattr(CelebA, "base_folder", "images")
    ours = rows(opened(label="identity"))
    assert len(ours) == 12
    for split, name in (("train", "train"), ("valid", "validation"), ("test", "test")):
        theirs = CelebA(str(root.parent), split=split, target_type=["attr", "identity"])
        assert theirs.attr_names[:4] == ["Smiling", "Male", "Young", "Bald"]
        for file, attributes, identity in zip(theirs.filename, theirs.attr, theirs.identity, strict=True):
            row = ours[f"img_align_celeba/{file}"]
            assert (row["split"], row["attributes"]) == (name, attributes.tolist())
            assert row["label"] == int(identity) - 100
