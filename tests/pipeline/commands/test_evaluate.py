"""`gan-pipeline evaluate`: what it prints, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from gan_models.metrics.protocols import PROTOCOLS


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_PIPELINE_CACHE", str(tmp_path_factory.getbasetemp() / "evaluate-cache"))


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of 120 digits, and an archive of 400 others with their classes."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.images))
    images = (data.images * (255 / 16)).round().astype(np.uint8)[order]
    folder = tmp_path / "samples"
    folder.mkdir()
    for number, image in enumerate(images[:120]):
        Image.fromarray(image).save(folder / f"{number}.png")
    np.savez(tmp_path / "data.npz", images=images[200:600], labels=data.target[order][200:600])
    return folder, tmp_path / "data.npz"


def test_a_table_of_eighty_columns_and_one_line_of_json(ask: Callable, sets: tuple[Path, Path], tmp_path: Path) -> None:
    answer = ask("evaluate", "samples", "--against", "data.npz", "--report", "page.html", "--metrics", "FID,recall")
    assert answer.code == 0, answer.err
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "FD-classifier" in answer.out
    assert "samples: 120 images against 400 of data.npz" in " ".join(answer.out.split())
    page = (tmp_path / "page.html").read_text()
    assert "FD-classifier" in page
    assert page.count("data:image/png;base64,") == 2

    answer = ask("evaluate", "samples", "--against", "data.npz", "--metrics", "FD,recall", "--json")
    *_, line = answer.out.splitlines()
    found = json.loads(line)
    assert set(found) == {"protocol", "metrics", "notes"}
    assert len(found["protocol"]["digest"]) == 12
    assert list(found["metrics"]) == ["FD-classifier", "recall-classifier"]
    figure = found["metrics"]["FD-classifier"]
    assert figure["interval"][0] < figure["value"] < figure["interval"][1]
    assert figure["n"] == 120
    assert figure["real"] > 0
    again = ask("evaluate", "samples", "--against", "data.npz", "--metrics", "FD,recall", "--json", "--samples", "60")
    fewer = json.loads(again.out.splitlines()[-1])
    assert fewer["metrics"]["FD-classifier"]["n"] == 60
    assert fewer["protocol"]["digest"] != found["protocol"]["digest"]


REFUSED = {
    "nothing there": (["nowhere/images"], "there is nothing at"),
    "metric": (["samples", "--metrics", "FDI"], "unknown metric 'FDI': did you mean 'FD'"),
    "no metric": (["samples", "--metrics", ","], "names no metric"),
    "protocol": (["samples", "--protocol", "style-gan"], "did you mean 'stylegan'"),
    "extractor": (["samples", "--extractor", "dino"], "did you mean 'dinov2'"),
    "page": (["samples", "--report", "page.pdf"], "the page's name ends in .html"),
    "place of the page": (["samples", "--report", "no/where/page.html"], "is not a folder that can be written"),
    "one sample": (["samples", "--samples", "1"], "at least 2 images"),
    "weights that are not there": (
        ["samples", "--protocol", "stylegan", "--weights", "w.pth"],
        "--weights: there is no file w.pth",
    ),
    "weights that nobody has": (["samples", "--protocol", "dgm-eval"], "pass --weights PATH"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_one_sentence(ask: Callable, sets: tuple[Path, Path], case: str) -> None:
    arguments, words = REFUSED[case]
    answer = ask("evaluate", *arguments, "--against", "data.npz")
    assert answer.code == 2
    assert words in answer.sentence
    assert answer.out == ""


def test_help_names_every_protocol(ask: Callable) -> None:
    text = ask("evaluate", "--help").out
    assert all(name in text for name in PROTOCOLS)
