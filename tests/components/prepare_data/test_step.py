"""The stage from a request to a data set on disk."""

import csv
import functools
import json
import operator
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from components.prepare_data.step import Request, run
from components.stage.failures import Interrupted
from components.stage.stage import RunContext, Stage, open_stage
from gan_models.data.preparing import table_building
from gan_models.data.table import ImageTable
from gan_models.data.table_file import TableFile
from gan_models.errors import RequestError, RunError
from gan_models.recipes.schema import Data

REPO = Path(__file__).parents[3]
SHARED = REPO.parent / "shared" / "data"
FILES = {"table.json", "shards", "preview.png", "quarantine.csv", "duplicates.csv", "summary.json"}

Prepare = Callable[..., Any]
Folder = Callable[[str, range], Path]
Picture = Callable[..., bytes]


def lines(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def summary(tmp_path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((tmp_path / "dataset/summary.json").read_text())
    return content


def captions(dataset: Path) -> list[str | None]:
    """Of a table's rows, by their paths."""
    shards = [shard.batch.select(["path", "caption"]).to_pylist() for shard in TableFile(dataset).shards()]
    return [row["caption"] for row in sorted(functools.reduce(operator.iadd, shards, []), key=lambda row: row["path"])]


def test_default_data_set(prepare: Prepare, tmp_path: Path) -> None:
    result, table = prepare("digits", validation=0.1, test=0.1)
    assert {file.name for file in (tmp_path / "dataset").iterdir()} == FILES
    assert result.images == 1797
    assert sum(result.splits.values()) == 1797
    assert result.splits["validation"] == pytest.approx(180, abs=40)
    assert (result.channels, result.height, result.width, result.classes) == (1, 8, 8, 10)
    assert result.fingerprint == table.metadata.fingerprint
    assert table.metadata.options["size"] == 8
    split = table.split("test")
    assert split.images.dtype == torch.uint8
    assert split.images.shape == (result.splits["test"], 8, 8, 1)
    assert split.labels is not None
    assert set(split.labels.tolist()) == set(range(10))
    whole = summary(tmp_path)
    assert whole["splits"] == result.splits
    assert sum(whole["counts"]["train"].values()) == result.splits["train"]
    assert lines(tmp_path / "dataset/quarantine.csv") == [["path", "reason"]]


def test_pixels_labels_and_paths_stay_together(prepare: Prepare, folder: Folder) -> None:
    folder("cat", range(20))
    root = folder("dog", range(20, 40))
    _, table = prepare(f"folder:{root}", test=0.5)
    seen = 0
    for name in ("train", "test"):
        split = table.split(name)
        assert split.labels is not None
        for image, label, path in zip(split.images, split.labels.tolist(), split.paths, strict=True):
            assert np.array_equal(image[..., 0].numpy(), np.asarray(Image.open(root / path)))
            assert table.metadata.class_names[label] == Path(path).parent.name
            seen += 1
    assert seen == 40


def test_same_request_same_bytes(prepare: Prepare, folder: Folder, tmp_path: Path) -> None:
    root = folder("", range(300))
    first, _ = prepare(f"folder:{root}", test=0.2)
    before = {path: path.read_bytes() for path in (tmp_path / "dataset").rglob("*.*")}
    again, _ = prepare(f"folder:{root}", test=0.2)
    assert again.fingerprint == first.fingerprint
    assert {path: path.read_bytes() for path in (tmp_path / "dataset").rglob("*.*")} == before


def test_number_of_cores_changes_nothing(prepare: Prepare, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder("", range(300))
    monkeypatch.setattr(table_building, "BATCH_ITEMS", 16)
    fingerprints = set()
    for cores in (1, 3):
        monkeypatch.setattr(table_building, "available_cores", lambda cores=cores: cores)
        fingerprints.add(prepare(f"folder:{root}", test=0.2)[0].fingerprint)
    assert len(fingerprints) == 1


def test_options_and_order_of_splits_are_part_of_the_fingerprint(prepare: Prepare) -> None:
    requests: list[dict[str, Any]] = [
        {},
        {"resize": "box", "size": 9},
        {"channels": "rgb"},
        {"test": 0.1},
        {"max_images": 900},
    ]
    requests.append({"test": 0.1, "split_seed": 1})
    assert len({prepare("digits", **options)[0].fingerprint for options in requests}) == len(requests)


def test_growing_data_moves_no_image(prepare: Prepare, folder: Folder) -> None:
    def splits() -> dict[str, str]:
        _, table = prepare(f"folder:{root}", validation=0.2, test=0.2)
        return {path: name for name in table.metadata.counts for path in table.split(name).paths}

    root = folder("", range(0, 120, 2))
    before = splits()
    folder("", range(1, 120, 2))
    assert splits().items() >= before.items()


def test_a_limit_takes_from_everywhere(prepare: Prepare) -> None:
    result, table = prepare("mnist-5k", max_images=200)
    assert result.images == 200
    assert min(table.metadata.counts["train"].values()) >= 5


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_channels_follow_the_images(
    prepare: Prepare, tmp_path: Path, picture: Picture, mode: str, channels: int
) -> None:
    (tmp_path / "in").mkdir()
    for seed in range(4):
        (tmp_path / f"in/{seed}.png").write_bytes(picture(seed, mode=mode))
    result, table = prepare(f"folder:{tmp_path}/in")
    assert result.channels == channels
    assert table.split("train").images.shape == (4, 8, 8, channels)
    assert prepare(f"folder:{tmp_path}/in", channels="grey")[0].channels == 1
    assert summary(tmp_path)["colour_made_grey"] == (4 if mode == "RGB" else 0)
    assert prepare(f"folder:{tmp_path}/in", channels="rgb")[0].channels == 3


def test_one_colour_image_makes_all_rgb(prepare: Prepare, folder: Folder, picture: Picture) -> None:
    root = folder("", range(5))
    (root / "colour.jpg").write_bytes(picture(9, mode="RGB", format="JPEG"))
    assert prepare(f"folder:{root}")[0].channels == 3


def test_bad_images_are_quarantined_with_their_reasons(
    prepare: Prepare, folder: Folder, picture: Picture, tmp_path: Path
) -> None:
    root = folder("", range(20))
    (root / "empty.png").touch()
    (root / "text.jpg").write_text("not an image")
    (root / "cut.png").write_bytes(picture(99, side=64)[:500])
    (root / "gone.png").symlink_to(root / "nowhere.png")
    (root / "notes.txt").write_text("beside the images")
    result, table = prepare(f"folder:{root}", max_bad_share=0.2)
    assert (result.images, result.bad) == (20, 4)
    assert len(table.split("train")) == 20
    listed = dict(lines(tmp_path / "dataset/quarantine.csv")[1:])
    assert list(listed) == ["notes.txt", "cut.png", "empty.png", "gone.png", "text.jpg"]
    assert "truncated" in listed["cut.png"]
    assert listed["empty.png"] == "the file is empty"
    assert listed["text.jpg"] == "not an image of a known format"
    assert summary(tmp_path)["ignored"] == 1


def test_too_many_bad_images_stop_the_stage(prepare: Prepare, folder: Folder, tmp_path: Path) -> None:
    root = folder("", range(18))
    for name in ("a.png", "b.png"):
        (root / name).write_text("not an image")
    with pytest.raises(RequestError) as error:
        prepare(f"folder:{root}", max_bad_share=0.09)
    sentence = str(error.value)
    kept = tmp_path / "dataset.quarantine.csv"
    assert sentence.startswith("2 of 20 images of folder:")
    assert "10.0%; data.max_bad_share allows 9.0%" in sentence
    assert "the first: a.png (not an image of a known format)" in sentence
    assert sentence.endswith(str(kept))
    assert len(lines(kept)) == 3
    assert not (tmp_path / "dataset").exists()
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    prepare(f"folder:{root}", max_bad_share=0.1)
    assert not kept.exists()


def test_nothing_but_bad_images(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_text("not an image")
    with pytest.raises(RequestError, match="2 of 2 images of"):
        prepare(f"folder:{tmp_path}/in", max_bad_share=1.0)


def test_images_beside_class_folders_have_no_label(
    prepare: Prepare, folder: Folder, picture: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    folder("cat", range(5))
    root = folder("dog", range(5, 10))
    (root / "stray.png").write_bytes(picture(77))
    result, table = prepare(f"folder:{root}")
    assert (result.images, result.bad) == (11, 0)
    assert table.split("train").labels.tolist() == [*[0] * 5, *[1] * 5, -1]
    assert len(table.split("train").labelled()) == 10
    assert table.metadata.counts == {"train": {"cat": 5, "dog": 5, "": 1}}
    assert "1 images have no label, or one that is not among the classes: they are kept" in capsys.readouterr().err


def test_images_without_a_label_are_left_out_where_all_need_one(
    prepare: Prepare, folder: Folder, picture: Picture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are no bad images: `max_bad_share` is not about them."""
    folder("cat", range(5))
    root = folder("dog", range(5, 10))
    for number in range(5):
        (root / f"stray{number}.png").write_bytes(picture(77 + number))
    result, table = prepare(f"folder:{root}", unlabelled="drop", max_bad_share=0.0)
    assert (result.images, result.bad) == (10, 0)
    assert lines(tmp_path / "dataset/quarantine.csv")[1] == ["stray0.png", table_building.NO_LABEL]
    assert table.metadata.counts == {"train": {"cat": 5, "dog": 5}}
    assert "5 images have no label, or one that is not among the classes: they are left out" in (
        capsys.readouterr().err
    )


def test_given_splits_and_leaks(prepare: Prepare, folder: Folder, tmp_path: Path) -> None:
    folder("train/cat", range(30))
    folder("train/dog", range(30, 60))
    folder("val/cat", range(60, 70))
    folder("val/dog", range(68, 72))  # 68, 69: twice in one split, under two labels
    root = folder("test/dog", range(55, 60))  # all five are training images
    folder("test/cat", range(80, 90))
    result, table = prepare(f"folder:{root}", validation=0.4, test=0.4)
    assert result.splits == {"train": 60, "validation": 14, "test": 10}
    assert (result.leaks, result.duplicates) == (5, 7)
    assert sorted(table.split("test").paths) == [f"test/cat/{seed:04}.png" for seed in range(80, 90)]
    assert table.metadata.counts["test"] == {"cat": 10, "dog": 0}
    listed = lines(tmp_path / "dataset/duplicates.csv")
    assert listed[0] == ["path", "split", "duplicate_of", "duplicate_of_split", "removed"]
    assert ["test/dog/0055.png", "test", "train/dog/0055.png", "train", "yes"] in listed
    assert ["val/dog/0068.png", "validation", "val/cat/0068.png", "validation", "no"] in listed
    assert summary(tmp_path)["duplicates"] == {
        "within_splits": 2,
        "across_splits_removed": 5,
        "removed": 5,
        "with_different_labels": 2,
    }


def test_of_repeated_images_one_is_kept_so_that_splits_stay_alike(
    prepare: Prepare, folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder("", range(120))
    for copy in range(80):
        shutil.copy(root / "0007.png", root / f"blank{copy}.png")
    result, table = prepare(f"folder:{root}", validation=0.2, test=0.2)
    assert (result.images, result.duplicates) == (120, 80)
    assert sum("0007" in path or "blank" in path for name in result.splits for path in table.split(name).paths) == 1
    assert summary(tmp_path)["duplicates"]["removed"] == 80
    assert "80 images equal others pixel by pixel: one of each is kept" in capsys.readouterr().err

    kept, table = prepare(f"folder:{root}", validation=0.2, test=0.2, repeats="keep")
    assert kept.images == 200
    for name in kept.splits:
        paths = table.split(name).paths
        assert sum("blank" in path for path in paths) / len(paths) == pytest.approx(0.4, abs=0.15)


def test_table_without_leaks_is_what_clean_data_give(prepare: Prepare, folder: Folder, tmp_path: Path) -> None:
    folder("train", range(10))
    root = folder("test", range(10, 15))
    clean, _ = prepare(f"folder:{root}")
    folder("test", range(3, 4))
    leaky, _ = prepare(f"folder:{root}")
    assert leaky.leaks == 1
    assert leaky.fingerprint == clean.fingerprint


def test_split_that_was_all_leak(prepare: Prepare, folder: Folder) -> None:
    folder("train", range(10))
    root = folder("test", range(3))
    with pytest.raises(RequestError, match=r"none of the 10 images .* test split after 3 were removed"):
        prepare(f"folder:{root}")


def test_missing_split_is_taken_from_the_training_images(prepare: Prepare, folder: Folder) -> None:
    folder("train", range(200))
    root = folder("test", range(200, 220))
    _, table = prepare(f"folder:{root}", validation=0.2, test=0.2)
    counts = {name: table.metadata.count(name) for name in table.metadata.counts}
    assert counts["test"] == 20
    assert counts["validation"] == pytest.approx(40, abs=20)
    assert all(path.startswith("train/") for path in table.split("validation").paths)


def test_too_few_images_for_the_splits(prepare: Prepare, folder: Folder) -> None:
    with pytest.raises(RequestError, match=r"none of the 2 images .* split: give more images"):
        prepare(f"folder:{folder('', range(2))}", validation=0.1, test=0.1)


def test_one_image(prepare: Prepare, folder: Folder) -> None:
    with pytest.raises(RequestError, match="holds one image only"):
        prepare(f"folder:{folder('', range(1))}")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("mnist5k", "did you mean 'mnist-5k'"),
        ("torchvision:FashionMIST", "did you mean 'torchvision:FashionMNIST'"),
        ("folder:/nowhere/at/all", "there is nothing at /nowhere/at/all"),
    ],
)
def test_wrong_requests_leave_nothing(prepare: Prepare, tmp_path: Path, source: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        prepare(source)
    assert not (tmp_path / "dataset").exists()


def test_captions_reach_the_table(prepare: Prepare, tmp_path: Path, picture: Picture) -> None:
    table = pa.table({"image": [picture(seed) for seed in range(3)], "caption": ["a", None, "c"]})
    pq.write_table(table, tmp_path / "a.parquet")
    prepare(f"parquet:{tmp_path}/a.parquet")
    assert captions(tmp_path / "dataset") == ["a", None, "c"]


def test_a_caption_as_long_as_a_book_costs_its_row(prepare: Prepare, tmp_path: Path, picture: Picture) -> None:
    table = pa.table({"image": [picture(seed) for seed in range(3)], "caption": ["a", "b" * 10_001, "c" * 10_000]})
    pq.write_table(table, tmp_path / "data.parquet")
    prepare(f"parquet:{tmp_path / 'data.parquet'}", validation=0.0, test=0.0, max_bad_share=0.5)
    assert captions(tmp_path / "dataset") == ["a", "c" * 10_000]
    assert lines(tmp_path / "dataset/quarantine.csv")[1:] == [
        ["data.parquet#1", "its caption has 10001 characters, the limit is 10000"]
    ]


def test_captions_and_domains_are_learnt_and_survive_leaks(prepare: Prepare, tmp_path: Path, picture: Picture) -> None:
    seeds = [0, 1, 2, 3, 3]
    columns = {
        "image": [picture(seed) for seed in seeds],
        "caption": ["a cat", "a dog", None, "the cat", "an ape"],
        "domain": ["night", "day", "day", "night", "dusk"],
        "split": ["train", "train", "train", "train", "test"],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(RequestError, match=r"none of the 4 images .* is in the test split"):
        prepare(f"parquet:{tmp_path}/a.parquet")
    columns = {name: [*values, values[-1]] for name, values in columns.items()}
    columns["image"][-1] = picture(4)
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    result, table = prepare(f"parquet:{tmp_path}/a.parquet")
    assert (result.leaks, result.domains, result.words) == (1, 3, 4)
    assert table.metadata.domain_names == ("day", "dusk", "night")
    assert table.metadata.words == ("a", "cat", "dog", "the")
    train, test = table.split("train"), table.split("test")
    assert train.captions.tolist() == [[1, 2], [1, 3], [0, 0], [4, 2]]
    assert train.domains.tolist() == [2, 0, 0, 2]
    assert test.captions.tolist() == [[0]]
    assert test.domains.tolist() == [1]
    assert summary(tmp_path)["domains"] == ["day", "dusk", "night"]


def test_images_without_a_domain_are_quarantined(prepare: Prepare, tmp_path: Path, picture: Picture) -> None:
    table = pa.table({"image": [picture(seed) for seed in range(4)], "domain": ["b", None, "a", "b"]})
    pq.write_table(table, tmp_path / "a.parquet")
    result, prepared = prepare(f"parquet:{tmp_path}/a.parquet", max_bad_share=0.5)
    assert (result.images, result.bad) == (3, 1)
    assert lines(tmp_path / "dataset/quarantine.csv")[1] == ["a.parquet#1", "it has no domain"]
    assert prepared.split("train").domains.tolist() == [1, 0, 1]


def test_file_names_that_are_not_text(prepare: Prepare, folder: Folder, picture: Picture) -> None:
    root = folder("", range(3))
    with open(os.fsencode(root) + b"/\xff.png", "wb") as file:  # noqa: PTH123 - such a name has no Path
        file.write(picture(5))
    with open(os.fsencode(root) + b"/\xfe.png", "wb") as file:  # noqa: PTH123
        file.write(b"not an image")
    result, table = prepare(f"folder:{root}", max_bad_share=0.5)
    assert result.images == 4
    assert "\\udcff.png" in table.split("train").paths


def test_damaged_source_is_a_sentence(prepare: Prepare, tmp_path: Path, picture: Picture) -> None:
    table = pa.table({"image": [picture(seed, side=32) for seed in range(400)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = bytes(3000)
    (tmp_path / "a.parquet").write_bytes(content)
    for channels in ("grey", "auto"):
        with pytest.raises(RunError, match=r"^parquet:.*a\.parquet could not be read: "):
            prepare(f"parquet:{tmp_path}/a.parquet", channels=channels)
        assert not (tmp_path / "dataset").exists()


def test_place_that_cannot_be_written(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    request = Request(data=Data(source="digits", size=8), output=tmp_path / "file" / "dataset")
    with pytest.raises(RequestError, match=r"cannot write the data set to .*choose another place"):
        run(request, stage)


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes with setrlimit")
def test_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    program = f"""
import resource
from pathlib import Path
from components.prepare_data.step import Request, run
from components.stage.stage import RunContext, open_stage
from gan_models.errors import RunError
from gan_models.recipes.schema import Data
with open_stage("prepare_data", RunContext(state_dir={str(tmp_path / "state")!r})) as stage:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        run(Request(data=Data(source="digits", size=32), output=Path({str(tmp_path / "out/dataset")!r})), stage)
    except RunError as error:
        print(error)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "writing the data set to" in ended.stdout, ended.stderr
    assert "free some space" in ended.stdout
    assert list((tmp_path / "out").iterdir()) == []


def test_failure_keeps_the_data_set_that_was_there(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = prepare("digits")

    def fail(*_: object) -> None:
        raise RunError("the power went")

    monkeypatch.setattr(table_building.Preview, "draw", fail)
    with pytest.raises(RunError, match="the power went"):
        prepare("digits", size=16)
    assert ImageTable.open(tmp_path / "dataset").metadata.fingerprint == before.fingerprint


def test_stop_is_heard(tmp_path: Path) -> None:
    with open_stage("prepare_data", RunContext(state_dir=str(tmp_path))) as stage:
        stage._stop._requested = True
        with pytest.raises(Interrupted):
            run(Request(data=Data(source="digits", size=8), output=tmp_path / "dataset"), stage)
    assert not (tmp_path / "dataset").exists()


def test_everything_is_told_to_the_tracking_server(tmp_path: Path) -> None:
    context = RunContext(state_dir=str(tmp_path), tracking_uri="http://127.0.0.1:9", relay="external")
    with open_stage("prepare_data", context) as stage:
        result = run(Request(data=Data(source="digits", size=8), output=tmp_path / "dataset"), stage)
    (journal,) = context.tracking_folder.glob("prepare_data.jsonl")
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    values = {
        key: value
        for entry in entries
        if isinstance(entry.get("values"), dict)
        for key, value in entry["values"].items()
    }
    assert values["data.source"] == "digits"
    assert values["images"] == 1797
    assert values["images_train"] == result.splits["train"]
    (dataset,) = [entry for entry in entries if entry["kind"] == "dataset"]
    assert dataset["fingerprint"] == result.fingerprint
    (headline,) = [entry for entry in entries if entry["kind"] == "headline"]
    assert headline["markdown"].startswith("**Data** `digits`: 1797 images 8x8 grey, 10 classes")
    assert {entry["kind"] for entry in entries} >= {"image", "artifact", "params", "metrics"}


def test_torch_is_not_needed() -> None:
    program = (
        "import sys, components.prepare_data.step, gan_models.data.preparing.inspection; print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """Ten times the images (144 MB of pixels more): the peak memory of the process stays where it was."""
    program = """
import resource, sys
from pathlib import Path
import numpy as np
from PIL import Image
from gan_models.data.decoding import Target
from gan_models.data.shape import Size
from gan_models.data.sources.base import Batch, Source
from gan_models.data.preparing.table_building import build_table
from gan_models.recipes.schema import Data

class Flood(Source):
    def __init__(self, total):
        self.total = total
    def batches(self, rows, items):
        for start in range(0, self.total, items):
            numbers = range(start, min(start + items, self.total))
            images = [Image.fromarray(np.full((50, 50, 3), number % 251, np.uint8)) for number in numbers]
            yield Batch(images, [f"{number}" for number in numbers], [None] * len(images), [None] * len(images))

folder = Path(sys.argv[1])
folder.mkdir()
built = build_table(Flood(int(sys.argv[2])), Target(Size.square(50), 3), Data(size=50), folder, lambda *_: None)
assert built.total == int(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    peaks = []
    for count in (2_000, 20_000):
        command = [sys.executable, "-c", program, str(tmp_path / str(count)), str(count)]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(ended.stdout))
    assert peaks[1] - peaks[0] < 60, peaks


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "mnist").is_dir(), reason="no shared/data/mnist beside the repository")
def test_all_of_mnist(prepare: Prepare) -> None:
    result, table = prepare(f"parquet:{SHARED}/mnist", validation=0.1, size=32)
    assert result.images == 70_000
    assert result.splits["test"] == 10_000
    assert (result.channels, result.bad, table.metadata.class_names) == (1, 0, tuple("0123456789"))


@pytest.mark.skipif(not (SHARED / "cifar10").is_dir(), reason="no shared/data/cifar10 beside the repository")
def test_some_of_cifar10(prepare: Prepare) -> None:
    result, table = prepare(f"parquet:{SHARED}/cifar10/test.parquet", size=32, test=0.2, max_images=2000)
    assert (result.images, result.channels, result.classes) == (2000, 3, 10)
    assert table.metadata.class_names[0] == "airplane"
