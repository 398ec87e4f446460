"""The semi-supervised game against the (K + 1)-way softmax, and what becomes of its labels and its classifier."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from gan_models.data.table import Split, TableMetadata, to_float
from gan_models.errors import RequestError
from gan_models.games.base import Batch, build_game
from gan_models.games.semi_supervised.game import SemiSupervisedGame, labelled_rows, supervised_loss, unsupervised_loss
from gan_models.layers.heads import ClassesHead
from gan_models.recipes import Recipe
from gan_models.sampling.generator import folder_files, load_classifier
from gan_models.training.loop import train

Digits = tuple[Split, TableMetadata]
SmallRecipe = Callable[..., Recipe]


def started(recipe: Recipe, digits: Digits, seed: int = 0) -> SemiSupervisedGame:
    torch.manual_seed(0)
    game = build_game(recipe, digits[1].shape, torch.device("cpu"))
    assert isinstance(game, SemiSupervisedGame)
    game.prepare(digits[0], seed)
    return game


def test_k_logits_are_a_softmax_over_k_plus_one_classes_whose_last_logit_is_zero() -> None:
    torch.manual_seed(0)
    real, fake, labels = torch.randn(6, 4).double() * 3, torch.randn(6, 4).double() * 3, torch.randint(0, 4, (6,))
    joined = [torch.cat([logits, torch.zeros(6, 1)], dim=1).softmax(1) for logits in (real, fake)]
    head = ClassesHead()
    z_real, z_fake = head(real), head(fake)
    torch.testing.assert_close(torch.sigmoid(z_real), joined[0][:, :4].sum(1).float())
    expected = -0.5 * torch.log(1 - joined[0][:, 4]).mean() - 0.5 * torch.log(joined[1][:, 4]).mean()
    torch.testing.assert_close(unsupervised_loss(z_real, z_fake), expected.float(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(supervised_loss(real, labels), cross_entropy(real, labels))
    # Given that an image is real, the K + 1 classes' shares of the K are the classifier's own.
    among_real = joined[0][:, :4] / joined[0][:, :4].sum(1, keepdim=True)
    torch.testing.assert_close(among_real, real.softmax(1))


def test_a_logit_too_large_for_exp_stays_finite() -> None:
    extreme = torch.tensor([300.0, -300.0])
    assert torch.isfinite(unsupervised_loss(extreme, -extreme))
    assert torch.isfinite(supervised_loss(torch.tensor([[300.0, -300.0]]), torch.tensor([1])))


def test_labelled_images_are_a_pure_function_of_data_and_seed(digits: Digits) -> None:
    labels = digits[0].labels.numpy()
    rows, again, others = (labelled_rows(labels, 10, 7, seed) for seed in (3, 3, 4))
    assert np.array_equal(rows, again)
    assert not np.array_equal(rows, others)
    assert len(set(rows.tolist())) == 70
    assert np.bincount(labels[rows], minlength=10).tolist() == [7] * 10


def test_too_few_images_of_a_class_are_a_sentence() -> None:
    with pytest.raises(RequestError, match=r"game.labels_per_class=3: one of the classes has only 2 training images"):
        labelled_rows(np.array([0, 0, 0, 1, 1]), 2, 3, 0)


def test_no_other_label_is_looked_at(digits: Digits, small_recipe: SmallRecipe) -> None:
    """Wrong labels on every other image change nothing."""
    recipe = small_recipe("sgan", "game.labels_per_class=2")
    weights = []
    for wrong in (False, True):
        game = started(recipe, digits)
        images = to_float(digits[0].images[:16])
        labels = torch.zeros(16, dtype=torch.int64) if wrong else digits[0].labels[:16]
        torch.manual_seed(1)
        game.step(lambda images=images, labels=labels: Batch(images, labels), report=False)
        weights.append(game.discriminator.state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_the_classifiers_statistics_see_every_class_of_a_sorted_table(
    digits: Digits, small_recipe: SmallRecipe
) -> None:
    split, metadata = digits
    assert split.labels is not None
    in_order = split.rows(split.labels.argsort())
    game = started(small_recipe("sgan"), (in_order, metadata))
    assert in_order.labels is not None
    seen = game.statistics["images"]
    of_last_class = to_float(in_order.images[in_order.labels == 9]).flatten(1)
    assert len(seen) == 512
    assert 30 < sum(bool((image == of_last_class).all(1).any()) for image in seen.flatten(1)) < 70


def test_the_average_of_d_follows_its_weights_and_is_part_of_the_state(
    digits: Digits, small_recipe: SmallRecipe
) -> None:
    game = started(small_recipe("sgan"), digits)
    images = to_float(digits[0].images[:16])
    expected = [parameter.detach().clone() for parameter in game.discriminator.parameters()]
    for step in range(1, 4):
        game.step(lambda: Batch(images), report=False)
        decay = (1 + step) / (10 + step)
        expected = [
            decay * old + (1 - decay) * new for old, new in zip(expected, game.discriminator.parameters(), strict=True)
        ]
    for mine, kept in zip(expected, game.average.parameters, strict=True):
        torch.testing.assert_close(mine, kept)
    other = started(small_recipe("sgan"), digits)
    other.load_state_dict(game.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(other.average.parameters, game.average.parameters, strict=True))


def test_the_classifier_is_kept_beside_the_generator_and_classifies(
    digits: Digits, small_recipe: SmallRecipe, tmp_path: Path
) -> None:
    class Silent:
        def progress(self, step, figures): ...
        def tick(self, step, metrics, grid): ...
        def note(self, sentence): ...
        def stop_requested(self):
            return False

    wider = ["networks.discriminator.width=16", "game.labels_per_class=50"]
    recipe = small_recipe("sgan", "training.steps=150", "training.keep=1", *wider)
    train(recipe, *digits, tmp_path, seed=0, device=torch.device("cpu"), reporter=Silent())
    folder = tmp_path / "generators" / "step-000150"
    assert folder_files(folder)[-1] == "classifier.safetensors"
    classifier = load_classifier(folder)
    assert classifier.class_names == digits[1].class_names
    probabilities = classifier.probabilities(digits[0].images)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(probabilities)))
    assert (probabilities.argmax(1) == digits[0].labels).float().mean() > 0.8
    # Batch norm has its own statistics: an image is classified the same alone.
    torch.testing.assert_close(classifier.probabilities(digits[0].images[:1]), probabilities[:1], rtol=1e-3, atol=1e-4)
    (folder / "classifier.safetensors").write_bytes(b"no weights")
    with pytest.raises(RequestError, match="is damaged"):
        load_classifier(folder)
    (folder / "classifier.safetensors").unlink()
    with pytest.raises(RequestError, match="only semi-supervised recipes such as sgan train one"):
        load_classifier(folder)
