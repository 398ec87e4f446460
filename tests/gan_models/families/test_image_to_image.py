"""Networks that translate images: published sizes, which image goes where, what is refused."""

import pytest
import torch
from torch import nn

from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.errors import RequestError
from gan_models.families.building import build_discriminator, build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.draws import Draws

FULL_SIZE = [
    "networks.generator.width=64", "networks.discriminator.width=64", "networks.discriminator.layers=3",
    "data.size=256",
]  # fmt: skip
NARROW = ["networks.generator.width=4", "networks.discriminator.width=4", "data.size=16"]
SHAPE = DataShape((3, 16, 16), 10, 2)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def examples(num: int, domains: int, size: int = 16) -> Split:
    images = torch.randint(0, 256, (num, size, size, 3), dtype=torch.uint8)
    return Split(images, torch.arange(num) % 10, [str(i) for i in range(num)], torch.arange(num) % domains)


def test_cyclegan_has_the_parameters_of_the_public_code_in_each_direction() -> None:
    recipe = load_recipe("cyclegan", [*FULL_SIZE, "networks.generator.blocks=9"])
    with torch.device("meta"):
        generator = build_generator(recipe, DataShape((3, 256, 256), 0, 2))
        discriminator = build_discriminator(recipe, DataShape((3, 256, 256), 0, 2))
        logits = discriminator(torch.empty(1, 3, 256, 256), torch.zeros(1, dtype=torch.int64, device="cpu")).logits
    assert parameters(generator) == 2 * 11_378_179
    assert parameters(discriminator) == 2 * 2_764_737
    assert logits.shape == (1, 30, 30)


def test_a_logit_of_the_three_layer_discriminator_sees_70_by_70_pixels() -> None:
    recipe = load_recipe("colorization/gan", [*FULL_SIZE, "networks.discriminator.norm=none"])
    discriminator = build_discriminator(recipe, DataShape((3, 128, 128)))
    image = torch.zeros(1, 3, 128, 128, requires_grad=True)
    discriminator(image).logits[0, 7, 7].backward()
    assert image.grad is not None
    rows, columns = torch.nonzero(image.grad[0].abs().sum(0), as_tuple=True)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (70, 70)


def test_attribute_transfer_has_the_parameters_of_the_public_code() -> None:
    """As its logs print them: G with the 5 attributes of CelebA, D with the 8 expressions of RaFD, both at 128x128."""
    recipe = load_recipe(
        "attribute-transfer",
        ["networks.generator={family: attribute-transfer}", "networks.discriminator={family: attribute-transfer}"],
    )
    with torch.device("meta"):
        generator = build_generator(recipe, DataShape((3, 128, 128), 0, 5))
        discriminator = build_discriminator(recipe, DataShape((3, 128, 128), 0, 8))
        output = discriminator(torch.empty(4, 3, 128, 128))
    assert parameters(generator) == 8_430_528
    assert parameters(discriminator) == 44_786_624
    assert output.logits.shape == (4, 2, 2)
    assert output.class_logits is not None
    assert output.class_logits.shape == (4, 8)


@pytest.mark.parametrize("name", ["cyclegan", "attribute-transfer", "colorization/gan", "pix2pix"])
@pytest.mark.parametrize("size", [8, 12, 32])
def test_images_keep_their_shape_and_range(name: str, size: int) -> None:
    recipe = load_recipe(name, [*NARROW, f"data.size={size}"])
    generator = build_generator(recipe, DataShape((3, size, size), 0, 2)).eval()
    inputs = generator.draw_inputs(Draws(0, 5), examples=examples(3, 2, size))
    assert tuple(inputs) == generator.inputs
    images = generator(**inputs)
    assert images.shape == (5, 3, size, size)
    assert images.abs().max() <= 1
    discriminator = build_discriminator(recipe, DataShape((3, size, size), 0, 2))
    output = discriminator(images, inputs["images"] if name == "pix2pix" else inputs.get("domains"))
    assert output.logits.dim() == 3
    assert len(output.logits) == 5


@pytest.mark.parametrize("domains", [[0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 1]])
def test_each_image_goes_through_the_direction_that_leads_to_its_domain(domains: list[int]) -> None:
    torch.manual_seed(0)
    generator = build_generator(load_recipe("cyclegan", NARROW), SHAPE).eval()
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    translated = generator(images, torch.tensor(domains))
    directions = list(generator.directions.branches)
    for image, domain, found in zip(images, domains, translated, strict=True):
        torch.testing.assert_close(found, directions[domain](image[None])[0])
        assert not torch.allclose(found, directions[1 - domain](image[None])[0], atol=1e-3)


def test_each_domain_has_a_discriminator_of_its_own() -> None:
    discriminator = build_discriminator(load_recipe("cyclegan", NARROW), SHAPE)
    images = torch.rand(6, 3, 16, 16)
    discriminator(images, torch.zeros(6, dtype=torch.int64)).logits.sum().backward()
    first, second = discriminator.trunk.branches
    assert all(parameter.grad is not None for parameter in first.parameters())
    assert all(parameter.grad is None for parameter in second.parameters())
    with pytest.raises(ValueError, match="domains"):
        discriminator(images)


