"""StyleGAN2: modulated convolutions against a loop, resampling written out, styles and what is done with them."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, pad

from gan_models.data.shape import DataShape, Size
from gan_models.errors import RequestError
from gan_models.families.building import build_discriminator, build_generator
from gan_models.families.interfaces import Discriminator, StyledGenerator
from gan_models.families.stylegan2.networks import Mapping, ResidualBlock, StyledConvolution, ToImage
from gan_models.families.stylegan2.spec import SIZES, StyleGan2Generator
from gan_models.layers.filtering import BinomialFilter
from gan_models.recipes import load_recipe
from gan_models.sampling.draws import Draws

NARROW = [
    *(f"networks.{player}.channel_max=8" for player in ("generator", "discriminator")),
    "networks.generator.style=12",
    "networks.latent=10",
]
CONDITIONED = ["conditioning={generator: embedding, discriminator: projection}"]


def pair(*overrides: str, size: int = 16, classes: int = 0) -> tuple[StyledGenerator, Discriminator]:
    torch.manual_seed(0)
    recipe = load_recipe("stylegan2-ada", [*NARROW, f"data.size={size}", *overrides])
    shape = DataShape((3, size, size), classes)
    generator = build_generator(recipe, shape)
    assert isinstance(generator, StyledGenerator)
    return generator, build_discriminator(recipe, shape)


def filtered(x: Tensor, gain: float, around: int) -> Tensor:
    """[1, 3, 3, 1] both ways, every place summed up."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8 * math.sqrt(gain)
    padded = pad(x, [around] * 4)
    high, wide = padded.shape[2] - 3, padded.shape[3] - 3
    total = torch.zeros(*x.shape[:2], high, wide)
    for row in range(4):
        for column in range(4):
            total += taps[row] * taps[column] * padded[:, :, row : row + high, column : column + wide]
    return total


def of_one_image(layer: StyledConvolution, x_CHW: Tensor, w_W: Tensor) -> Tensor:
    """As the paper writes it: a kernel of its own for the image, scaled, then brought to length for each output."""
    scales = layer.style.weight @ w_W / math.sqrt(len(w_W)) + layer.style.bias
    kernel = layer.weight * scales[None, :, None, None]
    kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
    if layer.filter is None:
        drawn = conv2d(x_CHW[None], kernel, padding=1)
    else:
        high, wide = x_CHW.shape[1:]
        spread = torch.zeros(1, len(x_CHW), 2 * high, 2 * wide)
        spread[0, :, ::2, ::2] = x_CHW
        # Padded once, by the filter and the kernel together; the kernel lies the other way round.
        drawn = conv2d(filtered(pad(spread, (2, 1, 2, 1)), 4.0, 1), kernel.flip(2, 3))
    return leaky_relu(drawn + layer.noise * layer.strength + layer.bias[:, None, None], 0.2) * math.sqrt(2)


@pytest.mark.parametrize("up", [False, True])
def test_a_modulated_convolution_is_one_kernel_for_each_image(up: bool) -> None:
    torch.manual_seed(0)
    layer = StyledConvolution(5, 7, 6, Size.square(16 if up else 8), up=up).eval()
    for parameter in layer.parameters():
        parameter.data.normal_()
    x, w = torch.randn(3, 5, 8, 8), torch.randn(3, 6)
    expected = torch.cat([of_one_image(layer, *each) for each in zip(x, w, strict=True)])
    torch.testing.assert_close(layer(x, w), expected, rtol=1e-4, atol=1e-5)


def test_the_layer_to_the_image_is_modulated_and_not_demodulated() -> None:
    torch.manual_seed(0)
    layer, x, w = ToImage(5, 3, 6), torch.randn(2, 5, 4, 4), torch.randn(2, 6)
    scales = layer.scales(w)[:, :, 0, 0] / math.sqrt(5)
    expected = torch.einsum("oi,bi,bihw->bohw", layer.weight[:, :, 0, 0], scales, x) + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x, w), expected)


