"""The truncation curve: what it is measured on, and that nothing else changes by it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from components.evaluate_gan import figures
from components.evaluate_gan.figures import write_truncation
from components.evaluate_gan.findings import TruncationPoint
from components.evaluate_gan.measuring import truncation_curve
from gan_models.metrics.extraction import Extracted
from gan_models.metrics.frechet import frechet_distance
from gan_models.metrics.judge import Material
from gan_models.sampling.generator import Samples


class Drawing:
    """Stands for a generator: writes down what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def sample(self, num: int, **asked: Any) -> Samples:
        self.asked.append({"num": num, **asked})
        return Samples(torch.full((num, 2, 2, 1), 7, dtype=torch.uint8), {})


def extracted(seed: int) -> Extracted:
    stream = torch.Generator().manual_seed(seed)
    return Extracted(torch.randn(40, 3, generator=stream), torch.randn(40, 4, generator=stream))


class Seeing:
    """Stands for a judge."""

    def generated(self, samples: Samples, title: str) -> Extracted:
        return extracted(7)


def material(generator: Drawing) -> Material:
    labels = torch.arange(40) % 4
    samples = Samples(torch.zeros(40, 2, 2, 1, dtype=torch.uint8), {"labels": labels})
    parts: dict[str, Any] = dict.fromkeys(Material._fields)
    parts |= {"samples": samples, "generator": generator}
    parts |= {"generated": extracted(1), "reference": extracted(2)}
    return Material(**parts)


def test_points_go_from_the_generator_as_it_is_to_the_smallest_threshold() -> None:
    generator = Drawing()
    table = material(generator)
    points = truncation_curve(table, Seeing(), (0.5, 2.0, 0.5), 11)  # type: ignore[arg-type]
    assert [point.threshold for point in points] == [None, 2.0, 0.5]
    assert [asked["truncation"] for asked in generator.asked] == [2.0, 0.5]
    for asked in generator.asked:
        assert (asked["num"], asked["seed"]) == (40, 11)
        assert torch.equal(asked["labels"], table.samples.inputs["labels"])
    assert points[0].fd == pytest.approx(frechet_distance(table.generated.gaussian, table.reference.gaussian))
    assert points[1].fd == pytest.approx(frechet_distance(extracted(7).gaussian, table.reference.gaussian))


def test_nothing_is_drawn_unless_it_is_asked_for() -> None:
    generator = Drawing()
    assert truncation_curve(material(generator), Seeing(), (), 11) == []  # type: ignore[arg-type]
    assert generator.asked == []


@pytest.mark.parametrize("scores", [(3.0, 4.0), (None, None)])
def test_the_figure_is_drawn_with_and_without_an_inception_score(
    scores: tuple[float | None, float | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[list[Any], list[Any]]] = []
    plot = figures.Figure.add_subplot

    def remember(figure: Any, *arguments: Any) -> Any:
        axes = plot(figure, *arguments)
        original = axes.plot

        def keep(x: Any, y: Any, *rest: Any, **options: Any) -> Any:
            drawn.append((list(x), list(y)))
            return original(x, y, *rest, **options)

        axes.plot = keep
        return axes

    monkeypatch.setattr(figures.Figure, "add_subplot", remember)
    points = [
        TruncationPoint(threshold=t, fd=f, inception_score=s)
        for t, f, s in zip((None, 0.5), (1.0, 2.0), scores, strict=True)
    ]
    write_truncation(tmp_path / "truncation.png", points)
    expected = ([1.0, 2.0], [3.0, 4.0]) if scores[0] else (["0.5", "none"], [2.0, 1.0])
    assert drawn == [expected]
    assert Image.open(tmp_path / "truncation.png").size[0] > 400
