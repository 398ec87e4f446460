"""Whether a built-in recipe is still what it was made for, and which preset of its system fits better where not."""

from __future__ import annotations

import math
from typing import NamedTuple

from gan_models.data.shape import CHANNELS, COLOURS, Size
from gan_models.recipes.loading import load_recipe, preset_names
from gan_models.recipes.schema import Recipe


class Kind(NamedTuple):
    """Of images, as far as it is known; None or 0 where it is not."""

    size: Size
    channels: int | None = None
    classes: int = 0

    def __str__(self) -> str:
        colour = f" {COLOURS[self.channels]}" if self.channels in COLOURS else ""
        classes = f" of {self.classes} classes" if self.classes else ""
        return f"{self.size.across}{colour}{classes}"

    def far_from(self, other: Kind) -> float:
        """How much else another kind is: sizes and numbers of classes by their ratios."""
        channels = self.channels is not None and other.channels is not None and self.channels != other.channels
        classes = abs(math.log10(self.classes / other.classes)) if self.classes and other.classes else 0.0
        sides = sum(abs(math.log2(one / two)) for one, two in zip(self.size, other.size, strict=True)) / 2
        return sides + channels + classes


def doubt_of_fit(recipe: Recipe, channels: int | None = None, classes: int = 0) -> str:
    """A sentence where a run leaves what its preset was made for, with the preset that fits; "" where there is none.

    Of a small preset nothing is said unless another one is nearer: trying it on something else is what it is for.

    Args:
        recipe: of the run, its settings changed or not.
        channels: of the run's images, where that is known.
        classes: likewise; 0 where it is not known or there are none.
    """
    if recipe.name not in preset_names():
        return ""
    labelled = "labels" in recipe.needs
    here = Kind(recipe.data.size, channels or CHANNELS.get(recipe.data.channels), classes * labelled)
    meant = made_for(load_recipe(recipe.name))
    away = here.far_from(meant)
    if not away:
        return ""
    told = f"recipe {recipe.name} is made for {meant}, and this is {here}"
    system = recipe.name.partition("/")[0]
    others = [name for name in preset_names() if name.partition("/")[0] == system and name != recipe.name]
    near = {name: here.far_from(made_for(load_recipe(name))) for name in others}
    best = min(near, key=near.__getitem__, default="")
    if best and near[best] < away:
        fitting = load_recipe(best)
        data = f"{fitting.made_for.data}, " if fitting.made_for else ""
        return f"{told}: {best} ({data}{made_for(fitting)}) is nearer"
    if recipe.name == system:
        return ""
    return f"{told}: no preset of {system} is nearer, and no figure of a paper holds for it"


def made_for(preset: Recipe) -> Kind:
    """What a preset was made for."""
    kind = preset.made_for
    labelled = "labels" in preset.needs
    return Kind(preset.data.size, kind.channels if kind else None, kind.classes if kind and labelled else 0)
