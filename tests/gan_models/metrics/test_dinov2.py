"""DINOv2's network, with random weights: what it computes, how positions are interpolated, which files it takes."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from gan_models.errors import RequestError
from gan_models.metrics.dinov2 import DinoV2, VisionTransformer


def network(depth: int = 2, width: int = 64, heads: int = 4, side: int = 4) -> VisionTransformer:
    torch.manual_seed(0)
    made = VisionTransformer(width, depth, heads, side)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.eval()


@torch.inference_mode()
def test_equals_pytorch_s_encoder_layers_where_residuals_are_not_scaled() -> None:
    """`nn.TransformerEncoderLayer` with the norm first is the block of Dosovitskiy et al. 2021."""
    ours = network()
    images = torch.randn(2, 3, 56, 56)
    tokens = ours.patch_embed["proj"](images).flatten(2).transpose(1, 2)
    tokens = torch.cat([ours.cls_token.expand(2, -1, -1), tokens], dim=1) + ours.pos_embed
    for block in ours.blocks:
        block.ls1.gamma.fill_(1.0)
        block.ls2.gamma.fill_(1.0)
        layer = torch.nn.TransformerEncoderLayer(
            64, 4, 256, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
        )
        layer.self_attn.in_proj_weight.copy_(block.attn.qkv.weight)
        layer.self_attn.in_proj_bias.copy_(block.attn.qkv.bias)
        pairs = (
            (layer.self_attn.out_proj, block.attn.proj),
            (layer.linear1, block.mlp["fc1"]),
            (layer.linear2, block.mlp["fc2"]),
            (layer.norm1, block.norm1),
            (layer.norm2, block.norm2),
        )
        for theirs, mine in pairs:
            theirs.load_state_dict(mine.state_dict())
        tokens = layer.train()(tokens)
    torch.testing.assert_close(ours(images), ours.norm(tokens)[:, 0], rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_positions_are_interpolated_with_the_authors_offset() -> None:
    ours = network(side=7)
    grid = ours.pos_embed[:, 1:].reshape(1, 7, 7, 64).permute(0, 3, 1, 2)
    found = ours._positions(4)
    assert found.shape == (1, 17, 64)
    scale = (4 + 0.1) / math.sqrt(49)
    expected = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic").permute(0, 2, 3, 1).reshape(1, 16, 64)
    torch.testing.assert_close(found[:, 1:], expected)
    plain = F.interpolate(grid, size=(4, 4), mode="bicubic").permute(0, 2, 3, 1).reshape(1, 16, 64)
    assert (found[:, 1:] - plain).abs().max() > 1e-3


def test_it_has_the_parameters_of_the_published_file() -> None:
    """304 million, as the authors count them for ViT-L/14."""
    with torch.device("meta"):
        made = VisionTransformer()
    assert sum(parameter.numel() for parameter in made.parameters()) == 304_368_640
    names = set(made.state_dict())
    assert {"cls_token", "pos_embed", "mask_token", "patch_embed.proj.weight", "blocks.23.ls2.gamma"} <= names
    assert made.pos_embed.shape == (1, 1370, 1024)


def test_files_that_are_not_its_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="needs its weights, which no package brings"):
        DinoV2(None)
    with pytest.raises(RequestError, match="there is no file"):
        DinoV2(str(tmp_path / "none.pth"))
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pth")
    for name in ("text.pth", "other.pth"):
        with pytest.raises(RequestError, match="does not hold DINOv2's ViT-L/14"):
            DinoV2(str(tmp_path / name))