def test_demodulation_keeps_the_variance_whatever_the_style() -> None:
    torch.manual_seed(0)
    layer = StyledConvolution(64, 64, 16, Size.square(16), up=False).eval()
    for scale in (1.0, 30.0):
        drawn = layer(torch.randn(8, 64, 16, 16), scale * torch.randn(8, 16))[:, :, 1:-1, 1:-1]
        assert drawn.square().mean().item() == pytest.approx(1.04, rel=0.1)  # of leaky ReLU: (1 + 0.04) / 2 times 2


@pytest.mark.parametrize("residual", [True, False])
def test_a_block_of_the_discriminator_filters_and_halves(residual: bool) -> None:
    torch.manual_seed(0)
    block, x = ResidualBlock(4, 6, residual=residual), torch.randn(2, 4, 8, 8)
    for convolution in (block.first, block.second):
        convolution.bias.data.normal_()

    def activated(features: Tensor) -> Tensor:
        return leaky_relu(features, 0.2) * math.sqrt(2)

    first = activated(conv2d(x, block.first.weight / 6, block.first.bias, padding=1))
    second = activated(conv2d(filtered(first, 1.0, 2), block.second.weight / 6, block.second.bias, stride=2))
    if residual:
        assert block.shortcut is not None
        short = conv2d(filtered(x, 1.0, 1)[:, :, ::2, ::2], block.shortcut.weight / 2)
        second = (short + second) / math.sqrt(2)
    torch.testing.assert_close(block(x), second)


def test_the_mapping_learns_a_hundredth_as_fast_from_the_same_function() -> None:
    """Weights are 100 times as wide and scaled by 0.01: Adam's step of lr moves what is computed by 0.01 lr."""
    torch.manual_seed(0)
    mapping = Mapping(300, 0, 300, 2)
    for layer in mapping.layers:
        layer.reset_parameters()
        assert layer.weight.std().item() == pytest.approx(100, rel=0.02)
    x = torch.randn(8, 300)
    x = x / x.square().mean(1, keepdim=True).sqrt()
    for layer in mapping.layers:
        x = leaky_relu(x @ (layer.weight * 0.01 / math.sqrt(300)).T, 0.2) * math.sqrt(2)
    torch.testing.assert_close(mapping(torch.randn(8, 300)).std(), x.std(), rtol=0.1, atol=0)
    latents = torch.randn(2, 300)
    torch.testing.assert_close(mapping(latents), mapping(3 * latents))  # latents count by their direction alone


def test_widths_are_those_of_the_public_code() -> None:
    assert StyleGan2Generator().widths(Size.square(1024)) == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    assert StyleGan2Generator(channel_base=16384).widths(Size.square(256)) == [512, 512, 512, 512, 256, 128, 64]
    with pytest.raises(RequestError, match=r"data\.size=48: stylegan2 doubles 4 pixels"):
        load_recipe("stylegan2-ada", ["data.size=48"])


@pytest.mark.parametrize("size", SIZES[:4])
def test_every_size_is_drawn_and_judged(size: int) -> None:
    generator, discriminator = pair(size=size)
    images = generator(torch.randn(4, 10))
    assert images.shape == (4, 3, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images).logits.shape == (4,)
    assert generator.layers == 2 * int(math.log2(size)) - 2


@pytest.mark.parametrize("architecture", ["residual", "original"])
def test_classes_reach_both_players(architecture: str) -> None:
    overrides = [*CONDITIONED, f"networks.discriminator.architecture={architecture}"]
    generator, discriminator = pair(*overrides, classes=3)
    generator.eval()
    discriminator.eval()
    latents = torch.randn(1, 10).expand(3, -1)
    images = generator(latents, torch.arange(3))
    assert all(not torch.allclose(a, b, atol=1e-4) for a, b in pairwise(images))
    shown = images[:1].expand(3, -1, -1, -1)
    logits = discriminator(shown, torch.arange(3)).logits
    assert len(set(logits.tolist())) == 3
    for network, given in ((generator, latents), (discriminator, shown)):
        with pytest.raises(ValueError, match="pass labels"):
            network(given)


