"""Both stages of StackGAN, the conditioning augmentation between text and picture, the text encoders."""

import copy
import sys
import types

import pytest
import torch

from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.families.stackgan.networks import ConditioningAugmentation, StackGan, augmentation_divergence
from gan_models.families.stackgan.text import RecurrentTextEncoder, TextHead
from gan_models.recipes import load_recipe
from gan_models.sampling.draws import Draws

NARROW = ["networks.generator.width=4", "networks.generator.augmentation=6", "networks.latent=5"]
CAPTIONS = torch.tensor([[1, 2, 0], [2, 1, 3], [3, 0, 0], [1, 2, 0]])


def generator(size: int = 16, channels: int = 3, *overrides: str) -> StackGan:
    torch.manual_seed(0)
    built = build_generator(load_recipe("stackgan", [*NARROW, *overrides]), DataShape((channels, size, size), words=3))
    assert isinstance(built, StackGan)
    return built


def test_the_divergence_is_torchs_own_of_diagonal_gaussians() -> None:
    mean, log_variance = torch.randn(7, 5), torch.randn(7, 5)
    augmented = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(augmented, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(augmentation_divergence(mean, log_variance), expected.mean())
    assert augmentation_divergence(torch.zeros(2, 3), torch.zeros(2, 3)) == 0


def test_conditions_are_drawn_from_the_gaussian_that_is_returned() -> None:
    torch.manual_seed(0)
    augmentation = ConditioningAugmentation(4, 3)
    text = torch.randn(1, 4).expand(40_000, 4)
    condition, mean, log_variance = augmentation(text, torch.randn(40_000, 3))
    torch.testing.assert_close(condition.mean(0), mean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(condition.std(0), (0.5 * log_variance[0]).exp(), atol=0.03, rtol=0)
    # mu and sigma both depend on the text, and sigma may be below 1, unlike in the public code.
    assert not torch.equal(augmentation(-text, torch.randn(40_000, 3))[1], mean)
    assert log_variance.min() < 0 < log_variance.max()


@pytest.mark.parametrize(("size", "channels"), [(16, 3), (28, 1), (48, 3)])
@pytest.mark.parametrize("downsamplings", [1, 2])
def test_stage_one_makes_half_the_size_and_stage_two_the_whole(size: int, channels: int, downsamplings: int) -> None:
    built = generator(size, channels, f"networks.generator.downsamplings={downsamplings}")
    latents = torch.randn(4, built.latent)
    assert built.draw(latents, CAPTIONS).images.shape == (4, channels, size // 2, size // 2)
    assert built(latents, CAPTIONS).shape == (4, channels, size, size)
    built.begin_second_stage()
    drawing = built.draw(latents, CAPTIONS)
    assert drawing.images.shape == (4, channels, size, size)
    assert drawing.mean.shape == drawing.log_variance.shape == (4, 6)
    assert drawing.images.abs().max() <= 1


def test_before_stage_two_images_are_stage_one_enlarged_and_the_stage_is_saved_with_the_weights() -> None:
    built = generator().eval()
    latents = torch.randn(4, built.latent)
    enlarged = built(latents, CAPTIONS)
    coarse = built.draw(latents, CAPTIONS).images
    torch.testing.assert_close(
        enlarged, torch.nn.functional.interpolate(coarse, scale_factor=2, mode="bilinear"), rtol=0, atol=0
    )
    fresh = generator().eval()
    built.begin_second_stage()
    assert fresh.stage == 1
    fresh.load_state_dict(built.state_dict())
    assert fresh.stage == copy.deepcopy(built).stage == 2
    assert torch.equal(fresh(latents, CAPTIONS), built(latents, CAPTIONS))
    assert not torch.equal(fresh(latents, CAPTIONS), enlarged)


def test_stage_two_sends_no_gradient_into_stage_one_or_the_text_encoder() -> None:
    built = generator()
    built.begin_second_stage()
    drawing = built.draw(torch.randn(4, built.latent), CAPTIONS)
    (drawing.images.sum() + augmentation_divergence(drawing.mean, drawing.log_variance)).backward()
    for part, learns in ((built.text, False), (built.first, False), (built.second, True)):
        assert all((parameter.grad is not None) == learns for parameter in part.parameters())


def test_images_follow_captions_and_latents_alone() -> None:
    built = generator(16, 3, "networks.generator.init=xavier").eval()
    latents = torch.randn(1, built.latent).expand(4, -1)
    images = built(latents, CAPTIONS)
    torch.testing.assert_close(images[0], images[3])
    assert not any(torch.allclose(images[0], images[other]) for other in (1, 2))
    torch.testing.assert_close(built(latents[:1], CAPTIONS[:1]), images[:1])


def test_inputs_are_the_captions_of_the_examples_in_turn() -> None:
    built = generator()
    examples = Split(torch.zeros(3, 16, 16, 3, dtype=torch.uint8), None, [], captions=CAPTIONS[:3])
    inputs = built.draw_inputs(Draws(1, 5), examples=examples)
    assert list(inputs) == list(built.inputs)
    assert torch.equal(inputs["captions"], CAPTIONS[[0, 1, 2, 0, 1]])
    assert inputs["latents"].shape == (5, 5 + 2 * 6)
    with pytest.raises(ValueError, match="captions"):
        built.draw_inputs(Draws(1, 5))


@pytest.mark.parametrize("overrides", [[], ["networks.generator.attention=[8]"], ["networks.generator.norm=none"]])
def test_every_option_of_the_family_reaches_both_stages(overrides: list[str]) -> None:
    plain, built = generator(), generator(16, 3, *overrides)
    for stage in ("first", "second"):
        names = [type(module).__name__ for module in getattr(built, stage).modules()]
        assert ("SelfAttention2d" in names) == ("attention" in str(overrides))
        assert ("BatchNorm2d" in names) == ("norm=none" not in str(overrides))
    assert built(torch.randn(4, built.latent), CAPTIONS).shape == plain(torch.randn(4, 17), CAPTIONS).shape


def test_what_the_family_cannot_do_is_refused() -> None:
    with pytest.raises(RequestError, match=r"data.size=30: stackgan .* nearest sizes it can make are 28 and 32"):
        load_recipe("stackgan", ["data.size=30"])
    with pytest.raises(RequestError, match="no captions"):
        build_generator(load_recipe("stackgan"), DataShape((3, 16, 16)))
    with pytest.raises(RequestError, match=r"are trained by game.kind=text, not adversarial"):
        load_recipe("stackgan", ["game={}"])
    with pytest.raises(RequestError, match="texts, not classes"):
        load_recipe("stackgan", ["conditioning={generator: one-hot, discriminator: concat}"])
    with pytest.raises(RequestError, match=r"norm.*'batch' or 'none'"):
        load_recipe("stackgan", ["networks.generator.norm=virtual"])


# --- text encoders


def test_an_embedding_depends_on_words_and_their_order_but_not_on_padding() -> None:
    torch.manual_seed(0)
    encoder = RecurrentTextEncoder(words=4, width=6)
    longer = torch.nn.functional.pad(CAPTIONS, (0, 3))
    torch.testing.assert_close(encoder(CAPTIONS), encoder(longer))
    first, reordered = encoder(torch.tensor([[1, 2]])), encoder(torch.tensor([[2, 1]]))
    assert (first - reordered).abs().max() > 1e-3
    assert torch.equal(encoder(torch.zeros(1, 3, dtype=torch.int64)), torch.zeros(1, 6))


def test_the_mean_is_over_the_states_at_words() -> None:
    torch.manual_seed(0)
    encoder = RecurrentTextEncoder(words=4, width=6)
    state, states = torch.zeros(1, 1, 6), []
    for word in (3, 1):
        output, state = encoder.recurrent(encoder.vectors(torch.tensor([[word]])), state)
        states.append(output[:, 0])
    torch.testing.assert_close(encoder(torch.tensor([[3, 1, 0]])), torch.stack(states).mean(0))


def test_the_head_judges_the_pair_of_image_and_text() -> None:
    torch.manual_seed(0)
    head = TextHead(channels=5, positions=4, text=RecurrentTextEncoder(3, 6), condition=2, norm="none")
    features = torch.randn(4, 5, 2, 2)
    logits = head(features, CAPTIONS)
    assert logits.shape == (4,)
    # A 1x1 convolution over features and the text repeated at every place, as the paper draws it.
    condition = head.reading(CAPTIONS)[:, :, None, None].expand(-1, -1, 2, 2)
    kernel = head.join.weight[:, :, None, None]
    seen = torch.nn.functional.conv2d(torch.cat([features, condition], 1), kernel, head.join.bias)
    places = head.layers(seen).flatten(2).transpose(1, 2).flatten(1)
    torch.testing.assert_close(logits, head.linear.linear(places)[:, 0])
    assert head(features.mean((2, 3), keepdim=True).expand(-1, -1, 2, 2), CAPTIONS.flip(0)).ne(logits).all()
    with pytest.raises(ValueError, match="pass captions"):
        head(features)


def test_sentence_embeddings_are_frozen_and_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Model:
        def __init__(self, name: str) -> None:
            assert name == "some-model"

        def eval(self) -> "Model":
            return self

        def get_sentence_embedding_dimension(self) -> int:
            return 2

        def encode(self, texts: list[str], convert_to_tensor: bool) -> torch.Tensor:
            asked.extend(texts)
            return torch.tensor([[float(len(text)), 1.0] for text in texts])

    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    wanted = ["networks.generator.text_encoder=sentence-transformers", "networks.generator.text_model=some-model"]
    shape = DataShape((3, 16, 16), words=3, vocabulary=("a", "red", "seven"))
    built = build_generator(load_recipe("stackgan", [*NARROW, *wanted]), shape)
    assert isinstance(built, StackGan)
    assert built.text(CAPTIONS).tolist() == [[5.0, 1.0], [11.0, 1.0], [5.0, 1.0], [5.0, 1.0]]
    assert built(torch.randn(4, built.latent), CAPTIONS).shape == (4, 3, 16, 16)
    assert asked == ["a red", "red a seven", "seven"]
    assert not any(name.startswith("text.") for name in built.state_dict())


def test_without_its_package_the_sentence_encoder_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    recipe = load_recipe("stackgan", ["networks.generator.text_encoder=sentence-transformers"])
    with pytest.raises(RequestError, match=r"pip install sentence-transformers.*text_encoder=gru"):
        build_generator(recipe, DataShape((3, 16, 16), words=1, vocabulary=("a",)))
