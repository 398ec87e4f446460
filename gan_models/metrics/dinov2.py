"""DINOv2 (Oquab et al. 2023), ViT-L/14, as an extractor: what Stein et al. 2023 advise to measure FD with.

Its 1.2 GB of weights are no part of any package: they are a file of the user's, in the layout that its authors publish
(`dinov2_vitl14_pretrain.pth`). Nothing in it is unpickled but tensors.
"""

from __future__ import annotations

import hashlib
import math
import pickle
from pathlib import Path
from zipfile import BadZipFile

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_models.errors import RequestError, home_path
from gan_models.metrics.extraction import FeatureExtractor
from gan_models.metrics.resizing import pillow_resized

FEATURES = 1024
WEIGHTS_URL = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth"
_SIZE, _PATCH, _TRAINED_SIZE = 224, 14, 518
_DEPTH, _HEADS = 24, 16
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_OFFSET = 0.1  # patches that the authors add to the side before positions are interpolated


class DinoV2(FeatureExtractor):
    """The extractor `dinov2`: 1024 features, the class token after the last norm; grey images are repeated to RGB.

    Resized as dgm-eval does it where it is not told otherwise: pictures by Pillow's bicubic filter.

    Args:
        weights: the file of the weights; RequestError where there is none, or another network's.
    """

    name = "dinov2"
    batch = 16

    def __init__(self, weights: str | None, device: torch.device | str = "cpu") -> None:
        path = _existing(weights)
        self._network = _loaded(path).to(torch.device(device))
        details = {
            "weights_sha256": _sha256(path),
            "features": FEATURES,
            "layer": "class token after the last norm",
            "resize": f"Pillow bicubic, antialiased, in 8 bits, to {_SIZE}x{_SIZE}",
            "input": "x / 255 by ImageNet's mean and deviation, grey repeated to RGB",
            "precision": "float32",
        }
        super().__init__(details, device)

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        resized = pillow_resized(images, _SIZE, "bicubic", rounded=True).to(self.device) / 255.0
        mean, deviation = (torch.tensor(each, device=self.device)[:, None, None] for each in (_MEAN, _DEVIATION))
        return self._network((resized.expand(-1, 3, -1, -1) - mean) / deviation), None


class VisionTransformer(nn.Module):
    """The network of Dosovitskiy et al. 2021 with scaled residuals (Touvron et al. 2021, "LayerScale").

    Names of parameters are those of the authors' file. Shapes: B images, T tokens, W width.

    Args:
        side: patches along a side of the images it was trained on.
    """

    def __init__(self, width: int = FEATURES, depth: int = _DEPTH, heads: int = _HEADS, side: int = 37) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # in the file, and used in its training alone
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, _PATCH, _PATCH)})
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """Class tokens [B, W] of images [B, 3, S, S], S a multiple of 14."""
        patches_BTW = self.patch_embed["proj"](images).flatten(2).transpose(1, 2)
        tokens_BTW = torch.cat([self.cls_token.expand(len(images), -1, -1), patches_BTW], dim=1)
        tokens_BTW = tokens_BTW + self._positions(images.shape[2] // _PATCH)
        for block in self.blocks:
            tokens_BTW = block(tokens_BTW)
        return self.norm(tokens_BTW)[:, 0]

    def _positions(self, side: int) -> Tensor:
        """Position embeddings [1, T, W] for `side` patches along a side, interpolated as the authors do it."""
        trained = math.isqrt(self.pos_embed.shape[1] - 1)
        if side == trained:
            return self.pos_embed
        grid = self.pos_embed[:, 1:].view(1, trained, trained, -1).permute(0, 3, 1, 2)
        scale = (side + _OFFSET) / trained
        resized = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], resized.flatten(2).transpose(1, 2)], dim=1)


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens_BTW: Tensor) -> Tensor:
        return tokens_BTW * self.gamma


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens_BTW: Tensor) -> Tensor:
        query, key, value = self._split(self.qkv(tokens_BTW))
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))

    def _split(self, joined: Tensor) -> Tensor:
        """Queries, keys and values of each head: [B, T, 3 W] -> [3, B, heads, T, W / heads]."""
        batch, tokens, width = joined.shape
        return joined.view(batch, tokens, 3, self.heads, width // (3 * self.heads)).permute(2, 0, 3, 1, 4)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.ls1, self.ls2 = _Scale(width), _Scale(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, tokens_BTW: Tensor) -> Tensor:
        tokens_BTW = tokens_BTW + self.ls1(self.attn(self.norm1(tokens_BTW)))
        hidden = F.gelu(self.mlp["fc1"](self.norm2(tokens_BTW)))
        return tokens_BTW + self.ls2(self.mlp["fc2"](hidden))


def _existing(weights: str | None) -> Path:
    if weights is None:
        raise RequestError(
            f"the extractor dinov2 needs its weights, which no package brings: fetch {WEIGHTS_URL} where there is a "
            "network, and pass --set evaluation.inception_weights=PATH"
        )
    path = home_path(weights)
    if not path.is_file():
        raise RequestError(f"evaluation.inception_weights: there is no file {path}; fetch {WEIGHTS_URL}")
    return path


def _loaded(path: Path) -> VisionTransformer:
    with torch.device("meta"):
        network = VisionTransformer(side=_TRAINED_SIZE // _PATCH)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    except (RuntimeError, OSError, EOFError, ValueError, TypeError, pickle.UnpicklingError, BadZipFile) as error:
        reason = " ".join(str(error).split())[:120]
        raise RequestError(
            f"evaluation.inception_weights: {path} does not hold DINOv2's ViT-L/14 ({reason}); fetch {WEIGHTS_URL}"
        ) from None
    return network.requires_grad_(False).eval()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
