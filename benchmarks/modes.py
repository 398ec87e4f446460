"""Which games and techniques find all modes: every one on a ring of 8 and a grid of 25 Gaussians, known exactly.

    python benchmarks/modes.py [--only NAME ...] [--mixtures ring grid] [--results runs/modes] [--draw]

The same multilayer perceptrons, optimizer and number of steps for all, the project's own games, losses, regularizers
and layers. The trainings of one contestant, one for each seed, run side by side in one batch (see `Abreast`). Results
are kept in a folder, a file for each contestant, and what is there already is not trained again; `docs/modes.md` and
`docs/images/modes.png` are written from all of it (`--draw`: from what is there, without training). One thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from modes_page import POINTS, Result, write_pages
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.data.toy import GRID, RING, Mixture
from gan_models.families.interfaces import Discriminator, DiscriminatorOutput, Generator
from gan_models.families.mlp.networks import Mlp, MlpImageGenerator
from gan_models.games.adversarial.game import AdversarialGame
from gan_models.games.base import Batch
from gan_models.layers.heads import LinearHead
from gan_models.layers.minibatch import MinibatchDiscrimination, MinibatchStdDev
from gan_models.layers.normalization import add_spectral_norm
from gan_models.metrics.distributions import earth_movers, histogram, jensen_shannon, kullback_leibler, total_variation
from gan_models.recipes.schema import Recipe
from gan_models.regularizers import Round

REPO = Path(__file__).parents[1]
POINT = (2, 1, 1)
"""A point of the plane as an image: two channels of one pixel."""
WIDTHS = (128, 128)
LATENT = 16
BATCH = 64
KERNELS = 8
PENALTY = 0.1
SEEDS = 5
SAMPLES, MATCHED, BINS = 10_000, 1_000, 50
FOUND_SHARE = 0.1
FIGURES = ("modes", "good", "tv", "kl", "js", "em")
DEVIATION = 0.1
"""Wider than the papers' 0.02 and 0.05, so that a short training can hit a mode at all."""
MIXTURES = {mixture.name: replace(mixture, deviation=DEVIATION) for mixture in (RING, GRID)}


@dataclass(frozen=True)
class Contestant:
    """What differs from the plain setting."""

    game: dict[str, Any]
    regularizers: dict[str, float] = field(default_factory=dict)
    """Weight by name."""
    spectral_norm: bool = False
    minibatch: Callable[[int], tuple[nn.Module, int]] | None = None
    """Number of features -> the layer in front of D's head, and how many features it adds."""


def _discrimination(features: int) -> tuple[nn.Module, int]:
    return MinibatchDiscrimination(features, KERNELS), KERNELS


def _deviation(features: int) -> tuple[nn.Module, int]:
    return MinibatchStdDev(), 1


STEPS = {"ring": 1_500, "grid": 5_000}
RATES = {"ring": 1e-3, "grid": 3e-3}
"""Of Adam. In 1,500 steps at 1e-3 no contestant gets further on the grid than a blanket over the whole square."""
PLAIN = {"loss": "non-saturating"}
WGAN = {"loss": "wasserstein", "discriminator_steps": 3}
CONTESTANTS = {
    "minimax": Contestant({"loss": "minimax"}),
    "non-saturating": Contestant(PLAIN),
    "hinge": Contestant({"loss": "hinge"}),
    "least-squares": Contestant({"loss": "least-squares"}),
    "relativistic": Contestant({"loss": "relativistic"}),
    "maximum-likelihood": Contestant({"loss": "maximum-likelihood"}),
    "wasserstein, clipped": Contestant({**WGAN, "weight_clip": 0.1}),
    "wasserstein + gradient penalty": Contestant(WGAN, {"gradient-penalty": PENALTY}),
    "hinge + spectral norm": Contestant({"loss": "hinge"}, spectral_norm=True),
    "non-saturating + minibatch discrimination": Contestant(PLAIN, minibatch=_discrimination),
    "non-saturating + minibatch deviation": Contestant(PLAIN, minibatch=_deviation),
    "non-saturating + feature matching": Contestant(PLAIN, {"feature-matching": 1.0}),
    "non-saturating + historical averaging": Contestant(PLAIN, {"historical-averaging": 1e-3}),
    "non-saturating + label smoothing": Contestant({"loss": {"name": "non-saturating", "label_smoothing": 0.1}}),
    "non-saturating + DRAGAN": Contestant(PLAIN, {"dragan": PENALTY}),
    "non-saturating + zero-centred penalty": Contestant(PLAIN, {"zero-centred-gradient-penalty": PENALTY}),
    "non-saturating + R1": Contestant(PLAIN, {"r1": PENALTY}),
    "non-saturating + R2": Contestant(PLAIN, {"r2": PENALTY}),
    "relativistic + R1 + R2": Contestant({"loss": "relativistic"}, {"r1": PENALTY, "r2": PENALTY}),
}
SUMMED = ("feature-matching", "historical-averaging")
"""Regularizers that add up over the trainings side by side, where losses and the others average."""


