"""Images at addresses: read as on a disk, pixel for pixel, from a store of objects and from a web server."""

import io
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from gan_models.data.decoding import BadImageError
from gan_models.data.preparing.preparation import Preparation
from gan_models.data.sources import parse_source
from gan_models.data.sources.places import Remote
from gan_models.data.table import ImageTable
from gan_models.errors import RequestError, RunError
from gan_models.front_door.preparing import named
from gan_models.recipes.schema import Data
from tests.components.prepare_data.conftest import Picture, Prepare
from tests.object_store import SECRET, Bucket, Site, object_store, web_site

Folder = Callable[[str, range], Path]
Prepared = Callable[[str], ImageTable]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with object_store() as bucket:
        yield bucket


@pytest.fixture
def site() -> Iterator[Site]:
    with web_site() as site:
        yield site


@pytest.fixture
def prepared(prepare: Prepare, tmp_path: Path) -> Prepared:
    """The data set made of a source, all of it kept."""

    def call(source: str) -> ImageTable:
        prepare(source, repeats="keep")
        place = tmp_path / f"dataset-{len(list(tmp_path.iterdir()))}"
        (tmp_path / "dataset").rename(place)
        return ImageTable.open(place)

    return call


def zipped(root: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(root.rglob("*.png")):
            archive.write(file, file.relative_to(root).as_posix())
    return packed.getvalue()


def in_parquet(images: list[bytes]) -> bytes:
    packed = io.BytesIO()
    pq.write_table(pa.table({"image": images, "label": [number % 2 for number in range(len(images))]}), packed)
    return packed.getvalue()


def content(table: ImageTable) -> dict[str, tuple[bytes, list[int] | None]]:
    """Pixels and labels of each split."""
    splits = {name: table.split(name) for name in table.metadata.splits}
    return {
        name: (its.images.numpy().tobytes(), its.labels if its.labels is None else its.labels.tolist())
        for name, its in splits.items()
    }


def test_a_folder_is_the_same_in_a_bucket(bucket: Bucket, folder: Folder, prepared: Prepared) -> None:
    for name in ("train/cat", "train/dog", "test/cat", "test/dog"):
        root = folder(name, range(9 if "train" in name else 5))
    address = bucket.put_folder(root, "pets")
    bucket.put("pets/train/cat/.hidden.png", b"")
    bucket.put("pets/train/cat/@eaDir/thumb.png", b"thumb")
    bucket.put("pets-too/train/cat/another.png", b"of a folder whose name begins so")
    here, there = prepared(f"folder:{root}"), prepared(f"folder:{address}")
    assert here.metadata.fingerprint == there.metadata.fingerprint
    assert content(here) == content(there)
    opened = parse_source(f"folder:{address}").open()
    assert opened.ignored == [("train/cat/@eaDir/thumb.png", "a leftover of a storage system, by its name")]
    assert parse_source(f"folder:{address}").carried() == {"labels"}


@pytest.mark.parametrize("where", ["bucket", "site"])
def test_files_are_the_same_as_on_the_disk(
    where: str, bucket: Bucket, site: Site, folder: Folder, picture: Picture, prepared: Prepared, tmp_path: Path
) -> None:
    root = folder("x/a", range(30))
    folder("x/b", range(30, 60))
    npz = io.BytesIO()
    np.savez(npz, images=np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3), np.uint8))
    contents = {
        "a.zip": zipped(root / "x"),
        "train.parquet": in_parquet([picture(seed) for seed in range(50)]),
        "a.npz": npz.getvalue(),
    }
    for name, packed in contents.items():
        (tmp_path / name).write_bytes(packed)
        site.files[f"/data/{name}"] = packed
        address = bucket.put(f"files/{name}", packed) if where == "bucket" else f"{site.address}/data/{name}"
        assert content(prepared(str(tmp_path / name))) == content(prepared(address)), name


def test_a_folder_of_parquet_files_and_a_page_of_links(
    bucket: Bucket, site: Site, folder: Folder, picture: Picture
) -> None:
    for split, seeds in {"train": range(20), "test": range(20, 25)}.items():
        bucket.put(f"hub/{split}-00000.parquet", in_parquet([picture(seed) for seed in seeds]))
    opened = parse_source(f"parquet:s3://{bucket.name}/hub").open()
    assert opened.split_counts == {"train": 20, "test": 5}
    site.files |= {f"/pets/{name}/{seed}.png": picture(seed) for name in ("cat", "dog") for seed in range(3)}
    pets = parse_source(f"folder:{site.address}/pets/").open()
    assert (pets.total, pets.class_names) == (6, ("cat", "dog"))
    (batch,) = pets.batches(None, 100)
    assert batch.fill is not None
    batch.fill(batch)
    assert batch.items == [site.files[f"/pets/{path}"] for path in batch.paths]


