"""Toy data sets: what they say of an image is what the image shows, and equal requests make equal tables."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gan_models.data.captions import Vocabulary
from gan_models.data.decoding import Target
from gan_models.data.digit_styles import INKS, NAVY, YELLOW, thickened
from gan_models.data.preparing.inspection import inspect
from gan_models.data.shape import Size
from gan_models.data.sources import parse_source, toy_images
from gan_models.data.sources.embedded import open_mnist_5k
from gan_models.data.sources.toy_catalogue import TOYS
from gan_models.data.sources.toy_images import DIGIT_WORDS, ToySource, counterparts, open_toy
from gan_models.data.toy import GRID, RING, Mixture

Prepare = Callable[..., Any]


@pytest.fixture(scope="module")
def mnist() -> tuple[np.ndarray, np.ndarray]:
    digits = open_mnist_5k()
    return digits.images, digits.labels


@pytest.mark.parametrize("name", TOYS)
def test_every_toy_imports(prepare: Prepare, name: str) -> None:
    result, table = prepare(f"toy:{name}", size=16, max_images=300, validation=0.1)
    source = parse_source(f"toy:{name}").open()
    assert isinstance(source, ToySource)
    assert source.total == (20_000 if name == "stacked-mnist" else 5_000)
    assert (result.images + result.duplicates, result.bad, result.leaks) == (300, 0, 0)
    assert result.channels == (1 if name in ("ring", "grid") else 3)
    assert table.metadata.class_names == source.class_names
    assert table.metadata.domain_names == TOYS[name].domains
    assert bool(table.metadata.words) == TOYS[name].captions
    split, vocabulary = table.split("train"), Vocabulary(table.metadata.words)
    rows = [int(path.rpartition("/")[2]) for path in split.paths]
    assert split.labels is not None
    assert split.labels.tolist() == [source.label(row) for row in rows]
    if split.domains is not None:
        names = [table.metadata.domain_names[domain] for domain in split.domains.tolist()]
        assert names == [source.domain(row) for row in rows]
    if split.captions is not None:
        texts = [vocabulary.decode(numbers) for numbers in split.captions.tolist()]
        assert texts == [source.caption(row) for row in rows]
    assert prepare(f"toy:{name}", size=16, max_images=300, validation=0.1)[0].fingerprint == result.fingerprint


@pytest.mark.parametrize("name", TOYS)
def test_looking_at_a_toy(name: str) -> None:
    found = inspect(f"toy:{name}")
    assert tuple(found.domains) == TOYS[name].domains
    assert found.captions == TOYS[name].captions
    assert not found.problems


@pytest.mark.parametrize("mixture", [RING, GRID], ids=lambda mixture: mixture.name)
def test_the_brightest_place_is_the_point(mixture: Mixture) -> None:
    source = open_toy(mixture.name)
    reach = 1.25 * max(max(map(abs, centre)) for centre in mixture.centres)
    for row in range(0, 5_000, 250):
        light = np.asarray(source.draw(row), np.float64)
        mean = np.array([(light.sum(0) * np.arange(64)).sum(), (light.sum(1) * np.arange(64)).sum()]) / light.sum()
        point = ((mean + 0.5) / 32 - 1.0) * reach
        mode, distance = mixture.nearest(point[None])
        assert mode[0] == source.label(row)
        assert distance[0] < 4.5


def test_stacked_digits_are_real_ones_in_order(mnist: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = mnist
    source = open_toy("stacked-mnist")
    known = {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    for row in range(0, 20_000, 400):
        pixels = np.asarray(source.draw(row))
        digits = [known[np.ascontiguousarray(pixels[..., channel]).tobytes()] for channel in range(3)]
        assert source.caption(row) == " ".join(map(str, digits))
        assert source.class_names[source.label(row)] == "".join(map(str, digits))
    assert len({source.label(row) for row in range(20_000)}) == 1000


def test_shapes_come_in_every_combination_equally_often() -> None:
    counts = Counter(toy_images.factors_of(row) for row in range(5_000))
    assert len(counts) == 200
    assert set(counts.values()) == {25}
    assert toy_images.Factors("star", "red", "small", "on the left").caption == "a small red star on the left"


def test_shapes_are_what_their_captions_say() -> None:
    source = open_toy("shapes")
    areas: dict[tuple[str, str], float] = {}
    for row in range(200):
        factors = toy_images.factors_of(row)
        pixels = np.asarray(source.draw(row)).astype(np.int64)
        ground = pixels[0, 0]
        inside = np.abs(pixels - ground).sum(2) > 60
        edges = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
        assert not edges.any()
        mean = pixels[inside].mean(0)
        nearest = min(toy_images.COLOURS, key=lambda name: float(np.abs(mean - toy_images.COLOURS[name]).sum()))
        assert nearest == factors.colour
        rows, columns = np.nonzero(inside)
        centre = ((columns.min() + columns.max()) / 256, (rows.min() + rows.max()) / 256)
        place = min(toy_images.PLACES, key=lambda name: float(np.hypot(*np.subtract(centre, toy_images.PLACES[name]))))
        assert place == factors.place
        areas.setdefault((factors.shape, factors.size), float(inside.mean()))
    for shape in toy_images.SHAPES:
        assert areas[shape, "large"] > 2 * areas[shape, "small"]


@pytest.mark.parametrize("shape", toy_images.SHAPES)
def test_shapes_have_the_area_of_their_outline(shape: str) -> None:
    """Shares of the unit circle's square, in closed form."""
    known = {
        "circle": np.pi,
        "square": 2.0,
        "triangle": 3 * 3**0.5 / 4,
        "cross": 2.0,
        "star": 5 * 0.4 * np.sin(np.pi / 5),
    }
    outline = np.array(toy_images._corners(shape, 0.3))
    x, y = outline.T
    area = 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    assert area == pytest.approx(known[shape], rel=2e-3)


