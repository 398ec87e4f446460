"""Data sets as `datasets` writes them, saved in a folder or fetched by their names."""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from gan_models.data.decoding import whole_image
from gan_models.data.sources import parse_source
from gan_models.data.sources.base import Batch, Fields, Source
from gan_models.errors import RequestError, RunError
from tests.components.prepare_data.conftest import Picture, Prepare

PIXELS = np.random.default_rng(2).integers(0, 256, (40, 8, 8, 3), np.uint8)


def made(rows: range, **more: list[Any]) -> datasets.Dataset:
    columns: dict[str, list[Any]] = {
        "image": [Image.fromarray(PIXELS[row]) for row in rows],
        "label": [row % 2 for row in rows],
        **more,
    }
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    features |= {name: datasets.Value("string") for name in more}
    return datasets.Dataset.from_dict(columns, datasets.Features(features))


def whole(source: Source, rows: list[int] | None = None) -> Batch:
    batches = list(source.batches(rows, 7))
    assert all(len(batch) <= 7 for batch in batches)
    fields = ("items", "paths", "labels", "splits", "captions")
    return Batch(**{name: [each for batch in batches for each in getattr(batch, name)] for name in fields})


def test_a_saved_data_set_is_read_pixel_for_pixel(tmp_path: Path, prepare: Prepare) -> None:
    captions = [f"pet {row}" for row in range(30)]
    both = datasets.DatasetDict(
        {"train": made(range(30), caption=captions), "test": made(range(30, 40), caption=["x"] * 10)}
    )
    both.save_to_disk(str(tmp_path / "pets"))
    name = parse_source(str(tmp_path / "pets"))  # by what it looks like
    assert (name.kind, name.path, name.needs_network, name.short) == ("hf", tmp_path / "pets", False, "pets")
    source = name.open()
    assert (source.total, source.class_names, source.split_counts) == (40, ("cat", "dog"), {"train": 30, "test": 10})
    found = whole(source)
    assert found.labels == [row % 2 for row in range(40)]
    assert found.captions[:30] == captions
    assert found.splits == ["train"] * 30 + ["test"] * 10
    assert whole(source, [0, 8, 31]).items == [found.items[row] for row in (0, 8, 31)]
    _, table = prepare(f"hf:{tmp_path}/pets")
    assert np.array_equal(table.split("train").images.numpy(), PIXELS[:30])
    assert np.array_equal(table.split("test").images.numpy(), PIXELS[30:])
    assert name.carried() == {"labels", "captions"}
    first = name.digest()
    made(range(3)).save_to_disk(str(tmp_path / "pets/train"))
    assert name.digest() != first


def test_rows_that_were_picked_or_shuffled_come_in_their_order(tmp_path: Path) -> None:
    made(range(40)).shuffle(seed=1).select(range(25)).save_to_disk(str(tmp_path / "some"))
    kept = datasets.load_from_disk(str(tmp_path / "some"))
    source = parse_source(f"hf:{tmp_path}/some").open()
    assert (source.total, source.given_splits) == (25, frozenset())
    found = np.stack([np.asarray(whole_image(item)) for item in whole(source).items])
    assert np.array_equal(found, np.stack([np.asarray(each["image"]) for each in kept]))


def test_columns_are_chosen_as_in_parquet(tmp_path: Path) -> None:
    made(range(10), colour=["red", "blue"] * 5).save_to_disk(str(tmp_path / "a"))
    source = parse_source(f"hf:{tmp_path}/a", Fields(label="colour")).open()
    assert source.class_names == ("blue", "red")
    assert "the columns label are left out" in source.doubts[0]
    with pytest.raises(RequestError, match=r"data\.label='color': .* did you mean 'colour'\?"):
        parse_source(f"hf:{tmp_path}/a", Fields(label="color")).open()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the hub: `datasets` itself reads `user/pets` from there."""
    (tmp_path / "hub/user").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "hub")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "hub/user/pets/data"
    place.mkdir(parents=True)
    made(range(30)).to_parquet(place / "train-00000-of-00001.parquet")
    made(range(30, 40)).to_parquet(place / "test-00000-of-00001.parquet")
    return tmp_path / "hub"


def test_a_name_is_fetched_by_datasets(hub: Path, prepare: Prepare) -> None:
    name = parse_source("hf:user/pets")
    assert (name.path, name.needs_network, name.absolute, name.short) == (None, True, "hf:user/pets", "pets")
    assert name.carried() == {"labels"}
    assert name.digest() == name.digest()
    _, table = prepare("hf:user/pets")
    assert table.metadata.class_names == ("cat", "dog")
    assert np.array_equal(table.split("train").images.numpy(), PIXELS[:30])


def test_other_splits_are_left_out_with_a_word(hub: Path) -> None:
    made(range(4)).to_parquet(hub / "user/pets/data/extra-00000-of-00001.parquet")
    source = parse_source("hf:user/pets").open()
    assert source.total == 40
    assert "the splits extra are left out: they are called neither train nor test" in source.doubts


def test_what_is_not_there_is_a_sentence(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(RequestError, match="is no data set that save_to_disk wrote"):
        parse_source(f"hf:{tmp_path}/plain").open()
    with pytest.raises(RequestError, match="there is nothing; write hf:<user/name>"):
        parse_source("hf:./nowhere").open()
    with pytest.raises(RequestError, match="data sets are called name, user/name"):
        parse_source("hf:a/b/c")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises((RequestError, RunError), match="hf:nobody/nothing"):
        parse_source("hf:nobody/nothing").open()
    monkeypatch.setattr("gan_models.data.sources.hub.find_spec", lambda package: None)
    with pytest.raises(
        RequestError, match=r"package datasets, which is not installed: pip install gan-pipeline\[hub\]"
    ):
        parse_source("hf:user/pets").carried()


def test_a_picture_that_is_no_picture_is_quarantined(tmp_path: Path, picture: Picture) -> None:
    features = datasets.Features({"image": datasets.Image()})
    rows = [{"bytes": picture(1), "path": None}, {"bytes": b"words", "path": None}]
    datasets.Dataset.from_dict({"image": rows}, features).save_to_disk(str(tmp_path / "a"))
    assert whole(parse_source(f"hf:{tmp_path}/a").open()).items == [picture(1), b"words"]
