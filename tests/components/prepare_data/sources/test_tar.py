"""Shards as webdataset and tar write them: read as they are, sample by sample, whatever is broken in between."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from PIL import Image

from gan_models.data.decoding import BadImageError
from gan_models.data.sources import parse_source
from gan_models.data.sources.base import Batch, Fields, Source, reading
from gan_models.data.sources.paths import FolderSource
from gan_models.data.sources.tar import patterns
from gan_models.data.sources.tar_samples import open_tar
from gan_models.errors import RequestError, RunError
from tests.components.prepare_data.conftest import Picture, Prepare
from tests.object_store import web_site

Folder = Callable[[str, range], Path]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GAN_PIPELINE_CACHE", str(place))
    return place


def shard(path: Path, samples: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> Path:
    """Written by webdataset itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(path)) as writer:
        for number, sample in enumerate(samples):
            writer.write({"__key__": f"{number:06}", **sample})
    return path


def whole(source: Source, rows: list[int] | None = None) -> Batch:
    batches = list(source.batches(rows, 3))
    assert all(len(batch) <= 3 for batch in batches)
    fields = ("items", "paths", "labels", "splits", "captions")
    return Batch(**{name: [each for batch in batches for each in getattr(batch, name)] for name in fields})


def named(path: Path) -> Source:
    return parse_source(f"tar:{path}").open()


def test_samples_of_webdataset_keep_their_pictures_classes_and_captions(picture: Picture, tmp_path: Path) -> None:
    pictures = [picture(seed) for seed in range(10)]
    samples = [{"png": pictures[n], "cls": (3, 7)[n % 2], "txt": f"picture {n}"} for n in range(10)]
    path = shard(tmp_path / "a.tar", samples)
    source = named(path)
    assert (source.total, source.class_names, source.has_captions) == (10, ("3", "7"), True)
    found = whole(source)
    assert found.items == pictures
    assert found.labels == [0, 1] * 5
    assert found.captions == [f"picture {n}" for n in range(10)]
    assert found.paths[4] == "a.tar/000004.png"
    assert whole(source, [1, 4, 9]).items == [pictures[1], pictures[4], pictures[9]]
    theirs = webdataset.WebDataset(str(path), shardshuffle=False)
    assert [sample["png"] for sample in theirs] == found.items
    assert source.notes == ["labels are those of .cls", "captions are those of .txt"]
    assert parse_source(f"tar:{path}").carried() == {"labels", "captions"}


def test_pixels_are_those_that_were_written(prepare: Prepare, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)

    def encoded(image: np.ndarray) -> bytes:
        packed = io.BytesIO()
        Image.fromarray(image).save(packed, "PNG")
        return packed.getvalue()

    shard(tmp_path / "shards/x-0.tar", [{"png": encoded(image), "cls": n % 3} for n, image in enumerate(pixels[:7])])
    shard(tmp_path / "shards/x-1.tar", [{"png": encoded(image), "cls": n % 3} for n, image in enumerate(pixels[7:])])
    _, table = prepare(f"{tmp_path}/shards")
    split = table.split("train")
    assert np.array_equal(split.images.numpy(), pixels)
    assert split.labels is not None
    assert split.labels.tolist() == [n % 3 for n in range(7)] + [n % 3 for n in range(5)]


def test_json_brings_what_other_fields_do_not(picture: Picture, tmp_path: Path) -> None:
    about = [{"label": ("cat", "dog")[n % 2], "caption": f"pet {n}", "width": 8} for n in range(4)]
    path = shard(tmp_path / "a.tar", [{"jpg": picture(n, format="JPEG"), "json": about[n]} for n in range(4)])
    source = named(path)
    assert source.class_names == ("cat", "dog")
    assert whole(source).captions == [f"pet {n}" for n in range(4)]
    assert source.notes == ["labels are those of 'label' in .json", "captions are those of 'caption' in .json"]
    assert source.doubts == [
        "of the samples 'width' in .json are left out: data.image, data.label and data.caption choose fields"
    ]
    plain = open_tar([path], None, Fields(label="none", caption="none"))
    assert (plain.class_names, plain.has_captions) == ((), False)
    assert open_tar([path], None, Fields(label="width")).class_names == ("8",)
    with pytest.raises(RequestError, match=r"data\.label='colour': the samples of .*a\.tar have no such field of text"):
        open_tar([path], None, Fields(label="colour"))


def test_another_picture_of_a_sample_is_left_out_unless_chosen(picture: Picture, tmp_path: Path) -> None:
    samples = [{"png": picture(n), "seg.png": picture(n + 100), "cls": n} for n in range(3)]
    path = shard(tmp_path / "a.tar", samples)
    source = named(path)
    assert whole(source).items == [picture(n) for n in range(3)]
    assert ".seg.png are left out" in source.doubts[0]
    assert whole(open_tar([path], None, Fields(image="seg.png"))).items == [picture(n + 100) for n in range(3)]
    with pytest.raises(
        RequestError, match=r"holds no images in fields 'depth': the files of its samples are \.cls, \.png"
    ):
        open_tar([path], None, Fields(image="depth"))