def abreast(stacks: Sequence[Sequence[nn.Module]], x_SBF: Tensor) -> Tensor:
    """Runs S stacks of the same layers as one, the s-th on x[s]: S small matrix products become one batched product."""
    for layers in zip(*stacks, strict=True):
        if isinstance(layers[0], nn.Linear):
            weights = torch.stack([layer.weight for layer in layers])
            biases = torch.stack([layer.bias for layer in layers])
            x_SBF = torch.baddbmm(biases[:, None], x_SBF, weights.transpose(1, 2))
        elif not isinstance(layers[0], nn.Flatten):
            x_SBF = layers[0](x_SBF)
    return x_SBF


class Abreast(Generator):
    """S independent generators of points; rows s * B to (s + 1) * B of a batch belong to the s-th."""

    task = "latent"

    def __init__(self, recipe: Recipe, reach: float, seeds: int) -> None:
        super().__init__(("latents",), latent=LATENT)
        self.reach = reach
        spec = recipe.networks.generator
        self.members = nn.ModuleList(MlpImageGenerator(spec, LATENT, 0, POINT, one_hot=False) for _ in range(seeds))

    def forward(self, latents: Tensor) -> Tensor:
        latents = latents.unflatten(0, (len(self.members), -1))
        points = abreast([member.layers for member in self.members], latents)
        return self.reach * points.flatten(0, 1)[:, :, None, None]


class AbreastDiscriminator(Discriminator):
    """S independent discriminators, each built of the project's parts and never shown the others' points."""

    def __init__(self, recipe: Recipe, contestant: Contestant, seeds: int) -> None:
        nn.Module.__init__(self)
        self.members = nn.ModuleList(_discriminator(recipe, contestant) for _ in range(seeds))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        points = images.flatten(1).unflatten(0, (len(self.members), -1))
        features = seen = abreast([member.trunk for member in self.members], points)
        if self.members[0].minibatch is not None:
            seen = torch.stack([member.minibatch(rows) for member, rows in zip(self.members, features, strict=True)])
        logits = abreast([[member.head.linear] for member in self.members], seen)
        # Features side by side: a mean over the batch is then one for each member.
        return DiscriminatorOutput(logits.flatten(), features.transpose(0, 1).flatten(1))


def _discriminator(recipe: Recipe, contestant: Contestant) -> Discriminator:
    trunk = Mlp().trunk(recipe.networks.discriminator, POINT)
    layer, more = (None, 0) if contestant.minibatch is None else contestant.minibatch(trunk.channels)
    discriminator = Discriminator(trunk.layers, LinearHead(trunk.channels + more), minibatch=layer)
    if contestant.spectral_norm:
        add_spectral_norm(discriminator)
    return discriminator


class PointGame(AdversarialGame):
    """The project's adversarial game, played by several pairs of players side by side.

    Losses and penalties are means over all rows: times the number of pairs, each pair's gradient is its own.
    """

    def __init__(self, recipe: Recipe, contestant: Contestant, reach: float, seeds: int) -> None:
        self.contestant, self.reach, self.seeds = contestant, reach, seeds
        super().__init__(recipe, DataShape(POINT), torch.device("cpu"))

    def move(self, loss: Tensor, round_: Round, *, report: bool) -> dict[str, Tensor]:
        return super().move(self.seeds * loss, round_, report=report)

    def make_generator(self) -> Generator:
        return Abreast(self.recipe, self.reach, self.seeds)

    def make_discriminator(self) -> Discriminator:
        return AbreastDiscriminator(self.recipe, self.contestant, self.seeds)


def make_recipe(contestant: Contestant, steps: int, seeds: int, rate: float = 1e-3) -> Recipe:
    adam = {"lr": rate, "betas": (0.5, 0.9)}
    regularizers = [
        {"name": name, "weight": weight if name in SUMMED else weight * seeds}
        for name, weight in contestant.regularizers.items()
    ]
    mlp = {"family": "mlp", "widths": WIDTHS, "norm": "none"}
    return Recipe.model_validate(
        {
            "name": "modes",
            "networks": {"latent": LATENT, "generator": mlp, "discriminator": mlp},
            "game": contestant.game,
            "regularizers": regularizers,
            "optimizers": {"generator": adam, "discriminator": adam, "decay_from": 0.5},
            "training": {"steps": steps, "batch_size": BATCH, "precision": "fp32"},
        }
    )


def reach_of(mixture: Mixture) -> float:
    """Points of the mixture and of the generators lie within +- this along both axes."""
    return 1.25 * max(max(map(abs, centre)) for centre in mixture.centres)


