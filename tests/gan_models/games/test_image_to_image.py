"""The games of image-to-image generators, each against its paper."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, softplus

from gan_models.data.shape import DataShape
from gan_models.data.table import Split, TableMetadata
from gan_models.errors import RequestError
from gan_models.games.base import Batch, Made, build_game
from gan_models.games.cycle.game import CycleGame, ImagePool, by_domain
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import load_generator
from gan_models.training.loop import Stopped, check_data, train

NAMES = ("cyclegan", "attribute-transfer", "colorization/gan", "pix2pix")
NARROW = [
    "networks.generator.width=4", "networks.discriminator.width=4", "data.size=16", "training.precision=fp32",
]  # fmt: skip
SHAPE = DataShape((3, 16, 16), 10, 2)


def game(name: str, *overrides: str) -> Any:
    torch.manual_seed(0)
    return build_game(load_recipe(name, [*NARROW, *overrides]), SHAPE, torch.device("cpu"))


def batch(num: int = 8, domains: list[int] | None = None) -> Batch:
    images = torch.rand(num, 3, 16, 16) * 2 - 1
    return Batch(images, None, torch.tensor(domains or [0, 1] * (num // 2)), partners=-images)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_changes_both_players_and_stays_finite(
    name: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_models.games.base.computes_bf16", lambda device: True)  # slowly, where it does not
    played = game(name, f"training.precision={precision}")
    before = {
        player: {key: value.clone() for key, value in played.state_dict()[player].items()}
        for player in ("generator", "discriminator")
    }
    metrics = played.step(batch, report=True)
    assert all(torch.isfinite(value) for value in metrics.values())
    assert {"D/loss", "G/loss", "G/adversarial", "D/gradient_norm", "G/gradient_norm"} <= set(metrics)
    after = played.state_dict()
    for player, weights in before.items():
        assert any(not torch.equal(weights[key], after[player][key]) for key in weights)
    assert all(parameter.requires_grad for parameter in played.discriminator.parameters())


class Recorder:
    def progress(self, *_: object) -> None: ...
    def tick(self, *_: object) -> None: ...
    def note(self, *_: object) -> None: ...

    def __init__(self, stop_after: int = 10**9) -> None:
        self.left = stop_after

    def stop_requested(self) -> bool:
        self.left -= 1
        return self.left <= 0


@pytest.fixture(scope="module")
def pictures() -> tuple[Split, TableMetadata]:
    images = torch.randint(0, 256, (40, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    metadata = TableMetadata(
        height=16, width=16, channels=3, class_names=("a", "b"), counts={"train": {"a": 20, "b": 20}},
        fingerprint="f" * 64, source="pictures", options={}, domain_names=("left", "right"),
    )  # fmt: skip
    labels, domains = torch.arange(40) % 2, torch.arange(40) // 20
    return Split(images, labels, [str(i) for i in range(40)], domains, partners=255 - images), metadata


@pytest.mark.parametrize("name", NAMES)
def test_stopped_and_resumed_equals_never_stopped(
    name: str, pictures: tuple[Split, TableMetadata], tmp_path: Path
) -> None:
    tiny = ["training.steps=8", "training.batch_size=8", "training.tick=4", "training.keep=1", "training.threads=1"]
    tiny += ["game.pool=6"] if name == "cyclegan" else []
    recipe = load_recipe(name, [*NARROW, *tiny])

    def run(folder: Path, recorder: Recorder) -> dict[str, torch.Tensor]:
        train(recipe, *pictures, folder, seed=3, device=torch.device("cpu"), reporter=recorder)
        return load_generator(folder / "generators" / "step-000008").module.state_dict()

    expected = run(tmp_path / "whole", Recorder())
    with pytest.raises(Stopped):
        run(tmp_path / "parts", Recorder(stop_after=5))
    found = run(tmp_path / "parts", Recorder())
    assert all(torch.equal(expected[key], found[key]) for key in expected)


@pytest.mark.parametrize("name", ["cyclegan", "attribute-transfer"])
def test_data_of_one_domain_is_refused(name: str, pictures: tuple[Split, TableMetadata]) -> None:
    split, metadata = pictures
    with pytest.raises(RequestError, match=r"translates between domains, but pictures has 1"):
        check_data(load_recipe(name, NARROW), split, metadata.model_copy(update={"domain_names": ("left",)}))


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("cyclegan", ["networks.discriminator={family: dcgan}"], "trains the family cyclegan only"),
        ("attribute-transfer", ["networks.generator={family: mlp}"], "trains the family attribute-transfer only"),
        ("cyclegan", ["conditioning={generator: one-hot, discriminator: concat}"], "takes images, not class labels"),
        ("cyclegan", ["game={kind: adversarial}"], "are trained by game.kind=cycle, not adversarial"),
        ("dcgan", ["networks.discriminator={family: colorization}"], "are trained by game.kind=colorization"),
        ("cyclegan", ["regularizers=[{name: gradient-penalty}]"], "of different domains: use r1"),
        ("attribute-transfer", ["game.loss=relativistic"], "choose another"),
        ("pix2pix", ["game.augmentations=[translation]"], "change one side of a pair: leave them out"),
        ("pix2pix", ["data.size=30"], "halves the image at least twice: use a multiple of 4"),
        ("attribute-transfer", ["game.loss=hing"], "did you mean 'hinge'"),
        ("attribute-transfer", ["networks.discriminator.norm=batch"], "batch norm in D"),
    ],
)
def test_what_does_not_go_together_is_refused(name: str, overrides: list[str], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        game(name, *overrides)


# --- CycleGAN


def test_the_pool_gives_every_image_back_until_it_is_full() -> None:
    pool = ImagePool(6)
    first, second = torch.rand(4, 3, 2, 2), torch.rand(2, 3, 2, 2)
    assert torch.equal(pool.query(first), first)
    assert torch.equal(pool.query(second), second)


def test_half_of_what_a_full_pool_is_asked_about_is_swapped() -> None:
    torch.manual_seed(0)
    pool = ImagePool(50)
    pool.query(torch.arange(50.0).reshape(50, 1, 1, 1))
    asked = torch.arange(50.0, 4050.0).reshape(-1, 1, 1, 1)
    given = torch.cat([pool.query(image[None]) for image in asked]).flatten()
    swapped = given != asked.flatten()
    assert float(swapped.double().mean()) == pytest.approx(0.5, abs=0.03)
    # A kept image stays for 50 / (1/2) = 100 queries on average: that is how old those given back are.
    ages = (asked.flatten() - given)[swapped]
    assert float(ages[1000:].mean()) == pytest.approx(100, rel=0.12)
    assert len(torch.unique(given)) == len(given)


def test_a_pool_of_nothing_gives_back_what_is_new() -> None:
    images = torch.rand(3, 1, 2, 2)
    assert torch.equal(ImagePool(0).query(images), images)


def test_a_pool_goes_on_from_its_state() -> None:
    one, other = ImagePool(4), ImagePool(4)
    one.query(torch.rand(4, 1, 2, 2))
    other.load_state_dict(one.state_dict())
    new = torch.rand(8, 1, 2, 2)
    torch.manual_seed(1)
    expected = one.query(new)
    torch.manual_seed(1)
    assert torch.equal(other.query(new), expected)


def test_losses_are_means_of_each_domain_and_an_absent_one_adds_nothing() -> None:
    values = torch.tensor([1.0, 3.0, 10.0])[:, None]
    assert by_domain(values, torch.tensor([0, 0, 1])) == 2 + 10
    assert by_domain(values, torch.tensor([1, 1, 1])) == pytest.approx(14 / 3)


def test_the_generators_loss_is_that_of_the_paper() -> None:
    """G and F in turn: least squares with target 1, 10 |F(G(x)) - x| and its mirror, half of that for the identity."""
    played = game("cyclegan", "game.pool=0")
    drawn = batch(6, [0, 0, 1, 0, 1, 0])
    assert drawn.domains is not None
    to_a, to_b = played.generator.directions.branches
    a, b = (drawn.images[drawn.domains == domain] for domain in (0, 1))
    with torch.no_grad():
        fake_b, fake_a = to_b(a), to_a(b)
        zeros, ones = torch.zeros(len(b), dtype=torch.int64), torch.ones(len(a), dtype=torch.int64)
        adversarial = (played.discriminator(fake_b, ones).logits - 1).square().mean()
        adversarial += (played.discriminator(fake_a, zeros).logits - 1).square().mean()
        cycle = (to_a(fake_b) - a).abs().mean() + (to_b(fake_a) - b).abs().mean()
        identity = (to_a(a) - a).abs().mean() + (to_b(b) - b).abs().mean()
    metrics = played.step(lambda: drawn, report=False)
    torch.testing.assert_close(metrics["G/adversarial"], adversarial, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(metrics["G/cycle"], cycle, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(metrics["G/loss"], adversarial + 10 * cycle + 5 * identity, rtol=1e-4, atol=1e-4)


def test_the_discriminators_loss_is_halved_and_sees_images_from_before_gs_move() -> None:
    played = game("cyclegan", "game.pool=0")
    drawn = batch(4, [0, 0, 1, 1])
    assert drawn.domains is not None
    with torch.no_grad():
        fake = played.generator(drawn.images, 1 - drawn.domains)
        real_logits = played.discriminator(drawn.images, drawn.domains).logits
        fake_logits = played.discriminator(fake, 1 - drawn.domains).logits
        expected = 0.5 * 2 * ((real_logits - 1).square().mean() + fake_logits.square().mean())
    metrics = played.step(lambda: drawn, report=False)
    torch.testing.assert_close(metrics["D/loss"], expected, rtol=1e-4, atol=1e-5)


def test_one_image_of_each_domain_makes_a_step() -> None:
    played = game("cyclegan", "training.batch_size=1")
    metrics = played.step(lambda: batch(2, [0, 1]), report=True)
    assert all(torch.isfinite(value) for value in metrics.values())


def test_every_step_of_a_training_sees_both_domains_equally(
    pictures: tuple[Split, TableMetadata], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, metadata = pictures
    uneven = Split(split.images, split.labels, split.paths, (torch.arange(40) >= 5).long())
    seen: list[list[int]] = []
    step = CycleGame.step

    def watched(self: CycleGame, draw: Callable[[], Batch], *, report: bool) -> dict[str, torch.Tensor]:
        def remember() -> Batch:
            drawn = draw()
            assert drawn.domains is not None
            seen.append(torch.bincount(drawn.domains, minlength=2).tolist())
            return drawn

        return step(self, remember, report=report)

    monkeypatch.setattr(CycleGame, "step", watched)
    recipe = load_recipe("cyclegan", [*NARROW, "training.steps=12", "training.batch_size=1", "training.keep=1"])
    train(recipe, uneven, metadata, tmp_path, seed=0, device=torch.device("cpu"), reporter=Recorder())
    assert seen == [[1, 1]] * 12


def test_a_domain_without_training_images_is_refused(pictures: tuple[Split, TableMetadata], tmp_path: Path) -> None:
    split, metadata = pictures
    one = Split(split.images, split.labels, split.paths, torch.zeros(40, dtype=torch.int64))
    with pytest.raises(RequestError, match="40 training images are of the first domain and 0 of the second"):
        train(
            load_recipe("cyclegan", NARROW), one, metadata, tmp_path, seed=0, device=torch.device("cpu"),
            reporter=Recorder(),
        )  # fmt: skip


def test_other_games_need_two_images_in_a_batch() -> None:
    with pytest.raises(RequestError, match=r"training\.batch_size=1: game\.kind=adversarial needs at least 2"):
        load_recipe("dcgan", ["training.batch_size=1"])


def test_the_pools_are_in_the_state() -> None:
    played = game("cyclegan")
    played.step(lambda: batch(6, [0, 0, 1, 0, 1, 0]), report=False)
    kept = [len(played.state_dict()[f"pool {domain}"]["images"]) for domain in (0, 1)]
    assert kept == [2, 4]  # images made for domain 0 from the two of domain 1, and the other way round


# --- attribute transfer


def test_attribute_transfer_has_the_losses_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    played = game("attribute-transfer", "game.discriminator_steps=1", "regularizers=[]")
    drawn = batch(6)
    targets = torch.tensor([1, 1, 0, 0, 1, 0])
    monkeypatch.setattr(torch, "randperm", lambda *_, **__: torch.tensor([1, 3, 0, 2, 5, 4]))
    with torch.no_grad():
        fake = played.generator(drawn.images, targets)
        real = played.discriminator(drawn.images)
        wasserstein = played.discriminator(fake).logits.mean() - real.logits.mean()
        returned = played.generator(fake, drawn.domains)
    states: list[dict[str, torch.Tensor]] = []
    optimizer = played.optimizers["discriminator"]
    moved = optimizer.step

    def remember(*arguments: object) -> None:
        moved(*arguments)
        states.append({key: value.clone() for key, value in played.discriminator.state_dict().items()})

    monkeypatch.setattr(optimizer, "step", remember)
    metrics = played.step(lambda: drawn, report=False)
    torch.testing.assert_close(metrics["D/loss"], wasserstein, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(metrics["D/domain_loss"], cross_entropy(real.class_logits, drawn.domains))
    reconstruction = (returned - drawn.images).abs().mean()
    torch.testing.assert_close(metrics["G/reconstruction"], reconstruction, rtol=1e-4, atol=1e-5)
    played.discriminator.load_state_dict(states[0])
    with torch.no_grad():
        judged = played.discriminator(fake)
    domain = cross_entropy(judged.class_logits, targets)
    torch.testing.assert_close(metrics["G/domain_loss"], domain, rtol=1e-4, atol=1e-5)
    expected = -judged.logits.mean() + domain + 10 * reconstruction
    torch.testing.assert_close(metrics["G/loss"], expected, rtol=1e-4, atol=1e-4)


def test_the_discriminator_is_not_taught_the_domain_of_generated_images() -> None:
    """With the adversarial part silenced, what is generated must not change D's gradient."""
    gradients = []
    for seed in (1, 2):
        played = game("attribute-transfer", "game.discriminator_steps=1", "regularizers=[]")
        torch.manual_seed(seed)
        fake = torch.rand(8, 3, 16, 16)
        head = played.discriminator.head
        head.layer.weight.data.zero_()
        head.requires_grad_(False)
        torch.manual_seed(0)
        played.move_discriminator(batch(), Made(fake), report=False)
        gradients.append([p.grad.clone() for p in played.discriminator.parameters() if p.grad is not None])
    assert gradients[0]
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_d_moves_as_often_as_asked_for_each_move_of_g() -> None:
    played = game("attribute-transfer", "game.discriminator_steps=3")
    moves: dict[str, int] = {"D": 0, "G": 0}

    def counted(name: str, step: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            moves[name] += 1
            return step(*arguments)

        return call

    for name, player in (("D", "discriminator"), ("G", "generator")):
        played.optimizers[player].step = counted(name, played.optimizers[player].step)
    played.step(batch, report=False)
    assert moves == {"D": 3, "G": 1}


# --- colorization


def test_colorization_weighs_the_distance_to_the_true_colours() -> None:
    played = game("colorization/gan")
    metrics = played.step(batch, report=False)
    torch.testing.assert_close(metrics["G/loss"], metrics["G/adversarial"] + 100 * metrics["G/l1"])


@pytest.mark.parametrize(("reveal", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_some_images_are_told_whole(reveal: float, share: float) -> None:
    played = game("colorization/gan", f"game.reveal={reveal}", "game.hint_size=1")
    images = batch(32).images
    hints = played.draw_hints(images)
    whole = hints[:, 0].flatten(1).all(1)
    assert float(whole.float().mean()) == share
    told = hints[:, :1] > 0
    torch.testing.assert_close(torch.where(told, images, 0.0), hints[:, 1:])


# --- attributes, several at once

VECTORS = ["game.transfers=attributes", "game.discriminator_steps=1", "regularizers=[]"]


def vector_game(*overrides: str) -> Any:
    torch.manual_seed(0)
    recipe = load_recipe("attribute-transfer", [*NARROW, *VECTORS, *overrides])
    return build_game(recipe, DataShape((3, 16, 16), attributes=3), torch.device("cpu"))


def vector_batch(num: int = 6) -> Batch:
    attributes = torch.tensor([[1, 0, 1], [0, 0, 1], [1, 1, 0]]).float().repeat(num // 3, 1)
    return Batch(torch.rand(num, 3, 16, 16) * 2 - 1, attributes=attributes)


def test_attributes_have_the_losses_of_the_public_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Binary cross entropies added up over attributes; targets are rows of the batch; back by the image's own."""
    played, drawn = vector_game(), vector_batch()
    own = drawn.attributes
    assert own is not None
    monkeypatch.setattr(torch, "randperm", lambda *_, **__: torch.tensor([1, 3, 0, 2, 5, 4]))
    targets = own[[1, 3, 0, 2, 5, 4]]
    with torch.no_grad():
        fake = played.generator(drawn.images, targets)
        said = played.discriminator(drawn.images).class_logits
        returned = played.generator(fake, own)
    metrics = played.step(lambda: drawn, report=False)
    by_hand = -(own * said.sigmoid().log() + (1 - own) * (1 - said.sigmoid()).log()).sum() / 6
    torch.testing.assert_close(metrics["D/domain_loss"], by_hand, rtol=1e-4, atol=1e-5)
    reconstruction = (returned - drawn.images).abs().mean()
    torch.testing.assert_close(metrics["G/reconstruction"], reconstruction, rtol=1e-4, atol=1e-5)


def test_a_training_with_attributes_resumes_and_its_generator_says_their_names(
    pictures: tuple[Split, TableMetadata], tmp_path: Path
) -> None:
    split, metadata = pictures
    attributes = torch.randint(0, 2, (40, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    named = metadata.model_copy(update={"attribute_names": ("large", "round", "warm"), "domain_names": ()})
    data = Split(split.images, split.labels, split.paths, attributes=attributes), named
    tiny = ["training.steps=8", "training.batch_size=8", "training.tick=4", "training.keep=1", "training.threads=1"]
    recipe = load_recipe("attribute-transfer", [*NARROW, *tiny, "game.transfers=attributes", "training.flip=true"])

    def run(folder: Path, recorder: Recorder) -> Any:
        train(recipe, *data, folder, seed=3, device=torch.device("cpu"), reporter=recorder)
        return load_generator(folder / "generators" / "step-000008")

    expected = run(tmp_path / "whole", Recorder())
    with pytest.raises(Stopped):
        run(tmp_path / "parts", Recorder(stop_after=5))
    found = run(tmp_path / "parts", Recorder())
    assert found.info.attribute_names == ("large", "round", "warm")
    weights = expected.module.state_dict()
    assert all(torch.equal(weights[key], tensor) for key, tensor in found.module.state_dict().items())


def test_data_without_attributes_or_pairs_is_refused(pictures: tuple[Split, TableMetadata]) -> None:
    with pytest.raises(RequestError, match=r"pictures says nothing of any: .* set game\.transfers=domains"):
        check_data(load_recipe("attribute-transfer", [*NARROW, "game.transfers=attributes"]), *pictures)
    split, metadata = pictures
    with pytest.raises(RequestError, match=r"learns from pairs, but pictures has none"):
        check_data(load_recipe("pix2pix", NARROW), Split(split.images, split.labels, split.paths), metadata)


# --- pix2pix


def test_pairs_have_the_losses_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """D sees the partner beside the image and its loss is halved; G: 100 times the mean distance to the true image."""
    played, drawn = game("pix2pix", "training.batch_size=4"), batch(4)
    assert drawn.partners is not None
    torch.manual_seed(5)
    dropout = torch.rand(4, played.generator.dropout)
    with torch.no_grad():
        fake = played.generator(drawn.partners, dropout)
        real_logits = played.discriminator(drawn.images, drawn.partners).logits
        fake_logits = played.discriminator(fake, drawn.partners).logits
        wanted = 0.5 * (softplus(-real_logits).mean() + softplus(fake_logits).mean())
    torch.manual_seed(5)
    metrics = played.step(lambda: drawn, report=False)
    torch.testing.assert_close(metrics["D/loss"], wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(metrics["G/l1"], (fake - drawn.images).abs().mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(metrics["G/loss"], metrics["G/adversarial"] + 100 * metrics["G/l1"])


@pytest.mark.parametrize("loss", ["relativistic", "least-squares", "hinge"])
def test_pairs_play_with_other_losses_and_one_pair_in_a_batch(loss: str) -> None:
    played = game("pix2pix", f"game.loss={loss}", "training.batch_size=1")
    metrics = played.step(lambda: batch(2), report=True)
    assert all(torch.isfinite(value) for value in metrics.values())
    one = Batch(*(None if column is None else column[:1] for column in batch(2)))
    metrics = played.step(lambda: one, report=True)
    assert all(torch.isfinite(value) for value in metrics.values())


def test_both_sides_of_a_pair_are_changed_alike(pictures: tuple[Split, TableMetadata]) -> None:
    split, _ = pictures
    drawn = Batch.of(split, torch.arange(40), frozenset({"partners"})).changed(flip=True, load_size=20)
    assert drawn.partners is not None
    torch.testing.assert_close(drawn.partners, -drawn.images, atol=1e-5, rtol=0)
