"""What turns a discriminator's features into logits."""

from collections.abc import Callable

from torch import Tensor, nn


class LinearHead(nn.Module):
    """One real/fake logit from all features: [B, F, ...] -> [B]; with several outputs, [B, outputs]."""

    def __init__(
        self, features: int, outputs: int = 1, linear: Callable[..., nn.Module] = nn.Linear, *, bias: bool = True
    ) -> None:
        super().__init__()
        self.linear = linear(features, outputs, bias=bias)
        self.outputs = outputs

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.linear(flat(features))
        return logits.squeeze(1) if self.outputs == 1 else logits


def flat(features: Tensor) -> Tensor:
    """[B, F, H, W] or [B, F] -> [B, H * W * F].

    Channels come last, as convolutions leave them in memory, so that neither the features nor their gradient are
    copied into another order.
    """
    return features.permute(0, 2, 3, 1).flatten(1) if features.dim() == 4 else features.flatten(1)


class ConvolutionalHead(nn.Module):
    """A convolution: patches' logits [B, H, W], or the logits [B, K] of what the whole map shows.

    [B, F, H, W] -> [B, H - 1, W - 1] with the usual kernel of 4x4 pixels.

    Args:
        names: K, how many things the map may show, where the kernel covers all of it; 0: it judges patches.
    """

    def __init__(self, channels: int, names: int = 0, kernel: int | tuple[int, int] = 4, *, bias: bool = True) -> None:
        super().__init__()
        self.names = names
        self.layer = nn.Conv2d(channels, names or 1, kernel, 1, 0 if names else 1, bias=bias)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.layer(features)
        return logits.flatten(1) if self.names else logits.squeeze(1)


class ClassesHead(nn.Module):
    """The real/fake logit Z = log sum exp of the K class logits: [B, K] -> [B] (Salimans et al. 2016, section 5).

    sigmoid(Z) is the probability of the K real classes in a softmax over K + 1, whose last logit is 0.
    """

    def forward(self, class_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        return class_logits.float().logsumexp(1)


class ProjectionHead(nn.Module):
    """Linear logit plus the label's embedding projected on the same features (Miyato, Koyama 2018, eq. 3, fig. 1d).

    logit = l(h) + <E(y), h> with one h [B, F] for both terms: the sum over positions, as in the authors' public code.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.linear = LinearHead(channels)
        self.embedding = nn.Embedding(num_classes, channels)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """[B, F, ...] and classes int64 [B] -> [B]."""
        if labels is None:
            raise ValueError("this discriminator is conditional: pass labels")
        pooled = features.flatten(2).sum(2) if features.dim() > 2 else features
        return self.linear(pooled) + (self.embedding(labels) * pooled).sum(1)
