"""What a stage sees of the world around it: progress, tracking, and how it ends.

A stage is a plain function `run(request, stage)`. Everything it tells MLflow goes through `Stage.log_*`, which only
append to a journal on disk (components.shared.journal), so no server can slow a stage down or fail it.

    with open_stage("train_gan", context) as stage:      # in Python
        run(request, stage)

    run_component("train_gan", lambda stage: run(request, stage))     # in a KFP component: errors become exit codes

Importing this module costs pydantic and nothing heavier; mlflow is imported by the relay alone.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from components.shared.failures import Failure, Interrupted, failure_of
from components.shared.journal import Journal, tracking_folder
from components.shared.progress import EventLog, Progress, show_progress
from components.shared.redaction import redact

__all__ = ["Interrupted", "RunContext", "Stage", "open_stage", "run_component"]

RUN_VARIABLE = "GAN_PIPELINE_RUN"

T = TypeVar("T")


class RunContext(BaseModel):
    """Which pipeline run a stage belongs to, where it keeps its state and where it is tracked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(default_factory=lambda: uuid.uuid4().hex, description="ours, not MLflow's")
    name: str = "gan-pipeline"
    experiment: str = "gan-pipeline"
    tracking_uri: str = Field("", description="absolute MLflow address, http(s) or sqlite; empty: no tracking")
    state_dir: str = Field(
        default_factory=lambda: str(Path(tempfile.gettempdir()) / f"gan-pipeline-{os.getuid()}"),
        description="work directory: journals, logs and checkpoints, kept from one attempt to the next",
    )
    relay: Literal["in-process", "external"] = Field(
        "in-process", description="external: another process sends the journal, the stage imports no mlflow"
    )
    parent_run_id: str = Field("", description="MLflow's id of a parent run that somebody else made (KFP's plugin)")

    @classmethod
    def from_environment(cls, defaults: str | Mapping[str, Any] = "") -> RunContext:
        """The context that the process was started with.

        Args:
            defaults: what the environment does not say, as a mapping or JSON (the pipeline's `run` parameter).

        GAN_PIPELINE_RUN (JSON) wins over `defaults`; MLFLOW_TRACKING_URI and MLFLOW_RUN_ID, which KFP's MLflow plugin
        sets together, win over both.
        """
        fields = dict(json.loads(defaults or "{}") if isinstance(defaults, str) else defaults)
        fields |= json.loads(os.environ.get(RUN_VARIABLE) or "{}")
        uri, parent = os.environ.get("MLFLOW_TRACKING_URI", ""), os.environ.get("MLFLOW_RUN_ID", "")
        if uri and (parent or not fields.get("tracking_uri")):
            fields["tracking_uri"] = uri
        if uri and parent:
            fields["parent_run_id"] = parent
        return cls.model_validate(fields)

    def to_environment(self) -> dict[str, str]:
        """The variables to start a stage's process with."""
        return {RUN_VARIABLE: self.model_dump_json()}

    @property
    def tracking_folder(self) -> Path:
        return tracking_folder(self.state_dir, self.run_id)


