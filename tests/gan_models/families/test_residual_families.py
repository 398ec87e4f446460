"""SNGAN, SAGAN, BigGAN and R3GAN against what their papers and public code publish."""

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, relu

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.biggan.networks import VectorBatchNorm2d
from gan_models.families.building import build_discriminator, build_generator
from gan_models.families.interfaces import Discriminator, Generator
from gan_models.families.r3gan.networks import InvertedBottleneck
from gan_models.families.residual import DownBlock, UpBlock, unconditioned_norm
from gan_models.families.resolutions import SIZES
from gan_models.layers.attention import SelfAttention2d
from gan_models.recipes import load_recipe

NARROW = ("networks.generator.width=4", "networks.discriminator.width=4")
WIDTH_64 = ("networks.generator.width=64", "networks.discriminator.width=64")
NO_ATTENTION = ("networks.generator.attention=[]", "networks.discriminator.attention=[]")
PLAIN = ("networks.generator.spectral_norm=false", "networks.discriminator.spectral_norm=false")
CIFAR_BIGGAN = (
    "networks.latent=128", "networks.generator.chunks=false", "networks.generator.embedding=0", *NO_ATTENTION,
)  # fmt: skip
FAMILIES = ("sngan", "sngan-cnn", "biggan", "r3gan")


def built(name: str, shape: DataShape, *overrides: str) -> tuple[Generator, Discriminator]:
    recipe = load_recipe(name, overrides)
    return build_generator(recipe, shape), build_discriminator(recipe, shape)


def unnormed(name: str, shape: DataShape, *overrides: str) -> tuple[Generator, Discriminator]:
    """For the meta device, where there are no singular values."""
    return built(name, shape, *PLAIN, f"data.size={shape.image[1]}", *overrides)


def counts(name: str, shape: DataShape, *overrides: str) -> tuple[int, int]:
    """Parameters of both players, without memory for them; spectral norm adds none but needs real weights."""
    with torch.device("meta"):
        players = built(name, shape, *PLAIN, *overrides)
    generator, discriminator = (sum(parameter.numel() for parameter in player.parameters()) for player in players)
    return generator, discriminator


def test_sngan_has_the_parameters_of_the_published_32x32_networks() -> None:
    widths = ("networks.latent=128", "networks.generator.width=256", "networks.discriminator.width=128")
    assert counts("sngan", DataShape((3, 32, 32)), *widths) == (4_276_739, 1_053_825)


def test_biggan_has_the_parameters_of_the_published_128x128_networks() -> None:
    """70.4 M and 88.0 M in the public PyTorch code, at 1,000 classes, latents of 120 and attention at 64x64."""
    widths = ("networks.latent=120", "networks.generator.width=96", "networks.discriminator.width=96")
    attention = ("networks.generator.attention=[64]", "networks.discriminator.attention=[64]")
    generator, discriminator = counts(
        "biggan",
        DataShape((3, 128, 128), 1000),
        "data.size=128",
        *widths,
        *attention,
        "networks.generator.embedding=128",
    )
    assert (generator, discriminator) == (70_433_988, 87_982_370)


def test_sngan_cnn_has_the_layers_of_table_3() -> None:
    published = ("networks.generator.width=64", "networks.discriminator.width=64")
    generator, discriminator = built(
        "sngan-cnn", DataShape((3, 32, 32)), *published, "networks.discriminator.spectral_norm=false"
    )
    convolutions = [m for m in discriminator.trunk.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in convolutions] == [
        (64, 3, 1), (64, 4, 2), (128, 3, 1), (128, 4, 2), (256, 3, 1), (256, 4, 2), (512, 3, 1),
    ]  # fmt: skip
    ups = [m.out_channels for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert ups == [256, 128, 64]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (32, [64, 64, 64, 64]),
        (48, [512, 256, 128, 64]),
        (64, [1024, 512, 256, 128, 64]),
        (128, [1024, 1024, 512, 256, 128, 64]),
    ],
)
def test_sngans_generator_has_the_maps_of_the_published_tables(size: int, expected: list[int]) -> None:
    """Tables 4, 5 and 6, and the authors' public code for 64x64."""
    with torch.device("meta"):
        generator, _ = unnormed("sngan", DataShape((3, size, size)), *WIDTH_64)
    blocks = generator.blocks.blocks
    assert [blocks[0].conv_in.in_channels, *(block.conv_in.out_channels for block in blocks)] == expected
    assert generator.coarse_shape[1] == size >> len(blocks)


