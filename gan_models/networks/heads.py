"""What turns a discriminator's features into logits."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class LinearHead(nn.Module):
    """One real/fake logit from all features: [B, F, ...] -> [B]."""

    def __init__(self, features: int, *, spectral: bool = False) -> None:
        super().__init__()
        linear = nn.Linear(features, 1)
        self.linear = spectral_norm(linear) if spectral else linear

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.linear(features.flatten(1)).squeeze(1)
        return logits


class ProjectionHead(nn.Module):
    """Linear logit plus the label's embedding projected on the features (Miyato, Koyama 2018, eq. 3 and fig. 1d).

    logit = l(h) + <E(y), h_sum> where h_sum [B, F] is the sum over positions. E is spectrally normalised where the
    trunk is (the paper normalises every layer of D).
    """

    def __init__(self, channels: int, positions: int, num_classes: int, *, spectral: bool = False) -> None:
        super().__init__()
        self.linear = LinearHead(channels * positions, spectral=spectral)
        embedding = nn.Embedding(num_classes, channels)
        self.embedding = spectral_norm(embedding) if spectral else embedding

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            raise ValueError("this discriminator is conditional: pass labels")
        pooled = features.flatten(2).sum(2) if features.dim() > 2 else features
        logits: Tensor = self.linear(features) + (self.embedding(labels) * pooled).sum(1)
        return logits
