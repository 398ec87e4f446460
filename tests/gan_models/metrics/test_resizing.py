"""Resizing as clean-fid, StudioGAN and dgm-eval have it."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize

from gan_models.metrics.resizing import pillow_resized


@pytest.fixture(params=[(32, 32), (7, 12), (320, 300)], ids=str)
def images(request: pytest.FixtureRequest) -> torch.Tensor:
    return torch.randint(0, 256, (2, *request.param, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["bicubic", "bilinear"])
def test_equals_clean_fid_to_the_bit(images: torch.Tensor, name: str) -> None:
    reference = pytest.importorskip("cleanfid.resize", reason="clean-fid is not installed")
    expected = np.stack([reference.make_resizer("PIL", False, name, (299, 299))(image.numpy()) for image in images])
    assert np.array_equal(pillow_resized(images, 299, name).permute(0, 2, 3, 1).numpy(), expected)


def test_constant_images_stay_and_bright_ones_do_not_overshoot() -> None:
    flat = torch.full((1, 8, 8, 1), 77, dtype=torch.uint8)
    assert pillow_resized(flat, 299, "bicubic").sub(77).abs().max() < 1e-4
    edge = torch.zeros(1, 16, 16, 1, dtype=torch.uint8)
    edge[:, :, 8:] = 255
    resized = pillow_resized(edge, 299, "bicubic")
    assert (resized.min(), resized.max()) == (0.0, 255.0)  # within, though the filter overshoots here
    ramp = pillow_resized(edge, 299, "bilinear")[0, 0, 0]
    assert (ramp.diff() >= 0).all()
    assert ramp.unique().numel() > 2


def test_shrinking_averages_so_that_a_fine_pattern_becomes_grey() -> None:
    """Filters of a fixed width pick single pixels, and make black or white of it."""
    stripes = torch.zeros(1, 600, 600, 1, dtype=torch.uint8)
    stripes[:, :, ::2] = 254
    middle = pillow_resized(stripes, 60, "bicubic")[..., 5:-5]
    assert (middle - 127).abs().max() < 3
    aliased = torch.nn.functional.interpolate(stripes.permute(0, 3, 1, 2).float(), (60, 60), mode="nearest")
    assert (aliased - 127).abs().min() > 100


def test_in_eight_bits_it_is_what_torchvision_makes_of_a_picture(images: torch.Tensor) -> None:
    """dgm-eval's preprocessing."""
    ours = pillow_resized(images, 224, "bicubic", rounded=True)
    for image, found in zip(images, ours, strict=True):
        picture = resize(Image.fromarray(image.numpy()), [224, 224], InterpolationMode.BICUBIC)
        assert np.array_equal(found.permute(1, 2, 0).numpy(), np.asarray(picture))
