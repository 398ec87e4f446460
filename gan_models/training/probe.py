"""The fixed latents a training is watched by: the same at every tick, so that grids and diversity can be compared."""

import torch
from torch import Tensor

from gan_models.averaging import MEASURED_TOGETHER
from gan_models.data.table import AnySplit, Split, in_eight_bits, taken, to_uint8
from gan_models.families.interfaces import Generator, Inputs
from gan_models.sampling.diversity import diversity
from gan_models.sampling.draws import Draws
from gan_models.sampling.grids import side_by_side
from gan_models.tasks import TASKS

_PER_CLASS = 8
_CLASSES = 10
_UNCONDITIONAL = 64
_WARM_UP = 512
_WARM_UP_PER_CLASS = 2
# Keeps the probe's draws apart from the training's, which share the seed.
_STREAM = 0x9E3779B9
_ORDER = 0x7F4A7C15


class Probe:
    """Fixed latents with their labels, and what the diversity of real images is.

    Attributes:
        inputs: of N images.
        labels: int64 [N], eight of each of the first ten classes; None where the generator is unconditional.
        columns: images to a row of the grid (a row is a class where conditional).
        warm_up: inputs of 512 more, or of two for each class, which batch-norm statistics are measured on.
        real_diversity: `diversity` of as many real images, of the same classes.
    """

    def __init__(self, generator: Generator, split: AnySplit, seed: int) -> None:
        self.task = TASKS[generator.task]()
        device = split.images.device
        classes = generator.num_classes
        count = _PER_CLASS * min(classes, _CLASSES) if classes else _UNCONDITIONAL
        self.columns = 8
        labels = torch.arange(count) // _PER_CLASS if classes else None
        examples: Split | None = None
        if generator.needs_examples:
            # Tables may be sorted by class; examples must not be all alike.
            order = torch.Generator().manual_seed(seed ^ _ORDER)
            split = examples = split.rows(torch.randperm(len(split), generator=order)[: _UNCONDITIONAL + _WARM_UP])
        every_class = labels_of_every_class(classes) if classes else None
        rows = _WARM_UP if every_class is None else len(every_class)
        watched, further = Draws(seed ^ _STREAM, count), Draws(seed ^ _STREAM, rows, first=count)
        self.inputs = _to(device, generator.draw_inputs(watched, labels=labels, examples=examples))
        self.labels = self.inputs.get("labels")
        self.warm_up = _to(device, generator.draw_inputs(further, labels=every_class, examples=examples))
        self.real_diversity = self._real_diversity(split, torch.Generator().manual_seed(seed ^ _STREAM))

    def draw(self, generator: Generator) -> Tensor:
        """uint8 [N, H, W, C] of the fixed latents."""
        with torch.inference_mode():
            return to_uint8(generator(**self.inputs))

    def grid(self, drawn: Tensor) -> Tensor:
        """What people look at, uint8 [N or 2 N, H, W, C]: `drawn`, each after the image it was made from, if any."""
        before = self.task.given(self.inputs)
        if before is None:
            return drawn
        return side_by_side(to_uint8(before).expand_as(drawn), drawn)

    def _real_diversity(self, split: AnySplit, stream: torch.Generator) -> float:
        order = torch.randperm(len(split), generator=stream).to(split.images.device)
        if self.labels is None or split.labels is None:
            chosen, labels = order[: len(next(iter(self.inputs.values())))], None
        else:
            shuffled = split.labels[order]
            members = [order[shuffled == label][:_PER_CLASS] for label in range(int(self.labels.max()) + 1)]
            chosen = torch.cat(members)
            labels = split.labels[chosen]
        # Equal pixels everywhere (a data set of one repeated image) must not divide by zero.
        return max(diversity(in_eight_bits(taken(split.images, chosen)), labels), 1e-6)


def labels_of_every_class(classes: int) -> Tensor:
    """Labels int64 [N] to measure batch norm on, N as small as shows each class twice, and at least 512.

    Each class is there equally often, but for one, and each batch of them takes its classes from all over: classes that
    are alike often have numbers that are near (ImageNet's dogs), and a batch of dogs has statistics of its own.
    """
    batches = -(-max(_WARM_UP, _WARM_UP_PER_CLASS * classes) // MEASURED_TOGETHER)
    rows = batches * MEASURED_TOGETHER
    sorted_ = torch.arange(rows) * classes // rows
    return sorted_.reshape(MEASURED_TOGETHER, batches).T.flatten()


def _to(device: torch.device, inputs: Inputs) -> Inputs:
    return {name: tensor.to(device) for name, tensor in inputs.items()}
