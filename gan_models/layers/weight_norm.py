"""Weight normalisation (Salimans, Kingma 2016), started from data, as Salimans et al. 2016 have it for GANs."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, register_parametrization

from gan_models import ranks

Layer = TypeVar("Layer", bound=nn.Linear | nn.Conv2d | nn.ConvTranspose2d)


class WeightNorm(nn.Module):
    """w = g v / |v|, a length g and a direction v for each output (eq. 2).

    Args:
        outputs: how many the layer has.
        dim: the dimension of its weight that counts them.
        learnt: whether g is; else it stays what it was started at.
        spread: standard deviation over the data that each output is started with; None: g starts at 1.
    """

    length: Tensor

    def __init__(self, outputs: int, dim: int, *, learnt: bool, spread: float | None) -> None:
        super().__init__()
        self.dim, self.spread = dim, spread
        if learnt:
            self.length = nn.Parameter(torch.ones(outputs))
        else:
            self.register_buffer("length", torch.ones(outputs))

    def forward(self, v: Tensor) -> Tensor:
        others = [dim for dim in range(v.dim()) if dim != self.dim]
        norm = (v.square().sum(others, keepdim=True) + 1e-6).sqrt()
        return v * (self.length.view_as(norm) / norm)


def weight_normed(layer: Layer, *, std: float, learnt: bool = False, spread: float | None = 1.0) -> Layer:
    """The layer itself, its weight normalised, the direction drawn from N(0, std), its bias 0."""
    dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    nn.init.normal_(layer.weight, 0.0, std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    norm = WeightNorm(layer.weight.shape[dim], dim, learnt=learnt, spread=spread)
    register_parametrization(layer, "weight", norm)
    return layer


@torch.no_grad()
def start_from_data(network: nn.Module, run: Callable[[], object]) -> None:
    """Sets lengths and biases so that over a batch each output is of mean 0 and of its layer's `spread` (section 3).

    One layer after the other in the order of the forward pass, each on what the ones before it make then.

    Args:
        run: sends the batch through `network`; not called where it has no such layers.
    """
    hooks = []
    for layer in network.modules():
        norm = _norm_of(layer)
        if norm is not None and norm.spread is not None:
            hooks.append(layer.register_forward_hook(partial(_started, norm, norm.spread)))
    try:
        if hooks:
            with torch.compiler.set_stance("force_eager"):  # a compiled program would keep the hooks
                run()
    finally:
        for hook in hooks:
            hook.remove()


def _norm_of(layer: nn.Module) -> WeightNorm | None:
    if not is_parametrized(layer, "weight"):
        return None
    found: Any = layer.parametrizations
    return found.weight[0] if isinstance(found.weight[0], WeightNorm) else None


def _started(norm: WeightNorm, spread: float, layer: nn.Module, _: object, output: Tensor) -> Tensor:
    rest = [0, *range(2, output.dim())]
    mean = ranks.mean(output.float().mean(rest))
    centred = output - mean.view(1, -1, *(1 for _ in rest[1:]))
    factor = spread / ranks.mean(centred.float().square().mean(rest)).sqrt().clamp(min=1e-6)
    norm.length.mul_(factor)
    if isinstance(layer.bias, Tensor):
        layer.bias.copy_((layer.bias - mean) * factor)
    return centred * factor.view(1, -1, *(1 for _ in rest[1:]))
