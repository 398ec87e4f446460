"""NumPy archives in the shapes and types that people save."""

from pathlib import Path
from typing import Any
from zipfile import ZipExtFile

import numpy as np
import pytest
from PIL import Image

import gan_models as gm
from gan_models.data.decoding import whole_image
from gan_models.data.sources import parse_source
from gan_models.data.sources.base import Fields
from gan_models.data.sources.npz import NpzSource
from gan_models.errors import RequestError

GREY = np.random.default_rng(0).integers(0, 256, (7, 5, 6), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (7, 5, 6, 3), np.uint8)


def source(tmp_path: Path, compressed: bool = False, **arrays: Any) -> NpzSource:
    (np.savez_compressed if compressed else np.savez)(tmp_path / "data.npz", **arrays)
    return NpzSource(tmp_path / "data.npz")


def pixels(source: NpzSource, rows: list[int] | None = None, items: int = 3) -> np.ndarray:
    images = [item for batch in source.batches(rows, items) for item in batch.items]
    assert all(isinstance(image, Image.Image) for image in images)
    return np.stack([np.asarray(whole_image(image)) for image in images])


def column(source: NpzSource, name: str) -> list[Any]:
    return [value for batch in source.batches(None, 3) for value in getattr(batch, name)]


@pytest.mark.parametrize("name", ["images", "x", "arr_0"])
@pytest.mark.parametrize("compressed", [False, True])
def test_names_of_the_array(tmp_path: Path, name: str, compressed: bool) -> None:
    assert np.array_equal(pixels(source(tmp_path, compressed, **{name: GREY})), GREY)


def test_layouts(tmp_path: Path) -> None:
    assert np.array_equal(pixels(source(tmp_path, x=COLOUR)), COLOUR)
    assert np.array_equal(pixels(source(tmp_path, x=COLOUR.transpose(0, 3, 1, 2).copy())), COLOUR)
    assert np.array_equal(pixels(source(tmp_path, x=GREY[..., None])), GREY)
    assert np.array_equal(pixels(source(tmp_path, x=GREY[:, None])), GREY)
    assert pixels(source(tmp_path, x=np.zeros((2, 5, 5, 4), np.uint8))).shape == (2, 5, 5, 3)  # on white


@pytest.mark.parametrize(
    "values",
    [
        GREY / 255.0,
        (GREY / 127.5 - 1).astype(np.float32),
        GREY.astype(np.float64),
        GREY.astype(np.uint16) * 257,
        GREY.astype(np.int64),
        (GREY / 255.0).astype(np.float16),
        GREY.astype(">i2"),
    ],
)
def test_values(tmp_path: Path, values: np.ndarray) -> None:
    seen = pixels(source(tmp_path, x=values)).astype(int)
    assert np.abs(seen - GREY).max() <= (1 if values.dtype == np.float16 else 0)


def test_booleans_are_black_and_white(tmp_path: Path) -> None:
    assert np.array_equal(pixels(source(tmp_path, x=GREY > 99)), (GREY > 99) * 255)


def test_labels(tmp_path: Path) -> None:
    labelled = source(tmp_path, images=GREY, labels=np.array([3, 1, 1, 3, 9, 9, -1]))
    assert labelled.class_names == ("1", "3", "9")
    assert column(labelled, "labels") == [1, 0, 0, 1, 2, 2, None]
    named = source(tmp_path, x=GREY, y=np.array(["dog", "cat"] * 3 + ["ant"])[:, None])
    assert named.class_names == ("ant", "cat", "dog")
    assert column(named, "labels") == [2, 1, 2, 1, 2, 1, 0]
    assert source(tmp_path, x=GREY).class_names == ()


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("x_train", "y_train", "x_test", "y_test"), ["train"] * 4 + ["test"] * 3),
        (("train_images", "train_labels", "val_images", "val_labels"), ["train"] * 4 + ["validation"] * 3),
    ],
)
def test_archives_that_bring_splits(tmp_path: Path, names: tuple[str, ...], splits: list[str]) -> None:
    arrays = (GREY[:4], np.arange(4) % 2, GREY[4:], np.array([1, 1, 0]))
    divided = source(tmp_path, **dict(zip(names, arrays, strict=True)))
    assert divided.total == 7
    assert column(divided, "splits") == splits
    assert column(divided, "labels") == [0, 1, 0, 1, 1, 1, 0]
    assert np.array_equal(pixels(divided, [1, 5]), GREY[[1, 5]])


