"""CycleGAN's game (Zhu et al. 2017, section 3): unpaired images of two domains."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.data.table import AnySplit, DomainSampler
from gan_models.errors import RequestError
from gan_models.families.cyclegan.spec import DOMAINS
from gan_models.games.base import Batch, Game, Loss, Made, Stateful
from gan_models.games.cycle.spec import Cycle
from gan_models.meter import Meter
from gan_models.recipes.schema import Recipe
from gan_models.regularizers import Player, Round


class ImagePool:
    """Keeps `size` generated images; once it is full, half of the images asked about are swapped for kept ones.

    Shrivastava et al. 2017, section 2.3. As in CycleGAN's public code: until it is full every image is kept and given
    back; afterwards, with probability 1/2, a random kept image is given back and the new one takes its place.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._images: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W], some of them older; random numbers from torch's global state on the CPU."""
        if not self.size:
            return images
        given = []
        for image in images.detach():
            if len(self._images) < self.size:
                self._images.append(image.clone())
                given.append(image)
            elif float(torch.rand(())) > 0.5:
                place = int(torch.randint(self.size, ()))
                given.append(self._images[place])
                self._images[place] = image.clone()
            else:
                given.append(image)
        return torch.stack(given) if given else images

    def state_dict(self) -> dict[str, Any]:
        return {"images": self._images}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._images = list(state["images"])


class CycleGame(Game[Cycle]):
    """G moves first, then D, on the images G made before it moved and on older ones from a pool (appendix 7.1).

    A batch holds `training.batch_size` images of each domain, however many there are of either; each goes through the
    networks that its domain names, and every loss is the sum over domains of the mean over that domain's images.
    """

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        super().__init__(recipe, shape, device)
        self.pools = [ImagePool(self.rules.pool) for _ in range(DOMAINS)]

    def networks(self) -> dict[Player, dict[str, nn.Module]]:
        """A network of its own for each direction, and for each domain."""
        parts = dict(self.generator.named_modules()) | dict(self.discriminator.named_modules())
        return {
            "generator": {f"to domain {number}": parts[f"directions.branches.{number}"] for number in range(DOMAINS)},
            "discriminator": {
                f"of domain {number}": nn.ModuleList([parts[f"{part}.branches.{number}"] for part in ("trunk", "head")])
                for number in range(DOMAINS)
            },
        }

    def parts(self) -> dict[str, Stateful]:
        return super().parts() | {f"pool {domain}": pool for domain, pool in enumerate(self.pools)}

    def sampler(self, split: AnySplit, batch_size: int, seed: int) -> DomainSampler:
        assert split.domains is not None
        counts = torch.bincount(split.domains, minlength=DOMAINS).tolist()
        if 0 in counts:
            raise RequestError(
                f"{counts[0]} training images are of the first domain and {counts[1]} of the second: game.kind=cycle "
                "needs some of both; put images of both into the train split"
            )
        return DomainSampler(split.domains, DOMAINS, batch_size, seed)

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        self.begin_step()
        batch, figures = draw(), Meter()
        made = self.synthesize(batch)
        figures.add(self.move_generator(batch, made, report=report))
        figures.add(self.move_discriminator(batch, made.detached(), report=report))
        for _ in range(self.rules.discriminator_steps - 1):
            batch = draw()
            with torch.no_grad():
                made = self.synthesize(batch)
            figures.add(self.move_discriminator(batch, made, report=False))
        self.steps += 1
        return figures.means()

    def synthesize(self, batch: Batch) -> Made:
        """Each image translated to the domain that it is not of."""
        with self.precision():
            fake: Tensor = self.generator(batch.images, others(batch))
        return Made(fake.float(), others(batch))

    def told(self, batch: Batch) -> Tensor | None:
        return domains_of(batch)

    def move_discriminator(self, batch: Batch, made: Made, *, report: bool) -> dict[str, Tensor]:
        fake, targets = made.images.clone(), others(batch)
        for domain, pool in enumerate(self.pools):
            chosen = torch.nonzero(targets == domain)[:, 0]
            fake[chosen] = pool.query(fake[chosen])
        return super().move_discriminator(batch, made._replace(images=fake), report=report)

    def discriminator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        real = by_domain((judged.real_logits - 1).square(), domains_of(batch))
        # Halved, so that D is slow beside G (section 4).
        loss = 0.5 * (real + by_domain(judged.fake_logits.square(), others(batch)))
        return loss, {"D/loss": loss.detach(), **self.accuracy(judged, 0.5)}

    def generator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        own = domains_of(batch)
        with self.precision():
            returned = self.generator(made.images, own)
        adversarial = by_domain((judged.fake_logits - 1).square(), others(batch))
        cycle = by_domain((returned.float() - batch.images).abs(), own)
        loss = adversarial + self.rules.cycle * cycle
        figures = {"G/adversarial": adversarial.detach(), "G/cycle": cycle.detach()}
        if self.rules.identity:
            with self.precision():
                same = self.generator(batch.images, own)
            identity = by_domain((same.float() - batch.images).abs(), own)
            loss = loss + self.rules.cycle * self.rules.identity * identity
            figures["G/identity"] = identity.detach()
        return loss, {"G/loss": loss.detach(), **figures}


def domains_of(batch: Batch) -> Tensor:
    """int64 [B]; the loop hands them over because the game `needs` them."""
    assert batch.domains is not None
    return batch.domains


def others(batch: Batch) -> Tensor:
    """For each image the domain that it is not of, int64 [B]."""
    return 1 - domains_of(batch)


def by_domain(values: Tensor, domains: Tensor) -> Tensor:
    """Sum over domains of the mean of `values` [B, ...] over that domain's images, 0-d."""
    weights = 1.0 / torch.bincount(domains, minlength=DOMAINS).clamp(min=1)
    return (values.flatten(1).mean(1) * weights[domains]).sum()
