"""The table of presets in docs/recipes.md, from the recipes and what their networks count: `python docs/presets.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from gan_models.recipes import Recipe, counted_parameters, load_recipe, preset_names
from gan_models.recipes.schema import Optimizer
from gan_models.schedules import ByResolution, ByShare, Ramp, Schedule, Scheduled

HEADING = (
    "| preset | made for | G, counted | D, counted | published G, D | steps | batch | rates G, D | D steps | figure |"
)


def table() -> str:
    """A row for each preset, the small ones too."""
    return "\n".join([HEADING, "| --- | --- | ---: | ---: | --- | ---: | ---: | --- | ---: | --- |", *_rows()])


def _rows() -> Iterator[str]:
    for name in preset_names():
        recipe = load_recipe(name)
        counted = counted_parameters()[name]
        made_for, game, training = recipe.made_for, recipe.game, recipe.training
        assert made_for is not None
        cells = [
            f"`{name}`",
            f"{made_for.data}, {recipe.data.size.across}",
            f"{counted['generator']:,}",
            f"{counted['discriminator']:,}",
            _published(recipe, counted),
            f"{training.steps:,}",
            _setting(training.batch_size) + (f" in {training.accumulate} parts" if training.accumulate > 1 else ""),
            _rates(recipe),
            "none" if _alone(recipe) else str(game.discriminator_steps),
            made_for.figure,
        ]
        yield f"| {' | '.join(cells)} |"


def _published(recipe: Recipe, counted: dict[str, int]) -> str:
    """What somebody else counted, with the difference, or to which digit it was rounded."""
    published = recipe.made_for.parameters if recipe.made_for else None
    if published is None:
        return ""
    numbers = []
    for player, said in (("generator", published.generator), ("discriminator", published.discriminator)):
        count = counted[player]
        numbers.append(f"{said:,} (difference {count - said:,})" if isinstance(said, int) else f"{said} (rounded)")
    return f"{', '.join(numbers)}: {published.source}"


def _rates(recipe: Recipe) -> str:
    generator, discriminator = (_rate(each) for each in (recipe.optimizers.generator, recipe.optimizers.discriminator))
    both = generator if generator == discriminator or _alone(recipe) else f"{generator}, {discriminator}"
    decay = recipe.optimizers.decay_from
    return both + (f", to 0 from {decay:.0%} of the steps" if decay < 1 else "")


def _alone(recipe: Recipe) -> bool:
    """Whether there is no discriminator."""
    return recipe.networks.discriminator.family == "none"


def _rate(optimizer: Optimizer) -> str:
    return _setting(optimizer.lr)


def _setting(setting: Scheduled) -> str:
    if isinstance(setting, ByResolution):
        return ", ".join(f"{value:g} from {size} px" for size, value in setting.by_resolution.items())
    if isinstance(setting, ByShare):
        return ", ".join(f"{value:g} from {share:.0%}" for share, value in sorted(setting.by_share.items()))
    if isinstance(setting, Ramp):
        first, last = setting.values
        return f"{first:g} to {last:g} ({type(setting).__name__.lower()})"
    return str(setting) if isinstance(setting, Schedule) else f"{setting:g}"


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
