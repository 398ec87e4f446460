"""Options that several commands share: they mean the same everywhere."""

from __future__ import annotations

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