def test_the_version_follows_the_place(bucket: Bucket, site: Site) -> None:
    address = bucket.put("grows/1.png", b"one").removesuffix("/1.png")
    source = parse_source(f"folder:{address}")
    versions = [source.digest(), source.digest()]
    assert versions[0] == versions[1]
    bucket.put("grows/2.png", b"two")
    versions.append(source.digest())
    bucket.put("grows/2.png", b"owt")
    versions.append(source.digest())
    assert len(set(versions)) == 3
    site.files["/a.zip"] = b"1"
    first = parse_source(f"zip:{site.address}/a.zip").digest()
    site.files["/a.zip"] = b"2"
    assert parse_source(f"zip:{site.address}/a.zip").digest() != first


def test_what_is_not_there_is_a_sentence(bucket: Bucket, site: Site) -> None:
    for source in (f"folder:s3://{bucket.name}/nowhere", "zip:s3://no-such-bucket/a.zip", f"zip:{site.address}/a.zip"):
        with pytest.raises(RequestError, match="there is nothing at"):
            parse_source(source).open()
    bucket.put("one.zip/inside.png", b"")
    with pytest.raises(RequestError, match=r"is not a file; give one \.zip file"):
        parse_source(f"zip:s3://{bucket.name}/one.zip").open()
    bucket.put("single.png", b"")
    with pytest.raises(RequestError, match="is a file; give the folder that holds the images"):
        parse_source(f"folder:s3://{bucket.name}/single.png").open()


def test_what_goes_while_it_is_read_is_quarantined(bucket: Bucket, picture: Picture) -> None:
    for seed in range(4):
        address = bucket.put(f"going/{seed}.png", picture(seed)).removesuffix(f"/{seed}.png")
    opened = parse_source(f"folder:{address}").open()
    bucket.client.delete_object(Bucket=bucket.name, Key="going/2.png")
    (batch,) = opened.batches(None, 100)
    assert batch.fill is not None
    batch.fill(batch)
    assert [str(item) for item in batch.items if isinstance(item, BadImageError)] == ["the file is gone"]
    assert batch.items[3] == picture(3)


