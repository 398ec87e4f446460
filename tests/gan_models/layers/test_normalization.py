"""Virtual and reference batch norm (Salimans et al. 2016, section 3.5)."""

import pytest
import torch

from gan_models.data.shape import DataShape
from gan_models.families.building import build_generator
from gan_models.layers.normalization import ConditionalBatchNorm2d, ReferenceBatchNorm
from gan_models.recipes import load_recipe


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5, 5)])
def test_virtual_batch_norm_takes_the_statistics_of_the_reference_and_the_example(shape: tuple[int, ...]) -> None:
    norm = ReferenceBatchNorm(shape[1], 6, virtual=True)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    reference, batch = torch.randn(6, *shape[1:]) * 3 + 1, torch.randn(*shape)
    out = norm(torch.cat([reference, batch]))[6:]
    places = (0, *range(2, len(shape)))
    gain, bias = (p.reshape(1, -1, *(1 for _ in shape[2:])) for p in (norm.weight, norm.bias))
    for index in range(len(batch)):
        joined = torch.cat([reference, batch[index : index + 1]])
        mean, variance = joined.mean(places, keepdim=True), joined.var(places, correction=0, keepdim=True)
        expected = (batch[index : index + 1] - mean) / torch.sqrt(variance + 1e-5) * gain + bias
        torch.testing.assert_close(out[index : index + 1], expected, rtol=1e-4, atol=1e-4)


def test_reference_batch_norm_takes_those_of_the_reference_alone() -> None:
    norm = ReferenceBatchNorm(3, 6, virtual=False)
    reference, batch = torch.randn(6, 3, 4, 4) * 3 + 1, torch.randn(2, 3, 4, 4)
    plain = torch.nn.BatchNorm2d(3)
    torch.testing.assert_close(norm(torch.cat([reference, batch]))[:6], plain(reference), rtol=1e-4, atol=1e-4)
    mean, variance = reference.mean((0, 2, 3)), reference.var((0, 2, 3), correction=0)
    expected = (batch - mean[:, None, None]) / torch.sqrt(variance + 1e-5)[:, None, None]
    torch.testing.assert_close(norm(torch.cat([reference, batch]))[6:], expected, rtol=1e-4, atol=1e-4)


def test_a_variance_that_rounds_below_zero_stays_finite() -> None:
    for virtual in (True, False):
        assert torch.isfinite(ReferenceBatchNorm(2, 4, virtual=virtual)(torch.full((7, 2, 3, 3), 1234.567))).all()


@pytest.mark.parametrize("family", ["dcgan", "vanilla"])
@pytest.mark.parametrize("kind", ["virtual", "reference"])
def test_an_image_does_not_depend_on_its_neighbours_and_the_reference_is_kept(family: str, kind: str) -> None:
    narrow = ["networks.generator.width=4"] if family == "dcgan" else []
    recipe = load_recipe(family, [f"networks.generator.norm={kind}", *narrow])
    generator = build_generator(recipe, DataShape((1, 8, 8))).train()
    latents = torch.randn(6, recipe.networks.latent)
    together = generator(latents)
    alone = torch.cat([generator(latents[index : index + 1]) for index in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    other = build_generator(recipe, DataShape((1, 8, 8)))
    other.load_state_dict(generator.state_dict())
    assert torch.equal(other.reference_latents, generator.reference_latents)
    torch.testing.assert_close(other(latents), together)


def test_batch_norm_itself_does_depend_on_the_neighbours() -> None:
    """So that the test above can fail."""
    generator = build_generator(load_recipe("dcgan", ["networks.generator.width=4"]), DataShape((1, 8, 8))).train()
    latents = torch.randn(6, generator.latent)
    assert (generator(latents)[:3] - generator(latents[:3])).abs().max() > 1e-3


def test_conditional_batch_norm_looks_gain_and_bias_up_by_class() -> None:
    norm = ConditionalBatchNorm2d(3, 4)
    torch.nn.init.normal_(norm.gain)
    torch.nn.init.normal_(norm.bias)
    x, labels = torch.randn(5, 3, 2, 2), torch.tensor([0, 3, 1, 1, 2])
    normal = torch.nn.BatchNorm2d(3, affine=False)(x)
    expected = torch.stack([normal[i] * norm.gain[k, :, None, None] + norm.bias[k, :, None, None]
                            for i, k in enumerate(labels.tolist())])  # fmt: skip
    torch.testing.assert_close(norm(x, labels), expected)
