"""`gan-pipeline explore`: a page to play with a generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from typer import Argument, Option

from gan_models.errors import RequestError, RunError
from pipeline.cli.options import TrackingOption

if TYPE_CHECKING:
    from components.tracking.champions import Champions

PORT = 7860


class Found(NamedTuple):
    """A generator folder, and what is known of where it comes from."""

    folder: Path
    origin: str  # as a reader of the page knows it
    dataset: Path | None  # where its training images may be


def explore(
    asked: Annotated[
        str,
        Argument(
            metavar="DIR|MODEL",
            help="A generator folder, a run's work directory, or a registered model: NAME (its champion), NAME@ALIAS "
            "or NAME/VERSION.",
        ),
    ],
    port: Annotated[int, Option("--port", "-p", metavar="PORT", min=1, max=65535)] = PORT,
    tracking_uri: TrackingOption = None,
    workdir: Annotated[
        Path | None,
        Option(metavar="DIR", help="Of a registered model: look in the store that this run is tracked in."),
    ] = None,
) -> int:
    """Serve a page to play with a generator. On this machine alone, until Ctrl-C."""
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise RequestError("explore needs gradio, which is not installed: pip install gan-pipeline[explore]")
    import signal
    import tempfile

    from pipeline.cli.tracking import check_port

    check_port(port)
    # SIGTERM ends as Ctrl-C does, for the folder must not stay behind; SIGINT too where a shell started this in the
    # background, which has its children ignore it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="gan-pipeline-explore-") as scratch:
        try:
            _serve(asked, port, tracking_uri, workdir, Path(scratch))
        except KeyboardInterrupt:  # which typer would make 130 of
            raise typer.Abort from None
    return 0


def _serve(asked: str, port: int, tracking_uri: str | None, workdir: Path | None, scratch: Path) -> None:
    found = _find(asked, tracking_uri, workdir, scratch)
    _keep_gradio_at_home(scratch)

    from gan_models.exploring.training_set import TrainingSet
    from gan_models.metrics.locations import default_cache
    from gan_models.sampling.generator import load_generator

    generator = load_generator(found.folder)
    from pipeline.explorer.page import make_page, serve

    training = TrainingSet.find(found.dataset, generator, default_cache()) if found.dataset else None
    page = make_page(generator, training, found.origin, scratch)

    def ready(address: str) -> None:
        typer.echo(f"{generator.info.called} at {address}  (Ctrl-C ends it)")

    serve(page, port, scratch, ready)


def _keep_gradio_at_home(scratch: Path) -> None:
    """Before it is imported: it reads these then. Whatever a user's environment asks of other pages is not for ours."""
    import os

    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(scratch / "pictures"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def _find(asked: str, tracking_uri: str | None, workdir: Path | None, scratch: Path) -> Found:
    """The generator of a folder or work directory, or a registered version, which is copied below `scratch`.

    Raises:
        RequestError: there is neither such a folder nor such a model, or it is no generator of ours.
        RunError: the tracking store does not answer.
    """
    from gan_models.errors import home_path
    from pipeline.cli.sample import generator_folder

    folder = home_path(asked)
    if folder.is_dir() or asked.startswith((".", "/", "~")):
        return Found(generator_folder(folder), asked, _dataset(folder))

    from components.tracking.champions import GENERATOR_FOLDER

    try:
        registry = _registry(tracking_uri, workdir)
        version = registry.named(asked)
    except RequestError as error:
        raise RequestError(f"there is no folder {asked}, and no such registered model: {error}") from None
    target = scratch / GENERATOR_FOLDER
    if not registry.download_generator(version, target):
        raise RequestError(
            f"version {version.version} of {version.model} is no generator of gan-pipeline: name another"
        )
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    return Found(target, f"{version.model}, version {version.version}{aliases}", _dataset(workdir))


def _registry(tracking_uri: str | None, workdir: Path | None) -> Champions:
    from components.tracking.backend import champions_of, check_tracking, tracker_of
    from pipeline.cli.tracking import record_of
    from pipeline.request.plan import RUNS_FOLDER, tracking_address

    if workdir is not None:
        tracking_uri = tracking_uri or record_of(workdir).tracking_uri or None
    uri = tracking_address(tracking_uri, workdir.resolve().parent if workdir else Path(RUNS_FOLDER).resolve())
    tracker_of(uri).check_exists(uri)
    if check_tracking(uri) == "away":
        raise RunError("the tracking server does not answer: try again when it is back")
    return champions_of(uri)


def _dataset(workdir: Path | None) -> Path | None:
    from pipeline.definitions.stages import result_names

    dataset = workdir / "results" / result_names()["dataset"] if workdir else None
    return dataset if dataset is not None and dataset.is_dir() else None
