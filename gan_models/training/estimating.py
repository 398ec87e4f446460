"""What a training will cost, told before it is begun: from its networks, from its operations, and from real steps.

Operations are counted, not guessed: one step is played on the meta device, where nothing is computed, and what its
matrix products and convolutions would cost is summed, backward passes and penalties included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.games.base import Batch, Game, build_game, computes_bf16
from gan_models.games.counting import count_parameters, parameters_of
from gan_models.games.semi_supervised.spec import SemiSupervised
from gan_models.metrics.extractors import EXTRACTORS, named
from gan_models.recipes.schema import Recipe
from gan_models.schedules import value_at

CARD = "NVIDIA A100"
CARD_RATE = 312e12 * 0.3
"""bf16 operations a second of its data sheet, and the share of them that networks of convolutions reach."""
_LAUNCH = 1e-5  # seconds that a card takes to begin an operation, however small
_FP32 = 4  # bytes
_ADAM = 2  # numbers that it keeps for each weight
_LIMIT = 60.0  # seconds that a real step may be expected to take
_STEPS = 2  # real ones that are timed, after one more
_PROCESS = 1.0e9  # bytes of PyTorch and its libraries in a process


@dataclass(frozen=True)
class Images:
    """How many there are, where a table tells; of a recipe alone, nothing is known."""

    train: int = 0
    held_out: int = 0


@dataclass(frozen=True)
class Estimate:
    """Bytes, seconds and floating-point operations (a product and a sum are two)."""

    parameters: dict[str, dict[str, int]]  # by player and network
    real_images: int  # that D looks at in a step
    generated_images: int  # made in a step
    batch_bytes: int  # of the real images of a step, as the networks are given them
    operations: float  # of a step, at the full size of the images
    memory: float  # of the training, by estimate
    activations: float  # what of it is kept for backward passes
    device: str
    rate: float  # operations that the device reaches in a second, in matrix products
    step_seconds: float
    measured: bool  # whether real steps were played; else it is operations over rate
    measured_memory: float | None  # at its peak, with the process around it
    seconds: float  # of all steps
    disk: float  # of checkpoints, kept generators and the table
    evaluation_images: int  # that are drawn, and looked at, to select and to judge
    evaluation_seconds: float
    note: str = ""  # why no real step was played

    @property
    def evaluation_share(self) -> float:
        """Of training and evaluation together."""
        return self.evaluation_seconds / (self.seconds + self.evaluation_seconds)


def estimate(recipe: Recipe, shape: DataShape, device: torch.device, images: Images, *, here: bool = True) -> Estimate:
    """What a training of a recipe on such images costs.

    Args:
        device: of this machine.
        here: whether it will run on that; else the figures are those of `CARD`, and nothing is played for real.
    """
    counted = _counted(recipe, shape)
    game, total = counted.game, recipe.training.steps
    parameters = parameters_of(recipe, shape)  # before a stage is frozen
    own, both = (
        count_parameters(game.generator),
        count_parameters(game.generator) + count_parameters(game.discriminator),
    )
    # Weights, gradients and Adam's two; the generator's moving average.
    memory = _FP32 * ((2 + _ADAM) * both + own) + counted.activations + _PROCESS
    name, rate = (_name(device), matmul_rate(device, recipe)) if here else (CARD, CARD_RATE)
    launch = _LAUNCH * (not here or device.type == "cuda")
    by_count = [max(each.operations / rate, each.calls * launch) for each in counted.stretches]
    batch, step = counted.last.batch, by_count[-1]
    seen, note = None, ""
    if not here:
        note = f"by its operations, at 30 % of the peak of an {CARD}: it runs elsewhere"
    elif memory > (free := _free(device)):
        note = f"a real step does not fit: it needs about {memory / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free"
    elif step > _LIMIT:
        note = f"a real step was not tried: it would take about {step:.0f} s here"
    else:
        seen = _play(recipe, shape, device)
        step = seen[0]
    drawn = recipe.selection.samples * min(recipe.training.keep, total) + recipe.evaluation.samples
    looked_at = drawn + 2 * images.held_out
    operations = drawn * counted.drawing + looked_at * _looking(recipe, shape)
    pixels = shape.image[0] * shape.image[1] * shape.image[2]
    rounds = max(1, game.discriminator_moves())  # where there is no D, G draws its own batch
    return Estimate(
        parameters=parameters,
        real_images=recipe.game.images_of(batch) * rounds,
        generated_images=recipe.game.images_of(batch)
        * (rounds + game.images_per_real() * game.generator_moves() - game.shares_made),
        batch_bytes=recipe.game.images_of(batch) * pixels * _FP32,
        operations=counted.last.operations,
        memory=memory,
        activations=counted.activations,
        device=name,
        rate=rate,
        step_seconds=step,
        measured=seen is not None,
        measured_memory=seen[1] if seen else None,
        seconds=step
        * sum(each.times * seconds / by_count[-1] for each, seconds in zip(counted.stretches, by_count, strict=True)),
        disk=_FP32 * (2 * ((1 + _ADAM) * both + own) + min(recipe.training.keep, total) * own)
        + (images.train + images.held_out) * pixels,
        evaluation_images=looked_at,
        evaluation_seconds=operations / rate,
        note=note,
    )


@dataclass(frozen=True)
class _Stretch:
    """Steps that cost alike."""

    times: int
    batch: int
    operations: float  # of a step
    activations: float  # bytes kept for backward passes, at the worst moment of a step
    calls: float  # of operations, in a step


@dataclass(frozen=True)
class _Counted:
    game: Game[Any]
    stretches: list[_Stretch]
    drawing: float  # operations of one image

    @property
    def last(self) -> _Stretch:
        """With the images at their full size."""
        return self.stretches[-1]

    @property
    def activations(self) -> float:
        return max(each.activations for each in self.stretches)


def _counted(recipe: Recipe, shape: DataShape) -> _Counted:
    """On the meta device; where a game must see its values, two images for real, the rest in proportion."""
    half = 0.5 if recipe.training.precision == "bf16" else 1.0
    try:
        game, stretches = _count(recipe, shape, torch.device("meta"), half)
    except (NotImplementedError, RuntimeError, TypeError):
        game, stretches = _count(recipe, shape, torch.device("cpu"), half, most=2 * recipe.training.accumulate)
    with Operations() as counter, torch.no_grad():
        rows = _examples(recipe, shape, game.device, 2)
        game.synthesize(game.prepared(Batch.of(rows, torch.arange(2, device=game.device), recipe.needs)))
    return _Counted(game, stretches, counter.total / 2)


def _count(
    recipe: Recipe, shape: DataShape, device: torch.device, half: float, most: int | None = None
) -> tuple[Game[Any], list[_Stretch]]:
    plain = recipe.model_copy(update={"training": recipe.training.model_copy(update={"precision": "fp32"})})
    with device:
        game = build_game(plain, shape, device)
    stretches = []
    for step, times in game.stretches().items():
        game.steps = step
        batch = _batch(game)
        few = min(batch, most or batch)
        split = _examples(recipe, shape, device, _rows(recipe, shape, few))
        game.prepare(split, 0)
        kept = _Kept()
        with Operations() as counter, torch.autograd.graph.saved_tensors_hooks(kept.keep, kept.give):
            game.step(_dealer(game, split, recipe, few), report=False)
        share = batch / few
        stretches.append(_Stretch(times, batch, counter.total * share, kept.most * share * half, counter.calls))
    return game, stretches


def _batch(game: Game[Any]) -> int:
    """Real images of the step that a game is at."""
    return int(value_at(game.recipe.training.batch_size, game.moment))


class Operations(TorchDispatchMode):
    """Sums what products of matrices and convolutions cost, whoever calls them.

    torch's own counter follows modules by hooks that a gradient of a gradient does not take.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0.0
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.calls += 1
        if counted := flop_registry.get(func._overloadpacket):
            self.total += counted(*args, **(kwargs or {}), out_val=made)
        return made