@pytest.mark.parametrize(
    ("size", "halving", "keeping"),
    [
        (32, [64, 64], [64, 64]),
        (48, [64, 128, 256, 512], [1024]),
        (64, [64, 128, 256, 512, 1024], []),
        (128, [64, 128, 256, 512, 1024], [1024]),
    ],
)
def test_sngans_discriminator_has_the_blocks_of_the_published_tables(
    size: int, halving: list[int], keeping: list[int]
) -> None:
    """A block but the first widens in its second convolution, as in the authors' public code."""
    with torch.device("meta"):
        _, discriminator = unnormed("sngan", DataShape((3, size, size)), *WIDTH_64)
    blocks = [module for module in discriminator.trunk if isinstance(module, DownBlock)]
    assert [block.conv_out.out_channels for block in blocks if block.down] == halving
    assert [block.conv_out.out_channels for block in blocks if not block.down] == keeping
    assert all(block.conv_in.out_channels == block.conv_in.in_channels for block in blocks[1:])


@pytest.mark.parametrize(
    ("name", "shape", "overrides", "published"),
    [
        # The authors' code, counted; tables 5 and 6 have the same networks.
        ("sngan", DataShape((3, 48, 48)), (), (4_878_083, 10_141_441)),
        ("sngan", DataShape((3, 64, 64)), (), (12_220_675, 10_141_441)),
        ("sngan", DataShape((3, 128, 128)), (), (32_150_787, 29_017_857)),
        ("sngan-projection", DataShape((3, 128, 128), 1000), (), (41_996_931, 30_041_857)),
        # BigGAN's authors' code with SAGAN's settings; 81.5 M together in table 1 of Brock et al. 2019.
        ("sagan", DataShape((3, 128, 128), 1000), ("attention=[32]",), (42_078_852, 39_463_618)),
    ],
)
def test_larger_networks_have_the_published_parameters(
    name: str, shape: DataShape, overrides: tuple[str, ...], published: tuple[int, int]
) -> None:
    settings = [f"networks.{player}.{each}" for each in overrides for player in ("generator", "discriminator")]
    assert counts(name, shape, f"data.size={shape.image[1]}", *WIDTH_64, *settings) == published


def test_a_largest_width_and_numbers_of_blocks_can_be_said() -> None:
    said = ("networks.generator.max_width=8", "networks.discriminator.max_width=16")
    trunk = ("networks.discriminator.halvings=3", "networks.discriminator.blocks=5")
    generator, discriminator = built("sngan", DataShape((1, 64, 64)), "data.size=64", *NARROW, *said, *trunk)
    assert [block.conv_in.out_channels for block in generator.blocks.blocks] == [8, 8, 8, 4]
    blocks = [module for module in discriminator.trunk if isinstance(module, DownBlock)]
    assert [(block.conv_out.out_channels, block.down) for block in blocks] == [
        (4, True), (8, True), (16, True), (16, False), (16, False),
    ]  # fmt: skip
    assert discriminator.trunk[:-1](torch.randn(1, 1, 64, 64)).shape[2:] == (8, 8)


def test_biggans_script_for_cifar_10_has_its_parameters() -> None:
    """Counted from the public code with the settings of its launch_cifar_ema.sh."""
    assert counts("biggan", DataShape((3, 32, 32), 10), *CIFAR_BIGGAN, *WIDTH_64) == (4_304_387, 4_207_361)


