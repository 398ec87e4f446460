"""Minibatch standard deviation against a plain loop."""

import pytest
import torch
from torch import Tensor

from gan_models.layers.minibatch import MinibatchStdDev


def by_loop(features: Tensor, group: int) -> Tensor:
    """Groups take every (B / group)-th image, as in the authors' code."""
    groups = len(features) // group
    values = []
    for image in range(len(features)):
        members = features[image % groups :: groups]
        assert len(members) == group
        deviations = [member.sub(members.mean(0)).square() for member in members]
        values.append((torch.stack(deviations).mean(0) + 1e-8).sqrt().mean())
    return torch.stack(values)


@pytest.mark.parametrize(("batch", "group"), [(4, 4), (12, 4), (6, 6), (2, 2)])
def test_one_more_map_with_the_mean_deviation_of_the_group(batch: int, group: int) -> None:
    features = torch.randn(batch, 5, 3, 2)
    out = MinibatchStdDev()(features)
    assert out.shape == (batch, 6, 3, 2)
    assert torch.equal(out[:, :5], features)
    torch.testing.assert_close(out[:, 5], by_loop(features, group)[:, None, None].expand(-1, 3, 2))


def test_flat_features_get_one_more() -> None:
    features = torch.randn(8, 5)
    torch.testing.assert_close(MinibatchStdDev()(features)[:, 5], by_loop(features, 4))


def test_a_collapsed_batch_shows_and_still_has_a_gradient() -> None:
    features = torch.ones(4, 3, 2, 2, requires_grad=True)
    out = MinibatchStdDev()(features)
    assert out[:, 3].max().item() == pytest.approx(1e-4)
    (gradient,) = torch.autograd.grad(out.sum(), features, create_graph=True)
    assert torch.isfinite(gradient).all()
    (second,) = torch.autograd.grad(gradient.square().sum(), features)
    assert torch.isfinite(second).all()
