"""Maxout against its formula."""

import torch

from gan_models.layers.maxout import Maxout


def test_each_unit_is_the_largest_of_its_own_pieces() -> None:
    torch.manual_seed(0)
    layer, x = Maxout(7, 4, 3), torch.randn(5, 7)
    pieces = x @ layer.linear.weight.T + layer.linear.bias
    expected = torch.stack([pieces[:, 3 * unit : 3 * unit + 3].max(1).values for unit in range(4)], dim=1)
    torch.testing.assert_close(layer(x), expected)