def test_a_sample_without_a_label_or_picture_is_one_bad_image(picture: Picture, tmp_path: Path) -> None:
    samples: list[dict[str, Any]] = [{"png": picture(n), "cls": n} for n in range(3)]
    samples[1] = {"png": picture(1), "cls": -1}
    samples[2] = {"cls": 2}
    found = whole(named(shard(tmp_path / "a.tar", samples)))
    assert found.labels == [0, None, 1]
    assert str(found.items[2]) == "its sample holds no image"


def test_shards_of_a_folder_bring_their_splits(picture: Picture, tmp_path: Path) -> None:
    for number in range(2):
        shard(tmp_path / f"in/imagenet1k-train-{number:04}.tar", [{"png": picture(number), "cls": 0}])
    shard(tmp_path / "in/validation/0.tar", [{"png": picture(9), "cls": 1}])
    source = named(tmp_path / "in")
    assert dict(source.split_counts) == {"train": 2, "validation": 1}
    assert whole(source).splits == ["train", "train", "validation"]
    assert parse_source(f"tar:{tmp_path}/in").short == "in"


def test_a_pattern_names_shards_in_order(picture: Picture, tmp_path: Path) -> None:
    for number in (8, 9, 10):
        shard(tmp_path / f"train-{number:03}.tar", [{"png": picture(number)}])
    text = f"{tmp_path}/train-{{008..010}}.tar"
    name = parse_source(text)
    assert (name.kind, name.path, name.absolute) == ("tar", tmp_path, f"tar:{text}")
    assert name.short == "train"
    source = name.open()
    assert whole(source).items == [picture(number) for number in (8, 9, 10)]
    assert source.given_splits == frozenset()  # all were picked, whatever they are called
    first = name.digest()
    shard(tmp_path / "train-009.tar", [{"png": picture(90)}, {"png": picture(91)}])
    assert name.digest() != first
    with pytest.raises(RequestError, match=r"there is nothing at .*train-011\.tar"):
        parse_source(f"tar:{tmp_path}/train-{{008..011}}.tar").open()
    both = shard(tmp_path / "val-0.tar", [{"png": picture(1)}]).parent
    assert dict(parse_source(f"tar:{both}/{{train-008,val-0}}.tar").open().split_counts) == {
        "train": 1,
        "validation": 1,
    }


def test_patterns_are_those_of_the_shell() -> None:
    assert patterns("a{1..3}{x,y}") == ["a1x", "a1y", "a2x", "a2y", "a3x", "a3y"]
    assert patterns("{010..008}") == ["010", "009", "008"]
    assert patterns("{date}/a{b}") == ["{date}/a{b}"]
    with pytest.raises(RequestError, match="stands for more than 100000 shards"):
        patterns("{0..999999999}")
    with pytest.raises(RequestError, match="stands for more than 100000 shards"):
        patterns("{0..999}{0..999}")


def test_a_packed_folder_is_read_as_the_folder_is(folder: Folder, tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "test/cat"):
        root = folder(name, range(3))
    for path, mode in ((tmp_path / "pets.tar", "w"), (tmp_path / "pets.tar.gz", "w:gz")):
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            archive.add(root, ".")
        ours, theirs = named(path), FolderSource(root)
        assert (ours.total, ours.class_names, ours.split_counts) == (9, theirs.class_names, theirs.split_counts)
        for mine, other in zip(ours.batches(None, 4), theirs.batches(None, 4), strict=True):
            assert (mine.paths, mine.labels, mine.splits) == (other.paths, other.labels, other.splits)
            assert list(mine.items) == [Path(str(item)).read_bytes() for item in other.items]


def test_a_zipped_shard_gives_the_same(picture: Picture, tmp_path: Path) -> None:
    samples = [{"png": picture(n), "cls": n % 2} for n in range(6)]
    plain, packed = (
        whole(named(shard(tmp_path / "a.tar", samples))),
        whole(named(shard(tmp_path / "b.tar.gz", samples))),
    )
    assert (plain.items, plain.labels) == (packed.items, packed.labels)


