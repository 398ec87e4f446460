"""Training throughput of `sngan` and `dcgan` at the published 32x32 networks, beside torch-mimicry's own nets.

Theirs are run by their own `train_step`, on float images that are ready in memory, in the order of their trainer: so
many discriminator steps, then the generator's. Ours are the project's game with the sampler, the normalisation from
uint8 and the moving average that the training loop runs, in fp32 and in bf16. Equal networks (the parameters are
counted), batch, optimizers and steps of D. All take turns, so that a busy machine slows all of them; medians are
compared. Images a second are real images that D is shown.

mimicry's `dcgan` at 32x32 is the residual network without spectral norm, so that is what ours is here.

    pip install --no-deps --target FOLDER torch-mimicry
    python benchmarks/mimicry_throughput.py --mimicry FOLDER [--system sngan] [--batch 64] [--rounds 7] [--steps 3]

It is not among the project's requirements because it asks for TensorFlow; its networks need none of it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from gan_models.averaging import ExponentialMovingAverage
from gan_models.data.shape import DataShape
from gan_models.data.table import EpochSampler, Split
from gan_models.games.base import Batch, build_game
from gan_models.recipes import load_recipe

PACKAGE = "torch_mimicry"
SHAPE = (3, 32, 32)
LATENT, WIDTH_G, WIDTH_D = 128, 256, 128
IMAGES = 2000


@dataclass(frozen=True)
class System:
    """One pair of networks and the settings it was published with."""

    generator: str
    discriminator: str
    """Classes of mimicry."""
    discriminator_steps: int
    betas: tuple[float, float]
    settings: tuple[str, ...]
    """Of the recipe `sngan`, whose networks both are."""


SYSTEMS = {
    "sngan": System("sngan.SNGANGenerator32", "sngan.SNGANDiscriminator32", 5, (0.0, 0.9), ()),
    "dcgan": System(
        "dcgan.DCGANGenerator32",
        "dcgan.DCGANDiscriminator32",
        1,
        (0.5, 0.999),
        ("game.loss=non-saturating", "networks.discriminator.spectral_norm=false"),
    ),
}


class Log:
    """Stands for mimicry's MetricLog: takes each figure as a number, as that does."""

    def add_metric(self, name: str, value: Any, **_: Any) -> None:
        value.item() if isinstance(value, Tensor) else value


def find_mimicry(folder: Path | None) -> None:
    """Makes `torch_mimicry.nets` importable; ends the program with the way to install it where it is not there.

    The package itself imports TensorFlow for its metrics, so an empty one stands in its place and leads to the parts.
    """
    if folder is not None:
        sys.path.insert(0, str(folder))
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        sys.exit(
            "torch-mimicry is not there: pip install --no-deps --target FOLDER torch-mimicry, then name the folder by "
            "--mimicry FOLDER"
        )
    package = ModuleType(PACKAGE)
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[PACKAGE] = package


def mimicry_version() -> str:
    """Of the installed package; a bare source folder does not say."""
    try:
        return metadata.version("torch-mimicry")
    except metadata.PackageNotFoundError:
        return "unknown"


def mimicry_class(name: str) -> type[nn.Module]:
    """A class of `torch_mimicry.nets` by `family.Name`."""
    family, _, attribute = name.partition(".")
    found: type[nn.Module] = getattr(importlib.import_module(f"{PACKAGE}.nets.{family}"), attribute)
    return found


def mimicry_step(system: System, batch_size: int) -> tuple[Callable[[], None], tuple[int, int]]:
    """One generator step of their trainer, and the parameters of both networks."""
    generator = mimicry_class(system.generator)(nz=LATENT, ngf=WIDTH_G)
    discriminator = mimicry_class(system.discriminator)(ndf=WIDTH_D)
    optimizers = [torch.optim.Adam(net.parameters(), 2e-4, betas=system.betas) for net in (generator, discriminator)]
    images, labels = torch.rand(IMAGES, *SHAPE) * 2 - 1, torch.zeros(IMAGES, dtype=torch.long)
    sampler, numbers, log, device = (
        EpochSampler(IMAGES, batch_size, seed=0),
        itertools.count(),
        Log(),
        torch.device("cpu"),
    )

    def step() -> None:
        for _ in range(system.discriminator_steps):
            rows = sampler.indices(next(numbers))
            batch = (images[rows], labels[rows])
            discriminator.train_step(
                real_batch=batch, netG=generator, optD=optimizers[1], log_data=log, global_step=0, device=device
            )
        generator.train_step(
            real_batch=batch, netD=discriminator, optG=optimizers[0], log_data=log, global_step=0, device=device
        )

    return step, (_count(generator), _count(discriminator))


