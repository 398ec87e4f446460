"""Training from a table that stays on the disk: the same images in the same order, so the same weights bit for bit."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from gan_models.data import table_writer
from gan_models.data.table import AnySplit, EpochSampler, ImageTable, MappedRows, MappedSplit, Split, TableMetadata
from gan_models.data.table_file import SHARDS_FOLDER
from gan_models.data.table_writer import TableWriter
from gan_models.errors import RequestError
from gan_models.recipes import Recipe
from gan_models.sampling.generator import load_generator
from gan_models.training.feeding import AHEAD, Feed
from gan_models.training.loop import Stopped, train

SmallRecipe = Callable[..., Recipe]
Digits = tuple[Split, TableMetadata]


class Recorder:
    def __init__(self, stop_at: int = 0) -> None:
        self.steps, self.stop_at = 0, stop_at
        self.metrics: list[Mapping[str, float]] = []

    def progress(self, step: int, figures: Mapping[str, float]) -> None: ...

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None:
        self.metrics.append(metrics)

    def note(self, sentence: str) -> None: ...

    def stop_requested(self) -> bool:
        self.steps += 1
        return self.steps == self.stop_at


def written(folder: Path, digits: Digits, count: int = 100) -> ImageTable:
    split, metadata = digits
    folder.mkdir()
    writer = TableWriter(folder, 8, 8, 1)
    assert split.labels is not None
    labels = split.labels[:count].tolist()
    splits = ["test" if row % 7 == 3 else "train" for row in range(count)]
    writer.append(split.images[:count].numpy(), labels, splits, [*split.paths[:count]])
    writer.close(metadata.class_names, "digits", {})
    return ImageTable.open(folder)


@pytest.fixture
def table(digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageTable:
    monkeypatch.setattr(table_writer, "SHARD_ROWS", 16)
    return written(tmp_path / "table", digits)


def trained(recipe: Recipe, split: AnySplit, table: ImageTable, folder: Path, reporter: Recorder | None = None):
    metadata, cpu = table.metadata, torch.device("cpu")
    train(recipe, split, metadata, folder, seed=3, device=cpu, reporter=reporter or Recorder())
    return load_generator(folder / "generators/step-000012").module.state_dict()


@pytest.mark.parametrize("name", ["dcgan", "wgan", "cgan-projection", "sgan"])
def test_a_mapped_table_trains_as_a_loaded_one_and_resumes_within_an_epoch(
    name: str, table: ImageTable, tmp_path: Path, small_recipe: SmallRecipe
) -> None:
    """86 images make five batches of 16: step 8 is in the middle of the second epoch."""
    recipe = small_recipe(name, "data.size=8", *(["game.labels_per_class=3"] if name == "sgan" else []))
    loaded, mapped = table.split("train"), table.mapped("train")
    expected = trained(recipe, loaded, table, tmp_path / "loaded")
    told = Recorder()
    found = trained(recipe, mapped, table, tmp_path / "mapped", told)
    with pytest.raises(Stopped):
        trained(recipe, mapped, table, tmp_path / "stopped", Recorder(stop_at=8))
    resumed = trained(recipe, mapped, table, tmp_path / "stopped")
    for weights in (found, resumed):
        assert all(torch.equal(weights[key], value) for key, value in expected.items())
    assert all(0 <= metrics["data_wait"] <= 1 for metrics in told.metrics)


def test_batches_are_loaded_ahead_and_what_is_asked_for_comes(table: ImageTable) -> None:
    mapped, loaded = table.mapped("train"), table.split("train")
    samplers = {size: EpochSampler(len(mapped), size, seed=1) for size in (4, 10)}
    asked: list[tuple[int, int]] = [(4, 0), (4, 1), (4, 2), (10, 1), (10, 2), (4, 9), (4, 10), (4, 3)]
    feeds = [Feed(split, samplers, frozenset({"labels"})) for split in (mapped, loaded)]
    for request in asked:
        ours, theirs = (feed.batch(*request) for feed in feeds)
        assert torch.equal(ours.images, theirs.images)
        assert ours.labels is not None
        assert theirs.labels is not None
        assert torch.equal(ours.labels, theirs.labels)
    assert [key for key, _ in feeds[0]._coming] == [(4, 4 + number) for number in range(AHEAD)]
    feeds[0].close()


def test_damage_met_on_the_way_is_a_sentence(table: ImageTable, tmp_path: Path, small_recipe: SmallRecipe) -> None:
    mapped = table.mapped("train")
    assert isinstance(mapped, MappedSplit)
    file = tmp_path / "table" / SHARDS_FOLDER / "00003.arrow"
    pixels = table.split("train").images[3 * 14].numpy().tobytes()  # in the fourth shard
    content = file.read_bytes()
    with file.open("rb+") as opened:  # under the mapping
        opened.seek(content.index(pixels))
        opened.write(bytes([pixels[0] ^ 1]))
    with pytest.raises(RequestError, match=r"00003\.arrow is damaged"):
        trained(small_recipe("dcgan", "data.size=8"), mapped, table, tmp_path / "run")


def test_each_process_reads_its_own_rows_of_a_batch(table: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = table.mapped("train")
    sampler = {8: EpochSampler(len(mapped), 8, seed=2)}
    feed = Feed(mapped, sampler, frozenset())
    whole = [feed.batch(8, number).images for number in range(12)]
    feed.close()
    sizes: list[int] = []
    original = MappedRows._read
    monkeypatch.setattr(MappedRows, "_read", lambda of, rows: (sizes.append(len(rows)), original(of, rows))[1])
    for rank in (0, 1):
        monkeypatch.setattr("gan_models.ranks.share", lambda rows, rank=rank: rows.tensor_split(2)[rank])
        feed = Feed(mapped, sampler, frozenset())
        shares = [feed.batch(8, number).images for number in range(12)]
        feed.close()
        for share, batch in zip(shares, whole, strict=True):
            assert torch.equal(share, batch[4 * rank : 4 * rank + 4])
    assert len(sizes) >= 24
    assert set(sizes) == {4}  # of the whole batch nothing else is read
