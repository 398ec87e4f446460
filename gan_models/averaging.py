"""The moving average of a network's weights: of the generator, that is what gets judged and exported."""

import copy
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from gan_models import ranks
from gan_models.families.interfaces import Inputs

Network = TypeVar("Network", bound=nn.Module)
MEASURED_TOGETHER = 128
"""Rows of a batch that batch-norm statistics are measured on."""


class ExponentialMovingAverage:
    """theta_ema <- d theta_ema + (1 - d) theta, parameters only (Yazici et al. 2019).

    The decay is warmed up as min(d, (1 + t) / (10 + t)), so that short runs are not averages of their initialisation.
    Buffers are never averaged: `snapshot` copies them from the network.
    """

    def __init__(self, network: nn.Module) -> None:
        self.parameters = [parameter.detach().clone() for parameter in network.parameters()]

    @torch.no_grad()
    def update(self, network: nn.Module, step: int, decay: float, *, warm_up: bool = True) -> None:
        """Takes in the weights after generator step `step`, counted from 1.

        Args:
            warm_up: False for a decay that begins low by itself, as papers have it that give a half-life in images.
        """
        decay = min(decay, (1 + step) / (10 + step)) if warm_up else decay
        current = [parameter.detach() for parameter in network.parameters()]
        torch._foreach_lerp_(self.parameters, current, 1 - decay)

    @torch.no_grad()
    def snapshot(self, network: Network, inputs: Inputs) -> Network:
        """A copy of `network` with averaged weights, in eval mode.

        Batch-norm statistics are measured anew for the averaged weights on `inputs` (BigGAN's standing statistics;
        Brock, Donahue, Simonyan 2019, section 3): the running ones belong to other weights. Where batch norm is told
        a class, all classes share its statistics: each `MEASURED_TOGETHER` rows should show them alike.
        """
        averaged = copy.deepcopy(network)
        ranks.unshare_batch_norm(averaged)
        for target, source in zip(averaged.parameters(), self.parameters, strict=True):
            target.copy_(source)
        _measure_batch_norm(averaged, inputs)
        return averaged.eval().requires_grad_(False)

    def state_dict(self) -> list[Tensor]:
        return self.parameters

    def load_state_dict(self, parameters: list[Tensor]) -> None:
        for target, source in zip(self.parameters, parameters, strict=True):
            target.copy_(source)


def _measure_batch_norm(network: nn.Module, inputs: Inputs) -> None:
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta: Mapping[nn.modules.batchnorm._BatchNorm, float | None] = {norm: norm.momentum for norm in norms}
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average over the batches below
    network.train()
    for start in range(0, len(next(iter(inputs.values()))), MEASURED_TOGETHER):
        network(**{name: tensor[start : start + MEASURED_TOGETHER] for name, tensor in inputs.items()})
    for norm, momentum in momenta.items():
        norm.momentum = momentum
