"""Options that several commands share: they mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        metavar="NAME|PATH",
        help="A recipe's name (see `recipes`) or YAML file. "
        "[default: cgan-projection where the data has labels, else dcgan]",
        show_default=False,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="SOURCE",
        help="mnist-5k, digits, torchvision:<Class>, toy:<name>, folder:<path>, parquet:<path> or npz:<path>. "
        "[default: mnist-5k]",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override any leaf of the recipe, as in training.steps=500."),
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Decides weights, image order and samples.")]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI",
        help="The MLflow store. [default: MLFLOW_TRACKING_URI, else a SQLite file beside the runs]",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="End standard output with one line of JSON.")]
WorkdirOption = Annotated[
    Path | None,
    typer.Option(
        "--workdir", metavar="DIR", help="Where everything is kept. [default: runs/<name>]", show_default=False
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="How the run is called in MLflow. [default: from the settings]"),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="The registered model whose champion is challenged. [default: recipe and data]",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Train even if neither data nor recipe changed.")]
WarmStartOption = Annotated[bool, typer.Option("--warm-start", help="Start from the champion's weights, if they fit.")]
WebhookOption = Annotated[
    str,
    typer.Option(
        "--webhook-env",
        metavar="VARIABLE",
        help="Environment variable with the address to tell how it ended.",
        show_default=False,
    ),
]
