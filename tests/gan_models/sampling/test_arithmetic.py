"""Latent arithmetic on generators whose answer is known."""

import pytest
import torch

from gan_models.errors import RequestError
from gan_models.sampling.latents import mean_latents, row_latents, rows


def test_a_linear_generator_adds_images_as_it_adds_latents() -> None:
    """G(z) = W z: the image of a - b + c is the mean image of a minus that of b plus that of c."""
    torch.manual_seed(0)
    latents, weights = torch.randn(300, 5, dtype=torch.float64), torch.randn(7, 5, dtype=torch.float64)
    images = latents @ weights.T
    probabilities = (20 * images[:, :3]).softmax(dim=1)
    terms = mean_latents(latents, probabilities)
    confidence, classes = probabilities.max(dim=1)
    means = [images[(classes == k) & (confidence >= 0.9)].mean(0) for k in range(3)]
    drawn = row_latents(terms, (0, 1, 2)) @ weights.T
    torch.testing.assert_close(drawn, torch.stack([*means, means[0] - means[1] + means[2]]))


def test_attributes_that_are_directions_of_the_latent_are_carried_over() -> None:
    """King - man + woman: with one axis for each attribute, the result has c's value where a and b agree."""
    king, man, woman = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.0, -1.0])
    assert row_latents({0: king, 1: man, 2: woman}, (0, 1, 2))[3].tolist() == [1.0, -1.0]


def test_only_images_that_the_classifier_is_sure_of_count() -> None:
    latents = torch.tensor([[1.0], [3.0], [100.0], [7.0], [5.0]])
    probabilities = torch.tensor([[0.95, 0.05], [0.9, 0.1], [0.6, 0.4], [0.01, 0.99], [0.0, 1.0]])
    terms = mean_latents(latents, probabilities, least=2)
    assert {number: mean.item() for number, mean in terms.items()} == {0: 2.0, 1: 6.0}
    assert mean_latents(latents, probabilities, least=3) == {}


def test_triples_are_of_three_classes_and_use_all_of_them() -> None:
    classes = {0, 2, 5, 7}
    chosen = rows(classes, 6)
    assert len(set(chosen)) == len(chosen) == 6
    assert all(len(set(triple)) == 3 for triple in chosen)
    for place in range(3):
        assert {triple[place] for triple in rows(classes, 4)} == classes
    with pytest.raises(RequestError, match="show 2"):
        rows({0, 2}, 6)
