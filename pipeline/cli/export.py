"""`gan-pipeline export`: a generator in a form that others can load, with a model card."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from gan_models.errors import RequestError
from pipeline.cli.options import JsonOption
from pipeline.cli.sample import generator_folder


def export(
    folder: Annotated[Path, Argument(metavar="DIR", help="A generator folder, or a run's work directory.")],
    out: Annotated[Path, Option("--out", "-o", metavar="FOLDER", help="A new folder for the files and their card.")],
    forms: Annotated[
        list[str] | None,
        Option(
            "--format",
            metavar="safetensors|pt2|onnx",
            help="Plain weights, a program of torch.export, or ONNX; give it again for several. [default: safetensors]",
        ),
    ] = None,
    license_: Annotated[
        str, Option("--license", metavar="ID", help="What the card says, as the Hub spells it: apache-2.0, cc-by-4.0.")
    ] = "other",
    as_json: JsonOption = False,
) -> int:
    """Write a trained generator for others. As weights or a program, checked, with a model card for the Hub."""
    if not license_.strip() or len(license_.split()) > 1:
        raise RequestError(f"--license {license_!r}: expected a short name such as apache-2.0, cc-by-4.0 or other")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise RequestError(f"--out {out}: {out.parent.absolute()} is not a folder that can be written")
    folder = generator_folder(folder)
    chosen = list(dict.fromkeys(forms or ["safetensors"]))

    from components.artifacts import Figures
    from gan_models.sampling.generator import load_generator
    from gan_models.sampling.handing_over import hand_over

    figures = Figures.read(folder).metrics if (folder / Figures.FILE).is_file() else {}
    generator = load_generator(folder)
    files = hand_over(generator, out, chosen, figures=figures, license_=license_.strip())
    typer.echo(f"{out}: {generator.info.called} as {', '.join(chosen)}; {len(files)} files, README.md first", err=True)
    if as_json:
        info = generator.info
        about = {"generator": str(folder), "recipe": info.recipe_name, "step": info.step}
        typer.echo(json.dumps({**about, "formats": chosen, "folder": str(out), "files": files}, ensure_ascii=False))
    return 0