def test_a_latent_is_one_image_after_training_and_another_each_time_in_training() -> None:
    generator, _ = pair()
    for name, parameter in generator.named_parameters():
        if name.endswith("strength"):
            parameter.data.fill_(0.3)
    latents = torch.randn(2, 10)
    assert not torch.equal(generator.train()(latents), generator(latents))
    assert torch.equal(generator.eval()(latents), generator(latents))
    torch.testing.assert_close(generator(latents.flip(0)), generator(latents).flip(0))


def test_the_average_follows_styles_in_training_alone() -> None:
    generator, _ = pair()
    latents = torch.randn(64, 10)
    expected = 0.005 * generator.mapped(latents, None).mean(0)
    generator.eval().styles(latents)
    generator.train().styles(latents, track=False)
    assert not generator.average.any()
    generator.styles(latents)
    torch.testing.assert_close(generator.average, expected)


def test_truncation_draws_styles_to_their_average() -> None:
    generator, _ = pair()
    generator.eval().average.normal_()
    latents, draws = torch.randn(3, 10), Draws(0, 3)
    middle = generator(styles=generator.average.expand(3, generator.layers, -1))
    inputs = {"latents": latents}
    torch.testing.assert_close(generator(**generator.truncated(inputs, 0.0, draws)), middle)
    torch.testing.assert_close(generator(**generator.truncated(inputs, 1.0, draws)), generator(latents))
    half = generator.styles(latents, psi=torch.full((3, 1), 0.5))
    torch.testing.assert_close(half, (generator.average + generator.styles(latents)) / 2)
    # Some layers alone: a cutoff.
    psi = (torch.arange(generator.layers) >= 2).float().expand(3, -1)
    cut = generator.styles(latents, psi=psi)
    torch.testing.assert_close(cut[:, 2:], generator.styles(latents)[:, 2:])
    torch.testing.assert_close(cut[:, :2], generator.average.expand(3, 2, -1))
    for refused in (-0.1, 2.5, math.nan):
        with pytest.raises(RequestError, match="a share from 0 to 2 of the way from their average"):
            generator.truncated(inputs, refused, draws)


@pytest.mark.parametrize("training", [True, False])
def test_both_players_can_be_differentiated_twice(training: bool) -> None:
    generator, discriminator = (network.train(training) for network in pair(size=8))
    styles = generator.styles(torch.randn(2, 10)).detach().requires_grad_()
    images = generator.draw(styles)
    (gradient,) = torch.autograd.grad(images.square().sum(), styles, create_graph=True)
    gradient.square().sum().backward()
    convolution = generator.get_submodule("convolutions.1")
    assert isinstance(convolution, StyledConvolution)
    assert convolution.weight.grad is not None
    assert torch.isfinite(convolution.weight.grad).all()
    real = torch.randn(4, 3, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(discriminator(real).logits.sum(), real, create_graph=True)
    slope.square().sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in discriminator.parameters())


def test_half_precision_changes_little_and_styles_not_at_all() -> None:
    generator, discriminator = (network.eval() for network in pair())
    latents = torch.randn(4, 10)
    images, logits = generator(latents), discriminator(generator(latents)).logits
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(generator.styles(latents), generator.styles(latents))
        torch.testing.assert_close(generator(latents), images, rtol=0, atol=0.05)
        assert generator(latents).dtype == torch.float32
        torch.testing.assert_close(discriminator(images).logits.float(), logits, rtol=0.05, atol=0.05)


def test_a_blur_is_its_own_gradient() -> None:
    """As `halved` and `doubled`, it is differentiated twice by plain filters."""
    x = torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    filter_ = BinomialFilter().double()
    assert torch.autograd.gradcheck(lambda each: filter_.blurred(each, 2), x)
    assert torch.autograd.gradgradcheck(lambda each: filter_.blurred(each, 1, gain=4.0).square(), x)
