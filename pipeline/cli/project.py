"""`gan-pipeline project`: the style whose picture is nearest to an image."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from gan_models.errors import RequestError
from pipeline.cli.options import JsonOption
from pipeline.cli.sample import generator_folder, read_images

if TYPE_CHECKING:
    from gan_models.sampling.generator import LoadedGenerator
    from gan_models.sampling.projecting import Distance, Projection

MAX_STEPS = 100_000
_FPS, _FRAMES = 25, 100
_PIXELS = 128  # a side of the picture, at least


def project(
    folder: Annotated[Path, Argument(metavar="DIR", help="A generator folder, or a run's work directory.")],
    image: Annotated[Path, Argument(metavar="IMAGE", help="What to find; prepared as the training images were.")],
    out: Annotated[
        Path, Option("--out", "-o", metavar="FOLDER", help="For the style, its picture and the noise.")
    ] = Path("projection"),
    steps: Annotated[int, Option(metavar="N", help="Of the search; the paper's 1,000.")] = 1000,
    label: Annotated[
        str | None, Option(metavar="CLASS", help="By name or number, to begin with. [default: the mean of all]")
    ] = None,
    seed: Annotated[int, Option(metavar="N", help="Decides the noise.")] = 0,
    lpips: Annotated[
        tuple[Path, Path] | None,
        Option(
            metavar="VGG HEADS",
            help="Files of VGG16's weights and of LPIPS', the paper's distance. [default: EfficientNet-Lite0's "
            "features where it is installed, and pixels]",
        ),
    ] = None,
    video: Annotated[Path | None, Option(metavar="FILE", help="The search as a GIF or MP4.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Find an image among those a generator can make. The style, its picture, and a video."""
    from pipeline.request.request import MAX_SEED

    if not 1 <= steps <= MAX_STEPS:
        raise RequestError(f"--steps {steps}: expected a whole number from 1 to {MAX_STEPS}")
    if not 0 <= seed <= MAX_SEED:
        raise RequestError(f"--seed {seed}: expected a whole number from 0 to {MAX_SEED}")
    if not image.is_file():
        raise RequestError(f"there is no image {image}: name a file such as face.png")
    if out.is_file() or not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise RequestError(f"--out {out}: not a folder that can be written; name another place")
    if video is not None:
        from gan_models.sampling.videos import check_video

        check_video(video, _FPS)

    from gan_models.front_door.drawing import chosen_device
    from gan_models.sampling.generator import load_generator
    from gan_models.sampling.projecting import save_projection
    from gan_models.tasks.latent import classes_of

    generator = load_generator(generator_folder(folder), chosen_device("auto"))
    number = None if label is None else classes_of(label, generator.info.class_names)[0]
    named, distances = _distances(generator, lpips)
    target = read_images(image, generator, 1).images[0]
    found = _search(generator, target, distances, number, steps, seed, video)
    scale = max(1, _PIXELS // target.shape[0])
    save_projection(found, out, scale=scale)
    if video is not None:
        from gan_models.sampling.videos import save_video

        save_video([frame.numpy() for frame in found.frames], video, fps=_FPS, scale=scale)
    typer.echo(
        f"{out}: the nearest image of {generator.info.called} by {named}, at {found.shares[-1]:.1%} of the mean's "
        "distance, as w.npy, projection.safetensors and projection.png (the target first)",
        err=True,
    )
    if as_json:
        about: dict[str, Any] = {"generator": str(folder), "image": str(image), "folder": str(out), "steps": steps}
        about |= {"seed": seed, "distance": named, "left": found.shares[-1], "video": video and str(video)}
        typer.echo(json.dumps(about, ensure_ascii=False))
    return 0


def _search(
    generator: LoadedGenerator,
    target: Any,
    distances: list[Distance],
    label: int | None,
    steps: int,
    seed: int,
    video: Path | None,
) -> Projection:
    from rich.console import Console
    from rich.progress import Progress

    from gan_models.sampling.projecting import project as search

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("searching", total=steps)
        return search(
            generator,
            target,
            distances,
            label=label,
            steps=steps,
            seed=seed,
            frames=0 if video is None else min(_FRAMES, steps),
            advance=lambda share: progress.update(bar, advance=1, description=f"searching, {share:.0%} left"),
        )


def _distances(generator: LoadedGenerator, lpips: tuple[Path, Path] | None) -> tuple[str, list[Distance]]:
    """What images are compared by, in words and to be called."""
    from gan_models.metrics.extractors import EXTRACTORS
    from gan_models.metrics.path_length import FeatureDistance, Lpips
    from gan_models.sampling.projecting import pixels_at_all_sizes

    if lpips is not None:
        return "LPIPS", [Lpips(*lpips, generator.device)]
    if not EXTRACTORS["efficientnet-lite0"].installed:
        return "pixels at all sizes", [pixels_at_all_sizes]
    from gan_models.metrics.efficientnet import EfficientNetLite0

    extractor = EfficientNetLite0(device=generator.device)
    return "features of efficientnet-lite0 and pixels at all sizes", [FeatureDistance(extractor), pixels_at_all_sizes]