def train(contestant: Contestant, mixture: Mixture, seeds: int) -> np.ndarray:
    """Samples of the trained generators, float32 [seeds, SAMPLES, 2]."""
    torch.manual_seed(0)
    reach, steps = reach_of(mixture), STEPS[mixture.name]
    game = PointGame(make_recipe(contestant, steps, seeds, RATES[mixture.name]), contestant, reach, seeds)
    data = torch.from_numpy(mixture.draw(100_000, seed=0)[0])[:, :, None, None]

    def draw() -> Batch:
        return Batch(data[torch.randint(len(data), (seeds * BATCH,))])

    for _ in range(steps):
        game.step(draw, report=False)
    with torch.no_grad():
        points = game.generator.eval()(torch.randn(seeds * SAMPLES, LATENT))
    return points.reshape(seeds, SAMPLES, 2).numpy()


def measure(points: np.ndarray, mixture: Mixture, seed: int) -> dict[str, float]:
    """The figures of one trained generator from SAMPLES points; where it diverged, those of no sample at all."""
    reach = reach_of(mixture)
    points = np.nan_to_num(points, nan=2 * reach)
    modes, distances = mixture.nearest(points)
    good = distances <= 3.0
    found = np.bincount(modes[good], minlength=len(mixture.centres)) / len(points)
    edges = np.linspace(-reach, reach, BINS + 1).tolist()
    inside = mixture.masses(edges)
    data = np.append(inside.ravel(), 1.0 - inside.sum())
    model = histogram(points, edges)
    fresh = mixture.draw(MATCHED, seed=1_000 + seed)[0]
    return {
        "modes": int((found >= FOUND_SHARE / len(mixture.centres)).sum()),
        "good": float(good.mean()),
        "tv": total_variation(data, model),
        "kl": kullback_leibler(data, histogram(points, edges, prior=0.5)),
        "js": jensen_shannon(data, model),
        "em": earth_movers(points[:MATCHED], fresh),
    }


def play(name: str, mixture: Mixture) -> Result:
    """One contestant on one mixture, all seeds."""
    started = time.process_time()
    if name == "data":
        points = np.stack([mixture.draw(SAMPLES, seed=500 + seed)[0] for seed in range(SEEDS)])
    else:
        points = train(CONTESTANTS[name], mixture, SEEDS)
    seconds = time.process_time() - started
    return {
        "name": name,
        "mixture": mixture.name,
        "steps": STEPS[mixture.name],
        "rate": RATES[mixture.name],
        "seconds": seconds,
        "seeds": [measure(each, mixture, seed) for seed, each in enumerate(points)],
        "points": points[0, :POINTS].round(3).tolist(),
        "torch": torch.__version__,
    }


def setting() -> dict[str, Any]:
    """What all contestants have in common, for the page."""
    lengths = (f"{STEPS[name]:,} generator steps at a rate of {RATES[name]} on the {name}" for name in MIXTURES)
    return {
        "width": WIDTHS[0],
        "latent": LATENT,
        "lengths": ", ".join(lengths),
        "batch": BATCH,
        "critic": WGAN["discriminator_steps"],
        "seeds": SEEDS,
        "deviation": DEVIATION,
        "penalty": PENALTY,
        "found": FOUND_SHARE,
        "samples": SAMPLES,
        "bins": BINS,
        "matched": MATCHED,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="names of contestants; all by default")
    parser.add_argument("--mixtures", nargs="*", default=list(MIXTURES))
    parser.add_argument("--results", type=Path, default=REPO / "runs/modes")
    parser.add_argument("--pages", type=Path, default=REPO / "docs", help="folder that modes.md is written to")
    parser.add_argument("--draw", action="store_true", help="train nothing, write the pages from what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.results.mkdir(parents=True, exist_ok=True)
    for name in [] if arguments.draw else arguments.only or ["data", *CONTESTANTS]:
        for mixture in arguments.mixtures:
            file = arguments.results / f"{mixture}-{name.replace(' ', '-').replace(',', '')}.json"
            if file.exists():
                continue
            result = play(name, MIXTURES[mixture])
            file.write_text(json.dumps(result))
            means = {figure: float(np.mean([seed[figure] for seed in result["seeds"]])) for figure in FIGURES}
            shown = "  ".join(f"{figure} {value:.3f}" for figure, value in means.items())
            print(f"{mixture:5}{name:45}{shown}  {result['seconds']:.0f} s", flush=True)
    results = [json.loads(file.read_text()) for file in sorted(arguments.results.glob("*.json"))]
    reaches = {name: reach_of(mixture) for name, mixture in MIXTURES.items()}
    write_pages(results, ["data", *CONTESTANTS], reaches, setting(), arguments.pages)


if __name__ == "__main__":
    main()
