"""The MLflow runs of a pipeline run: one parent, one child for each stage, found before they are made.

A trial of a sweep is a pipeline run whose parent is that of the sweep.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from components.context import PIPELINE, RunContext
from components.tracking.mlflow.client import Refusal, tolerating
from components.tracking.sqlite_address import sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_TAG = "gan_pipeline.run_id"
STAGE_TAG = "gan_pipeline.stage"
TRIAL_TAG = "gan_pipeline.trial"
LOCK_SECONDS = 30.0

# Without it the UI takes the runs for evaluations of a language model.
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}


class PipelineRuns:
    """Finds or makes the runs of one pipeline run, and keeps what was found."""

    def __init__(self, client: MlflowClient, context: RunContext) -> None:
        self.client = client
        self.context = context
        self._ids: dict[str, str] = {}

    @cached_property
    def experiment(self) -> str:
        """The id of the experiment, made when there is none."""
        if not (found := self._find_experiment()):
            database = sqlite_path(self.context.tracking_uri)
            # Without a server artifacts would land in ./mlruns of whoever asks first; keep them beside the database.
            slug = re.sub(r"[^A-Za-z0-9._-]+", "-", self.context.experiment)
            location = (database.parent / "mlflow-artifacts" / slug).as_uri() if database else None
            with tolerating("RESOURCE_ALREADY_EXISTS"):  # another process was faster
                self.client.create_experiment(self.context.experiment, location, _MODEL_TRAINING)
            found = self._find_experiment()
        return found

    def _find_experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.context.experiment)
        if found and found.lifecycle_stage == "deleted":
            raise Refusal(
                f"the MLflow experiment {self.context.experiment!r} was deleted: restore it with 'mlflow experiments "
                f"restore --experiment-id {found.experiment_id}', or choose another name"
            )
        return str(found.experiment_id) if found else ""

    def of(self, stage: str, began: int | None = None) -> str:
        """The id of a stage's run; for `PIPELINE` that of the whole pipeline, the parent of the others.

        Args:
            began: milliseconds since 1970, for a run that is not there yet: it may be made long after it began, when
                the server can be reached again. None: now.
        """
        if stage not in self._ids:
            if stage == PIPELINE and self.context.sweep:
                self._ids[stage] = self._of_trial(began)
            elif stage == PIPELINE:
                self._ids[stage] = self._given_parent() or self._find_or_make(stage, began, self.context.name, {})
            else:
                title = self.context.titles.get(stage, stage.replace("_", " "))
                tags = {"mlflow.parentRunId": self.of(PIPELINE, began)}
                self._ids[stage] = self._find_or_make(stage, began, title, tags)
        return self._ids[stage]

    def links(self) -> str:
        """To the pages of the stages' runs, in their order, as Markdown; "" where there are none yet."""
        found = self.client.search_runs(
            [self.experiment], filter_string=f"tags.`{RUN_TAG}` = '{self.context.run_id}'", max_results=50
        )
        by_stage = {str(run.data.tags.get(STAGE_TAG, "")): str(run.info.run_id) for run in found}
        pages = [
            f"[{title}](#/experiments/{self.experiment}/runs/{by_stage[stage]})"
            for stage, title in self.context.titles.items()
            if stage in by_stage
        ]
        return f"**Stages** {' · '.join(pages)}" if pages else ""

    def _of_trial(self, began: int | None) -> str:
        """Named by what differs between the trials, with that as parameters, to compare them by in MLflow's table."""
        from mlflow.entities import Param

        trial = self.context.trial
        assert trial is not None
        tags = {"mlflow.parentRunId": self.sweep.of(PIPELINE, began), TRIAL_TAG: trial.key}
        self.experiment = self.sweep.experiment
        found = self._find_or_make(PIPELINE, began, self.context.name, tags)
        self.client.log_batch(found, params=[Param(key, value) for key, value in trial.settings.items()])
        return found

    @cached_property
    def sweep(self) -> PipelineRuns:
        """The runs of the sweep that this trial is part of."""
        return PipelineRuns(self.client, self.context.of_sweep())

    def _given_parent(self) -> str:
        """The run that somebody else made, and will end, where there is one: its experiment is that of the stages."""
        if given := self.context.parent_run_id:
            with tolerating("RESOURCE_DOES_NOT_EXIST"):
                run = self.client.get_run(given)
                self.client.set_tag(given, RUN_TAG, self.context.run_id)
                self.experiment = str(run.info.experiment_id)
                return given
        return ""

    def _find_or_make(self, stage: str, began: int | None, name: str, tags: dict[str, str]) -> str:
        with self._in_turn():
            if found := self._find(stage):
                return found[0]
            self.client.create_run(
                self.experiment,
                start_time=began,
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

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """One process after another, where the volume has locks and no process is stuck with this one.

        Else two that are as fast make a run too many, which `_find_or_make` takes away.
        """
        with ExitStack() as held:
            with suppress(Timeout, OSError, NotImplementedError):
                held.enter_context(FileLock(self.context.tracking_folder / "runs.lock", timeout=LOCK_SECONDS))
            yield

    def _find(self, stage: str) -> list[str]:
        """Active runs of the stage, oldest first."""
        found: list[Any] = self.client.search_runs(
            [self.experiment],
            filter_string=f"tags.`{RUN_TAG}` = '{self.context.run_id}' and tags.`{STAGE_TAG}` = '{stage}'",
            max_results=10,
        )
        return [str(run.info.run_id) for run in sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))]


def newest_page(client: MlflowClient, run_id: str = "") -> str:
    """Path of the newest pipeline run's page, or of that of the run `run_id` (ours); "" where there is none."""
    wanted = f"tags.`{STAGE_TAG}` = '{PIPELINE}'" + (f" and tags.`{RUN_TAG}` = '{run_id}'" if run_id else "")
    experiments = [each.experiment_id for each in client.search_experiments()]
    for run in client.search_runs(experiments, wanted, order_by=["attributes.start_time DESC"], max_results=1):
        return f"/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"
