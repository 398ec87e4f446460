"""Games: the procedure of one training iteration, one file for each.

The loop (`gan_models.training.loop`) knows nothing of GANs beyond this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from gan_models.networks import Generator
from gan_models.recipes.schema import Recipe


class Batch(NamedTuple):
    """Real images float32 [B, C, H, W] in [-1, 1] and their labels int64 [B], None where unlabelled."""

    images: Tensor
    labels: Tensor | None


class Game(Protocol):
    """One training procedure with its networks and optimizers."""

    generator: Generator

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        """One generator step and the discriminator steps that go with it.

        Args:
            draw: the next batch of real images; called once for each discriminator step.
            report: also measure what costs time (gradient norms).

        Returns:
            Metrics as detached 0-d tensors on the device, so that reading them is the caller's choice of moment.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit, as tensors and plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over a `state_dict` of the same recipe."""
        ...


def build_game(recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int, device: torch.device) -> Game:
    """The recipe's game with networks freshly initialised from torch's global random state.

    Raises:
        RequestError: parts of the recipe that do not go together, or that its family cannot do.
    """
    from gan_models.games.adversarial import AdversarialGame

    return AdversarialGame(recipe, image_shape, num_classes, device)
