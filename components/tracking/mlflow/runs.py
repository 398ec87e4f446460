"""The MLflow runs of a pipeline run: one parent, one child for each stage, found before they are made."""

from __future__ import annotations

import getpass
import re
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from components.context import PIPELINE, RunContext
from components.tracking.mlflow.address import sqlite_path
from components.tracking.mlflow.client import Refusal

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_TAG = "gan_pipeline.run_id"
STAGE_TAG = "gan_pipeline.stage"

# Without it the UI takes the runs for evaluations of a language model.
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}


class PipelineRuns:
    """Finds or makes the runs of one pipeline run. What is found is kept; `forget` starts over."""

    def __init__(self, client: MlflowClient, context: RunContext) -> None:
        self.client = client
        self.context = context
        self._experiment = ""
        self._ids: dict[str, str] = {}

    def forget(self) -> None:
        self._experiment = ""
        self._ids.clear()

    @property
    def owns_parent(self) -> bool:
        """False when KFP's plugin made the parent run and will end it."""
        return not self.context.parent_run_id or self.parent() != self.context.parent_run_id

    def experiment(self) -> str:
        """The id of the experiment, made when there is none."""
        if not self._experiment:
            self._experiment = self._find_experiment() or self._make_experiment()
        return self._experiment

    def _find_experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.context.experiment)
        if found and found.lifecycle_stage == "deleted":
            raise Refusal(
                f"the MLflow experiment {self.context.experiment!r} was deleted: restore it with 'mlflow experiments "
                f"restore --experiment-id {found.experiment_id}', or choose another name"
            )
        return str(found.experiment_id) if found else ""

    def _make_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        database = sqlite_path(self.context.tracking_uri)
        # Without a server the artifacts would land in ./mlruns of whoever asks first; keep them beside the database.
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", self.context.experiment)
        location = (database.parent / "mlflow-artifacts" / slug).as_uri() if database else None
        try:
            return str(
                self.client.create_experiment(self.context.experiment, artifact_location=location, tags=_MODEL_TRAINING)
            )
        except MlflowException as error:
            if error.error_code == "RESOURCE_ALREADY_EXISTS" and (found := self._find_experiment()):
                return found  # another process was faster
            raise

    def parent(self) -> str:
        """The id of the run of the whole pipeline."""
        if PIPELINE not in self._ids:
            given = self.context.parent_run_id
            if given and self._exists(given):
                self.client.set_tag(given, RUN_TAG, self.context.run_id)
                run = self.client.get_run(given)
                self._experiment = str(run.info.experiment_id)
                self._ids[PIPELINE] = given
            else:
                self._ids[PIPELINE] = self._find_or_make(PIPELINE, self.context.name, {})
        return self._ids[PIPELINE]

    def of(self, stage: str) -> str:
        """The id of a stage's run; that of the parent for the name "pipeline"."""
        if stage == PIPELINE:
            return self.parent()
        if stage not in self._ids:
            title = self.context.titles.get(stage, stage.replace("_", " "))
            self._ids[stage] = self._find_or_make(stage, title, {"mlflow.parentRunId": self.parent()})
        return self._ids[stage]

    def _exists(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        return True

    def _find_or_make(self, stage: str, name: str, tags: dict[str, str]) -> str:
        with FileLock(self.context.tracking_folder / "runs.lock"):
            if found := self._find(stage):
                return found[0]
            self.client.create_run(
                self.experiment(),
                run_name=name,
                tags={
                    RUN_TAG: self.context.run_id,
                    STAGE_TAG: stage,
                    "mlflow.source.name": "gan-pipeline",
                    "mlflow.source.type": "PROJECT",
                    "mlflow.user": _user(),
                    **tags,
                },
            )
            made = self._find(stage)
        for surplus in made[1:]:  # a process on another machine was as fast: all keep the oldest
            self.client.delete_run(surplus)
        return made[0]

    def _find(self, stage: str) -> list[str]:
        """Active runs of the stage, oldest first."""
        found: list[Any] = self.client.search_runs(
            [self.experiment()],
            filter_string=f"tags.`{RUN_TAG}` = '{self.context.run_id}' and tags.`{STAGE_TAG}` = '{stage}'",
            max_results=10,
        )
        return [str(run.info.run_id) for run in sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"
