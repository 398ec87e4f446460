"""Checkpoints and generators as MLflow's logged models, and the generator in its registry. Safe to repeat."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from components.context import PIPELINE
from components.markdown import plain
from components.tracking.champions import GENERATOR_FOLDER, Lineage, Verdict
from components.tracking.journal import Entry, link_or_copy, sending_folder
from components.tracking.mlflow.champions import FILES_TAG, version_tags
from components.tracking.mlflow.client import tolerating
from components.tracking.mlflow.packing import DESCRIPTION, digests_of
from components.tracking.mlflow.runs import RUN_TAG, PipelineRuns
from gan_models.files import GRID_FILE

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

PYTHON_ENVIRONMENT = "python: '3.11'\nbuild_dependencies: [pip]\ndependencies: [-r requirements.txt]\n"
NEWEST = "newest"
"""The alias of the version that was registered last, whatever it is worth."""
ROWS_LOADER = "components.tracking.mlflow.serving"
TENSORS_LOADER = "gan_models.sampling.served"


def log_checkpoint(runs: PipelineRuns, run_id: str, entry: Entry) -> None:
    """A checkpoint as a logged model without files, linked to the run, its figures linked to it."""
    from mlflow.entities import Metric

    step = entry["step"]
    tags = {"mlflow.model.isExternal": "true", "step": str(step)}
    model = _linked_model(runs, run_id, entry["name"], "checkpoint", tags, step)
    known = {(metric.key, metric.step) for metric in model.metrics or ()}
    times: Mapping[str, int] = entry.get("times", {})
    # A figure that the stage logged at this step anyway has the same time: the store sees that it is the same one.
    metrics = [
        Metric(key, value, times.get(key, entry["t"]), step, model_id=model.model_id)
        for key, value in entry["values"].items()
        if (key, step) not in known
    ]
    if metrics:
        runs.client.log_batch(run_id, metrics=metrics)
    if str(model.status) != "READY":
        runs.client.finalize_logged_model(model.model_id, "READY")


def log_generator(runs: PipelineRuns, run_id: str, entry: Entry, path: Path) -> str:
    """Upload the packed generator at `path` as an MLflow model and register it, unless this run did.

    The version is of the pipeline's run, says for people what it was made from and scores, and has the alias `newest`.
    Returns a line of Markdown about it.

    The digests of its files become a tag of the version, so that what is fetched later is known to be what was sent.
    """
    client = runs.client
    name = re.sub(r"[/:]+", "-", entry["name"])
    tags = {RUN_TAG: runs.context.run_id}
    model = _linked_model(runs, run_id, name, "generator", tags, 0)
    if str(model.status) != "READY":
        with tempfile.TemporaryDirectory(dir=sending_folder(path.parent)) as scratch:
            folder = Path(scratch) / "model"
            shutil.copytree(path, folder, copy_function=link_or_copy)
            _write_model_files(folder, model, run_id)
            client.log_model_artifacts(model.model_id, str(folder))
        client.finalize_logged_model(model.model_id, "READY")
    with tolerating("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(name, description="Generators trained by gan-pipeline.")
    quoted = name.replace("'", "''")
    parent = runs.of(PIPELINE)
    found = [
        version
        for of_run in (parent, run_id)  # the latter by versions of before
        for version in client.search_model_versions(f"name = '{quoted}' and run_id = '{of_run}'")
    ]
    if not found:
        source = model.artifact_location
        lineage = Lineage.model_validate(entry["lineage"]) if entry.get("lineage") else None
        verdict = Verdict(figures=entry.get("figures", {}), protocol=entry.get("protocol"))
        tags |= version_tags(verdict, lineage)
        tags[FILES_TAG] = json.dumps(digests_of(path / GENERATOR_FOLDER))
        said = _description(runs, lineage, verdict)
        made = client.create_model_version(
            name, source, parent, tags, description=said, await_creation_for=0, model_id=model.model_id
        )
        found = [made]
    number = str(found[0].version)
    client.set_registered_model_alias(name, NEWEST, number)
    _link(runs, parent, model, 0)
    client.set_tag(parent, "model", f"{name} version {number}")
    said = f"**Registered** as [{plain(name)} version {number}](#/models/{quote(name)}/versions/{number})"
    return f"{said}\n\n{_samples(parent)}"


def _description(runs: PipelineRuns, lineage: Lineage | None, verdict: Verdict) -> str:
    """A version in the words of the registry's page: figures, what it was made from, and the samples."""
    parent, pages = runs.of(PIPELINE), []
    if verdict.known:
        rows = [f"| {plain(key)} | {value:.4g} |" for key, value in verdict.known.items()]
        pages.append("\n".join(["| figure | |", "| --- | ---: |", *rows]))
    if verdict.protocol is not None:
        pages.append(f"{verdict.protocol.sentence}; protocol `{verdict.protocol.digest}`")
    if lineage is not None:
        pages.append(
            f"**Made from** recipe {plain(lineage.recipe)} (`{lineage.recipe_digest[:8]}`), data "
            f"`{lineage.data_fingerprint[:8]}`, seed {lineage.seed}, step {lineage.step}, by "
            f"[this run](#/experiments/{runs.experiment}/runs/{parent})"
        )
    pages.append(_samples(parent))
    return "\n\n".join(pages)


