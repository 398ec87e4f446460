"""Several processes (ranks) that train one GAN together, each on its own rows of every batch.

All ranks hold equal weights and equal random streams: what is drawn at random is drawn for the whole batch by each, and
each takes its rows (`share`). Gradients are averaged before every optimizer step, and what is no mean over images, such
as batch norm, sees the whole batch (`gathered`, `mean`), so that N ranks compute what one would, but for the order of
floating-point sums. Without a process group, all of this is what it is for one process: nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import pad

from gan_models.errors import LostError

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _grouped() else 1


def is_lead() -> bool:
    """Whether this process is the one that reports, averages and saves."""
    return not _grouped() or dist.get_rank() == 0


def share(rows: Tensor) -> Tensor:
    """This rank's rows of a tensor [count() * B, ...]: [B, ...]."""
    return rows.tensor_split(count())[dist.get_rank()] if _grouped() else rows


def wanted(recipe: Recipe, gpus: int) -> int:
    """Processes that a training takes: those asked for, else one for each GPU. RequestError: they cannot share it."""
    asked = recipe.training.ranks
    if asked is not None:
        recipe.check_ranks(asked)
        return asked
    return (
        gpus
        if gpus > 1 and recipe.game.shareable and all(size % gpus == 0 for size in recipe.training.batch_sizes)
        else 1
    )


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """While inside: a member of torchrun's group, NCCL between GPUs, else Gloo. LostError where another is gone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    # Gloo beside NCCL: whether to stop is agreed on without waiting for the GPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    except RuntimeError as error:
        if any(word in str(error).lower() for word in ("gloo", "nccl")):  # all that they have in common
            raise LostError(
                "a training process lost another one (killed, or out of memory?): the same command continues"
            ) from error
        raise
    finally:
        dist.destroy_process_group()


def gathered(rows: Tensor) -> Tensor:
    """The rows [B, ...] of all ranks, [count() * B, ...]: what is no mean over images needs the whole batch.

    Gradients, and theirs, find their way back to the rank that a row came from.
    """
    if not _grouped():
        return rows
    before = dist.get_rank() * len(rows)
    after = (count() - 1) * len(rows) - before
    # A sum with zeros: unlike an all-gather it may be differentiated twice, whatever the devices talk by.
    return _sum_of_ranks(pad(rows, (*(0, 0) * (rows.dim() - 1), before, after)))


def mean(value: Tensor) -> Tensor:
    """The mean of a tensor over the ranks, to be differentiated."""
    return _sum_of_ranks(value) / count() if _grouped() else value


def standard_deviation(values: Tensor) -> Tensor:
    """Of all numbers in all ranks' tensors of one shape, 0-d, unbiased; without a gradient."""
    if not _grouped():
        return values.detach().std()
    number = values.numel() * count()
    middle = _sum_of_ranks(values.detach().sum()) / number
    return (_sum_of_ranks((values.detach() - middle).square().sum()) / (number - 1)).sqrt()


def _sum_of_ranks(value: Tensor) -> Tensor:
    from torch.distributed.nn.functional import all_reduce

    summed: Tensor = all_reduce(value)  # type: ignore[no-untyped-call]
    return summed


@torch.no_grad()
def average_gradients(network: nn.Module) -> None:
    """Gradients of the mean loss of all ranks, in place of each rank's own."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    if not _grouped() or not gradients:
        return
    together = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(together)
    parts = torch.split(together.div_(count()), [gradient.numel() for gradient in gradients])
    torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])


@torch.no_grad()
def averaged(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Means of 0-d tensors over the ranks, which must all call this with the same names."""
    if not _grouped() or not values:
        return dict(values)
    together = torch.stack([value.float() for value in values.values()])
    dist.all_reduce(together)
    return dict(zip(values, together.div_(count()).unbind(), strict=True))


def lead_says(*flags: bool) -> tuple[bool, ...]:
    """The lead's flags, on every rank."""
    if not _grouped():
        return flags
    word = torch.tensor(flags)
    dist.broadcast(word, src=0)
    return tuple(word.tolist())


@contextmanager
def lead_first() -> Iterator[None]:
    """The lead goes through the block before the others do."""
    if _grouped() and not is_lead():
        dist.barrier()
    yield
    if _grouped() and is_lead():
        dist.barrier()


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm with the statistics of all ranks' rows; on any device, unlike `nn.SyncBatchNorm`.

    Attributes:
        shared: False makes it an ordinary one, for a copy of the network that only one rank works on.
    """

    shared = True

    def _check_input_dim(self, input: Tensor) -> None: ...

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape."""
        if not (self.training and self.shared and _grouped()):
            return super().forward(x)
        each, rest = x.float(), [0, *range(2, x.dim())]
        rows = x.numel() // x.shape[1] * count()
        places = (1, -1, *(1 for _ in rest[1:]))
        mean = _sum_of_ranks(each.sum(rest)) / rows
        centred = each - mean.view(places)
        variance = _sum_of_ranks(centred.square().sum(rest)) / rows
        self._remember(mean.detach(), variance.detach() * (rows / max(1, rows - 1)))
        normal = centred * torch.rsqrt(variance + self.eps).view(places)
        if self.affine:
            normal = torch.addcmul(self.bias.view(places), self.weight.view(places), normal)
        return normal.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def share_batch_norm(network: nn.Module) -> None:
    """Puts a `SharedBatchNorm` in the place of every batch norm inside, with its parameters; the names stay."""
    if not _grouped():
        return
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                shared = SharedBatchNorm(child.num_features, child.eps, child.momentum, child.affine)
                shared.load_state_dict(child.state_dict())
                setattr(module, name, shared.to(child.running_mean.device if child.running_mean is not None else None))


def unshare_batch_norm(network: nn.Module) -> None:
    """Makes every `SharedBatchNorm` inside look at this rank's rows only."""
    for module in network.modules():
        if isinstance(module, SharedBatchNorm):
            module.shared = False
