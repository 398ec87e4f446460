"""Which pipeline run a process works for, handed from the command line to its stages through the environment."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from components.scratch import scratch_path
from gan_models.errors import RequestError

RUN_VARIABLE = "GAN_PIPELINE_RUN"
RUN_ID_VARIABLE = "GAN_PIPELINE_RUN_ID"
# What a retraining is started for, such as a time of a schedule: the same occasion never has two.
OCCASION_VARIABLE = "GAN_PIPELINE_OCCASION"
IMAGE_VERSION_VARIABLE = "GAN_PIPELINE_IMAGE_VERSION"  # of the code that a container image holds, set in the image
DESCRIPTION_FILE = "run.json"  # of a run, beside its journals
DESCRIBED = ("name", "experiment", "parent_run_id", "relay", "titles", "trial", "sweep")  # what stands in it
PIPELINE = "pipeline"  # the name under which the run of the whole pipeline is logged to, in place of a stage's


def read_description(file: Path) -> dict[str, Any]:
    """What the first stage of a run wrote about it (`DESCRIPTION_FILE`); empty where nothing can be read."""
    try:
        described = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return described if isinstance(described, dict) else {}


def short_keys(keys: Sequence[str]) -> list[str]:
    """Keys by as few of their last parts as tell them apart.

    >>> short_keys(["optimizers.generator.lr", "seed"])
    ['lr', 'seed']
    >>> short_keys(["optimizers.generator.lr", "optimizers.discriminator.lr"])
    ['generator.lr', 'discriminator.lr']
    """
    for parts in range(1, max((key.count(".") + 1 for key in keys), default=1) + 1):
        short = [".".join(key.split(".")[-parts:]) for key in keys]
        if len(set(short)) == len(keys):
            return short
    return list(keys)


class Trial(BaseModel):
    """One combination of settings of a sweep."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(description="the same for the same settings, whichever sweep they are part of; safe in a path")
    name: str = Field(description="for people: the settings that differ, as in `lr=0.0002 seed=1`")
    settings: dict[str, str] = Field({}, description="those that the sweep varies, by their full keys")


class Sweep(BaseModel):
    """The run that a trial is part of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    name: str


class RunContext(BaseModel):
    """Which pipeline run a stage belongs to, where it keeps its state and where it is tracked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(default_factory=lambda: uuid.uuid4().hex, description="ours, not MLflow's")
    name: str = "gan-pipeline"
    experiment: str = "gan-pipeline"
    tracking_uri: str = Field("", description="absolute address of a tracker's store; empty: no tracking")
    state_dir: str = Field(
        default_factory=lambda: str(scratch_path()),
        description="work directory: journals, logs and checkpoints, kept from one attempt to the next",
    )
    relay: Literal["in-process", "external"] = Field(
        "in-process", description="external: another process sends the journal, the stage imports no tracker"
    )
    titles: dict[str, str] = Field({}, description="what people call the stages, in their order")
    parent_run_id: str = Field("", description="MLflow's id of a parent run that somebody else made (KFP's plugin)")
    code_version: str = Field("", description="of the command that compiled the pipeline for a cluster's images")
    schedule: dict[str, Any] = Field({}, description="what a schedule of a cluster keeps of itself; nothing to a stage")
    trial: Trial | None = Field(None, description="of a sweep, whose stages it has; its failure is not the sweep's")
    sweep: Sweep | None = Field(None, description="the run that the trial is part of")

    @classmethod
    def from_environment(cls, defaults: str | Mapping[str, Any] = "") -> RunContext:
        """The context that the process was started with.

        Args:
            defaults: what the environment does not say, as a mapping or JSON (the pipeline's `run` parameter).

        GAN_PIPELINE_RUN (JSON) wins over `defaults`; MLFLOW_TRACKING_URI and MLFLOW_RUN_ID, which KFP's MLflow plugin
        sets together, win over both. MLFLOW_TRACKING_URI alone is used when nothing else names a store. On a cluster
        the id of KFP's run arrives in GAN_PIPELINE_RUN_ID.
        """
        fields = dict(json.loads(defaults or "{}") if isinstance(defaults, str) else defaults)
        if run_id := os.environ.get(RUN_ID_VARIABLE):
            fields["run_id"] = run_id
        trial = fields.pop("trial", None)
        fields |= json.loads(os.environ.get(RUN_VARIABLE) or "{}")
        uri, parent = os.environ.get("MLFLOW_TRACKING_URI", ""), os.environ.get("MLFLOW_RUN_ID", "")
        if uri and parent:
            fields |= {"tracking_uri": uri, "parent_run_id": parent}
        elif uri and "tracking_uri" not in fields:
            fields["tracking_uri"] = uri
        context = cls.model_validate(fields)
        return context.of_trial(Trial.model_validate(trial)) if trial else context

    def of_trial(self, trial: Trial) -> RunContext:
        """The context of a trial of this sweep: a run of its own, whose parent is this one, in the same folder.

        >>> RunContext(run_id="a").of_trial(Trial(key="k", name="seed=1")).name
        'seed=1'
        """
        run_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{self.run_id} {trial.key}").hex
        sweep = Sweep(run_id=self.run_id, name=self.name)
        return self.model_copy(update={"run_id": run_id, "name": trial.name, "trial": trial, "sweep": sweep})

    def of_sweep(self) -> RunContext:
        """The context of the sweep that this trial is part of; itself where it is none."""
        if self.sweep is None:
            return self
        return self.model_copy(update={**dict(self.sweep), "trial": None, "sweep": None})

    def check_image(self) -> None:
        """RequestError for an image of other code than compiled the pipeline: caches and arguments would not fit."""
        held = os.environ.get(IMAGE_VERSION_VARIABLE, "")
        if held and self.code_version and held != self.code_version:
            raise RequestError(
                f"the image holds version {held} of the code and the pipeline was compiled by {self.code_version}: "
                "build and push the images of that version, or compile with this one"
            )

    def to_environment(self) -> dict[str, str]:
        """The variables to start a stage's process with."""
        return {RUN_VARIABLE: self.model_dump_json()}

    @property
    def tracking_folder(self) -> Path:
        """Where the run's journals lie."""
        return Path(self.state_dir) / "tracking" / self.run_id

    @property
    def logs(self) -> Path:
        """Where the log of each stage lies, as `<stage>.log`; each trial of a sweep has a folder."""
        return Path(self.state_dir, "logs", *([f"trial-{self.trial.key}"] if self.trial else []))