class Stage:
    """The running stage. Made by `open_stage`."""

    def __init__(self, name: str, context: RunContext, journal: Journal | None, events: EventLog) -> None:
        self.name = name
        self.context = context
        self.log_path = Path(context.state_dir) / "logs" / f"{name}.log"
        self._journal = journal
        self._events = events
        self._logger = logging.getLogger(f"gan_pipeline.{name}")

    @property
    def stop_requested(self) -> bool:
        """Whether SIGTERM or SIGINT arrived: save, then raise `Interrupted`."""
        return False

    # -- for the user ---------------------------------------------------------------------------------------------

    def progress(self, description: str, total: int) -> AbstractContextManager[Progress]:
        """A bar for one task of the stage: `with stage.progress("training", 4000) as bar: bar.advance(loss=0.7)`."""
        return show_progress(self._events, description, total)

    def note(self, sentence: str) -> None:
        """One line for the user, also kept in the stage's log."""
        sentence = redact(sentence)
        self._logger.info(sentence)
        self._events.write("note", text=sentence)
        if self._events.path is None:
            print(f"{self.name}: {sentence}", file=sys.stderr, flush=True)  # noqa: T201

    # -- for MLflow: the stage's own run --------------------------------------------------------------------------

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Parameters; nested mappings become dotted names."""
        self._append("params", values={key: _text(value) for key, value in flatten(params).items()})

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Figures at a step; one that was logged at this step before (a resumed run repeats steps) is left out."""
        self._append("metrics", step=int(step), values={key: float(value) for key, value in metrics.items()})

    def log_image(self, png: Path, key: str, step: int) -> None:
        """An image of the series `key`; MLflow shows a series with a slider over its steps."""
        if self._journal is not None and not self._journal.has_image(key, step):
            self._append("image", key=key, step=int(step), file=self._journal.keep_copy(Path(png)))

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """A file, or a folder with all it holds, into `folder` of the run's artifacts."""
        if self._journal is not None:
            path = Path(path)
            self._append("artifact", name=path.name, file=self._journal.keep_copy(path), folder=folder)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Tags of the stage's run."""
        self._append("tags", values={key: _text(value) for key, value in tags.items()})

    def log_dataset(self, name: str, fingerprint: str, source: str, profile: Mapping[str, Any], context: str) -> None:
        """The data the stage works on, as an MLflow dataset input.

        Args:
            profile: counts and shapes worth showing, JSON values only.
            context: what it is used for, such as "training" or "evaluation".
        """
        self._append(
            "dataset", name=name, fingerprint=fingerprint, source=redact(source), profile=dict(profile), context=context
        )

    def log_checkpoint(self, name: str, step: int, metrics: Mapping[str, float]) -> None:
        """A checkpoint as an MLflow logged model (description only, no weights) with its figures linked to it."""
        values = {key: float(value) for key, value in metrics.items()}
        self._append("checkpoint", name=name, step=int(step), values=values)

    def log_generator(self, folder: Path, registered_name: str) -> None:
        """Log and register the generator; `mlflow.pytorch.load_model` then gives a module that draws samples."""
        if self._journal is not None:
            self._append("generator", name=registered_name, file=self._journal.keep_copy(Path(folder)))

    # -- for MLflow: the run of the whole pipeline ------------------------------------------------------------------

    def headline(self, metrics: Mapping[str, float], markdown: str, tags: Mapping[str, str] | None = None) -> None:
        """The figures that a reader of the pipeline run looks for: its metrics, tags and a part of its description."""
        values = {key: float(value) for key, value in metrics.items()}
        self._append("headline", values=values, markdown=markdown, tags={k: _text(v) for k, v in (tags or {}).items()})

    def _append(self, kind: str, **fields: Any) -> None:
        if self._journal is not None:
            self._journal.append({"kind": kind, **fields})


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings and sequences of mappings as one level of dotted names.

    >>> flatten({"optimizers": {"generator": {"lr": 0.0002}}, "seed": 0})
    {'optimizers.generator.lr': 0.0002, 'seed': 0}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json")
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping | BaseModel) for item in value):
            flat |= flatten({str(index): item for index, item in enumerate(value)}, f"{name}.")
        else:
            flat[name] = value
    return flat


def _text(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return redact(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))


@contextmanager
def open_stage(name: str, context: RunContext | None = None) -> Iterator[Stage]:
    """A stage of a run: opens its journal and log, says how it ended, and lets every error through.

    Args:
        context: the run; default: what the process was started with.
    """
    context = context or RunContext.from_environment()
    events = EventLog.from_environment(name)
    journal = Journal(context.tracking_folder, name) if context.tracking_uri else None
    stage = Stage(name, context, journal, events)
    started = time.monotonic()
    failure: Failure | None = None
    try:
        stage._append("start")
        events.write("start")
        yield stage
    except BaseException as error:
        failure = failure_of(error, stage.log_path)
        _write_traceback(stage.log_path, error)
        events.write("error", sentence=failure.sentence, exit_code=failure.exit_code, log=str(stage.log_path))
        raise
    finally:
        status = failure.status if failure else "FINISHED"
        stage._append("end", status=status, reason=failure.sentence if failure else "")
        events.write("end", status=status, seconds=round(time.monotonic() - started, 3))
        if journal is not None:
            journal.close()


def _write_traceback(path: Path, error: BaseException) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(redact("".join(traceback.format_exception(error))))
    except OSError:  # the disk is full or read-only: that is the error being reported
        pass


def run_component(name: str, call: Callable[[Stage], T], run: str = "") -> T:
    """The body of a KFP component: opens the stage, runs it, and turns an error into a sentence and an exit code.

    Args:
        run: the pipeline's `run` parameter, JSON of a RunContext without the ids of this very run.

    Raises:
        SystemExit: with 1 (failed), 2 (the request was wrong) or 3 (interrupted, can be continued).
    """
    context = RunContext.from_environment(run)
    try:
        with open_stage(name, context) as stage:
            return call(stage)
    except Exception as error:
        failure = failure_of(error, Path(context.state_dir) / "logs" / f"{name}.log")
        print(f"{name}: {failure.sentence}", file=sys.stderr, flush=True)  # noqa: T201
        raise SystemExit(failure.exit_code) from None
