"""Augmentations in a game: when they are applied, and what penalties on D's gradient then are about."""

import pytest
import torch
from torch import Tensor

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.games.base import Batch, Game, Made, build_game
from gan_models.recipes import load_recipe

PENALISED = "regularizers=[{name: r1, weight: 10}, {name: r2, weight: 10}]"


def game(*overrides: str) -> Game:
    torch.manual_seed(0)
    narrow = [f"networks.{player}.{each}" for player in ("generator", "discriminator") for each in ("width=8",)]
    return build_game(
        load_recipe("r3gan", [*narrow, "networks.latent=8", "training.steps=8", *overrides]),
        DataShape((3, 16, 16)),
        torch.device("cpu"),
    )


def test_the_probability_follows_its_schedule() -> None:
    played = game(
        "game.augmentations=[color, cutout]", "game.augmentation_probability={cosine: [0, 0.8], until: 0.5}", PENALISED
    )
    images, changed = torch.rand(600, 3, 16, 16), []
    for step in range(0, 9, 2):
        played.steps = step
        changed.append((played.augmented(images) != images).flatten(1).any(1).float().mean().item())
    # Each of both changes an image with the probability 0, 0.4, 0.8, and with that from half of the steps on.
    assert changed == pytest.approx([0.0, 1 - 0.6**2, 1 - 0.2**2, 1 - 0.2**2, 1 - 0.2**2], abs=0.06)


def test_a_probability_above_one_is_refused() -> None:
    with pytest.raises(RequestError, match=r"augmentation_probability: .*at most 1"):
        load_recipe("r3gan", ["game.augmentation_probability={linear: [0, 1.5]}"])


def test_r1_and_r2_are_about_the_images_before_the_augmentations() -> None:
    """Where an image is blanked, D is flat: the gradient there is 0, and another's own elsewhere."""
    played = game("game.augmentations=[cutout]", PENALISED)
    batch = Batch(torch.rand(6, 3, 16, 16))
    judged = played.judge(batch, Made(torch.rand(6, 3, 16, 16)))
    for before, seen, logits in (
        (judged.unchanged_real, judged.real, judged.real_logits),
        (judged.unchanged_fake, judged.fake, judged.fake_logits),
    ):
        whole, part = torch.autograd.grad(logits.sum(), [before, seen], create_graph=True)
        blank = (seen == 0).all(1, keepdim=True)
        torch.testing.assert_close(whole, part * ~blank)
        assert (part * blank).abs().sum() > 0
    terms = {term.name: term.value(judged) for term in played.due_terms("discriminator")}
    (gradient,) = torch.autograd.grad(judged.real_logits.sum(), judged.unchanged_real, create_graph=True)
    torch.testing.assert_close(terms["r1"], 0.5 * gradient.square().flatten(1).sum(1).mean())


@pytest.mark.parametrize("names", ["[color, translation, cutout]", "[shift]"])
def test_a_step_of_r3gan_goes_through_them(names: str) -> None:
    played = game(f"game.augmentations={names}", "game.augmentation_probability=0.5", PENALISED)
    before = [each.detach().clone() for each in played.discriminator.parameters()]
    figures: dict[str, Tensor] = {}
    for _ in range(2):
        figures = played.step(lambda: Batch(torch.rand(8, 3, 16, 16) * 2 - 1), report=True)
    assert all(value.isfinite() for value in figures.values())
    assert {"D/r1", "D/r2"} <= set(figures)
    assert any(not torch.equal(*pair) for pair in zip(before, played.discriminator.parameters(), strict=True))
