"""DINOv2 and CLIP's image tower: as many parameters as are published, and what PyTorch's own transformer computes."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gan_models.errors import RequestError
from gan_models.metrics.choice import check_extractor
from gan_models.metrics.vision_transformer import Shape, TransformerExtractor, VisionTransformer

WIDTH, DEPTH = 128, 2


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        # With DINOv2's mask token, which is of use in training alone.
        (Shape(384, 12, 14, 37, None), 22_056_576 - 384),
        (Shape(768, 12, 14, 37, None), 86_580_480 - 768),
        (Shape(1024, 24, 14, 37, None), 304_368_640 - 1024),
        (Shape(768, 12, 32, 7, 512), 87_849_216),
        (Shape(1024, 24, 14, 16, 768), 303_966_208),
        (Shape(1024, 24, 14, 24, 768), 304_293_888),
    ],
)
def test_parameters_are_as_published(shape: Shape, parameters: int) -> None:
    with torch.device("meta"):
        network = VisionTransformer(shape)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def hub_weights(kind: str, patch: int, grid: int) -> dict[str, Tensor]:
    """Random ones, by the hub's names."""
    stream = torch.Generator().manual_seed(0)

    def some(*shape: int, around: float = 0.0) -> Tensor:
        return around + 0.1 * torch.randn(*shape, generator=stream)

    names: dict[str, Tensor] = {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        names[f"{name}.weight"], names[f"{name}.bias"] = some(outputs, inputs), some(outputs)

    def norm(name: str) -> None:
        names[f"{name}.weight"], names[f"{name}.bias"] = some(WIDTH, around=1.0), some(WIDTH)

    if kind == "dinov2":
        names["embeddings.cls_token"] = some(1, 1, WIDTH)
        names["embeddings.mask_token"] = some(1, WIDTH)
        names["embeddings.position_embeddings"] = some(1, 1 + grid**2, WIDTH)
        names["embeddings.patch_embeddings.projection.weight"] = some(WIDTH, 3, patch, patch)
        names["embeddings.patch_embeddings.projection.bias"] = some(WIDTH)
        norm("layernorm")
        layer, attention = "encoder.layer.", ("attention.attention.query", "attention.attention.key",
                                              "attention.attention.value", "attention.output.dense")  # fmt: skip
        norms = ("norm1", "norm2")
    else:
        names["vision_model.embeddings.class_embedding"] = some(WIDTH)
        names["vision_model.embeddings.position_ids"] = torch.arange(1 + grid**2)[None]
        names["vision_model.embeddings.position_embedding.weight"] = some(1 + grid**2, WIDTH)
        names["vision_model.embeddings.patch_embedding.weight"] = some(WIDTH, 3, patch, patch)
        names["visual_projection.weight"] = some(48, WIDTH)
        names["text_model.embeddings.token_embedding.weight"] = some(10, WIDTH)
        norm("vision_model.pre_layrnorm")
        norm("vision_model.post_layernorm")
        layer, attention = (
            "vision_model.encoder.layers.",
            tuple(f"self_attn.{one}_proj" for one in ("q", "k", "v", "out")),
        )
        norms = ("layer_norm1", "layer_norm2")
    for index in range(DEPTH):
        for one in attention:
            linear(f"{layer}{index}.{one}", WIDTH, WIDTH)
        linear(f"{layer}{index}.mlp.fc1", WIDTH, 4 * WIDTH)
        linear(f"{layer}{index}.mlp.fc2", 4 * WIDTH, WIDTH)
        for one in norms:
            norm(f"{layer}{index}.{one}")
        if kind == "dinov2":
            for part in "12":
                names[f"{layer}{index}.layer_scale{part}.lambda1"] = some(WIDTH, around=0.5)
    return names


def of_pytorch(kind: str, weights: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """The same by `nn.TransformerEncoderLayer`, layer scales multiplied into the maps before them."""
    clip = kind == "clip"
    place = "vision_model.encoder.layers." if clip else "encoder.layer."
    names = (
        ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "layer_norm1", "layer_norm2"]
        if clip
        else [*(f"attention.attention.{one}" for one in ("query", "key", "value")), "attention.output.dense", "norm1",
              "norm2"]
    )  # fmt: skip
    patch = weights["vision_model.embeddings.patch_embedding.weight" if clip else
                    "embeddings.patch_embeddings.projection.weight"]  # fmt: skip
    bias = None if clip else weights["embeddings.patch_embeddings.projection.bias"]
    tokens = nn.functional.conv2d(pixels, patch, bias, stride=patch.shape[2]).flatten(2).transpose(1, 2)
    first = weights["vision_model.embeddings.class_embedding" if clip else "embeddings.cls_token"].view(1, 1, -1)
    where = weights["vision_model.embeddings.position_embedding.weight" if clip else "embeddings.position_embeddings"]
    tokens = torch.cat([first.expand(len(tokens), 1, -1), tokens], dim=1) + where
    epsilon = 1e-5 if clip else 1e-6

    def norm(name: str, rows: Tensor) -> Tensor:
        return nn.functional.layer_norm(rows, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon)

    if clip:
        tokens = norm("vision_model.pre_layrnorm", tokens)
    for index in range(DEPTH):
        active = (lambda x: x * torch.sigmoid(1.702 * x)) if clip else nn.functional.gelu
        layer = nn.TransformerEncoderLayer(WIDTH, WIDTH // 64, 4 * WIDTH, 0.0, active, epsilon, True, True)

        def both(kind: str, name: str, index: int = index) -> Tensor:
            return weights[f"{place}{index}.{name}.{kind}"]

        with torch.no_grad():
            for kind_of in ("weight", "bias"):
                getattr(layer.self_attn, f"in_proj_{kind_of}").copy_(torch.cat([both(kind_of, n) for n in names[:3]]))
                scales = [1.0, 1.0] if clip else [
                    weights[f"{place}{index}.layer_scale{part}.lambda1"].view(-1, *[1] * (kind_of == "weight"))
                    for part in "12"
                ]  # fmt: skip
                getattr(layer.self_attn.out_proj, kind_of).copy_(both(kind_of, names[3]) * scales[0])
                getattr(layer.linear1, kind_of).copy_(both(kind_of, "mlp.fc1"))
                getattr(layer.linear2, kind_of).copy_(both(kind_of, "mlp.fc2") * scales[1])
                getattr(layer.norm1, kind_of).copy_(both(kind_of, names[4]))
                getattr(layer.norm2, kind_of).copy_(both(kind_of, names[5]))
            tokens = layer(tokens)
    found = norm("vision_model.post_layernorm" if clip else "layernorm", tokens[:, 0])
    return found @ weights["visual_projection.weight"].T if clip else found


# The grids fit the inputs, but for the last: positions of another grid are scaled.
@pytest.mark.parametrize(("kind", "patch", "grid"), [("clip", 8, 4), ("dinov2", 56, 4)])
def test_features_are_those_of_pytorch_s_own_transformer(kind: str, patch: int, grid: int, tmp_path: Path) -> None:
    weights = hub_weights(kind, patch, grid)
    save_file(weights, tmp_path / "model.safetensors")
    extractor = TransformerExtractor(kind, tmp_path / "model.safetensors")
    side = patch * grid
    images = torch.randint(0, 256, (3, side, side, 1), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    mean, std = (
        ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
        if kind == "clip"
        else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    pixels = images.permute(0, 3, 1, 2).float().repeat(1, 3, 1, 1) / 255
    pixels = (pixels - torch.tensor(mean)[None, :, None, None]) / torch.tensor(std)[None, :, None, None]
    found = extractor.features_and_logits(images)
    assert found.logits is None
    torch.testing.assert_close(found.features, of_pytorch(kind, weights, pixels), rtol=1e-4, atol=1e-4)
    assert extractor.describe()["features"] == (48 if kind == "clip" else WIDTH)
    small = images[:, ::2, ::2]
    assert extractor.features_and_logits(small).features.shape == found.features.shape


def test_positions_are_scaled_to_the_grid_of_the_input() -> None:
    for projected, middle in ((64, 18.5), (None, 17.9856)):  # DINOv2's authors take 3.1 patches for 3
        network = VisionTransformer(Shape(64, 0, 4, 6, projected))
        with torch.no_grad():
            network.positions.copy_(torch.arange(37.0)[:, None].expand(37, 64))
            found = network._positions(torch.zeros(1, 64, 3, 3))
        assert found.shape == (10, 64)
        assert found[0, 0] == 0.0
        assert found[5, 0] == pytest.approx(middle, abs=1e-3)  # the mean of 1 to 36, where there is no offset
        assert torch.equal(network._positions(torch.zeros(1, 64, 6, 6)), network.positions)


def test_figures_of_different_weights_bear_different_names_and_other_files_are_refused(tmp_path: Path) -> None:
    names = []
    for factor in (1.0, 2.0):
        weights = {name: tensor * factor for name, tensor in hub_weights("clip", 8, 2).items()}
        save_file(weights, tmp_path / "model.safetensors")
        names.append(TransformerExtractor("clip", tmp_path / "model.safetensors").name)
    assert names[0] != names[1]
    assert all(name.startswith("clip-") for name in names)
    with pytest.raises(RequestError, match="not the hub's weights of a dinov2 model"):
        TransformerExtractor("dinov2", tmp_path / "model.safetensors")
    with pytest.raises(RequestError, match="there is no file"):
        TransformerExtractor("clip", tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("weights")
    with pytest.raises(RequestError, match="no safetensors file"):
        TransformerExtractor("clip", tmp_path / "text.safetensors")
    with pytest.raises(RequestError, match="write dinov2:PATH"):
        check_extractor("dinov2")
