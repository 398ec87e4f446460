"""Perceptual path length (Karras, Laine, Aila 2019, section 4.1): how evenly images change along latents.

    PPL = E d(G(slerp(z1, z2, t)), G(slerp(z1, z2, t + eps))) / eps^2, t uniform in [0, 1], eps = 1e-4

Between latents on a great circle, for generators that draw from z itself; the lowest and the highest hundredth of the
distances are left out, as the paper's code does. Images are not rounded to 8 bits, which would hide so small a step.

Of a generator with a mapping network the length in W may be asked for too: styles on a straight line, from its
beginning on (t = 0), as the figures of StyleGAN2 are (Karras et al. 2020a, section 3). It has a name of its own.

The published distance is LPIPS (Zhang et al. 2018) by VGG16. No package brings VGG's weights, so they are taken from
files that the user has (`Lpips`). Without, features of the judge's extractor are compared (`FeatureDistance`), and the
figure bears that name: `path-length-<extractor>`.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_models.errors import RequestError, home_path
from gan_models.families.interfaces import Generator, Inputs, StyledGenerator
from gan_models.metrics.extraction import FeatureExtractor
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator

EPSILON = 1e-4
_LEFT_OUT = 1.0  # per cent of the distances on either end
# Of torchvision's VGG16: where its five stages end, and their channels.
_STAGES = (3, 8, 15, 22, 29)
_CHANNELS = (64, 128, 256, 512, 512)
_LEAST_SIDE = 16  # of an image that four poolings leave a pixel of


class Distance(Protocol):
    """A squared distance of images [B, C, H, W] in [-1, 1] from others, [B]."""

    figure: str
    """What a path length by it is called."""

    def __call__(self, first: Tensor, second: Tensor) -> Tensor: ...


class PathLength(NamedTuple):
    """`std` is of the distances along single paths."""

    name: str  # with the number of paths
    value: float
    std: float


def path_length(
    generator: LoadedGenerator,
    distance: Distance,
    *,
    paths: int = 5000,
    seed: int,
    space: Literal["z", "w"] = "z",
    epsilon: float = EPSILON,
    batch_size: int = 64,
) -> PathLength:
    """Mean squared speed of the images along great circles between latents, the whole arc taking a time of 1.

    Args:
        paths: as many pairs of latents, each with a place between them; both ends are of one class.
        seed: of these.
        space: w: along lines between styles, at their beginning.

    Raises:
        RequestError: the generator takes no latents, or makes images from real ones; or it has no styles for a length
            in w.
    """
    module = generator.module
    if "latents" not in module.inputs or module.needs_examples:
        raise RequestError(f"{generator.info.recipe_name} does not draw from latents alone: it has no path length")
    if space == "w" and not isinstance(module, StyledGenerator):
        raise RequestError(f"{generator.info.recipe_name} has no styles: its path length is that in z")
    found = []
    with torch.inference_mode():
        for inputs, first, second in _steps(module, paths, seed, space, epsilon, batch_size):
            sides = []
            for place in (first, second):
                rows = {name: tensor.to(generator.device) for name, tensor in (inputs | place).items()}
                sides.append(module(**rows))
            found.append(distance(*sides).double().cpu() / epsilon**2)
    lengths = torch.cat(found)
    low, high = (
        float(np.percentile(lengths.numpy(), share, method=method))  # type: ignore[call-overload]
        for share, method in ((_LEFT_OUT, "lower"), (100.0 - _LEFT_OUT, "higher"))
    )
    kept = lengths[(lengths >= low) & (lengths <= high)]
    figure = distance.figure if space == "z" else f"{distance.figure}-w"
    return PathLength(f"{figure}-{paths}", float(kept.mean()), float(kept.std(correction=0)))


def _steps(
    module: Generator, paths: int, seed: int, space: str, epsilon: float, batch_size: int
) -> Iterator[tuple[Inputs, Inputs, Inputs]]:
    """Batches of inputs, and what takes their place at both ends of a small step; path i depends on the seed and i."""
    draws = Draws(seed, paths)
    inputs = module.draw_inputs(draws)
    ends, places = draws.normal(module.latent), draws.uniform()
    for start in range(0, paths, batch_size):
        part = {name: tensor[start : start + batch_size] for name, tensor in inputs.items()}
        end, place = ends[start : start + batch_size], places[start : start + batch_size, None]
        if space == "w":
            yield {}, *_step_of_styles(module, part, end, epsilon)
        else:
            first, second = (slerp(part["latents"], end, place.double() + step).float() for step in (0.0, epsilon))
            yield part, {"latents": first}, {"latents": second}


def _step_of_styles(module: Generator, inputs: Inputs, end: Tensor, epsilon: float) -> tuple[Inputs, Inputs]:
    assert isinstance(module, StyledGenerator)
    device = module.average.device
    labels = inputs["labels"].to(device) if "labels" in inputs else None
    first, last = (module.styles(z.to(device), labels) for z in (inputs["latents"], end))
    return {"styles": first}, {"styles": torch.lerp(first, last, epsilon)}


def slerp(start: Tensor, end: Tensor, place: Tensor) -> Tensor:
    """Latents float64 [B, Z] at `place` [B, 1], 0 to 1, of the great circle from `start` to `end` [B, Z]."""
    start, end = start.double(), end.double()
    cosine = (start * end).sum(dim=1, keepdim=True) / (start.norm(dim=1, keepdim=True) * end.norm(dim=1, keepdim=True))
    angle = cosine.clamp(-1.0, 1.0).acos().clamp(min=1e-9)
    return (((1.0 - place) * angle).sin() * start + (place * angle).sin() * end) / angle.sin()


class FeatureDistance:
    """Squared Euclidean distance of an extractor's features."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        """RequestError for one that takes images of 8 bits alone."""
        if not extractor.takes_floats:
            raise RequestError(
                f"{extractor.name} takes images of 8 bits, which hide the steps of a path: choose another extractor"
            )
        self._extractor = extractor
        self.figure = f"path-length-{extractor.name}"

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        one, two = (self._features(images) for images in (first, second))
        return (one - two).square().sum(dim=1)

    def _features(self, images: Tensor) -> Tensor:
        pixels = (images.float() + 1.0) * 127.5
        return self._extractor.forward(pixels.permute(0, 2, 3, 1).to(self._extractor.device))[0].double()


