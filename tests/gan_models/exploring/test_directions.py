"""Main directions of generators whose main directions are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_models.data.shape import DataShape
from gan_models.exploring.directions import principal_directions, white_latents
from gan_models.families.building import build_generator
from gan_models.families.interfaces import Generator
from gan_models.recipes import Recipe


class Linear(Generator):
    """y = A z + b, and something else behind it that must not matter."""

    task = "latent"

    def __init__(self, matrix: Tensor, normalised: bool = False) -> None:
        super().__init__(("latents",), latent=matrix.shape[1])
        self.unused = nn.Linear(3, 3)
        self.first = nn.Linear(matrix.shape[1], matrix.shape[0])
        self.first.weight.data = matrix
        if normalised:
            spectral_norm(self.first)
        self.second = nn.Linear(matrix.shape[0], 4)

    def forward(self, latents: Tensor) -> Tensor:
        return self.second(self.first(latents).relu()).reshape(-1, 1, 2, 2).tanh()


def known_matrix(singular: list[float]) -> tuple[Tensor, Tensor]:
    """A matrix with these singular values, and its right singular vectors as rows."""
    generator = torch.Generator().manual_seed(5)
    left, _ = torch.linalg.qr(torch.randn(40, len(singular), generator=generator))
    right, _ = torch.linalg.qr(torch.randn(len(singular), len(singular), generator=generator))
    return left @ torch.diag(torch.tensor(singular)) @ right.T, right.T


@pytest.mark.parametrize("normalised", [False, True])
def test_of_a_linear_layer_they_are_the_right_singular_vectors(normalised: bool) -> None:
    singular = [5.0, 4.0, 2.0, 1.0, 0.5, 0.1]
    matrix, right = known_matrix(singular)
    found = principal_directions(Linear(matrix, normalised).eval(), {}, count=4)
    assert found.layer == "first"
    cosines = (found.vectors * right[:4]).sum(1)
    torch.testing.assert_close(cosines.abs(), torch.ones(4), atol=1e-5, rtol=0)
    squares = torch.tensor(singular).square()
    torch.testing.assert_close(found.shares, (squares / squares.sum())[:4], atol=1e-5, rtol=0)
    assert (found.vectors.gather(1, found.vectors.abs().argmax(1, keepdim=True)) > 0).all()


def test_there_are_no_more_than_the_layer_hears() -> None:
    matrix, _ = known_matrix([3.0, 2.0, 0.0, 0.0, 0.0])
    found = principal_directions(Linear(matrix).eval(), {}, count=8)
    assert found.vectors.shape == (2, 5)
    torch.testing.assert_close(found.shares.sum(), torch.tensor(1.0))


def test_white_latents_have_no_covariance() -> None:
    latents = white_latents(300, 20, seed=3).double()
    torch.testing.assert_close(latents.mean(0), torch.zeros(20).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(latents.T @ latents / 300, torch.eye(20).double(), atol=1e-5, rtol=0)
    assert 2.0 < float(latents.max()) < 6.0


def test_a_generator_that_hears_no_latent_has_none() -> None:
    deaf = Linear(torch.zeros(4, 6)).eval()
    with pytest.raises(ValueError, match="do not depend on latents"):
        principal_directions(deaf, {})


def test_every_recipe_that_draws_from_latents_has_them(latent_recipe: str, small_recipe: Callable[..., Recipe]) -> None:
    recipe = small_recipe(latent_recipe)
    size = recipe.data.size
    classes = tuple("0123456789") if recipe.conditional else ()
    torch.manual_seed(0)
    module = build_generator(recipe, DataShape((1, *size), len(classes), 0, 0, ())).eval()
    others = {"labels": torch.tensor([0])} if classes else {}
    found = principal_directions(module, others)
    assert found.vectors.shape == (8, module.latent)
    assert found.layer not in ("", "layers")  # the first layer, not what it is part of
    torch.testing.assert_close(found.vectors.norm(dim=1), torch.ones(8))
    assert (found.shares.diff() <= 0).all()
    # The strongest moves the layer's own activations more than a direction drawn at random does.
    latents = white_latents(2 * module.latent, module.latent, seed=9)
    chance = torch.nn.functional.normalize(white_latents(2 * module.latent, module.latent, seed=4)[0], dim=0)
    moves = [_moved(module, found.layer, latents, others, step) for step in (found.vectors[0], chance)]
    assert moves[0] > moves[1]


def _moved(module: Generator, layer: str, latents: Tensor, others: dict[str, Tensor], step: Tensor) -> float:
    seen: list[Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _, __, output: seen.append(output))
    rows = {name: tensor.expand(len(latents)) for name, tensor in others.items()}
    with torch.inference_mode():
        module(latents=latents, **rows)
        module(latents=latents + step, **rows)
    handle.remove()
    return float((seen[1] - seen[0]).square().mean())
