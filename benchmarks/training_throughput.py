"""Training throughput of `dcgan` at 32x32: the project's loop beside a plain, well-written fp32 loop of equal networks.

The plain loop is what a careful person writes: a DataLoader over a float tensor data set, Adam, one batch of generated
images for both players (detached for D), a moving average. Ours is `AdversarialGame.step` with the sampler, the
normalisation from uint8 and the moving average that the training loop runs, in bf16 and in fp32. The three take turns,
so that a busy machine slows all of them; the medians are compared.

Then the step of a recipe as it is, by default that of the default run, beside products of matrices in its precision:
which share of the machine's own rate it reaches, by the operations that are counted in it, and where its time goes by
PyTorch's profiler: how much of it the convolutions and products take, and the rate that they reach by themselves.

    python benchmarks/training_throughput.py [--batch 128] [--rounds 7] [--steps 20] [--threads 2] [--recipe NAME]
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gan_models.averaging import ExponentialMovingAverage
from gan_models.data.shape import DataShape
from gan_models.data.table import EpochSampler, Split
from gan_models.families.building import build_discriminator, build_generator
from gan_models.games.base import Batch, build_game
from gan_models.games.counting import made_for_shape
from gan_models.recipes import load_recipe
from gan_models.training.estimating import Images, estimate, matmul_rate
from pipeline.request.plan import LABELLED_DEFAULT

SHAPE = (1, 32, 32)
IMAGES = 4000
# Both networks as wide as the paper's, one step of each player: what most people's loops run.
AS_PUBLISHED = (
    "networks.latent=100", "networks.generator.width=64", "networks.discriminator.width=64",
)  # fmt: skip


def plain_step(batch_size: int) -> Callable[[], None]:
    """One iteration of a plain fp32 loop."""
    recipe = load_recipe("dcgan", AS_PUBLISHED)
    generator, discriminator = (
        build_generator(recipe, DataShape(SHAPE, 0)),
        build_discriminator(recipe, DataShape(SHAPE, 0)),
    )
    average = build_generator(recipe, DataShape(SHAPE, 0))
    spec = recipe.optimizers
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=spec.generator.lr, betas=spec.generator.betas)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=spec.discriminator.lr, betas=spec.discriminator.betas)
    criterion = nn.BCEWithLogitsLoss()
    images = torch.rand(IMAGES, *SHAPE) * 2 - 1
    loader = DataLoader(TensorDataset(images), batch_size=batch_size, shuffle=True, drop_last=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))

    def step() -> None:
        (real,) = next(batches)
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
        fake = generator(torch.randn(len(real), generator.latent))
        loss_d = criterion(discriminator(real).logits, ones) + criterion(discriminator(fake.detach()).logits, zeros)
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()
        loss_g = criterion(discriminator(fake).logits, ones)
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
        with torch.no_grad():
            for target, source in zip(average.parameters(), generator.parameters(), strict=True):
                target.mul_(0.999).add_(source, alpha=0.001)

    return step


def project_step(batch_size: int, precision: str) -> Callable[[], None]:
    """One iteration of the project's loop, without its reports."""
    recipe = load_recipe(
        "dcgan", [*AS_PUBLISHED, f"training.precision={precision}", f"training.batch_size={batch_size}"]
    )
    game = build_game(recipe, DataShape(SHAPE, 0), torch.device("cpu"))
    average = ExponentialMovingAverage(game.generator)
    split = Split(torch.randint(0, 256, (IMAGES, *SHAPE[1:], SHAPE[0]), dtype=torch.uint8), None, [])
    sampler = EpochSampler(IMAGES, batch_size, seed=0)
    counter = itertools.count()
    numbers = itertools.count(1)

    def step() -> None:
        game.step(lambda: Batch.of(split, sampler.indices(next(counter)), frozenset()), report=False)
        average.update(game.generator, next(numbers), recipe.training.ema)

    return step


KINDS = {
    "convolutions and products": ("conv", "mm", "linear"),
    "batch norm": ("batch_norm",),
    "optimizers and the average": ("_fused_adam", "_foreach", "lerp"),
    "conversions and copies": ("copy_", "to_copy", "clone", "cat", "reorder"),
}
"""Of what the profiler tells apart by name; what is left are activations, sums and other passes over memory."""


def share_of_matmul(name: str, rounds: int, steps: int) -> dict[str, object]:
    """How near the step of a recipe comes to the rate of products of matrices, taken in turn; where its time goes."""
    recipe, device = load_recipe(name), torch.device("cpu")
    shape = made_for_shape(recipe)
    operations = estimate(recipe, shape, device, Images(), here=False).operations
    game = build_game(recipe, shape, device)
    average = ExponentialMovingAverage(game.generator)
    labels = torch.arange(IMAGES) % shape.classes if shape.classes else None
    channels, height, width = shape.image
    split = Split(torch.randint(0, 256, (IMAGES, height, width, channels), dtype=torch.uint8), labels, [])
    game.prepare(split, 0)
    batch = max(recipe.training.batch_sizes)
    sampler, counter, numbers = EpochSampler(IMAGES, batch, seed=0), itertools.count(), itertools.count(1)
    seconds, rates = [], []

    def run_steps() -> None:
        for _ in range(steps):
            game.step(lambda: Batch.of(split, sampler.indices(next(counter)), recipe.needs), report=False)
            average.update(game.generator, next(numbers), 0.999)

    for round_ in range(rounds + 1):
        rates.append(matmul_rate(device, recipe))
        started = time.perf_counter()
        run_steps()
        if round_:
            seconds.append((time.perf_counter() - started) / steps)
    step, rate = statistics.median(seconds), statistics.median(rates)
    shares = where_time_goes(run_steps)
    return {
        "recipe": name,
        "batch": batch,
        "precision": recipe.training.precision,
        "step_ms": round(1e3 * step, 2),
        "step_gflop": round(operations / 1e9, 3),
        "matmul_gflops": round(rate / 1e9, 1),
        "share_of_matmul": round(operations / step / rate, 3),
        "share_of_time": {kind: round(share, 3) for kind, share in shares.items()},
        # What the products reach while they run: the rest of the time is not theirs.
        "share_of_matmul_within_products": round(operations / (step * shares["convolutions and products"]) / rate, 3),
    }


def where_time_goes(work: Callable[[], None]) -> dict[str, float]:
    """Share of the processor's time in each of `KINDS` and in the rest, by PyTorch's profiler."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        work()
    spent = dict.fromkeys((*KINDS, "other passes over memory"), 0.0)
    for event in profiler.key_averages():
        kind = next((kind for kind, names in KINDS.items() if any(name in event.key for name in names)), None)
        spent[kind or "other passes over memory"] += event.self_cpu_time_total
    total = sum(spent.values())
    return {kind: each / total for kind, each in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--recipe", default=LABELLED_DEFAULT, help="whose step is compared with products of matrices")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    contestants = {
        "plain fp32": plain_step(options.batch),
        "project fp32": project_step(options.batch, "fp32"),
        "project bf16": project_step(options.batch, "bf16"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(options.rounds + 1):  # the first is a warm-up
        for name, step in contestants.items():
            started = time.perf_counter()
            for _ in range(options.steps):
                step()
            if round_:
                seconds[name].append((time.perf_counter() - started) / options.steps)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    report = {
        "images_per_second": {name: round(options.batch / value, 1) for name, value in medians.items()},
        "times_plain": {name: round(medians["plain fp32"] / value, 2) for name, value in medians.items()},
        "batch": options.batch,
        "share": share_of_matmul(options.recipe, options.rounds, options.steps),
        "threads": options.threads,
        "torch": str(torch.__version__),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
