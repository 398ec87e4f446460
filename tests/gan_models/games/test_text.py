"""The text-to-image game: which pairs D sees, what each player learns from, the switch between the stages, resume."""

import copy
from pathlib import Path

import pytest
import torch
from torch.nn.functional import softplus

from gan_models.data.captions import Vocabulary
from gan_models.data.shape import DataShape
from gan_models.data.table import Split, TableMetadata
from gan_models.errors import RequestError
from gan_models.games.base import Batch, build_game
from gan_models.games.text.game import TextToImageGame, matching_loss, mismatched
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import load_generator
from gan_models.training.loop import Stopped, train

WORDS = ("a", "dark", "light", "square")
NARROW = [
    "networks.generator.width=4", "networks.discriminator.width=4", "networks.latent=5",
    "networks.generator.augmentation=6", "networks.generator.text_width=8",
]  # fmt: skip
TINY = [*NARROW, "training.batch_size=8", "training.tick=4", "training.keep=3", "training.threads=1"]


def squares(count: int = 64) -> tuple[Split, TableMetadata]:
    """16x16 colour images, dark or light, which their captions say."""
    stream = torch.Generator().manual_seed(0)
    light = torch.arange(count) % 2
    level = torch.where(light == 1, 200, 40)[:, None, None, None]
    images = (level + torch.randint(0, 30, (count, 16, 16, 3), generator=stream)).to(torch.uint8)
    texts = [f"a {('dark', 'light')[index]} square" for index in light.tolist()]
    captions = torch.from_numpy(Vocabulary(WORDS).encode_all(texts))
    metadata = TableMetadata(
        height=16, width=16, channels=3, class_names=(), counts={"train": {"": count}}, fingerprint="f",
        source="squares", options={}, words=WORDS,
    )  # fmt: skip
    return Split(images, None, [str(index) for index in range(count)], captions=captions), metadata


def game(*overrides: str) -> TextToImageGame:
    torch.manual_seed(0)
    recipe = load_recipe("stackgan", [*NARROW, "training.steps=4", "training.precision=fp32", *overrides])
    built = build_game(recipe, DataShape((3, 16, 16), words=4, vocabulary=WORDS), torch.device("cpu"))
    assert isinstance(built, TextToImageGame)
    return built


def batch() -> Batch:
    captions = torch.tensor([[1, 2, 4], [1, 3, 4]] * 4)
    return Batch(torch.rand(8, 3, 16, 16) * 2 - 1, captions=captions)


def test_each_image_meets_the_next_text_that_is_not_its_own() -> None:
    a, b, c = [1, 2], [1, 3], [2, 0]
    others, differ = mismatched(torch.tensor([a, b, b, c]))
    assert others.tolist() == [1, 3, 3, 0]
    assert differ.all()
    others, differ = mismatched(torch.tensor([a, a, a, b]))
    assert others.tolist() == [3, 3, 3, 0]
    assert differ.all()
    _, differ = mismatched(torch.tensor([a, a]))
    assert not differ.any()


def test_the_pairing_is_that_of_a_search_row_by_row() -> None:
    captions = torch.randint(0, 2, (40, 3), generator=torch.Generator().manual_seed(5))
    others, differ = mismatched(captions)
    for row in range(40):
        circle = [(row + step) % 40 for step in range(1, 40)]
        first = next(other for other in circle if captions[other].tolist() != captions[row].tolist())
        assert (int(others[row]), bool(differ[row])) == (first, True)


def test_only_real_images_with_their_own_text_count_as_real() -> None:
    real, fake, wrong = torch.randn(3, 4).unbind()
    every = torch.ones(4, dtype=torch.bool)
    expected = softplus(-real).mean() + 0.5 * (softplus(fake).mean() + softplus(wrong).mean())
    torch.testing.assert_close(matching_loss(real, fake, wrong, every, 0.5), expected)
    some = torch.tensor([True, False, True, False])
    expected = softplus(-real).mean() + 0.7 * softplus(fake).mean() + 0.3 * softplus(wrong[[0, 2]]).mean()
    torch.testing.assert_close(matching_loss(real, fake, wrong, some, 0.3), expected)
    none = matching_loss(real, fake, wrong, ~every, 0.5)
    torch.testing.assert_close(none, softplus(-real).mean() + 0.5 * softplus(fake).mean())