def test_by_default_images_go_to_a_domain_that_they_are_not_of() -> None:
    split = examples(6, 3)
    one_of_two = build_generator(load_recipe("cyclegan", NARROW), SHAPE)
    both = one_of_two.draw_inputs(Draws(0, 8), examples=examples(6, 2))
    assert torch.equal(both["domains"], 1 - torch.arange(8) % 6 % 2)
    assert one_of_two.distinct(6) == 6
    one_of_three = build_generator(load_recipe("attribute-transfer", NARROW), DataShape((3, 16, 16), 10, 3))
    drawn = one_of_three.draw_inputs(Draws(0, 12), examples=split)["domains"]
    assert one_of_three.distinct(6) == 12
    pairs = {(row % 6, int(domain)) for row, domain in enumerate(drawn)}
    assert pairs == {(row, domain) for row in range(6) for domain in range(3) if domain != row % 3}


def test_the_target_domain_changes_what_attribute_transfer_draws() -> None:
    generator = build_generator(load_recipe("attribute-transfer", NARROW), DataShape((3, 16, 16), 10, 3)).eval()
    images = torch.rand(3, 3, 16, 16)
    first, second, _ = generator(images[:1].expand(3, -1, -1, -1), torch.arange(3))
    assert not torch.allclose(first, second, atol=1e-4)


def test_colours_have_the_luminance_of_the_grey_image() -> None:
    from gan_models.data.hints import grey_of, with_luminance

    grey = torch.rand(4, 1, 8, 8) - 0.5
    colours = with_luminance(0.2 * torch.randn(4, 3, 8, 8), grey)
    inside = (colours.abs() < 1).all(1, keepdim=True)
    assert inside.float().mean() > 0.5
    torch.testing.assert_close(grey_of(colours)[inside], grey[inside])


@pytest.mark.parametrize(
    ("name", "shape", "overrides", "words"),
    [
        ("cyclegan", DataShape((3, 16, 16), 0, 1), [], "exactly 2 domains and the data has 1"),
        ("cyclegan", DataShape((3, 16, 16), 0, 3), [], "use the recipe attribute-transfer"),
        ("cyclegan", SHAPE, ["data.size=18"], "multiple of 4"),
        ("cyclegan", SHAPE, ["networks.generator.norm=virtual"], "'batch', 'instance' or 'none'"),
        ("attribute-transfer", DataShape((3, 16, 16), 0, 1), [], "the data has 1"),
        ("colorization/gan", DataShape((1, 16, 16)), [], "data.channels=rgb"),
        ("colorization/gan", SHAPE, ["data.size=15"], "even size such as 16"),
        ("colorization/gan", SHAPE, ["game={kind: adversarial}"], "trained by game.kind=colorization, not adversarial"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused(name: str, shape: DataShape, overrides: list[str], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        build_generator(load_recipe(name, [*NARROW, *overrides]), shape)


@pytest.mark.parametrize("name", ["cyclegan", "attribute-transfer", "colorization/gan"])
def test_layers_that_compare_images_are_refused_where_patches_are_judged(name: str) -> None:
    with pytest.raises(RequestError, match=r"unknown key 'networks.discriminator.minibatch': .*Known there: .*layers"):
        load_recipe(name, [*NARROW, "networks.discriminator.minibatch=stddev"])


def test_examples_are_asked_for() -> None:
    for name in ("cyclegan", "attribute-transfer", "colorization/gan"):
        generator = build_generator(load_recipe(name, NARROW), SHAPE)
        assert generator.needs_examples
        with pytest.raises(ValueError, match="give it examples"):
            generator.draw_inputs(Draws(0, 2))


def test_pix2pix_draws_an_image_by_its_own_seed_whatever_is_drawn_with_it() -> None:
    """Dropout is in use too, and what it leaves out is the seed's: in training, in use and in any batch."""
    torch.manual_seed(0)
    generator = build_generator(load_recipe("pix2pix", NARROW), SHAPE).eval()
    inputs = generator.draw_inputs(Draws(0, 6), examples=examples(3, 2))
    drawn = generator(**inputs)
    torch.testing.assert_close(generator(**{name: tensor[4:5] for name, tensor in inputs.items()})[0], drawn[4])
    assert torch.equal(inputs["images"][1], inputs["images"][4])
    assert not torch.allclose(drawn[1], drawn[4], atol=1e-3)
    torch.testing.assert_close(generator.train()(**inputs), drawn)


def test_half_of_the_features_are_left_out_and_the_rest_doubled() -> None:
    generator = build_generator(load_recipe("pix2pix", NARROW), SHAPE).eval()
    # 16 pixels: maps of 8, 4, 2 and 1; dropout behind the doublings to 2, 4 and 8.
    assert generator.dropped == [(16, 2, 2), (8, 4, 4), (4, 8, 8)]
    assert generator.dropout == 16 * 4 + 8 * 16 + 4 * 64
    images, none = torch.rand(1, 3, 16, 16), torch.ones(1, generator.dropout)
    whole = build_generator(load_recipe("pix2pix", [*NARROW, "networks.generator.dropout=0"]), SHAPE).eval()
    whole.load_state_dict(generator.state_dict())
    assert whole.dropout == 0
    with torch.no_grad():
        for block in generator.up:
            block[1].weight.mul_(0.5)  # the gain behind the norm, which the doubling undoes
    torch.testing.assert_close(generator(images, none), whole(images, torch.empty(1, 0)))


def test_the_discriminator_of_pairs_must_be_told_the_partner() -> None:
    discriminator = build_discriminator(load_recipe("pix2pix", NARROW), SHAPE)
    with pytest.raises(ValueError, match="judges pairs"):
        discriminator(torch.rand(2, 3, 16, 16))
