"""Floors: which can be asked for, and who falls short of them."""

import json
from pathlib import Path

import pytest

from gan_models.errors import RequestError
from gan_models.metrics.floors import check_floors, shortfalls
from gan_models.recipes import load_recipe

ZOO = Path(__file__).parents[3] / "benchmarks" / "zoo.jsonl"
FIGURES = {
    "FD-gap-classifier": 90.0,
    "FD-classifier": 4.0,
    "IS-classifier-std": 9.0,
    "IS-classifier": 2.0,
    "recall-classifier": 0.25,
}


@pytest.mark.parametrize(
    ("floors", "words"),
    [
        ({"recall": 0.25}, ""),
        ({"recall": None, "coverage": None}, ""),
        ({"recall": 0.3}, "recall-classifier is 0.25, at least 0.3 is asked for"),
        ({"FD": 4.0}, ""),
        ({"FD": 3.5}, "FD-classifier is 4, at most 3.5 is asked for"),
        ({"IS": 3.0}, "IS-classifier is 2, at least 3 is asked for"),
        ({"coverage": 0.1}, "coverage is not known, at least 0.1 is asked for"),
        ({"gone": 0.1}, "gone is not known, at least 0.1 is asked for"),
        ({"recall": 0.3, "FD": 1.0}, "0.3 is asked for; FD-classifier is 4"),
    ],
)
def test_who_is_short_is_told_figure_value_and_floor(floors: dict[str, float | None], words: str) -> None:
    found = shortfalls(floors, FIGURES)
    assert found.startswith("short of the recipe's floors (") if words else not found
    assert words in found


def test_an_fid_is_held_to_the_floor_of_fd() -> None:
    assert "FID-inception-2015-test-100 is 40" in shortfalls({"FD": 30.0}, {"FID-inception-2015-test-100": 40.0})


def test_what_is_no_number_is_not_reached() -> None:
    assert "recall is not known" in shortfalls({"recall": 0.1}, {"recall-classifier": None})


@pytest.mark.parametrize(
    ("recipe", "floors", "words"),
    [
        ("dcgan", "{recal: 0.1}", "unknown metric of evaluation.floors 'recal': did you mean 'recall'?"),
        ("dcgan", "{FD-gap: 1}", "FD-gap is best near 0, so it has no least and no most"),
        ("dcgan", "{agreement: 0.9}", "recipe 'dcgan' is not asked for classes: leave the floor out"),
        ("dcgan", "{intra-FD: 9}", "recipe 'dcgan' is not asked for classes"),
        ("dcgan", "{FD-within-domains: 9}", "recipe 'dcgan' translates nothing"),
        ("dcgan", "{smallest-class: 0.01}", "mnist-5k has no labels"),
        ("cgan-projection", "{recall: 0.2, FD: 40, agreement: null, recal: null}", ""),
        ("cyclegan", "{FD-within-domains: 9}", ""),
    ],
)
def test_a_floor_that_nothing_could_reach_is_refused(recipe: str, floors: str, words: str) -> None:
    made = load_recipe(recipe, [f"evaluation.floors={floors}"])
    if not words:
        return check_floors(made, labelled=False)
    with pytest.raises(RequestError) as refused:
        check_floors(made, labelled=False)
    assert words in str(refused.value)
    return None


@pytest.mark.parametrize("floor", ["confidence", "smallest-class", "agreement"])
def test_an_extractor_of_other_classes_has_no_figure_of_the_datas(floor: str) -> None:
    overrides = [f"evaluation.floors.{floor}=0.01", "evaluation.extractor=efficientnet-lite0"]
    check_floors(load_recipe("cgan-projection", overrides[:1]), labelled=True)
    with pytest.raises(RequestError, match="efficientnet-lite0 does not know the data's classes"):
        check_floors(load_recipe("cgan-projection", overrides), labelled=True)


def test_floors_that_are_not_said_are_the_usual_ones() -> None:
    usual = load_recipe("dcgan").evaluation.floors
    assert usual == {"recall": 0.1, "coverage": 0.3}
    raised = load_recipe("dcgan", ["evaluation.floors.recall=0.5"]).evaluation.floors
    assert raised == {"recall": 0.5, "coverage": 0.3}
    lifted = load_recipe("dcgan", ["evaluation.floors={recall: null, FD: 9}"])
    assert lifted.evaluation.floors == {"recall": None, "coverage": 0.3, "FD": 9.0}
    assert lifted.model_validate(lifted.model_dump(mode="json")) == lifted


@pytest.mark.parametrize("value", ["much", ".nan", ".inf"])
def test_a_floor_is_a_number(value: str) -> None:
    with pytest.raises(RequestError, match=r"evaluation\.floors\.recall"):
        load_recipe("dcgan", [f"evaluation.floors.recall={value}"])


def test_the_usual_floors_are_below_what_the_built_in_recipes_reach() -> None:
    measured = [json.loads(line) for line in ZOO.read_text(encoding="utf-8").splitlines()]
    assert measured
    for run in measured:
        assert not shortfalls(load_recipe(run["recipe"]).evaluation.floors, run["headline"]), run["recipe"]