def test_some_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_models.data.sources.npz.BATCH_BYTES", 70)  # pieces of two images
    some = source(tmp_path, True, x=GREY)
    assert np.array_equal(pixels(some, [0, 3, 6]), GREY[[0, 3, 6]])
    assert np.array_equal(pixels(some), GREY)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pictures": GREY}, "its arrays are pictures; data.image=NAME"),
        ({"x": GREY[0]}, r"has shape \[5, 6\]: images are"),
        ({"x": np.zeros((3, 5, 5, 2))}, r"has shape \[3, 5, 5, 2\]"),
        ({"x": GREY.astype(object)}, "Python objects, which are never loaded"),
        ({"x": GREY.astype("U3")}, "images are integers, floats or booleans"),
        ({"x": np.asfortranarray(GREY)}, "Fortran order"),
        ({"x": GREY[:0]}, "holds no images"),
        ({"x": GREY, "y": np.arange(6)}, "7 images need one integer or string each"),
        ({"x": GREY, "y": np.arange(7) / 2}, "is float64 of shape"),
        ({"x": GREY, "y": np.array([{}] * 7)}, "holds Python objects, which are never loaded"),
        ({"x_test": GREY}, "holds test images but none for training"),
        ({"x_train": GREY, "y_train": np.arange(7), "x_test": GREY}, "'x_test' has no labels, other arrays have"),
    ],
)
def test_what_is_no_set_of_images(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        source(tmp_path, **arrays)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (GREY * 3.0, "floats from .* to 7.*: there is no telling which is black and which white: set data.range=used"),
        (COLOUR * 3.0, "image values from 0 to 7"),
        (np.full((2, 4, 4), np.nan), "2 of 2 images .* cannot be used .*32-bit values from nan"),
    ],
)
def test_values_that_images_do_not_have(tmp_path: Path, values: np.ndarray, sentence: str) -> None:
    source(tmp_path, x=values)
    with pytest.raises(RequestError, match=sentence):
        gm.prepare(f"npz:{tmp_path / 'data.npz'}", tmp_path / "data", size=8, progress=False)


def test_grey_values_are_spread_as_asked_and_kept_in_16_bits(tmp_path: Path) -> None:
    values = np.random.default_rng(2).integers(-1000, 2000, (40, 8, 8)).astype(np.int16)
    source(tmp_path, x=values)
    options = {"size": 8, "validation": 0.0, "test": 0.0, "progress": False, "range": [-160, 240], "depth": 16}
    table = gm.prepare(f"npz:{tmp_path / 'data.npz'}", tmp_path / "data", **options)
    split = table.fitting("train")
    for path, image in zip(split.paths, split.images[:].numpy(), strict=True):
        exact = np.clip((values[int(path[2:-1])] + 160.0) / 400, 0, 1) * 65535
        assert np.abs(image[..., 0] - exact).max() < 0.51


