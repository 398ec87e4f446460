"""A game: networks, optimizers, regularizers, their state, and the one step that all procedures are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pkgutil import resolve_name
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from gan_models import ranks
from gan_models.augmentations import augment
from gan_models.data.shape import DataShape
from gan_models.data.table import AnySplit, EpochSampler, taken, to_float
from gan_models.families.building import build_discriminator, build_generator
from gan_models.families.interfaces import Discriminator, Generator
from gan_models.games.adapting import Adaptation
from gan_models.games.spec import GameSpec
from gan_models.layers.weight_norm import start_from_data
from gan_models.meter import Meter
from gan_models.random_changes import changed
from gan_models.recipes.schema import Optimizer, Recipe
from gan_models.regularizers import Player, Regularizer, Round
from gan_models.schedules import Adaptive, Moment, value_at

Rules = TypeVar("Rules", bound=GameSpec)

_STARTING_IMAGES = 500  # that weight norm is started from, as the authors' code does it


def computes_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16. Without, each product is converted: 15 times as slow on AVX2."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.cpu.get_cpu_capability().startswith(("AVX512", "SVE"))


class Stateful(Protocol):
    """Something that goes into a checkpoint."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any) -> Any: ...


class Sampler(Protocol):
    """Which images make the batch of a step: a pure function of the step, with nothing to save."""

    def indices(self, step: int) -> Tensor:
        """int64 [B], the images of batch `step` (counted from 0)."""


class Batch(NamedTuple):
    """Real images float32 [B, C, H, W] in [-1, 1] with what they carry; None where the recipe does not need it."""

    images: Tensor
    labels: Tensor | None = None
    """Classes, int64 [B]."""
    domains: Tensor | None = None
    """Domains, int64 [B]."""
    captions: Tensor | None = None
    """Word numbers, int64 [B, L], 0 after the end."""
    attributes: Tensor | None = None
    """1 where an image has the attribute, else 0, float32 [B, A]."""
    partners: Tensor | None = None
    """What the images are to be made from, as they are."""
    embeddings: Tensor | None = None
    """What stands for texts, float32 [B, n, E], n of each image; a game may bring them to [B, E]."""

    @classmethod
    def of(cls, split: AnySplit, index: Tensor, needs: frozenset[str]) -> Batch:
        """The images of a split at `index` int64 [B], with what is needed of what they carry."""
        index = index.to(split.images.device)
        columns = {name: getattr(split, name) for name in needs}
        carried = {name: taken(column, index) for name, column in columns.items() if column is not None}
        as_floats = {"attributes": Tensor.float, "partners": to_float}
        carried |= {name: change(carried[name]) for name, change in as_floats.items() if name in carried}
        return cls(to_float(taken(split.images, index)), **carried)

    def changed(self, *, flip: bool, load_size: int | None) -> Batch:
        """The same after random changes (`gan_models.random_changes`), partners as their images."""
        sides = {"images": self.images} | ({} if self.partners is None else {"partners": self.partners})
        changes = changed(list(sides.values()), flip=flip, load_size=load_size)
        return self._replace(**dict(zip(sides, changes, strict=True)))

    def split(self, parts: int) -> list[Batch]:
        """So many batches of equally many of its rows."""
        if parts == 1:
            return [self]
        columns = [[None] * parts if column is None else column.tensor_split(parts) for column in self]
        return [Batch(*part) for part in zip(*columns, strict=True)]

    def repeated(self, times: int) -> Batch:
        """All its rows so many times."""
        if times == 1:
            return self
        carried = {name: column for name, column in self._asdict().items() if column is not None}
        return Batch(**{name: torch.cat([column] * times) for name, column in carried.items()})


class Made(NamedTuple):
    """Generated images float32 [B, C, H, W], one for each real one, and what came of making them."""

    images: Tensor
    told: Tensor | None = None
    """What D is told of them: classes, domains, captions, partners; [B, ...]."""
    asked: Tensor | None = None
    """The domain that each was to become, int64 [B], or attributes [B, A], where D is to find it out."""
    penalty: Tensor | None = None
    """A term of G's loss that making them came with, 0-d."""
    figures: dict[str, Tensor] | None = None
    """Figures of that term, detached."""

    def detached(self) -> Made:
        """The same images without a way back to G."""
        return self._replace(images=self.images.detach())


Loss = tuple[Tensor, dict[str, Tensor]]
"""What a player minimises, 0-d, and figures of it, detached."""


