"""Between images in [-1, 1], as everybody has them here, and in [0, 1], as the networks of some papers do."""

from torch import Tensor, nn


class ToUnit(nn.Module):
    """[-1, 1] to [0, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        return 0.5 * images + 0.5


class Sigmoid(nn.Module):
    """A sigmoid's image, seen in [-1, 1]: 2 sigmoid(x) - 1 = tanh(x / 2)."""

    def forward(self, x: Tensor) -> Tensor:
        return (0.5 * x).tanh()
