"""The network of Zhang et al. 2017 in Lab: its parameters, what learns from what, what its input is."""

import pytest
import torch

from gan_models.data.lab import AB_REACH, BINS, lab_of, lightness_of
from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.families.lab_colorization.networks import LabColorizer
from gan_models.games.counting import parameters_of
from gan_models.recipes import load_recipe
from gan_models.tasks.colorization import Colorization


def generator(size: int = 16, *overrides: str) -> LabColorizer:
    torch.manual_seed(0)
    recipe = load_recipe("colorization", ["networks.generator.width=4", f"data.size={size}", *overrides])
    built = build_generator(recipe, DataShape((3, size, size)))
    assert isinstance(built, LabColorizer)
    return built


def layer(inputs: int, outputs: int, kernel: int = 3) -> int:
    return (inputs * kernel * kernel + 1) * outputs


def test_the_published_network_has_the_parameters_of_the_authors_code() -> None:
    """SIGGRAPHGenerator(4, 2) of github.com/richzhang/colorization-pytorch: every convolution has a bias.

    At equal weights the outputs were equal, bit for bit, in both modes, when this was written.
    """
    down = [(4, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 512)]
    flat = [(512, 512)] * 11
    up = [(256, 256), (256, 256), (256, 256), (128, 128), (128, 128), (64, 128), (128, 128)]  # shortcuts, blocks
    doublings = [(512, 256), (256, 128), (128, 128)]
    expected = sum(layer(*each) for each in [*down, *flat, *up]) + sum(layer(*each, kernel=4) for each in doublings)
    expected += 2 * sum((64, 128, 256, 512, 512, 512, 512, 256, 128))  # batch norms
    expected += layer(256, BINS, kernel=1) + layer(128, 2, kernel=1)
    assert expected == 34_187_027
    counted = parameters_of(load_recipe("colorization/imagenet-256"))
    assert counted == {"generator": {"generator": expected}, "discriminator": {"discriminator": 0}}


@pytest.mark.parametrize("size", [16, 24, 32])
def test_colours_are_of_every_pixel_and_bins_of_every_fourth(size: int) -> None:
    built = generator(size).eval()
    grey, hints = torch.rand(2, 1, size, size) * 2 - 1, torch.zeros(2, 4, size, size)
    colours = built.predict(grey, hints)
    assert colours.ab.shape == (2, 2, size, size)
    assert colours.logits.shape == (2, 529, size // 4, size // 4)
    assert colours.ab.abs().max() <= 1
    images = built(grey, hints)
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1


def test_what_it_draws_is_as_light_as_the_grey_image() -> None:
    built = generator().eval()
    grey = torch.rand(2, 1, 16, 16) - 0.5
    with torch.no_grad():
        drawn = built.coloured(grey, torch.full((2, 2, 16, 16), 0.05))
    torch.testing.assert_close(lab_of(drawn)[:, :1], lightness_of(grey), atol=1e-2, rtol=0)
    torch.testing.assert_close(lab_of(drawn)[:, 1:], torch.full((2, 2, 16, 16), 0.05 * AB_REACH), atol=2e-2, rtol=0)
    true = torch.rand(2, 3, 16, 16) * 2 - 1
    again = built.coloured(built.grey(true), lab_of(true)[:, 1:] / AB_REACH)
    torch.testing.assert_close(again, true, atol=1e-3, rtol=0)


def test_lightness_hints_and_their_mask_go_in_as_the_authors_code_scales_them() -> None:
    built, seen = generator().eval(), []
    built.network.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    grey, hints = torch.full((1, 1, 16, 16), 1.0), torch.zeros(1, 4, 16, 16)
    hints[0, :, 3, 5] = torch.tensor([1.0, 1.0, -1.0, -1.0])  # red
    built.predict(grey, hints)
    (given,) = seen
    assert given.shape == (1, 4, 16, 16)
    torch.testing.assert_close(
        given[0, :, 3, 5], torch.tensor([0.5, 80.0923 / 110, 67.2028 / 110, 0.5]), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(given[0, :, 0, 0], torch.tensor([0.5, 0.0, 0.0, -0.5]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("classifying", [True, False])
def test_the_body_learns_from_bins_or_from_colours_and_not_from_both(classifying: bool) -> None:
    """As `SIGGRAPHGenerator.forward` detaches: what does not teach the body reads it as it is."""
    built = generator()
    body = ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "conv7", "up8", "short8", "conv8")
    for output, teaches in (("logits", classifying), ("ab", not classifying)):
        built.zero_grad(set_to_none=True)
        colours = built.predict(torch.rand(2, 1, 16, 16), torch.zeros(2, 4, 16, 16), classifying=classifying)
        getattr(colours, output).square().sum().backward()
        reached = {name.split(".")[1] for name, each in built.named_parameters() if each.grad is not None}
        own = {"classes"} if output == "logits" else {"up9", "short9", "conv9", "up10", "short10", "conv10", "colours"}
        assert reached == own | (set(body) if teaches else set())


def test_two_blocks_are_dilated() -> None:
    dilated = {
        name.split(".")[0]
        for name, part in generator().network.named_modules()
        if getattr(part, "dilation", 1) == (2, 2)
    }
    assert dilated == {"conv5", "conv6"}


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(RequestError, match=r"20 pixels: lab-colorization .* use a multiple of 8 such as"):
        load_recipe("colorization", ["data.size=20"])
    with pytest.raises(RequestError, match=r"8 pixels: .* such as 16"):
        load_recipe("colorization", ["data.size=8"])
    with pytest.raises(RequestError, match=r"data.channels=rgb"):
        build_generator(load_recipe("colorization"), DataShape((1, 32, 32)))
    assert "SelfAttention2d" in str(generator(16, "networks.generator.attention=[4]").network.conv3)


def test_the_task_takes_colours_away_as_the_network_does() -> None:
    built = generator()
    true = torch.rand(2, 3, 16, 16) * 2 - 1
    assert built.task == "colorization"
    assert isinstance(Colorization(), Colorization)
    torch.testing.assert_close(lightness_of(built.grey(true)), lab_of(true)[:, :1], atol=1e-3, rtol=0)