def _samples(run_id: str) -> str:
    """The grid on a run's page as a picture in Markdown; the address is the server's own, whatever path it is under."""
    return f"![samples](get-artifact?path={GRID_FILE}&run_uuid={run_id})"


def _linked_model(
    runs: PipelineRuns, run_id: str, name: str, kind: str, tags: dict[str, str], step: int
) -> LoggedModel:
    """Found or made, and linked to the run."""
    client, experiment = runs.client, runs.experiment
    name = re.sub(r"[/:.%\"']+", "-", name)  # what MLflow takes for a logged model
    found = client.search_logged_models([experiment], f"name = '{name}' and source_run_id = '{run_id}'")
    if found:
        model = client.get_logged_model(found[0].model_id)
    else:
        model = client.create_logged_model(experiment, name, source_run_id=run_id, tags=tags, model_type=kind)
    _link(runs, run_id, model, step)
    return model


def _link(runs: PipelineRuns, run_id: str, model: LoggedModel, step: int) -> None:
    """Once, as an output of the run."""
    from mlflow.entities import LoggedModelOutput

    outputs = runs.client.get_run(run_id).outputs
    if model.model_id not in {output.model_id for output in (outputs.model_outputs if outputs else ())}:
        runs.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=step)])


def _write_model_files(folder: Path, model: LoggedModel, run_id: str) -> None:
    """What `mlflow.pyfunc.save_model` writes beside the generator, without importing torch."""
    from mlflow.models import Model
    from mlflow.version import VERSION

    if (folder / "program.json").is_file():  # packed before an update, and waiting to be sent since
        (folder / "program.json").rename(folder / DESCRIPTION)
        shutil.rmtree(folder / "data", ignore_errors=True)
    description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).unlink()
    by_rows = "columns" in description  # without: a task that has none, or packed before an update
    loader = ROWS_LOADER if by_rows else TENSORS_LOADER
    place, signature = model.artifact_location, (_rows_signature if by_rows else _tensors_signature)(description)
    spec = Model(place, run_id, signature=signature, model_uuid=model.model_id, model_id=model.model_id)
    _add_example(spec, folder, description)
    python = ".".join(map(str, sys.version_info[:3]))
    environment = {"virtualenv": "python_env.yaml"}
    spec.add_flavor(
        "python_function", loader_module=loader, data=GENERATOR_FOLDER, python_version=python, env=environment
    )
    spec.model_size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    spec.save(str(folder / "MLmodel"))
    ours = "gan-pipeline\n"
    with suppress(PackageNotFoundError):  # used from its source, it has no version to ask for
        ours = f"gan-pipeline=={version('gan-pipeline')}\n"
    (folder / "requirements.txt").write_text(f"mlflow=={VERSION}\n{ours}")
    (folder / "python_env.yaml").write_text(PYTHON_ENVIRONMENT)


def _rows_signature(description: Mapping[str, Any]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    def schema(columns: list[dict[str, Any]]) -> Schema:
        return Schema([ColSpec(c["type"], c["name"], required=c["required"]) for c in columns])

    return ModelSignature(inputs=schema(description["columns"]), outputs=schema(description["answers"]))


def _tensors_signature(description: Mapping[str, Any]) -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(tensors: list[dict[str, Any]]) -> Schema:
        return Schema([TensorSpec(np.dtype(t["dtype"]), tuple(t["shape"]), t["name"]) for t in tensors])

    return ModelSignature(inputs=schema(description["inputs"]), outputs=schema(description["outputs"]))


def _add_example(spec: Any, folder: Path, description: Mapping[str, Any]) -> None:
    """The input example, for readers and in the form that MLflow's serving takes."""
    plain, serving = "input_example.json", "serving_input_example.json"
    example, asked, kind = description["example"], "inputs", {"type": "ndarray"}
    if "columns" in description:
        example = {"columns": [column["name"] for column in description["columns"]], "data": example}
        asked, kind = "dataframe_split", {"type": "dataframe", "pandas_orient": "split"}
    (folder / plain).write_text(json.dumps(example))
    (folder / serving).write_text(json.dumps({asked: example}))
    spec.saved_input_example_info = {"artifact_path": plain, "serving_input_path": serving, **kind}
