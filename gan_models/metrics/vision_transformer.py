"""DINOv2 and CLIP's image tower as extractors, with weights of the user's own in safetensors.

Both are one vision transformer (Dosovitskiy et al. 2021) with a few differences: DINOv2 (Oquab et al. 2023) scales each
residual branch and is read at its class token after the last norm, as Stein et al. 2023 do for FD; CLIP (Radford et al.
2021) has a norm more in front and a linear map behind, whose output is what CMMD compares (Jayasumana et al. 2024).

The file is the hub's `model.safetensors` of facebook/dinov2-{small,base,large} or openai/clip-vit-*; width, depth,
patch and input follow from its shapes. No package brings these weights, so this was never run with them: tests hold the
networks to the published numbers of parameters, and to PyTorch's own transformer with random weights.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_models.errors import RequestError, home_path
from gan_models.metrics.extraction import FeatureExtractor
from gan_models.metrics.resizing import pillow_resized

HEAD_WIDTH = 64
_DINOV2_OFFSET = 0.1  # patches that its authors add to a side before positions are interpolated
_DINOV2_SIDE = 224  # of its input, whatever grid its positions were trained on


class Shape(NamedTuple):
    """Of a vision transformer."""

    width: int
    depth: int
    patch: int
    grid: int  # patches along a side that there are positions for
    projected: int | None  # features of CLIP's last map; None: DINOv2

    @property
    def is_clip(self) -> bool:
        return self.projected is not None


class Block(nn.Module):
    """Attention and a two-layer network, each behind a norm and beside an identity."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, epsilon = shape.width, 1e-5 if shape.is_clip else 1e-6
        self.norm1, self.norm2 = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        if not shape.is_clip:
            self.scale1, self.scale2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))
        self.is_clip = shape.is_clip

    def forward(self, tokens: Tensor) -> Tensor:
        attended = self._attention(self.norm1(tokens))
        tokens = tokens + (attended if self.is_clip else attended * self.scale1)
        hidden = self.fc1(self.norm2(tokens))
        hidden = hidden * (1.702 * hidden).sigmoid() if self.is_clip else F.gelu(hidden)
        passed = self.fc2(hidden)
        return tokens + (passed if self.is_clip else passed * self.scale2)

    def _attention(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            layer(tokens).unflatten(2, (-1, HEAD_WIDTH)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        return self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class VisionTransformer(nn.Module):
    """float32 [B, 3, S, S] to features [B, width], or [B, projected] of CLIP; S a multiple of the patch."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.patches = nn.Conv2d(3, shape.width, shape.patch, shape.patch, bias=not shape.is_clip)
        self.class_token = nn.Parameter(torch.zeros(shape.width))
        self.positions = nn.Parameter(torch.zeros(1 + shape.grid**2, shape.width))
        self.before = nn.LayerNorm(shape.width, 1e-5) if shape.is_clip else nn.Identity()
        self.blocks = nn.Sequential(*(Block(shape) for _ in range(shape.depth)))
        self.after = nn.LayerNorm(shape.width, 1e-5 if shape.is_clip else 1e-6)
        self.projection = nn.Linear(shape.width, shape.projected, bias=False) if shape.projected else nn.Identity()

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patches(pixels)
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(tokens), 1, -1), tokens], dim=1) + self._positions(patches)
        return self.projection(self.after(self.blocks(self.before(tokens))[:, 0]))

    def _positions(self, patches: Tensor) -> Tensor:
        """[1 + H * W, width], scaled to another grid than that of the training by bicubic interpolation."""
        size, grid = patches.shape[2:], self.shape.grid
        if tuple(size) == (grid, grid):
            return self.positions
        square = self.positions[1:].T.reshape(1, -1, grid, grid)
        if self.shape.is_clip:
            scaled = F.interpolate(square, size=tuple(size), mode="bicubic")
        else:
            factors = tuple((side + _DINOV2_OFFSET) / grid for side in size)
            scaled = F.interpolate(square, scale_factor=factors, mode="bicubic")
        return torch.cat([self.positions[:1], scaled.flatten(2)[0].T])


class TransformerExtractor(FeatureExtractor):
    """The extractors `dinov2:PATH` and `clip:PATH`: grey images are repeated to RGB.

    Args:
        kind: `dinov2` or `clip`.

    Raises:
        RequestError: the file is absent, damaged, or of another network.
    """

    batch = 32

    def __init__(self, kind: str, file: str | Path, device: torch.device | str = "cpu") -> None:
        place, path = f"evaluation.extractor {kind}:{file}", home_path(file)
        if not path.is_file():
            raise RequestError(f"{place}: there is no file {path}")
        try:
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise RequestError(f"{place}: that is no safetensors file ({' '.join(str(error).split())[:100]})") from None
        network = _network(kind, tensors, place)
        shape = network.shape
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        self.name = f"{kind}-{digest[:8]}"
        self._side = shape.grid * shape.patch if shape.is_clip else _DINOV2_SIDE // shape.patch * shape.patch
        mean, std = (
            ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
            if shape.is_clip
            else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        )
        details = {
            "weights_sha256": digest,
            "features": shape.projected or shape.width,
            "layer": "projected class token" if shape.is_clip else "class token after the last norm",
            "network": shape._asdict(),
            "resize": f"Pillow bicubic, antialiased, in 8 bits, to {self._side}x{self._side}",
            "input": f"(x / 255 - {mean}) / {std}, grey repeated to RGB",
            "precision": "float32",
        }
        super().__init__(details, device)
        self._network = network.eval().requires_grad_(False).to(self.device)
        self._mean, self._std = (torch.tensor(each, device=self.device).view(1, 3, 1, 1) for each in (mean, std))

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        pixels = pillow_resized(images, self._side, "bicubic", rounded=True).to(self.device)
        return self._network((pixels.expand(-1, 3, -1, -1) / 255.0 - self._mean) / self._std), None


def _network(kind: str, tensors: Mapping[str, Tensor], place: str) -> VisionTransformer:
    """With the weights of a hub's file; RequestError where they are not of such a network."""
    state = _own_names(kind, tensors)
    try:
        width, _, patch, _ = state["patches.weight"].shape
        depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
        grid = round((len(state["positions"]) - 1) ** 0.5)
        projected = len(state["projection.weight"]) if kind == "clip" else None
        with torch.device("meta"):  # no random weights, and none of the caller's random numbers
            network = VisionTransformer(Shape(width, depth, patch, grid, projected))
        network.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    except (KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"{place}: these are not the hub's weights of a {kind} model ({reason})") from None
    return network


_DINOV2_NAMES = (
    (r"embeddings\.cls_token", "class_token"),
    (r"embeddings\.position_embeddings", "positions"),
    (r"embeddings\.patch_embeddings\.projection\.", "patches."),
    (r"encoder\.layer\.(\d+)\.attention\.attention\.", r"blocks.\1."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"blocks.\1.out."),
    (r"encoder\.layer\.(\d+)\.layer_scale(\d)\.lambda1", r"blocks.\1.scale\2"),
    (r"encoder\.layer\.(\d+)\.(?:mlp\.)?", r"blocks.\1."),
    (r"layernorm\.", "after."),
)
_CLIP_NAMES = (
    (r"vision_model\.embeddings\.class_embedding", "class_token"),
    (r"vision_model\.embeddings\.position_embedding\.weight", "positions"),
    (r"vision_model\.embeddings\.patch_embedding\.", "patches."),
    (r"vision_model\.pre_layrnorm\.", "before."),
    (r"vision_model\.post_layernorm\.", "after."),
    (r"vision_model\.encoder\.layers\.(\d+)\.self_attn\.q_proj\.", r"blocks.\1.query."),
    (r"vision_model\.encoder\.layers\.(\d+)\.self_attn\.k_proj\.", r"blocks.\1.key."),
    (r"vision_model\.encoder\.layers\.(\d+)\.self_attn\.v_proj\.", r"blocks.\1.value."),
    (r"vision_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj\.", r"blocks.\1.out."),
    (r"vision_model\.encoder\.layers\.(\d+)\.layer_norm", r"blocks.\1.norm"),
    (r"vision_model\.encoder\.layers\.(\d+)\.(?:mlp\.)?", r"blocks.\1."),
    (r"visual_projection\.", "projection."),
)


def _own_names(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The image tower's weights as `VisionTransformer` names them; what is of no use to it is left out."""
    found = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("dinov2.")
        for pattern, ours in _DINOV2_NAMES if kind == "dinov2" else _CLIP_NAMES:
            renamed, times = re.subn(f"^{pattern}", ours, name)
            if times:
                found[renamed] = tensor.flatten() if renamed == "class_token" else tensor
                break
    if "positions" in found and found["positions"].dim() == 3:
        found["positions"] = found["positions"][0]
    return found