class Game(Generic[Rules]):
    """Alternating gradient descent (Goodfellow et al. 2014, algorithm 1); a game overrides what its paper changes.

    The last discriminator step and the first generator step share one batch of generated images: it is made once, D
    learns from it without a gradient to G, then judges it again for G's move, without gradients for D's weights.
    Further generator steps draw anew for the same real images.
    """

    generator: Generator
    discriminator: Discriminator

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        self.rules = cast(Rules, recipe.game)
        self.recipe = recipe
        self.shape = shape
        self.device = device
        # Dense 4-d weights only: convolutions run in this layout without reordering the images.
        self.generator = self.make_generator().to(device).to(memory_format=torch.channels_last)
        self.discriminator = self.make_discriminator().to(device).to(memory_format=torch.channels_last)
        for network in (self.generator, self.discriminator):
            ranks.share_batch_norm(network)
        if recipe.training.compile:
            self.compile_networks()
        self.steps = 0
        self.part = 0  # of the batch that is worked on (`training.accumulate`)
        self.begin_learning()

    # --- what a game may change

    def make_generator(self) -> Generator:
        return build_generator(self.recipe, self.shape)

    def make_discriminator(self) -> Discriminator:
        return build_discriminator(self.recipe, self.shape)

    def prepare(self, split: AnySplit, seed: int) -> None:
        """Called once, before the first step or a `load_state_dict`: what the game needs of the images as a whole.

        A pure function of its arguments, so that a resumed training finds the same. Here: where weights start.
        """
        self.generator.begin(split)

        def first() -> Batch:
            return self.prepared(Batch.of(split, spread_rows(len(split), _STARTING_IMAGES), self.recipe.needs))

        def look() -> None:
            batch = first()
            self.discriminator(batch.images, self.told(batch))

        start_from_data(self.discriminator, look)
        start_from_data(self.generator, lambda: self.synthesize(first()))

    def sampler(self, split: AnySplit, batch_size: int, seed: int) -> Sampler:
        """What draws the batches; RequestError for a split that they cannot be drawn from."""
        return EpochSampler(len(split), batch_size, seed, split.images.device)

    def prepared(self, batch: Batch) -> Batch:
        """Real images as this step works on them."""
        return batch

    def synthesize(self, batch: Batch) -> Made:
        """A generated image for each real one."""
        raise LookupError(f"{type(self).__name__} does not say how images are made")

    def told(self, batch: Batch) -> Tensor | None:
        """What D is told of real images."""
        return None

    def discriminator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        """Of D's own move, without regularizers."""
        raise LookupError(f"{type(self).__name__} has no loss for D")

    def generator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        """Of G's move, without regularizers."""
        raise LookupError(f"{type(self).__name__} has no loss for G")

    def discriminator_moves(self) -> int:
        """How often D moves in this step; 0 where there is none."""
        return self.rules.discriminator_steps

    def generator_moves(self) -> int:
        """How often G does."""
        return 1

    def images_per_real(self) -> int:
        """How many images G makes for its own move for each real one; where it is not 1, D has seen none of them."""
        return 1

    def discriminator_moved(self) -> None:
        """Called after each step of D's optimizer."""

    def compares_with_real(self) -> bool:
        """Whether G's move needs real images beside the generated ones."""
        return bool(self.due_terms("generator"))

    def networks(self) -> dict[Player, dict[str, nn.Module]]:
        """Each player's networks by name, also those of a stage that is not in training."""
        return {"generator": {"generator": self.generator}, "discriminator": {"discriminator": self.discriminator}}

    def companions(self) -> dict[str, Mapping[str, Tensor]]:
        """Weights of other networks to keep beside the generator, by name."""
        return {}

    def parts(self) -> dict[str, Stateful]:
        """Everything that a step changes, by name: what is in a checkpoint."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            **{f"{player}_optimizer": optimizer for player, optimizer in self.optimizers.items()},
            **{f"{term.joins} {term.name}": term for term in self.terms},
            **({"augmentation": self.adaptation} if self.adaptation else {}),
        }

    # --- the step

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        """One generator step and the discriminator steps that go with it.

        Args:
            draw: the next batch of real images; called once for each discriminator step, or once where there is none.
            report: also measure what costs time (gradient norms).

        Returns:
            Figures as detached 0-d tensors on the device, so that reading them is the caller's choice of moment; means
            over the moves of this step that they were measured in.
        """
        self.begin_step()
        figures, parts, times = Meter(), self.recipe.training.accumulate, self.images_per_real()
        moves = self.discriminator_moves()
        for left in reversed(range(moves)):
            batches = [self.prepared(batch) for batch in draw().split(parts)]
            for self.part, batch in enumerate(batches):
                # Kept for G's move, but for parts: the graphs of all of them would take the memory that parts save.
                with torch.set_grad_enabled(left == 0 and self.shares_made):
                    made = self.synthesize(batch)
                figures.add(self.move_discriminator(batch, made.detached(), report=report and left == 0))
        if not moves:
            batches = [self.prepared(batch) for batch in draw().split(parts)]
        for move in range(self.generator_moves()):
            for self.part, batch in enumerate(batch.repeated(times) for batch in batches):
                again = move > 0 or not self.shares_made or not moves
                figures.add(self.move_generator(batch, self.synthesize(batch) if again else made, report=report))
        self.steps += 1
        return figures.means()

    def begin_step(self) -> None:
        """Networks into training mode; what the optimizers have of this moment."""
        self.generator.train()
        self.discriminator.train()
        specs, moment = self.recipe.optimizers, self.moment
        factor = value_at(specs.decay, moment)
        for player, optimizer in self.optimizers.items():
            spec = getattr(specs, player)
            for group in optimizer.param_groups:
                group["lr"] = value_at(spec.lr, moment) * factor
                if "betas" in group:
                    group["betas"] = tuple(value_at(beta, moment) for beta in spec.betas)
                if spec.name == "sgd":
                    group["momentum"] = value_at(spec.momentum, moment)

    def move_discriminator(self, batch: Batch, made: Made, *, report: bool) -> dict[str, Tensor]:
        """D's gradient step; figures of it."""
        judged = self.judge(batch, made)
        loss, figures = self.discriminator_loss(batch, made, judged)
        if self.adaptation:
            self.adaptation.look(judged.real_logits)
        figures |= self.move(loss, judged, report=report)
        if self.ends_move:
            self.discriminator_moved()
            figures |= self._adapted()
        return figures

    def move_generator(self, batch: Batch, made: Made, *, report: bool) -> dict[str, Tensor]:
        """G's gradient step; figures of it."""
        # D only passes the gradient on: its weights' own would be thrown away.
        self.discriminator.requires_grad_(False)
        try:
            judged = self.judge_generated(batch, made)
            loss, figures = self.generator_loss(batch, made, judged)
            return figures | self.move(loss, judged, report=report)
        finally:
            self.discriminator.requires_grad_(True)

    def judge(self, batch: Batch, made: Made) -> Round:
        """D on real and generated images in its own move.

        Two passes, not one of both joined: batch norm must see real and generated images apart, as in DCGAN. A second
        derivative through bf16 layers is too coarse to penalise.
        """
        differentiated = {term.differentiates for term in self.due_terms("discriminator")}
        before_real, before_fake = (
            images.detach().requires_grad_() if name in differentiated else images
            for name, images in (("real", batch.images), ("fake", made.images))
        )
        real, fake = self.augmented(before_real), self.augmented(before_fake)
        with self.precision(enabled="real" not in differentiated):
            real_output = self.discriminator(real, self.told(batch))
        with self.precision(enabled="fake" not in differentiated):
            fake_output = self.discriminator(fake, made.told)
        players, outputs = (self.generator, self.discriminator), (real_output.in_fp32(), fake_output.in_fp32())
        return Round("discriminator", *players, real, fake, self.told(batch), *outputs, (before_real, before_fake))

    def judge_generated(self, batch: Batch, made: Made) -> Round:
        """D on generated images in G's move."""
        fake = self.augmented(made.images)
        real = self.augmented(batch.images) if self.compares_with_real() else batch.images
        with self.precision():
            output = self.discriminator(fake, made.told)
        players = (self.generator, self.discriminator)
        return Round("generator", *players, real, fake, made.told, None, output.in_fp32())

    def move(self, loss: Tensor, round_: Round, *, report: bool) -> dict[str, Tensor]:
        """The player's gradient step on its loss and regularizers, after the last part; figures of both."""
        player, prefix = round_.player, "D" if round_.player == "discriminator" else "G"
        figures: dict[str, Tensor] = {}
        for term in self.due_terms(player):
            value = term.value(round_)
            figures[f"{prefix}/{term.name}"] = value.detach()
            loss = loss + value_at(term.weight, self.moment) * term.every * value
        optimizer, parts = self.optimizers[player], self.recipe.training.accumulate
        if self.part == 0:
            optimizer.zero_grad(set_to_none=True)
        (loss / parts if parts > 1 else loss).backward()  # type: ignore[no-untyped-call]
        if not self.ends_move:
            return figures
        ranks.average_gradients(round_.network)
        if report:
            gradients = [each.grad for each in round_.network.parameters() if each.grad is not None]
            figures[f"{prefix}/gradient_norm"] = torch.nn.utils.get_total_norm(gradients).detach()
        optimizer.step()
        for term in self.terms:
            if term.joins == player:
                term.moved(round_.network)
        return figures

    # --- for the games

    @property
    def ends_move(self) -> bool:
        """Whether the part of the batch in work is the last, after which the player moves."""
        return self.part == self.recipe.training.accumulate - 1

    @property
    def shares_made(self) -> bool:
        """Whether G's first move is on the images that D saw last."""
        return self.recipe.training.accumulate == 1 and self.images_per_real() == 1

    @property
    def resolution(self) -> int:
        """Shorter side of the images that it works on at this step, pixels."""
        return min(self.shape.image[1:])

    @property
    def moment(self) -> Moment:
        """What scheduled settings are read at: there is no scheduler to save."""
        adapted = self.adaptation.probability if self.adaptation else 0.0
        return Moment(self.steps / self.recipe.training.steps, self.resolution, adapted=adapted)

    def stretches(self) -> dict[int, int]:
        """Stretches of the training whose steps cost alike, in order: a step of each, and how many there are."""
        total = self.recipe.training.steps
        return {total - 1: total}

    def begin_learning(self) -> None:
        """Optimizers and regularizers that remember nothing, for the networks as they are."""
        specs = self.recipe.optimizers
        players: dict[Player, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator}
        self.optimizers: dict[Player, torch.optim.Optimizer] = {
            player: make_optimizer(getattr(specs, player), network)
            for player, network in players.items()
            if next(network.parameters(), None) is not None
        }
        # A copy has a memory of its own.
        self.terms: list[Regularizer] = [term.model_copy() for term in self.recipe.regularizers]
        asked = self.rules.augmentation_probability
        self.adaptation = Adaptation(asked, self.device) if isinstance(asked, Adaptive) else None

    def draw_latents(self, num: int) -> Tensor:
        """[num, Z] from N(0, I)."""
        return ranks.share(torch.randn(num * ranks.count(), self.generator.latent, device=self.device))

    def due_terms(self, player: Player) -> list[Regularizer]:
        """The player's regularizers that apply at this step."""
        return [term for term in self.terms if term.joins == player and self.steps % term.every == 0]

    def augmented(self, images: Tensor) -> Tensor:
        """Images as D sees them."""
        rules = self.rules
        return augment(images, rules.augmentations, value_at(rules.augmentation_probability, self.moment))

    def _adapted(self) -> dict[str, Tensor]:
        """The probability of augmentation after D's move, where it is due; figures of it."""
        if not self.adaptation or (self.steps + 1) % self.adaptation.spec.every:
            return {}
        batch = int(value_at(self.recipe.training.batch_size, self.moment))
        return self.adaptation.follow(batch * self.adaptation.spec.every)

    def accuracy(self, judged: Round, boundary: float = 0.0) -> dict[str, Tensor]:
        """Shares of real and of generated images that D takes for what they are."""
        return {
            "D/accuracy_real": (judged.real_logits.detach() > boundary).float().mean(),
            "D/accuracy_fake": (judged.fake_logits.detach() < boundary).float().mean(),
        }

    def precision(self, *, enabled: bool = True) -> AbstractContextManager[Any]:
        """Autocast to bf16 where the recipe allows it and the device computes in it."""
        bf16 = enabled and self.recipe.training.precision == "bf16" and computes_bf16(self.device)
        kind = "cuda" if self.device.type == "cuda" else "cpu"  # nothing is known of the meta device
        return torch.autocast(kind, torch.bfloat16, enabled=bf16)

    def compile_networks(self) -> None:
        """Each player's forward pass becomes one program (torch.compile), but for D under a penalty on its gradient:
        such programs have no second derivative."""
        self.generator.compile()
        if not any(term.differentiates for term in self.recipe.regularizers):
            self.discriminator.compile()

    # --- state

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit, as tensors and plain values."""
        return {**{name: part.state_dict() for name, part in self.parts().items()}, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over a `state_dict` of the same recipe."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.steps = state["steps"]


def spread_rows(count: int, most: int) -> Tensor:
    """Positions int64 of at most so many of `count` rows, from the first to the last: tables may be sorted by class."""
    chosen = min(count, most)
    return torch.arange(chosen) * count // max(1, chosen)


def build_game(recipe: Recipe, shape: DataShape, device: torch.device) -> Game[Any]:
    """The recipe's game, networks drawn from torch's global random state; RequestError for data that cannot fit."""
    return resolve_name(recipe.game.played_by)(recipe, shape, device)


def make_optimizer(spec: Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of one player; its rate and decays are those of the moment, set at the start of each step."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if spec.name == "rmsprop":
        # 0.99 and 1e-8 are PyTorch's, which the public WGAN code leaves as they are.
        return torch.optim.RMSprop(parameters)
    if spec.name == "sgd":
        return torch.optim.SGD(parameters)
    # On the meta device, where networks are only counted, nothing is fused.
    return torch.optim.Adam(parameters, fused=parameters[0].device.type != "meta")