class Lpips(nn.Module):
    """LPIPS (Zhang et al. 2018, section 3) by VGG16, with weights of the user's own; never run with the published ones.

    Each stage's features are brought to length 1 across channels, and their squared differences weighted, summed, and
    averaged over the image.

    Args:
        vgg: file of torchvision's VGG16 (`features.0.weight`, ...), safetensors or a state dict.
        heads: file of the weights of each channel (`lin0.model.1.weight` to `lin4...`), as the `lpips` package has it.

    Raises:
        RequestError: a file is absent, damaged, or of another network.
    """

    figure = "PPL"
    mean: Tensor
    std: Tensor

    def __init__(self, vgg: str | Path, heads: str | Path, device: torch.device | str = "cpu") -> None:
        super().__init__()
        from torchvision.models import vgg16

        with torch.device("meta"):  # no random weights, and none of the caller's random numbers
            self.stages = vgg16(weights=None).features[: _STAGES[-1] + 1]
        for layer in self.stages:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # a stage's end is compared as it is
        state = {name.removeprefix("features."): tensor for name, tensor in _weights(vgg).items()}
        try:
            wanted = self.stages.state_dict()
            self.stages.load_state_dict({name: state[name].float() for name in wanted}, assign=True)
        except (KeyError, RuntimeError):
            raise RequestError(f"{vgg} is not VGG16 as torchvision names its weights: features.0.weight, ...") from None
        found = _weights(heads)
        for stage, channels in enumerate(_CHANNELS):
            head = found.get(f"lin{stage}.model.1.weight")
            if head is None or head.numel() != channels:
                raise RequestError(
                    f"{heads} has no lin{stage}.model.1.weight of {channels} channels, as LPIPS' VGG has"
                )
            self.register_buffer(f"head{stage}", head.float().view(1, channels, 1, 1))
        # ImageNet's mean and deviation, of pixels in [-1, 1].
        self.register_buffer("mean", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))
        self.eval().requires_grad_(False).to(device)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        one, two = ((images.float().expand(-1, 3, -1, -1) - self.mean) / self.std for images in (first, second))
        if min(one.shape[2:]) < _LEAST_SIDE:
            raise RequestError(f"LPIPS compares images from {_LEAST_SIDE} pixels a side, not of {list(one.shape[2:])}")
        total = torch.zeros(len(one), dtype=torch.float64, device=one.device)
        for position, layer in enumerate(self.stages):
            one, two = layer(one), layer(two)
            if position in _STAGES:
                apart = (_directions(one) - _directions(two)).square()
                head = self.get_buffer(f"head{_STAGES.index(position)}")
                total += (apart * head).sum(dim=1).mean(dim=(1, 2)).double()
        return total


def _directions(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


def _weights(file: str | Path) -> Mapping[str, Tensor]:
    """Of safetensors, or a state dict of which nothing but tensors is unpickled."""
    path = home_path(file)
    if not path.is_file():
        raise RequestError(f"there is no file {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        raise RequestError(f"{path} holds no weights ({' '.join(str(error).split())[:100]})") from None
    if not isinstance(found, Mapping) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise RequestError(f"{path} is no state dict: names with tensors")
    return found
