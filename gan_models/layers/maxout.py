"""Maxout (Goodfellow, Warde-Farley, Mirza, Courville, Bengio 2013)."""

from torch import Tensor, nn


class Maxout(nn.Module):
    """The largest of several linear functions, for each unit: [B, inputs] -> [B, units] (section 3)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (self.units, self.pieces)).amax(2)
