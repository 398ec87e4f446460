"""Self-attention against the sums it stands for."""

import torch

from gan_models.layers.attention import SelfAttention2d


def test_it_is_the_identity_at_gamma_zero_and_learns_to_leave_it() -> None:
    block = SelfAttention2d(16)
    features = torch.randn(2, 16, 4, 4)
    out = block(features)
    assert torch.equal(out, features)
    out.square().sum().backward()
    assert block.gamma.grad.abs() > 0


def test_each_place_sees_the_pooled_places_by_the_softmax_of_its_products() -> None:
    block = SelfAttention2d(16)
    torch.nn.init.constant_(block.gamma, 0.5)
    features = torch.randn(1, 16, 4, 4)
    weight = {name: getattr(block, name).weight[:, :, 0, 0] for name in ("theta", "phi", "g", "out")}
    maps = {name: torch.einsum("oc,chw->ohw", weight[name], features[0]) for name in ("theta", "phi", "g")}

    def pooled(name: str, row: int, column: int) -> torch.Tensor:
        return maps[name][:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].amax((1, 2))

    expected = features.clone()
    places = [(row, column) for row in range(2) for column in range(2)]
    for y in range(4):
        for x in range(4):
            scores = torch.stack([maps["theta"][:, y, x] @ pooled("phi", *place) for place in places])
            shares = scores.softmax(0)
            seen = sum(share * pooled("g", *place) for share, place in zip(shares, places, strict=True))
            expected[0, :, y, x] += 0.5 * (weight["out"] @ seen)
    torch.testing.assert_close(block(features), expected, rtol=1e-4, atol=1e-5)


def test_a_gradient_penalty_can_be_taken_through_it() -> None:
    block = SelfAttention2d(8)
    torch.nn.init.constant_(block.gamma, 1.0)
    images = torch.randn(2, 8, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(block(images).square().sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert block.theta.weight.grad.abs().sum() > 0
