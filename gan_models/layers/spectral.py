"""Spectral normalisation (Miyato et al. 2018) as a pass over a finished network."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

_NORMALISED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)


def add_spectral_norm(network: nn.Module) -> None:
    """Divides every weight of linear, convolution and embedding layers by its largest singular value, in place.

    One power iteration for each training forward, none in eval mode; the gradient flows through sigma but not through
    the vectors of the iteration (section 2.1 and appendix A).
    """
    for module in list(network.modules()):
        if isinstance(module, _NORMALISED) and not hasattr(module, "parametrizations"):
            spectral_norm(module, dim=1 if isinstance(module, nn.ConvTranspose2d) else 0)
