"""An image found in W: nearer than the mean, the same each time, written whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from gan_models.errors import RequestError
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.projecting import _correlation, pixels_at_all_sizes, project, save_projection

Loaded = Callable[..., LoadedGenerator]
PIXELS = [pixels_at_all_sizes]


def drawn(generator: LoadedGenerator, seed: int = 5) -> Tensor:
    return generator.sample(1, seed=seed).images[0]


def test_a_generators_own_image_is_found_nearer_than_the_mean(loaded: Loaded) -> None:
    generator = loaded("stylegan2-ada")
    before = {name: tensor.clone() for name, tensor in generator.module.state_dict().items()}
    seen: list[float] = []
    found = project(generator, drawn(generator), PIXELS, steps=150, frames=5, advance=seen.append)
    assert seen[0] == pytest.approx(1.0)
    assert tuple(seen) == found.shares
    assert min(found.shares[-10:]) < 0.1
    assert len(found.frames) == 5
    assert found.image.shape == found.target.shape == found.frames[0].shape
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.module.state_dict().items())
    again = project(generator, drawn(generator), PIXELS, steps=150)
    assert torch.equal(found.style, again.style)
    assert again.frames == ()


def test_the_noise_stays_noise(loaded: Loaded) -> None:
    generator = loaded("stylegan2-ada")
    found = project(generator, drawn(generator), PIXELS, steps=20, seed=3)
    assert found.noises.keys() == generator.module.noises().keys()
    for noise in found.noises.values():
        assert noise.mean().item() == pytest.approx(0, abs=1e-5)
        assert noise.square().mean().item() == pytest.approx(1, rel=1e-4)


def test_correlation_sees_neighbours_at_every_size() -> None:
    torch.manual_seed(0)
    white, smooth = torch.randn(64, 64), torch.randn(4, 4).repeat_interleave(16, 0).repeat_interleave(16, 1)
    assert _correlation([white]).item() < 0.02
    assert _correlation([smooth / smooth.std()]).item() > 1


def test_a_class_may_be_begun_with(loaded: Loaded) -> None:
    generator = loaded("stylegan2-ada", "conditioning={generator: embedding, discriminator: projection}")
    mean, ofone = (project(generator, drawn(generator), PIXELS, steps=1, label=label).style for label in (None, 1))
    assert not torch.allclose(mean, ofone, atol=0.01)
    with pytest.raises(RequestError, match="label=3: stylegan2-ada has 3 classes"):
        project(generator, drawn(generator), PIXELS, label=3)


def test_what_is_written(loaded: Loaded, tmp_path: Path) -> None:
    generator = loaded("stylegan2-ada")
    found = project(generator, drawn(generator), PIXELS, steps=2)
    save_projection(found, tmp_path / "found", scale=2)
    assert np.array_equal(np.load(tmp_path / "found" / "w.npy"), found.style.numpy())
    tensors = load_file(tmp_path / "found" / "projection.safetensors")
    assert torch.equal(tensors.pop("w"), found.style)
    module = generator.module
    module.load_state_dict(tensors, strict=False)
    picture = generator.synthesize({"styles": found.style.expand(1, module.layers, -1)}).images[0]
    assert torch.equal(picture, found.image)
    with Image.open(tmp_path / "found" / "projection.png") as image:
        assert image.size == (32, 16)
        assert np.array_equal(np.asarray(image)[::2, :16:2], found.target[..., 0].numpy())


def test_what_cannot_be_is_a_sentence(loaded: Loaded) -> None:
    plain = loaded("dcgan")
    with pytest.raises(RequestError, match="dcgan has no styles to search in"):
        project(plain, drawn(plain), PIXELS)
    generator = loaded("stylegan2-ada")
    with pytest.raises(RequestError, match=r"an image of \[4, 4, 1\] is not one that stylegan2-ada could make"):
        project(generator, torch.zeros(4, 4, 1, dtype=torch.uint8), PIXELS)
