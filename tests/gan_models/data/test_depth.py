"""Images of 16 bits: kept from the file to the table, to training, and to the images that are written."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gan_models as gm
from gan_models.data.decoding import Target, decode_batch
from gan_models.data.preparing.inspection import inspect
from gan_models.data.shape import Size
from gan_models.data.table import ImageTable, in_eight_bits, to_float, to_uint16
from gan_models.errors import RequestError
from gan_models.games.base import Batch
from gan_models.recipes.schema import Data
from gan_models.sampling.streaming import write_each
from gan_models.tasks.base import Asked

rng = np.random.default_rng(3)
SCANS = rng.integers(0, 65536, (40, 8, 8)).astype(np.uint16)
SCANS[:, 0, 0] = 65535


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("source") / "scans"
    place.mkdir()
    for number, values in enumerate(SCANS):
        Image.fromarray(values).save(place / f"{number:02d}.{'png' if number % 2 else 'tiff'}")
    return place


@pytest.fixture(scope="module")
def table(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> ImageTable:
    return gm.prepare(scans, tmp_path_factory.mktemp("data") / "scans", size=8, depth=16, progress=False)


def test_every_value_is_in_the_table_and_in_training(table: ImageTable) -> None:
    assert table.metadata.depth == 16
    split = table.fitting("train")
    assert split.images[:].dtype == torch.uint16
    for path, image in zip(split.paths, split.images[:].numpy(), strict=True):
        assert np.array_equal(image[..., 0], SCANS[int(Path(path).stem)])
    batch = Batch.of(split, torch.arange(4), frozenset())
    assert batch.images.dtype == torch.float32
    assert torch.equal(to_uint16(batch.images), split.images[:][:4])


def test_who_measures_and_who_looks_sees_eight_bits(table: ImageTable) -> None:
    eight, all_bits = table.split("train"), table.fitting("train").images[:]
    assert eight.images.dtype == torch.uint8
    assert torch.equal(eight.images, (all_bits.to(torch.int32) / 257).round().to(torch.uint8))
    assert torch.equal(table.mapped("train").images[:], eight.images)
    assert torch.equal(in_eight_bits(all_bits), eight.images)


def test_the_way_to_numbers_and_back_loses_nothing() -> None:
    every = torch.arange(65536, dtype=torch.int32).to(torch.uint16).reshape(1, 256, 256, 1)
    values = to_float(every)
    assert (values.min(), values.max()) == (-1, 1)
    assert torch.equal(to_uint16(values), every)


def test_resizing_rounds_once(scans: Path) -> None:
    values = rng.integers(0, 65536, (16, 16)).astype(np.uint16)
    image = Image.fromarray(values)
    decoded = decode_batch([image], Target(Size(8, 4), 1, depth=16))
    found = np.frombuffer(decoded.pixels, "<u2").reshape(8, 4)
    exact = Image.fromarray(values.astype(np.float32) / 65535).resize((4, 8), Image.Resampling.BICUBIC, (4, 0, 12, 16))
    assert np.array_equal(found, np.rint(np.asarray(exact).clip(0, 1) * 65535))


def test_the_depth_is_part_of_what_a_table_is(table: ImageTable, scans: Path, tmp_path: Path) -> None:
    eight = gm.prepare(scans, tmp_path / "eight", size=8, progress=False)
    assert eight.metadata.fingerprint != table.metadata.fingerprint
    assert eight.metadata.row_bytes * 2 == table.metadata.row_bytes


def test_a_generator_draws_all_bits_for_what_is_kept_and_eight_for_who_looks(table: ImageTable, tmp_path: Path) -> None:
    settings = {
        "networks.generator.width": 4, "networks.discriminator.width": 4, "training.batch_size": 8,
        "training.tick": 2, "training.keep": 1, "training.threads": 1, "training.checkpoint_seconds": 0,
        "training.min_diversity": 0,
    }  # fmt: skip
    run = gm.train(table, "dcgan", tmp_path / "run", steps=2, settings=settings, progress=False, device="cpu")
    generator = run.generator
    assert generator.info.depth == 16
    assert generator.sample(3).images.dtype == torch.uint8
    kept = generator.at_full_depth.sample(3).images
    assert kept.dtype == torch.uint16
    assert torch.equal(in_eight_bits(kept), generator.sample(3).images)
    assert len(torch.unique(kept.to(torch.int32) % 257)) > 100  # what 8 bits could not say
    for form in ("png", "tiff"):
        parts = generator.task.parts(generator.at_full_depth, Asked(3, 0))
        write_each(parts, tmp_path / form, {}, form=form)
        for number, image in enumerate(kept.numpy()):
            with Image.open(tmp_path / form / f"{number:08d}.{form}") as written:
                assert np.array_equal(np.asarray(written), image[..., 0])


def test_colours_are_refused_before_anything_is_prepared(tmp_path: Path) -> None:
    (tmp_path / "colours").mkdir()
    for number in range(3):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "colours" / f"{number}.png")
    with pytest.raises(RequestError, match=r"data.depth=16 keeps grey images, and .* holds colours"):
        gm.prepare(tmp_path / "colours", tmp_path / "data", size=8, depth=16, progress=False)
    assert not (tmp_path / "data").exists()
    with pytest.raises(ValueError, match="depth=16 keeps grey images"):
        Data(depth=16, channels="rgb")
    with pytest.raises(ValueError, match="depth=16 is kept as pixels"):
        Data(depth=16, storage="encoded")


def test_eight_bits_asked_to_be_sixteen_are_a_doubt(tmp_path: Path) -> None:
    (tmp_path / "grey").mkdir()
    Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "grey" / "0.png")
    problems = inspect(f"folder:{tmp_path / 'grey'}", Data(size=8, depth=16)).problems
    assert any(problem.startswith("data.depth=16: the images looked at store 8 bits") for problem in problems)