def test_the_discriminator_is_asked_about_the_three_kinds_of_pairs() -> None:
    played, seen = game(), []
    played.discriminator.head.register_forward_pre_hook(lambda _, arguments: seen.append(arguments))
    drawn = batch()
    played.step(lambda: drawn, report=False)
    own, fake, others, moved = seen
    assert torch.equal(own[0], others[0])  # one look at the real images
    assert torch.equal(own[1], drawn.captions)
    assert torch.equal(others[1], drawn.captions.roll(-1, 0))
    assert torch.equal(fake[1], drawn.captions)
    assert torch.equal(moved[1], drawn.captions)
    assert not torch.equal(fake[0], own[0])


@pytest.mark.parametrize("stage", [1, 2])
def test_neither_player_moves_the_others_reading_of_the_text(stage: int) -> None:
    """The condition that D judges by is no part of G: D's move leaves G's encoder and augmentation alone, and back."""
    played = game()
    if stage == 2:
        played.steps = played.switch
        played.step(batch, report=False)

    def gradients() -> dict[str, torch.Tensor | None]:
        parts = [(part, getattr(played, part)) for part in ("generator", "discriminator")]
        return {f"{part}.{key}": copy.copy(p.grad) for part, network in parts for key, p in network.named_parameters()}

    at_moves = {}
    for name in ("discriminator", "generator"):
        played.optimizers[name].register_step_pre_hook(lambda *_, name=name: at_moves.update({name: gradients()}))
    played.optimizers["generator"].zero_grad()
    played.step(batch, report=False)
    of_d, of_g = at_moves["discriminator"], at_moves["generator"]
    assert all(gradient is None for key, gradient in of_d.items() if key.startswith("generator."))
    assert all(gradient is not None for key, gradient in of_d.items() if key.startswith("discriminator."))
    assert of_d["discriminator.head.reading.0.vectors.weight"].abs().sum() > 0
    for key, gradient in of_g.items():
        if key.startswith("discriminator."):
            torch.testing.assert_close(gradient, of_d[key], rtol=0, atol=0)  # left over from D's own move
        else:
            in_training = key.startswith(("generator.first", "generator.text")) == (stage == 1)
            assert (gradient is not None) == in_training, key
    assert of_g[f"generator.{('first', 'second')[stage - 1]}.augmentation.gaussian.weight"].abs().sum() > 0


def test_the_stages_are_a_function_of_the_step() -> None:
    played = game("training.steps=5", "game.first_stage=0.4")
    stages = []
    for _ in range(5):
        before = {key: value.clone() for key, value in played.generator.named_parameters()}
        metrics = played.step(batch, report=True)
        assert all(torch.isfinite(value) for value in metrics.values())
        stages.append(played.generator.stage)
        after = dict(played.generator.named_parameters())
        changed = {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}
        assert changed == ({"text", "first"} if stages[-1] == 1 else {"second"})
    assert stages == [1, 1, 2, 2, 2]


def test_rates_begin_anew_with_stage_two() -> None:
    rates = "{by_share: {0: 8.0e-4, 0.5: 4.0e-4}}"
    played = game("training.steps=8", "game.first_stage=0.5", f"optimizers.generator.lr={rates}")
    found = []
    for _ in range(8):
        played.step(batch, report=False)
        found.append(played.optimizers["generator"].param_groups[0]["lr"])
    assert found == [8e-4, 8e-4, 4e-4, 4e-4] * 2
    assert played.resolution == 16