def test_a_failing_network_is_waited_for_and_then_a_sentence(
    site: Site, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_models.data.sources.places.WAITS", (0.01, 0.01))
    site.files["/a.parquet"] = in_parquet([picture(seed) for seed in range(20)])
    site.failures = 1
    opened = parse_source(f"{site.address}/a.parquet").open()
    site.failures = 1
    batches = list(opened.batches(None, 100))
    assert batches[0].items == [picture(seed) for seed in range(20)]
    site.failures = 1000
    with pytest.raises(
        RunError, match=r"a\.parquet could not be read: .*is the network there, and the address right\?"
    ):
        parse_source(f"{site.address}/a.parquet").open()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert named("s3://bucket/cats.zip") == "zip:s3://bucket/cats.zip"
    with pytest.raises(RunError, match=r"could not be read: .*is the network there"):
        parse_source(f"zip:http://127.0.0.1:{port}/a.zip").open()


def test_a_server_that_gives_no_parts_is_refused(site: Site) -> None:
    site.parts, site.files["/a.zip"] = False, b"PK"
    with pytest.raises(RequestError, match="the server gives no parts of a file: download it, and name the copy"):
        parse_source(f"{site.address}/a.zip").open()


def test_a_refused_login_is_a_sentence_without_it(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def invalidate_cache(self) -> None: ...

        def info(self, address: str) -> dict[str, object]:
            raise PermissionError("Access Denied")

    monkeypatch.setattr(Remote, "_files", Refusing())
    for ask in (parse_source("folder:s3://closed/x").open, parse_source("folder:s3://closed/x").digest):
        with pytest.raises(
            RunError, match=r"folder:s3://closed/x could not be read: Access Denied; is the login in the"
        ):
            ask()


def test_a_missing_package_is_named_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_models.data.sources.places.find_spec", lambda package: None)
    with pytest.raises(RequestError, match=r"package s3fs, which is not installed: pip install gan-pipeline\[remote\]"):
        parse_source("folder:s3://bucket/x").open()


def test_wide_images_at_an_address_are_fetched_a_few_at_a_time(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_models.data.sources.paths.REMOTE_BATCH_BYTES", 1000)
    monkeypatch.setattr("gan_models.data.sources.paths.MEMBER_BYTES", 5000)
    for number, size in enumerate((400, 500, 300, 2000, 6000)):
        address = bucket.put(f"sizes/{number}.png", bytes(size)).rpartition("/")[0]
    batches = list(parse_source(f"folder:{address}").open().batches(None, 100))
    assert [len(batch) for batch in batches] == [2, 1, 1, 1]
    assert batches[-1].fill is not None
    batches[-1].fill(batches[-1])
    assert "too large" in str(batches[-1].items[0])


@pytest.mark.slow
def test_a_run_leaves_the_login_nowhere(bucket: Bucket, tmp_path: Path) -> None:
    noise = np.random.default_rng(3)
    for number in range(60):
        packed = io.BytesIO()
        Image.fromarray(noise.integers(0, 256, (16, 16, 3), np.uint8)).save(packed, "PNG")
        bucket.put(f"run/{number}.png", packed.getvalue())
    steps = [f"training.{setting}" for setting in ("steps=2", "threads=1", "batch_size=8")]
    settings = [*steps, "data.size=16", "evaluation.samples=32", "selection.samples=32"]
    settings.append(f"data.grow=s3://{bucket.name}/tables")  # all stages read the images there
    command = [
        sys.executable,
        "-c",
        "from pipeline.cli import main; main()",
        "run",
        "--data",
        f"folder:s3://{bucket.name}/run",
    ]
    command += ["--recipe", "dcgan", "--workdir", str(tmp_path / "run")]
    for setting in settings:
        command += ["--set", setting]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **bucket.environment})
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert SECRET not in ended.stdout + ended.stderr
    assert not [*tmp_path.rglob("run/results/dataset/shards")]
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(written) > 20
    assert [file for file in written if SECRET.encode() in file.read_bytes()] == []


def test_what_files_beside_images_say_is_read_there_too(bucket: Bucket, folder: Folder) -> None:
    root = folder(".", range(4))
    (root / "metadata.csv").write_text("file_name,label\n" + "".join(f"{n:04}.png,{'ab'[n % 2]}\n" for n in range(4)))
    for number in range(4):
        (root / f"{number:04}.txt").write_text(f"picture {number}")
    here, there = (parse_source(f"folder:{place}") for place in (root, bucket.put_folder(root, "said")))
    (ours,), (theirs,) = (name.open().batches(None, 100) for name in (here, there))
    assert theirs.fill is not None
    theirs.fill(theirs)
    assert (theirs.labels, theirs.captions) == (ours.labels, ours.captions) == ([0, 1, 0, 1], theirs.captions)
    assert theirs.captions == [f"picture {number}" for number in range(4)]
    assert here.carried() == there.carried() == {"labels", "captions"}


def test_shards_of_a_bucket_are_named_by_a_pattern_or_their_folder(
    bucket: Bucket, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_PIPELINE_CACHE", str(tmp_path / "cache"))
    for number in range(3):
        with webdataset.TarWriter(str(tmp_path / "shard.tar")) as writer:
            for n in range(4):
                writer.write({"__key__": f"{n}", "png": picture(4 * number + n), "cls": n % 2})
        bucket.put(f"shards/train-{number:03}.tar", (tmp_path / "shard.tar").read_bytes())
    pattern = parse_source(f"s3://{bucket.name}/shards/train-{{000..002}}.tar")
    assert (pattern.kind, pattern.short, pattern.path) == ("tar", "train", None)
    whole = parse_source(f"tar:s3://{bucket.name}/shards")
    for name in (pattern, whole):
        batches = list(name.open().batches(None, 100))
        assert [item for batch in batches for item in batch.items] == [picture(seed) for seed in range(12)]
        assert [label for batch in batches for label in batch.labels] == [0, 1] * 6
    assert whole.open().given_splits == {"train"}
    before = whole.digest()
    bucket.put("shards/train-003.tar", (tmp_path / "shard.tar").read_bytes())
    assert whole.digest() != before
    with pytest.raises(RequestError, match=r"there is nothing at s3://.*train-004\.tar"):
        parse_source(f"s3://{bucket.name}/shards/train-{{003..005}}.tar").open()


def test_what_is_known_again_is_not_fetched_again(
    bucket: Bucket, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    ask = Remote.contents

    def contents(self: Remote, relative: Sequence[str]) -> list[bytes | Exception]:
        fetched.extend(relative)
        return ask(self, relative)

    monkeypatch.setattr(Remote, "contents", contents)
    for number in range(24):
        address = bucket.put(f"growing/{'ab'[number % 2]}/{number:02}.png", picture(number)).rpartition("/")[0]
    data = Data(source=f"folder:{address.rpartition('/')[0]}", size=8, channels="grey", test=0.1, validation=0.1)

    def prepared(output: Path, earlier: Path | None) -> ImageTable:
        preparation = Preparation.of(data)
        fetched.clear()  # of the look at some
        preparation.write(output, lambda done, bad: None, earlier)
        return ImageTable.open(output)

    prepared(tmp_path / "first", None)
    assert len(fetched) == 24
    bucket.put("growing/a/50.png", picture(50))
    bucket.put("growing/b/01.png", picture(51))
    grown = prepared(tmp_path / "second", tmp_path / "first")
    assert fetched == ["a/50.png", "b/01.png"]
    anew = prepared(tmp_path / "third", None)
    assert grown.metadata.images == anew.metadata.images == 25
    ours, theirs = (
        {
            path: image.tolist()
            for split in table.metadata.splits
            for path, image in zip(table.split(split).paths, table.split(split).images, strict=True)
        }
        for table in (grown, anew)
    )
    assert ours == theirs
