"""`gan-pipeline sample`: images of a trained generator as a grid, as files of a folder, or as a walk in a video."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer import Argument, Option

from gan_models.errors import RequestError
from pipeline.cli.options import JsonOption

if TYPE_CHECKING:
    from gan_models.data.table import Split
    from gan_models.sampling.generator import LoadedGenerator
    from gan_models.sampling.grids import Pixels
    from gan_models.tasks.base import Asked

MAX_IMAGES = 100_000  # of a grid
MAX_FILES = 10_000_000
MAX_SEEDS = 1_000_000
MAX_FRAMES = 3000
MAX_SCALE = 64
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"})
_DIGEST_BYTES = 1 << 20


class _Form(NamedTuple):
    """What images can be drawn as, and what is taken where nothing is said."""

    out: str
    num: int
    most: int


_GRID = _Form("grid.png", 64, MAX_IMAGES)
_EACH = _Form("samples", 64, MAX_FILES)
_WALK = _Form("walk.gif", 8, MAX_FRAMES)


def sample(
    folder: Annotated[Path, Argument(metavar="DIR", help="A generator folder, or a run's work directory.")],
    num: Annotated[
        int | None,
        Option("--num", "-n", metavar="N", help="How many images. [default: 64; stops of a walk: 8]"),
    ] = None,
    out: Annotated[
        Path | None,
        Option(
            "--out",
            "-o",
            metavar="PATH",
            help="The grid's PNG, the folder of --each, or the GIF or MP4 of --interpolate. "
            "[default: grid.png, samples, walk.gif]",
        ),
    ] = None,
    seed: Annotated[int | None, Option(metavar="N", help="Decides the latents. [default: 0]")] = None,
    labels: Annotated[
        str | None,
        Option(
            metavar="LIST",
            help="Classes by name or number, as in 3,7; repeated in turn. [default: all, in turn]",
        ),
    ] = None,
    truncation: Annotated[
        float | None,
        Option(
            metavar="T",
            help="Draw latents beyond +-T again, as in 0.5, or have styles go T of the way from their average: cleaner "
            "images, less variety. [default: none]",
        ),
    ] = None,
    given: Annotated[
        Path | None,
        Option(
            "--input",
            metavar="IMAGE|DIR",
            help="Images to translate or colour. [default: those that came with the generator]",
        ),
    ] = None,
    captions: Annotated[
        list[str] | None,
        Option(
            "--caption",
            metavar="TEXT",
            help="What to draw, as in 'a red seven'; several are drawn in turn. "
            "[default: those that came with the generator]",
        ),
    ] = None,
    attributes: Annotated[
        str | None,
        Option(
            metavar="LIST",
            help="Attributes to give to the images, with a minus to take away, as in large,-warm. "
            "[default: each in turn is turned round]",
        ),
    ] = None,
    embeddings: Annotated[
        Path | None,
        Option(
            "--embedding",
            metavar="FILE",
            help="A .npy file of numbers that stand for texts, [E] or [N, E], for a generator trained on such. "
            "[default: those that came with the generator]",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        Option(metavar="LIST", help="One image for each of these seeds, its image 0, as in 0-31 or 3,5,8-10."),
    ] = None,
    each: Annotated[
        bool,
        Option("--each", help="Write every image as a file of its own into the folder --out; goes on if run again."),
    ] = False,
    interpolate: Annotated[
        bool, Option("--interpolate", help="Walk through the latents of the images and back to the first, as a video.")
    ] = False,
    files: Annotated[
        str | None,
        Option("--format", metavar="png|tiff", help="Files of --each; both keep 16 bits. [default: png]"),
    ] = None,
    columns: Annotated[int | None, Option(metavar="N", help="Images to a row of the grid. [default: as fits]")] = None,
    scale: Annotated[
        int | None, Option(metavar="N", help="Enlarge N times, without smoothing. [default: 1; a walk: to 128 pixels]")
    ] = None,
    seconds: Annotated[
        float | None, Option(metavar="S", help="Of --interpolate, from one image to the next. [default: 1]")
    ] = None,
    fps: Annotated[int | None, Option(metavar="N", help="Frames a second of --interpolate. [default: 25]")] = None,
    as_json: JsonOption = False,
) -> int:
    """Draw images from a trained generator. A grid, files of a folder, or a walk between latents."""
    if each and interpolate:
        raise RequestError("--each and --interpolate: give one of them")
    form = _EACH if each else _WALK if interpolate else _GRID
    out = Path(form.out) if out is None else out
    _check_options(each, interpolate, columns, scale, seconds, fps)
    if files is not None:
        from gan_models.sampling.grids import FORMATS

        if files not in FORMATS:
            raise RequestError(f"--format {files}: choose {' or '.join(FORMATS)}")
        if not each:
            raise RequestError(f"--format {files}: only the files of --each have one; add --each, or leave it out")
    chosen = _seeds(seeds, seed, num, form)
    num = len(chosen) or _number(num, form, interpolate)
    _check_out(out, form)
    if interpolate:
        from gan_models.sampling.videos import check_video

        check_video(out, fps or _FPS)
    folder = generator_folder(folder)

    from gan_models.sampling.generator import load_generator
    from gan_models.tasks.base import Asked

    generator = load_generator(folder)
    if seed and not generator.task.random:
        raise RequestError(f"--seed: {generator.info.recipe_name} draws nothing at random; leave the option out")
    read, paths = None, [] if given is None else _paths(given)[:num]
    if paths:
        num, read = len(paths), partial(_read, paths, generator)
    elif generator.examples is not None and "latents" not in generator.module.inputs:
        num = min(num, len(generator.examples))
    asked = Asked(
        num, seed or 0, labels, truncation, tuple(captions or ()), read, chosen, columns, attributes, embeddings
    )
    if each:
        found, sentence = _write_files(generator.at_full_depth, asked, out, folder, paths, scale or 1, files or "png")
    elif interpolate:
        found, sentence = _write_walk(generator, asked, out, scale, seconds or _SECONDS, fps or _FPS)
    else:
        found, sentence = _write_grid(generator, asked, out, scale or 1)
    typer.echo(f"{out}: {sentence}", err=True)
    if as_json:
        info = generator.info
        about: dict[str, Any] = {"generator": str(folder), "recipe": info.recipe_name, "step": info.step}
        about |= {"seeds": seeds} if chosen else {"seed": asked.seed}
        about |= {"images": num, "truncation": truncation, **generator.task.about(generator, asked), **found}
        typer.echo(json.dumps(about, ensure_ascii=False))
    return 0


_SECONDS, _FPS = 1.0, 25
_WALK_PIXELS = 128


def _check_options(
    each: bool, interpolate: bool, columns: int | None, scale: int | None, seconds: float | None, fps: int | None
) -> None:
    """Refuses what would be passed over, and numbers that make no sense."""
    if columns is not None and (each or interpolate):
        other = "--each" if each else "--interpolate"
        raise RequestError(f"--columns: {other} makes no grid; leave one of them out")
    for name, value in {"--seconds": seconds, "--fps": fps}.items():
        if value is not None and not interpolate:
            raise RequestError(f"{name}: only a walk takes time; add --interpolate, or leave it out")
    if columns is not None and not 1 <= columns <= MAX_IMAGES:
        raise RequestError(f"--columns {columns}: expected a number from 1 to {MAX_IMAGES}")
    if scale is not None and not 1 <= scale <= MAX_SCALE:
        raise RequestError(f"--scale {scale}: expected a whole number from 1 to {MAX_SCALE}")
    if seconds is not None and not 0 < seconds <= MAX_FRAMES:
        raise RequestError(f"--seconds {seconds:g}: expected a number above 0, such as 1")
    if fps is not None and not 1 <= fps <= 100:
        raise RequestError(f"--fps {fps}: expected a whole number from 1 to 100")


def _number(num: int | None, form: _Form, interpolate: bool) -> int:
    num = form.num if num is None else num
    least = 2 if interpolate else 1
    if not least <= num <= form.most:
        hint = "; a walk needs two images" if interpolate else "; --each draws more" if form is _GRID else ""
        raise RequestError(f"--num {num}: expected a number from {least} to {form.most}{hint if num > 0 else ''}")
    return num


def _seeds(text: str | None, seed: int | None, num: int | None, form: _Form) -> tuple[int, ...]:
    """The seeds of a list such as 3,5,8-10; none where none is given. RequestError for anything else."""
    from pipeline.request.request import MAX_SEED

    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise RequestError(f"--seed {seed}: expected a whole number from 0 to {MAX_SEED}")
    if text is None:
        return ()
    for name, value in {"--seed": seed, "--num": num}.items():
        if value is not None:
            raise RequestError(f"{name} and --seeds: one image is drawn for each of the seeds; leave {name} out")
    most = min(MAX_SEEDS, form.most)
    chosen: list[int] = []
    for part in text.split(","):
        first, dash, last = (each.strip() for each in part.partition("-"))
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= MAX_SEED):
            raise RequestError(
                f"--seeds {text}: {part.strip()!r} is neither a whole number up to {MAX_SEED} nor a range such as 8-10"
            )
        if len(chosen) + int(last) - int(first) >= most:
            raise RequestError(f"--seeds {text}: these are more than {most}; --num with one --seed draws more")
        chosen += range(int(first), int(last) + 1)
    if len(set(chosen)) < len(chosen):
        raise RequestError(f"--seeds {text}: a seed is there twice, and its image would be the same")
    if form is _WALK and len(chosen) < 2:
        raise RequestError(f"--seeds {text}: a walk needs two seeds")
    return tuple(chosen)


def _check_out(out: Path, form: _Form) -> None:
    if form is _GRID and out.suffix.lower() in (".gif", ".mp4"):
        raise RequestError(f"--out {out}: a video shows a walk; add --interpolate, or name a .png for a grid")
    if form is _GRID and out.suffix.lower() != ".png":
        hint = "" if out.suffix else ", and a folder is for --each"
        raise RequestError(f"--out {out}: the grid is written as PNG, so the name ends in .png{hint}")
    if form is _EACH and out.exists() and not out.is_dir():
        raise RequestError(f"--out {out}: --each writes into a folder, and this is a file; name another place")
    if not out.parent.is_dir() or not os.access(out if out.is_dir() else out.parent, os.W_OK):
        raise RequestError(f"--out {out}: {out.parent.absolute()} is not a folder that can be written")


def _write_grid(generator: LoadedGenerator, asked: Asked, out: Path, scale: int) -> tuple[dict[str, Any], str]:
    from gan_models.sampling.grids import save_png

    picture = generator.task.ask(generator, asked)
    assert picture.pixels is not None
    save_png(picture.pixels, out, scale=scale)
    return {"file": str(out)}, picture.sentence


def _write_files(
    generator: LoadedGenerator, asked: Asked, out: Path, folder: Path, given: list[Path], scale: int, form: str
) -> tuple[dict[str, Any], str]:
    from rich.console import Console
    from rich.progress import Progress

    from gan_models.files import WEIGHTS_FILE
    from gan_models.sampling.streaming import write_each

    parts = generator.task.parts(generator, asked)
    record = {
        "weights": _digest([folder / WEIGHTS_FILE]),
        "seed": "each" if asked.seeds else asked.seed,
        "truncation": asked.truncation,
        **generator.task.about(generator, asked),
    }
    if given:
        record["input"] = _digest(given)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("drawing", total=asked.num)
        written = write_each(parts, out, record, scale=scale, form=form, advance=partial(progress.advance, bar))
    files = written.drawn + written.there
    there = f", {written.there} of them there already" if written.there else ""
    sentence = f"{files} images of {generator.info.called}, {written.first} to {written.last}{there}"
    about = {"drawn": written.drawn, "there": written.there, "first": written.first, "last": written.last}
    return {"folder": str(out), "files": about}, sentence


def _write_walk(
    generator: LoadedGenerator, asked: Asked, out: Path, scale: int | None, seconds: float, fps: int
) -> tuple[dict[str, Any], str]:
    from gan_models.sampling.latents import loop
    from gan_models.sampling.videos import save_video

    if "latents" not in generator.module.inputs:
        raise RequestError(
            f"--interpolate: {generator.info.recipe_name} takes no latents, there is nothing to walk between; leave "
            "the option out"
        )
    steps = max(1, round(seconds * fps))
    if steps * asked.num > MAX_FRAMES:
        raise RequestError(
            f"--interpolate: {asked.num} images of {steps} frames each are more than {MAX_FRAMES} frames; ask for "
            "fewer images, --seconds or --fps"
        )
    generator.task.refuse(generator, asked)
    conditions, draws = generator.task.conditions(generator, asked), asked.draws()
    labels, examples = conditions.labels_of(draws), conditions.examples
    stops = generator.inputs(draws, labels=labels, examples=examples, truncation=asked.truncation)

    def frames() -> Iterator[Pixels]:
        for leg in loop(stops, steps):
            yield from generator.synthesize(leg).images.numpy()

    scale = scale or max(1, _WALK_PIXELS // min(generator.info.image_shape[1:]))
    save_video(frames(), out, fps=fps, scale=scale)
    count = steps * asked.num
    sentence = f"{count} frames, {count / fps:g} s, through {asked.num} images of {generator.info.called} and back"
    return {"file": str(out), "frames": count, "seconds": count / fps}, sentence


def _digest(paths: list[Path]) -> str:
    """SHA-256 of what files hold, in this order."""
    from hashlib import sha256

    digest = sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_DIGEST_BYTES):
                digest.update(block)
    return digest.hexdigest()


def generator_folder(folder: Path) -> Path:
    """The generator folder that was named, or the one inside a work directory that was."""
    from gan_models.files import INFO_FILE
    from pipeline.definitions.stages import result_names

    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: name an exported generator, or a run's work directory")
    inside = [folder / "results" / result_names()[output] for output in ("samples", "selected")]
    return next((place for place in (folder, *inside) if (place / INFO_FILE).is_file()), folder)


def read_images(place: Path, generator: LoadedGenerator, at_most: int) -> Split:
    """The image at `place`, or the first `at_most` of a folder in the order of their paths, without labels.

    They are prepared as the training images of the generator were.

    Raises:
        RequestError: there is no image, or one cannot be read.
    """
    return _read(_paths(place)[:at_most], generator)


def _read(paths: list[Path], generator: LoadedGenerator, first: int = 0, num: int | None = None) -> Split:
    """All of these images, or `num` from number `first`."""
    import numpy as np
    import torch
    from PIL import Image, UnidentifiedImageError

    from gan_models.data.decoding import BadImageError, fitted
    from gan_models.data.table import Split

    paths = paths[first:] if num is None else paths[first : first + num]
    target, pixels = generator.target, []
    for path in paths:
        try:
            with Image.open(path) as opened:
                sized = fitted(opened, target)
        except (BadImageError, OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            reason = (str(error).splitlines() or [""])[0] or type(error).__name__
            raise RequestError(f"--input {path}: this is not an image that can be read ({reason})") from None
        pixels.append(np.asarray(sized).reshape(*target.size, target.channels))
    return Split(torch.from_numpy(np.stack(pixels)), None, [str(path) for path in paths])


def _paths(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise RequestError(f"--input {place}: there is no such file or folder")
    found = sorted(path for path in place.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not found:
        raise RequestError(f"--input {place}: the folder holds no images ({', '.join(sorted(_SUFFIXES))})")
    return found
