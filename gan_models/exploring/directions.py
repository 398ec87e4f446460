"""Main directions of latent space (Härkönen et al. 2020, "GANSpace: Discovering Interpretable GAN Controls").

As there in section 2.2 for a generator without a mapping network: principal components of what the first learned layer
makes of many latents, then the directions in latent space that go with them, by least squares.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_models.families.interfaces import Generator, Inputs

COUNT = 8
_LEAST_LATENTS = 512
_BATCH = 256
_ROUNDING = 1e-9  # components with less than this share of the largest variance are rounding errors


class Directions(NamedTuple):
    """The main directions, the strongest first."""

    layer: str
    """The layer whose activations they are of, by its name in the network."""
    vectors: Tensor
    """float32 [D, Z], each of length 1: along it, latents from N(0, I) have a standard deviation of 1."""
    shares: Tensor
    """float32 [D]: of the variance of these activations."""


@torch.inference_mode()
def principal_directions(module: Generator, others: Inputs, count: int = COUNT, seed: int = 0) -> Directions:
    """Up to `count` directions; fewer where the layer's activations vary in fewer.

    The latents are made white (their mean 0 and their covariance I exactly), so that of a layer that is linear in them
    the directions are the right singular vectors of its matrix. Of each direction, the largest number is positive.

    Args:
        others: one row of every other input, the same for all latents: the class or the caption.

    Raises:
        ValueError: the images do not depend on latents.
    """
    latents = white_latents(max(_LEAST_LATENTS, 2 * module.latent), module.latent, seed)
    layer = _first_layer(module, latents[:1], latents[1:2], others)
    parts = [_activations(module, layer, part, others) for part in torch.split(latents, _BATCH)]
    activations = torch.cat(parts).double()
    activations -= activations.mean(0)
    variances, components = torch.linalg.eigh(activations @ activations.T)
    variances, components = variances.flip(0).clamp(min=0), components.flip(1)
    kept = min(count, module.latent, int((variances > _ROUNDING * variances[0]).sum()))
    # Least squares of the latents on coordinates x_k = s_k e_k, whose e_k are orthonormal: e_k^T z / s_k.
    vectors = components[:, :kept].T @ latents.double()
    vectors /= vectors.norm(dim=1, keepdim=True)
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    shares = variances[:kept] / variances.sum()
    return Directions(layer, (vectors * largest.sign()).float(), shares.float())


def white_latents(num: int, latent: int, seed: int) -> Tensor:
    """float32 [N, Z] from about N(0, I), of mean 0 and covariance I to rounding; N above Z."""
    drawn = torch.randn(num, latent, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    orthonormal, _ = torch.linalg.qr(drawn - drawn.mean(0))
    return (orthonormal * num**0.5).float()


def _first_layer(module: Generator, one: Tensor, other: Tensor, others: Inputs) -> str:
    """The name of the first module with weights whose output is another for another latent."""
    before, after = (_outputs(module, latents, others) for latents in (one, other))
    for name, output in before.items():
        if output.shape == after[name].shape and not torch.equal(output, after[name]):
            return name
    raise ValueError("its images do not depend on latents")


def _outputs(module: Generator, latents: Tensor, others: Inputs) -> dict[str, Tensor]:
    """What each module with weights returns when it is first called, in the order in which they return."""
    found: dict[str, Tensor] = {}
    handles = [
        layer.register_forward_hook(lambda _, __, output, name=name: found.setdefault(name, output))
        for name, layer in module.named_modules()
        if any(True for _ in layer.parameters())
    ]
    try:
        module(**_inputs(module, latents, others))
    finally:
        for handle in handles:
            handle.remove()
    return {name: output for name, output in found.items() if isinstance(output, Tensor)}


def _activations(module: Generator, layer: str, latents: Tensor, others: Inputs) -> Tensor:
    """[N, F] on the CPU; the layers behind it are not run."""
    rows = _inputs(module, latents, others)
    with _ended_behind(module.get_submodule(layer)) as reached:
        module(**rows)
    # A network may put rows of its own in front, as a reference batch is.
    return reached[0][-len(latents) :].flatten(1).float().cpu()


class _Reached(Exception):  # noqa: N818 - no error
    pass


@contextmanager
def _ended_behind(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Ends the body once `layer` has returned; its output is the one element of the list."""
    outputs: list[Tensor] = []

    def end(_: nn.Module, __: object, output: Tensor) -> None:
        outputs.append(output)
        raise _Reached

    handle = layer.register_forward_hook(end)
    try:
        yield outputs
    except _Reached:
        pass
    finally:
        handle.remove()


def _inputs(module: Generator, latents: Tensor, others: Inputs) -> Inputs:
    device = next(module.parameters()).device
    rows = {name: tensor.expand(len(latents), *tensor.shape[1:]) for name, tensor in others.items()}
    return {name: tensor.to(device) for name, tensor in ({"latents": latents} | rows).items()}