def test_the_second_discriminator_goes_on_with_the_texts_that_the_first_has_learnt() -> None:
    played = game()
    played.step(batch, report=False)
    first, encoder = played.discriminator, played.discriminator.head.reading[0]
    learnt = encoder.vectors.weight.clone()
    played.steps = played.switch
    played._begin_second_stage()
    assert played.discriminator is not first
    assert played.discriminator.head.reading[0] is encoder
    assert torch.equal(encoder.vectors.weight, learnt)
    assert not played.optimizers["generator"].state


@pytest.mark.parametrize("regularizer", ["gradient-penalty", "r1", "feature-matching", "historical-averaging"])
def test_regularizers_see_the_pairs_of_both_stages(regularizer: str) -> None:
    played = game("networks.discriminator.norm=none", f"regularizers=[{{name: {regularizer}}}]")
    for _ in range(4):
        metrics = played.step(batch, report=True)
        named = [value for key, value in metrics.items() if key.endswith(f"/{regularizer}")]
        assert len(named) == 1
        assert torch.isfinite(named[0])


def test_parts_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(RequestError, match=r"minibatch=stddev and a text"):
        game("networks.discriminator.minibatch=stddev")
    with pytest.raises(
        RequestError, match=r"networks.generator.family=dcgan: game.kind=text trains the family stackgan only"
    ):
        game("networks.generator={family: dcgan}")
    with pytest.raises(RequestError, match="set it to 2 or more"):
        game("training.steps=1")


# --- in the loop


