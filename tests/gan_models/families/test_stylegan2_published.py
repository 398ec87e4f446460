"""Weights under the authors' names, read from safetensors; other files and other networks are a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import build_discriminator, build_generator
from gan_models.families.stylegan2.published import convert, discriminator_weights, generator_weights
from gan_models.recipes import Recipe, load_recipe
from gan_models.sampling.generator import load_generator

SHAPE = DataShape((3, 16, 16), 2)
OF_GENERATOR = {
    "mapping.embed": "mapping.embed",
    "mapping.layers.0": "mapping.fc0",
    "mapping.layers.1": "mapping.fc1",
    "average": "mapping.w_avg",
    "constant": "synthesis.b4.const",
    "convolutions.0": "synthesis.b4.conv1",
    "convolutions.1": "synthesis.b8.conv0",
    "convolutions.2": "synthesis.b8.conv1",
    "convolutions.3": "synthesis.b16.conv0",
    "convolutions.4": "synthesis.b16.conv1",
    "to_image.0": "synthesis.b4.torgb",
    "to_image.1": "synthesis.b8.torgb",
    "to_image.2": "synthesis.b16.torgb",
}
OF_DISCRIMINATOR = {
    "trunk.from_image": "b16.fromrgb",
    "trunk.blocks.0.first": "b16.conv0",
    "trunk.blocks.0.second": "b16.conv1",
    "trunk.blocks.0.shortcut": "b16.skip",
    "trunk.blocks.1.first": "b8.conv0",
    "trunk.blocks.1.second": "b8.conv1",
    "trunk.blocks.1.shortcut": "b8.skip",
    "trunk.convolution": "b4.conv",
    "trunk.dense": "b4.fc",
    "head.linear": "b4.out",
    "head.mapping.embed": "mapping.embed",
    **{f"head.mapping.layers.{layer}": f"mapping.fc{layer}" for layer in range(8)},
}


def recipe() -> Recipe:
    return load_recipe("stylegan2-ada", [
        "data.size=16", "conditioning={generator: embedding, discriminator: projection}", "networks.generator.style=12",
        *(f"networks.{player}.channel_max=8" for player in ("generator", "discriminator")),
    ])  # fmt: skip


def published(state: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    """A state of ours, as the authors call it."""
    found = {"b8.resample_filter": torch.ones(4, 4)}
    for name, tensor in state.items():
        place = next(each for each in sorted(names, key=len, reverse=True) if name.startswith(each))
        rest = name.removeprefix(place).replace(".noise", ".noise_const").replace(".strength", ".noise_strength")
        found[names[place] + rest.replace(".style.", ".affine.")] = tensor.clone()
    return found


def test_each_name_has_its_place(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator, discriminator = build_generator(recipe(), SHAPE), build_discriminator(recipe(), SHAPE)
    theirs = published(generator.state_dict(), OF_GENERATOR), published(discriminator.state_dict(), OF_DISCRIMINATOR)
    for found, network in zip((generator_weights(theirs[0]), discriminator_weights(theirs[1])),
                              (generator, discriminator), strict=True):  # fmt: skip
        assert found.keys() == network.state_dict().keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())
    for name, weights in zip(("g", "d"), theirs, strict=True):
        save_file(weights, tmp_path / f"{name}.safetensors")
    folder = tmp_path / "folder"
    convert(recipe(), SHAPE, tmp_path / "g.safetensors", folder, tmp_path / "d.safetensors")
    assert (folder / "discriminator.safetensors").is_file()
    latents, labels = torch.randn(2, 64), torch.tensor([0, 1])
    drawn = load_generator(folder).module(latents, labels)
    torch.testing.assert_close(drawn, generator.eval()(latents, labels))


def test_what_is_not_such_a_file_is_a_sentence(tmp_path: Path) -> None:
    pickle = tmp_path / "ffhq.pkl"
    pickle.write_bytes(b"\x80\x04.")
    with pytest.raises(RequestError, match=r"holds no safetensors .* pickles are not read"):
        convert(recipe(), SHAPE, pickle, tmp_path / "folder")
    save_file({"layer.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(RequestError, match=r"layer\.weight is no name of StyleGAN2-ADA's public code"):
        convert(recipe(), SHAPE, tmp_path / "other.safetensors", tmp_path / "folder")
    state = published(build_generator(recipe(), SHAPE).state_dict(), OF_GENERATOR)
    save_file(state, tmp_path / "g.safetensors")
    with pytest.raises(RequestError, match="the weights of other networks than the recipe's"):
        convert(load_recipe("stylegan2-ada", ["data.size=16"]), SHAPE, tmp_path / "g.safetensors", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
