"""What D learns of an image's neighbours, against loops."""

import pytest
import torch

from gan_models.layers.minibatch import MinibatchDiscrimination, MinibatchStdDev


def test_minibatch_discrimination_equals_the_double_loop_without_itself() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(6, kernels=4, dimensions=3).double()
    features = torch.randn(5, 6, dtype=torch.float64)
    matrices = (features @ layer.project.weight.T).reshape(5, 4, 3)
    expected = torch.zeros(5, 4, dtype=torch.float64)
    for i in range(5):
        for j in range(5):
            if i != j:
                expected[i] += torch.exp(-(matrices[i] - matrices[j]).abs().sum(1))
    out = layer(features)
    assert torch.equal(out[:, :6], features)
    torch.testing.assert_close(out[:, 6:], expected, rtol=1e-5, atol=1e-6)


def test_minibatch_discrimination_gives_a_collapse_away() -> None:
    """Equal images are at closeness B - 1 in every kernel, the largest there is."""
    layer = MinibatchDiscrimination(8, kernels=3)
    closeness = layer(torch.randn(1, 8, 2, 1).expand(7, -1, -1, 1)[:, :4])[:, 8:]
    torch.testing.assert_close(closeness, torch.full((7, 3), 6.0))


@pytest.mark.parametrize(("count", "group"), [(8, 4), (6, 6), (3, 3)])
def test_minibatch_stddev_is_the_mean_deviation_of_each_group(count: int, group: int) -> None:
    """Groups of four, their members B / 4 apart; a batch that four does not divide is one group."""
    features = torch.randn(count, 5, 3, 3)
    out = MinibatchStdDev()(features)
    assert out.shape == (count, 6, 3, 3)
    assert torch.equal(out[:, :5], features)
    apart = count // group
    for start in range(apart):
        members = list(range(start, count, apart))
        expected = torch.sqrt(features[members].var(0, correction=0) + 1e-8).mean()
        torch.testing.assert_close(out[members, 5], expected.expand(group, 3, 3))