class Quiet:
    """A reporter that may ask to stop after a number of steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked, self.stop_after = 0, stop_after

    def progress(self, *_: object) -> None: ...

    def tick(self, *_: object) -> None: ...

    def note(self, sentence: str) -> None: ...

    def stop_requested(self) -> bool:
        self.asked += 1
        return self.stop_after is not None and self.asked >= self.stop_after


def run(folder: Path, *overrides: str, stop_after: int | None = None) -> None:
    recipe = load_recipe("stackgan", [*TINY, *overrides])
    train(recipe, *squares(), folder, seed=1, device=torch.device("cpu"), reporter=Quiet(stop_after))


@pytest.mark.parametrize("stop_after", [4, 6, 7, 9])  # before, shortly before, at and after the switch
def test_stopped_and_resumed_equals_never_stopped_across_the_switch(stop_after: int, tmp_path: Path) -> None:
    run(tmp_path / "whole", "training.steps=12")
    with pytest.raises(Stopped):
        run(tmp_path / "parts", "training.steps=12", stop_after=stop_after)
    run(tmp_path / "parts", "training.steps=12")
    for step in (4, 8, 12):
        whole, parts = (
            load_generator(tmp_path / folder / "generators" / f"step-{step:06d}").module
            for folder in ("whole", "parts")
        )
        expected, found = whole.state_dict(), parts.state_dict()
        assert all(torch.equal(expected[key], found[key]) for key in expected)
        assert whole.stage == (1 if step <= 6 else 2)


def test_a_table_without_captions_is_refused(tmp_path: Path) -> None:
    split, metadata = squares()
    with pytest.raises(RequestError, match="has no captions"):
        train(
            load_recipe("stackgan", TINY), Split(split.images, None, []), metadata, tmp_path,
            seed=0, device=torch.device("cpu"), reporter=Quiet(),
        )  # fmt: skip


@pytest.mark.slow
def test_a_short_training_draws_what_the_captions_say(tmp_path: Path) -> None:
    rates = [f"optimizers.{player}.lr=0.002" for player in ("generator", "discriminator")]
    steps = ["training.steps=400", "training.tick=400", "training.keep=1", "training.batch_size=16"]
    run(tmp_path, *steps, *rates, "training.ema=0.9", "game.first_stage=0.75")
    split, _ = squares()
    samples = load_generator(tmp_path / "generators" / "step-000400").sample(64, seed=3, examples=split)
    brightness = samples.images.float().mean((1, 2, 3))
    assert brightness[1::2].mean() - brightness[0::2].mean() > 100  # 160 between the real ones
    assert ((brightness > 127) == (torch.arange(64) % 2 == 1)).float().mean() > 0.9


# --- embeddings that come with the data


GIVEN = ["networks.generator.text_encoder=given", "networks.discriminator={family: stackgan, width: 4}"]


def vectors(several: int = 3, count: int = 64) -> tuple[Split, TableMetadata]:
    """The same squares; in place of captions, vectors of six numbers whose sign says dark or light."""
    split, metadata = squares(count)
    noise = torch.rand(count, several, 6, generator=torch.Generator().manual_seed(1))
    sign = (torch.arange(count) % 2 * 2.0 - 1.0)[:, None, None]
    metadata = metadata.model_copy(update={"words": (), "embeddings": (several, 6)})
    return Split(split.images, None, split.paths, embeddings=sign * (0.5 + noise)), metadata


def given_game(*overrides: str) -> TextToImageGame:
    torch.manual_seed(0)
    recipe = load_recipe("stackgan", [*NARROW[:4], *GIVEN, "training.steps=4", "training.precision=fp32", *overrides])
    built = build_game(recipe, DataShape((3, 16, 16), embedding=6), torch.device("cpu"))
    assert isinstance(built, TextToImageGame)
    return built


def test_of_several_embeddings_some_are_drawn_anew_at_each_step_and_averaged() -> None:
    split, _ = vectors(several=4)
    batch = Batch.of(split, torch.arange(8), frozenset({"embeddings"}))
    assert batch.embeddings is not None
    one, again = (given_game().prepared(batch).embeddings for _ in range(2))
    assert one is not None
    assert again is not None
    assert torch.equal(one, again)  # from the global stream, which both games have just begun
    own = (batch.embeddings == one[:, None]).all(2)
    assert own.any(1).all()
    assert own.int().argmax(1).unique().numel() > 1
    every = given_game("game.averaged=4").prepared(batch).embeddings
    torch.testing.assert_close(every, batch.embeddings.mean(1))
    played = given_game("game.averaged=2")
    assert not torch.equal(*(played.prepared(batch).embeddings for _ in range(2)))


@pytest.mark.parametrize("stage", [1, 2])
def test_both_players_read_the_embeddings_as_they_are(stage: int) -> None:
    played = given_game("networks.generator.layout=published")
    if stage == 2:
        played.steps = played.switch
    split, _ = vectors()
    metrics = played.step(lambda: Batch.of(split, torch.arange(8), frozenset({"embeddings"})), report=True)
    assert all(torch.isfinite(value) for value in metrics.values())
    assert played.generator.stage == stage
    assert next(iter(played.discriminator.head.reading.parameters())).shape == (64, 6)


def test_a_training_on_embeddings_resumes_and_samples_from_its_examples(tmp_path: Path) -> None:
    recipe = load_recipe(
        "stackgan", [*TINY[:4], *TINY[5:], *GIVEN, "networks.generator.layout=published", "training.steps=8"]
    )

    def trained(folder: Path, stop_after: int | None = None) -> None:
        train(recipe, *vectors(), folder, seed=1, device=torch.device("cpu"), reporter=Quiet(stop_after))

    trained(tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(tmp_path / "parts", stop_after=3)
    trained(tmp_path / "parts")
    whole, parts = (load_generator(tmp_path / name / "generators" / "step-000008") for name in ("whole", "parts"))
    expected, found = whole.module.state_dict(), parts.module.state_dict()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert whole.info.embedding == 6
    assert whole.info.shape == DataShape((3, 16, 16), embedding=6)
    split, _ = vectors(several=3, count=5)
    inputs = whole.sample(12, examples=split).inputs
    assert split.embeddings is not None
    expected_rows = [split.embeddings[number % 5, number // 5 % 3] for number in range(12)]
    assert torch.equal(inputs["embeddings"], torch.stack(expected_rows))


def test_a_table_without_embeddings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"as embeddings given with the data, but squares has none"):
        train(
            load_recipe("stackgan", [*TINY, *GIVEN]), *squares(), tmp_path,
            seed=0, device=torch.device("cpu"), reporter=Quiet(),
        )  # fmt: skip