def test_asking_what_an_archive_holds_reads_no_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that finds everything done asks this much of its source: of ten megabytes, headers and labels are read."""
    read = 0
    whole = ZipExtFile.read

    def counted(file: ZipExtFile, n: int | None = -1) -> bytes:
        nonlocal read
        content = whole(file, n)
        read += len(content)
        return content

    monkeypatch.setattr(ZipExtFile, "read", counted)
    np.savez_compressed(tmp_path / "data.npz", x=np.zeros((2000, 36, 36), np.float32), y=np.arange(2000) % 3)
    text = f"npz:{tmp_path}/data.npz"
    assert parse_source(text).carried() == {"labels"}
    assert parse_source(text).open().total == 2000
    parse_source(text).digest()
    assert read < 100_000
    next(parse_source(text).open().batches(None, 8))
    assert read > 10_000_000


def test_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(RequestError, match="as a NumPy archive"):
        NpzSource(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", GREY)
    with pytest.raises(RequestError, match="as a NumPy archive"):
        NpzSource(tmp_path / "b.npy")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.zeros(7, "<U1001"), "holds texts of 1001 characters, names of classes have 1000 at most"),
        (np.zeros(7, "S1001"), "holds texts of 1001 characters"),
        (np.zeros(8), "float64 of shape \\[8\\]; 7 images need one integer or string each"),
        (np.zeros((7, 2), int), "int64 of shape \\[7, 2\\]"),
    ],
)
def test_labels_are_refused_by_their_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: np.ndarray, sentence: str
) -> None:
    """A few megabytes of archive may unpack to terabytes of labels."""
    np.savez_compressed(tmp_path / "data.npz", x=GREY, y=labels)
    monkeypatch.setattr(NpzSource, "_pieces", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(RequestError, match=sentence):
        NpzSource(tmp_path / "data.npz")


@pytest.mark.parametrize("arrays", [([3, -1, 7], [7, 3, 11]), (["b", "a", ""], ["c", "a", "b"]), ([b"b", b"a"], ["a"])])
def test_labels_of_all_parts_are_one_list_of_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays: tuple[list[object], list[object]]
) -> None:
    monkeypatch.setattr("gan_models.data.sources.npz.BATCH_BYTES", 1)  # a piece for each row
    train, test = (np.array(values) for values in arrays)
    images = {"x_train": GREY[: len(train)], "x_test": GREY[: len(test)]}
    np.savez(tmp_path / "data.npz", **images, y_train=train, y_test=test)
    source = NpzSource(tmp_path / "data.npz")
    texts = [value.decode() if isinstance(value, bytes) else value for value in [*arrays[0], *arrays[1]]]
    names = sorted({value for value in texts if isinstance(value, str) or value >= 0})
    assert source.class_names == tuple(map(str, names))
    labels = [label for batch in source.batches(None, 10) for label in batch.labels]
    assert labels == [names.index(value) if value in names else None for value in texts]


def test_embeddings_of_images_and_of_parts(tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).normal(size=(7, 2, 3))
    one = source(tmp_path, images=GREY, embeddings=vectors[:, 0])
    assert one.embeddings == (1, 3)
    assert np.array_equal(np.stack(column(one, "embeddings")), vectors[:, :1].astype(np.float32))
    both = source(
        tmp_path, train_images=GREY, train_embeddings=vectors, test_images=GREY[:3], test_embeddings=vectors[:3]
    )
    assert both.embeddings == (2, 3)
    assert np.array_equal(np.stack(column(both, "embeddings"))[7:], vectors[:3].astype(np.float32))
    assert not both.doubts
    assert source(tmp_path, images=GREY).embeddings == (0, 0)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": GREY, "embeddings": np.zeros((6, 3))}, "array 'embeddings' has 6 rows, there are 7 images"),
        ({"images": GREY, "embeddings": np.zeros((7, 3), int)}, "embeddings are floats"),
        ({"images": GREY, "embeddings": np.zeros(7)}, r"shape \[7\]: embeddings are floats"),
        ({"train_images": GREY, "train_embeddings": np.zeros((7, 3)), "test_images": GREY}, "has no embeddings"),
        (
            {
                "train_images": GREY, "train_embeddings": np.zeros((7, 3)),
                "test_images": GREY, "test_embeddings": np.zeros((7, 4)),
            },
            "different shapes",
        ),
    ],
)  # fmt: skip
def test_arrays_that_are_no_embeddings_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        source(tmp_path, **arrays)


def test_the_second_array_without_a_name_holds_the_labels_where_it_can(tmp_path: Path) -> None:
    """As ADM's samples come."""
    made = source(tmp_path, arr_0=GREY, arr_1=np.arange(7) % 3)
    assert (made.class_names, column(made, "labels")) == (("0", "1", "2"), [0, 1, 2, 0, 1, 2, 0])
    assert made.notes == ["labels are those of arr_1: of arrays without names, the one with an integer an image"]
    for other in (np.arange(6), np.zeros(7), np.zeros((7, 2), int)):
        made = source(tmp_path, arr_0=GREY, arr_1=other)
        assert made.class_names == ()
        assert made.doubts == ["the arrays arr_1 are left out: data.image, data.label and data.caption choose arrays"]


def test_arrays_are_chosen_by_name(tmp_path: Path) -> None:
    source(tmp_path, images=COLOUR, grey=GREY, labels=np.zeros(7, int), kind=np.array(list("abcabca")))
    path = tmp_path / "data.npz"
    made = NpzSource(path, Fields(image="grey", label="kind"))
    assert np.array_equal(pixels(made), GREY)
    assert (made.class_names, column(made, "labels")) == (("a", "b", "c"), [0, 1, 2, 0, 1, 2, 0])
    assert parse_source(f"npz:{path}", Fields(label="none")).open().class_names == ()
    with pytest.raises(RequestError, match=r"data.label='kin': .*has no such array: did you mean 'kind'"):
        NpzSource(path, Fields(label="kin"))
    source(tmp_path, x_train=GREY, y_train=np.zeros(7, int), kind=np.zeros(7, int))
    with pytest.raises(RequestError, match=r"brings splits, whose labels are 'y_train'"):
        NpzSource(path, Fields(label="kind"))


def test_arrays_of_strings_are_captions(tmp_path: Path) -> None:
    texts = np.array(["a red one", "", "é", *"abcd"])
    made = source(tmp_path, images=GREY, captions=texts)
    assert made.has_captions
    assert column(made, "captions") == ["a red one", None, "é", *"abcd"]
    source(tmp_path, images=GREY, story=np.char.encode(texts, "utf-8"))
    assert column(NpzSource(tmp_path / "data.npz", Fields(caption="story")), "captions")[2] == "é"
    assert not NpzSource(tmp_path / "data.npz").has_captions
    made = source(tmp_path, train_images=GREY, train_captions=texts, test_images=GREY)
    assert column(made, "captions") == ["a red one", None, "é", *"abcd", *[None] * 7]
    for wrong in (np.arange(7), texts[:6]):
        with pytest.raises(RequestError, match="7 images need one string each"):
            source(tmp_path, images=GREY, captions=wrong)
    with pytest.raises(RequestError, match=r"texts of more than 1000 characters.* or set data.caption=none"):
        source(tmp_path, images=GREY, captions=np.array(["x" * 1001] * 7))
    assert not NpzSource(tmp_path / "data.npz", Fields(caption="none")).has_captions
