"""What one iteration of the two-player game does to the players."""

import pytest
import torch

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.games.base import Batch, Game, Made, build_game, computes_bf16
from gan_models.recipes import load_recipe

SMALL = ["networks.generator.width=4", "networks.discriminator.width=4", "training.precision=fp32"]


def game(name: str, *overrides: str) -> Game:
    torch.manual_seed(0)
    small = [*(SMALL if name != "vanilla" else ["training.precision=fp32"]), "game.generator_steps=1"]
    return build_game(load_recipe(name, [*small, *overrides]), DataShape((1, 8, 8), 3), torch.device("cpu"))


def batch(name: str) -> Batch:
    labels = torch.randint(0, 3, (16,)) if load_recipe(name).conditional else None
    return Batch(torch.rand(16, 1, 8, 8) * 2 - 1, labels)


@pytest.mark.parametrize("name", ["vanilla", "dcgan", "cgan-projection"])
@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_a_step_changes_both_players_and_stays_finite(name: str, loss: str) -> None:
    played = game(name, f"game.loss={loss}")
    before = {key: value.clone() for key, value in played.state_dict()["generator"].items()}
    critic = {key: value.clone() for key, value in played.state_dict()["discriminator"].items()}
    metrics = played.step(lambda: batch(name), report=True)
    assert all(torch.isfinite(value) for value in metrics.values())
    assert {"D/loss", "G/loss", "D/accuracy_real", "D/accuracy_fake", "D/gradient_norm", "G/gradient_norm"} <= set(
        metrics
    )
    state = played.state_dict()
    assert any(not torch.equal(before[key], state["generator"][key]) for key in before)
    assert any(not torch.equal(critic[key], state["discriminator"][key]) for key in critic)


def test_the_discriminator_gets_no_gradient_from_the_generators_move() -> None:
    played = game("dcgan")
    seen = []
    optimizer_step = played.optimizers["generator"].step
    played.optimizers["generator"].step = lambda: (
        seen.append([p.grad for p in played.discriminator.parameters()]),
        optimizer_step(),
    )
    kept = []
    critic_step = played.optimizers["discriminator"].step
    played.optimizers["discriminator"].step = lambda: (
        critic_step(),
        kept.extend(p.grad.clone() for p in played.discriminator.parameters()),
    )
    played.step(lambda: batch("dcgan"), report=False)
    for at_move, own in zip(seen[0], kept, strict=True):
        torch.testing.assert_close(at_move, own, rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in played.discriminator.parameters())


@pytest.mark.parametrize("moves", [1, 3])
def test_one_batch_of_images_is_synthesised_for_each_discriminator_step(moves: int) -> None:
    played = game("dcgan", f"game.discriminator_steps={moves}")
    calls = []
    played.generator.register_forward_hook(lambda *_: calls.append(1))
    drawn = []
    played.step(lambda: (drawn.append(1), batch("dcgan"))[1], report=False)
    assert len(calls) == len(drawn) == moves


def test_further_generator_steps_draw_fresh_latents_for_the_same_classes() -> None:
    played = game("cgan-projection", "game.generator_steps=3")
    asked, moves = [], []
    played.generator.register_forward_pre_hook(lambda _, __, inputs: asked.append(inputs), with_kwargs=True)
    for name in ("generator", "discriminator"):
        played.optimizers[name].register_step_post_hook(lambda *_, name=name: moves.append(name))
    drawn = []
    played.step(lambda: drawn.append(batch("cgan-projection")) or drawn[-1], report=True)
    assert moves == ["discriminator", "generator", "generator", "generator"]
    assert len(drawn) == 1
    assert len(asked) == 3
    assert all(torch.equal(inputs["labels"], drawn[0].labels) for inputs in asked)
    assert not any(torch.equal(asked[0]["latents"], inputs["latents"]) for inputs in asked[1:])


