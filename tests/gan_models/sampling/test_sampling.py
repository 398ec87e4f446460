"""Drawing from a generator folder, grids and interpolation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.diversity import diversity
from gan_models.sampling.generator import GeneratorInfo, load_generator, save_generator
from gan_models.sampling.grids import image_grid, save_png
from gan_models.sampling.latents import linear, loop, spherical


def saved(folder: Path, name: str = "cgan-projection") -> Path:
    torch.manual_seed(0)
    recipe = load_recipe(name, ["networks.generator.width=4"])
    info = GeneratorInfo(
        recipe_name=name, image_shape=(1, 8, 8), class_names=("a", "b", "c"), step=1, seed=0, data_fingerprint="f",
        diversity=1.0, collapsed=False,
    )  # fmt: skip
    save_generator(folder / "generator", build_generator(recipe, DataShape((1, 8, 8), 3)).state_dict(), recipe, info)
    return folder / "generator"


def test_a_saved_generator_draws_the_same_images_whatever_the_batch_size(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    first, second = (load_generator(folder).sample(10, seed=5, batch_size=size) for size in (3, 256))
    assert first.images.dtype == torch.uint8
    assert first.images.shape == (10, 8, 8, 1)
    assert (first.images.int() - second.images.int()).abs().max() <= 1
    assert first.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert not torch.equal(first.images, load_generator(folder).sample(10, seed=6).images)


def test_labels_are_checked(tmp_path: Path) -> None:
    generator = load_generator(saved(tmp_path))
    with pytest.raises(RequestError, match="labels must be 2 numbers from 0 to 2"):
        generator.sample(2, seed=0, labels=torch.tensor([0, 3]))
    unconditional = load_generator(saved(tmp_path, "dcgan"))
    with pytest.raises(RequestError, match="unconditional"):
        unconditional.sample(1, seed=0, labels=torch.tensor([0]))


def test_a_folder_without_a_generator_and_a_damaged_one_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is not a generator folder"):
        load_generator(tmp_path)
    folder = saved(tmp_path)
    weights = folder / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(RequestError, match="is damaged"):
        load_generator(folder)


def test_grid_places_images_row_by_row() -> None:
    images = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 2, 2, 1)
    grid = image_grid(images, columns=2, gap=1)
    assert grid[..., 0].tolist() == [
        [0, 0, 255, 1, 1],
        [0, 0, 255, 1, 1],
        [255, 255, 255, 255, 255],
        [2, 2, 255, 255, 255],
        [2, 2, 255, 255, 255],
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_png_holds_exactly_the_pixels(channels: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, channels), dtype=np.uint8)
    save_png(pixels, tmp_path / "x.png", scale=2)
    read = np.asarray(Image.open(tmp_path / "x.png")).reshape(10, 8, channels)
    np.testing.assert_array_equal(read[::2, ::2], pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_interpolations_start_and_end_where_asked_and_the_great_circle_keeps_the_radius() -> None:
    start, end = torch.eye(3)[0] * 2, torch.eye(3)[1] * 2
    for walk in (linear(start, end, 5), spherical(start, end, 5)):
        torch.testing.assert_close(walk[0], start)
        torch.testing.assert_close(walk[-1], end)
    torch.testing.assert_close(spherical(start, end, 5).norm(dim=1), torch.full((5,), 2.0))
    torch.testing.assert_close(spherical(start, start, 3), start.expand(3, 3))


def test_a_loop_goes_round_at_one_speed_and_the_class_changes_half_way() -> None:
    """Through the corners of a regular triangle on a circle: twelve equal steps of 30 degrees, back to the start."""
    corners = torch.arange(3) * 2 * torch.pi / 3
    stops = {"latents": 5 * torch.stack([corners.cos(), corners.sin()], 1), "labels": torch.tensor([4, 7, 1])}
    legs = list(loop(stops, 4))
    latents = torch.cat([leg["latents"] for leg in legs])
    angles = torch.arange(12) * torch.pi / 6
    torch.testing.assert_close(latents, 5 * torch.stack([angles.cos(), angles.sin()], 1), rtol=0, atol=1e-4)
    assert torch.cat([leg["labels"] for leg in legs]).tolist() == [4, 4, 7, 7, 7, 7, 1, 1, 1, 1, 4, 4]


def test_diversity_sees_a_collapse_within_classes() -> None:
    """One image for each class: all pairs differ, but no pair of equal class does."""
    images = torch.eye(4).repeat_interleave(3, 0)
    labels = torch.arange(4).repeat_interleave(3)
    assert diversity(images) > 1
    assert diversity(images, labels) == 0
    assert diversity(images[:1]) == 0
