"""Weight initialisations, each for `nn.Module.apply`; biases start at zero."""

from collections.abc import Callable

from torch import nn

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)


def _scheme(fill: Callable[..., object], *arguments: float) -> Callable[[nn.Module], None]:
    def initialise(module: nn.Module) -> None:
        if isinstance(module, WEIGHTED):
            fill(module.weight, *arguments)
            bias = getattr(module, "bias", None)
            if bias is not None:
                nn.init.zeros_(bias)

    return initialise


SCHEMES: dict[str, Callable[[nn.Module], None]] = {
    # N(0, 0.02): Radford, Metz, Chintala 2016, section 4.
    "normal": _scheme(nn.init.normal_, 0.0, 0.02),
    # Glorot, Bengio 2010, as the public SNGAN and SAGAN code has it.
    "xavier": _scheme(nn.init.xavier_uniform_),
    # Saxe et al. 2014, as in Brock, Donahue, Simonyan 2019, section 3.
    "orthogonal": _scheme(nn.init.orthogonal_),
}


def gains_around_one(module: nn.Module) -> None:
    """Batch norm's gains from N(1, 0.02), as DCGAN's public code has them, and those that follow it."""
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
