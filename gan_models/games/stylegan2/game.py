"""StyleGAN2's training (Karras et al. 2020a, sections 2 to 4 and appendix B), as StyleGAN2-ADA's public code has it.

A step is up to four moves, each on latents of its own: G on its loss, G on the path length, D on its loss, D on R1.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gan_models.data.shape import DataShape
from gan_models.families.interfaces import DiscriminatorOutput, Inputs, StyledGenerator
from gan_models.games.adversarial.game import AdversarialGame
from gan_models.games.base import Batch
from gan_models.games.stylegan2.spec import StyleGan2
from gan_models.meter import Meter
from gan_models.recipes.schema import Recipe
from gan_models.regularizers import PathLength, Player, Regularizer, Round


class StyleGan2Game(AdversarialGame[StyleGan2]):
    """The penalties that come every n-th step have a move of their own, scaled by n.

    Adam takes n + 1 steps where it took n, so with c = n / (n + 1) its rate becomes c lr, its decays beta^c (appendix
    B, "lazy regularization").
    """

    generator: StyledGenerator

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        self.compiled_draw: Callable[[Tensor], Tensor] | None = None
        super().__init__(recipe, shape, device)
        self.apart = False  # whether the move in work is that of penalties

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        self.begin_step()
        figures = Meter()
        batches = self._drawn(draw)
        for _ in range(self.generator_moves()):
            for self.part, batch in enumerate(batches):
                figures.add(self.move_generator(batch, self.synthesize(batch), report=report))
        self._penalise("generator", batches, figures)
        for left in reversed(range(self.discriminator_moves())):
            for self.part, batch in enumerate(batches):
                with torch.no_grad():
                    made = self.synthesize(batch)
                figures.add(self.move_discriminator(batch, made, report=report and left == 0))
            if left:
                batches = self._drawn(draw)
        self._penalise("discriminator", batches, figures)
        self.steps += 1
        return figures.means()

    def begin_step(self) -> None:
        super().begin_step()
        for player, optimizer in self.optimizers.items():
            every = next((term.every for term in self.terms if term.joins == player and term.every > 1), 0)
            share = every / (every + 1) if every else 1.0
            for group in optimizer.param_groups:
                group["lr"] *= share
                if "betas" in group:
                    group["betas"] = tuple(beta**share for beta in group["betas"])

    def due_terms(self, player: Player) -> list[Regularizer]:
        return [term for term in super().due_terms(player) if (term.every > 1) == self.apart]

    def generate(self, inputs: Inputs) -> Tensor:
        draw = self.compiled_draw or self.generator.draw
        return draw(self.styles(inputs["latents"], inputs.get("labels")))

    def compile_networks(self) -> None:
        """Of both players what their own losses are made of: penalties in steps of their own go round it."""
        self.compiled_draw = torch.compile(self.generator.draw)
        if not any(term.differentiates and term.every == 1 for term in self.recipe.regularizers):
            self.discriminator.compile()

    def styles(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """[B, L, W]; as often as `mixing` says, those from a layer on are of other latents, of all images alike."""
        styles = self.generator.styles(latents, labels)
        if not self.rules.mixing:
            return styles
        layers, device = styles.shape[1], styles.device
        others = self.generator.styles(self.draw_latents(len(latents)), labels, track=False)
        mixed = torch.rand((), device=device) < self.rules.mixing
        first = torch.where(mixed, torch.randint(1, layers, (), device=device), layers)
        return torch.where((torch.arange(layers, device=device) < first)[:, None], styles, others)

    def _drawn(self, draw: Callable[[], Batch]) -> list[Batch]:
        return [self.prepared(batch) for batch in draw().split(self.recipe.training.accumulate)]

    def _penalise(self, player: Player, batches: Sequence[Batch], figures: Meter) -> None:
        """The player's move on the penalties that are due, if any."""
        self.apart = True
        try:
            if terms := self.due_terms(player):
                for self.part, batch in enumerate(batches):
                    judged = self._real(batch) if player == "discriminator" else self._styled(batch, terms)
                    nothing = 0.0 * (judged.real_logits if player == "discriminator" else judged.fake).sum()
                    figures.add(self.move(nothing, judged, report=False))
        finally:
            self.apart = False

    def _real(self, batch: Batch) -> Round:
        """D on real images in fp32, as a function of the images before they are augmented."""
        real = batch.images.detach().requires_grad_()
        with self.precision(enabled=False):
            output = self.discriminator.forward(self.augmented(real), self.told(batch)).in_fp32()
        players = (self.generator, self.discriminator)
        return Round("discriminator", *players, real, real[:0], self.told(batch), output, _SILENCE)

    def _styled(self, batch: Batch, terms: Sequence[Regularizer]) -> Round:
        """G's images in fp32, as a function of their styles; of fewer latents, as the path length has it."""
        shrink = max((term.shrink for term in terms if isinstance(term, PathLength)), default=1)
        count = max(1, len(batch.images) // shrink)
        labels = None if batch.labels is None else batch.labels[:count]
        with self.precision(enabled=False):
            styles = self.styles(self.draw_latents(count), labels)
            fake = self.generator.draw(styles)
        players = (self.generator, self.discriminator)
        return Round("generator", *players, batch.images, fake, labels, None, _SILENCE, styles=styles)


_SILENCE = DiscriminatorOutput(torch.empty(0), torch.empty(0))  # D has not been asked
