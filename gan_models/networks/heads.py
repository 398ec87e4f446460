"""What turns a discriminator's features into logits."""

from __future__ import annotations

from torch import Tensor, nn


class LinearHead(nn.Module):
    """One real/fake logit from all features: [B, F, ...] -> [B]; with several outputs, [B, outputs]."""

    def __init__(self, features: int, outputs: int = 1, linear: type[nn.Linear] = nn.Linear) -> None:
        super().__init__()
        self.linear = linear(features, outputs)
        self.outputs = outputs

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.linear(features.flatten(1))
        return logits.squeeze(1) if self.outputs == 1 else logits


class ProjectionHead(nn.Module):
    """Linear logit plus the label's embedding projected on the features (Miyato, Koyama 2018, eq. 3 and fig. 1d).

    logit = l(h) + <E(y), h_sum> where h_sum [B, F] is the sum over positions.
    """

    def __init__(self, channels: int, positions: int, num_classes: int) -> None:
        super().__init__()
        self.linear = LinearHead(channels * positions)
        self.embedding = nn.Embedding(num_classes, channels)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            raise ValueError("this discriminator is conditional: pass labels")
        pooled = features.flatten(2).sum(2) if features.dim() > 2 else features
        logits: Tensor = self.linear(features) + (self.embedding(labels) * pooled).sum(1)
        return logits