def test_without_chunks_and_embedding_biggan_is_the_projection_networks_generator() -> None:
    """Its gains are one and a weight of the class, that of conditional batch norm is the weight itself."""
    shape = DataShape((3, 32, 32), 10)
    biggan, _ = built("biggan", shape, *CIFAR_BIGGAN, *PLAIN, "networks.generator.width=2")
    sngan, _ = built("sngan-projection", shape, "networks.generator.width=8", "networks.discriminator.width=8")
    with torch.no_grad():
        for (name, source), target in zip(biggan.named_parameters(), sngan.parameters(), strict=True):
            target.copy_(1.0 + source if ".gain." in name else source)
    latents, labels = torch.randn(4, 128), torch.tensor([0, 3, 9, 3])
    torch.testing.assert_close(biggan(latents, labels), sngan(latents, labels))


def test_biggans_gains_by_class_start_around_one_and_take_no_spectral_norm() -> None:
    generator, _ = built("biggan", DataShape((1, 32, 32), 10), *CIFAR_BIGGAN, "networks.generator.init=normal")
    gain = generator.blocks.blocks[0].norm_in.gain
    assert not hasattr(gain, "parametrizations")
    assert gain.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert gain.weight.mean().item() == pytest.approx(0, abs=0.01)


def test_an_embedding_without_chunks_reaches_every_block_of_biggan() -> None:
    generator, _ = built("biggan", DataShape((1, 32, 32), 3), *NARROW, "networks.generator.chunks=false")
    assert generator.chunks == [80]
    assert all(block.norm_in.gain.in_features == 32 for block in generator.blocks.blocks)
    assert generator(torch.randn(2, 80), torch.tensor([0, 2])).shape == (2, 1, 32, 32)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", SIZES)
def test_every_size_that_is_listed_is_made(name: str, size: int) -> None:
    attention = () if name != "biggan" else NO_ATTENTION
    generator, discriminator = built(name, DataShape((1, size, size), 2), *NARROW, *attention)
    labels = torch.tensor([0, 1])
    images = generator(torch.randn(2, generator.latent), labels if generator.num_classes else None)
    assert images.shape == (2, 1, size, size)
    assert discriminator(images, labels).logits.shape == (2,)


@pytest.mark.parametrize("name", FAMILIES)
def test_other_sizes_are_refused_by_name(name: str) -> None:
    with pytest.raises(RequestError, match=rf"data.size=30: {name} doubles .* 28 and 32"):
        built(name, DataShape((1, 30, 30), 2))


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("down", [False, True])
def test_a_down_block_is_what_the_paper_draws(first: bool, down: bool) -> None:
    """Written out with separate pooling, and the shortcut from the block's untouched input."""
    block = DownBlock(3, 5, 8, down=down, first=first, hidden=4)
    x = torch.randn(2, 3, 8, 8)
    before = x.clone()
    y = block.conv_in(x if first else relu(x))
    y = conv2d(relu(y), block.conv_out.weight, block.conv_out.bias, padding=1) + block.shortcut(x)
    torch.testing.assert_close(block(x), avg_pool2d(y, 2) if down else y)
    assert torch.equal(x, before), "an activation worked in place: the shortcut carries what it left"


def test_a_down_block_that_keeps_its_shape_keeps_its_input() -> None:
    assert isinstance(DownBlock(4, 4, 8, down=False).shortcut, nn.Identity)


