"""Floors: figures that a generator has to reach before it may become the champion. Needs no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gan_models.errors import RequestError, unknown_name
from gan_models.families import FAMILIES
from gan_models.metrics.extractors import EXTRACTORS, named
from gan_models.metrics.scores import METRICS, figure_of

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe

_BOUNDS = {"higher": "at least", "lower": "at most"}


def check_floors(recipe: Recipe, labelled: bool) -> None:
    """Refuses a floor that no generator of the recipe could reach, because its figure is never worked out.

    Args:
        labelled: whether the data has labels.

    Raises:
        RequestError: no such metric, with the nearest right name; one that has neither a least nor a most; one that
            needs what the recipe, its data or its extractor do not have.
    """
    for name, floor in recipe.evaluation.floors.items():
        if floor is None:
            continue
        if name not in METRICS:
            bounded = [known for known, metric in METRICS.items() if metric.better in _BOUNDS]
            raise unknown_name("metric of evaluation.floors", name, bounded)
        place, metric = f"evaluation.floors.{name}={floor:g}", METRICS[name]
        if metric.better not in _BOUNDS:
            raise RequestError(f"{place}: {name} is best {metric.better}, so it has no least and no most: leave it out")
        for need, reason in _absent(recipe, labelled).items():
            if need in metric.needs:
                raise RequestError(f"{place}: {name} is not worked out, because {reason}: leave the floor out")


def _absent(recipe: Recipe, labelled: bool) -> dict[str, str]:
    """Of `gan_models.metrics.metric.Need`, what there will not be, and why, as far as it can be known beforehand."""
    extractor = recipe.evaluation.extractor
    absent = {"generator": "a pipeline judges images"}
    if not recipe.conditional:
        absent["asked"] = f"recipe {recipe.name!r} is not asked for classes"
        if not FAMILIES[recipe.networks.generator.family].game:  # others may make images from real ones of a class
            absent["labels"] = absent["asked"]
    if not {"domains", "attributes"} & recipe.needs:
        absent["domains"] = f"recipe {recipe.name!r} translates nothing"
    if not labelled:
        absent["classes"] = f"{recipe.data.source} has no labels"
    elif extractor != "auto" and not EXTRACTORS[named(extractor)[0]].needs_labels:
        absent["classes"] = f"evaluation.extractor={extractor} does not know the data's classes"
    return absent


def shortfalls(floors: Mapping[str, float | None], figures: Mapping[str, float | None]) -> str:
    """Which floors are not reached, in words that follow "is"; "" where all are. What is not known is not reached.

    Args:
        floors: by metric; None: none.
        figures: by their full names; None: not a number.

    >>> shortfalls({"recall": 0.1, "FD": None}, {"recall-classifier-test-5000": 0.02})
    "short of the recipe's floors (recall-classifier-test-5000 is 0.02, at least 0.1 is asked for)"
    """
    missed = []
    for name, floor in floors.items():
        metric = METRICS.get(name)
        if floor is None:
            continue
        figure = figure_of(name, figures)
        value = figures.get(figure)
        if metric is None or value is None:
            found = f"{name} is not known"
        elif metric.distance(value) > metric.distance(floor):
            found = f"{figure} is {value:.4g}"
        else:
            continue
        missed.append(f"{found}, {_BOUNDS.get(metric.better if metric else '', 'at least')} {floor:g} is asked for")
    return f"short of the recipe's floors ({'; '.join(missed)})" if missed else ""
