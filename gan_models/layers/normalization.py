"""Normalisation layers beyond PyTorch's own."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_models.layers.initialization import WEIGHTED

REFERENCE_ROWS = 64  # size of the reference batch; the paper leaves it open
REFERENCE_NORMS = ("virtual", "reference")  # what a generator spec's `norm` calls the layers that need one


class ReferenceBatchNorm(nn.Module):
    """Batch norm with the statistics of a fixed reference batch (Salimans et al. 2016, section 3.5).

    The first `reference` rows of every batch are the reference (`gan_models.families.interfaces.LatentGenerator` puts
    them there) and are normalised by their own statistics. With `virtual`, each other example is normalised by the
    statistics of the reference and itself, weight 1 / (reference + 1): virtual batch norm; otherwise by those of the
    reference alone. Either way an example's output does not depend on its neighbours.
    """

    def __init__(self, channels: int, reference: int, *, virtual: bool, eps: float = 1e-5) -> None:
        super().__init__()
        self.reference = reference
        self.virtual = virtual
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[reference + B, C, ...] -> the same shape."""
        places = tuple(range(2, x.dim()))
        each = x.float()
        mean = each.mean(places) if places else each
        square = each.square().mean(places) if places else each.square()
        reference_mean, reference_square = mean[: self.reference].mean(0), square[: self.reference].mean(0)
        if self.virtual:
            own = 1.0 / (self.reference + 1)
            combined_mean = torch.lerp(reference_mean.expand_as(mean[self.reference :]), mean[self.reference :], own)
            combined_square = torch.lerp(
                reference_square.expand_as(square[self.reference :]), square[self.reference :], own
            )
            references = (self.reference, len(reference_mean))
            mean = torch.cat([reference_mean.expand(references), combined_mean])
            square = torch.cat([reference_square.expand(references), combined_square])
        else:
            mean, square = reference_mean.expand_as(mean), reference_square.expand_as(square)
        # The difference of two roundings may fall below zero.
        scale = torch.rsqrt((square - mean.square()).clamp(min=0.0) + self.eps) * self.weight
        shift = self.bias - mean * scale
        shape = (*scale.shape, *(1 for _ in places))  # not len(x), which torch.export takes for a constant
        return (each * scale.reshape(shape) + shift.reshape(shape)).to(x.dtype)


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm whose gain and bias are looked up by class (Dumoulin et al. 2017; de Vries et al. 2017)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Parameter(torch.ones(num_classes, channels))
        self.bias = nn.Parameter(torch.zeros(num_classes, channels))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """[B, C, H, W] and classes int64 [B] -> [B, C, H, W]."""
        normal: Tensor = self.norm(x)
        gain, bias = self.gain[labels].to(normal.dtype), self.bias[labels].to(normal.dtype)
        return torch.addcmul(bias[:, :, None, None], gain[:, :, None, None], normal)


class ShiftedBatchNorm(nn.Module):
    """Batch norm with a bias and no gain (public code of Salimans et al. 2016): [B, C, ...] -> the same shape."""

    def __init__(self, channels: int, *, flat: bool = False) -> None:
        super().__init__()
        self.norm = (nn.BatchNorm1d if flat else nn.BatchNorm2d)(channels, affine=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        normal: Tensor = self.norm(x)
        return normal + self.bias.view(1, -1, *(1 for _ in range(2, x.dim()))).to(normal.dtype)


class PixelNorm(nn.Module):
    """b = a / sqrt(mean over channels of a^2 + eps): at every place the feature vector gets length sqrt(C).

    Karras et al. 2018, "Progressive Growing of GANs", section 4.2.
    """

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape."""
        # The mean in fp32, where eps is more than a rounding error; the features stay in their type.
        power = features.float().square().mean(1, keepdim=True)
        return features * torch.rsqrt(power + self.eps).to(features.dtype)


def generator_norm(kind: str, channels: int, *, flat: bool = False) -> list[nn.Module]:
    """Layers that a generator spec's `norm` asks for; `flat`: of features [B, C], not maps [B, C, H, W]."""
    if kind == "none":
        return []
    if kind == "batch":
        return [nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)]
    if kind == "instance":
        return [nn.InstanceNorm2d(channels)]
    return [ReferenceBatchNorm(channels, REFERENCE_ROWS, virtual=kind == "virtual")]


def discriminator_norm(kind: str, channels: int, size: int = 0) -> list[nn.Module]:
    """As `generator_norm`, for a discriminator spec's `norm`; `size` 0 means features [B, C]."""
    if kind == "none":
        return []
    if kind == "batch":
        return [nn.BatchNorm2d(channels) if size else nn.BatchNorm1d(channels)]
    if kind == "instance":
        return [nn.InstanceNorm2d(channels)]
    # One group is layer norm over channels and places, with a gain for each channel (as WGAN-GP's critics use).
    return [nn.GroupNorm(1, channels)]


def add_spectral_norm(network: nn.Module) -> None:
    """Divides every weight of linear, convolution and embedding layers by its largest singular value, in place.

    A layer with a `takes_spectral_norm` of False is left alone.
    One power iteration for each training forward, none in eval mode; the gradient flows through sigma but not through
    the vectors of the iteration (Miyato et al. 2018, section 2.1 and appendix A).
    """
    for module in list(network.modules()):
        taken = isinstance(module, WEIGHTED) and getattr(module, "takes_spectral_norm", True)
        if taken and not hasattr(module, "parametrizations"):
            spectral_norm(module, dim=1 if isinstance(module, nn.ConvTranspose2d) else 0)