def test_the_critics_mean_is_the_sum_over_places_divided_by_their_number() -> None:
    """WGAN-GP's ResNet differs from SNGAN's, which followed it, in the pool alone."""
    with_sum, with_mean = (
        built("sngan", DataShape((3, 32, 32)), *NARROW, f"networks.discriminator.pool={pool}", *PLAIN)[1]
        for pool in ("sum", "mean")
    )
    with_mean.load_state_dict(with_sum.state_dict())
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(with_mean(images).features * 64, with_sum(images).features)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_an_up_block_is_what_the_paper_draws(norm: str) -> None:
    block = UpBlock(3, 5, unconditioned_norm(norm))
    x = torch.randn(2, 3, 4, 4)
    before = x.clone()
    y = interpolate(relu(block.norm_in(x)), scale_factor=2.0)
    y = block.conv_out(relu(block.norm_out(conv2d(y, block.conv_in.weight, block.conv_in.bias, padding=1))))
    y = y + block.shortcut(interpolate(x, scale_factor=2.0))
    torch.testing.assert_close(block(x), y)
    assert torch.equal(x, before), "an activation worked in place: the shortcut carries what it left"


@pytest.mark.parametrize("name", ["sngan-projection", "sagan", "biggan"])
def test_the_class_reaches_both_players(name: str) -> None:
    """In G once training has told the classes apart, since gains start at 1 and biases at 0; in D by projection."""
    generator, discriminator = built(name, DataShape((1, 32, 32), 3), *NARROW)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    generator.eval()
    latents, image = torch.randn(1, generator.latent), torch.randn(1, 1, 32, 32)
    drawn = [generator(latents, torch.tensor([label])) for label in range(3)]
    judged = [discriminator.eval()(image, torch.tensor([label])).logits for label in range(3)]
    for one, other in ((0, 1), (1, 2)):
        assert not torch.allclose(drawn[one], drawn[other])
        assert not torch.allclose(judged[one], judged[other])


def test_attention_changes_nothing_before_training() -> None:
    with_it, _ = built("sagan", DataShape((1, 32, 32), 3), *NARROW)
    block = next(module for module in with_it.modules() if isinstance(module, SelfAttention2d))
    x = torch.randn(2, 4, 16, 16)
    assert torch.equal(block(x), x)
    seen: list[torch.Size] = []
    block.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    with_it(torch.randn(2, with_it.latent), torch.tensor([0, 1]))
    assert seen == [(2, 4, 16, 16)]


def test_each_chunk_of_biggans_latent_reaches_its_own_block_and_no_earlier_one() -> None:
    generator, _ = built("biggan", DataShape((1, 32, 32), 3), *NARROW, "networks.latent=81")
    generator.eval()
    assert generator.chunks == [21, 20, 20, 20]
    maps: list[torch.Tensor] = []
    for block in generator.blocks.blocks:
        block.register_forward_hook(lambda module, inputs, output: maps.append(output))
    label, latents = torch.tensor([1]), torch.randn(1, 81)
    generator(latents, label)
    before = maps[:]
    for chunk, start in enumerate([0, 21, 41, 61]):
        maps.clear()
        changed = latents.clone()
        changed[:, start] += 1.0
        generator(changed, label)
        reached = [not torch.equal(one, other) for one, other in zip(before, maps, strict=True)]
        assert reached == [chunk <= max(1, block) for block in range(1, 4)]


def test_biggans_batch_norm_has_gain_one_plus_linear() -> None:
    norm = VectorBatchNorm2d(3, 5)
    x, condition = torch.randn(4, 3, 2, 2), torch.randn(4, 5)
    normal = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    gain, bias = 1 + condition @ norm.gain.weight.T, condition @ norm.bias.weight.T
    torch.testing.assert_close(norm(x, condition), gain[:, :, None, None] * normal + bias[:, :, None, None])


def test_biggan_starts_orthogonal_and_leaves_the_shared_embedding_without_spectral_norm() -> None:
    generator, _ = built("biggan", DataShape((1, 32, 32), 3), "networks.generator.spectral_norm=false")
    weight = generator.blocks.blocks[0].conv_in.weight.flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), atol=1e-5, rtol=0)
    normed, _ = built("biggan", DataShape((1, 32, 32), 3))
    assert not hasattr(normed.embedding, "parametrizations")
    assert hasattr(normed.blocks.blocks[0].norm_in.gain, "parametrizations")


