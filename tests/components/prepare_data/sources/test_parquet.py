"""Parquet as public hubs store it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gan_models.data.decoding import BadImageError
from gan_models.data.sources.base import Fields
from gan_models.data.sources.parquet import ParquetSource
from gan_models.errors import RequestError

Picture = Callable[..., bytes]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, picture: Picture) -> Write:
    """Write a Parquet file of `count` pictures with more columns, metadata, row groups of two; returns its path."""

    def call(
        name: str = "data.parquet",
        count: int = 5,
        metadata: dict[str, str] | None = None,
        plain: bool = False,
        **columns: Any,
    ) -> Path:
        images = [picture(seed) for seed in range(count)]
        stored = images if plain else [{"bytes": image, "path": f"{seed}.png"} for seed, image in enumerate(images)]
        table = pa.table({"image": pa.array(stored), **columns})
        path = tmp_path / "hub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=2)
        return path

    return call


def column(source: ParquetSource, name: str, rows: list[int] | None = None, items: int = 10) -> list[Any]:
    return [value for batch in source.batches(rows, items) for value in getattr(batch, name)]


def test_struct_with_integer_labels_and_class_names(write: Write, picture: Picture) -> None:
    source = ParquetSource(write(label=[1, 0, 1, 2, 0], metadata={"classes": "cat, dog,fox"}))
    assert source.total == 5
    assert source.class_names == ("cat", "dog", "fox")
    assert column(source, "items") == [picture(seed) for seed in range(5)]
    assert column(source, "labels") == [1, 0, 1, 2, 0]
    assert column(source, "paths") == [f"{seed}.png" for seed in range(5)]
    assert column(source, "splits") == [None] * 5


def test_plain_binary_unlabelled(write: Write, picture: Picture) -> None:
    source = ParquetSource(write(plain=True))
    assert source.class_names == ()
    assert column(source, "items") == [picture(seed) for seed in range(5)]
    assert column(source, "paths")[3] == "data.parquet#3"
    assert column(source, "labels") == [None] * 5


def test_hubs_own_metadata_names_the_classes(write: Write) -> None:
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    source = ParquetSource(
        write(label=[1, 0, 1, 0, 0], metadata={"huggingface": json.dumps({"info": {"features": features}})})
    )
    assert source.class_names == ("cat", "dog")


def test_string_labels_are_their_own_names(write: Write) -> None:
    source = ParquetSource(write(label=pa.array(["dog", "cat", "dog", None, "ant"]).dictionary_encode()))
    assert source.class_names == ("ant", "cat", "dog")
    assert column(source, "labels") == [2, 1, 2, None, 0]


def test_integer_labels_without_names(write: Write) -> None:
    source = ParquetSource(write(label=[30, 7, 7, -1, 30]))
    assert source.class_names == ("7", "30")
    assert column(source, "labels") == [1, 0, 0, None, 1]


def test_labels_that_say_unlabelled(write: Write) -> None:
    assert ParquetSource(write(label=[-1] * 5)).class_names == ()
    assert ParquetSource(write(label=pa.nulls(5))).class_names == ()


def test_labels_beyond_the_names_are_no_labels(write: Write) -> None:
    source = ParquetSource(write(label=[0, 1, 2, 1, 0], metadata={"classes": "cat,dog"}))
    assert column(source, "labels") == [0, 1, None, 1, 0]


def test_captions(write: Write) -> None:
    assert column(ParquetSource(write(caption=["a", None, "c", "d", "e"])), "captions") == ["a", None, "c", "d", "e"]


def test_some_rows_in_small_batches(write: Write, picture: Picture) -> None:
    write("part-0.parquet")
    source = ParquetSource(write("part-1.parquet", count=3).parent)
    assert source.total == 8
    rows = [0, 3, 4, 5, 7]
    wanted = [picture(row if row < 5 else row - 5) for row in rows]
    for items in (1, 2, 10):
        assert column(source, "items", rows, items) == wanted
    assert all(len(batch) <= 2 for batch in source.batches(None, 2))


def test_files_named_after_splits(write: Write) -> None:
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation", "test.00"):
        write(f"{name}.parquet", count=2)
    source = ParquetSource(write("more/valid/0000.parquet", count=1).parents[2])
    assert source.given_splits == {"train", "validation", "test"}
    assert column(source, "splits") == ["validation", *["test"] * 2, *["train"] * 4, *["validation"] * 2]


def test_a_single_file_is_wanted_whole_whatever_its_name(write: Write) -> None:
    source = ParquetSource(write("test.parquet"))
    assert source.given_splits == frozenset()
    assert column(source, "splits") == [None] * 5


def test_names_that_only_resemble_splits(write: Write) -> None:
    write("trains.parquet")
    assert ParquetSource(write("contest-1.parquet").parent).given_splits == frozenset()


def test_split_column(write: Write) -> None:
    source = ParquetSource(write(split=["train", "valid", "TEST", "train", None]))
    assert source.given_splits == {"train", "validation", "test"}
    assert column(source, "splits") == ["train", "validation", "test", "train", None]


def test_unknown_split(write: Write) -> None:
    with pytest.raises(RequestError, match="column 'split' holds 'holdout'; known are train"):
        ParquetSource(write(split=["train", "holdout", "dev", "train", "train"]))


def test_splits_without_training_images(write: Write) -> None:
    with pytest.raises(RequestError, match="holds test images but none for training"):
        ParquetSource(write("test.parquet").parent)


def test_missing_column_names_those_there_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"one": [b"x"], "two": [b"y"], "label": [1]}), tmp_path / "a.parquet")
    with pytest.raises(RequestError, match=r"no column 'image' .*its columns are one, two, label; data.image=NAME"):
        ParquetSource(tmp_path / "a.parquet")


@pytest.mark.parametrize("values", [[1, 2], ["a.png", "b.png"], [{"path": "a"}, {"path": "b"}]])
def test_column_of_another_type(tmp_path: Path, values: list[Any]) -> None:
    pq.write_table(pa.table({"image": values}), tmp_path / "a.parquet")
    with pytest.raises(RequestError, match="not encoded images"):
        ParquetSource(tmp_path / "a.parquet")


def test_labels_of_another_type(write: Write) -> None:
    with pytest.raises(RequestError, match="column 'label' is double; labels are integers or strings"):
        ParquetSource(write(label=[0.5] * 5))


def test_files_that_disagree(write: Write) -> None:
    write("a.parquet", label=[0] * 5)
    with pytest.raises(RequestError, match=r"b\.parquet has no column 'label'"):
        ParquetSource(write("b.parquet").parent)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no \.parquet files"):
        ParquetSource(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but not really PAR1")
    with pytest.raises(RequestError, match="as Parquet"):
        ParquetSource(tmp_path)
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), tmp_path / "a.parquet")
    with pytest.raises(RequestError, match="it has no rows"):
        ParquetSource(tmp_path)


def test_rows_without_bytes(tmp_path: Path, picture: Picture) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    (hub / "there.png").write_bytes(picture(0))
    (tmp_path / "secret.png").write_bytes(picture(1))
    paths = ["there.png", "absent.png", "../secret.png", None]
    images = [*({"bytes": None, "path": path} for path in paths), None, {"bytes": b"", "path": "e.png"}]
    pq.write_table(pa.table({"image": images}), hub / "a.parquet")
    items = column(ParquetSource(hub), "items")
    assert items[0] == str((hub / "there.png").resolve())
    assert all(isinstance(item, BadImageError) for item in items[1:5])
    assert items[5] == b""


def test_sample_is_spread_over_the_files(write: Write, picture: Picture) -> None:
    write("a.parquet", count=40)
    source = ParquetSource(write("b.parquet", count=40).parent)
    sample = list(source.sample(16))
    assert picture(0) in sample
    assert picture(36) in sample
    assert 16 <= len(sample) <= 40


def repeating(path: Path, **columns: pa.Array) -> Path:
    """A file of one row group that keeps equal values once, however large."""
    pq.write_table(pa.table(columns), path, use_dictionary=True, dictionary_pagesize_limit=1 << 30, store_schema=False)
    return path


def test_a_large_image_that_is_there_thousands_of_times_fills_no_memory(tmp_path: Path) -> None:
    """The file has 5 MB; its rows, side by side, 80 GB."""
    image = np.random.default_rng(0).bytes(4 << 20)
    places = pa.array(np.zeros(20_000, np.int32))
    columns = {
        "image": pa.DictionaryArray.from_arrays(places, pa.array([image])),
        "caption": pa.DictionaryArray.from_arrays(places, pa.array(["x" * (1 << 20)])),
        "label": pa.DictionaryArray.from_arrays(places, pa.array(["y" * (1 << 20)])),
    }
    path = repeating(tmp_path / "data.parquet", **columns)
    assert path.stat().st_size < 8 << 20
    before = pa.total_allocated_bytes()
    source = ParquetSource(path)
    for _, batch in zip(range(20), source.batches(None, 256), strict=False):
        assert 0 < batch.encoded_bytes <= 48 << 20
        assert batch.items[0] == image
        assert pa.total_allocated_bytes() - before < 256 << 20


def test_small_repeats_are_read_as_ever(tmp_path: Path, picture: Picture) -> None:
    images = [picture(seed % 5) for seed in range(700)]
    source = ParquetSource(repeating(tmp_path / "data.parquet", image=pa.array(images).dictionary_encode()))
    batches = list(source.batches(None, 256))
    assert [len(batch) for batch in batches] == [256, 256, 188]
    assert [item for batch in batches for item in batch.items] == images


def test_a_column_that_unpacks_to_a_thousand_times_its_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_models.data.sources.parquet.BOMB_BYTES", 1 << 20)
    table = pa.table({"image": [bytes(4 << 20)]})
    pq.write_table(table, tmp_path / "data.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(RequestError, match=r"column 'image' of row group 0 unpacks from \d+ bytes to 4194"):
        ParquetSource(tmp_path / "data.parquet")


VECTORS = np.random.default_rng(2).normal(size=(5, 2, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "kind", "several"),
    [
        ("embedding", pa.list_(pa.float32()), 1),
        ("embeddings", pa.list_(pa.float64(), 3), 1),
        ("embedding", pa.list_(pa.list_(pa.float64())), 2),
        ("embedding", pa.list_(pa.list_(pa.float16(), 3), 2), 2),
    ],
)
def test_embeddings_in_the_ways_that_lists_are_stored(write: Write, name: str, kind: pa.DataType, several: int) -> None:
    vectors = VECTORS.astype(np.float16) if "halffloat" in str(kind) else VECTORS
    stored = [list(vector) if several == 1 else [list(each) for each in vector] for vector in vectors[:, :several]]
    stored = [each[0] for each in stored] if several == 1 else stored
    source = ParquetSource(write(**{name: pa.array([*stored], kind)}))
    assert source.embeddings == (several, 3)
    for rows in (None, [1, 4]):
        found = column(source, "embeddings", rows)
        expected = vectors[rows or slice(None), :several].astype(np.float32)
        assert all(each.dtype == np.float32 for each in found)
        assert np.array_equal(np.stack(found), expected)
    assert not source.doubts


def test_rows_without_an_embedding_are_not_taken_for_zeros(write: Write) -> None:
    rows = [None, [1.0, None], [1.0, 2.0], [], [3.0]]
    source = ParquetSource(write(embedding=pa.array(rows, pa.list_(pa.float32()))))
    assert source.embeddings == (1, 2)
    found = column(source, "embeddings")
    assert [None if each is None else each.tolist() for each in found] == [None, None, [[1.0, 2.0]], None, [[3.0]]]


def test_a_column_of_that_name_that_holds_no_vectors_is_left_out(write: Write) -> None:
    source = ParquetSource(write(embedding=["a"] * 5))
    assert source.embeddings == (0, 0)
    assert any("embedding are left out" in doubt for doubt in source.doubts)


def of_the_hub(**features: list[str]) -> dict[str, str]:
    """Metadata as `datasets` writes it, of columns with names of classes."""
    known = {name: {"_type": "ClassLabel", "names": names} for name, names in features.items()}
    return {"huggingface": json.dumps({"info": {"features": known}})}


def test_the_only_column_with_names_of_classes_holds_the_labels(write: Write) -> None:
    source = ParquetSource(write(fine_label=[1, 0, 1, 0, -1], metadata=of_the_hub(fine_label=["apple", "bee"])))
    assert source.class_names == ("apple", "bee")
    assert column(source, "labels") == [1, 0, 1, 0, None]
    assert source.notes == [
        "labels are those of column 'fine_label', the only one with names of classes",
        "1 of 5 images have no label",
    ]


def test_of_two_such_columns_somebody_says_which(write: Write) -> None:
    names = of_the_hub(fine_label=["apple", "bee"], coarse_label=["food", "animal"])
    path = write(fine_label=[1, 0, 1, 0, 1], coarse_label=[0, 1, 1, 1, 0], metadata=names)
    assert ParquetSource(path).class_names == ()
    assert any("data.label=fine_label or data.label=coarse_label" in doubt for doubt in ParquetSource(path).doubts)
    source = ParquetSource(path, Fields(label="coarse_label"))
    assert (source.class_names, column(source, "labels")) == (("food", "animal"), [0, 1, 1, 1, 0])
    assert ParquetSource(path, Fields(label="none")).class_names == ()


def test_columns_are_chosen_by_name(write: Write, picture: Picture) -> None:
    path = write(
        thumbnail=[picture(seed + 50) for seed in range(5)],
        story=["a", None, "b", "c", "d"],
        season=["w", "s", "w", "s", "w"],
        smiling=[1, -1, 1, -1, 1],
        old=[True, True, False, False, True],
    )
    chosen = Fields(image="thumbnail", caption="story", domain="season", attributes=("old", "smiling"))
    source = ParquetSource(path, chosen)
    assert column(source, "items") == [picture(seed + 50) for seed in range(5)]
    assert column(source, "captions") == ["a", None, "b", "c", "d"]
    assert (source.domain_names, column(source, "domains")) == (("s", "w"), ["w", "s", "w", "s", "w"])
    assert source.attribute_names == ("old", "smiling")
    assert column(source, "attributes") == [[1, 1], [1, 0], [0, 1], [0, 0], [1, 1]]
    for wrong, sentence in (
        (Fields(image="imag"), r"data.image='imag': .*has no such column: did you mean 'image'"),
        (Fields(caption="smiling"), r"data.caption='smiling': that column .* is int64, not text"),
        (Fields(image="story"), r"column 'story' is string, not encoded images"),
        (Fields(attributes=("young",)), r"data.attributes: .*has no column 'young'"),
        (Fields(attributes=("story",)), r"column 'story' is string, not booleans or integers"),
    ):
        with pytest.raises(RequestError, match=sentence):
            ParquetSource(path, wrong)


def test_some_of_the_attributes_in_lists(write: Write) -> None:
    path = write(attributes=[[0, 1, 0], [1, 1, 0], None, [1, 0, 1], [1]], metadata={"attribute_names": "a,b,c"})
    source = ParquetSource(path, Fields(attributes=("c", "a")))
    assert source.attribute_names == ("c", "a")
    assert column(source, "attributes") == [[0, 0], [0, 1], None, [1, 1], None]
    with pytest.raises(RequestError, match=r"has no attribute 'd': there are a, b, c"):
        ParquetSource(path, Fields(attributes=("d",)))


def test_the_only_column_of_bytes_holds_the_images(tmp_path: Path, picture: Picture) -> None:
    images = [picture(seed) for seed in range(3)]
    pq.write_table(pa.table({"png": images, "label": [0, 1, 0]}), tmp_path / "a.parquet")
    source = ParquetSource(tmp_path / "a.parquet")
    assert column(source, "items") == images
    assert source.notes == ["images are those of column 'png', the only one that holds bytes"]


def test_an_unlabelled_part_is_there_to_be_trained_on(write: Write) -> None:
    write("train-00000-of-00001.parquet", label=[0, 1, 0, 1, 0])
    path = write("unlabeled-00000-of-00001.parquet", label=[-1] * 5)
    source = ParquetSource(path.parent)
    assert (source.given_splits, source.split_counts) == ({"train"}, {"train": 10})
    assert column(source, "labels") == [0, 1, 0, 1, 0, *[None] * 5]
