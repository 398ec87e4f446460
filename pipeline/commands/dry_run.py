"""`run --dry-run` and `submit --dry-run`: what a training would take, before anything is prepared or sent."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from components.evaluate_gan.wording import duration
from gan_models.data.sources import parse_source
from gan_models.errors import RequestError
from pipeline.request.plan import Elsewhere, Plan, make_plan
from pipeline.request.request import Request

if TYPE_CHECKING:
    from gan_models.data.shape import DataShape
    from gan_models.training.estimating import Estimate, Images

LONG_HOURS = 12
_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Unseen(Elsewhere):
    """Where images are that nobody has brought yet."""

    def check(self, path: Path, what: str) -> None:
        """Any place will do."""


def dry_run_here(request: Request, as_json: bool) -> int:
    """Says it of this machine; without images, of those that the recipe is made for."""
    try:
        plan = make_plan(request)
    except RequestError as error:
        plan = make_plan(request, Unseen())  # whatever else is wrong is said once more
        images = parse_source(plan.recipe.data.source).path
        if images is None or images.exists():
            raise  # they are there, and no good for this
        return _say(
            plan, as_json, *_meant(plan), here=True, about_data=f"{error}: so these are figures of other images"
        )
    return _say(plan, as_json, *_seen(plan), here=True)


def dry_run_there(plan: Plan, as_json: bool) -> int:
    """Says it of a cluster: of a card of the kind that such have, and of images that the recipe is made for."""
    return _say(plan, as_json, *_meant(plan), here=False)


def _say(plan: Plan, as_json: bool, shape: DataShape, images: Images, *, here: bool, about_data: str = "") -> int:
    import torch

    from gan_models.training.estimating import estimate

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(plan.recipe.training.threads or torch.get_num_threads())
    found = estimate(plan.recipe, shape, device, images, here=here)
    found = dataclasses.replace(found, note="; ".join(filter(None, (found.note, about_data))))
    if as_json:
        typer.echo(
            json.dumps({"recipe": plan.recipe.name, "source": plan.recipe.data.source, **dataclasses.asdict(found)})
        )
        return 0
    for name, text in _lines(plan, found, shape):
        typer.echo(f"{name:<15} {text}")
    return 0


def _seen(plan: Plan) -> tuple[DataShape, Images]:
    """Of the source that lies here, from a quick look."""
    from gan_models.data.preparing.inspection import inspect
    from gan_models.data.shape import CHANNELS
    from gan_models.games.counting import made_for_shape
    from gan_models.training.estimating import Images

    data = plan.recipe.data
    found = inspect(data.source, data)
    channels = CHANNELS[found.channels]
    shape = made_for_shape(plan.recipe)._replace(
        image=(channels, *data.size), classes=len(found.classes), domains=len(found.domains)
    )
    held_out = round(found.images * (data.validation + data.test))
    return shape, Images(found.images - held_out, held_out)


def _meant(plan: Plan) -> tuple[DataShape, Images]:
    """Of images that the recipe is made for: a cluster's lie where they cannot be seen from here."""
    from gan_models.games.counting import made_for_shape
    from gan_models.training.estimating import Images

    return made_for_shape(plan.recipe), Images()


def _lines(plan: Plan, found: Estimate, shape: DataShape) -> Iterator[tuple[str, str]]:
    recipe, training = plan.recipe, plan.recipe.training
    yield "recipe", f"{recipe.name} on {recipe.data.source}, seed {plan.seed}"
    yield "device", found.device
    for player, networks in found.parameters.items():
        each = ", ".join(f"{name} {count:,}" for name, count in networks.items()) if len(networks) > 1 else ""
        yield player, f"{sum(networks.values()):,} parameters{f' ({each})' if each else ''}"
    channels, height, width = shape.image
    yield (
        "a step",
        f"{found.real_images} real and {found.generated_images} generated images of {channels}x{height}x{width} "
        f"({short(found.batch_bytes)}B a batch), {short(found.operations)}FLOP",
    )
    real = f", {short(found.measured_memory)}B in a real step" if found.measured_memory else ""
    yield "memory", f"{short(found.memory)}B by estimate ({short(found.activations)}B for backward passes){real}"
    how = "in real steps" if found.measured else f"by its operations at {short(found.rate)}FLOP/s"
    each_step = f"{found.step_seconds * 1e3:.3g} ms" if found.step_seconds < 1 else duration(found.step_seconds)
    yield "time", f"{each_step} a step {how}, {duration(found.seconds)} for {training.steps:,}"
    yield (
        "evaluation",
        f"{found.evaluation_images:,} images looked at, about {duration(found.evaluation_seconds)}, "
        f"{100 * found.evaluation_share:.1f} % of the time",
    )
    yield "disk", f"{short(found.disk)}B of checkpoints, kept generators and images"
    for sentence in (found.note, plan.doubt):
        if sentence:
            yield "note", sentence
    if found.seconds > LONG_HOURS * 3600:
        yield (
            "note",
            f"this is more than {LONG_HOURS} hours: whenever it is stopped, the same command goes on from there",
        )


def short(number: float) -> str:
    """Three digits and the unit's prefix.

    >>> short(1234567), short(12), short(4.05e9)
    ('1.23 M', '12 ', '4.05 G')
    """
    for size, prefix in _UNITS:
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return f"{number:.3g} "