def test_a_shape_in_another_colour_is_the_same_shape() -> None:
    source = open_toy("shapes")
    red = next(row for row in range(200) if toy_images.factors_of(row).colour == "red")
    one, other = (np.asarray(source.draw(red, colour)).astype(int) for colour in ("red", "blue"))
    ground = one[0, 0]
    assert np.array_equal((one != ground).any(2), (other != ground).any(2))
    assert other[..., 2].max() > 200 > other[..., 0].max()


def test_coloured_digits_keep_their_strokes(mnist: tuple[np.ndarray, np.ndarray]) -> None:
    source = open_toy("coloured-digits")
    for row in range(0, 5_000, 97):
        pixels = np.asarray(source.draw(row))
        assert np.array_equal(pixels.max(2), mnist[0][row])
        ink = source.domain(row)
        assert pixels.reshape(-1, 3)[mnist[0][row].argmax()].tolist() == pytest.approx(INKS[str(ink)], abs=3)
        assert source.caption(row) == f"a {ink} {DIGIT_WORDS[mnist[1][row]]}"
    by_domain = Counter((source.domain(row), source.label(row)) for row in range(5_000))
    assert set(by_domain.values()) <= {166, 167}


def test_thick_strokes_against_the_double_loop() -> None:
    digits = np.random.default_rng(0).integers(0, 256, (2, 5, 4), np.uint8)
    thick = thickened(digits)
    for number, y, x in np.ndindex(digits.shape):
        near = [(y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [digits[number, a, b] for a, b in near if 0 <= a < 5 and 0 <= b < 4]
        assert thick[number, y, x] == max(inside)


def test_inverted_digits_have_known_counterparts(mnist: tuple[np.ndarray, np.ndarray]) -> None:
    source = open_toy("inverted-digits")
    assert [source.domain(row) for row in (0, 1)] == ["inverted", "plain"]
    dark = np.asarray(source.draw(0))
    assert dark[0, 0].tolist() == list(YELLOW)
    assert dark.reshape(-1, 3)[mnist[0][0].argmax()].tolist() == pytest.approx(NAVY, abs=3)
    target = Target(Size.square(28), 3)
    paths = ["inverted-digits/0", "inverted-digits/1"]
    assert np.array_equal(counterparts(source, paths, "plain", target)[..., 0], mnist[0][:2])
    assert np.array_equal(counterparts(source, paths, "inverted", target)[0], dark)


def test_counterparts_are_prepared_as_the_table_is(prepare: Prepare) -> None:
    _, table = prepare("toy:inverted-digits", size=20, max_images=64)
    split = table.split("train")
    source = open_toy("inverted-digits")
    assert split.domains is not None
    for domain, name in enumerate(table.metadata.domain_names):
        chosen = (split.domains == domain).nonzero()[:, 0].tolist()
        same = counterparts(source, [split.paths[row] for row in chosen], name, Target(Size.square(20), 3))
        assert np.array_equal(split.images[chosen].numpy(), same)


def test_pictures_do_not_depend_on_the_order_they_are_asked_in() -> None:
    source = open_toy("shapes")
    first = source.draw(7)
    assert [item.tobytes() for batch in source.batches([5, 7], 1) for item in batch.items][1] == first.tobytes()  # type: ignore[union-attr]
