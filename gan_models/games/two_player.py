"""What every game of a generator against a discriminator has: networks, optimizers, regularizers, their state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_models import ranks
from gan_models.augmentations import AUGMENTATIONS, augment
from gan_models.data.table import Split
from gan_models.errors import RequestError, unknown_name
from gan_models.families.building import DataShape, Discriminator, Generator, build_discriminator, build_generator
from gan_models.recipes import game_specs
from gan_models.recipes.schema import Recipe
from gan_models.regularizers import REGULARIZERS, Player, Regularizer, Round


class Term(NamedTuple):
    """A regularizer with its place in the recipe."""

    spec: game_specs.Regularizer
    player: Player
    regularizer: Regularizer


class TwoPlayerGame:
    """Base of the games; a game adds `step`, which is made of `move` and whatever its own procedure asks for."""

    generator: Generator
    discriminator: Discriminator

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        check_parts(recipe)
        self.recipe = recipe
        self.shape = shape
        self.device = device
        # Dense 4-d weights only: convolutions run in this layout without reordering the images.
        self.generator = self.make_generator().to(device).to(memory_format=torch.channels_last)
        self.discriminator = self.make_discriminator().to(device).to(memory_format=torch.channels_last)
        for network in (self.generator, self.discriminator):
            ranks.share_batch_norm(network)
        self.generator_optimizer = make_optimizer(recipe.optimizers.generator, self.generator)
        self.discriminator_optimizer = make_optimizer(recipe.optimizers.discriminator, self.discriminator)
        self.terms = [Term(spec, player_of(spec), REGULARIZERS[spec.name]()) for spec in recipe.regularizers]
        self.steps = 0

    def make_generator(self) -> Generator:
        return build_generator(self.recipe, self.shape)

    def make_discriminator(self) -> Discriminator:
        return build_discriminator(self.recipe, self.shape)

    def prepare(self, split: Split, seed: int) -> None:
        """Nothing, unless the game uses training images beside the batches that are drawn for it."""

    def companions(self) -> dict[str, Mapping[str, Tensor]]:
        """Nothing, unless the game leaves more behind than its generator."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "regularizers": [term.regularizer.state_dict() for term in self.terms],
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        for term, saved in zip(self.terms, state["regularizers"], strict=True):
            term.regularizer.load_state_dict(saved)
        self.steps = state["steps"]

    # --- for the games

    def begin_step(self) -> None:
        """Networks into training mode, learning rates of this step."""
        self.generator.train()
        self.discriminator.train()
        self._set_learning_rates()

    def draw_latents(self, num: int) -> Tensor:
        """[num, Z] from N(0, I)."""
        return ranks.share(torch.randn(num * ranks.count(), self.generator.latent, device=self.device))

    def due_terms(self, player: Player) -> list[Term]:
        """The player's regularizers that apply at this step."""
        return [term for term in self.terms if term.player == player and self.steps % term.spec.every == 0]

    def differentiated(self, player: Player) -> set[str]:
        """The images whose gradient a due term needs: `real`, `fake`, `between`."""
        named = (term.regularizer.differentiates for term in self.due_terms(player))
        return {name for name in named if name}

    def shown(self, images: Tensor, name: str) -> Tensor:
        """Images as D sees them in its own move: augmented, and differentiable where a due term needs that."""
        images = augment(images, self.recipe.game.augmentations)
        return images.detach().requires_grad_() if name in self.differentiated("discriminator") else images

    @contextmanager
    def discriminator_as_it_is(self) -> Iterator[None]:
        """For G's move: D only passes the gradient on, its own weight gradients would be thrown away."""
        self.discriminator.requires_grad_(False)
        try:
            yield
        finally:
            self.discriminator.requires_grad_(True)

    def move(self, loss: Tensor, round_: Round, *, report: bool) -> dict[str, Tensor]:
        """The player's gradient step on its loss and regularizers; metrics of both."""
        player, prefix = round_.player, "D" if round_.player == "discriminator" else "G"
        metrics: dict[str, Tensor] = {}
        for term in self.due_terms(player):
            value = term.regularizer.value(round_)
            metrics[f"{prefix}/{term.spec.name}"] = value.detach()
            loss = loss + term.spec.weight * term.spec.every * value
        optimizer = self.generator_optimizer if player == "generator" else self.discriminator_optimizer
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        ranks.average_gradients(round_.network)
        if report:
            metrics[f"{prefix}/gradient_norm"] = gradient_norm(round_.network)
        optimizer.step()
        for term in self.terms:
            if term.player == player:
                term.regularizer.moved(round_.network)
        return metrics

    def precision(self, *, enabled: bool = True) -> AbstractContextManager[Any]:
        """Autocast to bf16 where the recipe allows it."""
        bf16 = enabled and self.recipe.training.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)

    def _set_learning_rates(self) -> None:
        """A pure function of the step, so that there is no scheduler to save."""
        specs, total = self.recipe.optimizers, self.recipe.training.steps
        start = specs.decay_from * total
        factor = 1.0 if self.steps < start else (total - self.steps) / (total - start)
        pairs = ((self.generator_optimizer, specs.generator), (self.discriminator_optimizer, specs.discriminator))
        for optimizer, spec in pairs:
            for group in optimizer.param_groups:
                group["lr"] = spec.lr * factor


def player_of(spec: game_specs.Regularizer) -> Player:
    """Whose loss a term joins."""
    return REGULARIZERS[spec.name].player if spec.player == "auto" else spec.player


def check_parts(recipe: Recipe) -> None:
    """Refuses parts that do not go together in any game.

    Raises:
        RequestError: with the reason and the remedy.
    """
    for name in recipe.game.augmentations:
        if name not in AUGMENTATIONS:
            raise unknown_name("augmentation", name, AUGMENTATIONS)
    discriminator = recipe.networks.discriminator
    for term in recipe.regularizers:
        if term.name not in REGULARIZERS:
            raise unknown_name("regularizer", term.name, REGULARIZERS)
        kind = REGULARIZERS[term.name]
        if [(other.name, player_of(other)) for other in recipe.regularizers].count((term.name, player_of(term))) > 1:
            raise RequestError(
                f"regularizer {term.name!r} is named twice for the {player_of(term)}: name it once, with one weight"
            )
        if player_of(term) != kind.player and not kind.either:
            raise RequestError(f"regularizer {term.name!r} belongs to the {kind.player}: leave its player at auto")
        if not kind.differentiates:
            continue
        if discriminator.norm == "batch":
            raise RequestError(
                f"regularizer {term.name!r} penalises D's gradient image by image, which batch norm in D mixes: "
                "set networks.discriminator.norm to none or layer"
            )
        # Minibatch standard deviation stays: it is one map of a whole group's statistics, and PGGAN was published with
        # both (Karras et al. 2018, section 3 and appendix A.1).
        if discriminator.minibatch == "discrimination":
            raise RequestError(
                f"regularizer {term.name!r} penalises D's gradient image by image, but with "
                f"networks.discriminator.minibatch={discriminator.minibatch} D's word on an image depends on its "
                "neighbours: set it to none, or drop the regularizer"
            )


def make_optimizer(spec: game_specs.Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of one player."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if spec.name == "rmsprop":
        # 0.99 and 1e-8 are PyTorch's, which the public WGAN code leaves as they are.
        return torch.optim.RMSprop(parameters, lr=spec.lr)
    return torch.optim.Adam(parameters, lr=spec.lr, betas=spec.betas, fused=True)


def gradient_norm(network: nn.Module) -> Tensor:
    """Euclidean norm of all gradients together, 0-d."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).detach()
