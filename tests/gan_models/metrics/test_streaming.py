"""Images that come batch by batch: the figures of all at once, whoever saw which and in whatever order."""

import pickle
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from gan_models.errors import RequestError
from gan_models.metrics.extraction import Extracted, FeatureExtractor
from gan_models.metrics.frechet import Gaussian, frechet_distance
from gan_models.metrics.inception_score import inception_score
from gan_models.metrics.kernel_distance import kernel_distance
from gan_models.metrics.metric import Comparison
from gan_models.metrics.neighbours import neighbourhoods
from gan_models.metrics.scores import score
from gan_models.metrics.streaming import (
    STREAMED,
    Evaluation,
    FrechetDistance,
    InceptionScore,
    KernelDistance,
    Neighbours,
    Rows,
    RunningGaussian,
)

COUNT, SIZE = 2500, 12


def features(seed: int, count: int = COUNT, size: int = SIZE, shift: float = 0.0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)) + shift


REAL, FAKE = features(0), features(1, 2100, shift=0.3)


def shards(rows: Tensor, parts: int, seed: int) -> list[Tensor]:
    """The rows in another order, dealt out unevenly."""
    stream = torch.Generator().manual_seed(seed)
    cuts = torch.randint(1, len(rows), (parts - 1,), generator=stream).sort().values
    return list(torch.tensor_split(rows[torch.randperm(len(rows), generator=stream)], cuts))


def test_a_running_gaussian_is_that_of_all_at_once() -> None:
    running = RunningGaussian()
    for batch in torch.split(REAL, 7):
        running.update(batch)
    whole, found = Gaussian.of(REAL), running.gaussian()
    torch.testing.assert_close(found.mean, whole.mean, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.factor.T @ found.factor, whole.factor.T @ whole.factor, rtol=1e-12, atol=1e-13)
    assert len(running) == COUNT
    assert found.factor.shape == (SIZE, SIZE)  # so much is kept, and no more


def test_far_from_the_origin_no_digits_are_lost() -> None:
    """Features around 10^6: with E x^2 - (E x)^2, 10 of the 16 digits of a variance would be gone."""
    far = features(2).double() + 1e6
    running = RunningGaussian()
    for part in shards(far, 5, seed=0):
        other = RunningGaussian()
        other.update(part)
        running.merge(other)
    expected = far.var(dim=0).sum()
    assert running.gaussian().trace == pytest.approx(float(expected), rel=1e-10)


@pytest.mark.parametrize("parts", [2, 3, 9])
def test_merged_shards_are_one_pass_in_any_order(parts: int) -> None:
    logits = 3 * FAKE
    figures = []
    for seed in range(2):
        distance, inception, kernel, neighbours = (
            [kind() for _ in range(parts)] for kind in (FrechetDistance, InceptionScore, KernelDistance, Neighbours)
        )
        for index, (real, fake) in enumerate(zip(shards(REAL, parts, seed), shards(FAKE, parts, seed), strict=True)):
            for of_both in (distance, kernel, neighbours):
                of_both[index].update(real=real, fake=fake)
            inception[index].update(3 * fake)
        for kind in (distance, inception, kernel, neighbours):
            for other in kind[1:]:
                kind[0].merge(pickle.loads(pickle.dumps(other)))  # as another process sends it
        figures.append([kind[0].compute() for kind in (distance, inception, kernel, neighbours)])
    assert figures[0][0] == pytest.approx(frechet_distance(FAKE, REAL), rel=1e-10)
    assert figures[0][0] == pytest.approx(figures[1][0], rel=1e-10)
    assert figures[0][1:] == figures[1][1:]
    assert figures[0][3] == pytest.approx(neighbourhoods(FAKE, REAL), abs=1e-12)
    # Their splits and subsets are others than those of rows in the order of the files.
    whole = inception_score(logits)
    assert figures[0][1].value == pytest.approx(whole.value, abs=whole.std)
    assert figures[0][2].value == pytest.approx(kernel_distance(FAKE, REAL).value, rel=0.1)
    one_split = InceptionScore(splits=1)
    one_split.update(logits)
    assert one_split.compute().value == pytest.approx(inception_score(logits, splits=1).value, rel=1e-12)


