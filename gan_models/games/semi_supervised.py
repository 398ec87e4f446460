"""Semi-supervised learning with a GAN: D is the classifier (Salimans et al. 2016, section 5; Odena 2016).

D has K logits l. With Z = log sum exp l an image is real with probability e^Z / (e^Z + 1): a softmax over K + 1 classes
whose last logit, "generated", is fixed at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gan_models.augmentations import augment
from gan_models.averaging import ExponentialMovingAverage
from gan_models.data.table import Split, to_float
from gan_models.errors import RequestError
from gan_models.families.building import DataShape
from gan_models.games import Batch
from gan_models.games.two_player import TwoPlayerGame, player_of
from gan_models.recipes.game_specs import SemiSupervised
from gan_models.recipes.schema import Recipe
from gan_models.regularizers import Round

CLASSIFIER = "classifier"
"""The name under which the loop keeps D beside the generator."""

_STATISTICS_IMAGES = 512
# Keeps the choice of labels apart from the order of batches, which shares the seed.
_STREAM = 0x5EED


class SemiSupervisedGame(TwoPlayerGame):
    """All training images without labels, a few with; D's moving average is the classifier that is kept."""

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        assert isinstance(recipe.game, SemiSupervised)
        self.rules: SemiSupervised = recipe.game
        check_rules(recipe)
        super().__init__(recipe, shape, device)
        self.average = ExponentialMovingAverage(self.discriminator, recipe.training.ema)
        self.labelled = Batch(torch.empty(0, *shape.image, device=device))
        self.statistics = {"images": torch.empty(0, *shape.image, device=device)}

    def prepare(self, split: Split, seed: int) -> None:
        """Chooses the images whose label may be used, a pure function of the split and the seed."""
        assert split.labels is not None
        rows = labelled_rows(split.labels.cpu().numpy(), self.shape.classes, self.rules.labels_per_class, seed)
        self.labelled = Batch(*split.batch(torch.from_numpy(rows)))
        self.statistics = {"images": to_float(split.images[:_STATISTICS_IMAGES])}

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        self.begin_step()
        for _ in range(self.rules.discriminator_steps):
            batch = draw()
            fake = self.synthesize(len(batch.images))
            metrics = self.move_discriminator(batch.images, fake.detach(), report=report)
        self.average.update(self.discriminator, self.steps + 1)
        metrics |= self.move_generator(batch.images, fake, report=report)
        self.steps += 1
        return metrics

    def synthesize(self, num: int) -> Tensor:
        with self.precision():
            fake: Tensor = self.generator(self.draw_latents(num))
        return fake.float()

    def move_discriminator(self, real: Tensor, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        real, fake = self.shown(real, "real"), self.shown(fake, "fake")
        chosen = torch.randperm(len(self.labelled.images), device=self.device)[: len(real)]
        assert self.labelled.labels is not None
        labels = self.labelled.labels[chosen]
        differentiated = self.differentiated("discriminator")
        with self.precision(enabled="real" not in differentiated):
            real_output = self.discriminator(real)
        with self.precision(enabled="fake" not in differentiated):
            fake_output = self.discriminator(fake)
        with self.precision():
            labelled_output = self.discriminator(augment(self.labelled.images[chosen], self.rules.augmentations))
        class_logits = labelled_output.class_logits.float()
        supervised = supervised_loss(class_logits, labels)
        adversarial = unsupervised_loss(real_output.logits.float(), fake_output.logits.float())
        loss = self.rules.supervised * supervised + adversarial
        round_ = Round("discriminator", self.generator, self.discriminator, real, fake, None, real_output, fake_output)
        return self.move(loss, round_, report=report) | {
            "D/loss": adversarial.detach(),
            "D/class_loss": supervised.detach(),
            "D/accuracy_labelled": (class_logits.detach().argmax(1) == labels).float().mean(),
            "D/accuracy_real": (real_output.logits.detach() > 0).float().mean(),
            "D/accuracy_fake": (fake_output.logits.detach() < 0).float().mean(),
        }

    def move_generator(self, real: Tensor, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        with self.discriminator_as_it_is():
            real, fake = (augment(images, self.rules.augmentations) for images in (real, fake))
            with self.precision():
                output = self.discriminator(fake)
            # The non-saturating loss on the logit of "real", which Z is.
            adversarial = softplus(-output.logits.float()).mean()
            round_ = Round("generator", self.generator, self.discriminator, real, fake, None, None, output)
            moved = self.move(self.rules.adversarial * adversarial, round_, report=report)
        return moved | {"G/loss": adversarial.detach()}

    def companions(self) -> dict[str, Mapping[str, Tensor]]:
        """The classifier to keep beside the generator: D with averaged weights, as the paper tests it."""
        averaged = self.average.snapshot(self.discriminator, self.statistics)
        return {CLASSIFIER: averaged.state_dict()}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"discriminator_average": self.average.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.average.load_state_dict(state["discriminator_average"])


def supervised_loss(class_logits: Tensor, labels: Tensor) -> Tensor:
    """-l_y + Z of labelled images, the cross entropy among the K classes; logits [B, K], labels int64 [B]."""
    chosen = class_logits.gather(1, labels[:, None]).squeeze(1)
    return (class_logits.logsumexp(1) - chosen).mean()


def unsupervised_loss(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E [softplus(Z) - Z] on real images + 1/2 E softplus(Z) on generated ones; both Z, [B]."""
    return 0.5 * (softplus(real) - real).mean() + 0.5 * softplus(fake).mean()


def labelled_rows(labels: np.ndarray, classes: int, per_class: int, seed: int) -> np.ndarray:
    """Positions int64 of `per_class` images of each class, drawn without replacement.

    Raises:
        RequestError: a class has fewer.
    """
    order = np.random.default_rng([seed, _STREAM]).permutation(len(labels))
    members = [order[labels[order] == number][:per_class] for number in range(classes)]
    few = min(map(len, members))
    if few < per_class:
        raise RequestError(
            f"game.labels_per_class={per_class}: one of the classes has only {few} training images; set at most that"
        )
    return np.concatenate(members)


def check_rules(recipe: Recipe) -> None:
    """Refuses what this game has no place for.

    Raises:
        RequestError: with the reason and the remedy.
    """
    assert isinstance(recipe.game, SemiSupervised)
    if recipe.conditional:
        raise RequestError(
            "game.kind=semi-supervised names the class by D itself and tells neither player: "
            "set conditioning.generator=none and conditioning.discriminator=none"
        )
    matched = [term for term in recipe.regularizers if term.name == "feature-matching" and term.weight]
    if not recipe.game.adversarial and not any(player_of(term) == "generator" for term in matched):
        raise RequestError(
            "game.adversarial=0 leaves G nothing to learn from: set it above 0, or add regularizers=[{name: "
            "feature-matching}]"
        )
