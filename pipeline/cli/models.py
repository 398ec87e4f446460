"""The commands of the model registry. Each imports what it needs when it is called."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument, Option

from pipeline.cli.options import JsonOption, TrackingOption

app = typer.Typer()
models_app = typer.Typer(help="Look at registered generators, and say which is the champion.", rich_markup_mode=None)

ModelName = Annotated[str, Argument(metavar="NAME", help="Of the registered model.")]


@models_app.command("list")
def list_(tracking_uri: TrackingOption = None, as_json: JsonOption = False) -> int:
    """All models with their champions and what these were made from."""
    from pipeline.commands.models import list_command

    return list_command(tracking_uri, as_json)


@models_app.command("show")
def show(model: ModelName, tracking_uri: TrackingOption = None, as_json: JsonOption = False) -> int:
    """The champion's figures and lineage, and all versions with what was decided about them."""
    from pipeline.commands.models import show_command

    return show_command(model, tracking_uri, as_json)


@models_app.command("promote")
def promote(
    model: ModelName,
    version: Annotated[str | None, Option(metavar="N", help="[default: the newest]")] = None,
    tracking_uri: TrackingOption = None,
) -> int:
    """Make a version the champion by hand."""
    from pipeline.commands.models import promote_command

    return promote_command(model, version, tracking_uri)


@models_app.command("rollback")
def rollback(model: ModelName, tracking_uri: TrackingOption = None) -> int:
    """Give the champion's place back to the version that held it before."""
    from pipeline.commands.models import rollback_command

    return rollback_command(model, tracking_uri)


app.add_typer(models_app, name="models")