def test_biggan_without_classes_listens_to_the_chunks_alone() -> None:
    free = ("conditioning.generator=none", "conditioning.discriminator=none")
    generator, discriminator = built("biggan", DataShape((1, 32, 32)), *NARROW, *free)
    assert generator.embedding is None
    assert discriminator(generator(torch.randn(2, generator.latent))).logits.shape == (2,)


@pytest.mark.parametrize(
    ("name", "overrides", "sentence"),
    [
        ("biggan", ["conditioning.generator=one-hot"], "set conditioning.generator=batch-norm"),
        ("biggan", ["networks.generator.norm=none"], "unknown key 'networks.generator.norm'"),
        ("biggan", ["networks.latent=3"], "4 chunks"),
        ("biggan", ["networks.generator.embedding=0"], "networks.generator.chunks=false too, or embedding=128"),
        ("sngan", ["networks.discriminator.halvings=6"], "data.size=32 can be halved 5 times: set it to 5 or less"),
        ("sngan", ["networks.discriminator.blocks=1"], "blocks=1 are fewer than the 2 that halve the image"),
        ("sngan-projection", ["networks.generator.norm=virtual"], "conditioning.generator=one-hot"),
        ("sngan-cnn", ["conditioning.generator=batch-norm", "conditioning.discriminator=projection"], "one-hot"),
        ("r3gan", ["networks.generator.norm=batch"], "unknown key 'networks.generator.norm'"),
        ("r3gan", ["networks.discriminator.norm=layer"], "unknown key 'networks.discriminator.norm'"),
        ("r3gan", ["networks.discriminator.spectral_norm=true"], "unknown key 'networks.discriminator.spectral_norm'"),
        ("r3gan", ["conditioning.generator=batch-norm", "conditioning.discriminator=projection"], "one-hot"),
    ],
)
def test_what_a_family_cannot_do_is_refused(name: str, overrides: list[str], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        built(name, DataShape((1, 32, 32), 3), *NARROW, *overrides)


def test_r3gan_has_no_norms_and_its_blocks_start_as_the_identity() -> None:
    generator, discriminator = built("r3gan", DataShape((1, 32, 32)), "networks.generator.blocks=2")
    norms = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)
    assert not [m for player in (generator, discriminator) for m in player.modules() if isinstance(m, norms)]
    blocks = [m for m in generator.modules() if isinstance(m, InvertedBottleneck)]
    assert len(blocks) == 2 * 4
    x = torch.randn(2, blocks[0].widen.in_channels, 4, 4)
    assert torch.equal(blocks[0](x), x)
    # He et al.'s deviation for a leaky ReLU, times L ** (-1/4) with L = 8 blocks.
    weight = blocks[0].widen.weight
    assert weight.std().item() == pytest.approx((2 / 1.04 / weight.shape[1]) ** 0.5 * 8**-0.25, rel=0.05)
    assert weight.shape == (2 * weight.shape[1], weight.shape[1], 1, 1)
    assert blocks[0].mix.weight.shape[1] == 32


@pytest.mark.parametrize("name", ["sngan-cnn", "r3gan", "sngan"])
def test_labels_can_be_joined_one_hot_and_projected(name: str) -> None:
    conditional = ("conditioning.generator=one-hot", "conditioning.discriminator=projection")
    generator, discriminator = built(name, DataShape((1, 32, 32), 3), *NARROW, *conditional)
    latents = torch.randn(1, generator.latent)
    drawn = [generator.eval()(latents, torch.tensor([label])) for label in (0, 1)]
    assert not torch.allclose(*drawn)
    judged = [discriminator.eval()(drawn[0], torch.tensor([label])).logits for label in (0, 1)]
    assert not torch.allclose(*judged)