class _Kept:
    """Bytes that backward passes hold on to, the same storage once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.holders: dict[int, int] = {}

    def keep(self, tensor: Tensor) -> _Held:
        return _Held(self, tensor)

    def give(self, held: _Held) -> Tensor:
        return held.tensor


class _Held:
    def __init__(self, kept: _Kept, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self.kept, self.tensor, self.key, self.bytes = kept, tensor, storage._cdata, storage.nbytes()
        if isinstance(tensor, torch.nn.Parameter):
            self.bytes = 0
        if not kept.holders.setdefault(self.key, 0):
            kept.now += self.bytes
            kept.most = max(kept.most, kept.now)
        kept.holders[self.key] += 1

    def __del__(self) -> None:
        self.kept.holders[self.key] -= 1
        if not self.kept.holders[self.key]:
            self.kept.now -= self.bytes


def _play(recipe: Recipe, shape: DataShape, device: torch.device) -> tuple[float, float]:
    """Real steps on made-up images: seconds of one, and memory at its peak, bytes."""
    game = build_game(recipe, shape, device)
    # The last step: networks that grow are whole in it.
    game.steps = recipe.training.steps - 1
    batch = _batch(game)
    split = _examples(recipe, shape, device, _rows(recipe, shape, batch))
    game.prepare(split, 0)
    draw = _dealer(game, split, recipe, batch)
    process, most = psutil.Process(), 0.0
    for number in range(1 + _STEPS):
        if number == 1:
            began = _now(device)
        game.steps = recipe.training.steps - 1
        game.step(draw, report=False)
        most = max(most, float(process.memory_info().rss))
    seconds = (_now(device) - began) / _STEPS
    return seconds, float(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else most


def _examples(recipe: Recipe, shape: DataShape, device: torch.device, count: int) -> Split:
    """Made-up images with what a recipe needs of them."""
    channels, height, width = shape.image
    numbers = torch.arange(count, device=device)
    return Split(
        torch.randint(0, 256, (count, height, width, channels), dtype=torch.uint8, device=device),
        numbers % shape.classes if shape.classes else None,
        [""] * count,
        numbers % shape.domains if shape.domains else None,
        torch.randint(1, shape.words + 1, (count, 8), device=device) if shape.words else None,
        attributes=torch.randint(0, 2, (count, shape.attributes), dtype=torch.uint8, device=device),
        partners=torch.randint(0, 256, (count, height, width, channels), dtype=torch.uint8, device=device),
        embeddings=torch.randn(count, 1, shape.embedding, device=device) if shape.embedding else None,
    )


def _rows(recipe: Recipe, shape: DataShape, batch: int) -> int:
    """How many images a game needs to begin."""
    labelled = recipe.game.labels_per_class if isinstance(recipe.game, SemiSupervised) else 0
    return max(batch, labelled * shape.classes, shape.domains)


def _dealer(game: Game[Any], split: Split, recipe: Recipe, batch: int) -> Callable[[], Batch]:
    index = game.sampler(split, batch, 0).indices(0)
    return lambda: Batch.of(split, index, recipe.needs)


def _looking(recipe: Recipe, shape: DataShape) -> float:
    """Operations of the extractor for an image; of one that is not known, none."""
    extractor, _ = named(recipe.evaluation.extractor)
    if extractor == "auto":
        extractor = "classifier" if shape.image[0] == 1 and shape.classes > 1 else "efficientnet-lite0"
    return EXTRACTORS[extractor].operations


def matmul_rate(device: torch.device, recipe: Recipe) -> float:
    """Operations a second in products of matrices of 1,024, the best of some."""
    bf16 = recipe.training.precision == "bf16" and computes_bf16(device)
    side = 1024 if device.type == "cpu" else 8192
    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    best = float("inf")
    for _ in range(5):
        began = _now(device)
        matrix @ matrix
        best = min(best, _now(device) - began)
    return 2.0 * side**3 / best


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _free(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available)


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    told = f"{threads} thread{'s' * (threads > 1)} of this machine's processor"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return told
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{told}{f', {model}' if model else ''}"
