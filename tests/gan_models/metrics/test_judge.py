"""The judge: which images stand for a split, what is cached, and with which labels a sample is drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gan_models.data.table import ImageTable, MappedSplit, TableMetadata
from gan_models.errors import RequestError
from gan_models.metrics.judge import Judge, proportional_labels, reference_split, representative_order
from gan_models.recipes.schema import Evaluation
from gan_models.sampling.generator import Samples
from tests.gan_models.metrics.conftest import write_table


@pytest.fixture
def judge(table: ImageTable, cache: Path) -> Judge:
    return Judge.for_table(table, Evaluation(), cache=cache)


def test_says_what_it_picked_why_and_how_good_it_is(judge: Judge) -> None:
    assert "judged by classifier: the images are grey and have labels" in judge.sentence()
    assert "% right on test" in judge.sentence()
    assert judge.key("FD") == "FD-classifier"


def test_real_features_are_extracted_once(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    first = judge.real("test", 40)
    monkeypatch.setattr(type(judge.extractor), "features_and_logits", lambda *_: pytest.fail("extracted again"))
    again = judge.real("test", 40)
    assert torch.equal(first.features, again.features)
    assert first.logits is not None
    assert again.logits is not None
    assert torch.equal(first.logits, again.logits)


def test_changed_data_under_the_same_name_are_not_answered_from_the_cache(tmp_path: Path, cache: Path) -> None:
    found = []
    for name, value in (("a", 10), ("b", 200)):
        images = np.full((12, 8, 8, 1), value, np.uint8)
        images[::2] = 255 - value
        labels = [0, 1] * 6
        table = write_table(tmp_path / name, images, labels, ["train"] * 6 + ["test"] * 6, classes=2)
        judge = Judge.for_table(table, Evaluation(), cache=cache)
        found.append(judge.real("test", 6).features)
    assert not torch.allclose(found[0], found[1])


def test_features_belong_to_the_images_and_labels_beside_them(judge: Judge) -> None:
    images, real = judge.real_images("test", 60), judge.real("test", 60)
    torch.testing.assert_close(judge.generated(Samples(images, {})).features, real.features)
    assert real.labels is not None
    assert real.logits is not None
    assert float((real.logits.argmax(1) == real.labels).float().mean()) > 0.9


def test_any_first_rows_are_a_random_sample_and_always_the_same() -> None:
    order = representative_order(1000)
    assert torch.equal(order, representative_order(1000))
    assert torch.equal(order.sort().values, torch.arange(1000))
    assert 400 < float(order[:100].float().mean()) < 600


def metadata(**counts: dict[str, int]) -> TableMetadata:
    return TableMetadata(
        height=8, width=8, channels=1, class_names=("a", "b", "c"), counts=counts, fingerprint="f", source="folder:x",
        options={},
    )  # fmt: skip


def test_labels_are_drawn_as_the_training_images_have_them() -> None:
    data = metadata(train={"a": 60, "b": 30, "c": 10})
    labels = proportional_labels(data, 1000, seed=0)
    for count in (10, 100, 1000):
        assert torch.bincount(labels[:count], minlength=3).tolist() == pytest.approx(
            [0.6 * count, 0.3 * count, 0.1 * count], abs=2
        )
    assert torch.equal(labels[:70], proportional_labels(data, 70, seed=0))
    assert not torch.equal(labels, proportional_labels(data, 1000, seed=1))
    assert len(proportional_labels(data, 7, seed=0)) == 7
    assert len(set(proportional_labels(data, 1000, seed=0)[:50].tolist())) == 3


def test_the_next_best_split_stands_in_for_one_without_images() -> None:
    train = {"a": 5, "b": 5, "c": 5}
    assert reference_split(metadata(train=train, test={"a": 2}), "test") == "test"
    assert reference_split(metadata(train=train, test={"a": 2}), "validation") == "test"
    assert reference_split(metadata(train=train, validation={"a": 3}, test={"a": 1}), "test") == "validation"
    assert reference_split(metadata(train=train), "test") == "train"
    with pytest.raises(RequestError, match="too few images"):
        reference_split(metadata(train={"a": 1}), "test")


def test_a_table_beyond_memory_is_judged_as_any_other(
    table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for room in (2**30, 0):
        monkeypatch.setattr("gan_models.data.table.room_for_data", lambda _, room=room: room)
        judge = Judge.for_table(table, Evaluation(), cache=tmp_path / str(room))
        assert isinstance(judge.split("test"), MappedSplit) == (room == 0)
        found.append((judge.real("test", 100), judge.extractor.describe()["accuracy"]))
    (loaded, right), (mapped, right_of_mapped) = found
    assert torch.equal(loaded.features, mapped.features)
    assert right == right_of_mapped
