"""The image table: what is written is read back, whole, and known by its fingerprint."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan_models.data import table_writer
from gan_models.data.shape import DataShape
from gan_models.data.table import (
    DomainSampler,
    EpochSampler,
    ImageTable,
    MappedSplit,
    Split,
    to_float,
    to_uint8,
)
from gan_models.data.table_file import SHARDS_FOLDER, TABLE_FILE, TableMetadata, read_metadata
from gan_models.data.table_writer import TableWriter
from gan_models.errors import RequestError

CLASSES = ("cat", "dog")
PIXELS = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
LABELS = [row % 2 for row in range(50)]
ALL = torch.arange(40)
SPLITS = ["test" if row % 5 == 0 else "train" for row in range(50)]

Write = Callable[..., TableMetadata]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def call(
        pixels: np.ndarray = PIXELS,
        labels: list[int | None] | None = None,
        classes: tuple[str, ...] = CLASSES,
        batch: int = 50,
        captions: list[str | None] | None = None,
        domains: list[str | None] | None = None,
    ) -> TableMetadata:
        rows = LABELS if labels is None else labels
        shutil.rmtree(tmp_path / SHARDS_FOLDER, ignore_errors=True)
        writer = TableWriter(tmp_path, 4, 4, 3)
        for start in range(0, len(pixels), batch):
            part = slice(start, start + batch)
            paths = [f"{row}.png" for row in range(len(pixels))[part]]
            some = None if captions is None else captions[part]
            places = None if domains is None else domains[part]
            writer.append(pixels[part], rows[part], SPLITS[part], paths, some, places)
        return writer.close(classes, "folder:here", {"size": 4})

    return call


def test_reads_back_what_was_written(write: Write, tmp_path: Path) -> None:
    metadata = write(batch=7)
    table = ImageTable.open(tmp_path)
    train, test = table.split("train"), table.split("test")
    is_test = np.array(SPLITS) == "test"
    assert table.metadata == metadata
    assert metadata.counts == {"train": {"cat": 20, "dog": 20}, "test": {"cat": 5, "dog": 5}}
    assert (metadata.count("train"), metadata.count("validation")) == (40, 0)
    assert (metadata.image_shape, metadata.num_classes) == ((3, 4, 4), 2)
    assert np.array_equal(train.images.numpy(), PIXELS[~is_test])
    assert np.array_equal(test.images.numpy(), PIXELS[is_test])
    assert train.labels is not None
    assert train.labels.tolist() == [label for label, out in zip(LABELS, is_test, strict=True) if not out]
    assert list(test.paths) == [f"{row}.png" for row in range(0, 50, 5)]
    assert train.images.is_contiguous()


def test_batch_is_normalised_and_channels_last(write: Write, tmp_path: Path) -> None:
    write()
    split = ImageTable.open(tmp_path).split("train")
    chosen = split.rows(torch.tensor([3, 0]))
    images, labels = to_float(chosen.images), chosen.labels
    assert images.shape == (2, 3, 4, 4)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(to_uint8(images), split.images[[3, 0]])
    assert labels is not None
    assert labels.dtype == torch.int64


def test_unlabelled_images_have_no_labels(write: Write, tmp_path: Path) -> None:
    metadata = write(labels=[None] * 50, classes=())
    split = ImageTable.open(tmp_path).split("train")
    assert metadata.counts["train"] == {"": 40}
    assert split.labels is None
    assert split.rows(torch.tensor([0])).labels is None


def test_fingerprint_follows_content_not_layout(write: Write, tmp_path: Path) -> None:
    whole = write().fingerprint
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert write(batch=3).fingerprint == whole
    assert write().fingerprint == whole
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first
    changed = PIXELS.copy()
    changed[-1, -1, -1, -1] ^= 1
    others = [
        write(pixels=changed),
        write(pixels=PIXELS[::-1]),
        write(labels=[*LABELS[:-1], None]),
        write(labels=LABELS[::-1]),
        write(classes=("dog", "cat")),
        write(captions=[None] * 49 + ["a cat"]),
        write(captions=[""] + [None] * 49),
        write(domains=["here"] * 50),
        write(domains=["here"] * 49 + ["there"]),
    ]
    assert len({whole, *(metadata.fingerprint for metadata in others)}) == 10


def test_captions_do_not_depend_on_batches(write: Write) -> None:
    captions = [None, "", "a", "ab", "1:a"] * 10
    assert write(captions=captions).fingerprint == write(captions=captions, batch=4).fingerprint


def test_domains_are_numbered_in_the_order_of_their_names(write: Write, tmp_path: Path) -> None:
    names = ["winter" if row % 3 else "summer" for row in range(50)]
    metadata = write(domains=names, batch=7)
    assert metadata.domain_names == ("summer", "winter")
    assert metadata.shape.domains == 2
    split = ImageTable.open(tmp_path).split("test")
    assert split.domains is not None
    assert split.domains.dtype == torch.int64
    assert split.domains.tolist() == [int(name == "winter") for name in names[::5]]


def test_a_domain_for_all_or_none(write: Write) -> None:
    with pytest.raises(ValueError, match="49 of 50 rows have no domain"):
        write(domains=["here"] + [None] * 49)


def test_captions_become_numbers_of_the_training_words(write: Write, tmp_path: Path) -> None:
    captions: list[str | None] = ["A red cat.", "a dog, a RED dog!", None, "", "a"] * 10
    captions[5] = "a violet cat"  # row 5 is a test image: its new word is nothing to learn
    metadata = write(captions=captions, batch=7)
    assert metadata.words == ("a", "dog", "red")
    assert metadata.shape.words == 3
    table = ImageTable.open(tmp_path)
    train, test = table.split("train"), table.split("test")
    assert train.captions is not None
    assert train.captions.dtype == torch.int64
    assert train.captions[:4].tolist() == [[1, 2, 1, 3, 2], [0] * 5, [0] * 5, [1, 0, 0, 0, 0]]
    assert test.captions is not None
    assert test.captions[:2].tolist() == [[1, 3], [1, 0]]


def test_embeddings_are_read_back_and_part_of_the_fingerprint(tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 2, 3)).astype(np.float32)

    def written(vectors: np.ndarray, batch: int) -> TableMetadata:
        shutil.rmtree(tmp_path / SHARDS_FOLDER, ignore_errors=True)
        writer = TableWriter(tmp_path, 4, 4, 3, embeddings=(2, 3))
        for start in range(0, 50, batch):
            part = slice(start, start + batch)
            paths = [f"{row}.png" for row in range(50)[part]]
            writer.append(PIXELS[part], LABELS[part], SPLITS[part], paths, embeddings=vectors[part])
        return writer.close(CLASSES, "folder:here", {"size": 4})

    metadata = written(vectors, 50)
    assert written(vectors, 7).fingerprint == metadata.fingerprint
    assert written(vectors[::-1], 50).fingerprint != metadata.fingerprint
    assert written(vectors, 7).shape == DataShape((3, 4, 4), classes=2, embedding=3)
    split = ImageTable.open(tmp_path).split("test")
    assert split.embeddings is not None
    assert np.array_equal(split.embeddings.numpy(), vectors[::5])
    chosen = split.rows(torch.tensor([3, 0])).embeddings
    assert chosen is not None
    assert np.array_equal(chosen.numpy(), vectors[[15, 0]])


def test_without_captions_or_domains(write: Write, tmp_path: Path) -> None:
    assert write().shape == DataShape((3, 4, 4), classes=2)
    split = ImageTable.open(tmp_path).split("train")
    assert split.domains is None
    assert split.captions is None
    assert split.embeddings is None


def test_a_table_of_an_earlier_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.parquet").touch()
    with pytest.raises(RequestError, match=r"was prepared by an earlier version, .*: prepare the data again"):
        ImageTable.open(tmp_path)


def test_folder_without_a_table(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"not a prepared data set.*table\.json"):
        ImageTable.open(tmp_path / "nowhere")


def test_empty_split_names_those_there_are(write: Write, tmp_path: Path) -> None:
    write()
    with pytest.raises(RequestError, match=r"no images in split 'validation' .*train 40, test 10"):
        ImageTable.open(tmp_path).split("validation")


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


@pytest.mark.parametrize("of", [lambda table: table.split("train"), lambda table: table.mapped("train").rows(ALL)])
def test_damage_is_noticed(write: Write, tmp_path: Path, of: Callable[[ImageTable], Split]) -> None:
    write(captions=["a cat", "a dog"] * 25)
    file = next((tmp_path / SHARDS_FOLDER).iterdir())
    content = file.read_bytes()
    for damage in (
        content[: len(content) // 2],
        flipped(content, content.index(PIXELS[11].tobytes())),
        flipped(content, content.index(b"a dog")),
        flipped(content, content.index(np.array(LABELS[:2], "<i8").tobytes())),
        b"",
    ):
        file.write_bytes(damage)
        table = ImageTable.open(tmp_path)  # the manifest is whole
        with pytest.raises(RequestError, match=r"00000\.arrow is damaged .*: delete its folder and prepare the data"):
            of(table)
    file.unlink()
    with pytest.raises(RequestError, match=r"00000\.arrow is damaged"):
        of(ImageTable.open(tmp_path))


def test_only_what_is_read_is_checked(write: Write, tmp_path: Path) -> None:
    write()
    file = next((tmp_path / SHARDS_FOLDER).iterdir())
    content = file.read_bytes()
    is_test = PIXELS[5]
    file.write_bytes(flipped(content, content.index(is_test.tobytes())))
    assert len(ImageTable.open(tmp_path).split("train")) == 40
    with pytest.raises(RequestError, match="is damaged"):
        ImageTable.open(tmp_path).split("test")


def test_a_manifest_that_does_not_fit_its_shards_is_damaged(write: Write, tmp_path: Path) -> None:
    write()
    file = tmp_path / TABLE_FILE
    whole = json.loads(file.read_text())
    for change in ("{", "[]", json.dumps(whole | {"shards": []}), json.dumps(whole | {"metadata": {}})):
        file.write_text(change)
        with pytest.raises(RequestError, match=r"table\.json is damaged"):
            read_metadata(tmp_path)
    file.write_text(json.dumps(whole | {"format": 2}))
    with pytest.raises(RequestError, match=r"is of format 2 and this version reads 1: prepare the data again"):
        read_metadata(tmp_path)


# --- shards


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_writer, "SHARD_ROWS", 8)


def everything(split: Split) -> dict[str, Any]:
    return {
        name: column.tolist() if isinstance(column, torch.Tensor) else column for name, column in vars(split).items()
    }


@pytest.mark.usefixtures("small_shards")
def test_shards_do_not_depend_on_batches_and_keep_the_order(write: Write, tmp_path: Path) -> None:
    captions = ["a cat", "a red dog", None, "", "a"] * 10
    domains = ["winter" if row % 3 else "summer" for row in range(50)]
    metadata = write(batch=50, captions=captions, domains=domains)
    assert len(list((tmp_path / SHARDS_FOLDER).iterdir())) == 7
    assert write(batch=3, captions=captions, domains=domains) == metadata
    is_test = np.array(SPLITS) == "test"
    table = ImageTable.open(tmp_path)
    for name, chosen in (("train", ~is_test), ("test", is_test)):
        split, rows = table.split(name), np.flatnonzero(chosen)
        assert np.array_equal(split.images.numpy(), PIXELS[chosen])
        assert list(split.paths) == [f"{row}.png" for row in rows]
        assert split.labels is not None
        assert split.labels.tolist() == (rows % 2).tolist()
        assert split.domains is not None
        assert split.domains.tolist() == (rows % 3 > 0).tolist()


@pytest.mark.usefixtures("small_shards")
def test_a_mapped_split_is_the_loaded_one(write: Write, tmp_path: Path) -> None:
    write(captions=["a cat", "a red dog", None, "", "a"] * 10, domains=["winter", "summer"] * 25)
    table = ImageTable.open(tmp_path)
    loaded, mapped = table.split("train"), table.mapped("train")
    assert len(mapped) == 40
    for index in ([3, 0, 39, 3], list(range(40)), [17]):
        assert everything(mapped.rows(torch.tensor(index))) == everything(loaded.rows(torch.tensor(index)))
    assert everything(mapped.first(9)) == everything(loaded.first(9))
    for part in (slice(None), slice(5, 23), slice(30, 2, -3), slice(7, 7), [4, 4], 31):
        assert torch.equal(
            mapped.images[part], loaded.images[part if part != slice(30, 2, -3) else list(range(30, 2, -3))]
        )
    assert list(mapped.paths) == list(loaded.paths)
    assert (mapped.paths[-1], mapped.paths[3:5]) == ("49.png", ["4.png", "6.png"])


def test_a_table_beyond_its_share_of_memory_is_mapped(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    table = ImageTable.open(tmp_path)
    assert isinstance(table.fitting("train"), Split)
    monkeypatch.setattr("gan_models.memory.memory_limit", lambda: 2 * 40 * 48)
    assert isinstance(table.fitting("train"), Split)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # two processes of a training on this machine
    assert isinstance(table.fitting("train"), MappedSplit)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    monkeypatch.setattr("gan_models.memory.memory_limit", lambda: 2 * 40 * 48 - 2)
    assert isinstance(table.fitting("train"), MappedSplit)


def test_metadata_needs_no_torch(write: Write, tmp_path: Path) -> None:
    write()
    program = (
        "import sys; from pathlib import Path; from gan_models.data.table_file import read_metadata; "
        "print(read_metadata(Path(sys.argv[1])).num_classes, 'torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["2", "False"]


def test_normalisation_is_exact_and_inverse() -> None:
    all_values = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1)
    images = to_float(all_values)
    assert images.min() == -1.0
    assert images.max() == 1.0
    assert torch.equal(to_uint8(images), all_values)


def test_to_uint8_clamps_and_keeps_its_input() -> None:
    images = torch.tensor([-1.5, 0.0, 1.01, 7.0]).reshape(1, 1, 2, 2)
    before = images.clone()
    assert to_uint8(images).flatten().tolist() == [0, 128, 255, 255]
    assert torch.equal(images, before)


def test_every_epoch_shows_every_image_once() -> None:
    sampler = EpochSampler(size=24, batch_size=4, seed=7)
    epochs = [torch.cat([sampler.indices(6 * epoch + step) for step in range(6)]).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(24)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_batches_are_a_pure_function_of_the_step() -> None:
    straight = [EpochSampler(50, 8, seed=1).indices(step).tolist() for step in range(20)]
    sampler = EpochSampler(50, 8, seed=1)
    assert [sampler.indices(step).tolist() for step in reversed(range(20))] == straight[::-1]
    assert [EpochSampler(50, 8, seed=2).indices(step).tolist() for step in range(20)] != straight
    assert all(len(batch) == 8 for batch in straight)


def test_remainder_of_an_epoch_is_left_out() -> None:
    sampler = EpochSampler(size=10, batch_size=4, seed=0)
    first = torch.cat([sampler.indices(0), sampler.indices(1)])
    assert sampler.steps_per_epoch == 2
    assert len(set(first.tolist())) == 8


def test_few_images_are_repeated_to_fill_a_batch() -> None:
    batch = EpochSampler(size=3, batch_size=8, seed=0).indices(5)
    assert len(batch) == 8
    assert sorted(torch.bincount(batch).tolist()) == [2, 3, 3]


@pytest.mark.parametrize("arguments", [(0, 4, 0), (4, 0, 0), (4, 4, -1)])
def test_sampler_refuses_nonsense(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        EpochSampler(*arguments)


# --- batches of several domains


def test_every_batch_sees_both_domains_equally_whatever_their_sizes() -> None:
    """The sizes of horse2zebra's kind: 1,072 against 6,287, one image of each in every step."""
    domains = torch.tensor([0] * 1072 + [1] * 6287)[torch.randperm(7359, generator=torch.Generator().manual_seed(0))]
    sampler = DomainSampler(domains, 2, batch_size=1, seed=3)
    drawn = torch.stack([sampler.indices(step) for step in range(6287)])
    assert torch.equal(domains[drawn], torch.tensor([[0, 1]]).expand(6287, 2))
    # The larger set is gone through once, the smaller one five times and more.
    assert len(drawn[:, 1].unique()) == 6287
    counts = torch.bincount(drawn[:, 0], minlength=7359)[domains == 0]
    assert {int(counts.min()), int(counts.max())} == {5, 6}


def test_domains_alternate_and_are_shuffled_apart() -> None:
    domains = torch.arange(40) % 2
    sampler = DomainSampler(domains, 2, batch_size=4, seed=0)
    drawn = torch.stack([sampler.indices(step) for step in range(5)])
    assert torch.equal(domains[drawn], torch.tensor([0, 1] * 4).expand(5, 8))
    assert drawn.flatten().sort().values.tolist() == list(range(40))
    assert not torch.equal(drawn[:, 0::2] + 1, drawn[:, 1::2])
    again = DomainSampler(domains, 2, batch_size=4, seed=0)
    assert torch.equal(again.indices(3), drawn[3])
