"""What a training is watched by shows every class, and so does what batch norm is measured on."""

import pytest
import torch
from torch import nn

from gan_models.averaging import MEASURED_TOGETHER, ExponentialMovingAverage
from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.training.probe import Probe, labels_of_every_class

NARROW = ("data.size=8", "networks.generator.width=4")


def probe_of(generator: object, classes: int) -> Probe:
    labels = torch.arange(2 * classes) % classes
    images = torch.randint(0, 256, (len(labels), 8, 8, 1), dtype=torch.uint8)
    return Probe(generator, Split(images, labels, [""] * len(labels)), seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("classes", [1, 2, 10, 143, 256, 1000, 1001])
def test_every_class_is_shown_equally_often_and_from_all_over_in_each_batch(classes: int) -> None:
    labels = labels_of_every_class(classes)
    counts = labels.bincount(minlength=classes)
    assert counts.max() - counts.min() <= 1
    assert counts.min() >= 2
    for batch in labels.split(MEASURED_TOGETHER):
        assert len(batch) == MEASURED_TOGETHER
        assert batch.sort().values.diff().max() <= classes / MEASURED_TOGETHER + 1
        assert batch.float().mean() == pytest.approx((classes - 1) / 2, abs=classes / 100 + 0.01)


def test_standing_statistics_see_all_of_a_thousand_classes() -> None:
    """A gain and a bias by class: the statistics behind them are those over all classes, not over the first 512."""
    generator = build_generator(load_recipe("sngan-projection", NARROW), DataShape((1, 8, 8), 1000))
    first = generator.blocks.blocks[0]
    with torch.no_grad():
        first.norm_in.bias[500:] = 30.0
    warm_up = probe_of(generator, 1000).warm_up
    assert set(warm_up["labels"].tolist()) == set(range(1000))
    measured = ExponentialMovingAverage(generator).snapshot(generator, warm_up)
    every = torch.arange(4000) % 1000
    seen: list[torch.Tensor] = []
    first.norm_out.norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        generator.train()(torch.randn(len(every), generator.latent), every)
    mean, var = seen[0].mean((0, 2, 3)), seen[0].var((0, 2, 3))
    norm = measured.blocks.blocks[0].norm_out.norm
    assert isinstance(norm, nn.BatchNorm2d)
    assert ((norm.running_mean - mean).abs() < 0.1 * var.sqrt()).all()
    torch.testing.assert_close(norm.running_var, var, rtol=0.1, atol=0)


def test_without_classes_as_many_latents_are_measured_as_ever() -> None:
    generator = build_generator(load_recipe("sngan", NARROW), DataShape((1, 8, 8)))
    assert {name: len(rows) for name, rows in probe_of(generator, 2).warm_up.items()} == {"latents": 512}
