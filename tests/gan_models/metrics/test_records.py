"""The lists of metrics and extractors: whoever names one is held to the records."""

import math
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch

from gan_models.metrics.extraction import Extracted
from gan_models.metrics.extractors import EXTRACTORS
from gan_models.metrics.metric import Better, Comparison, Metric
from gan_models.metrics.protocols import PROTOCOLS
from gan_models.metrics.scores import METRICS, chosen_by, score
from gan_models.recipes import schema
from gan_models.recipes.schema import Extractor

PAGE = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of the page."""
    lines = PAGE[PAGE.index(f"\n## {heading}") :].split("\n\n")
    rows = next(block for block in lines if block.startswith("|")).splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_page_has_every_metric_with_its_direction() -> None:
    named = {name: f"{name} / {metric.published}" if metric.published else name for name, metric in METRICS.items()}
    expected = [(named[name], metric.better) for name, metric in METRICS.items()]
    assert [(name, better) for name, better, _ in table("Metrics")] == expected


def test_the_page_has_every_protocol_with_what_it_fixes() -> None:
    text = PAGE[PAGE.index("| protocol |") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()[2:]]
    assert [row[0].strip("`") for row in rows] == list(PROTOCOLS)
    for (_, _, features, _, reference, samples, figures), named in zip(rows, PROTOCOLS.values(), strict=True):
        assert named.extractor == "auto" or features == f"`{named.extractor}`"
        assert named.reference in reference
        assert named.samples is None or f"{named.samples:,}" == samples
        assert named.references is None or reference.startswith(f"{named.references:,} of")
        assert tuple(figures.split(", ")) == (named.metrics or ("all",))


def test_the_page_and_the_recipes_have_every_extractor() -> None:
    named = [name.strip("`") for cell, *_ in table("Extractors") for name in cell.split(", ")]
    assert named == list(EXTRACTORS)
    assert tuple(name for name, extractor in EXTRACTORS.items() if extractor.takes_file) == schema._FILES
    assert get_args(Extractor) == ("auto", *EXTRACTORS)


def test_names_and_directions_need_no_pytorch() -> None:
    code = (
        "import sys; from gan_models.metrics.choice import check_evaluation; from gan_models.metrics.scores import "
        "METRICS; assert all(metric.title for metric in METRICS.values()); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("better", "worst_to_best"),
    [("lower", (3, -1)), ("higher", (-1, 3)), ("near 0", (-2, 1, 0)), ("near 1", (3, 0.5, 1))],
)
def test_any_direction_can_be_chosen_by(better: Better, worst_to_best: tuple[float, ...]) -> None:
    metric = Metric("", better, lambda seen: 0.0)
    distances = [metric.distance(value) for value in worst_to_best]
    assert distances == sorted(distances, reverse=True)


def comparison(count: int = 40) -> Comparison:
    stream = torch.Generator().manual_seed(0)
    sides = [Extracted(torch.randn(count, 3, generator=stream), torch.randn(count, 4, generator=stream)) for _ in "ab"]
    return Comparison(*sides)


def test_a_metric_has_no_figure_without_what_it_needs_or_of_too_few_images() -> None:
    def value(seen: Comparison) -> float:
        return float(len(seen.sample))

    assert Metric("", "lower", value).of(comparison()) == (40.0, None)
    assert Metric("", "lower", value, needs=("labels",)).of(comparison()) is None
    assert Metric("", "lower", value, least=41).of(comparison()) is None
    assert Metric("", "lower", value, least=40).of(comparison()) == (40.0, None)
    for nothing in (None, math.nan, math.inf):
        assert Metric("", "lower", lambda seen, nothing=nothing: nothing).of(comparison()) is None
    assert "confidence" not in score(comparison())  # logits of somebody else's classes


def test_neighbourhoods_are_searched_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_models.metrics import neighbours

    calls = []
    search = neighbours.neighbourhoods
    monkeypatch.setattr(neighbours, "neighbourhoods", lambda *sides, k: calls.append(k) or search(*sides, k=k))
    assert {"precision", "recall", "density", "coverage"} <= set(score(comparison()))
    assert calls == [5]


def test_translators_are_chosen_within_domains_and_others_over_all() -> None:
    domains = torch.arange(40) % 2
    seen = comparison()
    assert chosen_by(seen) == "FD"
    assert chosen_by(Comparison(seen.sample, seen.reference, domains=(domains, domains))) == "FD-within-domains"


def test_rows_of_images_keep_what_is_known_of_them_together() -> None:
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1)
    seen = Extracted(torch.arange(6.0)[:, None], None, torch.arange(6), lambda: images)
    for some, expected in ((seen.part(1, 3), [1, 2]), (seen.rows(torch.tensor([5, 5, 0])), [5, 5, 0])):
        assert some.features[:, 0].tolist() == expected
        assert some.labels is not None
        assert some.labels.tolist() == some.images.flatten().tolist() == expected
    assert seen.part(0, 9) is seen