@pytest.mark.parametrize("how", ["cut in a picture", "cut between", "a damaged header", "no tar"])
def test_what_is_broken_is_said_and_the_rest_is_read(how: str, picture: Picture, tmp_path: Path) -> None:
    shard(tmp_path / "in/0.tar", [{"png": picture(n), "cls": 0} for n in range(3)])
    bad = shard(tmp_path / "in/1.tar", [{"cls": 1, "png": picture(n + 10)} for n in range(4)])
    content = bytearray(bad.read_bytes())
    with tarfile.open(bad) as archive:
        members = [member for member in archive if member.name.startswith("000002")]
    if how == "cut in a picture":
        content = content[: max(member.offset_data for member in members) + 5]
    elif how == "cut between":
        content = content[: min(member.offset for member in members)]
    elif how == "a damaged header":
        start = min(member.offset for member in members)
        content[start : start + 200] = b"\x07" * 200
    else:
        content = bytearray(b"this is no tar at all" * 100)
    bad.write_bytes(content)
    source = named(tmp_path / "in")
    ((path, reason),) = source.ignored
    assert path == str(bad)
    kept = 0 if how == "no tar" else 1 if how != "cut in a picture" else 2
    assert reason.startswith(f"damaged after {kept} samples: ")
    assert whole(source).items == [picture(n) for n in (*range(3), *range(10, 10 + kept))]
    (tmp_path / "in/0.tar").unlink()
    if how == "no tar":
        with pytest.raises(RequestError, match=r"cannot read .*1\.tar as a tar: damaged after 0 samples"):
            named(tmp_path / "in")


def test_what_holds_no_images_is_a_sentence(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", [{"cls": 1, "txt": "words"}])
    with pytest.raises(RequestError, match=r"a\.tar holds no images: the files of its samples are \.cls, \.txt"):
        named(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match=r"empty holds no \.tar files"):
        named(tmp_path / "empty")


def test_links_and_huge_files_are_not_followed(
    picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("0.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, content in {"1.png": picture(1), "1.cls": b"4", "2.png": bytes(5000), "2.cls": b"4"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setattr("gan_models.data.sources.tar_samples.MEMBER_BYTES", 4000)
    found = whole(named(tmp_path / "a.tar"))
    assert found.items[0] == picture(1)
    assert isinstance(found.items[1], BadImageError)


def test_an_index_is_made_once_for_as_long_as_the_tar_stays(picture: Picture, tmp_path: Path, cache: Path) -> None:
    path = shard(tmp_path / "a.tar", [{"png": picture(n), "cls": n} for n in range(3)])
    first, again = named(path), named(path)
    assert len(list(cache.rglob("*.arrow"))) == 1
    assert whole(first).items == whole(again).items
    shard(path, [{"png": picture(n), "cls": n} for n in range(5)])
    assert named(path).total == 5
    assert len(list(cache.rglob("*"))) == 3  # the folder and two indexes: nothing half-written


def test_shards_of_a_web_server_are_gone_through_once(picture: Picture, tmp_path: Path) -> None:
    pictures = [picture(seed, side=64, mode="RGB") for seed in range(60)]
    with web_site() as site:
        for number in range(2):
            samples = [{"png": each, "json": {"label": n % 2}} for n, each in enumerate(pictures[number * 30 :][:30])]
            site.files[f"/s-{number}.tar"] = shard(tmp_path / f"s-{number}.tar", samples).read_bytes()
        name = parse_source(f"{site.address}/s-{{0..1}}.tar")
        assert (name.kind, name.path, name.needs_network) == ("tar", None, True)
        source = name.open()
        size = sum(map(len, site.files.values()))
        assert site.served < 1.2 * size
        assert whole(source).items == pictures
        before = site.served
        assert name.carried() == {"labels"}
        assert site.served == before  # the index is known


def test_tables_in_a_packed_folder_are_read_as_in_a_folder(folder: Folder, tmp_path: Path) -> None:
    root = folder(".", range(4))
    (root / "metadata.csv").write_text("file_name,label\n" + "".join(f"{n:04}.png,{'ab'[n % 2]}\n" for n in range(4)))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(root, ".")
    source = named(tmp_path / "a.tar")
    assert source.class_names == ("a", "b")
    assert whole(source).labels == [0, 1, 0, 1]


def test_numbers_of_one_shard_and_names_of_another_are_names(picture: Picture, tmp_path: Path) -> None:
    for number, value in enumerate(("7", "cat")):
        shard(tmp_path / f"in/{number}.tar", [{"png": picture(number), "cls": value.encode()}])
    source = named(tmp_path / "in")
    assert source.class_names == ("7", "cat")
    assert whole(source).labels == [0, 1]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_whatever_is_damaged_is_said(ending: str, picture: Picture, tmp_path: Path) -> None:
    path = shard(tmp_path / f"a{ending}", [{"png": picture(n), "json": {"label": n % 2}} for n in range(6)])
    whole_file = path.read_bytes()
    for seed in range(60):
        chosen, content = np.random.default_rng(seed), bytearray(whole_file)
        for place in chosen.integers(0, len(content), 16):
            content[place] = chosen.integers(0, 256)
        path.write_bytes(content)
        said = "read"
        try:
            source = named(path)
            with reading(f"tar:{path}"):
                list(source.batches(None, 3))
        except (RequestError, RunError) as error:
            said = str(error)
        assert said == "read" or "a.tar" in said
