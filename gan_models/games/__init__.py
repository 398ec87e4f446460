"""Games: the procedure of one training iteration, one file for each.

The loop (`gan_models.training.loop`) knows nothing of GANs beyond this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from gan_models.data.table import Split
from gan_models.families.building import DataShape, Discriminator, Generator
from gan_models.recipes.schema import Recipe


class Batch(NamedTuple):
    """Real images float32 [B, C, H, W] in [-1, 1] with what they carry; None where the recipe does not need it."""

    images: Tensor
    labels: Tensor | None = None
    """Classes, int64 [B]."""
    domains: Tensor | None = None
    """Domains, int64 [B]."""
    captions: Tensor | None = None
    """Word numbers, int64 [B, L], 0 after the end."""


class Game(Protocol):
    """One training procedure with its networks and optimizers."""

    generator: Generator
    discriminator: Discriminator

    def prepare(self, split: Split, seed: int) -> None:
        """Called once, before the first step or a `load_state_dict`: what the game needs of the images as a whole.

        A pure function of its arguments, so that a resumed training finds the same.
        """
        ...

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        """One generator step and the discriminator steps that go with it.

        Args:
            draw: the next batch of real images; called once for each discriminator step.
            report: also measure what costs time (gradient norms).

        Returns:
            Metrics as detached 0-d tensors on the device, so that reading them is the caller's choice of moment.
        """
        ...

    def companions(self) -> dict[str, Mapping[str, Tensor]]:
        """Weights of other networks to keep beside the generator, by name."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit, as tensors and plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over a `state_dict` of the same recipe."""
        ...


_GAMES = {
    "adversarial": "AdversarialGame",
    "progressive": "ProgressiveGame",
    "semi-supervised": "SemiSupervisedGame",
    "text": "TextToImageGame",
    "cycle": "CycleGame",
    "attribute-transfer": "AttributeTransferGame",
    "colorization": "ColorizationGame",
}


def build_game(recipe: Recipe, shape: DataShape, device: torch.device) -> Game:
    """The recipe's game with networks freshly initialised from torch's global random state.

    Raises:
        RequestError: parts of the recipe that do not go together, or that its family cannot do.
    """
    kind = recipe.game.kind
    module = import_module(f"gan_models.games.{kind.replace('-', '_')}")
    game: Game = getattr(module, _GAMES[kind])(recipe, shape, device)
    return game