@pytest.mark.parametrize("parts", [1, 2])
def test_the_generators_batch_may_be_a_multiple_of_the_discriminators(parts: int) -> None:
    """As in the public code of WGAN-GP and SNGAN: drawn anew for G, each class as often as it was seen."""
    played = game(
        "cgan-projection", "game.generator_batch=2", "game.discriminator_steps=2", "training.accumulate=" + str(parts)
    )
    asked, judged = [], []
    played.generator.register_forward_pre_hook(lambda _, __, inputs: asked.append(inputs), with_kwargs=True)
    played.discriminator.register_forward_pre_hook(lambda _, inputs: judged.append(inputs[0]))
    drawn = []
    played.step(lambda: drawn.append(batch("cgan-projection")) or drawn[-1], report=True)
    size = len(drawn[0].images)
    of_d, of_g = asked[: 2 * parts], asked[2 * parts :]
    assert [len(inputs["latents"]) for inputs in of_d] == [size // parts] * (2 * parts)
    assert [len(inputs["latents"]) for inputs in of_g] == [2 * size // parts] * parts
    assert torch.equal(torch.cat([inputs["labels"] for inputs in of_g]).bincount(), 2 * drawn[-1].labels.bincount())
    assert not torch.isin(torch.cat([i["latents"] for i in of_g]), torch.cat([i["latents"] for i in of_d])).any()
    assert [len(images) for images in judged[-parts:]] == [2 * size // parts] * parts


def test_a_larger_generators_batch_goes_with_pairs_and_with_means_over_real_images() -> None:
    relativistic = game("r3gan", "game.generator_batch=3")
    assert "G/loss" in relativistic.step(lambda: batch("r3gan"), report=True)
    matching = game("cgan-projection", "game.generator_batch=2", "regularizers=[{name: feature-matching}]")
    assert "G/feature-matching" in matching.step(lambda: batch("cgan-projection"), report=True)


@pytest.mark.parametrize("more", ["game.discriminator_steps=2", "game.critic_warm_up={}"])
def test_more_steps_for_both_players_are_refused(more: str) -> None:
    with pytest.raises(RequestError, match=r"game.generator_steps=2 and more than one discriminator step"):
        game("dcgan", "game.generator_steps=2", more)


def test_regularizers_enter_the_losses_only_when_due() -> None:
    overrides = ["networks.discriminator.norm=none", "regularizers=[{name: r1, every: 2}, {name: feature-matching}]"]
    played = game("dcgan", *overrides)
    first, second = (played.step(lambda: batch("dcgan"), report=False) for _ in range(2))
    assert "D/r1" in first
    assert "D/r1" not in second
    assert "G/feature-matching" in first
    assert "G/feature-matching" in second


@pytest.mark.parametrize(("own", "generator"), [("null", 0.5), ("0.1", 0.1), ("0", 0.0)])
def test_the_class_loss_has_a_weight_of_its_own_in_each_players_loss(own: str, generator: float) -> None:
    """What each player minimises is its adversarial loss and the class loss at its weight (Gulrajani et al.'s code)."""
    weights = ["game.classification=0.5", f"game.classification_in_generator={own}", "game.classify_fakes=false"]
    played, real = game("acgan", *weights), batch("acgan")
    played.begin_step()
    made = played.synthesize(real)
    for move, judged, weight in (
        (played.discriminator_loss, played.judge(real, made), 0.5),
        (played.generator_loss, played.judge_generated(real, made), generator),
    ):
        loss, figures = move(real, made, judged)
        told = judged.real_output if judged.player == "discriminator" else judged.fake_output
        classes = torch.nn.functional.cross_entropy(told.class_logits, real.labels)
        prefix = "D" if judged.player == "discriminator" else "G"
        torch.testing.assert_close(figures[f"{prefix}/class_loss"], classes.detach())
        torch.testing.assert_close(loss, figures[f"{prefix}/loss"] + weight * classes)


def test_dequantised_images_lie_within_their_grey_levels() -> None:
    played = game("dcgan", "game.dequantise=true")
    levels = torch.randint(0, 256, (16, 1, 8, 8))
    noised = played.prepared(Batch(levels / 127.5 - 1.0)).images
    assert torch.equal(((noised + 1.0) * 128.0 + 1e-4).floor().long(), levels)
    assert noised.min() >= -1.0
    assert noised.max() < 1.0
    assert 0.4 < ((noised + 1.0) * 128.0 - levels).mean() < 0.6
    real = batch("dcgan")
    assert game("dcgan").prepared(real) is real


@pytest.mark.parametrize("name", ["vanilla", "dcgan", "cgan-projection"])
def test_bf16_and_fp32_take_nearly_the_same_first_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_models.games.base.computes_bf16", lambda device: True)  # slowly, where it does not
    losses = []
    for precision in ("bf16", "fp32"):
        played = game(name, f"training.precision={precision}")
        torch.manual_seed(1)
        losses.append(played.step(lambda: batch(name), report=False)["D/loss"].item())
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)
    assert losses[0] != losses[1]


@pytest.mark.parametrize("supported", [True, False])
def test_bf16_is_for_devices_that_compute_in_it(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_models.games.base.computes_bf16", lambda device: supported)
    with game("dcgan", "training.precision=bf16").precision():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if supported else torch.float32)


@pytest.mark.parametrize(("capability", "computes"), [("AVX2", False), ("DEFAULT", False), ("AVX512", True)])
def test_which_processors_do(capability: str, computes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    assert computes_bf16(torch.device("cpu")) is computes


CRITIC = ["game.loss=wasserstein", "game.weight_clip=0.01"]


def test_the_critics_weights_are_within_the_clip_after_its_step() -> None:
    played = game("dcgan", *CRITIC)
    assert max(parameter.abs().max() for parameter in played.discriminator.parameters()) > 0.01
    metrics = played.step(lambda: batch("dcgan"), report=False)
    assert max(parameter.abs().max() for parameter in played.discriminator.parameters()) <= 0.01
    assert metrics["D/wasserstein"] == -metrics["D/loss"]


def test_the_critic_warms_up_first_and_again_now_and_then() -> None:
    schedule = "game.critic_warm_up={first: 2, every: 5, steps: 4}"
    played = game("dcgan", *CRITIC, schedule, "game.discriminator_steps=2")
    moves = []
    for _ in range(11):
        drawn = []
        played.step(lambda drawn=drawn: drawn.append(batch("dcgan")) or drawn[-1], report=False)
        moves.append(len(drawn))
    assert moves == [4, 4, 2, 2, 2, 4, 2, 2, 2, 2, 4]


def test_accuracy_is_counted_from_where_the_loss_draws_its_line() -> None:
    """Least squares pulls reals to 1 and fakes to 0: its line is at 0.5, not at 0. A relativistic D judges pairs."""
    outputs = {}
    for loss in ("least-squares", "relativistic"):
        played = game("dcgan", f"game.loss={loss}")
        said = iter([torch.tensor([0.6, 0.4]), torch.tensor([0.3, 0.45])])
        forward = played.discriminator.forward
        played.discriminator.forward = lambda *arguments, forward=forward, said=said: forward(*arguments)._replace(
            logits=next(said).requires_grad_()
        )
        images = torch.rand(2, 1, 8, 8)
        outputs[loss] = played.move_discriminator(Batch(images), Made(images), report=False)
    assert outputs["least-squares"]["D/accuracy_real"] == 0.5
    assert outputs["least-squares"]["D/accuracy_fake"] == 1
    assert outputs["relativistic"]["D/accuracy_pairs"] == 0.5


@pytest.mark.parametrize("fakes", [True, False])
def test_the_class_head_learns_from_generated_images_where_the_recipe_says(fakes: bool) -> None:
    conditioning = "conditioning={generator: one-hot, discriminator: classifier}"
    played = game("dcgan", conditioning, f"game.classify_fakes={str(fakes).lower()}")
    said = []
    played.discriminator.classifier.register_forward_hook(lambda _, __, output: said.append(output.detach()))
    shown = batch("cgan-projection")
    images = torch.rand(16, 1, 8, 8)
    metrics = played.move_discriminator(shown, Made(images, shown.labels), report=False)
    real, fake = (torch.nn.functional.cross_entropy(logits, shown.labels) for logits in said)
    torch.testing.assert_close(metrics["D/class_loss"], real + fake if fakes else real)


def test_sgd_moves_against_the_gradient_and_on_with_a_share_of_its_last_step() -> None:
    """v <- m v - lr g, theta <- theta + v, with a momentum of its own at each step."""
    player = "{name: sgd, lr: 0.1, momentum: {linear: [0.5, 0.75]}}"
    played = game(
        "vanilla",
        "training.steps=2",
        "game.augmentations=[]",
        "optimizers.decay_from=1",
        f"optimizers.generator={player}",
    )
    parameters = list(played.generator.parameters())
    velocity = [torch.zeros_like(parameter) for parameter in parameters]
    for momentum in (0.5, 0.625):
        before = [parameter.detach().clone() for parameter in parameters]
        played.step(lambda: batch("vanilla"), report=False)
        assert played.optimizers["generator"].param_groups[0]["momentum"] == momentum
        velocity = [momentum * last - 0.1 * each.grad for last, each in zip(velocity, parameters, strict=True)]
        for start, step, end in zip(before, velocity, parameters, strict=True):
            torch.testing.assert_close(end.detach(), start + step, rtol=1e-4, atol=1e-7)
