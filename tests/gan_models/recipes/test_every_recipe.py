"""Every recipe that draws from latents: a few steps at its smallest size, kept, resumed bit for bit, sampled."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from gan_models.data.table import Split, TableMetadata, to_float
from gan_models.games.base import Batch, build_game
from gan_models.recipes import Recipe
from gan_models.sampling.generator import load_generator

SmallRecipe = Callable[..., Recipe]
DigitsFor = Callable[[Recipe], tuple[Split, TableMetadata]]
Resumes = Callable[[Recipe, Path], None]


def flat(state: object, at: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a nested state, by path."""
    if isinstance(state, torch.Tensor):
        return {at: state}
    pairs = state.items() if isinstance(state, Mapping) else enumerate(state) if isinstance(state, list | tuple) else ()
    return {key: tensor for name, value in pairs for key, tensor in flat(value, f"{at}/{name}").items()}


def test_stopped_and_resumed_equals_never_stopped_and_samples(
    latent_recipe: str, small_recipe: SmallRecipe, assert_resumes: Resumes, tmp_path: Path
) -> None:
    recipe = small_recipe(latent_recipe)
    assert_resumes(recipe, tmp_path)
    generator = load_generator(tmp_path / "parts" / "generators" / f"step-{recipe.training.steps:06d}")
    size = recipe.data.size
    assert generator.sample(5, seed=0).images.shape == (5, *size, 1)
    assert (generator.module.num_classes > 0) == recipe.conditional


def test_a_few_steps_change_both_players_and_stay_finite(
    latent_recipe: str, small_recipe: SmallRecipe, digits_for: DigitsFor
) -> None:
    recipe = small_recipe(latent_recipe)
    split, metadata = digits_for(recipe)
    torch.manual_seed(0)
    game = build_game(recipe, metadata.shape, torch.device("cpu"))
    game.prepare(split, 0)
    before = {player: flat(game.state_dict()[player]) for player in ("generator", "discriminator")}
    before = {player: {key: value.clone() for key, value in state.items()} for player, state in before.items()}
    labels = split.labels if "labels" in recipe.needs else None

    def draw() -> Batch:
        index = torch.randint(0, len(split), (16,))
        return Batch(to_float(split.images[index]), None if labels is None else labels[index])

    for _ in range(3):
        metrics = game.step(draw, report=True)
        assert all(torch.isfinite(value) for value in metrics.values())
    assert {"D/loss", "G/loss", "D/gradient_norm", "G/gradient_norm"} <= metrics.keys()
    for player, old in before.items():
        new = flat(game.state_dict()[player])
        assert any(not torch.equal(old[key], new[key]) for key in old), player
        assert all(torch.isfinite(value).all() for value in new.values()), player
