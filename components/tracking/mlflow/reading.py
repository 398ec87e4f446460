"""Finished runs of pipelines as MLflow has them: what was asked, what came of it, and the files on their pages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from components.context import PIPELINE
from components.redaction import redact
from components.tracking.backend import TrackedRun
from components.tracking.mlflow.client import connect, sentence_of, tolerating
from components.tracking.mlflow.runs import RUN_TAG, STAGE_TAG
from gan_models.errors import RunError, unknown_name

if TYPE_CHECKING:
    from mlflow.entities import Run

PAGE = 500


def tracked_runs(uri: str, experiment: str = "") -> list[TrackedRun]:
    """All runs of pipelines, or those of one experiment, newest first.

    Raises:
        RequestError: there is no such experiment, with the nearest right name.
        RunError: the store does not answer.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    client = connect(uri)
    try:
        experiments = {each.name: each.experiment_id for each in client.search_experiments()}
        if experiment and experiment not in experiments:
            raise unknown_name(f"experiment of {redact(uri)}", experiment, experiments)
        names = {number: name for name, number in experiments.items()}
        wanted = [experiments[experiment]] if experiment else list(names)
        found: list[TrackedRun] = []
        token = None
        while True:
            part = client.search_runs(
                wanted,
                f"tags.`{STAGE_TAG}` = '{PIPELINE}'",
                max_results=PAGE,
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            found += [_read(run, names[run.info.experiment_id]) for run in part]
            if not (token := part.token):
                return found
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise RunError(f"{sentence_of(error, uri)}: try again when it is back") from None


def fetch_file(uri: str, run: TrackedRun, file: str, folder: Path) -> Path | None:
    """A file of a run's own page, copied into `folder`; None where the run has none such.

    RunError where the store does not give it out.
    """
    from mlflow.exceptions import MlflowException

    client = connect(uri)
    try:
        with tolerating("RESOURCE_DOES_NOT_EXIST"):
            if file in {each.path for each in client.list_artifacts(run.tracker_id)}:
                return Path(client.download_artifacts(run.tracker_id, file, str(folder)))
    except (MlflowException, OSError) as error:
        raise RunError(f"{file} of run {run.name} cannot be fetched: {sentence_of(error, uri)}") from None
    return None


def _read(run: Run, experiment: str) -> TrackedRun:
    return TrackedRun(
        tracker_id=run.info.run_id,
        run_id=run.data.tags.get(RUN_TAG, ""),
        name=run.info.run_name or run.info.run_id,
        experiment=experiment,
        status=str(run.info.status).lower(),
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        settings=dict(run.data.params),
        figures=dict(run.data.metrics),
    )
