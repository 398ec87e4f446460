"""What the report lists of a generator's origin."""

from components.evaluate_gan.provenance import Difference, different_settings
from gan_models.recipes import load_recipe
from gan_models.recipes.loading import parse_recipe
from gan_models.recipes.schema import Evaluation


def test_a_built_in_recipe_as_it_is_differs_in_nothing() -> None:
    recipe = load_recipe("cgan-projection")
    assert different_settings(recipe, recipe.evaluation) == ("the built-in recipe cgan-projection", [])


def test_what_was_set_is_told_beside_what_is_usual() -> None:
    changed = load_recipe(
        "dcgan",
        [
            "training.steps=7",
            "regularizers=[{name: r1, weight: 3}]",
            "networks.discriminator.norm=none",
            "data.source=folder:/my/cats",
        ],
    )
    _, found = different_settings(changed, Evaluation(samples=12))
    usual = load_recipe("dcgan")
    assert Difference("training.steps", "7", str(usual.training.steps)) in found
    assert Difference("evaluation.samples", "12", "5000") in found
    assert Difference("data.source", "folder:/my/cats", "mnist-5k") in found
    assert Difference("regularizers.0.weight", "3.0", "none") in found
    assert not any(one.key.startswith("optimizers") for one in found)


def test_a_recipe_of_ones_own_is_held_against_the_defaults() -> None:
    document = load_recipe("dcgan").model_dump(mode="json") | {"name": "../<mine>"}
    document["training"]["batch_size"] = 16
    beside, found = different_settings(parse_recipe(document, origin="x"), Evaluation())
    assert beside == "the defaults: ../<mine> is no built-in recipe"
    assert Difference("training.batch_size", "16", "64") in found
    assert not any(one.key == "training.steps" for one in found)  # has no default