def project_step(system: System, batch_size: int, precision: str) -> tuple[Callable[[], None], tuple[int, int]]:
    """The same of the project's loop, without its reports."""
    recipe = load_recipe(
        "sngan",
        [
            f"networks.latent={LATENT}",
            f"networks.generator.width={WIDTH_G}",
            f"networks.discriminator.width={WIDTH_D}",
            f"game.discriminator_steps={system.discriminator_steps}",
            f"training.batch_size={batch_size}",
            f"training.precision={precision}",
            *(f"optimizers.{player}.lr=2e-4" for player in ("generator", "discriminator")),
            *(f"optimizers.{player}.betas={list(system.betas)}" for player in ("generator", "discriminator")),
            *system.settings,
        ],
    )
    game = build_game(recipe, DataShape(SHAPE, 0), torch.device("cpu"))
    average = ExponentialMovingAverage(game.generator)
    split = Split(torch.randint(0, 256, (IMAGES, *SHAPE[1:], SHAPE[0]), dtype=torch.uint8), None, [])
    sampler, counter, numbers = EpochSampler(IMAGES, batch_size, seed=0), itertools.count(), itertools.count(1)

    def step() -> None:
        game.step(lambda: Batch.of(split, sampler.indices(next(counter)), frozenset()), report=False)
        average.update(game.generator, next(numbers), recipe.training.ema)

    return step, (_count(game.generator), _count(game.discriminator))  # type: ignore[attr-defined]


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def compare(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Medians of one system; ends the program where the networks are not equal."""
    system = SYSTEMS[name]
    makers: dict[str, Callable[[], tuple[Callable[[], None], tuple[int, int]]]] = {
        "mimicry fp32": lambda: mimicry_step(system, options.batch),
        "project fp32": lambda: project_step(system, options.batch, "fp32"),
        "project bf16": lambda: project_step(system, options.batch, "bf16"),
    }
    contestants = {}
    parameters = {}
    for title, make in makers.items():
        torch.manual_seed(0)
        contestants[title], parameters[title] = make()
    if len(set(parameters.values())) > 1:
        sys.exit(f"{name}: the networks are not equal, parameters of G and D: {parameters}")
    seconds: dict[str, list[float]] = {title: [] for title in contestants}
    for round_ in range(options.rounds + 1):  # the first is a warm-up
        for title, step in contestants.items():
            started = time.perf_counter()
            for _ in range(options.steps):
                step()
            if round_:
                seconds[title].append((time.perf_counter() - started) / options.steps)
    medians = {title: statistics.median(values) for title, values in seconds.items()}
    shown = options.batch * system.discriminator_steps
    return {
        "parameters": dict(zip(("generator", "discriminator"), parameters["project fp32"], strict=True)),
        "discriminator_steps": system.discriminator_steps,
        "images_per_second": {title: round(shown / value, 1) for title, value in medians.items()},
        "times_mimicry": {title: round(medians["mimicry fp32"] / value, 2) for title, value in medians.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mimicry", type=Path, metavar="FOLDER", help="where torch-mimicry was installed to")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="default: both")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="generator steps of each in a round")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    find_mimicry(options.mimicry)
    torch.set_num_threads(options.threads)
    report = {name: compare(name, options) for name in options.system or SYSTEMS}
    setting = {
        "batch": options.batch,
        "threads": options.threads,
        "torch": str(torch.__version__),
        "mimicry": mimicry_version(),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }
    print(json.dumps(report | setting, indent=2))


if __name__ == "__main__":
    main()
