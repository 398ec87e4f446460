"""Semi-supervised learning with a GAN: D is the classifier (Salimans et al. 2016, section 5; Odena 2016).

D has K logits l. With Z = log sum exp l an image is real with probability e^Z / (e^Z + 1): a softmax over K + 1 classes
whose last logit, "generated", is fixed at 0.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gan_models.averaging import ExponentialMovingAverage
from gan_models.data.shape import DataShape
from gan_models.data.table import AnySplit, taken, to_float
from gan_models.errors import RequestError
from gan_models.games.base import Batch, Game, Loss, Made, Stateful, spread_rows
from gan_models.games.semi_supervised.spec import SemiSupervised
from gan_models.recipes.schema import Recipe
from gan_models.regularizers import Round
from gan_models.schedules import value_at

CLASSIFIER = "classifier"  # the name under which the loop keeps D beside the generator

_STATISTICS_IMAGES = 512
# Keeps the choice of labels apart from the order of batches, which shares the seed.
_STREAM = 0x5EED


class SemiSupervisedGame(Game[SemiSupervised]):
    """All training images without labels, a few with; D's moving average is the classifier that is kept."""

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        super().__init__(recipe, shape, device)
        self.average = ExponentialMovingAverage(self.discriminator)
        self.labelled = Batch(torch.empty(0, *shape.image, device=device))
        self.statistics = {"images": torch.empty(0, *shape.image, device=device)}

    def parts(self) -> dict[str, Stateful]:
        return super().parts() | {"discriminator_average": self.average}

    def prepare(self, split: AnySplit, seed: int) -> None:
        """Chooses the images whose label may be used, a pure function of the split and the seed."""
        assert split.labels is not None
        rows = labelled_rows(split.labels.cpu().numpy(), self.shape.classes, self.rules.labels_per_class, seed)
        self.labelled = Batch.of(split, torch.from_numpy(rows), self.rules.needs)
        self.statistics = {"images": to_float(taken(split.images, spread_rows(len(split), _STATISTICS_IMAGES)))}
        super().prepare(split, seed)

    def synthesize(self, batch: Batch) -> Made:
        with self.precision():
            fake: Tensor = self.generator(self.draw_latents(len(batch.images)))
        return Made(fake.float())

    def discriminator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        chosen = torch.randperm(len(self.labelled.images), device=self.device)[: len(batch.images)]
        assert self.labelled.labels is not None
        labels = self.labelled.labels[chosen]
        with self.precision():
            output = self.discriminator(self.augmented(self.labelled.images[chosen])).in_fp32()
        supervised = supervised_loss(output.class_logits, labels)
        adversarial = unsupervised_loss(judged.real_logits, judged.fake_logits)
        return self.rules.supervised * supervised + adversarial, {
            "D/loss": adversarial.detach(),
            "D/class_loss": supervised.detach(),
            "D/accuracy_labelled": (output.class_logits.detach().argmax(1) == labels).float().mean(),
            **self.accuracy(judged),
        }

    def generator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        # The non-saturating loss on the logit of "real", which Z is.
        adversarial = softplus(-judged.fake_logits).mean()
        return self.rules.adversarial * adversarial, {"G/loss": adversarial.detach()}

    def move_generator(self, batch: Batch, made: Made, *, report: bool) -> dict[str, Tensor]:
        self.average.update(self.discriminator, self.steps + 1, value_at(self.recipe.training.ema, self.moment))
        return super().move_generator(batch, made, report=report)

    def companions(self) -> dict[str, Mapping[str, Tensor]]:
        """The classifier to keep beside the generator: D with averaged weights, as the paper tests it."""
        averaged = self.average.snapshot(self.discriminator, self.statistics)
        return {CLASSIFIER: averaged.state_dict()}


def supervised_loss(class_logits: Tensor, labels: Tensor) -> Tensor:
    """-l_y + Z of labelled images, the cross entropy among the K classes; logits [B, K], labels int64 [B]."""
    chosen = class_logits.gather(1, labels[:, None]).squeeze(1)
    return (class_logits.logsumexp(1) - chosen).mean()


def unsupervised_loss(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E [softplus(Z) - Z] on real images + 1/2 E softplus(Z) on generated ones; both Z, [B]."""
    return 0.5 * (softplus(real) - real).mean() + 0.5 * softplus(fake).mean()


def labelled_rows(labels: np.ndarray, classes: int, per_class: int, seed: int) -> np.ndarray:
    """Positions int64 of `per_class` images of each class, drawn without replacement; RequestError for too few."""
    order = np.random.default_rng([seed, _STREAM]).permutation(len(labels))
    members = [order[labels[order] == number][:per_class] for number in range(classes)]
    few = min(map(len, members))
    if few < per_class:
        raise RequestError(
            f"game.labels_per_class={per_class}: one of the classes has only {few} training images; set at most that"
        )
    return np.concatenate(members)