def test_rows_are_in_the_order_of_their_content() -> None:
    one, two = Rows(), Rows()
    for part in shards(REAL, 4, 0):
        one.update(part)
    two.update(REAL)
    assert torch.equal(one.sorted(), two.sorted())
    assert torch.equal(two.sorted().sort(dim=0).values, REAL.sort(dim=0).values)


class Pixels(FeatureExtractor):
    name, batch = "pixels", 100

    def __init__(self) -> None:
        super().__init__({}, "cpu")

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = images.flatten(1).float() / 255
        return features, 20 * features[:, :4]


def images(seed: int, count: int, most: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, most, (count, 2, 2, 3), generator=draw).to(torch.uint8)


def test_an_evaluation_gives_what_score_gives() -> None:
    real, fake = images(0, 400, 256), images(1, 500, 230)
    found = [Evaluation(Pixels(), STREAMED, k=3) for _ in range(3)]
    for index, one in enumerate(found):
        one.update(real=real[index::3])
        one.update(fake=fake[index::3])
    found[2].merge(found[0])
    found[2].merge(found[1])
    figures = found[2].compute()
    sides = [Pixels().features_and_logits(side) for side in (fake, real)]
    expected = score(Comparison(*sides, k=3), STREAMED)
    assert list(figures) == list(expected)
    for name in ("FD", "precision", "recall", "density", "coverage", "MMD-rbf"):
        assert figures[name].value == pytest.approx(expected[name].value, rel=1e-6), name
    for name in ("IS", "KID", "FD-infinity"):
        assert figures[name].value == pytest.approx(expected[name].value, rel=0.1), name


def test_of_the_frechet_distance_alone_no_image_is_kept() -> None:
    evaluation = Evaluation(None, ("FD",))
    for part in torch.split(REAL, 100):
        evaluation.update(real=Extracted(part, None), fake=part + 1.0)
    assert evaluation.compute() == {"FD": (pytest.approx(SIZE * 1.0), None)}
    numbers = len(pickle.dumps(evaluation)) // 8
    assert numbers < 2 * (SIZE * (SIZE + 1) + 1024 * SIZE)


def test_too_few_images_give_no_figures_and_wrong_ones_a_sentence() -> None:
    evaluation = Evaluation(None, ("FD", "KID", "IS"))
    assert evaluation.compute() == {}
    evaluation.update(real=REAL[:10], fake=FAKE[:10])
    assert list(evaluation.compute()) == ["FD"]
    with pytest.raises(ValueError, match="of 3 and 12 dimensions"):
        evaluation.update(real=REAL[:10, :3])
    with pytest.raises(ValueError, match="NaN or Inf"):
        evaluation.update(fake=FAKE[:10] / 0.0)
    with pytest.raises(RequestError, match="did you mean 'precision'"):
        Evaluation(None, ("precisoin",))
    with pytest.raises(ValueError, match="can't be put together"):
        evaluation.merge(Evaluation(None, ("FD",)))
    with pytest.raises(ValueError, match="at least 2 images"):
        FrechetDistance().compute()


def test_they_are_named_by_the_package_and_cost_nothing_until_used() -> None:
    code = (
        "import sys, gan_models.metrics as metrics; assert 'torch' not in sys.modules\n"
        "assert metrics.Evaluation.__module__ == 'gan_models.metrics.streaming'\n"
        "assert set(metrics.__all__) <= set(dir(metrics))\n"
        "try:\n    metrics.Evaluatoin\nexcept AttributeError as error:\n    assert 'Evaluatoin' in str(error)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
