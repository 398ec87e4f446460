"""Figures compare where their protocols are equal, and what is not equal is named."""

from typing import Any

import pytest

from gan_models.metrics.protocol import Protocol, Reference


def protocol(**changes: Any) -> Protocol:
    reference = {"data": "f" * 64, "source": "folder:cats", "split": "test", "images": 1000}
    extractor = {"name": "classifier", "weights_sha256": "a" * 64, "accuracy": {"test": 0.9}}
    reference |= changes.pop("reference", {})
    extractor |= changes.pop("extractor", {})
    fields = {"samples": 5000, "parameters": {"neighbours": 5, "kid_subsets": 100}, **changes}
    return Protocol(extractor=extractor, reference=Reference(**reference), **fields)


def test_the_digest_outlives_being_written_and_read() -> None:
    ours = protocol()
    assert Protocol.model_validate_json(ours.model_dump_json()) == ours
    assert Protocol.model_validate_json(ours.model_dump_json()).digest == ours.digest
    assert f'"digest":"{ours.digest}"' in ours.model_dump_json()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": 1000}, "samples 5000 and 1000"),
        ({"reference": {"split": "validation"}}, "reference.split test and validation"),
        ({"reference": {"images": 10}}, "reference.images 1000 and 10"),
        ({"reference": {"data": "e" * 64}}, "reference.data ffffffff... and eeeeeeee..."),
        ({"extractor": {"weights_sha256": "b" * 64}}, "extractor.weights_sha256 aaaaaaaa... and bbbbbbbb..."),
        ({"extractor": {"resizer": "bicubic"}}, "extractor.resizer none and bicubic"),
        ({"parameters": {"neighbours": 3, "kid_subsets": 100}}, "parameters.neighbours 5 and 3"),
        ({"definitions": 0}, "definitions 1 and 0"),
    ],
)
def test_what_figures_depend_on_is_in_the_digest_and_named(change: dict[str, Any], words: str) -> None:
    ours, theirs = protocol(), protocol(**change)
    assert ours.digest != theirs.digest
    assert ours.difference(theirs) == words


@pytest.mark.parametrize("change", [{"reference": {"source": "npz:c.npz"}}, {"extractor": {"accuracy": {"test": 1.0}}}])
def test_what_they_do_not_depend_on_is_not(change: dict[str, Any]) -> None:
    assert protocol(**change).digest == protocol().digest
    assert protocol(**change).difference(protocol()) == ""
