"""The Frechet distance within classes: against closed forms, and against what the one over all cannot see."""

import pytest
import torch

from gan_models.metrics.extraction import Extracted
from gan_models.metrics.frechet import frechet_distance
from gan_models.metrics.intra_class import class_labels, distances_within_classes, mean_within_domains
from gan_models.metrics.metric import Comparison
from gan_models.metrics.scores import metric_key


def features(*means: float, each: int = 40) -> tuple[Extracted, torch.Tensor]:
    """One class for each mean, `each` images around it in three dimensions, the same spread for all."""
    spread = torch.randn(each, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = torch.cat([spread + mean for mean in means])
    return Extracted(rows, None), torch.arange(len(means)).repeat_interleave(each)


def test_classes_that_are_moved_are_the_squared_move_apart() -> None:
    """Equal covariances: FD is |m1 - m2|^2, here 3 d^2."""
    sample, labels = features(0.0, 12.0)
    reference, reference_labels = features(0.0, 10.0)
    found = distances_within_classes(sample, labels, reference, reference_labels)
    assert [one.label for one in found] == [0, 1]
    assert [one.images for one in found] == [40, 40]
    assert [one.distance for one in found] == pytest.approx([0.0, 3 * 2.0**2], abs=1e-9)


def test_swapped_classes_are_seen_here_and_not_over_all() -> None:
    sample, labels = features(0.0, 10.0)
    found = distances_within_classes(sample, 1 - labels, sample, labels)
    assert frechet_distance(sample.features, sample.features) == pytest.approx(0, abs=1e-9)
    assert [one.distance for one in found] == pytest.approx([300.0, 300.0])


def test_a_class_with_few_images_on_either_side_is_left_out() -> None:
    sample, labels = features(0.0, 1.0, 2.0)
    few = Extracted(sample.features[:-11], None)
    found = distances_within_classes(sample, labels, few, labels[:-11])
    assert [one.label for one in found] == [0, 1]
    found = distances_within_classes(few, labels[:-11], sample, labels)
    assert [one.label for one in found] == [0, 1]
    assert len(distances_within_classes(few, labels[:-11], sample, labels, least=29)) == 3


def test_images_without_a_label_are_of_no_class() -> None:
    sample, labels = features(0.0, 10.0)
    partly = torch.where(torch.arange(80) % 4 == 0, -1, labels)
    found = distances_within_classes(sample, labels, sample, partly)
    assert [one.label for one in found] == [0, 1]
    sides = Extracted(sample.features, None, labels), Extracted(sample.features, None, partly)
    assert class_labels(Comparison(*sides)) == {0, 1}


def test_domains_with_an_image_each_make_no_figure() -> None:
    sample, labels = features(0.0, 1.0, each=3)
    assert mean_within_domains(Comparison(sample, sample, domains=(labels, labels))) == pytest.approx(0, abs=1e-9)
    assert mean_within_domains(Comparison(sample, sample, domains=(labels, labels + 2))) is None


def test_only_inception_makes_an_intra_fid() -> None:
    assert metric_key("intra-FD-of-7", "classifier") == "intra-FD-of-7-classifier"
    assert metric_key("intra-FD", "inception-2015") == "intra-FID"
    assert metric_key("FD-gap", "inception-2015") == "FD-gap"
